//! A browser that fell silent without leaving: its page is being reloaded, or its network changed. Its place in the call is
//! kept for a while, the other party hears that somebody is still there, and the call goes on when it comes back.

use std::time::Duration;

use crate::events::{EventKind, LegAbsence, MarkKind};
use crate::types::{EndCause, EndedBy, LegId, Time};

use super::legs::LegStep;
use super::machine::{Call, Fits, Odd, Phase};
use super::turn::Turn;
use super::words::Effect;

/// How long a place is kept.
pub(super) const KEPT_FOR: Duration = Duration::from_secs(15);

/// Since when a leg is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Absence {
    since: Time,
    /// The other party hears our comfort sound.
    is_comforted: bool,
}

impl Absence {
    fn until(self) -> Time {
        self.since + KEPT_FOR
    }
}

impl Call {
    pub(super) fn leg_is_away(&mut self, turn: &mut Turn, leg: LegId) -> Fits {
        if matches!(self.phase, Phase::Ended(_)) {
            return Err(Odd);
        }
        let other = self.other_party(leg).filter(|other| self.music_on_hold() != Some(*other));
        let it = self.legs.get_mut(leg).filter(|it| it.step == LegStep::Answered && it.away.is_none()).ok_or(Odd)?;
        it.away = Some(Absence { since: turn.now, is_comforted: other.is_some() });
        let agent = it.agent.clone();
        if let Some(leg) = other {
            turn.push(Effect::PlayComfort { leg });
        }
        if let Some(agent) = agent.filter(|_| self.is_party(leg)) {
            self.tape.mark(turn, MarkKind::AgentLeft, Some(agent.as_str()));
        }
        self.tell_absence(turn, leg, None);
        Ok(())
    }

    pub(super) fn leg_is_back(&mut self, turn: &mut Turn, leg: LegId) -> Fits {
        let it = self.legs.get_mut(leg).filter(|it| it.step == LegStep::Answered).ok_or(Odd)?;
        let absence = it.away.take().ok_or(Odd)?;
        let agent = it.agent.clone();
        let other = self.other_party(leg).filter(|other| self.music_on_hold() != Some(*other));
        if let Some(leg) = other.filter(|_| absence.is_comforted) {
            turn.push(Effect::StopPlaying { leg });
        }
        if let Some(agent) = agent.filter(|_| self.is_party(leg)) {
            self.tape.mark(turn, MarkKind::AgentJoined, Some(agent.as_str()));
        }
        self.tell_absence(turn, leg, Some(turn.now.since(absence.since)));
        Ok(())
    }

    /// Who did not come back in time is gone: a supervisor leaves, a party ends the call.
    pub(super) fn pass_absence_deadlines(&mut self, turn: &mut Turn) {
        let now = turn.now;
        let overdue = |call: &Call| {
            let mut legs = call.legs.answered();
            legs.find(|leg| leg.away.is_some_and(|away| away.until() <= now)).map(|leg| leg.id)
        };
        while let Some(leg) = overdue(self) {
            match self.supervisor_of(leg) {
                Some(place) => self.dismiss(turn, place, EndCause::Unreachable),
                None => return self.end(turn, EndCause::Unreachable, EndedBy::System),
            }
        }
    }

    pub(super) fn next_absence_deadline(&self) -> Option<Time> {
        self.legs.answered().filter_map(|leg| leg.away).map(Absence::until).min()
    }

    /// Who talks with this leg.
    fn other_party(&self, leg: LegId) -> Option<LegId> {
        let Phase::Talking { callee, .. } = &self.phase else { return None };
        let (first, callee) = (self.legs.first(), *callee);
        match leg {
            _ if leg == first => Some(callee),
            _ if leg == callee => Some(first),
            _ => None,
        }
    }

    fn is_party(&self, leg: LegId) -> bool {
        self.other_party(leg).is_some()
    }

    fn tell_absence(&self, turn: &mut Turn, leg: LegId, gap: Option<Duration>) {
        let Some(it) = self.legs.get(leg) else { return };
        let gap_ms = gap.map(|gap| u64::try_from(gap.as_millis()).unwrap_or(u64::MAX));
        let data = LegAbsence { leg, agent: it.agent.clone(), gap_ms };
        let kind = if gap.is_some() { EventKind::CallLegReturned(data) } else { EventKind::CallLegLost(data) };
        turn.push(Effect::Emit { kind, agent: it.agent.clone(), queue: self.queue().cloned() });
    }
}
