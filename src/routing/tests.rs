//! Sentences about the floor.

use std::time::Duration;

use uuid::Uuid;

use super::fixtures::SiteBuilder;
use super::*;
use crate::agents::Wish;
use crate::call::{AgentDoing, Hints, OfferOutcome, RefusalReason};
use crate::site::{Site, Strategy};
use crate::types::{AgentId, AgentState, CallId, GrantId, Time, Wall};

/// A floor with a clock that the test moves.
struct Hall {
    floor: Floor,
    now: Time,
    last: Vec<FloorEffect>,
}

impl Hall {
    fn new(site: &Site) -> Self {
        let now = Time::from_millis(1_000);
        Hall { floor: Floor::new(now, wall(now), site, 1), now, last: Vec::new() }
    }

    /// One queue `sales`; everyone registered and ready, a millisecond apart.
    fn with(logins: &[&str]) -> Self {
        Hall::with_strategy(logins, Strategy::LongestIdle)
    }

    fn with_strategy(logins: &[&str], strategy: Strategy) -> Self {
        let mut site = SiteBuilder::new().agents(logins).queue("sales", logins).build();
        site.queues.get_mut("sales").unwrap().strategy = strategy;
        let mut hall = Hall::new(&site);
        for login in logins {
            hall.comes(login);
            hall.now = hall.now + Duration::from_millis(1);
        }
        hall
    }

    fn comes(&mut self, login: &str) {
        self.feed(FloorInput::Registered { agent: login.into() });
        self.feed(FloorInput::Ask { agent: login.into(), wish: Wish::Ready });
    }

    fn feed(&mut self, input: FloorInput) -> &mut Self {
        self.last = self.floor.handle(self.now, wall(self.now), input);
        self
    }

    fn wait(&mut self, time: Duration) -> &mut Self {
        self.now = self.now + time;
        self.feed(FloorInput::Deadline)
    }

    fn enqueue(&mut self, n: u128) -> &mut Self {
        self.enqueue_in("sales", n, 0)
    }

    fn enqueue_in(&mut self, queue: &str, n: u128, priority: u8) -> &mut Self {
        let hints = Hints::default();
        self.feed(FloorInput::Enqueue { call: call(n), queue: queue.into(), priority, waited_ms: 0, hints })
    }

    /// Who was granted in the last turn, and to which call.
    fn grants(&self) -> Vec<(String, u128)> {
        let granted = |effect: &FloorEffect| match effect {
            FloorEffect::Grant { call, agent, .. } => Some((agent.to_string(), call.0.as_u128())),
            _ => None,
        };
        self.last.iter().filter_map(granted).collect()
    }

    fn grant(&self) -> GrantId {
        let granted = |effect: &FloorEffect| match effect {
            FloorEffect::Grant { grant, .. } => Some(*grant),
            _ => None,
        };
        self.last.iter().find_map(granted).expect("somebody was granted")
    }

    /// Enqueues, expects a grant, and lets the agent answer.
    fn talk(&mut self, n: u128) -> GrantId {
        let grant = self.enqueue(n).grant();
        let (agent, _) = self.grants().remove(0);
        self.feed(FloorInput::Confirm { grant });
        self.feed(FloorInput::Answered { grant, call: call(n), agent: agent.as_str().into() });
        grant
    }

    fn ended(&mut self, grant: GrantId, outcome: OfferOutcome) -> &mut Self {
        self.feed(FloorInput::OfferEnded { grant, outcome })
    }

    fn state(&self, login: &str) -> AgentState {
        self.floor.agent(&AgentId::new(login)).expect("the agent is on the floor").state
    }

    fn has(&self, wanted: &FloorEffect) -> bool {
        self.last.contains(wanted)
    }

    fn is_unexpected(&self) -> bool {
        self.last.iter().any(|effect| matches!(effect, FloorEffect::Unexpected { .. }))
    }
}

fn wall(now: Time) -> Wall {
    Wall::from_micros(1_700_000_000_000_000).plus(now.since(Time::ZERO))
}

fn call(n: u128) -> CallId {
    CallId(Uuid::from_u128(n))
}

fn is(agent: &str, n: u128) -> Vec<(String, u128)> {
    vec![(agent.to_owned(), n)]
}

#[test]
fn the_longest_idle_agent_is_granted_at_once_and_reserved() {
    let mut hall = Hall::with(&["anna", "boris"]);
    hall.enqueue(1);
    assert_eq!(hall.grants(), is("anna", 1));
    assert_eq!(hall.state("anna"), AgentState::Reserved);
    assert_eq!(hall.state("boris"), AgentState::Ready);
    hall.enqueue(2);
    assert_eq!(hall.grants(), is("boris", 2));
    hall.enqueue(3);
    assert!(hall.grants().is_empty());
}

#[test]
fn an_agent_who_becomes_free_gets_the_longest_waiting_call_at_once() {
    let mut hall = Hall::with(&["anna"]);
    hall.talk(1);
    hall.enqueue(2).enqueue(3);
    hall.feed(FloorInput::Free { agent: "anna".into(), call: call(1) });
    assert_eq!(hall.grants(), is("anna", 2));
}

#[test]
fn a_higher_priority_goes_before_a_longer_wait_and_a_wait_elsewhere_counts() {
    let mut hall = Hall::with(&["anna"]);
    hall.talk(1);
    hall.enqueue(2).enqueue_in("sales", 3, 5);
    let hints = Hints::default();
    let waited = FloorInput::Enqueue { call: call(4), queue: "sales".into(), priority: 0, waited_ms: 60_000, hints };
    hall.feed(waited);
    let mut order = Vec::new();
    for _ in 0..3 {
        let over = hall.floor.agent(&"anna".into()).and_then(|agent| agent.call_id).unwrap();
        hall.feed(FloorInput::Free { agent: "anna".into(), call: over });
        let (_, next) = hall.grants().remove(0);
        order.push(next);
        let grant = hall.grant();
        hall.feed(FloorInput::Answered { grant, call: call(next), agent: "anna".into() });
    }
    assert_eq!(order, [3, 4, 2]);
}

#[test]
fn a_grant_says_who_was_considered_and_why_not() {
    let mut hall = Hall::with(&["anna", "boris", "vera", "gleb", "dina", "egor", "zoya"]);
    hall.feed(FloorInput::Ask { agent: "anna".into(), wish: Wish::Offline });
    hall.feed(FloorInput::Ask { agent: "boris".into(), wish: Wish::Break { reason: None } });
    hall.feed(FloorInput::Unregistered { agent: "vera".into() });
    hall.feed(FloorInput::Busy { agent: "gleb".into(), call: call(90), doing: AgentDoing::Talking });
    let grant = hall.enqueue(1).grant();
    hall.feed(FloorInput::Confirm { grant }).ended(grant, OfferOutcome::NoAnswer);
    let considered = hall.last.iter().find_map(|effect| match effect {
        FloorEffect::Grant { agent, considered, .. } if agent.as_str() == "egor" => Some(considered.clone()),
        _ => None,
    });
    let expected = [
        ("anna", Skipped::Offline),
        ("boris", Skipped::OnBreak),
        ("vera", Skipped::NotRegistered),
        ("gleb", Skipped::Engaged),
        ("dina", Skipped::NotAnswering),
        ("zoya", Skipped::BehindAnother),
    ];
    assert_eq!(considered.unwrap(), expected.map(|(agent, why)| (AgentId::new(agent), why)));
}

#[test]
fn who_is_not_registered_or_not_ready_gets_nothing() {
    let site = SiteBuilder::new().agents(&["anna"]).queue("sales", &["anna"]).build();
    let mut hall = Hall::new(&site);
    hall.enqueue(1);
    hall.feed(FloorInput::Registered { agent: "anna".into() });
    assert!(hall.grants().is_empty(), "a registered phone does not make its agent ready");
    hall.feed(FloorInput::Ask { agent: "anna".into(), wish: Wish::Ready });
    assert_eq!(hall.grants(), is("anna", 1));
}

#[test]
fn a_lease_that_is_not_confirmed_in_two_seconds_is_taken_back_and_given_again() {
    let mut hall = Hall::with(&["anna"]);
    let grant = hall.enqueue(1).grant();
    assert_eq!(hall.floor.next_deadline(), Some(hall.now + Duration::from_secs(2)));
    hall.wait(Duration::from_secs(2));
    assert!(hall.has(&FloorEffect::Revoke { call: call(1), grant }));
    assert_eq!(hall.grants(), is("anna", 1));
    assert_ne!(hall.grant(), grant);
    hall.feed(FloorInput::Confirm { grant });
    assert!(hall.is_unexpected(), "the old lease means nothing any more");
    assert_eq!(hall.state("anna"), AgentState::Reserved);
}

#[test]
fn a_call_that_lets_three_leases_run_out_is_taken_for_dead() {
    let mut hall = Hall::with(&["anna"]);
    hall.enqueue(1);
    hall.wait(Duration::from_secs(2)).wait(Duration::from_secs(2)).wait(Duration::from_secs(2));
    assert!(hall.has(&FloorEffect::Refuse { call: call(1), queue: "sales".into(), why: RefusalReason::Unresponsive }));
    assert_eq!(hall.state("anna"), AgentState::Ready);
    assert_eq!(hall.floor.next_deadline(), None);
}

#[test]
fn an_agent_who_does_not_answer_rests_and_the_next_one_is_granted() {
    let mut hall = Hall::with(&["anna", "boris"]);
    let grant = hall.enqueue(1).grant();
    hall.feed(FloorInput::Confirm { grant });
    assert_eq!(hall.state("anna"), AgentState::Ringing);
    hall.ended(grant, OfferOutcome::NoAnswer);
    assert_eq!(hall.grants(), is("boris", 1));
    assert_eq!(hall.state("anna"), AgentState::NotAnswering);

    let grant = hall.grant();
    hall.feed(FloorInput::Confirm { grant }).ended(grant, OfferOutcome::NoAnswer);
    assert!(hall.grants().is_empty());
    hall.wait(Duration::from_secs(30));
    assert_eq!(hall.grants(), is("anna", 1));
}

#[test]
fn who_declines_a_call_stays_ready_but_is_not_asked_for_that_call_for_a_while() {
    let mut hall = Hall::with(&["anna"]);
    let grant = hall.enqueue(1).grant();
    hall.feed(FloorInput::Confirm { grant }).ended(grant, OfferOutcome::Declined);
    assert!(hall.grants().is_empty());
    assert_eq!(hall.state("anna"), AgentState::Ready);
    hall.enqueue(2);
    assert_eq!(hall.grants(), is("anna", 2), "the next call goes past the declined one");
    let second = hall.grant();
    hall.feed(FloorInput::Leave { call: call(2), abandoned: true });
    hall.ended(second, OfferOutcome::Abandoned);
    assert!(hall.grants().is_empty());
    hall.wait(Duration::from_secs(30));
    assert_eq!(hall.grants(), is("anna", 1));
}

#[test]
fn a_caller_who_gives_up_is_counted_and_the_agent_keeps_the_place() {
    let mut hall = Hall::with(&["anna", "boris"]);
    let grant = hall.enqueue(1).grant();
    hall.feed(FloorInput::Confirm { grant });
    hall.feed(FloorInput::Leave { call: call(1), abandoned: true });
    hall.ended(grant, OfferOutcome::Abandoned);
    assert_eq!(hall.state("anna"), AgentState::Ready);
    hall.enqueue(2);
    assert_eq!(hall.grants(), is("anna", 2));
    let queue = hall.floor.queues(hall.now).remove(0);
    assert_eq!((queue.entered, queue.answered, queue.abandoned, queue.waiting), (2, 0, 1, 1));
}

#[test]
fn an_answer_takes_the_call_out_of_the_queue_and_wrap_up_follows_the_conversation() {
    let mut site = SiteBuilder::new().agents(&["anna"]).queue("sales", &["anna"]).build();
    site.queues.get_mut("sales").unwrap().wrap_up_seconds = 10;
    let mut hall = Hall::new(&site);
    hall.comes("anna");
    hall.talk(1);
    assert_eq!(hall.state("anna"), AgentState::Talking);
    let queue = hall.floor.queues(hall.now).remove(0);
    assert_eq!((queue.waiting, queue.talking, queue.answered), (0, 1, 1));
    hall.enqueue(2);
    hall.feed(FloorInput::Free { agent: "anna".into(), call: call(1) });
    assert_eq!(hall.state("anna"), AgentState::WrapUp);
    assert!(hall.grants().is_empty());
    hall.wait(Duration::from_secs(10));
    assert_eq!(hall.grants(), is("anna", 2));
}

#[test]
fn an_answer_after_the_lease_was_taken_back_still_makes_the_agent_talk() {
    let mut hall = Hall::with(&["anna", "boris"]);
    let grant = hall.enqueue(1).grant();
    hall.feed(FloorInput::Confirm { grant });
    hall.feed(FloorInput::Unregistered { agent: "anna".into() });
    assert!(hall.has(&FloorEffect::Revoke { call: call(1), grant }));
    let second = hall.grant();
    assert_eq!(hall.grants(), is("boris", 1));
    hall.feed(FloorInput::Answered { grant, call: call(1), agent: "anna".into() });
    assert_eq!(hall.state("anna"), AgentState::Talking);
    hall.ended(second, OfferOutcome::Refused);
    assert_eq!(hall.state("boris"), AgentState::Ready);
    assert_eq!(hall.floor.queues(hall.now)[0].waiting, 0);
}

#[test]
fn a_phone_that_leaves_while_it_rings_gives_the_call_to_another() {
    let mut hall = Hall::with(&["anna", "boris"]);
    let grant = hall.enqueue(1).grant();
    hall.feed(FloorInput::Unregistered { agent: "anna".into() });
    assert!(hall.has(&FloorEffect::Revoke { call: call(1), grant }));
    assert_eq!(hall.grants(), is("boris", 1));
}

#[test]
fn a_direct_call_engages_the_agent_and_their_queue_passes_them_by() {
    let mut hall = Hall::with(&["anna", "boris"]);
    hall.feed(FloorInput::Busy { agent: "anna".into(), call: call(9), doing: AgentDoing::Ringing });
    assert_eq!(hall.state("anna"), AgentState::Ringing);
    hall.enqueue(1);
    assert_eq!(hall.grants(), is("boris", 1));
    hall.enqueue(2);
    hall.feed(FloorInput::Free { agent: "anna".into(), call: call(9) });
    assert_eq!(hall.grants(), is("anna", 2));
}

#[test]
fn a_call_whose_task_died_frees_everyone_it_held() {
    let mut hall = Hall::with(&["anna", "boris", "vera"]);
    hall.talk(1);
    let ringing = hall.enqueue(2).grant();
    hall.feed(FloorInput::Confirm { grant: ringing });
    for n in [1, 2] {
        hall.feed(FloorInput::CallGone { call: call(n) });
    }
    for login in ["anna", "boris", "vera"] {
        assert_eq!(hall.state(login), AgentState::Ready, "{login}");
    }
    assert_eq!(hall.floor.queues(hall.now)[0].waiting, 0);
    assert!(!hall.feed(FloorInput::CallGone { call: call(2) }).is_unexpected());
}

#[test]
fn a_member_of_two_queues_serves_the_one_whose_caller_waits_longer() {
    let site = SiteBuilder::new().agents(&["anna"]).queue("sales", &["anna"]).queue("care", &["anna"]).build();
    let mut hall = Hall::new(&site);
    hall.comes("anna");
    hall.talk(1);
    hall.enqueue_in("sales", 2, 0);
    hall.now = hall.now + Duration::from_secs(1);
    hall.enqueue_in("care", 3, 0);
    hall.feed(FloorInput::Free { agent: "anna".into(), call: call(1) });
    assert_eq!(hall.grants(), is("anna", 2));
}

#[test]
fn ring_all_rings_everyone_who_is_free_and_whoever_becomes_free() {
    let mut hall = Hall::with_strategy(&["anna", "boris", "vera"], Strategy::RingAll);
    hall.feed(FloorInput::Busy { agent: "vera".into(), call: call(9), doing: AgentDoing::Talking });
    hall.enqueue(1);
    assert_eq!(hall.grants(), [("anna".to_owned(), 1), ("boris".to_owned(), 1)]);
    let first = hall.grant();
    hall.feed(FloorInput::Free { agent: "vera".into(), call: call(9) });
    assert_eq!(hall.grants(), is("vera", 1));
    hall.feed(FloorInput::Answered { grant: first, call: call(1), agent: "anna".into() });
    assert_eq!(hall.state("anna"), AgentState::Talking);
    assert!(hall.grants().is_empty(), "the losers are ended by the call");
}

#[test]
fn ring_progressively_adds_one_phone_after_another() {
    let mut hall = Hall::with_strategy(&["anna", "boris", "vera"], Strategy::RingProgressively);
    let grant = hall.enqueue(1).grant();
    hall.feed(FloorInput::Confirm { grant });
    assert!(hall.grants().is_empty());
    hall.wait(Duration::from_secs(5));
    assert_eq!(hall.grants(), is("boris", 1));
    let grant = hall.grant();
    hall.feed(FloorInput::Confirm { grant });
    hall.wait(Duration::from_millis(4_999));
    assert!(hall.grants().is_empty());
    hall.wait(Duration::from_millis(1));
    assert_eq!(hall.grants(), is("vera", 1));
    let grant = hall.grant();
    hall.feed(FloorInput::Confirm { grant });
    hall.wait(Duration::from_secs(5));
    assert!(hall.grants().is_empty());
    assert!(hall.floor.next_deadline().is_some_and(|at| at > hall.now), "nothing is waited for in the past");
}

#[test]
fn a_queue_refuses_what_it_cannot_take() {
    let site = SiteBuilder::new().agents(&["anna"]).queue("sales", &["anna"]).queue("empty", &[]).build();
    let mut hall = Hall::new(&site);
    let refused = |n, queue: &str, why| FloorEffect::Refuse { call: call(n), queue: queue.into(), why };
    hall.enqueue_in("night", 1, 0);
    assert!(hall.has(&refused(1, "night", RefusalReason::NoSuchQueue)));
    hall.enqueue_in("empty", 2, 0);
    assert!(hall.has(&refused(2, "empty", RefusalReason::NoMembers)));
    for n in 0..1_000 {
        hall.enqueue(1_000 + n);
    }
    hall.enqueue(9_999);
    assert!(hall.has(&refused(9_999, "sales", RefusalReason::Full)));
    hall.enqueue(1_000);
    assert!(hall.is_unexpected(), "a call waits once");
}

#[test]
fn a_new_site_brings_people_and_takes_them_when_their_call_is_over() {
    let mut hall = Hall::with(&["anna"]);
    hall.talk(1);
    hall.enqueue(2);
    let site = SiteBuilder::new().agents(&["boris"]).queue("sales", &["boris"]).build();
    hall.last = hall.floor.reconfigure(hall.now, wall(hall.now), &site);
    assert_eq!(hall.state("anna"), AgentState::Talking);
    hall.comes("boris");
    assert_eq!(hall.grants(), is("boris", 2));
    hall.feed(FloorInput::Free { agent: "anna".into(), call: call(1) });
    assert!(hall.floor.agent(&"anna".into()).is_none());
    hall.feed(FloorInput::Ask { agent: "anna".into(), wish: Wish::Ready });
    assert!(hall.is_unexpected());
}

#[test]
fn a_queue_that_is_removed_or_loses_its_members_lets_its_callers_go() {
    for site in [SiteBuilder::new().agents(&["anna"]).build(), SiteBuilder::new().agents(&["anna"]).queue("sales", &[]).build()] {
        let mut hall = Hall::with(&["anna"]);
        hall.talk(1);
        hall.enqueue(2);
        hall.last = hall.floor.reconfigure(hall.now, wall(hall.now), &site);
        assert!(hall.last.iter().any(|effect| matches!(effect, FloorEffect::Refuse { call: it, .. } if *it == call(2))));
        assert_eq!(hall.state("anna"), AgentState::Talking);
    }
}

#[test]
fn every_change_of_state_is_told_once_with_its_view() {
    let mut hall = Hall::with(&["anna"]);
    hall.feed(FloorInput::Ask { agent: "anna".into(), wish: Wish::Break { reason: Some("lunch".into()) } });
    let [FloorEffect::AgentChanged { view }] = &hall.last[..] else { panic!("{:?}", hall.last) };
    assert_eq!((view.state, view.reason.as_deref()), (AgentState::Break, Some("lunch")));
    assert_eq!((view.since, view.registered), (wall(hall.now), true));
    assert!(hall.feed(FloorInput::Registered { agent: "anna".into() }).last.is_empty());
}

#[test]
fn floor_messages_survive_a_journey_as_json() {
    let mut hall = Hall::with(&["anna"]);
    hall.enqueue(1);
    let text = serde_json::to_string(&hall.last).unwrap();
    assert_eq!(serde_json::from_str::<Vec<FloorEffect>>(&text).unwrap(), hall.last);
    let input = FloorInput::Answered { grant: hall.grant(), call: call(1), agent: "anna".into() };
    let text = serde_json::to_string(&input).unwrap();
    assert_eq!(serde_json::from_str::<FloorInput>(&text).unwrap(), input);
}
