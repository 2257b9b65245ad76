//! What stands in for audio that never came, for codecs that have no idea of their own (G.711, G.722): the last pitch
//! period over and over, fading out within 60 ms, joined on both sides without a click (the idea of G.711 Appendix I,
//! without its added delay). Called by `coder`.

use super::stretch;

/// Samples of 1 ms at 16 kHz times the milliseconds remembered: two of the longest periods and the piece compared.
const MEMORY: usize = 16 * 48;
/// The longest period, and the shortest.
const LONGEST_MS: usize = 15;
const SHORTEST_TENTHS_MS: usize = 25;
/// The last audio of this length is what must repeat.
const COMPARED_MS: usize = 10;
/// Full strength for so long, then down to nothing.
const FULL_MS: usize = 10;
const GONE_MS: usize = 60;
/// Audio that repeats worse than this is noise: the longest piece then buzzes least.
const VOICED: f32 = 0.5;
/// The join to what follows: so long for a short loss, longer for a long one.
const JOIN_MS: usize = 4;
const LONGEST_JOIN_MS: usize = 10;

/// Stands in for losses of one stream.
#[derive(Clone, Debug)]
pub struct Concealer {
    samples_per_ms: usize,
    /// The latest audio given out, the made-up included; the newest last.
    memory: [i16; MEMORY],
    /// While made-up audio goes on: the period that is repeated, and how many samples were made up.
    period: [i16; 16 * LONGEST_MS],
    period_len: usize,
    made_up: usize,
    /// What the first sample made up is off from the last one heard; worn off over 2 ms.
    step: f32,
}

impl Concealer {
    /// For samples at `hz` a second, 8,000 or 16,000.
    pub fn new(hz: u32) -> Concealer {
        let samples_per_ms = if hz == 16_000 { 16 } else { 8 };
        Concealer { samples_per_ms, memory: [0; MEMORY], period: [0; 16 * LONGEST_MS], period_len: 1, made_up: 0, step: 0.0 }
    }

    /// Takes note of decoded audio, and joins its beginning to what was made up before it.
    pub fn heard(&mut self, samples: &mut [i16]) {
        if samples.is_empty() {
            return;
        }
        if self.made_up > 0 {
            let ms = self.samples_per_ms;
            let len = (JOIN_MS * ms + self.made_up / 4).min(LONGEST_JOIN_MS * ms).min(samples.len());
            let mut tail = [0; 16 * LONGEST_JOIN_MS];
            let tail = &mut tail[..len];
            self.make_up(tail);
            stretch::join(tail, samples);
            self.made_up = 0;
        }
        self.remember(samples);
    }

    /// Fills `out` with made-up audio.
    pub fn conceal(&mut self, out: &mut [i16]) {
        if self.made_up == 0 {
            self.find_period();
        }
        self.make_up(out);
        self.remember(out);
    }

    fn make_up(&mut self, out: &mut [i16]) {
        let ms = self.samples_per_ms;
        let (full, gone, worn) = (FULL_MS * ms, GONE_MS * ms, 2 * ms);
        for sample in out {
            let at = self.made_up;
            self.made_up = self.made_up.saturating_add(1);
            if at >= gone {
                *sample = 0;
                continue;
            }
            let loudness = if at < full { 1.0 } else { (gone - at) as f32 / (gone - full) as f32 };
            let step = if at < worn { self.step * (worn - at) as f32 / worn as f32 } else { 0.0 };
            let repeated = self.period.get(at % self.period_len).copied().unwrap_or(0);
            *sample = ((f32::from(repeated) + step) * loudness) as i16;
        }
    }

    /// Finds the length over which the end of the memory repeats best, and keeps the last stretch of that length.
    fn find_period(&mut self) {
        let ms = self.samples_per_ms;
        let end = self.memory.len();
        let compared = &self.memory[end - COMPARED_MS * ms..];
        let mut best = (LONGEST_MS * ms, VOICED);
        for lag in SHORTEST_TENTHS_MS * ms / 10..=LONGEST_MS * ms {
            let likeness = stretch::likeness(compared, &self.memory[end - lag - COMPARED_MS * ms..end - lag]);
            if likeness > best.1 {
                best = (lag, likeness);
            }
        }
        let len = best.0;
        let period = &mut self.period[..len];
        period.copy_from_slice(&self.memory[end - len..]);
        // The end of the period glides into what came before its beginning, so that the repetition has no edge.
        let glide = len / 4;
        let before = &self.memory[end - len - glide..end - len];
        let edge = &mut period[len - glide..];
        for (n, (sample, earlier)) in edge.iter_mut().zip(before).enumerate() {
            let share = (n + 1) as f32 / (glide + 1) as f32;
            *sample = (f32::from(*sample) * (1.0 - share) + f32::from(*earlier) * share) as i16;
        }
        self.period_len = len;
        self.step = f32::from(self.memory[end - 1]) - f32::from(self.memory[end - len - 1]);
    }

    fn remember(&mut self, samples: &[i16]) {
        let fresh = &samples[samples.len().saturating_sub(MEMORY)..];
        self.memory.copy_within(fresh.len().., 0);
        self.memory[MEMORY - fresh.len()..].copy_from_slice(fresh);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::tones::{Babble, Sine, mean_square, power};

    /// A tone of 600 ms with `lost` made up, and the largest step between neighbours.
    fn with_hole(hz: u32, tone_hz: f32, lost: std::ops::Range<usize>) -> (Vec<i16>, i32) {
        let mut concealer = Concealer::new(hz);
        let mut samples: Vec<i16> = Sine::new(tone_hz, hz, 10000).take(hz as usize * 6 / 10).collect();
        let frame = hz as usize / 50;
        for (n, frame) in samples.chunks_mut(frame).enumerate() {
            if lost.contains(&n) { concealer.conceal(frame) } else { concealer.heard(frame) }
        }
        let step = samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap();
        (samples, step)
    }

    #[test]
    fn a_lost_packet_of_a_tone_leaves_no_click() {
        for hz in [8000, 16_000] {
            for tone_hz in [180.0, 440.0, 1000.0, 1333.0] {
                let natural = 10000.0 * std::f32::consts::TAU * tone_hz / hz as f32;
                let (samples, step) = with_hole(hz, tone_hz, 10..11);
                assert!((step as f32) < natural * 1.4 + 200.0, "{tone_hz} Hz at {hz}: step {step}, natural {natural}");
                let hole = &samples[hz as usize / 5..hz as usize / 5 + hz as usize / 50];
                assert!(power(hole, hz, tone_hz) > 0.5e8 * 0.6, "{tone_hz} Hz at {hz}: the hole is filled with the tone");
            }
        }
    }

    #[test]
    fn a_long_loss_fades_to_silence_and_comes_back_softly() {
        let (samples, step) = with_hole(8000, 440.0, 10..20);
        assert!(samples[1600 + 480..3200].iter().all(|sample| *sample == 0), "silent after 60 ms");
        assert!(step < 4800, "no click at either end: {step}");
        assert!(mean_square(&samples[3400..]) > 0.45e8, "and loud again");
    }

    #[test]
    fn silence_is_concealed_by_silence_and_speech_by_something_like_it() {
        let mut concealer = Concealer::new(8000);
        let mut out = [1; 160];
        concealer.conceal(&mut out);
        assert_eq!(out, [0; 160]);
        let mut concealer = Concealer::new(8000);
        let mut speech: Vec<i16> = Babble::new(3).skip_while(|sample| *sample == 0).take(8000).collect();
        let loudness = mean_square(&speech[480..800]);
        concealer.heard(&mut speech[..800]);
        concealer.conceal(&mut out);
        let made_up = mean_square(&out);
        assert!(made_up > loudness / 10.0 && made_up < loudness * 10.0, "{made_up} beside {loudness}");
    }

    #[test]
    fn full_scale_and_odd_lengths_do_no_harm() {
        let mut concealer = Concealer::new(16_000);
        for n in 0..200_usize {
            let mut samples: Vec<i16> = (0..n * 7 % 900).map(|k| if (k + n) % 5 < 2 { i16::MAX } else { i16::MIN }).collect();
            if n % 3 == 0 { concealer.conceal(&mut samples) } else { concealer.heard(&mut samples) }
        }
    }
}
