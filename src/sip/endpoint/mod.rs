//! The endpoint: all of our SIP as one plain value. Messages and times come in, bytes and events go out; inside are the
//! transactions, the dialogs as legs, the registrar and the guard at the door. One task of `engine` owns it, feeds it
//! what `transport` receives, and drains `poll` after every call. It knows legs, not calls: what to do with a leg is
//! told to it by commands.
//!
//! `receive` sorts what comes in; `identify` says who sent it; `register`, `inbound`, `outbound` and `session` hold the
//! rules; `transactions` and `legs` hold the state.

mod api;
mod build;
mod config;
mod directory;
mod identify;
mod inbound;
mod incoming;
mod legs;
mod lent;
mod outbound;
mod outbox;
mod owed;
mod penalties;
mod reach;
mod receive;
mod register;
mod session;
mod timers;
mod transactions;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

pub use api::{
    Body, Command, CommandError, Dial, DialTarget, Event, Failure, Identity, LocalFailure, Offered, Origin, Output, SendFailure,
};
pub use config::{Addressing, EndpointConfig, Limits, Listener, Subnet};
pub use directory::{Directory, DirectoryUser};
pub use lent::Loan;

use self::legs::{Branch, Legs, Waker};
use self::lent::Lent;
use self::outbox::Outbox;
use self::owed::Owed;
use self::penalties::{EndedBan, Penalties};
use self::timers::Timers;
use self::transactions::{BranchId, Heard, Owner, Transactions, What};
use crate::sip::auth::Authenticator;
use crate::sip::registrar::{Registrar, RegistrarChange, RegistrarLimits};
use crate::sip::wire::{ConnectionId, Flow, Message, ParseError, Text};
use crate::types::{LegId, Time};

/// The digest realm of every user (INTERFACES, site file).
pub const REALM: &str = "perezvon";
/// Legs named by the endpoint have this bit, legs named by the engine do not.
const INBOUND_BIT: u64 = 1 << 63;

/// See the module.
pub struct Endpoint {
    config: EndpointConfig,
    directory: Arc<Directory>,
    registrar: Registrar,
    lent: Lent,
    authenticator: Authenticator,
    penalties: Penalties,
    transactions: Transactions,
    legs: Legs,
    owed: Owed,
    branches: HashMap<BranchId, Branch>,
    /// Open connections; as many as `transport` allows.
    connections: HashSet<ConnectionId>,
    timers: Timers<Waker>,
    random: StdRng,
    last_branch: u64,
    out: Outbox,
}

/// What the endpoint holds at a moment, for metrics and for proof that nothing leaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    pub legs: usize,
    /// INVITEs of ours without a final answer.
    pub branches: usize,
    pub transactions: usize,
    pub bindings: usize,
    /// Sources with penalty points.
    pub sources: usize,
    /// Entries in the timer heaps; those of what has ended count until their time.
    pub timers: usize,
}

impl Endpoint {
    /// `seed` must be unguessable: tags, branches and nonces grow from it.
    pub fn new(config: EndpointConfig, directory: Arc<Directory>, seed: u64) -> Endpoint {
        let mut random = StdRng::seed_from_u64(seed);
        let registrar = Registrar::new(RegistrarLimits {
            contacts_per_user: config.limits.contacts_per_user,
            min_expires: config.min_expires,
            max_expires: config.max_expires,
        });
        Endpoint {
            authenticator: Authenticator::new(random.random(), REALM, config.digest.clone()),
            penalties: Penalties::new(config.ban),
            config,
            directory,
            registrar,
            lent: Lent::default(),
            transactions: Transactions::new(),
            legs: Legs::default(),
            owed: Owed::default(),
            branches: HashMap::new(),
            connections: HashSet::new(),
            timers: Timers::new(),
            random,
            last_branch: 0,
            out: Outbox::default(),
        }
    }

    /// Takes a new set-up into use. Phones of users who are gone are forgotten; legs that live go on.
    pub fn set_directory(&mut self, directory: Arc<Directory>) {
        self.directory = directory;
        let changes = self.registrar.retain_users(|user| self.directory.extension(user).is_some());
        self.lent.take_back(|loan| self.directory.extension(&loan.user).is_none());
        self.tell_registrar_changes(changes);
    }

    /// A message, or what should have been one, came through `flow`.
    pub fn received(&mut self, now: Time, flow: Flow, message: Result<Message, ParseError>) {
        if flow.connection != ConnectionId::NONE {
            self.connections.insert(flow.connection);
        }
        match message {
            Ok(Message::Request(request)) => self.receive_request(now, flow, request),
            Ok(Message::Response(response)) => self.receive_response(now, flow, response),
            Err(error) => self.receive_flawed(flow, &error),
        }
    }

    /// A connection has closed, for whatever reason.
    pub fn flow_closed(&mut self, now: Time, flow: &Flow) {
        self.connections.remove(&flow.connection);
        let changes = self.registrar.flow_closed(flow);
        self.tell_registrar_changes(changes);
        self.fail_flow(now, flow, SendFailure::Unreachable);
    }

    /// Bytes for `to` could not be sent.
    pub fn send_failed(&mut self, now: Time, to: &Flow, failure: SendFailure) {
        self.fail_flow(now, to, failure);
    }

    /// Carries out a wish of the engine, or says why not; then nothing has happened.
    pub fn command(&mut self, now: Time, command: Command) -> Result<(), CommandError> {
        match command {
            Command::Invite(dial) => self.dial(now, *dial),
            Command::Progress { leg, status, body } => self.progress(now, leg, status, body.as_ref()),
            Command::Answer { leg, body } => self.answer(now, leg, body.as_ref()),
            Command::Reject { leg, status, phrase, headers } => self.reject(now, leg, status, phrase, headers),
            Command::Ack { leg, body } => self.ack(leg, body.as_ref()),
            Command::ReInvite { leg, body } => self.re_invite(now, leg, body),
            Command::AnswerReInvite { leg, status, body } => self.answer_re_invite(now, leg, status, body.as_ref()),
            Command::Info { leg, body } => self.inform(now, leg, &body),
            Command::Bye { leg, reason } | Command::Cancel { leg, reason } => self.hang_up(now, leg, reason),
            Command::Lend(loan) => self.lend(now, *loan),
            Command::TakeBack { session } => self.take_back(|loan| session.is_none_or(|session| loan.session == session)),
            Command::Options { probe, transport, remote, uri } => self.probe(now, probe, transport, remote, uri),
        }
    }

    /// Fires everything due at `now`.
    pub fn handle_timeout(&mut self, now: Time) {
        let changes = self.registrar.handle_timeout(now);
        self.tell_registrar_changes(changes);
        for EndedBan { source, refused } in self.penalties.end_bans(now) {
            self.out.tell(Event::BanEnded { source, refused });
        }
        while let Some(heard) = self.transactions.fire_one(now, &mut self.out) {
            if let Some(heard) = heard {
                self.hear(now, heard);
            }
        }
        while let Some((at, waker)) = self.timers.pop_due(now) {
            match waker {
                Waker::Leg(id) => self.wake_leg(now, at, id),
                Waker::Branch(id) => self.wake_branch(now, at, id),
            }
        }
    }

    /// When `handle_timeout` wants to be called; perhaps too early, never too late.
    pub fn next_deadline(&self) -> Option<Time> {
        let deadlines = [
            self.transactions.next_deadline(),
            self.timers.next_deadline(),
            self.registrar.next_deadline(),
            self.penalties.next_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// The next thing to send or to hear. Drain it after every other call.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop()
    }

    pub fn census(&self) -> Census {
        Census {
            legs: self.legs.len(),
            branches: self.branches.len(),
            transactions: self.transactions.len(),
            bindings: self.registrar.len(),
            sources: self.penalties.len(),
            timers: self.transactions.timers_len() + self.timers.len(),
        }
    }

    /// The answer to a request of ours, or the lack of one, goes to whoever sent it.
    fn hear(&mut self, now: Time, heard: Heard) {
        match heard.owner {
            Owner::Branch(branch) => self.hear_branch(now, branch, heard),
            Owner::ReInvite(leg) => self.hear_re_invite(now, leg, heard),
            Owner::Bye(ref credentials) => {
                let credentials = credentials.clone();
                self.hear_bye(now, credentials, &heard);
            }
            Owner::Options(probe) => match heard.what {
                What::Response(response) if response.status.is_provisional() => {}
                What::Response(response) => self.out.tell(Event::OptionsAnswered { probe, status: Some(response.status) }),
                What::TimedOut | What::NotSent(_) => self.out.tell(Event::OptionsAnswered { probe, status: None }),
            },
            Owner::Cancel | Owner::Info => {}
        }
    }

    fn fail_flow(&mut self, now: Time, flow: &Flow, failure: SendFailure) {
        for heard in self.transactions.flow_failed(now, flow, failure, &mut self.out) {
            self.hear(now, heard);
        }
    }

    fn tell_registrar_changes(&mut self, changes: impl IntoIterator<Item = RegistrarChange>) {
        for change in changes {
            self.out.tell(match change {
                RegistrarChange::Registered { user, contacts, phone, browser } => {
                    Event::Registered { user, contacts, phone, browser }
                }
                RegistrarChange::BrowserCame { user, contact } => Event::BrowserCame { user, contact },
                RegistrarChange::BrowserGone { user, contact } => Event::BrowserGone { user, contact },
                RegistrarChange::Unregistered { user } => Event::Unregistered { user },
            });
        }
    }

    fn lend(&mut self, now: Time, loan: Loan) -> Result<(), CommandError> {
        self.take_back(|loan| loan.until <= now)?;
        if let Some(pushed_out) = self.lent.lend(loan) {
            let changes = self.registrar.forget_credentials(&pushed_out.user, &pushed_out.username);
            self.tell_registrar_changes(changes);
        }
        Ok(())
    }

    /// Ends credentials and what they registered. Calls that are running go on.
    fn take_back(&mut self, ends: impl Fn(&Loan) -> bool) -> Result<(), CommandError> {
        for loan in self.lent.take_back(ends) {
            let changes = self.registrar.forget_credentials(&loan.user, &loan.username);
            self.tell_registrar_changes(changes);
        }
        Ok(())
    }

    /// Sets the leg's alarm by what its state waits for now.
    fn arm_leg(&mut self, id: LegId) {
        if let Some(leg) = self.legs.get_mut(id) {
            let deadline = leg.next_deadline();
            self.timers.arm(Waker::Leg(id), &mut leg.alarm, deadline);
        }
    }

    fn arm_branch(&mut self, id: BranchId) {
        if let Some(branch) = self.branches.get_mut(&id) {
            self.timers.arm(Waker::Branch(id), &mut branch.alarm, branch.give_up_at);
        }
    }

    /// Sixteen hexadecimal digits that nobody can guess: tags and the unique part of branches.
    fn token(&mut self) -> Text {
        Text::from(format!("{:016x}", self.random.random::<u64>()))
    }

    fn new_call_id(&mut self) -> Text {
        Text::from(format!("{:032x}", self.random.random::<u128>()))
    }

    fn new_inbound_leg(&mut self) -> LegId {
        loop {
            let id = LegId(self.random.random::<u64>() | INBOUND_BIT);
            if !self.legs.contains(id) {
                return id;
            }
        }
    }
}
