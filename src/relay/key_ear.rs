//! The keys in the audio of a leg that has no other way to send them: decodes its packets and asks the detector. Plain
//! values; only `leg` calls it, and only where the leg's policy wants tones to be heard.

use crate::media::codec::Codec;
use crate::media::coder::{Decoder, MAX_PCM_SAMPLES};
use crate::media::dtmf::ToneDetector;
use crate::media::rtp::RtpHeader;

/// What the detector listens to.
const RATE: u32 = 8000;
/// A jump in RTP time beyond a second, forward or back, is a new stream, of which nothing is missing.
const MAX_MISSING_SECONDS: u32 = 1;

#[derive(Default)]
pub(super) struct KeyEar {
    detector: ToneDetector,
    decoder: Option<Decoder>,
    /// The stream, and its RTP time after the last packet.
    heard: Option<(u32, u32)>,
}

impl KeyEar {
    /// The key that was found to be down in this packet. Packets that come late are not heard.
    pub fn hear(&mut self, header: &RtpHeader, codec: Codec, payload: &[u8]) -> Option<char> {
        let clock_hz = codec.clock_hz();
        if let Some((_, next)) = self.heard.filter(|(ssrc, _)| *ssrc == header.ssrc) {
            let most = clock_hz * MAX_MISSING_SECONDS;
            let (ahead, behind) = (header.timestamp.wrapping_sub(next), next.wrapping_sub(header.timestamp));
            if ahead != 0 && behind <= most {
                return None;
            }
            if ahead <= most {
                let missing = u64::from(ahead) * u64::from(RATE) / u64::from(clock_hz);
                self.detector.miss(missing as usize);
            }
        }
        let decoder = match &mut self.decoder {
            Some(decoder) if decoder.codec() == codec => decoder,
            decoder => decoder.insert(Decoder::new(codec, RATE)),
        };
        let mut samples = [0; MAX_PCM_SAMPLES];
        let len = decoder.decode(payload, &mut samples);
        let passed = len as u64 * u64::from(clock_hz) / u64::from(RATE);
        self.heard = Some((header.ssrc, header.timestamp.wrapping_add(passed as u32)));
        // In the 120 ms that a packet may hold there is no room for two presses.
        self.detector.hear(samples.get(..len).unwrap_or(&[])).first().copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::coder::{Encoder, MAX_CODED_BYTES};
    use crate::media::dtmf::KeyTone;

    const DIGITS: &str = "1590*#AD";

    /// Each key for 100 ms with as much silence after it, in packets of 20 ms.
    fn typed(codec: Codec) -> Vec<Vec<u8>> {
        let (mut encoder, mut packets) = (Encoder::new(codec), Vec::new());
        for digit in DIGITS.chars() {
            let event = crate::media::dtmf::TelephoneEvent::event_of(digit).unwrap();
            let mut tone = KeyTone::new(event, 8, codec.sample_hz()).unwrap();
            for step in 0..10 {
                let mut samples = vec![0; codec.sample_hz() as usize / 50];
                if step < 5 {
                    tone.fill(&mut samples, step == 4);
                }
                let mut coded = [0; MAX_CODED_BYTES];
                let len = encoder.encode(&samples, &mut coded);
                packets.push(coded[..len].to_vec());
            }
        }
        packets
    }

    fn heard(codec: Codec, packets: &[(usize, &Vec<u8>)]) -> String {
        let mut ear = KeyEar::default();
        let step = codec.clock_hz() / 50;
        let hear = |(index, payload): &(usize, &Vec<u8>)| {
            let header = RtpHeader {
                marker: false,
                payload_type: 0,
                sequence: *index as u16,
                timestamp: (*index as u32).wrapping_mul(step).wrapping_sub(100),
                ssrc: 1,
            };
            ear.hear(&header, codec, payload)
        };
        packets.iter().filter_map(hear).collect()
    }

    #[test]
    fn keys_are_heard_once_each_in_every_codec() {
        for codec in Codec::ALL {
            let packets = typed(codec);
            assert_eq!(heard(codec, &packets.iter().enumerate().collect::<Vec<_>>()), DIGITS, "{codec:?}");
        }
    }

    #[test]
    fn a_packet_that_is_lost_or_late_makes_no_key_of_one_and_none_of_two() {
        let packets = typed(Codec::Pcma);
        let mut some: Vec<_> = packets.iter().enumerate().filter(|(index, _)| index % 10 != 2).collect();
        assert_eq!(heard(Codec::Pcma, &some), DIGITS);
        some.insert(9, (2, &packets[2]));
        assert_eq!(heard(Codec::Pcma, &some), DIGITS);
    }

    proptest! {
        #[test]
        fn no_packets_make_it_panic(packets in proptest::collection::vec((any::<u32>(), 0u32..2, 0usize..4, proptest::collection::vec(any::<u8>(), 0..640)), 0..30)) {
            let mut ear = KeyEar::default();
            for (timestamp, ssrc, codec, payload) in packets {
                let header = RtpHeader { marker: false, payload_type: 0, sequence: 0, timestamp, ssrc };
                ear.hear(&header, Codec::ALL[codec], &payload);
            }
        }
    }
}
