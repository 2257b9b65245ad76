//! One attempt to reach somebody for the waiting caller: an agent (pop first, then their phone) or an outside number.
//! Several may run at once when a queue rings all.

use std::time::Duration;

use crate::events::RetractReason;
use crate::types::{AgentId, GrantId, LegId, PopId, Time, TrunkId};

use super::words::{OfferOutcome, Person};

/// A queue that rings everyone rings this many at once; further grants are refused.
pub const MOST_OFFERS: usize = 32;
/// How long an INVITE waits for its pop (the only thing that may hold one back).
pub const POP_HOLDS_INVITE: Duration = Duration::from_millis(20);
/// Pops are remembered by agent, so that a second offer shows the same one. The oldest is forgotten first.
const MOST_POPS: usize = 64;

/// Whom an offer tries to reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// With a grant it came from the queue; without, the caller asked for this person.
    Agent {
        person: Person,
        grant: Option<GrantId>,
        pop: PopId,
    },
    Outside {
        trunk: TrunkId,
        number: String,
    },
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OfferStep {
    ShowingPop { until: Time },
    Ringing { leg: LegId, until: Time },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub target: Target,
    pub step: OfferStep,
    pub ring: Duration,
}

impl Offer {
    pub fn leg(&self) -> Option<LegId> {
        match self.step {
            OfferStep::ShowingPop { .. } => None,
            OfferStep::Ringing { leg, .. } => Some(leg),
        }
    }

    pub fn until(&self) -> Time {
        match self.step {
            OfferStep::ShowingPop { until } | OfferStep::Ringing { until, .. } => until,
        }
    }

    pub fn grant(&self) -> Option<GrantId> {
        match self.target {
            Target::Agent { grant, .. } => grant,
            Target::Outside { .. } => None,
        }
    }

    pub fn agent(&self) -> Option<&AgentId> {
        match &self.target {
            Target::Agent { person, .. } => Some(&person.agent),
            Target::Outside { .. } => None,
        }
    }
}

/// What the agent's screen is told about a pop whose offer ended.
pub(super) fn retract_reason(outcome: OfferOutcome) -> RetractReason {
    match outcome {
        OfferOutcome::NoAnswer => RetractReason::NoAnswer,
        OfferOutcome::Busy | OfferOutcome::Declined => RetractReason::Declined,
        OfferOutcome::Unreachable => RetractReason::Unreachable,
        OfferOutcome::Abandoned => RetractReason::Abandoned,
        OfferOutcome::AnsweredElsewhere => RetractReason::AnsweredElsewhere,
        OfferOutcome::Refused => RetractReason::Withdrawn,
    }
}

/// One `pop_id` a call and agent.
#[derive(Clone, Debug, Default)]
pub(super) struct Pops {
    shown: Vec<(AgentId, PopId)>,
}

impl Pops {
    pub fn of(&mut self, agent: &AgentId, mint: impl FnOnce() -> PopId) -> PopId {
        if let Some((_, pop)) = self.shown.iter().find(|(whose, _)| whose == agent) {
            return *pop;
        }
        if self.shown.len() >= MOST_POPS {
            self.shown.remove(0);
        }
        let pop = mint();
        self.shown.push((agent.clone(), pop));
        pop
    }
}
