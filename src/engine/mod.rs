//! Where decisions meet IO. One task owns one call; one floor task owns every queue and agent; one SIP task owns
//! the endpoint. Everyone else holds a `Handle` and sends commands.

pub mod handle;

pub use handle::{Actor, Command, CommandError, Handle, QueueView, Readiness};
