//! Comfort noise (RFC 3389): what a sender who stops sending in pauses says of the noise around him, that noise made anew
//! for whoever listens, and the level of our own background for when we are the one to say it. It knows no packets and
//! no time. Called by whoever renders a source for a listener.

use super::resample::Resampler;

/// Reflection coefficients that are used of a description; the rest only refines (§3: they may be taken as zero).
const MOST_ORDER: usize = 10;
/// Nearer to one the filter would ring.
const MOST_REFLECTION: f32 = 0.97;
/// The size of a sample at 0 dBov, the level of a square wave that fills the range (§3.1).
const OVERLOAD: f32 = 32_767.0;
/// Noise louder than this (-20 dBov) is no background; a hostile description is not played at full strength.
const LOUDEST: u8 = 20;
/// A new level is reached within 40 ms.
const GLIDE: f32 = 1.0 / 320.0;
/// Samples of 8 kHz made at a time.
const PIECE: usize = 160;

/// A description of noise: one comfort-noise payload.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comfort {
    /// In -dBov, 0 (overload) to 127.
    pub level: u8,
    /// The shape of the spectrum; zeros are white.
    reflections: [f32; MOST_ORDER],
}

impl Comfort {
    /// White noise of this level.
    pub fn white(level: u8) -> Comfort {
        Comfort { level: level.min(127), reflections: [0.0; MOST_ORDER] }
    }

    /// Reads a payload; `None` when it is empty.
    pub fn parse(payload: &[u8]) -> Option<Comfort> {
        let (level, shape) = payload.split_first()?;
        let mut comfort = Comfort::white(level & 0x7f);
        for (reflection, byte) in comfort.reflections.iter_mut().zip(shape) {
            // §3.2: 127 is zero, the steps are 258/32768; 255 is reserved.
            let value = 258.0 * (f32::from(*byte) - 127.0) / 32_768.0;
            *reflection = if *byte == 255 { 0.0 } else { value.clamp(-MOST_REFLECTION, MOST_REFLECTION) };
        }
        Some(comfort)
    }

    /// The payload that says the level and nothing of the spectrum.
    pub fn payload(self) -> [u8; 1] {
        [self.level]
    }
}

/// The noise of one source, for one listener.
#[derive(Clone, Debug)]
pub struct ComfortNoise {
    hz: u32,
    upwards: Resampler,
    random: u32,
    /// What the description says, and the strength of the excitation now.
    reflections: [f32; MOST_ORDER],
    wanted: f32,
    strength: f32,
    /// The lattice's memory.
    backward: [f32; MOST_ORDER + 1],
}

impl ComfortNoise {
    /// Silent until something is described. `hz` is 8,000 or 16,000.
    pub fn new(hz: u32, seed: u32) -> ComfortNoise {
        ComfortNoise {
            hz,
            upwards: Resampler::new(8000, hz),
            random: seed | 1,
            reflections: [0.0; MOST_ORDER],
            wanted: 0.0,
            strength: 0.0,
            backward: [0.0; MOST_ORDER + 1],
        }
    }

    /// From now on like this.
    pub fn describe(&mut self, comfort: &Comfort) {
        self.reflections = comfort.reflections;
        let rms = OVERLOAD * 10_f32.powf(-f32::from(comfort.level.max(LOUDEST)) / 20.0);
        // The filter makes its input stronger by the product of 1 / (1 - k²): give it as much less.
        let loss: f32 = comfort.reflections.iter().map(|reflection| 1.0 - reflection * reflection).product();
        self.wanted = rms * loss.sqrt();
    }

    /// Fills `out` with the next samples.
    pub fn fill(&mut self, out: &mut [i16]) {
        let each = if self.hz == 16_000 { 2 } else { 1 };
        for out in out.chunks_mut(PIECE * each) {
            let mut narrow = [0; PIECE];
            let narrow = &mut narrow[..out.len().div_ceil(each)];
            narrow.fill_with(|| self.next());
            let written = self.upwards.resample(narrow, out);
            // An odd length at 16 kHz leaves one sample over.
            let last = narrow.last().copied().unwrap_or(0);
            out[written..].fill(last);
        }
    }

    fn next(&mut self) -> i16 {
        self.strength += (self.wanted - self.strength) * GLIDE;
        let mut forward = self.white() * self.strength;
        // The all-pole lattice of the coefficients, from the last to the first.
        for (n, reflection) in self.reflections.iter().enumerate().rev() {
            forward -= reflection * self.backward[n];
            self.backward[n + 1] = self.backward[n] + reflection * forward;
        }
        self.backward[0] = forward;
        // `as` saturates.
        forward as i16
    }

    /// Evenly spread, with a mean square of one.
    fn white(&mut self) -> f32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        (self.random as f32 / u32::MAX as f32 - 0.5) * 12_f32.sqrt()
    }
}

/// The background of a voice: the quietest that was heard of it in the last seconds.
#[derive(Clone, Debug, Default)]
pub struct NoiseMeter {
    /// Mean square of the last frames, smoothed.
    smooth: Option<f32>,
    /// The least in the present window and in the one before.
    least: Option<(f32, f32)>,
    frames: u32,
}

/// Frames of a window: 2 s of 20 ms. Nobody speaks so long without a gap between two words.
const WINDOW_FRAMES: u32 = 100;
/// How much of the smoothed level each frame is.
const SMOOTH: f32 = 0.6;
/// A frame this much stronger than the background (6 dB) is speech.
const SPEECH: f32 = 4.0;

impl NoiseMeter {
    /// Takes note of 20 ms, and says whether they are background.
    pub fn hear(&mut self, samples: &[i16]) -> bool {
        let sum: f32 = samples.iter().map(|sample| f32::from(*sample) * f32::from(*sample)).sum();
        let power = sum / samples.len().max(1) as f32;
        let smooth = self.smooth.map_or(power, |smooth| smooth + (power - smooth) * SMOOTH);
        self.smooth = Some(smooth);
        let (present, former) = self.least.unwrap_or((smooth, smooth));
        self.least = Some((present.min(smooth), former));
        self.frames += 1;
        if self.frames >= WINDOW_FRAMES {
            self.frames = 0;
            self.least = Some((smooth, present.min(smooth)));
        }
        power <= present.min(former) * SPEECH + 1.0
    }

    /// The background in a description; nothing before anything was heard.
    pub fn background(&self) -> Option<Comfort> {
        let (present, former) = self.least?;
        let below = -20.0 * (present.min(former).sqrt().max(0.01) / OVERLOAD).log10();
        // `as` saturates.
        Some(Comfort::white(below.round() as u8))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::tones::{Babble, mean_square, power};

    fn noise(hz: u32, payload: &[u8], samples: usize) -> Vec<i16> {
        let mut noise = ComfortNoise::new(hz, 7);
        noise.describe(&Comfort::parse(payload).unwrap());
        let mut out = vec![0; samples];
        out.chunks_mut(hz as usize / 50).for_each(|frame| noise.fill(frame));
        out
    }

    fn dbov(samples: &[i16]) -> f64 {
        10.0 * (mean_square(samples) / f64::from(OVERLOAD).powi(2)).log10()
    }

    #[test]
    fn the_noise_is_as_loud_as_described_at_either_rate() {
        for hz in [8000, 16_000] {
            for level in [30, 45, 60, 70] {
                let samples = noise(hz, &[level], hz as usize * 4);
                let off = dbov(&samples[hz as usize..]) + f64::from(level);
                assert!(off.abs() < 1.0, "{level} at {hz}: {off} dB off");
            }
        }
    }

    #[test]
    fn reflection_coefficients_shape_it() {
        // k1 = 258 · (13 - 127) / 32768 = -0.9: a low rumble. Mirrored, a hiss.
        let bands = |samples: &[i16]| {
            let band = |from: usize| (from..from + 500).step_by(25).map(|hz| power(samples, 8000, hz as f32)).sum::<f64>();
            (band(100), band(3300))
        };
        let (low, high) = bands(&noise(8000, &[40, 13], 16_000));
        assert!(low > 20.0 * high, "{low} and {high}");
        let (low, high) = bands(&noise(8000, &[40, 241], 16_000));
        assert!(high > 20.0 * low, "{low} and {high}");
        let loud = dbov(&noise(8000, &[40, 13, 150, 127, 100], 32_000)[8000..]);
        assert!((loud + 40.0).abs() < 1.5, "as loud as white noise: {loud}");
    }

    #[test]
    fn a_new_description_begins_and_ends_without_a_click() {
        let mut noise = ComfortNoise::new(8000, 3);
        let mut out = vec![0; 160];
        noise.fill(&mut out);
        assert_eq!(out, [0; 160], "silent before anything is described");
        noise.describe(&Comfort::white(40));
        noise.fill(&mut out);
        assert!(out[..8].iter().all(|sample| sample.abs() < 60) && mean_square(&out[80..]) > 1000.0);
        noise.describe(&Comfort::white(127));
        (0..20).for_each(|_| noise.fill(&mut out));
        assert_eq!(out, [0; 160]);
    }

    #[test]
    fn overload_is_not_played_as_such() {
        assert!(dbov(&noise(8000, &[0, 254, 0, 254, 0], 16_000)) < -17.0);
        assert_eq!(Comfort::parse(&[]), None);
        assert_eq!(Comfort::parse(&[0x80 | 45]).map(|comfort| comfort.payload()), Some([45]), "the first bit means nothing");
    }

    #[test]
    fn the_background_of_a_voice_is_found_between_its_words() {
        let mut random = 99_u32;
        let mut meter = NoiseMeter::default();
        assert_eq!(meter.background(), None);
        let mut pauses = 0;
        let voice: Vec<i16> = Babble::new(4).take(8000 * 20).collect();
        for (n, frame) in voice.chunks(160).enumerate() {
            let with_noise: Vec<i16> = frame
                .iter()
                .map(|sample| {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    sample.saturating_add(((random >> 16) % 201) as i16 - 100)
                })
                .collect();
            let is_pause = meter.hear(&with_noise);
            pauses += usize::from(is_pause);
            // Before the first pause nothing is known.
            if n > 200 && frame.iter().map(|sample| sample.unsigned_abs()).max().unwrap() > 3000 {
                assert!(!is_pause, "a loud syllable is no background");
            }
        }
        // Even noise of ±100 has an RMS of 58, which is 55 dB below overload.
        let level = meter.background().unwrap().level;
        assert!((54..=57).contains(&level), "{level}");
        assert!((100..700).contains(&pauses), "{pauses} of 1000 frames");
    }

    #[test]
    fn silence_is_described_as_silence() {
        let mut meter = NoiseMeter::default();
        (0..200).for_each(|_| assert!(meter.hear(&[0; 160])));
        assert!(meter.background().unwrap().level >= 126);
        meter.hear(&[]);
    }

    proptest! {
        #[test]
        fn no_payload_makes_it_panic_or_ring(payload in proptest::collection::vec(any::<u8>(), 1..40), wide in any::<bool>()) {
            let hz = if wide { 16_000 } else { 8000 };
            let samples = noise(hz, &payload, hz as usize);
            prop_assert!(dbov(&samples) < -10.0, "{}", dbov(&samples));
            let mut odd = [0; 333];
            let mut noise = ComfortNoise::new(hz, 1);
            noise.describe(&Comfort::parse(&payload).unwrap());
            noise.fill(&mut odd);
        }
    }
}
