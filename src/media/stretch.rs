//! Audio made a little shorter or longer by whole pitch periods, and the join of two stretches: how a listener's delay
//! changes while somebody speaks, unheard. It decides nothing. Called by `playout` and `conceal`.

/// What may be taken out or put in at once, in tenths of a millisecond.
const SHORTEST_TENTHS_MS: usize = 25;
const LONGEST_TENTHS_MS: usize = 150;
/// The length compared, and that of the join.
const COMPARED_MS: usize = 10;
const JOIN_MS: usize = 5;
/// A mean square below this (RMS 60 of 32767) is no speech: there any length will do.
const QUIET: f32 = 3600.0;

/// How sure a change must be of going unheard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Care {
    /// Only where the audio repeats itself or is quiet.
    Usual,
    /// The delay is far off: the best place there is.
    Urgent,
}

/// Takes out between 2.5 ms and `most` samples (at most 15 ms) near the beginning, and says how many.
pub fn shorten(samples: &mut Vec<i16>, samples_per_ms: usize, most: usize, care: Care) -> usize {
    let Some(lag) = best_lag(samples, samples_per_ms, most, care) else { return 0 };
    let join_len = JOIN_MS * samples_per_ms;
    let before: Vec<i16> = samples[..join_len].to_vec();
    samples.drain(..lag);
    join(&before, samples);
    lag
}

/// Puts in between 2.5 ms and `most` samples (at most 15 ms) near the beginning, and says how many.
pub fn lengthen(samples: &mut Vec<i16>, samples_per_ms: usize, most: usize, care: Care) -> usize {
    let Some(lag) = best_lag(samples, samples_per_ms, most, care) else { return 0 };
    let join_len = JOIN_MS * samples_per_ms;
    let after: Vec<i16> = samples[lag..lag + join_len].to_vec();
    let first: Vec<i16> = samples[..lag].to_vec();
    join(&after, samples);
    samples.splice(..0, first);
    lag
}

/// The distance, up to `most`, at which the beginning of `samples` comes again; `None` when there is no good one.
fn best_lag(samples: &[i16], samples_per_ms: usize, most: usize, care: Care) -> Option<usize> {
    let compared_len = COMPARED_MS * samples_per_ms;
    let shortest = SHORTEST_TENTHS_MS * samples_per_ms / 10;
    let longest = (LONGEST_TENTHS_MS * samples_per_ms / 10).min(most).min(samples.len().checked_sub(compared_len)?);
    if longest < shortest {
        return None;
    }
    let head = &samples[..compared_len];
    let whole = &samples[..compared_len + longest];
    if whole.iter().map(|sample| f32::from(*sample).powi(2)).sum::<f32>() < QUIET * whole.len() as f32 {
        return Some(longest);
    }
    let enough = if care == Care::Usual { 0.85 } else { 0.4 };
    let mut best = None;
    let mut best_likeness = enough;
    for lag in shortest..=longest {
        let likeness = likeness(head, &samples[lag..lag + compared_len]);
        if likeness > best_likeness {
            (best, best_likeness) = (Some(lag), likeness);
        }
    }
    best
}

/// How alike two stretches are, loudness included: 1 when they are the same, 0 or less when they have nothing in common.
pub fn likeness(one: &[i16], other: &[i16]) -> f32 {
    let (mut product, mut square_one, mut square_other) = (0.0, 0.0, 0.0);
    for (a, b) in one.iter().zip(other) {
        let (a, b) = (f32::from(*a), f32::from(*b));
        product += a * b;
        square_one += a * a;
        square_other += b * b;
    }
    let larger = f32::max(square_one, square_other);
    if larger > 0.0 { product / (square_one * square_other).sqrt().max(larger * 0.5) } else { 0.0 }
}

/// Lets `from` go over into the beginning of `to` over the length of `from`.
pub fn join(from: &[i16], to: &mut [i16]) {
    let len = from.len().min(to.len()) as f32 + 1.0;
    for (n, (old, new)) in from.iter().zip(to).enumerate() {
        let share = (n + 1) as f32 / len;
        *new = (f32::from(*old) * (1.0 - share) + f32::from(*new) * share) as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::tones::Sine;

    fn largest_step(samples: &[i16]) -> i32 {
        samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap_or(0)
    }

    #[test]
    fn a_tone_is_shortened_and_lengthened_without_a_click() {
        for hz in [100.0, 440.0, 1000.0, 2100.0] {
            let tone: Vec<i16> = Sine::new(hz, 8000, 8000).take(400).collect();
            let natural = largest_step(&tone);
            let mut shorter = tone.clone();
            let removed = shorten(&mut shorter, 8, 120, Care::Usual);
            assert!((20..=120).contains(&removed) && shorter.len() == 400 - removed, "{hz} Hz: {removed}");
            assert!(largest_step(&shorter) < natural + natural / 5 + 100, "{hz} Hz");
            let mut longer = tone.clone();
            let added = lengthen(&mut longer, 8, 120, Care::Usual);
            assert!((20..=120).contains(&added) && longer.len() == 400 + added, "{hz} Hz: {added}");
            assert!(largest_step(&longer) < natural + natural / 5 + 100, "{hz} Hz");
            assert_eq!((shorter.last(), longer.last()), (tone.last(), tone.last()));
        }
    }

    #[test]
    fn what_does_not_repeat_is_left_alone_unless_it_is_urgent_or_quiet() {
        let mut random = 1_u32;
        let mut noise = |loudness: i32| -> Vec<i16> {
            let mut next = || {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((random >> 16) as i32 % (2 * loudness) - loudness) as i16
            };
            (0..400).map(|_| next()).collect()
        };
        assert_eq!(shorten(&mut noise(9000), 8, 120, Care::Usual), 0);
        assert_eq!(lengthen(&mut noise(9000), 8, 120, Care::Usual), 0);
        assert_eq!(shorten(&mut noise(40), 8, 120, Care::Usual), 120);
        assert_eq!(shorten(&mut noise(40), 8, 50, Care::Usual), 50, "no more than is wanted");
        assert_eq!(shorten(&mut noise(40), 8, 10, Care::Urgent), 0, "too little to be worth it");
    }

    #[test]
    fn short_stretches_are_left_alone() {
        for len in 0..110 {
            let mut samples = vec![0; len];
            let removed = shorten(&mut samples, 8, 120, Care::Urgent);
            assert_eq!(samples.len(), len - removed);
        }
    }
}
