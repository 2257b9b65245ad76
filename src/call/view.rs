//! What the world sees of a call, and how the diary is told.

use crate::events::EventKind;
use crate::types::{AgentId, CallState, CallView, LegRole, QueueId};

use super::legs::Leg;
use super::machine::{Call, Phase};
use super::offer::{Offer, OfferStep};
use super::turn::Turn;
use super::words::{Effect, Goal};

impl Call {
    /// The queue that the call wants or wanted.
    pub fn queue(&self) -> Option<&QueueId> {
        match &self.goal {
            Goal::Queue { queue, .. } => Some(queue),
            Goal::Person(_) | Goal::Outside { .. } | Goal::Nowhere { .. } => None,
        }
    }

    /// What the world sees of it now.
    pub fn view(&self) -> CallView {
        let end = if let Phase::Ended(end) = &self.phase { Some(end) } else { None };
        CallView {
            id: self.facts.id,
            kind: self.facts.kind,
            state: self.state(),
            from: self.facts.from.clone(),
            to: self.facts.to.clone(),
            trunk: self.facts.trunk.clone(),
            queue: self.queue().cloned(),
            agent: self.facts.agent.clone(),
            card_id: self.facts.card,
            source: self.facts.source.clone(),
            started_at: self.facts.started_at,
            answered_at: self.facts.answered_at,
            ended_at: end.map(|end| end.at),
            cause: end.map(|end| end.cause),
            ended_by: end.map(|end| end.ended_by),
            recording_id: self.tape.id(),
            legs: self.legs.views(),
            consult_of: None,
            merged_into: None,
        }
    }

    pub(super) fn state(&self) -> CallState {
        match &self.phase {
            Phase::Asking { .. } => CallState::Ringing,
            Phase::Seeking(seek) => {
                let rings_an_agent = |offer: &Offer| offer.agent().is_some() && matches!(offer.step, OfferStep::Ringing { .. });
                match &self.goal {
                    _ if seek.offers.iter().any(rings_an_agent) => CallState::Offered,
                    Goal::Queue { .. } => CallState::Queued,
                    Goal::Person(_) | Goal::Outside { .. } | Goal::Nowhere { .. } => CallState::Ringing,
                }
            }
            Phase::Talking { .. } if self.is_held() => CallState::Held,
            Phase::Talking { .. } => CallState::Talking,
            Phase::Ended(_) => CallState::Ended,
        }
    }

    fn is_held(&self) -> bool {
        let is_holding = |leg: &Leg| leg.is_holding && leg.role != LegRole::Supervisor;
        self.held_by.is_some() || self.legs.answered().any(is_holding)
    }

    /// Whose call it is while nobody is offered it: the person called, or the person calling.
    pub(super) fn usual_agent(&self) -> Option<AgentId> {
        match &self.goal {
            Goal::Person(person) => Some(person.agent.clone()),
            Goal::Queue { .. } | Goal::Outside { .. } | Goal::Nowhere { .. } => {
                self.facts.asker.as_ref().map(|person| person.agent.clone())
            }
        }
    }

    pub(super) fn emit(&self, turn: &mut Turn, kind: fn(Box<CallView>) -> EventKind) {
        let kind = kind(Box::new(self.view()));
        turn.push(Effect::Emit { kind, agent: self.facts.agent.clone(), queue: self.queue().cloned() });
    }
}
