//! Browsers: lent credentials, connections that only they can open, and calls that outlive a connection.

use uuid::Uuid;

use super::register::authenticated;
use super::*;
use crate::sip::endpoint::Loan;

const PAGE: &str = "x1@a.invalid";
const HOME: &str = "198.51.100.30:50001";

fn socket(connection: u64) -> Flow {
    let (transport, local) = (Transport::Wss, "192.0.2.1:443".parse().unwrap());
    Flow { transport, local, remote: HOME.parse().unwrap(), connection: ConnectionId(connection) }
}

fn lend(bench: &mut Bench, user: &str, number: u64, seconds: u64) -> Text {
    let username = Loan::name(number);
    let ha1 = sip_ha1(&username, "page-secret");
    let until = bench.now + Duration::from_secs(seconds);
    let session = Uuid::from_u128(number.into());
    bench.command(Command::Lend(Box::new(Loan { username: username.clone(), user: user.into(), ha1, session, until }))).unwrap();
    username
}

/// A page registers by this connection; its instance is its contact's user.
fn come(bench: &mut Bench, connection: u64, page: &str, username: &str) -> Response {
    let branch = bench.branch();
    let instance = page.split('@').next().unwrap();
    let request = format!(
        "REGISTER sip:perezvon SIP/2.0\nVia: SIP/2.0/WSS a.invalid;branch={branch}\nMax-Forwards: 70\n\
         From: <sip:101@perezvon>;tag=a{branch}\nTo: <sip:101@perezvon>\nCall-ID: reg-{connection}\nCSeq: 1 REGISTER\n\
         Contact: <sip:{page};transport=ws>;+sip.instance=\"<urn:uuid:{instance}>\";reg-id=1\nExpires: 600\n\n"
    );
    authenticated(bench, socket(connection), &request, username, "page-secret")
}

fn came(event: &Event) -> Option<String> {
    match event {
        Event::BrowserCame { contact, .. } => Some(contact.to_string()),
        _ => None,
    }
}

/// anna's page has registered and answered our call: the INVITE that it got.
fn in_call(bench: &mut Bench) -> Request {
    let username = lend(bench, "anna", 1, 3600);
    assert_eq!(come(bench, 1, PAGE, &username).status, Status::OK);
    bench.dial(1, DialTarget::User("anna".into())).unwrap();
    let (_, invite) = bench.sent_request();
    let mut answer = response_to(&invite, 200, "page");
    answer.headers.set(HeaderName::Contact, format!("<sip:{PAGE};transport=ws;ob>"));
    bench.message(socket(1), answer);
    assert_eq!(bench.sent_words(), ["ACK"]);
    bench.take_events();
    invite
}

#[test]
fn lent_credentials_register_their_user_and_nobody_else() {
    let mut bench = Bench::new();
    let username = lend(&mut bench, "anna", 1, 300);
    let answer = come(&mut bench, 1, PAGE, &username);
    assert_eq!(answer.status, Status::OK);
    assert!(answer.headers.get(&HeaderName::Contact).unwrap().contains("expires=300"), "not longer than they are lent");
    let events = bench.take_events();
    assert!(matches!(&events[0], Event::Registered { user, phone: None, browser: Some(_), .. } if user.as_str() == "anna"));
    assert_eq!(came(&events[1]).as_deref(), Some("sip:x1@a.invalid;transport=ws"));

    let of_boris = lend(&mut bench, "boris", 2, 300);
    assert_eq!(come(&mut bench, 2, "x2@a.invalid", &of_boris).status, Status::FORBIDDEN, "101 is not boris");
}

#[test]
fn credentials_end_with_their_session_and_by_time_and_take_their_phone_along() {
    let mut bench = Bench::new();
    let username = lend(&mut bench, "anna", 1, 300);
    come(&mut bench, 1, PAGE, &username);
    bench.register("anna", "sip:101@10.0.0.5:5060", udp(PHONE));
    bench.take_events();
    bench.command(Command::TakeBack { session: Some(Uuid::from_u128(7)) }).unwrap();
    assert!(bench.take_events().is_empty(), "another session's");
    bench.command(Command::TakeBack { session: Some(Uuid::from_u128(1)) }).unwrap();
    let events = bench.take_events();
    let [Event::BrowserGone { .. }, Event::Registered { contacts: 1, browser: None, .. }] = &events[..] else {
        panic!("the desk phone stays: {events:?}");
    };
    assert_eq!(come(&mut bench, 1, PAGE, &username).status, Status::UNAUTHORIZED);

    let username = lend(&mut bench, "anna", 2, 300);
    bench.pass(300_000);
    assert_eq!(come(&mut bench, 1, PAGE, &username).status, Status::UNAUTHORIZED);
}

#[test]
fn an_office_of_pages_with_old_credentials_is_not_banned_for_guessing() {
    let mut bench = Bench::new();
    for number in 0..60 {
        assert_eq!(come(&mut bench, number, PAGE, &Loan::name(number)).status, Status::UNAUTHORIZED);
    }
    let username = lend(&mut bench, "anna", 99, 300);
    assert_eq!(come(&mut bench, 99, PAGE, &username).status, Status::OK);
}

#[test]
fn a_page_that_has_signed_in_gets_in_though_its_office_is_banned_and_a_guesser_does_not() {
    let mut bench = Bench::new();
    let source = socket(1).remote.ip();
    for _ in 0..20 {
        bench.endpoint.penalties.failed(bench.now, source, None);
    }
    let branch = bench.branch();
    let register = format!(
        "REGISTER sip:perezvon SIP/2.0\nVia: SIP/2.0/WSS a.invalid;branch={branch}\nMax-Forwards: 70\n\
         From: <sip:102@perezvon>;tag=a\nTo: <sip:102@perezvon>\nCall-ID: guess\nCSeq: 1 REGISTER\n\n"
    );
    bench.feed(socket(500), &register);
    assert_eq!(bench.sent_response().status, Status::FORBIDDEN);
    let username = lend(&mut bench, "anna", 900, 300);
    assert_eq!(come(&mut bench, 501, PAGE, &username).status, Status::OK);
}

#[test]
fn a_browser_on_the_carriers_machine_is_no_carrier() {
    let mut bench = Bench::new();
    let text = bench.invite_text("c1", "");
    bench.feed(Flow { remote: TRUNK.parse().unwrap(), ..socket(1) }, &text);
    assert_eq!(bench.sent_response().status, Status::UNAUTHORIZED);
}

#[test]
fn a_call_from_a_registered_page_is_its_users_and_is_answered_on_its_connection() {
    let mut bench = Bench::new();
    let username = lend(&mut bench, "anna", 1, 3600);
    come(&mut bench, 1, PAGE, &username);
    bench.take_events();
    let branch = bench.branch();
    let invite = format!(
        "INVITE sip:102@perezvon SIP/2.0\nVia: SIP/2.0/WSS a.invalid;branch={branch}\nMax-Forwards: 70\n\
         From: <sip:101@perezvon>;tag=a\nTo: <sip:102@perezvon>\nCall-ID: c1\nCSeq: 1 INVITE\n\
         Contact: <sip:{PAGE};transport=ws;ob>\nContent-Type: application/sdp\n\n{OFFER}"
    );
    bench.feed(socket(1), &invite);
    let leg = match bench.take_events().as_slice() {
        [Event::Invite { leg, origin: Origin::User(user), .. }] if user.as_str() == "anna" => *leg,
        events => panic!("{events:?}"),
    };
    bench.take_sent();
    bench.command(Command::Answer { leg, body: Some(Body::sdp(ANSWER)) }).unwrap();
    let (flow, answer) = bench.take_sent().pop().unwrap();
    assert_eq!(flow, socket(1));
    let Message::Response(answer) = answer else { panic!("a request") };
    assert_eq!(answer.headers.get(&HeaderName::Contact).unwrap(), "<sip:102@192.0.2.1:443;transport=ws>");
}

#[test]
fn desk_phone_and_browser_ring_together_each_with_its_own_offer() {
    let mut bench = Bench::new();
    bench.register("anna", "sip:101@10.0.0.5:5060", udp(PHONE));
    let username = lend(&mut bench, "anna", 1, 3600);
    come(&mut bench, 1, PAGE, &username);
    bench.take_events();
    bench.dial(1, DialTarget::User("anna".into())).unwrap();
    let sent = bench.take_sent();
    let bodies: BTreeMap<Transport, String> = sent
        .iter()
        .map(|(flow, message)| match message {
            Message::Request(request) => (flow.transport, String::from_utf8(request.body.to_vec()).unwrap()),
            Message::Response(_) => panic!("a response"),
        })
        .collect();
    assert_eq!(bodies, BTreeMap::from([(Transport::Udp, OFFER.into()), (Transport::Wss, BROWSER_OFFER.into())]));
    let Some((_, Message::Request(invite))) = sent.iter().find(|(flow, _)| flow.transport == Transport::Wss) else { panic!() };
    let via = invite.headers.via().unwrap();
    assert_eq!((via.protocol.as_str(), invite.uri.to_string()), ("WSS", format!("sip:{PAGE};transport=ws")));
    bench.message(socket(1), response_to(invite, 200, "page"));
    assert!(matches!(bench.take_events().as_slice(), [Event::Answered { offered: Offered::Browser, .. }]));
    assert!(bench.sent_words().contains(&"ACK".into()));
}

#[test]
fn only_those_ring_for_whom_there_is_an_offer() {
    let mut bench = Bench::new();
    let username = lend(&mut bench, "anna", 1, 3600);
    come(&mut bench, 1, PAGE, &username);
    let dial = |target, body, browser| {
        Command::Invite(Box::new(Dial {
            leg: LegId(1),
            target,
            from: Identity::default(),
            to: Identity::default(),
            headers: Vec::new(),
            body,
            fallback: None,
            browser,
            credentials: None,
            max_forwards: 69,
        }))
    };
    let everyone = || DialTarget::User("anna".into());
    assert_eq!(bench.command(dial(everyone(), Some(Body::sdp(OFFER)), None)), Err(CommandError::NotRegistered));
    bench.register("anna", "sip:101@10.0.0.5:5060", udp(PHONE));
    bench.take_sent();
    bench.command(dial(DialTarget::Browser("anna".into()), Some(Body::sdp(OFFER)), Some(Body::sdp(BROWSER_OFFER)))).unwrap();
    assert_eq!(bench.sent_request().0, socket(1), "not the desk phone");
}

#[test]
fn a_phone_that_refuses_the_first_offer_gets_the_second_and_no_third() {
    let mut bench = Bench::new();
    bench.register("anna", "sip:101@10.0.0.5:5060", udp(PHONE));
    let dial = Dial {
        leg: LegId(1),
        target: DialTarget::User("anna".into()),
        from: Identity::default(),
        to: Identity::default(),
        headers: Vec::new(),
        body: Some(Body::sdp(OFFER)),
        fallback: Some(Body::sdp(ANSWER)),
        browser: None,
        credentials: None,
        max_forwards: 69,
    };
    bench.command(Command::Invite(Box::new(dial))).unwrap();
    let (_, first) = bench.sent_request();
    bench.message(udp(PHONE), response_to(&first, 488, "t"));
    let sent = bench.take_sent();
    let [(_, Message::Request(ack)), (_, Message::Request(second))] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((&ack.method, &second.method, second.body.as_ref()), (&Method::Ack, &Method::Invite, ANSWER.as_bytes()));
    assert_eq!(second.headers.cseq().unwrap().number, first.headers.cseq().unwrap().number + 1);
    assert!(bench.take_events().is_empty());
    bench.message(udp(PHONE), response_to(second, 488, "t"));
    assert!(matches!(bench.take_events().as_slice(), [Event::Failed { .. }]));
    bench.assert_empty_after_drain();
}

#[test]
fn a_lost_connection_leaves_the_call_and_its_requests_follow_the_page() {
    let mut bench = Bench::new();
    in_call(&mut bench);
    bench.endpoint.flow_closed(bench.now, &socket(1));
    bench.drain();
    let events = bench.take_events();
    assert!(matches!(&events[..], [Event::BrowserGone { .. }, Event::Unregistered { .. }]), "no word of the leg: {events:?}");
    bench.command(Command::ReInvite { leg: LegId(1), body: Some(Body::sdp(OFFER)) }).unwrap();
    assert!(matches!(bench.take_events().as_slice(), [Event::ReInviteFailed { .. }]));

    let username = lend(&mut bench, "anna", 2, 3600);
    come(&mut bench, 2, PAGE, &username);
    bench.take_events();
    bench.command(Command::ReInvite { leg: LegId(1), body: Some(Body::sdp(OFFER)) }).unwrap();
    let (flow, again) = bench.sent_request();
    assert_eq!((flow, again.uri.to_string()), (socket(2), format!("sip:{PAGE};transport=ws;ob")));
    bench.message(socket(2), response_to(&again, 200, "page"));
    bench.take_events();
    bench.take_sent();
    bench.command(Command::Bye { leg: LegId(1), reason: None }).unwrap();
    assert_eq!(bench.sent_request().0, socket(2));
}

#[test]
fn a_re_invite_that_was_on_its_way_when_the_connection_broke_loses_no_call() {
    let mut bench = Bench::new();
    in_call(&mut bench);
    bench.command(Command::ReInvite { leg: LegId(1), body: Some(Body::sdp(OFFER)) }).unwrap();
    bench.endpoint.flow_closed(bench.now, &socket(1));
    bench.drain();
    let events = bench.take_events();
    assert!(events.iter().any(|event| matches!(event, Event::ReInviteFailed { .. })), "{events:?}");
    assert!(!events.iter().any(|event| matches!(event, Event::Failed { .. })), "{events:?}");
    assert_eq!(bench.endpoint.census().legs, 1);
}

#[test]
fn a_hang_up_while_the_page_was_away_is_told_when_it_comes_back_and_only_to_it() {
    let mut bench = Bench::new();
    in_call(&mut bench);
    bench.endpoint.flow_closed(bench.now, &socket(1));
    bench.command(Command::Bye { leg: LegId(1), reason: None }).unwrap();
    assert!(bench.sent_words().is_empty());
    let other = lend(&mut bench, "anna", 2, 3600);
    come(&mut bench, 2, "other@b.invalid", &other);
    assert!(bench.sent_words().is_empty(), "another page");
    bench.pass(5_000);
    let username = lend(&mut bench, "anna", 3, 3600);
    let branch = bench.branch();
    let request = format!(
        "REGISTER sip:perezvon SIP/2.0\nVia: SIP/2.0/WSS a.invalid;branch={branch}\nMax-Forwards: 70\n\
         From: <sip:101@perezvon>;tag=a{branch}\nTo: <sip:101@perezvon>\nCall-ID: back\nCSeq: 1 REGISTER\n\
         Contact: <sip:{PAGE};transport=ws>\nExpires: 600\n\n"
    );
    bench.feed(socket(3), &request);
    let challenge = bench.sent_response();
    let credentials = crate::sip::auth::Credentials { username: username.as_str().into(), password: "page-secret".into() };
    let uri: Uri = "sip:perezvon".parse().unwrap();
    let (name, value) =
        crate::sip::auth::answer_challenge(&challenge.headers, &credentials, &Method::Register, &uri, 1, "c").unwrap();
    let again = request.replace("branch=z9hG4bK", "branch=z9hG4bKy").replace("\nFrom:", &format!("\n{name}: {value}\nFrom:"));
    bench.feed(socket(3), &again);
    let sent = bench.take_sent();
    let words: Vec<String> = sent.iter().map(|(_, message)| word(message)).collect();
    assert_eq!(words, ["BYE", "200"]);
    assert_eq!(sent[0].0, socket(3));
}
