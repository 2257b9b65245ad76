//! What the endpoint has to say, in order. Emptied by `Endpoint::poll` after every call, so it stays as long as the
//! consequences of one input.

use std::collections::VecDeque;

use bytes::Bytes;

use super::api::{Event, Output};
use crate::sip::wire::Flow;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: VecDeque<Output>,
}

impl Outbox {
    pub(super) fn send(&mut self, to: Flow, bytes: Bytes) {
        self.queue.push_back(Output::Send { to, bytes });
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.queue.push_back(Output::Event(event));
    }

    pub(super) fn pop(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }
}
