//! What parties and people do to a call: they answer, fail, leave, hold, fall silent, or are told to hang up.

use crate::events::{EventKind, MarkKind};
use crate::types::{AgentId, CallState, EndCause, EndedBy, LegId, LegRole};

use super::legs::{Leg, LegStep};
use super::machine::{Call, Fits, Hearing, Odd, Phase, Seek};
use super::turn::Turn;
use super::words::{AgentDoing, Departure, Effect, LegFailure};

impl Call {
    pub(super) fn leg_held(&mut self, turn: &mut Turn, leg: LegId) -> Fits {
        let was_held = self.state() == CallState::Held;
        self.legs.get_mut(leg).filter(|leg| leg.step == LegStep::Answered).ok_or(Odd)?.is_holding = true;
        self.settle_audio(turn);
        self.tell_doing(turn, leg, AgentDoing::Holding);
        if !was_held && self.state() == CallState::Held {
            self.tape.mark(turn, MarkKind::Held, None);
            self.emit(turn, EventKind::CallHeld);
        }
        Ok(())
    }

    pub(super) fn leg_resumed(&mut self, turn: &mut Turn, leg: LegId) -> Fits {
        let was_held = self.state() == CallState::Held;
        let held = self.legs.get_mut(leg).filter(|leg| leg.step == LegStep::Answered && leg.is_holding).ok_or(Odd)?;
        held.is_holding = false;
        self.settle_audio(turn);
        if self.held_by != Some(leg) {
            self.tell_doing(turn, leg, AgentDoing::Talking);
        }
        if was_held && self.state() == CallState::Talking {
            self.tape.mark(turn, MarkKind::Resumed, None);
            self.emit(turn, EventKind::CallResumed);
        }
        Ok(())
    }

    /// The floor shows who holds only for the agent whose own phone does it.
    pub(super) fn tell_doing(&self, turn: &mut Turn, leg: LegId, doing: AgentDoing) {
        if let (Phase::Talking { .. }, Some(agent)) = (&self.phase, self.legs.get(leg).and_then(|leg| leg.agent.clone())) {
            turn.push(Effect::AgentBusy { agent, doing });
        }
    }

    /// Nobody is on the call when every answered leg is silent. A call on hold is meant to be silent.
    pub(super) fn leg_is_silent(&mut self, turn: &mut Turn, leg: LegId) -> Fits {
        self.legs.get_mut(leg).filter(|leg| leg.step != LegStep::Closed).ok_or(Odd)?.is_silent = true;
        let is_open = matches!(self.phase, Phase::Seeking(_) | Phase::Talking { .. });
        let is_party = |leg: &&Leg| leg.role != LegRole::Supervisor;
        let nobody_speaks =
            self.held_by.is_none() && self.legs.answered().filter(is_party).all(|leg| leg.is_silent && !leg.is_holding);
        if is_open && self.legs.any(LegStep::Answered) && nobody_speaks {
            self.end(turn, EndCause::RtpTimeout, EndedBy::System);
        }
        Ok(())
    }

    pub(super) fn leg_answered(&mut self, turn: &mut Turn, leg: LegId) -> Fits {
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
        if let Some(place) = self.supervisor_of(leg) {
            self.supervisor_answered(turn, place);
            return Ok(());
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

    pub(super) fn leg_failed(&mut self, turn: &mut Turn, leg: LegId, failure: LegFailure) -> Fits {
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
        if let Some(place) = self.supervisor_of(leg) {
            self.supervisor_left(turn, place);
            return Ok(());
        }
        let known = self.legs.get_mut(leg).ok_or(Odd)?;
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

    pub(super) fn leg_ended(&mut self, turn: &mut Turn, leg: LegId, departure: Departure) -> Fits {
        if let Some(place) = self.supervisor_of(leg) {
            self.supervisor_left(turn, place);
            return Ok(());
        }
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

    pub(super) fn hang_up(&mut self, turn: &mut Turn, by: Option<&AgentId>) -> Fits {
        if matches!(self.phase, Phase::Ended(_)) {
            return Err(Odd);
        }
        let own = |leg: &&Leg| leg.agent.is_some() && leg.agent.as_ref() == by;
        let by = self.legs.answered().find(own).map_or(EndedBy::System, |leg| person_of(leg.role));
        self.end(turn, EndCause::HungUpByApi, by);
        Ok(())
    }
}

/// Who hangs up when this party does.
fn person_of(role: LegRole) -> EndedBy {
    match role {
        LegRole::Caller => EndedBy::Caller,
        LegRole::Agent => EndedBy::Agent,
        LegRole::External => EndedBy::Trunk,
        LegRole::Supervisor => EndedBy::System,
    }
}

/// Who is to blame when a dialled party cannot be had.
fn blame(failure: LegFailure, role: LegRole) -> EndedBy {
    match (role, failure) {
        (_, LegFailure::Overload | LegFailure::Cancelled) => EndedBy::System,
        (LegRole::External, _) => EndedBy::Trunk,
        (LegRole::Supervisor, _) => EndedBy::System,
        (LegRole::Agent | LegRole::Caller, LegFailure::Busy | LegFailure::Declined) => EndedBy::Agent,
        (LegRole::Agent | LegRole::Caller, _) => EndedBy::System,
    }
}
