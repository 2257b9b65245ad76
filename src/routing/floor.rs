//! The Floor: every queue and every agent of this node, so that no two calls get one agent. Event-driven: each change
//! yields its grants at once. It never waits and never reads a database. The floor task of `engine` owns the only one.
//!
//! A grant is a lease: 2 s to confirm it (the INVITE leaves), then the ringing time and some, then it is taken back.
//! So an agent is stuck with a dead call for seconds, never for good.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::choice::{Candidate, choose};
use super::line::{Lease, Line, Place, Waiting};
use super::messages::{FloorEffect, FloorInput, Skipped};
use super::seat::Seat;
use crate::agents::{AgentEffect, AgentInput, TakenBack};
use crate::call::{AgentDoing, OfferOutcome, RefusalReason};
use crate::site::{Site, Strategy};
use crate::types::{AgentId, AgentState, CallId, GrantId, Ids, QueueId, Time, Wall};

/// How long a call may sit on a lease before its INVITE leaves.
const LEASE: Duration = Duration::from_secs(2);
/// The call ends the ringing itself; this much later the floor does.
const RINGING_GRACE: Duration = Duration::from_secs(5);
/// How long an agent is not asked again for a call they declined.
const DECLINED_REST: Duration = Duration::from_secs(30);
/// How often a progressive queue rings one more phone.
const WIDENING: Duration = Duration::from_secs(5);
/// A call that let this many leases run out is taken for dead.
const MOST_LAPSES: u8 = 3;
/// Members whose reason is kept with a grant.
const MOST_CONSIDERED: usize = 64;

/// Every queue and agent.
#[derive(Debug)]
pub struct Floor {
    pub(super) seats: BTreeMap<AgentId, Seat>,
    pub(super) lines: BTreeMap<QueueId, Line>,
    pub(super) waiting: HashMap<CallId, Waiting>,
    pub(super) leases: HashMap<u64, Lease>,
    arrivals: u64,
    grants: u64,
    dice: Ids,
}

/// One turn: its moment, its effects, and the queues in which somebody may be granted now.
pub(super) struct Round {
    pub now: Time,
    pub wall: Wall,
    pub effects: Vec<FloorEffect>,
    pub touched: Vec<QueueId>,
}

impl Round {
    fn at(now: Time, wall: Wall) -> Self {
        Round { now, wall, effects: Vec::new(), touched: Vec::new() }
    }

    pub fn touch(&mut self, queue: &QueueId) {
        if !self.touched.contains(queue) {
            self.touched.push(queue.clone());
        }
    }

    fn unexpected(&mut self, input: &str, detail: impl Into<String>) {
        self.effects.push(FloorEffect::Unexpected { input: input.to_owned(), detail: detail.into() });
    }
}

impl Floor {
    /// `seed` drives the random strategies only.
    pub fn new(now: Time, wall: Wall, site: &Site, seed: u64) -> Self {
        let mut floor = Floor {
            seats: BTreeMap::new(),
            lines: BTreeMap::new(),
            waiting: HashMap::new(),
            leases: HashMap::new(),
            arrivals: 0,
            grants: 0,
            dice: Ids::seeded(seed),
        };
        floor.reconfigure(now, wall, site);
        floor
    }

    /// Something changed. Grants come out at once.
    pub fn handle(&mut self, now: Time, wall: Wall, input: FloorInput) -> Vec<FloorEffect> {
        let mut round = Round::at(now, wall);
        match input {
            FloorInput::Enqueue { call, queue, priority, waited_ms, hints: _ } => {
                self.enqueue(&mut round, call, queue, priority, Duration::from_millis(waited_ms));
            }
            FloorInput::Hint { .. } => {}
            FloorInput::Leave { call, abandoned } => self.leave(call, abandoned),
            FloorInput::Confirm { grant } => self.confirm(&mut round, grant),
            FloorInput::Answered { grant, call, agent } => self.answered(&mut round, grant, call, agent),
            FloorInput::OfferEnded { grant, outcome } => self.offer_ended(&mut round, grant, outcome),
            FloorInput::Busy { agent, call, doing } => self.drive(&mut round, &agent, AgentInput::Engage { call, doing }),
            FloorInput::Free { agent, call } => self.free(&mut round, &agent, call),
            FloorInput::CallGone { call } => self.call_gone(&mut round, call),
            FloorInput::ComeBack { agent, last } => self.drive(&mut round, &agent, AgentInput::ComeBack(last)),
            FloorInput::Ask { agent, wish } => self.drive(&mut round, &agent, AgentInput::Ask(wish)),
            FloorInput::Registered { agent } => self.drive(&mut round, &agent, AgentInput::Registered),
            FloorInput::Unregistered { agent } => self.drive(&mut round, &agent, AgentInput::Unregistered),
            FloorInput::Deadline => self.pass_deadlines(&mut round),
        }
        self.assign(&mut round);
        round.effects
    }

    /// A new site was applied: new people and queues appear, removed ones go when their last call ends.
    pub fn reconfigure(&mut self, now: Time, wall: Wall, site: &Site) -> Vec<FloorEffect> {
        let mut round = Round::at(now, wall);
        self.take_site(&mut round, site);
        self.assign(&mut round);
        round.effects
    }

    /// When `handle(.., FloorInput::Deadline)` wants to be called.
    pub fn next_deadline(&self) -> Option<Time> {
        let agents = self.seats.values().filter_map(|seat| seat.agent.next_deadline());
        let calls = self.waiting.values().filter_map(Waiting::next_deadline);
        agents.chain(calls).min()
    }

    fn enqueue(&mut self, round: &mut Round, call: CallId, queue: QueueId, priority: u8, waited: Duration) {
        if self.waiting.contains_key(&call) {
            return round.unexpected("enqueue", "the call is in a queue already");
        }
        let why = match self.lines.get(&queue) {
            None => Some(RefusalReason::NoSuchQueue),
            Some(line) if line.settings.members.is_empty() => Some(RefusalReason::NoMembers),
            Some(line) if line.is_full() => Some(RefusalReason::Full),
            Some(_) => None,
        };
        if let Some(why) = why {
            return round.effects.push(FloorEffect::Refuse { call, queue, why });
        }
        let Some(line) = self.lines.get_mut(&queue) else { return };
        self.arrivals += 1;
        let place = Place { priority: Reverse(priority), entered: round.now - waited, number: self.arrivals };
        line.calls.insert(place, call);
        line.entered += 1;
        round.touch(&queue);
        self.waiting.insert(call, Waiting::new(queue, place));
    }

    fn leave(&mut self, call: CallId, abandoned: bool) {
        if let Some(line) = self.step_out(call)
            && abandoned
        {
            line.abandoned += 1;
        }
    }

    /// The call waits no more, for whatever reason. Leaving twice is no fault.
    pub(super) fn step_out(&mut self, call: CallId) -> Option<&mut Line> {
        let waiting = self.waiting.remove(&call)?;
        let line = self.lines.get_mut(&waiting.queue)?;
        line.calls.remove(&waiting.place);
        Some(line)
    }

    fn confirm(&mut self, round: &mut Round, grant: GrantId) {
        let Some(lease) = self.lease(grant) else {
            return round.unexpected("confirm", "the lease was taken back");
        };
        let (call, agent) = (lease.call, lease.agent.clone());
        let line = self.waiting.get(&call).and_then(|waiting| self.lines.get(&waiting.queue));
        let ring = line.map_or(Duration::ZERO, |line| ring_time(line.settings.ring_seconds));
        self.drive(round, &agent, AgentInput::Ring { grant, until: round.now + ring + RINGING_GRACE });
    }

    fn answered(&mut self, round: &mut Round, grant: GrantId, call: CallId, agent: AgentId) {
        if let Some(line) = self.step_out(call) {
            line.answered += 1;
        }
        if self.lease(grant).is_some_and(|lease| lease.call == call && lease.agent == agent) {
            self.leases.remove(&grant.id);
            self.drive(round, &agent, AgentInput::Answer { grant });
        } else {
            round.unexpected("answered", "the lease was taken back; the agent talks all the same");
            self.drive(round, &agent, AgentInput::Engage { call, doing: AgentDoing::Talking });
        }
    }

    fn offer_ended(&mut self, round: &mut Round, grant: GrantId, outcome: OfferOutcome) {
        let Some(lease) = self.drop_lease(round, grant) else {
            return round.unexpected("offer_ended", "the lease was taken back");
        };
        if let Some(waiting) = self.waiting.get_mut(&lease.call) {
            waiting.lapses = 0;
            if outcome == OfferOutcome::Declined {
                waiting.avoid(lease.agent.clone(), round.now + DECLINED_REST);
            }
        }
        self.drive(round, &lease.agent, AgentInput::OfferOver { grant, outcome });
    }

    fn free(&mut self, round: &mut Round, agent: &AgentId, call: CallId) {
        self.end_leases_of(round, call, Some(agent));
        self.drive(round, agent, AgentInput::Release { call });
    }

    fn call_gone(&mut self, round: &mut Round, call: CallId) {
        self.step_out(call);
        self.end_leases_of(round, call, None);
        let engaged = self.seats.iter().filter(|(_, seat)| seat.agent.is_engaged_by(call));
        let engaged: Vec<AgentId> = engaged.map(|(agent, _)| agent.clone()).collect();
        for agent in engaged {
            self.drive(round, &agent, AgentInput::Release { call });
        }
    }

    /// Forgets leases that their call is done with; the agents are released by the caller.
    fn end_leases_of(&mut self, round: &mut Round, call: CallId, agent: Option<&AgentId>) {
        let of_call = |lease: &Lease| lease.call == call && agent.is_none_or(|agent| lease.agent == *agent);
        let ended: Vec<GrantId> = self
            .leases
            .iter()
            .filter(|(_, lease)| of_call(lease))
            .map(|(id, lease)| GrantId { id: *id, epoch: lease.epoch })
            .collect();
        for grant in ended {
            self.drop_lease(round, grant);
        }
    }

    fn lease(&self, grant: GrantId) -> Option<&Lease> {
        self.leases.get(&grant.id).filter(|lease| lease.epoch == grant.epoch)
    }

    /// The lease is no more; its call may be granted anew.
    fn drop_lease(&mut self, round: &mut Round, grant: GrantId) -> Option<Lease> {
        self.lease(grant)?;
        let lease = self.leases.remove(&grant.id)?;
        if let Some(waiting) = self.waiting.get_mut(&lease.call) {
            waiting.offers.retain(|offer| *offer != grant);
            round.touch(&waiting.queue);
        }
        Some(lease)
    }

    /// Tells an agent something and carries on what follows.
    pub(super) fn drive(&mut self, round: &mut Round, agent: &AgentId, input: AgentInput) {
        let Some(seat) = self.seats.get_mut(agent) else {
            return round.unexpected("agent", format!("{agent} is not on the floor"));
        };
        let followed = seat.agent.handle(round.now, round.wall, input);
        for effect in followed {
            match effect {
                AgentEffect::Changed => self.agent_changed(round, agent),
                AgentEffect::TakenBack { grant, call, why } => self.take_back(round, grant, call, why),
                AgentEffect::Unexpected { input } => round.unexpected(input, format!("it does not fit what {agent} does")),
            }
        }
    }

    fn agent_changed(&mut self, round: &mut Round, agent: &AgentId) {
        let Some(seat) = self.seats.get(agent) else { return };
        round.effects.push(FloorEffect::AgentChanged { view: Box::new(seat.view(agent)) });
        if seat.agent.is_free() {
            seat.queues.iter().for_each(|queue| round.touch(queue));
        }
        if seat.is_leaving && !seat.agent.is_engaged() {
            self.seats.remove(agent);
        }
    }

    fn take_back(&mut self, round: &mut Round, grant: GrantId, call: CallId, why: TakenBack) {
        self.drop_lease(round, grant);
        round.effects.push(FloorEffect::Revoke { call, grant });
        let Some(waiting) = self.waiting.get_mut(&call) else { return };
        if why == TakenBack::Overdue {
            waiting.lapses += 1;
        }
        if waiting.lapses >= MOST_LAPSES {
            let queue = waiting.queue.clone();
            self.step_out(call);
            round.effects.push(FloorEffect::Refuse { call, queue, why: RefusalReason::Unresponsive });
        }
    }

    fn pass_deadlines(&mut self, round: &mut Round) {
        let is_due = |seat: &Seat| seat.agent.next_deadline().is_some_and(|at| at <= round.now);
        let due: Vec<AgentId> = self.seats.iter().filter(|(_, seat)| is_due(seat)).map(|(agent, _)| agent.clone()).collect();
        for agent in due {
            self.drive(round, &agent, AgentInput::Deadline);
        }
        for waiting in self.waiting.values_mut() {
            if waiting.pass_deadlines(round.now) {
                round.touch(&waiting.queue);
            }
        }
    }

    /// Grants until no touched queue has both a call that wants an agent and a free member for it. The longest waiting
    /// call of all touched queues goes first, so that a member of several queues serves them fairly.
    fn assign(&mut self, round: &mut Round) {
        loop {
            let touched = std::mem::take(&mut round.touched);
            let next = touched.iter().filter_map(|queue| self.next_in(queue)).min();
            round.touched = touched;
            let Some((_, call, queue)) = next else { return };
            if !self.grant(round, call, &queue) {
                return;
            }
        }
    }

    /// The first call in line for which a member is free.
    pub(super) fn next_in(&self, queue: &QueueId) -> Option<(Place, CallId, QueueId)> {
        let line = self.lines.get(queue)?;
        let free: Vec<&AgentId> = line.settings.members.iter().filter(|agent| self.is_free(agent)).collect();
        if free.is_empty() {
            return None;
        }
        let takes = |call: &CallId| {
            self.waiting.get(call).is_some_and(|waiting| {
                waiting.wants_more(line.settings.strategy) && free.iter().any(|agent| !waiting.avoids(agent))
            })
        };
        line.calls.iter().find(|(_, call)| takes(call)).map(|(place, call)| (*place, *call, queue.clone()))
    }

    fn is_free(&self, agent: &AgentId) -> bool {
        self.seats.get(agent).is_some_and(|seat| seat.agent.is_free() && !seat.is_leaving)
    }

    /// False when nobody could be chosen after all.
    fn grant(&mut self, round: &mut Round, call: CallId, queue: &QueueId) -> bool {
        let (Some(line), Some(waiting)) = (self.lines.get_mut(queue), self.waiting.get_mut(&call)) else { return false };
        let seats = &self.seats;
        let candidates: Vec<Candidate<'_>> = (line.settings.members.iter().enumerate())
            .filter(|(_, agent)| !waiting.avoids(agent))
            .filter_map(|(order, agent)| seats.get(agent)?.candidate(agent, order, queue))
            .collect();
        let last_order = line.last_granted.as_ref().and_then(|last| line.settings.members.iter().position(|agent| agent == last));
        let Some(chosen) = choose(line.settings.strategy, &candidates, last_order, &mut self.dice).cloned() else {
            return false;
        };
        let others = line.settings.members.iter().filter(|agent| **agent != chosen).take(MOST_CONSIDERED);
        let considered = others.map(|agent| (agent.clone(), why_skipped(seats.get(agent), waiting.avoids(agent)))).collect();
        let (ring, wrap_up) = (ring_time(line.settings.ring_seconds), Duration::from_secs(line.settings.wrap_up_seconds.into()));
        line.last_granted = Some(chosen.clone());
        if line.settings.strategy == Strategy::RingProgressively {
            waiting.widen_at = Some(round.now + WIDENING);
        }

        let Some(seat) = self.seats.get_mut(&chosen) else { return false };
        seat.epoch += 1;
        self.grants += 1;
        let grant = GrantId { id: self.grants, epoch: seat.epoch };
        waiting.offers.push(grant);
        self.leases.insert(grant.id, Lease { call, agent: chosen.clone(), epoch: grant.epoch });
        let agent = chosen.clone();
        round.effects.push(FloorEffect::Grant { call, grant, agent, queue: queue.clone(), ring, considered });
        let until = round.now + LEASE;
        self.drive(round, &chosen, AgentInput::Reserve { grant, call, wrap_up, until });
        true
    }
}

/// A queue that rings for no time at all would offer for ever.
fn ring_time(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds.max(1)))
}

fn why_skipped(seat: Option<&Seat>, declined: bool) -> Skipped {
    let Some(seat) = seat else { return Skipped::Offline };
    match seat.agent.shown().state {
        AgentState::Offline => Skipped::Offline,
        AgentState::Break => Skipped::OnBreak,
        AgentState::WrapUp => Skipped::WrapUp,
        AgentState::NotAnswering => Skipped::NotAnswering,
        AgentState::Reserved | AgentState::Ringing | AgentState::Talking | AgentState::Holding => Skipped::Engaged,
        AgentState::Ready if !seat.agent.is_registered() => Skipped::NotRegistered,
        AgentState::Ready if declined => Skipped::DeclinedThis,
        AgentState::Ready => Skipped::BehindAnother,
    }
}
