//! Who is signed in: opaque tokens of 256 random bits, kept only as SHA-256. Browser sessions and API tokens alike.
//! Passwords are not checked here. `web` and `perezvon token` call it.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::FromRow;
use tokio::sync::broadcast;
use uuid::Uuid;

use super::db::{execute, on, read};
use super::lanes::Lane;
use super::{Store, StoreError};
use crate::types::{AgentId, Wall};

/// The secret handed out once. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The text for the cookie or the `Authorization` header.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(···)")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// A browser's cookie.
    Browser,
    /// `perezvon token LOGIN`.
    Api,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Names the session where its token must not be told: revocation, logs.
    pub id: Uuid,
    pub login: AgentId,
    pub kind: SessionKind,
    pub created_at: Wall,
    /// `None`: until revoked.
    pub expires_at: Option<Wall>,
}

#[derive(FromRow)]
struct SessionRow {
    id: Uuid,
    login: String,
    kind: String,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
}

impl Store {
    /// Makes a session; `lives_for` `None` is until revoked.
    pub async fn create_session(
        &self,
        login: &AgentId,
        kind: SessionKind,
        lives_for: Option<Duration>,
        now: Wall,
    ) -> Result<(Token, Session), StoreError> {
        let token = Token(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()));
        let expires_at = lives_for.map(|lives_for| now.plus(lives_for));
        let session = Session { id: Uuid::now_v7(), login: login.clone(), kind, created_at: now, expires_at };
        let mut tx = self.db.begin(Lane::Rest).await?;
        execute!(
            tx,
            sqlx::query(
                "insert into sessions (id, token_hash, login, kind, created_at, expires_at) values ($1, $2, $3, $4, $5, $6)",
            )
            .bind(session.id)
            .bind(hash(token.as_str()))
            .bind(login.as_str())
            .bind(kind.word())
            .bind(now.as_datetime())
            .bind(expires_at.map(Wall::as_datetime))
        )?;
        tx.commit().await?;
        Ok((token, session))
    }

    /// The live session of a token; `None` when unknown, revoked or expired.
    pub async fn session_by_token(&self, token: &str, now: Wall) -> Result<Option<Session>, StoreError> {
        let row: Option<SessionRow> = read!(self.db, pool => sqlx::query_as(
            "select id, login, kind, created_at, expires_at from sessions
             where token_hash = $1 and (expires_at is null or expires_at > $2)",
        ).bind(hash(token)).bind(now.as_datetime()).fetch_optional(pool))?;
        Ok(row.map(SessionRow::session))
    }

    /// Ends one session and tells `session_revocations`. False when there was none.
    pub async fn revoke_session(&self, id: Uuid) -> Result<bool, StoreError> {
        let mut tx = self.db.begin(Lane::Rest).await?;
        let ended: Option<Uuid> = on!(tx, conn => sqlx::query_scalar("delete from sessions where id = $1 returning id")
            .bind(id).fetch_optional(conn))?;
        tx.commit().await?;
        self.tell_revoked(ended);
        Ok(ended.is_some())
    }

    /// Ends every session of a person (a changed password, a removed user). Returns how many.
    pub async fn revoke_sessions_of(&self, login: &AgentId) -> Result<u64, StoreError> {
        let mut tx = self.db.begin(Lane::Rest).await?;
        let ended: Vec<Uuid> = on!(tx, conn => sqlx::query_scalar("delete from sessions where login = $1 returning id")
            .bind(login.as_str()).fetch_all(conn))?;
        tx.commit().await?;
        let count = ended.len() as u64;
        self.tell_revoked(ended);
        Ok(count)
    }

    /// Deletes what has expired, and tells `session_revocations`. Returns how many.
    pub async fn sweep_sessions(&self, now: Wall) -> Result<u64, StoreError> {
        let mut tx = self.db.begin(Lane::Rest).await?;
        let ended: Vec<Uuid> = on!(tx, conn => sqlx::query_scalar("delete from sessions where expires_at <= $1 returning id")
            .bind(now.as_datetime()).fetch_all(conn))?;
        tx.commit().await?;
        let count = ended.len() as u64;
        self.tell_revoked(ended);
        Ok(count)
    }

    /// Ids of sessions as they end, for websockets to close with 4002. A receiver more than 256 behind gets
    /// `Lagged` and must look its session up again.
    pub fn session_revocations(&self) -> broadcast::Receiver<Uuid> {
        self.revoked.subscribe()
    }

    fn tell_revoked(&self, ended: impl IntoIterator<Item = Uuid>) {
        for id in ended {
            // Nobody may be listening.
            let _ = self.revoked.send(id);
        }
    }
}

impl SessionKind {
    fn word(self) -> &'static str {
        match self {
            SessionKind::Browser => "browser",
            SessionKind::Api => "api",
        }
    }
}

impl SessionRow {
    fn session(self) -> Session {
        Session {
            id: self.id,
            login: AgentId::new(&self.login),
            kind: if self.kind == "api" { SessionKind::Api } else { SessionKind::Browser },
            created_at: self.created_at.into(),
            expires_at: self.expires_at.map(Wall::from),
        }
    }
}

/// A token is 256 random bits, so a plain hash is enough: there is nothing to guess, and a lookup by it leaks no timing
/// that helps.
fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}
