//! Hold music by simple synthesis, so that a caller hears something pleasant though no file is installed: a slow waltz of
//! twelve bars for bells and plucked strings, written for Perezvon. Linear samples; nobody records it and nothing reads
//! the clock. Called once at start by whoever makes the sounds to play.

use std::f64::consts::TAU;

const RATE: f64 = 8000.0;
/// 72 beats a minute: three beats a bar and twelve bars last exactly thirty seconds.
const BEAT_SECONDS: f64 = 60.0 / 72.0;
const BEATS: usize = 36;
const SAMPLES: usize = 240_000;
/// Mean level: 20 dB below full scale, like speech on the line.
const LEVEL: f64 = 3277.0;

/// A bar: the bass, the three strings above it (both in semitones from the A of 220 Hz), and the bells of its three beats
/// (from the A of 440 Hz).
struct Bar {
    bass: i32,
    strings: [i32; 3],
    bells: [Option<i32>; 3],
}

const fn bar(bass: i32, strings: [i32; 3], bells: [Option<i32>; 3]) -> Bar {
    Bar { bass, strings, bells }
}

/// D major: D, Bm, G, A · D, F♯m, G, A · Bm, G, Em, A, which leads back to D.
static BARS: [Bar; 12] = [
    bar(-7, [5, 9, 12], [Some(9), None, Some(12)]),
    bar(-10, [2, 5, 9], [Some(14), None, Some(12)]),
    bar(-2, [5, 10, 14], [Some(10), Some(9), Some(5)]),
    bar(0, [4, 7, 12], [Some(7), None, None]),
    bar(-7, [5, 9, 12], [Some(9), None, Some(12)]),
    bar(-3, [4, 9, 12], [Some(16), None, Some(12)]),
    bar(-2, [5, 10, 14], [Some(14), Some(12), Some(10)]),
    bar(0, [4, 7, 12], [Some(12), None, None]),
    bar(-10, [2, 5, 9], [Some(14), None, Some(9)]),
    bar(-2, [5, 10, 14], [Some(10), None, Some(5)]),
    bar(-5, [2, 7, 10], [Some(7), Some(10), Some(14)]),
    bar(0, [4, 7, 13], [Some(12), Some(7), None]),
];

/// One way to sound: strength and speed of decay of each overtone.
struct Voice {
    /// Ratio to the note's frequency, strength, and seconds until it has faded to a third.
    overtones: &'static [(f64, f64, f64)],
    strength: f64,
}

static STRING: Voice =
    Voice { overtones: &[(1.0, 1.0, 0.7), (2.0, 0.5, 0.45), (3.0, 0.2, 0.3), (4.0, 0.08, 0.2)], strength: 0.55 };
static BASS: Voice =
    Voice { overtones: &[(1.0, 0.8, 1.1), (2.0, 0.7, 0.8), (3.0, 0.35, 0.5), (4.0, 0.15, 0.35)], strength: 0.75 };
/// The minor third above the prime (2.4 to its hum) is what makes a bell a bell.
static BELL: Voice = Voice { overtones: &[(1.0, 1.0, 1.4), (2.0, 0.45, 0.9), (2.4, 0.12, 0.6), (3.0, 0.18, 0.5)], strength: 0.8 };

/// Thirty seconds at 8,000 samples a second that can be repeated for ever without a seam. The same every time; takes
/// some tens of milliseconds to compute.
pub fn hold_music() -> Vec<i16> {
    let mut sum = vec![0.0; SAMPLES];
    for (number, bar) in BARS.iter().enumerate() {
        let beat = |beats: f64| (number as f64 * 3.0 + beats) * BEAT_SECONDS;
        strike(&mut sum, beat(0.0), pitch(220.0, bar.bass), &BASS);
        // Rising and falling between the beats: after the bass the strings on each half beat.
        for (step, string) in [0, 1, 2, 1, 0].into_iter().enumerate() {
            strike(&mut sum, beat(0.5 + step as f64 * 0.5), pitch(220.0, bar.strings[string]), &STRING);
        }
        for (step, bell) in bar.bells.iter().enumerate() {
            if let Some(semitones) = bell {
                strike(&mut sum, beat(step as f64), pitch(440.0, *semitones), &BELL);
            }
        }
    }
    level(&sum)
}

/// Equal temperament.
fn pitch(base_hz: f64, semitones: i32) -> f64 {
    base_hz * 2.0_f64.powf(f64::from(semitones) / 12.0)
}

/// Adds a note that starts at `seconds`. What rings beyond the end goes on at the beginning: that is the seamless loop.
fn strike(sum: &mut [f64], seconds: f64, hz: f64, voice: &Voice) {
    let start = (seconds * RATE) as usize;
    let overtones = voice.overtones.iter().filter(|(ratio, ..)| hz * ratio < 3400.0);
    for (ratio, strength, fade_seconds) in overtones {
        let angle = TAU * hz * ratio / RATE;
        let decay = (-1.0 / (fade_seconds * RATE)).exp();
        // Two-term recursion of a fading sine: no sine a sample.
        let (turn, fade) = (2.0 * decay * angle.cos(), decay * decay);
        let (mut last, mut before) = (0.0, -angle.sin() / decay);
        let samples = (fade_seconds * RATE * 7.0) as usize;
        for index in 0..samples.min(SAMPLES) {
            // Two milliseconds of attack take the click away.
            let attack = (index as f64 / 16.0).min(1.0);
            sum[(start + index) % SAMPLES] += last * attack * strength * voice.strength;
            (last, before) = (turn * last - fade * before, last);
        }
    }
}

/// Brings the mean level to `LEVEL` and rounds the rare peaks off instead of clipping them.
fn level(sum: &[f64]) -> Vec<i16> {
    let mean_square = sum.iter().map(|sample| sample * sample).sum::<f64>() / sum.len() as f64;
    let gain = LEVEL / mean_square.sqrt().max(f64::MIN_POSITIVE);
    sum.iter().map(|sample| ((sample * gain / 30_000.0).tanh() * 30_000.0) as i16).collect()
}

const _: () = assert!(BEATS == BARS.len() * 3);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::tones::{mean_square, power};

    #[test]
    fn it_lasts_thirty_seconds_at_the_level_of_speech_without_clipping() {
        let music = hold_music();
        assert_eq!(music.len(), 240_000);
        assert_eq!((BEATS as f64 * BEAT_SECONDS * RATE).round() as usize, SAMPLES);
        let level_db = 10.0 * (mean_square(&music) / 32_768.0_f64.powi(2)).log10();
        assert!((-21.0..-19.0).contains(&level_db), "{level_db} dB");
        assert!(music.iter().all(|sample| sample.unsigned_abs() < 30_000));
        assert_eq!(music, hold_music());
    }

    #[test]
    fn it_repeats_without_a_seam_and_is_never_silent_for_long() {
        let music = hold_music();
        let steps = || music.windows(2).map(|pair| i32::from(pair[0]).abs_diff(i32::from(pair[1])));
        let seam = i32::from(music[0]).abs_diff(i32::from(music[music.len() - 1]));
        assert!(seam <= steps().max().unwrap() / 4, "a step of {seam} at the seam");
        assert!(music.chunks(8000).all(|second| mean_square(second) > 1e5));
    }

    #[test]
    fn the_first_bar_is_in_d_major() {
        let music = hold_music();
        let bar = &music[..20_000];
        let note = |semitones| power(bar, 8000, pitch(220.0, semitones) as f32);
        // D and A against their neighbours E flat and B flat.
        assert!(note(5) > 20.0 * note(6) && note(12) > 20.0 * note(13));
    }
}
