//! The day: a heap of what will happen and when, the calls, the floor between them, and delayed messages in order.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BinaryHeap};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use super::checks::Shadow;
use super::people::{Human, SimLeg};
use crate::agents::Wish;
use crate::call::{Call, Effect, Input, Person};
use crate::events::EventKind;
use crate::routing::fixtures::SiteBuilder;
use crate::routing::{Floor, FloorEffect, FloorInput};
use crate::site::{Site, Strategy};
use crate::types::{AgentId, CallId, EndCause, Ids, LegId, Time, Wall};

/// What happens at a moment.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    SomebodyCalls,
    ToFloor(FloorInput),
    ToCall(CallId, Input),
    FloorTimer,
    CallTimer(CallId),
    /// An agent changes their mind, or their phone comes or goes.
    Mood(usize),
    PhoneAnswers(LegId),
    PhoneRefuses(LegId, crate::call::LegFailure),
    CancelArrives(LegId),
    /// The party of an answered leg has said all.
    PartyHangsUp(LegId),
    /// The caller has waited long enough.
    PatienceEnds(LegId),
    /// The call's task dies.
    Kill(CallId),
    /// Everyone comes back to work, so that the day can end.
    Evening,
}

/// What a day was.
#[derive(Debug, Default)]
pub(super) struct Day {
    pub calls: usize,
    pub answered: usize,
    pub abandoned: usize,
    pub revoked: usize,
    pub late_answers: usize,
    pub elsewhere: usize,
    pub killed: usize,
    pub steps: usize,
    pub digest: u64,
}

/// What the present step has changed.
#[derive(Debug, Default)]
pub(super) struct Touched {
    pub floor: bool,
    pub calls: Vec<CallId>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Due(std::cmp::Reverse<(Time, u64)>, usize);

pub(super) struct World {
    pub now: Time,
    pub dice: Ids,
    pub site: Site,
    pub floor: Floor,
    pub calls: BTreeMap<CallId, Call>,
    pub legs: BTreeMap<LegId, SimLeg>,
    pub humans: BTreeMap<AgentId, Human>,
    pub shadow: Shadow,
    pub day: Day,
    pub touched: Touched,
    heap: BinaryHeap<Due>,
    happenings: Vec<Option<Happening>>,
    /// When the last message between a call and the floor arrives: later ones may not overtake it.
    last_to_floor: BTreeMap<CallId, Time>,
    last_to_call: BTreeMap<CallId, Time>,
    /// The timers that count; earlier plans were overtaken.
    floor_timer: Option<Time>,
    call_timers: BTreeMap<CallId, Time>,
    pub callers_left: usize,
    pub is_evening: bool,
    digest: DefaultHasher,
}

pub(super) const AGENTS: usize = 50;

impl World {
    pub fn new(seed: u64, callers: usize) -> Self {
        let site = site();
        let now = Time::from_millis(1_000);
        let floor = Floor::new(now, wall(now), &site, seed);
        let humans = site.users.keys().map(|login| (login.clone(), Human::default())).collect();
        let mut world = World {
            now,
            dice: Ids::seeded(seed),
            site,
            floor,
            calls: BTreeMap::new(),
            legs: BTreeMap::new(),
            humans,
            shadow: Shadow::default(),
            day: Day::default(),
            touched: Touched::default(),
            heap: BinaryHeap::new(),
            happenings: Vec::new(),
            last_to_floor: BTreeMap::new(),
            last_to_call: BTreeMap::new(),
            floor_timer: None,
            call_timers: BTreeMap::new(),
            callers_left: callers,
            is_evening: false,
            digest: DefaultHasher::new(),
        };
        for agent in 0..AGENTS {
            world.plan(Duration::from_millis(agent as u64), Happening::Mood(agent));
        }
        world.plan(Duration::from_secs(1), Happening::SomebodyCalls);
        world
    }

    pub fn into_day(self) -> Day {
        Day { digest: self.digest.finish(), ..self.day }
    }

    pub fn plan(&mut self, after: Duration, happening: Happening) {
        self.plan_at(self.now + after, happening);
    }

    fn plan_at(&mut self, at: Time, happening: Happening) {
        let number = self.happenings.len();
        self.happenings.push(Some(happening));
        self.heap.push(Due(std::cmp::Reverse((at, number as u64)), number));
    }

    /// A number below `limit`.
    pub fn roll(&mut self, limit: u64) -> u64 {
        self.dice.bits() % limit.max(1)
    }

    pub fn between_ms(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.roll(to - from))
    }

    /// False when the day is over.
    pub fn step(&mut self) -> bool {
        let Some(Due(std::cmp::Reverse((at, _)), number)) = self.heap.pop() else { return false };
        self.now = at;
        self.day.steps += 1;
        self.touched = Touched::default();
        let happening = self.happenings[number].take().expect("each happens once");
        match happening {
            Happening::SomebodyCalls => self.somebody_calls(),
            Happening::ToFloor(input) => self.tell_floor(input),
            Happening::ToCall(call, input) => self.tell_call(call, input),
            Happening::FloorTimer => {
                if self.floor_timer == Some(at) {
                    self.floor_timer = None;
                    self.tell_floor(FloorInput::Deadline);
                }
            }
            Happening::CallTimer(call) => {
                if self.call_timers.get(&call) == Some(&at) {
                    self.call_timers.remove(&call);
                    self.tell_call(call, Input::Deadline);
                }
            }
            Happening::Mood(agent) => self.mood(agent),
            Happening::PhoneAnswers(leg) => self.phone_answers(leg),
            Happening::PhoneRefuses(leg, failure) => self.phone_refuses(leg, failure),
            Happening::CancelArrives(leg) => self.cancel_arrives(leg),
            Happening::PartyHangsUp(leg) => self.party_hangs_up(leg),
            Happening::PatienceEnds(leg) => self.patience_ends(leg),
            Happening::Kill(call) => self.kill(call),
            Happening::Evening => self.evening(),
        }
        true
    }

    pub fn login(&self, place: usize) -> AgentId {
        self.site.users.keys().nth(place).expect("fifty people").clone()
    }

    /// Hands an input to the floor and carries on what follows.
    pub fn tell_floor(&mut self, input: FloorInput) {
        self.touched.floor = true;
        if let FloorInput::CallGone { call } = input {
            self.check_call_gone(call);
        }
        self.shadow.before_floor(&input);
        let effects = self.floor.handle(self.now, wall(self.now), input);
        for effect in effects {
            match effect {
                FloorEffect::Grant { call, grant, agent, queue, ring, .. } => {
                    (self.now, call, grant, &agent).hash(&mut self.digest);
                    self.shadow.granted(grant, call, &agent, &queue, &self.site);
                    let person = Person::of(&self.site.users[&agent]);
                    self.send_to_call(call, Input::Granted { grant, person, ring });
                }
                FloorEffect::Revoke { call, grant } => {
                    self.day.revoked += 1;
                    self.shadow.settled(grant);
                    self.send_to_call(call, Input::GrantRevoked { grant });
                }
                FloorEffect::Refuse { call, why, .. } => self.send_to_call(call, Input::QueueRefused { why }),
                FloorEffect::AgentChanged { .. } | FloorEffect::Unexpected { .. } => {}
            }
        }
        if let Some(at) = self.floor.next_deadline()
            && self.floor_timer.is_none_or(|planned| at < planned)
        {
            self.floor_timer = Some(at.max(self.now));
            self.plan_at(at.max(self.now), Happening::FloorTimer);
        }
    }

    /// Hands an input to a call, if it still lives, and carries on what follows.
    pub fn tell_call(&mut self, call: CallId, input: Input) {
        let Some(machine) = self.calls.get_mut(&call) else {
            // An answer long after the call is gone (its CANCEL was lost) is hung up by whoever carries the signalling.
            if let Input::LegAnswered { leg } = input {
                self.let_go(leg);
            }
            return;
        };
        let effects = machine.handle(self.now, wall(self.now), input);
        self.carry_out(call, effects);
    }

    pub fn carry_out(&mut self, call: CallId, effects: Vec<Effect>) {
        self.touched.calls.push(call);
        for effect in effects {
            self.remember(call, &effect);
            self.shadow.call_wants(call, &effect);
            self.carry(call, effect);
        }
        if let Some(at) = self.calls.get(&call).and_then(Call::next_deadline)
            && self.call_timers.get(&call).is_none_or(|planned| at < *planned)
        {
            self.call_timers.insert(call, at.max(self.now));
            self.plan_at(at.max(self.now), Happening::CallTimer(call));
        }
    }

    /// The views in events follow from the rest; printing them would take most of the day.
    fn remember(&mut self, call: CallId, effect: &Effect) {
        match effect {
            Effect::Emit { kind, .. } => (self.now, call, kind.name()).hash(&mut self.digest),
            _ => (self.now, call, format!("{effect:?}")).hash(&mut self.digest),
        }
    }

    fn carry(&mut self, call: CallId, effect: Effect) {
        match effect {
            Effect::Dial { leg, to, .. } => self.dial(call, leg, to),
            Effect::CancelDial { leg, elsewhere } => {
                self.day.elsewhere += usize::from(elsewhere);
                let after = self.between_ms(0, 30);
                self.plan(after, Happening::CancelArrives(leg));
            }
            Effect::HangUpLeg { leg, .. } | Effect::Reject { leg, .. } => self.let_go(leg),
            Effect::ShowPop { pop, .. } => {
                let after = self.between_ms(0, 40);
                self.plan(after, Happening::ToCall(call, Input::PopReady { pop }));
            }
            Effect::Enqueue { queue, priority, hints } => {
                self.send_to_floor(call, FloorInput::Enqueue { call, queue, priority, waited_ms: 0, hints });
            }
            Effect::LeaveQueue { abandoned } => self.send_to_floor(call, FloorInput::Leave { call, abandoned }),
            Effect::ConfirmGrant { grant } => self.send_to_floor(call, FloorInput::Confirm { grant }),
            Effect::GrantAnswered { grant, agent } => self.send_to_floor(call, FloorInput::Answered { grant, call, agent }),
            Effect::OfferEnded { grant, outcome } => self.send_to_floor(call, FloorInput::OfferEnded { grant, outcome }),
            Effect::AgentBusy { agent, doing } => self.send_to_floor(call, FloorInput::Busy { agent, call, doing }),
            Effect::AgentFree { agent } => self.send_to_floor(call, FloorInput::Free { agent, call }),
            Effect::Emit { kind: EventKind::CallAnswered(view), .. } => {
                self.day.answered += 1;
                let leg = view.legs[self.roll(view.legs.len() as u64) as usize].id;
                let talk = self.between_ms(1_000, 60_000);
                self.plan(talk, Happening::PartyHangsUp(leg));
                let at_last = talk + Duration::from_secs(1);
                self.plan(at_last, Happening::PartyHangsUp(view.legs[0].id));
            }
            Effect::Finished { cause, .. } => {
                self.day.abandoned += usize::from(cause == EndCause::Abandoned);
                self.calls.remove(&call);
                self.send_to_floor(call, FloorInput::CallGone { call });
            }
            _ => {}
        }
    }

    fn send_to_floor(&mut self, call: CallId, input: FloorInput) {
        let last = self.last_to_floor.get(&call).copied().unwrap_or(self.now);
        let at = (self.now + self.between_ms(0, 3)).max(last);
        self.last_to_floor.insert(call, at);
        self.plan_at(at, Happening::ToFloor(input));
    }

    fn send_to_call(&mut self, call: CallId, input: Input) {
        let last = self.last_to_call.get(&call).copied().unwrap_or(self.now);
        // Now and then the floor's word takes so long that the lease lapses.
        let delay = if self.roll(400) == 0 { Duration::from_millis(2_500) } else { self.between_ms(0, 3) };
        let at = (self.now + delay).max(last);
        self.last_to_call.insert(call, at);
        self.plan_at(at, Happening::ToCall(call, input));
    }

    /// The task of a call dies: phones hear nothing more, the engine frees what the floor held for it.
    fn kill(&mut self, call: CallId) {
        if self.calls.remove(&call).is_none() {
            return;
        }
        self.day.killed += 1;
        self.shadow.killed(call);
        let legs: Vec<LegId> = self.legs.iter().filter(|(_, leg)| leg.call == call).map(|(id, _)| *id).collect();
        legs.into_iter().for_each(|leg| self.let_go(leg));
        self.send_to_floor(call, FloorInput::CallGone { call });
    }

    fn mood(&mut self, place: usize) {
        if self.is_evening {
            return;
        }
        let agent = self.login(place);
        let next = self.between_ms(5_000, 120_000);
        self.plan(next, Happening::Mood(place));
        let is_registered = self.humans[&agent].is_registered;
        match self.roll(10) {
            0 if is_registered => self.phone_goes(&agent),
            1 => self.tell_floor(FloorInput::Ask { agent, wish: Wish::Break { reason: Some("tea".into()) } }),
            2 => self.tell_floor(FloorInput::Ask { agent, wish: Wish::Offline }),
            _ => {
                if !is_registered {
                    self.phone_comes(&agent);
                }
                self.tell_floor(FloorInput::Ask { agent, wish: Wish::Ready });
            }
        }
    }

    fn evening(&mut self) {
        self.is_evening = true;
        for place in 0..AGENTS {
            let agent = self.login(place);
            self.phone_comes(&agent);
            self.tell_floor(FloorInput::Ask { agent, wish: Wish::Ready });
        }
    }

    fn phone_comes(&mut self, agent: &AgentId) {
        self.humans.get_mut(agent).expect("everyone is here").is_registered = true;
        self.tell_floor(FloorInput::Registered { agent: agent.clone() });
    }

    fn phone_goes(&mut self, agent: &AgentId) {
        self.humans.get_mut(agent).expect("everyone is here").is_registered = false;
        self.tell_floor(FloorInput::Unregistered { agent: agent.clone() });
    }
}

/// Three queues of different kinds that share people.
fn site() -> Site {
    let logins: Vec<String> = (0..AGENTS).map(|n| format!("agent{n:02}")).collect();
    let logins: Vec<&str> = logins.iter().map(String::as_str).collect();
    let mut site = SiteBuilder::new()
        .agents(&logins)
        .queue("sales", &logins[..30])
        .queue("care", &logins[25..45])
        .queue("tech", &logins[40..])
        .build();
    for (queue, strategy, ring_seconds, wrap_up_seconds) in
        [("sales", Strategy::LongestIdle, 15, 5), ("care", Strategy::RoundRobin, 20, 0), ("tech", Strategy::RingAll, 10, 8)]
    {
        let settings = site.queues.get_mut(queue).expect("just made");
        (settings.strategy, settings.ring_seconds, settings.wrap_up_seconds) = (strategy, ring_seconds, wrap_up_seconds);
    }
    site
}

pub(super) fn wall(now: Time) -> Wall {
    Wall::from_micros(1_700_000_000_000_000).plus(now.since(Time::ZERO))
}
