//! The state machine of one agent (SPEC R3): what they want to be, which calls have them, and what follows from both.
//! Pure; `routing::Floor` owns every agent and drives them. It chooses nobody: that is the floor's work.

mod comeback;
mod machine;
mod words;
#[cfg(test)]
mod tests;

pub use comeback::LastSeen;
pub use machine::Agent;
pub use words::{AgentEffect, AgentInput, Miss, Shown, TakenBack, Tally, Wish};
