//! The sealer: one thread that waits for the platter, so that no writer has to. A finished file is synced, gets its final
//! name, and is announced. It also removes notes that the database has taken over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;

use tracing::{debug, warn};

use super::disk::Disk;
use super::files::Paths;
use super::{EventSink, RecordingEvent};
use crate::events::{RecordingState, RecordingView};

/// One thing to seal or settle. The channel is bounded by the number of recordings and of commands.
#[derive(Debug)]
pub enum Sealing {
    /// The file holds everything and lacks its name.
    Seal { view: RecordingView, paths: Paths },
    /// The database holds the view: the notes are no longer needed.
    Settle(Paths),
}

/// Until the clerk and every writer are gone.
pub fn run(disk: &dyn Disk, on_event: &EventSink, sealings: &Receiver<Sealing>, has_left_some: &AtomicBool) {
    for sealing in sealings {
        take(disk, on_event, sealing, has_left_some);
    }
}

/// One file.
pub fn take(disk: &dyn Disk, on_event: &EventSink, sealing: Sealing, has_left_some: &AtomicBool) {
    match sealing {
        Sealing::Seal { view, paths } => on_event(seal(disk, view, paths, has_left_some)),
        Sealing::Settle(paths) => settle(disk, &paths),
    }
}

/// Removes notes that the database has taken over.
pub fn settle(disk: &dyn Disk, paths: &Paths) {
    if let Err(error) = disk.remove(&paths.notes) {
        debug!(error = %error, "notes that are no longer needed stay: {error}");
    }
}

fn seal(disk: &dyn Disk, view: RecordingView, paths: Paths, has_left_some: &AtomicBool) -> RecordingEvent {
    match disk.seal(&paths.part, &paths.audio) {
        Ok(()) => {
            let view = RecordingView { state: RecordingState::Ready, ..view };
            RecordingEvent::Ready { view, path: paths.relative }
        }
        Err(error) => {
            warn!(recording.id = %view.id, error = %error, "recording {} is written but could not be sealed: {error}", view.id);
            has_left_some.store(true, Ordering::Relaxed);
            let trouble = view.trouble.or_else(|| Some("the disk failed at the end".to_owned()));
            let view = RecordingView { state: RecordingState::Failed, trouble, ..view };
            RecordingEvent::Failed { view, path: paths.relative }
        }
    }
}
