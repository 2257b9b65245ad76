//! Who may write to SQLite next. It has one writer, so whoever wants to write waits in one of two lanes: the event log
//! in `Events`, everything else in `Rest`. The turn goes to `Events` whenever anyone waits there, so the log waits at
//! most for the one transaction that is running (10 ms, by the store's own rule). Knows nothing of SQL.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Events,
    Rest,
}

/// One turn at a time. Waiters are bounded by the callers: the log has one task, the web its own limit of requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Lanes {
    line: Arc<Mutex<Line>>,
}

#[derive(Debug, Default)]
struct Line {
    taken: bool,
    events: VecDeque<oneshot::Sender<Turn>>,
    rest: VecDeque<oneshot::Sender<Turn>>,
}

/// The right to write; dropping it passes it on.
#[derive(Debug)]
pub(super) struct Turn {
    /// `None` once passed on.
    line: Option<Arc<Mutex<Line>>>,
}

impl Lanes {
    /// Cancel-safe: a turn handed to a waiter who has left is dropped with its channel, and so passed on.
    pub(super) async fn take(&self, lane: Lane) -> Turn {
        let waiting = {
            let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
            if !line.taken {
                line.taken = true;
                return Turn { line: Some(self.line.clone()) };
            }
            let (turn, waiting) = oneshot::channel();
            match lane {
                Lane::Events => line.events.push_back(turn),
                Lane::Rest => line.rest.push_back(turn),
            }
            waiting
        };
        waiting.await.expect("a queued sender is only removed to hand it the turn")
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(shared) = self.line.take() else { return };
        loop {
            let next = {
                let mut line = shared.lock().unwrap_or_else(PoisonError::into_inner);
                match line.events.pop_front().or_else(|| line.rest.pop_front()) {
                    Some(next) => next,
                    None => {
                        line.taken = false;
                        return;
                    }
                }
            };
            match next.send(Turn { line: Some(shared.clone()) }) {
                Ok(()) => return,
                // That waiter has gone; disarm its turn, so that a thousand of them do not recurse, and look further.
                Err(mut unwanted) => unwanted.line = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Future, poll_fn};
    use std::task::Poll;

    use tokio::sync::mpsc;

    use super::*;

    fn wait_in(lanes: &Lanes, lane: Lane, name: &'static str, order: &mpsc::UnboundedSender<&'static str>) {
        let (lanes, order) = (lanes.clone(), order.clone());
        tokio::spawn(async move {
            let _turn = lanes.take(lane).await;
            let _ = order.send(name);
        });
    }

    async fn everyone_is_waiting(lanes: &Lanes, count: usize) {
        loop {
            let waiting = {
                let line = lanes.line.lock().unwrap();
                line.events.len() + line.rest.len()
            };
            if waiting == count {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn the_log_goes_before_everyone_who_came_earlier() {
        let lanes = Lanes::default();
        let (order, mut seen) = mpsc::unbounded_channel();
        let turn = lanes.take(Lane::Rest).await;
        wait_in(&lanes, Lane::Rest, "first import", &order);
        everyone_is_waiting(&lanes, 1).await;
        wait_in(&lanes, Lane::Rest, "second import", &order);
        everyone_is_waiting(&lanes, 2).await;
        wait_in(&lanes, Lane::Events, "log", &order);
        everyone_is_waiting(&lanes, 3).await;
        drop(turn);
        assert_eq!(seen.recv().await, Some("log"));
        assert_eq!(seen.recv().await, Some("first import"));
        assert_eq!(seen.recv().await, Some("second import"));
    }

    #[tokio::test]
    async fn a_waiter_who_leaves_does_not_take_the_turn_with_them() {
        let lanes = Lanes::default();
        let turn = lanes.take(Lane::Rest).await;
        let leaving = tokio::spawn({
            let lanes = lanes.clone();
            async move { lanes.take(Lane::Events).await }
        });
        everyone_is_waiting(&lanes, 1).await;
        leaving.abort();
        assert!(leaving.await.is_err());
        drop(turn);
        let _next = lanes.take(Lane::Rest).await;
    }

    #[tokio::test]
    async fn a_turn_that_was_handed_over_but_never_received_is_passed_on() {
        let lanes = Lanes::default();
        let turn = lanes.take(Lane::Rest).await;
        let mut waiter = Box::pin(lanes.take(Lane::Rest));
        let is_pending = poll_fn(|cx| Poll::Ready(waiter.as_mut().poll(cx).is_pending())).await;
        assert!(is_pending);
        drop(turn); // the turn now lies in the waiter's channel
        drop(waiter);
        let _next = lanes.take(Lane::Rest).await;
    }
}
