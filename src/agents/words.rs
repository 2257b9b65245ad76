//! The words of the agent machine: wishes, what happens to an agent, what follows.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::comeback::LastSeen;
use crate::call::{AgentDoing, OfferOutcome};
use crate::types::{AgentState, CallId, GrantId, Time, Wall};

/// What a person asks to be. Applied at once, or after the call that has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Wish {
    Ready,
    Break { reason: Option<String> },
    Offline,
}

/// What happens to an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentInput {
    /// The server was away; this is what they were, `None` when that is too long ago. Before any other input.
    ComeBack(Option<LastSeen>),
    /// A wish of the person, or of a supervisor for them.
    Ask(Wish),
    /// The first phone registered.
    Registered,
    /// The last phone left.
    Unregistered,
    /// The floor leases them to a call until `until`; `wrap_up` follows when they talk.
    Reserve { grant: GrantId, call: CallId, wrap_up: Duration, until: Time },
    /// The INVITE left.
    Ring { grant: GrantId, until: Time },
    /// The granted call was answered.
    Answer { grant: GrantId },
    /// The offer ended unanswered.
    OfferOver { grant: GrantId, outcome: OfferOutcome },
    /// A call has them without a grant, or what they do in a call changed.
    Engage { call: CallId, doing: AgentDoing },
    /// They are out of the call.
    Release { call: CallId },
    /// `next_deadline` has come. Too early is harmless.
    Deadline,
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentEffect {
    /// The shown state, its reason or its call changed: `agent.state_changed`.
    Changed,
    /// The lease is void; the call must be told.
    TakenBack { grant: GrantId, call: CallId, why: TakenBack },
    /// Cannot happen in this state. Harmless.
    Unexpected { input: &'static str },
}

/// Why a lease became void.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TakenBack {
    /// The call neither confirmed nor ended it in time.
    Overdue,
    Unregistered,
    /// The agent asked for another state before their phone rang.
    Asked,
}

/// Why an agent rests after an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Miss {
    NoAnswer,
    Busy,
    Unreachable,
}

impl Miss {
    pub(super) fn of(outcome: OfferOutcome) -> Option<Miss> {
        match outcome {
            OfferOutcome::NoAnswer => Some(Miss::NoAnswer),
            OfferOutcome::Busy => Some(Miss::Busy),
            OfferOutcome::Unreachable => Some(Miss::Unreachable),
            // Who declines is there and may want the next call; the floor keeps this call away from them for a while.
            OfferOutcome::Declined | OfferOutcome::Abandoned | OfferOutcome::AnsweredElsewhere | OfferOutcome::Refused => None,
        }
    }

    /// How long no offers come. A busy or unreachable phone may be well again soon; whoever did not answer is away.
    pub const fn rest(self) -> Duration {
        match self {
            Miss::NoAnswer => Duration::from_secs(30),
            Miss::Busy | Miss::Unreachable => Duration::from_secs(10),
        }
    }

    pub const fn reason(self) -> &'static str {
        match self {
            Miss::NoAnswer => "no_answer",
            Miss::Busy => "busy",
            Miss::Unreachable => "unreachable",
        }
    }
}

/// What has been counted since the server started: food for the strategies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Queue calls answered.
    pub answered: u64,
    /// Offers that rang out.
    pub missed: u64,
    /// Time spent in queue calls.
    pub talked: Duration,
}

/// The state as the world sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub state: AgentState,
    pub reason: Option<String>,
    pub until: Option<Wall>,
    pub call: Option<CallId>,
}
