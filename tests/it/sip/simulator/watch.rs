//! What must hold whatever the network does: each leg ends once and is silent after, every request that arrived was
//! answered, every final answer to an INVITE was acknowledged.

use std::collections::{BTreeMap, HashMap, HashSet};

use perezvon::sip::endpoint::{Command, Event};
use perezvon::sip::wire::{HeaderName, Message, Method};
use perezvon::types::LegId;

/// A leg of one endpoint.
pub type LegOf = (usize, LegId);

#[derive(Debug, Default)]
pub struct Watch {
    pub answered_legs: HashSet<LegOf>,
    open: HashSet<LegOf>,
    ended: HashMap<LegOf, &'static str>,
    /// Requests that arrived, by where and by transaction, and whether they were finally answered.
    requests: HashMap<(usize, String), bool>,
    /// Final answers to INVITEs that arrived, by where, Call-ID, CSeq number and To tag, and whether an ACK left.
    finals: HashMap<(usize, String), bool>,
    pub requests_seen: u64,
    /// How often each kind of message was sent and each kind of end was met: a run that shows nothing proves nothing.
    pub counts: BTreeMap<String, u64>,
}

impl Watch {
    pub fn commanded(&mut self, node: usize, command: &Command) {
        match command {
            Command::Invite(dial) => {
                assert!(self.open.insert((node, dial.leg)), "a leg twice");
            }
            Command::Reject { leg, .. } => self.end(node, *leg, "rejected"),
            Command::Cancel { leg, .. } => self.end(node, *leg, "cancelled by us"),
            Command::Bye { leg, .. } => self.end(node, *leg, "hung up by us"),
            _ => {}
        }
    }

    pub fn told(&mut self, node: usize, event: &Event) {
        match event {
            Event::ReInviteAnswered { .. } => self.count("re-INVITE answered".into()),
            Event::ReInviteFailed { .. } => self.count("re-INVITE refused".into()),
            Event::ReInviteCancelled { .. } => self.count("re-INVITE taken back".into()),
            _ => {}
        }
        match event {
            Event::Invite { leg, .. } => {
                assert!(!self.ended.contains_key(&(node, *leg)));
                assert!(self.open.insert((node, *leg)), "a leg twice");
            }
            Event::Cancelled { leg, .. } => self.end(node, *leg, "cancelled"),
            Event::AckTimeout { leg } => self.end(node, *leg, "never acknowledged"),
            Event::Failed { leg, .. } => self.end(node, *leg, "failed"),
            Event::Bye { leg, .. } => self.end(node, *leg, "hung up"),
            Event::Answered { leg, .. } => {
                self.must_be_open(node, *leg, event);
                assert!(self.answered_legs.insert((node, *leg)), "answered twice");
            }
            Event::Acked { leg, .. }
            | Event::Progress { leg, .. }
            | Event::ReInvite { leg, .. }
            | Event::ReInviteAnswered { leg, .. }
            | Event::ReInviteFailed { leg, .. }
            | Event::ReInviteCancelled { leg }
            | Event::InDialog { leg, .. } => self.must_be_open(node, *leg, event),
            _ => {}
        }
    }

    pub fn arrived(&mut self, node: usize, message: &Message) {
        match message {
            Message::Request(request) if request.method != Method::Ack => {
                self.requests_seen += 1;
                self.requests.entry((node, transaction_of(message))).or_insert(false);
            }
            Message::Response(response) if response.status.is_final() && text(message, &HeaderName::CSeq).ends_with("INVITE") => {
                self.finals.entry((node, dialog_of(message))).or_insert(false);
            }
            _ => {}
        }
    }

    pub fn sent(&mut self, node: usize, message: &Message) {
        let word = match message {
            Message::Request(request) => request.method.to_string(),
            Message::Response(response) => {
                format!("{} {}", response.status, text(message, &HeaderName::CSeq).split(' ').next_back().unwrap_or_default())
            }
        };
        self.count(word);
        match message {
            Message::Request(request) if request.method == Method::Ack => {
                if let Some(is_acknowledged) = self.finals.get_mut(&(node, dialog_of(message))) {
                    *is_acknowledged = true;
                }
            }
            Message::Response(response) if response.status.is_final() => {
                if let Some(is_answered) = self.requests.get_mut(&(node, transaction_of(message))) {
                    *is_answered = true;
                }
            }
            _ => {}
        }
    }

    /// When all is over.
    pub fn assert_settled(&self) {
        assert!(self.open.is_empty(), "legs that never ended: {:?}", self.open);
        let unanswered: Vec<_> = self.requests.iter().filter(|(_, is_answered)| !**is_answered).collect();
        assert!(unanswered.is_empty(), "requests without a final answer: {unanswered:?}");
    }

    /// When all is over and nobody has forged an answer.
    pub fn assert_acknowledged(&self) {
        let unacknowledged: Vec<_> = self.finals.iter().filter(|(_, is_acknowledged)| !**is_acknowledged).collect();
        assert!(unacknowledged.is_empty(), "final answers without an ACK: {unacknowledged:?}");
    }

    pub fn legs_ended(&self) -> usize {
        self.ended.len()
    }

    fn end(&mut self, node: usize, leg: LegId, how: &'static str) {
        self.count(how.to_owned());
        let earlier = self.ended.insert((node, leg), how);
        assert_eq!(earlier, None, "leg {leg} of node {node} ended twice, now {how}");
        assert!(self.open.remove(&(node, leg)), "leg {leg} of node {node} {how} before it began");
    }

    fn count(&mut self, word: String) {
        *self.counts.entry(word).or_default() += 1;
    }

    fn must_be_open(&self, node: usize, leg: LegId, event: &Event) {
        assert!(self.open.contains(&(node, leg)), "{event:?} after the end: {:?}", self.ended.get(&(node, leg)));
    }
}

/// As RFC 3261 §17.2.3 has it: a copy with other headers garbled is the same request, and is answered as such. The
/// parameters are cut out of the text, because reading them properly would be half of the work of a run.
fn transaction_of(message: &Message) -> String {
    let via = text(message, &HeaderName::Via);
    let sent_by = via.split(';').next().and_then(|head| head.split_ascii_whitespace().next_back()).unwrap_or_default();
    let cseq = text(message, &HeaderName::CSeq);
    let method = cseq.split_ascii_whitespace().last().unwrap_or_default();
    format!("{method} {sent_by} {}", param(via, ";branch="))
}

/// ACK has the To tag of the answer and the number of the INVITE.
fn dialog_of(message: &Message) -> String {
    let cseq = text(message, &HeaderName::CSeq);
    let number = cseq.split_ascii_whitespace().next().unwrap_or_default();
    format!("{} {number} {}", text(message, &HeaderName::CallId), param(text(message, &HeaderName::To), ";tag="))
}

fn text<'a>(message: &'a Message, name: &HeaderName) -> &'a str {
    message.headers().iter().find(|header| header.name == *name).map_or("", |header| &header.value)
}

fn param<'a>(value: &'a str, name: &str) -> &'a str {
    let rest = value.split_once(name).map_or("", |(_, rest)| rest);
    rest.split([';', ',', ' ']).next().unwrap_or_default()
}
