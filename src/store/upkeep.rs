//! What the store needs beside its callers: SQLite's checkpoints, and forgetting what has served its time. `app` spawns
//! `run_upkeep`; it ends when the log has stopped.

use std::time::{Duration, Instant};

use tracing::{debug, warn};

use super::{EventLog, Store, StoreError};
use crate::clock;
use crate::types::Wall;

const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
const ALIVE_EVERY: Duration = Duration::from_secs(30);
const SWEEP_EVERY: Duration = Duration::from_mins(10);

/// How long events stay for those who resume. Calls, recordings and timelines are not events and stay.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    pub events_for: Duration,
    /// As many stay, however old.
    pub events_at_least: u64,
}

impl Store {
    pub async fn run_upkeep(self, log: EventLog, retention: Retention) {
        let mut swept: Option<Instant> = None;
        let mut said_alive: Option<Instant> = None;
        let stopped = log.stopped();
        tokio::pin!(stopped);
        loop {
            if said_alive.is_none_or(|at| at.elapsed() > ALIVE_EVERY) {
                said_alive = Some(Instant::now());
                if let Err(error) = self.say_alive(clock::wall()).await {
                    warn!(name: "store.alive_failed", %error, "the database does not take the sign of life: {error}");
                }
            }
            tokio::select! {
                () = &mut stopped => return,
                () = tokio::time::sleep(CHECKPOINT_EVERY) => {}
            }
            if let Err(error) = self.db.checkpoint().await {
                warn!(name: "store.checkpoint_failed", %error, "the database could not be checkpointed: {error}");
            }
            if swept.is_none_or(|at| at.elapsed() > SWEEP_EVERY) {
                swept = Some(Instant::now());
                if let Err(error) = self.sweep(&log, retention, clock::wall()).await {
                    warn!(name: "store.sweep_failed", %error, "old events and sessions could not be swept: {error}");
                }
            }
        }
    }

    /// Forgets old events, ended sessions and used idempotency keys.
    async fn sweep(&self, log: &EventLog, retention: Retention, now: Wall) -> Result<(), StoreError> {
        let events_for = i64::try_from(retention.events_for.as_micros()).unwrap_or(i64::MAX);
        let older_than = Wall::from_micros(now.as_micros().saturating_sub(events_for).max(0));
        let events = log.trim(older_than, retention.events_at_least).await?;
        let sessions = self.sweep_sessions(now).await?;
        let keys = self.sweep_idempotency(now).await?;
        debug!(name: "store.swept", events, sessions, keys, "swept {events} events, {sessions} sessions, {keys} keys");
        Ok(())
    }
}
