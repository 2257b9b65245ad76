//! The call looks for somebody to talk to its first leg: enters the queue, makes offers, lets the waiting party hear
//! something, and connects whoever answers first.

use std::time::Duration;

use crate::events::{EventKind, MarkKind};
use crate::types::{CallKind, EndCause, EndedBy, GrantId, LegId, LegRole, Party, PopId, Time};

use super::legs::{Leg, LegStep};
use super::machine::{Call, Fits, Hearing, Odd, Phase, Seek};
use super::offer::{MOST_OFFERS, Offer, OfferStep, POP_HOLDS_INVITE, Target, retract_reason};
use super::tape::{Announcement, LONGEST_ANNOUNCEMENT};
use super::turn::Turn;
use super::words::{AgentDoing, DialTo, Effect, Goal, LegFailure, OfferOutcome, Person};

impl Call {
    /// The first leg is here: go where the call wants.
    pub(super) fn pursue_goal(&mut self, turn: &mut Turn) {
        match self.goal.clone() {
            Goal::Nowhere { cause, .. } => self.end(turn, cause, EndedBy::System),
            Goal::Queue { queue, answer, priority } => {
                turn.push(Effect::Enqueue { queue: queue.clone(), priority, hints: self.hints.clone() });
                if answer {
                    self.answer_first(turn);
                }
                self.tape.mark(turn, MarkKind::Queued, Some(queue.as_str()));
                self.let_hear(turn, Hearing::Music);
                self.emit(turn, EventKind::CallQueued);
            }
            // They are on the line already.
            Goal::Person(person) if self.facts.asker.as_ref().is_some_and(|asker| asker.agent == person.agent) => {
                self.end(turn, EndCause::Busy, EndedBy::System);
            }
            Goal::Person(person) => {
                turn.push(Effect::AgentBusy { agent: person.agent.clone(), doing: AgentDoing::Ringing });
                self.offer_to_agent(turn, person, None, self.limits.direct_ring);
            }
            Goal::Outside { trunk, number } => {
                let ring = self.limits.outside_ring;
                let leg = self.ids.leg();
                let party = Party { number: Some(number.clone()), display: None };
                self.legs.add(Leg::new(leg, LegRole::External, party, turn.wall).by_trunk(Some(trunk.clone())));
                let step = OfferStep::Ringing { leg, until: turn.now + ring };
                self.add_offer(Offer { target: Target::Outside { trunk: trunk.clone(), number: number.clone() }, step, ring });
                let (to, show) = (DialTo::Outside { trunk, number }, self.facts.from.clone());
                turn.push(Effect::Dial { leg, to, show, ring, auto_answer: false });
            }
        }
    }

    /// The floor leases an agent.
    pub(super) fn granted(&mut self, turn: &mut Turn, grant: GrantId, person: Person, ring: Duration) -> Fits {
        let refused = Effect::OfferEnded { grant, outcome: OfferOutcome::Refused };
        let (Phase::Seeking(seek), Goal::Queue { .. }) = (&self.phase, &self.goal) else {
            // A grant that crossed our leaving is no fault.
            turn.push(refused);
            return Ok(());
        };
        if seek.offers.len() >= MOST_OFFERS || seek.offers.iter().any(|offer| offer.agent() == Some(&person.agent)) {
            turn.push(refused);
            return Err(Odd);
        }
        self.offer_to_agent(turn, person, Some(grant), ring);
        Ok(())
    }

    /// Pop first, INVITE 20 ms later at most.
    fn offer_to_agent(&mut self, turn: &mut Turn, person: Person, grant: Option<GrantId>, ring: Duration) {
        let ids = &mut self.ids;
        let pop = self.pops.of(&person.agent, || ids.pop(turn.wall));
        turn.push(Effect::ShowPop { pop, agent: person.agent.clone(), queue: self.queue().cloned() });
        let step = OfferStep::ShowingPop { until: turn.now + POP_HOLDS_INVITE };
        self.facts.agent = Some(person.agent.clone());
        self.add_offer(Offer { target: Target::Agent { person, grant, pop }, step, ring });
    }

    fn add_offer(&mut self, offer: Offer) {
        if let Phase::Seeking(seek) = &mut self.phase {
            seek.offers.push(offer);
        }
    }

    /// The pop is out. One that comes after its head start has nothing left to release.
    pub(super) fn pop_ready(&mut self, turn: &mut Turn, pop: PopId) {
        let Phase::Seeking(seek) = &self.phase else { return };
        let waits = |offer: &Offer| matches!((&offer.target, offer.step), (Target::Agent { pop: its, .. }, OfferStep::ShowingPop { .. }) if *its == pop);
        if let Some(place) = seek.offers.iter().position(waits) {
            self.dial_agent(turn, place);
        }
    }

    fn dial_agent(&mut self, turn: &mut Turn, place: usize) {
        let Phase::Seeking(Seek { offers, .. }) = &mut self.phase else { return };
        let Some(offer) = offers.get_mut(place) else { return };
        let Target::Agent { person, grant, .. } = &offer.target else { return };
        let (leg, agent, ring) = (self.ids.leg(), person.agent.clone(), offer.ring);
        self.legs.add(Leg::new(leg, LegRole::Agent, person.party.clone(), turn.wall).of_agent(Some(agent.clone())));
        offer.step = OfferStep::Ringing { leg, until: turn.now + ring };
        if let Some(grant) = *grant {
            turn.push(Effect::ConfirmGrant { grant });
        }
        let (to, show) = (DialTo::Agent(agent.clone()), self.facts.from.clone());
        turn.push(Effect::Dial { leg, to, show, ring, auto_answer: false });
        self.facts.agent = Some(agent);
        self.emit(turn, EventKind::CallOffered);
    }

    pub(super) fn leg_rings(&mut self, turn: &mut Turn, leg: LegId) -> Fits {
        match (&self.phase, self.legs.step(leg).ok_or(Odd)?) {
            (_, LegStep::Cancelling) => {}
            (Phase::Asking { .. }, LegStep::Pending) => {}
            // In a queue the caller hears music, whoever rings.
            (Phase::Seeking(_), LegStep::Pending) if self.queue().is_some() => {}
            (Phase::Seeking(seek), LegStep::Pending) if leg != self.legs.first() => {
                if seek.hearing == Hearing::Nothing {
                    let wanted = if seek.has_early_media { Hearing::Ringback } else { Hearing::Ringing };
                    self.let_hear(turn, wanted);
                }
            }
            _ => return Err(Odd),
        }
        Ok(())
    }

    pub(super) fn leg_sends_early_media(&mut self, turn: &mut Turn, leg: LegId) -> Fits {
        match (&self.phase, self.legs.step(leg).ok_or(Odd)?) {
            (_, LegStep::Cancelling) => {}
            (Phase::Asking { .. }, LegStep::Pending) => {}
            (Phase::Seeking(_), LegStep::Pending) if self.queue().is_some() => {}
            (Phase::Seeking(_), LegStep::Pending) if leg != self.legs.first() => self.let_hear(turn, Hearing::Early(leg)),
            _ => return Err(Odd),
        }
        Ok(())
    }

    /// Changes what the waiting leg hears.
    pub(super) fn let_hear(&mut self, turn: &mut Turn, wanted: Hearing) {
        let first = self.legs.first();
        let Phase::Seeking(seek) = &mut self.phase else { return };
        if seek.hearing == wanted {
            return;
        }
        match seek.hearing {
            // It would have begun after the announcement, which goes on to its end.
            Hearing::Ringback | Hearing::Music if self.announcement.until().is_some() => {}
            Hearing::Nothing | Hearing::Ringing => {}
            Hearing::Ringback => turn.push(Effect::StopPlaying { leg: first }),
            Hearing::Music => {
                turn.push(Effect::StopPlaying { leg: first });
                self.tape.mark(turn, MarkKind::MusicStopped, None);
            }
            Hearing::Early(_) => {}
        }
        seek.hearing = wanted;
        let needs_media = matches!(wanted, Hearing::Ringback | Hearing::Music | Hearing::Early(_));
        if needs_media && !seek.has_early_media {
            seek.has_early_media = true;
            turn.push(Effect::StartEarlyMedia { leg: first });
        }
        self.settle_audio(turn);
        // What the caller waits with begins after the announcement.
        if self.announcement.until().is_some() && matches!(wanted, Hearing::Ringback | Hearing::Music) {
            return;
        }
        self.play_to_waiting(turn, wanted);
    }

    fn play_to_waiting(&mut self, turn: &mut Turn, wanted: Hearing) {
        let first = self.legs.first();
        match wanted {
            Hearing::Nothing | Hearing::Early(_) => {}
            Hearing::Ringing => turn.push(Effect::Ring { leg: first }),
            Hearing::Ringback => turn.push(Effect::PlayRingback { leg: first }),
            Hearing::Music => {
                turn.push(Effect::PlayMusic { leg: first });
                self.tape.mark(turn, MarkKind::MusicStarted, None);
            }
        }
    }

    /// Our 200 to the first leg, unless it is answered already; the recording of whoever calls us starts with it.
    fn answer_first(&mut self, turn: &mut Turn) {
        let first = self.legs.first();
        if self.facts.kind != CallKind::Outbound {
            self.tape.start(turn, &mut self.ids, first);
        }
        let Some(leg) = self.legs.get_mut(first).filter(|leg| leg.step == LegStep::Pending) else { return };
        leg.answer(turn.wall);
        turn.push(Effect::Answer { leg: first });
        if self.announcement == Announcement::Wanted && self.tape.id().is_some() {
            self.announcement = Announcement::Heard { until: turn.now + LONGEST_ANNOUNCEMENT };
            turn.push(Effect::Announce { leg: first });
        }
        if let Phase::Seeking(seek) = &mut self.phase {
            seek.has_early_media = true;
        }
    }

    pub(super) fn announcement_ended(&mut self, turn: &mut Turn, leg: LegId) -> Fits {
        if self.announcement.until().is_none() || leg != self.legs.first() {
            return Err(Odd);
        }
        self.announcement = Announcement::None;
        if let Phase::Seeking(Seek { hearing: hearing @ (Hearing::Ringback | Hearing::Music), .. }) = self.phase {
            self.play_to_waiting(turn, hearing);
        }
        Ok(())
    }

    /// Somebody answered: everyone else stops ringing, and the two hear each other.
    pub(super) fn connect(&mut self, turn: &mut Turn, callee: LegId) -> Fits {
        let Phase::Seeking(seek) = &mut self.phase else { return Err(Odd) };
        let place = seek.offers.iter().position(|offer| offer.leg() == Some(callee)).ok_or(Odd)?;
        let offer = seek.offers.remove(place);
        let losers = std::mem::take(&mut seek.offers);
        let already_bridged = seek.hearing == Hearing::Early(callee);
        self.legs.get_mut(callee).ok_or(Odd)?.answer(turn.wall);
        for loser in &losers {
            self.withdraw(turn, loser, OfferOutcome::AnsweredElsewhere);
        }

        let person = if let Target::Agent { person, .. } = &offer.target { Some(person.clone()) } else { None };
        if person.as_ref().is_some_and(|person| !person.record) {
            self.tape.forbid(turn);
        }
        self.beep.and_every(person.as_ref().map_or(0, |person| person.beep_seconds));
        self.answer_first(turn);
        if self.facts.kind == CallKind::Outbound {
            self.tape.start(turn, &mut self.ids, callee);
        }
        if !already_bridged {
            self.let_hear(turn, Hearing::Nothing);
        }
        self.phase = Phase::Talking { callee, person };
        self.settle_audio(turn);
        if let Target::Agent { person, grant, .. } = offer.target {
            self.tape.mark(turn, MarkKind::AgentJoined, Some(person.agent.as_str()));
            turn.push(match grant {
                Some(grant) => Effect::GrantAnswered { grant, agent: person.agent.clone() },
                None => Effect::AgentBusy { agent: person.agent.clone(), doing: AgentDoing::Talking },
            });
            self.facts.agent = Some(person.agent);
        }
        losers.into_iter().for_each(|loser| settle(turn, loser, OfferOutcome::AnsweredElsewhere));
        self.facts.answered_at = Some(turn.wall);
        self.emit(turn, EventKind::CallAnswered);
        Ok(())
    }

    /// A dialled leg came to nothing by itself.
    pub(super) fn offer_failed(&mut self, turn: &mut Turn, leg: LegId, failure: LegFailure, by: EndedBy) -> Fits {
        let offer = self.take_offer(|offer| offer.leg() == Some(leg)).ok_or(Odd)?;
        self.end_offer(turn, offer, failure.outcome());
        self.seek_on(turn, failure.cause(), by);
        Ok(())
    }

    /// The floor took the agent back: it needs no word of it.
    pub(super) fn grant_revoked(&mut self, turn: &mut Turn, grant: GrantId) -> Fits {
        let Some(offer) = self.take_offer(|offer| offer.grant() == Some(grant)) else {
            // It may have crossed an answer or an end; the floor learns of those by itself.
            return Ok(());
        };
        self.withdraw(turn, &offer, OfferOutcome::Refused);
        self.seek_on(turn, EndCause::NoAnswer, EndedBy::System);
        Ok(())
    }

    pub(super) fn pass_offer_deadlines(&mut self, turn: &mut Turn) {
        while let Some((place, step)) = self.due_offer(turn.now) {
            match step {
                OfferStep::ShowingPop { .. } => self.dial_agent(turn, place),
                OfferStep::Ringing { leg, .. } => {
                    let Some(offer) = self.take_offer(|offer| offer.leg() == Some(leg)) else { return };
                    self.end_offer(turn, offer, OfferOutcome::NoAnswer);
                    self.seek_on(turn, EndCause::NoAnswer, EndedBy::System);
                }
            }
        }
    }

    fn due_offer(&self, now: Time) -> Option<(usize, OfferStep)> {
        let Phase::Seeking(seek) = &self.phase else { return None };
        seek.offers.iter().enumerate().find(|(_, offer)| offer.until() <= now).map(|(place, offer)| (place, offer.step))
    }

    fn take_offer(&mut self, which: impl Fn(&Offer) -> bool) -> Option<Offer> {
        let Phase::Seeking(seek) = &mut self.phase else { return None };
        let place = seek.offers.iter().position(which)?;
        Some(seek.offers.remove(place))
    }

    /// Stops an offer that nobody answered, and tells the floor.
    fn end_offer(&mut self, turn: &mut Turn, offer: Offer, outcome: OfferOutcome) {
        self.withdraw(turn, &offer, outcome);
        settle(turn, offer, outcome);
    }

    /// The phone first, then the screen.
    pub(super) fn withdraw(&mut self, turn: &mut Turn, offer: &Offer, outcome: OfferOutcome) {
        if let Some(leg) = offer.leg().and_then(|leg| self.legs.get_mut(leg)).filter(|leg| leg.step == LegStep::Pending) {
            leg.cancel();
            leg.ended_at = Some(turn.wall);
            turn.push(Effect::CancelDial { leg: leg.id, elsewhere: outcome == OfferOutcome::AnsweredElsewhere });
        }
        if let Target::Agent { person, pop, .. } = &offer.target {
            turn.push(Effect::RetractPop { pop: *pop, agent: person.agent.clone(), reason: retract_reason(outcome) });
        }
    }

    /// After an offer that failed: in a queue the caller keeps the place and waits for the next grant; whoever asked for
    /// one person or number has nobody left.
    fn seek_on(&mut self, turn: &mut Turn, cause: EndCause, by: EndedBy) {
        if self.queue().is_none() {
            return self.end(turn, cause, by);
        }
        let Phase::Seeking(seek) = &self.phase else { return };
        let ringing = seek.offers.last().and_then(|offer| offer.agent().cloned());
        let is_alone = ringing.is_none();
        self.facts.agent = ringing.or_else(|| self.usual_agent());
        if is_alone {
            self.emit(turn, EventKind::CallQueued);
        }
    }
}

/// The agent is free of the offer. When the call leaves its queue, it leaves first, or the floor would grant it anew.
pub(super) fn settle(turn: &mut Turn, offer: Offer, outcome: OfferOutcome) {
    if let Target::Agent { person, grant, .. } = offer.target {
        turn.push(match grant {
            Some(grant) => Effect::OfferEnded { grant, outcome },
            None => Effect::AgentFree { agent: person.agent },
        });
    }
}
