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
//! `happenings` are what parties do, `wishes` and `supervision` what people ask, `audio` who hears whom, `ending` ends,
//! `view` tells.

use crate::events::EventKind;
use crate::types::{AgentId, CallId, CallKind, CardId, EndCause, EndedBy, Ids, LegId, LegRole, Party, Time, TrunkId, Wall};

use super::audio::Told;
use super::beep::Beep;
use super::legs::{Leg, LegStep, Legs};
use super::offer::{Offer, Pops};
use super::supervision::Supervisor;
use super::tape::{Announcement, Tape};
use super::turn::Turn;
use super::words::{AgentDoing, Arrival, Caller, DialTo, Effect, Goal, Hints, Input, Limits, Origination, Person};

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
    /// Whose side put the other on hold through the API.
    pub(super) held_by: Option<LegId>,
    pub(super) supervisors: Vec<Supervisor>,
    pub(super) told: Told,
    pub(super) announcement: Announcement,
    pub(super) beep: Beep,
    longest_until: Time,
}

/// What is known about the call apart from its state.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub id: CallId,
    pub kind: CallKind,
    pub from: Party,
    pub to: String,
    pub source: Option<String>,
    pub trunk: Option<TrunkId>,
    pub card: Option<CardId>,
    /// Our person whose leg came first.
    pub asker: Option<Person>,
    /// Who talks with the caller, or was offered the call last.
    pub agent: Option<AgentId>,
    pub started_at: Wall,
    pub answered_at: Option<Wall>,
}

/// Where the call is.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// The phone of the person who clicked to call rings.
    Asking { until: Time },
    /// The first leg waits while somebody is sought.
    Seeking(Seek),
    /// The first leg talks with `callee`; `person` when that is one of ours.
    Talking { callee: LegId, person: Option<Person> },
    /// Over.
    Ended(End),
}

/// Who is being tried, and what the first leg hears meanwhile.
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
        let Arrival { call, leg, caller, from, to, goal, record, announce, beep_seconds, source, limits, ids } = arrival;
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
        new.beep.and_every(beep_seconds);
        new.announcement = if announce { Announcement::Wanted } else { Announcement::None };

        let mut turn = Turn::at(now, wall);
        new.introduce(&mut turn, AgentDoing::Talking);
        new.pursue_goal(&mut turn);
        new.finish_when_quiet(&mut turn);
        (new, turn.into_effects())
    }

    /// Somebody clicked to call: their phone is dialled first.
    pub fn originated(now: Time, wall: Wall, origination: Origination) -> (Call, Vec<Effect>) {
        let Origination { call, person, to, goal, record, beep_seconds, limits, mut ids } = origination;
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
        new.beep.and_every(beep_seconds);

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
        let beep_seconds = facts.asker.as_ref().map_or(0, |person| person.beep_seconds);
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
            held_by: None,
            supervisors: Vec::new(),
            told: Told::default(),
            announcement: Announcement::None,
            beep: Beep::every(beep_seconds),
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
        self.settle_audio(&mut turn);
        self.settle_beep(&mut turn);
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
            Input::LegAway { leg } => self.leg_is_away(turn, leg),
            Input::LegBack { leg } => self.leg_is_back(turn, leg),
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
            Input::PromptEnded { leg } => self.announcement_ended(turn, leg),
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
            Phase::Seeking(seek) => {
                let announced = self.announcement.until();
                let absent = self.next_absence_deadline();
                seek.offers.iter().map(Offer::until).chain(announced).chain(absent).chain([self.longest_until]).min()
            }
            Phase::Talking { .. } => {
                let others = self.next_supervisors_deadline().into_iter().chain(self.next_absence_deadline());
                others.chain(self.beep.next()).chain([self.longest_until]).min()
            }
            Phase::Ended(end) => (!end.is_finished).then_some(end.linger_until),
        }
    }

    pub fn id(&self) -> CallId {
        self.facts.id
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

    fn pass_deadlines(&mut self, turn: &mut Turn) {
        match &self.phase {
            Phase::Ended(end) => {
                if end.linger_until <= turn.now {
                    self.legs.iter_mut().filter(|leg| leg.step == LegStep::Cancelling).for_each(|leg| leg.close(turn.wall));
                }
            }
            _ if self.longest_until <= turn.now => self.end(turn, EndCause::TooLong, EndedBy::System),
            Phase::Asking { until } if *until <= turn.now => self.end(turn, EndCause::NoAnswer, EndedBy::System),
            Phase::Seeking(_) => {
                if self.announcement.until().is_some_and(|until| until <= turn.now) {
                    let first = self.legs.first();
                    let _ = self.announcement_ended(turn, first);
                }
                self.pass_offer_deadlines(turn);
            }
            Phase::Talking { .. } => self.pass_supervisors_deadlines(turn),
            Phase::Asking { .. } => {}
        }
        if matches!(self.phase, Phase::Seeking(_) | Phase::Talking { .. }) {
            self.pass_absence_deadlines(turn);
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
