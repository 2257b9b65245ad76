//! Coded audio to linear samples and back, for every codec, with the state that G.722, Opus and a change of rate carry
//! from packet to packet. It knows no packets and no time. Called by `listening`, the relay and the recorder.

use audio_codec::g722::{G722Decoder, G722Encoder};
use audio_codec::{Decoder as _, Encoder as _};

use super::codec::Codec;
use super::conceal::Concealer;
use super::opus::{OpusIn, OpusOut};
use super::resample::Resampler;

/// The most samples that one payload gives: 120 ms (Opus's longest packet) at 16 kHz. A payload that holds more is cut.
pub const MAX_PCM_SAMPLES: usize = 1920;
/// The most bytes that `encode` writes for 20 ms.
pub const MAX_CODED_BYTES: usize = 320;

/// How long a payload lasts, in ticks of the codec's RTP clock; 0 when it is no audio of this codec.
pub fn duration_ticks(codec: Codec, payload: &[u8]) -> u32 {
    match codec {
        Codec::Pcma | Codec::Pcmu | Codec::G722 => u32::try_from(payload.len()).unwrap_or(u32::MAX),
        Codec::Opus => super::opus::duration_ticks(payload),
    }
}

/// Decodes one stream of one codec to 8 or 16 kHz.
pub struct Decoder {
    codec: Codec,
    out_hz: u32,
    state: DecoderState,
}

enum DecoderState {
    G711 { resampler: Resampler, concealer: Concealer },
    G722 { decoder: Box<G722Decoder>, resampler: Resampler, concealer: Concealer },
    Opus(OpusIn),
}

impl Decoder {
    /// A decoder that gives `out_hz` samples a second: 8,000 or 16,000 (any other value counts as 8,000).
    pub fn new(codec: Codec, out_hz: u32) -> Decoder {
        let out_hz = if out_hz == 16_000 { 16_000 } else { 8000 };
        let resampler = Resampler::new(codec.sample_hz(), out_hz);
        let concealer = Concealer::new(out_hz);
        let state = match codec {
            Codec::Pcma | Codec::Pcmu => DecoderState::G711 { resampler, concealer },
            Codec::G722 => DecoderState::G722 { decoder: Box::new(G722Decoder::new()), resampler, concealer },
            Codec::Opus => DecoderState::Opus(OpusIn::new(out_hz)),
        };
        Decoder { codec, out_hz, state }
    }

    pub fn codec(&self) -> Codec {
        self.codec
    }

    pub fn out_hz(&self) -> u32 {
        self.out_hz
    }

    /// Decodes one payload, whatever it holds, and says how many samples were written; none for a payload that is no
    /// audio of this codec.
    pub fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> usize {
        match &mut self.state {
            DecoderState::G711 { resampler, concealer } => {
                let mut linear = [0; MAX_PCM_SAMPLES];
                let len = self.codec.decode(payload, &mut linear);
                let written = resampler.resample(&linear[..len], out);
                concealer.heard(&mut out[..written]);
                written
            }
            DecoderState::G722 { decoder, resampler, concealer } => {
                let mut linear = [0; MAX_PCM_SAMPLES];
                let payload = &payload[..payload.len().min(MAX_PCM_SAMPLES / 2)];
                let len = decoder.decode_into(payload, &mut linear).unwrap_or(0);
                let written = resampler.resample(&linear[..len], out);
                concealer.heard(&mut out[..written]);
                written
            }
            DecoderState::Opus(opus) => opus.decode(payload, out),
        }
    }

    /// Makes up `samples` that were lost, from what came before them.
    pub fn conceal(&mut self, samples: usize, out: &mut [i16]) -> usize {
        let len = samples.min(out.len());
        let out = &mut out[..len];
        match &mut self.state {
            DecoderState::G711 { concealer, .. } | DecoderState::G722 { concealer, .. } => concealer.conceal(out),
            DecoderState::Opus(opus) => opus.conceal(out),
        }
        len
    }

    /// Makes up `samples` that were lost right before `next` with the help of `next`, which is still to be decoded:
    /// Opus packets may carry their predecessor once more (RFC 6716 §2.1.7). Other codecs conceal.
    pub fn recover(&mut self, next: &[u8], samples: usize, out: &mut [i16]) -> usize {
        let len = samples.min(out.len());
        match &mut self.state {
            DecoderState::Opus(opus) => opus.recover(next, &mut out[..len]),
            DecoderState::G711 { .. } | DecoderState::G722 { .. } => return self.conceal(samples, out),
        }
        len
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Decoder({:?} to {} Hz)", self.codec, self.out_hz)
    }
}

/// Codes one stream.
pub struct Encoder {
    codec: Codec,
    state: EncoderState,
}

enum EncoderState {
    G711,
    G722(Box<G722Encoder>),
    Opus(OpusOut),
}

impl Encoder {
    pub fn new(codec: Codec) -> Encoder {
        let state = match codec {
            Codec::Pcma | Codec::Pcmu => EncoderState::G711,
            Codec::G722 => EncoderState::G722(Box::new(G722Encoder::new())),
            Codec::Opus => EncoderState::Opus(OpusOut::new()),
        };
        Encoder { codec, state }
    }

    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Codes samples at `codec.sample_hz()` and says how many bytes were written. Opus takes frames of 10, 20, 40 or
    /// 60 ms and writes nothing for other lengths, nor when `out` has no room.
    pub fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> usize {
        match &mut self.state {
            EncoderState::G711 => self.codec.encode(pcm, out),
            EncoderState::G722(encoder) => encoder.encode_into(pcm, out).unwrap_or(0),
            EncoderState::Opus(opus) => opus.encode(pcm, out),
        }
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Encoder({:?})", self.codec)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::tones::{Babble, Sine, mean_square, power};

    /// What `pcm` sounds like after a codec, 20 ms at a time.
    fn through(codec: Codec, out_hz: u32, pcm: &[i16]) -> Vec<i16> {
        let (mut encoder, mut decoder) = (Encoder::new(codec), Decoder::new(codec, out_hz));
        let mut all = Vec::new();
        for frame in pcm.chunks(codec.sample_hz() as usize / 50) {
            let (mut payload, mut out) = ([0; MAX_CODED_BYTES], [0; MAX_PCM_SAMPLES]);
            let len = encoder.encode(frame, &mut payload);
            assert!(len > 0, "{codec:?}");
            let len = decoder.decode(&payload[..len], &mut out);
            assert_eq!(len, out_hz as usize / 50, "{codec:?} to {out_hz} Hz");
            all.extend(&out[..len]);
        }
        all
    }

    #[test]
    fn a_tone_stays_the_same_tone_in_every_codec() {
        for codec in Codec::ALL {
            for hz in [300.0, 1000.0, 3000.0] {
                let tone: Vec<i16> = Sine::new(hz, codec.sample_hz(), 8000).take(codec.sample_hz() as usize).collect();
                for out_hz in [8000, 16_000] {
                    let heard = through(codec, out_hz, &tone);
                    let heard = &heard[heard.len() / 2..];
                    let (all, own) = (mean_square(heard), power(heard, out_hz, hz));
                    assert!(own / all > 0.97, "{codec:?} to {out_hz}: {hz} Hz is {own} of {all}");
                    assert!((0.7..1.4).contains(&(all / 3.2e7)), "{codec:?} to {out_hz}: {hz} Hz at {all}");
                }
            }
        }
    }

    #[test]
    fn the_duration_of_a_payload_is_told_without_decoding_it() {
        assert_eq!(duration_ticks(Codec::Pcma, &[0; 160]), 160);
        assert_eq!(duration_ticks(Codec::G722, &[0; 160]), 160);
        let mut encoder = Encoder::new(Codec::Opus);
        for ms in [10, 20, 40, 60] {
            let mut payload = [0; 3 * MAX_CODED_BYTES];
            let len = encoder.encode(&vec![900; 16 * ms], &mut payload);
            assert_eq!(duration_ticks(Codec::Opus, &payload[..len]), 48 * ms as u32, "{ms} ms");
        }
        // Fullband CELT of 2.5 ms: two frames, then three; 64 frames of 20 ms are none.
        assert_eq!(duration_ticks(Codec::Opus, &[0xe1, 0]), 240);
        assert_eq!(duration_ticks(Codec::Opus, &[0xe3, 3]), 360);
        assert_eq!(duration_ticks(Codec::Opus, &[0xfb, 63]), 0);
        assert_eq!(duration_ticks(Codec::Opus, &[]), 0);
    }

    #[test]
    fn wide_codecs_keep_what_lies_above_4_khz_only_where_16_khz_are_heard() {
        for codec in [Codec::G722, Codec::Opus] {
            let tone: Vec<i16> = Sine::new(6000.0, 16_000, 8000).take(16_000).collect();
            let wide = through(codec, 16_000, &tone);
            assert!(power(&wide[8000..], 16_000, 6000.0) > 1e7, "{codec:?}");
            let narrow = through(codec, 8000, &tone);
            assert!(mean_square(&narrow[4000..]) < 2e5, "{codec:?}: {}", mean_square(&narrow[4000..]));
        }
    }

    #[test]
    fn speech_goes_through_g722_almost_unchanged() {
        let narrow: Vec<i16> = Babble::new(4).take(8000 * 4).collect();
        let mut wide = vec![0; narrow.len() * 2];
        Resampler::new(8000, 16_000).resample(&narrow, &mut wide);
        let heard = through(Codec::G722, 16_000, &wide);
        // Its two filters delay by 22 samples.
        let noise: Vec<i16> = heard[22..].iter().zip(&wide).map(|(a, b)| a.saturating_sub(*b)).collect();
        let ratio = mean_square(&wide) / mean_square(&noise);
        assert!(ratio > 100.0, "20 dB at least: {ratio}");
    }

    #[test]
    fn opus_packets_carry_a_copy_of_the_one_before() {
        // Every packet is another tone: nothing before the lost one tells what it was.
        let tone_of = |n: usize| [300.0, 700.0, 450.0, 1100.0][n % 4];
        let mut encoder = Encoder::new(Codec::Opus);
        let packets: Vec<Vec<u8>> = (0..300)
            .map(|n| {
                let pcm: Vec<i16> = Sine::new(tone_of(n), 16_000, 9000).take(320).collect();
                let mut payload = vec![0; MAX_CODED_BYTES];
                let len = encoder.encode(&pcm, &mut payload);
                payload.truncate(len);
                payload
            })
            .collect();
        let own_share = |recovers: bool| {
            let mut decoder = Decoder::new(Codec::Opus, 16_000);
            let mut share = 0.0;
            for (n, packet) in packets.iter().enumerate().take(299) {
                let mut out = [0; MAX_PCM_SAMPLES];
                if n % 10 != 7 {
                    decoder.decode(packet, &mut out);
                    continue;
                }
                let len = if recovers { decoder.recover(&packets[n + 1], 320, &mut out) } else { decoder.conceal(320, &mut out) };
                assert_eq!(len, 320);
                share += power(&out[40..320], 16_000, tone_of(n)) / 4e7 / 30.0;
            }
            share
        };
        let (recovered, concealed) = (own_share(true), own_share(false));
        assert!(recovered > 0.1 && concealed < 0.02, "{recovered} of the lost tones' power, {concealed} without the copies");
    }

    #[test]
    fn frames_that_opus_cannot_code_and_outputs_that_are_too_small_are_refused() {
        let mut encoder = Encoder::new(Codec::Opus);
        let mut out = [0; MAX_CODED_BYTES];
        for len in [0, 1, 159, 161, 321, 4000] {
            assert_eq!(encoder.encode(&vec![0; len], &mut out), 0, "{len}");
        }
        assert!(encoder.encode(&[0; 320], &mut out) > 0);
        for codec in Codec::ALL {
            let pcm = vec![5000; codec.sample_hz() as usize / 50];
            for room in [0, 1, 2, 5, 40] {
                Encoder::new(codec).encode(&pcm, &mut out[..room]);
                let mut few = vec![0; room];
                assert!(Decoder::new(codec, 8000).decode(&[0x55; 160], &mut few) <= room);
                assert!(Decoder::new(codec, 16_000).conceal(320, &mut few) <= room);
            }
        }
    }

    fn payload() -> impl Strategy<Value = Vec<u8>> {
        // Short ones come often, and with few frames, so that something is decoded at all.
        let any_length = proptest::collection::vec(any::<u8>(), 0..1300);
        let one_frame = proptest::collection::vec(any::<u8>(), 1..120).prop_map(|mut bytes| {
            bytes[0] &= 0xfc;
            bytes
        });
        prop_oneof![any_length, one_frame]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn hostile_payloads_never_panic(
            payloads in proptest::collection::vec((payload(), 0u8..8, 0usize..2500), 1..20),
            codec in 0usize..4,
            is_wide in any::<bool>(),
        ) {
            let mut decoder = Decoder::new(Codec::ALL[codec], if is_wide { 16_000 } else { 8000 });
            let mut out = [0; MAX_PCM_SAMPLES];
            for (payload, action, samples) in payloads {
                let len = match action {
                    0 => decoder.conceal(samples, &mut out),
                    1 => decoder.recover(&payload, samples, &mut out),
                    _ => decoder.decode(&payload, &mut out),
                };
                prop_assert!(len <= out.len());
            }
        }

        #[test]
        fn any_samples_can_be_coded(samples in proptest::collection::vec(any::<i16>(), 320 * 4), codec in 0usize..4) {
            let codec = Codec::ALL[codec];
            let mut encoder = Encoder::new(codec);
            for frame in samples.chunks(codec.sample_hz() as usize / 50) {
                let len = encoder.encode(frame, &mut [0; MAX_CODED_BYTES]);
                prop_assert!(len > 0 && len <= MAX_CODED_BYTES);
            }
        }
    }
}
