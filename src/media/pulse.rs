//! Whether a browser still lives: what its silence is called, and since when. Any packet that proved itself counts; a
//! browser says even on hold, with a STUN request every two and a half seconds, that it is there. Time is handed in;
//! the relay asks ten times a second.

use std::time::Duration;

use crate::types::Time;

/// How much silence means what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Silence that is worth a warning just now (it depends on whether the browser should send audio).
    pub faint_after: Duration,
    /// Silence that means the browser is gone.
    pub lost_after: Duration,
}

/// A change worth telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    Faint,
    Back,
    Lost,
}

/// ```text
///             handshake done          silence            more silence
///   Expected ────────────────▶ Alive ────────▶ Faint ─────────────────▶ Lost
///      │                         ▲   a packet    │                        │ ▲
///      │                         └───────────────┴────────────────────────┘ │
///      └──────────────── too late, or refused ──────────────────────────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulse {
    /// The browser has until then to come through the handshake.
    Expected {
        until: Time,
    },
    Alive {
        heard_at: Time,
    },
    Faint {
        heard_at: Time,
    },
    /// Gone; `is_secured`: there are keys, so that it can be heard again.
    Lost {
        is_secured: bool,
    },
}

impl Pulse {
    /// The keys are there.
    pub fn secured(&mut self, now: Time) {
        *self = Pulse::Alive { heard_at: now };
    }

    /// A packet proved itself.
    pub fn heard(&mut self, now: Time) -> Option<Beat> {
        match *self {
            Pulse::Expected { .. } | Pulse::Lost { is_secured: false } => None,
            Pulse::Alive { .. } => {
                *self = Pulse::Alive { heard_at: now };
                None
            }
            Pulse::Faint { .. } | Pulse::Lost { is_secured: true } => {
                *self = Pulse::Alive { heard_at: now };
                Some(Beat::Back)
            }
        }
    }

    /// The browser took leave, or was refused.
    pub fn end(&mut self) -> Option<Beat> {
        let is_secured = match self {
            Pulse::Lost { .. } => return None,
            Pulse::Expected { .. } => false,
            Pulse::Alive { .. } | Pulse::Faint { .. } => true,
        };
        *self = Pulse::Lost { is_secured };
        Some(Beat::Lost)
    }

    /// Time has passed.
    pub fn look(&mut self, now: Time, patience: Patience) -> Option<Beat> {
        match *self {
            Pulse::Expected { until } if now >= until => self.end(),
            Pulse::Alive { heard_at } | Pulse::Faint { heard_at } if now.since(heard_at) >= patience.lost_after => self.end(),
            Pulse::Alive { heard_at } if now.since(heard_at) >= patience.faint_after => {
                *self = Pulse::Faint { heard_at };
                Some(Beat::Faint)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { faint_after: Duration::from_secs(1), lost_after: Duration::from_secs(8) };

    fn ms(at: u64) -> Time {
        Time::from_millis(at)
    }

    #[test]
    fn silence_is_told_once_at_each_step_and_a_packet_ends_it() {
        let mut pulse = Pulse::Expected { until: ms(10_000) };
        assert_eq!(pulse.heard(ms(1)), None);
        pulse.secured(ms(100));
        assert_eq!(pulse.look(ms(1099), PATIENCE), None);
        assert_eq!(pulse.look(ms(1100), PATIENCE), Some(Beat::Faint));
        assert_eq!(pulse.look(ms(1200), PATIENCE), None);
        assert_eq!(pulse.heard(ms(1300)), Some(Beat::Back));
        assert_eq!(pulse.heard(ms(1301)), None);
        assert_eq!(pulse.look(ms(2400), PATIENCE), Some(Beat::Faint));
        assert_eq!(pulse.look(ms(9300), PATIENCE), None);
        assert_eq!(pulse.look(ms(9301), PATIENCE), Some(Beat::Lost));
        assert_eq!(pulse.look(ms(99_999), PATIENCE), None);
        assert_eq!(pulse.heard(ms(100_000)), Some(Beat::Back));
        assert_eq!(pulse.look(ms(108_000), PATIENCE), Some(Beat::Lost), "a loss is told even if nobody looked before");
    }

    #[test]
    fn who_does_not_come_through_the_handshake_is_lost_for_good() {
        let mut pulse = Pulse::Expected { until: ms(10_000) };
        assert_eq!(pulse.look(ms(9999), PATIENCE), None);
        assert_eq!(pulse.look(ms(10_000), PATIENCE), Some(Beat::Lost));
        assert_eq!(pulse.heard(ms(10_001)), None);
        assert_eq!(pulse.end(), None);
    }

    #[test]
    fn who_takes_leave_is_lost_at_once() {
        let mut pulse = Pulse::Alive { heard_at: ms(5) };
        assert_eq!(pulse.end(), Some(Beat::Lost));
        assert_eq!(pulse.end(), None);
        assert_eq!(pulse.look(ms(99_999), PATIENCE), None);
    }
}
