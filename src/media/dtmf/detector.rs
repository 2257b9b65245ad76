//! Keys heard in audio (ITU-T Q.24): finds the pair of tones that a telephone without telephone-events sends when a key is
//! pressed. It must hear every press of 40 ms or more and mistake no voice for one. Called by the relay for legs whose
//! far end agreed to no telephone-events. It removes nothing from the audio.
//!
//! Every 5 ms it looks at the last 20. The eight tones are compared with that stretch; the strongest row and column are
//! a key when
//!
//! ```text
//! they are the whole of it     80 % of the power or more: a voice has overtones and breath, noise has everything
//! their pitch is right         within 1.5 % and 5 Hz, measured by how the phase turns from one half to the other
//! they are alike in strength   column at most 4 dB above and 8 dB below the row, and 1.5 dB for the measurement
//! they are loud enough         -38 dBm0 each
//! ```
//!
//! and a press when five looks in a row say the same. It has ended when nine looks in a row say otherwise: the 40 ms of
//! silence between two presses give at least ten such looks, a lost packet of 20 ms within a press at most eight.

use std::f32::consts::{PI, TAU};
use std::sync::LazyLock;

use smallvec::SmallVec;

use super::{COLUMNS_HZ, KEYPAD, ROWS_HZ};

/// Samples a second.
const RATE: f32 = 8000.0;
/// Samples of one slice; four are looked at together.
const SLICE: usize = 40;
const SLICES: usize = 4;
const TONES: usize = 8;

/// The share of the power that the two tones must have. It also says how much of a look a tone must fill.
const PURE: f32 = 0.80;
/// Pitch may be off by this share and this much more (Q.24: 1.5 % is valid, 3.5 % is not).
const PITCH_SHARE: f32 = 0.015;
const PITCH_HZ: f32 = 5.0;
/// Power of the column over that of the row.
const MOST_OVER: f32 = 3.55;
const MOST_UNDER: f32 = 0.112;
/// The least power of one tone: a sine of -38 dBm0.
const LEAST_POWER: f32 = 41_000.0;
/// Looks in a row that make a press, and that end one.
const LOOKS_TO_BEGIN: u8 = 5;
const LOOKS_TO_END: u8 = 9;

/// Cosine and sine of each tone at each sample of a slice.
static WAVES: LazyLock<[([f32; TONES], [f32; TONES]); SLICE]> = LazyLock::new(|| {
    std::array::from_fn(|n| {
        let angle = |tone: usize| (TAU * tone_hz(tone) * n as f32 / RATE) % TAU;
        (std::array::from_fn(|tone| angle(tone).cos()), std::array::from_fn(|tone| angle(tone).sin()))
    })
});

/// Cosine and sine of the angle by which each tone's phase at the beginning of a slice is ahead of the first slice's.
static TURNS: LazyLock<[[(f32, f32); TONES]; SLICES]> = LazyLock::new(|| {
    let angle = |slice: usize, tone: usize| (TAU * tone_hz(tone) * (slice * SLICE) as f32 / RATE) % TAU;
    std::array::from_fn(|slice| std::array::from_fn(|tone| (angle(slice, tone).cos(), angle(slice, tone).sin())))
});

fn tone_hz(tone: usize) -> f32 {
    ROWS_HZ.iter().chain(&COLUMNS_HZ).nth(tone).copied().unwrap_or(0.0)
}

/// What one slice has of each tone, as complex numbers whose phase counts from the slice's own beginning.
#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    real: [f32; TONES],
    imaginary: [f32; TONES],
    power: f32,
    is_lost: bool,
}

/// Listens to one stream of 8,000 samples a second.
#[derive(Clone, Debug)]
pub struct ToneDetector {
    /// The newest last.
    slices: [Slice; SLICES],
    /// The slice that is being filled.
    filling: Slice,
    filled: usize,
    /// What the last looks said, how many of them, and how many could say nothing in between.
    candidate: Option<char>,
    looks: u8,
    blind_looks: u8,
    pressed: Option<char>,
    looks_without: u8,
}

impl Default for ToneDetector {
    fn default() -> ToneDetector {
        ToneDetector {
            slices: [Slice::default(); SLICES],
            filling: Slice::default(),
            filled: 0,
            candidate: None,
            looks: 0,
            blind_looks: 0,
            pressed: None,
            looks_without: 0,
        }
    }
}

impl ToneDetector {
    /// Hears on; says the keys that were found to be down, each once a press: in 20 ms at most one.
    pub fn hear(&mut self, samples: &[i16]) -> SmallVec<[char; 2]> {
        let mut keys = SmallVec::new();
        let mut samples = samples;
        while !samples.is_empty() {
            let (now, later) = samples.split_at(samples.len().min(SLICE - self.filled));
            self.fill(now);
            samples = later;
            if self.filled == SLICE {
                keys.extend(self.finish_slice());
            }
        }
        keys
    }

    /// Audio of this many samples was lost: nothing can be said of it, neither that a key was down nor that it was up.
    pub fn miss(&mut self, samples: usize) {
        // More than a second says no more than a second does.
        for _ in 0..samples.min(RATE as usize) {
            self.filling.is_lost = true;
            self.filled += 1;
            if self.filled == SLICE {
                self.finish_slice();
            }
        }
    }

    fn fill(&mut self, samples: &[i16]) {
        let slice = &mut self.filling;
        for (sample, (cosines, sines)) in samples.iter().zip(WAVES.iter().skip(self.filled)) {
            let sample = f32::from(*sample);
            slice.power += sample * sample;
            for (sum, cosine) in slice.real.iter_mut().zip(cosines) {
                *sum += sample * cosine;
            }
            for (sum, sine) in slice.imaginary.iter_mut().zip(sines) {
                *sum -= sample * sine;
            }
        }
        self.filled += samples.len();
    }

    fn finish_slice(&mut self) -> Option<char> {
        self.slices.rotate_left(1);
        self.slices[SLICES - 1] = std::mem::take(&mut self.filling);
        self.filled = 0;
        if self.slices.iter().any(|slice| slice.is_lost) {
            self.blind_looks = self.blind_looks.saturating_add(1);
            return None;
        }
        let seen = self.look();
        if seen.is_some() && seen == self.candidate {
            self.looks = self.looks.saturating_add(1);
        } else {
            self.candidate = seen;
            self.looks = 1;
            self.blind_looks = 0;
        }
        if seen.is_some() && seen == self.pressed {
            self.looks_without = 0;
            return None;
        }
        self.looks_without = self.looks_without.saturating_add(1);
        if self.looks_without >= LOOKS_TO_END {
            self.pressed = None;
        }
        // The same key on both sides of a lost packet was down all the time.
        let agreeing = self.looks + if self.looks > 1 { self.blind_looks / 2 } else { 0 };
        if seen.is_some() && agreeing >= LOOKS_TO_BEGIN {
            self.pressed = seen;
            self.looks_without = 0;
            return seen;
        }
        None
    }

    /// The key whose tones are the last 20 ms, if they are any.
    fn look(&self) -> Option<char> {
        let power = self.slices.iter().map(|slice| slice.power).sum::<f32>() / (SLICE * SLICES) as f32;
        if power < 2.0 * LEAST_POWER {
            return None;
        }
        let row = self.strongest(0)?;
        let column = self.strongest(ROWS_HZ.len())?;
        let (row_power, column_power) = (row.power, column.power);
        let is_loud = row_power >= LEAST_POWER && column_power >= LEAST_POWER;
        let is_even = (MOST_UNDER..=MOST_OVER).contains(&(column_power / row_power));
        let is_pure = row_power + column_power >= PURE * power;
        if !(is_loud && is_even && is_pure && row.is_in_tune && column.is_in_tune) {
            return None;
        }
        KEYPAD.get(row.tone)?.get(column.tone - ROWS_HZ.len()).copied()
    }

    /// The strongest of the four tones from `first` on.
    fn strongest(&self, first: usize) -> Option<Tone> {
        let tones = first..first + ROWS_HZ.len();
        let halves = tones.map(|tone| (tone, self.halves(tone)));
        let strength = |[(a, b), (c, d)]: [(f32, f32); 2]| a * a + b * b + c * c + d * d;
        let (tone, halves) = halves.max_by(|one, other| strength(one.1).total_cmp(&strength(other.1)))?;
        Some(Tone::of(tone, halves))
    }

    /// What each half of the last 20 ms has of a tone, both with phases that count from the beginning of the first.
    fn halves(&self, tone: usize) -> [(f32, f32); 2] {
        let mut halves = [(0.0, 0.0); 2];
        for (n, (slice, turns)) in self.slices.iter().zip(TURNS.iter()).enumerate() {
            let (real, imaginary, (cosine, sine)) = (slice.real[tone], slice.imaginary[tone], turns[tone]);
            let half = &mut halves[n / 2];
            half.0 += real * cosine + imaginary * sine;
            half.1 += imaginary * cosine - real * sine;
        }
        halves
    }
}

struct Tone {
    tone: usize,
    power: f32,
    is_in_tune: bool,
}

impl Tone {
    fn of(tone: usize, [(a, b), (c, d)]: [(f32, f32); 2]) -> Tone {
        // How far the phase turns in 10 ms beyond what it should is how far the pitch is off.
        let off_turn = (d * a - c * b).atan2(c * a + d * b);
        let half_seconds = 2.0 * SLICE as f32 / RATE;
        let off_hz = off_turn / (TAU * half_seconds);
        // A tone that is off is seen weaker in each half: undo it.
        let seen = sinc(off_hz * half_seconds);
        let amplitude = 2.0 * (a.hypot(b) + c.hypot(d)) / (SLICE * SLICES) as f32 / seen;
        let is_in_tune = off_hz.abs() <= PITCH_SHARE * tone_hz(tone) + PITCH_HZ;
        Tone { tone, power: amplitude * amplitude / 2.0, is_in_tune }
    }
}

fn sinc(x: f32) -> f32 {
    if x.abs() < 1e-3 { 1.0 } else { (PI * x).sin() / (PI * x) }
}
