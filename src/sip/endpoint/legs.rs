//! Legs and the INVITEs that look for them, as data: what each state holds, and when it wants to be woken. The rules are
//! in `inbound`, `outbound` and `session`.
//!
//! ```text
//! inbound   Ringing ──Answer──→ Talking ──Bye──→ gone
//!              └─Reject, Cancelled──→ gone
//! outbound  Dialing ──2xx──→ Talking ──Bye──→ gone
//!              └─every branch failed, Cancel──→ gone
//! ```

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::api::{Body, Failure, Offered};
use super::incoming::Incoming;
use super::timers::Alarm;
use super::transactions::{BranchId, TransactionId};
use crate::sip::auth::Credentials;
use crate::sip::dialog::Dialog;
use crate::sip::registrar::Phone;
use crate::sip::transaction::{T1, T2, TRANSACTION_TIMEOUT};
use crate::sip::wire::{Flow, Headers, Response, Text};
use crate::types::{LegId, Time};

/// How requests in a dialog find the peer.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    /// The last way something came from the peer.
    pub(super) flow: Flow,
    /// A registered phone: always by `flow`, through its NAT, whatever its Contact says.
    pub(super) is_phone: bool,
    /// Set for browsers: who it is, should it come back by another connection.
    pub(super) browser: Option<Arc<Phone>>,
}

impl Reach {
    /// By this flow and no other.
    pub(super) fn by(flow: Flow) -> Reach {
        Reach { flow, is_phone: true, browser: None }
    }
}

#[derive(Debug)]
pub(super) struct Leg {
    pub(super) reach: Reach,
    /// For challenges to our requests.
    pub(super) credentials: Option<Box<Credentials>>,
    /// Answered digest challenges of the running request; more than two in a row are a refusal.
    pub(super) state: State,
    pub(super) alarm: Alarm,
}

#[derive(Debug)]
pub(super) enum State {
    Ringing(Box<Ringing>),
    Dialing(Dialing),
    Talking(Box<Session>),
}

/// An inbound leg without a final answer.
#[derive(Debug)]
pub(super) struct Ringing {
    pub(super) transaction: TransactionId,
    pub(super) dialog: Dialog,
    /// The last provisional response above 100 and when it is sent again, so that no proxy on the way gives up
    /// (RFC 3261 §13.3.1.1).
    pub(super) progress: Option<(Response, Time)>,
    /// The caller's Expires header (§13.3.1).
    pub(super) expires_at: Option<Time>,
}

/// A leg that we dial, until one of its branches answers or all have failed.
#[derive(Debug)]
pub(super) struct Dialing {
    pub(super) branches: Vec<BranchId>,
    /// The most telling failure so far.
    pub(super) failure: Option<Failure>,
}

/// An answered leg.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) dialog: Dialog,
    /// A 2xx of ours that waits for its ACK.
    pub(super) unacked: Option<Unacked>,
    /// An offer of theirs in a 2xx that waits for the engine's answer.
    pub(super) ack_due: Option<AckDue>,
    /// Their re-INVITE that waits for the engine's answer.
    pub(super) asked: Option<TransactionId>,
    /// Our re-INVITE.
    pub(super) asking: Option<Asking>,
    /// A re-INVITE of ours that must wait until theirs is through (§14.1).
    pub(super) wanted: Option<Option<Body>>,
    /// Whether we made the Call-ID: decides who waits longer after a glare.
    pub(super) is_caller: bool,
    /// The engine has hung up, but the BYE must wait for the ACK (§15). The leg is nobody's any more.
    pub(super) hang_up: Option<HangUp>,
}

#[derive(Clone, Debug)]
pub(super) struct HangUp {
    pub(super) reason: Option<Text>,
}

/// RFC 3261 §13.3.1.4: the 2xx is sent again, over any transport, until its ACK comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unacked {
    pub(super) transaction: TransactionId,
    pub(super) cseq: u32,
    resend_at: Time,
    interval: Duration,
    pub(super) give_up_at: Time,
}

/// What the ACK will need.
#[derive(Clone, Debug)]
pub(super) struct AckDue {
    pub(super) transaction: TransactionId,
    pub(super) cseq: u32,
    /// Credentials that the INVITE carried; its ACK carries them too (§22.1).
    pub(super) credentials: Headers,
}

#[derive(Clone, Debug)]
pub(super) struct Asking {
    pub(super) body: Option<Body>,
    pub(super) step: AskingStep,
    pub(super) challenges: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AskingStep {
    /// Sent; the peer has until then for a final answer.
    Sent { transaction: TransactionId, give_up_at: Time },
    /// Both asked at once (491): again at that time (§14.1).
    Glare { again_at: Time },
}

/// One INVITE on its way to one phone.
#[derive(Debug)]
pub(super) struct Branch {
    /// `None`: nobody waits for it any more; it lives on only to be cancelled in good order.
    pub(super) leg: Option<LegId>,
    pub(super) fork: u16,
    pub(super) transaction: TransactionId,
    pub(super) is_phone: bool,
    pub(super) browser: Option<Arc<Phone>>,
    pub(super) offered: Offered,
    /// For a phone that refuses what it was offered.
    pub(super) fallback: Option<Body>,
    pub(super) credentials: Option<Box<Credentials>>,
    /// Answered digest challenges.
    pub(super) challenges: u8,
    pub(super) cancel: Cancel,
    pub(super) alarm: Alarm,
    /// The longest ringing (timer C), or 64*T1 after the CANCEL.
    pub(super) give_up_at: Option<Time>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cancel {
    No,
    /// As soon as a provisional response comes (§9.1).
    Wanted(Option<Text>),
    Sent,
}

/// Whose timer rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Waker {
    Leg(LegId),
    Branch(BranchId),
}

/// All legs, and which dialog is whose.
#[derive(Debug, Default)]
pub(super) struct Legs {
    table: HashMap<LegId, Leg>,
    /// Our tags are unique, so they name the dialog; its other parts are compared after.
    by_tag: HashMap<Text, LegId>,
}

impl Legs {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn contains(&self, id: LegId) -> bool {
        self.table.contains_key(&id)
    }

    pub(super) fn get(&self, id: LegId) -> Option<&Leg> {
        self.table.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: LegId) -> Option<&mut Leg> {
        self.table.get_mut(&id)
    }

    pub(super) fn insert(&mut self, id: LegId, leg: Leg) {
        if let Some(dialog) = leg.dialog() {
            self.by_tag.insert(Text::from(dialog.local_tag()), id);
        }
        self.table.insert(id, leg);
    }

    /// An outbound leg has got its dialog.
    pub(super) fn establish(&mut self, id: LegId, reach: Reach, session: Session) {
        if let Some(leg) = self.table.get_mut(&id) {
            self.by_tag.insert(Text::from(session.dialog.local_tag()), id);
            leg.reach = reach;
            leg.state = State::Talking(Box::new(session));
        }
    }

    pub(super) fn remove(&mut self, id: LegId) -> Option<Leg> {
        let leg = self.table.remove(&id)?;
        if let Some(dialog) = leg.dialog() {
            self.by_tag.remove(dialog.local_tag());
        }
        Some(leg)
    }

    /// The leg whose dialog a request of the peer belongs to.
    pub(super) fn of_request(&self, incoming: &Incoming) -> Option<LegId> {
        let to_tag = incoming.to_tag.as_deref()?;
        let id = *self.by_tag.get(to_tag)?;
        let dialog = self.table.get(&id)?.dialog()?;
        dialog.is_peers(&incoming.call_id, incoming.from_tag.as_deref().unwrap_or(""), to_tag).then_some(id)
    }

    /// The leg whose dialog an answer to our INVITE has made already.
    pub(super) fn of_answer(&self, headers: &Headers) -> Option<LegId> {
        let id = *self.by_tag.get(headers.from_tag()?.as_str())?;
        let dialog = self.table.get(&id)?.dialog()?;
        (dialog.remote_tag() == headers.to_tag().as_deref().unwrap_or("")).then_some(id)
    }
}

impl Leg {
    pub(super) fn dialog(&self) -> Option<&Dialog> {
        match &self.state {
            State::Ringing(ringing) => Some(&ringing.dialog),
            State::Talking(session) => Some(&session.dialog),
            State::Dialing(_) => None,
        }
    }

    pub(super) fn session(&self) -> Option<&Session> {
        match &self.state {
            State::Talking(session) => Some(session),
            State::Ringing(_) | State::Dialing(_) => None,
        }
    }

    pub(super) fn session_mut(&mut self) -> Option<&mut Session> {
        match &mut self.state {
            State::Talking(session) => Some(session),
            State::Ringing(_) | State::Dialing(_) => None,
        }
    }

    /// Whether the engine still holds it.
    pub(super) fn is_owned(&self) -> bool {
        self.session().is_none_or(|session| session.hang_up.is_none())
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        match &self.state {
            State::Ringing(ringing) => earliest([ringing.progress.as_ref().map(|(_, at)| *at), ringing.expires_at]),
            State::Dialing(_) => None,
            State::Talking(session) => {
                let unacked = session.unacked.map(|unacked| unacked.resend_at.min(unacked.give_up_at));
                let asking = session.asking.as_ref().map(|asking| match asking.step {
                    AskingStep::Sent { give_up_at, .. } => give_up_at,
                    AskingStep::Glare { again_at } => again_at,
                });
                earliest([unacked, asking])
            }
        }
    }
}

impl Session {
    pub(super) fn new(dialog: Dialog, is_caller: bool) -> Session {
        Session { dialog, unacked: None, ack_due: None, asked: None, asking: None, wanted: None, is_caller, hang_up: None }
    }

    /// Whether an INVITE transaction of the peer is still running, so that ours must wait (§14.1).
    pub(super) fn is_peer_asking(&self) -> bool {
        self.asked.is_some() || self.unacked.is_some()
    }
}

impl Unacked {
    pub(super) fn new(now: Time, transaction: TransactionId, cseq: u32) -> Unacked {
        Unacked { transaction, cseq, resend_at: now + T1, interval: T1, give_up_at: now + TRANSACTION_TIMEOUT }
    }

    /// Whether the 2xx must go again now.
    pub(super) fn resend(&mut self, now: Time) -> bool {
        if self.resend_at > now {
            return false;
        }
        self.interval = (self.interval * 2).min(T2);
        self.resend_at = now + self.interval;
        true
    }
}

fn earliest(times: [Option<Time>; 2]) -> Option<Time> {
    times.into_iter().flatten().min()
}
