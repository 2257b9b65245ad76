//! Calls as the log's projection left them. Reading only; the log writes.

use super::{Page, PageRequest, Store, StoreError, pending};
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
    pub agent: Option<AgentId>,
    pub queue: Option<QueueId>,
    pub card: Option<CardId>,
    /// A number as in `from.number` or `to`.
    pub number: Option<String>,
}

impl Store {
    /// Newest first by `started_at`.
    pub async fn calls(&self, filter: &CallFilter, page: &PageRequest) -> Result<Page<CallView>, StoreError> {
        let _ = (filter, page);
        pending()
    }

    /// The call, when it exists and is visible.
    pub async fn call(&self, id: CallId, visible: &Visible) -> Result<Option<CallView>, StoreError> {
        let _ = (id, visible);
        pending()
    }
}
