//! The table of transactions: finds the one that a message belongs to, drives its machine and carries out what the
//! machine wants: bytes on the wire at once, everything else as a `Heard` for the endpoint. It knows no dialogs.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::SendFailure;
use super::build;
use super::incoming::Incoming;
use super::outbox::Outbox;
use super::timers::{Alarm, Timers};
use crate::sip::auth::Credentials;
use crate::sip::transaction::{
    Action, Actions, InviteClient, InviteClientInput, InviteServer, InviteServerInput, NonInviteClient, NonInviteClientInput,
    NonInviteServer, NonInviteServerInput, StatusClass,
};
use crate::sip::wire::{ConnectionId, Flow, Method, Request, Response, Status, Text, Transport, Via};
use crate::types::{LegId, Time};

/// Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct TransactionId(u64);

/// Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct BranchId(pub(super) u64);

/// On whose behalf a request was sent: who hears the answer.
#[derive(Clone, Debug)]
pub(super) enum Owner {
    Branch(BranchId),
    ReInvite(LegId),
    /// The leg is gone already; the credentials answer a challenge to the BYE.
    Bye(Option<Box<Credentials>>),
    /// Whatever the answer, the INVITE's own answer decides.
    Cancel,
    Options(u64),
    /// Whatever the peer says to it.
    Info,
}

/// What the endpoint hears about a request it sent.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) id: TransactionId,
    pub(super) owner: Owner,
    /// As it went out.
    pub(super) request: Arc<Request>,
    pub(super) flow: Flow,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Response(Arc<Response>),
    TimedOut,
    NotSent(SendFailure),
}

#[derive(Debug)]
enum ClientMachine {
    Invite(InviteClient),
    NonInvite(NonInviteClient),
}

#[derive(Debug)]
struct Client {
    request: Arc<Request>,
    bytes: Bytes,
    flow: Flow,
    machine: ClientMachine,
    owner: Owner,
    key: String,
    /// ACKs to 2xx, by the To tag of the answer: sent again whenever that 2xx comes again (RFC 3261 §13.2.2.4).
    acks: SmallVec<[(Text, Flow, Bytes); 1]>,
}

#[derive(Debug)]
enum ServerMachine {
    Invite(InviteServer),
    NonInvite(NonInviteServer),
}

#[derive(Debug)]
struct Server {
    request: Arc<Request>,
    machine: ServerMachine,
    /// The last answer.
    response: Option<(Status, Bytes)>,
    reply_to: Flow,
    /// Where the answer goes when the connection that the request came on has closed (RFC 3261 §18.2.2).
    fallback: Option<Flow>,
    key: String,
    merge_key: Option<String>,
    leg: Option<LegId>,
}

#[derive(Debug)]
enum Transaction {
    Client(Client),
    Server(Server),
}

/// The other end of a flow, whichever connection leads there.
type Peer = (Transport, SocketAddr);

/// Answers to one INVITE that were acknowledged, each from another fork. More than a sane proxy makes; the rest goes
/// without an ACK and their senders give up.
const MAX_FORKED_ANSWERS: usize = 16;

#[derive(Debug)]
pub(super) struct Transactions {
    table: HashMap<TransactionId, (Transaction, Alarm)>,
    clients: HashMap<String, TransactionId>,
    servers: HashMap<String, TransactionId>,
    /// Requests outside of dialogs by Call-ID, From tag and CSeq, to recognise those that came by two ways (§8.2.2.2).
    merged: HashMap<String, TransactionId>,
    /// By where their messages go, so that a connection that closes costs no look at all the others.
    by_peer: BTreeSet<(Peer, TransactionId)>,
    timers: Timers<TransactionId>,
    next_id: u64,
}

impl Transactions {
    pub(super) fn new() -> Self {
        Transactions {
            table: HashMap::new(),
            clients: HashMap::new(),
            servers: HashMap::new(),
            merged: HashMap::new(),
            by_peer: BTreeSet::new(),
            timers: Timers::new(),
            next_id: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn timers_len(&self) -> usize {
        self.timers.len()
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.timers.next_deadline()
    }

    /// Sends `request`, whose top Via holds a fresh branch (or, for CANCEL, its INVITE's), and waits for the answer.
    pub(super) fn start_client(
        &mut self,
        now: Time,
        request: Request,
        flow: Flow,
        owner: Owner,
        out: &mut Outbox,
    ) -> TransactionId {
        let is_reliable = flow.transport.is_reliable();
        let machine = match request.method {
            Method::Invite => ClientMachine::Invite(InviteClient::new(now, is_reliable)),
            _ => ClientMachine::NonInvite(NonInviteClient::new(now, is_reliable)),
        };
        let key = client_key(request.headers.via().ok().as_ref().and_then(Via::branch), &request.method);
        let bytes = request.to_bytes();
        out.send(flow, bytes.clone());
        let id = self.fresh_id();
        self.clients.insert(key.clone(), id);
        let client = Client { request: Arc::new(request), bytes, flow, machine, owner, key, acks: SmallVec::new() };
        self.insert(id, Transaction::Client(client));
        id
    }

    /// Begins the server side of `request`; the first answer comes with `respond`.
    pub(super) fn start_server(&mut self, incoming: &Incoming, leg: Option<LegId>) -> TransactionId {
        let is_reliable = incoming.flow.transport.is_reliable();
        let machine = match incoming.method() {
            Method::Invite => ServerMachine::Invite(InviteServer::new(is_reliable)),
            _ => ServerMachine::NonInvite(NonInviteServer::new(is_reliable)),
        };
        let (reply_to, fallback) = reply_flows(&incoming.flow, &incoming.via);
        let key = server_key(incoming, incoming.method());
        let merge_key = merge_key(incoming);
        let request = incoming.request.clone();
        let id = self.fresh_id();
        self.servers.insert(key.clone(), id);
        if let Some(key) = &merge_key {
            self.merged.insert(key.clone(), id);
        }
        let server = Server { request, machine, response: None, reply_to, fallback, key, merge_key, leg };
        self.insert(id, Transaction::Server(server));
        id
    }

    /// The server transaction that a request with this Via is a copy of, or that its ACK or CANCEL is for.
    pub(super) fn server_for(&self, incoming: &Incoming) -> Option<TransactionId> {
        let method = match incoming.method() {
            Method::Ack | Method::Cancel => &Method::Invite,
            method => method,
        };
        self.servers.get(&server_key(incoming, method)).copied()
    }

    /// The transaction of this very CANCEL.
    pub(super) fn cancel_for(&self, incoming: &Incoming) -> Option<TransactionId> {
        self.servers.get(&server_key(incoming, &Method::Cancel)).copied()
    }

    /// Whether a request like this one, but by another way, is being answered or was answered with success. (One that
    /// was refused may be tried again, with credentials, by clients that forget to count CSeq up.)
    pub(super) fn is_merged(&self, incoming: &Incoming) -> bool {
        let earlier = merge_key(incoming).and_then(|key| self.merged.get(&key)).and_then(|id| self.table.get(id));
        match earlier {
            Some((Transaction::Server(server), _)) => !server.has_refused(),
            _ => false,
        }
    }

    pub(super) fn leg_of(&self, id: TransactionId) -> Option<LegId> {
        match self.table.get(&id) {
            Some((Transaction::Server(server), _)) => server.leg,
            _ => None,
        }
    }

    /// The request of a server transaction.
    pub(super) fn request_of(&self, id: TransactionId) -> Option<Arc<Request>> {
        match self.table.get(&id) {
            Some((Transaction::Server(server), _)) => Some(server.request.clone()),
            _ => None,
        }
    }

    /// A copy of the request came.
    pub(super) fn repeated(&mut self, now: Time, id: TransactionId, out: &mut Outbox) {
        self.drive_server(
            id,
            |machine| match machine {
                ServerMachine::Invite(machine) => machine.handle(now, InviteServerInput::Request),
                ServerMachine::NonInvite(machine) => machine.handle(now, NonInviteServerInput::Request),
            },
            out,
        );
    }

    /// An ACK of the INVITE's branch came. Whether it is for a 2xx, which is the dialog's.
    pub(super) fn acknowledged(&mut self, now: Time, id: TransactionId, out: &mut Outbox) -> bool {
        self.drive_server(
            id,
            |machine| match machine {
                ServerMachine::Invite(machine) => machine.handle(now, InviteServerInput::Ack),
                ServerMachine::NonInvite(_) => Actions::new(),
            },
            out,
        )
    }

    /// Answers. An answer that the machine no longer takes (a second final one) goes nowhere.
    pub(super) fn respond(&mut self, now: Time, id: TransactionId, response: &Response, out: &mut Outbox) {
        let class = StatusClass::of(response.status.code());
        if let Some((Transaction::Server(server), _)) = self.table.get_mut(&id) {
            let is_open = match &server.machine {
                ServerMachine::Invite(machine) => machine.is_proceeding(),
                ServerMachine::NonInvite(_) => true,
            };
            if is_open {
                server.response = Some((response.status, response.to_bytes()));
            }
        }
        self.drive_server(id, |machine| machine.respond(now, class), out);
    }

    /// Sends the 2xx of an INVITE again.
    pub(super) fn repeat_success(&mut self, now: Time, id: TransactionId, out: &mut Outbox) {
        self.drive_server(id, |machine| machine.respond(now, StatusClass::Success), out);
    }

    /// Whether the INVITE is not finally answered yet.
    pub(super) fn is_unanswered(&self, id: TransactionId) -> bool {
        match self.table.get(&id) {
            Some((Transaction::Server(Server { machine: ServerMachine::Invite(machine), .. }), _)) => machine.is_proceeding(),
            _ => false,
        }
    }

    /// A response came. `None`: it belongs to nothing, or the machine has dealt with it.
    pub(super) fn answered(&mut self, now: Time, response: Response, flow: Flow, out: &mut Outbox) -> Option<Heard> {
        let cseq = response.headers.cseq().ok()?;
        let key = client_key(response.headers.via().ok()?.branch(), &cseq.method);
        let id = *self.clients.get(&key)?;
        let Some((Transaction::Client(client), _)) = self.table.get_mut(&id) else { return None };
        if response.headers.call_id() != client.request.headers.call_id() {
            return None;
        }
        if client.flow.connection == ConnectionId::NONE
            && client.flow.transport == flow.transport
            && flow.transport != Transport::Udp
            && client.flow.remote == flow.remote
        {
            client.flow = flow;
        }
        let class = StatusClass::of(response.status.code());
        if class == StatusClass::Success
            && let Some(tag) = response.headers.to_tag()
            && let Some((_, flow, ack)) = client.acks.iter().find(|(acked, ..)| *acked == tag)
        {
            out.send(*flow, ack.clone());
            return None;
        }
        let actions = match &mut client.machine {
            ClientMachine::Invite(machine) => machine.handle(now, InviteClientInput::Response(class)),
            ClientMachine::NonInvite(machine) => machine.handle(now, NonInviteClientInput::Response(class)),
        };
        self.carry_out_client(id, &actions, Some(Arc::new(response)), SendFailure::Unreachable, out)
    }

    /// Sends the ACK to a 2xx and keeps it for copies of that 2xx.
    pub(super) fn acknowledge(&mut self, id: TransactionId, to_tag: Text, flow: Flow, ack: &Request, out: &mut Outbox) {
        let bytes = ack.to_bytes();
        out.send(flow, bytes.clone());
        if let Some((Transaction::Client(client), _)) = self.table.get_mut(&id)
            && client.acks.len() < MAX_FORKED_ANSWERS
        {
            client.acks.push((to_tag, flow, bytes));
        }
    }

    /// Whether a CANCEL may leave for this INVITE: some provisional response came and no final one (§9.1).
    pub(super) fn is_cancellable(&self, id: TransactionId) -> bool {
        match self.table.get(&id) {
            Some((Transaction::Client(Client { machine: ClientMachine::Invite(machine), .. }), _)) => machine.is_proceeding(),
            _ => false,
        }
    }

    /// The INVITE as it went out, and where to.
    pub(super) fn sent_request(&self, id: TransactionId) -> Option<(Arc<Request>, Flow)> {
        match self.table.get(&id) {
            Some((Transaction::Client(client), _)) => Some((client.request.clone(), client.flow)),
            _ => None,
        }
    }

    /// Forgets a transaction without another word (§9.1: a cancelled INVITE that nobody answers).
    pub(super) fn forget(&mut self, id: TransactionId) {
        let Some((transaction, _)) = self.table.remove(&id) else { return };
        self.by_peer.remove(&(transaction.peer(), id));
        match transaction {
            Transaction::Client(client) => remove_if_same(&mut self.clients, &client.key, id),
            Transaction::Server(server) => {
                remove_if_same(&mut self.servers, &server.key, id);
                if let Some(key) = &server.merge_key {
                    remove_if_same(&mut self.merged, key, id);
                }
            }
        }
    }

    /// Fires one due timer. `None`: none is due. `Some(None)`: it fired and nobody needs to hear of it.
    pub(super) fn fire_one(&mut self, now: Time, out: &mut Outbox) -> Option<Option<Heard>> {
        let (at, id) = self.timers.pop_due(now)?;
        let Some((transaction, alarm)) = self.table.get_mut(&id) else { return Some(None) };
        alarm.rang(at);
        match transaction {
            Transaction::Client(client) => {
                let actions = match &mut client.machine {
                    ClientMachine::Invite(machine) => machine.handle(now, InviteClientInput::Deadline),
                    ClientMachine::NonInvite(machine) => machine.handle(now, NonInviteClientInput::Deadline),
                };
                Some(self.carry_out_client(id, &actions, None, SendFailure::Unreachable, out))
            }
            Transaction::Server(_) => {
                self.drive_server(
                    id,
                    |machine| match machine {
                        ServerMachine::Invite(machine) => machine.handle(now, InviteServerInput::Deadline),
                        ServerMachine::NonInvite(machine) => machine.handle(now, NonInviteServerInput::Deadline),
                    },
                    out,
                );
                Some(None)
            }
        }
    }

    /// Something for `flow` could not be sent, or its connection is gone. Requests that wait there fail; answers take
    /// another connection.
    pub(super) fn flow_failed(&mut self, now: Time, flow: &Flow, failure: SendFailure, out: &mut Outbox) -> Vec<Heard> {
        let goes_there = |own: &Flow| {
            own == flow || own.transport == flow.transport && own.remote == flow.remote && own.connection == ConnectionId::NONE
        };
        let peer = (flow.transport, flow.remote);
        let candidates = self.by_peer.range((peer, TransactionId(0))..=(peer, TransactionId(u64::MAX)));
        let goes = |id: &TransactionId| self.table.get(id).is_some_and(|(transaction, _)| goes_there(transaction.flow()));
        let ids: Vec<TransactionId> = candidates.map(|(_, id)| *id).filter(goes).collect();
        ids.into_iter().filter_map(|id| self.one_failed(now, id, failure, out)).collect()
    }

    fn one_failed(&mut self, now: Time, id: TransactionId, failure: SendFailure, out: &mut Outbox) -> Option<Heard> {
        match &mut self.table.get_mut(&id)?.0 {
            Transaction::Client(client) => {
                let actions = match &mut client.machine {
                    ClientMachine::Invite(machine) => machine.handle(now, InviteClientInput::TransportError),
                    ClientMachine::NonInvite(machine) => machine.handle(now, NonInviteClientInput::TransportError),
                };
                self.carry_out_client(id, &actions, None, failure, out)
            }
            Transaction::Server(server) => {
                if let Some(fallback) = server.fallback.take() {
                    let before = (server.reply_to.transport, server.reply_to.remote);
                    server.reply_to = fallback;
                    if let Some((_, response)) = &server.response {
                        out.send(fallback, response.clone());
                    }
                    self.by_peer.remove(&(before, id));
                    self.by_peer.insert(((fallback.transport, fallback.remote), id));
                    return None;
                }
                self.drive_server(
                    id,
                    |machine| match machine {
                        ServerMachine::Invite(machine) => machine.handle(now, InviteServerInput::TransportError),
                        ServerMachine::NonInvite(machine) => machine.handle(now, NonInviteServerInput::TransportError),
                    },
                    out,
                );
                None
            }
        }
    }

    fn carry_out_client(
        &mut self,
        id: TransactionId,
        actions: &Actions,
        response: Option<Arc<Response>>,
        failure: SendFailure,
        out: &mut Outbox,
    ) -> Option<Heard> {
        let Some((Transaction::Client(client), alarm)) = self.table.get_mut(&id) else { return None };
        let mut what = None;
        for action in actions {
            match action {
                Action::SendRequest => out.send(client.flow, client.bytes.clone()),
                Action::SendAck => {
                    if let Some(response) = &response {
                        out.send(client.flow, build::ack_of_failure(&client.request, response).to_bytes());
                    }
                }
                Action::Deliver => what = response.clone().map(What::Response),
                Action::TimedOut => what = Some(What::TimedOut),
                Action::TransportFailed => what = Some(What::NotSent(failure)),
                Action::Terminated | Action::SendResponse => {}
            }
        }
        let heard =
            what.map(|what| Heard { id, owner: client.owner.clone(), request: client.request.clone(), flow: client.flow, what });
        if actions.contains(&Action::Terminated) {
            self.forget(id);
        } else {
            let deadline = match &client.machine {
                ClientMachine::Invite(machine) => machine.next_deadline(),
                ClientMachine::NonInvite(machine) => machine.next_deadline(),
            };
            self.timers.arm(id, alarm, deadline);
        }
        heard
    }

    /// Whether the machine wants the message at hand delivered.
    fn drive_server(&mut self, id: TransactionId, step: impl FnOnce(&mut ServerMachine) -> Actions, out: &mut Outbox) -> bool {
        let Some((Transaction::Server(server), alarm)) = self.table.get_mut(&id) else { return false };
        let actions = step(&mut server.machine);
        if actions.contains(&Action::SendResponse)
            && let Some((_, response)) = &server.response
        {
            out.send(server.reply_to, response.clone());
        }
        if actions.contains(&Action::Terminated) {
            self.forget(id);
        } else {
            let deadline = match &server.machine {
                ServerMachine::Invite(machine) => machine.next_deadline(),
                ServerMachine::NonInvite(machine) => machine.next_deadline(),
            };
            self.timers.arm(id, alarm, deadline);
        }
        actions.contains(&Action::Deliver)
    }

    fn insert(&mut self, id: TransactionId, transaction: Transaction) {
        let deadline = match &transaction {
            Transaction::Client(Client { machine: ClientMachine::Invite(machine), .. }) => machine.next_deadline(),
            Transaction::Client(Client { machine: ClientMachine::NonInvite(machine), .. }) => machine.next_deadline(),
            Transaction::Server(_) => None,
        };
        let mut alarm = Alarm::default();
        self.timers.arm(id, &mut alarm, deadline);
        self.by_peer.insert((transaction.peer(), id));
        self.table.insert(id, (transaction, alarm));
    }

    fn fresh_id(&mut self) -> TransactionId {
        self.next_id += 1;
        TransactionId(self.next_id)
    }
}

impl Transaction {
    /// Where its messages go.
    fn flow(&self) -> &Flow {
        match self {
            Transaction::Client(client) => &client.flow,
            Transaction::Server(server) => &server.reply_to,
        }
    }

    fn peer(&self) -> Peer {
        (self.flow().transport, self.flow().remote)
    }
}

impl ServerMachine {
    fn respond(&mut self, now: Time, class: StatusClass) -> Actions {
        match self {
            ServerMachine::Invite(machine) => machine.handle(now, InviteServerInput::Respond(class)),
            ServerMachine::NonInvite(machine) => machine.handle(now, NonInviteServerInput::Respond(class)),
        }
    }
}

impl Server {
    fn has_refused(&self) -> bool {
        self.response.as_ref().is_some_and(|(status, _)| status.code() >= 300)
    }
}

/// Another transaction may have taken the key over (a peer that repeats a branch).
fn remove_if_same(index: &mut HashMap<String, TransactionId>, key: &str, id: TransactionId) {
    if index.get(key) == Some(&id) {
        index.remove(key);
    }
}

/// RFC 3261 §17.1.3. No header value holds a line feed, so no sender can make two keys alike.
fn client_key(branch: Option<&Text>, method: &Method) -> String {
    format!("{}\n{method}", branch.map_or("", Text::as_str))
}

/// RFC 3261 §17.2.3; without a branch of this RFC, by what RFC 2543 compares. `method` is INVITE for its ACK and CANCEL.
fn server_key(incoming: &Incoming, method: &Method) -> String {
    let via = &incoming.via;
    let port = via.port.unwrap_or(0);
    match via.rfc3261_branch() {
        Some(branch) => format!("{branch}\n{}\n{port}\n{method}", via.host),
        None => {
            let Incoming { call_id, cseq, from_tag, request, .. } = incoming;
            let (number, tag) = (cseq.number, from_tag.as_deref().unwrap_or(""));
            let branch = via.branch().map_or("", Text::as_str);
            format!("{call_id}\n{tag}\n{number}\n{}\n{}\n{port}\n{branch}\n{method}", request.uri, via.host)
        }
    }
}

/// `None` for requests in dialogs and those without what is compared.
fn merge_key(incoming: &Incoming) -> Option<String> {
    if matches!(incoming.method(), Method::Ack | Method::Cancel) || incoming.to_tag.is_some() {
        return None;
    }
    Some(format!("{}\n{}\n{}", incoming.call_id, incoming.from_tag.as_deref()?, incoming.cseq))
}

/// Where answers go (RFC 3261 §18.2.2, RFC 3581 §4), and where when that way has closed. `maddr` is not obeyed: it would let
/// a stranger send our answers anywhere.
pub(super) fn reply_flows(flow: &Flow, via: &Via) -> (Flow, Option<Flow>) {
    let sent_by_port = via.port.filter(|port| *port != 0).unwrap_or(flow.transport.default_port());
    let mut sent_by = *flow;
    sent_by.remote.set_port(sent_by_port);
    match flow.transport {
        Transport::Udp if via.wants_rport() => (*flow, None),
        Transport::Udp => (sent_by, None),
        Transport::Ws | Transport::Wss => (*flow, None),
        Transport::Tcp | Transport::Tls => {
            sent_by.connection = ConnectionId::NONE;
            (*flow, Some(sent_by))
        }
    }
}
