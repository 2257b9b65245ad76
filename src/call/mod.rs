//! The machine of one call: legs, offers, bridges, recording marks, one end. It knows legs by `LegId` and never SIP,
//! SDP, queues' inner order or how a number was resolved. `engine`'s call task feeds it `Input`s, carries its `Effect`s
//! out in order, and calls it again at `next_deadline()`.

mod absence;
mod audio;
mod beep;
mod ending;
mod happenings;
mod legs;
mod machine;
mod offer;
mod seeking;
mod supervision;
mod tape;
mod turn;
mod view;
mod wishes;
mod words;
#[cfg(test)]
mod tests;

pub use beep::more_often;
pub use machine::Call;
pub use offer::{MOST_OFFERS, POP_HOLDS_INVITE};
pub use words::{
    AgentDoing, Arrival, CallWish, Caller, Departure, DialTo, Effect, Goal, Hints, Input, LegFailure, Limits, OfferOutcome,
    Origination, Person, RecordingAction, Refusal, RefusalReason,
};
