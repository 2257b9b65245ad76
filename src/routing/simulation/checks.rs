//! What must hold, in two books of our own: one kept from the messages (`Shadow`), one read from the machines after
//! every step and in the evening.

use std::collections::{BTreeMap, BTreeSet};

use super::people::LegFate;
use super::world::World;
use crate::call::{DialTo, Effect};
use crate::events::EventKind;
use crate::routing::FloorInput;
use crate::site::{Site, Strategy};
use crate::types::{AgentId, AgentState, CallId, CallState, EndCause, GrantId, LegRole, LegState, QueueId};

/// What the messages say.
#[derive(Debug, Default)]
pub(super) struct Shadow {
    /// Leases that are neither answered, ended nor taken back.
    pub open: BTreeMap<GrantId, (CallId, AgentId)>,
    seen_grants: BTreeSet<GrantId>,
    started: BTreeSet<CallId>,
    ended: BTreeMap<CallId, EndCause>,
    finished: BTreeSet<CallId>,
    killed: BTreeSet<CallId>,
    /// Whose screen shows the call.
    pops: BTreeSet<(CallId, AgentId)>,
    queued: BTreeSet<CallId>,
}

impl Shadow {
    /// No agent holds two leases, and only a queue that rings all gives a call two.
    pub fn granted(&mut self, grant: GrantId, call: CallId, agent: &AgentId, queue: &QueueId, site: &Site) {
        assert!(self.seen_grants.insert(grant), "a lease was given twice");
        let of_agent = self.open.values().filter(|(_, whose)| whose == agent).count();
        assert_eq!(of_agent, 0, "{agent} holds a lease and got another");
        let of_call = self.open.values().filter(|(whose, _)| *whose == call).count();
        assert!(of_call == 0 || site.queues[queue].strategy == Strategy::RingAll, "call {call} holds two leases");
        self.open.insert(grant, (call, agent.clone()));
    }

    pub fn settled(&mut self, grant: GrantId) {
        assert!(self.open.remove(&grant).is_some(), "{grant:?} was taken back twice");
    }

    pub fn before_floor(&mut self, input: &FloorInput) {
        match input {
            FloorInput::OfferEnded { grant, .. } | FloorInput::Answered { grant, .. } => {
                self.open.remove(grant);
            }
            FloorInput::CallGone { call } => self.open.retain(|_, (whose, _)| whose != call),
            _ => {}
        }
    }

    pub fn killed(&mut self, call: CallId) {
        self.killed.insert(call);
    }

    pub fn call_wants(&mut self, call: CallId, effect: &Effect) {
        assert!(!self.finished.contains(&call), "call {call} wants something after it finished: {effect:?}");
        match effect {
            Effect::Emit { kind: EventKind::CallStarted(_), .. } => assert!(self.started.insert(call), "started twice"),
            Effect::Emit { kind: EventKind::CallQueued(_), .. } => {
                self.queued.insert(call);
            }
            Effect::Emit { kind: EventKind::CallEnded(view), .. } => {
                let cause = view.cause.expect("an ended call has a cause");
                assert_eq!(self.ended.insert(call, cause), None, "call {call} ended twice");
            }
            Effect::Finished { .. } => assert!(self.finished.insert(call), "finished twice"),
            Effect::ShowPop { agent, .. } => {
                self.pops.insert((call, agent.clone()));
            }
            Effect::RetractPop { agent, .. } => {
                assert!(self.pops.remove(&(call, agent.clone())), "a pop was retracted that nobody sees");
            }
            // Whoever clicked to call knows whom; everyone else sees the card before the phone rings.
            Effect::Dial { to: DialTo::Agent(agent), auto_answer: false, .. } => {
                assert!(self.pops.contains(&(call, agent.clone())), "{agent} was dialled without a pop");
            }
            _ => {}
        }
    }
}

impl World {
    /// Looks at whatever the step touched.
    pub fn check_step(&self) {
        if self.touched.floor {
            self.check_floor();
        }
        for call in self.touched.calls.iter().filter_map(|call| self.calls.get(call)) {
            let view = call.view();
            let agents = view.legs.iter().skip(1).filter(|leg| leg.role == LegRole::Agent && leg.state == LegState::Answered);
            assert!(agents.count() <= 1, "two agents talk in call {}", view.id);
            if view.state == CallState::Talking {
                let open = view.legs.iter().filter(|leg| leg.state == LegState::Answered).count();
                assert_eq!(open, 2, "a conversation has two sides");
            }
            assert!(call.next_deadline().is_some(), "call {} waits for nothing", view.id);
        }
    }

    /// A call that ended by itself has let everyone go before its task does; only a grant that crossed its end may be open.
    pub fn check_call_gone(&self, call: CallId) {
        if self.shadow.killed.contains(&call) {
            return;
        }
        for agent in self.floor.agents().iter().filter(|agent| agent.call_id == Some(call)) {
            assert_eq!(agent.state, AgentState::Reserved, "{} was left in call {call}", agent.login);
        }
    }

    fn check_floor(&self) {
        // Nobody waits while somebody who may take them is free.
        for queue in self.site.queues.keys() {
            assert_eq!(self.floor.next_in(queue), None, "a call waits in {queue} beside a free agent");
        }
        let mut holders = BTreeMap::<&AgentId, usize>::new();
        self.shadow.open.values().for_each(|(_, agent)| *holders.entry(agent).or_default() += 1);
        let deadline = self.floor.next_deadline();
        assert!(deadline.is_none_or(|deadline| deadline >= self.now), "a deadline lies in the past");
        for agent in self.floor.agents() {
            let is_offered = matches!(agent.state, AgentState::Reserved | AgentState::Ringing);
            assert!(!is_offered || deadline.is_some(), "{} is offered a call for ever", agent.login);
            if agent.state == AgentState::Reserved {
                assert_eq!(holders.get(&agent.login), Some(&1), "{} is reserved without a lease", agent.login);
            }
        }
    }

    /// After the last caller: everyone is free, nobody waits, and the books agree.
    pub fn check_evening(&self) {
        assert!(self.is_evening && self.calls.is_empty(), "calls are left over");
        assert!(self.shadow.open.is_empty() && self.floor.leases.is_empty(), "leases are left over");
        for agent in self.floor.agents() {
            assert_eq!(agent.state, AgentState::Ready, "{} is stuck", agent.login);
        }
        assert_eq!(self.floor.next_deadline(), None);
        for (id, leg) in &self.legs {
            assert!(leg.fate == LegFate::Gone || (leg.fate == LegFate::Open && leg.was_cancelled), "leg {id} is still up");
        }

        let shadow = &self.shadow;
        for call in shadow.started.difference(&shadow.killed) {
            assert!(shadow.ended.contains_key(call) && shadow.finished.contains(call), "call {call} never ended");
        }
        let queues = self.floor.queues(self.now);
        assert!(queues.iter().all(|queue| queue.waiting == 0), "a queue did not drain");
        let floor_abandoned: u64 = queues.iter().map(|queue| queue.abandoned).sum();
        let gave_up = |call: &&CallId| shadow.ended.get(*call) == Some(&EndCause::Abandoned);
        assert_eq!(floor_abandoned as usize, shadow.queued.iter().filter(gave_up).count(), "abandoned calls are miscounted");
        let entered: u64 = queues.iter().map(|queue| queue.entered).sum();
        assert_eq!(entered as usize, shadow.queued.len(), "calls entered a queue unseen");
    }
}
