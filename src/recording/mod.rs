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

mod clerk; //      empties the taps, places audio, hands blocks on
mod disk; //       what is asked of a disk, as a trait
mod drift; //      a sender's clock against ours
pub mod files; //  where recordings lie, opening them
mod gate; //       pauses
mod job; //        what the clerk hands to a writer
mod notes; //      marks and gaps beside the growing audio
pub mod peaks; //  loudness for the player's waveform
pub mod repair; // what a kill left behind
mod sealer; //     sync, final name, Ready
#[cfg(test)]
mod rehearsal; //  clerk, writer and sealer on a made-up clock and a sick disk
mod track; //      one side: frames placed on the time line
mod voices; //     decoders of one side, and what they make up
mod wav; //        one growing file over hound
mod writer; //     blocks to files, disk trouble

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use thiserror::Error;

pub use files::{OpenRecording, open, relative_path};
pub use peaks::{Peaks, PeaksError, peaks};
pub use repair::{Orphan, Repaired, Repairs, discard, not_kept, repair};

use clerk::{Clerk, Order};
use disk::{Disk, LocalDisk};
use job::Place;
use writer::Writer;

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
    /// The file will be at `path` once it is ready, and at `path` with `.part` behind it until then.
    Started { view: RecordingView, path: String },
    /// The disk refuses. While the call lasts the recording goes on trying, so `Recovered` and `Ready` may follow. After
    /// `finish` it is the last word until the next start's `repair`.
    Failed { view: RecordingView, path: String },
    /// The disk took audio again; what was lost meanwhile stands in the view's gaps.
    Recovered { view: RecordingView, path: String },
    /// Nothing is captured from here on; the view's `duration_ms` says where that is.
    Paused { view: RecordingView, path: String },
    /// It is again.
    Resumed { view: RecordingView, path: String },
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

/// Most recordings at once, those included that wait for a sick disk.
const MAX_RECORDINGS: usize = 4096;
/// Commands that may wait; the clerk takes them within milliseconds. When it is full `begin` says `Full`.
const MAX_ORDERS: usize = 4096;

type EventSink = Arc<dyn Fn(RecordingEvent) + Send + Sync>;

/// Cheap to clone. Every call but `shutdown` returns at once; the work is done by the recorder's own threads. When the
/// last handle is gone, running recordings are finished and the threads end.
#[derive(Clone, Debug)]
pub struct Recorder {
    dir: Arc<Path>,
    disk: Arc<dyn Disk>,
    orders: SyncSender<Order>,
    places: Arc<AtomicUsize>,
    has_left_some: Arc<AtomicBool>,
    /// Nothing is ever sent: it closes when the last thread has ended.
    ended: Arc<Mutex<Receiver<()>>>,
}

impl Recorder {
    /// Starts the threads. A folder that cannot be written is no error here: it is disk trouble of each recording.
    /// `on_event` is called from the recorder's threads and must not block.
    pub fn start(
        config: RecorderConfig,
        taps: Vec<rtrb::Consumer<TapFrame>>,
        on_event: impl Fn(RecordingEvent) + Send + Sync + 'static,
    ) -> Result<Recorder, RecordingError> {
        Recorder::start_on(Arc::new(LocalDisk), config, taps, Arc::new(on_event))
    }

    fn start_on(
        disk: Arc<dyn Disk>,
        config: RecorderConfig,
        taps: Vec<rtrb::Consumer<TapFrame>>,
        on_event: EventSink,
    ) -> Result<Recorder, RecordingError> {
        if !matches!(config.sample_rate, 8000 | 16000) {
            return Err(RecordingError::SampleRate(config.sample_rate));
        }
        let has_left_some = Arc::new(AtomicBool::new(false));
        let (orders, orders_in) = mpsc::sync_channel(MAX_ORDERS);
        let (sealings, sealings_in) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let mut writers = Vec::new();
        for number in 0..config.writers.clamp(1, 64) {
            let (jobs, jobs_in) = mpsc::channel();
            let writer = Writer::new(disk.clone(), on_event.clone(), sealings.clone(), has_left_some.clone());
            spawn(&format!("rec-writer-{number}"), move || writer.run(&jobs_in))?;
            writers.push(jobs);
        }
        let (sink, has_left, sealers_disk) = (on_event.clone(), has_left_some.clone(), disk.clone());
        spawn("rec-sealer", move || {
            sealer::run(&*sealers_disk, &sink, &sealings_in, &has_left);
            drop(end);
        })?;
        let flush_every = config.flush_every.clamp(Duration::from_millis(50), Duration::from_millis(700));
        let dir = Arc::from(config.dir.as_path());
        let clerk = Clerk::new(RecorderConfig { flush_every, ..config }, taps, writers, sealings, on_event);
        spawn("rec-clerk", move || clerk.run(&orders_in))?;
        Ok(Recorder { dir, disk, orders, places: Arc::default(), has_left_some, ended: Arc::new(Mutex::new(ended)) })
    }

    /// Begins a recording; `Started` follows at once. Its first moment is `begin.started`, whenever audio arrives.
    pub fn begin(&self, begin: BeginRecording) -> Result<(), RecordingError> {
        let place = Place::take(&self.places, MAX_RECORDINGS).ok_or(RecordingError::Full)?;
        self.order(Order::Begin(begin, place))
    }

    /// Writes down a moment worth finding again; an unknown key is ignored.
    pub fn mark(&self, key: u32, kind: MarkKind, label: Option<String>, at: Time) -> Result<(), RecordingError> {
        self.order(Order::Mark { key, kind, label, at })
    }

    /// Whether what is heard from `at` on is captured; what is left out becomes silence on the same time line. `Paused` or
    /// `Resumed` follows. An unknown key is ignored. Whoever is refused must end the tap: a secret must not be kept.
    pub fn gate(&self, key: u32, captures: bool, at: Time) -> Result<(), RecordingError> {
        self.order(Order::Gate { key, captures, at })
    }

    /// The call ended at `at`. `Ready` follows within a second on a healthy disk.
    pub fn finish(&self, key: u32, at: Time) -> Result<(), RecordingError> {
        self.order(Order::Finish { key, at })
    }

    /// The database holds what `Ready` or `repair` said of this recording: its notes file is removed. Without it a
    /// restart would only find notes that nobody needs.
    /// On a recorder that has stopped it does so itself, with one call to the disk.
    pub fn settle(&self, id: RecordingId, started: Wall) -> Result<(), RecordingError> {
        match self.order(Order::Settle { id, started }) {
            Err(RecordingError::Stopped) => {
                sealer::settle(&*self.disk, &files::Paths::new(&self.dir, id, started));
                Ok(())
            }
            told => told,
        }
    }

    /// Finishes every recording now and stops the threads; blocks for at most `patience`. False: something is not on
    /// the disk yet, and the next start's `repair` will find it.
    pub fn shutdown(&self, patience: Duration) -> bool {
        // A full or closed channel is no matter: the clerk is taking orders, or has already ended.
        let _ = self.orders.send(Order::Shutdown);
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let has_ended = matches!(ended.recv_timeout(patience), Err(RecvTimeoutError::Disconnected));
        has_ended && !self.has_left_some.load(Ordering::Relaxed)
    }

    fn order(&self, order: Order) -> Result<(), RecordingError> {
        self.orders.try_send(order).map_err(|error| match error {
            TrySendError::Full(_) => RecordingError::Full,
            TrySendError::Disconnected(_) => RecordingError::Stopped,
        })
    }
}

/// Every thread of the recorder is made here. Names fit the 15 letters that Linux shows.
fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), RecordingError> {
    thread::Builder::new().name(name.to_owned()).spawn(run).map(drop).map_err(RecordingError::Thread)
}
