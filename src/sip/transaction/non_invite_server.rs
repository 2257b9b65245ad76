//! The non-INVITE server transaction: RFC 3261 §17.2.2.

use std::time::Duration;

use smallvec::smallvec;

use super::{Action, Actions, StatusClass, TRANSACTION_TIMEOUT};
use crate::types::Time;

/// What may happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonInviteServerInput {
    /// The same request again.
    Request,
    /// The user answers; the owner keeps the bytes that `SendResponse` means.
    Respond(StatusClass),
    /// `next_deadline` has come.
    Deadline,
    /// A response could not be put on the wire.
    TransportError,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Trying,
    Proceeding,
    /// Answers repeated requests until timer J.
    Completed {
        until: Time,
    },
    Terminated,
}

/// One request that is neither INVITE nor ACK and that we received.
#[derive(Clone, Debug)]
pub struct NonInviteServer {
    is_reliable: bool,
    state: State,
}

impl NonInviteServer {
    pub fn new(is_reliable: bool) -> NonInviteServer {
        NonInviteServer { is_reliable, state: State::Trying }
    }

    pub fn handle(&mut self, now: Time, input: NonInviteServerInput) -> Actions {
        match input {
            NonInviteServerInput::Request => self.request(),
            NonInviteServerInput::Respond(class) => self.respond(now, class),
            NonInviteServerInput::Deadline => self.deadline(now),
            NonInviteServerInput::TransportError => self.transport_error(),
        }
    }

    pub fn next_deadline(&self) -> Option<Time> {
        match self.state {
            State::Completed { until } => Some(until),
            State::Trying | State::Proceeding | State::Terminated => None,
        }
    }

    fn request(&self) -> Actions {
        match self.state {
            State::Proceeding | State::Completed { .. } => smallvec![Action::SendResponse],
            State::Trying | State::Terminated => smallvec![],
        }
    }

    fn respond(&mut self, now: Time, class: StatusClass) -> Actions {
        match (self.state, class) {
            (State::Trying | State::Proceeding, StatusClass::Provisional) => {
                self.state = State::Proceeding;
                smallvec![Action::SendResponse]
            }
            (State::Trying | State::Proceeding, StatusClass::Success | StatusClass::Failure) => {
                let wait = if self.is_reliable { Duration::ZERO } else { TRANSACTION_TIMEOUT };
                self.state = State::Completed { until: now + wait };
                smallvec![Action::SendResponse]
            }
            (State::Completed { .. } | State::Terminated, _) => smallvec![],
        }
    }

    fn deadline(&mut self, now: Time) -> Actions {
        match self.state {
            State::Completed { until } if until <= now => {
                self.state = State::Terminated;
                smallvec![Action::Terminated]
            }
            _ => smallvec![],
        }
    }

    fn transport_error(&mut self) -> Actions {
        match self.state {
            State::Proceeding | State::Completed { .. } => {
                self.state = State::Terminated;
                smallvec![Action::TransportFailed, Action::Terminated]
            }
            State::Trying | State::Terminated => smallvec![],
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

    fn answer(machine: &mut NonInviteServer, now: Time, status: u16) -> Vec<Action> {
        machine.handle(now, NonInviteServerInput::Respond(StatusClass::of(status))).to_vec()
    }

    fn repeat(machine: &mut NonInviteServer, now: Time) -> Vec<Action> {
        machine.handle(now, NonInviteServerInput::Request).to_vec()
    }

    #[test]
    fn a_repeated_request_is_ignored_until_something_was_answered() {
        let mut machine = NonInviteServer::new(UDP);
        assert_eq!(repeat(&mut machine, at(0)), []);
        assert_eq!(answer(&mut machine, at(1), 100), [Action::SendResponse]);
        assert_eq!(repeat(&mut machine, at(2)), [Action::SendResponse]);
        assert_eq!(machine.next_deadline(), None);
    }

    #[test]
    fn a_final_answer_is_repeated_on_request_until_timer_j() {
        let mut machine = NonInviteServer::new(UDP);
        assert_eq!(answer(&mut machine, at(0), 200), [Action::SendResponse]);
        assert_eq!(repeat(&mut machine, at(500)), [Action::SendResponse]);
        assert_eq!(answer(&mut machine, at(600), 500), []);
        assert_eq!(machine.next_deadline(), Some(at(32_000)));
        assert_eq!(machine.handle(at(32_000), NonInviteServerInput::Deadline).to_vec(), [Action::Terminated]);
        assert_eq!(repeat(&mut machine, at(32_001)), []);
    }

    #[test]
    fn timer_j_is_zero_over_tcp() {
        let mut machine = NonInviteServer::new(TCP);
        answer(&mut machine, at(7), 404);
        assert_eq!(machine.next_deadline(), Some(at(7)));
        assert_eq!(machine.handle(at(7), NonInviteServerInput::Deadline).to_vec(), [Action::Terminated]);
    }

    #[test]
    fn a_transport_error_ends_it_once_an_answer_was_tried() {
        let mut machine = NonInviteServer::new(UDP);
        assert!(machine.handle(at(0), NonInviteServerInput::TransportError).is_empty());
        answer(&mut machine, at(1), 200);
        let actions = machine.handle(at(2), NonInviteServerInput::TransportError);
        assert_eq!(actions.to_vec(), [Action::TransportFailed, Action::Terminated]);
    }
}
