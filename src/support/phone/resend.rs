//! Sending again until it is answered (RFC 3261 §17.1, §13.3.1.4): requests of ours, and final answers to an INVITE that
//! wait for their ACK. Over TCP nothing is sent twice, only the time-out counts.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::sip::wire::Flow;

const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
const GIVE_UP: Duration = Duration::from_secs(32);

/// A message on its way.
#[derive(Clone, Debug)]
pub(super) struct Resend {
    pub(super) bytes: Bytes,
    pub(super) to: Flow,
    interval: Duration,
    next: Option<Instant>,
    pub(super) given_up: Instant,
}

impl Resend {
    pub(super) fn new(now: Instant, bytes: Bytes, to: Flow) -> Resend {
        let next = (!to.transport.is_reliable()).then(|| now + T1);
        Resend { bytes, to, interval: T1, next, given_up: now + GIVE_UP }
    }

    /// A provisional answer came: no need to send again, and no hurry.
    pub(super) fn stop(&mut self) {
        self.next = None;
        // As long as a phone may ring.
        self.given_up += GIVE_UP * 10;
    }

    pub(super) fn deadline(&self) -> Instant {
        self.next.unwrap_or(self.given_up).min(self.given_up)
    }

    /// Whether it is to be sent again now.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.next.is_some_and(|next| next <= now);
        if is_due {
            self.interval = (self.interval * 2).min(T2);
            self.next = Some(now + self.interval);
        }
        is_due
    }
}
