//! Calls as the log's projection left them. Reading only; the log writes. `web` and the log's start call it.

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use super::cursor::Place;
use super::db::{Db, read};
use super::sql::{Bind, Sql};
use super::text::key;
use super::{Page, PageRequest, Store, StoreError};
use crate::types::{AgentId, CallId, CallView, CardId, QueueId};

/// Whose calls and recordings a person may see. `access` decides it, SQL carries it out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Visible {
    #[default]
    All,
    /// Calls in which one of these agents was a party (also when only offered), or that passed one of these queues.
    Only { agents: Vec<AgentId>, queues: Vec<QueueId> },
}

/// Each `Some` narrows the list.
#[derive(Clone, Debug, Default)]
pub struct CallFilter {
    pub visible: Visible,
    /// `Some(true)`: only open calls; `Some(false)`: only ended ones.
    pub active: Option<bool>,
    /// Was a party, or was offered the call.
    pub agent: Option<AgentId>,
    pub queue: Option<QueueId>,
    pub card: Option<CardId>,
    /// A number as in `from.number` or `to`.
    pub number: Option<String>,
}

#[derive(FromRow)]
struct CallRow {
    started_at: DateTime<Utc>,
    id: Uuid,
    view: String,
}

impl Store {
    /// Newest first by `started_at`.
    pub async fn calls(&self, filter: &CallFilter, page: &PageRequest) -> Result<Page<CallView>, StoreError> {
        let behind = page.behind()?;
        let mut sql = Sql::new("select calls.started_at, calls.id, calls.view from calls where (calls.started_at, calls.id) < ");
        sql.list([Bind::Time(behind.at), Bind::Uuid(behind.id)]);
        match filter.active {
            Some(true) => sql.push(" and calls.state <> 'ended'"),
            Some(false) => sql.push(" and calls.state = 'ended'"),
            None => &mut sql,
        };
        if let Some(number) = &filter.number {
            sql.push(" and (calls.from_number = ").value(Bind::Text(key(number)));
            sql.push(" or calls.to_number = ").value(Bind::Text(key(number))).push(")");
        }
        of_calls(&mut sql, filter.agent.as_ref(), filter.queue.as_ref(), filter.card);
        only_visible(&mut sql, &filter.visible);
        sql.push(" order by calls.started_at desc, calls.id desc limit ").value(Bind::Integer(page.rows_to_fetch()));
        let rows: Vec<CallRow> = sql.fetch_all(&self.db).await?;
        page.page(rows, |row| Place { at: row.started_at, id: row.id }).map(|row| parse_view(&row.view))
    }

    /// The call, when it exists and is visible.
    pub async fn call(&self, id: CallId, visible: &Visible) -> Result<Option<CallView>, StoreError> {
        let mut sql = Sql::new("select calls.view from calls where calls.id = ");
        sql.value(Bind::Uuid(id.0));
        only_visible(&mut sql, visible);
        let rows: Vec<(String,)> = sql.fetch_all(&self.db).await?;
        rows.first().map(|(view,)| parse_view(view)).transpose()
    }
}

/// Calls that have not ended, oldest first, at most `limit`.
pub(super) async fn open_calls(db: &Db, limit: i64) -> Result<Vec<CallView>, StoreError> {
    let views: Vec<String> = read!(*db, pool => sqlx::query_scalar(
        "select view from calls where state <> 'ended' order by started_at, id limit $1",
    ).bind(limit).fetch_all(pool))?;
    views.iter().map(|view| parse_view(view)).collect()
}

/// Narrows a query that has `calls` in its `from` and a `where` already.
pub(super) fn of_calls(sql: &mut Sql, agent: Option<&AgentId>, queue: Option<&QueueId>, card: Option<CardId>) {
    if let Some(agent) = agent {
        sql.push(" and calls.id in (select call_id from call_agents where agent = ");
        sql.value(Bind::Text(key(agent.as_str()))).push(")");
    }
    if let Some(queue) = queue {
        sql.push(" and calls.queue = ").value(Bind::Text(key(queue.as_str())));
    }
    if let Some(card) = card {
        sql.push(" and calls.card_id = ").value(Bind::Uuid(card.0));
    }
}

/// The same kind of query, narrowed to what a person may see.
pub(super) fn only_visible(sql: &mut Sql, visible: &Visible) {
    let Visible::Only { agents, queues } = visible else { return };
    sql.push(" and (calls.queue in ").list(queues.iter().map(|queue| Bind::Text(key(queue.as_str()))));
    sql.push(" or calls.id in (select call_id from call_agents where agent in ");
    sql.list(agents.iter().map(|agent| Bind::Text(key(agent.as_str())))).push("))");
}

pub(super) fn parse_view(view: &str) -> Result<CallView, StoreError> {
    serde_json::from_str(view).map_err(|e| StoreError::Unreadable { what: "call", why: e.to_string() })
}
