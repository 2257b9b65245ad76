//! `kill -9` of a process that writes and follows the log: what a client saw is still there, and no number comes twice.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use perezvon::events::EventKind;
use perezvon::store::Store;

use super::log::{open, stop};
use super::samples::{call, ended, event, tick};
use crate::support::databases::{TestDb, on_both};

const DATABASE: &str = "PEREZVON_TEST_KILL_DATABASE";

/// Not a test of its own: `published_events_survive_kill_9` runs it as the process to be killed. It appends as fast as
/// it can and prints every event that a follower sees.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by published_events_survive_kill_9"]
async fn victim() {
    let url = std::env::var(DATABASE).expect("only run by its parent");
    let store = Store::open(&url, std::path::Path::new("/")).await.expect("the database opens");
    let (log, _writer) = open(&store).await;
    let mut feed = log.follow(None, None).expect("followable");
    tokio::spawn(async move {
        for number in 1.. {
            log.submit(tick(number)).expect("in line");
            let view = call(u128::from(number));
            log.submit(event(&view, EventKind::CallStarted)).expect("in line");
            log.append(event(&ended(view, 1_000_000), EventKind::CallEnded)).await.expect("committed");
        }
    });
    let mut out = std::io::stdout().lock();
    while let Ok(recorded) = feed.next().await {
        writeln!(out, "SEEN {} {}", recorded.seq, recorded.json).expect("the parent reads");
        out.flush().expect("the parent reads");
    }
}

/// Runs the victim until `enough` events were seen, kills it, and returns everything it had shown.
fn run_and_kill(url: &str, enough: usize) -> BTreeMap<u64, String> {
    let mut victim = Command::new(std::env::current_exe().expect("this test binary"))
        .args(["--exact", "store::kill::victim", "--ignored", "--nocapture", "--test-threads=1"])
        .env(DATABASE, url)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the victim starts");
    let mut seen = BTreeMap::new();
    let lines = BufReader::new(victim.stdout.take().expect("piped")).lines();
    for line in lines.map_while(Result::ok) {
        let Some(shown) = line.split_once("SEEN ").map(|(_, shown)| shown) else { continue };
        let Some((seq, json)) = shown.split_once(' ') else { continue };
        // The line that the kill cut in half was not shown whole.
        if serde_json::from_str::<serde_json::Value>(json).is_err() {
            continue;
        }
        let is_new = seen.insert(seq.parse().expect("a number"), json.to_owned()).is_none();
        assert!(is_new, "seq {seq} came twice in one run");
        if seen.len() == enough {
            victim.kill().expect("SIGKILL");
        }
    }
    victim.wait().expect("it ended");
    assert!(seen.len() >= enough, "the victim ended by itself after {} events", seen.len());
    seen
}

on_both! {
    published_events_survive_kill_9,
}

async fn published_events_survive_kill_9(db: TestDb) {
    let mut shown: BTreeMap<u64, String> = BTreeMap::new();
    for round in 1..=3 {
        let seen = run_and_kill(&db.url, 300 * round);
        for (seq, json) in seen {
            let newest = shown.last_key_value().map_or(0, |(newest, _)| *newest);
            assert!(seq > newest, "seq {seq} is not above {newest} of the run before");
            shown.insert(seq, json);
        }
    }
    let (log, writer) = open(&db.store).await;
    let mut stored = BTreeMap::new();
    let mut after = 0;
    loop {
        let page = log.read_after(after, 1_000).await.expect("readable");
        let Some(last) = page.last() else { break };
        after = last.seq;
        stored.extend(page.into_iter().map(|recorded| (recorded.seq, recorded.json.to_string())));
    }
    for (seq, json) in &shown {
        assert_eq!(stored.get(seq), Some(json), "seq {seq} was seen by a client");
    }
    // Rows and log agree: an event whose call row is missing or behind would show here.
    let ended_in_log = db.count("select count(distinct call_id) from events where type = 'call.ended'").await;
    let ended_in_rows = db.count("select count(*) from calls where state = 'ended'").await;
    assert!(ended_in_rows > 0);
    assert_eq!(ended_in_log, ended_in_rows);
    stop(log, writer).await;
}
