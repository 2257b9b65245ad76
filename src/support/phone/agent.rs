//! The phone's task: it owns the sockets and the dialogs, takes commands and messages, and sends again what is due.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::call::{Change, Ended, PhoneCall, Progress};
use super::ear::Ear;
use super::leg::Leg;
use super::requests::Pending;
use super::resend::Resend;
use super::talk::Talk;
use super::{Answering, PhoneError, PhoneSetup};
use crate::clock;
use crate::gateway::sdp::MediaSession;
use crate::sip::wire::{
    BRANCH_COOKIE, ConnectionId, Flow, Message, Method, NameAddr, Request, Response, SipUri, Text, Transport as Protocol, Via,
};
use crate::transport::{Received, Transport};

type Reply = oneshot::Sender<Result<(), PhoneError>>;

/// What the phone's owner wants.
#[derive(Debug)]
pub(super) enum Command {
    Register {
        expires: Duration,
        reply: Reply,
    },
    Dial {
        to: String,
        offers_late: bool,
        reply: oneshot::Sender<Result<PhoneCall, PhoneError>>,
    },
    SetAnswering {
        answering: Answering,
        reply: oneshot::Sender<()>,
    },
    Answer {
        id: Text,
        reply: Reply,
    },
    HangUp {
        id: Text,
        reply: Reply,
    },
    Hold {
        id: Text,
        is_held: bool,
        reply: Reply,
    },
    /// Sends sound before the answer.
    SpeakEarly {
        id: Text,
        reply: Reply,
    },
    Change {
        id: Text,
        change: Change,
        reply: Reply,
    },
}

/// Branch and method: which transaction a message belongs to.
pub(super) type Key = (Text, Method);

/// Answers and ACKs kept for copies of what they answer.
const MAX_REMEMBERED: usize = 256;

/// See the file.
pub(super) struct Agent {
    pub(super) setup: PhoneSetup,
    pub(super) transport: Transport,
    pub(super) address: SocketAddr,
    ringing: mpsc::Sender<PhoneCall>,
    pub(super) legs: HashMap<Text, Leg>,
    pub(super) pending: HashMap<Key, Pending>,
    /// The last answers, for requests that come again; and the last ACKs, for refusals that come again.
    pub(super) remembered: VecDeque<(Key, Bytes)>,
    /// The registration's Call-ID, number, and when to refresh it.
    pub(super) register_id: Text,
    pub(super) register_cseq: u32,
    pub(super) refresh: Option<(Instant, Duration)>,
    commands: mpsc::WeakSender<Command>,
}

impl Agent {
    /// `commands` is a way back to its own inbox, for the handles of calls; weak, so that the phone ends with its owner.
    pub(super) fn new(
        setup: PhoneSetup,
        transport: Transport,
        address: SocketAddr,
        ringing: mpsc::Sender<PhoneCall>,
        commands: mpsc::WeakSender<Command>,
    ) -> Agent {
        Agent {
            register_id: random_word(),
            setup,
            transport,
            address,
            ringing,
            legs: HashMap::new(),
            pending: HashMap::new(),
            remembered: VecDeque::new(),
            register_cseq: 0,
            refresh: None,
            commands,
        }
    }

    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        loop {
            let deadline = self.next_deadline();
            tokio::select! {
                command = inbox.recv() => match command {
                    Some(command) => self.carry_out(command).await,
                    None => return,
                },
                received = self.transport.received.recv() => match received {
                    Some(received) => self.receive(received).await,
                    None => return,
                },
                () = sleep_until(deadline) => self.fire(Instant::now()).await,
            }
            self.legs.retain(|_, leg| !matches!(*leg.progress.borrow(), Progress::Ended(_)) || leg.unacknowledged.is_some());
        }
    }

    async fn carry_out(&mut self, command: Command) {
        match command {
            Command::Register { expires, reply } => self.register(expires, Some(reply)),
            Command::Dial { to, offers_late, reply } => {
                let call = self.dial(&to, offers_late).await;
                let _ = reply.send(call);
            }
            Command::SetAnswering { answering, reply } => {
                self.setup.answering = answering;
                let _ = reply.send(());
            }
            Command::Answer { id, reply } => {
                let _ = reply.send(self.answer_call(&id));
            }
            Command::HangUp { id, reply } => self.hang_up(&id, Some(reply)),
            Command::Hold { id, is_held, reply } => self.hold(&id, is_held, reply),
            Command::SpeakEarly { id, reply } => {
                let _ = reply.send(self.speak_early(&id));
            }
            Command::Change { id, change, reply } => self.change(&id, change, reply).await,
        }
    }

    async fn receive(&mut self, received: Received) {
        match received {
            Received::Message { message: Ok(Message::Request(request)), flow, .. } => self.take_request(request, flow).await,
            Received::Message { message: Ok(Message::Response(response)), .. } => self.take_response(response),
            Received::Message { message: Err(error), flow, .. } => {
                if let Some(request) = error.request {
                    self.send(flow, request.answer(None).to_bytes());
                }
            }
            Received::SendFailed { flow, .. } => self.fail_pending(|pending| pending.resend.to == flow),
            Received::Closed { flow } => self
                .fail_pending(|pending| pending.resend.to.transport == flow.transport && pending.resend.to.remote == flow.remote),
        }
    }

    fn next_deadline(&self) -> Instant {
        let pending = self.pending.values().map(|pending| pending.resend.deadline());
        let answers = self.legs.values().filter_map(|leg| leg.answer_at);
        let unacknowledged = self.legs.values().filter_map(|leg| Some(leg.unacknowledged.as_ref()?.1.deadline()));
        let refresh = self.refresh.map(|(at, _)| at);
        let far = Instant::now() + Duration::from_secs(3600);
        pending.chain(answers).chain(unacknowledged).chain(refresh).min().unwrap_or(far)
    }

    async fn fire(&mut self, now: Instant) {
        if let Some((at, expires)) = self.refresh
            && at <= now
        {
            self.refresh = None;
            self.register(expires, None);
        }
        let sender = self.transport.sender();
        let send = |resend: &Resend| {
            let _ = sender.send(resend.to, resend.bytes.clone());
        };
        self.pending
            .values_mut()
            .map(|pending| &mut pending.resend)
            .filter_map(|it| it.is_due(now).then_some(&*it))
            .for_each(send);
        for leg in self.legs.values_mut() {
            if let Some((_, resend)) = &mut leg.unacknowledged {
                if resend.is_due(now) {
                    send(resend);
                }
                if resend.given_up <= now {
                    leg.unacknowledged = None;
                    leg.end(Ended::NoAnswer);
                }
            }
        }
        self.fail_pending(|pending| pending.resend.given_up <= now);
        let due: Vec<Text> =
            self.legs.values().filter(|leg| leg.answer_at.is_some_and(|at| at <= now)).map(|leg| leg.id.clone()).collect();
        for id in due {
            let _ = self.answer_call(&id);
        }
    }

    /// A new dialog with its ports open.
    pub(super) async fn open_leg(
        &mut self,
        invite: Request,
        local: NameAddr,
        remote: NameAddr,
        flow: Flow,
        is_ours: bool,
    ) -> Result<PhoneCall, PhoneError> {
        let id = invite.headers.call_id().map_err(|error| PhoneError::BadAddress(error.to_string()))?;
        let ear = Arc::new(Ear::new(clock::now()));
        let is_muted = Arc::new(AtomicBool::new(false));
        let talk = Talk::open(self.address.ip(), &self.setup.says, ear.clone(), is_muted.clone()).await;
        let talk = talk.map_err(|error| PhoneError::Sockets(error.to_string()))?;
        let progress = watch::Sender::new(Progress::Calling);
        let call = PhoneCall {
            id: id.clone(),
            invite: Arc::new(invite),
            progress: progress.subscribe(),
            commands: self.commands.upgrade().ok_or(PhoneError::Off)?,
            digits: talk.digits(),
            is_muted,
            ear,
        };
        let leg = Leg {
            id: id.clone(),
            is_ours,
            local,
            target: remote.uri.clone(),
            remote,
            routes: Vec::new(),
            flow,
            cseq: if is_ours { 1 } else { 0 },
            invite: call.invite.clone(),
            media: MediaSession::new(rand::random(), talk.local, &self.setup.codecs)
                .with_srtp(self.setup.srtp, rand::random())
                .with_comfort_noise(self.setup.comfort_noise),
            talk,
            next_talk: None,
            profile: self.setup.profile,
            progress,
            answer_at: None,
            unacknowledged: None,
            ack: None,
            is_given_up: false,
            is_cancelled: false,
            is_held: false,
            awaits_offer: false,
        };
        self.legs.insert(id, leg);
        Ok(call)
    }

    pub(super) fn announce(&self, call: PhoneCall) {
        // 64 calls that nobody looks at: the owner of the phone does not care.
        let _ = self.ringing.try_send(call);
    }

    /// A failure comes back as `Received::SendFailed`, or as silence, which the time-out ends.
    pub(super) fn send(&self, to: Flow, bytes: Bytes) {
        let _ = self.transport.sender().send(to, bytes);
    }

    pub(super) fn send_answer(&mut self, request: &Request, flow: Flow, answer: &Response) -> Bytes {
        let bytes = answer.to_bytes();
        if let Some(key) = key_of(request) {
            self.remember(key, bytes.clone());
        }
        self.send(flow, bytes.clone());
        bytes
    }

    pub(super) fn remember(&mut self, key: Key, bytes: Bytes) {
        self.remembered.retain(|(own, _)| *own != key);
        if self.remembered.len() >= MAX_REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back((key, bytes));
    }

    pub(super) fn to_server(&self) -> Flow {
        Flow { transport: self.setup.protocol, local: self.address, remote: self.setup.server, connection: ConnectionId::NONE }
    }

    pub(super) fn via(&self) -> Via {
        Via::new(self.setup.protocol, self.address, format!("{BRANCH_COOKIE}{}", random_word()))
    }

    pub(super) fn contact(&self) -> SipUri {
        SipUri::from_address(self.address).with_user(&self.setup.user).with_transport(self.setup.protocol)
    }

    /// `user` at the server.
    pub(super) fn at_server(&self, user: &str) -> SipUri {
        SipUri::from_address(self.setup.server).with_user(user).with_transport(match self.setup.protocol {
            // The transport of an address of record is nobody's business.
            Protocol::Udp | Protocol::Tcp => Protocol::Udp,
            other => other,
        })
    }

    pub(super) fn own_address(&self) -> NameAddr {
        let address = NameAddr::new(self.at_server(&self.setup.user)).with_tag(random_word());
        match &self.setup.display {
            Some(display) => address.with_display(display.as_str()),
            None => address,
        }
    }
}

/// 64 random bits as text: tags, branches, Call-IDs.
pub(super) fn random_word() -> Text {
    Text::from(format!("{:016x}", rand::random::<u64>()))
}

/// The transaction of a request; an ACK and a CANCEL have keys of their own.
pub(super) fn key_of(request: &Request) -> Option<Key> {
    let branch = request.headers.via().ok()?.branch()?.clone();
    Some((branch, request.method.clone()))
}
