//! Who gets the call: dialled numbers to goals (`numbers`), waiting calls to agents (`floor`). Pure: the floor task of
//! `engine` owns the one `Floor` of this node, carries its effects to calls, and feeds it what calls and people do.

mod choice;
pub mod floor;
mod line;
mod messages;
pub mod numbers;
mod pace;
mod seat;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use floor::Floor;
pub use messages::{FloorEffect, FloorInput, Skipped};
pub use numbers::{OtherWay, Plan, plan_destination, plan_dialled, plan_inbound};
pub use pace::Pace;
