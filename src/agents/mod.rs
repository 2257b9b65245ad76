//! The state machine of one agent (SPEC R3): what they want to be, which calls have them, and what follows from both.
//! Pure; `routing::Floor` owns every agent and drives them. It chooses nobody: that is the floor's work.

use serde::{Deserialize, Serialize};

/// What a person asks to be. Applied at once, or after the call that has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Wish {
    Ready,
    Break { reason: Option<String> },
    Offline,
}
