//! The smallest call logic that a back-to-back user agent can have, over the endpoint under test: one inbound leg, one
//! dialled leg, everything that happens to one is done to the other.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use perezvon::sip::endpoint::{Body, Command, CommandError, Dial, DialTarget, Event, Identity};
use perezvon::sip::wire::{Status, Transport, Uri};
use perezvon::types::{AgentId, LegId};

/// Who is told what next: commands for the endpoint, and what to do if it refuses.
#[derive(Debug)]
pub struct Wish {
    pub command: Command,
    pub otherwise: Otherwise,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// The leg has ended in the meantime; its event is on the way.
    Nothing,
    /// The caller is told that nobody can be reached.
    Reject(LegId),
    /// The peer that asked is told to wait.
    AnswerReInvite(LegId),
}

#[derive(Debug, Default)]
pub struct Server {
    carrier: Option<std::net::SocketAddr>,
    partner: HashMap<LegId, LegId>,
    /// Callers whose call was answered.
    answered: HashSet<LegId>,
    last_leg: u64,
    pub calls_begun: u64,
    pub calls_ended: u64,
    pub calls_answered: u64,
}

impl Server {
    pub fn new(carrier: std::net::SocketAddr) -> Server {
        Server { carrier: Some(carrier), ..Server::default() }
    }

    pub fn open_legs(&self) -> usize {
        self.partner.len()
    }

    /// What follows from an event. The legs of a call are forgotten together, at its first end.
    pub fn hear(&mut self, event: Event) -> Vec<Wish> {
        match event {
            Event::Invite { leg, request, sdp, .. } => {
                let number = request.uri.user().map_or("", |user| user).to_owned();
                vec![self.dial_for(leg, &number, sdp)]
            }
            Event::Progress { leg, status, sdp, .. } => {
                self.to_partner(leg, |leg| Command::Progress { leg, status, body: sdp.map(Body::sdp) })
            }
            Event::Answered { leg, sdp, .. } => {
                self.calls_answered += 1;
                self.answered.extend(self.partner.get(&leg));
                self.to_partner(leg, |leg| Command::Answer { leg, body: sdp.map(Body::sdp) })
            }
            Event::Acked { leg, sdp: Some(sdp) } => self.to_partner(leg, |leg| Command::Ack { leg, body: Some(Body::sdp(sdp)) }),
            Event::ReInvite { leg, sdp } => {
                let otherwise = Otherwise::AnswerReInvite(leg);
                let mut wishes = self.to_partner(leg, |leg| Command::ReInvite { leg, body: sdp.map(Body::sdp) });
                wishes.iter_mut().for_each(|wish| wish.otherwise = otherwise);
                wishes
            }
            Event::ReInviteAnswered { leg, sdp, .. } => {
                self.to_partner(leg, |leg| Command::AnswerReInvite { leg, status: Status::OK, body: sdp.map(Body::sdp) })
            }
            Event::ReInviteFailed { leg, status } => {
                self.to_partner(leg, |leg| Command::AnswerReInvite { leg, status, body: None })
            }
            Event::Failed { leg, failure } => {
                let status = failure.status;
                self.end(leg, |leg| Command::Reject { leg, status, phrase: None, headers: Vec::new() })
            }
            Event::Cancelled { leg, .. } | Event::Bye { leg, .. } | Event::AckTimeout { leg } => {
                self.end(leg, |leg| Command::Bye { leg, reason: None })
            }
            _ => Vec::new(),
        }
    }

    /// The endpoint would not carry out a wish.
    pub fn refused(&mut self, otherwise: Otherwise, error: CommandError) -> Option<Wish> {
        let command = match otherwise {
            Otherwise::Nothing => return None,
            Otherwise::Reject(leg) => {
                assert_eq!(error, CommandError::NotRegistered);
                if let Some(partner) = self.partner.remove(&leg) {
                    self.partner.remove(&partner);
                    self.calls_ended += 1;
                }
                let status = Status::TEMPORARILY_UNAVAILABLE;
                Command::Reject { leg, status, phrase: None, headers: Vec::new() }
            }
            Otherwise::AnswerReInvite(leg) => Command::AnswerReInvite { leg, status: Status::REQUEST_PENDING, body: None },
        };
        Some(Wish { command, otherwise: Otherwise::Nothing })
    }

    /// Nobody has answered this caller in time.
    pub fn give_up(&mut self, caller: LegId) -> Vec<Wish> {
        let Some(&callee) = self.partner.get(&caller) else { return Vec::new() };
        if self.answered.contains(&caller) {
            return Vec::new();
        }
        let status = Status::TEMPORARILY_UNAVAILABLE;
        let mut wishes = self.end(caller, |leg| Command::Cancel { leg, reason: None });
        wishes.truncate(1);
        assert!(matches!(&wishes[..], [Wish { command: Command::Cancel { leg, .. }, .. }] if *leg == callee));
        let command = Command::Reject { leg: caller, status, phrase: None, headers: Vec::new() };
        wishes.push(Wish { command, otherwise: Otherwise::Nothing });
        wishes
    }

    fn dial_for(&mut self, caller: LegId, number: &str, sdp: Option<Bytes>) -> Wish {
        self.calls_begun += 1;
        self.last_leg += 1;
        let leg = LegId(self.last_leg);
        self.partner.insert(caller, leg);
        self.partner.insert(leg, caller);
        let target = match (number.strip_prefix("agent"), self.carrier) {
            (None, Some(remote)) => {
                let uri: Uri = format!("sip:{number}@{remote}").parse().expect("a URI");
                DialTarget::Address { transport: Transport::Udp, remote, uri }
            }
            _ => DialTarget::User(AgentId::new(number)),
        };
        let command = Command::Invite(Box::new(Dial {
            leg,
            target,
            from: Identity { display: None, user: Some("client".into()), host: None },
            to: Identity::default(),
            headers: Vec::new(),
            body: sdp.map(Body::sdp),
            fallback: None,
            browser: None,
            credentials: None,
            max_forwards: 69,
        }));
        Wish { command, otherwise: Otherwise::Reject(caller) }
    }

    fn to_partner(&self, leg: LegId, command: impl FnOnce(LegId) -> Command) -> Vec<Wish> {
        let partner = self.partner.get(&leg).copied();
        partner.map(|partner| Wish { command: command(partner), otherwise: Otherwise::Nothing }).into_iter().collect()
    }

    fn end(&mut self, leg: LegId, command: impl FnOnce(LegId) -> Command) -> Vec<Wish> {
        let Some(partner) = self.partner.remove(&leg) else { return Vec::new() };
        self.partner.remove(&partner);
        self.calls_ended += 1;
        // The other leg may be ringing or talking: hanging up fits every state, a status only one that rings.
        let hang_up = Wish { command: Command::Bye { leg: partner, reason: None }, otherwise: Otherwise::Nothing };
        vec![Wish { command: command(partner), otherwise: Otherwise::Nothing }, hang_up]
    }
}
