//! Who hears whom, as a function of the call's state: the one place that says it. `settle_audio` tells the media what
//! has changed since it was told last; music on hold follows the same way.

use crate::events::MarkKind;
use crate::types::{LegId, SupervisionMode};

use super::legs::LegStep;
use super::machine::{Call, Hearing, Phase};
use super::turn::Turn;
use super::words::Effect;

/// What the media was told last.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// By leg, in the order of the legs; a leg that hears nobody is absent.
    hears: Vec<(LegId, Vec<LegId>)>,
    /// Who hears music because the other party holds.
    music_on_hold: Option<LegId>,
}

impl Call {
    /// For each leg whom it hears. A leg that is absent hears nobody.
    fn audible(&self) -> Vec<(LegId, Vec<LegId>)> {
        let first = self.legs.first();
        let callee = match &self.phase {
            Phase::Seeking(seek) => match seek.hearing {
                Hearing::Early(callee) => return vec![(first, vec![callee]), (callee, vec![first])],
                _ => return Vec::new(),
            },
            Phase::Talking { callee, .. } => *callee,
            Phase::Asking { .. } | Phase::Ended(_) => return Vec::new(),
        };
        let mut hears = vec![(first, Vec::new()), (callee, Vec::new())];
        // On hold the two are apart. A client who holds us may play us something of their own, so that side stays open.
        if self.held_by.is_none() && self.music_on_hold().is_none() {
            hears[0].1.push(callee);
            hears[1].1.push(first);
        }
        let agents_side = self.agents_side(callee);
        for supervisor in self.supervisors.iter().filter(|it| self.legs.step(it.leg) == Some(LegStep::Answered)) {
            hears.push((supervisor.leg, vec![first, callee]));
        }
        for supervisor in self.supervisors.iter().filter(|it| self.legs.step(it.leg) == Some(LegStep::Answered)) {
            for (leg, sources) in &mut hears {
                let is_heard = match supervisor.mode {
                    SupervisionMode::Listen => false,
                    SupervisionMode::Whisper => *leg == agents_side,
                    // A party on hold hears music alone.
                    SupervisionMode::Barge => self.music_on_hold() != Some(*leg),
                };
                if is_heard && *leg != supervisor.leg {
                    sources.push(supervisor.leg);
                }
            }
        }
        hears.retain(|(_, sources)| !sources.is_empty());
        hears
    }

    /// The party who waits for one that holds: hold by API, or by the telephone of one of our people.
    pub(super) fn music_on_hold(&self) -> Option<LegId> {
        let Phase::Talking { callee, .. } = &self.phase else { return None };
        let (first, callee) = (self.legs.first(), *callee);
        let other = |leg: LegId| if leg == first { callee } else { first };
        if let Some(holder) = self.held_by {
            return Some(other(holder));
        }
        let holds = |leg: LegId| self.legs.get(leg).is_some_and(|leg| leg.is_holding && leg.agent.is_some());
        match (holds(first), holds(callee)) {
            (true, false) => Some(callee),
            (false, true) => Some(first),
            _ => None,
        }
    }

    /// The leg of the agent whose call this is.
    pub(super) fn agents_side(&self, callee: LegId) -> LegId {
        let is_agents = |leg: LegId| self.legs.get(leg).is_some_and(|leg| leg.agent.is_some() && leg.agent == self.facts.agent);
        if is_agents(callee) || !is_agents(self.legs.first()) { callee } else { self.legs.first() }
    }

    /// Tells the media what has changed.
    pub(super) fn settle_audio(&mut self, turn: &mut Turn) {
        let (hears, music) = (self.audible(), self.music_on_hold());
        if music != self.told.music_on_hold
            && let Some(leg) = self.told.music_on_hold.take()
            && !matches!(self.phase, Phase::Ended(_))
        {
            turn.push(Effect::StopPlaying { leg });
            self.tape.mark(turn, MarkKind::MusicStopped, None);
        }
        if hears != self.told.hears {
            let empty = Vec::new();
            let before = |leg: LegId| self.told.hears.iter().find(|(its, _)| *its == leg).map_or(&empty, |(_, heard)| heard);
            let mut changed: Vec<_> = hears.iter().filter(|(leg, heard)| before(*leg) != heard).cloned().collect();
            let is_left = |leg: &LegId| hears.iter().all(|(its, _)| its != leg);
            changed.extend(self.told.hears.iter().filter(|(leg, _)| is_left(leg)).map(|(leg, _)| (*leg, Vec::new())));
            turn.push(Effect::Hear(changed));
            self.told.hears = hears;
        }
        if let Some(leg) = music.filter(|_| self.told.music_on_hold.is_none()) {
            turn.push(Effect::PlayMusic { leg });
            self.tape.mark(turn, MarkKind::MusicStarted, None);
            self.told.music_on_hold = Some(leg);
        }
    }
}
