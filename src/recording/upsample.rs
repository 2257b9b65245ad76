//! 8 kHz to 16 kHz, one channel, as a stream: the samples stay and a half-band filter puts one between each two.
//! It delays by [`DELAY_SAMPLES`], the same for both channels, so they stay aligned. Used by the clerk only.

use std::f64::consts::PI;
use std::sync::LazyLock;

/// Taps of the filter's odd phase. With β = 6 images of speech (up to 3.4 kHz) are some 60 dB down.
const TAPS: usize = 32;
const KAISER_BETA: f64 = 6.0;
/// Input samples (of 8 kHz) between a sample and its place in the output: 2 ms.
pub const DELAY_SAMPLES: usize = TAPS / 2;

static FILTER: LazyLock<[f32; TAPS]> = LazyLock::new(half_band);

/// The filter's memory.
#[derive(Clone, Debug)]
pub struct Upsampler {
    /// The last `TAPS - 1` samples, then the present input; its room is used again.
    line: Vec<f32>,
}

impl Default for Upsampler {
    fn default() -> Self {
        Upsampler { line: vec![0.0; TAPS - 1] }
    }
}

impl Upsampler {
    /// Appends two samples for each of `input`.
    pub fn push(&mut self, input: &[i16], out: &mut Vec<i16>) {
        let filter = &*FILTER;
        out.reserve(2 * input.len());
        self.line.extend(input.iter().map(|sample| f32::from(*sample)));
        for window in self.line.windows(TAPS) {
            // A float-to-integer `as` saturates, which is what a loud peak between two samples needs.
            out.push(window[DELAY_SAMPLES - 1] as i16);
            out.push(between(window, filter).round() as i16);
        }
        self.line.drain(..input.len());
    }
}

/// The value in the middle of `window`: a dot product, in eight sums side by side that the processor adds at once.
fn between(window: &[f32], filter: &[f32; TAPS]) -> f32 {
    let mut sums = [0.0; 8];
    for (samples, taps) in window.chunks_exact(8).zip(filter.chunks_exact(8)) {
        for ((sum, sample), tap) in sums.iter_mut().zip(samples).zip(taps) {
            *sum += sample * tap;
        }
    }
    sums.iter().sum()
}

/// A sinc half-way between samples under a Kaiser window, scaled to keep the level of a constant.
fn half_band() -> [f32; TAPS] {
    let centre = (TAPS as f64 - 1.0) / 2.0;
    let taps: [f64; TAPS] = std::array::from_fn(|index| {
        let x = index as f64 - centre;
        let edge = x / (centre + 0.5);
        (PI * x).sin() / (PI * x) * bessel_i0(KAISER_BETA * (1.0 - edge * edge).sqrt()) / bessel_i0(KAISER_BETA)
    });
    let sum: f64 = taps.iter().sum();
    taps.map(|tap| (tap / sum) as f32)
}

/// The modified Bessel function of the first kind, order 0, by its series.
fn bessel_i0(x: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    for k in 1..40 {
        term *= (x / (2.0 * f64::from(k))).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::tones::{Sine, power};

    fn upsampled(input: &[i16]) -> Vec<i16> {
        let mut out = Vec::new();
        let mut upsampler = Upsampler::default();
        input.chunks(77).for_each(|chunk| upsampler.push(chunk, &mut out));
        out
    }

    #[test]
    fn a_tone_keeps_its_level_and_its_image_is_a_thousandth_of_it() {
        for hz in [300.0, 1000.0, 2000.0, 3000.0, 3400.0] {
            let tone: Vec<i16> = Sine::new(hz, 8000, 10_000).take(4080).collect();
            let out = upsampled(&tone);
            let steady = &out[160..8160];
            let amplitude = |hz| (2.0 * power(steady, 16_000, hz)).sqrt();
            let (kept, image) = (amplitude(hz), amplitude(8000.0 - hz));
            assert!((kept - 10_000.0).abs() < 100.0, "{hz} Hz came out as {kept}");
            assert!(image < 10.0, "the image of {hz} Hz is {image}");
        }
    }

    #[test]
    fn the_delay_is_what_is_stated_and_loud_peaks_do_not_wrap() {
        let mut input = vec![0; 64];
        input[20] = 20_000;
        let out = upsampled(&input);
        let loudest = out.iter().enumerate().max_by_key(|(_, sample)| **sample).map(|(at, _)| at);
        assert_eq!(loudest, Some(2 * (20 + DELAY_SAMPLES)));
        let square: Vec<i16> = (0..400).map(|n| if n / 4 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        let out = upsampled(&square);
        assert!(out[64..].chunks(8).all(|half| half[2].signum() == half[5].signum()));
    }
}
