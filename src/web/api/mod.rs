//! The endpoints, one file a noun. A handler reads its request, asks `access`, asks the engine or the store, answers.
//! Addresses are in `router`.

pub mod agents;
pub mod calls;
mod client_check;
mod client_wish;
pub mod clients;
pub mod events;
pub mod later;
pub mod lookup;
pub mod me;
pub mod phone;
pub mod queues;
pub mod recordings;
pub mod session;
pub mod steering;
