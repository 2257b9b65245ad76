//! What happened with a client: the entries on a card's timeline.

use serde::Serialize;

use super::{Page, PageRequest, Store, StoreError, pending};
use crate::events::RecordingView;
use crate::types::{CallView, CardId, Wall};
use uuid::Uuid;

/// One entry. `kind` is `call` for now; its call and recording are as they are now, not as they were when written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TimelineEntry {
    pub id: Uuid,
    pub kind: String,
    pub at: Wall,
    pub call: Option<CallView>,
    pub recording: Option<RecordingView>,
}

impl Store {
    /// Newest first.
    pub async fn timeline(&self, card: CardId, page: &PageRequest) -> Result<Page<TimelineEntry>, StoreError> {
        let _ = (card, page);
        pending()
    }
}
