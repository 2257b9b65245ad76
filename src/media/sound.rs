//! A sound ready to be played: linear audio coded once in both laws, so that playing it costs a copy of 160 bytes. In
//! codecs with state (G.722, Opus) each packet is coded by the first who plays it and kept for all who play it later.
//! Made when a prompt is loaded; shared by every leg that hears it. It reads no file.

use std::sync::OnceLock;

use super::codec::Codec;
use super::coder::{Encoder, MAX_CODED_BYTES};
use super::resample::Resampler;

/// Samples of one 20 ms packet.
pub const PACKET_SAMPLES: usize = 160;
/// The same at 16,000 samples a second.
const WIDE_SAMPLES: usize = 2 * PACKET_SAMPLES;

/// Packets after which a coder's state no longer depends on where it began. G.722 forgets slowly.
const PACKETS_TO_WARM_UP: usize = 10;

/// Mono audio at 8,000 samples a second.
#[derive(Clone, PartialEq, Eq)]
pub struct Sound {
    /// Whole packets, of which the last is filled up with silence.
    linear: Box<[i16]>,
    pcma: Box<[u8]>,
    pcmu: Box<[u8]>,
    g722: Kept,
    opus: Kept,
}

/// What has been coded so far, packet by packet; no place is made before the first.
#[derive(Clone, Default, PartialEq, Eq)]
struct Kept(OnceLock<Packets>);

/// One place a packet of 20 ms, coded when it is first played.
type Packets = Box<[OnceLock<Box<[u8]>>]>;

/// What one who plays a sound needs as long as nobody played it before in the same codec.
pub struct SoundCoder {
    encoder: Encoder,
    resampler: Resampler,
}

impl SoundCoder {
    fn new(codec: Codec) -> SoundCoder {
        SoundCoder { encoder: Encoder::new(codec), resampler: Resampler::new(8000, codec.sample_hz()) }
    }

    fn code(&mut self, linear: &[i16], out: &mut [u8]) -> usize {
        let mut wide = [0; WIDE_SAMPLES];
        let len = self.resampler.resample(linear, &mut wide);
        self.encoder.encode(wide.get(..len).unwrap_or(&[]), out)
    }
}

impl Sound {
    /// Codes `samples`, and fills the last 20 ms up with silence.
    pub fn from_pcm(samples: &[i16]) -> Sound {
        let mut linear = samples.to_vec();
        linear.resize(samples.len().next_multiple_of(PACKET_SAMPLES), 0);
        let coded = |codec: Codec| {
            let mut bytes = vec![codec.silence(); linear.len()];
            codec.encode(&linear, &mut bytes);
            bytes.into_boxed_slice()
        };
        let (pcma, pcmu) = (coded(Codec::Pcma), coded(Codec::Pcmu));
        Sound { linear: linear.into(), pcma, pcmu, g722: Kept::default(), opus: Kept::default() }
    }

    /// The coded bytes of packet `index`; `None` after the last, and where it has not been coded yet.
    pub fn packet(&self, codec: Codec, index: usize) -> Option<&[u8]> {
        let bytes = match codec {
            Codec::Pcma => &self.pcma,
            Codec::Pcmu => &self.pcmu,
            Codec::G722 | Codec::Opus => return self.kept(codec).0.get()?.get(index)?.get().map(|bytes| &**bytes),
        };
        packet_of(bytes, index)
    }

    /// Writes packet `index` coded to `out` and says how many bytes it has; `None` after the last. `coder` belongs to the
    /// one who plays and hands the packets in one after another; in codecs without state it stays empty.
    pub fn code(&self, codec: Codec, index: usize, coder: &mut Option<Box<SoundCoder>>, out: &mut [u8]) -> Option<usize> {
        let linear = packet_of(&self.linear, index)?;
        if let Some(bytes) = self.packet(codec, index) {
            // What was coded by another makes one's own state useless.
            *coder = None;
            out.get_mut(..bytes.len())?.copy_from_slice(bytes);
            return Some(bytes.len());
        }
        let coder = match coder {
            Some(coder) if coder.encoder.codec() == codec => coder,
            coder => {
                let coder = coder.insert(Box::new(SoundCoder::new(codec)));
                // A coder that starts in the middle hears what came before, or the start would crackle.
                for before in
                    (index.saturating_sub(PACKETS_TO_WARM_UP)..index).filter_map(|before| packet_of(&self.linear, before))
                {
                    coder.code(before, &mut [0; MAX_CODED_BYTES]);
                }
                coder
            }
        };
        let len = coder.code(linear, out);
        let packets = self.kept(codec).0.get_or_init(|| vec![OnceLock::new(); self.packets()].into());
        if let (Some(place), Some(bytes)) = (packets.get(index), out.get(..len)) {
            // Another thread may have been first: both are right.
            let _ = place.set(bytes.into());
        }
        Some(len)
    }

    fn kept(&self, codec: Codec) -> &Kept {
        if codec == Codec::G722 { &self.g722 } else { &self.opus }
    }

    /// Whole 20 ms packets.
    pub fn packets(&self) -> usize {
        self.linear.len() / PACKET_SAMPLES
    }

    pub fn duration_ms(&self) -> u64 {
        self.packets() as u64 * 20
    }
}

fn packet_of<T>(all: &[T], index: usize) -> Option<&[T]> {
    let start = index.checked_mul(PACKET_SAMPLES)?;
    all.get(start..start.checked_add(PACKET_SAMPLES)?)
}

impl std::fmt::Debug for Sound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sound({} ms)", self.duration_ms())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::coder::{Decoder, MAX_PCM_SAMPLES};
    use crate::media::tones::{Sine, mean_square, power};

    #[test]
    fn the_last_packet_is_filled_with_silence() {
        let sound = Sound::from_pcm(&[1000; 200]);
        assert_eq!(sound.packets(), 2);
        assert_eq!(sound.duration_ms(), 40);
        let last = sound.packet(Codec::Pcma, 1).unwrap();
        assert_eq!(last[39], Codec::Pcma.encode_sample(1000));
        assert!(last[40..].iter().all(|byte| *byte == Codec::Pcma.silence()));
        assert!(sound.packet(Codec::Pcmu, 2).is_none());
        assert!(sound.packet(Codec::Pcmu, usize::MAX).is_none());
    }

    /// Plays packets `from..` to their end with a coder of one's own.
    fn played(sound: &Sound, codec: Codec, from: usize) -> Vec<Vec<u8>> {
        let (mut coder, mut out) = (None, [0; MAX_CODED_BYTES]);
        let packets = (from..).map_while(|index| sound.code(codec, index, &mut coder, &mut out).map(|len| out[..len].to_vec()));
        packets.collect()
    }

    fn decoded(codec: Codec, packets: &[Vec<u8>]) -> Vec<i16> {
        let (mut decoder, mut out) = (Decoder::new(codec, 8000), [0; MAX_PCM_SAMPLES]);
        packets
            .iter()
            .flat_map(|packet| {
                let len = decoder.decode(packet, &mut out);
                out[..len].to_vec()
            })
            .collect()
    }

    #[test]
    fn a_tone_is_a_tone_in_every_codec() {
        let sound = Sound::from_pcm(&Sine::new(700.0, 8000, 8000).take(8000).collect::<Vec<_>>());
        for codec in Codec::ALL {
            let heard = decoded(codec, &played(&sound, codec, 0));
            assert_eq!(heard.len(), 8000, "{codec:?}");
            let share = power(&heard[1600..], 8000, 700.0) / mean_square(&heard[1600..]);
            assert!(share > 0.95, "{codec:?}: {share}");
        }
    }

    #[test]
    fn what_was_coded_once_is_kept_for_the_next_who_plays_it() {
        let sound = Sound::from_pcm(&Sine::new(700.0, 8000, 8000).take(1600).collect::<Vec<_>>());
        for codec in [Codec::G722, Codec::Opus] {
            assert!(sound.packet(codec, 0).is_none());
            let first = played(&sound, codec, 0);
            assert_eq!(first.len(), 10);
            assert!((0..10).all(|index| sound.packet(codec, index) == Some(&first[index][..])));
            assert_eq!(played(&sound, codec, 3), first[3..]);
            let mut coder = None;
            sound.code(codec, 5, &mut coder, &mut [0; MAX_CODED_BYTES]);
            assert!(coder.is_none(), "it needs no coder");
        }
    }

    #[test]
    fn who_runs_into_what_nobody_coded_yet_goes_on_without_a_crackle() {
        let sound = Sound::from_pcm(&Sine::new(700.0, 8000, 8000).take(16_000).collect::<Vec<_>>());
        for codec in [Codec::G722, Codec::Opus] {
            let (mut coder, mut out) = (None, [0; MAX_CODED_BYTES]);
            (0..50).for_each(|index| _ = sound.code(codec, index, &mut coder, &mut out));
            let heard = decoded(codec, &played(&sound, codec, 0));
            let around = &heard[49 * 160..54 * 160];
            let share = power(around, 8000, 700.0) / mean_square(around);
            assert!(share > 0.9, "{codec:?}: {share}");
        }
    }

    #[test]
    fn an_empty_sound_has_no_packets() {
        assert_eq!(Sound::from_pcm(&[]).packets(), 0);
    }
}
