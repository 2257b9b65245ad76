//! The parties of one call and how far each has come. Bookkeeping only: `machine` decides.

use super::absence::Absence;
use crate::types::{AgentId, LegId, LegRole, LegState, LegView, Party, TrunkId, Wall};

/// A caller who waits for hours is offered many times. Past this, the oldest leg that ended unanswered is forgotten.
const MOST_LEGS: usize = 48;

/// How far a leg has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LegStep {
    /// Arrived or dialled, no final answer yet.
    Pending,
    Answered,
    /// We took the INVITE back and wait to hear that it is gone. A late answer is hung up.
    Cancelling,
    Closed,
}

#[derive(Clone, Debug)]
pub(super) struct Leg {
    pub id: LegId,
    pub role: LegRole,
    pub step: LegStep,
    pub party: Party,
    pub agent: Option<AgentId>,
    pub trunk: Option<TrunkId>,
    pub started_at: Wall,
    pub answered_at: Option<Wall>,
    pub ended_at: Option<Wall>,
    /// No RTP for longer than the limit.
    pub is_silent: bool,
    /// Their side put us on hold.
    pub is_holding: bool,
    /// A browser that fell silent without leaving.
    pub away: Option<Absence>,
}

impl Leg {
    pub fn new(id: LegId, role: LegRole, party: Party, wall: Wall) -> Self {
        Leg {
            id,
            role,
            step: LegStep::Pending,
            party,
            agent: None,
            trunk: None,
            started_at: wall,
            answered_at: None,
            ended_at: None,
            is_silent: false,
            is_holding: false,
            away: None,
        }
    }

    pub fn of_agent(mut self, agent: Option<AgentId>) -> Self {
        self.agent = agent;
        self
    }

    pub fn by_trunk(mut self, trunk: Option<TrunkId>) -> Self {
        self.trunk = trunk;
        self
    }

    pub fn answer(&mut self, wall: Wall) {
        self.step = LegStep::Answered;
        self.answered_at = Some(wall);
    }

    pub fn cancel(&mut self) {
        self.step = LegStep::Cancelling;
    }

    pub fn close(&mut self, wall: Wall) {
        self.step = LegStep::Closed;
        self.ended_at.get_or_insert(wall);
    }

    fn view(&self) -> LegView {
        LegView {
            id: self.id,
            role: self.role,
            state: match self.step {
                LegStep::Pending => LegState::Ringing,
                LegStep::Answered => LegState::Answered,
                LegStep::Cancelling | LegStep::Closed => LegState::Ended,
            },
            party: self.party.clone(),
            agent: self.agent.clone(),
            trunk: self.trunk.clone(),
            started_at: self.started_at,
            answered_at: self.answered_at,
            ended_at: self.ended_at,
        }
    }
}

/// Every leg of the call, in the order they came. The first one waits for the others.
#[derive(Clone, Debug)]
pub(super) struct Legs {
    legs: Vec<Leg>,
    first: LegId,
}

impl Legs {
    pub fn starting_with(first: Leg) -> Self {
        Legs { first: first.id, legs: vec![first] }
    }

    pub fn first(&self) -> LegId {
        self.first
    }

    pub fn add(&mut self, leg: Leg) {
        if self.legs.len() >= MOST_LEGS {
            let forgotten =
                self.legs.iter().position(|it| it.id != self.first && it.step == LegStep::Closed && it.answered_at.is_none());
            if let Some(place) = forgotten {
                self.legs.remove(place);
            }
        }
        self.legs.push(leg);
    }

    pub fn get(&self, id: LegId) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.id == id)
    }

    pub fn get_mut(&mut self, id: LegId) -> Option<&mut Leg> {
        self.legs.iter_mut().find(|leg| leg.id == id)
    }

    pub fn step(&self, id: LegId) -> Option<LegStep> {
        self.get(id).map(|leg| leg.step)
    }

    pub fn any(&self, step: LegStep) -> bool {
        self.legs.iter().any(|leg| leg.step == step)
    }

    /// The legs that are in a conversation with somebody or with our music.
    pub fn answered(&self) -> impl Iterator<Item = &Leg> {
        self.legs.iter().filter(|leg| leg.step == LegStep::Answered)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Leg> {
        self.legs.iter_mut()
    }

    /// The parties; supervisors are not shown.
    pub fn views(&self) -> Vec<LegView> {
        self.legs.iter().filter(|leg| leg.role != LegRole::Supervisor).map(Leg::view).collect()
    }
}
