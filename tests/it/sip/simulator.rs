//! Ten thousand calls in some seconds: a carrier, agents with one or two phones each, the endpoint under test between
//! them, and a network that loses, doubles and reorders. A run follows from its seed alone; a failed one prints it, and
//! `PEREZVON_SEED=n` repeats it.

mod lines;
mod network;
mod party;
mod server;
mod stranger;
mod watch;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use perezvon::sip::auth::{Credentials, answer_challenge};
use perezvon::sip::endpoint::{Census, Command, Directory, Endpoint, EndpointConfig, Event, Output, SendFailure};
use perezvon::sip::wire::{ConnectionId, Flow, Message, Method, ParseError, Status, Transport, Uri};
use perezvon::site::apply::sip_ha1;
use perezvon::site::{Network as Subnet, Role, Site, Trunk, User};
use perezvon::types::{AgentId, LegId, Time, TrunkId};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use self::lines::{Lines, flow_over};
use self::network::{Happening, Network, Weather};
use self::party::Deed;
use self::server::{Server, Wish};
use self::stranger::Stranger;
use self::watch::Watch;

const SERVER: usize = 0;
const CARRIER: usize = 1;
const FIRST_PHONE: usize = 2;
const AGENTS: usize = 100;
/// How long the server lets a caller wait for an answer.
const RING_LIMIT: Duration = Duration::from_secs(45);

/// What is still to be done.
#[derive(Debug)]
enum Plan {
    Call,
    Deed {
        node: usize,
        leg: LegId,
        deed: Deed,
    },
    /// A line breaks, and the phone behind it comes back.
    Cut,
    Return {
        phone: usize,
    },
    /// The server stops waiting for an answer to this caller.
    NoAnswer {
        caller: LegId,
    },
    Noise,
}

struct Node {
    endpoint: Endpoint,
    address: SocketAddr,
    /// The nearest wake-up that the network knows of.
    armed: Option<Time>,
    last_leg: u64,
}

struct Simulation {
    network: Network<Plan>,
    nodes: Vec<Node>,
    by_address: HashMap<SocketAddr, usize>,
    server: Server,
    watch: Watch,
    stranger: Option<Stranger>,
    lines: Lines,
    /// Whose phone each node is, and how it is connected.
    phones: Vec<(usize, Transport)>,
    random: StdRng,
    calls_left: u32,
    registrations: u32,
}

impl Simulation {
    fn new(seed: u64, weather: Weather, calls: u32, transports: Transports) -> Simulation {
        let mut random = StdRng::seed_from_u64(seed);
        let mut addresses = vec![address("10.0.0.1"), address("10.0.1.1")];
        // Every other agent has two phones.
        let phones = |agent: usize| if agent.is_multiple_of(2) { 1..=1 } else { 1..=2 };
        let owners: Vec<(usize, u8)> = (0..AGENTS).flat_map(|agent| phones(agent).map(move |n| (agent, n))).collect();
        addresses.extend(owners.iter().map(|(agent, n)| address(&format!("10.{n}.2.{agent}"))));
        let carrier_only = Arc::new(Directory::from_site(&site_with_trunk("server", addresses[SERVER])));
        let everyone = Arc::new(Directory::from_site(&site_of_server(addresses[CARRIER])));
        let mut nodes = Vec::new();
        for (index, &address) in addresses.iter().enumerate() {
            let directory = if index == SERVER { everyone.clone() } else { carrier_only.clone() };
            let endpoint = Endpoint::new(EndpointConfig::on(address), directory, random.random());
            nodes.push(Node { endpoint, address, armed: None, last_leg: 0 });
        }
        let by_address = addresses.iter().copied().zip(0..).collect();
        let mut simulation = Simulation {
            network: Network::new(random.random(), weather),
            server: Server::new(addresses[CARRIER]),
            watch: Watch::default(),
            stranger: None,
            lines: Lines::default(),
            phones: Vec::new(),
            nodes,
            by_address,
            random,
            calls_left: calls,
            registrations: 0,
        };
        for (index, (agent, _)) in owners.into_iter().enumerate() {
            let is_tcp = transports == Transports::Both && index % 3 > 0;
            simulation.phones.push((agent, if is_tcp { Transport::Tcp } else { Transport::Udp }));
            simulation.register(FIRST_PHONE + index);
        }
        simulation
    }

    /// REGISTER with its challenge, on a line without loss: registration is not what is tried here.
    fn register(&mut self, node: usize) {
        let (agent, transport) = self.phones[node - FIRST_PHONE];
        let (extension, phone, server) = (extension(agent), self.nodes[node].address, self.nodes[SERVER].address);
        let line = match transport {
            Transport::Tcp => self.lines.between(phone, server),
            _ => ConnectionId::NONE,
        };
        self.registrations += 1;
        let registration = self.registrations;
        let uri: Uri = "sip:perezvon".parse().unwrap();
        let mut proof = String::new();
        for cseq in 1..=2 {
            let text = format!(
                "REGISTER {uri} SIP/2.0\r\nVia: SIP/2.0/{transport} {phone};branch=z9hG4bK{registration}.{cseq}\r\n\
                 From: <sip:{extension}@x>;tag=a\r\nTo: <sip:{extension}@x>\r\nCall-ID: {registration}\r\nCSeq: {cseq} REGISTER\r\n\
                 Contact: <sip:{extension}@{phone};transport={}>\r\nExpires: 3600\r\n{proof}\r\n",
                transport.uri_param()
            );
            let flow = flow_over(line, server, phone);
            let now = self.network.now;
            let server = &mut self.nodes[SERVER].endpoint;
            server.received(now, flow, Message::parse(&Bytes::from(text)));
            while let Some(output) = server.poll() {
                let bytes = match output {
                    Output::Send { bytes, .. } => bytes,
                    Output::Event(event) => {
                        assert!(matches!(event, Event::Registered { .. }), "{event:?}");
                        continue;
                    }
                };
                let Ok(Message::Response(answer)) = Message::parse(&bytes) else { panic!("an answer") };
                if answer.status != Status::UNAUTHORIZED {
                    return assert_eq!(answer.status, Status::OK);
                }
                let credentials = Credentials { username: extension.clone(), password: "secret".into() };
                let (name, value) =
                    answer_challenge(&answer.headers, &credentials, &Method::Register, &uri, 1, "c").expect("a challenge");
                proof = format!("{name}: {value}\r\n");
            }
        }
        panic!("phone of {extension} was not registered");
    }

    /// Runs until nothing is left to happen.
    fn run(&mut self) {
        self.network.at(self.network.now, Happening::Plan(Plan::Call));
        self.network.at(self.network.now, Happening::Plan(Plan::Cut));
        if self.stranger.is_some() {
            self.network.at(self.network.now, Happening::Plan(Plan::Noise));
        }
        while let Some(happening) = self.network.next() {
            match happening {
                Happening::Arrives { from, to, line, message } => {
                    self.arrive(from, to, line, Arc::unwrap_or_clone(message));
                }
                Happening::Wakes { node } => self.wake(node),
                Happening::Plan(Plan::Call) => self.call(),
                Happening::Plan(Plan::Deed { node, leg, deed }) => {
                    let _ = self.command(node, deed.command(leg));
                }
                Happening::Plan(Plan::Cut) => self.cut(),
                Happening::Plan(Plan::Return { phone }) => self.register(phone),
                Happening::Plan(Plan::NoAnswer { caller }) => {
                    let wishes = self.server.give_up(caller);
                    self.carry_out(wishes);
                    self.drain(SERVER);
                }
                Happening::Plan(Plan::Noise) => self.make_noise(),
            }
        }
    }

    fn arrive(&mut self, from: SocketAddr, to: SocketAddr, line: ConnectionId, message: Result<Message, ParseError>) {
        let Some(&node) = self.by_address.get(&to) else { return };
        if line != ConnectionId::NONE && !self.lines.is_open(line) {
            return;
        }
        if let Ok(message) = &message {
            self.watch.arrived(node, message);
        }
        let flow = flow_over(line, to, from);
        self.nodes[node].endpoint.received(self.network.now, flow, message);
        self.drain(node);
    }

    fn wake(&mut self, node: usize) {
        let own = &mut self.nodes[node];
        if own.armed.is_some_and(|armed| armed <= self.network.now) {
            own.armed = None;
        }
        own.endpoint.handle_timeout(self.network.now);
        self.drain(node);
    }

    /// Somebody calls: mostly the carrier for an agent, sometimes an agent for the world, sometimes for nobody.
    fn call(&mut self) {
        let Some(left) = self.calls_left.checked_sub(1) else { return };
        self.calls_left = left;
        let pause = Duration::from_millis(self.random.random_range(0..=80));
        self.network.at(self.network.now + pause, Happening::Plan(Plan::Call));
        let agent = self.random.random_range(0..AGENTS);
        let phone = self.random.random_range(FIRST_PHONE..self.nodes.len());
        let (node, number) = match self.random.random_range(0..100) {
            0..75 => (CARRIER, format!("agent{agent}")),
            75..78 => (CARRIER, "agentnobody".to_owned()),
            78..90 => (phone, "+74950000000".to_owned()),
            _ => (phone, format!("agent{agent}")),
        };
        self.nodes[node].last_leg += 1;
        let leg = LegId(self.nodes[node].last_leg);
        let has_offer = self.random.random_range(0..10) > 0;
        let transport = node.checked_sub(FIRST_PHONE).map_or(Transport::Udp, |phone| self.phones[phone].1);
        let command = party::dial(leg, transport, self.nodes[SERVER].address, &number, has_offer);
        self.command(node, command).expect("a party can always dial");
        if let Some((after, deed)) = party::plan_of_caller(&mut self.random) {
            self.plan(node, leg, after, deed);
        }
    }

    /// A line breaks with what is on it; both ends notice, and the phone registers anew a little later.
    fn cut(&mut self) {
        if self.calls_left == 0 {
            return;
        }
        let pause = Duration::from_millis(self.random.random_range(0..=1_000));
        self.network.at(self.network.now + pause, Happening::Plan(Plan::Cut));
        let Some((line, one, other)) = self.lines.cut(self.random.random_range(0..1_000)) else { return };
        for (local, remote) in [(one, other), (other, one)] {
            let node = self.by_address[&local];
            self.nodes[node].endpoint.flow_closed(self.network.now, &flow_over(line, local, remote));
            self.drain(node);
            if node >= FIRST_PHONE {
                let back = self.network.now + Duration::from_millis(700);
                self.network.at(back, Happening::Plan(Plan::Return { phone: node }));
            }
        }
    }

    fn make_noise(&mut self) {
        let Some(stranger) = &mut self.stranger else { return };
        let to = self.nodes[self.random.random_range(0..3)].address;
        let from = if self.random.random_range(0..2) == 0 { address("203.0.113.66") } else { self.nodes[CARRIER].address };
        let message = Message::parse(&stranger.say());
        self.network.send(from, to, message);
        if self.calls_left > 0 {
            let pause = Duration::from_millis(self.random.random_range(0..=60));
            self.network.at(self.network.now + pause, Happening::Plan(Plan::Noise));
        }
    }

    fn plan(&mut self, node: usize, leg: LegId, after: Duration, deed: Deed) {
        self.network.at(self.network.now + after, Happening::Plan(Plan::Deed { node, leg, deed }));
    }

    fn command(&mut self, node: usize, command: Command) -> Result<(), perezvon::sip::endpoint::CommandError> {
        let result = self.nodes[node].endpoint.command(self.network.now, command.clone());
        if result.is_ok() {
            self.watch.commanded(node, &command);
        }
        self.drain(node);
        result
    }

    fn drain(&mut self, node: usize) {
        while let Some(output) = self.nodes[node].endpoint.poll() {
            match output {
                Output::Send { to, bytes } => self.send(node, to, bytes),
                Output::Event(event) => self.hear(node, event),
            }
        }
        let own = &mut self.nodes[node];
        let deadline = own.endpoint.next_deadline();
        if let Some(deadline) = deadline.filter(|deadline| own.armed.is_none_or(|armed| *deadline < armed)) {
            own.armed = Some(deadline);
            self.network.at(deadline, Happening::Wakes { node });
        }
    }

    fn send(&mut self, node: usize, to: Flow, bytes: Bytes) {
        let message = Message::parse(&bytes);
        if let Ok(message) = &message {
            self.watch.sent(node, message);
        }
        if let Some(stranger) = &mut self.stranger {
            stranger.hear(&bytes);
        }
        let from = self.nodes[node].address;
        let line = match (to.transport, to.connection) {
            (Transport::Udp, _) => return self.network.send(from, to.remote, message),
            (_, ConnectionId::NONE) => self.lines.between(from, to.remote),
            (_, line) => line,
        };
        if self.lines.is_open(line) {
            self.network.send_over(line, from, to.remote, message);
        } else {
            self.nodes[node].endpoint.send_failed(self.network.now, &to, SendFailure::Unreachable);
        }
    }

    fn hear(&mut self, node: usize, event: Event) {
        self.watch.told(node, &event);
        if node == SERVER {
            return self.serve(event);
        }
        if let Some((leg, plan)) = party::reaction_to(&event, &mut self.random) {
            for (after, deed) in plan {
                self.plan(node, leg, after, deed);
            }
        }
    }

    fn serve(&mut self, event: Event) {
        if let Event::Invite { leg, .. } = &event {
            self.network.at(self.network.now + RING_LIMIT, Happening::Plan(Plan::NoAnswer { caller: *leg }));
        }
        let wishes = self.server.hear(event);
        self.carry_out(wishes);
    }

    fn carry_out(&mut self, wishes: Vec<Wish>) {
        for Wish { command, otherwise } in wishes {
            let Err(error) = self.command_quietly(command) else { continue };
            if let Some(wish) = self.server.refused(otherwise, error) {
                let _ = self.command_quietly(wish.command);
            }
        }
    }

    /// As `command`, but what comes of it is taken by the drain that is running.
    fn command_quietly(&mut self, command: Command) -> Result<(), perezvon::sip::endpoint::CommandError> {
        let result = self.nodes[SERVER].endpoint.command(self.network.now, command.clone());
        if result.is_ok() {
            self.watch.commanded(SERVER, &command);
        }
        result
    }

    fn assert_settled(&self) {
        self.watch.assert_settled();
        // A forged answer, or one to an INVITE that was given up with its line, is nobody's.
        if self.stranger.is_none() && self.lines.is_empty() {
            self.watch.assert_acknowledged();
        }
        assert_eq!(self.server.open_legs(), 0, "calls that the server never saw end");
        assert_eq!(self.server.calls_begun, self.server.calls_ended, "each call ends once");
        for (index, node) in self.nodes.iter().enumerate() {
            let census = Census { bindings: 0, sources: 0, timers: 0, ..node.endpoint.census() };
            assert_eq!(census, Census::default(), "left behind at node {index}");
        }
    }
}

fn address(ip: &str) -> SocketAddr {
    SocketAddr::new(ip.parse().expect("an address"), 5060)
}

fn extension(agent: usize) -> String {
    format!("{}", 1000 + agent)
}

fn site_with_trunk(name: &str, at: SocketAddr) -> Site {
    let name = TrunkId::new(name);
    let trunk = Trunk {
        name: name.clone(),
        targets: Vec::new(),
        accept_from: vec![Subnet { address: at.ip(), prefix: 32, port: None }],
        username: String::new(),
        password: String::new(),
        register: false,
        options_seconds: 0,
        max_calls: 0,
        max_cps: 0,
        codecs: perezvon::site::TRUNK_CODECS.to_vec(),
        srtp: perezvon::site::Srtp::Off,
    };
    Site { trunks: [(name, trunk)].into(), ..Site::default() }
}

fn site_of_server(carrier: SocketAddr) -> Site {
    let user = |agent: usize| {
        let login = AgentId::new(&format!("agent{agent}"));
        let user = User {
            login: login.clone(),
            name: String::new(),
            password_hash: None,
            role: Role::Agent,
            team: None,
            extension: Some(extension(agent)),
            sip_ha1: Some(sip_ha1(&extension(agent), "secret")),
            skills: BTreeMap::new(),
            record: true,
            beep_seconds: 0,
            codecs: perezvon::site::USER_CODECS.to_vec(),
            srtp: perezvon::site::Srtp::Off,
        };
        (login, user)
    };
    Site { users: (0..AGENTS).map(user).collect(), ..site_with_trunk("carrier", carrier) }
}

/// The seed of a run: from `PEREZVON_SEED`, or always the same, so that a green build stays green.
fn seed(own: u64) -> u64 {
    let seed = std::env::var("PEREZVON_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(own);
    println!("repeat this run with PEREZVON_SEED={seed}");
    seed
}

fn run(seed: u64, weather: Weather, calls: u32, transports: Transports, has_stranger: Noise) -> Watch {
    let mut simulation = Simulation::new(seed, weather, calls, transports);
    if has_stranger == Noise::Stranger {
        simulation.stranger = Some(Stranger::new(StdRng::seed_from_u64(seed ^ 1)));
    }
    let started = std::time::Instant::now();
    let begun = simulation.network.now;
    simulation.run();
    println!(
        "{} calls, {} answered, {} legs, {} datagrams, {} requests, {} s of their time, {:.1} s of ours",
        simulation.server.calls_begun,
        simulation.server.calls_answered,
        simulation.watch.legs_ended(),
        simulation.network.datagrams,
        simulation.watch.requests_seen,
        simulation.network.now.since(begun).as_secs(),
        started.elapsed().as_secs_f64()
    );
    assert!(simulation.server.calls_begun >= u64::from(calls) * 8 / 10, "most calls reach the server");
    assert!(simulation.server.calls_answered >= u64::from(calls) / 4, "many are answered");
    println!("{:?}", simulation.watch.counts);
    simulation.assert_settled();
    simulation.watch
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Transports {
    Udp,
    /// Two phones of three are connected by TCP, and their lines break.
    Both,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Noise {
    None,
    Stranger,
}

#[test]
fn a_thousand_calls_on_a_clear_day_end_once_each_and_leave_nothing_behind() {
    run(seed(1), Weather::CLEAR, 1_000, Transports::Udp, Noise::None);
}

#[test]
fn ten_thousand_calls_through_a_storm_end_once_each_and_leave_nothing_behind() {
    let watch = run(seed(2), Weather::STORM, 10_000, Transports::Udp, Noise::None);
    for word in ["CANCEL", "487 INVITE", "486 INVITE", "603 INVITE", "491 INVITE", "481 BYE"] {
        assert!(watch.counts.get(word).is_some_and(|count| *count >= 20), "no {word} in this run");
    }
    for end in ["cancelled", "failed", "hung up", "hung up by us", "rejected", "re-INVITE answered", "re-INVITE refused"] {
        assert!(watch.counts.get(end).is_some_and(|count| *count >= 100), "nothing was {end} in this run");
    }
    let never = watch.counts.get("never acknowledged").copied().unwrap_or_default();
    assert!(never <= 3, "{never} answers were never acknowledged: repeats do not make up for the losses");
}

#[test]
fn a_stranger_who_repeats_and_garbles_everything_leaves_nothing_behind() {
    run(seed(3), Weather::STORM, 1_000, Transports::Udp, Noise::Stranger);
}

#[test]
fn a_thousand_calls_over_lines_that_break_leave_nothing_behind() {
    run(seed(4), Weather::STORM, 1_000, Transports::Both, Noise::None);
}
