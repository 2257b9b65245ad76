//! Decoded audio waiting to be heard, in order, with what it was made of. Called by `listening`, which fills it and takes
//! 20 ms at a time.

use std::collections::VecDeque;

use super::listening::Heard;
use super::stretch::{self, Care};

/// 600 ms at 16 kHz: what half a second of packets decodes to, and one packet more. What is beyond is left out.
const MOST_SAMPLES: usize = 9600;

/// See the file's head.
#[derive(Debug, Default)]
pub(super) struct Playout {
    samples: Vec<i16>,
    /// Stretches of one kind, the next first; together as long as `samples`.
    runs: VecDeque<(Heard, usize)>,
}

impl Playout {
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    pub fn push(&mut self, heard: Heard, samples: &[i16]) {
        let samples = &samples[..samples.len().min(MOST_SAMPLES.saturating_sub(self.samples.len()))];
        self.samples.extend_from_slice(samples);
        self.lengthen_last(heard, samples.len());
    }

    pub fn push_silence(&mut self, samples: usize) {
        let samples = samples.min(MOST_SAMPLES.saturating_sub(self.samples.len()));
        self.samples.resize(self.samples.len() + samples, 0);
        self.lengthen_last(Heard::Silence, samples);
    }

    /// Fills `out`, with silence where nothing waits, and says what most of it was.
    pub fn take(&mut self, out: &mut [i16]) -> Heard {
        let len = self.samples.len().min(out.len());
        let (ready, rest) = out.split_at_mut(len);
        ready.copy_from_slice(&self.samples[..len]);
        rest.fill(0);
        self.samples.drain(..len);
        let (mut speech, mut concealed) = (0, 0);
        let mut left = len;
        while left > 0 {
            let Some((heard, run)) = self.runs.front_mut() else { break };
            let taken = left.min(*run);
            match heard {
                Heard::Speech => speech += taken,
                Heard::Concealed => concealed += taken,
                Heard::Silence => {}
            }
            left -= taken;
            *run -= taken;
            if *run == 0 {
                self.runs.pop_front();
            }
        }
        if concealed * 2 >= out.len() {
            Heard::Concealed
        } else if speech > 0 {
            Heard::Speech
        } else {
            Heard::Silence
        }
    }

    /// Takes up to `most` samples out of what is heard next, unheard; says how many.
    pub fn shorten(&mut self, samples_per_ms: usize, most: usize, care: Care) -> usize {
        let removed = stretch::shorten(&mut self.samples, samples_per_ms, most, care);
        let mut left = removed;
        while left > 0 {
            let Some((_, run)) = self.runs.front_mut() else { break };
            let taken = left.min(*run);
            left -= taken;
            *run -= taken;
            if *run == 0 {
                self.runs.pop_front();
            }
        }
        removed
    }

    /// Puts up to `most` samples into what is heard next, unheard; says how many.
    pub fn lengthen(&mut self, samples_per_ms: usize, most: usize, care: Care) -> usize {
        let added = stretch::lengthen(&mut self.samples, samples_per_ms, most, care);
        if let Some((_, run)) = self.runs.front_mut() {
            *run += added;
        }
        added
    }

    fn lengthen_last(&mut self, heard: Heard, samples: usize) {
        if samples == 0 {
            return;
        }
        match self.runs.back_mut().filter(|(kind, _)| *kind == heard) {
            Some((_, run)) => *run += samples,
            None => self.runs.push_back((heard, samples)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_named_after_what_most_of_it_was() {
        let mut playout = Playout::default();
        playout.push(Heard::Speech, &[1; 100]);
        playout.push(Heard::Concealed, &[2; 140]);
        playout.push_silence(80);
        let mut out = [9; 160];
        assert_eq!(playout.take(&mut out), Heard::Speech);
        assert_eq!(playout.take(&mut out), Heard::Concealed);
        assert_eq!((out[0], out[79], out[80]), (2, 2, 0));
        assert_eq!(playout.take(&mut out), Heard::Silence);
        assert_eq!(out, [0; 160]);
    }

    #[test]
    fn it_never_holds_more_than_600_ms() {
        let mut playout = Playout::default();
        for _ in 0..20 {
            playout.push(Heard::Speech, &[1; 900]);
            playout.push_silence(900);
        }
        assert_eq!(playout.len(), MOST_SAMPLES);
        assert_eq!(playout.runs.iter().map(|(_, run)| run).sum::<usize>(), MOST_SAMPLES);
        let removed = playout.shorten(8, 100, Care::Urgent);
        assert_eq!(playout.runs.iter().map(|(_, run)| run).sum::<usize>(), MOST_SAMPLES - removed);
        let added = playout.lengthen(8, 100, Care::Urgent);
        assert_eq!(playout.runs.iter().map(|(_, run)| run).sum::<usize>(), MOST_SAMPLES - removed + added);
    }
}
