//! What an agent is after the server was away. The log knows what they were shown as and what they were before the last
//! call; their phone and their calls are gone. Nobody who was signed in is silently offline, nobody is stuck, and nobody
//! whose call was cut gets the next one in the same second:
//!
//! ```text
//! shown                              before the call    comes back as
//! ready, reserved, ringing,
//!   not answering                    ready              ready
//! talking, holding, wrap-up          ready              wrap-up for half a minute, then ready
//! any                                break              the same break
//! any but offline                    offline            offline  (a direct call had them)
//! any but offline, too long ago      any                offline
//! ```
//!
//! Wrap-up and offline say `server_restart` as their reason.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::machine::{Rest, Until};
use crate::types::{AgentState, Time, Wall};

/// The reason that is shown.
pub(super) const SERVER_RESTART: &str = "server_restart";
/// Time to write down what the cut call was about. The queue's own wrap-up time is not known here.
const WRAP_UP: Duration = Duration::from_secs(30);

/// What the log last said of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastSeen {
    /// As shown last.
    pub state: AgentState,
    /// Ready, break or offline: what they last were without a call.
    pub rest: AgentState,
    /// The break's.
    pub reason: Option<String>,
}

impl LastSeen {
    /// `None`: they were signed in so long ago that nobody knows whether they are still there.
    pub(super) fn rest_now(last: Option<LastSeen>, now: Time, wall: Wall) -> Rest {
        let Some(last) = last else { return Rest::Offline { reason: Some(SERVER_RESTART) } };
        match (last.state, last.rest) {
            (AgentState::Offline, _) => Rest::Offline { reason: None },
            (_, AgentState::Break) => Rest::Break { reason: last.reason },
            (AgentState::Talking | AgentState::Holding | AgentState::WrapUp, AgentState::Ready) => {
                let until = Until { time: now + WRAP_UP, wall: wall.plus(WRAP_UP) };
                Rest::WrapUp { until, reason: Some(SERVER_RESTART) }
            }
            (_, AgentState::Ready) => Rest::Ready,
            _ => Rest::Offline { reason: Some(SERVER_RESTART) },
        }
    }
}
