//! A network that loses, doubles, delays and so reorders datagrams, on a clock that only moves when the simulation says
//! so. Everything it does follows from its seed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use perezvon::sip::wire::{ConnectionId, Message, ParseError};
use perezvon::types::Time;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What the network does to a datagram, in parts per thousand.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    pub lost: u32,
    pub doubled: u32,
    /// Of those that arrive: held back for up to four seconds.
    pub held_back: u32,
}

impl Weather {
    pub const CLEAR: Weather = Weather { lost: 0, doubled: 0, held_back: 0 };
    pub const STORM: Weather = Weather { lost: 100, doubled: 50, held_back: 20 };
}

/// What a byte takes over a connection.
const LINE_DELAY: Duration = Duration::from_millis(20);

/// What happens next.
#[derive(Debug)]
pub enum Happening<A> {
    Arrives {
        from: SocketAddr,
        to: SocketAddr,
        line: ConnectionId,
        message: Arc<Result<Message, ParseError>>,
    },
    /// A deadline of the endpoint at this address.
    Wakes {
        node: usize,
    },
    /// Somebody does what they had planned.
    Plan(A),
}

#[derive(Debug)]
pub struct Network<A> {
    pub now: Time,
    pub weather: Weather,
    pub datagrams: u64,
    queue: BinaryHeap<Reverse<Entry<A>>>,
    count: u64,
    random: StdRng,
}

#[derive(Debug)]
struct Entry<A> {
    at: Time,
    order: u64,
    what: Happening<A>,
}

impl<A> Network<A> {
    pub fn new(seed: u64, weather: Weather) -> Network<A> {
        let now = Time::from_millis(1_000_000);
        Network { now, weather, datagrams: 0, queue: BinaryHeap::new(), count: 0, random: StdRng::seed_from_u64(seed) }
    }

    /// `message` is what the bytes are read as, once for all copies: reading is most of the work of a run.
    pub fn send(&mut self, from: SocketAddr, to: SocketAddr, message: Result<Message, ParseError>) {
        self.datagrams += 1;
        let message = Arc::new(message);
        if self.chance(self.weather.lost) {
            return;
        }
        let copies = if self.chance(self.weather.doubled) { 2 } else { 1 };
        for _ in 0..copies {
            let longest = if self.chance(self.weather.held_back) { 4_000 } else { 80 };
            let delay = Duration::from_millis(self.random.random_range(1..=longest));
            let (line, message) = (ConnectionId::NONE, message.clone());
            self.at(self.now + delay, Happening::Arrives { from, to, line, message });
        }
    }

    /// Over a connection everything arrives, once and in order, unless the line is cut before.
    pub fn send_over(&mut self, line: ConnectionId, from: SocketAddr, to: SocketAddr, message: Result<Message, ParseError>) {
        self.datagrams += 1;
        let message = Arc::new(message);
        self.at(self.now + LINE_DELAY, Happening::Arrives { from, to, line, message });
    }

    pub fn at(&mut self, at: Time, what: Happening<A>) {
        self.count += 1;
        self.queue.push(Reverse(Entry { at: at.max(self.now), order: self.count, what }));
    }

    /// Moves the clock to the next happening.
    pub fn next(&mut self) -> Option<Happening<A>> {
        let Reverse(entry) = self.queue.pop()?;
        self.now = entry.at;
        Some(entry.what)
    }

    fn chance(&mut self, per_thousand: u32) -> bool {
        self.random.random_range(0..1000) < per_thousand
    }
}

impl<A> PartialEq for Entry<A> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl<A> Eq for Entry<A> {}

impl<A> PartialOrd for Entry<A> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<A> Ord for Entry<A> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}
