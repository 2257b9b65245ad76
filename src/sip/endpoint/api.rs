//! What goes into the endpoint and what comes out, besides messages. `engine` speaks this language: legs, not
//! transactions. Every leg ends for its owner exactly once: by one of the events marked *last*, or by a command that
//! ends it (`Reject`, `Cancel`, `Bye`), after which no event names the leg again, whatever its messages still do.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;
use uuid::Uuid;

use super::lent::Loan;
use crate::sip::auth::Credentials;
use crate::sip::wire::{Flow, HeaderName, Host, Request, Response, Status, Text, Transport, Uri};
use crate::types::{AgentId, LegId, TrunkId};

/// What `Endpoint::poll` hands out, in order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Put these bytes on the wire. A flow with a connection: on that one or nowhere. A stream transport without one
    /// (`ConnectionId::NONE`): on any open connection to `remote`, or on a new one.
    Send {
        to: Flow,
        bytes: Bytes,
    },
    Event(Event),
}

/// Who sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    User(AgentId),
    Trunk(TrunkId),
}

/// What `engine` hears. Bodies are handed on as session descriptions when they are one (or hold one part that is).
#[derive(Clone, Debug)]
pub enum Event {
    /// A new leg calls. Answer with `Progress`, `Answer` or `Reject`; 100 has been sent.
    Invite { leg: LegId, origin: Origin, request: Arc<Request>, sdp: Option<Bytes>, flow: Flow },
    /// *Last.* The caller gave up before an answer. `reason` is the Reason header, as written.
    Cancelled { leg: LegId, reason: Option<Text> },
    /// The ACK to our `Answer` came; `sdp` is the caller's answer when ours was the offer.
    Acked { leg: LegId, sdp: Option<Bytes> },
    /// *Last.* No ACK to our answer for 64*T1; the BYE has been sent.
    AckTimeout { leg: LegId },
    /// A leg that we dial rings or speaks early. `fork` tells the phones of one user apart (and a proxy's branches not).
    Progress { leg: LegId, fork: u16, offered: Offered, status: Status, sdp: Option<Bytes> },
    /// A leg that we dial answered; all its other phones have been told to stop. When `needs_ack`, our INVITE had no
    /// offer, `sdp` is theirs, and the answer must go with `Command::Ack` soon; otherwise the ACK has been sent.
    Answered { leg: LegId, fork: u16, offered: Offered, response: Arc<Response>, sdp: Option<Bytes>, needs_ack: bool },
    /// *Last.* A leg that we dial will not answer, or an answered leg's dialog is lost (RFC 5057: 408, 481 and kin).
    Failed { leg: LegId, failure: Failure },
    /// The peer changes or refreshes its session: `AnswerReInvite`. Without `sdp` it asks for our offer.
    ReInvite { leg: LegId, sdp: Option<Bytes> },
    /// Our re-INVITE was accepted; `needs_ack` as in `Answered`.
    ReInviteAnswered { leg: LegId, sdp: Option<Bytes>, needs_ack: bool },
    /// Our re-INVITE was refused; the session is as it was before. (491 is retried before this is told.)
    ReInviteFailed { leg: LegId, status: Status },
    /// The peer took its re-INVITE back before it was answered.
    ReInviteCancelled { leg: LegId },
    /// *Last.* The peer hung up. `reason` is the Reason header, as written.
    Bye { leg: LegId, reason: Option<Text> },
    /// An INFO in the dialog; it has been answered 200.
    InDialog { leg: LegId, request: Arc<Request> },
    /// A phone was added, moved or taken away; `contacts` are left. `phone` and `browser`: where the newest of each kind is.
    Registered { user: AgentId, contacts: usize, phone: Option<SocketAddr>, browser: Option<SocketAddr> },
    /// A browser of the user registered by a connection that is new to it: it opened, was reloaded, or came back.
    BrowserCame { user: AgentId, contact: Uri },
    /// A browser of the user is registered no more, mostly because its connection is gone.
    BrowserGone { user: AgentId, contact: Uri },
    /// The user's last phone is gone: removed, expired or disconnected.
    Unregistered { user: AgentId },
    /// A wrong password or an unknown user.
    AuthenticationFailed { source: IpAddr },
    /// That was one too many, or one challenge too many without an answer: strangers at `source` are refused from now on.
    BanBegan { source: IpAddr },
    /// `source` (an IPv6 source is its whole network) is let in again; `refused` requests were turned away meanwhile.
    BanEnded { source: IpAddr, refused: u64 },
    /// The answer to `Command::Options`; `None` when nothing came or nothing could be sent.
    OptionsAnswered { probe: u64, status: Option<Status> },
}

/// Why a leg failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the peer said, or the status that RFC 3261 §8.1.3.1 gives to what happened (408, 503).
    pub status: Status,
    pub phrase: Text,
    /// The Reason header, as written.
    pub reason: Option<Text>,
    /// Set when no peer said `status`.
    pub local: Option<LocalFailure>,
}

/// A failure that no peer reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LocalFailure {
    /// No final response in time.
    Timeout,
    /// Nothing listens there.
    Refused,
    /// No way there.
    Unreachable,
}

/// Why bytes could not be sent: what `transport` tells `Endpoint::send_failed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SendFailure {
    /// Nothing listens there (ICMP port unreachable, RST).
    Refused,
    /// No way there, or the connection went away or was not made in time.
    Unreachable,
}

/// A message body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    pub content_type: Text,
    pub bytes: Bytes,
}

impl Body {
    pub fn sdp(bytes: impl Into<Bytes>) -> Body {
        Body { content_type: Text::constant("application/sdp"), bytes: bytes.into() }
    }
}

/// A party as our From or To names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    pub display: Option<Text>,
    /// Plain, not escaped; a phone number or an extension.
    pub user: Option<Text>,
    /// `None`: our own name towards the peer in From, the Request-URI's host in To.
    pub host: Option<Host>,
}

/// Without the password, so that a log line cannot leak it.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Which of a dial's offers a phone was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Offered {
    /// `Dial::body`.
    Phone,
    /// `Dial::fallback`.
    Fallback,
    /// `Dial::browser`.
    Browser,
}

/// Whom to dial.
#[derive(Clone, Debug)]
pub enum DialTarget {
    /// All registered phones at once.
    User(AgentId),
    /// The browser that registered last.
    Browser(AgentId),
    /// One address; `engine` has looked names up.
    Address { transport: Transport, remote: SocketAddr, uri: Uri },
}

/// A call that we make.
#[derive(Clone, Debug)]
pub struct Dial {
    /// Chosen by the caller of `command`; the top bit must be clear and the number fresh.
    pub leg: LegId,
    pub target: DialTarget,
    pub from: Identity,
    /// `user: None` and `host: None`: as the Request-URI.
    pub to: Identity,
    /// P-Asserted-Identity, Privacy, Diversion, Alert-Info and the like, in this order.
    pub headers: Vec<(HeaderName, Text)>,
    /// What phones are offered. `None`, and no `browser` either: ask the peer for an offer.
    pub body: Option<Body>,
    /// What a phone is offered that refuses `body` with 488.
    pub fallback: Option<Body>,
    /// What browsers are offered. They speak another dialect, so with `body` alone they do not ring, nor phones with this.
    pub browser: Option<Body>,
    pub credentials: Option<Credentials>,
    /// One less than what came in, or 70 for a call that begins here.
    pub max_forwards: u8,
}

/// What `engine` wants.
#[derive(Clone, Debug)]
pub enum Command {
    Invite(Box<Dial>),
    /// A provisional response of an inbound leg, 101 to 199; a body is early media.
    Progress {
        leg: LegId,
        status: Status,
        body: Option<Body>,
    },
    /// 200 to an inbound leg.
    Answer {
        leg: LegId,
        body: Option<Body>,
    },
    /// Ends an inbound leg that is not answered: 300 to 699.
    Reject {
        leg: LegId,
        status: Status,
        phrase: Option<Text>,
        headers: Vec<(HeaderName, Text)>,
    },
    /// The answer to an offer that came in a 2xx.
    Ack {
        leg: LegId,
        body: Option<Body>,
    },
    /// `body: None` asks the peer for an offer.
    ReInvite {
        leg: LegId,
        body: Option<Body>,
    },
    AnswerReInvite {
        leg: LegId,
        status: Status,
        body: Option<Body>,
    },
    /// Tells an answered leg something by INFO, without an Info-Package. What it answers changes nothing.
    Info {
        leg: LegId,
        body: Body,
    },
    /// Ends a leg in whatever state: CANCEL, a final failure or BYE, each at the moment that the RFC allows.
    /// `reason` is a Reason header.
    Bye {
        leg: LegId,
        reason: Option<Text>,
    },
    /// The same as `Bye`, for a leg that we dial and that did not answer yet.
    Cancel {
        leg: LegId,
        reason: Option<Text>,
    },
    /// Credentials that are good from now on.
    Lend(Box<Loan>),
    /// Ends the credentials that this web session asked for, and what they registered. `None`: everyone's.
    TakeBack {
        session: Option<Uuid>,
    },
    /// Is anybody there? Answered by `Event::OptionsAnswered`.
    Options {
        probe: u64,
        transport: Transport,
        remote: SocketAddr,
        uri: Uri,
    },
}

/// Why a command was not carried out. Nothing has been sent then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CommandError {
    /// It has ended; the event that says so is on its way.
    #[error("there is no such leg")]
    NoSuchLeg,
    #[error("the leg is not in a state for this")]
    WrongState,
    /// A re-INVITE of ours is still open.
    #[error("the change before this one is not answered yet")]
    Pending,
    #[error("the user has no registered phone")]
    NotRegistered,
    #[error("no listener speaks that transport")]
    NoListener,
    #[error("too many legs or transactions")]
    Overloaded,
}
