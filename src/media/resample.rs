//! Between 8,000 and 16,000 samples a second, either way, by one half-band filter (63 taps, flat to 3.5 kHz, 60 dB down
//! from 4.5 kHz). Both ways delay by 2 ms. It keeps what it needs between calls, so frames may have any length.
//! Called by `coder` and the recorder.

use std::f64::consts::PI;
use std::sync::LazyLock;

/// Taps on one side of the middle that are not zero: every second tap of a half-band filter is.
const SIDE: usize = 16;
/// Input samples remembered: upwards 32 of 8 kHz, downwards 63 of 16 kHz.
const UP_MEMORY: usize = 2 * SIDE - 1;
const DOWN_MEMORY: usize = 4 * SIDE - 2;
/// Input samples worked on at a time.
const PIECE: usize = 320;
/// Kaiser's β for 60 dB.
const KAISER_BETA: f64 = 5.65;

/// `TAPS[k]` stands 2k+1 samples of 16 kHz off the middle, whose tap is a half.
static TAPS: LazyLock<[f32; SIDE]> = LazyLock::new(|| {
    let length = (2 * SIDE) as f64;
    let raw: [f64; SIDE] = std::array::from_fn(|k| {
        let offset = (2 * k + 1) as f64;
        let sinc = if k % 2 == 0 { 1.0 } else { -1.0 } / (PI * offset);
        let window = bessel_i0(KAISER_BETA * (1.0 - (offset / length).powi(2)).sqrt()) / bessel_i0(KAISER_BETA);
        sinc * window
    });
    // Both sides together carry the other half, so that a steady value passes unchanged.
    let sum: f64 = 2.0 * raw.iter().sum::<f64>();
    raw.map(|tap| (tap * 0.5 / sum) as f32)
});

/// The modified Bessel function of order zero, by its series.
fn bessel_i0(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for n in 1..40 {
        term *= (x / 2.0 / f64::from(n)).powi(2);
        sum += term;
    }
    sum
}

/// A change of rate, or none.
#[derive(Clone, Debug)]
pub enum Resampler {
    /// Both rates are the same.
    Same,
    Up(Up),
    Down(Down),
}

impl Resampler {
    /// From one of 8,000 and 16,000 samples a second to the other or the same.
    pub fn new(from_hz: u32, to_hz: u32) -> Resampler {
        match from_hz.cmp(&to_hz) {
            std::cmp::Ordering::Equal => Resampler::Same,
            std::cmp::Ordering::Less => Resampler::Up(Up::default()),
            std::cmp::Ordering::Greater => Resampler::Down(Down::default()),
        }
    }

    /// Converts as much of `input` as `out` takes the result of, and says how many samples were written.
    pub fn resample(&mut self, input: &[i16], out: &mut [i16]) -> usize {
        match self {
            Resampler::Same => {
                let len = input.len().min(out.len());
                out[..len].copy_from_slice(&input[..len]);
                len
            }
            Resampler::Up(up) => up.resample(input, out),
            Resampler::Down(down) => down.resample(input, out),
        }
    }
}

/// From 8 kHz to 16 kHz.
#[derive(Clone, Debug)]
pub struct Up {
    memory: [f32; UP_MEMORY],
}

impl Default for Up {
    fn default() -> Up {
        Up { memory: [0.0; UP_MEMORY] }
    }
}

impl Up {
    /// Two samples out for each one in; input that `out` has no room for is left out.
    pub fn resample(&mut self, input: &[i16], out: &mut [i16]) -> usize {
        let taps = &*TAPS;
        let input = &input[..input.len().min(out.len() / 2)];
        for (piece, out) in input.chunks(PIECE).zip(out.chunks_mut(2 * PIECE)) {
            let mut samples = [0.0; UP_MEMORY + PIECE];
            let samples = with_memory(&mut samples, &self.memory, piece);
            for (window, out) in samples.windows(2 * SIDE).zip(out.chunks_exact_mut(2)) {
                // `before` ends with the sample given out, `after` begins with the next one.
                let (before, after) = window.split_at(SIDE);
                out[0] = to_sample(before[SIDE - 1]);
                let pairs = before.iter().rev().zip(after);
                out[1] = to_sample(2.0 * pairs.zip(taps).map(|((left, right), tap)| (left + right) * tap).sum::<f32>());
            }
            remember(&mut self.memory, samples);
        }
        2 * input.len()
    }
}

/// From 16 kHz to 8 kHz.
#[derive(Clone, Debug)]
pub struct Down {
    memory: [f32; DOWN_MEMORY],
    /// The next input sample is one of those between two output samples.
    skips_next: bool,
}

impl Default for Down {
    fn default() -> Down {
        Down { memory: [0.0; DOWN_MEMORY], skips_next: false }
    }
}

impl Down {
    /// One sample out for every second one in; input that `out` has no room for is left out.
    pub fn resample(&mut self, input: &[i16], out: &mut [i16]) -> usize {
        let taps = &*TAPS;
        let input = &input[..input.len().min(2 * out.len())];
        let mut written = 0;
        for piece in input.chunks(PIECE) {
            let mut samples = [0.0; DOWN_MEMORY + PIECE];
            let samples = with_memory(&mut samples, &self.memory, piece);
            let first = usize::from(self.skips_next);
            let windows = samples.windows(DOWN_MEMORY + 1).skip(first).step_by(2);
            for (window, out) in windows.zip(out.iter_mut().skip(written)) {
                let (before, rest) = window.split_at(2 * SIDE - 1);
                let [middle, after @ ..] = rest else { continue };
                let pairs = before.iter().rev().step_by(2).zip(after.iter().step_by(2));
                *out = to_sample(0.5 * middle + pairs.zip(taps).map(|((left, right), tap)| (left + right) * tap).sum::<f32>());
                written += 1;
            }
            self.skips_next ^= piece.len() % 2 != 0;
            remember(&mut self.memory, samples);
        }
        written
    }
}

/// The memory and after it the piece, in `space`.
fn with_memory<'a>(space: &'a mut [f32], memory: &[f32], piece: &[i16]) -> &'a [f32] {
    let (old, new) = space.split_at_mut(memory.len());
    old.copy_from_slice(memory);
    new.iter_mut().zip(piece).for_each(|(to, from)| *to = f32::from(*from));
    &space[..memory.len() + piece.len()]
}

fn remember(memory: &mut [f32], samples: &[f32]) {
    memory.copy_from_slice(&samples[samples.len() - memory.len()..]);
}

fn to_sample(value: f32) -> i16 {
    // `as` saturates.
    value.round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::tones::{Sine, mean_square, power};

    fn convert(from_hz: u32, to_hz: u32, input: &[i16], piece: usize) -> Vec<i16> {
        let mut resampler = Resampler::new(from_hz, to_hz);
        let mut all = Vec::new();
        for piece in input.chunks(piece) {
            let mut out = [0; 2000];
            let len = resampler.resample(piece, &mut out);
            all.extend(&out[..len]);
        }
        all
    }

    #[test]
    fn a_tone_keeps_its_pitch_and_strength_and_gets_no_mirror() {
        for hz in [300.0, 1000.0, 2000.0, 3400.0] {
            let narrow: Vec<i16> = Sine::new(hz, 8000, 10000).take(8000).collect();
            let wide = convert(8000, 16000, &narrow, 160);
            assert_eq!(wide.len(), 16000);
            let whole = mean_square(&wide[1600..]);
            assert!((whole / mean_square(&narrow) - 1.0).abs() < 0.02, "{hz} Hz: {whole}");
            assert!(power(&wide[1600..], 16000, 8000.0 - hz) / whole < 1e-5, "mirror of {hz} Hz");
            let back = convert(16000, 8000, &wide, 320);
            assert_eq!(back.len(), 8000);
            assert!((power(&back[800..], 8000, hz) / mean_square(&narrow) - 1.0).abs() < 0.03, "{hz} Hz there and back");
        }
    }

    #[test]
    fn what_8_khz_cannot_hold_is_taken_out() {
        for hz in [4600.0, 5000.0, 6000.0, 7500.0] {
            let wide: Vec<i16> = Sine::new(hz, 16000, 20000).take(16000).collect();
            let narrow = convert(16000, 8000, &wide, 320);
            assert!(mean_square(&narrow[400..]) / mean_square(&wide) < 1e-5, "{hz} Hz folds back");
        }
    }

    #[test]
    fn pieces_of_any_length_give_the_same_samples() {
        let narrow: Vec<i16> = Sine::new(700.0, 8000, 9000).take(1601).collect();
        let whole = convert(8000, 16000, &narrow, 160);
        for piece in [1, 7, 79, 160, 333] {
            assert_eq!(convert(8000, 16000, &narrow, piece), whole, "up in pieces of {piece}");
        }
        let down = convert(16000, 8000, &whole, 320);
        for piece in [1, 3, 159, 640] {
            assert_eq!(convert(16000, 8000, &whole, piece), down, "down in pieces of {piece}");
        }
    }

    #[test]
    fn loud_square_waves_are_clipped_and_small_outputs_are_not_overrun() {
        let square: Vec<i16> = (0..800).map(|n| if n / 10 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        assert!(convert(8000, 16000, &square, 160).contains(&i16::MAX));
        let mut small = [0; 5];
        assert_eq!(Up::default().resample(&square, &mut small), 4);
        assert_eq!(Down::default().resample(&square, &mut small), 5);
        assert_eq!(Resampler::Same.resample(&square, &mut small), 5);
    }
}
