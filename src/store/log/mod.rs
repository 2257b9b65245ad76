//! The event log: one writer gives every event its `seq` at commit, keeps the rows that events imply in the same
//! transaction, and only then shows the event to anyone. The engine appends; web sockets follow.
//!
//! While the database is away events wait in memory in their order and calls go on. When 32,768 wait, new ones are
//! refused with `LogError::Full` and counted. A follower 1,024 events behind is cut off and resumes from the table.

mod feed;
mod followers;
mod projections;
mod retention;
mod start;
mod writer;

pub use feed::{Feed, FeedEnd, FollowError};
pub use writer::LogWriter;

use std::future::Future;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::FromRow;
use thiserror::Error;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};

use self::followers::Followers;
use super::StoreError;
use super::db::{Db, read};
use crate::events::Event;
use crate::types::{AgentId, QueueId, Wall};

/// Events that may wait for the database. An event with its call is 1 to 2 KiB, so at most some 64 MiB. Full: refused.
const LINE: usize = 32_768;
/// Rows one reading may bring.
const MAX_READ: u32 = 1_000;

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
    /// The database will never take this event; the rest of the log goes on.
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
    /// Whoever waits for a pop to be on the screen; taken by the first socket that wrote it.
    written: Mutex<Option<oneshot::Sender<()>>>,
    /// Other viewers whose sockets have still to write it; counted only for a pop whose agent has no socket.
    others_left: AtomicUsize,
}

/// A committed `pop.shown`, and the moment its agent's screen has it.
#[derive(Debug)]
pub struct Appended {
    pub committed: Committed,
    pub receipt: PopReceipt,
}

/// Resolves when the frame was written to a websocket of the event's agent; when that agent follows nothing, as soon as
/// everyone else who follows the log has it (a supervisor's screen, an integration); at once when nobody does.
#[derive(Debug)]
pub struct PopReceipt {
    written: oneshot::Receiver<()>,
}

impl PopReceipt {
    /// True when it was written, false when nobody was there to write it to. It may wait as long as a socket hangs:
    /// give it a time limit.
    pub async fn written(self) -> bool {
        self.written.await.is_ok()
    }
}

/// The way into the log and out of it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct EventLog {
    shared: Arc<Shared>,
}

/// What the handle, the writer and the feeds have in common.
#[derive(Debug)]
struct Shared {
    db: Db,
    line: mpsc::Sender<Waiting>,
    followers: Followers,
    /// Everything up to this `seq` was forgotten by retention. Raised before the rows go.
    trimmed_through: AtomicU64,
    /// Set once: when to give up writing.
    stop_by: watch::Sender<Option<Instant>>,
    /// Set once by the writer: whether everything in line was committed.
    stopped: watch::Sender<Option<bool>>,
}

/// An event in line, with whoever waits for it.
#[derive(Debug)]
struct Waiting {
    write: LogWrite,
    reply: Option<oneshot::Sender<Result<Committed, LogError>>>,
    written: Option<oneshot::Sender<()>>,
}

impl EventLog {
    /// Puts the event in line at once (in the order of these calls); the future resolves when it is committed.
    /// Never waits for the database before returning the future, and the event stays in line when it is dropped.
    pub fn append(&self, write: impl Into<LogWrite>) -> impl Future<Output = Result<Committed, LogError>> + Send + 'static {
        let (reply, answer) = oneshot::channel();
        let in_line = self.enqueue(Waiting { write: write.into(), reply: Some(reply), written: None });
        async move {
            in_line?;
            answer.await.unwrap_or(Err(LogError::Stopping))
        }
    }

    /// `append` for `pop.shown`: also tells when the agent's screen has it.
    pub fn append_pop(&self, write: impl Into<LogWrite>) -> impl Future<Output = Result<Appended, LogError>> + Send + 'static {
        let (reply, answer) = oneshot::channel();
        let (written, receipt) = oneshot::channel();
        let in_line = self.enqueue(Waiting { write: write.into(), reply: Some(reply), written: Some(written) });
        async move {
            in_line?;
            let committed = answer.await.unwrap_or(Err(LogError::Stopping))?;
            Ok(Appended { committed, receipt: PopReceipt { written: receipt } })
        }
    }

    /// `append` without waiting. The error is only ever `Full` or `Stopping`.
    pub fn submit(&self, write: impl Into<LogWrite>) -> Result<(), LogError> {
        self.enqueue(Waiting { write: write.into(), reply: None, written: None })
    }

    fn enqueue(&self, waiting: Waiting) -> Result<(), LogError> {
        self.shared.line.try_send(waiting).map_err(|refused| match refused {
            TrySendError::Full(_) => {
                metrics::counter!("perezvon_log_refused_total", "reason" => "full").increment(1);
                LogError::Full
            }
            TrySendError::Closed(_) => LogError::Stopping,
        })
    }

    /// The newest `seq` published; what a follower without `after` starts behind.
    pub fn last_seq(&self) -> u64 {
        self.shared.followers.head()
    }

    /// The oldest `seq` that can still be read.
    pub fn first_seq(&self) -> u64 {
        self.shared.trimmed_through.load(Ordering::Acquire) + 1
    }

    /// True when a client that has seen everything up to `after` cannot go on without a hole: 410, 4003.
    pub fn is_expired(&self, after: u64) -> bool {
        self.is_forgotten(after) || after > self.last_seq()
    }

    fn is_forgotten(&self, after: u64) -> bool {
        after < self.shared.trimmed_through.load(Ordering::Acquire)
    }

    /// Committed events with `seq > after`, oldest first, at most `limit` (1,000).
    pub async fn read_after(&self, after: u64, limit: u32) -> Result<Vec<Recorded>, StoreError> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let limit = i64::from(limit.clamp(1, MAX_READ));
        let rows: Vec<EventRow> = read!(self.shared.db, pool => sqlx::query_as(
            "select seq, at, queue, body from events where seq > $1 order by seq limit $2",
        ).bind(after).bind(limit).fetch_all(pool))?;
        rows.into_iter().map(EventRow::recorded).collect()
    }

    /// Everything after `after` (from now, when `None`) without loss or repeats: first from the table, then live.
    /// `viewer`: the agent at the other end, for pop receipts; visibility is the follower's own business.
    pub fn follow(&self, viewer: Option<AgentId>, after: Option<u64>) -> Result<Feed, FollowError> {
        match after {
            None => Feed::from_now(self.clone(), viewer),
            Some(after) => Feed::after(self.clone(), viewer, after),
        }
    }

    /// Resolves when the log has stopped.
    pub async fn stopped(&self) {
        // It cannot fail: this handle keeps the sender alive.
        let _ = self.shared.stopped.subscribe().wait_for(Option::is_some).await;
    }

    /// Takes no more, commits what is in line, marks the stop as clean and ends the writer and every feed.
    /// Gives up after `limit`. True when everything was committed.
    pub async fn stop(&self, limit: Duration) -> bool {
        let mut stopped = self.shared.stopped.subscribe();
        self.shared.stop_by.send_if_modified(|stop_by| {
            let is_first = stop_by.is_none();
            stop_by.get_or_insert(Instant::now() + limit);
            is_first
        });
        // The writer keeps the limit itself; a second more is for its last statement.
        let answer = tokio::time::timeout(limit + Duration::from_secs(1), stopped.wait_for(Option::is_some)).await;
        matches!(answer, Ok(Ok(all)) if *all == Some(true))
    }
}

impl Recorded {
    fn new(seq: u64, event: Event, written: Option<oneshot::Sender<()>>) -> Recorded {
        let json = Wire { seq, event: &event }.json();
        Recorded { seq, at: event.at, event, json, written: Mutex::new(written), others_left: AtomicUsize::new(0) }
    }

    /// The same event under another `seq`.
    fn renumbered(self, seq: u64) -> Recorded {
        Recorded { seq, json: Wire { seq, event: &self.event }.json(), ..self }
    }

    fn was_written(&self) {
        if let Some(waiting) = self.written.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Nobody waits any more when the INVITE has gone without it.
            let _ = waiting.send(());
        }
    }

    /// Before publication to `others`, none of whom is the event's agent.
    fn await_others(&self, others: usize) {
        self.others_left.store(others, Ordering::Release);
        if others == 0 {
            self.nobody_to_write_to();
        }
    }

    fn was_written_by_another(&self) {
        let one_less = self.others_left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1));
        if one_less == Ok(1) {
            self.was_written();
        }
    }

    fn nobody_to_write_to(&self) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// The frame on the wire: `{"seq", "at", "call_id", "agent", "type", "data"}`.
#[derive(Serialize)]
struct Wire<'a> {
    seq: u64,
    #[serde(flatten)]
    event: &'a Event,
}

impl Wire<'_> {
    fn json(&self) -> Arc<str> {
        serde_json::to_string(self).expect("an event is plain data with text keys").into()
    }
}

#[derive(FromRow)]
struct EventRow {
    seq: i64,
    at: DateTime<Utc>,
    queue: Option<String>,
    body: String,
}

impl EventRow {
    fn recorded(self) -> Result<Recorded, StoreError> {
        let mut event: Event =
            serde_json::from_str(&self.body).map_err(|e| StoreError::Unreadable { what: "event", why: e.to_string() })?;
        event.queue = self.queue.as_deref().map(QueueId::new);
        Ok(Recorded {
            seq: u64::try_from(self.seq).unwrap_or(0),
            at: self.at.into(),
            event,
            json: self.body.into(),
            written: Mutex::new(None),
            others_left: AtomicUsize::new(0),
        })
    }
}
