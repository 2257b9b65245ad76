//! Sentences about one agent.

use std::time::Duration;

use uuid::Uuid;

use super::*;
use crate::call::{AgentDoing, OfferOutcome};
use crate::types::{AgentState, CallId, GrantId, Time, Wall};

/// An agent with a clock that the test moves.
struct Desk {
    agent: Agent,
    now: Time,
    last: Vec<AgentEffect>,
}

impl Desk {
    fn new() -> Self {
        let now = Time::from_millis(1_000);
        Desk { agent: Agent::new(now, Desk::wall(now)), now, last: Vec::new() }
    }

    fn ready() -> Self {
        let mut desk = Desk::new();
        desk.feed(AgentInput::Registered);
        desk.feed(AgentInput::Ask(Wish::Ready));
        desk
    }

    fn wall(now: Time) -> Wall {
        Wall::from_micros(i64::try_from(now.as_nanos() / 1_000).unwrap())
    }

    fn feed(&mut self, input: AgentInput) -> AgentState {
        self.last = self.agent.handle(self.now, Desk::wall(self.now), input);
        self.state()
    }

    fn wait(&mut self, millis: u64) -> AgentState {
        self.now = self.now + Duration::from_millis(millis);
        self.feed(AgentInput::Deadline)
    }

    fn state(&self) -> AgentState {
        self.agent.shown().state
    }

    fn reserve(&mut self, n: u64) -> AgentState {
        let until = self.now + Duration::from_secs(2);
        self.feed(AgentInput::Reserve { grant: grant(n), call: call(n), wrap_up: Duration::from_secs(10), until })
    }

    fn ring(&mut self, n: u64) -> AgentState {
        self.feed(AgentInput::Ring { grant: grant(n), until: self.now + Duration::from_secs(25) })
    }

    /// A queue call up to the conversation.
    fn talk(&mut self, n: u64) -> AgentState {
        self.reserve(n);
        self.ring(n);
        self.feed(AgentInput::Answer { grant: grant(n) })
    }

    fn over(&mut self, n: u64, outcome: OfferOutcome) -> AgentState {
        self.feed(AgentInput::OfferOver { grant: grant(n), outcome })
    }

    fn on_break(&mut self) -> AgentState {
        self.feed(AgentInput::Ask(Wish::Break { reason: Some("lunch".into()) }))
    }
}

fn grant(n: u64) -> GrantId {
    GrantId { id: n, epoch: n }
}

fn call(n: u64) -> CallId {
    CallId(Uuid::from_u128(u128::from(n)))
}

#[test]
fn a_registered_phone_does_not_make_its_agent_ready() {
    let mut desk = Desk::new();
    assert_eq!(desk.feed(AgentInput::Registered), AgentState::Offline);
    assert!(!desk.agent.is_free());
    assert_eq!(desk.feed(AgentInput::Ask(Wish::Ready)), AgentState::Ready);
    assert!(desk.agent.is_free());
}

#[test]
fn ready_without_a_phone_is_not_free() {
    let mut desk = Desk::new();
    assert_eq!(desk.feed(AgentInput::Ask(Wish::Ready)), AgentState::Ready);
    assert!(!desk.agent.is_free());
}

#[test]
fn a_queue_call_goes_through_every_state_and_wrap_up_ends_by_itself() {
    let mut desk = Desk::ready();
    assert_eq!(desk.reserve(1), AgentState::Reserved);
    assert_eq!(desk.ring(1), AgentState::Ringing);
    assert_eq!(desk.feed(AgentInput::Answer { grant: grant(1) }), AgentState::Talking);
    assert_eq!(desk.agent.next_deadline(), None);
    desk.now = desk.now + Duration::from_secs(60);
    assert_eq!(desk.feed(AgentInput::Release { call: call(1) }), AgentState::WrapUp);
    assert_eq!(desk.agent.shown().until, Some(Desk::wall(desk.now).plus(Duration::from_secs(10))));
    assert_eq!(desk.wait(9_999), AgentState::WrapUp);
    assert_eq!(desk.wait(1), AgentState::Ready);
    assert_eq!(desk.agent.tally(), Tally { answered: 1, missed: 0, talked: Duration::from_secs(60) });
}

#[test]
fn ready_during_wrap_up_ends_it() {
    let mut desk = Desk::ready();
    desk.talk(1);
    desk.feed(AgentInput::Release { call: call(1) });
    assert_eq!(desk.feed(AgentInput::Ask(Wish::Ready)), AgentState::Ready);
    assert_eq!(desk.agent.next_deadline(), None);
}

#[test]
fn a_lease_that_nobody_confirms_is_taken_back_after_its_time() {
    let mut desk = Desk::ready();
    desk.reserve(1);
    let idle_since = desk.agent.idle_since();
    assert_eq!(desk.agent.next_deadline(), Some(desk.now + Duration::from_secs(2)));
    assert_eq!(desk.wait(2_000), AgentState::Ready);
    assert!(desk.last.contains(&AgentEffect::TakenBack { grant: grant(1), call: call(1), why: TakenBack::Overdue }));
    assert_eq!(desk.agent.idle_since(), idle_since, "it was not the agent's fault");
}

#[test]
fn a_phone_that_rings_past_every_limit_frees_its_agent() {
    let mut desk = Desk::ready();
    desk.reserve(1);
    desk.ring(1);
    assert_eq!(desk.wait(25_000), AgentState::Ready);
    desk.feed(AgentInput::Engage { call: call(2), doing: AgentDoing::Ringing });
    assert_eq!(desk.wait(300_000), AgentState::Ready);
}

#[test]
fn who_does_not_answer_rests_for_thirty_seconds_or_until_they_say_ready() {
    let mut desk = Desk::ready();
    desk.reserve(1);
    desk.ring(1);
    assert_eq!(desk.over(1, OfferOutcome::NoAnswer), AgentState::NotAnswering);
    assert_eq!(desk.agent.shown().reason.as_deref(), Some("no_answer"));
    assert_eq!(desk.agent.tally().missed, 1);
    assert_eq!(desk.wait(29_999), AgentState::NotAnswering);
    assert_eq!(desk.wait(1), AgentState::Ready);

    desk.reserve(2);
    desk.ring(2);
    desk.over(2, OfferOutcome::NoAnswer);
    assert_eq!(desk.feed(AgentInput::Ask(Wish::Ready)), AgentState::Ready);
}

#[test]
fn a_caller_who_gives_up_does_not_cost_the_agent_their_place() {
    for outcome in [OfferOutcome::Abandoned, OfferOutcome::AnsweredElsewhere, OfferOutcome::Refused, OfferOutcome::Declined] {
        let mut desk = Desk::ready();
        let idle_since = desk.agent.idle_since();
        desk.now = desk.now + Duration::from_secs(5);
        desk.reserve(1);
        desk.ring(1);
        assert_eq!(desk.over(1, outcome), AgentState::Ready, "{outcome:?}");
        assert_eq!(desk.agent.idle_since(), idle_since);
    }
}

#[test]
fn a_break_asked_for_during_a_call_begins_when_it_is_over() {
    let mut desk = Desk::ready();
    desk.talk(1);
    assert_eq!(desk.on_break(), AgentState::Talking);
    assert_eq!(desk.feed(AgentInput::Release { call: call(1) }), AgentState::Break);
    assert_eq!(desk.agent.shown().reason.as_deref(), Some("lunch"));
}

#[test]
fn a_break_asked_for_while_it_rings_goes_before_the_rest_period() {
    let mut desk = Desk::ready();
    desk.reserve(1);
    desk.ring(1);
    assert_eq!(desk.on_break(), AgentState::Ringing);
    assert_eq!(desk.over(1, OfferOutcome::NoAnswer), AgentState::Break);
}

#[test]
fn a_break_asked_for_before_the_invite_left_takes_the_lease_back() {
    let mut desk = Desk::ready();
    desk.reserve(1);
    assert_eq!(desk.on_break(), AgentState::Break);
    assert!(matches!(desk.last[..], [AgentEffect::TakenBack { .. }, AgentEffect::Changed]));
    assert_eq!(desk.ring(1), AgentState::Break);
    assert_eq!(desk.last, [AgentEffect::Unexpected { input: "ring" }]);
}

#[test]
fn a_direct_call_makes_talking_and_then_the_former_state_without_wrap_up() {
    let mut desk = Desk::ready();
    desk.on_break();
    assert_eq!(desk.feed(AgentInput::Engage { call: call(1), doing: AgentDoing::Ringing }), AgentState::Ringing);
    assert_eq!(desk.feed(AgentInput::Engage { call: call(1), doing: AgentDoing::Talking }), AgentState::Talking);
    assert_eq!(desk.feed(AgentInput::Release { call: call(1) }), AgentState::Break);

    desk.feed(AgentInput::Ask(Wish::Ready));
    desk.feed(AgentInput::Engage { call: call(2), doing: AgentDoing::Talking });
    assert!(!desk.agent.is_free());
    assert_eq!(desk.feed(AgentInput::Release { call: call(2) }), AgentState::Ready);
}

#[test]
fn several_calls_at_once_keep_the_agent_until_the_last_is_over() {
    let mut desk = Desk::ready();
    desk.talk(1);
    desk.feed(AgentInput::Engage { call: call(1), doing: AgentDoing::Holding });
    assert_eq!(desk.state(), AgentState::Holding);
    assert_eq!(desk.feed(AgentInput::Engage { call: call(2), doing: AgentDoing::Talking }), AgentState::Talking);
    assert_eq!(desk.agent.shown().call, Some(call(2)));
    assert_eq!(desk.feed(AgentInput::Release { call: call(2) }), AgentState::Holding);
    assert_eq!(desk.feed(AgentInput::Release { call: call(1) }), AgentState::WrapUp);
    assert_eq!(desk.feed(AgentInput::Release { call: call(1) }), AgentState::WrapUp);
    assert!(desk.last.is_empty());
}

#[test]
fn a_phone_that_is_gone_while_it_rings_gives_the_call_back_at_once() {
    let mut desk = Desk::ready();
    desk.reserve(1);
    desk.ring(1);
    assert_eq!(desk.feed(AgentInput::Unregistered), AgentState::Ready);
    assert!(desk.last.contains(&AgentEffect::TakenBack { grant: grant(1), call: call(1), why: TakenBack::Unregistered }));
    assert!(!desk.agent.is_free());
    desk.feed(AgentInput::Registered);
    assert!(desk.agent.is_free());
}

#[test]
fn a_phone_that_is_gone_does_not_end_a_conversation() {
    let mut desk = Desk::ready();
    desk.talk(1);
    assert_eq!(desk.feed(AgentInput::Unregistered), AgentState::Talking);
}

#[test]
fn an_agent_in_any_call_is_never_reserved() {
    let mut desk = Desk::ready();
    desk.feed(AgentInput::Engage { call: call(1), doing: AgentDoing::Talking });
    assert_eq!(desk.reserve(2), AgentState::Talking);
    assert_eq!(desk.last, [AgentEffect::Unexpected { input: "reserve" }]);
}

#[test]
fn a_late_word_about_an_old_offer_is_named_and_harmless() {
    let mut desk = Desk::ready();
    desk.talk(1);
    assert_eq!(desk.over(1, OfferOutcome::NoAnswer), AgentState::Talking);
    assert_eq!(desk.last, [AgentEffect::Unexpected { input: "offer_over" }]);
    assert_eq!(desk.over(9, OfferOutcome::NoAnswer), AgentState::Talking);
    desk.feed(AgentInput::Answer { grant: grant(9) });
    assert_eq!(desk.last, [AgentEffect::Unexpected { input: "answer" }]);
}

#[test]
fn a_wrap_up_that_ends_during_an_outbound_call_leaves_the_agent_ready_after_it() {
    let mut desk = Desk::ready();
    desk.talk(1);
    desk.feed(AgentInput::Release { call: call(1) });
    assert_eq!(desk.feed(AgentInput::Engage { call: call(2), doing: AgentDoing::Talking }), AgentState::Talking);
    assert_eq!(desk.wait(10_000), AgentState::Talking);
    assert_eq!(desk.feed(AgentInput::Release { call: call(2) }), AgentState::Ready);
}

/// An agent of a server that was away for a moment.
fn after_restart(state: AgentState, rest: AgentState, reason: Option<&str>) -> Desk {
    let mut desk = Desk::new();
    desk.feed(AgentInput::ComeBack(Some(LastSeen { state, rest, reason: reason.map(str::to_owned) })));
    desk
}

#[test]
fn whoever_was_signed_in_is_told_what_they_are_after_a_restart() {
    use AgentState as Is;
    for (state, rest, reason, expected) in [
        (Is::Ready, Is::Ready, None, (Is::Ready, None)),
        (Is::Reserved, Is::Ready, None, (Is::Ready, None)),
        (Is::Ringing, Is::Ready, None, (Is::Ready, None)),
        (Is::NotAnswering, Is::Ready, None, (Is::Ready, None)),
        (Is::Break, Is::Break, Some("lunch"), (Is::Break, Some("lunch"))),
        (Is::Talking, Is::Break, Some("lunch"), (Is::Break, Some("lunch"))),
        (Is::Talking, Is::Ready, None, (Is::WrapUp, Some("server_restart"))),
        (Is::Holding, Is::Ready, None, (Is::WrapUp, Some("server_restart"))),
        (Is::WrapUp, Is::Ready, None, (Is::WrapUp, Some("server_restart"))),
        (Is::Talking, Is::Offline, None, (Is::Offline, Some("server_restart"))),
    ] {
        let desk = after_restart(state, rest, reason);
        let shown = desk.agent.shown();
        assert_eq!((shown.state, shown.reason.as_deref()), expected, "{state:?} over {rest:?}");
        assert_eq!(desk.last, [AgentEffect::Changed], "{state:?} over {rest:?}");
        assert!(!desk.agent.is_free(), "without a phone nobody gets a call");
    }
    assert_eq!(after_restart(AgentState::Offline, AgentState::Offline, None).last, [], "nothing has changed for them");
}

#[test]
fn a_call_that_the_restart_cut_is_wrapped_up_and_then_the_agent_is_ready() {
    let mut desk = after_restart(AgentState::Talking, AgentState::Ready, None);
    desk.feed(AgentInput::Registered);
    assert_eq!(desk.wait(29_999), AgentState::WrapUp);
    assert_eq!(desk.wait(1), AgentState::Ready);
    assert!(desk.agent.is_free());
    let mut desk = after_restart(AgentState::Talking, AgentState::Ready, None);
    assert_eq!(desk.feed(AgentInput::Ask(Wish::Ready)), AgentState::Ready, "whoever is done sooner says so");
}

#[test]
fn nobody_is_ready_when_the_server_was_away_for_too_long() {
    let mut desk = Desk::new();
    assert_eq!(desk.feed(AgentInput::ComeBack(None)), AgentState::Offline);
    assert_eq!(desk.agent.shown().reason.as_deref(), Some("server_restart"));
    assert_eq!(desk.last, [AgentEffect::Changed]);
    desk.feed(AgentInput::Ask(Wish::Offline));
    assert_eq!(desk.agent.shown().reason, None, "their own word needs no reason");
}
