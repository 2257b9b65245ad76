//! The one way a call ends: a cause that carries the blame, phones first, then screens, floor, recording and diary.

use std::time::Duration;

use crate::events::EventKind;
use crate::types::{EndCause, EndedBy};

use super::legs::LegStep;
use super::machine::{Call, End, Phase};
use super::seeking::settle;
use super::turn::Turn;
use super::words::{Effect, OfferOutcome};

/// How long a cancelled INVITE may take to be gone: RFC 3261 §17.1.1.2 timer B (64 × T1 = 32 s) and some.
const LINGER: Duration = Duration::from_secs(40);

impl Call {
    /// Ends the call once; a call that has ended stays as it ended.
    pub(super) fn end(&mut self, turn: &mut Turn, cause: EndCause, by: EndedBy) {
        if matches!(self.phase, Phase::Ended(_)) {
            return;
        }
        let end = End { cause, ended_by: by, at: turn.wall, linger_until: turn.now + LINGER, is_finished: false };
        let before = std::mem::replace(&mut self.phase, Phase::Ended(end));
        let first = self.legs.first();
        self.settle_audio(turn);
        match before {
            Phase::Asking { .. } => {
                if let Some(leg) = self.legs.get_mut(first).filter(|leg| leg.step == LegStep::Pending) {
                    leg.cancel();
                    leg.ended_at = Some(turn.wall);
                    turn.push(Effect::CancelDial { leg: first, elsewhere: false });
                }
            }
            Phase::Seeking(seek) => {
                let outcome = if cause == EndCause::Abandoned { OfferOutcome::Abandoned } else { OfferOutcome::Refused };
                for offer in &seek.offers {
                    self.withdraw(turn, offer, outcome);
                }
                self.let_go_of_first(turn, cause);
                if self.queue().is_some() {
                    turn.push(Effect::LeaveQueue { abandoned: cause == EndCause::Abandoned });
                    self.facts.agent = self.usual_agent();
                }
                seek.offers.into_iter().for_each(|offer| settle(turn, offer, outcome));
            }
            Phase::Talking { callee, person } => {
                self.let_go_of_first(turn, cause);
                if let Some(leg) = self.legs.get_mut(callee).filter(|leg| leg.step == LegStep::Answered) {
                    leg.close(turn.wall);
                    turn.push(Effect::HangUpLeg { leg: callee, cause });
                }
                if let Some(person) = person {
                    turn.push(Effect::AgentFree { agent: person.agent });
                }
            }
            Phase::Ended(_) => {}
        }
        if let Some(asker) = &self.facts.asker {
            turn.push(Effect::AgentFree { agent: asker.agent.clone() });
        }
        self.dismiss_supervisors(turn, cause);
        self.tape.finish(turn);
        self.emit(turn, EventKind::CallEnded);
    }

    /// Rejects a first leg that was never answered, hangs up one that was.
    fn let_go_of_first(&mut self, turn: &mut Turn, cause: EndCause) {
        let first = self.legs.first();
        let Some(leg) = self.legs.get_mut(first) else { return };
        match leg.step {
            LegStep::Pending => turn.push(Effect::Reject { leg: first, cause }),
            LegStep::Answered => turn.push(Effect::HangUpLeg { leg: first, cause }),
            LegStep::Cancelling | LegStep::Closed => return,
        }
        leg.close(turn.wall);
    }

    /// `Finished` when no cancelled leg can answer any more.
    pub(super) fn finish_when_quiet(&mut self, turn: &mut Turn) {
        if self.legs.any(LegStep::Cancelling) {
            return;
        }
        if let Phase::Ended(end) = &mut self.phase
            && !end.is_finished
        {
            end.is_finished = true;
            turn.push(Effect::Finished { cause: end.cause, ended_by: end.ended_by });
        }
    }
}
