//! A batch of events as rows, in the writer's one transaction: the events themselves and everything that follows from
//! them, so that rows and log cannot disagree. Each call and recording is written once a batch, as its last event
//! left it. Only the writer calls it.

use std::collections::BTreeSet;

use serde::Serialize;
use sqlx::QueryBuilder;

use super::Recorded;
use super::writer::as_i64;
use crate::events::{AgentView, EventKind, RecordingState, RecordingView};
use crate::store::db::{Tx, execute, on};
use crate::store::text::{key, storable};
use crate::types::{AgentId, AgentState, CallId, CallState, CallView, Wall};

/// What a batch leaves behind in the rows.
#[derive(Default)]
struct Outcome<'a> {
    calls: Vec<&'a CallView>,
    recordings: Vec<(&'a RecordingView, Option<&'a str>)>,
    agents: Vec<(&'a AgentView, Wall)>,
    /// Calls whose card's timeline has something new.
    for_timeline: BTreeSet<CallId>,
}

/// Writes the events (each with the recording's path, if it tells one) and their rows.
pub(super) async fn insert(tx: &mut Tx, batch: Vec<(&Recorded, Option<&str>)>) -> Result<(), sqlx::Error> {
    let mut outcome = Outcome::default();
    for (recorded, path) in &batch {
        outcome.take_in(&recorded.event.kind, recorded.event.at, *path);
    }
    insert_events(tx, batch.iter().map(|(recorded, _)| *recorded)).await?;
    for call in outcome.calls {
        upsert_call(tx, call).await?;
    }
    for (recording, path) in outcome.recordings {
        upsert_recording(tx, recording, path).await?;
    }
    for (agent, at) in outcome.agents {
        upsert_agent(tx, agent, at).await?;
    }
    for call in outcome.for_timeline {
        upsert_timeline_call(tx, call).await?;
    }
    Ok(())
}

impl<'a> Outcome<'a> {
    fn take_in(&mut self, kind: &'a EventKind, at: Wall, path: Option<&'a str>) {
        match kind {
            EventKind::CallStarted(view)
            | EventKind::CallQueued(view)
            | EventKind::CallOffered(view)
            | EventKind::CallAnswered(view)
            | EventKind::CallHeld(view)
            | EventKind::CallResumed(view)
            | EventKind::CallEnded(view) => {
                if view.state == CallState::Ended {
                    self.for_timeline.insert(view.id);
                }
                match self.calls.iter_mut().find(|known| known.id == view.id) {
                    Some(known) => *known = view,
                    None => self.calls.push(view),
                }
            }
            EventKind::RecordingStarted(view)
            | EventKind::RecordingPaused(view)
            | EventKind::RecordingResumed(view)
            | EventKind::RecordingReady(view)
            | EventKind::RecordingFailed(view) => {
                if view.state == RecordingState::Ready {
                    self.for_timeline.insert(view.call_id);
                }
                match self.recordings.iter_mut().find(|(known, _)| known.id == view.id) {
                    Some(known) => *known = (view, path.or(known.1)),
                    None => self.recordings.push((view, path)),
                }
            }
            // The last of each agent, and behind what they rest at what a call shows.
            EventKind::AgentStateChanged(view) => {
                let replaces = |known: &AgentView| known.login == view.login && (is_rest(view.state) || !is_rest(known.state));
                self.agents.retain(|(known, _)| !replaces(known));
                self.agents.push((view, at));
            }
            EventKind::CallLegLost(_)
            | EventKind::CallLegReturned(_)
            | EventKind::CallSupervised(_)
            | EventKind::PopShown(_)
            | EventKind::PopRetracted { .. } => {}
        }
    }
}

/// One statement for all of them: each is a round trip to the database's thread.
async fn insert_events<'a>(tx: &mut Tx, events: impl Iterator<Item = &'a Recorded>) -> Result<(), sqlx::Error> {
    on!(tx, conn => async {
        let mut insert = QueryBuilder::new("insert into events (seq, at, type, call_id, agent, queue, body) ");
        insert.push_values(events, |mut row, recorded| {
            let event = &recorded.event;
            row.push_bind(as_i64(recorded.seq))
                .push_bind(event.at.as_datetime())
                .push_bind(event.kind.name())
                .push_bind(event.call_id.map(|id| id.0))
                .push_bind(event.agent.as_ref().map(|agent| key(agent.as_str())))
                .push_bind(event.queue.as_ref().map(|queue| key(queue.as_str())))
                .push_bind(&*recorded.json);
        });
        insert.build().execute(conn).await.map(|_| ())
    })
}

async fn upsert_call(tx: &mut Tx, view: &CallView) -> Result<(), sqlx::Error> {
    execute!(tx, sqlx::query(
        "insert into calls (id, kind, state, started_at, ended_at, agent, queue, trunk, card_id, from_number, to_number, view)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         on conflict (id) do update set kind = excluded.kind, state = excluded.state, ended_at = excluded.ended_at,
         agent = excluded.agent, queue = excluded.queue, trunk = excluded.trunk, card_id = excluded.card_id,
         from_number = excluded.from_number, to_number = excluded.to_number, view = excluded.view",
    )
    .bind(view.id.0)
    .bind(word(&view.kind))
    .bind(word(&view.state))
    .bind(view.started_at.as_datetime())
    .bind(view.ended_at.map(|at| at.as_datetime()))
    .bind(view.agent.as_ref().map(|agent| key(agent.as_str())))
    .bind(view.queue.as_ref().map(|queue| key(queue.as_str())))
    .bind(view.trunk.as_ref().map(|trunk| key(trunk.as_str())))
    .bind(view.card_id.map(|card| card.0))
    .bind(view.from.number.as_deref().map(key))
    .bind(key(&view.to))
    .bind(json(view)))?;
    let agents = agents_of(view);
    if agents.is_empty() {
        return Ok(());
    }
    on!(tx, conn => async {
        let mut insert = QueryBuilder::new("insert into call_agents (call_id, agent) ");
        insert.push_values(agents, |mut row, agent| {
            row.push_bind(view.id.0).push_bind(key(agent.as_str()));
        });
        insert.push(" on conflict do nothing").build().execute(conn).await.map(|_| ())
    })
}

/// Everyone whose phone the call has reached so far.
fn agents_of(view: &CallView) -> BTreeSet<&AgentId> {
    view.agent.iter().chain(view.legs.iter().filter_map(|leg| leg.agent.as_ref())).collect()
}

async fn upsert_recording(tx: &mut Tx, view: &RecordingView, path: Option<&str>) -> Result<(), sqlx::Error> {
    execute!(
        tx,
        sqlx::query(
            "insert into recordings (id, call_id, state, started_at, path, view) values ($1, $2, $3, $4, $5, $6)
         on conflict (id) do update set state = excluded.state, started_at = excluded.started_at,
         path = coalesce(excluded.path, recordings.path), view = excluded.view",
        )
        .bind(view.id.0)
        .bind(view.call_id.0)
        .bind(word(&view.state))
        .bind(view.started_at.as_datetime())
        .bind(path.map(storable))
        .bind(json(view))
    )?;
    Ok(())
}

/// Ready, break and offline are what an agent is without a call; what a call shows beside them does not change that.
async fn upsert_agent(tx: &mut Tx, view: &AgentView, at: Wall) -> Result<(), sqlx::Error> {
    let is_rest = is_rest(view.state);
    let rest = if is_rest { view.state } else { AgentState::Offline };
    let rest_reason = view.reason.as_deref().filter(|_| view.state == AgentState::Break).map(storable);
    execute!(
        tx,
        sqlx::query(if is_rest {
            "insert into agent_states (agent, state, reason, at, rest, rest_reason) values ($1, $2, $3, $4, $5, $6)
             on conflict (agent) do update set state = excluded.state, reason = excluded.reason, at = excluded.at,
             rest = excluded.rest, rest_reason = excluded.rest_reason"
        } else {
            "insert into agent_states (agent, state, reason, at, rest, rest_reason) values ($1, $2, $3, $4, $5, $6)
             on conflict (agent) do update set state = excluded.state, reason = excluded.reason, at = excluded.at"
        })
        .bind(key(view.login.as_str()))
        .bind(word(&view.state))
        .bind(view.reason.as_deref().map(storable))
        .bind(at.as_datetime())
        .bind(word(&rest))
        .bind(rest_reason)
    )?;
    Ok(())
}

fn is_rest(state: AgentState) -> bool {
    matches!(state, AgentState::Offline | AgentState::Ready | AgentState::Break)
}

/// The call's one entry on its card's timeline; it moves when the call turned out to be another client's.
async fn upsert_timeline_call(tx: &mut Tx, call: CallId) -> Result<(), sqlx::Error> {
    execute!(
        tx,
        sqlx::query(
            "insert into timeline (id, card_id, kind, at, call_id)
         select id, card_id, 'call', started_at, id from calls where id = $1 and card_id is not null
         on conflict (call_id) do update set card_id = excluded.card_id",
        )
        .bind(call.0)
    )?;
    Ok(())
}

/// An enum's word, as in its JSON.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("a view is plain data with text keys")
}
