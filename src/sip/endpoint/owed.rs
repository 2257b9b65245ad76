//! BYEs that could not be said, because the browser's connection was gone when its leg was hung up. Said when it comes
//! back within a minute, so that its page does not show a call that is over.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::Endpoint;
use super::transactions::Owner;
use crate::sip::registrar::Phone;
use crate::sip::wire::Request;
use crate::types::{AgentId, Time};

/// Kept at once; one more pushes out the oldest, whose browser finds out by its dead media.
const MOST: usize = 256;
const KEPT_FOR: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Owed {
    byes: VecDeque<(Time, Arc<Phone>, Request)>,
}

impl Owed {
    pub(super) fn owe(&mut self, now: Time, to: Arc<Phone>, bye: Request) {
        self.byes.retain(|(until, ..)| *until > now);
        if self.byes.len() >= MOST {
            self.byes.pop_front();
        }
        self.byes.push_back((now + KEPT_FOR, to, bye));
    }

    fn take(&mut self, now: Time, user: &AgentId) -> Vec<(Arc<Phone>, Request)> {
        let (due, rest) = std::mem::take(&mut self.byes).into_iter().partition(|(_, phone, _)| phone.user == *user);
        self.byes = rest;
        let due: VecDeque<(Time, Arc<Phone>, Request)> = due;
        due.into_iter().filter(|(until, ..)| *until > now).map(|(_, phone, bye)| (phone, bye)).collect()
    }
}

impl Endpoint {
    /// The user has registered: what its browsers missed is said now, if they are the same.
    pub(super) fn say_what_is_owed(&mut self, now: Time, user: &AgentId) {
        for (phone, bye) in self.owed.take(now, user) {
            match self.registrar.way_back(&phone).filter(|flow| self.is_usable(flow)) {
                Some(flow) => drop(self.send_request(now, bye, flow, Owner::Bye(None))),
                None => self.owed.owe(now, phone, bye),
            }
        }
    }
}
