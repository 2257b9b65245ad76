//! The event log: one writer gives every event its `seq` at commit, keeps the rows that events imply in the same
//! transaction, and only then shows the event to anyone. The engine appends; web sockets follow.
//!
//! Full memory queue (32,768 events while the database is away): new events are refused with `LogError::Full` and
//! counted; calls go on. A follower 1,024 events behind is cut off and resumes from the table.

mod feed;

pub use feed::{Feed, FeedEnd, FollowError};

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::{Store, StoreError};
use crate::events::Event;
use crate::types::{AgentId, Wall};

/// An event on its way into the log.
#[derive(Clone, Debug)]
pub struct LogWrite {
    pub event: Event,
    /// For `recording.*`: the file, relative to `recording.dir`. `None` keeps the one stored before.
    pub recording_path: Option<String>,
}

impl From<Event> for LogWrite {
    fn from(event: Event) -> Self {
        LogWrite { event, recording_path: None }
    }
}

/// Why an event is not in the log.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LogError {
    #[error("the log's memory queue is full: the database has been away too long")]
    Full,
    #[error("the log is stopping")]
    Stopping,
    /// The database will never take it; the rest of the log goes on.
    #[error("the database refused the event: {0}")]
    Refused(String),
}

/// Where the event stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    pub seq: u64,
}

/// A committed event, as every follower gets it.
#[derive(Debug)]
pub struct Recorded {
    pub seq: u64,
    pub at: Wall,
    pub event: Event,
    /// The event's JSON with its `seq`, made once.
    pub json: Arc<str>,
}

/// A committed `pop.shown`, and the moment its agent's screen has it.
#[derive(Debug)]
pub struct Appended {
    pub committed: Committed,
    pub receipt: PopReceipt,
}

/// Resolves when the frame was written to a websocket of the event's agent, at once when that agent follows nothing.
#[derive(Debug)]
pub struct PopReceipt {}

impl PopReceipt {
    /// True when it was written, false when nobody was there to write it to. Never fails; give it a time limit.
    pub async fn written(self) -> bool {
        false
    }
}

/// The way into the log and out of it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct EventLog {}

impl EventLog {
    /// Puts the event in line at once (in the order of these calls); the future resolves when it is committed.
    /// Never waits for the database before returning the future.
    pub fn append(&self, write: impl Into<LogWrite>) -> impl Future<Output = Result<Committed, LogError>> + Send + 'static {
        let _: LogWrite = write.into();
        async { Err(LogError::Stopping) }
    }

    /// `append` for `pop.shown`: also tells when the agent's screen has it.
    pub fn append_pop(&self, write: impl Into<LogWrite>) -> impl Future<Output = Result<Appended, LogError>> + Send + 'static {
        let _: LogWrite = write.into();
        async { Err(LogError::Stopping) }
    }

    /// `append` without waiting. The error is only ever `Full` or `Stopping`.
    pub fn submit(&self, write: impl Into<LogWrite>) -> Result<(), LogError> {
        let _: LogWrite = write.into();
        Err(LogError::Stopping)
    }

    /// The newest `seq` given out; what a follower without `after` starts behind.
    pub fn last_seq(&self) -> u64 {
        0
    }

    /// The oldest `seq` that can still be read; `after` below `first_seq() - 1` is expired (410, 4003).
    pub fn first_seq(&self) -> u64 {
        0
    }

    /// Committed events with `seq > after`, oldest first, at most `limit` (1,000).
    pub async fn read_after(&self, after: u64, limit: u32) -> Result<Vec<Recorded>, StoreError> {
        let _ = (after, limit);
        super::pending()
    }

    /// Everything after `after` (from now, when `None`) without loss or repeats: first from the table, then live.
    /// `viewer`: the agent at the other end, for pop receipts; visibility is the follower's own business.
    pub async fn follow(&self, viewer: Option<AgentId>, after: Option<u64>) -> Result<Feed, FollowError> {
        let _ = (viewer, after);
        Err(FollowError::Stopping)
    }

    /// Forgets events older than `older_than`, but keeps the newest `keep_at_least`; in slices. Returns how many.
    pub async fn trim(&self, older_than: Wall, keep_at_least: u64) -> Result<u64, StoreError> {
        let _ = (older_than, keep_at_least);
        super::pending()
    }

    /// Appends `call.ended` with cause `server_restart` for every call that a kill left open. Once, at start, before
    /// the first call.
    pub async fn close_open_calls(&self, now: Wall) -> Result<u64, StoreError> {
        let _ = now;
        super::pending()
    }

    /// Takes no more, commits what is in line (at most `limit` long), marks the stop as clean.
    pub async fn stop(&self, limit: Duration) -> Result<(), LogError> {
        let _ = limit;
        Err(LogError::Stopping)
    }
}

/// The one task that writes. `app` spawns `run`; it ends after `EventLog::stop`.
#[derive(Debug)]
pub struct LogWriter {}

impl LogWriter {
    pub async fn run(self) {}
}

impl Store {
    /// Opens the log. After an unclean stop `seq` jumps ahead, so that none is ever used twice. One log a database.
    pub async fn open_log(&self) -> Result<(EventLog, LogWriter), StoreError> {
        super::pending()
    }
}
