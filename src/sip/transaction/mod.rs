//! The four transaction machines of RFC 3261 §17 as RFC 6026 mends them, one file each. A machine knows states,
//! timers and the bytes it may have to send again; it knows no message grammar, no dialog and no transport address.
//! The endpoint owns the machines, finds the one a message belongs to, and carries out what it answers.
//!
//! ```text
//! INVITE client      Calling ─1xx→ Proceeding ─2xx→ Accepted ─M→ Terminated
//!                       └────────── 3xx-6xx ──────→ Completed ─D→ Terminated
//! INVITE server      Proceeding ─2xx→ Accepted ─L→ Terminated
//!                       └─3xx-6xx→ Completed ─ACK→ Confirmed ─I→ Terminated
//! non-INVITE client  Trying ─1xx→ Proceeding ─final→ Completed ─K→ Terminated
//! non-INVITE server  Trying ─1xx→ Proceeding ─final→ Completed ─J→ Terminated
//! ```

mod invite_client;
mod invite_server;
mod non_invite_client;
mod non_invite_server;

use std::time::Duration;

use smallvec::SmallVec;

pub use invite_client::{InviteClient, InviteClientInput};
pub use invite_server::{InviteServer, InviteServerInput};
pub use non_invite_client::{NonInviteClient, NonInviteClientInput};
pub use non_invite_server::{NonInviteServer, NonInviteServerInput};

use crate::types::Time;

/// RTT estimate.
pub const T1: Duration = Duration::from_millis(500);
/// Longest interval between retransmissions of a non-INVITE request or an INVITE response.
pub const T2: Duration = Duration::from_secs(4);
/// Longest time a message stays in the network.
pub const T4: Duration = Duration::from_secs(5);
/// 64*T1: timers B, F, H, J, L and M, and D on an unreliable transport ("at least 32 s").
pub const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(32);

/// What the status code of a response does to a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatusClass {
    Provisional,
    Success,
    Failure,
}

impl StatusClass {
    pub const fn of(status: u16) -> StatusClass {
        match status {
            0..=199 => StatusClass::Provisional,
            200..=299 => StatusClass::Success,
            _ => StatusClass::Failure,
        }
    }
}

/// What a machine asks its owner to do, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Put the request on the wire, first time or again (client machines).
    SendRequest,
    /// Put the last response on the wire, first time or again (server machines).
    SendResponse,
    /// Acknowledge the final failure at hand (INVITE client only).
    SendAck,
    /// Give the message at hand to the user of the transaction.
    Deliver,
    /// Tell the user that nothing came back in time (RFC 3261 §8.1.3.1: as if 408).
    TimedOut,
    /// Tell the user that the request could not be sent (as if 503).
    TransportFailed,
    /// The machine is finished and may be forgotten.
    Terminated,
}

/// At most three actions follow one input.
pub type Actions = SmallVec<[Action; 3]>;

/// `interval` doubled, but at most `cap`.
fn doubled(interval: Duration, cap: Duration) -> Duration {
    (interval * 2).min(cap)
}

/// The nearer of two deadlines, either of which may be absent.
fn nearer(a: Option<Time>, b: Option<Time>) -> Option<Time> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// A retransmission timer: fires after `interval`, then after twice that, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Resend {
    at: Time,
    interval: Duration,
}

impl Resend {
    fn starting(now: Time) -> Resend {
        Resend { at: now + T1, interval: T1 }
    }

    /// `None` on a transport that repeats by itself.
    fn unless_reliable(now: Time, is_reliable: bool) -> Option<Resend> {
        (!is_reliable).then(|| Resend::starting(now))
    }

    fn again(self, now: Time, cap: Duration) -> Resend {
        let interval = doubled(self.interval, cap);
        Resend { at: now + interval, interval }
    }
}
