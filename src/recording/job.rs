//! What the clerk hands to a writer, and the little that both look at while a recording grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use super::files::Paths;
use crate::events::{Gap, Mark, RecordingView};
use crate::types::RecordingId;

/// One order to a writer. The channel is unbounded, yet bounded in fact: blocks by each recording's backlog, the rest by
/// the number of recordings and of commands.
#[derive(Debug)]
pub enum Job {
    Open(Box<Opening>),
    Block(RecordingId, Block),
    Mark(RecordingId, Mark),
    /// A stretch that the clerk had to leave out.
    Gap(RecordingId, Gap),
    /// No block follows; the file is to hold this many frames.
    Finish(RecordingId, u64),
}

/// A recording that begins.
#[derive(Debug)]
pub struct Opening {
    pub view: RecordingView,
    pub paths: Paths,
    pub shared: Arc<Shared>,
}

/// Interleaved samples of both channels; `position` is the frame in the file where they belong.
#[derive(Debug)]
pub struct Block {
    pub position: u64,
    pub samples: Vec<i16>,
}

impl Block {
    pub fn bytes(&self) -> usize {
        self.samples.len() * size_of::<i16>()
    }

    /// The frame behind the last one.
    pub fn end(&self) -> u64 {
        self.position + self.samples.len() as u64 / 2
    }
}

/// How the disk takes a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Condition {
    Healthy = 0,
    Full = 1,
    Broken = 2,
}

impl Condition {
    /// What an error of the disk means.
    pub fn of(error: &std::io::Error) -> Condition {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Condition::Full,
            _ => Condition::Broken,
        }
    }

    /// The reason of a gap (`crate::events::Gap`).
    pub fn gap_reason(self) -> &'static str {
        match self {
            Condition::Healthy => "writer_behind",
            Condition::Full => "disk_full",
            Condition::Broken => "disk_error",
        }
    }
}

/// Seen by the clerk and the recording's writer. Plain numbers: nothing else is ordered by them.
#[derive(Debug)]
pub struct Shared {
    backlog_bytes: AtomicUsize,
    condition: AtomicU8,
    _place: Place,
}

impl Shared {
    pub fn new(place: Place) -> Shared {
        Shared { backlog_bytes: AtomicUsize::new(0), condition: AtomicU8::new(Condition::Healthy as u8), _place: place }
    }

    /// Bytes handed over and not written yet.
    pub fn backlog_bytes(&self) -> usize {
        self.backlog_bytes.load(Ordering::Relaxed)
    }

    pub fn handed_over(&self, block: &Block) {
        self.backlog_bytes.fetch_add(block.bytes(), Ordering::Relaxed);
    }

    pub fn written(&self, block: &Block) {
        self.backlog_bytes.fetch_sub(block.bytes(), Ordering::Relaxed);
    }

    pub fn condition(&self) -> Condition {
        match self.condition.load(Ordering::Relaxed) {
            0 => Condition::Healthy,
            1 => Condition::Full,
            _ => Condition::Broken,
        }
    }

    pub fn set_condition(&self, condition: Condition) {
        self.condition.store(condition as u8, Ordering::Relaxed);
    }
}

/// One of the recorder's places for running recordings; given back when clerk and writer are both done with it.
#[derive(Debug)]
pub struct Place(Arc<AtomicUsize>);

impl Place {
    /// `None` when `limit` are taken.
    pub fn take(taken: &Arc<AtomicUsize>, limit: usize) -> Option<Place> {
        let has_room = |count| (count < limit).then_some(count + 1);
        taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, has_room).ok().map(|_| Place(Arc::clone(taken)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
