//! Who is signed in: opaque tokens of 256 random bits, kept only as SHA-256. Browser sessions and API tokens alike.
//! Passwords are not checked here.

use std::fmt;
use std::time::Duration;

use tokio::sync::broadcast;
use uuid::Uuid;

use super::{Store, StoreError, pending};
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

impl Store {
    /// Makes a session; `lives_for` `None` is until revoked.
    pub async fn create_session(
        &self,
        login: &AgentId,
        kind: SessionKind,
        lives_for: Option<Duration>,
        now: Wall,
    ) -> Result<(Token, Session), StoreError> {
        let _ = (login, kind, lives_for, now);
        pending()
    }

    /// The live session of a token; `None` when unknown, revoked or expired.
    pub async fn session_by_token(&self, token: &str, now: Wall) -> Result<Option<Session>, StoreError> {
        let _ = (token, now);
        pending()
    }

    /// Ends one session and tells `session_revocations`. False when there was none.
    pub async fn revoke_session(&self, id: Uuid) -> Result<bool, StoreError> {
        let _ = id;
        pending()
    }

    /// Ends every session of a person (a changed password, a removed user). Returns how many.
    pub async fn revoke_sessions_of(&self, login: &AgentId) -> Result<u64, StoreError> {
        let _ = login;
        pending()
    }

    /// Deletes what has expired. Returns how many.
    pub async fn sweep_sessions(&self, now: Wall) -> Result<u64, StoreError> {
        let _ = now;
        pending()
    }

    /// Ids of sessions as they are revoked, for websockets to close with 4002. A receiver more than 256 behind gets
    /// `Lagged` and must look its session up again.
    pub fn session_revocations(&self) -> broadcast::Receiver<Uuid> {
        self.revoked.subscribe()
    }
}
