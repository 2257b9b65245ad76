//! The endpoint from outside: messages in, messages and events out, on a clock of the test's own.

mod browsers;
mod door;
mod hostile;
mod inbound;
mod outbound;
mod phones;
mod register;
mod session;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::sip::registrar::{Contacts, Registration};
use crate::sip::wire::{HeaderName, Host, Method, NameAddr, Request, Response, Status, Transport, Uri};
use crate::site::apply::sip_ha1;
use crate::site::{Network, Site, Trunk, User};
use crate::types::{AgentId, TrunkId};

pub(super) const TRUNK: &str = "192.0.2.10:5060";
pub(super) const PHONE: &str = "198.51.100.20:40001";
pub(super) const PHONE_2: &str = "198.51.100.21:40002";
pub(super) const STRANGER: &str = "203.0.113.66:5060";
pub(super) const US: &str = "192.0.2.1:5060";
pub(super) const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\n";
pub(super) const BROWSER_OFFER: &str = "v=0\r\no=- 3 3 IN IP4 192.0.2.1\r\ns=browser\r\n";
pub(super) const ANSWER: &str = "v=0\r\no=- 2 2 IN IP4 192.0.2.1\r\ns=-\r\n";

pub(super) struct Bench {
    pub(super) endpoint: Endpoint,
    pub(super) now: Time,
    pub(super) sent: Vec<(Flow, Message)>,
    pub(super) events: Vec<Event>,
    branches: u32,
}

pub(super) fn udp(remote: &str) -> Flow {
    Flow {
        transport: Transport::Udp,
        local: US.parse().unwrap(),
        remote: remote.parse().unwrap(),
        connection: ConnectionId::NONE,
    }
}

pub(super) fn tcp(remote: &str, connection: u64) -> Flow {
    Flow { transport: Transport::Tcp, connection: ConnectionId(connection), ..udp(remote) }
}

pub(super) fn site() -> Site {
    let user = |login: &str, extension: &str| {
        let login = AgentId::new(login);
        let user = User {
            login: login.clone(),
            name: String::new(),
            password_hash: None,
            role: crate::site::Role::Agent,
            team: None,
            extension: Some(extension.into()),
            sip_ha1: Some(sip_ha1(extension, &format!("secret-{extension}"))),
            skills: BTreeMap::new(),
            record: true,
            beep_seconds: 0,
            codecs: crate::site::USER_CODECS.to_vec(),
            srtp: crate::site::Srtp::Off,
        };
        (login, user)
    };
    let trunk = Trunk {
        name: TrunkId::new("carrier"),
        targets: Vec::new(),
        accept_from: vec![Network { address: "192.0.2.10".parse().unwrap(), prefix: 32, port: None }],
        username: String::new(),
        password: String::new(),
        register: false,
        options_seconds: 0,
        max_calls: 0,
        max_cps: 0,
        codecs: crate::site::TRUNK_CODECS.to_vec(),
        srtp: crate::site::Srtp::Off,
    };
    Site {
        users: [user("anna", "101"), user("boris", "102")].into(),
        trunks: [(trunk.name.clone(), trunk)].into(),
        ..Site::default()
    }
}

impl Bench {
    pub(super) fn new() -> Bench {
        Bench::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut EndpointConfig)) -> Bench {
        let mut config = EndpointConfig::on(US.parse().unwrap());
        change(&mut config);
        let directory = Arc::new(Directory::from_site(&site()));
        Bench {
            endpoint: Endpoint::new(config, directory, 7),
            now: Time::from_millis(1_000_000),
            sent: Vec::new(),
            events: Vec::new(),
            branches: 0,
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll() {
            match output {
                Output::Send { to, bytes } => self.sent.push((to, Message::parse(&bytes).expect("we send good messages"))),
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    pub(super) fn feed(&mut self, flow: Flow, text: &str) {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let message = format!("{}\r\n\r\n{body}", head.trim_end().replace('\n', "\r\n"));
        self.endpoint.received(self.now, flow, Message::parse(&Bytes::from(message)));
        self.drain();
    }

    pub(super) fn message(&mut self, flow: Flow, message: impl Into<Message>) {
        self.endpoint.received(self.now, flow, Ok(message.into()));
        self.drain();
    }

    pub(super) fn command(&mut self, command: Command) -> Result<(), CommandError> {
        let result = self.endpoint.command(self.now, command);
        self.drain();
        result
    }

    /// Lets time pass, stopping at every deadline as the engine does.
    pub(super) fn pass(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some(deadline) = self.endpoint.next_deadline().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            self.endpoint.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// What was sent since the last look, as `METHOD` or status codes.
    pub(super) fn sent_words(&mut self) -> Vec<String> {
        self.take_sent().iter().map(|(_, message)| word(message)).collect()
    }

    pub(super) fn take_sent(&mut self) -> Vec<(Flow, Message)> {
        std::mem::take(&mut self.sent)
    }

    pub(super) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The only request sent since the last look.
    pub(super) fn sent_request(&mut self) -> (Flow, Request) {
        let mut sent = self.take_sent();
        assert_eq!(sent.len(), 1, "{:?}", sent.iter().map(|(_, message)| word(message)).collect::<Vec<_>>());
        match sent.pop().unwrap() {
            (flow, Message::Request(request)) => (flow, request),
            (_, Message::Response(response)) => panic!("a response {}", response.status),
        }
    }

    /// The only response sent since the last look.
    pub(super) fn sent_response(&mut self) -> Response {
        let mut sent = self.take_sent();
        assert_eq!(sent.len(), 1, "{:?}", sent.iter().map(|(_, message)| word(message)).collect::<Vec<_>>());
        match sent.pop().unwrap().1 {
            Message::Response(response) => response,
            Message::Request(request) => panic!("a request {}", request.method),
        }
    }

    fn branch(&mut self) -> String {
        self.branches += 1;
        format!("z9hG4bKtest{}", self.branches)
    }

    /// An INVITE of the trunk, without and with more headers.
    pub(super) fn invite(&mut self, call_id: &str) -> LegId {
        let text = self.invite_text(call_id, "");
        self.feed(udp(TRUNK), &text);
        match self.take_events().as_slice() {
            [Event::Invite { leg, .. }] => *leg,
            events => panic!("{events:?}"),
        }
    }

    pub(super) fn invite_text(&mut self, call_id: &str, more: &str) -> String {
        let branch = self.branch();
        format!(
            "INVITE sip:+74951234567@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch={branch}\nMax-Forwards: 70\n\
             From: <sip:+79160000001@carrier>;tag=from{call_id}\nTo: <sip:+74951234567@us>\nCall-ID: {call_id}\nCSeq: 1 INVITE\n\
             Contact: <sip:carrier@192.0.2.10:5060>\n{more}Content-Type: application/sdp\n\n{OFFER}"
        )
    }

    /// A request in the dialog of an inbound call that the trunk made; `answer` is our 2xx.
    pub(super) fn in_dialog(&mut self, answer: &Response, method: &str, cseq: u32, more: &str) -> String {
        let branch = self.branch();
        let header = |name: &HeaderName| answer.headers.get(name).unwrap().to_string();
        format!(
            "{method} sip:us@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch={branch}\nMax-Forwards: 70\n\
             From: {}\nTo: {}\nCall-ID: {}\nCSeq: {cseq} {method}\n{more}\n",
            header(&HeaderName::From),
            header(&HeaderName::To),
            header(&HeaderName::CallId),
        )
    }

    /// An inbound call, answered and acknowledged: the leg and our 2xx.
    pub(super) fn talking(&mut self, call_id: &str) -> (LegId, Response) {
        let leg = self.invite(call_id);
        self.take_sent();
        self.command(Command::Answer { leg, body: Some(Body::sdp(ANSWER)) }).unwrap();
        let answer = self.sent_response();
        let ack = self.in_dialog(&answer, "ACK", 1, "");
        self.feed(udp(TRUNK), &ack);
        assert!(matches!(self.take_events().as_slice(), [Event::Acked { .. }]));
        (leg, answer)
    }

    pub(super) fn dial(&mut self, leg: u64, target: DialTarget) -> Result<(), CommandError> {
        self.command(Command::Invite(Box::new(Dial {
            leg: LegId(leg),
            target,
            from: Identity { display: None, user: Some("+79160000001".into()), host: None },
            to: Identity::default(),
            headers: Vec::new(),
            body: Some(Body::sdp(OFFER)),
            fallback: None,
            browser: Some(Body::sdp(BROWSER_OFFER)),
            credentials: None,
            max_forwards: 69,
        })))
    }

    pub(super) fn dial_trunk(&mut self, leg: u64) -> Request {
        self.dial(leg, trunk_target()).unwrap();
        self.sent_request().1
    }

    /// An outbound call to the trunk, answered: our leg, the INVITE and the dialog's To tag.
    pub(super) fn dialled(&mut self, leg: u64) -> Request {
        let invite = self.dial_trunk(leg);
        self.message(udp(TRUNK), response_to(&invite, 200, "trunk-tag"));
        assert_eq!(self.sent_words(), ["ACK"]);
        assert!(matches!(self.take_events().as_slice(), [Event::Answered { .. }]));
        invite
    }

    /// A request of the callee in the dialog of `dialled`.
    pub(super) fn callees(&mut self, invite: &Request, method: &str, cseq: u32, more: &str) -> String {
        let branch = self.branch();
        let header = |name: &HeaderName| invite.headers.get(name).unwrap().to_string();
        format!(
            "{method} sip:us@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch={branch}\nMax-Forwards: 70\n\
             From: {};tag=trunk-tag\nTo: {}\nCall-ID: {}\nCSeq: {cseq} {method}\n{more}\n",
            header(&HeaderName::To),
            header(&HeaderName::From),
            header(&HeaderName::CallId),
        )
    }

    /// Puts a phone into the registrar without the ceremony of REGISTER.
    pub(super) fn register(&mut self, user: &str, contact: &str, flow: Flow) {
        let contact: Uri = contact.parse().unwrap();
        self.branches += 1;
        let registration = Registration {
            contacts: Contacts::These(vec![NameAddr::new(contact)]),
            expires_seconds: Some(600),
            username: "101".into(),
            longest: None,
            call_id: format!("reg-{flow:?}").as_str().into(),
            cseq: self.branches,
            flow,
            path: Vec::new(),
        };
        if flow.connection != ConnectionId::NONE {
            self.endpoint.connections.insert(flow.connection);
        }
        self.endpoint.registrar.register(self.now, &AgentId::new(user), &registration).unwrap();
    }

    /// Nothing is left after everything has had its time, but phones and points.
    pub(super) fn assert_empty_after_drain(&mut self) {
        self.pass(400_000);
        let census = self.endpoint.census();
        let left = (census.legs, census.branches, census.transactions, census.timers);
        assert_eq!(left, (0, 0, 0, 0));
    }
}

impl From<Request> for Message {
    fn from(request: Request) -> Self {
        Message::Request(request)
    }
}

impl From<Response> for Message {
    fn from(response: Response) -> Self {
        Message::Response(response)
    }
}

pub(super) fn trunk_target() -> DialTarget {
    let uri = "sip:+74950000000@192.0.2.10".parse().unwrap();
    DialTarget::Address { transport: Transport::Udp, remote: TRUNK.parse().unwrap(), uri }
}

pub(super) fn word(message: &Message) -> String {
    match message {
        Message::Request(request) => request.method.to_string(),
        Message::Response(response) => response.status.to_string(),
    }
}

/// A phone's answer to our request, with a Contact and, for a success, a session description.
pub(super) fn response_to(request: &Request, status: u16, tag: &str) -> Response {
    let mut response = request.answer(Status::new(status).unwrap(), Some(tag));
    if request.method == Method::Invite {
        response.headers.push(HeaderName::Contact, "<sip:callee@192.0.2.10:5060>");
        if status / 100 == 2 {
            response = response.with_body("application/sdp", ANSWER);
        }
    }
    response
}

pub(super) fn local_host() -> Host {
    Host::from("192.0.2.1".parse::<std::net::IpAddr>().unwrap())
}
