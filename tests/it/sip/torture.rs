//! The messages of RFC 4475 (torture) and RFC 5118 (IPv6 torture) that concern a parser, written anew: each with what the
//! wire must make of it. Semantics (unknown schemes, extensions, methods) are the endpoint's, so those messages are read.

use perezvon::sip::wire::{Contacts, HeaderName, Host, Message, Method, Request, Response, Uri};

/// What becomes of the bytes.
#[derive(Debug, PartialEq)]
enum Fate {
    Read,
    /// Refused, and this status can be sent.
    Answered(u16),
    /// Refused, with nobody to tell.
    Dropped,
}

use Fate::{Answered, Dropped, Read};

/// Lines ended by LF in the source become lines ended by CRLF.
fn wire(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

fn fate(bytes: &[u8]) -> Fate {
    match Message::parse(bytes) {
        Ok(_) => Read,
        Err(error) => error.request.map_or(Dropped, |request| Answered(request.status.code())),
    }
}

fn request(text: &str) -> Request {
    match Message::parse(&wire(text)) {
        Ok(Message::Request(request)) => request,
        other => panic!("not read as a request: {other:?}"),
    }
}

fn response(text: &str) -> Response {
    match Message::parse(&wire(text)) {
        Ok(Message::Response(response)) => response,
        other => panic!("not read as a response: {other:?}"),
    }
}

/// A message with the usual headers; `line` is its start line, `more` its further header lines, each with its LF.
fn message(line: &str, cseq: &str, more: &str) -> String {
    format!(
        "{line}\nVia: SIP/2.0/UDP host.example.net;branch=z9hG4bKtorture\nMax-Forwards: 70\nFrom: <sip:caller@example.net>;tag=323\n\
         To: <sip:user@example.com>\nCall-ID: torture.1@example.net\nCSeq: {cseq}\n{more}\n"
    )
}

const LINE: &str = "INVITE sip:user@example.com SIP/2.0";
const CSEQ: &str = "8 INVITE";

const TORTUOUS_INVITE: &str = "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0
TO :
 sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n
from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>
  ;
  tag = 98asjd8
MaX-fOrWaRdS: 0068
Call-ID: wsinv.ndaksdj@192.0.2.1
Content-Length   : 4
cseq: 0009
  INVITE
Via  : SIP  /   2.0
 /UDP
    192.0.2.2;branch=390skdjuw
s :
NewFangledHeader:   newfangled value
 continued newfangled value
UnknownHeaderWithUnusualValue: ;;,,;;,;
Content-Type: application/sdp
Route:
 <sip:services.example.com;lr;unknownwith=value;unknown-no-value>
v:  SIP  / 2.0  / TCP     spindle.example.com   ;
  branch  =   z9hG4bK9ikj8  ,
 SIP  /    2.0   / UDP  192.168.255.111   ; branch=
 z9hG4bK30239
m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =
      newvalue ;
  secondparam ; q = 0.33

body";

#[test]
fn rfc4475_3_1_1_1_a_short_tortuous_invite() {
    let invite = request(TORTUOUS_INVITE);
    assert_eq!(invite.method, Method::Invite);
    assert_eq!(invite.headers.to().unwrap().tag().unwrap(), "1918181833n");
    let from = invite.headers.from().unwrap();
    assert_eq!((from.display.as_deref(), from.tag().map(|tag| tag.as_str())), (Some("J Rosenberg \\\""), Some("98asjd8")));
    assert_eq!(invite.headers.max_forwards(), Ok(Some(68)));
    assert_eq!((invite.headers.cseq().unwrap().number, invite.body.as_ref()), (9, b"body".as_slice()));
    let vias: Vec<String> = invite.headers.vias().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        vias,
        [
            "SIP/2.0/UDP 192.0.2.2;branch=390skdjuw",
            "SIP/2.0/TCP spindle.example.com;branch=z9hG4bK9ikj8",
            "SIP/2.0/UDP 192.168.255.111;branch=z9hG4bK30239"
        ]
    );
    assert_eq!(invite.headers.get(&HeaderName::Subject).map(|value| value.as_str()), Some(""));
    let unfolded = invite.headers.get(&"NewFangledHeader".into()).unwrap();
    assert_eq!(unfolded, &"newfangled value continued newfangled value");
    let Contacts::List(contacts) = invite.headers.contacts().unwrap() else { panic!("not a star") };
    assert_eq!((contacts[0].q_thousandths(), contacts[0].params.get("newparam").unwrap().as_str()), (330, "newvalue"));
    assert!(invite.headers.routes().unwrap()[0].uri.as_sip().unwrap().is_loose_router());
}

#[test]
fn rfc4475_3_1_1_2_wide_range_of_valid_characters() {
    let mut bytes = wire(
        "!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:\
         &it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0
Via: SIP/2.0/TCP host1.example.com;branch=z9hG4bK-.!%66*_+`'~
To: \"BEL:\\\u{7} NUL:\\\u{0} DEL:\\\u{7f}\" <sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com>
From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%=\"\u{440}\u{430}\u{431}\u{43e}\u{442}\u{430}\u{44e}\u{449}\u{438}\u{439}\";tag=_token~1'+`*%!-.
Call-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{
CSeq: 139122385 !interesting-Method0123456789_*+`.%indeed'~
Max-Forwards: 255
extensionHeader-!.%*+_`'~:\u{fc}\u{5927}\u{505c}\u{96fb}
Content-Length: 0

",
    );
    let Ok(Message::Request(request)) = Message::parse(&bytes) else { panic!("{:?}", Message::parse(&bytes)) };
    assert_eq!(request.method.as_str(), "!interesting-Method0123456789_*+`.%indeed'~");
    assert_eq!(request.headers.to().unwrap().display.as_deref(), Some("BEL:\u{7} NUL:\u{0} DEL:\u{7f}"));
    assert_eq!(request.headers.from().unwrap().params.get("fromParam''~+*_!.-%").unwrap(), &"работающий");
    assert_eq!(request.headers.max_forwards(), Ok(Some(255)));
    // The same with a byte that is no UTF-8 in an unknown header: nothing else suffers.
    let at = bytes.windows(2).position(|pair| pair == [0xc3, 0xbc]).unwrap();
    bytes[at + 1] = b' ';
    assert_eq!(fate(&bytes), Read);
}

#[test]
fn rfc4475_3_1_1_3_to_5_escapes() {
    let escaped = request(&message(
        "INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0",
        "149209342 INVITE",
        "Contact:\n <sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31>\n",
    ));
    assert_eq!(escaped.uri.user_decoded().unwrap(), "sips:user@example.com");
    let contact = escaped.headers.contact().unwrap().unwrap();
    // An escaped `lr` is not `lr`: parameter names compare as they are written.
    assert!(!contact.uri.as_sip().unwrap().is_loose_router());
    assert_eq!(contact.uri.user_decoded().unwrap(), "caller");

    let nulls = request(&message(
        "REGISTER sip:example.com SIP/2.0",
        "29344 REGISTER",
        "Contact: <sip:%00@host5.example.com>\nContact: <sip:%00%00@host5.example.com>\nL:0\n",
    ));
    let Contacts::List(contacts) = nulls.headers.contacts().unwrap() else { panic!("not a star") };
    assert!(!contacts[0].uri.is_equivalent(&contacts[1].uri));

    let percents = request(&message("RE%47IST%45R sip:registrar.example.com SIP/2.0", "29344 RE%47IST%45R", "C: \n"));
    assert_eq!(percents.method, Method::Other("RE%47IST%45R".into()), "escapes mean nothing in a method");
    let display = request(&message(LINE, CSEQ, "Contact: \"%Z%45\" <sip:resource@example.com>\n"));
    assert_eq!(display.headers.contact().unwrap().unwrap().display.as_deref(), Some("%Z%45"));
}

#[test]
fn rfc4475_3_1_1_6_to_13_odd_but_valid() {
    let no_space = message("OPTIONS sip:user@example.com SIP/2.0", "60 OPTIONS", "").replace("From: <", "From: caller<");
    assert_eq!(request(&no_space).headers.from().unwrap().display.as_deref(), Some("caller"));

    let long = message(
        LINE,
        CSEQ,
        &format!(
            "Contact: \"{0}\" <sip:{0}@host.example.net;{0}={0}>\nUnknown{0}: {0}\nUnknown-Long: {0}\n{1}",
            "amazinglylong".repeat(50),
            (0..33).map(|hop| format!("v: SIP/2.0/TCP sip{hop}.example.com;branch=z9hG4bK{hop}\n")).collect::<String>()
        ),
    );
    assert_eq!(request(&long).headers.vias().unwrap().len(), 34);

    let two_in_one = format!(
        "{}{}",
        message("REGISTER sip:example.com SIP/2.0", "8 REGISTER", "Content-Length: 0\n"),
        message("INVITE sip:joe@example.com SIP/2.0", "8 INVITE", "Content-Length: 150\n")
    );
    let first = request(&two_in_one);
    assert_eq!((first.method, first.body.len()), (Method::Register, 0), "what follows a whole message is noise");

    let semicolons = request(&message(&LINE.replace("user@", "user;par=u%40example.net@"), CSEQ, ""));
    let uri = semicolons.uri.as_sip().unwrap();
    assert_eq!((uri.user_decoded().unwrap().as_str(), uri.params.len()), ("user;par=u@example.net", 0));

    let transports = message("OPTIONS sip:user@example.com SIP/2.0", "60 OPTIONS", "").replace(
        "Max-Forwards",
        "Via: SIP/2.0/SCTP t2.example.com;branch=z9hG4bK2\nVia: SIP/2.0/TLS t3.example.com;branch=z9hG4bK3\n\
         Via: SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bK4\nMax-Forwards",
    );
    let protocols: Vec<String> =
        request(&transports).headers.vias().unwrap().iter().map(|via| via.protocol.to_string()).collect();
    assert_eq!(protocols, ["UDP", "SCTP", "TLS", "UNKNOWN"]);

    let reason =
        "SIP/2.0 200 = 2**3 * 5**2 \u{43d}\u{43e} \u{441}\u{442}\u{43e} \u{43f}\u{440}\u{43e}\u{441}\u{442}\u{43e}\u{435}";
    assert_eq!(response(&message(reason, CSEQ, "")).reason, "= 2**3 * 5**2 но сто простое");
    assert_eq!(response(&message("SIP/2.0 100 ", CSEQ, "")).reason, "");
    assert_eq!(response(&message("SIP/2.0 100", CSEQ, "")).status.code(), 100, "without the space, as some phones send it");
}

#[test]
fn rfc4475_3_1_1_11_a_body_of_binary_parts_is_kept_to_the_byte() {
    let body: Vec<u8> = (0..=255).chain(*b"\r\n--boundary\r\n\r\n\0\r\n").collect();
    let head = message(
        "MESSAGE sip:kumiko@example.org SIP/2.0",
        "1 MESSAGE",
        &format!("Content-Type: multipart/mixed;boundary=x\nl: {}\n", body.len()),
    );
    let bytes = [wire(&head), body.clone()].concat();
    let Ok(Message::Request(request)) = Message::parse(&bytes) else { panic!("must be read") };
    assert_eq!(request.body, body);
    assert_eq!(request.headers.content_type(), Some("multipart/mixed"));
    let Ok(again) = Message::parse(&request.to_bytes()) else { panic!("must be read") };
    assert_eq!(again.body(), &request.body);
}

#[test]
fn rfc4475_3_1_2_broken_syntax_is_refused_and_answered() {
    let cases = [
        (
            "1 extraneous separators",
            message(LINE, CSEQ, "Contact: \"Joe\" <sip:joe@example.org>;;;;\n").replace("torture\n", "torture;;,;,,\n"),
            Answered(400),
        ),
        ("2 length longer than the body", message(LINE, CSEQ, "Content-Length: 9999\n"), Answered(400)),
        ("3 negative length", message(LINE, CSEQ, "Content-Length: -999\n"), Answered(400)),
        (
            "4 request scalars too large",
            message("REGISTER sip:example.com SIP/2.0", "36893488147419103232 REGISTER", ""),
            Answered(400),
        ),
        ("4 Max-Forwards too large", message(LINE, CSEQ, "").replace(": 70", ": 300"), Answered(400)),
        (
            "5 response scalars too large",
            message("SIP/2.0 503 Service Unavailable", "9292394834772304023312 OPTIONS", ""),
            Dropped,
        ),
        ("6 unterminated quote in To", message(LINE, CSEQ, "").replace("To: ", "To: \"Mr. J. User "), Answered(400)),
        ("7 angle brackets around the Request-URI", message("INVITE <sip:user@example.com> SIP/2.0", CSEQ, ""), Answered(400)),
        ("8 space in the Request-URI", message("INVITE sip:user@example.com; lr SIP/2.0", CSEQ, ""), Answered(400)),
        ("9 spaces between the words", message("INVITE  sip:user@example.com  SIP/2.0", CSEQ, ""), Answered(400)),
        (
            "10 spaces after the version",
            message("OPTIONS sip:remote-target@example.com SIP/2.0  ", "8 OPTIONS", ""),
            Answered(400),
        ),
        (
            "11 escaped headers in the Request-URI",
            message("INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0", CSEQ, ""),
            Read,
        ),
        ("12 a date in another time zone", message(LINE, CSEQ, "Date: Fri, 01 Jan 2010 16:00:00 EST\n"), Read),
        (
            "14 spaces inside of an addr-spec",
            message(LINE, CSEQ, "").replace("<sip:user@", "\"Watson, Thomas\" < sip:t.watson@"),
            Answered(400),
        ),
        (
            "15 dots and commas in a bare display name",
            message(LINE, CSEQ, "").replace("From: <", "From: Bell, Alexander <"),
            Read,
        ),
        ("16 unknown protocol version", message("OPTIONS sip:t.watson@example.org SIP/7.0", "8 OPTIONS", ""), Answered(505)),
        ("17 start line and CSeq disagree", message("OPTIONS sip:user@example.com SIP/2.0", "8 INVITE", ""), Answered(400)),
        (
            "18 an unknown method and CSeq disagree",
            message("NEWMETHOD sip:user@example.com SIP/2.0", "8 INVITE", ""),
            Answered(400),
        ),
        ("19 a status code that is none", message("SIP/2.0 4294967301 better not break", CSEQ, ""), Dropped),
    ];
    for (name, text, expected) in cases {
        assert_eq!(fate(&wire(&text)), expected, "{name}");
    }
}

#[test]
fn rfc4475_3_1_2_13_a_contact_with_a_bare_question_mark_is_the_registrars_to_refuse() {
    let register = request(&message(
        "REGISTER sip:example.com SIP/2.0",
        "8 REGISTER",
        "Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E\n",
    ));
    assert!(register.headers.contacts().is_err());
}

#[test]
fn rfc4475_3_2_and_3_3_what_the_endpoint_must_decide_is_read() {
    let missing: String = message(LINE, CSEQ, "")
        .lines()
        .filter(|line| !line.starts_with("To:") && !line.starts_with("From:") && !line.starts_with("Call-ID:"))
        .map(|line| format!("{line}\n"))
        .collect();
    let cases = [
        ("3.2.1 an empty branch", message(LINE, CSEQ, "").replace("z9hG4bKtorture", "z9hG4bK"), Read),
        ("3.3.1 needed headers missing", format!("{missing}\n"), Answered(400)),
        ("3.3.2 unknown Request-URI scheme", message("OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0", "8 OPTIONS", ""), Read),
        ("3.3.3 a known scheme that is not SIP's", message("OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0", "8 OPTIONS", ""), Read),
        ("3.3.4 unknown schemes in To and Contact", message(LINE, CSEQ, "Contact: <name:John_Smith>\n").replace("<sip:user@", "<isbn:2983792873?"), Read),
        ("3.3.5 unknown extensions required", message("OPTIONS sip:user@example.com SIP/2.0", "8 OPTIONS", "Require: nothingSupportsThis\n"), Read),
        ("3.3.6 unknown body type", message(LINE, CSEQ, "Content-Type: application/unknownformat\nContent-Length: 0\n"), Read),
        ("3.3.7 unknown authorization scheme", message(LINE, CSEQ, "Authorization: NoOneKnowsThisScheme opaque-data=here\n"), Read),
        ("3.3.8 single headers given twice", message(LINE, CSEQ, "CSeq: 8 INVITE\nCall-ID: another\nTo: <sip:b@c>\n"), Answered(400)),
        ("3.3.9 two lengths that disagree", message(LINE, CSEQ, "Content-Length: 0\nContent-Length: 5\n"), Answered(400)),
        ("3.3.9 two lengths that agree", message(LINE, CSEQ, "Content-Length: 0\nl: 0\n"), Read),
        ("3.3.10 a response for the broadcast address", message("SIP/2.0 200 OK", "14 INVITE", "").replace("host.example.net;", "192.0.2.198;branch=z9hG4bK1\nVia: SIP/2.0/UDP 255.255.255.255;"), Read),
        ("3.3.11 Max-Forwards of zero", message(LINE, CSEQ, "").replace(": 70", ": 0"), Read),
        ("3.3.12 a contact parameter", message("REGISTER sip:example.com SIP/2.0", "8 REGISTER", "Contact: sip:+19725552222@gw1.example.net;unknownparam\n"), Read),
        ("3.3.13 a uri parameter", message("REGISTER sip:example.com SIP/2.0", "8 REGISTER", "Contact: <sip:+19725552222@gw1.example.net;unknownparam>\n"), Read),
        ("3.3.14 escaped headers in a Contact", message("REGISTER sip:example.com SIP/2.0", "8 REGISTER", "Contact: <sip:user@example.com?Route=%3Csip:sip.example.com%3E>\n"), Read),
        ("3.3.15 a body type that is not accepted", message(LINE, CSEQ, "Accept: text/nobodyKnowsThis\n"), Read),
        ("3.4.1 an INVITE of RFC 2543", "INVITE sip:UserB@example.com SIP/2.0\nVia: SIP/2.0/UDP iftgw.example.com\nFrom: <sip:+13035551111@ift.client.example.net;user=phone>\nTo: sip:+16505552222@ss1.example.net;user=phone\nCall-ID: inv2543.1717@ift.client.example.com\nCSeq: 56 INVITE\n\n".into(), Read),
    ];
    for (name, text, expected) in cases {
        assert_eq!(fate(&wire(&text)), expected, "{name}");
    }
}

#[test]
fn rfc5118_ipv6_addresses_are_read_where_they_are_right() {
    let good = request(
        &message("REGISTER sip:[2001:db8::10] SIP/2.0", "98176 REGISTER", "Contact: \"Caller\" <sip:caller@[2001:db8::1]>\n")
            .replace("host.example.net", "[2001:db8::9:1]"),
    );
    assert_eq!(good.uri.host(), Some(&Host::V6("2001:db8::10".parse().unwrap())));
    assert_eq!(good.headers.via().unwrap().host, Host::V6("2001:db8::9:1".parse().unwrap()));

    let bare = message("REGISTER sip:2001:db8::10 SIP/2.0", "98176 REGISTER", "");
    assert_eq!(fate(&wire(&bare)), Answered(400), "4.2: an address without brackets");

    let ambiguous = request(&message("REGISTER sip:[2001:db8::10:5070] SIP/2.0", "98176 REGISTER", ""));
    assert_eq!(ambiguous.uri.as_sip().unwrap().port, None, "4.3: the port is in the brackets, so it is none");
    let plain = request(&message("REGISTER sip:[2001:db8::10]:5070 SIP/2.0", "98176 REGISTER", ""));
    assert_eq!(plain.uri.as_sip().unwrap().port, Some(5070), "4.4");

    for received in ["[2001:db8::9:255]", "2001:db8::9:255"] {
        let bye = request(
            &message("BYE sip:[2001:db8::10] SIP/2.0", "2 BYE", "").replace("branch=", &format!("received={received};branch=")),
        );
        assert_eq!(bye.headers.via().unwrap().received(), Some(Host::V6("2001:db8::9:255".parse().unwrap())), "4.5 {received}");
    }

    let many = request(&message(LINE, CSEQ, "Contact: \"A\" <sip:a@[2001:db8::1]>, <sip:b@192.0.2.1>\n").replace(
        "Max-Forwards",
        "Via: SIP/2.0/UDP [2001:db8::9:1]:5060;branch=z9hG4bK2\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK3\nMax-Forwards",
    ));
    assert_eq!(many.headers.vias().unwrap().len(), 3, "4.7");
    assert!(matches!(many.headers.contacts(), Ok(Contacts::List(list)) if list.len() == 2));

    let mapped = request(
        &message("INVITE sip:user@[::ffff:192.0.2.10] SIP/2.0", CSEQ, "").replace("host.example.net", "[::ffff:192.0.2.2]:5060"),
    );
    assert_eq!(mapped.headers.via().unwrap().port, Some(5060), "4.9");
    assert!(matches!(mapped.uri, Uri::Sip(_)));

    let three_colons = message("OPTIONS sip:user@[2001:db8:::192.0.2.1] SIP/2.0", "8 OPTIONS", "");
    assert_eq!(fate(&wire(&three_colons)), Answered(400), "4.10, as RFC 5954 mends the grammar");
}
