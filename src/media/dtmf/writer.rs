//! One press as telephone-event packets (RFC 4733 §2.5.1), in steps of 20 ms: updates while the key is down, the end three
//! times, and new segments for a press that is longer than the duration field can say. It places nothing in a stream:
//! its caller (the relay) adds sequence numbers and the timestamp of the moment when the key went down.

use smallvec::SmallVec;

use super::event::TelephoneEvent;

/// Steps in a second.
const STEPS: u32 = 50;
/// §2.5.1.4: the end of an event, and of a segment, is told three times.
const REPEATS: u8 = 2;

/// A packet to be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPacket {
    /// The first of its press.
    pub marker: bool,
    /// RTP time from when the key went down to this packet's timestamp: not zero only in a long press.
    pub after: u32,
    pub event: TelephoneEvent,
}

/// See the file's head.
#[derive(Clone, Copy, Debug)]
pub struct PressWriter {
    event: u8,
    volume: u8,
    /// RTP time of one step.
    step: u32,
    /// RTP time before this segment, and in it.
    before: u32,
    duration: u32,
    has_begun: bool,
    /// The end of the last whole segment, and how often it will be told again.
    full: Option<(EventPacket, u8)>,
    /// The end of the press, likewise.
    end: Option<(EventPacket, u8)>,
}

impl PressWriter {
    /// A press of the key `event` (§3.2: 0 to 15) as loud as `volume` says (0 to 63, in -dBm0), in a stream whose clock
    /// has `clock_hz`.
    pub fn new(event: u8, volume: u8, clock_hz: u32) -> PressWriter {
        PressWriter { event, volume, step: clock_hz / STEPS, before: 0, duration: 0, has_begun: false, full: None, end: None }
    }

    /// The key was down for another 20 ms; `is_last`: and is let go now. Nothing after it was let go.
    pub fn down(&mut self, is_last: bool) -> SmallVec<[EventPacket; 3]> {
        let mut packets = SmallVec::new();
        if self.end.is_some() {
            return packets;
        }
        packets.extend(again(&mut self.full));
        self.duration += self.step;
        let most = u32::from(u16::MAX);
        if self.duration > most {
            // §2.5.1.3: no end bit here, and no marker on the segment that follows.
            let full = self.packet(most, false);
            packets.push(full);
            self.full = Some((full, REPEATS));
            self.before = self.before.wrapping_add(most);
            self.duration -= most;
        }
        let packet = self.packet(self.duration, is_last);
        self.has_begun = true;
        packets.push(packet);
        if is_last {
            self.end = Some((packet, REPEATS));
        }
        packets
    }

    /// The next 20 ms after the key was let go: its end once more, twice.
    pub fn repeat(&mut self) -> Option<EventPacket> {
        again(&mut self.end)
    }

    fn packet(&self, duration: u32, is_end: bool) -> EventPacket {
        let duration = u16::try_from(duration).unwrap_or(u16::MAX);
        let event = TelephoneEvent { event: self.event, is_end, volume: self.volume.min(63), duration };
        EventPacket { marker: !self.has_begun, after: self.before, event }
    }
}

fn again(told: &mut Option<(EventPacket, u8)>) -> Option<EventPacket> {
    let (packet, left) = told.as_mut()?;
    *left = left.checked_sub(1)?;
    packet.marker = false;
    Some(*packet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::dtmf::DigitReader;

    fn write(clock_hz: u32, steps: u32) -> Vec<Vec<EventPacket>> {
        let mut writer = PressWriter::new(5, 10, clock_hz);
        let mut sent: Vec<Vec<EventPacket>> = (1..=steps).map(|step| writer.down(step == steps).to_vec()).collect();
        sent.extend(std::iter::from_fn(|| writer.repeat()).take(10).map(|packet| vec![packet]));
        sent
    }

    #[test]
    fn a_press_begins_with_the_marker_counts_up_and_ends_three_times() {
        let sent: Vec<EventPacket> = write(8000, 5).concat();
        let told: Vec<_> = sent.iter().map(|packet| (packet.marker, packet.event.duration, packet.event.is_end)).collect();
        let expected = [
            (true, 160, false),
            (false, 320, false),
            (false, 480, false),
            (false, 640, false),
            (false, 800, true),
            (false, 800, true),
            (false, 800, true),
        ];
        assert_eq!(told, expected);
        assert!(sent.iter().all(|packet| packet.after == 0 && packet.event.event == 5 && packet.event.volume == 10));
    }

    #[test]
    fn the_duration_counts_in_the_clock_of_the_stream() {
        assert_eq!(write(48_000, 5).concat().last().unwrap().event.duration, 4800);
        let at_once = write(48_000, 1).concat();
        assert_eq!(at_once.len(), 3);
        assert!(at_once[0].marker && !at_once[1].marker && at_once.iter().all(|packet| packet.event.is_end));
    }

    #[test]
    fn a_long_press_goes_on_in_segments_and_stays_one_digit() {
        for (clock_hz, steps) in [(8000, 420), (8000, 1300), (48_000, 75), (48_000, 500)] {
            let sent = write(clock_hz, steps);
            let all = sent.concat();
            assert_eq!(all.iter().filter(|packet| packet.marker).count(), 1);
            assert_eq!(all.iter().filter(|packet| packet.event.is_end).count(), 3);
            let last = all.last().unwrap();
            assert_eq!(last.after + u32::from(last.event.duration), steps * clock_hz / 50, "nothing is lost between segments");
            let full = all.iter().filter(|packet| packet.event.duration == u16::MAX).count() as u32;
            assert_eq!(full, 3 * (steps * clock_hz / 50 / 0xffff));
            assert!(sent.iter().all(|packets| packets.len() <= 3));
            let mut reader = DigitReader::default();
            let heard = |packet: &EventPacket| reader.packet(1, packet.after.wrapping_add(7), packet.event);
            assert_eq!(all.iter().filter_map(heard).collect::<String>(), "5");
        }
    }

    #[test]
    fn a_key_that_was_let_go_says_nothing_more() {
        let mut writer = PressWriter::new(1, 10, 8000);
        assert_eq!(writer.repeat(), None);
        assert_eq!(writer.down(true).len(), 1);
        assert!(writer.down(false).is_empty());
        assert!(writer.repeat().is_some() && writer.repeat().is_some() && writer.repeat().is_none());
    }
}
