//! What people ask of a call that goes on: hold, resume, the recording, supervision. Each is done or refused at once.

use crate::events::{EventKind, MarkKind};
use crate::types::{AgentId, CallState, LegId, Time, Wall};

use super::machine::{Call, Phase};
use super::turn::Turn;
use super::words::{AgentDoing, CallWish, Effect, Refusal};

impl Call {
    /// Does what is asked, or says why not; nothing has changed then.
    pub fn ask(&mut self, now: Time, wall: Wall, wish: CallWish) -> Result<Vec<Effect>, Refusal> {
        let mut turn = Turn::at(now, wall);
        match wish {
            CallWish::Hold { by } => self.hold(&mut turn, by.as_ref())?,
            CallWish::Resume { by } => self.resume(&mut turn, by.as_ref())?,
            CallWish::Record(action) => self.record(&mut turn, action)?,
            CallWish::Supervise { person, mode } => self.supervise(&mut turn, person, mode)?,
            CallWish::StopSupervising { agent } => self.stop_supervising(&mut turn, &agent)?,
        }
        self.settle_audio(&mut turn);
        self.settle_beep(&mut turn);
        self.finish_when_quiet(&mut turn);
        Ok(turn.into_effects())
    }

    /// The callee of a call in which two talk.
    pub(super) fn talking_with(&self) -> Result<LegId, Refusal> {
        match &self.phase {
            Phase::Talking { callee, .. } => Ok(*callee),
            _ => Err(Refusal::NotTalking(self.state())),
        }
    }

    fn hold(&mut self, turn: &mut Turn, by: Option<&AgentId>) -> Result<(), Refusal> {
        let callee = self.talking_with()?;
        if self.held_by.is_some() {
            return Err(Refusal::AlreadyHeld);
        }
        let was_held = self.state() == CallState::Held;
        let holder = self.own_leg(callee, by);
        self.held_by = Some(holder);
        self.settle_audio(turn);
        self.tell_doing(turn, holder, AgentDoing::Holding);
        if !was_held {
            self.tape.mark(turn, MarkKind::Held, None);
            self.emit(turn, EventKind::CallHeld);
        }
        Ok(())
    }

    fn resume(&mut self, turn: &mut Turn, _by: Option<&AgentId>) -> Result<(), Refusal> {
        self.talking_with()?;
        let holder = self.held_by.take().ok_or(Refusal::NotHeld)?;
        self.settle_audio(turn);
        if self.legs.get(holder).is_some_and(|leg| !leg.is_holding) {
            self.tell_doing(turn, holder, AgentDoing::Talking);
        }
        // A telephone that holds too keeps the call on hold.
        if self.state() == CallState::Talking {
            self.tape.mark(turn, MarkKind::Resumed, None);
            self.emit(turn, EventKind::CallResumed);
        }
        Ok(())
    }

    fn record(&mut self, turn: &mut Turn, action: super::RecordingAction) -> Result<(), Refusal> {
        if matches!(self.phase, Phase::Ended(_)) {
            return Err(Refusal::NotTalking(CallState::Ended));
        }
        self.tape.act(turn, action)
    }

    /// The leg of this person; of one who is no party, the agent's side.
    fn own_leg(&self, callee: LegId, by: Option<&AgentId>) -> LegId {
        let is_own = |leg: &LegId| self.legs.get(*leg).is_some_and(|leg| leg.agent.is_some() && leg.agent.as_ref() == by);
        [callee, self.legs.first()].into_iter().find(is_own).unwrap_or_else(|| self.agents_side(callee))
    }
}
