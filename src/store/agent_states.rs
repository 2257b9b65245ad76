//! What each agent was when the last run ended: read once at start.

use chrono::{DateTime, Utc};

use super::db::{execute, read};
use super::lanes::Lane;
use super::{Store, StoreError};
use crate::types::{AgentId, AgentState, Wall};

/// An agent's last shown state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastState {
    pub agent: AgentId,
    pub state: AgentState,
    pub reason: Option<String>,
}

/// What the last run left of the floor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastFloor {
    pub agents: Vec<LastState>,
    /// When the last run last said that it lives: within half a minute of its end. `None`: there was none.
    pub until: Option<Wall>,
}

impl Store {
    /// This run lives. Said every half minute.
    pub(super) async fn say_alive(&self, now: Wall) -> Result<(), StoreError> {
        let mut tx = self.db.begin(Lane::Rest).await?;
        execute!(tx, sqlx::query("update log_state set alive_at = $1 where id = 1").bind(now.as_datetime()))?;
        Ok(tx.commit().await?)
    }

    /// Agents that were not offline, in no order.
    pub async fn last_floor(&self) -> Result<LastFloor, StoreError> {
        let rows: Vec<(String, String, Option<String>)> = read!(self.db, pool => sqlx::query_as(
            "select agent, state, reason from agent_states where state <> 'offline'",
        ).fetch_all(pool))?;
        let alive_at: Option<DateTime<Utc>> = read!(self.db, pool => sqlx::query_scalar(
            "select alive_at from log_state where id = 1",
        ).fetch_one(pool))?;
        let agents = rows.into_iter().map(|(agent, state, reason)| {
            let state = serde_json::from_value(state.into());
            let state = state.map_err(|e| StoreError::Unreadable { what: "agent state", why: e.to_string() })?;
            Ok(LastState { agent: AgentId::new(&agent), state, reason })
        });
        let until = alive_at.map(|at| Wall::from_micros(at.timestamp_micros()));
        Ok(LastFloor { agents: agents.collect::<Result<_, StoreError>>()?, until })
    }
}
