//! Opening the log: whether the last run stopped cleanly, where `seq` goes on, and that nobody else writes here.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use sqlx::{ConnectOptions, PgConnection};
use tokio::sync::{mpsc, watch};
use tracing::warn;

use super::followers::Followers;
use super::writer::{as_i64, as_u64};
use super::{EventLog, LINE, LogWriter, Shared};
use crate::store::db::{Db, execute, on};
use crate::store::lanes::Lane;
use crate::store::{Store, StoreError};

/// How far `seq` jumps after an unclean stop. After a power cut SQLite may lack the newest commits (those not synced
/// since the last checkpoint, a few thousand), which clients have seen: their numbers must not come again.
const UNCLEAN_JUMP: u64 = 1_000_000;
/// Any number, the same in every Perezvon: one log a PostgreSQL database.
const ONE_LOG: i64 = 0x7065_7265_7a76_6f6e;
const OTHER_SERVER_WAIT: Duration = Duration::from_secs(3);

impl Store {
    /// Opens the log. After an unclean stop `seq` jumps ahead, so that none is ever used twice. One log a database:
    /// a second server on the same PostgreSQL database is refused after three seconds.
    pub async fn open_log(&self) -> Result<(EventLog, LogWriter), StoreError> {
        let only_one = lock_out_other_servers(&self.db).await?;
        let (head, trimmed_through) = begin_run(&self.db).await?;
        let (line, waiting) = mpsc::channel(LINE);
        let shared = Arc::new(Shared {
            db: self.db.clone(),
            line,
            followers: Followers::starting_behind(head),
            trimmed_through: AtomicU64::new(trimmed_through),
            stop_by: watch::Sender::new(None),
            stopped: watch::Sender::new(None),
        });
        let stop_by = shared.stop_by.subscribe();
        let log = EventLog { shared: shared.clone() };
        Ok((log, LogWriter::new(shared, waiting, stop_by, head + 1, only_one)))
    }
}

/// Marks the run as begun and tells the newest `seq` that may have been given out, and what was forgotten.
async fn begin_run(db: &Db) -> Result<(u64, u64), StoreError> {
    let mut tx = db.begin(Lane::Events).await?;
    let (stopped_clean, last_seq, trimmed_through): (bool, i64, i64) = on!(tx, conn => sqlx::query_as(
        "select stopped_clean, last_seq, trimmed_through from log_state where id = 1",
    ).fetch_one(conn))?;
    let newest: Option<i64> = on!(tx, conn => sqlx::query_scalar("select max(seq) from events").fetch_one(conn))?;
    let mut head = as_u64(newest.unwrap_or(0).max(last_seq).max(trimmed_through));
    if !stopped_clean {
        head += UNCLEAN_JUMP;
        warn!(name: "log.unclean_start", seq = head, "the last run did not stop cleanly; the log goes on behind seq {head}");
    }
    execute!(
        tx,
        sqlx::query("update log_state set stopped_clean = $1, last_seq = $2 where id = 1").bind(false).bind(as_i64(head))
    )?;
    tx.commit().await?;
    // Synced, so that a power cut cannot take the mark away with the events.
    if let Db::Sqlite { writer, .. } = db {
        sqlx::query("pragma wal_checkpoint(truncate)").execute(writer).await?;
    }
    Ok((head, as_u64(trimmed_through)))
}

async fn lock_out_other_servers(db: &Db) -> Result<Option<PgConnection>, StoreError> {
    let Db::Pg(pool) = db else { return Ok(None) };
    let mut connection = pool.connect_options().connect().await?;
    let began = Instant::now();
    // A killed server's lock goes with its connection, which may take PostgreSQL a moment to see.
    loop {
        let is_ours: bool =
            sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(ONE_LOG).fetch_one(&mut connection).await?;
        if is_ours {
            return Ok(Some(connection));
        }
        if began.elapsed() > OTHER_SERVER_WAIT {
            return Err(StoreError::Database("another server is using this database; stop it first".into()));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
