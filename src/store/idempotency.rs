//! `Idempotency-Key`: a POST repeated within 24 hours gets the first answer again instead of dialling twice.

use super::{Store, StoreError, pending};
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

impl Store {
    /// Claims the key for this person. `request`: method, path and body of the POST; only its hash is kept.
    pub async fn begin_idempotent(&self, login: &AgentId, key: &str, request: &str, now: Wall) -> Result<Idempotent, StoreError> {
        let _ = (login, key, request, now);
        pending()
    }

    /// Keeps the answer for repeats.
    pub async fn finish_idempotent(&self, login: &AgentId, key: &str, answer: &StoredAnswer) -> Result<(), StoreError> {
        let _ = (login, key, answer);
        pending()
    }

    /// Frees the key after a request that had no effect.
    pub async fn forget_idempotent(&self, login: &AgentId, key: &str) -> Result<(), StoreError> {
        let _ = (login, key);
        pending()
    }

    /// Deletes keys older than 24 hours. Returns how many.
    pub async fn sweep_idempotency(&self, now: Wall) -> Result<u64, StoreError> {
        let _ = now;
        pending()
    }
}
