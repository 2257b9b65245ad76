//! One follower's view of the log: page after page from the table until the head is near, then live from a bounded
//! queue. It loses nothing, repeats nothing, and ends who is too slow. A web socket drives it.

use std::collections::VecDeque;
use std::sync::Arc;

use thiserror::Error;

use super::followers::{Live, LiveEnd};
use super::{EventLog, Recorded};
use crate::types::AgentId;

/// Events read from the table at a time.
const PAGE: u32 = 500;

/// Why a follower cannot start.
#[derive(Debug, Error)]
pub enum FollowError {
    /// The events after this `seq` are forgotten, or this log never gave it out: 4003, 410.
    #[error("seq expired")]
    Expired,
    #[error("the log is stopping")]
    Stopping,
}

/// Why a feed is over.
#[derive(Debug, Error)]
pub enum FeedEnd {
    /// More than 1,024 events behind: close with 4001; the client resumes after the last `seq` it saw.
    #[error("too slow")]
    TooSlow,
    /// What it had still to read was forgotten meanwhile: close with 4003.
    #[error("seq expired")]
    Expired,
    #[error("the log has stopped")]
    Stopped,
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

/// Dropping it unsubscribes.
#[derive(Debug)]
pub struct Feed {
    log: EventLog,
    viewer: Option<AgentId>,
    ready_seq: u64,
    /// Everything up to here was handed out.
    position: u64,
    read: VecDeque<Arc<Recorded>>,
    /// `None` while far behind: out of the live list its queue cannot overflow while it reads the table.
    live: Option<Live>,
    /// Everything committed before it joined the live list has been read.
    is_caught_up: bool,
}

impl Feed {
    pub(super) fn from_now(log: EventLog, viewer: Option<AgentId>) -> Result<Feed, FollowError> {
        let live = log.shared.followers.join(viewer.clone()).ok_or(FollowError::Stopping)?;
        let position = live.joined_behind;
        Ok(Feed { log, viewer, ready_seq: position, position, read: VecDeque::new(), live: Some(live), is_caught_up: true })
    }

    pub(super) fn after(log: EventLog, viewer: Option<AgentId>, after: u64) -> Result<Feed, FollowError> {
        if log.is_expired(after) {
            return Err(FollowError::Expired);
        }
        Ok(Feed { log, viewer, ready_seq: after, position: after, read: VecDeque::new(), live: None, is_caught_up: false })
    }

    /// For `stream.ready`: everything up to this `seq` is behind the follower.
    pub fn ready_seq(&self) -> u64 {
        self.ready_seq
    }

    /// The next event. Cancel-safe: nothing is taken out of the feed before it is returned.
    pub async fn next(&mut self) -> Result<Arc<Recorded>, FeedEnd> {
        loop {
            if let Some(recorded) = self.read.pop_front() {
                self.position = recorded.seq;
                return Ok(recorded);
            }
            let Some(joined_behind) = self.live.as_ref().map(|live| live.joined_behind) else {
                if self.read_page().await? {
                    self.live = Some(self.log.shared.followers.join(self.viewer.clone()).ok_or(FeedEnd::Stopped)?);
                }
                continue;
            };
            if !self.is_caught_up {
                self.is_caught_up = self.position >= joined_behind || self.read_page().await?;
                continue;
            }
            let recorded = self.next_live().await?;
            if recorded.seq > self.position {
                self.position = recorded.seq;
                return Ok(recorded);
            }
            // It was read from the table already, between joining and catching up.
            self.mark_written(&recorded);
        }
    }

    async fn next_live(&mut self) -> Result<Arc<Recorded>, FeedEnd> {
        let live = self.live.as_mut().ok_or(FeedEnd::Stopped)?;
        live.next().await.map_err(|end| match end {
            LiveEnd::TooSlow => FeedEnd::TooSlow,
            LiveEnd::Stopped => FeedEnd::Stopped,
        })
    }

    /// Reads on from the table. True when the page was not full: the head was reached at the moment of reading.
    async fn read_page(&mut self) -> Result<bool, FeedEnd> {
        let page = self.log.read_after(self.position, PAGE).await?;
        // Checked after reading: what retention took before the reading is seen here at the latest.
        if self.log.is_forgotten(self.position) {
            return Err(FeedEnd::Expired);
        }
        let is_last = page.len() < PAGE as usize;
        self.read.extend(page.into_iter().map(Arc::new));
        Ok(is_last)
    }

    /// Call it for every event after its frame was flushed to the socket (or when it was skipped as not visible).
    /// Resolves the receipt of a `pop.shown` when this feed's viewer is its agent, or the last of the others.
    pub fn mark_written(&self, recorded: &Recorded) {
        if self.viewer.is_some() && self.viewer == recorded.event.agent {
            recorded.was_written();
        } else {
            recorded.was_written_by_another();
        }
    }
}
