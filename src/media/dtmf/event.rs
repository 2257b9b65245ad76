//! Keys as telephone-events (RFC 4733): reads an event packet and tells each press once, though a part of its packets be
//! lost or out of order. Called by the relay for packets of a leg's telephone-event payload type.

/// One telephone-event packet (RFC 4733 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelephoneEvent {
    pub event: u8,
    pub is_end: bool,
    /// Attenuation in dBm0, 0 to 63.
    pub volume: u8,
    /// So far, in RTP time.
    pub duration: u16,
}

impl TelephoneEvent {
    /// Bytes on the wire.
    pub const BYTES: usize = 4;

    /// Reads the first event of a payload.
    pub fn parse(payload: &[u8]) -> Option<TelephoneEvent> {
        let bytes: &[u8; TelephoneEvent::BYTES] = payload.first_chunk()?;
        Some(TelephoneEvent {
            event: bytes[0],
            is_end: bytes[1] & 0x80 != 0,
            volume: bytes[1] & 0x3f,
            duration: u16::from_be_bytes([bytes[2], bytes[3]]),
        })
    }

    pub fn to_bytes(self) -> [u8; TelephoneEvent::BYTES] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event, (u8::from(self.is_end) << 7) | (self.volume & 0x3f), high, low]
    }

    /// The key of the event (§3.2 table 7); `None` for flash, tones and the rest.
    pub fn digit(self) -> Option<char> {
        b"0123456789*#ABCD".get(usize::from(self.event)).map(|byte| char::from(*byte))
    }

    /// The event of a key.
    pub fn event_of(digit: char) -> Option<u8> {
        "0123456789*#ABCD".find(digit).and_then(|index| u8::try_from(index).ok())
    }
}

/// Tells one press from the ten or more packets that carry it, whichever of them arrive and in whatever order. A press is
/// a stretch of RTP time; a packet that lies in a known stretch of its key is nothing new.
#[derive(Clone, Debug, Default)]
pub struct DigitReader {
    ssrc: Option<u32>,
    /// The latest presses, in a ring: late packets may be told from late presses.
    recent: [Option<Press>; RECENT],
    newest: usize,
}

/// Presses remembered: those of half a second of the fastest dialling.
const RECENT: usize = 8;

#[derive(Clone, Copy, Debug)]
struct Press {
    event: u8,
    start: u32,
    /// The latest timestamp of its packets, and where the longest duration ends.
    segment: u32,
    end: u32,
    has_ended: bool,
}

/// A press that begins this much before the newest one and was never heard of was overtaken on the way.
const OVERTAKEN_RTP_TIME: u32 = 8000;
/// An event that starts this much earlier than the newest press is not a late packet but a sender that began anew.
const LATE_RTP_TIME: u32 = 8000 * 60;
/// §2.5.1.3: a press longer than the duration field can say goes on in a new segment, which begins this much later.
const SEGMENT_RTP_TIME: u32 = 0xffff;

impl Press {
    fn starting(timestamp: u32, event: TelephoneEvent) -> Press {
        let end = timestamp.wrapping_add(event.duration.into());
        Press { event: event.event, start: timestamp, segment: timestamp, end, has_ended: event.is_end }
    }

    /// Whether a packet belongs to this press.
    fn holds(&self, timestamp: u32, event: TelephoneEvent) -> bool {
        if self.event != event.event {
            return false;
        }
        let since_start = timestamp.wrapping_sub(self.start);
        let length = self.end.wrapping_sub(self.start);
        // Its own timestamp, an earlier segment, or (from senders that let the timestamp run on with the duration) any
        // moment of it. One that begins exactly where an ended press stopped is the next press.
        if timestamp == self.segment || since_start < length.max(1) || (since_start == length && !self.has_ended) {
            return true;
        }
        !self.has_ended && timestamp.wrapping_sub(self.segment) == SEGMENT_RTP_TIME
    }

    fn extend(&mut self, timestamp: u32, event: TelephoneEvent) {
        let end = timestamp.wrapping_add(event.duration.into());
        if end.wrapping_sub(self.end) < LATE_RTP_TIME {
            self.end = end;
        }
        if timestamp.wrapping_sub(self.segment) < LATE_RTP_TIME {
            self.segment = timestamp;
        }
        self.has_ended |= event.is_end;
    }
}

impl DigitReader {
    /// The key that went down with this packet, if it is the first packet of its press to arrive.
    pub fn packet(&mut self, ssrc: u32, timestamp: u32, event: TelephoneEvent) -> Option<char> {
        if self.ssrc != Some(ssrc) {
            *self = DigitReader { ssrc: Some(ssrc), ..DigitReader::default() };
        }
        if let Some(press) = self.recent.iter_mut().flatten().find(|press| press.holds(timestamp, event)) {
            press.extend(timestamp, event);
            return None;
        }
        let press = Press::starting(timestamp, event);
        let newest = self.recent.get(self.newest).copied().flatten();
        let before_newest = newest.map_or(u32::MAX, |newest| newest.start.wrapping_sub(timestamp));
        if before_newest >= LATE_RTP_TIME {
            self.newest = (self.newest + 1) % RECENT;
            self.recent[self.newest] = Some(press);
            return event.digit();
        }
        let is_overtaken = (1..OVERTAKEN_RTP_TIME).contains(&before_newest);
        if !is_overtaken {
            return None;
        }
        // It takes the place of the oldest, and the newest stays the newest.
        self.recent[(self.newest + 1) % RECENT] = self.recent[self.newest];
        self.recent[self.newest] = Some(press);
        self.newest = (self.newest + 1) % RECENT;
        event.digit()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(event: u8, duration: u16) -> TelephoneEvent {
        TelephoneEvent { event, is_end: false, volume: 10, duration }
    }

    #[test]
    fn a_press_of_many_packets_is_one_digit() {
        let mut reader = DigitReader::default();
        let pressed: Vec<_> = (1..10).filter_map(|index| reader.packet(1, 8000, event(5, index * 160))).collect();
        assert_eq!(pressed, ['5']);
        assert_eq!(reader.packet(1, 16000, event(5, 160)), Some('5'), "the same key again");
        assert_eq!(reader.packet(1, 24000, event(11, 160)), Some('#'));
        assert_eq!(reader.packet(1, 16000, event(5, 480)), None, "late packet of the press before");
    }

    #[test]
    fn a_press_is_heard_even_when_its_first_packets_are_lost() {
        let end = TelephoneEvent { is_end: true, ..event(0, 1600) };
        assert_eq!(DigitReader::default().packet(1, 8000, end), Some('0'));
    }

    #[test]
    fn a_copy_of_a_last_packet_without_duration_is_no_new_press() {
        let mut reader = DigitReader::default();
        assert_eq!(reader.packet(1, 8000, event(5, 160)), Some('5'));
        let end = TelephoneEvent { is_end: true, ..event(5, 0) };
        assert_eq!([(); 3].map(|()| reader.packet(1, 8160, end)), [None; 3]);
    }

    #[test]
    fn a_very_long_press_stays_one_digit() {
        let mut reader = DigitReader::default();
        assert_eq!(reader.packet(1, 0, event(1, 65535)), Some('1'));
        assert_eq!(reader.packet(1, 65535, event(1, 160)), None);
    }

    #[test]
    fn a_new_stream_starts_afresh() {
        let mut reader = DigitReader::default();
        assert_eq!(reader.packet(1, 80000, event(1, 160)), Some('1'));
        assert_eq!(reader.packet(2, 80000, event(1, 160)), Some('1'));
        assert_eq!(
            reader.packet(2, 80000u32.wrapping_sub(LATE_RTP_TIME), event(2, 160)),
            Some('2'),
            "same SSRC, timestamps far back"
        );
    }

    #[test]
    fn events_that_are_no_keys_are_not_digits() {
        assert_eq!(event(16, 1).digit(), None);
        assert_eq!(TelephoneEvent::event_of('#'), Some(11));
        assert_eq!(TelephoneEvent::event_of('x'), None);
        assert_eq!(TelephoneEvent::parse(&[1, 2, 3]), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(bytes in any::<[u8; 4]>()) {
            let read = TelephoneEvent::parse(&bytes).unwrap();
            let mut expected = bytes;
            expected[1] &= 0xbf; // the reserved bit is not kept
            prop_assert_eq!(read.to_bytes(), expected);
        }

        #[test]
        fn no_packets_make_it_panic(packets in proptest::collection::vec((0u32..2, any::<u32>(), any::<[u8; 4]>()), 0..50)) {
            let mut reader = DigitReader::default();
            for (ssrc, timestamp, bytes) in packets {
                reader.packet(ssrc, timestamp, TelephoneEvent::parse(&bytes).unwrap());
            }
        }
    }
}
