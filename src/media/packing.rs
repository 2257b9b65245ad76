//! Audio that is made 20 ms at a time, in packets of the length that the far end asked for: 10 to 60 ms. For codecs whose
//! bytes can be cut anywhere (G.711, G.722: eight bytes and eight ticks of RTP time a millisecond); who takes Opus takes
//! frames of any length (RFC 7587 §4.2). It numbers the packets of each source. Plain values; the relay calls it.

use super::codec::Codec;
use super::outgoing::Source;

/// What a far end may ask for; others get the nearest.
pub const LEAST_PTIME_MS: u16 = 10;
pub const MOST_PTIME_MS: u16 = 60;
/// Bytes of the longest packet.
pub const MOST_PACKET_BYTES: usize = MOST_PTIME_MS as usize * BYTES_A_MS;
const BYTES_A_MS: usize = 8;

/// The bytes of a packet of `ptime_ms`; `None` for a codec whose frames are sent as they are.
pub fn packet_bytes(codec: Codec, ptime_ms: u16) -> Option<usize> {
    let can_be_cut = codec != Codec::Opus;
    can_be_cut.then(|| usize::from(ptime_ms.clamp(LEAST_PTIME_MS, MOST_PTIME_MS)) * BYTES_A_MS)
}

/// What has been made and fills no packet yet. It takes no memory as long as packets are as long as what is made.
#[derive(Clone, Debug, Default)]
pub struct Packing {
    source: Option<Source>,
    sequence: u16,
    /// RTP time of the first byte that waits.
    timestamp: u32,
    /// Less than one packet, and what was just made.
    waiting: Vec<u8>,
}

/// A packet, by the numbers of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packed {
    pub sequence: u16,
    pub timestamp: u32,
    pub len: usize,
}

impl Packing {
    /// What was made is a packet by itself: says its number. What waited is given up.
    pub fn whole(&mut self, source: Source) -> u16 {
        self.begin(source);
        self.waiting.clear();
        self.next_sequence()
    }

    /// Takes what a source made. What waits is given up when this does not follow it: another source, or a pause.
    pub fn push(&mut self, source: Source, timestamp: u32, coded: &[u8]) {
        self.begin(source);
        if timestamp != self.timestamp.wrapping_add(self.waiting.len() as u32) {
            self.waiting.clear();
        }
        if self.waiting.is_empty() {
            self.timestamp = timestamp;
        }
        // Whoever changes to shorter packets has less than a long one waiting.
        if self.waiting.len() <= MOST_PACKET_BYTES {
            self.waiting.extend_from_slice(coded);
        }
    }

    /// The next packet of `len` bytes, if it is full.
    pub fn packet(&mut self, len: usize, out: &mut [u8; MOST_PACKET_BYTES]) -> Option<Packed> {
        let bytes = self.waiting.get(..len).filter(|_| len > 0)?;
        out.get_mut(..len)?.copy_from_slice(bytes);
        self.waiting.drain(..len);
        let timestamp = self.timestamp;
        self.timestamp = timestamp.wrapping_add(len as u32);
        Some(Packed { sequence: self.next_sequence(), timestamp, len })
    }

    fn begin(&mut self, source: Source) {
        if self.source != Some(source) {
            self.waiting.clear();
            (self.source, self.sequence) = (Some(source), 0);
        }
    }

    fn next_sequence(&mut self) -> u16 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIX: Source = Source::Mix { round: 1 };

    /// What comes out of `turns` turns of 20 ms, from byte 0 on.
    fn packed(packing: &mut Packing, turns: std::ops::Range<u32>, ptime_ms: u16) -> Vec<(Packed, Vec<u8>)> {
        let bytes = packet_bytes(Codec::Pcma, ptime_ms).unwrap();
        let mut packets = Vec::new();
        for turn in turns {
            let coded: Vec<u8> = (turn * 160..(turn + 1) * 160).map(|index| (index % 251) as u8).collect();
            packing.push(MIX, turn * 160, &coded);
            let mut out = [0; MOST_PACKET_BYTES];
            while let Some(packet) = packing.packet(bytes, &mut out) {
                packets.push((packet, out[..packet.len].to_vec()));
            }
        }
        packets
    }

    #[test]
    fn every_length_carries_the_same_audio_without_a_gap() {
        for ptime_ms in [10, 20, 30, 40, 50, 60] {
            let packets = packed(&mut Packing::default(), 0..30, ptime_ms);
            assert_eq!(packets.len(), 600 / usize::from(ptime_ms));
            for (index, (packet, bytes)) in packets.iter().enumerate() {
                let start = index as u32 * u32::from(ptime_ms) * 8;
                assert_eq!((packet.sequence, packet.timestamp), (index as u16 + 1, start));
                assert!(bytes.iter().zip(start..).all(|(byte, at)| *byte == (at % 251) as u8));
            }
        }
    }

    #[test]
    fn after_a_pause_or_another_source_nothing_old_is_said() {
        let mut packing = Packing::default();
        assert_eq!(packed(&mut packing, 0..2, 60).len(), 0);
        let packets = packed(&mut packing, 10..13, 60);
        assert_eq!((packets.len(), packets[0].0.timestamp, packets[0].0.sequence), (1, 1600, 1));
        assert_eq!(packed(&mut packing, 13..14, 60).len(), 0);
        assert_eq!(packing.whole(Source::Key { press: 1 }), 1);
        assert_eq!(packing.whole(Source::Key { press: 1 }), 2);
        assert_eq!(packed(&mut packing, 14..17, 60)[0].0.timestamp, 14 * 160);
    }

    #[test]
    fn odd_wishes_are_met_as_far_as_it_makes_sense() {
        assert_eq!(packet_bytes(Codec::Pcmu, 5), Some(80));
        assert_eq!(packet_bytes(Codec::G722, 200), Some(480));
        assert_eq!(packet_bytes(Codec::G722, 25), Some(200));
        assert_eq!(packet_bytes(Codec::Opus, 60), None);
    }

    proptest! {
        #[test]
        fn what_waits_is_bounded(steps in proptest::collection::vec((0u32..3, any::<u32>(), 0usize..320, 0usize..600), 0..200)) {
            let mut packing = Packing::default();
            for (round, timestamp, made, wanted) in steps {
                packing.push(Source::Mix { round }, timestamp, &vec![0; made]);
                while packing.packet(wanted, &mut [0; MOST_PACKET_BYTES]).is_some() {}
                prop_assert!(packing.waiting.len() <= MOST_PACKET_BYTES + 320);
            }
        }
    }
}
