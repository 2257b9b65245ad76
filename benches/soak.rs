//! The server under load for as long as one likes: recorded calls that come and go, SIPp as carrier and as agents. It says
//! every minute how the server is, listens to every recording as soon as it is ready, and in the end judges: memory that
//! does not grow, no port and no file left open, every recording whole, no event missing. `scripts/soak` runs it.
//!
//! It is built like a benchmark for the optimised build, and is none: it has no figures but those of its judgement.

#[path = "../tests/it/scenarios/floor.rs"]
#[allow(unused, clippy::unwrap_used, reason = "shared with the tests, which use all of it")]
mod floor;
#[path = "../tests/it/support/mod.rs"]
#[allow(unused, clippy::unwrap_used, reason = "shared with the tests, which use all of it")]
mod support;
#[path = "soak/witness.rs"]
mod witness;

use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use floor::CallCentre;
use support::server::{Live, Setup};
use support::sipp::{Load, Sipp};
use witness::{Health, Process, Witness};

const NUMBER: &str = "74951234567";
/// A shorter soak has no thirds to compare.
const SHORTEST_SECONDS: u64 = 180;
const SHORTEST_MS: u32 = 20_000;
const LONGEST_MS: u32 = 60_000;
/// Two looks at the server are so far apart, two lines about it so many looks.
const LOOK: Duration = Duration::from_secs(5);
const LOOKS_A_LINE: u64 = 12;
/// The last calls end, and their recordings are closed. Besides, each call's way through the queue makes the whole a little longer
/// than the talks alone: a tenth is far more.
const TAIL: Duration = Duration::from_secs(90);
/// A port rests after its use, and SIPp's last packets are on their way.
const REST: Duration = Duration::from_secs(5);
/// SIPp looks for free ports of its tones from here on, a step at a time until there is one to begin with.
const MEDIA_STEP: u16 = 100;
const CALLERS_MEDIA: u16 = 31_000;
const AGENTS_MEDIA: u16 = 45_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    // `cargo test --benches` asks for a list or a filter; this is not for it.
    if arguments.iter().any(|argument| argument == "--list" || argument == "--test") {
        return;
    }
    let number = |place: usize, default: usize| arguments.get(place).map_or(Ok(default), |text| text.parse());
    let (Ok(seconds), Ok(calls)) = (number(0, 3600), number(1, 200)) else {
        eprintln!("soak [seconds, 3600] [calls at a time, 200]");
        std::process::exit(2);
    };
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    let faults = runtime.block_on(soak(Duration::from_secs((seconds as u64).max(SHORTEST_SECONDS)), calls.clamp(1, 1000)));
    for fault in &faults {
        println!("FAILED: {fault}");
    }
    if !faults.is_empty() {
        std::process::exit(1);
    }
    println!("soak: passed");
}

async fn soak(time: Duration, calls: usize) -> Vec<String> {
    println!("soak: {calls} recorded calls at a time for {} s", time.as_secs());
    let centre = CallCentre::open(Setup::default(), calls + calls / 10 + 1).await;
    let process = Process(centre.server.pid());
    let witness = Arc::new(Mutex::new(Witness::new(centre.server.folder.path())));
    let live = Live::open(&centre.server, &centre.root.token, None).await;
    let listening = tokio::spawn(witness::listen(live, centre.root.clone(), Arc::clone(&witness)));
    let idle = process.health(&centre).await;
    println!("{}", Health::HEAD);
    println!("{}", idle.line("idle", 0, 0));

    let total = (time.as_millis() as usize * calls / SHORTEST_MS.midpoint(LONGEST_MS) as usize).max(1);
    let limit = (time + time / 10 + TAIL).as_secs() as u32;
    let load = Load {
        local: centre.carrier,
        media: Some(free_media(CALLERS_MEDIA)),
        number: NUMBER,
        calls,
        rate: 0,
        talk_ms: 0,
        seconds: limit,
        first_number: 1,
    };
    let agents = Sipp::agents(centre.phones, Some(free_media(AGENTS_MEDIA)), total, limit);
    let callers = Sipp::churn(centre.server.sip, &load, SHORTEST_MS..=LONGEST_MS, total);
    let began = Instant::now();
    let mut phones = tokio::task::spawn_blocking(move || wait_for_both(callers, agents));
    let mut looks = Vec::new();
    let phones = loop {
        tokio::select! {
            phones = &mut phones => break phones.expect("the wait does not panic"),
            () = tokio::time::sleep(LOOK) => {
                let health = process.health(&centre).await;
                looks.push((began.elapsed(), health));
                if looks.len() as u64 % LOOKS_A_LINE == 0 {
                    let (ended, ready) = witness.lock().expect("nobody panics").counts();
                    println!("{}", health.line(&format!("{} s", began.elapsed().as_secs()), ended, ready));
                }
            }
        }
    };
    let mut faults: Vec<String> = phones.err().into_iter().collect();
    let settled = wait_until_settled(&witness, total).await;
    tokio::time::sleep(REST).await;

    // One more call: the server counts the ports in use when it hands out others.
    let after = last_call(&centre, process).await;
    let all_settled = wait_until_settled(&witness, total + 1).await;
    tokio::time::sleep(REST).await;
    let end = process.health(&centre).await;
    let (ended, ready) = witness.lock().expect("nobody panics").counts();
    println!("{}", end.line("end", ended, ready));
    listening.abort();

    if !(settled && all_settled) {
        faults.push(format!("of {} calls {ended} ended and {ready} recordings became ready", total + 1));
    }
    faults.extend(witness::judge_health(&looks, time, &idle, &after, &end));
    // Nobody else holds it any more.
    let witness = witness.lock().expect("nobody panics");
    faults.extend(witness.judge(&centre, total + 1).await);
    faults
}

/// The first of four ports that nobody uses: SIPp binds them before it has a call.
fn free_media(first: u16) -> u16 {
    let is_free = |port: &u16| (*port..*port + 4).all(|port| UdpSocket::bind(("127.0.0.1", port)).is_ok());
    (first..first + 10_000).step_by(MEDIA_STEP.into()).find(is_free).expect("a hundred places to begin are not all taken")
}

/// What went wrong with the phones, in SIPp's words.
fn wait_for_both(mut callers: Sipp, mut agents: Sipp) -> Result<(), String> {
    let wait = |phones: &mut Sipp| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| phones.success()));
    let outcome = wait(&mut callers);
    // After a call that failed its agent's phone would wait for ever.
    let agents = if outcome.is_ok() { wait(&mut agents) } else { Ok(()) };
    outcome.and(agents).map_err(|_| "calls failed: SIPp's words are above".to_owned())
}

/// Waits until so many calls have ended and their recordings were heard; false when that does not come.
async fn wait_until_settled(witness: &Mutex<Witness>, calls: usize) -> bool {
    let until = Instant::now() + Duration::from_secs(60);
    while Instant::now() < until {
        if witness.lock().expect("nobody panics").counts() == (calls, calls) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    false
}

/// The server's health in the middle of a single call.
async fn last_call(centre: &CallCentre, process: Process) -> Health {
    let load = Load {
        local: centre.carrier,
        media: Some(free_media(CALLERS_MEDIA)),
        number: NUMBER,
        calls: 1,
        rate: 1,
        talk_ms: 3000,
        seconds: 30,
        first_number: 20_000,
    };
    let agents = Sipp::agents(centre.phones, Some(free_media(AGENTS_MEDIA)), 1, 30);
    let callers = Sipp::callers(centre.server.sip, &load);
    let phones = tokio::task::spawn_blocking(move || wait_for_both(callers, agents));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let health = process.health(centre).await;
    // A call that fails is seen in the count of calls.
    _ = phones.await;
    health
}
