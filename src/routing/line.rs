//! One queue: who waits, in which order, and what became of those who came. Bookkeeping only: `floor` decides.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::site::{Queue, Strategy};
use crate::types::{AgentId, CallId, GrantId, QueueId, Time};

/// Calls that may wait in one queue; the next one is refused as `Full`.
pub(super) const MOST_WAITING: usize = 1_000;
/// Agents a call remembers as having declined it. The oldest is forgotten, and may be asked again early.
const MOST_AVOIDED: usize = 64;

/// A place in line: higher priority first, then longer waiting, then the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub priority: Reverse<u8>,
    pub entered: Time,
    pub number: u64,
}

#[derive(Debug)]
pub(super) struct Line {
    pub settings: Queue,
    pub calls: BTreeMap<Place, CallId>,
    /// Who was granted last: where the round goes on.
    pub last_granted: Option<AgentId>,
    pub entered: u64,
    pub answered: u64,
    pub abandoned: u64,
}

impl Line {
    pub fn new(settings: Queue) -> Self {
        Line { settings, calls: BTreeMap::new(), last_granted: None, entered: 0, answered: 0, abandoned: 0 }
    }

    pub fn is_full(&self) -> bool {
        self.calls.len() >= MOST_WAITING
    }
}

/// A lease that is neither answered nor ended.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub call: CallId,
    pub agent: AgentId,
    pub epoch: u64,
}

/// A call in line.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub queue: QueueId,
    pub place: Place,
    /// Leases that run now: one, except in queues that ring several at once.
    pub offers: SmallVec<[GrantId; 1]>,
    /// Who declined it, and until when they are not asked again.
    pub avoided: SmallVec<[(AgentId, Time); 1]>,
    /// When a progressive queue rings one more phone; `None`: now.
    pub widen_at: Option<Time>,
    /// Leases that ran out because the call did nothing with them.
    pub lapses: u8,
}

impl Waiting {
    pub fn new(queue: QueueId, place: Place) -> Self {
        Waiting { queue, place, offers: SmallVec::new(), avoided: SmallVec::new(), widen_at: None, lapses: 0 }
    }

    /// Would take another agent now.
    pub fn wants_more(&self, strategy: Strategy) -> bool {
        match strategy {
            Strategy::RingAll => self.offers.len() < crate::call::MOST_OFFERS,
            Strategy::RingProgressively => {
                self.offers.is_empty() || (self.widen_at.is_none() && self.offers.len() < crate::call::MOST_OFFERS)
            }
            Strategy::RoundRobin
            | Strategy::LongestIdle
            | Strategy::FewestCalls
            | Strategy::LeastTalkTime
            | Strategy::TopDown
            | Strategy::Random
            | Strategy::Weighted => self.offers.is_empty(),
        }
    }

    pub fn avoid(&mut self, agent: AgentId, until: Time) {
        self.avoided.retain(|(whom, _)| *whom != agent);
        if self.avoided.len() >= MOST_AVOIDED {
            self.avoided.remove(0);
        }
        self.avoided.push((agent, until));
    }

    pub fn avoids(&self, agent: &AgentId) -> bool {
        self.avoided.iter().any(|(whom, _)| whom == agent)
    }

    pub fn next_deadline(&self) -> Option<Time> {
        self.avoided.iter().map(|(_, until)| *until).chain(self.widen_at).min()
    }

    /// True when something passed, so that the call may be granted anew.
    pub fn pass_deadlines(&mut self, now: Time) -> bool {
        let before = self.avoided.len();
        self.avoided.retain(|(_, until)| *until > now);
        let widens = self.widen_at.is_some_and(|at| at <= now);
        if widens {
            self.widen_at = None;
        }
        widens || self.avoided.len() < before
    }
}
