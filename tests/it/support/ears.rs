//! What a recording or a captured stream holds: tones, silences, lengths.

use perezvon::media::tones;

/// The share of 20 ms windows in which `hz` carries most of the sound.
pub fn share_of_tone(samples: &[i16], rate: u32, hz: f32) -> f64 {
    let window = rate as usize / 50;
    let windows: Vec<&[i16]> = samples.chunks_exact(window).collect();
    let heard = windows.iter().filter(|window| is_tone(window, rate, hz)).count();
    heard as f64 / windows.len().max(1) as f64
}

fn is_tone(window: &[i16], rate: u32, hz: f32) -> bool {
    let energy: f64 = window.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / window.len() as f64;
    energy > 10_000.0 && tones::power(window, rate, hz) > 0.5 * energy
}

/// From the first to the last window with sound, the longest stretch without, in milliseconds.
pub fn longest_gap_ms(samples: &[i16], rate: u32) -> u64 {
    let window = rate as usize / 200; // 5 ms
    let is_loud = |window: &[i16]| window.iter().any(|sample| sample.unsigned_abs() > 500);
    let loud: Vec<bool> = samples.chunks_exact(window).map(is_loud).collect();
    let Some(first) = loud.iter().position(|loud| *loud) else { return 0 };
    let last = loud.iter().rposition(|loud| *loud).unwrap_or(first);
    let mut longest = 0;
    let mut run = 0;
    for loud in &loud[first..=last] {
        run = if *loud { 0 } else { run + 1 };
        longest = longest.max(run);
    }
    longest as u64 * 5
}

pub fn duration_ms(samples: &[i16], rate: u32) -> u64 {
    samples.len() as u64 * 1000 / u64::from(rate)
}
