//! Figures for docs/BENCHMARKS.md, not tests: what protected and browser legs cost.
//! `cargo test --release --test it media::measure -- --ignored --nocapture --test-threads=1`, as root for figures that the
//! rest of the machine does not blur.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use perezvon::media::codec::Codec::Pcma;
use perezvon::media::srtp::{MasterKey, Profile};
use perezvon::relay::{MediaCommand, MediaId, RelayConfig, RemoteMedia, Secure};
use rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile::{Srtp_Aead_Aes_128_Gcm, Srtp_Aes128_Cm_Hmac_Sha1_80};

use super::guarded::Guarded;
use super::page::Page;
use super::rig::{LOOPBACK, Rig};

const CALLS: usize = 50;
const SECONDS: u32 = 6;

/// CPU time so far of the media thread.
fn media_cpu() -> Duration {
    let of = |task: std::fs::DirEntry| {
        let is_media = std::fs::read_to_string(task.path().join("comm")).ok()?.trim() == "media-0";
        let stat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        is_media.then(|| stat.split(' ').next()?.parse::<u64>().ok()).flatten()
    };
    Duration::from_nanos(std::fs::read_dir("/proc/self/task").unwrap().filter_map(|task| of(task.unwrap())).sum())
}

/// Puts the media thread and this one before all others of the machine, if this process may.
fn go_first() {
    let parameters = libc::sched_param { sched_priority: 10 };
    for task in std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path()) {
        let id: i32 = task.file_name().unwrap().to_str().unwrap().parse().unwrap();
        // SAFETY: gettid has no preconditions.
        let is_this = id == unsafe { libc::gettid() };
        if is_this || std::fs::read_to_string(task.join("comm")).unwrap().trim() == "media-0" {
            // SAFETY: the parameters outlive the call; a refusal changes nothing.
            unsafe { libc::sched_setscheduler(id, libc::SCHED_FIFO, &raw const parameters) };
        }
    }
}

fn rig() -> Rig {
    let first = *super::rig::free_ports(LOOPBACK, 4 * CALLS as u16).start();
    Rig::wide(first..=first + 4 * CALLS as u16 - 1, RelayConfig { threads: 1, ..RelayConfig::default() })
}

enum Kind {
    Plain,
    Sdes(Profile),
    Browser(rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile),
}

/// One leg of this kind: its name and its far end.
fn leg(rig: &Rig, kind: &Kind) -> (MediaId, Guarded) {
    if let Kind::Browser(profile) = kind {
        let mut page = Page::open(rig, 0, Pcma, 700.0);
        page.profile = *profile;
        page.connect(rig);
        page.come_through(rig);
        return (page.id, page.stream);
    }
    let port = rig.relay.open(0).unwrap();
    let socket = UdpSocket::bind((LOOPBACK, 0)).unwrap();
    let named = socket.local_addr().unwrap();
    let mut stream = Guarded::new(socket, SocketAddr::new(LOOPBACK, port.rtp_port), Pcma, 700.0);
    let mut secure = Secure::None;
    if let Kind::Sdes(profile) = kind {
        let [ours, theirs] = [(); 2].map(|()| MasterKey::from_random(*profile, rand::random()));
        stream.set_keys(&theirs, &ours);
        secure = Secure::Sdes { ours, theirs };
    }
    rig.command(MediaCommand::Connect { media: port.id, remote: RemoteMedia { secure, ..RemoteMedia::new(named, Pcma) } });
    (port.id, stream)
}

#[test]
#[ignore = "a measurement"]
fn what_a_packet_costs() {
    for (name, kind) in [
        ("plain - plain", Kind::Plain),
        ("SDES CM - plain", Kind::Sdes(Profile::AesCm128HmacSha1_80)),
        ("SDES GCM - plain", Kind::Sdes(Profile::AeadAes128Gcm)),
        ("browser CM - plain", Kind::Browser(Srtp_Aes128_Cm_Hmac_Sha1_80)),
        ("browser GCM - plain", Kind::Browser(Srtp_Aead_Aes_128_Gcm)),
    ] {
        let rig = rig();
        let mut streams = Vec::new();
        let mut legs = Vec::new();
        for _ in 0..CALLS {
            let (one, other) = (leg(&rig, &kind), leg(&rig, &Kind::Plain));
            rig.command(MediaCommand::Bridge { a: one.0, b: other.0 });
            legs.extend([one.0, other.0]);
            streams.extend([one.1, other.1]);
        }
        let step = Duration::from_millis(20) / streams.len() as u32;
        let (mut due, mut cpu, mut packets) = (Instant::now(), Duration::ZERO, 0);
        for round in 0..50 * SECONDS {
            if round == 50 {
                (cpu, packets) = (media_cpu(), 0);
            }
            for stream in &mut streams {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                due += step;
                stream.send_tone();
                packets += 1;
            }
            streams.iter_mut().filter(|_| round % 10 == 0).for_each(Guarded::listen);
        }
        let each = (media_cpu() - cpu).as_secs_f64() * 1e6 / f64::from(packets);
        let passed: u64 = legs.into_iter().map(|id| rig.close(id).packets_sent).sum();
        let all = u64::from(50 * SECONDS) * streams.len() as u64;
        println!("{name:<20} {CALLS} calls: {each:.2} µs a packet; {passed} of {all} passed on");
    }
}

#[test]
#[ignore = "a measurement"]
fn what_a_hundred_handshakes_at_once_cost_others() {
    let rig = Rig::new(1);
    let (mut a, mut b) = (rig.line(0, Pcma, 700.0), rig.line(0, Pcma, 1100.0));
    rig.bridge(&a, &b);
    super::party::talk(&mut [&mut a.party, &mut b.party], 10);
    go_first();
    let mut measure = |until: &dyn Fn() -> bool| {
        let mut delays = Vec::new();
        while !until() || delays.len() < 100 {
            let (at, before) = (Instant::now(), b.party.received.len());
            a.party.send_tone();
            while b.party.received.len() == before {
                b.party.listen();
                std::hint::spin_loop();
            }
            delays.push(at.elapsed());
            std::thread::sleep(Duration::from_millis(2));
        }
        delays.sort();
        let at = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize];
        format!("{} packets: p50 {:?}, p99 {:?}, worst {:?}", delays.len(), at(0.5), at(0.99), at(1.0))
    };
    println!("alone: {}", measure(&|| true));
    let mut pages: Vec<_> = (0..100).map(|_| Page::open(&rig, 0, Pcma, 500.0)).collect();
    pages.iter().for_each(|page| page.connect(&rig));
    pages.iter_mut().for_each(|page| assert!(page.ask_until_answered()));
    let (cpu, start) = (media_cpu(), Instant::now());
    let arriving = std::thread::spawn(move || {
        // SAFETY: the parameters outlive the call. The pages must not take part in going first.
        let parameters = libc::sched_param { sched_priority: 0 };
        unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const parameters) };
        pages.iter_mut().for_each(Page::begin);
        while pages.iter().any(|page| !page.stream.is_secured()) {
            pages.iter_mut().for_each(Page::step);
        }
        start.elapsed()
    });
    let delays = measure(&|| arriving.is_finished());
    let took = arriving.join().unwrap();
    println!("during 100 handshakes: {delays}");
    println!("they took {took:?}, and {:?} of the media thread", media_cpu() - cpu);
}

#[test]
#[ignore = "a measurement"]
fn what_memory_a_browser_leg_holds() {
    const LEGS: usize = 400;
    let resident = || {
        // SAFETY: no preconditions; it gives free memory back to the system.
        unsafe { libc::malloc_trim(0) };
        let stat = std::fs::read_to_string("/proc/self/statm").unwrap();
        stat.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4
    };
    let rig = Rig::new(1);
    let legs: Vec<_> = (0..LEGS).map(|_| Page::arrive(&rig, 0, Pcma, 700.0).id).collect();
    let with = resident();
    legs.into_iter().for_each(|id| _ = rig.close(id));
    let without = resident();
    println!(
        "{LEGS} browser legs: {with} KiB resident, {without} without: {:.1} KiB each",
        (with - without) as f64 / LEGS as f64
    );
}
