//! How late the packets of one stream come, and the delay that takes it: long enough for 98 of 100, no longer. Arrivals
//! and RTP times go in as microseconds; it holds no packets. Called by `listening`.
//!
//! The quickest packet of the last seconds is the measure of all others: what the network and the sender's clock do to
//! everybody drops out, and a clock that drifts is followed.

/// The delay before anything is known, and its bounds.
const FIRST_DELAY_US: i64 = 40_000;
const LEAST_DELAY_US: i64 = 20_000;
const MOST_DELAY_US: i64 = 200_000;
/// Added to what was measured: audio is asked for every 20 ms, and a packet may come right after that moment.
const MARGIN_US: i64 = 20_000;
/// The quickest packet is sought in the present window and the one before.
const WINDOW_US: i64 = 2_000_000;
/// Lateness is counted in steps of 5 ms up to 300 ms.
const STEP_US: i64 = 5000;
const STEPS: usize = 60;
/// Each packet's weight is so much of the whole: about the last 200 count.
const WEIGHT: f32 = 1.0 / 200.0;
/// The share of packets that may come too late.
const TOO_LATE: f32 = 0.02;
/// A packet that missed its turn keeps the delay up for so long.
const REMEMBERED_US: i64 = 4_000_000;
/// No packets for so long, or one as late as this: the old measure means nothing any more.
const FORGOTTEN_US: i64 = 1_000_000;

/// See the file's head.
#[derive(Clone, Debug)]
pub struct Jitter {
    /// The least of arrival minus RTP time in the present window and in the former one, in microseconds.
    quickest: Option<(i64, i64)>,
    window_from: i64,
    last_arrival: i64,
    /// Shares of packets by lateness; their sum is one.
    shares: [f32; STEPS],
    /// The delay from `shares`.
    usual_delay: i64,
    /// A delay that a packet would have needed, and until when it is held.
    raised: Option<(i64, i64)>,
}

impl Default for Jitter {
    fn default() -> Jitter {
        let mut shares = [0.0; STEPS];
        // As if all packets so far had needed the first delay.
        shares[((FIRST_DELAY_US - MARGIN_US) / STEP_US) as usize - 1] = 1.0;
        Jitter { quickest: None, window_from: 0, last_arrival: 0, shares, usual_delay: FIRST_DELAY_US, raised: None }
    }
}

impl Jitter {
    /// Takes note of a packet, and says by how much it came later than the quickest.
    pub fn arrived(&mut self, now_us: i64, rtp_us: i64) -> i64 {
        let transit = now_us.saturating_sub(rtp_us);
        let is_forgotten = now_us.saturating_sub(self.last_arrival) > FORGOTTEN_US;
        self.last_arrival = now_us;
        let (present, former) = match self.quickest {
            Some((present, former)) if !is_forgotten && transit.saturating_sub(present.min(former)) < FORGOTTEN_US => {
                (present, former)
            }
            _ => {
                self.window_from = now_us;
                (transit, transit)
            }
        };
        self.quickest = Some(if now_us.saturating_sub(self.window_from) > WINDOW_US {
            self.window_from = now_us;
            (transit, present)
        } else {
            (present.min(transit), former)
        });
        let late = transit.saturating_sub(self.base()).max(0);
        self.count(late);
        late
    }

    /// A packet that was `late_us` late missed its turn: the delay grows at once, if it can grow so far.
    pub fn missed(&mut self, now_us: i64, late_us: i64) {
        let needed = late_us.saturating_add(MARGIN_US);
        if needed <= MOST_DELAY_US && needed > self.delay_us(now_us) {
            self.raised = Some((needed, now_us.saturating_add(REMEMBERED_US)));
        }
    }

    /// Forgets the sender's clock, as another stream begins; what is known of the network stays.
    pub fn begin_stream(&mut self) {
        self.quickest = None;
    }

    /// Arrival minus RTP time of the quickest packet.
    pub fn base(&self) -> i64 {
        self.quickest.map_or(0, |(present, former)| present.min(former))
    }

    /// The delay that is right now, over the quickest packet.
    pub fn delay_us(&self, now_us: i64) -> i64 {
        let raised = self.raised.filter(|(_, until)| now_us < *until).map_or(0, |(delay, _)| delay);
        self.usual_delay.max(raised).clamp(LEAST_DELAY_US, MOST_DELAY_US)
    }

    fn count(&mut self, late_us: i64) {
        let step = usize::try_from(late_us / STEP_US).unwrap_or(STEPS).min(STEPS - 1);
        let mut seen = 0.0;
        let mut enough = None;
        for (n, share) in self.shares.iter_mut().enumerate() {
            *share *= 1.0 - WEIGHT;
            if n == step {
                *share += WEIGHT;
            }
            seen += *share;
            if enough.is_none() && seen >= 1.0 - TOO_LATE {
                enough = Some(n);
            }
        }
        let steps = enough.map_or(STEPS, |n| n + 1);
        self.usual_delay = (steps as i64 * STEP_US + MARGIN_US).clamp(LEAST_DELAY_US, MOST_DELAY_US);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The delay of a stream without jitter.
    const SHORT_US: i64 = 25_000;

    /// Packets each 20 ms, `late_ms(n)` late.
    fn fed(count: i64, late_ms: impl Fn(i64) -> i64) -> Jitter {
        let mut jitter = Jitter::default();
        (0..count).for_each(|n| {
            jitter.arrived(1_000_000 + n * 20_000 + late_ms(n) * 1000, n * 20_000);
        });
        jitter
    }

    #[test]
    fn an_even_stream_comes_down_to_a_short_delay() {
        assert_eq!(fed(1, |_| 0).delay_us(0), FIRST_DELAY_US);
        assert_eq!(fed(1500, |_| 0).delay_us(0), SHORT_US);
    }

    #[test]
    fn the_delay_covers_the_usual_lateness_and_no_more() {
        let delay = fed(1000, |n| n * 7 % 61).delay_us(0);
        assert!((75_000..=90_000).contains(&delay), "{delay}");
        assert_eq!(fed(1000, |n| n * 37 % 400).delay_us(0), MOST_DELAY_US);
    }

    #[test]
    fn a_packet_that_missed_its_turn_raises_the_delay_for_a_while() {
        let mut jitter = fed(1500, |_| 0);
        jitter.missed(0, 110_000);
        assert_eq!(jitter.delay_us(1000), 130_000);
        assert_eq!(jitter.delay_us(REMEMBERED_US), SHORT_US);
        jitter.missed(0, 900_000);
        assert_eq!(jitter.delay_us(REMEMBERED_US), SHORT_US, "a delay that long cannot be had");
    }

    #[test]
    fn the_measure_follows_a_clock_that_drifts_and_a_sender_that_begins_anew() {
        let mut jitter = Jitter::default();
        let mut late = 0;
        for n in 0..30_000_i64 {
            // 300 ppm slow: 20 ms last 20,006 µs.
            late = late.max(jitter.arrived(n * 20_006, n * 20_000));
        }
        assert!(late < 2000, "{late}");
        assert!(jitter.arrived(30_000 * 20_006, 77) == 0, "an RTP time from nowhere is a new measure");
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic_or_leave_its_bounds(packets in proptest::collection::vec((any::<i64>(), any::<i64>()), 0..200)) {
            let mut jitter = Jitter::default();
            for (now, rtp) in packets {
                let late = jitter.arrived(now, rtp);
                jitter.missed(now, late);
                prop_assert!((LEAST_DELAY_US..=MOST_DELAY_US).contains(&jitter.delay_us(now)));
            }
        }
    }
}
