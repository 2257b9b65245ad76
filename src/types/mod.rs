//! The words every room speaks. Plain values only: nothing here reads a clock, a socket or a database.
//! A word means the same in Rust, SQL, JSON, logs and the UI; docs/GLOSSARY.md lists them.

mod e164;
mod end;
mod ids;
mod language;
mod number_text;
mod mint;
mod time;
mod view;

pub use e164::{E164, NumberError, Region};
pub use end::{EndCause, EndedBy};
pub use ids::{AgentId, CallId, CardId, GrantId, LegId, PopId, QueueId, RecordingId, TrunkId};
pub use language::Language;
pub use mint::Ids;
pub use time::{Time, Wall};
pub use view::{AgentState, CallKind, CallState, CallView, LegRole, LegState, LegView, Party, SupervisionMode};
