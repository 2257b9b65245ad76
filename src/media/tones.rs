//! Sounds that are computed: sine tones, the ringback of the Russian network, a voice-like babble for test callers, and
//! the measure by which tests hear them (Goertzel). Linear samples; sounds on disk are somebody else's business.

use std::f32::consts::TAU;

/// A sine of steady loudness, without end.
#[derive(Clone, Debug)]
pub struct Sine {
    phase: f32,
    step: f32,
    amplitude: f32,
}

impl Sine {
    /// `amplitude` in sample units, up to 32767.
    pub fn new(hz: f32, rate: u32, amplitude: i16) -> Sine {
        Sine { phase: 0.0, step: TAU * hz / rate as f32, amplitude: amplitude.into() }
    }
}

impl Iterator for Sine {
    type Item = i16;

    fn next(&mut self) -> Option<i16> {
        let sample = (self.phase.sin() * self.amplitude) as i16;
        self.phase = (self.phase + self.step) % TAU;
        Some(sample)
    }
}

/// Ringback frequency of the Russian network, in hertz.
pub const RINGBACK_HZ: f32 = 425.0;

/// One period of the Russian network's ringback at 8,000 samples a second: 1 s of 425 Hz, 4 s of silence. Repeat it.
pub fn ringback() -> Vec<i16> {
    const RATE: usize = 8000;
    let mut samples: Vec<i16> = Sine::new(RINGBACK_HZ, RATE as u32, 6000).take(RATE).collect();
    soften_edges(&mut samples, RATE / 200);
    samples.resize(RATE * 5, 0);
    samples
}

/// Four seconds at 8,000 samples a second for somebody whose other party is away: a soft hiss, so that the line is not dead,
/// and a low pip, so that they know that this is no silence of the other. Repeat it.
pub fn comfort() -> Vec<i16> {
    const RATE: usize = 8000;
    let mut samples: Vec<i16> = Sine::new(350.0, RATE as u32, 1500).take(RATE / 8).collect();
    soften_edges(&mut samples, RATE / 100);
    samples.resize(RATE * 4, 0);
    let mut state: u32 = 0x2545_f491;
    for sample in &mut samples {
        // Xorshift: the same hiss every time.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        *sample = sample.saturating_add((state >> 16) as i16 / 400);
    }
    samples
}

/// What reminds people of a recording, in hertz.
pub const BEEP_HZ: f32 = 1400.0;

/// 120 ms at 8,000 samples a second, some 24 dB below the loudest: heard, and no fright.
pub fn beep() -> Vec<i16> {
    const RATE: usize = 8000;
    let mut samples: Vec<i16> = Sine::new(BEEP_HZ, RATE as u32, 2000).take(RATE * 12 / 100).collect();
    soften_edges(&mut samples, RATE / 100);
    samples
}

/// Fades the first and last `edge` samples, so that a tone starts and stops without a click.
fn soften_edges(samples: &mut [i16], edge: usize) {
    let fade = |sample: &mut i16, index: usize| *sample = (f32::from(*sample) * index as f32 / edge as f32) as i16;
    samples.iter_mut().take(edge).enumerate().for_each(|(index, sample)| fade(sample, index));
    samples.iter_mut().rev().take(edge).enumerate().for_each(|(index, sample)| fade(sample, index));
}

/// The power of one frequency in `samples`: half its amplitude squared, so that a lone sine has `mean_square` of the
/// whole. Goertzel's filter; it tells frequencies apart that differ by more than `rate / samples.len()`.
pub fn power(samples: &[i16], rate: u32, hz: f32) -> f64 {
    if samples.is_empty() {
        return 0.0;
    }
    let angle = std::f64::consts::TAU * f64::from(hz) / f64::from(rate);
    let coefficient = 2.0 * angle.cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in samples {
        let next = f64::from(*sample) + coefficient * last - before;
        before = last;
        last = next;
    }
    let magnitude_squared = last * last + before * before - coefficient * last * before;
    let count = samples.len() as f64;
    2.0 * magnitude_squared / (count * count)
}

/// The power of the whole signal.
pub fn mean_square(samples: &[i16]) -> f64 {
    let sum: f64 = samples.iter().map(|sample| f64::from(*sample) * f64::from(*sample)).sum();
    if samples.is_empty() { 0.0 } else { sum / samples.len() as f64 }
}

/// A voice without words at 8,000 samples a second: a buzzing throat through the resonances of changing vowels, in
/// phrases with pauses between them. Endless and the same for the same seed. It looks like speech to a waveform view
/// and to a silence detector.
#[derive(Clone, Debug)]
pub struct Babble {
    random: u64,
    /// Phase of the throat, 0 to 1.
    throat: f32,
    pitch_hz: f32,
    resonators: [Resonator; 3],
    /// Samples left of the present syllable or pause, and of how many.
    left: u32,
    length: u32,
    syllables_left: u32,
    is_speaking: bool,
}

/// First three resonances of five vowels, in hertz, rounded from general phonetics.
const VOWELS_HZ: [[f32; 3]; 5] =
    [[730.0, 1100.0, 2450.0], [530.0, 1850.0, 2500.0], [280.0, 2250.0, 2900.0], [500.0, 850.0, 2400.0], [310.0, 700.0, 2250.0]];

impl Babble {
    pub fn new(seed: u64) -> Babble {
        let mut babble = Babble {
            random: seed.wrapping_mul(2).wrapping_add(1),
            throat: 0.0,
            pitch_hz: 0.0,
            resonators: [Resonator::default(); 3],
            left: 0,
            length: 1,
            syllables_left: 0,
            is_speaking: false,
        };
        babble.pitch_hz = babble.between(95, 210) as f32;
        babble
    }

    /// xorshift64: good enough to vary a voice.
    fn between(&mut self, low: u32, high: u32) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        low + (self.random >> 33) as u32 % (high - low)
    }

    fn next_piece(&mut self) {
        if self.syllables_left == 0 {
            self.is_speaking = !self.is_speaking && self.length > 1;
            self.syllables_left = if self.is_speaking { self.between(6, 16) } else { 1 };
        }
        self.syllables_left -= 1;
        self.length = if self.is_speaking { self.between(900, 1900) } else { self.between(2400, 7200) };
        self.left = self.length;
        let vowel = VOWELS_HZ[self.between(0, VOWELS_HZ.len() as u32) as usize];
        for (resonator, hz) in self.resonators.iter_mut().zip(vowel) {
            resonator.tune(hz);
        }
    }
}

impl Iterator for Babble {
    type Item = i16;

    fn next(&mut self) -> Option<i16> {
        if self.left == 0 {
            self.next_piece();
        }
        self.left -= 1;
        if !self.is_speaking {
            return Some(0);
        }
        // Each syllable swells and fades, and its pitch falls a little.
        let through = 1.0 - self.left as f32 / self.length as f32;
        let loudness = (through * TAU / 2.0).sin();
        self.throat += self.pitch_hz * (1.1 - 0.2 * through) / 8000.0;
        self.throat %= 1.0;
        let breath = self.between(0, 1000) as f32 / 1000.0 - 0.5;
        let buzz = (1.0 - 2.0 * self.throat) + breath * 0.2;
        let [low, middle, high] = &mut self.resonators;
        let voice = low.pass(buzz) + middle.pass(buzz) * 0.5 + high.pass(buzz) * 0.25;
        Some((voice * loudness * 7000.0).clamp(-32000.0, 32000.0) as i16)
    }
}

/// A two-pole resonance about 100 Hz wide.
#[derive(Clone, Copy, Debug, Default)]
struct Resonator {
    gain: f32,
    feedback: [f32; 2],
    memory: [f32; 2],
}

impl Resonator {
    fn tune(&mut self, hz: f32) {
        let radius = (-TAU / 2.0 * 100.0 / 8000.0_f32).exp();
        self.feedback = [2.0 * radius * (TAU * hz / 8000.0).cos(), -radius * radius];
        self.gain = 1.0 - radius;
    }

    fn pass(&mut self, input: f32) -> f32 {
        let output = self.gain * input + self.feedback[0] * self.memory[0] + self.feedback[1] * self.memory[1];
        self.memory = [output, self.memory[0]];
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comfort_is_soft_and_never_quite_silent() {
        let samples = comfort();
        assert_eq!(samples.len(), 32_000);
        assert!(samples.chunks(160).all(|frame| mean_square(frame) > 100.0));
        assert!(samples.iter().all(|sample| sample.unsigned_abs() < 2000));
        assert!(power(&samples[..1000], 8000, 350.0) > 100_000.0, "the pip");
    }

    #[test]
    fn goertzel_hears_its_own_tone_and_not_the_neighbour() {
        let samples: Vec<i16> = Sine::new(700.0, 8000, 10000).take(1600).collect();
        let whole = mean_square(&samples);
        assert!((power(&samples, 8000, 700.0) / whole - 1.0).abs() < 0.01);
        assert!(power(&samples, 8000, 900.0) / whole < 0.001);
        assert_eq!(power(&[], 8000, 700.0), 0.0);
    }

    #[test]
    fn goertzel_finds_both_of_two_tones() {
        let other = Sine::new(1300.0, 8000, 3000);
        let samples: Vec<i16> = Sine::new(500.0, 8000, 3000).zip(other).map(|(a, b)| a + b).take(1600).collect();
        let expected = 3000.0 * 3000.0 / 2.0;
        for hz in [500.0, 1300.0] {
            assert!((power(&samples, 8000, hz) / expected - 1.0).abs() < 0.02, "{hz} Hz");
        }
    }

    #[test]
    fn ringback_is_one_second_of_425_hz_in_five() {
        let samples = ringback();
        assert_eq!(samples.len(), 40000);
        assert!(power(&samples[..8000], 8000, 425.0) / mean_square(&samples[..8000]) > 0.98);
        assert!(samples[8000..].iter().all(|sample| *sample == 0));
        assert_eq!((samples[0], samples[7999]), (0, 0), "no click at the edges");
    }

    #[test]
    fn babble_has_phrases_and_pauses_and_is_the_same_for_a_seed() {
        for seed in [0, 1, 7, u64::MAX] {
            let samples: Vec<i16> = Babble::new(seed).take(8000 * 20).collect();
            let silent = samples.chunks(160).filter(|chunk| mean_square(chunk) < 1.0).count();
            assert!((50..600).contains(&silent), "seed {seed}: {silent} of 1000 frames are silent");
            let loudness = mean_square(&samples).sqrt();
            assert!((500.0..8000.0).contains(&loudness), "seed {seed}: RMS {loudness}");
            assert!(samples.iter().any(|sample| *sample != 0) && samples.iter().all(|sample| sample.abs() < 32000));
            assert!(samples.iter().copied().eq(Babble::new(seed).take(samples.len())));
        }
    }
}
