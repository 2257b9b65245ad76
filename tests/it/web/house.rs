//! A real HTTP port over a real store, with an engine that only remembers what it was asked. Two teams, two queues, one
//! person of every role.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use argon2::password_hash::PasswordHasher;
use futures_util::{SinkExt, StreamExt};
use perezvon::engine::{Command, CommandError, Handle, LentPhone, QueueView, Readiness, SipDoor};
use perezvon::events::AgentView;
use perezvon::site::{Queue, Role, Site, Strategy, User};
use perezvon::store::{EventLog, LogWrite, SessionKind, Store};
use perezvon::transport::{Limits, Transport, TransportConfig};
use perezvon::types::{AgentId, AgentState, CallView};
use perezvon::web::{AppState, HttpConfig, Parts, Server};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::samples::at;

/// Long enough for a slow machine; nothing here waits that long when it works.
pub const PATIENCE: Duration = Duration::from_secs(20);
pub const PASSWORD: &str = "correct horse";

/// Every login with its role; `anna` and `olga` are of team and queue `sales`, `boris` and `pavel` of `service`.
pub const PEOPLE: [(&str, Role, Option<&str>); 6] = [
    ("anna", Role::Agent, Some("sales")),
    ("boris", Role::Agent, Some("service")),
    ("olga", Role::Supervisor, Some("sales")),
    ("pavel", Role::Supervisor, Some("service")),
    ("igor", Role::Support, None),
    ("ada", Role::Admin, None),
];

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub struct House {
    pub address: SocketAddr,
    pub store: Store,
    pub log: EventLog,
    pub site: Arc<ArcSwap<Site>>,
    pub engine: Arc<Mutex<FakeEngine>>,
    pub folder: TempDir,
    pub http: reqwest::Client,
    pub transport: Transport,
    stop: Option<oneshot::Sender<()>>,
    pub server: Option<JoinHandle<()>>,
    tasks: Vec<JoinHandle<()>>,
}

impl House {
    pub async fn open() -> House {
        House::with(HttpConfig::default()).await
    }

    pub async fn with(config: HttpConfig) -> House {
        House::with_limits(config, Limits::default()).await
    }

    pub async fn with_limits(config: HttpConfig, limits: Limits) -> House {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open("sqlite://test.db", folder.path()).await.unwrap();
        let (log, writer) = store.open_log().await.unwrap();
        let (commands, inbox) = mpsc::channel(256);
        let site = Arc::new(ArcSwap::from_pointee(site()));
        let engine = Arc::new(Mutex::new(FakeEngine::new(&site.load())));
        let tasks = vec![tokio::spawn(writer.run()), tokio::spawn(answer(inbox, Arc::clone(&engine)))];

        let transport = Transport::bind(&TransportConfig { udp: vec![], tcp: vec![], limits }).unwrap();
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), &config.tls).await.unwrap();
        let address = server.local_addr().unwrap();
        let state = AppState::new(Parts {
            store: store.clone(),
            log: log.clone(),
            engine: Handle::new(commands),
            sip: SipDoor::new(transport.sender()),
            site: Arc::clone(&site),
            recordings: folder.path().join("recordings"),
            config,
            metrics: None,
        });
        std::fs::create_dir(folder.path().join("recordings")).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(server.run(state, async {
            let _ = stopped.await;
        }));
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let (stop, server) = (Some(stop), Some(server));
        House { address, store, log, site, engine, folder, http, transport, stop, server, tasks }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn recordings(&self) -> std::path::PathBuf {
        self.folder.path().join("recordings")
    }

    /// An API token of this person.
    pub async fn token(&self, login: &str) -> String {
        let (token, _) = self.store.create_session(&login.into(), SessionKind::Api, None, perezvon::clock::wall()).await.unwrap();
        token.as_str().to_string()
    }

    /// A cookie, by signing in with the password as a browser does.
    pub async fn cookie(&self, login: &str) -> String {
        let answer = self.sign_in(login, PASSWORD).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        cookie.split(';').next().unwrap().to_string()
    }

    pub async fn sign_in(&self, login: &str, password: &str) -> Response {
        let body = serde_json::json!({"login": login, "password": password});
        self.http.post(self.url("/api/v1/session")).json(&body).send().await.unwrap()
    }

    pub fn ask(&self, token: &str, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(&format!("/api/v1{path}"))).bearer_auth(token)
    }

    /// GET, expecting 200.
    pub async fn get(&self, token: &str, path: &str) -> Value {
        let answer = self.ask(token, Method::GET, path).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert_eq!(status, StatusCode::OK, "GET {path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Any method, with its status and JSON (null when there is none).
    pub async fn send(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let mut request = self.ask(token, method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        (answer.status(), serde_json::from_str(&answer.text().await.unwrap()).unwrap_or(Value::Null))
    }

    /// Opens the live stream with a token and reads its first frame.
    pub async fn live(&self, token: &str, query: &str) -> (Live, Value) {
        let mut live = self.live_with("authorization", &format!("Bearer {token}"), query).await.unwrap();
        let ready = live.next().await;
        assert_eq!(ready["type"], "stream.ready");
        (live, ready)
    }

    /// Opens the live stream with one header; the error is the refusal's status.
    pub async fn live_with(&self, header: &'static str, value: &str, query: &str) -> Result<Live, StatusCode> {
        self.live_with_all(&[(header, value)], query).await
    }

    pub async fn live_with_all(&self, headers: &[(&'static str, &str)], query: &str) -> Result<Live, StatusCode> {
        let mut request = format!("ws://{}/api/v1/live{query}", self.address).into_client_request().unwrap();
        for (header, value) in headers {
            request.headers_mut().insert(*header, value.parse().unwrap());
        }
        match tokio_tungstenite::connect_async(request).await {
            Ok((socket, _)) => Ok(Live { socket }),
            Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => {
                Err(StatusCode::from_u16(answer.status().as_u16()).unwrap())
            }
            Err(trouble) => panic!("the websocket did not open: {trouble}"),
        }
    }

    pub async fn append(&self, write: impl Into<LogWrite>) -> u64 {
        self.log.append(write).await.unwrap().seq
    }

    pub fn begin_stop(&mut self) {
        let _ = self.stop.take().expect("stopped once").send(());
    }

    pub fn engine(&self) -> std::sync::MutexGuard<'_, FakeEngine> {
        self.engine.lock().unwrap()
    }

    /// Puts a changed set-up to use, as `apply` does.
    pub fn change_site(&self, change: impl FnOnce(&mut Site)) {
        let mut site = (**self.site.load()).clone();
        change(&mut site);
        self.site.store(Arc::new(site));
    }

    /// Writes a file below the recordings' folder.
    pub fn write_recording(&self, path: &str, bytes: &[u8]) {
        let path = self.recordings().join(Path::new(path));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

impl Drop for House {
    fn drop(&mut self) {
        for task in self.tasks.drain(..).chain(self.server.take()) {
            task.abort();
        }
    }
}

/// A client of the live stream.
pub struct Live {
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Live {
    /// The next JSON frame.
    pub async fn next(&mut self) -> Value {
        match self.next_or_close().await {
            Ok(frame) => frame,
            Err(code) => panic!("the stream closed with {code:?} instead of a frame"),
        }
    }

    /// The next frame, or the close code that came instead (none: the connection just broke).
    pub async fn next_or_close(&mut self) -> Result<Value, Option<u16>> {
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.expect("a frame within twenty seconds");
            match message {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(text.as_str()).unwrap()),
                Some(Ok(Message::Close(frame))) => return Err(frame.map(|frame| frame.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// Reads to the end and tells the close code.
    pub async fn close_code(&mut self) -> Option<u16> {
        loop {
            if let Err(code) = self.next_or_close().await {
                return code;
            }
        }
    }

    /// Reads until the frame with this `seq`, and returns all read, this one included.
    pub async fn until(&mut self, seq: u64) -> Vec<Value> {
        let mut frames = Vec::new();
        loop {
            let frame = self.next().await;
            let is_last = frame["seq"] == seq;
            frames.push(frame);
            if is_last {
                return frames;
            }
        }
    }

    pub async fn send_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }
}

/// What the engine holds, and what it was asked.
pub struct FakeEngine {
    pub agents: Vec<AgentView>,
    pub queues: Vec<QueueView>,
    pub calls: Vec<CallView>,
    /// One line a command that changes something.
    pub asked: Vec<String>,
    pub refuses: Option<CommandError>,
    pub readiness: Vec<Readiness>,
    /// The next `Originate` waits for this before it is answered.
    pub gate: Option<Arc<tokio::sync::Notify>>,
    /// How many stand before the gate.
    pub waiting: u32,
}

impl FakeEngine {
    fn new(site: &Site) -> Self {
        let queues =
            |login: &AgentId| site.queues.values().filter(|q| q.members.contains(login)).map(|q| q.name.clone()).collect();
        let agents = site.users.values().filter(|user| user.extension.is_some()).map(|user| AgentView {
            login: user.login.clone(),
            name: user.name.clone(),
            team: user.team.clone(),
            extension: user.extension.clone(),
            state: AgentState::Ready,
            reason: Some("why".into()),
            since: at(0),
            until: None,
            call_id: Some(perezvon::types::CallId(super::samples::id(99))),
            queues: queues(&user.login),
            registered: true,
        });
        let queues = site.queues.values().map(|queue| QueueView {
            name: queue.name.clone(),
            strategy: queue.strategy,
            waiting: 0,
            longest_wait_ms: None,
            members: queue.members.clone(),
            supervisors: queue.supervisors.clone(),
            ready: 1,
            talking: 0,
            entered: 0,
            answered: 0,
            abandoned: 0,
            ring_seconds: queue.ring_seconds,
            wrap_up_seconds: queue.wrap_up_seconds,
        });
        FakeEngine {
            agents: agents.collect(),
            queues: queues.collect(),
            calls: Vec::new(),
            asked: Vec::new(),
            refuses: None,
            readiness: Vec::new(),
            gate: None,
            waiting: 0,
        }
    }
}

async fn answer(mut inbox: mpsc::Receiver<Command>, engine: Arc<Mutex<FakeEngine>>) {
    while let Some(command) = inbox.recv().await {
        let gate = engine.lock().unwrap().gate.clone();
        if let (Command::Originate { .. }, Some(gate)) = (&command, gate) {
            engine.lock().unwrap().waiting += 1;
            gate.notified().await;
            engine.lock().unwrap().waiting -= 1;
        }
        let mut engine = engine.lock().unwrap();
        let refused = engine.refuses.clone();
        match command {
            Command::Hangup { call, by, reply } => {
                engine.asked.push(format!("hangup {call} by {by:?}"));
                let known = engine.calls.iter().any(|held| held.id == call);
                let _ = reply.send(refused.map_or_else(|| known.then_some(()).ok_or(CommandError::NotFound), Err));
            }
            Command::Ask { call, wish, reply } => {
                engine.asked.push(format!("{} {call}", wish.name()));
                let known = engine.calls.iter().find(|held| held.id == call).cloned();
                let _ = reply.send(refused.map_or_else(|| known.ok_or(CommandError::NotFound), Err));
            }
            Command::Originate { from, to, reply, .. } => {
                engine.asked.push(format!("originate {from} to {to}"));
                let mut call = super::samples::call(500 + engine.asked.len() as u128);
                call.agent = Some(from);
                call.to = to;
                let _ = reply.send(refused.map_or(Ok(call), Err));
            }
            Command::SetAgentState { agent, state, reason, reply, .. } => {
                engine.asked.push(format!("{agent} {state:?}"));
                let view = engine.agents.iter_mut().find(|view| view.login == agent);
                let changed = view.map(|view| {
                    view.state = state;
                    view.reason = reason;
                    view.clone()
                });
                let _ = reply.send(refused.map_or_else(|| changed.ok_or(CommandError::NotFound), Err));
            }
            Command::LendPhone { user, session, session_ends, reply } => {
                let username = format!("web-{user}-{session}");
                let expires_at = session_ends.unwrap_or(at(3600));
                drop(reply.send(Ok(LentPhone { username, password: "lent".into(), expires_at })));
            }
            Command::Agents { reply } => drop(reply.send(engine.agents.clone())),
            Command::Queues { reply } => drop(reply.send(engine.queues.clone())),
            Command::ActiveCalls { reply } => drop(reply.send(engine.calls.clone())),
            Command::Readiness { reply } => drop(reply.send(engine.readiness.clone())),
            Command::SiteChanged { reply } => drop(reply.send(())),
        }
    }
}

fn site() -> Site {
    // The cheapest parameters Argon2 takes: tests check who gets in, not how long a guess costs.
    let params = argon2::Params::new(8, 1, 1, None).unwrap();
    let hasher = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let hash = hasher.hash_password(PASSWORD.as_bytes()).unwrap().to_string();
    let mut site = Site::default();
    for (number, (login, role, team)) in PEOPLE.iter().enumerate() {
        let user = User {
            login: (*login).into(),
            name: login.to_uppercase(),
            password_hash: Some(hash.clone()),
            role: *role,
            team: team.map(str::to_string),
            extension: (number < 4).then(|| format!("10{}", number + 1)),
            sip_ha1: None,
            skills: Default::default(),
            record: true,
            beep_seconds: 0,
            codecs: perezvon::site::USER_CODECS.to_vec(),
            srtp: perezvon::site::Srtp::Off,
        };
        site.users.insert(user.login.clone(), user);
    }
    for (name, member, supervisor) in [("sales", "anna", "olga"), ("service", "boris", "pavel")] {
        let queue = Queue {
            name: name.into(),
            strategy: Strategy::LongestIdle,
            members: vec![member.into()],
            supervisors: vec![supervisor.into()],
            ring_seconds: 20,
            wrap_up_seconds: 10,
            answer: true,
            record: true,
            announce: false,
            beep_seconds: 0,
        };
        site.queues.insert(queue.name.clone(), queue);
    }
    site
}
