//! The non-INVITE client transaction: RFC 3261 §17.1.2 (BYE, CANCEL, OPTIONS, REGISTER and all the rest but ACK).

use std::time::Duration;

use smallvec::smallvec;

use super::{Action, Actions, Resend, StatusClass, T2, T4, TRANSACTION_TIMEOUT, nearer};
use crate::types::Time;

/// What may happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonInviteClientInput {
    /// A response that matches the transaction.
    Response(StatusClass),
    /// `next_deadline` has come.
    Deadline,
    /// The request could not be put on the wire.
    TransportError,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// `resend` is timer E, `until` timer F.
    Trying {
        resend: Option<Resend>,
        until: Time,
    },
    /// Timer E goes on every T2.
    Proceeding {
        resend: Option<Resend>,
        until: Time,
    },
    /// Absorbs repeated final responses until timer K.
    Completed {
        until: Time,
    },
    Terminated,
}

/// One request that is not an INVITE and that we sent. The owner has put it on the wire once when it makes this.
#[derive(Clone, Debug)]
pub struct NonInviteClient {
    is_reliable: bool,
    state: State,
}

impl NonInviteClient {
    pub fn new(now: Time, is_reliable: bool) -> NonInviteClient {
        let resend = Resend::unless_reliable(now, is_reliable);
        NonInviteClient { is_reliable, state: State::Trying { resend, until: now + TRANSACTION_TIMEOUT } }
    }

    pub fn handle(&mut self, now: Time, input: NonInviteClientInput) -> Actions {
        match input {
            NonInviteClientInput::Response(class) => self.response(now, class),
            NonInviteClientInput::Deadline => self.deadline(now),
            NonInviteClientInput::TransportError => self.transport_error(),
        }
    }

    pub fn next_deadline(&self) -> Option<Time> {
        match self.state {
            State::Trying { resend, until } | State::Proceeding { resend, until } => {
                nearer(resend.map(|resend| resend.at), Some(until))
            }
            State::Completed { until } => Some(until),
            State::Terminated => None,
        }
    }

    fn response(&mut self, now: Time, class: StatusClass) -> Actions {
        match (self.state, class) {
            (State::Trying { resend, until } | State::Proceeding { resend, until }, StatusClass::Provisional) => {
                self.state = State::Proceeding { resend, until };
                smallvec![Action::Deliver]
            }
            (State::Trying { .. } | State::Proceeding { .. }, StatusClass::Success | StatusClass::Failure) => {
                let wait = if self.is_reliable { Duration::ZERO } else { T4 };
                self.state = State::Completed { until: now + wait };
                smallvec![Action::Deliver]
            }
            (State::Completed { .. } | State::Terminated, _) => smallvec![],
        }
    }

    fn deadline(&mut self, now: Time) -> Actions {
        match self.state {
            State::Trying { until, .. } | State::Proceeding { until, .. } if until <= now => {
                self.state = State::Terminated;
                smallvec![Action::TimedOut, Action::Terminated]
            }
            State::Trying { resend: Some(resend), until } if resend.at <= now => {
                self.state = State::Trying { resend: Some(resend.again(now, T2)), until };
                smallvec![Action::SendRequest]
            }
            State::Proceeding { resend: Some(resend), until } if resend.at <= now => {
                self.state = State::Proceeding { resend: Some(Resend { at: now + T2, interval: T2 }), until };
                smallvec![Action::SendRequest]
            }
            State::Completed { until } if until <= now => {
                self.state = State::Terminated;
                smallvec![Action::Terminated]
            }
            _ => smallvec![],
        }
    }

    fn transport_error(&mut self) -> Actions {
        match self.state {
            State::Trying { .. } | State::Proceeding { .. } => {
                self.state = State::Terminated;
                smallvec![Action::TransportFailed, Action::Terminated]
            }
            State::Completed { .. } | State::Terminated => smallvec![],
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

    fn respond(machine: &mut NonInviteClient, now: Time, status: u16) -> Vec<Action> {
        machine.handle(now, NonInviteClientInput::Response(StatusClass::of(status))).to_vec()
    }

    fn expire(machine: &mut NonInviteClient) -> (u64, Vec<Action>) {
        let now = machine.next_deadline().expect("a timer runs");
        (now.as_millis(), machine.handle(now, NonInviteClientInput::Deadline).to_vec())
    }

    #[test]
    fn timer_e_doubles_up_to_t2_until_timer_f() {
        let mut machine = NonInviteClient::new(at(0), UDP);
        for expected in [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500] {
            assert_eq!(expire(&mut machine), (expected, vec![Action::SendRequest]));
        }
        assert_eq!(expire(&mut machine), (32_000, vec![Action::TimedOut, Action::Terminated]));
    }

    #[test]
    fn over_tcp_only_timer_f_runs() {
        let mut machine = NonInviteClient::new(at(0), TCP);
        assert_eq!(expire(&mut machine), (32_000, vec![Action::TimedOut, Action::Terminated]));
    }

    #[test]
    fn after_a_provisional_response_timer_e_runs_every_t2_and_timer_f_stays() {
        let mut machine = NonInviteClient::new(at(0), UDP);
        assert_eq!(respond(&mut machine, at(100), 100), [Action::Deliver]);
        for expected in [500, 4500, 8500, 12500, 16500, 20500, 24500, 28500] {
            assert_eq!(expire(&mut machine), (expected, vec![Action::SendRequest]));
        }
        assert_eq!(expire(&mut machine), (32_000, vec![Action::TimedOut, Action::Terminated]));
    }

    #[test]
    fn a_final_response_is_delivered_once_and_its_copies_absorbed_until_timer_k() {
        for status in [200, 481] {
            let mut machine = NonInviteClient::new(at(0), UDP);
            assert_eq!(respond(&mut machine, at(100), status), [Action::Deliver]);
            assert_eq!(respond(&mut machine, at(600), status), []);
            assert_eq!(expire(&mut machine), (5_100, vec![Action::Terminated]));
        }
    }

    #[test]
    fn timer_k_is_zero_over_tcp() {
        let mut machine = NonInviteClient::new(at(0), TCP);
        respond(&mut machine, at(100), 200);
        assert_eq!(expire(&mut machine), (100, vec![Action::Terminated]));
    }

    #[test]
    fn a_transport_error_ends_it_until_a_final_response_came() {
        let mut machine = NonInviteClient::new(at(0), UDP);
        respond(&mut machine, at(1), 100);
        let actions = machine.handle(at(2), NonInviteClientInput::TransportError);
        assert_eq!(actions.to_vec(), [Action::TransportFailed, Action::Terminated]);

        let mut machine = NonInviteClient::new(at(0), UDP);
        respond(&mut machine, at(1), 200);
        assert!(machine.handle(at(2), NonInviteClientInput::TransportError).is_empty());
    }
}
