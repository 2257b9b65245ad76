//! Registered phones: forks, and the way through their NAT.

use super::*;

const CONTACT: &str = "sip:101@10.0.0.5:5060";
const CONTACT_2: &str = "sip:101@10.0.0.6:5060";

fn two_phones() -> (Bench, Request, Request) {
    let mut bench = Bench::new();
    bench.register("anna", CONTACT, udp(PHONE));
    bench.register("anna", CONTACT_2, udp(PHONE_2));
    bench.dial(1, DialTarget::User("anna".into())).unwrap();
    let mut sent = bench.take_sent();
    sent.sort_by_key(|(flow, _)| flow.remote);
    let requests: Vec<Request> = sent
        .into_iter()
        .map(|(_, message)| match message {
            Message::Request(request) => request,
            Message::Response(_) => panic!("a response"),
        })
        .collect();
    let [one, two] = <[Request; 2]>::try_from(requests).unwrap();
    (bench, one, two)
}

#[test]
fn a_call_to_a_user_rings_all_phones_through_their_flows() {
    let (mut bench, one, two) = two_phones();
    assert_eq!((one.uri.to_string(), two.uri.to_string()), (CONTACT.into(), CONTACT_2.into()));
    assert_ne!(one.headers.call_id(), two.headers.call_id(), "two calls for whoever sees both");
    bench.message(udp(PHONE), response_to(&one, 180, "t1"));
    bench.message(udp(PHONE_2), response_to(&two, 180, "t2"));
    let forks: Vec<u16> = bench
        .take_events()
        .iter()
        .map(|event| match event {
            Event::Progress { fork, .. } => *fork,
            event => panic!("{event:?}"),
        })
        .collect();
    assert_eq!(forks.len(), 2);
    assert_ne!(forks[0], forks[1]);
}

#[test]
fn the_losers_of_a_fork_are_told_that_the_call_was_taken_elsewhere() {
    let (mut bench, one, two) = two_phones();
    bench.message(udp(PHONE), response_to(&one, 180, "t1"));
    bench.message(udp(PHONE_2), response_to(&two, 180, "t2"));
    bench.take_events();
    bench.message(udp(PHONE_2), response_to(&two, 200, "t2"));
    let sent = bench.take_sent();
    let [(to_loser, Message::Request(cancel)), (to_winner, Message::Request(ack))] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((to_loser.remote.to_string(), to_winner.remote.to_string()), (PHONE.to_string(), PHONE_2.to_string()));
    assert_eq!(cancel.headers.get(&HeaderName::Reason).unwrap(), "SIP;cause=200;text=\"Call completed elsewhere\"");
    assert_eq!(ack.method, Method::Ack);
    assert!(matches!(bench.take_events().as_slice(), [Event::Answered { leg: LegId(1), .. }]));
    bench.message(udp(PHONE), response_to(cancel, 200, "t1"));
    bench.message(udp(PHONE), response_to(&one, 487, "t1"));
    assert_eq!(bench.sent_words(), ["ACK"]);
    assert!(bench.take_events().is_empty());
    bench.command(Command::Bye { leg: LegId(1), reason: None }).unwrap();
    let (flow, _) = bench.sent_request();
    assert_eq!(flow.remote.to_string(), PHONE_2, "through the NAT, not to the Contact");
    bench.assert_empty_after_drain();
}

#[test]
fn a_loser_that_answers_too_is_acknowledged_and_hung_up() {
    let (mut bench, one, two) = two_phones();
    bench.message(udp(PHONE), response_to(&one, 180, "t1"));
    bench.message(udp(PHONE_2), response_to(&two, 200, "t2"));
    bench.take_sent();
    bench.take_events();
    bench.message(udp(PHONE), response_to(&one, 200, "t1"));
    assert_eq!(bench.sent_words(), ["ACK", "BYE"]);
    assert!(bench.take_events().is_empty());
    assert_eq!(bench.endpoint.census().legs, 1);
}

#[test]
fn the_leg_fails_when_the_last_phone_has_and_busy_beats_silence() {
    let (mut bench, one, two) = two_phones();
    bench.message(udp(PHONE), response_to(&one, 486, "t1"));
    assert!(bench.take_events().is_empty());
    bench.message(udp(PHONE_2), response_to(&two, 480, "t2"));
    let events = bench.take_events();
    assert!(matches!(&events[..], [Event::Failed { failure, .. }] if failure.status == Status::BUSY_HERE));
    bench.assert_empty_after_drain();
}

#[test]
fn a_decline_for_all_stops_the_other_phones() {
    let (mut bench, one, two) = two_phones();
    bench.message(udp(PHONE_2), response_to(&two, 180, "t2"));
    bench.take_events();
    bench.message(udp(PHONE), response_to(&one, 603, "t1"));
    assert_eq!(bench.sent_words(), ["ACK", "CANCEL"]);
    let events = bench.take_events();
    assert!(matches!(&events[..], [Event::Failed { failure, .. }] if failure.status == Status::DECLINE));
    bench.message(udp(PHONE_2), response_to(&two, 487, "t2"));
    bench.assert_empty_after_drain();
}

#[test]
fn a_call_from_a_registered_flow_is_its_users() {
    let mut bench = Bench::new();
    bench.register("anna", CONTACT, udp(PHONE));
    let text = bench.invite_text("c1", "");
    bench.feed(udp(PHONE), &text);
    let events = bench.take_events();
    assert!(matches!(&events[..], [Event::Invite { origin: Origin::User(user), .. }] if user.as_str() == "anna"));
}

#[test]
fn of_many_users_on_one_flow_the_from_names_one() {
    let mut bench = Bench::new();
    bench.register("anna", CONTACT, udp(PHONE));
    bench.register("boris", "sip:102@10.0.0.5:5060", udp(PHONE));
    let text = bench.invite_text("c1", "").replace("sip:+79160000001@carrier", "sip:102@us");
    bench.feed(udp(PHONE), &text);
    let events = bench.take_events();
    assert!(matches!(&events[..], [Event::Invite { origin: Origin::User(user), .. }] if user.as_str() == "boris"));
    let text = bench.invite_text("c2", "");
    bench.feed(udp(PHONE), &text);
    assert!(bench.take_events().is_empty(), "neither of them: must prove who it is");
}

#[test]
fn a_phone_behind_a_closed_connection_cannot_be_dialled_and_one_with_an_open_address_can() {
    let mut bench = Bench::new();
    let behind_nat = tcp(PHONE, 3);
    bench.register("anna", "sip:101@10.0.0.5:5060;transport=tcp", behind_nat);
    bench.endpoint.flow_closed(bench.now, &behind_nat);
    bench.drain();
    assert!(matches!(bench.take_events().as_slice(), [Event::Unregistered { .. }]));
    assert_eq!(bench.dial(1, DialTarget::User("anna".into())), Err(CommandError::NotRegistered));

    let open = tcp("198.51.100.20:40009", 4);
    bench.register("anna", "sip:101@198.51.100.20:5066;transport=tcp", open);
    bench.endpoint.flow_closed(bench.now, &open);
    bench.drain();
    assert!(matches!(bench.take_events().as_slice(), [Event::Registered { contacts: 1, .. }]), "it has moved");
    bench.dial(2, DialTarget::User("anna".into())).unwrap();
    let (flow, _) = bench.sent_request();
    assert_eq!((flow.remote.to_string().as_str(), flow.connection), ("198.51.100.20:5066", ConnectionId::NONE));
}

#[test]
fn a_call_over_a_connection_that_closes_fails_at_once() {
    let mut bench = Bench::new();
    let flow = tcp(PHONE, 3);
    bench.register("anna", "sip:101@10.0.0.5:5060;transport=tcp", flow);
    bench.dial(1, DialTarget::User("anna".into())).unwrap();
    bench.take_sent();
    bench.endpoint.flow_closed(bench.now, &flow);
    bench.drain();
    let events = bench.take_events();
    let [Event::Unregistered { .. }, Event::Failed { failure, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(failure.local, Some(LocalFailure::Unreachable));
    bench.assert_empty_after_drain();
}

#[test]
fn registrations_expire_and_users_who_are_gone_lose_theirs() {
    let mut bench = Bench::new();
    bench.register("anna", CONTACT, udp(PHONE));
    bench.register("boris", "sip:102@10.0.0.5:5060", udp(PHONE));
    let mut site = site();
    site.users.remove("boris");
    bench.endpoint.set_directory(Arc::new(Directory::from_site(&site)));
    bench.drain();
    assert!(matches!(bench.take_events().as_slice(), [Event::Unregistered { user }] if user.as_str() == "boris"));
    bench.pass(600_000);
    assert!(matches!(bench.take_events().as_slice(), [Event::Unregistered { user }] if user.as_str() == "anna"));
    assert_eq!(bench.endpoint.census().bindings, 0);
}

#[test]
fn a_closed_connection_fails_what_waits_there_and_nothing_else() {
    let mut bench = Bench::new();
    let (ours, theirs) = (tcp(PHONE, 3), tcp(PHONE_2, 4));
    bench.register("anna", "sip:101@10.0.0.5:5060;transport=tcp", ours);
    bench.register("boris", "sip:102@10.0.0.6:5060;transport=tcp", theirs);
    bench.dial(1, DialTarget::User("anna".into())).unwrap();
    bench.dial(2, DialTarget::User("boris".into())).unwrap();
    bench.endpoint.flow_closed(bench.now, &theirs);
    bench.drain();
    let failed: Vec<LegId> = bench
        .take_events()
        .iter()
        .filter_map(|event| match event {
            Event::Failed { leg, .. } => Some(*leg),
            _ => None,
        })
        .collect();
    assert_eq!(failed, [LegId(2)]);
}
