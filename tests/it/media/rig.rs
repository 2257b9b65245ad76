//! A relay for a test: real media threads on loopback ports that nobody uses, its events and its taps.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use perezvon::media::codec::Codec;
use perezvon::relay::{MediaCommand, MediaEvent, MediaId, MediaPort, Relay, RelayConfig, TapFrame};

use super::party::Party;

pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub struct Rig {
    pub relay: Relay,
    taps: RefCell<Vec<rtrb::Consumer<TapFrame>>>,
    events: Receiver<MediaEvent>,
    past: RefCell<Vec<MediaEvent>>,
    pub host: IpAddr,
}

/// A leg of the relay and the party at its far end.
pub struct Line {
    pub id: MediaId,
    pub port: MediaPort,
    pub party: Party,
}

impl Rig {
    pub fn new(threads: usize) -> Rig {
        Rig::with(LOOPBACK, RelayConfig { threads, ..RelayConfig::default() })
    }

    /// As `config` says, but on a free stretch of twenty ports at `host`.
    pub fn with(host: IpAddr, config: RelayConfig) -> Rig {
        Rig::start(host, RelayConfig { ports: free_ports(host, 20), bind: host, ..config })
    }

    /// As `config` says, on these ports.
    pub fn wide(ports: RangeInclusive<u16>, config: RelayConfig) -> Rig {
        Rig::start(LOOPBACK, RelayConfig { ports, bind: LOOPBACK, ..config })
    }

    fn start(host: IpAddr, config: RelayConfig) -> Rig {
        let (sender, events) = channel();
        let (relay, taps) = Relay::start(config, move |event| _ = sender.send(event)).unwrap();
        Rig { relay, taps: RefCell::new(taps), events, past: RefCell::default(), host }
    }

    /// Opens a leg on media thread `thread`, with a party that is not connected yet.
    pub fn open(&self, thread: u64, codec: Codec, hz: f32) -> Line {
        let port = self.relay.open(thread).unwrap();
        let party = Party::new(self.host, SocketAddr::new(self.host, port.rtp_port), codec, hz);
        Line { id: port.id, port, party }
    }

    /// Opens a leg and connects it to its party.
    pub fn line(&self, thread: u64, codec: Codec, hz: f32) -> Line {
        let line = self.open(thread, codec, hz);
        self.connect(&line);
        line
    }

    pub fn connect(&self, line: &Line) {
        self.command(MediaCommand::Connect { media: line.id, remote: line.party.remote() });
    }

    pub fn bridge(&self, a: &Line, b: &Line) {
        self.command(MediaCommand::Bridge { a: a.id, b: b.id });
    }

    pub fn command(&self, command: MediaCommand) {
        self.relay.command(command).unwrap();
    }

    /// Waits for an event that `wanted` recognises, five seconds at most; others are kept for later.
    #[track_caller]
    pub fn wait_for<T>(&self, wanted: impl Fn(&MediaEvent) -> Option<T>) -> T {
        let until = Instant::now() + Duration::from_secs(5);
        let mut past = self.past.borrow_mut();
        loop {
            if let Some((place, found)) = past.iter().enumerate().find_map(|(place, event)| Some((place, wanted(event)?))) {
                past.remove(place);
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(event) => past.push(event),
                Err(_) => panic!("it did not come; there were {past:?}"),
            }
        }
    }

    /// Closes a leg and returns its numbers. All commands before it have been carried out then.
    #[track_caller]
    pub fn close(&self, id: MediaId) -> perezvon::media::quality::LegStats {
        self.command(MediaCommand::Close { media: id });
        self.wait_for(|event| match event {
            MediaEvent::Closed { media, stats, .. } if *media == id => Some(*stats),
            _ => None,
        })
    }

    /// Events that came so far and were not waited for.
    pub fn events(&self) -> Vec<MediaEvent> {
        let mut past = self.past.borrow_mut();
        past.extend(self.events.try_iter());
        past.clone()
    }

    /// What is in the tap rings of all threads.
    pub fn tapped(&self) -> Vec<TapFrame> {
        self.taps.borrow_mut().iter_mut().flat_map(|tap| std::iter::from_fn(|| tap.pop().ok())).collect()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.relay.stop();
    }
}

/// A stretch of `count` ports that can all be bound just now, below the range that the system gives out itself.
pub fn free_ports(host: IpAddr, count: u16) -> RangeInclusive<u16> {
    loop {
        let first = 10_000 + rand::random::<u16>() % 8_000 / 2 * 2;
        let last = first + count - 1;
        if (first..=last).all(|port| UdpSocket::bind((host, port)).is_ok()) {
            return first..=last;
        }
    }
}
