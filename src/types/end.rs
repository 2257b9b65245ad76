//! Why a call ended and who ended it. One way to end: a cause that carries the blame.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a call ended, as in `call.ended` and the `calls` table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndCause {
    /// Someone hung up after a conversation.
    Normal,
    /// The caller gave up before anyone answered.
    Abandoned,
    Busy,
    Declined,
    NoAnswer,
    /// The phone is not registered, or the network did not reach it.
    Unreachable,
    /// Nothing in the set-up leads anywhere for this number.
    NoRoute,
    NotFound,
    Forbidden,
    /// The queue has no agent who could ever take the call, or is full.
    QueueUnavailable,
    NoCommonCodec,
    /// The carrier refused or failed.
    TrunkFailed,
    /// No RTP from either side for longer than the limit.
    RtpTimeout,
    /// Longer than the longest call allowed.
    TooLong,
    /// Ports, memory or other resources ran out.
    Overload,
    /// Ended by a person through the API.
    HungUpByApi,
    /// It was open when the server was killed.
    ServerRestart,
    /// It was open when the drain limit of a graceful stop passed.
    Shutdown,
    Merged,
}

/// Who ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    Caller,
    Agent,
    System,
    Trunk,
}
