//! SIPp as carrier and as desk phones. Each run has its own folder with its scenario, injection file and tones, a time
//! limit, and says what went wrong in its own words.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use perezvon::media::codec::Codec;

const REGISTER: &str = include_str!("../scenarios/sipp/register.xml");
const AGENT: &str = include_str!("../scenarios/sipp/agent.xml");
const KEYPAD: &str = include_str!("../scenarios/sipp/keypad.xml");
const CALLER: &str = include_str!("../scenarios/sipp/caller.xml");

/// What the client plays and what the agent plays, in hertz.
pub const CALLER_HZ: f32 = 440.0;
pub const AGENT_HZ: f32 = 1000.0;

/// What callers and phones without audio write into their SDP; SIPp binds it all the same.
const SILENT_CALLERS_PORT: u16 = 30_000;
const SILENT_AGENTS_PORT: u16 = 30_100;
const KEYPAD_PORT: u16 = 30_200;

/// A running SIPp; killed when dropped.
pub struct Sipp {
    child: Option<Child>,
    folder: tempfile::TempDir,
    name: &'static str,
}

impl Sipp {
    /// Registers each `(extension, password)` from `local` and waits until all are done.
    pub fn register(server: SocketAddr, local: u16, phones: &[(String, String)]) {
        let lines = phones
            .iter()
            .map(|(extension, password)| format!("{extension};[authentication username={extension} password={password}]"));
        let injection = format!("SEQUENTIAL\n{}\n", lines.collect::<Vec<_>>().join("\n"));
        let count = phones.len().to_string();
        let mut sipp = Sipp::start(
            "register",
            REGISTER,
            &injection,
            30,
            &[&server.to_string(), "-p", &local.to_string(), "-m", &count, "-r", "200"],
        );
        sipp.success();
    }

    /// Desk phones that answer `calls` calls on `local`; without ports for media they say nothing.
    pub fn agents(local: u16, media: Option<u16>, calls: usize, seconds: u32) -> Sipp {
        let (local, calls) = (local.to_string(), calls.to_string());
        let ports = media.unwrap_or(SILENT_AGENTS_PORT).to_string();
        Sipp::start("agent", &spoken(AGENT, media), "", seconds, &["-p", &local, "-m", &calls, "-mp", &ports])
    }

    /// `calls` callers at `rate` a second to `number`, each talking for `talk_ms`.
    pub fn callers(server: SocketAddr, load: &Load) -> Sipp {
        let numbers: Vec<String> = (0..load.calls).map(|index| format!("7916{:07}", load.first_number + index)).collect();
        let injection = format!("SEQUENTIAL\n{}\n", numbers.join("\n"));
        let arguments = [
            server.to_string(),
            "-p".into(),
            load.local.to_string(),
            "-m".into(),
            load.calls.to_string(),
            "-l".into(),
            load.calls.to_string(),
            "-r".into(),
            load.rate.to_string(),
            "-d".into(),
            load.talk_ms.to_string(),
            "-s".into(),
            load.number.into(),
            "-mp".into(),
            load.media.unwrap_or(SILENT_CALLERS_PORT).to_string(),
        ];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Sipp::start("caller", &spoken(CALLER, load.media), &injection, load.seconds, &arguments)
    }

    /// Callers for `load.seconds` as a busy day brings them: each talks between the shortest and the longest time, `load.calls`
    /// of them at a time. `total` calls in all.
    #[allow(dead_code, reason = "for the soak")]
    pub fn churn(server: SocketAddr, load: &Load, talk_ms: std::ops::RangeInclusive<u32>, total: usize) -> Sipp {
        let numbers: Vec<String> = (0..10_000).map(|index| format!("7916{:07}", load.first_number + index)).collect();
        let injection = format!("SEQUENTIAL\n{}\n", numbers.join("\n"));
        let (shortest, longest) = (talk_ms.start(), talk_ms.end());
        let pause = format!("<pause distribution=\"uniform\" min=\"{shortest}\" max=\"{longest}\"/>");
        let scenario = spoken(CALLER, load.media).replace("<pause/>", &pause);
        // As many in the mean time of a call as shall talk at a time.
        let (calls, mean_ms) = (load.calls.to_string(), shortest.midpoint(*longest).to_string());
        let media = load.media.unwrap_or(SILENT_CALLERS_PORT).to_string();
        let (server, local, total) = (server.to_string(), load.local.to_string(), total.to_string());
        let rate = ["-r", &calls, "-rp", &mean_ms, "-l", &calls, "-m", &total];
        let arguments = [&[&*server, "-p", &*local, "-s", load.number, "-mp", &*media][..], &rate].concat();
        Sipp::start("caller", &scenario, &injection, load.seconds, &arguments)
    }

    /// A caller without telephone-event who presses 7 by INFO, waits for a 4 by INFO and then for the end.
    #[allow(dead_code, reason = "benches share this file")]
    pub fn keypad(server: SocketAddr, local: u16, number: &str) -> Sipp {
        let (server, local, ports) = (server.to_string(), local.to_string(), KEYPAD_PORT.to_string());
        Sipp::start("keypad", KEYPAD, "", 30, &[&server, "-p", &local, "-m", "1", "-s", number, "-mp", &ports])
    }

    fn start(name: &'static str, scenario: &str, injection: &str, seconds: u32, arguments: &[&str]) -> Sipp {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("scenario.xml"), scenario).unwrap();
        write_tone(&folder.path().join("caller.pcma"), CALLER_HZ);
        write_tone(&folder.path().join("agent.pcma"), AGENT_HZ);
        let mut command = Command::new("timeout");
        command.current_dir(folder.path()).args(["-k", "1", &seconds.to_string(), "sipp"]);
        command.args([
            "-sf",
            "scenario.xml",
            "-i",
            "127.0.0.1",
            "-mi",
            "127.0.0.1",
            "-nostdin",
            "-trace_err",
            "-error_file",
            "errors.log",
        ]);
        if !injection.is_empty() {
            std::fs::write(folder.path().join("injection.csv"), injection).unwrap();
            command.args(["-inf", "injection.csv"]);
        }
        let screen = std::fs::File::create(folder.path().join("screen.log")).unwrap();
        let child = command.args(arguments).stdin(Stdio::null()).stdout(screen).stderr(Stdio::null()).spawn();
        Sipp { child: Some(child.expect("timeout and sipp are installed by scripts/install-test-tools")), folder, name }
    }

    /// Waits for its end; fails the test, with SIPp's own words, unless every call succeeded.
    pub fn success(&mut self) {
        let status = self.child.take().expect("not waited for yet").wait().unwrap();
        let read = |file: &str| std::fs::read_to_string(self.folder.path().join(file)).unwrap_or_default();
        let errors: String = read("errors.log").lines().take(20).collect::<Vec<_>>().join("\n");
        assert!(
            status.success(),
            "SIPp {}: {status}\n{errors}\n{}",
            self.name,
            read("screen.log").lines().rev().take(25).collect::<Vec<_>>().join("\n")
        );
    }

    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // To `timeout`, which passes it on to SIPp and makes sure.
            // SAFETY: the pid is our own child's, which has not been waited for.
            unsafe { libc::kill(i32::try_from(child.id()).expect("a pid"), libc::SIGTERM) };
            let _ = child.wait();
        }
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        self.stop();
    }
}

/// How many calls, how fast, from where.
pub struct Load<'a> {
    pub local: u16,
    /// First port of its tones; without one the callers say nothing.
    pub media: Option<u16>,
    pub number: &'a str,
    pub calls: usize,
    pub rate: u32,
    pub talk_ms: u32,
    pub seconds: u32,
    pub first_number: usize,
}

/// The scenario as it is, or without its audio.
fn spoken(scenario: &str, media: Option<u16>) -> String {
    if media.is_some() {
        return scenario.to_string();
    }
    let lines = scenario.lines().filter(|line| !line.contains("rtp_stream="));
    lines.map(|line| line.replace("[rtpstream_audio_port]", "[media_port]") + "\n").collect()
}

/// One second of a tone, as SIPp streams it: bare A-law bytes, repeated without a seam.
fn write_tone(path: &Path, hz: f32) {
    let samples: Vec<i16> =
        (0..8000).map(|n| (8000.0 * (std::f64::consts::TAU * f64::from(hz) * f64::from(n) / 8000.0).sin()) as i16).collect();
    let mut bytes = vec![0; samples.len()];
    Codec::Pcma.encode(&samples, &mut bytes);
    std::fs::write(path, bytes).unwrap();
}
