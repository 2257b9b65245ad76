//! What happened with a client: the entries on a card's timeline. The log writes them; `web` shows them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::FromRow;
use uuid::Uuid;

use super::calls::parse_view;
use super::cursor::Place;
use super::db::read;
use super::recordings::parse_recording;
use super::{Page, PageRequest, Store, StoreError};
use crate::events::RecordingView;
use crate::types::{CallView, CardId, Wall};

/// One entry. `kind` is `call` for now; its call and recording are as they are now, not as they were when written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TimelineEntry {
    pub id: Uuid,
    pub kind: String,
    pub at: Wall,
    pub call: Option<CallView>,
    pub recording: Option<RecordingView>,
}

#[derive(FromRow)]
struct TimelineRow {
    id: Uuid,
    kind: String,
    at: DateTime<Utc>,
    call_view: Option<String>,
    recording_view: Option<String>,
}

impl Store {
    /// Newest first.
    pub async fn timeline(&self, card: CardId, page: &PageRequest) -> Result<Page<TimelineEntry>, StoreError> {
        let behind = page.behind()?;
        let rows: Vec<TimelineRow> = read!(self.db, pool => sqlx::query_as(
            "select t.id, t.kind, t.at, calls.view as call_view,
             (select r.view from recordings r where r.call_id = t.call_id order by r.started_at desc limit 1) as recording_view
             from timeline t left join calls on calls.id = t.call_id
             where t.card_id = $1 and (t.at, t.id) < ($2, $3) order by t.at desc, t.id desc limit $4",
        )
        .bind(card.0)
        .bind(behind.at)
        .bind(behind.id)
        .bind(page.rows_to_fetch())
        .fetch_all(pool))?;
        page.page(rows, |row| Place { at: row.at, id: row.id }).map(TimelineRow::entry)
    }
}

impl TimelineRow {
    fn entry(self) -> Result<TimelineEntry, StoreError> {
        Ok(TimelineEntry {
            id: self.id,
            kind: self.kind,
            at: self.at.into(),
            call: self.call_view.as_deref().map(parse_view).transpose()?,
            recording: self.recording_view.as_deref().map(parse_recording).transpose()?,
        })
    }
}
