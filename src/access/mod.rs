//! Who may see what and do what: one answer for the HTTP API, the live stream and the lists, so that they cannot differ.
//!
//! The rule in one line: an agent sees their own, a supervisor what belongs to their queues and their team, support and
//! admin everything. This room only compares plain values; `web` asks it on every request and for every event.

mod act;
mod see;

use std::collections::BTreeSet;

pub use act::{Action, Denied, may};
pub use see::{Scope, sees_agent, sees_call, sees_client, sees_event, sees_queue, sees_recording};

use crate::site::{Role, Site};
use crate::types::{AgentId, QueueId};

/// A signed-in person with everything the rules compare, taken from one snapshot of the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewer {
    pub login: AgentId,
    pub role: Role,
    pub team: Option<String>,
    /// Queues this person supervises; empty unless the role is `supervisor`.
    pub supervises: BTreeSet<QueueId>,
    /// Everyone of the same team, this person included; only this person when there is no team.
    pub team_mates: BTreeSet<AgentId>,
    /// Members of the supervised queues.
    pub floor: BTreeSet<AgentId>,
    /// Queues this person takes calls from.
    pub member_of: BTreeSet<QueueId>,
}

impl Viewer {
    /// `None` when the site knows no such login: whoever held a session or a token has lost it.
    pub fn of(site: &Site, login: &str) -> Option<Viewer> {
        let user = site.users.get(login)?;
        let mut team_mates = BTreeSet::from([user.login.clone()]);
        if user.team.is_some() {
            team_mates.extend(site.users.values().filter(|mate| mate.team == user.team).map(|mate| mate.login.clone()));
        }
        let supervised = || {
            let leads = user.role == Role::Supervisor;
            site.queues.values().filter(move |queue| leads && queue.supervisors.contains(&user.login))
        };
        Some(Viewer {
            login: user.login.clone(),
            role: user.role,
            team: user.team.clone(),
            supervises: supervised().map(|queue| queue.name.clone()).collect(),
            team_mates,
            floor: supervised().flat_map(|queue| queue.members.iter().cloned()).collect(),
            member_of: site
                .queues
                .values()
                .filter(|queue| queue.members.contains(&user.login))
                .map(|queue| queue.name.clone())
                .collect(),
        })
    }

    /// Support and admin: no limits on what is seen.
    pub fn sees_all(&self) -> bool {
        matches!(self.role, Role::Support | Role::Admin)
    }

    /// Whether this person leads `agent`: a supervisor their team and the members of their queues, support and admin everyone.
    pub fn leads(&self, agent: &AgentId) -> bool {
        match self.role {
            Role::Agent => false,
            Role::Supervisor => self.team_mates.contains(agent) || self.floor.contains(agent),
            Role::Support | Role::Admin => true,
        }
    }
}
