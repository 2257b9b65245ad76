//! What the soak sees of the server: its process from outside, its events, and every recording by ear.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;

use crate::floor::CallCentre;
use crate::support::ears;
use crate::support::server::{Api, Live, wav_channels_of};
use crate::support::sipp::{AGENT_HZ, CALLER_HZ};

/// Nothing comes for so long only when the stream is dead: calls come every few seconds.
const SILENCE: Duration = Duration::from_secs(120);
/// Recordings that wait to be heard: minutes of calls. A full queue makes the reader of events wait.
const WAITING: usize = 1000;
/// The phones begin a little after the recording does, and on a machine with other work SIPp sends late; what it sends too
/// late is silence.
const LEAST_TONE: f64 = 0.8;
const LENGTH_TOLERANCE_MS: u64 = 100;
/// Memory settles in this share of the time; what it is then is compared over thirds.
const WARM_UP_SHARE: u32 = 5;
/// Until as many calls as shall be are there.
const FILLING: Duration = Duration::from_secs(60);
/// Threads for blocking work come and go.
const OTHER_THREADS: f64 = 4.0;
/// Memory may grow by so much over the time: pages of the database's cache, and tables that double.
const GROWTH_SHARE: f64 = 0.05;
const GROWTH_KIB: f64 = 4096.0;
/// Files that come and go: the database's, a web client's.
const OTHER_FILES: usize = 24;
const MOST_FAULTS_TOLD: usize = 20;

/// The server's process, seen through /proc.
#[derive(Clone, Copy)]
pub struct Process(pub u32);

/// How the server is.
#[derive(Clone, Copy, Debug)]
pub struct Health {
    memory_kib: u64,
    open_files: usize,
    threads: usize,
    calls: u64,
    /// When a leg was opened last.
    port_pairs: u64,
}

impl Process {
    pub async fn health(self, centre: &CallCentre) -> Health {
        let count = |what: &str| std::fs::read_dir(format!("/proc/{}/{what}", self.0)).map_or(0, Iterator::count);
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap_or_default();
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let memory_kib = memory.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0);
        let metrics = reqwest::get(format!("http://{}/metrics", centre.server.http)).await.expect("the server answers");
        let metrics = metrics.text().await.expect("the server answers");
        let gauge = |name: &str| {
            let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            value.and_then(|value| value.parse::<f64>().ok()).unwrap_or(0.0) as u64
        };
        Health {
            memory_kib,
            open_files: count("fd"),
            threads: count("task"),
            calls: gauge("perezvon_calls_active"),
            port_pairs: gauge("perezvon_rtp_port_pairs_in_use"),
        }
    }
}

impl Health {
    pub const HEAD: &str = "     when   memory  files  threads  calls  port pairs  ended  recordings heard";

    pub fn line(&self, when: &str, ended: usize, heard: usize) -> String {
        format!(
            "{when:>9} {:>4.1} MiB {:>6} {:>8} {:>6} {:>11} {ended:>6} {heard:>17}",
            self.memory_kib as f64 / 1024.0,
            self.open_files,
            self.threads,
            self.calls,
            self.port_pairs
        )
    }
}

/// What is wrong with how the server was: `looks` under load, `after` in the middle of one last call.
pub fn judge_health(looks: &[(Duration, Health)], time: Duration, idle: &Health, after: &Health, end: &Health) -> Vec<String> {
    let mut faults = Vec::new();
    let warm = (time / WARM_UP_SHARE).max(FILLING);
    let third = (time - warm) / 3;
    let mean = |from: Duration, what: fn(&Health) -> f64| {
        let figures = looks.iter().filter(|(at, _)| (from..from + third).contains(at)).map(|(_, health)| what(health));
        let figures: Vec<f64> = figures.collect();
        figures.iter().sum::<f64>() / figures.len().max(1) as f64
    };
    let memory = |health: &Health| health.memory_kib as f64;
    let (first, last) = (mean(warm, memory), mean(warm + third * 2, memory));
    println!("memory: {:.1} MiB in the first third after warming up, {:.1} in the last", first / 1024.0, last / 1024.0);
    if last > first * (1.0 + GROWTH_SHARE) + GROWTH_KIB {
        faults.push(format!("memory grew from {first:.0} to {last:.0} KiB"));
    }
    let threads = |health: &Health| health.threads as f64;
    if mean(warm + third * 2, threads) > mean(warm, threads) + OTHER_THREADS {
        faults.push("threads became more and more".into());
    }
    // A call from the carrier to an agent has two legs.
    if after.port_pairs > 2 {
        faults.push(format!("{} port pairs are in use in the last call, not 2", after.port_pairs));
    }
    if end.calls > 0 {
        faults.push(format!("{} calls are left over", end.calls));
    }
    // Port pairs stay bound for the next call: two sockets each, and never more pairs than were in use or at rest at once.
    let most_files =
        looks.iter().filter(|(at, _)| *at < warm + third * 2).map(|(_, health)| health.open_files).max().unwrap_or(0);
    if end.open_files > most_files.max(idle.open_files) + OTHER_FILES {
        faults.push(format!("{} files are open, {most_files} at most were in the first two thirds", end.open_files));
    }
    faults
}

/// One recording that was listened to.
struct Heard {
    call: String,
    started_at: String,
    duration_ms: u64,
}

/// What came by the stream of events.
pub struct Witness {
    folder: PathBuf,
    last_seq: Option<u64>,
    started: HashSet<String>,
    /// By call: when it ended.
    ended: HashMap<String, String>,
    heard: HashMap<String, Heard>,
    /// The least share of its tone on any side of any recording.
    least_tone: f64,
    faults: Vec<String>,
}

impl Witness {
    pub fn new(folder: &Path) -> Witness {
        Witness {
            folder: folder.join("recordings"),
            last_seq: None,
            started: HashSet::new(),
            ended: HashMap::new(),
            heard: HashMap::new(),
            least_tone: 1.0,
            faults: Vec::new(),
        }
    }

    /// Calls that ended, recordings that were heard.
    pub fn counts(&self) -> (usize, usize) {
        (self.ended.len(), self.heard.len())
    }

    fn event(&mut self, event: &Value) {
        let seq = event["seq"].as_u64().unwrap_or(0);
        if let Some(last) = self.last_seq.replace(seq)
            && seq != last + 1
        {
            self.faults.push(format!("event {seq} came after {last}"));
        }
        let call = event["call_id"].as_str().unwrap_or_default().to_owned();
        match event["type"].as_str().unwrap_or_default() {
            "call.started" => _ = self.started.insert(call),
            "call.ended" => {
                if event["data"]["cause"] != "normal" {
                    self.faults.push(format!("call {call} ended with {}", event["data"]["cause"]));
                }
                let at = event["data"]["ended_at"].as_str().unwrap_or_default().to_owned();
                if self.ended.insert(call.clone(), at).is_some() {
                    self.faults.push(format!("call {call} ended twice"));
                }
            }
            "recording.failed" => self.faults.push(format!("the recording of call {call} failed")),
            _ => {}
        }
    }

    /// What is wrong with calls, events and recordings.
    pub async fn judge(&self, centre: &CallCentre, calls: usize) -> Vec<String> {
        println!("tones: heard in at least {:.0} % of every side of every recording", self.least_tone * 100.0);
        let mut faults = self.faults.clone();
        if self.started.len() != calls {
            faults.push(format!("{} calls started, not {calls}", self.started.len()));
        }
        let rows = centre.all("recordings").await;
        let whole = rows.iter().filter(|row| row["state"] == "ready" && row["gaps"].as_array().is_some_and(Vec::is_empty));
        let whole: HashSet<&str> = whole.filter_map(|row| row["id"].as_str()).collect();
        if rows.len() != calls || whole.len() != calls {
            faults.push(format!("{} recordings are listed and {} whole, of {calls}", rows.len(), whole.len()));
        }
        let rows = centre.all("calls").await;
        if rows.len() != calls {
            faults.push(format!("{} calls are listed, not {calls}", rows.len()));
        }
        for (id, heard) in &self.heard {
            if !whole.contains(id.as_str()) {
                faults.push(format!("recording {id} was heard and is not listed as whole"));
            }
            let moment = |text: &String| chrono::DateTime::parse_from_rfc3339(text).ok();
            let ended = self.ended.get(&heard.call).and_then(moment);
            let (Some(started), Some(ended)) = (moment(&heard.started_at), ended) else {
                faults.push(format!("recording {id} belongs to no call that ended"));
                continue;
            };
            let lasted_ms = u64::try_from((ended - started).num_milliseconds()).unwrap_or(0);
            if lasted_ms.abs_diff(heard.duration_ms) > LENGTH_TOLERANCE_MS {
                faults.push(format!("recording {id} has {} ms of {lasted_ms}", heard.duration_ms));
            }
        }
        if faults.len() > MOST_FAULTS_TOLD {
            let more = faults.len() - MOST_FAULTS_TOLD;
            faults.truncate(MOST_FAULTS_TOLD);
            faults.push(format!("and {more} more of such faults"));
        }
        faults
    }
}

/// Follows the stream of events, and has every recording listened to as it becomes ready.
pub async fn listen(mut live: Live, api: Api, witness: Arc<Mutex<Witness>>) {
    let (ready, mut waiting) = mpsc::channel::<Value>(WAITING);
    let listener = Arc::clone(&witness);
    let hearing = tokio::spawn(async move {
        while let Some(recording) = waiting.recv().await {
            hear(&api, &recording, &listener).await;
        }
    });
    while let Some(event) = live.next_within(SILENCE).await {
        witness.lock().expect("nobody panics").event(&event);
        if event["type"] == "recording.ready" && ready.send(event["data"].clone()).await.is_err() {
            break;
        }
    }
    witness.lock().expect("nobody panics").faults.push("the stream of events ended".into());
    drop(ready);
    _ = hearing.await;
}

/// Listens to one recording, and takes the file away: an hour of them would fill a disk.
async fn hear(api: &Api, recording: &Value, witness: &Mutex<Witness>) {
    let text = |field: &str| recording[field].as_str().unwrap_or_default().to_owned();
    let (id, call, started_at) = (text("id"), text("call_id"), text("started_at"));
    let duration_ms = recording["duration_ms"].as_u64().unwrap_or(0);
    let bytes = api.bytes(&format!("recordings/{id}/audio")).await;
    let (rate, left, right) = wav_channels_of(&bytes);
    let in_file_ms = ears::duration_ms(&left, rate);
    let tones = [(&left, CALLER_HZ, "caller", "left"), (&right, AGENT_HZ, "agent", "right")];
    let (mut faults, mut least_tone) = (Vec::new(), 1.0_f64);
    for (samples, hz, who, side) in tones {
        let share = ears::share_of_tone(samples, rate, hz);
        least_tone = least_tone.min(share);
        if share < LEAST_TONE {
            faults.push(format!("recording {id}: the {who} is heard in {:.0} % on the {side}", share * 100.0));
        }
    }
    if in_file_ms.abs_diff(duration_ms) > 1 {
        faults.push(format!("recording {id}: {duration_ms} ms told, {in_file_ms} in the file"));
    }
    let mut witness = witness.lock().expect("nobody panics");
    let day = started_at.get(..10).unwrap_or_default().replace('-', "/");
    let path = witness.folder.join(day).join(format!("{id}.wav"));
    if let Err(error) = std::fs::remove_file(&path) {
        faults.push(format!("recording {id} is not where it should be: {error}"));
    }
    witness.faults.extend(faults);
    witness.least_tone = witness.least_tone.min(least_tone);
    witness.heard.insert(id, Heard { call, started_at, duration_ms });
}
