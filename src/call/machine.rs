//! One call from its first leg to its last hang-up.
//!
//! ```text
//!  arrived ────────────────┐          ┌── an offer fails: the next grant, music goes on (queues) ──┐
//!                          ↓          ↓                                                            │
//!  originated → Asking → Seeking: no, one or several offers (ShowingPop → Ringing) ────────────────┘
//!                 │        │ └── first answer → Talking ⇄ held
//!                 ↓        ↓                       ↓
//!                 └──────→ Ended(cause, by) ←──────┘      one way: `end`; waits for cancelled legs, then `Finished`
//! ```
//!
//! This file holds the value, its construction and the dispatch of inputs. `seeking` finds somebody to talk to,
//! `ending` ends.

use crate::events::{EventKind, MarkKind};
use crate::types::{
    AgentId, CallId, CallKind, CallState, CallView, CardId, EndCause, EndedBy, Ids, LegId, LegRole, Party, QueueId, Time,
    TrunkId, Wall,
};

use super::legs::{Leg, LegStep, Legs};
use super::offer::{Offer, OfferStep, Pops};
use super::tape::Tape;
use super::turn::Turn;
use super::words::{
    AgentDoing, Arrival, Caller, Departure, DialTo, Effect, Goal, Hints, Input, LegFailure, Limits, Origination, Person,
};

/// One customer contact. A plain value: everything that happens comes in by `handle`.
#[derive(Clone, Debug)]
pub struct Call {
    pub(super) facts: Facts,
    pub(super) goal: Goal,
    pub(super) limits: Limits,
    pub(super) ids: Ids,
    pub(super) hints: Hints,
    pub(super) tape: Tape,
    pub(super) legs: Legs,
    pub(super) pops: Pops,
    pub(super) phase: Phase,
    longest_until: Time,
}

/// What is known about the call apart from its state.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    id: CallId,
    pub kind: CallKind,
    pub from: Party,
    to: String,
    source: Option<String>,
    trunk: Option<TrunkId>,
    card: Option<CardId>,
    /// Our person whose leg came first.
    pub asker: Option<Person>,
    /// Who talks with the caller, or was offered the call last.
    pub agent: Option<AgentId>,
    started_at: Wall,
    pub answered_at: Option<Wall>,
}

/// Where the call is.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// The phone of the person who clicked to call rings.
    Asking {
        until: Time,
    },
    Seeking(Seek),
    Talking {
        callee: LegId,
        person: Option<Person>,
    },
    Ended(End),
}

/// The first leg waits while somebody is sought.
#[derive(Clone, Debug)]
pub(super) struct Seek {
    pub offers: Vec<Offer>,
    pub hearing: Hearing,
    pub has_early_media: bool,
}

/// What the waiting leg hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hearing {
    Nothing,
    /// Its own phone makes the tone (180).
    Ringing,
    /// We play the tone.
    Ringback,
    Music,
    /// What the dialled side sends before its answer.
    Early(LegId),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub cause: EndCause,
    pub ended_by: EndedBy,
    pub at: Wall,
    /// When cancelled legs are no longer waited for.
    pub linger_until: Time,
    pub is_finished: bool,
}

/// The input does not fit the state: named by `Effect::Unexpected`, otherwise without effect.
pub(super) struct Odd;
pub(super) type Fits = Result<(), Odd>;

impl Call {
    /// A leg arrived.
    pub fn arrived(now: Time, wall: Wall, arrival: Arrival) -> (Call, Vec<Effect>) {
        let Arrival { call, leg, caller, from, to, goal, record, source, limits, ids } = arrival;
        let (trunk, asker) = match caller {
            Caller::Trunk(trunk) => (Some(trunk), None),
            Caller::Person(person) => (None, Some(person)),
        };
        let kind = kind(&trunk, &goal);
        let role = if kind == CallKind::Outbound { LegRole::Agent } else { LegRole::Caller };
        let first = Leg::new(leg, role, from.clone(), wall)
            .of_agent(asker.as_ref().map(|person| person.agent.clone()))
            .by_trunk(trunk.clone());
        let facts = Facts {
            id: call,
            kind,
            from,
            to,
            source,
            trunk,
            card: None,
            asker,
            agent: None,
            started_at: wall,
            answered_at: None,
        };
        let seek = Seek { offers: Vec::new(), hearing: Hearing::Nothing, has_early_media: false };
        let mut new = Call::new(facts, goal, record, limits, ids, first, Phase::Seeking(seek), now);

        let mut turn = Turn::at(now, wall);
        new.introduce(&mut turn, AgentDoing::Talking);
        new.pursue_goal(&mut turn);
        new.finish_when_quiet(&mut turn);
        (new, turn.into_effects())
    }

    /// Somebody clicked to call: their phone is dialled first.
    pub fn originated(now: Time, wall: Wall, origination: Origination) -> (Call, Vec<Effect>) {
        let Origination { call, person, to, goal, record, limits, mut ids } = origination;
        let kind = kind(&None, &goal);
        let role = if kind == CallKind::Outbound { LegRole::Agent } else { LegRole::Caller };
        let leg = ids.leg();
        let first = Leg::new(leg, role, person.party.clone(), wall).of_agent(Some(person.agent.clone()));
        let facts = Facts {
            id: call,
            kind,
            from: person.party.clone(),
            to,
            source: None,
            trunk: None,
            card: None,
            asker: Some(person.clone()),
            agent: None,
            started_at: wall,
            answered_at: None,
        };
        let phase = Phase::Asking { until: now + limits.direct_ring };
        let mut new = Call::new(facts, goal, record, limits, ids, first, phase, now);

        let mut turn = Turn::at(now, wall);
        new.introduce(&mut turn, AgentDoing::Ringing);
        if let Goal::Nowhere { cause, .. } = new.goal {
            new.legs.iter_mut().for_each(|leg| leg.close(wall));
            new.end(&mut turn, cause, EndedBy::System);
        } else {
            let show = Party { number: Some(new.facts.to.clone()), display: None };
            let to = DialTo::Agent(person.agent);
            turn.push(Effect::Dial { leg, to, show, ring: limits.direct_ring, auto_answer: true });
        }
        new.finish_when_quiet(&mut turn);
        (new, turn.into_effects())
    }

    fn new(facts: Facts, goal: Goal, record: bool, limits: Limits, ids: Ids, first: Leg, phase: Phase, now: Time) -> Self {
        let sought = if let Goal::Person(person) = &goal { person.record } else { true };
        let asking = facts.asker.as_ref().is_none_or(|person| person.record);
        let mut new = Call {
            facts,
            goal,
            limits,
            ids,
            hints: Hints::default(),
            tape: Tape::new(record && sought && asking),
            legs: Legs::starting_with(first),
            pops: Pops::default(),
            phase,
            longest_until: now + limits.longest,
        };
        new.facts.agent = new.usual_agent();
        if let Goal::Outside { trunk, .. } = &new.goal {
            new.facts.trunk.get_or_insert_with(|| trunk.clone());
        }
        new
    }

    /// The first words of every call.
    fn introduce(&mut self, turn: &mut Turn, doing: AgentDoing) {
        self.emit(turn, EventKind::CallStarted);
        if let Some(asker) = &self.facts.asker {
            turn.push(Effect::AgentBusy { agent: asker.agent.clone(), doing });
        }
        let client = match self.facts.kind {
            CallKind::Inbound | CallKind::Internal => self.facts.from.clone(),
            CallKind::Outbound => Party { number: Some(self.facts.to.clone()), display: None },
        };
        if !matches!(self.goal, Goal::Nowhere { .. }) {
            turn.push(Effect::Identify { who: client });
        }
    }

    /// Something happened. Never panics, whatever comes in whatever state.
    pub fn handle(&mut self, now: Time, wall: Wall, input: Input) -> Vec<Effect> {
        let mut turn = Turn::at(now, wall);
        let (state, name, leg) = (self.phase_name(), input.name(), input.leg());
        if self.take(&mut turn, input).is_err() {
            turn.push(Effect::Unexpected { state, input: name, leg });
        }
        self.finish_when_quiet(&mut turn);
        turn.into_effects()
    }

    fn take(&mut self, turn: &mut Turn, input: Input) -> Fits {
        match input {
            Input::LegRinging { leg } => self.leg_rings(turn, leg),
            Input::LegEarlyMedia { leg } => self.leg_sends_early_media(turn, leg),
            Input::LegAnswered { leg } => self.leg_answered(turn, leg),
            Input::LegFailed { leg, failure } => self.leg_failed(turn, leg, failure),
            Input::LegEnded { leg, departure } => self.leg_ended(turn, leg, departure),
            Input::LegHeld { leg } => self.leg_held(turn, leg),
            Input::LegResumed { leg } => self.leg_resumed(turn, leg),
            Input::RtpSilent { leg } => self.leg_is_silent(turn, leg),
            Input::RtpHeard { leg } => {
                self.legs.get_mut(leg).ok_or(Odd)?.is_silent = false;
                Ok(())
            }
            Input::Granted { grant, person, ring } => self.granted(turn, grant, person, ring),
            Input::GrantRevoked { grant } => self.grant_revoked(turn, grant),
            Input::QueueRefused { .. } => match (&self.phase, &self.goal) {
                (Phase::Seeking(_), Goal::Queue { .. }) => {
                    self.end(turn, EndCause::QueueUnavailable, EndedBy::System);
                    Ok(())
                }
                _ => Err(Odd),
            },
            Input::Identified { card, hints } => {
                self.identified(turn, card, hints);
                Ok(())
            }
            Input::PopReady { pop } => {
                self.pop_ready(turn, pop);
                Ok(())
            }
            Input::HangUp { by } => self.hang_up(turn, by.as_ref()),
            Input::RecordingFailed => self.tape.fail().then_some(()).ok_or(Odd),
            Input::Deadline => {
                self.pass_deadlines(turn);
                Ok(())
            }
            Input::Shutdown => {
                self.end(turn, EndCause::Shutdown, EndedBy::System);
                Ok(())
            }
        }
    }

    /// When `handle(.., Input::Deadline)` wants to be called; `None` after `Finished`.
    pub fn next_deadline(&self) -> Option<Time> {
        match &self.phase {
            Phase::Asking { until } => Some(self.longest_until.min(*until)),
            Phase::Seeking(seek) => seek.offers.iter().map(Offer::until).chain([self.longest_until]).min(),
            Phase::Talking { .. } => Some(self.longest_until),
            Phase::Ended(end) => (!end.is_finished).then_some(end.linger_until),
        }
    }

    pub fn id(&self) -> CallId {
        self.facts.id
    }

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

    fn state(&self) -> CallState {
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
            Phase::Talking { .. } if self.legs.answered().any(|leg| leg.is_holding) => CallState::Held,
            Phase::Talking { .. } => CallState::Talking,
            Phase::Ended(_) => CallState::Ended,
        }
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

    fn phase_name(&self) -> &'static str {
        match self.phase {
            Phase::Asking { .. } => "asking",
            Phase::Seeking(_) => "seeking",
            Phase::Talking { .. } => "talking",
            Phase::Ended(_) => "ended",
        }
    }

    fn identified(&mut self, turn: &mut Turn, card: Option<CardId>, hints: Hints) {
        self.facts.card = card;
        if matches!((&self.phase, &self.goal), (Phase::Seeking(_), Goal::Queue { .. })) && hints != self.hints {
            turn.push(Effect::Hint { hints: hints.clone() });
        }
        self.hints = hints;
    }

    fn leg_held(&mut self, turn: &mut Turn, leg: LegId) -> Fits {
        let was_held = self.state() == CallState::Held;
        self.legs.get_mut(leg).filter(|leg| leg.step == LegStep::Answered).ok_or(Odd)?.is_holding = true;
        self.tell_doing(turn, leg, AgentDoing::Holding);
        if !was_held && self.state() == CallState::Held {
            self.tape.mark(turn, MarkKind::Held, None);
            self.emit(turn, EventKind::CallHeld);
        }
        Ok(())
    }

    fn leg_resumed(&mut self, turn: &mut Turn, leg: LegId) -> Fits {
        let was_held = self.state() == CallState::Held;
        let held = self.legs.get_mut(leg).filter(|leg| leg.step == LegStep::Answered && leg.is_holding).ok_or(Odd)?;
        held.is_holding = false;
        self.tell_doing(turn, leg, AgentDoing::Talking);
        if was_held && self.state() == CallState::Talking {
            self.tape.mark(turn, MarkKind::Resumed, None);
            self.emit(turn, EventKind::CallResumed);
        }
        Ok(())
    }

    /// The floor shows who holds only for the agent whose own phone does it.
    fn tell_doing(&self, turn: &mut Turn, leg: LegId, doing: AgentDoing) {
        if let (Phase::Talking { .. }, Some(agent)) = (&self.phase, self.legs.get(leg).and_then(|leg| leg.agent.clone())) {
            turn.push(Effect::AgentBusy { agent, doing });
        }
    }

    /// Nobody is on the call when every answered leg is silent. A call on hold is meant to be silent.
    fn leg_is_silent(&mut self, turn: &mut Turn, leg: LegId) -> Fits {
        self.legs.get_mut(leg).filter(|leg| leg.step != LegStep::Closed).ok_or(Odd)?.is_silent = true;
        let is_open = matches!(self.phase, Phase::Seeking(_) | Phase::Talking { .. });
        let nobody_speaks = self.legs.answered().all(|leg| leg.is_silent && !leg.is_holding);
        if is_open && self.legs.any(LegStep::Answered) && nobody_speaks {
            self.end(turn, EndCause::RtpTimeout, EndedBy::System);
        }
        Ok(())
    }

    fn leg_answered(&mut self, turn: &mut Turn, leg: LegId) -> Fits {
        let is_first = leg == self.legs.first();
        match self.legs.step(leg) {
            Some(LegStep::Pending) => {}
            // A 200 that crossed our CANCEL, or a second one: nobody waits for this phone any more.
            Some(LegStep::Cancelling) => {
                let cause = if let Phase::Ended(end) = self.phase { end.cause } else { EndCause::Normal };
                turn.push(Effect::HangUpLeg { leg, cause });
                self.legs.get_mut(leg).ok_or(Odd)?.close(turn.wall);
                return Ok(());
            }
            Some(LegStep::Closed) | None => {
                turn.push(Effect::HangUpLeg { leg, cause: EndCause::Normal });
                return Err(Odd);
            }
            Some(LegStep::Answered) => return Err(Odd),
        }
        match self.phase {
            Phase::Asking { .. } if is_first => {
                self.legs.get_mut(leg).ok_or(Odd)?.answer(turn.wall);
                if let Some(asker) = &self.facts.asker {
                    turn.push(Effect::AgentBusy { agent: asker.agent.clone(), doing: AgentDoing::Talking });
                }
                self.phase = Phase::Seeking(Seek { offers: Vec::new(), hearing: Hearing::Nothing, has_early_media: true });
                self.pursue_goal(turn);
                Ok(())
            }
            Phase::Seeking(_) if !is_first => self.connect(turn, leg),
            _ => Err(Odd),
        }
    }

    fn leg_failed(&mut self, turn: &mut Turn, leg: LegId, failure: LegFailure) -> Fits {
        let known = self.legs.get_mut(leg).ok_or(Odd)?;
        let (was, role) = (known.step, known.role);
        match was {
            LegStep::Pending => {}
            LegStep::Cancelling => {
                known.close(turn.wall);
                return Ok(());
            }
            // The engine may report the end of a leg that we rejected or hung up ourselves.
            LegStep::Closed => return Ok(()),
            LegStep::Answered => return Err(Odd),
        }
        known.close(turn.wall);
        match self.phase {
            Phase::Asking { .. } => self.end(turn, failure.cause(), blame(failure, role)),
            // A leg that arrived cannot fail, it ends; if its signalling says so all the same, it is gone.
            Phase::Seeking(_) if leg == self.legs.first() => self.end(turn, EndCause::Unreachable, EndedBy::System),
            Phase::Seeking(_) => return self.offer_failed(turn, leg, failure, blame(failure, role)),
            Phase::Talking { .. } | Phase::Ended(_) => return Err(Odd),
        }
        Ok(())
    }

    fn leg_ended(&mut self, turn: &mut Turn, leg: LegId, departure: Departure) -> Fits {
        let known = self.legs.get_mut(leg).ok_or(Odd)?;
        let (was, by) = (known.step, person_of(known.role));
        known.close(turn.wall);
        if matches!(was, LegStep::Cancelling | LegStep::Closed) {
            return Ok(());
        }
        match (&self.phase, departure) {
            (Phase::Seeking(_), _) if leg != self.legs.first() => {
                self.offer_failed(turn, leg, LegFailure::Unreachable, EndedBy::System)?;
            }
            (Phase::Asking { .. } | Phase::Seeking(_) | Phase::Talking { .. }, Departure::Lost) => {
                self.end(turn, EndCause::Unreachable, EndedBy::System);
            }
            (Phase::Asking { .. } | Phase::Seeking(_), Departure::HungUp) => self.end(turn, EndCause::Abandoned, by),
            (Phase::Talking { .. }, Departure::HungUp) => self.end(turn, EndCause::Normal, by),
            (Phase::Ended(_), _) => {}
        }
        Ok(())
    }

    fn hang_up(&mut self, turn: &mut Turn, by: Option<&AgentId>) -> Fits {
        if matches!(self.phase, Phase::Ended(_)) {
            return Err(Odd);
        }
        let own = |leg: &&Leg| leg.agent.is_some() && leg.agent.as_ref() == by;
        let by = self.legs.answered().find(own).map_or(EndedBy::System, |leg| person_of(leg.role));
        self.end(turn, EndCause::HungUpByApi, by);
        Ok(())
    }

    fn pass_deadlines(&mut self, turn: &mut Turn) {
        match &self.phase {
            Phase::Ended(end) => {
                if end.linger_until <= turn.now {
                    self.legs.iter_mut().filter(|leg| leg.step == LegStep::Cancelling).for_each(|leg| leg.close(turn.wall));
                }
            }
            _ if self.longest_until <= turn.now => self.end(turn, EndCause::TooLong, EndedBy::System),
            Phase::Asking { until } if *until <= turn.now => self.end(turn, EndCause::NoAnswer, EndedBy::System),
            Phase::Seeking(_) => self.pass_offer_deadlines(turn),
            Phase::Asking { .. } | Phase::Talking { .. } => {}
        }
    }
}

fn kind(trunk: &Option<TrunkId>, goal: &Goal) -> CallKind {
    match (trunk, goal) {
        (Some(_), _) => CallKind::Inbound,
        (None, Goal::Outside { .. }) => CallKind::Outbound,
        // Nobody was reached by a number that leads nowhere: it is called outbound only when it would have left the house.
        (None, Goal::Queue { .. } | Goal::Person(_) | Goal::Nowhere { .. }) => CallKind::Internal,
    }
}

/// Who hangs up when this party does.
fn person_of(role: LegRole) -> EndedBy {
    match role {
        LegRole::Caller => EndedBy::Caller,
        LegRole::Agent => EndedBy::Agent,
        LegRole::External => EndedBy::Trunk,
    }
}

/// Who is to blame when a dialled party cannot be had.
fn blame(failure: LegFailure, role: LegRole) -> EndedBy {
    match (role, failure) {
        (_, LegFailure::Overload | LegFailure::Cancelled) => EndedBy::System,
        (LegRole::External, _) => EndedBy::Trunk,
        (LegRole::Agent | LegRole::Caller, LegFailure::Busy | LegFailure::Declined) => EndedBy::Agent,
        (LegRole::Agent | LegRole::Caller, _) => EndedBy::System,
    }
}
