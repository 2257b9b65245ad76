//! What a relayed packet costs, beside two relays of our own making that do the least a relay can do, on the same packets.
//! Calls of two parties send real RTP, one packet in 20 ms each way, one by one and evenly over time as many real calls
//! are. Each kind of run has a process of its own; the kinds take turns, and of three rounds the middle one counts.
//!
//! CPU is the media thread's own (`/proc/self/task/*/schedstat`), and in `all` that of every thread which is not one of
//! the far ends', divided by the packets sent to it in the measured time. Delay is from just before the sender's system
//! call to the kernel's stamp as the packet reaches the receiver's socket. Packets are counted at both ends. Memory is
//! the process's own, without the kernel's sockets. All is of this machine and of what else runs on it.
//!
//! `cargo bench --bench relay` runs it: about six minutes. `-- --quick` takes half a minute and its figures are rough;
//! `-- --only NAME` takes the kinds whose name holds NAME.

mod crowd;
mod far_ends;
mod floors;
mod ours;
mod pages;
mod table;

use std::time::Duration;

use table::{Outcome, Table};

const WARM_UP: Duration = Duration::from_secs(1);

/// One way to relay, and how many calls at a time.
struct Kind {
    name: &'static str,
    calls: &'static [usize],
    run: fn(usize, Duration) -> Outcome,
}

pub const EPOLL_FLOOR: &str = "epoll floor";
pub const TICK_FLOOR: &str = "tick floor";
pub const PLAIN: &str = "perezvon";
pub const RECORDED: &str = "perezvon, recorded";

/// Coding costs several times what passing on does: four hundred such calls need more than one media thread.
const KINDS: [Kind; 7] = [
    Kind { name: EPOLL_FLOOR, calls: &[100, 400], run: floors::epoll },
    Kind { name: TICK_FLOOR, calls: &[100, 400], run: floors::tick },
    Kind { name: PLAIN, calls: &[100, 400], run: ours::plain },
    Kind { name: RECORDED, calls: &[100, 400], run: ours::recorded },
    Kind { name: "perezvon, SRTP both legs", calls: &[100, 400], run: ours::protected },
    Kind { name: "perezvon, WebRTC to SIP", calls: &[100, 400], run: ours::browsers },
    Kind { name: "perezvon, Opus to G.711", calls: &[50, 100], run: ours::transcoded },
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name, calls, seconds] = arguments.as_slice()
        && flag == "--one"
    {
        let kind = KINDS.iter().find(|kind| kind.name == name).expect("this program wrote the name");
        let number = |text: &String| text.parse().expect("this program wrote the number");
        let measured = Duration::from_secs(number(seconds) as u64);
        return println!("{}", (kind.run)(number(calls), measured).to_line());
    }
    // `cargo test --benches` asks what there is, or for a quick look; there is only the one thing to run.
    if arguments.iter().any(|argument| argument == "--list" || argument == "--test") {
        return;
    }
    let only = arguments.iter().position(|argument| argument == "--only").and_then(|place| arguments.get(place + 1));
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    let (rounds, seconds) = if is_quick { (1, 1) } else { (3, 4) };
    let mut table = Table::default();
    for round in 0..rounds {
        for kind in KINDS.iter().filter(|kind| only.is_none_or(|name| kind.name.contains(name.as_str()))) {
            for calls in kind.calls.iter().take(if is_quick { 1 } else { usize::MAX }) {
                eprintln!("round {} of {rounds}: {} with {calls} calls", round + 1, kind.name);
                table.add(kind.name, *calls, run_alone(kind.name, *calls, seconds));
            }
        }
    }
    println!("relay: the middle one of {rounds} rounds of {seconds} s; a packet is one in and one out; delay in microseconds");
    table.print();
}

/// In a process of its own, so that its memory is not what a former run left behind.
fn run_alone(name: &str, calls: usize, seconds: u64) -> Outcome {
    let this = std::env::current_exe().expect("Linux");
    let mut command = std::process::Command::new(this);
    command.args(["--one", name, &calls.to_string(), &seconds.to_string()]).stderr(std::process::Stdio::inherit());
    let output = command.output().expect("it can run itself");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{name} with {calls} calls failed");
    text.lines().last().and_then(Outcome::from_line).expect("it ends with its outcome")
}
