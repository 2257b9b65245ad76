//! Properties of the wire that hold for any input: nothing panics, what is written reads the same, and a stream cut
//! anywhere yields the same messages.

use proptest::prelude::*;

use super::*;

const SEEDS: [&str; 4] = [
    "INVITE sip:102@[2001:db8::1]:5060;transport=tcp?Subject=x SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;rport, \
     SIP/2.0/TCP [::1];branch=z9hG4bK2\r\nFrom: \"Doe, \\\"J\\\"\" <sip:john:pw@example.com>;tag=1\r\nTo: Анна <tel:+7495;ext=1>\r\n\
     Call-ID: a@b\r\nCSeq: 1 INVITE\r\nContact: <sip:a@b>;+sip.instance=\"<urn:uuid:1>\";q=0.5, *\r\nMax-Forwards: 70\r\n\
     Route: <sip:p1;lr>,<sip:p2;lr>\r\nReplaces: x@y;to-tag=1;from-tag=2\r\nReason: SIP;cause=200;text=\"a,b\"\r\n\
     Subject: folded\r\n more\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n",
    "SIP/2.0 401 Unauthorized\r\nv: SIP/2.0/UDP a;received=1.2.3.4;rport=5\r\nf: <sip:a@b>;tag=1\r\nt: <sip:c@d>;tag=2\r\ni: 1\r\n\
     CSeq: 2 REGISTER\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\nl: 0\r\n\r\n",
    "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/WSS a.invalid;branch=z9hG4bK3\r\nFrom: sip:1@e;tag=9\r\nTo: sip:1@e\r\nCall-ID: r\r\n\
     CSeq: 3 REGISTER\r\nContact: *\r\nExpires: 0\r\nAuthorization: Digest username=\"1\", nc=0000000a, uri=\"sip:e\"\r\n\r\n",
    "ODD-method urn:x SIP/2.0\r\nVia : SIP / 2.0 / UDP a : 5 ; branch = z9hG4bK4\r\nFrom:<sip:%00@e>;tag=1\r\nTo:<sip:e>\r\nCall-ID: o\r\n\
     CSeq: 0004 ODD-method\r\n\r\n\0\u{1}",
];

/// A seed with bytes replaced, inserted and taken out, and with pieces of other seeds put in.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<prop::sample::Index>(), 0..4_u8, any::<u8>(), 0..SEEDS.len(), any::<prop::sample::Index>());
    (0..SEEDS.len(), prop::collection::vec(edit, 0..12)).prop_map(|(seed, edits)| {
        let mut bytes = SEEDS[seed].as_bytes().to_vec();
        for (place, kind, byte, other, from) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = place.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.drain(at..(at + usize::from(byte % 16)).min(bytes.len()))),
                _ => {
                    let other = SEEDS[other].as_bytes();
                    let start = from.index(other.len());
                    let piece = &other[start..(start + usize::from(byte % 64)).min(other.len())];
                    bytes.splice(at..at, piece.iter().copied());
                }
            }
        }
        bytes
    })
}

/// Reads everything that can be read of a message.
fn read_all(headers: &Headers) {
    let _ =
        (headers.vias(), headers.from(), headers.to(), headers.call_id(), headers.cseq(), headers.contacts(), headers.contact());
    let _ = (headers.routes(), headers.record_routes(), headers.max_forwards(), headers.expires_seconds(), headers.replaces());
    let _ = (headers.reasons(), headers.content_length(), headers.content_type(), headers.retry_after_seconds());
    let _ = headers.optional_address(HeaderName::ReferTo);
    for header in headers {
        let _ = (NameAddr::parse(&header.value), Via::parse(&header.value), Uri::parse(&header.value));
        let _ = (headers.auth_values(&header.name), headers.items(&header.name).count(), Host::parse(&header.value));
        if let Ok(address) = NameAddr::parse(&header.value) {
            let _ = (address.instance(), address.q_thousandths(), address.expires_seconds(), address.uri.user_decoded());
        }
    }
}

/// A message is the same but for its Content-Length header, which writing puts right.
fn without_length(message: &Message) -> Message {
    let mut message = message.clone();
    message.headers_mut().remove_all(&HeaderName::ContentLength);
    message
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = Message::parse(&bytes);
    }

    #[test]
    fn mutated_messages_never_panic_and_survive_writing(bytes in mutated()) {
        match Message::parse(&bytes) {
            Ok(message) => {
                read_all(message.headers());
                let written = message.to_bytes();
                let again = Message::parse(&written);
                prop_assert!(again.is_ok(), "{:?} does not read {:?}", again, String::from_utf8_lossy(&written));
                prop_assert_eq!(without_length(&again.unwrap()), without_length(&message));
                if let Message::Request(request) = &message {
                    let answer = request.answer(Status::OK, Some("t")).to_bytes();
                    prop_assert!(Message::parse(&answer).is_ok(), "{}", String::from_utf8_lossy(&answer));
                }
            }
            Err(error) => if let Some(request) = error.request {
                let answer = request.answer(Some("t")).to_bytes();
                prop_assert!(answer.starts_with(b"SIP/2.0 "));
            }
        }
    }

    #[test]
    fn a_mutated_stream_yields_the_same_wherever_it_is_cut(bytes in mutated(), tail in mutated(), cut in any::<prop::sample::Index>()) {
        let stream = [bytes, tail].concat();
        let frames = |pieces: &[&[u8]]| {
            let mut framer = StreamFramer::new();
            let mut all = Vec::new();
            for piece in pieces {
                framer.push(piece);
                loop {
                    match framer.next_frame() {
                        Ok(Some(frame)) => all.push(format!("{frame:?}")),
                        Ok(None) => break,
                        Err(error) => {
                            all.push(format!("{error:?}"));
                            return all;
                        }
                    }
                }
            }
            all
        };
        let (head, rest) = stream.split_at(cut.index(stream.len() + 1));
        prop_assert_eq!(frames(&[head, rest]), frames(&[&stream]));
    }

    #[test]
    fn any_user_and_display_name_come_back_as_they_were(user in "\\PC{1,20}", display in "\\PC{0,20}", param in "\\PC{1,12}") {
        let uri = SipUri::new(Host::Name("example.com".into())).with_user(&user);
        let mut address = NameAddr::new(uri).with_display(display.as_str());
        address.params.push(Param::new("x", Some(Text::from(param.as_str()))));
        let again = NameAddr::parse(&Text::from(address.to_string())).unwrap();
        prop_assert_eq!(again.uri.user_decoded(), Some(Text::from(user)));
        prop_assert_eq!(again.display.unwrap_or_default(), Text::from(display));
        prop_assert_eq!(again.params.get("x"), Some(&Text::from(param)));
    }
}
