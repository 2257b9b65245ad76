//! What is refused before it becomes a leg, and how.

use super::*;

/// A request outside of any dialog.
fn request(bench: &mut Bench, method: &str, more: &str) -> String {
    let branch = bench.branch();
    format!(
        "{method} sip:us@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch={branch}\nMax-Forwards: 70\n\
         From: <sip:a@carrier>;tag=a{branch}\nTo: <sip:us@192.0.2.1>\nCall-ID: {branch}\nCSeq: 1 {method}\n{more}\n"
    )
}

#[test]
fn every_method_outside_of_a_dialog_gets_a_final_answer() {
    let mut bench = Bench::new();
    let expected = [
        ("OPTIONS", "200"),
        ("BYE", "481"),
        ("INFO", "481"),
        ("UPDATE", "481"),
        ("PRACK", "481"),
        ("NOTIFY", "481"),
        ("SUBSCRIBE", "489"),
        ("PUBLISH", "489"),
        ("MESSAGE", "405"),
        ("REFER", "405"),
        ("FROBNICATE", "501"),
    ];
    for (method, status) in expected {
        for source in [TRUNK, STRANGER] {
            let text = request(&mut bench, method, "");
            bench.feed(udp(source), &text);
            assert_eq!(bench.sent_words(), [status], "{method} from {source}");
        }
    }
    assert!(bench.take_events().is_empty());
    bench.assert_empty_after_drain();
}

#[test]
fn a_method_that_is_refused_comes_with_those_that_are_not() {
    let mut bench = Bench::new();
    let text = request(&mut bench, "MESSAGE", "");
    bench.feed(udp(TRUNK), &text);
    let response = bench.sent_response();
    assert!(response.headers.has_item(&HeaderName::Allow, "REGISTER"));
    assert!(response.headers.to_tag().is_some());
}

#[test]
fn an_invite_with_a_flaw_is_refused_with_the_status_that_names_it() {
    let flaws: [(&str, &str, &str); 7] = [
        ("Max-Forwards: 70", "Max-Forwards: 0", "483"),
        ("Contact: <sip:carrier@192.0.2.10:5060>\n", "", "400"),
        ("Contact: <sip:carrier@192.0.2.10:5060>", "Contact: <http://carrier/>", "400"),
        (";tag=fromc1", "", "400"),
        ("INVITE sip:+74951234567@192.0.2.1", "INVITE http://x", "416"),
        ("Content-Type: application/sdp", "Content-Type: text/plain", "415"),
        ("Content-Type:", "Content-Encoding: gzip\nContent-Type:", "415"),
    ];
    for (before, after, status) in flaws {
        let mut bench = Bench::new();
        let text = bench.invite_text("c1", "").replace(before, after);
        bench.feed(udp(TRUNK), &text);
        assert_eq!(bench.sent_words(), [status], "{after}");
        assert!(bench.take_events().is_empty());
    }
}

#[test]
fn extensions_that_are_required_and_unknown_are_named() {
    let mut bench = Bench::new();
    let text = bench.invite_text("c1", "Require: 100rel, timer\n");
    bench.feed(udp(TRUNK), &text);
    let response = bench.sent_response();
    assert_eq!(response.status, Status::BAD_EXTENSION);
    let unsupported: Vec<&str> = response.headers.get_all(&HeaderName::Unsupported).map(|value| value.as_str()).collect();
    assert_eq!(unsupported, ["100rel", "timer"]);
}

#[test]
fn a_request_that_comes_by_two_ways_is_merged() {
    let mut bench = Bench::new();
    let text = bench.invite_text("c1", "");
    bench.feed(udp(TRUNK), &text);
    bench.take_sent();
    bench.feed(udp(TRUNK), &text.replace("branch=z9hG4bKtest1", "branch=z9hG4bKother"));
    assert_eq!(bench.sent_words(), ["482"]);
    assert_eq!(bench.take_events().len(), 1);
}

#[test]
fn a_flawed_request_is_told_so_and_a_flawed_response_is_dropped() {
    let mut bench = Bench::new();
    let text = bench.invite_text("c1", "").replace("Max-Forwards: 70", "Max-Forwards: 300");
    bench.feed(udp(TRUNK), &text);
    assert_eq!(bench.sent_words(), ["400"]);
    bench.feed(udp(TRUNK), "SIP/2.0 999 No\nVia: nonsense\n");
    bench.feed(udp(TRUNK), "nonsense\n");
    assert!(bench.sent_words().is_empty());
    assert_eq!(bench.endpoint.census().transactions, 0);
}

#[test]
fn a_stranger_must_prove_to_be_a_user_and_costs_no_memory() {
    let mut bench = Bench::new();
    for n in 0..50 {
        let text = bench.invite_text(&format!("c{n}"), "");
        bench.feed(udp(STRANGER), &text);
        assert_eq!(bench.sent_words(), ["401"]);
    }
    let text = request(&mut bench, "REGISTER", "");
    bench.feed(udp(STRANGER), &text);
    assert_eq!(bench.sent_words(), ["401"]);
    assert!(bench.take_events().is_empty());
    assert_eq!(bench.endpoint.census().transactions, 0);
}

#[test]
fn register_is_challenged_even_from_a_trunk_and_from_a_live_flow() {
    let mut bench = Bench::new();
    bench.register("anna", "sip:101@10.0.0.5:5060", udp(PHONE));
    for source in [TRUNK, PHONE] {
        let text = request(&mut bench, "REGISTER", "");
        bench.feed(udp(source), &text);
        assert_eq!(bench.sent_words(), ["401"], "{source}");
    }
}

#[test]
fn a_scanner_is_shut_out_and_trunks_and_phones_are_not() {
    let mut bench = Bench::new();
    for n in 0..200 {
        let text = bench.invite_text(&format!("c{n}"), "");
        bench.feed(udp(STRANGER), &text);
    }
    bench.take_sent();
    let text = bench.invite_text("more", "");
    bench.feed(udp(STRANGER), &text);
    assert_eq!(bench.sent_words(), ["403"]);
    for n in 0..300 {
        let text = request(&mut bench, "REGISTER", &format!("X: {n}\n"));
        bench.feed(udp(TRUNK), &text);
    }
    bench.take_sent();
    let text = bench.invite_text("trunk", "");
    bench.feed(udp(TRUNK), &text);
    assert_eq!(bench.sent_words(), ["100"]);
    bench.register("anna", "sip:101@10.0.0.5:5060", udp(STRANGER));
    let text = bench.invite_text("phone", "");
    bench.feed(udp(STRANGER), &text);
    assert_eq!(bench.sent_words(), ["100"], "someone at that address has a phone that works");
}

#[test]
fn at_its_limits_it_says_503_and_what_lives_goes_on() {
    let mut bench = Bench::with(|config| config.limits = Limits { legs: 2, transactions: 6, ..Limits::default() });
    let (leg, answer) = bench.talking("c1");
    bench.invite("c2");
    bench.take_sent();
    let text = bench.invite_text("c3", "");
    bench.feed(udp(TRUNK), &text);
    assert_eq!(bench.sent_words(), ["503"]);
    assert_eq!(bench.dial(1, trunk_target()), Err(CommandError::Overloaded));
    for _ in 0..10 {
        let text = request(&mut bench, "OPTIONS", "");
        bench.feed(udp(STRANGER), &text);
    }
    assert!(bench.endpoint.census().transactions <= 6);
    bench.take_sent();
    let copy = bench.in_dialog(&answer, "ACK", 1, "");
    bench.feed(udp(TRUNK), &copy);
    bench.command(Command::Bye { leg, reason: None }).unwrap();
    assert_eq!(bench.sent_words(), ["BYE"]);
}
