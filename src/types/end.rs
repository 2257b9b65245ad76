//! Why a call ended and who ended it. One way to end: a cause that carries the blame.

use std::fmt;

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

impl EndCause {
    /// The word of the API, of the database and of metrics' labels: `no_route`.
    pub const fn word(self) -> &'static str {
        match self {
            EndCause::Normal => "normal",
            EndCause::Abandoned => "abandoned",
            EndCause::Busy => "busy",
            EndCause::Declined => "declined",
            EndCause::NoAnswer => "no_answer",
            EndCause::Unreachable => "unreachable",
            EndCause::NoRoute => "no_route",
            EndCause::NotFound => "not_found",
            EndCause::Forbidden => "forbidden",
            EndCause::QueueUnavailable => "queue_unavailable",
            EndCause::NoCommonCodec => "no_common_codec",
            EndCause::TrunkFailed => "trunk_failed",
            EndCause::RtpTimeout => "rtp_timeout",
            EndCause::TooLong => "too_long",
            EndCause::Overload => "overload",
            EndCause::HungUpByApi => "hung_up_by_api",
            EndCause::ServerRestart => "server_restart",
            EndCause::Shutdown => "shutdown",
            EndCause::Merged => "merged",
        }
    }
}

impl fmt::Display for EndCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_has_one_word_everywhere() {
        let words = "normal abandoned busy declined no_answer unreachable no_route not_found forbidden queue_unavailable \
            no_common_codec trunk_failed rtp_timeout too_long overload hung_up_by_api server_restart shutdown merged";
        for word in words.split_whitespace() {
            let cause: EndCause = serde_json::from_value(word.into()).unwrap();
            assert_eq!(cause.word(), word);
            assert_eq!(serde_json::to_value(cause).unwrap(), word);
        }
    }
}
