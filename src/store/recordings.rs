//! Recordings as the log's projection left them. The audio itself is a file; `path` is relative to `recording.dir`.
//! `web` lists and plays them; `engine` asks at start for those to repair.

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use super::calls::{of_calls, only_visible, parse_view};
use super::cursor::Place;
use super::sql::{Bind, Sql};
use super::{Page, PageRequest, Store, StoreError, Visible};
use crate::events::RecordingView;
use crate::types::{AgentId, CallId, CallView, CardId, QueueId, RecordingId};

/// A recording with its file and its call.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRecording {
    pub view: RecordingView,
    /// Relative to `recording.dir`; `None` only when the file could never be opened.
    pub path: Option<String>,
    pub call: Option<CallView>,
}

/// Each `Some` narrows the list.
#[derive(Clone, Debug, Default)]
pub struct RecordingFilter {
    pub visible: Visible,
    pub call: Option<CallId>,
    pub agent: Option<AgentId>,
    pub queue: Option<QueueId>,
    pub card: Option<CardId>,
}

#[derive(FromRow)]
struct RecordingRow {
    started_at: DateTime<Utc>,
    id: Uuid,
    path: Option<String>,
    view: String,
    call_view: Option<String>,
}

const ROWS: &str = "select r.started_at, r.id, r.path, r.view, calls.view as call_view
    from recordings r left join calls on calls.id = r.call_id where ";

impl Store {
    /// Newest first by `started_at`.
    pub async fn recordings(&self, filter: &RecordingFilter, page: &PageRequest) -> Result<Page<StoredRecording>, StoreError> {
        let behind = page.behind()?;
        let mut sql = Sql::new(ROWS);
        sql.push("(r.started_at, r.id) < ").list([Bind::Time(behind.at), Bind::Uuid(behind.id)]);
        if let Some(call) = filter.call {
            sql.push(" and r.call_id = ").value(Bind::Uuid(call.0));
        }
        of_calls(&mut sql, filter.agent.as_ref(), filter.queue.as_ref(), filter.card);
        only_visible(&mut sql, &filter.visible);
        sql.push(" order by r.started_at desc, r.id desc limit ").value(Bind::Integer(page.rows_to_fetch()));
        let rows: Vec<RecordingRow> = sql.fetch_all(&self.db).await?;
        page.page(rows, |row| Place { at: row.started_at, id: row.id }).map(RecordingRow::stored)
    }

    /// The recording, when it exists and its call is visible.
    pub async fn recording(&self, id: RecordingId, visible: &Visible) -> Result<Option<StoredRecording>, StoreError> {
        let mut sql = Sql::new(ROWS);
        sql.push("r.id = ").value(Bind::Uuid(id.0));
        only_visible(&mut sql, visible);
        let rows: Vec<RecordingRow> = sql.fetch_all(&self.db).await?;
        rows.into_iter().next().map(RecordingRow::stored).transpose()
    }

    /// Every recording still in state `recording`, oldest first: after a kill, the ones to repair.
    pub async fn unfinished_recordings(&self) -> Result<Vec<StoredRecording>, StoreError> {
        let mut sql = Sql::new(ROWS);
        sql.push("r.state = 'recording' order by r.started_at, r.id");
        let rows: Vec<RecordingRow> = sql.fetch_all(&self.db).await?;
        rows.into_iter().map(RecordingRow::stored).collect()
    }
}

impl RecordingRow {
    fn stored(self) -> Result<StoredRecording, StoreError> {
        Ok(StoredRecording {
            view: parse_recording(&self.view)?,
            path: self.path,
            call: self.call_view.as_deref().map(parse_view).transpose()?,
        })
    }
}

pub(super) fn parse_recording(view: &str) -> Result<RecordingView, StoreError> {
    serde_json::from_str(view).map_err(|e| StoreError::Unreadable { what: "recording", why: e.to_string() })
}
