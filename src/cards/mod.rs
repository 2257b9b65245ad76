//! ○ Clients' cards: who is calling, and which card that is. Plain rules over plain values; the rows come from
//! `store`, the caller's text from `gateway`, and `engine` asks. It reads no database and makes no card.

pub mod identity; // caller and found cards → match, card, candidates, reason in words
pub mod number; //   From, Privacy and display name → Caller

pub use identity::{CandidateCard, Identity, NumberKind, identify};
pub use number::{Caller, CallerText, read_caller};
