//! The pool of RTP and RTCP ports: pairs of an even and the next odd port, bound before they are needed, handed out first
//! in, first out, and not again before they have rested. It sits behind the relay's handle; no media thread waits for it.
//!
//! Pairs are bound in chunks, so that a small server does not hold ten thousand sockets. While a pair belongs to nobody
//! its sockets stay bound behind a shield, so that no other program takes the port and nothing piles up in it.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::handle::{PortsExhausted, RelayError};
use super::shield;
use crate::types::Time;

/// Pairs bound at once: about a millisecond of work.
const CHUNK: usize = 64;
/// Room for a second of packets even if the thread stalls; the kernel doubles it, and caps it by `net.core.rmem_max`.
const RECEIVE_BUFFER_BYTES: usize = 128 * 1024;

/// Two bound, non-blocking sockets.
#[derive(Debug)]
pub(super) struct PortPair {
    /// Place in the range.
    pub index: u16,
    /// Counts the uses.
    pub turn: u32,
    pub rtp_port: u16,
    pub rtp: UdpSocket,
    pub rtcp: UdpSocket,
}

/// An address in the form that sockets bound so take: on a socket for both families IPv4 is written as IPv6.
pub(super) fn reachable(address: SocketAddr, bind: IpAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(v4) if bind.is_ipv6() => SocketAddr::new(v4.to_ipv6_mapped().into(), address.port()),
        _ => address,
    }
}

pub(super) struct PortPool {
    bind: IpAddr,
    range: RangeInclusive<u16>,
    first_port: u16,
    pairs: usize,
    /// Pairs below this have been bound, or found unusable.
    tried: usize,
    unusable: usize,
    in_use: usize,
    rest: Duration,
    /// Bound and never used.
    fresh: VecDeque<PortPair>,
    /// Used, with the moment they were given back; the longest at rest is in front.
    resting: VecDeque<(PortPair, Time)>,
}

impl PortPool {
    /// Checks the range and binds the first chunk.
    pub fn new(range: RangeInclusive<u16>, bind: IpAddr, rest: Duration) -> Result<PortPool, RelayError> {
        let (first, last) = (*range.start(), *range.end());
        let first_port = first.saturating_add(first % 2);
        let pairs = (usize::from(last) + 1).saturating_sub(first_port.into()) / 2;
        // Port 0 would let the kernel choose.
        if pairs == 0 || first == 0 {
            return Err(RelayError::NoPorts { first, last });
        }
        let bind = if bind == IpAddr::V6(Ipv6Addr::UNSPECIFIED) { wildcard() } else { bind };
        let (fresh, resting) = (VecDeque::new(), VecDeque::new());
        let mut pool = PortPool { bind, range, first_port, pairs, tried: 0, unusable: 0, in_use: 0, rest, fresh, resting };
        let mut trouble = None;
        while pool.fresh.is_empty() && pool.tried < pool.pairs && trouble.is_none() {
            trouble = pool.bind_chunk().err();
        }
        if pool.fresh.is_empty() {
            let source = trouble.unwrap_or_else(|| io::Error::from(ErrorKind::AddrInUse));
            return Err(RelayError::Bind { first, last, bind, source });
        }
        Ok(pool)
    }

    /// The local address that the sockets are really bound to.
    pub fn bind_address(&self) -> IpAddr {
        self.bind
    }

    /// How many pairs the range holds.
    pub fn pairs(&self) -> usize {
        self.pairs
    }

    pub fn in_use(&self) -> usize {
        self.in_use
    }

    /// A pair that was never used, else the one that has rested longest, if long enough; with nothing left to read in it.
    pub fn take(&mut self, now: Time) -> Result<PortPair, PortsExhausted> {
        let mut pair = self.next_pair(now).ok_or_else(|| self.exhausted())?;
        pair.turn = pair.turn.wrapping_add(1);
        for socket in [&pair.rtp, &pair.rtcp] {
            drain(socket);
            // Without the shield's removal the leg would be deaf; detaching what is attached cannot fail.
            let _ = shield::admit_all(socket);
        }
        self.in_use += 1;
        Ok(pair)
    }

    /// Takes a pair back; `at` is when its leg closed.
    pub fn give_back(&mut self, pair: PortPair, at: Time) {
        self.in_use = self.in_use.saturating_sub(1);
        self.resting.push_back((pair, at));
    }

    fn next_pair(&mut self, now: Time) -> Option<PortPair> {
        let rest = self.rest;
        if let Some(pair) = self.fresh.pop_front() {
            return Some(pair);
        }
        if let Some((pair, _)) = self.resting.pop_front_if(|(_, at)| now.since(*at) >= rest) {
            return Some(pair);
        }
        self.bind_more();
        self.fresh.pop_front()
    }

    fn exhausted(&self) -> PortsExhausted {
        PortsExhausted { in_use: self.in_use, resting: self.resting.len(), unusable: self.unusable }
    }

    fn bind_more(&mut self) {
        while self.fresh.is_empty() && self.tried < self.pairs {
            if let Err(error) = self.bind_chunk() {
                // Most likely the limit of open files. The calls that run are not harmed; this one is refused.
                tracing::error!(
                    name: "relay.ports_unbindable",
                    ports = ?self.range, bound = self.tried - self.unusable, %error,
                    "cannot bind more RTP ports: {error}"
                );
                return;
            }
        }
    }

    /// Binds the next chunk. A port that another program holds is passed over; any other trouble ends the attempt, and
    /// the pair is tried again next time.
    fn bind_chunk(&mut self) -> io::Result<()> {
        let end = self.pairs.min(self.tried + CHUNK);
        while self.tried < end {
            match self.bind_pair(self.tried) {
                Ok(pair) => self.fresh.push_back(pair),
                Err(error) if matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied) => self.unusable += 1,
                Err(error) => return Err(error),
            }
            self.tried += 1;
        }
        Ok(())
    }

    fn bind_pair(&self, index: usize) -> io::Result<PortPair> {
        let index = u16::try_from(index).map_err(|_| ErrorKind::InvalidInput)?;
        // Inside the range by the way `pairs` was counted.
        let rtp_port = self.first_port + index * 2;
        let rtp = bind_socket(self.bind, rtp_port)?;
        let rtcp = bind_socket(self.bind, rtp_port + 1)?;
        Ok(PortPair { index, turn: 0, rtp_port, rtp, rtcp })
    }
}

/// A bound, non-blocking socket that lets nothing in as yet (`shield::admit_all`).
pub(super) fn bind_socket(bind: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let address = SocketAddr::new(bind, port);
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if bind.is_ipv6() {
        socket.set_only_v6(!bind.is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.bind(&address.into())?;
    let socket = UdpSocket::from(socket);
    // A kernel without socket filters leaves the port open; `take` drains it then.
    let _ = shield::refuse_all(&socket);
    Ok(socket)
}

/// `::` for both families, or `0.0.0.0` where there is no IPv6.
fn wildcard() -> IpAddr {
    let both = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    if bind_socket(both, 0).is_ok() { both } else { Ipv4Addr::UNSPECIFIED.into() }
}

/// Reads away what is left in a socket: no more than its buffer can hold.
fn drain(socket: &UdpSocket) {
    const MORE_THAN_THE_BUFFER_HOLDS: usize = 4096;
    let mut left = MORE_THAN_THE_BUFFER_HOLDS;
    while left > 0 && socket.recv(&mut [0; 1]).is_ok() {
        left -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const REST: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    /// The first of `count` ports that are free just now, below the range that the system gives out itself. Even.
    fn stretch(count: u16) -> u16 {
        let is_free = |port: u16| UdpSocket::bind((LOOPBACK, port)).is_ok();
        let candidates = std::iter::repeat_with(|| 10_000 + rand::random::<u16>() % 8_000 / 2 * 2);
        candidates.take(1000).find(|first| (*first..first + count).all(is_free)).expect("some stretch of ports is free")
    }

    fn pool(ports: RangeInclusive<u16>) -> PortPool {
        PortPool::new(ports, LOOPBACK, REST).unwrap()
    }

    #[test]
    fn pairs_are_even_and_odd_inside_the_range() {
        let first = stretch(8);
        let mut pool = pool(first + 1..=first + 6);
        let (one, two) = (pool.take(at(0)).unwrap(), pool.take(at(0)).unwrap());
        assert_eq!((one.rtp_port, two.rtp_port), (first + 2, first + 4));
        assert_eq!(one.rtcp.local_addr().unwrap().port(), first + 3);
        assert_eq!(pool.take(at(0)).unwrap_err(), PortsExhausted { in_use: 2, resting: 0, unusable: 0 });
    }

    #[test]
    fn a_pair_rests_before_its_next_use_and_the_first_given_back_goes_first() {
        let first = stretch(4);
        let mut pool = pool(first..=first + 3);
        let (one, two) = (pool.take(at(0)).unwrap(), pool.take(at(0)).unwrap());
        pool.give_back(two, at(10));
        pool.give_back(one, at(11));
        assert_eq!(pool.take(at(39)).unwrap_err(), PortsExhausted { in_use: 0, resting: 2, unusable: 0 });
        let again = pool.take(at(40)).unwrap();
        assert_eq!((again.rtp_port, again.turn), (first + 2, 2));
        assert!(pool.take(at(40)).is_err());
        assert_eq!(pool.take(at(41)).unwrap().rtp_port, first);
    }

    #[test]
    fn a_port_that_another_program_holds_is_passed_over() {
        let first = stretch(4);
        let _other = UdpSocket::bind((LOOPBACK, first + 1)).unwrap();
        let mut pool = pool(first..=first + 3);
        assert_eq!(pool.take(at(0)).unwrap().rtp_port, first + 2);
        assert_eq!(pool.take(at(0)).unwrap_err(), PortsExhausted { in_use: 1, resting: 0, unusable: 1 });
    }

    #[test]
    fn nothing_of_the_past_is_read_from_a_pair() {
        let first = stretch(2);
        let mut pool = pool(first..=first + 1);
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let send = || sender.send_to(b"x", (LOOPBACK, first)).unwrap();
        send();
        let pair = pool.take(at(0)).unwrap();
        assert!(pair.rtp.recv(&mut [0; 4]).is_err(), "sent before it was handed out");
        send();
        pool.give_back(pair, at(0));
        let pair = pool.take(at(30)).unwrap();
        assert!(pair.rtp.recv(&mut [0; 4]).is_err(), "sent to the former leg");
        send();
        assert_eq!(pair.rtp.recv(&mut [0; 4]).unwrap(), 1);
    }

    #[test]
    fn more_than_one_chunk_is_bound_when_needed() {
        let first = stretch(300);
        let mut pool = pool(first..=first + 299);
        let taken: Vec<_> = (0..150).map(|_| pool.take(at(0)).unwrap().rtp_port).collect();
        assert_eq!(taken, (first..first + 300).step_by(2).collect::<Vec<_>>());
        assert_eq!((pool.in_use(), pool.pairs()), (150, 150));
    }

    #[test]
    fn ranges_without_a_pair_are_refused() {
        for (first, last) in [(17001, 17001), (17001, 17002), (17004, 17003), (0, 10), (65535, 65535)] {
            let refused = PortPool::new(first..=last, LOOPBACK, REST);
            assert!(matches!(refused, Err(RelayError::NoPorts { .. })), "{first}-{last}");
        }
        let first = stretch(2);
        let _other = UdpSocket::bind((LOOPBACK, first)).unwrap();
        assert!(matches!(PortPool::new(first..=first + 1, LOOPBACK, REST), Err(RelayError::Bind { .. })));
    }
}
