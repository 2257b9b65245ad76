//! The one task that writes the log. Events that arrive while a transaction runs share the next one (group commit);
//! when it is idle an event is written at once: whoever was answered by the API finds in the log what they did. Trouble
//! is retried in order until the database is back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::PgConnection;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, info, warn};

use super::{Committed, LogError, Recorded, Shared, Waiting, projections};
use crate::store::db::{execute, read};
use crate::store::lanes::Lane;

/// Events in one transaction: keeps it well below 10 ms on SQLite (measured in docs/adr/0002).
const BATCH: usize = 64;
/// A transaction that takes longer is given up and tried again.
const TRANSACTION_LIMIT: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The writer. `app` spawns `run`; it ends after `EventLog::stop`.
#[derive(Debug)]
pub struct LogWriter {
    shared: Arc<Shared>,
    line: mpsc::Receiver<Waiting>,
    stop_by: watch::Receiver<Option<Instant>>,
    next_seq: u64,
    /// Holds PostgreSQL's advisory lock for as long as the writer lives.
    _only_one: Option<PgConnection>,
}

/// An event with its number, ready to be written.
#[derive(Debug)]
struct Numbered {
    recorded: Recorded,
    recording_path: Option<String>,
    reply: Option<oneshot::Sender<Result<Committed, LogError>>>,
}

/// What the table says about a batch whose transaction failed: a commit may succeed and its answer be lost.
enum Standing {
    Absent,
    Committed,
    /// Someone else wrote that `seq`; the newest one is told.
    Taken(u64),
}

impl LogWriter {
    pub(super) fn new(
        shared: Arc<Shared>,
        line: mpsc::Receiver<Waiting>,
        stop_by: watch::Receiver<Option<Instant>>,
        next_seq: u64,
        only_one: Option<PgConnection>,
    ) -> LogWriter {
        LogWriter { shared, line, stop_by, next_seq, _only_one: only_one }
    }

    pub async fn run(mut self) {
        let mut all_committed = true;
        loop {
            let first = tokio::select! {
                biased;
                // Once: then the line is closed and only what is in it is still written.
                Ok(_) = self.stop_by.wait_for(Option::is_some), if !self.line.is_closed() => {
                    self.line.close();
                    continue;
                }
                waiting = self.line.recv() => match waiting {
                    Some(waiting) => waiting,
                    None => break,
                },
            };
            let mut batch = Vec::with_capacity(BATCH);
            batch.push(self.number(first));
            while batch.len() < BATCH
                && let Ok(waiting) = self.line.try_recv()
            {
                batch.push(self.number(waiting));
            }
            metrics::gauge!("perezvon_log_waiting").set(self.line.len() as f64);
            all_committed &= self.commit(batch).await;
        }
        let is_clean = all_committed && self.mark_clean().await;
        self.shared.followers.close();
        self.shared.stopped.send_replace(Some(is_clean));
    }

    fn number(&mut self, waiting: Waiting) -> Numbered {
        let seq = self.next_seq;
        self.next_seq += 1;
        Numbered {
            recorded: Recorded::new(seq, waiting.write.event, waiting.written),
            recording_path: waiting.write.recording_path,
            reply: waiting.reply,
        }
    }

    /// Commits and publishes; comes back only when that is done, or when the stop's time is up (false).
    async fn commit(&mut self, mut batch: Vec<Numbered>) -> bool {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut is_reported = false;
        while let Err(trouble) = self.write(&batch).await {
            metrics::counter!("perezvon_log_retries_total").increment(1);
            if !is_reported {
                is_reported = true;
                error!(name: "log.database_away", error = %trouble, "the event log cannot write; events wait in memory: {trouble}");
            }
            match self.standing(&batch).await {
                Ok(Standing::Committed) => break,
                Ok(Standing::Taken(newest)) => {
                    warn!(name: "log.renumbered", newest, "another writer is in this log; continuing behind seq {newest}");
                    batch = self.renumber(batch, newest);
                }
                Ok(Standing::Absent) if is_refusal(&trouble) => return self.commit_one_by_one(batch, &trouble).await,
                Ok(Standing::Absent) | Err(_) => {}
            }
            if !self.wait_before_retry(pause).await {
                let lost = batch.len() + self.line.len();
                error!(name: "log.lost_at_stop", lost, "the log stopped before the database came back: {lost} events lost");
                return false;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        if is_reported {
            info!(name: "log.database_back", away_ms = began.elapsed().as_millis() as u64, "the event log writes again");
        }
        metrics::histogram!("perezvon_log_commit_seconds").record(began.elapsed().as_secs_f64());
        metrics::counter!("perezvon_log_events_total").increment(batch.len() as u64);
        self.publish(batch);
        true
    }

    /// Finds the event that the database refuses: that one is dropped, the others are written.
    async fn commit_one_by_one(&mut self, batch: Vec<Numbered>, trouble: &sqlx::Error) -> bool {
        if batch.len() > 1 {
            let mut all_committed = true;
            for one in batch {
                all_committed &= Box::pin(self.commit(vec![one])).await;
            }
            return all_committed;
        }
        for refused in batch {
            let kind = refused.recorded.event.kind.name();
            metrics::counter!("perezvon_log_refused_total", "reason" => "refused").increment(1);
            error!(name: "log.event_refused", event = kind, error = %trouble, "the database refuses a {kind} event: {trouble}");
            if let Some(reply) = refused.reply {
                let _ = reply.send(Err(LogError::Refused(trouble.to_string())));
            }
        }
        true
    }

    async fn write(&self, batch: &[Numbered]) -> Result<(), sqlx::Error> {
        let transaction = async {
            let mut tx = self.shared.db.begin(Lane::Events).await?;
            let writes = batch.iter().map(|one| (&one.recorded, one.recording_path.as_deref()));
            projections::insert(&mut tx, writes.collect()).await?;
            tx.commit().await
        };
        tokio::time::timeout(TRANSACTION_LIMIT, transaction).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    fn publish(&self, batch: Vec<Numbered>) {
        let (replies, events): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|one| ((one.recorded.seq, one.reply), Arc::new(one.recorded))).unzip();
        self.shared.followers.publish(&events);
        for (seq, reply) in replies {
            if let Some(reply) = reply {
                // Whoever appended may have stopped waiting.
                let _ = reply.send(Ok(Committed { seq }));
            }
        }
    }

    async fn standing(&self, batch: &[Numbered]) -> Result<Standing, sqlx::Error> {
        let Some(first) = batch.first() else { return Ok(Standing::Committed) };
        let stored: Option<String> = read!(self.shared.db, pool => sqlx::query_scalar(
            "select body from events where seq = $1",
        ).bind(as_i64(first.recorded.seq)).fetch_optional(pool))?;
        let newest: Option<i64> =
            read!(self.shared.db, pool => sqlx::query_scalar("select max(seq) from events").fetch_one(pool))?;
        Ok(match stored {
            Some(body) if *body == *first.recorded.json => Standing::Committed,
            Some(_) => Standing::Taken(as_u64(newest.unwrap_or(0))),
            None if as_u64(newest.unwrap_or(0)) > first.recorded.seq => Standing::Taken(as_u64(newest.unwrap_or(0))),
            None => Standing::Absent,
        })
    }

    fn renumber(&mut self, batch: Vec<Numbered>, newest: u64) -> Vec<Numbered> {
        self.next_seq = self.next_seq.max(newest + 1);
        let renumbered = batch.into_iter().map(|one| {
            let seq = self.next_seq;
            self.next_seq += 1;
            Numbered { recorded: one.recorded.renumbered(seq), ..one }
        });
        renumbered.collect()
    }

    /// False when the stop's time is up.
    async fn wait_before_retry(&mut self, pause: Duration) -> bool {
        let stop_by = *self.stop_by.borrow();
        match stop_by {
            Some(stop_by) if Instant::now() >= stop_by => false,
            Some(_) => {
                tokio::time::sleep(pause).await;
                true
            }
            // A stop that comes meanwhile shortens the pause.
            None => {
                let _ = tokio::time::timeout(pause, self.stop_by.wait_for(Option::is_some)).await;
                true
            }
        }
    }

    async fn mark_clean(&self) -> bool {
        let mark = async {
            let mut tx = self.shared.db.begin(Lane::Events).await?;
            execute!(
                tx,
                sqlx::query("update log_state set stopped_clean = $1, last_seq = $2 where id = 1")
                    .bind(true)
                    .bind(as_i64(self.next_seq - 1))
            )?;
            tx.commit().await
        };
        match mark.await {
            Ok(()) => true,
            Err(error) => {
                warn!(name: "log.stop_not_marked", %error, "the clean stop could not be marked: {error}");
                false
            }
        }
    }
}

/// True when trying again cannot help: the data is at fault, not the database.
fn is_refusal(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Encode(_) | sqlx::Error::InvalidArgument(_) => true,
        sqlx::Error::Database(refused) => {
            let code = refused.code().unwrap_or_default();
            if refused.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
                // Classes 22 (data) and 23 (constraint); 54000: a limit such as the size of an index entry.
                code.starts_with("22") || code.starts_with("23") || code.starts_with("54")
            } else {
                // SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH; extended codes keep them in the low byte.
                code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 18..=20))
            }
        }
        _ => false,
    }
}

pub(super) fn as_i64(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

pub(super) fn as_u64(seq: i64) -> u64 {
    u64::try_from(seq).unwrap_or(0)
}
