//! One agent as two facts that never mix: the *rest* (what they are when no call has them, changed by their own wish,
//! by wrap-up and by missed offers) and the *engagements* (the calls that have them now). The shown state is the
//! strongest engagement, else the rest:
//!
//! ```text
//!            wish                    granted             INVITE left          answered
//! Offline ⇄ Ready ⇄ Break    Ready ─────────→ Reserved ─────────────→ Ringing ────────→ Talking ⇄ Holding
//!             ↑                ↑                 │ 2 s, taken back       │ missed            │ call over
//!             │                └─────────────────┘                       ↓                   ↓
//!             ├──────────────────────────────────────────────────── NotAnswering          WrapUp (queue calls only)
//!             └──────────────────────────────── rest period, or `ready` ──┴───────────────────┘
//! ```
//!
//! Reserved and Ringing always carry a deadline, so nobody is stuck when a call's task dies. A wish during a call
//! changes the rest and shows when the call is over.

use std::time::Duration;

use smallvec::SmallVec;

use super::comeback::LastSeen;
use super::words::{AgentEffect, AgentInput, Miss, Shown, TakenBack, Tally, Wish};
use crate::call::{AgentDoing, OfferOutcome};
use crate::types::{AgentState, CallId, GrantId, Time, Wall};

/// One person on one phone is in few calls. A further one is refused with `Unexpected`: the state already says talking.
const MOST_ENGAGEMENTS: usize = 16;
/// A call outside queues cancels its own ringing long before; this frees the agent when that call's task died.
const LONGEST_DIRECT_RINGING: Duration = Duration::from_secs(300);

/// A moment on both clocks: one to wait for, one to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Until {
    pub time: Time,
    pub wall: Wall,
}

/// What the agent is when no call has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// The reason is the server's, never the person's.
    Offline {
        reason: Option<&'static str>,
    },
    Ready,
    Break {
        reason: Option<String>,
    },
    WrapUp {
        until: Until,
        reason: Option<&'static str>,
    },
    NotAnswering {
        until: Until,
        miss: Miss,
    },
}

/// How far a call has the agent; later is stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Reserved { until: Time },
    Ringing { until: Time },
    Holding { since: Time },
    Talking { since: Time },
}

impl Stage {
    fn state(self) -> AgentState {
        match self {
            Stage::Reserved { .. } => AgentState::Reserved,
            Stage::Ringing { .. } => AgentState::Ringing,
            Stage::Holding { .. } => AgentState::Holding,
            Stage::Talking { .. } => AgentState::Talking,
        }
    }

    fn strength(self) -> u8 {
        match self {
            Stage::Reserved { .. } => 0,
            Stage::Ringing { .. } => 1,
            Stage::Holding { .. } => 2,
            Stage::Talking { .. } => 3,
        }
    }

    /// Since when they speak in this call, if they do.
    fn talking_since(self) -> Option<Time> {
        match self {
            Stage::Holding { since } | Stage::Talking { since } => Some(since),
            Stage::Reserved { .. } | Stage::Ringing { .. } => None,
        }
    }

    fn until(self) -> Option<Time> {
        match self {
            Stage::Reserved { until } | Stage::Ringing { until } => Some(until),
            Stage::Holding { .. } | Stage::Talking { .. } => None,
        }
    }
}

/// One call that has the agent. With a grant it came from a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Engagement {
    call: CallId,
    grant: Option<GrantId>,
    wrap_up: Duration,
    stage: Stage,
}

/// One agent.
#[derive(Clone, Debug)]
pub struct Agent {
    rest: Rest,
    engagements: SmallVec<[Engagement; 2]>,
    registered: bool,
    since: Wall,
    idle_since: Time,
    tally: Tally,
}

impl Agent {
    /// Everyone starts offline: only a person's wish makes them ready, now or before a restart (`ComeBack`).
    pub fn new(now: Time, wall: Wall) -> Self {
        let engagements = SmallVec::new();
        let rest = Rest::Offline { reason: None };
        Agent { rest, engagements, registered: false, since: wall, idle_since: now, tally: Tally::default() }
    }

    pub fn handle(&mut self, now: Time, wall: Wall, input: AgentInput) -> Vec<AgentEffect> {
        let before = (self.shown(), self.registered);
        let mut effects = Vec::new();
        match input {
            AgentInput::ComeBack(last) => self.rest = LastSeen::rest_now(last, now, wall),
            AgentInput::Ask(wish) => self.ask(now, wish, &mut effects),
            AgentInput::Registered => self.registered = true,
            AgentInput::Unregistered => {
                self.registered = false;
                // A direct call's ringing ends with its leg; a lease goes to somebody who can be reached.
                self.take_back(|it| it.grant.is_some() && it.stage.until().is_some(), TakenBack::Unregistered, &mut effects);
            }
            AgentInput::Reserve { grant, call, wrap_up, until } => self.reserve(grant, call, wrap_up, until, &mut effects),
            AgentInput::Ring { grant, until } => match self.granted(grant) {
                Some(Engagement { stage: stage @ Stage::Reserved { .. }, .. }) => *stage = Stage::Ringing { until },
                _ => effects.push(AgentEffect::Unexpected { input: "ring" }),
            },
            AgentInput::Answer { grant } => match self.granted(grant) {
                Some(Engagement { stage, .. }) if stage.until().is_some() => {
                    *stage = Stage::Talking { since: now };
                    self.tally.answered += 1;
                }
                _ => effects.push(AgentEffect::Unexpected { input: "answer" }),
            },
            AgentInput::OfferOver { grant, outcome } => self.offer_over(now, wall, grant, outcome, &mut effects),
            AgentInput::Engage { call, doing } => self.engage(now, call, doing, &mut effects),
            AgentInput::Release { call } => self.release(now, wall, call),
            AgentInput::Deadline => self.pass_deadlines(now, &mut effects),
        }
        if before != (self.shown(), self.registered) {
            if before.0.state != self.shown().state {
                self.since = wall;
            }
            effects.push(AgentEffect::Changed);
        }
        effects
    }

    /// The earliest moment at which something ends by itself.
    pub fn next_deadline(&self) -> Option<Time> {
        let rest = match &self.rest {
            Rest::WrapUp { until, .. } | Rest::NotAnswering { until, .. } => Some(until.time),
            Rest::Offline { .. } | Rest::Ready | Rest::Break { .. } => None,
        };
        self.engagements.iter().filter_map(|engagement| engagement.stage.until()).chain(rest).min()
    }

    /// May be offered a call now.
    pub fn is_free(&self) -> bool {
        self.registered && self.engagements.is_empty() && self.rest == Rest::Ready
    }

    pub fn is_registered(&self) -> bool {
        self.registered
    }

    pub fn is_engaged(&self) -> bool {
        !self.engagements.is_empty()
    }

    pub fn is_engaged_by(&self, call: CallId) -> bool {
        self.engagements.iter().any(|engagement| engagement.call == call)
    }

    /// Since when they wait for a call. An offer that came to nothing without their fault does not reset it.
    pub fn idle_since(&self) -> Time {
        self.idle_since
    }

    pub fn since(&self) -> Wall {
        self.since
    }

    pub fn tally(&self) -> Tally {
        self.tally
    }

    pub fn shown(&self) -> Shown {
        if let Some(strongest) = self.engagements.iter().max_by_key(|engagement| engagement.stage.strength()) {
            return Shown { state: strongest.stage.state(), reason: None, until: None, call: Some(strongest.call) };
        }
        let shown = |state, reason: Option<String>, until: Option<Wall>| Shown { state, reason, until, call: None };
        match &self.rest {
            Rest::Offline { reason } => shown(AgentState::Offline, reason.map(str::to_owned), None),
            Rest::Ready => shown(AgentState::Ready, None, None),
            Rest::Break { reason } => shown(AgentState::Break, reason.clone(), None),
            Rest::WrapUp { until, reason } => shown(AgentState::WrapUp, reason.map(str::to_owned), Some(until.wall)),
            Rest::NotAnswering { until, miss } => {
                shown(AgentState::NotAnswering, Some(miss.reason().to_owned()), Some(until.wall))
            }
        }
    }

    fn ask(&mut self, now: Time, wish: Wish, effects: &mut Vec<AgentEffect>) {
        match wish {
            Wish::Ready => return self.become_ready(now),
            Wish::Break { reason } => self.rest = Rest::Break { reason },
            Wish::Offline => self.rest = Rest::Offline { reason: None },
        }
        // Their phone does not ring yet, so it need not ring at all.
        self.take_back(|it| matches!(it.stage, Stage::Reserved { .. }), TakenBack::Asked, effects);
    }

    fn become_ready(&mut self, now: Time) {
        if self.rest != Rest::Ready {
            self.rest = Rest::Ready;
            self.idle_since = now;
        }
    }

    fn reserve(&mut self, grant: GrantId, call: CallId, wrap_up: Duration, until: Time, effects: &mut Vec<AgentEffect>) {
        if !self.is_free() {
            return effects.push(AgentEffect::Unexpected { input: "reserve" });
        }
        self.engagements.push(Engagement { call, grant: Some(grant), wrap_up, stage: Stage::Reserved { until } });
    }

    fn offer_over(&mut self, now: Time, wall: Wall, grant: GrantId, outcome: OfferOutcome, effects: &mut Vec<AgentEffect>) {
        let offered = |engagement: &Engagement| engagement.grant == Some(grant) && engagement.stage.until().is_some();
        let Some(place) = self.engagements.iter().position(offered) else {
            return effects.push(AgentEffect::Unexpected { input: "offer_over" });
        };
        self.engagements.remove(place);
        let Some(miss) = Miss::of(outcome) else { return };
        if miss == Miss::NoAnswer {
            self.tally.missed += 1;
        }
        // A break asked for while it rang goes before the rest period.
        if self.rest == Rest::Ready {
            let until = Until { time: now + miss.rest(), wall: wall.plus(miss.rest()) };
            self.rest = Rest::NotAnswering { until, miss };
        }
    }

    fn engage(&mut self, now: Time, call: CallId, doing: AgentDoing, effects: &mut Vec<AgentEffect>) {
        let room = self.engagements.len() < MOST_ENGAGEMENTS;
        let known = self.engagements.iter_mut().find(|engagement| engagement.call == call);
        let since = known.as_ref().and_then(|engagement| engagement.stage.talking_since()).unwrap_or(now);
        let stage = match doing {
            AgentDoing::Ringing => Stage::Ringing { until: now + LONGEST_DIRECT_RINGING },
            AgentDoing::Talking => Stage::Talking { since },
            AgentDoing::Holding => Stage::Holding { since },
        };
        match known {
            Some(engagement) => engagement.stage = stage,
            None if room => self.engagements.push(Engagement { call, grant: None, wrap_up: Duration::ZERO, stage }),
            None => effects.push(AgentEffect::Unexpected { input: "engage" }),
        }
    }

    /// Releasing twice is no fault: the call says so at its end, and again when its task is gone.
    fn release(&mut self, now: Time, wall: Wall, call: CallId) {
        let Some(place) = self.engagements.iter().position(|engagement| engagement.call == call) else { return };
        let over = self.engagements.remove(place);
        let Some(talking_since) = over.stage.talking_since() else { return };
        if over.grant.is_some() {
            self.tally.talked += now - talking_since;
        }
        if self.rest != Rest::Ready {
            return;
        }
        self.idle_since = now;
        if !over.wrap_up.is_zero() {
            let until = Until { time: now + over.wrap_up, wall: wall.plus(over.wrap_up) };
            self.rest = Rest::WrapUp { until, reason: None };
        }
    }

    fn pass_deadlines(&mut self, now: Time, effects: &mut Vec<AgentEffect>) {
        if let Rest::WrapUp { until, .. } | Rest::NotAnswering { until, .. } = self.rest
            && until.time <= now
        {
            self.become_ready(now);
        }
        self.take_back(|it| it.stage.until().is_some_and(|until| until <= now), TakenBack::Overdue, effects);
    }

    /// Ends the engagements that `which` picks, and tells the calls whose lease they were.
    fn take_back(&mut self, which: impl Fn(&Engagement) -> bool, why: TakenBack, effects: &mut Vec<AgentEffect>) {
        self.engagements.retain(|engagement| {
            let ends = which(engagement);
            if let (true, Some(grant)) = (ends, engagement.grant) {
                effects.push(AgentEffect::TakenBack { grant, call: engagement.call, why });
            }
            !ends
        });
    }

    fn granted(&mut self, grant: GrantId) -> Option<&mut Engagement> {
        self.engagements.iter_mut().find(|engagement| engagement.grant == Some(grant))
    }
}
