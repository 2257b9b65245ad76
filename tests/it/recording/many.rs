//! Two hundred recordings at once, and a graceful stop.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use perezvon::clock;
use perezvon::events::{MarkKind, RecordingState};
use perezvon::recording::RecordingEvent;

use super::studio::{Studio, hear, ms_between, recording_id};

const CALLS: u32 = 200;

/// CPU time of this process's threads that carry audio, in milliseconds. The sealer's is the file system's.
fn recorder_cpu_ms() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
    let times = tasks.filter_map(|task| {
        let stat = fs::read_to_string(task.path().join("stat")).ok()?;
        // proc(5): the name in brackets, then fields; user and system time are the 14th and 15th of all.
        let (name, fields) = stat.split_once('(')?.1.rsplit_once(')')?;
        let mut fields = fields.split_whitespace().skip(11).map(|field| field.parse::<u64>().unwrap());
        (name == "rec-clerk" || name.starts_with("rec-writer")).then(|| fields.next().unwrap() + fields.next().unwrap())
    });
    // A clock tick is 10 ms on Linux.
    times.sum::<u64>() * 10
}

#[test]
fn two_hundred_recordings_at_once_are_whole_and_cheap() {
    let dir = tempfile::tempdir().unwrap();
    let started = clock::now();
    let mut studio = Studio::open(dir.path(), CALLS);
    // A call of four seconds; the length is what is tested.
    std::thread::sleep(Duration::from_secs(4));
    let ended = clock::now();
    studio.stop_playing();
    for key in 0..CALLS {
        studio.recorder.mark(key, MarkKind::AgentJoined, Some("anna".into()), started + Duration::from_secs(1)).unwrap();
        studio.recorder.finish(key, ended).unwrap();
    }
    let mut ready = HashSet::new();
    while ready.len() < CALLS as usize {
        match studio.next_event() {
            RecordingEvent::Started { .. } => {}
            RecordingEvent::Ready { view, path } => {
                assert_eq!((view.state, view.gaps.len(), view.marks.len()), (RecordingState::Ready, 0, 1));
                // Two clock readings lie between the start we took and the recorder's.
                assert!(view.duration_ms.abs_diff(ms_between(started, ended)) <= 60, "{} ms", view.duration_ms);
                assert!(ready.insert((view.id, path)));
            }
            other => panic!("{other:?}"),
        }
    }
    let cpu_ms = recorder_cpu_ms();
    println!("{CALLS} recordings of {} ms took {cpu_ms} ms of CPU", ms_between(started, ended));
    for (_, path) in ready.iter().take(20) {
        hear(&dir.path().join(path), studio.late_packets());
    }
    // Measured 1.2 s in a debug build on an idle machine; a contended one counts up to twice as much. Were it more than
    // the call's four seconds, one thread could not carry them.
    assert!(cpu_ms < 4000, "{cpu_ms} ms of CPU");
}

#[test]
fn shutdown_finishes_what_runs_and_everything_after_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let studio = Studio::open(dir.path(), 3);
    let begun = clock::now();
    // Wait for audio on the disk, not for a time.
    let part = || {
        let day = clock::wall().as_datetime().format("%Y/%m/%d").to_string();
        fs::metadata(dir.path().join(day).join(format!("{}.wav.part", recording_id(0)))).map_or(0, |part| part.len())
    };
    while part() < 20_000 {
        assert!(ms_between(begun, clock::now()) < 10_000, "no audio on the disk");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(studio.recorder.shutdown(Duration::from_secs(10)));
    let ready = studio.events.try_iter().filter(|event| matches!(event, RecordingEvent::Ready { .. })).count();
    assert_eq!(ready, 3);
    assert!(studio.recorder.finish(0, clock::now()).is_err());
    assert!(studio.recorder.shutdown(Duration::from_secs(10)));
}
