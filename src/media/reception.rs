//! What was received of one stream, as RFC 3550 counts it: extended sequence numbers (§A.1), loss (§A.3), jitter (§A.8),
//! and the report block about it. Time is handed in. Called by the relay for each packet of a leg's own source.

use super::rtcp::{ReportBlock, SenderInfo, middle_of_ntp};
use crate::types::Time;

/// A forward jump larger than this is a restart of the sender, not loss (§A.1's MAX_DROPOUT).
const MAX_DROPOUT: u16 = 3000;
/// A packet further behind than this is a restart, not a late one (§A.1's MAX_MISORDER).
const MAX_MISORDER: u16 = 100;

/// The counters of one receiving side. They live on over a change of SSRC: losses add up, sequence numbers start anew.
#[derive(Clone, Debug, Default)]
pub struct Reception {
    stream: Option<Stream>,
    /// Of streams that have ended.
    former_expected: u64,
    former_received: u64,
    /// Of all streams: how often numbers were missing before the next one.
    gaps: u64,
    /// In RTP time, times 16 (§A.8's integer form).
    jitter_x16: u32,
    max_jitter_ms: f32,
    /// Of RTP time, in hertz; 0 before the first audio.
    clock_hz: u32,
    last_sr: Option<(u32, Time)>,
}

#[derive(Clone, Debug)]
struct Stream {
    ssrc: u32,
    base: u32,
    /// With cycles in the upper half.
    highest: u32,
    received: u64,
    expected_at_report: u64,
    received_at_report: u64,
    /// Arrival minus RTP time of the last packet, in RTP time.
    transit: Option<u32>,
}

impl Stream {
    fn starting(ssrc: u32, sequence: u16) -> Stream {
        Stream {
            ssrc,
            base: sequence.into(),
            highest: sequence.into(),
            received: 0,
            expected_at_report: 0,
            received_at_report: 0,
            transit: None,
        }
    }

    fn expected(&self) -> u64 {
        u64::from(self.highest.wrapping_sub(self.base)) + 1
    }
}

impl Reception {
    /// Counts a packet. A new SSRC or a jump in the numbers begins a new stream.
    pub fn count(&mut self, ssrc: u32, sequence: u16) {
        match &mut self.stream {
            Some(stream) if stream.ssrc == ssrc => {
                let ahead = sequence.wrapping_sub(stream.highest as u16);
                if ahead < MAX_DROPOUT {
                    self.gaps += u64::from(ahead > 1);
                    stream.highest = stream.highest.wrapping_add(ahead.into());
                } else if ahead <= u16::MAX - MAX_MISORDER {
                    self.begin(ssrc, sequence);
                }
            }
            _ => self.begin(ssrc, sequence),
        }
        if let Some(stream) = &mut self.stream {
            stream.received += 1;
        }
    }

    /// Updates jitter with an audio packet whose RTP time counts `clock_hz` a second. Not for telephone-events, whose
    /// timestamps stand still by design.
    pub fn time(&mut self, timestamp: u32, clock_hz: u32, arrival: Time) {
        let Some(stream) = &mut self.stream else { return };
        if self.clock_hz != clock_hz {
            // The far end changed to a codec with another clock; what was measured so far is the same time in other units.
            if self.clock_hz != 0 {
                self.jitter_x16 = (u64::from(self.jitter_x16) * u64::from(clock_hz) / u64::from(self.clock_hz)) as u32;
            }
            self.clock_hz = clock_hz;
            stream.transit = None;
        }
        let arrival_rtp = (u128::from(arrival.as_nanos()) * u128::from(clock_hz) / 1_000_000_000) as u32;
        let transit = arrival_rtp.wrapping_sub(timestamp);
        if let Some(previous) = stream.transit.replace(transit) {
            let difference = (transit.wrapping_sub(previous) as i32).unsigned_abs();
            // A sender that re-bases its timestamps would poison the average for seconds; half a second is no jitter.
            if difference < clock_hz / 2 {
                self.jitter_x16 = self.jitter_x16 + difference - ((self.jitter_x16 + 8) >> 4);
                self.max_jitter_ms = self.max_jitter_ms.max(self.jitter_ms());
            }
        }
    }

    /// Remembers the sender's report, so that our next one can quote it.
    pub fn sender_report(&mut self, info: &SenderInfo, arrival: Time) {
        self.last_sr = Some((middle_of_ntp(info.ntp), arrival));
    }

    /// The report on the present stream, and the start of the next report's interval.
    pub fn report(&mut self, now: Time) -> Option<ReportBlock> {
        let stream = self.stream.as_mut()?;
        let expected = stream.expected();
        let expected_now = expected.saturating_sub(stream.expected_at_report);
        let received_now = stream.received.saturating_sub(stream.received_at_report);
        stream.expected_at_report = expected;
        stream.received_at_report = stream.received;
        let lost_now = expected_now.saturating_sub(received_now);
        let fraction = (lost_now << 8).checked_div(expected_now).unwrap_or(0);
        let lost = i64::try_from(expected).unwrap_or(i64::MAX) - i64::try_from(stream.received).unwrap_or(i64::MAX);
        let (last_sr, delay_since_last_sr) = match self.last_sr {
            Some((middle, at)) => (middle, u32::try_from(now.since(at).as_micros() * 65536 / 1_000_000).unwrap_or(u32::MAX)),
            None => (0, 0),
        };
        Some(ReportBlock {
            ssrc: stream.ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(255),
            cumulative_lost: i32::try_from(lost).unwrap_or(i32::MAX),
            highest_sequence: stream.highest,
            jitter: self.jitter_x16 >> 4,
            last_sr,
            delay_since_last_sr,
        })
    }

    /// Packets counted, over all streams.
    pub fn received(&self) -> u64 {
        self.former_received + self.stream.as_ref().map_or(0, |stream| stream.received)
    }

    /// Packets that never came, over all streams.
    pub fn lost(&self) -> u64 {
        let expected = self.former_expected + self.stream.as_ref().map_or(0, Stream::expected);
        expected.saturating_sub(self.received())
    }

    /// Stretches of packets that were missing when the next one came, over all streams: whether losses stand together. A
    /// packet that comes later does not take its gap back.
    pub fn gaps(&self) -> u64 {
        self.gaps
    }

    pub fn jitter_ms(&self) -> f32 {
        self.jitter_x16 as f32 / 16.0 * 1000.0 / self.clock_hz.max(1) as f32
    }

    pub fn max_jitter_ms(&self) -> f32 {
        self.max_jitter_ms
    }

    fn begin(&mut self, ssrc: u32, sequence: u16) {
        if let Some(former) = self.stream.replace(Stream::starting(ssrc, sequence)) {
            self.former_expected += former.expected();
            self.former_received += former.received;
        }
        // A new stream has made no sender report yet.
        self.last_sr = None;
    }
}

/// The round trip that a report about our stream tells (§6.4.1): now, less when our report left, less how long the far
/// end kept it. `None` when it quotes no report, or one from the future.
pub fn round_trip_ms(block: &ReportBlock, ntp_now: u64) -> Option<f32> {
    if block.last_sr == 0 {
        return None;
    }
    let trip = middle_of_ntp(ntp_now).wrapping_sub(block.last_sr).wrapping_sub(block.delay_since_last_sr);
    // Beyond half the range it is negative: the clocks disagree, or the block is made up.
    (trip < 1 << 31).then(|| trip as f32 * 1000.0 / 65536.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn fed(sequences: impl IntoIterator<Item = u16>) -> Reception {
        let mut reception = Reception::default();
        for sequence in sequences {
            reception.count(1, sequence);
        }
        reception
    }

    #[test]
    fn losses_are_counted_over_the_wrap_of_sequence_numbers() {
        let mut reception = fed((65530..=65535).chain([0, 1, 4, 5]));
        assert_eq!((reception.received(), reception.lost()), (10, 2));
        let block = reception.report(Time::ZERO).unwrap();
        assert_eq!(block.highest_sequence, 0x1_0005);
        assert_eq!((block.cumulative_lost, block.fraction_lost), (2, 42), "two of twelve, in 256ths");
    }

    #[test]
    fn a_late_packet_fills_its_gap_and_a_duplicate_makes_the_loss_negative() {
        assert_eq!(fed([1, 2, 4, 3]).lost(), 0);
        assert_eq!(fed([1, 2, 2, 2]).report(Time::ZERO).unwrap().cumulative_lost, -2);
    }

    #[test]
    fn gaps_tell_losses_that_stand_together_from_those_apart() {
        assert_eq!((fed([1, 3, 5, 7]).gaps(), fed([1, 3, 5, 7]).lost()), (3, 3));
        assert_eq!((fed([65534, 65535, 3, 4]).gaps(), fed([65534, 65535, 3, 4]).lost()), (1, 3));
        assert_eq!(fed([1, 2, 2, 3, 30000, 30001]).gaps(), 0, "neither copies nor a restart are gaps");
    }

    #[test]
    fn a_restart_of_the_sender_is_not_loss() {
        let mut reception = fed([100, 101, 30000, 30001]);
        assert_eq!((reception.received(), reception.lost()), (4, 0));
        reception.count(2, 7);
        assert_eq!((reception.received(), reception.lost()), (5, 0));
    }

    #[test]
    fn the_fraction_covers_only_the_time_since_the_last_report() {
        let mut reception = fed([1, 5]);
        assert_eq!(reception.report(Time::ZERO).unwrap().fraction_lost, 153, "three of five");
        reception.count(1, 6);
        let block = reception.report(Time::ZERO).unwrap();
        assert_eq!((block.fraction_lost, block.cumulative_lost), (0, 3));
    }

    #[test]
    fn an_even_stream_has_no_jitter_and_an_uneven_one_has() {
        let mut even = fed([1]);
        let mut uneven = fed([1]);
        for index in 0..200u32 {
            let at = u64::from(index) * 20;
            even.time(index * 160, 8000, Time::from_millis(at));
            uneven.time(index * 160, 8000, Time::from_millis(at + u64::from(index % 2) * 10));
        }
        assert_eq!(even.jitter_ms(), 0.0);
        assert!((9.0..=10.5).contains(&uneven.jitter_ms()), "{} ms", uneven.jitter_ms());
        assert_eq!(uneven.report(Time::ZERO).unwrap().jitter / 8, uneven.jitter_ms() as u32);
    }

    #[test]
    fn jitter_is_the_same_time_by_any_clock() {
        let mut reception = fed([1]);
        for index in 0..200u32 {
            reception.time(index * 960, 48000, Time::from_millis(u64::from(index * 20 + index % 2 * 10)));
        }
        let by_48 = reception.jitter_ms();
        assert!((9.0..=10.5).contains(&by_48), "{by_48} ms");
        reception.time(7, 8000, Time::from_millis(4010));
        assert!((reception.jitter_ms() - by_48).abs() < 0.1, "{} ms: a change of clock is no jitter", reception.jitter_ms());
        assert!(reception.max_jitter_ms() < 10.5);
    }

    #[test]
    fn our_report_quotes_the_senders_and_its_age() {
        let mut reception = fed([1]);
        let info = SenderInfo { ntp: 0xaaaa_bbbb_cccc_dddd, rtp_timestamp: 0, packets: 1, payload_bytes: 160 };
        reception.sender_report(&info, Time::from_millis(1000));
        let block = reception.report(Time::from_millis(1000) + Duration::from_millis(2500)).unwrap();
        assert_eq!((block.last_sr, block.delay_since_last_sr), (0xbbbb_cccc, 65536 * 5 / 2));
    }

    #[test]
    fn the_round_trip_leaves_out_the_time_the_far_end_kept_the_report() {
        let mut block = fed([1]).report(Time::ZERO).unwrap();
        assert_eq!(round_trip_ms(&block, 10 << 32), None, "no report quoted");
        block.last_sr = middle_of_ntp(10 << 32);
        block.delay_since_last_sr = 65536;
        assert_eq!(round_trip_ms(&block, (11 << 32) + (1 << 30)), Some(250.0));
        assert_eq!(round_trip_ms(&block, 10 << 32), None, "it would have to arrive before it left");
    }

    proptest! {
        #[test]
        fn no_sequence_of_packets_makes_it_panic(packets in proptest::collection::vec((0u32..3, any::<u16>(), any::<u32>(), any::<u64>()), 0..300)) {
            let mut reception = Reception::default();
            for (ssrc, sequence, timestamp, at) in packets {
                reception.count(ssrc, sequence);
                reception.time(timestamp, if at % 2 == 0 { 8000 } else { 48000 }, Time::from_nanos(at));
                if let Some(block) = reception.report(Time::from_nanos(at)) {
                    round_trip_ms(&block, at);
                }
            }
        }
    }
}
