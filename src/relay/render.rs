//! What one leg hears when packets cannot simply be passed on to it: several sources at once, or one that speaks a codec it
//! does not. Each source has its listening (jitter, decoder); every 20 ms what they give is mixed and coded for the leg. It
//! takes no memory before it is needed, sends nothing and reads no clock. `speech` feeds it, `turn` takes from it.

use super::command::MediaId;
use super::frame::{FrameHead, Rendered};
use crate::media::codec::Codec;
use crate::media::coder::Encoder;
use crate::media::listening::{Heard, Listening};
use crate::media::mix::Mix;
use crate::types::Time;

/// Packets in a row that could have been passed on, before they are: a source that changes its codec to and fro is rendered
/// all the time, and costs no new memory at each change.
const PASSABLE_PACKETS: u32 = 25;
/// Samples of 20 ms at 16 kHz.
const MOST_SAMPLES: usize = 320;

pub(super) struct Render {
    encoder: Encoder,
    /// The sources that have spoken; others take no memory.
    voices: Vec<Voice>,
    mix: Mix,
    /// Counts the renderings of the leg.
    round: u32,
    turns: u32,
    /// Somebody has been heard. Before that nothing is sent, and after it every turn, be it silence.
    has_begun: bool,
    /// Not for the codec's sake: as soon as packets can be passed on they are.
    is_for_many: bool,
    passable: u32,
}

struct Voice {
    from: MediaId,
    listening: Listening,
    count: Rendered,
}

/// 20 ms, coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub len: usize,
    pub round: u32,
    /// Counts the turns of this round.
    pub turn: u32,
}

impl Render {
    /// For a leg that speaks `codec` and hears `sources` legs.
    pub fn new(codec: Codec, sources: usize, round: u32) -> Render {
        Render {
            encoder: Encoder::new(codec),
            voices: Vec::with_capacity(sources),
            mix: Mix::default(),
            round,
            turns: 0,
            has_begun: false,
            is_for_many: sources > 1,
            passable: 0,
        }
    }

    /// The leg hears these from now on.
    pub fn set_sources(&mut self, sources: &[MediaId]) {
        self.voices.retain(|voice| sources.contains(&voice.from));
        self.is_for_many |= sources.len() > 1;
    }

    /// The leg speaks another codec from now on.
    pub fn set_codec(&mut self, codec: Codec) {
        let former = self.encoder.codec();
        if former == codec {
            return;
        }
        self.encoder = Encoder::new(codec);
        if former.sample_hz() != codec.sample_hz() {
            self.voices.clear();
        }
    }

    /// Told of each packet of a lone source: whether it `passes` as it is. Says whether rendering can end with it.
    pub fn may_end(&mut self, passes: bool) -> bool {
        self.passable = if passes { self.passable.saturating_add(1) } else { 0 };
        passes && (self.is_for_many || self.passable > PASSABLE_PACKETS)
    }

    /// Takes a source's packet.
    pub fn packet(&mut self, now: Time, head: &FrameHead, codec: Codec, payload: &[u8]) {
        if let Some(voice) = self.voice(head.from) {
            voice.listening.packet(now, head.ssrc, head.sequence, head.timestamp, codec, payload);
        }
    }

    /// Takes a source's word on how its pauses sound.
    pub fn comfort_noise(&mut self, now: Time, head: &FrameHead, payload: &[u8]) {
        if let Some(voice) = self.voice(head.from) {
            voice.listening.comfort_noise(now, head.ssrc, head.sequence, head.timestamp, payload);
        }
    }

    fn voice(&mut self, from: MediaId) -> Option<&mut Voice> {
        let hz = self.encoder.codec().sample_hz();
        match self.voices.iter().position(|voice| voice.from == from) {
            Some(place) => self.voices.get_mut(place),
            None => {
                self.voices.push(Voice { from, listening: Listening::new(hz), count: Rendered::default() });
                self.voices.last_mut()
            }
        }
    }

    /// Codes the next 20 ms into `out`; `None` as long as nobody has been heard.
    pub fn frame(&mut self, now: Time, out: &mut [u8]) -> Option<Frame> {
        self.turns = self.turns.wrapping_add(1);
        let mut samples = [0; MOST_SAMPLES];
        let samples = samples.get_mut(..self.encoder.codec().sample_hz() as usize / 50)?;
        for voice in &mut self.voices {
            let heard = voice.listening.next_20ms(now, samples);
            if heard != Heard::Silence {
                self.has_begun = true;
                voice.count.frames = voice.count.frames.saturating_add(1);
                voice.count.concealed = voice.count.concealed.saturating_add(u16::from(heard == Heard::Concealed));
                self.mix.add(samples);
            }
        }
        if !self.has_begun {
            return None;
        }
        self.mix.take(samples);
        let len = self.encoder.encode(samples, out);
        (len > 0).then_some(Frame { len, round: self.round, turn: self.turns })
    }

    /// What was made of one source since it was asked last; `None` beyond the last.
    pub fn take_count(&mut self, place: usize) -> Option<(MediaId, Rendered)> {
        self.voices.get_mut(place).map(|voice| (voice.from, std::mem::take(&mut voice.count)))
    }
}
