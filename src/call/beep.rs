//! The tone by which both sides of a conversation are reminded that it is recorded: at its beginning, then every so often,
//! and only while the recording takes in what is said. Says when; `machine` asks it after every turn.

use std::time::Duration;

use crate::types::Time;

use super::machine::{Call, Phase};
use super::tape::Tape;
use super::turn::Turn;
use super::words::Effect;

/// Of two policies about one call, the one that beeps more often; 0 is no beep.
pub fn more_often(one_seconds: u32, other_seconds: u32) -> u32 {
    match (one_seconds, other_seconds) {
        (0, seconds) | (seconds, 0) => seconds,
        (one, other) => one.min(other),
    }
}

/// When the next beep is due.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Beep {
    every_seconds: u32,
    /// While the conversation is recorded.
    next: Option<Time>,
}

impl Beep {
    /// Every so many seconds; 0 for none.
    pub fn every(seconds: u32) -> Beep {
        Beep { every_seconds: seconds, next: None }
    }

    /// Somebody joined who has a policy too.
    pub fn and_every(&mut self, seconds: u32) {
        self.every_seconds = more_often(self.every_seconds, seconds);
    }

    pub fn next(self) -> Option<Time> {
        self.next
    }

    /// Whether it is to be heard now.
    fn step(&mut self, now: Time, is_recorded: bool) -> bool {
        if !is_recorded || self.every_seconds == 0 {
            self.next = None;
            return false;
        }
        let is_due = self.next.is_none_or(|at| at <= now);
        if is_due {
            self.next = Some(now + Duration::from_secs(self.every_seconds.into()));
        }
        is_due
    }
}

impl Call {
    /// Lets both sides hear it when it is due. On hold, and while the announcement is heard, nobody talks.
    pub(super) fn settle_beep(&mut self, turn: &mut Turn) {
        let callee = match self.phase {
            Phase::Talking { callee, .. } => Some(callee),
            _ => None,
        };
        let first = self.legs.first();
        let is_heard = |leg| self.legs.get(leg).is_some_and(|leg| leg.away.is_none() && !leg.is_holding);
        let talks = callee.filter(|callee| self.music_on_hold().is_none() && is_heard(*callee) && is_heard(first));
        let is_told = self.announcement.until().is_some_and(|until| until > turn.now);
        let is_recorded = talks.is_some() && !is_told && matches!(self.tape, Tape::Running(_));
        if self.beep.step(turn.now, is_recorded) {
            for leg in [Some(first), callee].into_iter().flatten() {
                turn.push(Effect::Beep { leg });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_heard_at_once_and_then_every_so_often_but_not_while_nothing_is_recorded() {
        let second = |number: u64| Time::from_millis(number * 1000);
        let mut beep = Beep::every(15);
        let heard: Vec<u64> = (0..100).filter(|now| beep.step(second(*now), !(40..50).contains(now))).collect();
        assert_eq!(heard, [0, 15, 30, 50, 65, 80, 95]);
        assert_eq!(beep.next(), Some(second(110)));
        assert!(!beep.step(second(200), false));
        assert_eq!(beep.next(), None);
    }

    #[test]
    fn of_two_policies_the_one_that_beeps_more_often_counts() {
        assert_eq!([(0, 0), (0, 15), (20, 0), (20, 15)].map(|(one, other)| more_often(one, other)), [0, 15, 20, 15]);
        let mut beep = Beep::every(0);
        assert!(!beep.step(Time::ZERO, true));
        beep.and_every(30);
        assert!(beep.step(Time::ZERO, true));
    }
}
