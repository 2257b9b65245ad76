//! Who follows the log live: a bounded queue each. Publishing never waits: a full queue cuts its follower off.
//! The writer publishes, feeds listen; nothing here reads the table.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::Recorded;
use crate::types::AgentId;

/// Events a follower may be behind. Full: it is marked too slow, dropped here, and its feed ends with `TooSlow`.
const QUEUE: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Followers {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The newest published `seq`. Under the same lock as the list, so that joining and publishing cannot cross.
    head: u64,
    closed: bool,
    list: Vec<Follower>,
}

#[derive(Debug)]
struct Follower {
    viewer: Option<AgentId>,
    queue: mpsc::Sender<Arc<Recorded>>,
    is_too_slow: Arc<AtomicBool>,
}

/// A follower's end of its queue. Dropping it leaves the list at the next publication.
#[derive(Debug)]
pub(super) struct Live {
    queue: mpsc::Receiver<Arc<Recorded>>,
    is_too_slow: Arc<AtomicBool>,
    /// The newest event published before this follower joined: everything after it comes through the queue.
    pub(super) joined_behind: u64,
}

/// Why the queue brings nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LiveEnd {
    TooSlow,
    Stopped,
}

impl Followers {
    pub(super) fn starting_behind(head: u64) -> Followers {
        Followers { inner: Mutex::new(Inner { head, closed: false, list: Vec::new() }) }
    }

    pub(super) fn head(&self) -> u64 {
        self.lock().head
    }

    /// `None` when the log has stopped.
    pub(super) fn join(&self, viewer: Option<AgentId>) -> Option<Live> {
        let (sender, queue) = mpsc::channel(QUEUE);
        let is_too_slow = Arc::new(AtomicBool::new(false));
        let mut inner = self.lock();
        if inner.closed {
            return None;
        }
        // Those who left are swept here too, so that reconnecting browsers of a silent night do not pile up.
        inner.list.retain(|follower| !follower.queue.is_closed());
        inner.list.push(Follower { viewer, queue: sender, is_too_slow: is_too_slow.clone() });
        metrics::gauge!("perezvon_log_followers").set(inner.list.len() as f64);
        Some(Live { queue, is_too_slow, joined_behind: inner.head })
    }

    /// Hands committed events to everyone, in order. A `pop.shown` waits for its agent's screen, or for every other
    /// follower when its agent has none (see `PopReceipt`).
    pub(super) fn publish(&self, events: &[Arc<Recorded>]) {
        let mut inner = self.lock();
        for recorded in events {
            inner.head = inner.head.max(recorded.seq);
            let is_the_agents = |follower: &Follower| follower.viewer.is_some() && follower.viewer == recorded.event.agent;
            if !inner.list.iter().any(is_the_agents) {
                recorded.await_others(inner.list.len());
            }
            inner.list.retain(|follower| match follower.queue.try_send(recorded.clone()) {
                Ok(()) => true,
                Err(TrySendError::Full(_)) => {
                    follower.is_too_slow.store(true, Ordering::Release);
                    metrics::counter!("perezvon_log_followers_cut_off_total").increment(1);
                    false
                }
                Err(TrySendError::Closed(_)) => false,
            });
        }
        metrics::gauge!("perezvon_log_followers").set(inner.list.len() as f64);
    }

    /// Ends every feed after what is already queued.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.list.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    /// The next event, in `seq` order. Cancel-safe. A follower that was cut off ends at once, whatever is still queued:
    /// it must resume from the table anyway.
    pub(super) async fn next(&mut self) -> Result<Arc<Recorded>, LiveEnd> {
        let next = self.queue.recv().await;
        if self.is_too_slow.load(Ordering::Acquire) {
            return Err(LiveEnd::TooSlow);
        }
        next.ok_or(LiveEnd::Stopped)
    }
}
