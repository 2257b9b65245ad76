//! Legs that we dial.

use super::*;
use crate::sip::auth::Credentials;

#[test]
fn a_dialled_leg_rings_answers_and_is_acknowledged_at_once() {
    let mut bench = Bench::new();
    let invite = bench.dial_trunk(1);
    assert_eq!(invite.uri.to_string(), "sip:+74950000000@192.0.2.10");
    let from = invite.headers.from().unwrap();
    assert_eq!((from.uri.user().unwrap().as_str(), from.uri.host()), ("+79160000001", Some(&local_host())));
    assert_eq!(invite.headers.max_forwards().unwrap(), Some(69));
    assert_eq!(invite.body, OFFER.as_bytes());
    bench.message(udp(TRUNK), response_to(&invite, 100, ""));
    bench.message(udp(TRUNK), response_to(&invite, 180, "t"));
    let events = bench.take_events();
    assert!(matches!(&events[..], [Event::Progress { leg: LegId(1), fork: 0, status: Status::RINGING, sdp: None, .. }]));
    bench.message(udp(TRUNK), response_to(&invite, 200, "t"));
    let (flow, ack) = bench.sent_request();
    assert_eq!((ack.method.clone(), flow.remote.to_string().as_str()), (Method::Ack, TRUNK));
    assert_eq!(ack.uri.to_string(), "sip:callee@192.0.2.10:5060");
    assert_eq!(ack.headers.cseq().unwrap().number, 1);
    let events = bench.take_events();
    assert!(matches!(&events[..], [Event::Answered { leg: LegId(1), needs_ack: false, sdp: Some(_), .. }]));
    bench.message(udp(TRUNK), response_to(&invite, 200, "t"));
    assert_eq!(bench.sent_words(), ["ACK"], "the answer was repeated, so the ACK is");
    assert!(bench.take_events().is_empty());
    bench.command(Command::Bye { leg: LegId(1), reason: None }).unwrap();
    let (_, bye) = bench.sent_request();
    assert_eq!(bye.headers.cseq().unwrap().number, 2);
    bench.message(udp(TRUNK), response_to(&bye, 200, "t"));
    bench.assert_empty_after_drain();
}

#[test]
fn a_busy_callee_fails_the_leg_and_is_acknowledged() {
    let mut bench = Bench::new();
    let invite = bench.dial_trunk(1);
    let mut busy = response_to(&invite, 486, "t");
    busy.headers.push(HeaderName::Reason, "Q.850;cause=17");
    bench.message(udp(TRUNK), busy.clone());
    bench.message(udp(TRUNK), busy);
    assert_eq!(bench.sent_words(), ["ACK", "ACK"]);
    let events = bench.take_events();
    let [Event::Failed { leg: LegId(1), failure }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((failure.status, failure.local), (Status::BUSY_HERE, None));
    assert_eq!(failure.reason.as_deref(), Some("Q.850;cause=17"));
    bench.assert_empty_after_drain();
}

#[test]
fn silence_fails_the_leg_after_timer_b() {
    let mut bench = Bench::new();
    bench.dial_trunk(1);
    bench.pass(32_000);
    assert_eq!(bench.sent_words().len(), 6, "repeats of the INVITE");
    let events = bench.take_events();
    let [Event::Failed { failure, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((failure.status, failure.local), (Status::REQUEST_TIMEOUT, Some(LocalFailure::Timeout)));
    bench.assert_empty_after_drain();
}

#[test]
fn a_refused_port_fails_the_leg_at_once() {
    let mut bench = Bench::new();
    bench.dial(1, trunk_target()).unwrap();
    let flow = bench.take_sent()[0].0;
    bench.endpoint.send_failed(bench.now, &flow, SendFailure::Refused);
    bench.drain();
    let events = bench.take_events();
    let [Event::Failed { failure, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((failure.status, failure.local), (Status::SERVICE_UNAVAILABLE, Some(LocalFailure::Refused)));
    bench.assert_empty_after_drain();
}

#[test]
fn a_cancel_waits_for_the_first_provisional_response() {
    let mut bench = Bench::new();
    let invite = bench.dial_trunk(1);
    bench.command(Command::Cancel { leg: LegId(1), reason: None }).unwrap();
    assert!(bench.sent_words().is_empty(), "RFC 3261 §9.1");
    assert_eq!(bench.command(Command::Cancel { leg: LegId(1), reason: None }), Err(CommandError::NoSuchLeg));
    bench.message(udp(TRUNK), response_to(&invite, 100, ""));
    let (_, cancel) = bench.sent_request();
    assert_eq!(cancel.method, Method::Cancel);
    assert_eq!(cancel.headers.via().unwrap().branch(), invite.headers.via().unwrap().branch());
    assert_eq!(cancel.headers.cseq().unwrap().number, invite.headers.cseq().unwrap().number);
    bench.message(udp(TRUNK), response_to(&invite, 180, "t"));
    bench.message(udp(TRUNK), response_to(&cancel, 200, "t"));
    bench.message(udp(TRUNK), response_to(&invite, 487, "t"));
    assert_eq!(bench.sent_words(), ["ACK"]);
    assert!(bench.take_events().is_empty());
    bench.assert_empty_after_drain();
}

#[test]
fn an_answer_that_crosses_the_cancel_is_acknowledged_and_hung_up() {
    let mut bench = Bench::new();
    let invite = bench.dial_trunk(1);
    bench.message(udp(TRUNK), response_to(&invite, 180, "t"));
    bench.take_events();
    bench.command(Command::Cancel { leg: LegId(1), reason: Some("SIP;cause=487".into()) }).unwrap();
    assert_eq!(bench.sent_words(), ["CANCEL"]);
    bench.message(udp(TRUNK), response_to(&invite, 200, "t"));
    assert_eq!(bench.sent_words(), ["ACK", "BYE"]);
    bench.message(udp(TRUNK), response_to(&invite, 200, "t"));
    assert_eq!(bench.sent_words(), ["ACK"]);
    assert!(bench.take_events().is_empty());
    bench.assert_empty_after_drain();
}

#[test]
fn a_cancelled_invite_that_nobody_answers_is_forgotten_after_64_t1() {
    let mut bench = Bench::new();
    let invite = bench.dial_trunk(1);
    bench.message(udp(TRUNK), response_to(&invite, 180, "t"));
    bench.command(Command::Cancel { leg: LegId(1), reason: None }).unwrap();
    bench.pass(31_000);
    assert_eq!(bench.endpoint.census().branches, 1);
    bench.pass(1_500);
    assert_eq!(bench.endpoint.census().branches, 0);
    bench.assert_empty_after_drain();
}

#[test]
fn a_phone_that_rings_for_ever_is_given_up() {
    let mut bench = Bench::with(|config| config.ring_limit = Duration::from_secs(90));
    let invite = bench.dial_trunk(1);
    bench.message(udp(TRUNK), response_to(&invite, 180, "t"));
    bench.take_events();
    bench.pass(80_000);
    bench.message(udp(TRUNK), response_to(&invite, 180, "t"));
    bench.take_events();
    bench.pass(89_000);
    assert!(bench.take_events().is_empty(), "each provisional response gives it more time");
    bench.pass(1_500);
    assert_eq!(bench.sent_words(), ["CANCEL", "CANCEL"]);
    let events = bench.take_events();
    assert!(matches!(&events[..], [Event::Failed { failure, .. }] if failure.local == Some(LocalFailure::Timeout)));
    bench.assert_empty_after_drain();
}

#[test]
fn two_answers_of_one_fork_leave_one_call() {
    let mut bench = Bench::new();
    let invite = bench.dial_trunk(1);
    bench.message(udp(TRUNK), response_to(&invite, 200, "first"));
    bench.message(udp(TRUNK), response_to(&invite, 200, "second"));
    let sent = bench.take_sent();
    let words: Vec<String> = sent.iter().map(|(_, message)| word(message)).collect();
    assert_eq!(words, ["ACK", "ACK", "BYE"]);
    assert_eq!(sent[2].1.headers().to_tag().as_deref(), Some("second"));
    assert_eq!(bench.take_events().len(), 1);
    assert_eq!(bench.endpoint.census().legs, 1);
}

#[test]
fn a_late_offer_of_the_callee_waits_for_the_engines_ack() {
    let mut bench = Bench::new();
    let dial = Dial {
        leg: LegId(1),
        target: trunk_target(),
        from: Identity::default(),
        to: Identity::default(),
        headers: Vec::new(),
        body: None,
        fallback: None,
        browser: None,
        credentials: None,
        max_forwards: 70,
    };
    bench.command(Command::Invite(Box::new(dial))).unwrap();
    let (_, invite) = bench.sent_request();
    bench.message(udp(TRUNK), response_to(&invite, 200, "t"));
    bench.message(udp(TRUNK), response_to(&invite, 200, "t"));
    assert!(bench.sent_words().is_empty());
    assert!(matches!(bench.take_events().as_slice(), [Event::Answered { needs_ack: true, .. }]));
    bench.command(Command::Ack { leg: LegId(1), body: Some(Body::sdp(ANSWER)) }).unwrap();
    let (_, ack) = bench.sent_request();
    assert_eq!(ack.body, ANSWER.as_bytes());
    bench.message(udp(TRUNK), response_to(&invite, 200, "t"));
    assert_eq!(bench.sent_request().1.body, ANSWER.as_bytes());
    assert_eq!(bench.command(Command::Ack { leg: LegId(1), body: None }), Err(CommandError::WrongState));
}

#[test]
fn a_challenge_without_credentials_is_a_failure() {
    let mut bench = Bench::new();
    let invite = bench.dial_trunk(1);
    bench.message(udp(TRUNK), response_to(&invite, 407, "t"));
    assert_eq!(bench.sent_words(), ["ACK"]);
    assert!(matches!(bench.take_events().as_slice(), [Event::Failed { .. }]));
}

fn challenge(request: &Request, status: u16, name: HeaderName, nonce: &str, more: &str) -> Response {
    let mut challenge = response_to(request, status, "t");
    challenge.headers.push(name, format!("Digest realm=\"carrier\", nonce=\"{nonce}\", qop=\"auth\"{more}"));
    challenge
}

fn dial_with_password(bench: &mut Bench) -> Request {
    let dial = Dial {
        leg: LegId(1),
        target: trunk_target(),
        from: Identity::default(),
        to: Identity::default(),
        headers: Vec::new(),
        body: Some(Body::sdp(OFFER)),
        fallback: None,
        browser: None,
        credentials: Some(Credentials { username: "u".into(), password: "p".into() }),
        max_forwards: 70,
    };
    bench.command(Command::Invite(Box::new(dial))).unwrap();
    bench.sent_request().1
}

/// Feeds the challenge to `request`; what is sent again after the ACK, if anything.
fn meet(bench: &mut Bench, request: &Request, challenge: Response) -> Option<Request> {
    bench.message(udp(TRUNK), challenge);
    let mut sent = bench.take_sent().into_iter().map(|(_, message)| message);
    if request.method == Method::Invite {
        assert!(matches!(sent.next(), Some(Message::Request(ack)) if ack.method == Method::Ack));
    }
    match sent.next()? {
        Message::Request(again) => {
            assert_eq!(again.headers.cseq().unwrap().number, request.headers.cseq().unwrap().number + 1);
            assert_eq!(again.headers.call_id(), request.headers.call_id());
            assert_ne!(again.headers.via(), request.headers.via());
            Some(again)
        }
        Message::Response(response) => panic!("{}", response.status),
    }
}

#[test]
fn a_proxys_and_the_peers_challenges_are_answered_and_a_stale_nonce_is_renewed() {
    let mut bench = Bench::new();
    let invite = dial_with_password(&mut bench);
    let first = challenge(&invite, 407, HeaderName::ProxyAuthenticate, "n1", "");
    let invite = meet(&mut bench, &invite, first).unwrap();
    assert!(invite.headers.get(&HeaderName::ProxyAuthorization).unwrap().contains("n1"));
    let second = challenge(&invite, 401, HeaderName::WwwAuthenticate, "n2", "");
    let invite = meet(&mut bench, &invite, second).unwrap();
    assert!(invite.headers.get(&HeaderName::Authorization).unwrap().contains("n2"));
    let stale = challenge(&invite, 407, HeaderName::ProxyAuthenticate, "n3", ", stale=true");
    let invite = meet(&mut bench, &invite, stale).unwrap();
    assert!(invite.headers.get(&HeaderName::ProxyAuthorization).unwrap().contains("n3"));
    bench.message(udp(TRUNK), response_to(&invite, 200, "t"));
    let (_, ack) = bench.sent_request();
    assert!(ack.headers.has(&HeaderName::Authorization), "the ACK proves what its INVITE proved");
    assert!(matches!(bench.take_events().as_slice(), [Event::Answered { .. }]));
    bench.command(Command::Bye { leg: LegId(1), reason: None }).unwrap();
    let (_, bye) = bench.sent_request();
    let again = challenge(&bye, 407, HeaderName::ProxyAuthenticate, "n4", "");
    let bye = meet(&mut bench, &bye, again).expect("the peer must know that it is over");
    let refused = challenge(&bye, 407, HeaderName::ProxyAuthenticate, "n5", "");
    assert_eq!(meet(&mut bench, &bye, refused), None);
    bench.assert_empty_after_drain();
}

#[test]
fn a_refused_password_is_not_tried_twice() {
    let mut bench = Bench::new();
    let invite = dial_with_password(&mut bench);
    let first = challenge(&invite, 401, HeaderName::WwwAuthenticate, "n1", "");
    let invite = meet(&mut bench, &invite, first).unwrap();
    let refused = challenge(&invite, 401, HeaderName::WwwAuthenticate, "n2", "");
    assert_eq!(meet(&mut bench, &invite, refused), None);
    let events = bench.take_events();
    assert!(matches!(&events[..], [Event::Failed { failure, .. }] if failure.status == Status::UNAUTHORIZED));
    bench.assert_empty_after_drain();
}

#[test]
fn a_peer_that_is_never_satisfied_is_given_up() {
    let mut bench = Bench::new();
    let mut invite = dial_with_password(&mut bench);
    for round in 1..=4 {
        let nonce = format!("n{round}");
        let stale = challenge(&invite, 407, HeaderName::ProxyAuthenticate, &nonce, ", stale=true");
        match meet(&mut bench, &invite, stale) {
            Some(again) => invite = again,
            None => {
                assert_eq!(round, 4);
                return assert!(matches!(bench.take_events().as_slice(), [Event::Failed { .. }]));
            }
        }
    }
    panic!("it would go on for ever");
}

#[test]
fn a_probe_tells_the_status_or_the_silence() {
    let mut bench = Bench::new();
    let probe = |probe| Command::Options {
        probe,
        transport: Transport::Udp,
        remote: TRUNK.parse().unwrap(),
        uri: "sip:192.0.2.10".parse().unwrap(),
    };
    bench.command(probe(1)).unwrap();
    let (_, options) = bench.sent_request();
    bench.message(udp(TRUNK), response_to(&options, 404, "t"));
    let events = bench.take_events();
    assert!(matches!(&events[..], [Event::OptionsAnswered { probe: 1, status: Some(Status::NOT_FOUND) }]));
    bench.command(probe(2)).unwrap();
    bench.pass(32_000);
    assert!(matches!(bench.take_events().as_slice(), [Event::OptionsAnswered { probe: 2, status: None }]));
    bench.assert_empty_after_drain();
}

#[test]
fn a_leg_number_of_the_wrong_kind_or_in_use_is_refused() {
    let mut bench = Bench::new();
    assert_eq!(bench.dial(1 << 63, trunk_target()), Err(CommandError::WrongState));
    bench.dial(1, trunk_target()).unwrap();
    assert_eq!(bench.dial(1, trunk_target()), Err(CommandError::WrongState));
    assert_eq!(bench.dial(2, DialTarget::User("anna".into())), Err(CommandError::NotRegistered));
}
