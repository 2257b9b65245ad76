//! The real server as a process of its own, on ports that nobody else uses, with its folder thrown away at the end.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Ten seconds: far longer than anything that works, short enough for a test that fails.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A running `perezvon serve`. Killed when dropped.
pub struct Server {
    child: Option<Child>,
    pub folder: tempfile::TempDir,
    pub http: SocketAddr,
    pub sip: SocketAddr,
    config: PathBuf,
}

/// What differs from test to test.
pub struct Setup {
    pub site: String,
    pub threads: usize,
    /// More lines for the config file, whole tables only.
    pub more_config: String,
    pub demo: bool,
    /// A closed SQLite database to start with instead of an empty one.
    pub database: Option<PathBuf>,
}

impl Default for Setup {
    fn default() -> Self {
        Setup { site: String::new(), threads: 1, more_config: String::new(), demo: false, database: None }
    }
}

/// A port that is free for UDP and TCP at this moment.
pub fn free_port() -> u16 {
    for _ in 0..100 {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = udp.local_addr().unwrap().port();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free for UDP and TCP");
}

/// RTP ports of this test process; others of the same run start elsewhere, and the server skips what is taken.
fn rtp_ports() -> (u16, u16) {
    let slot = (std::process::id() % 10) as u16;
    let first = 10_000 + slot * 2_000;
    (first, first + 1_999)
}

impl Server {
    pub fn start(setup: Setup) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let (http, sip) = (free_port(), free_port());
        let (first, last) = rtp_ports();
        std::fs::write(folder.path().join("site.toml"), &setup.site).unwrap();
        if let Some(database) = setup.database {
            std::fs::create_dir(folder.path().join("data")).unwrap();
            std::fs::copy(database, folder.path().join("data/perezvon.db")).unwrap();
        }
        let config = folder.path().join("perezvon.toml");
        let text = format!(
            "data_dir = \"data\"\n[http]\nlisten = \"127.0.0.1:{http}\"\n[sip]\nudp = [\"127.0.0.1:{sip}\"]\ntcp = [\"127.0.0.1:{sip}\"]\n\
             [rtp]\nports = [{first}, {last}]\nwebrtc_port = 0\n[media]\nthreads = {}\n[site]\nfile = \"site.toml\"\n{}",
            setup.threads, setup.more_config
        );
        std::fs::write(&config, text).unwrap();
        let mut server =
            Server { child: None, folder, http: ([127, 0, 0, 1], http).into(), sip: ([127, 0, 0, 1], sip).into(), config };
        server.run(setup.demo);
        server
    }

    fn run(&mut self, demo: bool) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = Command::new(binary());
        command.arg("--config").arg(&self.config).arg("serve").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        if demo {
            command.arg("--demo");
        }
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let is_ready = lines.any(|line| line.is_ok_and(|line| line.contains("Perezvon is ready")));
        self.child = Some(child);
        // The pipe must be read on, or the server would block when it is full.
        std::thread::spawn(move || lines.for_each(drop));
        assert!(is_ready, "the server did not start:\n{}", self.log());
    }

    pub fn log_path(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    #[allow(dead_code)] // the benches read its CPU time and memory
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map(Child::id).expect("the server runs")
    }

    /// SIGKILL: no chance to tidy up.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again on the same folder and ports.
    pub fn restart(&mut self) {
        self.run(false);
    }

    /// SIGTERM and the exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let mut child = self.child.take().expect("the server runs");
        // SAFETY: the pid is our own child's, which has not been waited for.
        unsafe { libc::kill(i32::try_from(child.id()).unwrap(), libc::SIGTERM) };
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < until, "the server does not stop:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Runs `perezvon` with this server's config; returns exit code, standard output, standard error.
    pub fn command(&self, arguments: &[&str], input: &str) -> (i32, String, String) {
        use std::io::Write as _;
        let mut child = Command::new(binary())
            .arg("--config")
            .arg(&self.config)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }

    /// A bearer token of this person, made by the command line.
    pub fn token(&self, login: &str) -> String {
        let (code, token, error) = self.command(&["token", login], "");
        assert_eq!(code, 0, "{error}");
        token.trim().to_string()
    }

    pub fn api(&self, login: &str) -> Api {
        Api { base: format!("http://{}/api/v1", self.http), token: self.token(login), client: reqwest::Client::new() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(60).collect();
            eprintln!("--- the server's last words ---");
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// The HTTP API as one person.
#[derive(Clone)]
pub struct Api {
    pub base: String,
    pub token: String,
    client: reqwest::Client,
}

impl Api {
    pub async fn get(&self, path: &str) -> Value {
        let response = self.client.get(format!("{}/{path}", self.base)).bearer_auth(&self.token).send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "GET {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("GET {path}: {error}: {text}"))
    }

    pub async fn bytes(&self, path: &str) -> Vec<u8> {
        let response = self.client.get(format!("{}/{path}", self.base)).bearer_auth(&self.token).send().await.unwrap();
        assert!(response.status().is_success(), "GET {path}: {}", response.status());
        response.bytes().await.unwrap().to_vec()
    }

    pub async fn send(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let method = method.parse().unwrap();
        let request = self.client.request(method, format!("{}/{path}", self.base)).bearer_auth(&self.token).json(&body);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or(Value::Null))
    }

    /// Asks again until `wanted` finds what it looks for; for what the server does in its own time.
    pub async fn until<T>(&self, path: &str, wanted: impl Fn(&Value) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            let value = self.get(path).await;
            if let Some(found) = wanted(&value) {
                return found;
            }
            assert!(Instant::now() < until, "GET {path} did not become what was expected: {value:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Every event from now on, as JSON, in the order of the stream.
pub struct Live {
    socket: tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>,
}

impl Live {
    pub async fn open(server: &Server, token: &str, after: Option<u64>) -> Live {
        use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
        let query = after.map_or(String::new(), |seq| format!("?after={seq}"));
        let mut request = format!("ws://{}/api/v1/live{query}", server.http).into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        let (socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        let mut live = Live { socket };
        assert_eq!(live.next().await["type"], "stream.ready");
        live
    }

    /// The next frame, or a failure when none comes in time.
    pub async fn next(&mut self) -> Value {
        self.next_within(PATIENCE).await.expect("an event in time")
    }

    pub async fn next_within(&mut self, patience: Duration) -> Option<Value> {
        use futures_util::StreamExt as _;
        let until = tokio::time::Instant::now() + patience;
        loop {
            let message = tokio::time::timeout_at(until, self.socket.next()).await.ok()??.ok()?;
            if let tokio_tungstenite::tungstenite::Message::Text(text) = message {
                return Some(serde_json::from_str(&text).unwrap());
            }
        }
    }

    /// Skips events until one of this type comes.
    pub async fn until(&mut self, kind: &str) -> Value {
        loop {
            let event = self.next().await;
            if event["type"] == kind {
                return event;
            }
        }
    }
}

/// Sample rate and both channels of a WAV file.
pub fn wav_channels_of(bytes: &[u8]) -> (u32, Vec<i16>, Vec<i16>) {
    channels(hound::WavReader::new(std::io::Cursor::new(bytes)).unwrap())
}

fn channels<R: std::io::Read>(mut reader: hound::WavReader<R>) -> (u32, Vec<i16>, Vec<i16>) {
    let rate = reader.spec().sample_rate;
    assert_eq!(reader.spec().channels, 2);
    let samples: Vec<i16> = reader.samples::<i16>().map(Result::unwrap).collect();
    let left = samples.iter().step_by(2).copied().collect();
    let right = samples.iter().skip(1).step_by(2).copied().collect();
    (rate, left, right)
}

/// The server under test: the one that `PEREZVON_BIN` names (scripts/test builds it with optimisation, because two
/// hundred calls on two cores are too many for a debug build), else the one of this build.
pub fn binary() -> PathBuf {
    std::env::var_os("PEREZVON_BIN").map_or_else(|| env!("CARGO_BIN_EXE_perezvon").into(), PathBuf::from)
}
