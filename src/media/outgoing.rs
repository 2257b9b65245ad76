//! The one stream that a leg hears from us, whoever speaks: our own SSRC, and numbers that go on over every change of
//! source (music, agent, prompt) and of codec. Within one source the differences of its numbers are kept, so that loss and
//! reordering show at the far end as they were. Time is handed in; it sends nothing.

use std::time::Duration;

use super::rtcp::SenderInfo;
use crate::types::Time;

/// Who speaks: two packets with equal sources are numbered by the same clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A bridged leg's stream: the leg, as a number of the caller's choice, and the stream's SSRC.
    Peer { leg: u64, ssrc: u32 },
    /// A sound; counts the plays of the leg.
    Sound { play: u32 },
    /// What several legs say, mixed, or what one says in another codec; counts the times that this began.
    Mix { round: u32 },
    /// A key that we press ourselves; counts them.
    Key { press: u32 },
}

/// Where a packet stands in our stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub sequence: u16,
    pub timestamp: u32,
    /// The first packet of a source: the far end may re-adjust its buffer (RFC 3551 §4.1).
    pub marker: bool,
}

/// Our stream to one leg.
#[derive(Clone, Debug)]
pub struct Outgoing {
    ssrc: u32,
    /// Of RTP time, in hertz: the present codec's.
    clock_hz: u32,
    /// The highest sent.
    sequence: u16,
    timestamp: u32,
    /// When the packet with this timestamp was sent; of several with the same one (telephone-events) the first.
    sent_at: Option<Time>,
    /// `timestamp` is where the next packet may begin, not where one began.
    begins_now: bool,
    source: Option<Source>,
    sequence_offset: u16,
    timestamp_offset: u32,
    /// Numbers of this source up to the highest: how far back a late packet may reach.
    since_switch: u16,
    packets: u32,
    payload_bytes: u32,
}

/// A jump of a source's own numbers beyond this, forward or back, counts as a change of source.
const MAX_DROPOUT: u16 = 3000;
const MAX_MISORDER: u16 = 100;
/// Packets a second, taken where the length of the last one is not known.
const PACKETS_A_SECOND: u32 = 50;

impl Outgoing {
    /// A stream with chosen (random) beginnings, RFC 3550 §5.1, in RTP time of 8,000 a second.
    pub fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Outgoing {
        Outgoing {
            ssrc,
            clock_hz: 8000,
            sequence,
            timestamp,
            sent_at: None,
            begins_now: false,
            source: None,
            sequence_offset: 0,
            timestamp_offset: 0,
            since_switch: 0,
            packets: 0,
            payload_bytes: 0,
        }
    }

    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The clock of RTP time.
    pub fn clock_hz(&self) -> u32 {
        self.clock_hz
    }

    /// Changes to another clock: time up to now counts by the old one, and the next packet begins a source (RFC 7160 §4.1).
    pub fn set_clock(&mut self, now: Time, clock_hz: u32) {
        if clock_hz == self.clock_hz || clock_hz == 0 {
            return;
        }
        if let Some(sent_at) = self.sent_at {
            let passed = rtp_time(now.since(sent_at), self.clock_hz).max(self.clock_hz / PACKETS_A_SECOND);
            self.timestamp = self.timestamp.wrapping_add(passed);
            // The next source begins at this moment and no packet later.
            self.sent_at = Some(now);
            self.begins_now = true;
        }
        self.clock_hz = clock_hz;
        self.source = None;
    }

    /// The source's packets are not passed on for a while: the next one that is begins anew, so that what was left out is
    /// not taken for loss.
    pub fn leave_source(&mut self) {
        self.source = None;
    }

    /// Finds the place of a packet with its source's own numbers, which run by this stream's clock; `None` when it belongs
    /// before the source's first packet, where the numbers are taken.
    pub fn place(&mut self, now: Time, source: Source, sequence: u16, timestamp: u32) -> Option<Place> {
        if self.source != Some(source) {
            return Some(self.switch(now, source, sequence, timestamp));
        }
        let mapped = sequence.wrapping_add(self.sequence_offset);
        let ahead = mapped.wrapping_sub(self.sequence);
        let behind = self.sequence.wrapping_sub(mapped);
        if behind <= MAX_MISORDER {
            let place = Place { sequence: mapped, timestamp: timestamp.wrapping_add(self.timestamp_offset), marker: false };
            return (behind < self.since_switch).then_some(place);
        }
        if ahead >= MAX_DROPOUT {
            return Some(self.switch(now, source, sequence, timestamp));
        }
        self.since_switch = self.since_switch.saturating_add(ahead);
        Some(self.advance(now, mapped, timestamp.wrapping_add(self.timestamp_offset), false))
    }

    /// Counts a packet that was sent.
    pub fn sent(&mut self, payload_bytes: usize) {
        self.packets = self.packets.wrapping_add(1);
        self.payload_bytes = self.payload_bytes.wrapping_add(payload_bytes as u32);
    }

    /// The stream's state for a sender report; `None` when nothing was ever sent.
    pub fn sender_info(&self, now: Time, ntp: u64) -> Option<SenderInfo> {
        let elapsed = rtp_time(now.since(self.sent_at?), self.clock_hz);
        Some(SenderInfo {
            ntp,
            rtp_timestamp: self.timestamp.wrapping_add(elapsed),
            packets: self.packets,
            payload_bytes: self.payload_bytes,
        })
    }

    /// Packets sent, as sender reports count them.
    pub fn packets(&self) -> u32 {
        self.packets
    }

    /// Begins a new source: the next number, and as much RTP time as has really passed, at least one packet's.
    fn switch(&mut self, now: Time, source: Source, sequence: u16, timestamp: u32) -> Place {
        let next = self.sequence.wrapping_add(1);
        let least = if self.begins_now { 0 } else { self.clock_hz / PACKETS_A_SECOND };
        let passed = self.sent_at.map_or(0, |at| rtp_time(now.since(at), self.clock_hz).max(least));
        self.begins_now = false;
        let begins_at = self.timestamp.wrapping_add(passed);
        self.source = Some(source);
        self.sequence_offset = next.wrapping_sub(sequence);
        self.timestamp_offset = begins_at.wrapping_sub(timestamp);
        self.since_switch = 1;
        self.advance(now, next, begins_at, true)
    }

    fn advance(&mut self, now: Time, sequence: u16, timestamp: u32, marker: bool) -> Place {
        self.sequence = sequence;
        if self.timestamp != timestamp || self.sent_at.is_none() {
            self.timestamp = timestamp;
            self.sent_at = Some(now);
        }
        Place { sequence, timestamp, marker }
    }
}

fn rtp_time(duration: Duration, clock_hz: u32) -> u32 {
    (duration.as_micros() * u128::from(clock_hz) / 1_000_000) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AGENT: Source = Source::Peer { leg: 1, ssrc: 77 };
    const MUSIC: Source = Source::Sound { play: 1 };

    fn ms(at: u64) -> Time {
        Time::from_millis(at)
    }

    fn place(sequence: u16, timestamp: u32, marker: bool) -> Option<Place> {
        Some(Place { sequence, timestamp, marker })
    }

    #[test]
    fn numbers_go_on_when_the_source_changes() {
        let mut out = Outgoing::new(5, 65534, 1000);
        assert_eq!(out.place(ms(0), MUSIC, 0, 0), place(65535, 1000, true));
        assert_eq!(out.place(ms(20), MUSIC, 1, 160), place(0, 1160, false));
        assert_eq!(out.place(ms(40), AGENT, 500, 90000), place(1, 1320, true));
        assert_eq!(out.place(ms(60), AGENT, 501, 90160), place(2, 1480, false));
        assert_eq!(out.place(ms(1060), MUSIC, 0, 0), place(3, 1480 + 8000, true), "a second passed in between");
    }

    #[test]
    fn loss_and_reordering_of_a_source_show_through() {
        let mut out = Outgoing::new(5, 99, 0);
        out.place(ms(0), AGENT, 10, 0);
        assert_eq!(out.place(ms(60), AGENT, 13, 480), place(103, 480, false), "two are missing");
        assert_eq!(out.place(ms(61), AGENT, 11, 160), place(101, 160, false), "late, in its own place");
        assert_eq!(out.place(ms(80), AGENT, 14, 640), place(104, 640, false), "and the run goes on");
    }

    #[test]
    fn a_packet_from_before_the_switch_has_no_place() {
        let mut out = Outgoing::new(5, 0, 0);
        out.place(ms(0), MUSIC, 0, 0);
        out.place(ms(20), AGENT, 10, 0);
        assert_eq!(out.place(ms(21), AGENT, 9, 0), None);
        out.place(ms(40), AGENT, 11, 160);
        assert_eq!(out.place(ms(41), AGENT, 9, 0), None);
        assert!(out.place(ms(41), AGENT, 10, 0).is_some(), "a duplicate stays a duplicate");
    }

    #[test]
    fn a_source_that_jumps_is_taken_as_new() {
        let mut out = Outgoing::new(5, 0, 0);
        out.place(ms(0), AGENT, 10, 0);
        assert_eq!(out.place(ms(20), AGENT, 40000, 7_000_000), place(2, 160, true));
        assert_eq!(out.place(ms(40), AGENT, 5, 3), place(3, 320, true));
    }

    #[test]
    fn a_key_held_down_takes_its_time_in_the_stream() {
        let mut out = Outgoing::new(5, 0, 0);
        (0..10).for_each(|index| assert!(out.place(ms(u64::from(index) * 20), AGENT, index, 7000).is_some()));
        assert_eq!(out.place(ms(200), MUSIC, 0, 0).unwrap().timestamp, 1600, "200 ms after the press began");
    }

    #[test]
    fn quick_switches_never_give_two_packets_one_time() {
        let mut out = Outgoing::new(5, 0, 0);
        let times: Vec<u32> = (0..4).map(|play| out.place(ms(0), Source::Sound { play }, 0, 0).unwrap().timestamp).collect();
        assert_eq!(times, [0, 160, 320, 480]);
    }

    #[test]
    fn a_change_of_clock_keeps_what_has_passed_and_counts_on_by_the_new_one() {
        let mut out = Outgoing::new(5, 0, 0);
        out.place(ms(0), AGENT, 10, 0);
        out.set_clock(ms(20), 48000);
        assert_eq!(out.place(ms(20), AGENT, 11, 5000), place(2, 160, true), "20 ms by the old clock");
        assert_eq!(out.place(ms(40), AGENT, 12, 5960), place(3, 160 + 960, false));
        out.set_clock(ms(60), 48000);
        assert_eq!(out.place(ms(60), AGENT, 13, 6920), place(4, 160 + 1920, false), "the same clock is no change");
        assert_eq!(out.place(ms(80), MUSIC, 0, 0), place(5, 160 + 2880, true));
        out.set_clock(ms(1080), 8000);
        assert_eq!(out.place(ms(2080), MUSIC, 1, 160), place(6, 160 + 2880 + 48000 + 8000, true));
    }

    #[test]
    fn what_a_source_says_while_it_is_left_is_no_loss() {
        let mut out = Outgoing::new(5, 0, 0);
        out.place(ms(0), AGENT, 10, 0);
        out.leave_source();
        assert_eq!(out.place(ms(60), AGENT, 13, 480), place(2, 480, true));
    }

    #[test]
    fn a_clock_set_before_anything_was_sent_changes_no_number() {
        let mut out = Outgoing::new(5, 0, 700);
        out.set_clock(ms(0), 48000);
        assert_eq!(out.place(ms(1000), AGENT, 10, 0), place(1, 700, true));
        assert_eq!(out.place(ms(1020), MUSIC, 0, 0), place(2, 1660, true));
    }

    #[test]
    fn the_sender_report_tells_the_streams_time_now() {
        let mut out = Outgoing::new(5, 0, 1000);
        assert_eq!(out.sender_info(ms(0), 0), None);
        out.place(ms(0), MUSIC, 0, 0);
        out.sent(160);
        let info = out.sender_info(ms(100), 42).unwrap();
        assert_eq!(info, SenderInfo { ntp: 42, rtp_timestamp: 1800, packets: 1, payload_bytes: 160 });
    }

    proptest! {
        #[test]
        fn a_steady_source_is_never_renumbered(first in any::<u16>(), start in any::<u16>(), count in 1usize..70000) {
            let mut out = Outgoing::new(5, start, 0);
            for index in 0..count {
                let at = ms(index as u64 * 20);
                let placed = out.place(at, AGENT, first.wrapping_add(index as u16), index as u32 * 160).unwrap();
                prop_assert_eq!(placed.sequence, start.wrapping_add(1).wrapping_add(index as u16));
                prop_assert_eq!(placed.timestamp, index as u32 * 160);
            }
        }

        #[test]
        fn no_packets_make_it_panic(packets in proptest::collection::vec((0u32..3, any::<u16>(), any::<u32>(), any::<u64>()), 0..100)) {
            let mut out = Outgoing::new(5, 0, 0);
            for (ssrc, sequence, timestamp, at) in packets {
                out.place(Time::from_nanos(at), Source::Peer { leg: 0, ssrc }, sequence, timestamp);
                out.sender_info(Time::from_nanos(at), 0);
            }
        }
    }
}
