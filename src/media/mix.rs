//! Several sources as one: their sum, cut off at what a sample holds. It knows nobody's rate and decides nobody's right
//! to be heard. Called by the relay for a leg that hears more than one source.

/// Samples of 20 ms at 16 kHz.
const MOST: usize = 320;

/// The sum of one frame's sources.
#[derive(Clone, Debug)]
pub struct Mix {
    /// Room for any number of sources: 65,536 full ones would fit.
    sums: [i32; MOST],
    sources: usize,
}

impl Default for Mix {
    fn default() -> Mix {
        Mix { sums: [0; MOST], sources: 0 }
    }
}

impl Mix {
    /// Adds a source's frame of up to 320 samples; a longer one is cut.
    pub fn add(&mut self, samples: &[i16]) {
        self.sums.iter_mut().zip(samples).for_each(|(sum, sample)| *sum = sum.saturating_add(i32::from(*sample)));
        self.sources += 1;
    }

    /// Frames added since the last `take`.
    pub fn sources(&self) -> usize {
        self.sources
    }

    /// Gives the sum and is empty again. What no source filled is silence.
    pub fn take(&mut self, out: &mut [i16]) {
        let clip = |sum: i32| sum.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        out.iter_mut().enumerate().for_each(|(n, sample)| *sample = self.sums.get(n).copied().map_or(0, clip));
        *self = Mix::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::tones::{Sine, power};

    #[test]
    fn every_source_is_in_the_mix_at_its_own_strength() {
        let mut mix = Mix::default();
        let mut tones: Vec<Sine> = [500.0, 900.0, 1700.0].map(|hz| Sine::new(hz, 8000, 4000)).into();
        let mut heard = Vec::new();
        for _ in 0..50 {
            for tone in &mut tones {
                mix.add(&tone.take(160).collect::<Vec<i16>>());
            }
            let mut out = [0; 160];
            mix.take(&mut out);
            heard.extend(out);
        }
        for hz in [500.0, 900.0, 1700.0] {
            assert!((power(&heard, 8000, hz) / 8e6 - 1.0).abs() < 0.02, "{hz} Hz");
        }
    }

    #[test]
    fn loud_sources_are_cut_off_not_wrapped() {
        let mut mix = Mix::default();
        (0..5).for_each(|_| mix.add(&[i16::MAX, i16::MIN, 100]));
        assert_eq!(mix.sources(), 5);
        let mut out = [7; 4];
        mix.take(&mut out);
        assert_eq!(out, [i16::MAX, i16::MIN, 500, 0]);
        mix.take(&mut out);
        assert_eq!(out, [0; 4], "taken is empty");
        mix.add(&[1; 1000]);
        let mut long = [7; 500];
        mix.take(&mut long);
        assert_eq!((long[319], long[320]), (1, 0));
    }
}
