//! Where each person's phones are, so that the SDP of an offer names an address of ours that they can reach.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use crate::types::AgentId;

/// The newest registration of each person. At most one entry a person of the site.
#[derive(Default)]
pub(super) struct Phones {
    newest: Mutex<HashMap<AgentId, IpAddr>>,
}

impl Phones {
    pub fn registered(&self, agent: AgentId, from: IpAddr) {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).insert(agent, from);
    }

    pub fn gone(&self, agent: &AgentId) {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).remove(agent);
    }

    pub fn of(&self, agent: &AgentId) -> Option<IpAddr> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).get(agent).copied()
    }
}
