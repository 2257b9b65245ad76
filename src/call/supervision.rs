//! Supervisors in a call: their phones are dialled, they hear both sides, and leave without ending anything. They are no
//! parties: the call's view does not show them, and no call waits for them.

use crate::events::{EventKind, Supervision};
use crate::types::{AgentId, EndCause, LegId, LegRole, SupervisionMode, Time};

use super::legs::{Leg, LegStep};
use super::machine::Call;
use super::turn::Turn;
use super::words::{AgentDoing, DialTo, Effect, Person, Refusal};

/// Further ones are refused: each costs a decoder a source.
const MOST_SUPERVISORS: usize = 4;

#[derive(Clone, Debug)]
pub(super) struct Supervisor {
    pub leg: LegId,
    pub agent: AgentId,
    pub mode: SupervisionMode,
    /// When an unanswered phone stops ringing.
    pub ring_until: Time,
}

impl Call {
    pub(super) fn supervise(&mut self, turn: &mut Turn, person: Person, mode: SupervisionMode) -> Result<(), Refusal> {
        self.talking_with()?;
        if let Some(place) = self.supervisors.iter().position(|it| it.agent == person.agent) {
            self.supervisors[place].mode = mode;
            if self.legs.step(self.supervisors[place].leg) == Some(LegStep::Answered) {
                self.tell_supervision(turn, place);
            }
            return Ok(());
        }
        let is_party = |leg: &Leg| leg.step == LegStep::Answered && leg.agent.as_ref() == Some(&person.agent);
        if self.legs.answered().any(is_party) {
            return Err(Refusal::IsParty);
        }
        if self.supervisors.len() >= MOST_SUPERVISORS {
            return Err(Refusal::TooMany);
        }
        let (leg, ring) = (self.ids.leg(), self.limits.direct_ring);
        self.legs.add(Leg::new(leg, LegRole::Supervisor, person.party, turn.wall).of_agent(Some(person.agent.clone())));
        let supervisor = Supervisor { leg, agent: person.agent.clone(), mode, ring_until: turn.now + ring };
        self.supervisors.push(supervisor);
        turn.push(Effect::AgentBusy { agent: person.agent.clone(), doing: AgentDoing::Ringing });
        let (to, show) = (DialTo::Agent(person.agent), self.facts.from.clone());
        turn.push(Effect::Dial { leg, to, show, ring, auto_answer: true });
        Ok(())
    }

    pub(super) fn stop_supervising(&mut self, turn: &mut Turn, agent: &AgentId) -> Result<(), Refusal> {
        let place = self.supervisors.iter().position(|it| it.agent == *agent).ok_or(Refusal::NotSupervising)?;
        self.dismiss(turn, place, EndCause::HungUpByApi);
        Ok(())
    }

    /// Whether the leg is a supervisor's, and which.
    pub(super) fn supervisor_of(&self, leg: LegId) -> Option<usize> {
        self.supervisors.iter().position(|it| it.leg == leg)
    }

    pub(super) fn supervisor_answered(&mut self, turn: &mut Turn, place: usize) {
        let Some(it) = self.supervisors.get(place) else { return };
        if let Some(leg) = self.legs.get_mut(it.leg).filter(|leg| leg.step == LegStep::Pending) {
            leg.answer(turn.wall);
            turn.push(Effect::AgentBusy { agent: it.agent.clone(), doing: AgentDoing::Talking });
            self.tell_supervision(turn, place);
        }
    }

    /// Their leg is gone, by their wish or not: the call goes on.
    pub(super) fn supervisor_left(&mut self, turn: &mut Turn, place: usize) {
        let it = self.supervisors.remove(place);
        let Some(leg) = self.legs.get_mut(it.leg) else { return };
        let was_in = leg.step == LegStep::Answered;
        leg.close(turn.wall);
        self.tell_out(turn, it.agent, was_in);
    }

    /// Sends them away: all when the call ends, one whose phone rang out, one who asked.
    pub(super) fn dismiss(&mut self, turn: &mut Turn, place: usize, cause: EndCause) {
        let it = self.supervisors.remove(place);
        let Some(leg) = self.legs.get_mut(it.leg) else { return };
        let was_in = leg.step == LegStep::Answered;
        match leg.step {
            LegStep::Pending => {
                leg.cancel();
                leg.ended_at = Some(turn.wall);
                turn.push(Effect::CancelDial { leg: it.leg, elsewhere: false });
            }
            LegStep::Answered => {
                leg.close(turn.wall);
                turn.push(Effect::HangUpLeg { leg: it.leg, cause });
            }
            LegStep::Cancelling | LegStep::Closed => {}
        }
        self.tell_out(turn, it.agent, was_in);
    }

    pub(super) fn dismiss_supervisors(&mut self, turn: &mut Turn, cause: EndCause) {
        while !self.supervisors.is_empty() {
            self.dismiss(turn, 0, cause);
        }
    }

    pub(super) fn pass_supervisors_deadlines(&mut self, turn: &mut Turn) {
        let now = turn.now;
        let rang_out = |call: &Call| {
            let is_due = |it: &Supervisor| it.ring_until <= now && call.legs.step(it.leg) == Some(LegStep::Pending);
            call.supervisors.iter().position(is_due)
        };
        while let Some(place) = rang_out(self) {
            self.dismiss(turn, place, EndCause::NoAnswer);
        }
    }

    pub(super) fn next_supervisors_deadline(&self) -> Option<Time> {
        let rings = |it: &&Supervisor| self.legs.step(it.leg) == Some(LegStep::Pending);
        self.supervisors.iter().filter(rings).map(|it| it.ring_until).min()
    }

    fn tell_supervision(&self, turn: &mut Turn, place: usize) {
        if let Some(it) = self.supervisors.get(place) {
            self.emit_supervision(turn, it.agent.clone(), Some(it.mode));
        }
    }

    fn tell_out(&self, turn: &mut Turn, agent: AgentId, was_in: bool) {
        turn.push(Effect::AgentFree { agent: agent.clone() });
        if was_in {
            self.emit_supervision(turn, agent, None);
        }
    }

    fn emit_supervision(&self, turn: &mut Turn, supervisor: AgentId, mode: Option<SupervisionMode>) {
        let data = Supervision { supervisor: supervisor.clone(), agent: self.facts.agent.clone(), mode };
        let kind = EventKind::CallSupervised(data);
        turn.push(Effect::Emit { kind, agent: Some(supervisor), queue: self.queue().cloned() });
    }
}
