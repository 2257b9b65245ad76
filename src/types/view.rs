//! What the world sees of a call: INTERFACES' `Call`, the data of every `call.*` event, the row of `calls`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AgentId, CallId, CardId, EndCause, EndedBy, LegId, QueueId, RecordingId, TrunkId, Wall};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallKind {
    Inbound,
    Outbound,
    Internal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    Ringing,
    Queued,
    Offered,
    Talking,
    Held,
    Ended,
}

/// A party as people know it. `number` is E.164 where it could be normalised, else as it was sent, else null.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Party {
    pub number: Option<String>,
    pub display: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LegRole {
    Caller,
    Agent,
    External,
    /// Listens in; never shown in a call's `legs`, so that nobody is told of it by them.
    Supervisor,
}

/// What a supervisor does in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SupervisionMode {
    /// Hears both sides, is heard by nobody.
    Listen,
    /// Hears both sides, is heard by the agent alone. Never in a recording.
    Whisper,
    /// Hears and is heard by everyone.
    Barge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LegState {
    Ringing,
    Answered,
    Ended,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LegView {
    pub id: LegId,
    pub role: LegRole,
    pub state: LegState,
    pub party: Party,
    pub agent: Option<AgentId>,
    pub trunk: Option<TrunkId>,
    pub started_at: Wall,
    pub answered_at: Option<Wall>,
    pub ended_at: Option<Wall>,
}

/// INTERFACES' `Call {id, kind, state, from, to, …}`. Open fields are null, never missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallView {
    pub id: CallId,
    pub kind: CallKind,
    pub state: CallState,
    pub from: Party,
    /// The number that was dialled, E.164 where it could be normalised.
    pub to: String,
    pub trunk: Option<TrunkId>,
    pub queue: Option<QueueId>,
    pub agent: Option<AgentId>,
    pub card_id: Option<CardId>,
    pub source: Option<String>,
    pub started_at: Wall,
    pub answered_at: Option<Wall>,
    pub ended_at: Option<Wall>,
    pub cause: Option<EndCause>,
    pub ended_by: Option<EndedBy>,
    pub recording_id: Option<RecordingId>,
    pub legs: Vec<LegView>,
    pub consult_of: Option<CallId>,
    pub merged_into: Option<CallId>,
}

/// SPEC R3. One name in Rust, SQL, JSON and the UI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    Offline,
    Ready,
    /// The floor has leased the agent to a call whose INVITE has not left yet.
    Reserved,
    Ringing,
    Talking,
    Holding,
    WrapUp,
    Break,
    /// An offer rang out; the agent gets no more until they say `ready` again or the rest period ends.
    NotAnswering,
}
