//! One turn of the machine: the moment it happens at and the effects it gathers.

use crate::types::{Time, Wall};

use super::words::Effect;

pub(super) struct Turn {
    pub now: Time,
    pub wall: Wall,
    effects: Vec<Effect>,
}

impl Turn {
    pub fn at(now: Time, wall: Wall) -> Self {
        Turn { now, wall, effects: Vec::new() }
    }

    pub fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub fn into_effects(self) -> Vec<Effect> {
        self.effects
    }
}
