//! How many calls a second a trunk starts (`max_cps` of the site file), both directions together: the carrier counts so.
//! Pure: told the time by whoever starts a call; decides only, refuses nothing itself.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::types::{Time, TrunkId};

const WINDOW: Duration = Duration::from_secs(1);

/// When the trunks' latest calls began. Bounded: trunks come from the site file, and of each only the last second is kept,
/// in which no more calls begin than it may start.
#[derive(Debug, Default)]
pub struct Pace {
    starts: HashMap<TrunkId, VecDeque<Time>>,
}

impl Pace {
    /// Whether another call may begin now. `most` is the trunk's `max_cps`; 0 is no limit.
    pub fn has_room(&mut self, now: Time, trunk: &TrunkId, most: u32) -> bool {
        most == 0 || self.starts.get_mut(trunk).is_none_or(|starts| recent(starts, now) < most as usize)
    }

    /// Counts a call that begins now, unless there is no room for it. In no second, wherever it begins, are there more
    /// than `most`.
    pub fn begin(&mut self, now: Time, trunk: &TrunkId, most: u32) -> bool {
        if most == 0 {
            return true;
        }
        let starts = self.starts.entry(trunk.clone()).or_default();
        let has_room = recent(starts, now) < most as usize;
        if has_room {
            starts.push_back(now);
        }
        has_room
    }
}

/// Forgets what is older than a second; how many are left.
fn recent(starts: &mut VecDeque<Time>, now: Time) -> usize {
    while starts.front().is_some_and(|start| now.since(*start) >= WINDOW) {
        starts.pop_front();
    }
    starts.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn no_more_calls_begin_in_a_second_than_the_trunk_may_start() {
        let (mut pace, trunk) = (Pace::default(), TrunkId::new("carrier"));
        let begun = [0, 100, 200, 999, 1000, 1050, 1100, 1200].map(|millis| pace.begin(at(millis), &trunk, 2));
        assert_eq!(begun, [true, true, false, false, true, false, true, false]);
        assert!(!pace.has_room(at(1999), &trunk, 2));
        assert!(pace.has_room(at(2000), &trunk, 2));
    }

    #[test]
    fn trunks_do_not_count_for_each_other_and_zero_is_no_limit() {
        let mut pace = Pace::default();
        let (one, other) = (TrunkId::new("one"), TrunkId::new("other"));
        assert!(pace.begin(at(0), &one, 1) && pace.begin(at(0), &other, 1));
        assert!(!pace.begin(at(0), &one, 1));
        assert!((0..1000).all(|_| pace.begin(at(0), &one, 0)));
        assert_eq!(pace.starts[&one].len(), 1, "nothing is kept of a trunk without a limit");
    }

    proptest! {
        #[test]
        fn every_window_of_a_second_holds_at_most_the_limit(
            gaps in proptest::collection::vec(0_u64..400, 1..200),
            most in 1_u32..8,
        ) {
            let (mut pace, trunk, mut now, mut begun) = (Pace::default(), TrunkId::new("t"), 0, Vec::new());
            for gap in gaps {
                now += gap;
                if pace.begin(at(now), &trunk, most) {
                    begun.push(now);
                }
            }
            for start in &begun {
                let within = begun.iter().filter(|other| (*start..*start + 1000).contains(*other)).count();
                prop_assert!(within <= most as usize);
            }
        }
    }
}
