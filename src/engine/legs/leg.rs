//! One leg as data: who it is, its lines, and what it hears. What is done with it is `Legs`' business.

use std::net::IpAddr;

use bytes::Bytes;
use smallvec::SmallVec;

use super::Dialling;
use super::page::Presence;
use crate::clock;
use crate::gateway::Terms;
use crate::gateway::sdp::{Direction, MediaSession, RemoteMedia};
use crate::relay::{MediaId, MediaPort, PlayKind};
use crate::sip::endpoint::Offered;
use crate::types::{AgentId, LegId, Party, Time};

/// Media that was opened for a leg, and what its SDP says. A person's phones of both kinds ring together, each with a line
/// of its own; the one that is answered stays.
pub(super) struct Line {
    pub kind: Offered,
    pub media: MediaId,
    /// Of a phone's line.
    pub ports: Option<MediaPort>,
    pub session: MediaSession,
    /// Whom its SDP must be reachable for.
    pub far: IpAddr,
}

/// How a leg arrived; its line is opened when it is needed.
pub(super) struct Came {
    pub kind: Offered,
    pub far: IpAddr,
    /// The browser's, as its Contact names it.
    pub page: Option<String>,
}

pub(super) struct Leg {
    /// What the endpoint calls it: the call's name for it, until a browser has come back with a new dialog.
    pub sip: LegId,
    pub terms: Terms,
    /// Whose phone it is, when it is one of our people's.
    pub agent: Option<AgentId>,
    /// Whom the phone shows as the other party.
    pub shows: Party,
    /// Two kinds at most, and a phone's second offer.
    pub lines: SmallVec<[Line; 2]>,
    /// The line whose phone speaks or has answered.
    pub in_use: Option<Offered>,
    /// Of a leg that arrived.
    pub came: Option<Came>,
    /// The INVITE's offer, of a leg that arrived.
    pub offer: Option<Bytes>,
    /// Our answer to it: the 183 and the 200 carry the same.
    pub answer: Option<Bytes>,
    /// Our SDP is the offer, the ACK brings the answer.
    pub offered_in_answer: bool,
    pub is_answered: bool,
    /// It took no telephone-event and pressed a key by INFO: neither tones are looked for nor made.
    pub has_keys_by_info: bool,
    pub began: Time,
    /// The phone whose early media we hear.
    pub early_fork: Option<u16>,
    pub trunk: Option<Dialling>,
    /// Whom it hears.
    pub hears: Vec<LegId>,
    /// Whom it heard first when it last heard anybody.
    pub heard_first: Option<LegId>,
    /// Whom it talks with.
    pub peer: Option<LegId>,
    /// What it was last told to play, should its media be replaced.
    pub playing: Option<PlayKind>,
    /// The recording that taps it.
    pub tap: Option<u32>,
    /// The far end put us on hold.
    pub is_holding: bool,
    /// Our answer to the leg's re-INVITE, held back until the peer has agreed to the same change.
    pub held_answer: Option<Bytes>,
    /// Of a browser.
    pub presence: Presence,
}

impl Leg {
    pub fn new(id: LegId, terms: Terms, agent: Option<AgentId>, shows: Party) -> Leg {
        Leg {
            sip: id,
            terms,
            agent,
            shows,
            lines: SmallVec::new(),
            in_use: None,
            came: None,
            offer: None,
            answer: None,
            offered_in_answer: false,
            is_answered: false,
            has_keys_by_info: false,
            began: clock::now(),
            early_fork: None,
            trunk: None,
            hears: Vec::new(),
            heard_first: None,
            peer: None,
            playing: None,
            tap: None,
            is_holding: false,
            held_answer: None,
            presence: Presence::default(),
        }
    }

    /// The line in use, or the only one.
    pub fn line(&self) -> Option<&Line> {
        match self.in_use {
            Some(kind) => self.lines.iter().find(|line| line.kind == kind),
            None => self.lines.first(),
        }
    }

    pub fn line_mut(&mut self) -> Option<&mut Line> {
        match self.in_use {
            Some(kind) => self.lines.iter_mut().find(|line| line.kind == kind),
            None => self.lines.first_mut(),
        }
    }

    pub fn media(&self) -> Option<MediaId> {
        self.line().map(|line| line.media)
    }

    pub fn remote(&self) -> Option<&RemoteMedia> {
        self.line().and_then(|line| line.session.remote())
    }

    pub fn is_browser(&self) -> bool {
        self.line().is_some_and(|line| line.kind == Offered::Browser)
    }

    /// The far end's answer to our offer; false when it cannot be used.
    pub fn take_answer(&mut self, sdp: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(sdp) else { return false };
        self.line_mut().is_some_and(|line| line.session.accept_answer(text).is_ok())
    }

    pub fn offer(&mut self, direction: Direction) -> Option<Bytes> {
        self.line_mut().map(|line| Bytes::from(line.session.offer(direction)))
    }
}
