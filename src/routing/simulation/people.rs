//! Phones and the people at them: who answers, refuses, does not hear, hangs up. A person talks on one leg at a time.

use std::time::Duration;

use super::world::{Happening, World};
use crate::call::{Departure, DialTo, Input, LegFailure};
use crate::types::{AgentId, CallId, LegId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LegFate {
    /// Arrived and waiting, or dialled and ringing.
    Open,
    Answered,
    Gone,
}

#[derive(Clone, Debug)]
pub(super) struct SimLeg {
    pub call: CallId,
    agent: Option<AgentId>,
    pub fate: LegFate,
    /// The CANCEL was lost on its way.
    pub was_cancelled: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Human {
    pub is_registered: bool,
    talks_on: Option<LegId>,
}

impl World {
    pub fn arriving_leg(&mut self, call: CallId, agent: Option<AgentId>) -> LegId {
        let leg = LegId(self.dice.bits() | 1 << 63);
        if let Some(human) = agent.as_ref().and_then(|agent| self.humans.get_mut(agent)) {
            human.talks_on = Some(leg);
        }
        self.legs.insert(leg, SimLeg { call, agent, fate: LegFate::Open, was_cancelled: false });
        leg
    }

    pub fn dial(&mut self, call: CallId, leg: LegId, to: DialTo) {
        let agent = if let DialTo::Agent(agent) = to { Some(agent) } else { None };
        let human = agent.as_ref().map(|agent| self.humans[agent].clone());
        self.legs.insert(leg, SimLeg { call, agent, fate: LegFate::Open, was_cancelled: false });
        let soon = self.between_ms(5, 200);
        if human.as_ref().is_some_and(|human| !human.is_registered) {
            return self.plan(soon, Happening::PhoneRefuses(leg, LegFailure::Unreachable));
        }
        if human.is_some_and(|human| human.talks_on.is_some()) {
            return self.plan(soon, Happening::PhoneRefuses(leg, LegFailure::Busy));
        }
        self.plan(soon, Happening::ToCall(call, Input::LegRinging { leg }));
        let later = self.between_ms(300, 16_000);
        match self.roll(100) {
            0..=69 => self.plan(later, Happening::PhoneAnswers(leg)),
            70..=77 => self.plan(later, Happening::PhoneRefuses(leg, LegFailure::Declined)),
            78..=82 => self.plan(soon, Happening::PhoneRefuses(leg, LegFailure::Busy)),
            83..=85 => self.plan(soon, Happening::PhoneRefuses(leg, LegFailure::Unreachable)),
            86..=87 => self.plan(soon, Happening::PhoneRefuses(leg, LegFailure::NoCommonCodec)),
            // An answer in the very moment in which the ringing ends.
            88..=91 => {
                let seconds = [10, 15, 20, 60][self.roll(4) as usize];
                let around = Duration::from_secs(seconds) + self.between_ms(0, 40);
                self.plan(around, Happening::PhoneAnswers(leg));
            }
            92..=93 => self.plan(soon, Happening::ToCall(call, Input::LegEarlyMedia { leg })),
            _ => {}
        }
    }

    pub fn phone_answers(&mut self, leg: LegId) {
        let Some(phone) = self.legs.get_mut(&leg).filter(|phone| phone.fate == LegFate::Open) else { return };
        if let Some(human) = phone.agent.as_ref().and_then(|agent| self.humans.get_mut(agent)) {
            // They took another call meanwhile and let this one ring.
            if human.talks_on.is_some() {
                return;
            }
            human.talks_on = Some(leg);
        }
        phone.fate = LegFate::Answered;
        if phone.was_cancelled {
            self.day.late_answers += 1;
        }
        let call = phone.call;
        let after = self.between_ms(0, 30);
        self.plan(after, Happening::ToCall(call, Input::LegAnswered { leg }));
    }

    pub fn phone_refuses(&mut self, leg: LegId, failure: LegFailure) {
        let Some(phone) = self.legs.get_mut(&leg).filter(|phone| phone.fate == LegFate::Open) else { return };
        phone.fate = LegFate::Gone;
        let call = phone.call;
        let after = self.between_ms(0, 30);
        self.plan(after, Happening::ToCall(call, Input::LegFailed { leg, failure }));
    }

    /// A CANCEL ends what still rings; it may be lost, and it may come while the answer is on its way.
    pub fn cancel_arrives(&mut self, leg: LegId) {
        let is_lost = self.roll(30) == 0;
        let Some(phone) = self.legs.get_mut(&leg) else { return };
        if phone.fate == LegFate::Answered {
            self.day.late_answers += 1;
        }
        if phone.fate != LegFate::Open {
            return;
        }
        if is_lost {
            phone.was_cancelled = true;
            return;
        }
        self.phone_refuses(leg, LegFailure::Cancelled);
    }

    pub fn party_hangs_up(&mut self, leg: LegId) {
        let Some(phone) = self.legs.get(&leg).filter(|phone| phone.fate != LegFate::Gone) else { return };
        let call = phone.call;
        self.let_go(leg);
        let after = self.between_ms(0, 30);
        self.plan(after, Happening::ToCall(call, Input::LegEnded { leg, departure: Departure::HungUp }));
    }

    /// The caller gives up, unless somebody talks with them.
    pub fn patience_ends(&mut self, leg: LegId) {
        let Some(phone) = self.legs.get(&leg).filter(|phone| phone.fate == LegFate::Open) else { return };
        let is_talking = self.calls.get(&phone.call).is_some_and(|call| call.view().answered_at.is_some());
        if !is_talking {
            self.party_hangs_up(leg);
        }
    }

    pub fn let_go(&mut self, leg: LegId) {
        let Some(phone) = self.legs.get_mut(&leg) else { return };
        phone.fate = LegFate::Gone;
        if let Some(human) = phone.agent.as_ref().and_then(|agent| self.humans.get_mut(agent))
            && human.talks_on == Some(leg)
        {
            human.talks_on = None;
        }
    }
}
