//! G.711 itself: every conversion is one look-up in a table made at compile time. It has no state and knows nothing of
//! packets. Called by the relay (the other law), `sound`, `coder` and tests.

use super::codec::Codec;

/// The laws of G.711 by sample and byte. Only for codecs with [`Codec::is_g711`]; with another one these say silence,
/// code and decode nothing.
impl Codec {
    /// One sample to one byte.
    pub fn encode_sample(self, sample: i16) -> u8 {
        // The 13 (A) or 14 (µ) upper bits decide; the tables are indexed by the upper 14.
        let index = usize::from((sample as u16) >> 2);
        match self {
            Codec::Pcma => ALAW_FROM_LINEAR[index],
            Codec::Pcmu => ULAW_FROM_LINEAR[index],
            Codec::G722 | Codec::Opus => 0,
        }
    }

    /// One byte to one sample.
    pub const fn decode_sample(self, byte: u8) -> i16 {
        match self {
            Codec::Pcma => LINEAR_FROM_ALAW[byte as usize],
            Codec::Pcmu => LINEAR_FROM_ULAW[byte as usize],
            Codec::G722 | Codec::Opus => 0,
        }
    }

    /// Codes as many samples as both slices hold and returns how many.
    pub fn encode(self, samples: &[i16], out: &mut [u8]) -> usize {
        if !self.is_g711() {
            return 0;
        }
        samples.iter().zip(out.iter_mut()).map(|(sample, byte)| *byte = self.encode_sample(*sample)).count()
    }

    /// Decodes as many bytes as both slices hold and returns how many.
    pub fn decode(self, bytes: &[u8], out: &mut [i16]) -> usize {
        if !self.is_g711() {
            return 0;
        }
        bytes.iter().zip(out.iter_mut()).map(|(byte, sample)| *sample = self.decode_sample(*byte)).count()
    }

    /// Changes coded audio in place from this law to the other, without going through linear samples.
    pub fn transcode(self, to: Codec, audio: &mut [u8]) {
        let table = match (self, to) {
            (Codec::Pcma, Codec::Pcmu) => &ULAW_FROM_ALAW,
            (Codec::Pcmu, Codec::Pcma) => &ALAW_FROM_ULAW,
            _ => return,
        };
        for byte in audio {
            *byte = table[usize::from(*byte)];
        }
    }

    /// The byte that means silence.
    pub fn silence(self) -> u8 {
        self.encode_sample(0)
    }
}

static LINEAR_FROM_ALAW: [i16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = alaw_to_linear(byte as u8);
        byte += 1;
    }
    table
};

static LINEAR_FROM_ULAW: [i16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = ulaw_to_linear(byte as u8);
        byte += 1;
    }
    table
};

static ALAW_FROM_LINEAR: [u8; 16384] = {
    let mut table = [0; 16384];
    let mut index = 0;
    while index < 16384 {
        table[index] = linear_to_alaw(((index as u16) << 2) as i16);
        index += 1;
    }
    table
};

static ULAW_FROM_LINEAR: [u8; 16384] = {
    let mut table = [0; 16384];
    let mut index = 0;
    while index < 16384 {
        table[index] = linear_to_ulaw(((index as u16) << 2) as i16);
        index += 1;
    }
    table
};

static ULAW_FROM_ALAW: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = linear_to_ulaw(alaw_to_linear(byte as u8));
        byte += 1;
    }
    table
};

static ALAW_FROM_ULAW: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = linear_to_alaw(ulaw_to_linear(byte as u8));
        byte += 1;
    }
    table
};

/// G.711 table 1: every second bit of the character signal is inverted, the sign bit is 1 for positive values.
const fn alaw_to_linear(byte: u8) -> i16 {
    let code = byte ^ 0x55;
    let segment = (code >> 4) & 7;
    let step = (code & 15) as i16;
    let magnitude = match segment {
        0 => (step << 4) + 8,
        _ => ((step << 4) + 0x108) << (segment - 1),
    };
    if code & 0x80 != 0 { magnitude } else { -magnitude }
}

const fn linear_to_alaw(sample: i16) -> u8 {
    // 13-bit magnitude; a negative value mirrors to -1 - x, so that both halves have the same number of steps.
    let (sign, magnitude) = if sample >= 0 { (0x80, sample >> 3) } else { (0, !sample >> 3) };
    // Segment n > 0 starts at 2^(n+4) in these units.
    let mut segment = 0;
    while segment < 7 && magnitude >= (32 << segment) {
        segment += 1;
    }
    let step = if segment < 2 { (magnitude >> 1) & 15 } else { (magnitude >> segment) & 15 };
    (sign | (segment << 4) as u8 | step as u8) ^ 0x55
}

/// G.711 table 2: all bits inverted, magnitudes biased by 33 (132 in 16-bit units).
const fn ulaw_to_linear(byte: u8) -> i16 {
    let code = !byte;
    let segment = (code >> 4) & 7;
    let step = (code & 15) as i16;
    let magnitude = (((step << 3) + 132) << segment) - 132;
    if code & 0x80 != 0 { -magnitude } else { magnitude }
}

const fn linear_to_ulaw(sample: i16) -> u8 {
    let (sign, magnitude) = if sample >= 0 { (0, sample as i32) } else { (0x80, !sample as i32) };
    let magnitude = if magnitude > 32635 { 32635 } else { magnitude } + 132;
    // Segment n starts at 2^(n+7).
    let mut segment = 0;
    while segment < 7 && magnitude >= (256 << segment) {
        segment += 1;
    }
    let step = (magnitude >> (segment + 3)) & 15;
    !(sign | (segment << 4) as u8 | step as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Codec; 2] = [Codec::Pcma, Codec::Pcmu];

    #[test]
    fn known_values_of_g711_are_met() {
        // G.711 tables 1a to 2b, with ±4096 of A-law and ±8159 of µ-law scaled to 16 bits.
        assert_eq!(Codec::Pcma.encode_sample(0), 0xd5);
        assert_eq!(Codec::Pcma.encode_sample(-1), 0x55);
        assert_eq!(Codec::Pcma.encode_sample(i16::MAX), 0xaa);
        assert_eq!(Codec::Pcma.encode_sample(i16::MIN), 0x2a);
        assert_eq!(Codec::Pcmu.encode_sample(0), 0xff);
        assert_eq!(Codec::Pcmu.encode_sample(-1), 0x7f);
        assert_eq!(Codec::Pcmu.encode_sample(i16::MAX), 0x80);
        assert_eq!(Codec::Pcmu.encode_sample(i16::MIN), 0x00);
        assert_eq!(Codec::Pcmu.decode_sample(0x80), 32124);
        assert_eq!(Codec::Pcmu.decode_sample(0x00), -32124);
        assert_eq!(Codec::Pcma.decode_sample(0xaa), 32256);
        assert_eq!(Codec::Pcma.decode_sample(0xd5), 8);
    }

    #[test]
    fn every_code_decodes_and_encodes_to_itself() {
        for codec in BOTH {
            for byte in 0..=255 {
                let back = codec.encode_sample(codec.decode_sample(byte));
                // µ-law has two zeros; linear audio has one.
                let expected = if codec == Codec::Pcmu && byte == 0x7f { 0xff } else { byte };
                assert_eq!(back, expected, "{codec:?} {byte:#x}");
            }
        }
    }

    #[test]
    fn the_error_stays_within_half_a_step() {
        for codec in BOTH {
            for sample in i16::MIN..=i16::MAX {
                let error = (i32::from(codec.decode_sample(codec.encode_sample(sample))) - i32::from(sample)).abs();
                // Steps grow with the value: 1/32 of it at most, beside the floor of 8 and the clipping at the top.
                assert!(error <= 8 + i32::from(sample).abs() / 31, "{codec:?} {sample}: {error}");
            }
        }
    }

    #[test]
    fn the_direct_tables_agree_with_the_way_over_linear_samples() {
        for byte in 0..=255u8 {
            let mut one = [byte];
            Codec::Pcma.transcode(Codec::Pcmu, &mut one);
            assert_eq!(one[0], Codec::Pcmu.encode_sample(Codec::Pcma.decode_sample(byte)));
            one = [byte];
            Codec::Pcmu.transcode(Codec::Pcma, &mut one);
            assert_eq!(one[0], Codec::Pcma.encode_sample(Codec::Pcmu.decode_sample(byte)));
            one = [byte];
            Codec::Pcmu.transcode(Codec::Pcmu, &mut one);
            assert_eq!(one[0], byte);
        }
    }

    #[test]
    fn slices_of_different_length_take_the_shorter() {
        let mut out = [0u8; 3];
        assert_eq!(Codec::Pcma.encode(&[0; 5], &mut out), 3);
        let mut samples = [0i16; 5];
        assert_eq!(Codec::Pcma.decode(&out, &mut samples), 3);
    }

    #[test]
    fn codecs_with_state_are_not_coded_by_table() {
        for codec in [Codec::G722, Codec::Opus] {
            assert_eq!(codec.encode(&[1000; 4], &mut [0; 4]), 0);
            assert_eq!(codec.decode(&[1; 4], &mut [0; 4]), 0);
            let mut audio = [1, 2, 3];
            codec.transcode(Codec::Pcma, &mut audio);
            Codec::Pcma.transcode(codec, &mut audio);
            assert_eq!(audio, [1, 2, 3]);
        }
    }
}
