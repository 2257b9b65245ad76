//! Two parties hear each other: over both families, both laws, one media thread and several, with digits, loss and hold.

use std::net::{IpAddr, Ipv6Addr};

use perezvon::media::codec::Codec::{self, Pcma, Pcmu};
use perezvon::relay::{MediaCommand, MediaEvent, RelayConfig, RemoteMedia};

use super::party::{listen_until, talk};
use super::rig::{LOOPBACK, Line, Rig};

const PACKETS: usize = 50;

/// Bridges two parties and asserts that each hears the other's tone, every packet of it, and not its own.
#[track_caller]
fn assert_they_talk(rig: &Rig, a: &mut Line, b: &mut Line) {
    rig.bridge(a, b);
    talk(&mut [&mut a.party, &mut b.party], PACKETS);
    listen_until(&mut [&mut a.party, &mut b.party], PACKETS);
    a.party.assert_hears(PACKETS, 1100.0, &[700.0]);
    b.party.assert_hears(PACKETS, 700.0, &[1100.0]);
    for line in [a, b] {
        assert_eq!(line.party.assert_one_stream(), [0], "one marker, at the start");
        assert_eq!(line.party.received.len(), line.party.sent);
        let stats = rig.close(line.id);
        assert_eq!((stats.packets_received, stats.packets_sent), (PACKETS as u64, PACKETS as u64));
        assert_eq!((stats.packets_lost, stats.strangers_refused, stats.packets_unusable), (0, 0, 0));
        assert_eq!((stats.bytes_received, stats.send_failures, stats.frames_dropped), (PACKETS as u64 * 160, 0, 0));
    }
}

fn talk_over(rig: &Rig, threads: [u64; 2], codecs: [Codec; 2]) {
    let mut a = rig.line(threads[0], codecs[0], 700.0);
    let mut b = rig.line(threads[1], codecs[1], 1100.0);
    assert_they_talk(rig, &mut a, &mut b);
}

#[test]
fn two_parties_hear_each_other() {
    talk_over(&Rig::new(1), [0, 0], [Pcma, Pcma]);
}

#[test]
fn two_parties_on_different_media_threads_hear_each_other() {
    talk_over(&Rig::new(3), [0, 2], [Pcmu, Pcmu]);
}

#[test]
fn a_law_and_u_law_understand_each_other() {
    talk_over(&Rig::new(1), [0, 0], [Pcma, Pcmu]);
    talk_over(&Rig::new(3), [1, 2], [Pcmu, Pcma]);
}

#[test]
fn two_parties_hear_each_other_over_ipv6() {
    talk_over(&Rig::with(IpAddr::V6(Ipv6Addr::LOCALHOST), RelayConfig::default()), [0, 0], [Pcma, Pcma]);
}

#[test]
fn a_party_on_ipv4_talks_with_one_on_ipv6_over_sockets_for_both() {
    let rig = Rig::with(IpAddr::V6(Ipv6Addr::UNSPECIFIED), RelayConfig::default());
    let at = |host: IpAddr, hz| {
        let mut line = rig.open(0, Pcma, hz);
        let to = std::net::SocketAddr::new(host, line.port.rtp_port);
        line.party = super::party::Party::new(host, to, Pcma, hz);
        rig.connect(&line);
        line
    };
    assert_they_talk(&rig, &mut at(LOOPBACK, 700.0), &mut at(IpAddr::V6(Ipv6Addr::LOCALHOST), 1100.0));
}

#[test]
fn payload_types_are_mapped_and_a_law_that_was_not_agreed_is_understood() {
    let rig = Rig::new(1);
    let mut a = rig.open(0, Pcma, 700.0);
    a.party.payload_type = 98;
    rig.connect(&a);
    let mut b = rig.line(0, Pcmu, 1100.0);
    rig.bridge(&a, &b);
    talk(&mut [&mut a.party, &mut b.party], 10);
    listen_until(&mut [&mut a.party, &mut b.party], 10);
    assert!(a.party.received.iter().all(|packet| packet.header.payload_type == 98));
    assert!(b.party.received.iter().all(|packet| packet.header.payload_type == 0));
    // The phone switches to A-law by its static number, without asking.
    (b.party.codec, b.party.payload_type) = (Pcma, 8);
    talk(&mut [&mut a.party, &mut b.party], 20);
    listen_until(&mut [&mut a.party], 30);
    a.party.assert_hears(20, 1100.0, &[700.0]);
}

#[test]
fn digits_pass_with_the_far_ends_payload_type_and_are_told_once() {
    for (rig, threads) in [(Rig::new(1), [0, 0]), (Rig::new(3), [0, 1])] {
        let mut a = rig.open(threads[0], Pcma, 700.0);
        let mut b = rig.open(threads[1], Pcma, 1100.0);
        (a.party.dtmf_payload_type, b.party.dtmf_payload_type) = (Some(101), Some(96));
        rig.connect(&a);
        rig.connect(&b);
        rig.bridge(&a, &b);
        talk(&mut [&mut a.party], 5);
        a.party.press('7', 6);
        a.party.press('#', 6);
        talk(&mut [&mut a.party], 5);
        let sent = a.party.sent;
        listen_until(&mut [&mut b.party], sent);
        let digit = |event: &MediaEvent| match event {
            MediaEvent::Digit { media, digit } if *media == a.id => Some(*digit),
            _ => None,
        };
        assert_eq!((rig.wait_for(digit), rig.wait_for(digit)), ('7', '#'));
        assert!(rig.events().iter().all(|event| digit(event).is_none()));
        let events: Vec<_> = b.party.received.iter().filter(|packet| packet.header.payload_type == 96).collect();
        assert_eq!(events.len(), 18, "six, and three times the end, for each key");
        assert_eq!(events[0].payload, [7, 10, 0, 160]);
        assert_eq!(events[17].payload, [11, 0x8a, 4, 96]);
        assert!(events[..9].iter().all(|packet| packet.header.timestamp == events[0].header.timestamp));
        assert_eq!(events[9].header.timestamp.wrapping_sub(events[0].header.timestamp), 7 * 160);
        b.party.assert_one_stream();
    }
}

#[test]
fn a_leg_without_telephone_events_gets_no_digits() {
    let rig = Rig::new(1);
    let mut a = rig.open(0, Pcma, 700.0);
    a.party.dtmf_payload_type = Some(101);
    rig.connect(&a);
    let mut b = rig.line(0, Pcma, 1100.0);
    rig.bridge(&a, &b);
    a.party.press('7', 6);
    talk(&mut [&mut a.party], 5);
    listen_until(&mut [&mut b.party], 5);
    assert_eq!(b.party.received.len(), 5);
    assert!(b.party.received.iter().all(|packet| packet.header.payload_type == 8));
}

#[test]
fn what_is_lost_on_the_way_in_is_missing_on_the_way_out() {
    let rig = Rig::new(1);
    let (mut a, mut b) = (rig.line(0, Pcma, 700.0), rig.line(0, Pcma, 1100.0));
    rig.bridge(&a, &b);
    talk(&mut [&mut a.party], 5);
    a.party.sequence = a.party.sequence.wrapping_add(2);
    a.party.timestamp = a.party.timestamp.wrapping_add(320);
    talk(&mut [&mut a.party], 5);
    listen_until(&mut [&mut b.party], 10);
    let (before, after) = (&b.party.received[4].header, &b.party.received[5].header);
    assert_eq!(after.sequence.wrapping_sub(before.sequence), 3);
    assert_eq!(after.timestamp.wrapping_sub(before.timestamp), 480);
    assert_eq!(rig.close(a.id).packets_lost, 2);
}

#[test]
fn a_new_bridge_ends_the_old_one_and_nobody_hears_a_former_peer() {
    for threads in [[0, 0, 0], [0, 1, 2]] {
        let rig = Rig::new(3);
        let mut client = rig.line(threads[0], Pcma, 500.0);
        let mut one = rig.line(threads[1], Pcmu, 700.0);
        let mut two = rig.line(threads[2], Pcma, 1100.0);
        rig.bridge(&client, &one);
        talk(&mut [&mut client.party, &mut one.party, &mut two.party], 20);
        rig.bridge(&client, &two);
        talk(&mut [&mut client.party, &mut one.party, &mut two.party], 30);
        let heard_by_one = one.party.received.len();
        client.party.assert_hears(25, 1100.0, &[700.0]);
        two.party.assert_hears(25, 500.0, &[700.0]);
        client.party.assert_one_stream();
        rig.command(MediaCommand::Unbridge { a: two.id });
        talk(&mut [&mut client.party, &mut one.party, &mut two.party], 10);
        let heard = client.party.received.len() + two.party.received.len();
        talk(&mut [&mut client.party, &mut one.party, &mut two.party], 10);
        assert_eq!(client.party.received.len() + two.party.received.len(), heard, "silence after the bridge's end");
        assert_eq!(one.party.received.len(), heard_by_one, "the former peer heard nothing since");
        assert!((19..=22).contains(&heard_by_one), "{heard_by_one}");
        rig.bridge(&one, &client);
        talk(&mut [&mut client.party, &mut one.party], 20);
        client.party.assert_hears(15, 700.0, &[1100.0]);
        one.party.assert_hears(15, 500.0, &[1100.0]);
    }
}

#[test]
fn hold_stops_each_direction_for_itself() {
    let rig = Rig::new(1);
    let (mut a, mut b) = (rig.line(0, Pcma, 700.0), rig.line(0, Pcma, 1100.0));
    rig.bridge(&a, &b);
    talk(&mut [&mut a.party, &mut b.party], 10);
    listen_until(&mut [&mut a.party, &mut b.party], 10);
    let (id, remote) = (a.id, a.party.remote());
    let direction = |sends, receives| {
        rig.command(MediaCommand::Connect { media: id, remote: RemoteMedia { sends, receives, ..remote.clone() } });
    };
    direction(false, true);
    talk(&mut [&mut a.party, &mut b.party], 10);
    listen_until(&mut [&mut a.party], 20);
    assert_eq!(b.party.received.len(), 10, "what a party sends on hold is not passed on");
    direction(true, false);
    talk(&mut [&mut a.party, &mut b.party], 10);
    listen_until(&mut [&mut b.party], 20);
    assert_eq!(a.party.received.len(), 20, "a party that does not receive gets nothing");
    direction(true, true);
    talk(&mut [&mut a.party, &mut b.party], 20);
    listen_until(&mut [&mut a.party, &mut b.party], 40);
    a.party.assert_hears(20, 1100.0, &[700.0]);
    b.party.assert_hears(20, 700.0, &[1100.0]);
}

#[test]
fn a_new_codec_after_signalling_is_used_at_once() {
    let rig = Rig::new(1);
    let (mut a, mut b) = (rig.line(0, Pcma, 700.0), rig.line(0, Pcma, 1100.0));
    rig.bridge(&a, &b);
    talk(&mut [&mut a.party, &mut b.party], 5);
    listen_until(&mut [&mut a.party, &mut b.party], 5);
    (a.party.codec, a.party.payload_type) = (Pcmu, 0);
    rig.connect(&a);
    talk(&mut [&mut a.party, &mut b.party], 25);
    listen_until(&mut [&mut a.party, &mut b.party], 30);
    a.party.assert_hears(25, 1100.0, &[700.0]);
    b.party.assert_hears(25, 700.0, &[1100.0]);
    assert!(a.party.received[5..].iter().all(|packet| packet.header.payload_type == 0));
    a.party.assert_one_stream();
}
