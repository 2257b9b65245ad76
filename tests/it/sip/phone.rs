//! The test phone against itself: two phones on loopback, one the other's server. What a phone claims to hear must be what
//! the other said, or no test with phones means anything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use perezvon::media::codec::Codec;
use perezvon::sip::wire::Transport as Protocol;
use perezvon::support::phone::{Answering, Ended, Phone, PhoneError, PhoneSetup, Progress, Says};
use perezvon::support::test_call::{Options, TestCallError, TestCallReport, run};
use tokio::net::UdpSocket;

const PATIENCE: Duration = Duration::from_secs(10);

fn phone(user: &str, change: impl FnOnce(&mut PhoneSetup)) -> Phone {
    let nobody = "127.0.0.1:9".parse().unwrap();
    let mut setup = PhoneSetup::new(nobody, user, "secret");
    change(&mut setup);
    Phone::switch_on(setup).unwrap()
}

/// Anna's phone and Boris's, where Anna's calls go.
fn pair(caller: impl FnOnce(&mut PhoneSetup), called: impl FnOnce(&mut PhoneSetup)) -> (Phone, Phone) {
    let boris = phone("boris", called);
    let server = boris.address();
    let anna = phone("anna", |setup| {
        setup.server = server;
        caller(setup);
    });
    (anna, boris)
}

#[tokio::test]
async fn each_hears_the_others_tone_over_udp_and_tcp_in_both_laws() {
    for (protocol, codec) in [(Protocol::Udp, Codec::Pcma), (Protocol::Tcp, Codec::Pcmu)] {
        let (anna, mut boris) = pair(
            |setup| {
                setup.protocol = protocol;
                setup.says = Says::Tone { hz: 440.0 };
                setup.display = Some("Анна".into());
            },
            |setup| {
                setup.protocol = protocol;
                setup.codecs = vec![codec];
                setup.says = Says::Tone { hz: 700.0 };
            },
        );
        let called = anna.dial("boris").await.unwrap();
        let arrived = boris.next_call().await.unwrap();
        assert_eq!(arrived.invite.headers.from().unwrap().display.as_deref(), Some("Анна"));
        called.talking(PATIENCE).await.unwrap();
        called.hears_tone(700.0, PATIENCE).await.unwrap();
        arrived.hears_tone(440.0, PATIENCE).await.unwrap();
        assert_eq!((called.heard().tone_ms(440.0), arrived.heard().tone_ms(700.0)), (0, 0), "nobody hears themselves");
        called.hang_up().await.unwrap();
        assert_eq!(called.progress(), Progress::Ended(Ended::ByUs));
        assert_eq!(arrived.ended(PATIENCE).await, Ok(Ended::ByThem { reason: None }));
    }
}

#[tokio::test]
async fn the_called_side_may_hang_up_too() {
    let (anna, mut boris) = pair(|_| {}, |setup| setup.answering = Answering::Rings);
    let called = anna.dial("boris").await.unwrap();
    let arrived = boris.next_call().await.unwrap();
    called.ringing(PATIENCE).await.unwrap();
    assert_eq!(called.progress(), Progress::Ringing);
    arrived.answer().await.unwrap();
    called.talking(PATIENCE).await.unwrap();
    arrived.hang_up().await.unwrap();
    assert_eq!(called.ended(PATIENCE).await, Ok(Ended::ByThem { reason: None }));
    assert_eq!(called.hang_up().await, Err(PhoneError::Ended));
}

#[tokio::test]
async fn a_refusal_tells_its_status() {
    for (answering, status) in [(Answering::Busy, 486), (Answering::Declines, 603)] {
        let (anna, _boris) = pair(|_| {}, |setup| setup.answering = answering);
        let called = anna.dial("boris").await.unwrap();
        let ended = called.ended(PATIENCE).await.unwrap();
        assert!(matches!(ended, Ended::Refused { status: told, .. } if told == status), "{ended:?}");
        assert_eq!(called.talking(PATIENCE).await, Err(PhoneError::Ended));
    }
}

#[tokio::test]
async fn a_caller_who_gives_up_stops_the_ringing() {
    let (anna, mut boris) = pair(|_| {}, |setup| setup.answering = Answering::Rings);
    let called = anna.dial("boris").await.unwrap();
    let arrived = boris.next_call().await.unwrap();
    called.ringing(PATIENCE).await.unwrap();
    called.hang_up().await.unwrap();
    assert_eq!(arrived.ended(PATIENCE).await, Ok(Ended::ByThem { reason: None }));
    assert_eq!(called.ended(PATIENCE).await, Ok(Ended::ByUs));
}

#[tokio::test]
async fn hold_silences_one_way_and_resume_brings_it_back() {
    let (anna, mut boris) = pair(|setup| setup.says = Says::Tone { hz: 440.0 }, |setup| setup.says = Says::Tone { hz: 700.0 });
    let called = anna.dial("boris").await.unwrap();
    let arrived = boris.next_call().await.unwrap();
    called.hears_tone(700.0, PATIENCE).await.unwrap();
    called.hold().await.unwrap();
    let before = (called.heard().packets_received, arrived.heard().packets_received);
    // Half a second of the way that stays open measures the way that is closed.
    arrived.hears(PATIENCE, |heard| heard.packets_received >= before.1 + 25).await.unwrap();
    assert!(called.heard().packets_received <= before.0 + 2, "Boris sends nothing to who does not listen");
    called.resume().await.unwrap();
    called.hears(PATIENCE, |heard| heard.packets_received >= before.0 + 25).await.unwrap();
    called.hears_tone(700.0, PATIENCE).await.unwrap();
}

#[tokio::test]
async fn keys_are_heard_once_each() {
    let (anna, mut boris) = pair(|_| {}, |_| {});
    let called = anna.dial("boris").await.unwrap();
    let arrived = boris.next_call().await.unwrap();
    called.talking(PATIENCE).await.unwrap();
    for digit in "15*#".chars() {
        called.press(digit).await.unwrap();
    }
    arrived.hears(PATIENCE, |heard| heard.digits == "15*#").await.unwrap();
}

#[tokio::test]
async fn samples_are_spoken_at_a_true_pace() {
    let samples: Arc<[i16]> = (0..8000 * 2).map(|index| if (index / 4000) % 2 == 0 { 8000 } else { 0 }).collect();
    let (anna, mut boris) = pair(|setup| setup.says = Says::Samples(samples), |_| {});
    let called = anna.dial("boris").await.unwrap();
    let arrived = boris.next_call().await.unwrap();
    called.talking(PATIENCE).await.unwrap();
    arrived.hears(PATIENCE, |heard| heard.packets_received >= 110).await.unwrap();
    let heard = arrived.heard().samples;
    let loud = |at: usize| heard.get(at).is_some_and(|sample| *sample > 4000);
    let start = (0..heard.len()).find(|at| loud(*at)).unwrap();
    let switches: Vec<usize> = (start + 1..heard.len()).filter(|at| loud(*at) != loud(at - 1)).collect();
    let expected = [4000, 8000, 12_000].map(|after| start + after);
    // To the sample on an idle machine; a busy one may be late by so much that a stream is anchored anew.
    let is_near = switches.iter().zip(expected).all(|(found, expected)| found.abs_diff(expected) < 1600);
    assert!(switches.len() == 3 && is_near, "half a second loud, half a second still: {switches:?} for {expected:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_noticed_at_once() {
    let dead = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let anna = phone("anna", |setup| setup.server = dead);
    let called = anna.dial("boris").await.unwrap();
    assert_eq!(called.ended(PATIENCE).await, Ok(Ended::NoAnswer));
    assert_eq!(anna.register(Duration::from_secs(60)).await, Err(PhoneError::NoAnswer(dead)));
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again() {
    // A carrier that loses the first copy of everything it receives.
    let carrier = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let anna = phone("anna", |setup| setup.server = carrier.local_addr().unwrap());
    let called = anna.dial("boris").await.unwrap();
    let mut packet = [0; 4096];
    let (first, _) = carrier.recv_from(&mut packet).await.unwrap();
    let invite = packet[..first].to_vec();
    let (second, from) = carrier.recv_from(&mut packet).await.unwrap();
    assert_eq!(packet[..second], invite, "the same INVITE again");
    let text = String::from_utf8(invite).unwrap();
    let is_copied = |line: &&str| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name));
    let copied: String = text.lines().filter(is_copied).map(|line| format!("{line}\r\n")).collect();
    let refusal = format!("SIP/2.0 486 Busy Here\r\n{copied}Content-Length: 0\r\n\r\n");
    for _ in 0..2 {
        carrier.send_to(refusal.as_bytes(), from).await.unwrap();
        let (length, _) = carrier.recv_from(&mut packet).await.unwrap();
        assert!(packet[..length].starts_with(b"ACK "), "each copy of the refusal is acknowledged");
    }
    assert!(matches!(called.ended(PATIENCE).await, Ok(Ended::Refused { status: 486, .. })));
}

/// `perezvon call` to a phone that stands in for the server.
async fn test_call(server: SocketAddr, seconds: u32) -> (Result<TestCallReport, TestCallError>, Vec<String>) {
    let options = Options {
        to: "+74951234567".into(),
        from: "8 (916) 000-00-01".into(),
        seconds,
        server: server.to_string(),
        local: "127.0.0.1:0".into(),
    };
    let mut steps = Vec::new();
    let outcome = run(options, |step| steps.push(step.to_string())).await;
    (outcome, steps)
}

#[tokio::test]
async fn the_test_caller_reports_what_it_heard() {
    let mut server = phone("server", |setup| {
        setup.says = Says::Tone { hz: 425.0 };
        setup.answering = Answering::After(Duration::from_millis(200));
    });
    let address = server.address();
    let ((outcome, steps), arrived) = tokio::join!(test_call(address, 1), async { server.next_call().await.unwrap() });
    let report = outcome.unwrap();
    assert_eq!(arrived.invite.headers.from().unwrap().uri.user_decoded().as_deref(), Some("8 (916) 000-00-01"));
    assert_eq!(arrived.invite.uri.user_decoded().as_deref(), Some("+74951234567"));
    assert!(report.answered_after >= Duration::from_millis(200) && report.talked >= Duration::from_secs(1), "{report:?}");
    assert!((40..=60).contains(&report.packets_sent) && report.heard_ms > 700, "{report:?}");
    assert_eq!(report.ended, Ended::ByUs);
    assert!(arrived.heard().loud_ms() > 300, "the voice reached the other side");
    assert!(steps.iter().any(|step| step == "Ringing.") && steps.last().unwrap() == "Hanging up.", "{steps:?}");
}

#[tokio::test]
async fn the_test_caller_says_what_to_look_at() {
    let server = phone("server", |setup| setup.answering = Answering::Busy);
    let error = test_call(server.address(), 1).await.0.unwrap_err().to_string();
    assert_eq!(error, "the server refused the call: 486 Busy Here. The called person is busy or declined.");
    let address = server.address();
    drop(server);
    let error = test_call(address, 1).await.0.unwrap_err().to_string();
    assert_eq!(error, format!("{address} does not answer; is the server running there?"));
}
