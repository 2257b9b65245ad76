//! Who gets the call: dialled numbers to goals (`numbers`), waiting calls to agents (`floor`). Pure: the floor task of
//! `engine` owns the one `Floor` of this node, carries its effects to calls, and feeds it what calls and people do.

#[cfg(test)]
mod fixtures;
pub mod floor;
pub mod numbers;

pub use floor::{Floor, FloorEffect, FloorInput};
pub use numbers::{Plan, plan_destination, plan_dialled, plan_inbound};
