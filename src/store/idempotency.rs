//! `Idempotency-Key`: a POST repeated within 24 hours gets the first answer again instead of dialling twice.
//! `web` asks before and tells after. A key whose request died with the server stays `Running` until it is swept:
//! nobody knows whether it dialled, and dialling twice is the worse mistake.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::FromRow;

use super::db::{execute, on};
use super::lanes::Lane;
use super::text::storable;
use super::{Store, StoreError};
use crate::types::{AgentId, Wall};

/// The answer that is given again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    pub status: u16,
    pub body: String,
}

/// What to do with a keyed POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Idempotent {
    /// Nobody used the key: do it, then `finish_idempotent` (or `forget_idempotent` when it failed before any effect).
    Fresh,
    /// Give this answer.
    Replay(StoredAnswer),
    /// The first request is still running: 409.
    Running,
    /// The key was used for a different request: 422.
    Mismatch,
}

const KEPT_FOR: Duration = Duration::from_hours(24);

#[derive(FromRow)]
struct KeyRow {
    request_hash: Vec<u8>,
    status: Option<i32>,
    body: Option<String>,
}

impl Store {
    /// Claims the key for this person. `request`: method, path and body of the POST; only its hash is kept.
    pub async fn begin_idempotent(&self, login: &AgentId, key: &str, request: &str, now: Wall) -> Result<Idempotent, StoreError> {
        let request_hash = Sha256::digest(request.as_bytes()).to_vec();
        let mut tx = self.db.begin(Lane::Rest).await?;
        // An expired claim is taken over in the same statement, so that of two requests only one is fresh.
        let claimed = execute!(
            tx,
            sqlx::query(
                "insert into idempotency_keys (login, key, request_hash, created_at) values ($1, $2, $3, $4)
             on conflict (login, key) do update set request_hash = excluded.request_hash, status = null, body = null,
             created_at = excluded.created_at where idempotency_keys.created_at <= $5",
            )
            .bind(login.as_str())
            .bind(storable(key))
            .bind(&request_hash)
            .bind(now.as_datetime())
            .bind(kept_since(now))
        )?;
        let row: KeyRow = on!(tx, conn => sqlx::query_as(
            "select request_hash, status, body from idempotency_keys where login = $1 and key = $2",
        ).bind(login.as_str()).bind(storable(key)).fetch_one(conn))?;
        tx.commit().await?;
        Ok(if claimed > 0 { Idempotent::Fresh } else { row.standing(&request_hash) })
    }

    /// Keeps the answer for repeats.
    pub async fn finish_idempotent(&self, login: &AgentId, key: &str, answer: &StoredAnswer) -> Result<(), StoreError> {
        let mut tx = self.db.begin(Lane::Rest).await?;
        execute!(
            tx,
            sqlx::query("update idempotency_keys set status = $1, body = $2 where login = $3 and key = $4")
                .bind(i32::from(answer.status))
                .bind(storable(&answer.body))
                .bind(login.as_str())
                .bind(storable(key))
        )?;
        tx.commit().await?;
        Ok(())
    }

    /// Frees the key after a request that had no effect.
    pub async fn forget_idempotent(&self, login: &AgentId, key: &str) -> Result<(), StoreError> {
        let mut tx = self.db.begin(Lane::Rest).await?;
        execute!(
            tx,
            sqlx::query("delete from idempotency_keys where login = $1 and key = $2 and status is null")
                .bind(login.as_str())
                .bind(storable(key))
        )?;
        tx.commit().await?;
        Ok(())
    }

    /// Deletes keys older than 24 hours. Returns how many.
    pub async fn sweep_idempotency(&self, now: Wall) -> Result<u64, StoreError> {
        let mut tx = self.db.begin(Lane::Rest).await?;
        let swept = execute!(tx, sqlx::query("delete from idempotency_keys where created_at <= $1").bind(kept_since(now)))?;
        tx.commit().await?;
        Ok(swept)
    }
}

impl KeyRow {
    fn standing(self, request_hash: &[u8]) -> Idempotent {
        if self.request_hash != request_hash {
            return Idempotent::Mismatch;
        }
        match (self.status, self.body) {
            (Some(status), Some(body)) => Idempotent::Replay(StoredAnswer { status: u16::try_from(status).unwrap_or(500), body }),
            _ => Idempotent::Running,
        }
    }
}

fn kept_since(now: Wall) -> DateTime<Utc> {
    now.as_datetime() - KEPT_FOR
}
