//! One key as its pair of tones (ITU-T Q.23, Q.24). Made when a press has to be heard in audio; which key, how long and
//! with what pause is its caller's business (100 ms each suit every receiver).

use std::f32::consts::TAU;

use super::event::TelephoneEvent;
use super::{COLUMNS_HZ, KEYPAD, ROWS_HZ};

/// Full scale of a sample, and what a sine of that size counts: 3.14 dBm0 in A-law (G.711 table 5).
const FULL_SCALE: f32 = 32_767.0;
#[allow(clippy::approx_constant, reason = "G.711 table 1 overload level, not the ratio of a circle")]
const FULL_SCALE_DBM0: f32 = 3.14;
/// The column is this much louder than the row, to make up for lines that swallow high tones.
const TWIST_DB: f32 = 2.0;
/// Faded in and out, so that neither end clicks.
const FADE_MS: u32 = 3;

/// The tones of one key while it is down.
#[derive(Clone, Debug)]
pub struct KeyTone {
    phases: [f32; 2],
    steps: [f32; 2],
    amplitudes: [f32; 2],
    fade: u32,
    played: u32,
}

impl KeyTone {
    /// The key `event` (RFC 4733 §3.2) at `hz` samples a second, its column at -`volume` dBm0, 0 to 63, and its row 2 dB
    /// below; `None` for an event that is no key. Usual is 8.
    pub fn new(event: u8, volume: u8, hz: u32) -> Option<KeyTone> {
        let key = TelephoneEvent { event, is_end: false, volume, duration: 0 }.digit()?;
        let (row, column) = KEYPAD.iter().zip(ROWS_HZ).find_map(|(keys, row)| {
            let column = keys.iter().position(|other| *other == key)?;
            Some((row, *COLUMNS_HZ.get(column)?))
        })?;
        let loudness = |dbm0: f32| FULL_SCALE * 10_f32.powf((dbm0 - FULL_SCALE_DBM0) / 20.0);
        // Both together must fit a sample.
        let column_dbm0 = -f32::from(volume.clamp(4, 63));
        Some(KeyTone {
            phases: [0.0; 2],
            steps: [row, column].map(|tone_hz| TAU * tone_hz / hz as f32),
            amplitudes: [loudness(column_dbm0 - TWIST_DB), loudness(column_dbm0)],
            fade: hz * FADE_MS / 1000,
            played: 0,
        })
    }

    /// Fills `out` with what comes next; `is_last`: the key is let go at its end.
    pub fn fill(&mut self, out: &mut [i16], is_last: bool) {
        let fade = self.fade as f32;
        let len = out.len();
        for (n, sample) in out.iter_mut().enumerate() {
            let rise = self.played as f32 / fade;
            let fall = if is_last { (len - 1 - n) as f32 / fade } else { 1.0 };
            let sum: f32 = self.phases.iter().zip(self.amplitudes).map(|(phase, amplitude)| phase.sin() * amplitude).sum();
            *sample = (sum * rise.min(fall).min(1.0)) as i16;
            self.played = self.played.saturating_add(1);
            for (phase, step) in self.phases.iter_mut().zip(self.steps) {
                *phase = (*phase + step) % TAU;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::tones::{mean_square, power};

    fn press(event: u8, hz: u32, steps: u32) -> Vec<i16> {
        let mut tone = KeyTone::new(event, 8, hz).unwrap();
        let mut samples = Vec::new();
        for step in 1..=steps {
            let mut frame = vec![0; hz as usize / 50];
            tone.fill(&mut frame, step == steps);
            samples.extend(frame);
        }
        samples
    }

    #[test]
    fn each_key_is_its_two_tones_and_nothing_else() {
        for hz in [8000, 16_000] {
            for (row, keys) in KEYPAD.iter().enumerate() {
                for (column, key) in keys.iter().enumerate() {
                    let samples = press(TelephoneEvent::event_of(*key).unwrap(), hz, 5);
                    let whole = mean_square(&samples);
                    let tones = power(&samples, hz, ROWS_HZ[row]) + power(&samples, hz, COLUMNS_HZ[column]);
                    assert!(tones / whole > 0.95, "{key} at {hz}: {}", tones / whole);
                }
            }
        }
    }

    #[test]
    fn levels_are_those_asked_for() {
        // The middle, beside the fades. A sine of 0 dBm0 has the amplitude 32767 / 10^(3.14 / 20) = 22826.
        let samples = press(5, 8000, 10);
        let amplitude = |hz| (2.0 * power(&samples[400..1200], 8000, hz)).sqrt();
        let dbm0 = |hz| 20.0 * (amplitude(hz) / 22_826.0).log10();
        assert!((dbm0(1336.0) + 8.0).abs() < 0.2, "{}", dbm0(1336.0));
        assert!((dbm0(770.0) + 10.0).abs() < 0.2, "{}", dbm0(770.0));
        let loudest = KeyTone::new(5, 0, 8000).unwrap();
        assert!(loudest.amplitudes.iter().sum::<f32>() < FULL_SCALE, "never clipped");
    }

    #[test]
    fn neither_end_clicks() {
        let samples = press(15, 8000, 3);
        assert_eq!((samples[0], samples[479]), (0, 0));
        assert!(samples[..4].iter().chain(&samples[476..]).all(|sample| sample.abs() < 2500));
    }

    #[test]
    fn what_is_no_key_has_no_tones() {
        assert!(KeyTone::new(16, 8, 8000).is_none());
        assert!(KeyTone::new(255, 255, 8000).is_none());
    }
}
