//! One call from its first leg to its last hang-up.

use crate::types::{CallView, Time, Wall};

use super::words::{Arrival, Effect, Input, Origination};

/// One customer contact. A plain value: everything that happens comes in by `handle`.
#[derive(Debug)]
pub struct Call {
    view: CallView,
}

impl Call {
    /// A leg arrived.
    pub fn arrived(now: Time, wall: Wall, arrival: Arrival) -> (Call, Vec<Effect>) {
        let _ = (now, wall, arrival);
        unreachable!("skeleton")
    }

    /// Somebody clicked to call: their phone is dialled first.
    pub fn originated(now: Time, wall: Wall, origination: Origination) -> (Call, Vec<Effect>) {
        let _ = (now, wall, origination);
        unreachable!("skeleton")
    }

    pub fn handle(&mut self, now: Time, wall: Wall, input: Input) -> Vec<Effect> {
        let _ = (now, wall, input);
        Vec::new()
    }

    /// When `handle(.., Input::Deadline)` wants to be called, `None` after `Finished`.
    pub fn next_deadline(&self) -> Option<Time> {
        None
    }

    /// What the world sees of it now.
    pub fn view(&self) -> CallView {
        self.view.clone()
    }
}
