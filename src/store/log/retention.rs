//! What the log needs besides writing: forgetting old events, and ending the calls that a kill left open.

use std::sync::atomic::Ordering;

use chrono::{DateTime, Utc};

use super::writer::{as_i64, as_u64};
use super::{EventLog, LogError};
use crate::events::{Event, EventKind, RetractReason};
use crate::store::db::{Db, execute, read};
use crate::store::lanes::Lane;
use crate::store::{StoreError, calls};
use crate::types::{CallState, CallView, EndCause, EndedBy, LegState, LegView, PopId, QueueId, Wall};

/// Rows one transaction forgets, so that the log's own lane never waits long.
const SLICE: i64 = 500;

impl EventLog {
    /// Forgets events older than `older_than`, but keeps the newest `keep_at_least`; in slices. Returns how many.
    pub async fn trim(&self, older_than: Wall, keep_at_least: u64) -> Result<u64, StoreError> {
        let keep_from: Option<i64> = match keep_at_least {
            0 => Some(i64::MAX),
            keep => read!(self.shared.db, pool => sqlx::query_scalar(
                "select seq from events order by seq desc limit 1 offset $1",
            ).bind(as_i64(keep - 1)).fetch_optional(pool))?,
        };
        let Some(keep_from) = keep_from else { return Ok(0) };
        let mut forgotten = 0;
        loop {
            let slice: Vec<(i64, DateTime<Utc>)> = read!(self.shared.db, pool => sqlx::query_as(
                "select seq, at from events where seq < $1 order by seq limit $2",
            ).bind(keep_from).bind(SLICE).fetch_all(pool))?;
            let is_full = slice.len() as i64 == SLICE;
            // Events are ordered by `seq`; clocks may step back, so the first young one ends it.
            let old = slice.iter().take_while(|(_, at)| *at < older_than.as_datetime());
            let Some(through) = old.last().map(|(seq, _)| *seq) else { break };
            // First told, then done: a follower that reads too late must see that it lost something.
            self.shared.trimmed_through.fetch_max(as_u64(through), Ordering::AcqRel);
            let mut tx = self.shared.db.begin(Lane::Rest).await?;
            execute!(tx, sqlx::query("update log_state set trimmed_through = $1 where id = 1").bind(through))?;
            let done = execute!(tx, sqlx::query("delete from events where seq <= $1").bind(through))?;
            tx.commit().await?;
            forgotten += done;
            if !is_full || slice.last().is_some_and(|(seq, _)| *seq > through) {
                break;
            }
        }
        Ok(forgotten)
    }

    /// Appends `call.ended` with cause `server_restart` for every call that a kill left open. Once, at start, before
    /// the first call, behind `pop.retracted` for every card that still hung on a ringing agent's screen. Returns how many.
    pub async fn close_open_calls(&self, now: Wall) -> Result<u64, StoreError> {
        let mut closed = 0;
        loop {
            let open = calls::open_calls(&self.shared.db, SLICE).await?;
            if open.is_empty() {
                return Ok(closed);
            }
            for retracted in open_pops(&self.shared.db, &open).await? {
                let committed = self.append(Event { at: now, ..retracted });
                committed.await.map_err(|e: LogError| StoreError::Database(e.to_string()))?;
            }
            let appended: Vec<_> = open.into_iter().map(|view| self.append(ended_by_restart(view, now))).collect();
            for committed in appended {
                committed.await.map_err(|e: LogError| StoreError::Database(e.to_string()))?;
                closed += 1;
            }
        }
    }
}

/// The retractions owed: pops of these calls that were shown and not taken back, to agents who had not answered. The
/// events since the first of the calls began are read through: once, at a start after a kill.
async fn open_pops(db: &Db, open: &[CallView]) -> Result<Vec<Event>, StoreError> {
    let Some(since) = open.iter().map(|call| call.started_at).min() else { return Ok(Vec::new()) };
    let rows: Vec<(String, Option<String>)> = read!(*db, pool => sqlx::query_as(
        "select body, queue from events where type in ('pop.shown', 'pop.retracted') and at >= $1 order by seq",
    ).bind(since.as_datetime()).fetch_all(pool))?;
    let mut owed: Vec<(PopId, Event)> = Vec::new();
    for (body, queue) in rows {
        let event: Event =
            serde_json::from_str(&body).map_err(|e| StoreError::Unreadable { what: "event", why: e.to_string() })?;
        let (pop_id, is_shown) = match &event.kind {
            EventKind::PopShown(pop) => (pop.pop_id, true),
            EventKind::PopRetracted { pop_id, .. } => (*pop_id, false),
            _ => continue,
        };
        owed.retain(|(its, _)| *its != pop_id);
        let call = open.iter().find(|call| Some(call.id) == event.call_id);
        let has_answered = |call: &&CallView| {
            let own = |leg: &&LegView| leg.agent == event.agent && leg.answered_at.is_some();
            call.legs.iter().any(|leg| own(&leg))
        };
        if is_shown && call.filter(|call| !has_answered(call)).is_some() {
            let kind = EventKind::PopRetracted { pop_id, reason: RetractReason::ServerRestart };
            owed.push((pop_id, Event { queue: queue.map(|queue| QueueId::new(&queue)), kind, ..event }));
        }
    }
    Ok(owed.into_iter().map(|(_, event)| event).collect())
}

fn ended_by_restart(mut view: CallView, now: Wall) -> Event {
    for leg in &mut view.legs {
        leg.state = LegState::Ended;
        leg.ended_at.get_or_insert(now);
    }
    view.state = CallState::Ended;
    view.ended_at = Some(now);
    view.cause = Some(EndCause::ServerRestart);
    view.ended_by = Some(EndedBy::System);
    Event {
        at: now,
        call_id: Some(view.id),
        agent: view.agent.clone(),
        queue: view.queue.clone(),
        kind: EventKind::CallEnded(Box::new(view)),
    }
}
