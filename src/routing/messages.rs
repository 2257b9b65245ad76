//! What the floor is told and what it tells: serde values, so that the floor can move to another node.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::agents::{LastSeen, Wish};
use crate::call::{AgentDoing, Hints, OfferOutcome, RefusalReason};
use crate::events::AgentView;
use crate::types::{AgentId, CallId, GrantId, QueueId};

/// What calls, phones and people tell the floor. Serde values, so that the floor can move to another node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FloorInput {
    /// A call wants an agent of the queue. `waited_ms`: how long it has already waited elsewhere.
    Enqueue { call: CallId, queue: QueueId, priority: u8, waited_ms: u64, hints: Hints },
    /// Learned about the client after `Enqueue`. None of the present strategies asks for it.
    Hint { call: CallId, hints: Hints },
    /// The call gives up its place. Leases that it still holds are ended one by one after this.
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
    /// At start, before anything else: what the agent was before the server went away; `None` when that is too long ago.
    ComeBack { agent: AgentId, last: Option<LastSeen> },
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
    /// The queue does not take the call, or keeps it no longer.
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
