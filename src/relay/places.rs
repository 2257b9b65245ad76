//! The places of browser legs: numbers that go on where those of the port pairs end, handed out first in, first out, each
//! use counted so that nothing that is late can reach the next leg of a place. It sits behind the relay's handle.

use std::collections::VecDeque;

use super::browsers::BROWSERS;
use super::handle::BrowsersExhausted;

pub(super) struct Places {
    /// The first place's number among all legs.
    first: u16,
    /// Places that were ever used are below this.
    used: u16,
    /// Given back, with their last turn.
    free: VecDeque<(u16, u32)>,
    in_use: usize,
}

impl Places {
    pub fn new(first: u16) -> Places {
        Places { first, used: 0, free: VecDeque::new(), in_use: 0 }
    }

    /// A place that rests, else one that was never used: its number among all legs, and its turn.
    pub fn take(&mut self) -> Result<(u16, u32), BrowsersExhausted> {
        let fresh = (usize::from(self.used) < BROWSERS).then_some((self.first + self.used, 0));
        // The longer a place rests the better, so fresh ones go first, as with ports.
        let (place, turn) = match fresh {
            Some(fresh) => {
                self.used += 1;
                fresh
            }
            None => self.free.pop_front().ok_or(BrowsersExhausted { in_use: self.in_use })?,
        };
        self.in_use += 1;
        Ok((place, turn.wrapping_add(1)))
    }

    pub fn give_back(&mut self, place: u16, turn: u32) {
        self.in_use = self.in_use.saturating_sub(1);
        self.free.push_back((place, turn));
    }

    pub fn in_use(&self) -> usize {
        self.in_use
    }

    /// The number of a place among browsers alone.
    pub fn of(&self, pair: u16) -> u16 {
        pair.saturating_sub(self.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_used_before_one_is_used_again_and_then_it_has_another_turn() {
        let mut places = Places::new(100);
        assert_eq!(places.take(), Ok((100, 1)));
        places.give_back(100, 1);
        for place in 1..BROWSERS as u16 {
            assert_eq!(places.take(), Ok((100 + place, 1)));
        }
        assert_eq!(places.take(), Ok((100, 2)));
        assert_eq!(places.take(), Err(BrowsersExhausted { in_use: BROWSERS }));
        assert_eq!((places.of(103), places.in_use()), (3, BROWSERS));
    }
}
