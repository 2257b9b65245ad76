//! A sender's clock against ours: how late the soonest of its packets come, window by window. The line that places them
//! follows in steps of one position, so that both channels of a recording stay together for hours. Used by `track` only.

use super::track::SAMPLES_PER_MS;

/// The soonest packet of so long a time, and of so many packets, was held up by nobody.
const WINDOW: i64 = 2000 * SAMPLES_PER_MS;
const LEAST_FRAMES: u32 = 25;
/// A network's own ups and downs, and a busy machine's: two channels may differ by twice that.
const UNHEEDED: i64 = 15 * SAMPLES_PER_MS;
/// Packets of 20 ms between two steps: 0.8 ms a second, four times what common clocks need, and too little to be heard as a
/// change of pitch.
const FRAMES_A_STEP: u32 = 8;

/// What was seen of one segment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Drift {
    window_began: Option<i64>,
    frames: u32,
    /// How late the soonest packet of the window came, by the line as it is now.
    soonest: i64,
    /// What the line is still to move.
    owed: i64,
}

impl Drift {
    /// A frame came at `arrival`, `late` behind its place. Returns how far the line moves: a position at most.
    pub fn step(&mut self, arrival: i64, late: i64) -> i64 {
        let began = *self.window_began.get_or_insert(arrival);
        self.soonest = if self.frames == 0 { late } else { self.soonest.min(late) };
        self.frames += 1;
        if arrival - began >= WINDOW && self.frames >= LEAST_FRAMES {
            self.owed = if self.soonest.abs() >= UNHEEDED { self.soonest } else { 0 };
            (self.window_began, self.frames) = (None, 0);
        }
        let step = if self.frames.is_multiple_of(FRAMES_A_STEP) { self.owed.signum() } else { 0 };
        self.owed -= step;
        self.soonest -= step;
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a line ends that began at 0: `late(n)` is the delay of packet `n` in positions.
    fn line_after(packets: i64, late: impl Fn(i64) -> i64) -> i64 {
        let (mut drift, mut line) = (Drift::default(), 0);
        for n in 0..packets {
            line += drift.step(n * 160, late(n) - line);
        }
        line
    }

    #[test]
    fn jitter_of_a_true_clock_moves_nothing() {
        assert_eq!(line_after(30_000, |n| (n * 37) % 71 * 8), 0);
    }

    #[test]
    fn a_slow_and_a_fast_clock_are_followed() {
        for per_million in [200, -200, 500, -500] {
            let drifted = |n: i64| n * 160 * per_million / 1_000_000;
            let line = line_after(30_000, |n| drifted(n) + (n * 37) % 71 * 8);
            assert!((line - drifted(30_000)).abs() < 20 * SAMPLES_PER_MS, "{per_million}: {line} of {}", drifted(30_000));
        }
    }

    #[test]
    fn a_first_packet_that_was_held_up_is_made_good() {
        let line = line_after(6000, |n| if n == 0 { 480 } else { 0 } - 480);
        assert!((line + 480).abs() < UNHEEDED, "{line}");
    }
}
