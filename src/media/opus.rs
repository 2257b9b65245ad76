//! Opus in mono at 8 or 16 kHz (RFC 6716): our settings of the codec, and the guard before its decoder. Called by `coder`
//! alone.

use opus_rs::{Application, OpusDecoder, OpusEncoder};

use super::resample::Resampler;

/// Speech over a network that loses packets: 20 ms are about 80 bytes, which keep wideband and the copy of the frame before
/// (in-band FEC). The copy takes from the speech itself: PESQ of clean speech is 3.1 at 24, 3.6 at 32, 4.0 at 40 kbit/s.
const BITRATE_BPS: i32 = 40_000;
const COMPLEXITY: i32 = 5;
/// The loss that the encoder prepares for; without some it sends no FEC.
const EXPECTED_LOSS_PERCENT: i32 = 10;
/// The rate that we code and decode at.
const WIDE_HZ: u32 = 16_000;
/// Samples of 120 ms at 16 kHz, the longest packet (RFC 6716 §3.2.5).
const MAX_SAMPLES: usize = 1920;
/// Samples of 60 ms at 16 kHz, the longest frame we code.
const MAX_FRAME_SAMPLES: usize = 960;

/// How long a packet is, in ticks of its 48 kHz clock (RFC 6716 §3.1, §3.2); 0 when it is no packet.
pub(super) fn duration_ticks(packet: &[u8]) -> u32 {
    let Some(toc) = packet.first() else { return 0 };
    let frame = match toc >> 3 {
        config @ 0..=11 => [480, 960, 1920, 2880][usize::from(config & 3)],
        config @ 12..=15 => [480, 960][usize::from(config & 1)],
        config => 120 << (config & 3),
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => packet.get(1).map_or(0, |count| u32::from(count & 0x3f)),
    };
    // No packet holds more than 120 ms.
    Some(frame * frames).filter(|ticks| *ticks <= 5760).unwrap_or(0)
}

/// The decoding side.
pub(super) struct OpusIn {
    decoder: OpusDecoder,
    resampler: Resampler,
    per_wide: usize,
}

impl OpusIn {
    pub(super) fn new(out_hz: u32) -> OpusIn {
        // Always at 16 kHz: asked for 8 kHz, the decoder folds what lies above 4 kHz back into speech.
        let decoder = OpusDecoder::new(WIDE_HZ as i32, 1).expect("16 kHz in mono is a rate of Opus");
        OpusIn { decoder, resampler: Resampler::new(WIDE_HZ, out_hz), per_wide: if out_hz == WIDE_HZ { 1 } else { 2 } }
    }

    /// Decodes a packet; nothing when it is no Opus packet.
    pub(super) fn decode(&mut self, packet: &[u8], out: &mut [i16]) -> usize {
        let mut linear = [0.0; MAX_SAMPLES];
        let len = self.decoder.decode(packet, MAX_SAMPLES, &mut linear).unwrap_or(0);
        self.give(&linear[..len.min(MAX_SAMPLES)], out)
    }

    /// Fills `out` with what the decoder makes up.
    pub(super) fn conceal(&mut self, out: &mut [i16]) {
        let mut linear = [0.0; MAX_SAMPLES];
        let len = self.decoder.decode(&[], self.wanted(out), &mut linear).unwrap_or(0);
        let written = self.give(&linear[..len.min(MAX_SAMPLES)], out);
        out[written..].fill(0);
    }

    /// Fills `out` with the lost packet before `next`.
    pub(super) fn recover(&mut self, next: &[u8], out: &mut [i16]) {
        let mut linear = [0.0; MAX_SAMPLES];
        match self.decoder.decode_fec(next, self.wanted(out), &mut linear) {
            Ok(len) => {
                let written = self.give(&linear[..len.min(MAX_SAMPLES)], out);
                out[written..].fill(0);
            }
            Err(_) => self.conceal(out),
        }
    }

    /// Samples at 16 kHz to make up, in whole 2.5 ms.
    fn wanted(&self, out: &[i16]) -> usize {
        (out.len() * self.per_wide).next_multiple_of(WIDE_HZ as usize / 400).min(MAX_SAMPLES)
    }

    fn give(&mut self, linear: &[f32], out: &mut [i16]) -> usize {
        let mut samples = [0; MAX_SAMPLES];
        let len = to_samples(linear, &mut samples);
        self.resampler.resample(&samples[..len], out)
    }
}

/// The coding side.
pub(super) struct OpusOut {
    encoder: OpusEncoder,
}

impl OpusOut {
    pub(super) fn new() -> OpusOut {
        let mut encoder = OpusEncoder::new(WIDE_HZ as i32, 1, Application::Voip).expect("16 kHz in mono is a rate of Opus");
        encoder.bitrate_bps = BITRATE_BPS;
        encoder.complexity = COMPLEXITY;
        encoder.use_cbr = false;
        encoder.use_inband_fec = true;
        encoder.packet_loss_perc = EXPECTED_LOSS_PERCENT;
        OpusOut { encoder }
    }

    pub(super) fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> usize {
        if !matches!(pcm.len(), 160 | 320 | 640 | MAX_FRAME_SAMPLES) {
            return 0;
        }
        self.encoder.encode_i16(pcm, pcm.len(), out).unwrap_or(0)
    }
}

fn to_samples(linear: &[f32], out: &mut [i16]) -> usize {
    // `as` saturates, and makes NaN silence.
    linear.iter().zip(out).map(|(value, sample)| *sample = (value * 32768.0).round() as i16).count()
}
