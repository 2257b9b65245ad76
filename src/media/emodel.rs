//! How good a leg sounded, as a number that people know: the E-model (ITU-T G.107) from loss, delay and codec, and the mean
//! opinion score that follows from it (1 bad to 4.4 the best that a telephone can be). Plain values in, plain values out.

use super::codec::Codec;

/// What was measured of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// The share of packets that never came or came too late to be played, 0 to 1.
    pub loss: f64,
    /// How much more than at random losses stand together: 1 at random, 2 twice as long (G.107 §7.3, BurstR).
    pub burst: f64,
    /// From mouth to ear, in milliseconds.
    pub delay_ms: f64,
    /// What is lost is heard as silence: the listener's end makes nothing up for it.
    pub is_unconcealed: bool,
}

/// The basic quality of a digital telephone line without any impairment (G.107 table 2: 94.77 less what is always there).
const BEST: f64 = 93.2;

/// Losses that stand together even more count as this: the model was not tested beyond (G.107 §7.3).
const MOST_BURST: f64 = 4.0;

/// Robustness to loss of a codec whose losses are heard as silence (G.113 appendix I, G.711).
const UNCONCEALED: f64 = 4.3;

/// The equipment impairment and the robustness to loss of a codec, with the concealment that it brings (G.113 appendix I;
/// Opus is not listed there: its values are set to those of a good wideband codec with concealment).
fn impairment(codec: Codec, is_unconcealed: bool) -> (f64, f64) {
    match codec {
        _ if is_unconcealed => (0.0, UNCONCEALED),
        Codec::Pcma | Codec::Pcmu => (0.0, 25.1),
        Codec::G722 => (0.0, 19.0),
        Codec::Opus => (0.0, 30.0),
    }
}

/// The transmission rating, 0 to 93.2.
pub fn rating(codec: Codec, measured: Measured) -> f64 {
    let (equipment, robustness) = impairment(codec, measured.is_unconcealed);
    let percent = measured.loss.clamp(0.0, 1.0) * 100.0;
    let burst = measured.burst.clamp(1.0, MOST_BURST);
    // G.107 §7.3.
    let loss = equipment + (95.0 - equipment) * percent / (percent / burst + robustness);
    let delay = measured.delay_ms.clamp(0.0, 10_000.0);
    // The usual fit to G.107 §7.4: delay costs little until people begin to talk into each other's words.
    let late = 0.024 * delay + if delay > 177.3 { 0.11 * (delay - 177.3) } else { 0.0 };
    (BEST - loss - late).clamp(0.0, BEST)
}

/// The mean opinion score of a rating (G.107 annex B), 1.0 to 4.4.
pub fn score(rating: f64) -> f64 {
    let r = rating.clamp(0.0, 100.0);
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mos(codec: Codec, loss: f64, delay_ms: f64) -> f64 {
        score(rating(codec, Measured { loss, burst: 1.0, delay_ms, ..Measured::default() }))
    }

    #[test]
    fn known_points_of_the_model_are_met() {
        assert!((mos(Codec::Pcma, 0.0, 0.0) - 4.41).abs() < 0.01, "the best narrowband call");
        // G.113 appendix I: G.711 with concealment at 5 % random loss has an impairment of 15.8.
        let impaired = BEST - rating(Codec::Pcmu, Measured { loss: 0.05, burst: 1.0, ..Measured::default() });
        assert!((impaired - 15.8).abs() < 0.1, "{impaired}");
        // Without it, 2 % are as bad: 30.2.
        let lost = Measured { loss: 0.02, burst: 1.0, is_unconcealed: true, ..Measured::default() };
        let impaired = BEST - rating(Codec::Pcmu, lost);
        assert!((impaired - 30.2).abs() < 0.1, "{impaired}");
        assert_eq!(mos(Codec::Pcma, 1.0, 10_000.0), 1.0);
    }

    #[test]
    fn worse_is_never_better() {
        for codec in [Codec::Pcma, Codec::Pcmu, Codec::G722, Codec::Opus] {
            for loss in 0..100 {
                for delay in (0..1000).step_by(50) {
                    let (loss, delay) = (f64::from(loss) / 100.0, f64::from(delay));
                    let here = mos(codec, loss, delay);
                    assert!((1.0..=4.5).contains(&here));
                    assert!(mos(codec, loss + 0.01, delay) <= here && mos(codec, loss, delay + 50.0) <= here);
                }
            }
        }
    }

    #[test]
    fn losses_that_stand_together_are_heard_more() {
        let at = |burst| rating(Codec::Pcma, Measured { loss: 0.05, burst, delay_ms: 50.0, ..Measured::default() });
        assert!(at(2.0) < at(1.0));
    }
}
