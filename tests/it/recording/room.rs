//! A disk that is really full: this test binary starts itself in a mount namespace of its own with a tmpfs of 1 MB.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use perezvon::clock;
use perezvon::events::RecordingState;
use perezvon::recording::{Recorder, RecordingEvent};

use super::studio::{Studio, hear, ms_between};

const CALLS: u32 = 5;
const DIR: &str = "PEREZVON_TEST_SMALL_DISK";

#[test]
#[ignore = "not a test of its own: the process that the next one starts on a small disk"]
fn a_process_that_records_on_a_small_disk() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let dir = Path::new(&dir);
    let filler = dir.join("filler");
    fs::write(&filler, vec![0; 700 * 1024]).unwrap();
    let studio = Studio::open(dir, CALLS);
    let started = clock::now();
    let mut failed = 0;
    while failed < CALLS {
        match studio.next_event() {
            RecordingEvent::Started { .. } => {}
            RecordingEvent::Failed { view, .. } => {
                assert_eq!(view.trouble.as_deref(), Some("the disk was full"));
                failed += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    println!("full after {} ms", ms_between(started, clock::now()));
    fs::remove_file(&filler).unwrap();
    finish(&studio.recorder, &studio, dir);
}

fn finish(recorder: &Recorder, studio: &Studio, dir: &Path) {
    let (mut recovered, mut ready) = (0, 0);
    while ready < CALLS {
        match studio.next_event() {
            RecordingEvent::Recovered { .. } => {
                recovered += 1;
                if recovered == CALLS {
                    (0..CALLS).for_each(|key| recorder.finish(key, clock::now()).unwrap());
                }
            }
            RecordingEvent::Ready { view, path } => {
                // It was full for less than the memory holds.
                assert_eq!((view.state, view.gaps.len()), (RecordingState::Ready, 0));
                hear(&dir.join(path), studio.late_packets());
                ready += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    println!("all {ready} recordings are whole");
}

#[test]
fn recordings_outlive_a_full_disk() {
    let may_mount = Command::new("unshare").args(["-rm", "true"]).stderr(Stdio::null()).status();
    if !may_mount.is_ok_and(|status| status.success()) {
        eprintln!("skipped: this machine lets nobody make a mount namespace; the rehearsal in src/recording covers the logic");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=1m tmpfs "$1" && exec timeout -k 1 60 "$0" --exact "$2" --ignored --nocapture"#;
    let child = "recording::room::a_process_that_records_on_a_small_disk";
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", script]).arg(std::env::current_exe().unwrap()).arg(dir.path()).arg(child);
    let output = command.env(DIR, dir.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("recordings are whole"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "the small disk was the child's own");
}
