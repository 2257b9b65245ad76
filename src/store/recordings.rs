//! Recordings as the log's projection left them. The audio itself is a file; `path` is relative to `recording.dir`.

use super::{Page, PageRequest, Store, StoreError, Visible, pending};
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

impl Store {
    /// Newest first by `started_at`.
    pub async fn recordings(&self, filter: &RecordingFilter, page: &PageRequest) -> Result<Page<StoredRecording>, StoreError> {
        let _ = (filter, page);
        pending()
    }

    /// The recording, when it exists and its call is visible.
    pub async fn recording(&self, id: RecordingId, visible: &Visible) -> Result<Option<StoredRecording>, StoreError> {
        let _ = (id, visible);
        pending()
    }

    /// Every recording still in state `recording`, oldest first: after a kill, the ones to repair.
    pub async fn unfinished_recordings(&self) -> Result<Vec<StoredRecording>, StoreError> {
        pending()
    }
}
