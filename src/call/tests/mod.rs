//! Sentences about one call, told to the machine by hand. `routing::simulation` tells it thousands at random.

mod absence;
mod direct;
mod limits;
mod outbound;
mod queue;
mod steering;

use std::collections::HashMap;
use std::time::Duration;

use super::*;
use crate::types::{AgentId, CallState, CallView, EndCause, EndedBy, GrantId, Ids, LegId, Party, PopId, Time, TrunkId, Wall};

/// The leg that arrives.
const CALLER: LegId = LegId(1 << 63);

/// A call with a clock that the test moves, and everything it has asked for.
struct Line {
    call: Call,
    now: Time,
    last: Vec<Effect>,
    all: Vec<Effect>,
}

impl Line {
    fn new(start: impl FnOnce(Time, Wall) -> (Call, Vec<Effect>)) -> Self {
        let now = Time::from_millis(5_000);
        let (call, last) = start(now, wall(now));
        Line { call, now, all: last.clone(), last }
    }

    fn arrives(caller: Caller, goal: Goal) -> Self {
        Line::arrives_recorded(caller, goal, true)
    }

    fn arrives_recorded(caller: Caller, goal: Goal, record: bool) -> Self {
        let from = match &caller {
            Caller::Trunk(_) => Party { number: Some("+79160000001".into()), display: None },
            Caller::Person(person) => person.party.clone(),
        };
        let mut ids = Ids::seeded(1);
        let call = ids.call(Wall::from_micros(0));
        let to = "+74951234567".to_owned();
        let source = Some("site".to_owned());
        let limits = Limits::default();
        Line::new(|now, wall| {
            Call::arrived(
                now,
                wall,
                Arrival {
                    call,
                    leg: CALLER,
                    caller,
                    from,
                    to,
                    goal,
                    record,
                    announce: false,
                    beep_seconds: 0,
                    source,
                    limits,
                    ids,
                },
            )
        })
    }

    /// From the carrier to a queue that answers at once.
    fn in_queue() -> Self {
        Line::arrives(Caller::Trunk("carrier".into()), queue_goal(true))
    }

    fn originated(goal: Goal) -> Self {
        let mut ids = Ids::seeded(2);
        let call = ids.call(Wall::from_micros(0));
        let (person, to, limits) = (anna(), "+79160000002".to_owned(), Limits::default());
        Line::new(|now, wall| {
            Call::originated(now, wall, Origination { call, person, to, goal, record: true, beep_seconds: 0, limits, ids })
        })
    }

    fn feed(&mut self, input: Input) -> &mut Self {
        self.last = self.call.handle(self.now, wall(self.now), input);
        self.all.extend(self.last.iter().cloned());
        self
    }

    fn wait(&mut self, time: Duration) -> &mut Self {
        self.now = self.now + time;
        self.feed(Input::Deadline)
    }

    fn grant(&mut self, n: u64, person: Person) -> &mut Self {
        self.feed(Input::Granted { grant: grant(n), person, ring: Duration::from_secs(20) })
    }

    /// Grants and lets the pop out: the phone of the person is dialled.
    fn offer(&mut self, n: u64, person: Person) -> LegId {
        self.grant(n, person);
        let pop = self.last_pop();
        self.feed(Input::PopReady { pop });
        self.last_dialled()
    }

    /// Asks for something that must be done.
    fn ask(&mut self, wish: CallWish) -> &mut Self {
        self.last = self.call.ask(self.now, wall(self.now), wish).expect("it can be done now");
        self.all.extend(self.last.iter().cloned());
        self
    }

    fn refusal(&mut self, wish: CallWish) -> Refusal {
        let before = self.view();
        let refusal = self.call.ask(self.now, wall(self.now), wish).expect_err("it cannot be done now");
        assert_eq!(self.view(), before, "a refusal changes nothing");
        refusal
    }

    /// Whom each leg hears, as the media was told in all.
    fn audible(&self) -> HashMap<LegId, Vec<LegId>> {
        let mut hears = HashMap::new();
        for effect in &self.all {
            if let Effect::Hear(changed) = effect {
                hears.extend(changed.iter().cloned());
            }
        }
        hears.retain(|_, sources: &mut Vec<LegId>| !sources.is_empty());
        hears
    }

    fn answer(&mut self, leg: LegId) -> &mut Self {
        self.feed(Input::LegAnswered { leg })
    }

    fn hangs_up(&mut self, leg: LegId) -> &mut Self {
        self.feed(Input::LegEnded { leg, departure: Departure::HungUp })
    }

    fn last_dialled(&self) -> LegId {
        let dialled = |effect: &Effect| if let Effect::Dial { leg, .. } = effect { Some(*leg) } else { None };
        self.all.iter().rev().find_map(dialled).expect("somebody was dialled")
    }

    fn last_pop(&self) -> PopId {
        let shown = |effect: &Effect| if let Effect::ShowPop { pop, .. } = effect { Some(*pop) } else { None };
        self.all.iter().rev().find_map(shown).expect("a pop was shown")
    }

    /// The last turn, one word an effect.
    fn turn(&self) -> Vec<String> {
        self.last.iter().map(word).collect()
    }

    fn events(&self) -> Vec<&'static str> {
        let name = |effect: &Effect| if let Effect::Emit { kind, .. } = effect { Some(kind.name()) } else { None };
        self.all.iter().filter_map(name).collect()
    }

    fn view(&self) -> CallView {
        self.call.view()
    }

    fn state(&self) -> CallState {
        self.view().state
    }

    /// Asserts the end: how, by whom, once, and that nothing is left to wait for.
    fn assert_ended(&mut self, cause: EndCause, by: EndedBy) {
        self.wait(Duration::from_secs(60));
        let view = self.view();
        assert_eq!((view.state, view.cause, view.ended_by), (CallState::Ended, Some(cause), Some(by)));
        assert!(view.ended_at.is_some());
        assert_eq!(self.events().iter().filter(|name| **name == "call.ended").count(), 1);
        assert_eq!(self.all.iter().filter(|effect| matches!(effect, Effect::Finished { .. })).count(), 1);
        assert_eq!(self.call.next_deadline(), None);
    }
}

/// An effect as the tests compare it: what and to whom.
fn word(effect: &Effect) -> String {
    match effect {
        Effect::Ring { .. } => "ring".into(),
        Effect::StartEarlyMedia { .. } => "early media".into(),
        Effect::Answer { .. } => "answer".into(),
        Effect::Reject { cause, .. } => format!("reject {cause:?}"),
        Effect::Dial { to: DialTo::Agent(agent), .. } => format!("dial {agent}"),
        Effect::Dial { to: DialTo::Outside { trunk, number }, .. } => format!("dial {number} by {trunk}"),
        Effect::CancelDial { elsewhere: true, .. } => "cancel elsewhere".into(),
        Effect::CancelDial { .. } => "cancel".into(),
        Effect::HangUpLeg { cause, .. } => format!("hang up {cause:?}"),
        Effect::Announce { .. } => "announcement".into(),
        Effect::Beep { leg } if *leg == CALLER => "beep caller".into(),
        Effect::Beep { .. } => "beep callee".into(),
        Effect::PlayRingback { .. } => "ringback".into(),
        Effect::PlayMusic { .. } => "music".into(),
        Effect::PlayComfort { .. } => "comfort".into(),
        Effect::StopPlaying { .. } => "silence".into(),
        Effect::Hear(changed) if changed.iter().any(|(_, heard)| !heard.is_empty()) => "bridge".into(),
        Effect::Hear(_) => "unbridge".into(),
        Effect::GateRecording { captures } => format!("recording {}", if *captures { "captures" } else { "leaves out" }),
        Effect::Enqueue { queue, .. } => format!("enqueue {queue}"),
        Effect::Hint { .. } => "hint".into(),
        Effect::LeaveQueue { abandoned } => format!("leave {}", if *abandoned { "abandoned" } else { "served" }),
        Effect::ConfirmGrant { grant } => format!("confirm {}", grant.id),
        Effect::GrantAnswered { grant, .. } => format!("answered {}", grant.id),
        Effect::OfferEnded { grant, outcome } => format!("offer {} {outcome:?}", grant.id),
        Effect::AgentBusy { agent, doing } => format!("{agent} {doing:?}"),
        Effect::AgentFree { agent } => format!("{agent} free"),
        Effect::Identify { .. } => "identify".into(),
        Effect::ShowPop { agent, .. } => format!("pop {agent}"),
        Effect::RetractPop { agent, reason, .. } => format!("retract {agent} {reason:?}"),
        Effect::StartRecording { client_leg, .. } if *client_leg == CALLER => "record caller".into(),
        Effect::StartRecording { .. } => "record callee".into(),
        Effect::MarkRecording { kind, .. } => format!("mark {kind:?}"),
        Effect::FinishRecording { keep } => format!("recording {}", if *keep { "kept" } else { "thrown away" }),
        Effect::Emit { kind, .. } => kind.name().into(),
        Effect::Unexpected { state, input, .. } => format!("unexpected {input} while {state}"),
        Effect::Finished { .. } => "finished".into(),
    }
}

fn wall(now: Time) -> Wall {
    Wall::from_micros(1_700_000_000_000_000).plus(now.since(Time::ZERO))
}

fn grant(id: u64) -> GrantId {
    GrantId { id, epoch: id }
}

fn person(login: &str) -> Person {
    let party = Party { number: Some("101".into()), display: Some(login.to_owned()) };
    Person { agent: AgentId::new(login), party, record: true, beep_seconds: 0 }
}

fn anna() -> Person {
    person("anna")
}

fn boris() -> Person {
    person("boris")
}

fn queue_goal(answer: bool) -> Goal {
    Goal::Queue { queue: "sales".into(), answer, priority: 0 }
}

fn outside_goal() -> Goal {
    Goal::Outside { trunk: TrunkId::new("carrier"), number: "+79160000002".into() }
}

fn from_carrier() -> Caller {
    Caller::Trunk("carrier".into())
}
