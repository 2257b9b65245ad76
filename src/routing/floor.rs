//! The Floor: every queue and every agent of this node, so that no two calls get one agent. Event-driven: each change
//! yields its grants at once. It never waits, never reads a database, and learns of a client only by `Hints`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::agents::Wish;
use crate::call::{AgentDoing, Hints, OfferOutcome, RefusalReason};
use crate::events::{AgentView, QueueView};
use crate::site::Site;
use crate::types::{AgentId, CallId, GrantId, QueueId, Time, Wall};

/// What calls, phones and people tell the floor. Serde values, so that the floor can move to another node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FloorInput {
    /// A call wants an agent of the queue. `waited_ms`: how long it has already waited elsewhere.
    Enqueue { call: CallId, queue: QueueId, priority: u8, waited_ms: u64, hints: Hints },
    /// Learned about the client after `Enqueue`.
    Hint { call: CallId, hints: Hints },
    /// The call gives up its place.
    Leave { call: CallId, abandoned: bool },
    /// The INVITE leaves: the agent rings from now.
    Confirm { grant: GrantId },
    /// The granted agent answered: the call leaves its queue. With a lease that was taken back a moment before, the
    /// agent talks all the same.
    Answered { grant: GrantId, call: CallId, agent: AgentId },
    /// The lease is over, unanswered.
    OfferEnded { grant: GrantId, outcome: OfferOutcome },
    /// A call engages the agent without a grant, or changes what the agent does in it.
    Busy { agent: AgentId, call: CallId, doing: AgentDoing },
    /// The agent is out of the call.
    Free { agent: AgentId, call: CallId },
    /// The call's task is gone, however it ended: whatever it still held is freed. Always sent last; harmless.
    CallGone { call: CallId },
    /// The person (or a supervisor for them) wants another state.
    Ask { agent: AgentId, wish: Wish },
    /// The agent's first phone registered.
    Registered { agent: AgentId },
    /// The agent's last phone left.
    Unregistered { agent: AgentId },
    /// `next_deadline` has come. Too early is harmless.
    Deadline,
}

/// What the floor wants done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FloorEffect {
    /// A lease for 2 s: to be confirmed when the INVITE leaves, or it is taken back. `considered`: the members who were
    /// not chosen, and why (SPEC R9); at most 64.
    Grant { call: CallId, grant: GrantId, agent: AgentId, queue: QueueId, ring: Duration, considered: Vec<(AgentId, Skipped)> },
    /// The lease is void: the call withdraws its offer and owes no word of it.
    Revoke { call: CallId, grant: GrantId },
    /// The queue does not take the call.
    Refuse { call: CallId, queue: QueueId, why: RefusalReason },
    /// For `agent.state_changed`.
    AgentChanged { view: Box<AgentView> },
    /// An input that does not fit what the floor knows. Harmless; for the log.
    Unexpected { input: String, detail: String },
}

/// Why a member was not chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skipped {
    Offline,
    NotRegistered,
    OnBreak,
    WrapUp,
    /// In a call, ringing or reserved.
    Engaged,
    NotAnswering,
    /// Was just offered this very call and did not take it.
    DeclinedThis,
    /// Free, but the strategy put another first.
    BehindAnother,
}

/// Every queue and agent.
#[derive(Debug)]
pub struct Floor {}

impl Floor {
    /// `seed` drives the random strategies only.
    pub fn new(now: Time, wall: Wall, site: &Site, seed: u64) -> Self {
        let _ = (now, wall, site, seed);
        Floor {}
    }

    pub fn handle(&mut self, now: Time, wall: Wall, input: FloorInput) -> Vec<FloorEffect> {
        let _ = (now, wall, input);
        Vec::new()
    }

    /// A new site was applied: new people and queues appear, removed ones go when their last call ends.
    pub fn reconfigure(&mut self, now: Time, wall: Wall, site: &Site) -> Vec<FloorEffect> {
        let _ = (now, wall, site);
        Vec::new()
    }

    /// When `handle(.., FloorInput::Deadline)` wants to be called.
    pub fn next_deadline(&self) -> Option<Time> {
        None
    }

    pub fn agent(&self, agent: &AgentId) -> Option<AgentView> {
        let _ = agent;
        None
    }

    /// By login.
    pub fn agents(&self) -> Vec<AgentView> {
        Vec::new()
    }

    /// By name.
    pub fn queues(&self, now: Time) -> Vec<QueueView> {
        let _ = now;
        Vec::new()
    }
}
