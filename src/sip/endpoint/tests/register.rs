//! REGISTER and the digest behind it, as phones do it.

use super::*;
use crate::sip::auth::{Credentials, answer_challenge};

fn text(bench: &mut Bench, method: &str, extension: &str, call_id: &str, cseq: u32, more: &str) -> String {
    let branch = bench.branch();
    format!(
        "{method} sip:192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.5:5060;rport;branch={branch}\nMax-Forwards: 70\n\
         From: <sip:{extension}@anything>;tag=a{branch}\nTo: <sip:{extension}@anything>\nCall-ID: {call_id}\n\
         CSeq: {cseq} {method}\n{more}\n"
    )
}

/// Sends the request, meets the challenge with that user and password, and returns the last answer.
pub(super) fn authenticated(bench: &mut Bench, flow: Flow, request: &str, username: &str, password: &str) -> Response {
    bench.feed(flow, request);
    let challenge = bench.sent_response();
    assert_eq!(challenge.status, Status::UNAUTHORIZED);
    let credentials = Credentials { username: username.into(), password: password.into() };
    let method = challenge.headers.cseq().unwrap().method;
    let uri: Uri = request.split(' ').nth(1).unwrap().parse().unwrap();
    let (name, value) = answer_challenge(&challenge.headers, &credentials, &method, &uri, 1, "c").unwrap();
    let branch = bench.branch();
    let again =
        request.replace("branch=z9hG4bK", &format!("branch={branch}x")).replace("\nFrom:", &format!("\n{name}: {value}\nFrom:"));
    bench.feed(flow, &again);
    bench.sent_response()
}

fn register(bench: &mut Bench, extension: &str, cseq: u32, more: &str) -> Response {
    let request = text(bench, "REGISTER", extension, &format!("reg-{extension}"), cseq, more);
    authenticated(bench, udp(PHONE), &request, extension, &format!("secret-{extension}"))
}

fn contacts(response: &Response) -> Vec<&str> {
    response.headers.get_all(&HeaderName::Contact).map(|value| value.as_str()).collect()
}

#[test]
fn a_phone_registers_refreshes_asks_and_leaves() {
    let mut bench = Bench::new();
    let response = register(&mut bench, "101", 1, "Contact: <sip:101@10.0.0.5:5060>;q=0.5\nExpires: 600\n");
    assert_eq!(response.status, Status::OK);
    assert_eq!(contacts(&response), ["<sip:101@10.0.0.5:5060>;expires=600;q=0.500"]);
    let events = bench.take_events();
    assert!(
        matches!(&events[..], [Event::Registered { user, contacts: 1, phone: Some(_), browser: None }] if user.as_str() == "anna")
    );

    bench.pass(100_000);
    let response = register(&mut bench, "101", 2, "");
    assert_eq!(contacts(&response), ["<sip:101@10.0.0.5:5060>;expires=500;q=0.500"]);
    let response = register(&mut bench, "101", 3, "Contact: <sip:101@10.0.0.5:5060>;expires=9999999\n");
    assert_eq!(contacts(&response), ["<sip:101@10.0.0.5:5060>;expires=3600"]);
    assert!(bench.take_events().is_empty(), "nothing new");

    let response = register(&mut bench, "101", 4, "Contact: *\nExpires: 0\n");
    assert!(contacts(&response).is_empty());
    assert!(matches!(bench.take_events().as_slice(), [Event::Unregistered { .. }]));
}

#[test]
fn a_bad_registration_is_refused_and_changes_nothing() {
    let mut bench = Bench::new();
    register(&mut bench, "101", 5, "Contact: <sip:101@10.0.0.5:5060>\n");
    bench.take_events();
    let expected = [
        ("Contact: <sip:101@10.0.0.9>;expires=5\n", 6, 423),
        ("Contact: *\n", 7, 400),
        ("Contact: *\nExpires: 60\n", 8, 400),
        ("Contact: <tel:101>\n", 9, 400),
        ("Contact: <sip:101@10.0.0.5:5060>;expires=0\n", 4, 500),
        ("Contact: <sip:101@10.0.0.9>, <sip:101@10.0.0.5:5060>\n", 4, 500),
    ];
    for (more, cseq, status) in expected {
        let response = register(&mut bench, "101", cseq, more);
        assert_eq!(response.status.code(), status, "{more}");
        if status == 423 {
            assert_eq!(response.headers.min_expires_seconds().unwrap(), Some(60));
        }
    }
    assert!(bench.take_events().is_empty());
    assert_eq!(contacts(&register(&mut bench, "101", 10, "")).len(), 1);
}

#[test]
fn one_may_register_oneself_only() {
    let mut bench = Bench::new();
    let request = text(&mut bench, "REGISTER", "102", "r", 1, "Contact: <sip:x@10.0.0.5>\n");
    let response = authenticated(&mut bench, udp(PHONE), &request, "101", "secret-101");
    assert_eq!(response.status, Status::FORBIDDEN);
    assert!(bench.take_events().is_empty());
}

#[test]
fn a_wrong_password_and_an_unknown_user_look_the_same() {
    let mut answers = Vec::new();
    for username in ["101", "999"] {
        let mut bench = Bench::new();
        let request = text(&mut bench, "REGISTER", username, "r", 1, "Contact: <sip:x@10.0.0.5>\n");
        let response = authenticated(&mut bench, udp(PHONE), &request, username, "guess");
        assert!(matches!(bench.take_events().as_slice(), [Event::AuthenticationFailed { .. }]));
        let names: Vec<String> = response.headers.iter().map(|header| header.name.as_str().to_owned()).collect();
        answers.push((response.status, names));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].0, Status::UNAUTHORIZED);
}

#[test]
fn guessing_is_stopped_after_twenty_times() {
    let mut bench = Bench::new();
    for n in 0..20 {
        let request = text(&mut bench, "REGISTER", "101", &format!("r{n}"), 1, "Contact: <sip:x@10.0.0.5>\n");
        bench.feed(udp(STRANGER), &request);
        let challenge = bench.sent_response();
        if challenge.status == Status::FORBIDDEN {
            return assert!(n >= 18, "{n}");
        }
        let credentials = Credentials { username: "101".into(), password: format!("guess{n}") };
        let uri: Uri = "sip:192.0.2.1".parse().unwrap();
        let (name, value) = answer_challenge(&challenge.headers, &credentials, &Method::Register, &uri, 1, "c").unwrap();
        bench.feed(udp(STRANGER), &request.replace("\nFrom:", &format!("\n{name}: {value}\nFrom:")));
        bench.take_sent();
    }
    let request = text(&mut bench, "REGISTER", "101", "last", 1, "");
    bench.feed(udp(STRANGER), &request);
    assert_eq!(bench.sent_words(), ["403"]);
}

#[test]
fn a_user_without_a_flow_calls_by_password_and_path_is_used_on_the_way_back() {
    let mut bench = Bench::new();
    let request = text(&mut bench, "INVITE", "101", "c1", 1, "Contact: <sip:101@10.0.0.5>\n");
    let response = authenticated(&mut bench, udp(STRANGER), &request, "101", "secret-101");
    assert_eq!(response.status, Status::TRYING);
    let events = bench.take_events();
    assert!(matches!(&events[..], [Event::Invite { origin: Origin::User(user), sdp: None, .. }] if user.as_str() == "anna"));

    let more = "Contact: <sip:101@10.0.0.5>\nPath: <sip:edge.example;lr>\nRequire: path\nSupported: path\n";
    let response = register(&mut bench, "101", 1, more);
    assert_eq!(response.headers.get(&HeaderName::Path).unwrap(), "<sip:edge.example;lr>");
    bench.take_events();
    bench.dial(1, DialTarget::User("anna".into())).unwrap();
    let (flow, invite) = bench.sent_request();
    assert_eq!(invite.headers.get(&HeaderName::Route).unwrap(), "<sip:edge.example;lr>");
    assert_eq!(flow.remote.to_string(), PHONE);
}

/// Guesses the password of `extension` from `flow`: one REGISTER, and its repetition with a wrong digest when challenged.
fn guess(bench: &mut Bench, flow: Flow, extension: &str, n: u32) -> Status {
    let request = text(bench, "REGISTER", extension, &format!("g{extension}-{n}"), 1, "Contact: <sip:x@10.0.0.9>\n");
    bench.feed(flow, &request);
    let challenge = bench.sent_response();
    if challenge.status != Status::UNAUTHORIZED {
        return challenge.status;
    }
    let credentials = Credentials { username: extension.into(), password: format!("guess{n}") };
    let uri: Uri = "sip:192.0.2.1".parse().unwrap();
    let (name, value) = answer_challenge(&challenge.headers, &credentials, &Method::Register, &uri, 1, "c").unwrap();
    bench.feed(flow, &request.replace("\nFrom:", &format!("\n{name}: {value}\nFrom:")));
    bench.sent_response().status
}

fn bans(events: &[Event]) -> Vec<&Event> {
    events.iter().filter(|event| matches!(event, Event::BanBegan { .. } | Event::BanEnded { .. })).collect()
}

#[test]
fn a_registered_phone_that_guesses_others_passwords_is_refused_and_still_serves_its_own_user() {
    let mut bench = Bench::new();
    let phone = udp(PHONE);
    let contact = "Contact: <sip:101@10.0.0.5:5060>\n";
    assert_eq!(register(&mut bench, "101", 1, contact).status, Status::OK);
    let answers: Vec<Status> = (0..40).map(|n| guess(&mut bench, phone, "102", n)).collect();
    assert_eq!(answers[39], Status::FORBIDDEN);
    assert!(answers.iter().filter(|status| **status == Status::UNAUTHORIZED).count() <= 20, "{answers:?}");
    let events = bench.take_events();
    assert!(matches!(bans(&events)[..], [Event::BanBegan { .. }]), "told once: {events:?}");

    let invite = text(&mut bench, "INVITE", "101", "c1", 1, contact);
    bench.feed(phone, &invite);
    assert_eq!(bench.sent_words(), ["100"], "its own calls go on");
    assert_eq!(register(&mut bench, "101", 2, contact).status, Status::OK, "and it refreshes its registration");
    let right = text(&mut bench, "REGISTER", "102", "right", 1, "Contact: <sip:102@10.0.0.5>\n");
    bench.feed(phone, &right);
    assert_eq!(bench.sent_words(), ["403"], "nobody else may try");

    bench.take_events();
    bench.pass(200_000);
    let events = bench.take_events();
    assert!(matches!(bans(&events)[..], [Event::BanEnded { refused: 22, .. }]), "{:?}", bans(&events));
    assert_eq!(guess(&mut bench, phone, "102", 99), Status::UNAUTHORIZED);
}

#[test]
fn colleagues_behind_the_address_of_a_guesser_may_come_back_but_their_passwords_cannot_be_guessed() {
    let mut bench = Bench::new();
    let contact = "Contact: <sip:101@10.0.0.5:5060>\n";
    register(&mut bench, "101", 1, contact);
    let guesser = udp("198.51.100.20:6666");
    for n in 0..40 {
        guess(&mut bench, guesser, "999", n);
    }
    assert_eq!(guess(&mut bench, guesser, "999", 99), Status::FORBIDDEN);

    // The phone was restarted: the same address, another port.
    let request = text(&mut bench, "REGISTER", "101", "restart", 1, contact);
    let response = authenticated(&mut bench, udp("198.51.100.20:50505"), &request, "101", "secret-101");
    assert_eq!(response.status, Status::OK);

    let tried = (0..40).filter(|n| guess(&mut bench, guesser, "101", *n) == Status::UNAUTHORIZED).count();
    assert_eq!(tried, 20);
    let request = text(&mut bench, "REGISTER", "101", "restart", 2, contact);
    let response = authenticated(&mut bench, udp("198.51.100.20:50505"), &request, "101", "secret-101");
    assert_eq!(response.status, Status::OK, "its own flow is never cut off");
}

#[test]
fn a_stranger_at_a_banned_address_does_not_pass_by_naming_a_phone_that_lives_there() {
    let mut bench = Bench::new();
    register(&mut bench, "101", 1, "Contact: <sip:101@10.0.0.5:5060>\n");
    let guesser = udp("198.51.100.20:6666");
    for n in 0..40 {
        guess(&mut bench, guesser, "102", n);
    }
    for method in ["OPTIONS", "SUBSCRIBE", "MESSAGE"] {
        let request = text(&mut bench, method, "101", method, 1, "");
        bench.feed(guesser, &request);
        assert_eq!(bench.sent_words(), ["403"], "{method}");
    }
    // An answer to a challenge for another account, in the name of one that lives here.
    let request = text(&mut bench, "REGISTER", "101", "mixed", 1, "");
    bench.feed(guesser, &request);
    let challenge = bench.sent_response();
    let credentials = Credentials { username: "102".into(), password: "secret-102".into() };
    let uri: Uri = "sip:192.0.2.1".parse().unwrap();
    let (name, value) = answer_challenge(&challenge.headers, &credentials, &Method::Register, &uri, 1, "c").unwrap();
    bench.feed(guesser, &request.replace("\nFrom:", &format!("\n{name}: {value}\nFrom:")));
    assert_eq!(bench.sent_words(), ["403"]);
}
