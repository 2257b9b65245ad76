//! A sound ready to be played: linear audio coded once in both laws, so that playing it costs a copy of 160 bytes.
//! Made when a prompt is loaded; shared by every leg that hears it. It reads no file.

use super::codec::Codec;

/// Samples of one 20 ms packet.
pub const PACKET_SAMPLES: usize = 160;

/// Mono audio at 8,000 samples a second, in both laws of G.711.
#[derive(Clone, PartialEq, Eq)]
pub struct Sound {
    pcma: Box<[u8]>,
    pcmu: Box<[u8]>,
}

impl Sound {
    /// Codes `samples`, and fills the last 20 ms up with silence.
    pub fn from_pcm(samples: &[i16]) -> Sound {
        let whole = samples.len().next_multiple_of(PACKET_SAMPLES);
        let coded = |codec: Codec| {
            let mut bytes = vec![codec.silence(); whole];
            codec.encode(samples, &mut bytes);
            bytes.into_boxed_slice()
        };
        Sound { pcma: coded(Codec::Pcma), pcmu: coded(Codec::Pcmu) }
    }

    /// The 160 coded bytes of packet `index`; `None` after the last, and for codecs with state.
    pub fn packet(&self, codec: Codec, index: usize) -> Option<&[u8]> {
        let bytes = match codec {
            Codec::Pcma => &self.pcma,
            Codec::Pcmu => &self.pcmu,
            Codec::G722 | Codec::Opus => return None,
        };
        let start = index.checked_mul(PACKET_SAMPLES)?;
        bytes.get(start..start.checked_add(PACKET_SAMPLES)?)
    }

    /// Whole 20 ms packets.
    pub fn packets(&self) -> usize {
        self.pcma.len() / PACKET_SAMPLES
    }

    pub fn duration_ms(&self) -> u64 {
        self.packets() as u64 * 20
    }
}

impl std::fmt::Debug for Sound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sound({} ms)", self.duration_ms())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn an_empty_sound_has_no_packets() {
        assert_eq!(Sound::from_pcm(&[]).packets(), 0);
    }
}
