//! What each agent was when the last run ended: read once at start.

use chrono::{DateTime, Utc};

use super::db::{execute, read};
use super::lanes::Lane;
use super::{Store, StoreError};
use crate::agents::LastSeen;
use crate::types::{AgentId, AgentState, Wall};

/// What the last run left of the floor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastFloor {
    pub agents: Vec<(AgentId, LastSeen)>,
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

    /// Agents that were shown as anything but offline, in no order.
    pub async fn last_floor(&self) -> Result<LastFloor, StoreError> {
        let rows: Vec<(String, String, String, Option<String>)> = read!(self.db, pool => sqlx::query_as(
            "select agent, state, rest, rest_reason from agent_states where state <> 'offline'",
        ).fetch_all(pool))?;
        let alive_at: Option<DateTime<Utc>> = read!(self.db, pool => sqlx::query_scalar(
            "select alive_at from log_state where id = 1",
        ).fetch_one(pool))?;
        let agents = rows.into_iter().map(|(agent, state, rest, reason)| {
            Ok((AgentId::new(&agent), LastSeen { state: parse_state(state)?, rest: parse_state(rest)?, reason }))
        });
        let until = alive_at.map(|at| Wall::from_micros(at.timestamp_micros()));
        Ok(LastFloor { agents: agents.collect::<Result<_, StoreError>>()?, until })
    }
}

fn parse_state(word: String) -> Result<AgentState, StoreError> {
    serde_json::from_value(word.into()).map_err(|e| StoreError::Unreadable { what: "agent state", why: e.to_string() })
}
