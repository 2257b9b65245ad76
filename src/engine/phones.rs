//! Where each person's phones are, so that the SDP of an offer names an address of ours that they can reach.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::types::AgentId;

/// The newest registration of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct At {
    pub phone: Option<IpAddr>,
    pub browser: Option<IpAddr>,
}

/// Where everyone is. At most one entry a person of the site.
#[derive(Default)]
pub(super) struct Phones {
    newest: Mutex<HashMap<AgentId, At>>,
}

impl Phones {
    fn newest(&self) -> MutexGuard<'_, HashMap<AgentId, At>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn registered(&self, agent: AgentId, at: At) {
        self.newest().insert(agent, at);
    }

    pub fn gone(&self, agent: &AgentId) {
        self.newest().remove(agent);
    }

    pub fn of(&self, agent: &AgentId) -> Option<At> {
        self.newest().get(agent).copied()
    }

    pub fn has_browser(&self, agent: &AgentId) -> bool {
        self.of(agent).is_some_and(|at| at.browser.is_some())
    }
}
