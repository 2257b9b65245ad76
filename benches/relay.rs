//! What a relayed packet costs. Calls of two parties send real RTP packets, one in 20 ms each way, spread evenly over
//! time as real calls are, through (1) a plain relay of our own making that only reads and sends, woken by epoll for each
//! packet: the floor; (2) Perezvon's media thread; (3) the same with a tap on one leg of each call.
//!
//! CPU is the media thread's own (`/proc/self/task/*/schedstat`), divided by the packets it passed on. Delay is from just
//! before the sender's system call to just after the receiver's. Memory is the process's own, without the kernel's
//! sockets; with taps it holds the ring, which all calls of a thread share. All is of this machine and of what else runs
//! on it. `cargo bench --bench relay` runs it: about a minute.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use perezvon::clock;
use perezvon::media::codec::Codec;
use perezvon::media::rtp::RtpHeader;
use perezvon::relay::{MediaCommand, MediaEvent, MediaId, Relay, RelayConfig, RemoteMedia, TapFrame};

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(7);
const PACKET: Duration = Duration::from_millis(20);
/// Where in a packet's payload the benchmark writes: a mark, and when it was sent.
const PAYLOAD_BYTES: usize = 160;
const MEASURED_MARK: u8 = 0x5a;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, name, calls] = arguments.as_slice()
        && flag == "--one"
    {
        let calls = calls.parse().expect("the benchmark wrote a number");
        let outcome = match name.as_str() {
            FLOOR => floor(calls),
            PLAIN => ours(calls, false),
            _ => ours(calls, true),
        };
        return outcome.print(name, calls);
    }
    // `cargo test --benches` asks what there is, or for a quick look; there is only the one thing to run.
    if arguments.iter().any(|argument| argument == "--list" || argument == "--test") {
        return;
    }
    println!("relay: {} s a run; a packet is one in and one out; delay in microseconds", MEASURED.as_secs());
    println!(
        "{:<22} {:>6} {:>9} {:>9} {:>11} {:>8} {:>8} {:>8} {:>6} {:>11} {:>8}",
        "relay", "calls", "sent", "received", "CPU/packet", "p50", "p99", "worst", "lost", "memory/call", "tapped"
    );
    // Each run has a process of its own, so that its memory is not what a former run left behind.
    let this = std::env::current_exe().expect("Linux");
    for calls in ["100", "200"] {
        for name in [FLOOR, PLAIN, TAPPED] {
            let status = std::process::Command::new(&this).args(["--one", name, calls]).status();
            assert!(status.expect("it can run itself").success(), "{name} with {calls} calls failed");
        }
    }
}

const FLOOR: &str = "plain epoll (floor)";
const PLAIN: &str = "perezvon";
const TAPPED: &str = "perezvon with taps";

/// What one run showed.
struct Outcome {
    sent: u64,
    delays_us: Vec<u32>,
    cpu: Duration,
    memory_bytes: u64,
    tapped: Option<u64>,
}

impl Outcome {
    fn print(mut self, name: &str, calls: usize) {
        self.delays_us.sort_unstable();
        let received = self.delays_us.len() as u64;
        let share = |part: f64| {
            let place = (self.delays_us.len() as f64 * part) as usize;
            self.delays_us.get(place.min(self.delays_us.len().saturating_sub(1))).copied().unwrap_or(0)
        };
        let cpu_us = self.cpu.as_secs_f64() * 1e6 / received.max(1) as f64;
        println!(
            "{name:<22} {calls:>6} {:>9} {received:>9} {:>8.2} µs {:>8} {:>8} {:>8} {:>6} {:>7.1} KiB {:>8}",
            self.sent,
            cpu_us,
            share(0.50),
            share(0.99),
            share(1.0),
            self.sent.saturating_sub(received),
            self.memory_bytes as f64 / 1024.0 / calls as f64,
            self.tapped.map_or("-".to_owned(), |tapped| tapped.to_string()),
        );
    }
}

/// All parties of all calls speak from one socket and hear on it: the relay cannot tell, and the benchmark stays light.
struct Crowd {
    socket: UdpSocket,
    address: SocketAddr,
}

impl Crowd {
    fn new() -> Crowd {
        let socket = UdpSocket::bind((HOST, 0)).expect("loopback can be bound");
        socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20).expect("a buffer size is taken, if capped");
        let address = socket.local_addr().expect("it is bound");
        Crowd { socket, address }
    }

    /// Sends one packet in 20 ms to each port, and measures what comes back, and the CPU of the threads named `name`.
    fn talk(&self, ports: &[u16], name: &str) -> (u64, Vec<u32>, Duration) {
        let is_over = Arc::new(AtomicBool::new(false));
        let receiver = {
            let (socket, is_over) = (self.socket.try_clone().expect("a socket can be shared"), Arc::clone(&is_over));
            socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout is taken");
            std::thread::spawn(move || hear(&socket, &is_over))
        };
        self.send(ports, WARM_UP, 0);
        let cpu_before = cpu_of(name);
        let sent = self.send(ports, MEASURED, MEASURED_MARK);
        // What is still on its way arrives.
        std::thread::sleep(Duration::from_millis(50));
        let cpu = cpu_of(name) - cpu_before;
        is_over.store(true, Ordering::Relaxed);
        (sent, receiver.join().expect("the receiver does not panic"), cpu)
    }

    /// Each leg has its own moment in the 20 ms, so that packets come one by one and not in bursts.
    fn send(&self, ports: &[u16], time: Duration, mark: u8) -> u64 {
        static ROUND: AtomicU64 = AtomicU64::new(0);
        // SAFETY: no pointers; the thread's sleeps end on time instead of 50 µs late.
        unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
        let rounds = time.as_millis() as u64 / PACKET.as_millis() as u64;
        let first = ROUND.fetch_add(rounds, Ordering::Relaxed);
        let step = PACKET / ports.len() as u32;
        let mut due = clock::now();
        let mut sent = 0;
        for round in first..first + rounds {
            for (place, port) in ports.iter().enumerate() {
                let now = clock::now();
                if now < due {
                    std::thread::sleep(due.since(now));
                }
                due = due + step;
                let header = RtpHeader {
                    marker: false,
                    payload_type: Codec::Pcma.payload_type(),
                    sequence: round as u16,
                    timestamp: round as u32 * PAYLOAD_BYTES as u32,
                    ssrc: place as u32 + 1,
                };
                let mut packet = [0; 12 + PAYLOAD_BYTES];
                packet[..12].copy_from_slice(&header.to_bytes());
                packet[12] = mark;
                packet[13..21].copy_from_slice(&clock::now().as_nanos().to_be_bytes());
                if self.socket.send_to(&packet, (HOST, *port)).is_ok() {
                    sent += 1;
                }
            }
        }
        sent
    }
}

/// Delays of the packets that belong to the measured time, in microseconds.
fn hear(socket: &UdpSocket, is_over: &AtomicBool) -> Vec<u32> {
    let mut delays = Vec::with_capacity(1 << 18);
    let mut packet = [0; 2048];
    while !is_over.load(Ordering::Relaxed) {
        let Ok(len) = socket.recv(&mut packet) else { continue };
        let now = clock::now().as_nanos();
        if len == 12 + PAYLOAD_BYTES && packet[12] == MEASURED_MARK {
            let sent = u64::from_be_bytes(packet[13..21].try_into().expect("eight bytes"));
            delays.push((now.saturating_sub(sent) / 1000) as u32);
        }
    }
    delays
}

/// CPU time so far of all threads of this process with this name.
fn cpu_of(name: &str) -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    let nanos: u64 = tasks
        .filter_map(|task| {
            let path = task.ok()?.path();
            let is_named = std::fs::read_to_string(path.join("comm")).ok()?.trim() == name;
            let stat = std::fs::read_to_string(path.join("schedstat")).ok()?;
            is_named.then(|| stat.split(' ').next()?.parse::<u64>().ok()).flatten()
        })
        .sum();
    Duration::from_nanos(nanos)
}

fn resident_bytes() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    stat.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

fn ours(calls: usize, has_taps: bool) -> Outcome {
    let crowd = Crowd::new();
    let config = RelayConfig { ports: 10_000..=11_999, bind: HOST, threads: 1, ..RelayConfig::default() };
    let (relay, mut taps) = Relay::start(config, |_: MediaEvent| {}).expect("the relay starts");
    let mut tap = taps.remove(0);
    let before = resident_bytes();
    let mut ports = Vec::new();
    for call in 0..calls {
        let legs: [MediaId; 2] = std::array::from_fn(|_| {
            let port = relay.open(0).expect("a thousand pairs are enough");
            ports.push(port.rtp_port);
            let remote = RemoteMedia::new(crowd.address, Codec::Pcma);
            relay.command(MediaCommand::Connect { media: port.id, remote }).expect("it runs");
            port.id
        });
        relay.command(MediaCommand::Bridge { a: legs[0], b: legs[1] }).expect("it runs");
        if has_taps {
            relay.command(MediaCommand::Tap { media: legs[0], key: call as u32 }).expect("it runs");
        }
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let recorder = {
        let is_over = Arc::clone(&is_over);
        std::thread::spawn(move || {
            let mut frames = 0;
            while !is_over.load(Ordering::Relaxed) {
                frames += std::iter::from_fn(|| tap.pop().ok()).filter(|frame: &TapFrame| !frame.is_end()).count() as u64;
                std::thread::sleep(Duration::from_millis(20));
            }
            frames
        })
    };
    let (sent, delays_us, cpu) = crowd.talk(&ports, "media-0");
    let memory_bytes = resident_bytes().saturating_sub(before + delays_us.len() as u64 * 4);
    relay.stop();
    is_over.store(true, Ordering::Relaxed);
    let frames = recorder.join().expect("the recorder does not panic");
    Outcome { sent, delays_us, cpu, memory_bytes, tapped: has_taps.then_some(frames) }
}

/// The least that any relay with a socket for each leg does: wait, read, send. It checks, rewrites and counts nothing.
fn floor(calls: usize) -> Outcome {
    let crowd = Crowd::new();
    let before = resident_bytes();
    let legs: Vec<UdpSocket> = (0..calls * 2)
        .map(|_| {
            let socket = UdpSocket::bind((HOST, 0)).expect("loopback can be bound");
            socket.set_nonblocking(true).expect("Linux");
            socket
        })
        .collect();
    let ports: Vec<u16> = legs.iter().map(|leg| leg.local_addr().expect("it is bound").port()).collect();
    let is_over = Arc::new(AtomicBool::new(false));
    let relay = {
        let (is_over, to) = (Arc::clone(&is_over), crowd.address);
        let thread = std::thread::Builder::new().name("floor".to_owned());
        thread.spawn(move || plain_relay(&legs, to, &is_over)).expect("a thread starts")
    };
    let (sent, delays_us, cpu) = crowd.talk(&ports, "floor");
    let memory_bytes = resident_bytes().saturating_sub(before + delays_us.len() as u64 * 4);
    is_over.store(true, Ordering::Relaxed);
    relay.join().expect("the relay does not panic");
    Outcome { sent, delays_us, cpu, memory_bytes, tapped: None }
}

fn plain_relay(legs: &[UdpSocket], to: SocketAddr, is_over: &AtomicBool) {
    // SAFETY: no pointers.
    let epoll = unsafe { libc::epoll_create1(0) };
    assert!(epoll >= 0, "epoll exists on Linux");
    for (index, leg) in legs.iter().enumerate() {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: index as u64 };
        // SAFETY: both descriptors are open, and `event` outlives the call.
        let added = unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, leg.as_raw_fd(), &raw mut event) };
        assert_eq!(added, 0);
    }
    let mut ready = [libc::epoll_event { events: 0, u64: 0 }; 64];
    let mut packet = [0; 2048];
    while !is_over.load(Ordering::Relaxed) {
        // SAFETY: `ready` is a writable array of 64 events.
        let count = unsafe { libc::epoll_wait(epoll, ready.as_mut_ptr(), 64, 100) };
        for event in ready.iter().take(usize::try_from(count).unwrap_or(0)) {
            let index = event.u64 as usize;
            if let Ok((len, _)) = legs[index].recv_from(&mut packet) {
                // A floor: what cannot be sent is simply lost, and would be seen in the table.
                let _ = legs[index ^ 1].send_to(&packet[..len], to);
            }
        }
    }
    // SAFETY: opened above and used by nobody else.
    unsafe { libc::close(epoll) };
}
