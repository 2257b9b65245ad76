//! The decoders of one side of a recording: coded frames in the order they were said to samples of the file. A packet that
//! is missing is made up when its neighbours are there; a longer hole is silence. It knows no arrival. Used by `track` only.

use std::collections::VecDeque;

use super::track::{Placed, SAMPLES_PER_MS};
use crate::media::codec::Codec;
use crate::media::coder::{Decoder, MAX_PCM_SAMPLES};
use crate::media::stretch;

/// The longest hole that is made up.
const MOST_MADE_UP: i64 = 60 * SAMPLES_PER_MS;
/// Where a run is broken, both ends are faded over this long, so that it does not click.
pub(super) const FADE: i64 = 2 * SAMPLES_PER_MS;
/// What a line may have moved between two packets that follow each other: it is taken up in the second.
pub(super) const MOST_NUDGED: i64 = 4;
/// The join of two codecs of one speaker.
const JOIN: i64 = 5 * SAMPLES_PER_MS;
/// The speaker and, around a change, the one before.
const MOST_VOICES: usize = 2;

/// One stream with its decoder.
#[derive(Debug)]
struct Voice {
    ssrc: u32,
    codec: Codec,
    decoder: Decoder,
    /// The last packet decoded, and the position where it ended.
    sequence: u16,
    end: i64,
}

/// See the file's head.
#[derive(Debug)]
pub(super) struct Voices {
    hz: u32,
    /// The latest last.
    voices: Vec<Voice>,
    /// Samples of the file from position `taken` on.
    ready: Vec<i16>,
    taken: i64,
}

impl Voices {
    pub fn new(hz: u32) -> Voices {
        Voices { hz: if hz == 16_000 { 16_000 } else { 8000 }, voices: Vec::new(), ready: Vec::new(), taken: 0 }
    }

    /// Decodes a frame into its place. Frames are to come in the order of their positions; `following` are those after it.
    pub fn say(&mut self, frame: Placed, following: &mut VecDeque<Placed>) {
        let frame = whole(frame, following);
        self.bridge(&frame, i64::MAX);
        let scale = self.scale();
        let (hz, is_new) = (self.hz, self.voice_of(&frame).is_none());
        let mut tail = None;
        if is_new {
            // Whoever comes back to a codec begins afresh in it.
            self.voices.retain(|voice| (voice.ssrc, voice.codec) != (frame.ssrc, frame.codec));
            // A change of codec in the midst of speech: the former voice goes over into the new one.
            if let Some(former) = self.voices.last_mut().filter(|voice| voice.end == frame.position && voice.ssrc == frame.ssrc) {
                let samples = tail.insert([0; 2 * JOIN as usize]);
                former.decoder.conceal(scale * JOIN as usize, samples);
            }
            if self.voices.len() >= MOST_VOICES {
                self.voices.remove(0);
            }
            let decoder = Decoder::new(frame.codec, hz);
            self.voices.push(Voice {
                ssrc: frame.ssrc,
                codec: frame.codec,
                decoder,
                sequence: frame.sequence,
                end: frame.position,
            });
        }
        let Some(voice) = self.voice_of(&frame) else { return };
        if !is_new && frame.sequence == voice.sequence && frame.position < voice.end {
            return;
        }
        let is_after_hole = !is_new && frame.position > voice.end + MOST_NUDGED;
        let goes_on = !is_new && !frame.begins && frame.sequence.wrapping_sub(voice.sequence) <= 1;
        let off = Some(frame.position - voice.end).filter(|off| goes_on && *off != 0 && off.abs() <= MOST_NUDGED);
        let mut samples = [0; MAX_PCM_SAMPLES];
        let len = voice.decoder.decode(&frame.audio, &mut samples).min(MAX_PCM_SAMPLES);
        let samples = &mut samples[..len];
        (voice.sequence, voice.end) = (frame.sequence, frame.position + frame.length);
        if let Some(tail) = tail {
            stretch::join(&tail[..scale * JOIN as usize], samples);
        } else if is_new || frame.begins || is_after_hole {
            self.fade_out_before(frame.position);
            fade(samples.iter_mut().take(scale * FADE as usize));
        }
        match off {
            Some(off) => self.write(frame.position - off, &nudged(samples, off * scale as i64)),
            None => self.write(frame.position, samples),
        }
    }

    /// Makes up what is missing right before `frame`, if it is little and begins before `until`.
    pub fn bridge(&mut self, frame: &Placed, until: i64) {
        let scale = self.scale();
        let Some(voice) = self.voice_of(frame) else { return };
        let (from, hole) = (voice.end, frame.position - voice.end);
        let lost = frame.sequence.wrapping_sub(voice.sequence).wrapping_sub(1);
        // Where no number is missing the sender was silent of its own will.
        let is_loss = (1..u16::MAX / 2).contains(&lost) && (1..=MOST_MADE_UP).contains(&hole);
        if !is_loss || frame.begins || from >= until {
            return;
        }
        let mut samples = [0; MAX_PCM_SAMPLES];
        let len = voice.decoder.recover(&frame.audio, hole as usize * scale, &mut samples).min(MAX_PCM_SAMPLES);
        (voice.sequence, voice.end) = (frame.sequence.wrapping_sub(1), frame.position);
        self.write(from, &samples[..len]);
    }

    /// The samples up to position `until`, gaps as silence.
    pub fn take(&mut self, until: i64, out: &mut Vec<i16>) {
        let wanted = usize::try_from(until - self.taken).unwrap_or(0) * self.scale();
        let ready = wanted.min(self.ready.len());
        out.extend(self.ready.drain(..ready));
        out.resize(out.len() + wanted - ready, 0);
        self.taken = self.taken.max(until);
    }

    /// The one that spoke last, if it is the frame's.
    fn voice_of(&mut self, frame: &Placed) -> Option<&mut Voice> {
        self.voices.last_mut().filter(|voice| voice.ssrc == frame.ssrc && voice.codec == frame.codec)
    }

    /// Samples of the file in one position.
    fn scale(&self) -> usize {
        self.hz as usize / 8000
    }

    /// Puts samples in their place; what lies before `taken` is cut.
    fn write(&mut self, position: i64, samples: &[i16]) {
        let too_late = usize::try_from(self.taken - position).unwrap_or(0).saturating_mul(self.scale());
        let Some(samples) = samples.get(too_late..) else { return };
        let start = usize::try_from(position - self.taken).unwrap_or(0) * self.scale();
        let end = start + samples.len();
        if self.ready.len() < end {
            self.ready.resize(end, 0);
        }
        self.ready[start..end].copy_from_slice(samples);
    }

    fn fade_out_before(&mut self, position: i64) {
        let len = self.scale() * FADE as usize;
        let at = usize::try_from(position - self.taken).ok().map(|at| at * self.scale());
        // What was there beyond the break would be heard after the new run's first packet.
        if let Some(at) = at.filter(|at| *at <= self.ready.len()) {
            self.ready.truncate(at);
        }
        if let Some(before) = at.and_then(|at| self.ready.get_mut(at.saturating_sub(len)..at)) {
            fade(before.iter_mut().rev());
        }
    }
}

/// An Opus packet that the tap cut in pieces, put together again: a piece alone means nothing.
fn whole(mut frame: Placed, following: &mut VecDeque<Placed>) -> Placed {
    let is_piece = |next: &Placed, frame: &Placed| {
        frame.codec == Codec::Opus
            && (next.codec, next.ssrc, next.sequence) == (frame.codec, frame.ssrc, frame.sequence)
            && next.position > frame.position
    };
    while let Some(piece) = following.pop_front_if(|next| is_piece(next, &frame)) {
        frame.audio = [frame.audio, piece.audio].concat().into();
    }
    frame
}

/// The same audio longer by so many samples, or shorter: each is put in or taken out where it is missed least.
fn nudged(samples: &[i16], by: i64) -> Vec<i16> {
    let mut samples = samples.to_vec();
    for _ in 0..by.abs() {
        let edges = samples
            .windows(3)
            .map(|near| i32::from(near[0]).abs_diff(near[1].into()) + i32::from(near[1]).abs_diff(near[2].into()));
        let Some((_, at)) = edges.zip(1..).min() else { return samples };
        if by > 0 {
            samples.insert(at, samples[at]);
        } else {
            samples.remove(at);
        }
    }
    samples
}

/// From silence up to full strength in the order given.
fn fade<'a>(samples: impl ExactSizeIterator<Item = &'a mut i16>) {
    let len = i32::try_from(samples.len()).unwrap_or(1);
    for (sample, step) in samples.zip(0_i32..) {
        *sample = i16::try_from(i32::from(*sample) * step / len).unwrap_or(*sample);
    }
}
