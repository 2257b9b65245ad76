//! `kill -9` in the middle of fifty recordings: this test binary starts itself as the one to be killed.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use perezvon::clock;
use perezvon::events::{MarkKind, RecordingState};
use perezvon::recording::{self, RecordingEvent};
use perezvon::types::Time;

use super::studio::{LATE, Studio, hear, ms_between, recording_id};

const CALLS: u32 = 50;
const DIR: &str = "PEREZVON_TEST_RECORD_INTO";

#[test]
#[ignore = "not a test of its own: the process that the next one kills"]
fn a_process_that_records_until_it_is_killed() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let studio = Studio::open(Path::new(&dir), CALLS);
    let started = clock::now();
    for key in 0..CALLS {
        studio.recorder.mark(key, MarkKind::AgentJoined, Some("anna".into()), started).unwrap();
    }
    for _ in 0..CALLS {
        assert!(matches!(studio.next_event(), RecordingEvent::Started { .. }));
    }
    println!("started at {}", started.as_nanos());
    // Nothing more is said on a healthy disk; a minute is far more than the parent needs.
    let _ = studio.events.recv_timeout(Duration::from_secs(60));
}

/// Ends the child however the test ends.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_kill_costs_at_most_the_last_second_of_every_recording() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "recording::kill::a_process_that_records_until_it_is_killed", "--ignored", "--nocapture"]);
    let mut victim = Victim(command.env(DIR, dir.path()).stdout(Stdio::piped()).spawn().unwrap());
    let mut output = BufReader::new(victim.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    // The monotonic clock is the machine's, so the child's moment can be compared with ours.
    let moment = |line: String| line.split_once("started at ").and_then(|(_, nanos)| nanos.trim().parse().ok());
    let started = output.find_map(moment).map(Time::from_nanos).expect("the child starts");
    // It is the length of the recording that is tested.
    std::thread::sleep((started + Duration::from_millis(3500)).since(clock::now()));
    let killed = clock::now();
    victim.0.kill().unwrap();
    victim.0.wait().unwrap();
    let late = output.filter(|line| line.contains(LATE)).count();

    let found = recording::repair(dir.path(), &[]);
    assert_eq!((found.recordings.len(), found.orphans.len()), (CALLS as usize, 0));
    let mut least_ms = u64::MAX;
    for repaired in &found.recordings {
        assert_eq!(repaired.view.state, RecordingState::Ready);
        assert_eq!(repaired.view.marks.len(), 1, "marks survive");
        assert_eq!(hear(&dir.path().join(&repaired.path), late), repaired.view.duration_ms);
        least_ms = least_ms.min(repaired.view.duration_ms);
    }
    let recorded_ms = ms_between(started, killed);
    println!("killed after {recorded_ms} ms; the shortest of {CALLS} recordings holds {least_ms} ms");
    assert!(least_ms + 1000 >= recorded_ms, "{least_ms} ms of {recorded_ms} ms");
    assert!((0..CALLS).all(|key| found.recordings.iter().any(|repaired| repaired.id == recording_id(key))));
    let left = fs::read_dir(dir.path().join(&found.recordings[0].path).parent().unwrap()).unwrap();
    assert!(left.filter_map(Result::ok).all(|entry| entry.path().extension().is_some_and(|extension| extension != "part")));
}
