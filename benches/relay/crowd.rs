//! All far ends of all calls: one thread that sends, one that receives, and the numbers of both. They cost little enough
//! not to be what is measured: the sender sleeps from packet to packet, the receiver takes what has come once a
//! millisecond and reads from the kernel when each packet arrived.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use perezvon::clock;

use crate::WARM_UP;
use crate::far_ends::{HOST, Hearer, Keys, PACKET_BYTES, Speaker, Told, Voice};
use crate::table::Outcome;

mod inbox;

use inbox::Inbox;

const PACKET: Duration = Duration::from_millis(20);
/// Parties without a socket of their own share these: the relay cannot tell.
const SHARED_SOCKETS: usize = 8;
/// Microseconds; a longer delay counts as this.
const LONGEST_DELAY_US: usize = 200_000;
/// What comes later than this after the last packet was sent counts as lost.
const LATEST: Duration = Duration::from_millis(500);
/// Every thread of the far ends is called so, and something behind it.
const CROWD: &str = "crowd";

/// See the file's head.
pub struct Crowd {
    sockets: Vec<UdpSocket>,
    speakers: Vec<Speaker>,
    hearers: Vec<Hearer>,
    /// Which hearer a packet from this port of the relay to a shared socket is for.
    by_port: Vec<u32>,
    /// Which hearer owns a socket, beyond the shared ones.
    owners: Vec<usize>,
    delays: Box<Delays>,
}

/// How many packets took so many microseconds.
struct Delays(Vec<u32>);

/// What the receiver counted.
#[derive(Default)]
struct Heard {
    stamped: u64,
    audio: u64,
    missing: u64,
}

impl Crowd {
    pub fn new() -> Crowd {
        // Every page of it is there from the start, so that memory counted later is not its own.
        let delays = Box::new(Delays(vec![1; LONGEST_DELAY_US + 1]));
        let mut crowd = Crowd {
            sockets: Vec::new(),
            speakers: Vec::new(),
            hearers: Vec::new(),
            by_port: vec![u32::MAX; 1 << 16],
            owners: Vec::new(),
            delays,
        };
        crowd.delays.0.fill(0);
        for _ in 0..SHARED_SOCKETS {
            crowd.add_socket(UdpSocket::bind((HOST, 0)).expect("loopback can be bound"));
        }
        crowd
    }

    fn add_socket(&mut self, socket: UdpSocket) {
        socket.set_nonblocking(true).expect("Linux");
        inbox::prepare(&socket).expect("Linux stamps what it receives");
        self.sockets.push(socket);
    }

    /// A party that speaks plain PCMA to this port of the relay. Returns its address.
    pub fn add_plain(&mut self, port: u16) -> SocketAddr {
        self.add(port, Voice::Stamped, None)
    }

    /// A party on one of the shared sockets. Returns its address.
    pub fn add(&mut self, port: u16, voice: Voice, keys: Option<Keys>) -> SocketAddr {
        let socket = self.speakers.len() % SHARED_SOCKETS;
        self.by_port[usize::from(port)] = self.speakers.len() as u32;
        self.add_leg(socket, SocketAddr::new(HOST, port), voice, keys);
        self.sockets[socket].local_addr().expect("it is bound")
    }

    /// A party with a socket of its own, as a browser has it.
    pub fn add_with_socket(&mut self, socket: UdpSocket, to: SocketAddr, keys: Keys) {
        self.owners.push(self.speakers.len());
        self.add_socket(socket);
        self.add_leg(self.sockets.len() - 1, to, Voice::Stamped, Some(keys));
    }

    fn add_leg(&mut self, socket: usize, to: SocketAddr, voice: Voice, keys: Option<Keys>) {
        let (speaker, hearer) = Speaker::new(socket, to, voice, keys, self.speakers.len() as u32 + 1);
        self.speakers.push(speaker);
        self.hearers.push(hearer);
    }

    /// Every party sends one packet in 20 ms and listens: first to warm up, then for `measured`. CPU is that of the threads
    /// named `relay`; memory what has come since `before_kib`.
    pub fn talk(self, measured: Duration, relay: &str, before_kib: u64, calls: usize) -> Outcome {
        let phase = Arc::new(AtomicU64::new(0));
        let is_over = Arc::new(AtomicBool::new(false));
        let sockets: Vec<UdpSocket> = self.sockets.iter().map(|it| it.try_clone().expect("a socket can be shared")).collect();
        let (hearers, by_port, owners) = (self.hearers, self.by_port, self.owners);
        let ear = Ear { sockets, hearers, by_port, owners, delays: self.delays, heard: Heard::default() };
        let (stage, over) = (Arc::clone(&phase), Arc::clone(&is_over));
        let receiver = spawn("crowd-hear", move || ear.listen(&stage, &over));
        let warm_up = {
            let (sockets, speakers) = (self.sockets, self.speakers);
            spawn("crowd-send", move || {
                let mut mouth = Mouth { sockets, speakers, due: clock::now(), late_us: 0 };
                mouth.send(WARM_UP, false);
                mouth
            })
        };
        let mut mouth = warm_up.join().expect("the sender does not panic");
        phase.store(1, Ordering::Relaxed);
        let (cpu_before, all_before) = (cpu_of(|name| name == relay), cpu_of(|name| !name.starts_with(CROWD)));
        let sending = spawn("crowd-send", move || {
            mouth.late_us = 0;
            mouth.due = clock::now();
            (mouth.send(measured, true), mouth.late_us)
        });
        let (sent, late_us) = sending.join().expect("the sender does not panic");
        // What is still on its way arrives.
        phase.store(2, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(50));
        let (cpu, all) = (cpu_of(|name| name == relay), cpu_of(|name| !name.starts_with(CROWD)));
        let (cpu, all) = (cpu.saturating_sub(cpu_before), all.saturating_sub(all_before));
        let memory_kib = memory_kib().saturating_sub(before_kib);
        // On a machine with other work much can be late; it is late then, and not lost.
        std::thread::sleep(LATEST);
        is_over.store(true, Ordering::Relaxed);
        let (heard, delays) = receiver.join().expect("the receiver does not panic");
        let a_packet = |cpu: Duration| cpu.as_secs_f64() * 1e6 / sent.max(1) as f64;
        let is_coded_anew = heard.audio > 0;
        Outcome {
            sent,
            // What is coded anew is counted by its own numbers: it does not come packet for packet.
            received: if is_coded_anew { sent.saturating_sub(heard.missing) } else { heard.stamped },
            cpu_us: a_packet(cpu),
            all_cpu_us: a_packet(all),
            delay_us: (!is_coded_anew).then(|| delays.shares()),
            memory_kib_a_call: memory_kib as f64 / calls as f64,
            late_us,
            remark: if is_coded_anew { format!("{} packets came out", heard.audio) } else { String::new() },
        }
    }
}

/// Memory of this process.
pub fn memory_kib() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    stat.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4
}

fn spawn<T: Send + 'static>(name: &str, run: impl FnOnce() -> T + Send + 'static) -> std::thread::JoinHandle<T> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).expect("a thread starts")
}

struct Mouth {
    sockets: Vec<UdpSocket>,
    speakers: Vec<Speaker>,
    due: perezvon::types::Time,
    late_us: u32,
}

impl Mouth {
    /// Each leg has its own moment in the 20 ms, so that packets come one by one and not in bursts.
    fn send(&mut self, time: Duration, is_measured: bool) -> u64 {
        // SAFETY: no pointers; the thread's sleeps end on time instead of 50 µs late.
        unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
        let step = PACKET / self.speakers.len() as u32;
        let mut packet = [0; PACKET_BYTES];
        let mut sent = 0;
        for _ in 0..time.as_millis() / PACKET.as_millis() {
            for speaker in &mut self.speakers {
                let now = clock::now();
                if now < self.due {
                    std::thread::sleep(self.due.since(now));
                }
                self.late_us = self.late_us.max(now.since(self.due).as_micros() as u32);
                self.due = self.due + step;
                let len = speaker.speak(inbox::wall_nanos(), is_measured, &mut packet);
                if self.sockets[speaker.socket].send_to(&packet[..len], speaker.to).is_ok() {
                    sent += 1;
                }
            }
        }
        sent
    }
}

struct Ear {
    sockets: Vec<UdpSocket>,
    hearers: Vec<Hearer>,
    by_port: Vec<u32>,
    owners: Vec<usize>,
    delays: Box<Delays>,
    heard: Heard,
}

impl Ear {
    /// `phase`: 0 warming up, 1 measuring, 2 done.
    fn listen(mut self, phase: &AtomicU64, is_over: &AtomicBool) -> (Heard, Box<Delays>) {
        let poll = inbox::Poll::new(&self.sockets);
        let mut inbox = Inbox::new();
        let mut room = [0; PACKET_BYTES];
        while !is_over.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
            let now = phase.load(Ordering::Relaxed);
            for place in poll.ready() {
                loop {
                    let count = inbox.receive(self.sockets[place].as_raw_fd());
                    for (port, at_nanos, packet) in inbox.packets(count) {
                        let hearer = match place.checked_sub(SHARED_SOCKETS) {
                            Some(own) => self.owners[own],
                            None => self.by_port[usize::from(port)] as usize,
                        };
                        let Some(hearer) = self.hearers.get_mut(hearer) else { continue };
                        match hearer.hear(packet, &mut room) {
                            Told::SentAt(sent_nanos) => {
                                self.heard.stamped += 1;
                                self.delays.count(at_nanos.saturating_sub(sent_nanos) / 1000);
                            }
                            Told::Audio { missing } if now == 1 => {
                                self.heard.audio += 1;
                                self.heard.missing += u64::from(missing);
                            }
                            _ => {}
                        }
                    }
                    if count < inbox::BATCH {
                        break;
                    }
                }
            }
        }
        (self.heard, self.delays)
    }
}

impl Delays {
    fn count(&mut self, delay_us: u64) {
        self.0[usize::try_from(delay_us).map_or(LONGEST_DELAY_US, |delay| delay.min(LONGEST_DELAY_US))] += 1;
    }

    /// The middle one, the 99th of a hundred, and the longest.
    fn shares(&self) -> [u32; 3] {
        let all: u64 = self.0.iter().copied().map(u64::from).sum();
        [0.50, 0.99, 1.0].map(|share| {
            let wanted = ((all as f64 * share).ceil() as u64).max(1);
            let mut seen = 0;
            let place = self.0.iter().position(|count| {
                seen += u64::from(*count);
                seen >= wanted
            });
            place.unwrap_or(0) as u32
        })
    }
}

/// CPU time so far of all threads of this process whose name is wanted.
fn cpu_of(is_wanted: impl Fn(&str) -> bool) -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    let nanos: u64 = tasks
        .filter_map(|task| {
            let path = task.ok()?.path();
            let name = std::fs::read_to_string(path.join("comm")).ok()?;
            let stat = std::fs::read_to_string(path.join("schedstat")).ok()?;
            is_wanted(name.trim()).then(|| stat.split(' ').next()?.parse::<u64>().ok()).flatten()
        })
        .sum();
    Duration::from_nanos(nanos)
}
