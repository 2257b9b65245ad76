//! Ports: pairs in the range, none used again too early, a clear error when none is left, and nothing left behind.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use perezvon::media::codec::Codec::Pcma;
use perezvon::relay::{CommandRefused, MediaCommand, MediaEvent, PortsExhausted, Relay, RelayConfig, RelayError};

use super::party::talk;
use super::rig::{LOOPBACK, Rig, free_ports};

fn start(pairs: u16, port_rest: Duration) -> (Relay, u16, std::sync::mpsc::Receiver<MediaEvent>) {
    let ports = free_ports(LOOPBACK, pairs * 2);
    let first = *ports.start();
    let (sender, events) = std::sync::mpsc::channel();
    let config = RelayConfig { ports, bind: LOOPBACK, port_rest, threads: 2, ..RelayConfig::default() };
    let (relay, _taps) = Relay::start(config, move |event| _ = sender.send(event)).unwrap();
    (relay, first, events)
}

#[test]
fn when_no_pair_is_left_it_says_so_and_no_pair_is_used_again_too_early() {
    let (relay, first, events) = start(2, Duration::from_secs(30));
    let (one, two) = (relay.open(0).unwrap(), relay.open(1).unwrap());
    assert_eq!((one.rtp_port, one.rtcp_port, two.rtp_port), (first, first + 1, first + 2));
    assert_eq!((one.id.thread(), two.id.thread()), (0, 1));
    assert_eq!(relay.open(0), Err(PortsExhausted { in_use: 2, resting: 0, unusable: 0 }));
    relay.command(MediaCommand::Close { media: one.id }).unwrap();
    assert!(matches!(events.recv_timeout(Duration::from_secs(5)), Ok(MediaEvent::Closed { media, .. }) if media == one.id));
    assert_eq!(relay.open(0), Err(PortsExhausted { in_use: 1, resting: 1, unusable: 0 }));
    let message = relay.open(0).unwrap_err().to_string();
    assert!(message.contains("1 pairs in use, 1 resting") && message.contains("[rtp] ports"), "{message}");
    relay.stop();
}

#[test]
fn a_rested_pair_is_used_again_by_a_leg_with_another_name() {
    let (relay, first, events) = start(1, Duration::ZERO);
    let mut ids = Vec::new();
    for _ in 0..50 {
        let port = relay.open(0).unwrap();
        assert_eq!(port.rtp_port, first);
        relay.command(MediaCommand::Close { media: port.id }).unwrap();
        assert!(matches!(events.recv_timeout(Duration::from_secs(5)), Ok(MediaEvent::Closed { media, .. }) if media == port.id));
        ids.push(port.id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 50);
    // A late command for a former leg does not reach the present one.
    let present = relay.open(0).unwrap();
    relay.command(MediaCommand::Close { media: ids[0] }).unwrap();
    relay.command(MediaCommand::Close { media: present.id }).unwrap();
    assert!(matches!(events.recv_timeout(Duration::from_secs(5)), Ok(MediaEvent::Closed { media, .. }) if media == present.id));
    assert!(events.try_recv().is_err());
    relay.stop();
}

#[test]
fn a_closed_leg_hears_and_says_nothing_and_its_peer_lives_on() {
    let rig = Rig::new(1);
    let (mut a, mut b) = (rig.line(0, Pcma, 700.0), rig.line(0, Pcma, 1100.0));
    rig.bridge(&a, &b);
    talk(&mut [&mut a.party, &mut b.party], 10);
    rig.close(a.id);
    talk(&mut [&mut a.party, &mut b.party], 2);
    let heard = (a.party.received.len(), b.party.received.len());
    talk(&mut [&mut a.party, &mut b.party], 10);
    assert_eq!((a.party.received.len(), b.party.received.len()), heard);
    let mut c = rig.line(0, Pcma, 500.0);
    rig.bridge(&b, &c);
    talk(&mut [&mut b.party, &mut c.party], 20);
    b.party.assert_hears(15, 500.0, &[700.0]);
    c.party.assert_hears(15, 1100.0, &[700.0]);
}

#[test]
fn a_stopped_relay_frees_its_ports_and_refuses_everything() {
    let ports = free_ports(LOOPBACK, 4);
    let config = RelayConfig { ports: ports.clone(), bind: LOOPBACK, ..RelayConfig::default() };
    let (relay, taps) = Relay::start(config, drop).unwrap();
    let port = relay.open(0).unwrap();
    relay.stop();
    assert_eq!(relay.command(MediaCommand::Stop { media: port.id }), Err(CommandRefused::Stopped));
    assert!(relay.open(0).is_err());
    relay.stop();
    drop((relay, taps));
    for port in ports {
        UdpSocket::bind(SocketAddr::new(LOOPBACK, port)).unwrap();
    }
}

#[test]
fn a_set_up_that_cannot_work_is_refused_in_words() {
    let start = |ports, threads| {
        Relay::start(RelayConfig { ports, bind: LOOPBACK, threads, ..RelayConfig::default() }, drop).map(|_| ()).unwrap_err()
    };
    assert!(matches!(start(9001..=9001, 1), RelayError::NoPorts { first: 9001, last: 9001 }));
    assert!(matches!(start(9000..=9001, 0), RelayError::Threads(0)));
    let taken = UdpSocket::bind((LOOPBACK, 0)).unwrap().local_addr().unwrap().port() & !1;
    let _held: Vec<_> = [taken, taken + 1].iter().map(|port| UdpSocket::bind((LOOPBACK, *port))).collect();
    let error = start(taken..=taken + 1, 1);
    assert!(matches!(error, RelayError::Bind { .. }), "{error}");
    assert!(error.to_string().starts_with(&format!("[rtp] ports {taken}-")), "{error}");
}
