//! One heap of deadlines for everything that waits. Deadlines change more often than they come, so an entry is never
//! searched or removed: its owner keeps an `Alarm` that says which entry counts, and an entry that does not is dropped
//! when its time comes. Each owner has about one live entry, whatever it does to its deadline.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::types::Time;

/// The owner's side: when the nearest of its entries fires.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Alarm {
    armed: Option<Time>,
}

#[derive(Debug)]
pub(super) struct Timers<K> {
    heap: BinaryHeap<Reverse<(Time, K)>>,
}

impl<K: Ord + Copy> Timers<K> {
    pub(super) fn new() -> Self {
        Timers { heap: BinaryHeap::new() }
    }

    /// Makes sure that `key` comes due no later than `deadline`. A deadline that moved away costs nothing: the old entry
    /// fires early and the owner, who finds nothing to do, arms again.
    pub(super) fn arm(&mut self, key: K, alarm: &mut Alarm, deadline: Option<Time>) {
        let Some(deadline) = deadline else { return };
        if alarm.armed.is_none_or(|armed| deadline < armed) {
            alarm.armed = Some(deadline);
            self.heap.push(Reverse((deadline, key)));
        }
    }

    /// The next key whose time has come. The owner must call `Alarm::rang` before it arms again.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<(Time, K)> {
        let Reverse((at, _)) = self.heap.peek()?;
        if *at > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// Never later than the nearest deadline; may be earlier, when that deadline has moved.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }
}

impl Alarm {
    /// The entry of `at` has been popped.
    pub(super) fn rang(&mut self, at: Time) {
        if self.armed == Some(at) {
            self.armed = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn a_deadline_that_moves_away_adds_no_entry_and_still_comes() {
        let mut timers = Timers::new();
        let mut alarm = Alarm::default();
        for deadline in [10, 20, 30] {
            timers.arm('a', &mut alarm, Some(at(deadline)));
        }
        assert_eq!(timers.len(), 1);
        assert_eq!(timers.pop_due(at(10)), Some((at(10), 'a')));
        alarm.rang(at(10));
        timers.arm('a', &mut alarm, Some(at(30)));
        assert_eq!(timers.pop_due(at(29)), None);
        assert_eq!(timers.pop_due(at(30)), Some((at(30), 'a')));
    }

    #[test]
    fn a_deadline_that_comes_nearer_fires_first() {
        let mut timers = Timers::new();
        let (mut a, mut b) = (Alarm::default(), Alarm::default());
        timers.arm('a', &mut a, Some(at(20)));
        timers.arm('b', &mut b, Some(at(15)));
        timers.arm('a', &mut a, Some(at(10)));
        assert_eq!(timers.next_deadline(), Some(at(10)));
        let mut order = Vec::new();
        while let Some((_, key)) = timers.pop_due(at(100)) {
            order.push(key);
        }
        assert_eq!(order, ['a', 'b', 'a']);
    }
}
