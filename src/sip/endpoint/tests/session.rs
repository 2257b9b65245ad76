//! Answered legs.

use super::*;

fn re_invite(bench: &mut Bench, answer: &Response, cseq: u32) -> String {
    let contact = "Contact: <sip:carrier@192.0.2.10:5077>\nContent-Type: application/sdp\n";
    format!("{}{OFFER}", bench.in_dialog(answer, "INVITE", cseq, contact))
}

#[test]
fn an_answered_leg_is_told_by_info_and_its_answer_changes_nothing() {
    let mut bench = Bench::new();
    let (leg, _) = bench.talking("keys");
    bench.take_sent();
    let body = Body { content_type: Text::constant("application/dtmf-relay"), bytes: "Signal=5\r\nDuration=100\r\n".into() };
    bench.command(Command::Info { leg, body: body.clone() }).unwrap();
    let (flow, info) = bench.sent_request();
    assert_eq!((&info.method, info.headers.content_type()), (&Method::Info, Some("application/dtmf-relay")));
    assert_eq!(&*info.body, b"Signal=5\r\nDuration=100\r\n");
    bench.message(flow, response_to(&info, 415, "x"));
    assert!(bench.take_events().is_empty());
    bench.command(Command::Bye { leg, reason: None }).unwrap();
    let (_, bye) = bench.sent_request();
    assert_eq!(bye.headers.cseq().unwrap().number, info.headers.cseq().unwrap().number + 1);
    assert_eq!(bench.command(Command::Info { leg, body }), Err(CommandError::NoSuchLeg));
}

#[test]
fn a_re_invite_of_the_peer_is_answered_by_the_engine_and_moves_its_contact() {
    let mut bench = Bench::new();
    let (leg, answer) = bench.talking("c1");
    let text = re_invite(&mut bench, &answer, 2);
    bench.feed(udp(TRUNK), &text);
    assert_eq!(bench.sent_words(), ["100"]);
    assert!(matches!(bench.take_events().as_slice(), [Event::ReInvite { sdp: Some(_), .. }]));
    bench.command(Command::AnswerReInvite { leg, status: Status::OK, body: Some(Body::sdp(ANSWER)) }).unwrap();
    assert_eq!(bench.sent_response().headers.to_tag(), answer.headers.to_tag());
    bench.pass(600);
    assert_eq!(bench.sent_words(), ["200"], "until the ACK");
    let ack = bench.in_dialog(&answer, "ACK", 2, "");
    bench.feed(udp(TRUNK), &ack);
    assert!(matches!(bench.take_events().as_slice(), [Event::Acked { .. }]));
    bench.command(Command::Bye { leg, reason: None }).unwrap();
    let (flow, bye) = bench.sent_request();
    assert_eq!(bye.uri.to_string(), "sip:carrier@192.0.2.10:5077");
    assert_eq!(flow.remote.to_string(), "192.0.2.10:5077");
    bench.assert_empty_after_drain();
}

#[test]
fn a_refused_re_invite_leaves_the_call_as_it_was() {
    let mut bench = Bench::new();
    let (leg, answer) = bench.talking("c1");
    let text = re_invite(&mut bench, &answer, 2);
    bench.feed(udp(TRUNK), &text);
    bench.take_events();
    bench.take_sent();
    bench.command(Command::AnswerReInvite { leg, status: Status::NOT_ACCEPTABLE_HERE, body: None }).unwrap();
    assert_eq!(bench.sent_words(), ["488"]);
    assert_eq!(bench.command(Command::AnswerReInvite { leg, status: Status::OK, body: None }), Err(CommandError::WrongState));
    assert_eq!(bench.endpoint.census().legs, 1);
}

#[test]
fn our_re_invite_is_answered_and_acknowledged() {
    let mut bench = Bench::new();
    let (leg, answer) = bench.talking("c1");
    bench.command(Command::ReInvite { leg, body: Some(Body::sdp(OFFER)) }).unwrap();
    let (_, invite) = bench.sent_request();
    assert_eq!(invite.headers.cseq().unwrap().number, 1, "the first request of ours in this dialog");
    assert_eq!(invite.headers.to_tag(), answer.headers.from_tag());
    assert_eq!(bench.command(Command::ReInvite { leg, body: None }), Err(CommandError::Pending));
    bench.message(udp(TRUNK), response_to(&invite, 200, "x"));
    assert_eq!(bench.sent_words(), ["ACK"]);
    assert!(matches!(bench.take_events().as_slice(), [Event::ReInviteAnswered { sdp: Some(_), needs_ack: false, .. }]));
    bench.message(udp(TRUNK), response_to(&invite, 200, "x"));
    assert_eq!(bench.sent_words(), ["ACK"]);
    bench.command(Command::ReInvite { leg, body: Some(Body::sdp(OFFER)) }).unwrap();
    let (_, invite) = bench.sent_request();
    bench.message(udp(TRUNK), response_to(&invite, 488, "x"));
    assert_eq!(bench.sent_words(), ["ACK"]);
    let events = bench.take_events();
    assert!(matches!(&events[..], [Event::ReInviteFailed { status: Status::NOT_ACCEPTABLE_HERE, .. }]));
    assert_eq!(bench.endpoint.census().legs, 1);
}

#[test]
fn a_glare_is_tried_again_after_a_while_and_theirs_is_answered_491() {
    let mut bench = Bench::new();
    let (leg, answer) = bench.talking("c1");
    bench.command(Command::ReInvite { leg, body: Some(Body::sdp(OFFER)) }).unwrap();
    let (_, ours) = bench.sent_request();
    let theirs = re_invite(&mut bench, &answer, 2);
    bench.feed(udp(TRUNK), &theirs);
    assert_eq!(bench.sent_words(), ["491"]);
    bench.message(udp(TRUNK), response_to(&ours, 491, "x"));
    assert_eq!(bench.sent_words(), ["ACK"]);
    assert!(bench.take_events().is_empty());
    bench.pass(2_000);
    let (_, again) = match bench.take_sent().pop().expect("within two seconds: the peer made the Call-ID") {
        (flow, Message::Request(request)) => (flow, request),
        (_, Message::Response(response)) => panic!("{}", response.status),
    };
    assert_eq!((again.method.clone(), again.headers.cseq().unwrap().number), (Method::Invite, 2));
    assert_eq!(again.body, OFFER.as_bytes());
    bench.message(udp(TRUNK), response_to(&again, 200, "x"));
    assert!(matches!(bench.take_events().as_slice(), [Event::ReInviteAnswered { .. }]));
}

#[test]
fn the_maker_of_the_call_id_waits_longer_after_a_glare() {
    let mut bench = Bench::new();
    bench.dialled(1);
    bench.command(Command::ReInvite { leg: LegId(1), body: Some(Body::sdp(OFFER)) }).unwrap();
    let (_, ours) = bench.sent_request();
    bench.message(udp(TRUNK), response_to(&ours, 491, "x"));
    bench.take_sent();
    bench.pass(2_090);
    assert!(bench.sent_words().is_empty());
    bench.pass(1_920);
    assert!(bench.sent_words().contains(&"INVITE".to_string()));
}

#[test]
fn our_re_invite_waits_until_theirs_is_through() {
    let mut bench = Bench::new();
    let (leg, answer) = bench.talking("c1");
    let theirs = re_invite(&mut bench, &answer, 2);
    bench.feed(udp(TRUNK), &theirs);
    bench.take_events();
    bench.take_sent();
    bench.command(Command::ReInvite { leg, body: Some(Body::sdp(OFFER)) }).unwrap();
    assert!(bench.sent_words().is_empty());
    bench.command(Command::AnswerReInvite { leg, status: Status::OK, body: Some(Body::sdp(ANSWER)) }).unwrap();
    assert_eq!(bench.sent_words(), ["200"]);
    let ack = bench.in_dialog(&answer, "ACK", 2, "");
    bench.feed(udp(TRUNK), &ack);
    assert_eq!(bench.sent_words(), ["INVITE"]);
}

#[test]
fn two_re_invites_of_the_peer_at_once_are_one_too_many() {
    let mut bench = Bench::new();
    let (_, answer) = bench.talking("c1");
    let first = re_invite(&mut bench, &answer, 2);
    let second = re_invite(&mut bench, &answer, 3);
    bench.feed(udp(TRUNK), &first);
    bench.take_sent();
    bench.feed(udp(TRUNK), &second);
    let response = bench.sent_response();
    assert_eq!(response.status, Status::SERVER_INTERNAL_ERROR);
    assert!(response.headers.retry_after_seconds().unwrap() <= 10);
}

#[test]
fn a_cancelled_re_invite_is_over_and_the_call_is_not() {
    let mut bench = Bench::new();
    let (leg, answer) = bench.talking("c1");
    let text = re_invite(&mut bench, &answer, 2);
    bench.feed(udp(TRUNK), &text);
    bench.take_events();
    bench.take_sent();
    let (head, _) = text.split_once("Contact:").unwrap();
    bench.feed(udp(TRUNK), &format!("{}\n", head.replace("INVITE sip", "CANCEL sip").replace("2 INVITE", "2 CANCEL")));
    assert_eq!(bench.sent_words(), ["200", "487"]);
    assert!(matches!(bench.take_events().as_slice(), [Event::ReInviteCancelled { .. }]));
    bench.command(Command::Bye { leg, reason: None }).unwrap();
}

#[test]
fn a_bye_during_a_re_invite_answers_both() {
    let mut bench = Bench::new();
    let (_, answer) = bench.talking("c1");
    let text = re_invite(&mut bench, &answer, 2);
    bench.feed(udp(TRUNK), &text);
    bench.take_events();
    bench.take_sent();
    let bye = bench.in_dialog(&answer, "BYE", 3, "");
    bench.feed(udp(TRUNK), &bye);
    assert_eq!(bench.sent_words(), ["200", "487"]);
    assert!(matches!(bench.take_events().as_slice(), [Event::Bye { .. }]));
    bench.assert_empty_after_drain();
}

#[test]
fn a_dialog_that_the_peer_forgot_ends_the_leg() {
    for status in [481, 408] {
        let mut bench = Bench::new();
        let (leg, _) = bench.talking("c1");
        bench.command(Command::ReInvite { leg, body: Some(Body::sdp(OFFER)) }).unwrap();
        let (_, invite) = bench.sent_request();
        bench.message(udp(TRUNK), response_to(&invite, status, "x"));
        assert_eq!(bench.sent_words(), ["ACK", "BYE"]);
        let events = bench.take_events();
        assert!(
            matches!(&events[..], [Event::Failed { failure, .. }] if failure.status.code() == status && failure.local.is_none())
        );
        bench.assert_empty_after_drain();
    }
}

#[test]
fn silence_to_a_re_invite_ends_the_leg() {
    let mut bench = Bench::new();
    let (leg, _) = bench.talking("c1");
    bench.command(Command::ReInvite { leg, body: Some(Body::sdp(OFFER)) }).unwrap();
    bench.pass(32_000);
    let events = bench.take_events();
    assert!(matches!(&events[..], [Event::Failed { failure, .. }] if failure.local == Some(LocalFailure::Timeout)));
    assert!(bench.sent_words().contains(&"BYE".to_string()));
    bench.assert_empty_after_drain();
}

#[test]
fn a_bye_that_nobody_answers_is_over_all_the_same() {
    let mut bench = Bench::new();
    bench.dialled(1);
    bench.command(Command::Bye { leg: LegId(1), reason: None }).unwrap();
    assert_eq!(bench.endpoint.census().legs, 0);
    bench.assert_empty_after_drain();
}

#[test]
fn the_callee_may_hang_up() {
    let mut bench = Bench::new();
    let invite = bench.dialled(1);
    let bye = bench.callees(&invite, "BYE", 1, "");
    bench.feed(udp(TRUNK), &bye);
    assert_eq!(bench.sent_words(), ["200"]);
    assert!(matches!(bench.take_events().as_slice(), [Event::Bye { leg: LegId(1), .. }]));
    let again = bench.callees(&invite, "BYE", 2, "");
    bench.feed(udp(TRUNK), &again);
    assert_eq!(bench.sent_words(), ["481"]);
}

#[test]
fn requests_out_of_order_are_refused_and_do_not_hang_up() {
    let mut bench = Bench::new();
    let (_, answer) = bench.talking("c1");
    let info = bench.in_dialog(&answer, "INFO", 7, "");
    bench.feed(udp(TRUNK), &info);
    let bye = bench.in_dialog(&answer, "BYE", 5, "");
    bench.feed(udp(TRUNK), &bye);
    assert_eq!(bench.sent_words(), ["200", "500"]);
    assert!(matches!(bench.take_events().as_slice(), [Event::InDialog { .. }]));
}

#[test]
fn other_methods_in_a_dialog_get_the_answer_of_their_rfc() {
    let mut bench = Bench::new();
    let (_, answer) = bench.talking("c1");
    let expected = [
        ("OPTIONS", "200"),
        ("INFO", "200"),
        ("UPDATE", "405"),
        ("REFER", "405"),
        ("MESSAGE", "405"),
        ("NOTIFY", "481"),
        ("PRACK", "481"),
        ("SUBSCRIBE", "489"),
        ("FROBNICATE", "501"),
    ];
    for ((method, status), cseq) in expected.into_iter().zip(2..) {
        let text = bench.in_dialog(&answer, method, cseq, "");
        bench.feed(udp(TRUNK), &text);
        assert_eq!(bench.sent_words(), [status], "{method}");
    }
    assert_eq!(bench.endpoint.census().legs, 1);
}

#[test]
fn a_stray_request_with_a_to_tag_is_481() {
    let mut bench = Bench::new();
    let (_, answer) = bench.talking("c1");
    for method in ["INVITE", "BYE", "INFO", "OPTIONS"] {
        let text = bench.in_dialog(&answer, method, 9, "Contact: <sip:x@192.0.2.10>\n").replace("tag=fromc1", "tag=other");
        bench.feed(udp(TRUNK), &text);
        assert_eq!(bench.sent_words(), ["481"], "{method}");
    }
    let ack = bench.in_dialog(&answer, "ACK", 9, "").replace("tag=fromc1", "tag=other");
    bench.feed(udp(TRUNK), &ack);
    assert!(bench.sent_words().is_empty(), "an ACK is never answered");
}

#[test]
fn a_re_invite_that_is_open_when_the_call_ends_is_forgotten_in_time() {
    for peer_hangs_up in [false, true] {
        let mut bench = Bench::new();
        let (leg, answer) = bench.talking("c1");
        bench.command(Command::ReInvite { leg, body: Some(Body::sdp(OFFER)) }).unwrap();
        let (_, invite) = bench.sent_request();
        bench.message(udp(TRUNK), response_to(&invite, 100, ""));
        if peer_hangs_up {
            let bye = bench.in_dialog(&answer, "BYE", 2, "");
            bench.feed(udp(TRUNK), &bye);
        } else {
            bench.command(Command::Bye { leg, reason: None }).unwrap();
        }
        bench.take_sent();
        bench.message(udp(TRUNK), response_to(&invite, 200, "x"));
        assert_eq!(bench.sent_words(), ["ACK"], "owed even now");
        bench.take_events();
        bench.assert_empty_after_drain();
    }
}

#[test]
fn calls_that_only_talk_hold_no_timers_and_no_transactions() {
    let mut bench = Bench::new();
    for n in 0..1_000 {
        bench.talking(&format!("c{n}"));
    }
    bench.pass(60_000);
    let census = bench.endpoint.census();
    assert_eq!((census.legs, census.transactions, census.timers), (1_000, 0, 0));
    assert_eq!(bench.endpoint.next_deadline(), None);
}
