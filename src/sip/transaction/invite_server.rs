//! The INVITE server transaction: RFC 3261 §17.2.1 with the Accepted state of RFC 6026 §7.1.
//!
//! The user of the transaction repeats its own 2xx until the ACK comes; this machine only repeats failures.

use std::time::Duration;

use smallvec::smallvec;

use super::{Action, Actions, Resend, StatusClass, T2, T4, TRANSACTION_TIMEOUT, nearer};
use crate::types::Time;

/// What may happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteServerInput {
    /// The same INVITE again.
    Request,
    /// An ACK of the same branch: for a failure.
    Ack,
    /// The user answers; the owner keeps the bytes that `SendResponse` means.
    Respond(StatusClass),
    /// `next_deadline` has come.
    Deadline,
    /// A response could not be put on the wire.
    TransportError,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Proceeding {
        has_answered: bool,
    },
    /// `resend` is timer G, `until` timer H.
    Completed {
        resend: Option<Resend>,
        until: Time,
    },
    /// Absorbs repeated ACKs until timer I.
    Confirmed {
        until: Time,
    },
    /// Absorbs repeated INVITEs until timer L.
    Accepted {
        until: Time,
    },
    Terminated,
}

/// One INVITE that we received.
#[derive(Clone, Debug)]
pub struct InviteServer {
    is_reliable: bool,
    state: State,
}

impl InviteServer {
    pub fn new(is_reliable: bool) -> InviteServer {
        InviteServer { is_reliable, state: State::Proceeding { has_answered: false } }
    }

    pub fn handle(&mut self, now: Time, input: InviteServerInput) -> Actions {
        match input {
            InviteServerInput::Request => self.request(),
            InviteServerInput::Ack => self.ack(now),
            InviteServerInput::Respond(class) => self.respond(now, class),
            InviteServerInput::Deadline => self.deadline(now),
            InviteServerInput::TransportError => smallvec![],
        }
    }

    pub fn next_deadline(&self) -> Option<Time> {
        match self.state {
            State::Completed { resend, until } => nearer(resend.map(|resend| resend.at), Some(until)),
            State::Confirmed { until } | State::Accepted { until } => Some(until),
            State::Proceeding { .. } | State::Terminated => None,
        }
    }

    /// Whether no final answer was given yet.
    pub fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }

    fn request(&self) -> Actions {
        match self.state {
            State::Proceeding { has_answered: true } | State::Completed { .. } => smallvec![Action::SendResponse],
            State::Proceeding { has_answered: false } | State::Confirmed { .. } | State::Accepted { .. } | State::Terminated => {
                smallvec![]
            }
        }
    }

    fn ack(&mut self, now: Time) -> Actions {
        match self.state {
            State::Completed { .. } => {
                let wait = if self.is_reliable { Duration::ZERO } else { T4 };
                self.state = State::Confirmed { until: now + wait };
                smallvec![]
            }
            // RFC 6026 §7.1: an ACK to a 2xx that carries the INVITE's branch is the user's.
            State::Accepted { .. } => smallvec![Action::Deliver],
            State::Proceeding { .. } | State::Confirmed { .. } | State::Terminated => smallvec![],
        }
    }

    fn respond(&mut self, now: Time, class: StatusClass) -> Actions {
        match (self.state, class) {
            (State::Proceeding { .. }, StatusClass::Provisional) => {
                self.state = State::Proceeding { has_answered: true };
                smallvec![Action::SendResponse]
            }
            (State::Proceeding { .. }, StatusClass::Success) => {
                self.state = State::Accepted { until: now + TRANSACTION_TIMEOUT };
                smallvec![Action::SendResponse]
            }
            (State::Proceeding { .. }, StatusClass::Failure) => {
                let resend = Resend::unless_reliable(now, self.is_reliable);
                self.state = State::Completed { resend, until: now + TRANSACTION_TIMEOUT };
                smallvec![Action::SendResponse]
            }
            (State::Accepted { .. }, StatusClass::Success) => smallvec![Action::SendResponse],
            (State::Accepted { .. }, _) | (State::Completed { .. } | State::Confirmed { .. } | State::Terminated, _) => {
                smallvec![]
            }
        }
    }

    fn deadline(&mut self, now: Time) -> Actions {
        match self.state {
            State::Completed { until, .. } if until <= now => {
                // No ACK ever came; the failure was final all the same, so only the machine ends.
                self.state = State::Terminated;
                smallvec![Action::TimedOut, Action::Terminated]
            }
            State::Completed { resend: Some(resend), until } if resend.at <= now => {
                self.state = State::Completed { resend: Some(resend.again(now, T2)), until };
                smallvec![Action::SendResponse]
            }
            State::Confirmed { until } | State::Accepted { until } if until <= now => {
                self.state = State::Terminated;
                smallvec![Action::Terminated]
            }
            _ => smallvec![],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UDP: bool = false;
    const TCP: bool = true;

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn answer(machine: &mut InviteServer, now: Time, status: u16) -> Vec<Action> {
        machine.handle(now, InviteServerInput::Respond(StatusClass::of(status))).to_vec()
    }

    fn expire(machine: &mut InviteServer) -> (u64, Vec<Action>) {
        let now = machine.next_deadline().expect("a timer runs");
        (now.as_millis(), machine.handle(now, InviteServerInput::Deadline).to_vec())
    }

    #[test]
    fn a_repeated_invite_is_answered_with_the_last_provisional_response() {
        let mut machine = InviteServer::new(UDP);
        assert!(machine.handle(at(0), InviteServerInput::Request).is_empty());
        assert_eq!(answer(&mut machine, at(1), 100), [Action::SendResponse]);
        assert_eq!(machine.handle(at(500), InviteServerInput::Request).to_vec(), [Action::SendResponse]);
        assert_eq!(machine.next_deadline(), None);
        assert!(machine.is_proceeding());
    }

    #[test]
    fn timer_g_repeats_a_failure_up_to_t2_until_timer_h() {
        let mut machine = InviteServer::new(UDP);
        assert_eq!(answer(&mut machine, at(0), 486), [Action::SendResponse]);
        for expected in [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500] {
            assert_eq!(expire(&mut machine), (expected, vec![Action::SendResponse]));
        }
        assert_eq!(expire(&mut machine), (32_000, vec![Action::TimedOut, Action::Terminated]));
    }

    #[test]
    fn over_tcp_a_failure_is_not_repeated_by_time_but_by_request() {
        let mut machine = InviteServer::new(TCP);
        answer(&mut machine, at(0), 486);
        assert_eq!(machine.handle(at(10), InviteServerInput::Request).to_vec(), [Action::SendResponse]);
        assert_eq!(expire(&mut machine), (32_000, vec![Action::TimedOut, Action::Terminated]));
    }

    #[test]
    fn the_ack_of_a_failure_confirms_it_and_timer_i_absorbs_its_copies() {
        let mut machine = InviteServer::new(UDP);
        answer(&mut machine, at(0), 486);
        assert!(machine.handle(at(100), InviteServerInput::Ack).is_empty());
        assert!(machine.handle(at(200), InviteServerInput::Ack).is_empty());
        assert!(machine.handle(at(200), InviteServerInput::Request).is_empty());
        assert_eq!(expire(&mut machine), (5_100, vec![Action::Terminated]));
    }

    #[test]
    fn timer_i_is_zero_over_tcp() {
        let mut machine = InviteServer::new(TCP);
        answer(&mut machine, at(0), 486);
        machine.handle(at(100), InviteServerInput::Ack);
        assert_eq!(expire(&mut machine), (100, vec![Action::Terminated]));
    }

    #[test]
    fn after_a_2xx_repeated_invites_are_absorbed_and_the_user_may_repeat_the_2xx_until_timer_l() {
        for is_reliable in [UDP, TCP] {
            let mut machine = InviteServer::new(is_reliable);
            assert_eq!(answer(&mut machine, at(0), 200), [Action::SendResponse]);
            assert!(machine.handle(at(100), InviteServerInput::Request).is_empty());
            assert_eq!(answer(&mut machine, at(500), 200), [Action::SendResponse]);
            assert_eq!(answer(&mut machine, at(500), 486), []);
            assert_eq!(machine.handle(at(600), InviteServerInput::Ack).to_vec(), [Action::Deliver]);
            assert_eq!(expire(&mut machine), (32_000, vec![Action::Terminated]));
        }
    }

    #[test]
    fn a_second_final_answer_is_ignored_after_a_failure() {
        let mut machine = InviteServer::new(UDP);
        answer(&mut machine, at(0), 487);
        assert_eq!(answer(&mut machine, at(1), 200), []);
        assert_eq!(answer(&mut machine, at(1), 180), []);
        assert!(!machine.is_proceeding());
    }

    #[test]
    fn an_ack_before_any_answer_is_ignored() {
        let mut machine = InviteServer::new(UDP);
        assert!(machine.handle(at(0), InviteServerInput::Ack).is_empty());
        assert!(machine.is_proceeding());
    }

    #[test]
    fn a_transport_error_leaves_the_repeats_to_the_timers() {
        let mut machine = InviteServer::new(UDP);
        answer(&mut machine, at(0), 486);
        assert!(machine.handle(at(1), InviteServerInput::TransportError).is_empty());
        assert_eq!(expire(&mut machine), (500, vec![Action::SendResponse]));
    }
}
