//! How fast the card is on the screen, with 100,000 cards, and whether it is there before the phone rings. Measured on the
//! wire: one packet socket on the loopback interface sees the carrier's INVITE, the frame on the agent's websocket and the
//! INVITE at the agent's phone, in their order and with the kernel's time of each. No program's own delay is in it but the
//! server's. Needs CAP_NET_RAW; says so and stops without it.
//!
//! The agents are ready when the calls come, so an agent is chosen after the INVITE has come; counted from the INVITE, the
//! figures hold the choice too. `cargo bench --bench pop` runs it: about a minute.

#[path = "../tests/it/scenarios/floor.rs"]
#[allow(unused, clippy::unwrap_used, reason = "shared with the tests, which use all of it")]
mod floor;
#[path = "../tests/it/support/mod.rs"]
#[allow(unused, clippy::unwrap_used, reason = "shared with the tests, which use all of it")]
mod support;
mod wire_tap;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use floor::CallCentre;
use support::clients;
use support::server::{Live, Setup};
use support::sipp::{Load, Sipp};
use wire_tap::{Packet, Protocol, WireTap};

const CARDS: usize = 100_000;
const AGENTS: usize = 40;
const CALLS: usize = 200;
const FIRST_CLIENT: usize = 50_000;
const RATE: u32 = 10;

fn main() {
    // `cargo test --benches` and the like ask for a list or a filter; there is only one thing to run.
    if std::env::args().any(|argument| argument == "--list" || argument == "--test") {
        return;
    }
    match WireTap::on_loopback() {
        Ok(tap) => tokio::runtime::Runtime::new().expect("threads can be started").block_on(measure(tap)),
        Err(error) => println!("pop: not measured: a packet socket needs CAP_NET_RAW ({error})"),
    }
}

async fn measure(tap: WireTap) {
    let (_folder, database) = clients::database(CARDS).await;
    let centre = CallCentre::open(Setup { database: Some(database), ..Setup::default() }, AGENTS).await;
    for index in 0..AGENTS {
        let token = centre.server.token(&support::sites::login(index));
        let mut screen = Live::open(&centre.server, &token, None).await;
        tokio::spawn(async move { while screen.next_within(Duration::from_secs(120)).await.is_some() {} });
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let listener = std::thread::spawn({
        let (is_over, places) = (Arc::clone(&is_over), Places::of(&centre));
        move || listen(&tap, places, &is_over)
    });
    let load = Load {
        local: centre.carrier,
        media: None,
        number: "74951234567",
        calls: CALLS,
        rate: RATE,
        talk_ms: 1_000,
        seconds: 60,
        first_number: FIRST_CLIENT,
    };
    let mut agents = Sipp::agents(centre.phones, None, CALLS, load.seconds);
    let mut callers = Sipp::callers(centre.server.sip, &load);
    tokio::task::spawn_blocking(move || {
        callers.success();
        agents.success();
    })
    .await
    .expect("every call succeeds");
    is_over.store(true, Ordering::Relaxed);
    report(&listener.join().expect("the listener does not panic"));
}

/// Where the three packets of a call go or come from.
#[derive(Clone, Copy)]
struct Places {
    server: SocketAddr,
    http: u16,
    phones: u16,
}

impl Places {
    fn of(centre: &CallCentre) -> Places {
        Places { server: centre.server.sip, http: centre.server.http.port(), phones: centre.phones }
    }
}

/// When each packet of one call was first seen.
#[derive(Default)]
struct Seen {
    invited: Option<Duration>,
    shown: Option<Duration>,
    rang: Option<Duration>,
}

/// By the caller's number.
fn listen(tap: &WireTap, places: Places, is_over: &AtomicBool) -> HashMap<String, Seen> {
    let mut calls: HashMap<String, Seen> = HashMap::new();
    while !is_over.load(Ordering::Relaxed) {
        tap.next(|packet| note(&mut calls, places, packet));
    }
    calls
}

fn note(calls: &mut HashMap<String, Seen>, places: Places, packet: &Packet<'_>) {
    let text = String::from_utf8_lossy(packet.payload);
    if packet.protocol == Protocol::Tcp {
        if packet.from_port == places.http {
            // More than one frame may share a segment; what comes before the first mark is not a pop's.
            for pop in text.split("\"pop.shown\"").skip(1) {
                if let Some(number) = pop.split_once("\"caller\":").and_then(|(_, rest)| client_in(rest)) {
                    calls.entry(number).or_default().shown.get_or_insert(packet.at);
                }
            }
        }
        return;
    }
    let Some(number) = text.strip_prefix("INVITE ").and_then(client_in) else { return };
    let seen = calls.entry(number).or_default();
    if packet.to_port == places.server.port() {
        seen.invited.get_or_insert(packet.at);
    } else if packet.to_port == places.phones {
        seen.rang.get_or_insert(packet.at);
    }
}

/// The first number of one of our clients in a text.
fn client_in(text: &str) -> Option<String> {
    let at = text.find("7916")?;
    text.get(at..at + 11).map(str::to_string)
}

fn report(calls: &HashMap<String, Seen>) {
    let (mut shown_after, mut head_start, mut rang_after) = (Vec::new(), Vec::new(), Vec::new());
    for seen in calls.values() {
        let (Some(invited), Some(shown), Some(rang)) = (seen.invited, seen.shown, seen.rang) else { continue };
        shown_after.push(micros(shown) - micros(invited));
        head_start.push(micros(rang) - micros(shown));
        rang_after.push(micros(rang) - micros(invited));
    }
    let first = head_start.iter().filter(|micros| **micros > 0).count();
    println!("pop: {CARDS} cards, {CALLS} calls at {RATE}/s, {AGENTS} agents with a screen each; microseconds on the wire");
    println!("{:<46} {:>8} {:>8} {:>8} {:>8}", "", "least", "p50", "p99", "worst");
    print("carrier's INVITE -> card's frame to the agent", shown_after);
    print("carrier's INVITE -> INVITE to the agent's phone", rang_after);
    print("card's frame -> INVITE to the agent's phone", head_start);
    println!("the card was first in {first} of {CALLS} calls");
    assert_eq!(first, CALLS, "the card comes before the phone rings");
}

fn micros(at: Duration) -> i64 {
    i64::try_from(at.as_micros()).expect("this century")
}

fn print(what: &str, mut micros: Vec<i64>) {
    micros.sort_unstable();
    let share = |part: f64| micros.get((micros.len().saturating_sub(1) as f64 * part) as usize).copied().unwrap_or(-1);
    println!("{what:<46} {:>8} {:>8} {:>8} {:>8}", share(0.0), share(0.5), share(0.99), share(1.0));
}
