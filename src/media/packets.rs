//! The packets of one stream waiting for their turn, in the order they were sent. It knows no time but RTP's. Called by
//! `listening`.

use std::collections::VecDeque;

use super::codec::Codec;

/// The longest stretch of RTP time that may wait.
const MOST_WAITING_MS: i64 = 500;
/// 500 ms in the shortest packets, and some to spare.
const MOST_PACKETS: usize = 64;
/// The longest payload that is kept: an Opus packet of one frame (RFC 6716 §3.4), or 159 ms of G.711.
const MOST_PAYLOAD_BYTES: usize = 1275 + 1;

/// A packet with its numbers unwrapped: they go on where the wire's begin again.
#[derive(Debug)]
pub(super) struct Packet {
    pub sequence: i64,
    pub timestamp: i64,
    /// `None`: no audio but a description of noise (RFC 3389).
    pub codec: Option<Codec>,
    /// By how much it came later than the quickest.
    pub late_us: i64,
    pub payload: Vec<u8>,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Waits,
    /// A copy, or too long.
    Refused,
}

/// See the file's head.
#[derive(Debug, Default)]
pub(super) struct Packets {
    waiting: VecDeque<Packet>,
    /// Payloads of packets that are done with, kept for the next ones.
    spare: Vec<Vec<u8>>,
    /// Packets pushed out because too much was waiting.
    pushed_out: u64,
}

impl Packets {
    /// Puts a packet in its place. When more than 500 ms or 64 packets wait, the oldest are given up.
    pub fn insert(&mut self, sequence: i64, timestamp: i64, codec: Option<Codec>, late_us: i64, payload: &[u8]) -> Kept {
        let place = self.waiting.iter().rposition(|packet| packet.sequence <= sequence).map_or(0, |before| before + 1);
        let is_copy = place > 0 && self.waiting.get(place - 1).is_some_and(|packet| packet.sequence == sequence);
        if is_copy || payload.len() > MOST_PAYLOAD_BYTES {
            return Kept::Refused;
        }
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(payload);
        self.waiting.insert(place, Packet { sequence, timestamp, codec, late_us, payload: bytes });
        while self.waiting.len() > MOST_PACKETS || self.spans_too_long() {
            self.drop_first();
            self.pushed_out += 1;
        }
        Kept::Waits
    }

    pub fn first(&self) -> Option<&Packet> {
        self.waiting.front()
    }

    pub fn second(&self) -> Option<&Packet> {
        self.waiting.get(1)
    }

    pub fn take_first(&mut self) -> Option<Packet> {
        self.waiting.pop_front()
    }

    /// Gives a packet's memory back after it was decoded.
    pub fn done(&mut self, packet: Packet) {
        if self.spare.len() < MOST_PACKETS / 4 {
            self.spare.push(packet.payload);
        }
    }

    pub fn drop_first(&mut self) {
        if let Some(packet) = self.waiting.pop_front() {
            self.done(packet);
        }
    }

    pub fn pushed_out(&self) -> u64 {
        self.pushed_out
    }

    fn spans_too_long(&self) -> bool {
        let (Some(first), Some(last)) = (self.waiting.front(), self.waiting.back()) else { return false };
        let clock_hz = first.codec.map_or(Codec::CLOCK_HZ, Codec::clock_hz);
        (last.timestamp - first.timestamp).abs() > MOST_WAITING_MS * i64::from(clock_hz) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(packets: &mut Packets) -> Vec<i64> {
        std::iter::from_fn(|| packets.take_first()).map(|packet| packet.sequence).collect()
    }

    #[test]
    fn packets_come_out_in_the_order_they_were_sent_and_copies_are_refused() {
        let mut packets = Packets::default();
        for sequence in [5, 3, 4, 7, 3, 6, 7] {
            packets.insert(sequence, sequence * 160, Some(Codec::Pcma), 0, &[1]);
        }
        assert_eq!(packets.insert(5, 800, Some(Codec::Pcma), 0, &[1]), Kept::Refused);
        assert_eq!(packets.insert(9, 1440, Some(Codec::Pcma), 0, &[0; 1277]), Kept::Refused);
        assert_eq!(order(&mut packets), [3, 4, 5, 6, 7]);
    }

    #[test]
    fn no_more_than_half_a_second_waits() {
        let mut packets = Packets::default();
        (0..1000).for_each(|n| assert_eq!(packets.insert(n, n * 160, Some(Codec::Pcma), 0, &[0; 160]), Kept::Waits));
        assert_eq!(order(&mut packets), (974..1000).collect::<Vec<_>>());
        assert_eq!(packets.pushed_out(), 974);
        (0..1000).for_each(|n| assert_eq!(packets.insert(n, 0, Some(Codec::Opus), 0, &[0; 10]), Kept::Waits));
        assert_eq!(order(&mut packets).len(), MOST_PACKETS, "whatever their RTP time says");
    }
}
