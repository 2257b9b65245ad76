//! Whether audio is captured: people pause a recording while secrets are spoken. What arrived before the gate shut is
//! kept and what arrives while it is shut is not, however late the frames come out of the ring. Pure; the clerk asks it.

use crate::types::Time;

/// Open unless told otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gate {
    /// The last time it was shut, and when it opened again.
    shut: Option<(Time, Option<Time>)>,
}

impl Gate {
    /// Opens or shuts it at `at`; false when it stood so already.
    pub fn set(&mut self, captures: bool, at: Time) -> bool {
        let is_shut = matches!(self.shut, Some((_, None)));
        if captures != is_shut {
            return false;
        }
        self.shut = match self.shut {
            Some((from, None)) => Some((from, Some(at.max(from)))),
            _ => Some((at, None)),
        };
        true
    }

    /// Whether audio that arrived at this moment is captured. Frames wait in the ring for some tens of milliseconds, so
    /// only the last time it was shut matters.
    pub fn lets_in(&self, arrival: Time) -> bool {
        match self.shut {
            None => true,
            Some((from, None)) => arrival < from,
            Some((from, Some(to))) => arrival < from || arrival >= to,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrives_while_it_is_shut_is_left_out_and_nothing_else() {
        let ms = Time::from_millis;
        let mut gate = Gate::default();
        assert!(gate.lets_in(ms(5)));
        assert!(!gate.set(true, ms(5)), "it is open");
        assert!(gate.set(false, ms(100)));
        assert!(!gate.set(false, ms(110)), "it is shut");
        assert!(gate.lets_in(ms(99)), "it came before, and left the ring after");
        assert!(!gate.lets_in(ms(100)));
        assert!(gate.set(true, ms(200)));
        assert!(!gate.lets_in(ms(199)));
        assert!(gate.lets_in(ms(200)) && gate.lets_in(ms(50)));
    }
}
