//! The INVITE client transaction: RFC 3261 §17.1.1 with the Accepted state of RFC 6026 §7.2.

use std::time::Duration;

use smallvec::smallvec;

use super::{Action, Actions, Resend, StatusClass, TRANSACTION_TIMEOUT, nearer};
use crate::types::Time;

/// What may happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteClientInput {
    /// A response that matches the transaction.
    Response(StatusClass),
    /// `next_deadline` has come.
    Deadline,
    /// The request could not be put on the wire.
    TransportError,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// `resend` is timer A, `until` timer B.
    Calling {
        resend: Option<Resend>,
        until: Time,
    },
    /// Only a response leads out: how long a phone may ring is the user's business.
    Proceeding,
    /// Absorbs repeated failures until timer D.
    Completed {
        until: Time,
    },
    /// Passes every 2xx up until timer M.
    Accepted {
        until: Time,
    },
    Terminated,
}

/// One INVITE that we sent. The owner has put the request on the wire once when it makes this.
#[derive(Clone, Debug)]
pub struct InviteClient {
    is_reliable: bool,
    state: State,
}

impl InviteClient {
    pub fn new(now: Time, is_reliable: bool) -> InviteClient {
        let resend = Resend::unless_reliable(now, is_reliable);
        InviteClient { is_reliable, state: State::Calling { resend, until: now + TRANSACTION_TIMEOUT } }
    }

    pub fn handle(&mut self, now: Time, input: InviteClientInput) -> Actions {
        match input {
            InviteClientInput::Response(StatusClass::Provisional) => self.provisional(),
            InviteClientInput::Response(StatusClass::Success) => self.success(now),
            InviteClientInput::Response(StatusClass::Failure) => self.failure(now),
            InviteClientInput::Deadline => self.deadline(now),
            InviteClientInput::TransportError => self.transport_error(),
        }
    }

    pub fn next_deadline(&self) -> Option<Time> {
        match self.state {
            State::Calling { resend, until } => nearer(resend.map(|resend| resend.at), Some(until)),
            State::Completed { until } | State::Accepted { until } => Some(until),
            State::Proceeding | State::Terminated => None,
        }
    }

    /// Whether a provisional response came and no final one: the only time when a CANCEL may leave (§9.1).
    pub fn is_proceeding(&self) -> bool {
        self.state == State::Proceeding
    }

    /// Whether no response came yet.
    pub fn is_calling(&self) -> bool {
        matches!(self.state, State::Calling { .. })
    }

    fn provisional(&mut self) -> Actions {
        match self.state {
            State::Calling { .. } | State::Proceeding => {
                self.state = State::Proceeding;
                smallvec![Action::Deliver]
            }
            State::Completed { .. } | State::Accepted { .. } | State::Terminated => smallvec![],
        }
    }

    fn success(&mut self, now: Time) -> Actions {
        match self.state {
            State::Calling { .. } | State::Proceeding => {
                self.state = State::Accepted { until: now + TRANSACTION_TIMEOUT };
                smallvec![Action::Deliver]
            }
            // The user acknowledges each of them; another branch of a fork may be among them.
            State::Accepted { .. } => smallvec![Action::Deliver],
            State::Completed { .. } | State::Terminated => smallvec![],
        }
    }

    fn failure(&mut self, now: Time) -> Actions {
        match self.state {
            State::Calling { .. } | State::Proceeding => {
                let wait = if self.is_reliable { Duration::ZERO } else { TRANSACTION_TIMEOUT };
                self.state = State::Completed { until: now + wait };
                smallvec![Action::SendAck, Action::Deliver]
            }
            State::Completed { .. } => smallvec![Action::SendAck],
            State::Accepted { .. } | State::Terminated => smallvec![],
        }
    }

    fn deadline(&mut self, now: Time) -> Actions {
        match self.state {
            State::Calling { until, .. } if until <= now => {
                self.state = State::Terminated;
                smallvec![Action::TimedOut, Action::Terminated]
            }
            State::Calling { resend: Some(resend), until } if resend.at <= now => {
                // Timer A has no cap but B.
                self.state = State::Calling { resend: Some(resend.again(now, TRANSACTION_TIMEOUT)), until };
                smallvec![Action::SendRequest]
            }
            State::Completed { until } | State::Accepted { until } if until <= now => {
                self.state = State::Terminated;
                smallvec![Action::Terminated]
            }
            _ => smallvec![],
        }
    }

    fn transport_error(&mut self) -> Actions {
        match self.state {
            State::Calling { .. } => {
                self.state = State::Terminated;
                smallvec![Action::TransportFailed, Action::Terminated]
            }
            // An ACK was lost, or the peer's socket is gone while it rings: its response or the user's timer decides.
            State::Proceeding | State::Completed { .. } | State::Accepted { .. } | State::Terminated => smallvec![],
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

    fn respond(machine: &mut InviteClient, now: Time, status: u16) -> Vec<Action> {
        machine.handle(now, InviteClientInput::Response(StatusClass::of(status))).to_vec()
    }

    fn expire(machine: &mut InviteClient) -> (u64, Vec<Action>) {
        let now = machine.next_deadline().expect("a timer runs");
        (now.as_millis(), machine.handle(now, InviteClientInput::Deadline).to_vec())
    }

    #[test]
    fn timer_a_doubles_until_timer_b_ends_it() {
        let mut machine = InviteClient::new(at(0), UDP);
        for expected in [500, 1500, 3500, 7500, 15500, 31500] {
            assert_eq!(expire(&mut machine), (expected, vec![Action::SendRequest]));
        }
        assert_eq!(expire(&mut machine), (32_000, vec![Action::TimedOut, Action::Terminated]));
        assert_eq!(machine.next_deadline(), None);
    }

    #[test]
    fn over_tcp_only_timer_b_runs() {
        let mut machine = InviteClient::new(at(0), TCP);
        assert_eq!(expire(&mut machine), (32_000, vec![Action::TimedOut, Action::Terminated]));
    }

    #[test]
    fn a_provisional_response_stops_both_timers() {
        let mut machine = InviteClient::new(at(0), UDP);
        assert_eq!(respond(&mut machine, at(100), 100), [Action::Deliver]);
        assert_eq!(machine.next_deadline(), None);
        assert!(machine.is_proceeding());
        assert_eq!(respond(&mut machine, at(200), 180), [Action::Deliver]);
    }

    #[test]
    fn a_failure_is_acknowledged_and_delivered_once_and_acknowledged_again_until_timer_d() {
        let mut machine = InviteClient::new(at(0), UDP);
        assert_eq!(respond(&mut machine, at(100), 486), [Action::SendAck, Action::Deliver]);
        assert_eq!(respond(&mut machine, at(600), 486), [Action::SendAck]);
        assert_eq!(respond(&mut machine, at(700), 180), []);
        assert_eq!(respond(&mut machine, at(700), 200), []);
        assert_eq!(expire(&mut machine), (32_100, vec![Action::Terminated]));
        assert_eq!(respond(&mut machine, at(33_000), 486), []);
    }

    #[test]
    fn timer_d_is_zero_over_tcp() {
        let mut machine = InviteClient::new(at(0), TCP);
        assert_eq!(respond(&mut machine, at(100), 486), [Action::SendAck, Action::Deliver]);
        assert_eq!(expire(&mut machine), (100, vec![Action::Terminated]));
    }

    #[test]
    fn every_2xx_is_delivered_until_timer_m_even_over_tcp() {
        for is_reliable in [UDP, TCP] {
            let mut machine = InviteClient::new(at(0), is_reliable);
            assert_eq!(respond(&mut machine, at(50), 180), [Action::Deliver]);
            assert_eq!(respond(&mut machine, at(100), 200), [Action::Deliver]);
            assert_eq!(respond(&mut machine, at(600), 200), [Action::Deliver]);
            assert_eq!(respond(&mut machine, at(700), 486), []);
            assert_eq!(respond(&mut machine, at(700), 183), []);
            assert_eq!(expire(&mut machine), (32_100, vec![Action::Terminated]));
        }
    }

    #[test]
    fn a_transport_error_ends_it_only_while_no_response_came() {
        let mut machine = InviteClient::new(at(0), UDP);
        assert_eq!(
            machine.handle(at(1), InviteClientInput::TransportError).to_vec(),
            [Action::TransportFailed, Action::Terminated]
        );
        let mut machine = InviteClient::new(at(0), UDP);
        respond(&mut machine, at(1), 180);
        assert!(machine.handle(at(2), InviteClientInput::TransportError).is_empty());
        respond(&mut machine, at(3), 603);
        assert!(machine.handle(at(4), InviteClientInput::TransportError).is_empty());
    }

    #[test]
    fn a_deadline_that_came_too_early_does_nothing() {
        let mut machine = InviteClient::new(at(0), UDP);
        assert!(machine.handle(at(499), InviteClientInput::Deadline).is_empty());
        assert!(machine.is_calling());
    }
}
