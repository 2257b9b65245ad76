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
