//! Who calls whom: clients to queues and people, people to clients and colleagues.

use std::time::Duration;

use super::world::{AGENTS, Happening, World, wall};
use crate::call::{Arrival, Call, Caller, Goal, Input, Limits, Origination, Person};
use crate::types::{CallId, Ids, LegId, Party};

impl World {
    pub fn somebody_calls(&mut self) {
        if self.callers_left == 0 {
            return self.plan(Duration::from_secs(300), Happening::Evening);
        }
        self.callers_left -= 1;
        let pause = self.between_ms(1, 1_400);
        self.plan(pause, Happening::SomebodyCalls);
        self.day.calls += 1;
        let mut ids = Ids::seeded(self.dice.bits());
        let call = ids.call(wall(self.now));
        match self.roll(100) {
            0..=79 => self.client_calls(call, ids, None),
            80..=87 => {
                let person = self.any_person();
                self.client_calls(call, ids, Some(Goal::Person(person)));
            }
            88..=95 => self.phone_dials(call, ids),
            _ => self.somebody_clicks(call, ids),
        }
        if self.roll(40) == 0 {
            let at = self.between_ms(0, 40_000);
            let input = if self.roll(2) == 0 { Input::HangUp { by: None } } else { Input::Shutdown };
            self.plan(at, Happening::ToCall(call, input));
        }
        if self.roll(150) == 0 {
            let at = self.between_ms(0, 40_000);
            self.plan(at, Happening::Kill(call));
        }
    }

    /// A client, to a queue unless another goal is given.
    fn client_calls(&mut self, call: CallId, ids: Ids, goal: Option<Goal>) {
        let queue = ["care", "sales", "tech"][self.roll(3) as usize];
        let priority = u8::try_from(self.roll(2)).expect("small");
        let answer = self.roll(2) == 0;
        let goal = goal.unwrap_or_else(|| Goal::Queue { queue: queue.into(), answer, priority });
        let leg = self.arriving_leg(call, None);
        let patience = self.between_ms(500, 90_000);
        self.plan(patience, Happening::PatienceEnds(leg));
        let from = Party { number: Some("+79160000001".into()), display: None };
        self.arrive(call, leg, Caller::Trunk("carrier".into()), from, goal, ids);
    }

    /// One of our people dials a client or a colleague.
    fn phone_dials(&mut self, call: CallId, ids: Ids) {
        let person = self.any_person();
        let goal = self.outward_goal();
        let leg = self.arriving_leg(call, Some(person.agent.clone()));
        let patience = self.between_ms(2_000, 60_000);
        self.plan(patience, Happening::PatienceEnds(leg));
        let from = person.party.clone();
        self.arrive(call, leg, Caller::Person(person), from, goal, ids);
    }

    fn arrive(&mut self, call: CallId, leg: LegId, caller: Caller, from: Party, goal: Goal, ids: Ids) {
        let (to, limits) = ("+74951234567".to_owned(), Limits::default());
        let arrival = Arrival {
            call,
            leg,
            caller,
            from,
            to,
            goal,
            record: true,
            announce: false,
            beep_seconds: 0,
            source: None,
            limits,
            ids,
        };
        let (machine, effects) = Call::arrived(self.now, wall(self.now), arrival);
        self.calls.insert(call, machine);
        self.carry_out(call, effects);
    }

    fn somebody_clicks(&mut self, call: CallId, ids: Ids) {
        let (person, goal) = (self.any_person(), self.outward_goal());
        let (to, limits) = ("+79160000002".to_owned(), Limits::default());
        let origination = Origination { call, person, to, goal, record: true, beep_seconds: 0, limits, ids };
        let (machine, effects) = Call::originated(self.now, wall(self.now), origination);
        self.calls.insert(call, machine);
        self.carry_out(call, effects);
    }

    fn outward_goal(&mut self) -> Goal {
        match self.roll(3) {
            0 => Goal::Person(self.any_person()),
            _ => Goal::Outside { trunk: "carrier".into(), number: "+79160000002".into() },
        }
    }

    fn any_person(&mut self) -> Person {
        let place = self.roll(AGENTS as u64) as usize;
        Person::of(self.site.users.values().nth(place).expect("fifty people"))
    }
}
