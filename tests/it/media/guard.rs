//! Whose packets count: strangers change nothing, phones behind NAT are found, and found again when they move.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use perezvon::media::codec::Codec::{G722, Pcma};
use perezvon::media::rtp::RtpHeader;
use perezvon::relay::{MediaCommand, RemoteMedia};

use super::party::{are_tones, listen_until, talk};
use super::rig::{LOOPBACK, Line, Rig};

const FLOOD: u16 = 5000;

/// Floods the port of a leg from a stranger's socket as fast as the machine allows.
fn flood(line: &Line, ssrc: u32, sequence: u16) -> UdpSocket {
    let stranger = UdpSocket::bind((LOOPBACK, 0)).unwrap();
    for index in 0..FLOOD {
        let header = RtpHeader {
            marker: false,
            payload_type: 8,
            sequence: sequence.wrapping_add(index),
            timestamp: u32::from(index) * 160,
            ssrc,
        };
        let packet = [&header.to_bytes()[..], &[0x2a; 160]].concat();
        // The kernel may refuse when its queue is full: a flood does not care.
        let _ = stranger.send_to(&packet, line.party.to);
    }
    stranger.set_nonblocking(true).unwrap();
    stranger
}

#[track_caller]
fn assert_got_nothing(stranger: &UdpSocket) {
    assert!(stranger.recv(&mut [0; 2048]).is_err(), "the stranger was sent something");
}

#[test]
fn a_flood_from_a_stranger_changes_nothing() {
    let rig = Rig::new(1);
    let (mut a, mut b) = (rig.line(0, Pcma, 700.0), rig.line(0, Pcma, 1100.0));
    rig.bridge(&a, &b);
    talk(&mut [&mut a.party, &mut b.party], 10);
    // One that knows nothing, and one that has seen the leg's own SSRC and sequence number.
    let blind = flood(&a, 0x5555_5555, 1);
    talk(&mut [&mut a.party, &mut b.party], 10);
    let seeing = flood(&a, a.party.ssrc, a.party.sequence);
    talk(&mut [&mut a.party, &mut b.party], 30);
    listen_until(&mut [&mut a.party, &mut b.party], 50);
    a.party.assert_hears(50, 1100.0, &[700.0]);
    b.party.assert_hears(50, 700.0, &[1100.0]);
    assert_eq!((a.party.received.len(), b.party.received.len()), (50, 50), "every packet, and none of the flood");
    b.party.assert_one_stream();
    assert_got_nothing(&blind);
    assert_got_nothing(&seeing);
    let stats = rig.close(a.id);
    assert_eq!((stats.packets_received, stats.packets_lost, stats.source_changes), (50, 0, 0));
}

/// Sends `a_second` packets a second to a leg's port until it is told to stop, and says how many there were.
fn steady_flood(to: SocketAddr, a_second: u64, must_stop: &AtomicBool) -> u64 {
    let stranger = UdpSocket::bind((LOOPBACK, 0)).unwrap();
    let header = RtpHeader { marker: false, payload_type: 8, sequence: 1, timestamp: 160, ssrc: 0x5555_5555 };
    let packet = [&header.to_bytes()[..], &[0x2a; 160]].concat();
    let (start, mut sent) = (Instant::now(), 0);
    while !must_stop.load(Ordering::Relaxed) {
        let due = start.elapsed().as_micros() as u64 * a_second / 1_000_000;
        for _ in sent..due {
            let _ = stranger.send_to(&packet, to);
        }
        sent = due.max(sent);
        std::thread::sleep(Duration::from_millis(1));
    }
    sent
}

#[test]
fn fifty_thousand_packets_a_second_from_a_stranger_change_nobodys_audio() {
    // On one thread, so that the flooded leg and the others share it.
    let rig = Rig::new(1);
    let (mut a, mut b) = (rig.line(0, Pcma, 700.0), rig.line(0, Pcma, 1100.0));
    let (mut c, mut d) = (rig.line(0, Pcma, 500.0), rig.line(0, G722, 1700.0));
    rig.bridge(&a, &b);
    rig.bridge(&c, &d);
    talk(&mut [&mut a.party, &mut b.party, &mut c.party, &mut d.party], 10);
    let (must_stop, to) = (AtomicBool::new(false), a.party.to);
    let (start, before) = (Instant::now(), [&a, &b, &c, &d].map(|line| line.party.received.len()));
    let sent = std::thread::scope(|scope| {
        let flood = scope.spawn(|| steady_flood(to, 50_000, &must_stop));
        talk(&mut [&mut a.party, &mut b.party, &mut c.party, &mut d.party], 100);
        must_stop.store(true, Ordering::Relaxed);
        flood.join().unwrap()
    });
    let a_second = sent as f64 / start.elapsed().as_secs_f64();
    assert!(a_second > 45_000.0, "the flood was only {a_second} a second");
    listen_until(&mut [&mut a.party, &mut b.party], 110);
    let during: Vec<usize> =
        [&a, &b, &c, &d].iter().zip(before).map(|(line, before)| line.party.received.len() - before).collect();
    assert!(during.iter().all(|packets| *packets >= 95), "{during:?}");
    a.party.assert_hears(100, 1100.0, &[700.0]);
    b.party.assert_hears(100, 700.0, &[1100.0]);
    for (line, hears) in [(&c, 1700.0), (&d, 500.0)] {
        assert!(are_tones(&line.party.heard(90), &[hears], &[500.0, 700.0, 1100.0, 1700.0]), "{hears} Hz");
    }
    b.party.assert_one_stream();
    let stats = rig.close(a.id);
    assert_eq!((stats.packets_received, stats.packets_lost, stats.source_changes), (110, 0, 0));
    assert_eq!([rig.close(b.id), rig.close(c.id), rig.close(d.id)].map(|stats| stats.packets_lost), [0; 3]);
}

#[test]
fn a_flood_before_the_first_packet_does_not_take_the_leg_from_the_party_in_the_sdp() {
    let rig = Rig::new(1);
    let (mut a, mut b) = (rig.line(0, Pcma, 700.0), rig.line(0, Pcma, 1100.0));
    rig.bridge(&a, &b);
    let stranger = flood(&a, 0x5555_5555, 1);
    talk(&mut [&mut a.party, &mut b.party], 40);
    // The stranger was believed until the party in the SDP had shown four packets in a row.
    a.party.assert_hears(30, 1100.0, &[700.0]);
    b.party.assert_hears(30, 700.0, &[1100.0]);
    drop(stranger);
}

#[test]
fn a_silent_leg_is_not_taken_over_by_a_stranger_who_does_not_continue_it() {
    let rig = Rig::new(1);
    let (mut a, mut b) = (rig.line(0, Pcma, 700.0), rig.line(0, Pcma, 1100.0));
    rig.bridge(&a, &b);
    talk(&mut [&mut a.party, &mut b.party], 10);
    a.party.is_muted = true;
    talk(&mut [&mut a.party, &mut b.party], 60);
    let blind = flood(&a, 0x5555_5555, a.party.sequence);
    let far = flood(&a, a.party.ssrc, a.party.sequence.wrapping_add(20_000));
    a.party.is_muted = false;
    talk(&mut [&mut a.party, &mut b.party], 30);
    listen_until(&mut [&mut a.party], 100);
    listen_until(&mut [&mut b.party], 30);
    a.party.assert_hears(90, 1100.0, &[700.0]);
    b.party.assert_hears(25, 700.0, &[1100.0]);
    assert_got_nothing(&blind);
    assert_got_nothing(&far);
    let stats = rig.close(a.id);
    assert_eq!(stats.source_changes, 0);
    assert!(stats.strangers_refused > 0, "with the leg silent they were read, and refused");
}

#[test]
fn a_party_that_is_not_where_its_sdp_says_is_found() {
    let rig = Rig::new(1);
    let (mut a, mut b) = (rig.open(0, Pcma, 700.0), rig.line(0, Pcma, 1100.0));
    let behind_nat = RemoteMedia::new(SocketAddr::from(([127, 0, 0, 9], 4000)), Pcma);
    rig.command(MediaCommand::Connect { media: a.id, remote: behind_nat });
    rig.bridge(&a, &b);
    talk(&mut [&mut a.party, &mut b.party], 30);
    listen_until(&mut [&mut b.party], 27);
    assert_eq!(b.party.received.len(), 27, "all but the three by which it proved itself");
    a.party.assert_hears(25, 1100.0, &[700.0]);
    b.party.assert_hears(25, 700.0, &[1100.0]);
}

#[test]
fn a_party_whose_nat_moved_is_found_again() {
    let rig = Rig::new(1);
    let (mut a, mut b) = (rig.line(0, Pcma, 700.0), rig.line(0, Pcma, 1100.0));
    rig.bridge(&a, &b);
    talk(&mut [&mut a.party, &mut b.party], 10);
    listen_until(&mut [&mut b.party], 10);
    a.party.move_to_another_port();
    // For a second the newcomer is a stranger; then it carries on what the old address said.
    talk(&mut [&mut a.party, &mut b.party], 90);
    a.party.assert_hears(25, 1100.0, &[700.0]);
    b.party.assert_hears(25, 700.0, &[1100.0]);
    let gap = b.party.received.windows(2).map(|pair| pair[1].at.duration_since(pair[0].at)).max().unwrap();
    assert!((Duration::from_secs(1)..Duration::from_millis(1400)).contains(&gap), "{gap:?}");
    assert_eq!(rig.close(a.id).source_changes, 1);
}

#[test]
fn signalling_moves_a_leg_without_a_gap() {
    let rig = Rig::new(1);
    let (mut a, mut b) = (rig.line(0, Pcma, 700.0), rig.line(0, Pcma, 1100.0));
    rig.bridge(&a, &b);
    talk(&mut [&mut a.party, &mut b.party], 10);
    listen_until(&mut [&mut a.party, &mut b.party], 10);
    a.party.move_to_another_port();
    a.party.ssrc ^= 1;
    rig.connect(&a);
    // The command is carried out before the party's next packet can come: a leg opened after it is there.
    rig.close(rig.open(0, Pcma, 300.0).id);
    talk(&mut [&mut a.party, &mut b.party], 30);
    listen_until(&mut [&mut a.party, &mut b.party], 40);
    a.party.assert_hears(30, 1100.0, &[700.0]);
    b.party.assert_hears(30, 700.0, &[1100.0]);
    b.party.assert_one_stream();
}

#[test]
fn packets_that_are_no_media_of_ours_are_not_passed_on() {
    let rig = Rig::new(1);
    let (mut a, mut b) = (rig.line(0, Pcma, 700.0), rig.line(0, Pcma, 1100.0));
    rig.bridge(&a, &b);
    talk(&mut [&mut a.party, &mut b.party], 5);
    for junk in [&b"junk"[..], &[0; 1], &[0x80; 11], &[0x80; 1400], &[]] {
        a.party.socket.send_to(junk, a.party.to).unwrap();
    }
    let (payload_type, timestamp) = (77, a.party.timestamp);
    a.party.send(payload_type, timestamp, &[0; 160]);
    a.party.send(8, timestamp, &[0; 1281]);
    a.party.send(8, timestamp, &[]);
    talk(&mut [&mut a.party, &mut b.party], 5);
    listen_until(&mut [&mut b.party], 10);
    assert_eq!(b.party.received.len(), 10);
    assert!(b.party.received.iter().all(|packet| packet.payload.len() == 160));
    assert_eq!(rig.close(a.id).packets_unusable, 7);
}

#[test]
fn a_party_is_not_heard_before_signalling_knows_it() {
    let rig = Rig::new(1);
    let (mut a, mut b) = (rig.open(0, Pcma, 700.0), rig.line(0, Pcma, 1100.0));
    rig.bridge(&a, &b);
    talk(&mut [&mut a.party, &mut b.party], 10);
    assert!(b.party.received.is_empty() && a.party.received.is_empty());
    rig.connect(&a);
    talk(&mut [&mut a.party, &mut b.party], 20);
    b.party.assert_hears(15, 700.0, &[1100.0]);
}
