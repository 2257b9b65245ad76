//! One follower's view of the log: a page after another from the table until the head is near, then live from a
//! bounded queue. It loses nothing, repeats nothing, and cuts off who is too slow.

use std::sync::Arc;

use thiserror::Error;

use super::Recorded;

/// Why a follower cannot start.
#[derive(Debug, Error)]
pub enum FollowError {
    /// The events after this `seq` are forgotten, or this log never gave it out: 4003, 410.
    #[error("seq expired")]
    Expired,
    #[error("the log is stopping")]
    Stopping,
    #[error(transparent)]
    Store(#[from] super::StoreError),
}

/// Why a feed is over.
#[derive(Debug, Error)]
pub enum FeedEnd {
    /// More than 1,024 events behind: close with 4001; the client resumes after the last `seq` it saw.
    #[error("too slow")]
    TooSlow,
    #[error("the log has stopped")]
    Stopped,
    #[error(transparent)]
    Store(#[from] super::StoreError),
}

/// Dropping it unsubscribes.
#[derive(Debug)]
pub struct Feed {}

impl Feed {
    /// For `stream.ready`: everything up to this `seq` is behind the follower.
    pub fn ready_seq(&self) -> u64 {
        0
    }

    /// The next event. Cancel-safe.
    pub async fn next(&mut self) -> Result<Arc<Recorded>, FeedEnd> {
        Err(FeedEnd::Stopped)
    }

    /// Call it for every event after its frame was flushed to the socket (or when it was skipped as not visible).
    /// Resolves the receipt of a `pop.shown` when this feed's viewer is its agent.
    pub fn mark_written(&self, recorded: &Recorded) {
        let _ = recorded;
    }
}
