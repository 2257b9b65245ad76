//! Legs that call us.

use super::*;

#[test]
fn an_invite_of_a_trunk_becomes_a_leg_and_is_tried_at_once() {
    let mut bench = Bench::new();
    let text = bench.invite_text("c1", "P-Asserted-Identity: <sip:+79160000001@carrier>\n");
    bench.feed(udp(TRUNK), &text);
    assert_eq!(bench.sent_response().status, Status::TRYING);
    let events = bench.take_events();
    let [Event::Invite { leg, origin, request, sdp, .. }] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(*origin, Origin::Trunk("carrier".into()));
    assert_eq!(leg.0 >> 63, 1, "named by us");
    assert_eq!(sdp.as_deref(), Some(OFFER.as_bytes()));
    assert!(request.headers.has(&HeaderName::PAssertedIdentity));
}

#[test]
fn a_call_rings_answers_is_acknowledged_and_hung_up_by_the_caller() {
    let mut bench = Bench::new();
    let leg = bench.invite("c1");
    bench.take_sent();
    bench.command(Command::Progress { leg, status: Status::RINGING, body: None }).unwrap();
    let ringing = bench.sent_response();
    bench.command(Command::Answer { leg, body: Some(Body::sdp(ANSWER)) }).unwrap();
    let answer = bench.sent_response();
    assert_eq!(ringing.headers.to_tag(), answer.headers.to_tag(), "one dialog");
    assert_eq!(answer.body, ANSWER.as_bytes());
    assert_eq!(answer.headers.contact().unwrap().unwrap().uri.to_string(), "sip:+74951234567@192.0.2.1:5060");
    let ack = bench.in_dialog(&answer, "ACK", 1, "");
    bench.feed(udp(TRUNK), &ack);
    assert!(matches!(bench.take_events().as_slice(), [Event::Acked { sdp: None, .. }]));
    let bye = bench.in_dialog(&answer, "BYE", 2, "Reason: Q.850;cause=16\n");
    bench.feed(udp(TRUNK), &bye);
    assert_eq!(bench.sent_words(), ["200"]);
    let events = bench.take_events();
    assert!(
        matches!(&events[..], [Event::Bye { leg: over, reason: Some(reason) }] if *over == leg && reason == "Q.850;cause=16")
    );
    assert_eq!(bench.command(Command::Bye { leg, reason: None }), Err(CommandError::NoSuchLeg));
    bench.assert_empty_after_drain();
}

#[test]
fn a_copy_of_the_invite_gets_the_last_answer_and_makes_no_second_leg() {
    let mut bench = Bench::new();
    let text = bench.invite_text("c1", "");
    bench.feed(udp(TRUNK), &text);
    bench.feed(udp(TRUNK), &text);
    assert_eq!(bench.sent_words(), ["100", "100"]);
    assert_eq!(bench.take_events().len(), 1);
}

#[test]
fn the_answer_is_repeated_until_the_ack_comes() {
    let mut bench = Bench::new();
    let leg = bench.invite("c1");
    bench.command(Command::Answer { leg, body: None }).unwrap();
    bench.take_sent();
    bench.pass(4_000);
    assert_eq!(bench.sent_words(), ["200", "200", "200"], "after 0.5, 1.5 and 3.5 s");
    bench.pass(100);
    let answer = {
        bench.pass(4_000);
        bench.sent_response()
    };
    let ack = bench.in_dialog(&answer, "ACK", 1, "");
    bench.feed(udp(TRUNK), &ack);
    bench.feed(udp(TRUNK), &ack);
    assert_eq!(bench.take_events().len(), 1, "told once");
    bench.pass(60_000);
    assert!(bench.sent_words().is_empty());
}

#[test]
fn without_an_ack_the_call_is_hung_up_after_64_t1() {
    let mut bench = Bench::new();
    let leg = bench.invite("c1");
    bench.command(Command::Answer { leg, body: None }).unwrap();
    bench.pass(31_900);
    bench.take_sent();
    assert!(bench.take_events().is_empty());
    bench.pass(200);
    assert_eq!(bench.sent_words(), ["BYE"]);
    assert!(matches!(bench.take_events().as_slice(), [Event::AckTimeout { leg: over }] if *over == leg));
    bench.assert_empty_after_drain();
}

#[test]
fn a_cancel_ends_the_leg_with_487_and_its_reason_is_told() {
    let mut bench = Bench::new();
    let text = bench.invite_text("c1", "");
    bench.feed(udp(TRUNK), &text);
    let leg = match bench.take_events().as_slice() {
        [Event::Invite { leg, .. }] => *leg,
        events => panic!("{events:?}"),
    };
    bench.take_sent();
    let cancel = cancel_of(&text, "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\n");
    bench.feed(udp(TRUNK), &cancel);
    assert_eq!(bench.sent_words(), ["200", "487"]);
    let events = bench.take_events();
    assert!(matches!(&events[..], [Event::Cancelled { leg: over, reason: Some(_) }] if *over == leg));
    bench.feed(udp(TRUNK), &cancel);
    assert_eq!(bench.sent_words(), ["200"], "a copy of the CANCEL");
    assert_eq!(bench.command(Command::Answer { leg, body: None }), Err(CommandError::NoSuchLeg));
    bench.pass(600);
    assert_eq!(bench.sent_words(), ["487"], "until the ACK");
    let ack = text.replace("INVITE sip", "ACK sip").replace("1 INVITE", "1 ACK");
    bench.feed(udp(TRUNK), &ack);
    bench.pass(60_000);
    assert!(bench.sent_words().is_empty());
    bench.assert_empty_after_drain();
}

#[test]
fn a_cancel_after_the_answer_changes_nothing() {
    let mut bench = Bench::new();
    let text = bench.invite_text("c1", "");
    bench.feed(udp(TRUNK), &text);
    let events = bench.take_events();
    let [Event::Invite { leg, .. }] = events.as_slice() else { panic!("{events:?}") };
    bench.command(Command::Answer { leg: *leg, body: None }).unwrap();
    bench.take_sent();
    bench.feed(udp(TRUNK), &cancel_of(&text, ""));
    assert_eq!(bench.sent_words(), ["200"]);
    assert!(bench.take_events().is_empty());
    bench.command(Command::Bye { leg: *leg, reason: None }).unwrap();
}

#[test]
fn a_cancel_of_nothing_is_481() {
    let mut bench = Bench::new();
    let text = bench.invite_text("c1", "");
    bench.feed(udp(TRUNK), &cancel_of(&text, ""));
    assert_eq!(bench.sent_words(), ["481"]);
}

#[test]
fn a_rejected_call_gets_its_status_until_the_ack() {
    let mut bench = Bench::new();
    let leg = bench.invite("c1");
    bench.take_sent();
    let headers = vec![(HeaderName::RetryAfter, "30".into())];
    bench.command(Command::Reject { leg, status: Status::BUSY_HERE, phrase: Some("Line busy".into()), headers }).unwrap();
    let response = bench.sent_response();
    assert_eq!((response.status, response.reason.as_str()), (Status::BUSY_HERE, "Line busy"));
    assert_eq!(response.headers.retry_after_seconds(), Some(30));
    assert!(bench.take_events().is_empty());
    bench.assert_empty_after_drain();
}

#[test]
fn a_hang_up_before_the_ack_waits_for_it() {
    let mut bench = Bench::new();
    let leg = bench.invite("c1");
    bench.take_sent();
    bench.command(Command::Answer { leg, body: None }).unwrap();
    let answer = bench.sent_response();
    bench.command(Command::Bye { leg, reason: Some("SIP;cause=200".into()) }).unwrap();
    assert!(bench.sent_words().is_empty(), "RFC 3261 §15");
    assert_eq!(bench.command(Command::Bye { leg, reason: None }), Err(CommandError::NoSuchLeg));
    let ack = bench.in_dialog(&answer, "ACK", 1, "");
    bench.feed(udp(TRUNK), &ack);
    let (_, bye) = bench.sent_request();
    assert_eq!(bye.method, Method::Bye);
    assert_eq!(bye.headers.get(&HeaderName::Reason).unwrap(), "SIP;cause=200");
    assert!(bench.take_events().is_empty(), "the engine has let go of it");
    bench.assert_empty_after_drain();
}

#[test]
fn a_late_offer_is_answered_in_the_ack() {
    let mut bench = Bench::new();
    let text = bench.invite_text("c1", "");
    let (head, _) = text.split_once("Content-Type").unwrap();
    bench.feed(udp(TRUNK), &format!("{head}\n"));
    let events = bench.take_events();
    let [Event::Invite { leg, sdp: None, .. }] = events.as_slice() else { panic!("{events:?}") };
    bench.take_sent();
    bench.command(Command::Answer { leg: *leg, body: Some(Body::sdp(OFFER)) }).unwrap();
    let answer = bench.sent_response();
    let ack = bench.in_dialog(&answer, "ACK", 1, "Content-Type: application/sdp\n");
    bench.feed(udp(TRUNK), &format!("{ack}{ANSWER}"));
    let events = bench.take_events();
    assert!(matches!(&events[..], [Event::Acked { sdp: Some(sdp), .. }] if sdp == ANSWER.as_bytes()), "{events:?}");
}

#[test]
fn a_bye_before_the_answer_ends_the_leg_and_the_invite() {
    let mut bench = Bench::new();
    let leg = bench.invite("c1");
    bench.take_sent();
    bench.command(Command::Progress { leg, status: Status::RINGING, body: None }).unwrap();
    let ringing = bench.sent_response();
    let bye = bench.in_dialog(&ringing, "BYE", 2, "");
    bench.feed(udp(TRUNK), &bye);
    assert_eq!(bench.sent_words(), ["200", "487"]);
    assert!(matches!(bench.take_events().as_slice(), [Event::Cancelled { .. }]));
    bench.assert_empty_after_drain();
}

#[test]
fn ringing_is_repeated_every_minute_and_the_callers_own_limit_is_kept() {
    let mut bench = Bench::new();
    let text = bench.invite_text("c1", "Expires: 150\n");
    bench.feed(udp(TRUNK), &text);
    let events = bench.take_events();
    let [Event::Invite { leg, .. }] = events.as_slice() else { panic!("{events:?}") };
    bench.command(Command::Progress { leg: *leg, status: Status::RINGING, body: None }).unwrap();
    bench.take_sent();
    bench.pass(149_000);
    assert_eq!(bench.sent_words(), ["180", "180"]);
    bench.pass(1_100);
    assert_eq!(bench.sent_words(), ["487"]);
    assert!(matches!(bench.take_events().as_slice(), [Event::Cancelled { .. }]));
}

#[test]
fn record_routes_are_copied_and_the_bye_goes_along_them() {
    let mut bench = Bench::new();
    let text = bench.invite_text("c1", "Record-Route: <sip:192.0.2.77:5090;lr>\n");
    bench.feed(udp(TRUNK), &text);
    let events = bench.take_events();
    let [Event::Invite { leg, .. }] = events.as_slice() else { panic!("{events:?}") };
    bench.take_sent();
    bench.command(Command::Answer { leg: *leg, body: None }).unwrap();
    let answer = bench.sent_response();
    assert_eq!(answer.headers.get(&HeaderName::RecordRoute).unwrap(), "<sip:192.0.2.77:5090;lr>");
    let ack = bench.in_dialog(&answer, "ACK", 1, "");
    bench.feed(udp(TRUNK), &ack);
    bench.command(Command::Bye { leg: *leg, reason: None }).unwrap();
    let (flow, bye) = bench.sent_request();
    assert_eq!(flow.remote.to_string(), "192.0.2.77:5090");
    assert_eq!(bye.uri.to_string(), "sip:carrier@192.0.2.10:5060");
    assert_eq!(bye.headers.get(&HeaderName::Route).unwrap(), "<sip:192.0.2.77:5090;lr>");
}

#[test]
fn without_rport_the_answer_goes_to_the_port_of_the_via() {
    let mut bench = Bench::new();
    let text = bench.invite_text("c1", "");
    bench.feed(udp("192.0.2.10:41000"), &text);
    let sent = bench.take_sent();
    assert_eq!(sent[0].0.remote.to_string(), "192.0.2.10:5060");
    let text = bench.invite_text("c2", "").replace(";branch", ";rport;branch");
    bench.feed(udp("192.0.2.10:41000"), &text);
    let sent = bench.take_sent();
    assert_eq!(sent[0].0.remote.to_string(), "192.0.2.10:41000");
    let via = sent[0].1.headers().via().unwrap();
    assert_eq!((via.rport(), via.received()), (Some(41000), Some(Host::from("192.0.2.10".parse::<std::net::IpAddr>().unwrap()))));
}

#[test]
fn over_tcp_an_answer_whose_connection_closed_takes_a_new_one() {
    let mut bench = Bench::new();
    let text = bench.invite_text("c1", "").replace("/UDP", "/TCP");
    let flow = tcp("192.0.2.10:41000", 5);
    bench.feed(flow, &text);
    let events = bench.take_events();
    let [Event::Invite { leg, .. }] = events.as_slice() else { panic!("{events:?}") };
    bench.take_sent();
    bench.endpoint.flow_closed(bench.now, &flow);
    bench.drain();
    assert_eq!(bench.sent_words(), ["100"], "the last answer, again");
    bench.command(Command::Reject { leg: *leg, status: Status::NOT_FOUND, phrase: None, headers: Vec::new() }).unwrap();
    let sent = bench.take_sent();
    assert_eq!(sent[0].0.connection, ConnectionId::NONE);
    assert_eq!(sent[0].0.remote.to_string(), "192.0.2.10:5060");
}

fn cancel_of(invite: &str, more: &str) -> String {
    let (head, _) = invite.split_once("Contact:").unwrap();
    format!("{}{more}\n", head.replace("INVITE sip", "CANCEL sip").replace("1 INVITE", "1 CANCEL"))
}
