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
fn authenticated(bench: &mut Bench, flow: Flow, request: &str, username: &str, password: &str) -> Response {
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
    assert!(matches!(&events[..], [Event::Registered { user, contacts: 1, newest: Some(_) }] if user.as_str() == "anna"));

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
        assert!(matches!(bench.take_events().as_slice(), [Event::AuthenticationFailed { is_banned: false, .. }]));
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
