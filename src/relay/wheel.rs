//! The clock of everything that plays on one media thread: twenty slots of one millisecond, each leg in the slot in which
//! its sound began. A leg is due once in twenty milliseconds by the clock on the wall, however late the thread woke, so
//! that pacing never drifts. Plain values; time is handed in.

use std::time::Duration;

use crate::types::Time;

const SLOTS: u64 = 20;
/// A thread that slept longer than this does not make up for it packet by packet: the sound goes on where it is.
const CATCH_UP_MS: u64 = 200;

/// Which legs (by port pair) play, and when each is due.
#[derive(Debug, Default)]
pub(super) struct Wheel {
    slots: [Vec<u16>; SLOTS as usize],
    playing: usize,
    /// The last millisecond that was played.
    played_ms: u64,
}

impl Wheel {
    /// Puts a leg in; it is due first one packet from now, if the wheel has been moved on to now before. The same leg
    /// must not be put in twice.
    pub fn add(&mut self, now: Time, pair: u16) {
        if self.playing == 0 {
            self.played_ms = now.as_millis();
        }
        self.playing += 1;
        self.slot(now.as_millis()).push(pair);
    }

    /// Takes a leg out. Costs a look through the slots, which only a command pays.
    pub fn remove(&mut self, pair: u16) {
        for slot in &mut self.slots {
            if let Some(place) = slot.iter().position(|other| *other == pair) {
                slot.swap_remove(place);
                self.playing -= 1;
                return;
            }
        }
    }

    /// When the next leg is due.
    pub fn next_due(&self) -> Option<Time> {
        if self.playing == 0 {
            return None;
        }
        let ahead = (1..=SLOTS).find(|ahead| self.slots.get(index(self.played_ms + ahead)).is_some_and(|slot| !slot.is_empty()));
        ahead.map(|ahead| Time::from_millis(self.played_ms + ahead))
    }

    /// Moves one millisecond on towards `now`, if it is behind, and says when that was and which legs are due in it.
    pub fn advance(&mut self, now: Time) -> Option<(Time, &[u16])> {
        let now_ms = now.as_millis();
        if self.playing == 0 || self.played_ms >= now_ms {
            return None;
        }
        self.played_ms = (self.played_ms + 1).max(now_ms.saturating_sub(CATCH_UP_MS));
        // The end of the millisecond: a leg that was put in within one is due a whole packet later, and no less.
        Some((Time::from_millis(self.played_ms + 1), self.slots.get(index(self.played_ms))?))
    }

    fn slot(&mut self, ms: u64) -> &mut Vec<u16> {
        &mut self.slots[index(ms)]
    }
}

/// Below SLOTS by the remainder.
fn index(ms: u64) -> usize {
    (ms % SLOTS) as usize
}

/// Time of one packet.
pub(super) const PACKET: Duration = Duration::from_millis(SLOTS);

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(at: u64) -> Time {
        Time::from_millis(at)
    }

    fn due(wheel: &mut Wheel, now: u64) -> Vec<u16> {
        let mut all = Vec::new();
        while let Some((at, pairs)) = wheel.advance(ms(now)) {
            assert!(at <= ms(now + 1));
            all.extend_from_slice(pairs);
        }
        all
    }

    #[test]
    fn a_leg_is_due_every_twenty_milliseconds_from_its_start() {
        let mut wheel = Wheel::default();
        wheel.add(ms(1003), 1);
        assert!(due(&mut wheel, 1010).is_empty());
        wheel.add(ms(1010), 2);
        assert_eq!(wheel.next_due(), Some(ms(1023)));
        assert!(due(&mut wheel, 1022).is_empty());
        assert_eq!(due(&mut wheel, 1023), [1]);
        assert_eq!(wheel.next_due(), Some(ms(1030)));
        assert_eq!(due(&mut wheel, 1050), [2, 1, 2], "late, and nothing left out");
        wheel.remove(1);
        assert_eq!(due(&mut wheel, 1070), [2]);
        wheel.remove(2);
        assert_eq!(wheel.next_due(), None);
    }

    #[test]
    fn a_long_sleep_is_not_made_up_packet_by_packet() {
        let mut wheel = Wheel::default();
        wheel.add(ms(0), 1);
        assert_eq!(due(&mut wheel, 60_000).len(), 11, "200 ms and the one at their start");
        assert_eq!(wheel.next_due(), Some(ms(60_020)));
    }

    #[test]
    fn it_begins_with_the_first_leg_and_not_with_the_machine() {
        let mut wheel = Wheel::default();
        wheel.add(ms(5_000_000), 1);
        assert!(due(&mut wheel, 5_000_019).is_empty());
        assert_eq!(due(&mut wheel, 5_000_020), [1]);
    }
}
