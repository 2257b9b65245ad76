//! The two databases behind one face: pools, transactions, and the macros that send one query text to either.
//! No query lives here. Every other file of the store calls it.
//!
//! sqlx checks types per database, so a query is compiled twice, once in each arm of `on!`; its text is written once,
//! with `$1` places, in the SQL that SQLite and PostgreSQL share.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _, PgPool, Postgres, Sqlite, SqlitePool, Transaction};

use super::StoreError;
use super::lanes::{Lane, Lanes, Turn};

static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("./migrations/sqlite");
static POSTGRES_MIGRATIONS: Migrator = sqlx::migrate!("./migrations/postgres");

/// Readers of SQLite and connections to PostgreSQL. A request that finds all of them busy waits its turn.
const SQLITE_READERS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 16;
/// How long anyone waits for a connection, or for another process that holds SQLite's lock.
const WAIT: Duration = Duration::from_secs(5);
/// When a commit must move the write-ahead log into the database itself, syncing the disk meanwhile (64 MiB). Upkeep does
/// it every second beside the writer, so it comes to that only when upkeep cannot keep up.
const CHECKPOINT_PAGES: &str = "16384";
/// A transaction longer than this is reported: the log may have waited for it.
const LONG_TRANSACTION: Duration = Duration::from_millis(10);

#[derive(Clone, Debug)]
pub(super) enum Db {
    Sqlite { writer: SqlitePool, readers: SqlitePool, checkpointer: SqlitePool, lanes: Lanes },
    Pg(PgPool),
}

/// A transaction that writes. Dropped without `commit`, it never happened.
#[derive(Debug)]
pub(super) struct Tx {
    pub(super) on: TxOn,
    began: Instant,
    lane: Lane,
    // After the transaction, so that the next writer gets its turn when the connection is free.
    _turn: Option<Turn>,
}

#[derive(Debug)]
pub(super) enum TxOn {
    Sqlite(Transaction<'static, Sqlite>),
    Pg(Transaction<'static, Postgres>),
}

/// `execute!(tx, sqlx::query("…").bind(x))`: one query inside a transaction.
macro_rules! on {
    ($tx:expr, $conn:ident => $query:expr) => {
        match &mut $tx.on {
            $crate::store::db::TxOn::Sqlite(tx) => {
                let $conn = &mut **tx;
                $query.await
            }
            $crate::store::db::TxOn::Pg(tx) => {
                let $conn = &mut **tx;
                $query.await
            }
        }
    };
}

/// `execute!(tx, sqlx::query("…").bind(x))`: one statement inside a transaction; how many rows it touched.
macro_rules! execute {
    ($tx:expr, $query:expr) => {
        match &mut $tx.on {
            $crate::store::db::TxOn::Sqlite(tx) => $query.execute(&mut **tx).await.map(|done| done.rows_affected()),
            $crate::store::db::TxOn::Pg(tx) => $query.execute(&mut **tx).await.map(|done| done.rows_affected()),
        }
    };
}

/// `read!(db, pool => sqlx::query_as("…").bind(x).fetch_all(pool))`: one query that only reads.
macro_rules! read {
    ($db:expr, $pool:ident => $query:expr) => {
        match &$db {
            $crate::store::db::Db::Sqlite { readers, .. } => {
                let $pool = readers;
                $query.await
            }
            $crate::store::db::Db::Pg(pool) => {
                let $pool = pool;
                $query.await
            }
        }
    };
}

pub(super) use {execute, on, read};

impl Db {
    pub(super) async fn open(url: &str, base: &Path) -> Result<Db, StoreError> {
        if url.starts_with("sqlite:") {
            open_sqlite(url, base).await
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            open_postgres(url).await
        } else {
            Err(StoreError::Url("it must start with sqlite:// or postgres://".into()))
        }
    }

    /// Begins a transaction when it is this lane's turn.
    pub(super) async fn begin(&self, lane: Lane) -> Result<Tx, sqlx::Error> {
        match self {
            Db::Sqlite { writer, lanes, .. } => {
                let turn = lanes.take(lane).await;
                // IMMEDIATE: another process's lock is met here, where waiting is allowed, not at the first write.
                let tx = writer.begin_with("begin immediate").await?;
                Ok(Tx { on: TxOn::Sqlite(tx), began: Instant::now(), lane, _turn: Some(turn) })
            }
            Db::Pg(pool) => {
                let tx = pool.begin().await?;
                Ok(Tx { on: TxOn::Pg(tx), began: Instant::now(), lane, _turn: None })
            }
        }
    }

    pub(super) fn is_postgres(&self) -> bool {
        matches!(self, Db::Pg(_))
    }

    /// Moves what SQLite's write-ahead log holds into the database, without making the writer wait.
    pub(super) async fn checkpoint(&self) -> Result<(), sqlx::Error> {
        if let Db::Sqlite { checkpointer, .. } = self {
            sqlx::query("pragma wal_checkpoint(passive)").execute(checkpointer).await?;
        }
        Ok(())
    }

    pub(super) async fn close(&self) {
        match self {
            Db::Sqlite { writer, readers, checkpointer, .. } => {
                readers.close().await;
                checkpointer.close().await;
                writer.close().await;
            }
            Db::Pg(pool) => pool.close().await,
        }
    }
}

impl Tx {
    pub(super) async fn rollback(self) -> Result<(), sqlx::Error> {
        match self.on {
            TxOn::Sqlite(tx) => tx.rollback().await,
            TxOn::Pg(tx) => tx.rollback().await,
        }
    }

    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        match self.on {
            TxOn::Sqlite(tx) => tx.commit().await?,
            TxOn::Pg(tx) => tx.commit().await?,
        }
        let took = self.began.elapsed();
        let lane = if self.lane == Lane::Events { "events" } else { "rest" };
        metrics::histogram!("perezvon_store_transaction_seconds", "lane" => lane).record(took.as_secs_f64());
        if took > LONG_TRANSACTION {
            metrics::counter!("perezvon_store_long_transactions_total", "lane" => lane).increment(1);
        }
        Ok(())
    }
}

async fn open_sqlite(url: &str, base: &Path) -> Result<Db, StoreError> {
    let options = SqliteConnectOptions::from_str(url).map_err(|e| StoreError::Url(e.to_string()))?;
    if options.get_filename().as_os_str().is_empty() || url.contains(":memory:") {
        return Err(StoreError::Url("SQLite needs a file: sqlite://PATH".into()));
    }
    let file: PathBuf = base.join(options.get_filename());
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|e| StoreError::Url(format!("cannot make the folder {}: {e}", folder.display())))?;
    }
    // Made here, for the owner's eyes only: it holds password hashes. SQLite gives its log the same mode.
    let made = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&file);
    made.map_err(|e| StoreError::Url(format!("cannot open {}: {e}", file.display())))?;
    let options = options
        .filename(&file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .foreign_keys(true)
        .busy_timeout(WAIT)
        .statement_cache_capacity(200)
        .pragma("cache_size", "-16384") // KiB; the writer's own
        .pragma("temp_store", "memory")
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .disable_statement_logging();
    let writer = sqlite_pool(1)
        // SQLite ends the transaction by itself when the disk is full, sqlx still believes in it, and every later `begin`
        // would fail: such a connection is replaced.
        .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
        .connect_with(options.clone())
        .await
        .map_err(|e| StoreError::Url(format!("cannot open {}: {e}", file.display())))?;
    SQLITE_MIGRATIONS.run(&writer).await.map_err(|e| StoreError::Migration(e.to_string()))?;
    // Every commit of the writer empties the others' caches: a large one would only be filled by long readings.
    let options = options.pragma("cache_size", "-2048");
    let checkpointer = sqlite_pool(1).connect_with(options.clone()).await?;
    let readers = sqlite_pool(SQLITE_READERS).connect_with(options.pragma("query_only", "on")).await?;
    Ok(Db::Sqlite { writer, readers, checkpointer, lanes: Lanes::default() })
}

/// Connections are files here: they neither age nor need testing.
fn sqlite_pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(WAIT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

async fn open_postgres(url: &str) -> Result<Db, StoreError> {
    let options = PgConnectOptions::from_str(url).map_err(|e| StoreError::Url(e.to_string()))?;
    let options = options.application_name("perezvon").statement_cache_capacity(200).disable_statement_logging();
    let pool = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .min_connections(1)
        .acquire_timeout(WAIT)
        .connect_with(options)
        .await?;
    POSTGRES_MIGRATIONS.run(&pool).await.map_err(|e| StoreError::Migration(e.to_string()))?;
    Ok(Db::Pg(pool))
}
