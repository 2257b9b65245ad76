//! All SQL of the house, one file an aggregate. SQLite inside by default, PostgreSQL when one machine is not enough:
//! the same functions, the same results. Nothing here decides: rows go in and come out. `engine`, `web` and `app` call it.
//!
//! The event log (`log`) is the only writer of `events`, `calls`, `recordings` and the calls on a card's timeline,
//! so rows and log cannot disagree.

mod agent_states;
mod calls;
mod card;
mod cards;
mod cursor;
mod db;
mod idempotency;
mod lanes;
mod log;
mod quality;
mod recordings;
mod sessions;
mod set_up;
mod site;
mod sql;
mod text;
mod timeline;
mod upkeep;

pub use agent_states::LastFloor;
pub use calls::{CallFilter, Visible};
pub use card::{Card, CardEmail, CardNumber, CardPatch, NewCard};
pub use cursor::{Page, PageRequest};
pub use idempotency::{Idempotent, StoredAnswer};
pub use log::{Appended, Committed, EventLog, Feed, FeedEnd, FollowError, LogError, LogWrite, LogWriter, PopReceipt, Recorded};
pub use recordings::{RecordingFilter, StoredRecording};
pub use sessions::{Session, SessionKind, Token};
pub use site::{SiteChange, SiteItem};
pub use timeline::TimelineEntry;
pub use upkeep::Retention;

use std::path::Path;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::broadcast;
use uuid::Uuid;

use self::db::{Db, read};
use self::lanes::Lane;

const CHECK_LIMIT: Duration = Duration::from_secs(2);

/// What a caller can do about it: nothing but say so (`Database`), or mend its own input (the rest).
#[derive(Debug, Error)]
pub enum StoreError {
    /// The URL is neither `sqlite:` nor `postgres:`, or cannot be read.
    #[error("database url: {0}")]
    Url(String),
    #[error("migration: {0}")]
    Migration(String),
    /// A cursor that this server did not make.
    #[error("the cursor is not one of ours")]
    Cursor,
    /// The database is away, full, or refused the statement.
    #[error("database: {0}")]
    Database(String),
    /// A stored value that this version cannot read.
    #[error("stored {what} is unreadable: {why}")]
    Unreadable { what: &'static str, why: String },
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        StoreError::Database(error.to_string())
    }
}

/// The open database. Cheap to clone; every clone speaks to the same pools.
#[derive(Clone, Debug)]
pub struct Store {
    db: Db,
    /// Full at 256: a receiver that far behind is told so and looks its session up again.
    revoked: broadcast::Sender<Uuid>,
}

impl Store {
    /// Opens `sqlite://PATH` (made when missing; a relative path starts at `base`) or `postgres://…` and brings the
    /// schema up to date with the migrations inside the binary.
    pub async fn open(url: &str, base: &Path) -> Result<Store, StoreError> {
        let db = Db::open(url, base).await?;
        Ok(Store { db, revoked: broadcast::Sender::new(256) })
    }

    /// Answers when the database can read and take a write within two seconds: for `/readyz`.
    pub async fn check(&self) -> Result<(), StoreError> {
        let both = async {
            let _: i32 = read!(self.db, pool => sqlx::query_scalar("select 1").fetch_one(pool))?;
            self.db.begin(Lane::Rest).await?.rollback().await
        };
        let answered = tokio::time::timeout(CHECK_LIMIT, both).await;
        answered.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(StoreError::from)
    }

    /// Closes the pools after the running statements. The log must have been stopped before.
    pub async fn close(&self) {
        self.db.close().await;
    }
}
