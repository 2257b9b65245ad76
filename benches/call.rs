//! What a call costs the server, in CPU and memory: number → queue → agent, INVITE to BYE, with the database, the events
//! and one screen that watches them all. SIPp is the carrier and the agents. First without audio and recording: what a
//! call costs however long it lasts. Then with audio both ways and recording: what a second of it costs, and what one held
//! call occupies.
//!
//! The floor of the first figure is a bare responder in this process that reads a datagram, copies five headers and
//! answers 200, for the same callers: no agent's leg, no state, no timers, no database. The floor of the second is in
//! `relay.rs`, a packet at a time. `cargo bench --bench call` runs it: about a minute.

#[path = "../tests/it/scenarios/floor.rs"]
#[allow(unused, clippy::unwrap_used, reason = "shared with the tests, which use all of it")]
mod floor;
#[path = "../tests/it/support/mod.rs"]
#[allow(unused, clippy::unwrap_used, reason = "shared with the tests, which use all of it")]
mod support;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use floor::CallCentre;
use support::server::{Live, Setup, free_port};
use support::sipp::{Load, Sipp};

const AGENTS: usize = 200;
const RATE: u32 = 20;
const FLOOR_CALLS: usize = 100;
const SILENT_CALLS: usize = 300;
const TALKING_CALLS: usize = 200;
const TALK_MS: u32 = 12_000;
/// What the agents' SIPp rings before it answers; the caller hears music then.
const RING_MS: u32 = 300;
const RECORDED: &str = "74951234567";
const UNRECORDED: &str = "74951234568";
const UNRECORDED_NUMBER: &str = "[[number]]\nnumber = \"+74951234568\"\nto = \"queue:sales\"\nrecord = false\n";

fn main() {
    // `cargo test --benches` and the like ask for a list or a filter; there is only one thing to run.
    if std::env::args().any(|argument| argument == "--list" || argument == "--test") {
        return;
    }
    tokio::runtime::Runtime::new().expect("threads can be started").block_on(measure());
}

async fn measure() {
    let floor_ms = floor_cpu_ms().await;
    println!("bare responder (floor): {FLOOR_CALLS} calls at {RATE}/s: {floor_ms:.3} ms CPU a call");

    let site = UNRECORDED_NUMBER.to_string();
    let centre = CallCentre::open(Setup { site, ..Setup::default() }, AGENTS).await;
    let mut screen = Live::open(&centre.server, &centre.root.token, None).await;
    tokio::spawn(async move { while screen.next_within(Duration::from_secs(120)).await.is_some() {} });
    let process = Process(centre.server.pid());
    let before = process.cpu();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let idle = (process.cpu() - before).as_secs_f64() / 3.0;
    println!("perezvon idle, {AGENTS} phones registered: {:.1} % of a core, {} KiB", idle * 100.0, process.memory_kib());

    let silent = Load { talk_ms: 1_000, ..load(&centre, UNRECORDED, SILENT_CALLS, None) };
    let silent = run(&centre, process, idle, &silent).await;
    let ms = silent.cpu.as_secs_f64() * 1e3 / SILENT_CALLS as f64;
    println!(
        "perezvon, no audio, no recording: {SILENT_CALLS} calls at {RATE}/s: {ms:.2} ms CPU a call, {:.0} times the floor",
        ms / floor_ms
    );

    let talking = Load { talk_ms: TALK_MS, ..load(&centre, RECORDED, TALKING_CALLS, Some(31_400)) };
    let talking = run(&centre, process, idle, &talking).await;
    let call_seconds = TALKING_CALLS as f64 * f64::from(TALK_MS + RING_MS) / 1e3;
    let ms = talking.cpu.as_secs_f64() * 1e3;
    println!(
        "perezvon, audio both ways, recorded: {TALKING_CALLS} calls of {} s: {:.2} ms CPU a call, {:.2} ms a call second",
        TALK_MS / 1000,
        ms / TALKING_CALLS as f64,
        ms / call_seconds
    );
    println!(
        "memory: {} KiB before, {} KiB with {TALKING_CALLS} calls held, {} KiB after: {:.1} KiB a held call",
        talking.before_kib,
        talking.peak_kib,
        process.memory_kib(),
        talking.peak_kib.saturating_sub(talking.before_kib) as f64 / TALKING_CALLS as f64
    );
}

fn load<'a>(centre: &CallCentre, number: &'a str, calls: usize, media: Option<u16>) -> Load<'a> {
    Load { local: centre.carrier, media, number, calls, rate: RATE, talk_ms: 0, seconds: 60, first_number: 1 }
}

/// What the server spent on a load, idleness taken off.
struct Spent {
    cpu: Duration,
    before_kib: u64,
    peak_kib: u64,
}

async fn run(centre: &CallCentre, process: Process, idle: f64, load: &Load<'_>) -> Spent {
    let (began, cpu, before_kib) = (Instant::now(), process.cpu(), process.memory_kib());
    let mut agents = Sipp::agents(centre.phones, load.media.map(|_| 30_000), load.calls, load.seconds);
    let mut callers = Sipp::callers(centre.server.sip, load);
    let peak = Arc::new(AtomicU64::new(before_kib));
    let watcher = tokio::spawn({
        let peak = Arc::clone(&peak);
        async move {
            loop {
                peak.fetch_max(process.memory_kib(), Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    });
    tokio::task::spawn_blocking(move || {
        callers.success();
        agents.success();
    })
    .await
    .expect("every call succeeds");
    // The last recordings are closed and the last events committed.
    tokio::time::sleep(Duration::from_secs(1)).await;
    watcher.abort();
    let cpu = process.cpu() - cpu;
    let idle = began.elapsed().mul_f64(idle);
    Spent { cpu: cpu.saturating_sub(idle), before_kib, peak_kib: peak.load(Ordering::Relaxed) }
}

/// Another process, seen through /proc.
#[derive(Clone, Copy)]
struct Process(u32);

impl Process {
    /// User and system time of all its threads, those that ended included.
    fn cpu(self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0)).expect("the server runs");
        // After the name, which ends with the last bracket: state is field 3, utime 14, stime 15.
        let (_, fields) = stat.rsplit_once(')').expect("the name is in brackets");
        let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        // SAFETY: sysconf has no preconditions.
        let ticks_a_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
        Duration::from_secs_f64(ticks as f64 / ticks_a_second as f64)
    }

    fn memory_kib(self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0)).expect("the server runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

/// CPU of a thread that only answers, for a call of the same callers.
async fn floor_cpu_ms() -> f64 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback can be bound");
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout is taken");
    let address = socket.local_addr().expect("it is bound");
    let is_over = Arc::new(AtomicBool::new(false));
    let responder = std::thread::spawn({
        let is_over = Arc::clone(&is_over);
        move || respond(&socket, address, &is_over)
    });
    let load = Load {
        local: free_port(),
        media: None,
        number: UNRECORDED,
        calls: FLOOR_CALLS,
        rate: RATE,
        talk_ms: 100,
        seconds: 30,
        first_number: 1,
    };
    let mut callers = Sipp::callers(address, &load);
    tokio::task::spawn_blocking(move || callers.success()).await.expect("every call succeeds");
    is_over.store(true, Ordering::Relaxed);
    let cpu = responder.join().expect("the responder does not panic");
    cpu.as_secs_f64() * 1e3 / FLOOR_CALLS as f64
}

fn respond(socket: &UdpSocket, address: SocketAddr, is_over: &AtomicBool) -> Duration {
    let before = thread_cpu_nanos();
    let mut packet = [0; 2048];
    while !is_over.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut packet) else { continue };
        let Some(request) = packet.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok()) else { continue };
        if request.starts_with("ACK ") {
            continue;
        }
        let mut answer = String::from("SIP/2.0 200 OK\r\n");
        for line in request.lines().take_while(|line| !line.is_empty()) {
            if ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name)) {
                let tag = if line.starts_with("To:") && !line.contains("tag=") { ";tag=floor" } else { "" };
                answer.extend([line, tag, "\r\n"]);
            }
        }
        answer += &format!("Contact: <sip:{address}>\r\nContent-Length: 0\r\n\r\n");
        // A lost answer is asked for again.
        let _ = socket.send_to(answer.as_bytes(), from);
    }
    Duration::from_nanos(thread_cpu_nanos() - before)
}

/// CPU time that the calling thread has used, in nanoseconds.
fn thread_cpu_nanos() -> u64 {
    let mut spec = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `spec` is a valid, writable timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut spec) };
    u64::try_from(spec.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(spec.tv_nsec).unwrap_or(0)
}
