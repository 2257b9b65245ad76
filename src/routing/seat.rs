//! An agent's seat on the floor: the agent's state with what the site says about the person; and how a new site is taken
//! up, and what `GET agents` and `GET queues` show.

use std::collections::BTreeMap;

use super::choice::Candidate;
use super::floor::{Floor, Round};
use super::line::Line;
use super::messages::FloorEffect;
use crate::agents::{Agent, AgentInput, Wish};
use crate::call::RefusalReason;
use crate::events::{AgentView, QueueView};
use crate::site::{Role, Site, User};
use crate::types::{AgentId, AgentState, CallId, QueueId, Time};

#[derive(Debug)]
pub(super) struct Seat {
    pub agent: Agent,
    name: String,
    team: Option<String>,
    extension: Option<String>,
    skills: BTreeMap<String, u8>,
    pub queues: Vec<QueueId>,
    /// Grows with each lease.
    pub epoch: u64,
    /// Removed from the site; goes when the last call is over.
    pub is_leaving: bool,
}

impl Seat {
    fn new(agent: Agent) -> Self {
        Seat {
            agent,
            name: String::new(),
            team: None,
            extension: None,
            skills: BTreeMap::new(),
            queues: Vec::new(),
            epoch: 0,
            is_leaving: false,
        }
    }

    fn describe(&mut self, user: &User, site: &Site) {
        self.name.clone_from(&user.name);
        self.team.clone_from(&user.team);
        self.extension.clone_from(&user.extension);
        self.skills.clone_from(&user.skills);
        self.queues = queues_of(&user.login, site);
        self.is_leaving = false;
    }

    pub fn view(&self, login: &AgentId) -> AgentView {
        let shown = self.agent.shown();
        AgentView {
            login: login.clone(),
            name: self.name.clone(),
            team: self.team.clone(),
            extension: self.extension.clone(),
            state: shown.state,
            reason: shown.reason,
            since: self.agent.since(),
            until: shown.until,
            call_id: shown.call,
            queues: self.queues.clone(),
            registered: self.agent.is_registered(),
        }
    }

    /// As a candidate of the queue, when free.
    pub fn candidate<'a>(&self, agent: &'a AgentId, order: usize, queue: &QueueId) -> Option<Candidate<'a>> {
        if !self.agent.is_free() || self.is_leaving {
            return None;
        }
        let weight = self.skills.get(queue.as_str()).copied().unwrap_or(1);
        Some(Candidate { agent, order, idle_since: self.agent.idle_since(), tally: self.agent.tally(), weight })
    }
}

/// Who has a seat: agents, members of queues, and whoever has a phone.
fn sits(user: &User, site: &Site) -> bool {
    user.role == Role::Agent || user.extension.is_some() || !queues_of(&user.login, site).is_empty()
}

fn queues_of(login: &AgentId, site: &Site) -> Vec<QueueId> {
    let member = |line: &&crate::site::Queue| line.members.contains(login);
    site.queues.values().filter(member).map(|queue| queue.name.clone()).collect()
}

impl Floor {
    pub(super) fn take_site(&mut self, round: &mut Round, site: &Site) {
        for user in site.users.values().filter(|user| sits(user, site)) {
            let seat = self.seats.entry(user.login.clone()).or_insert_with(|| Seat::new(Agent::new(round.now, round.wall)));
            seat.describe(user, site);
        }
        self.let_go(round, site);
        self.take_queues(round, site);
    }

    /// People who are no longer in the site: at once, or when the call they are in is over.
    fn let_go(&mut self, round: &mut Round, site: &Site) {
        let stays = |agent: &AgentId| site.users.get(agent).is_some_and(|user| sits(user, site));
        let gone: Vec<AgentId> = self.seats.keys().filter(|agent| !stays(agent)).cloned().collect();
        for agent in gone {
            if let Some(seat) = self.seats.get_mut(&agent) {
                seat.is_leaving = true;
                seat.queues.clear();
            }
            self.drive(round, &agent, AgentInput::Ask(Wish::Offline));
            if self.seats.get(&agent).is_some_and(|seat| !seat.agent.is_engaged()) {
                self.seats.remove(&agent);
            }
        }
    }

    fn take_queues(&mut self, round: &mut Round, site: &Site) {
        for queue in site.queues.values() {
            match self.lines.get_mut(&queue.name) {
                Some(line) => line.settings = queue.clone(),
                None => {
                    self.lines.insert(queue.name.clone(), Line::new(queue.clone()));
                }
            }
            round.touch(&queue.name);
            if queue.members.is_empty() {
                self.refuse_all(round, &queue.name, RefusalReason::NoMembers);
            }
        }
        let removed: Vec<QueueId> = self.lines.keys().filter(|queue| !site.queues.contains_key(*queue)).cloned().collect();
        for queue in removed {
            self.refuse_all(round, &queue, RefusalReason::NoSuchQueue);
            self.lines.remove(&queue);
        }
    }

    /// Nobody can take these calls any more. They end the offers they hold themselves.
    fn refuse_all(&mut self, round: &mut Round, queue: &QueueId, why: RefusalReason) {
        let calls: Vec<CallId> = self.lines.get(queue).map(|line| line.calls.values().copied().collect()).unwrap_or_default();
        for call in calls {
            self.step_out(call);
            round.effects.push(FloorEffect::Refuse { call, queue: queue.clone(), why });
        }
    }

    /// One agent, as the world sees them.
    pub fn agent(&self, agent: &AgentId) -> Option<AgentView> {
        self.seats.get(agent).map(|seat| seat.view(agent))
    }

    /// Every agent, by login.
    pub fn agents(&self) -> Vec<AgentView> {
        self.seats.iter().map(|(agent, seat)| seat.view(agent)).collect()
    }

    /// Every queue, by name.
    pub fn queues(&self, now: Time) -> Vec<QueueView> {
        self.lines.values().map(|line| self.queue_view(line, now)).collect()
    }

    fn queue_view(&self, line: &Line, now: Time) -> QueueView {
        let seats = || line.settings.members.iter().filter_map(|agent| self.seats.get(agent));
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let longest = line.calls.keys().map(|place| place.entered).min();
        QueueView {
            name: line.settings.name.clone(),
            strategy: line.settings.strategy,
            waiting: count(line.calls.len()),
            longest_wait_ms: longest.map(|entered| u64::try_from((now - entered).as_millis()).unwrap_or(u64::MAX)),
            members: line.settings.members.clone(),
            supervisors: line.settings.supervisors.clone(),
            ready: count(seats().filter(|seat| seat.agent.is_free()).count()),
            talking: count(seats().filter(|seat| seat.agent.shown().state == AgentState::Talking).count()),
            ring_seconds: line.settings.ring_seconds,
            wrap_up_seconds: line.settings.wrap_up_seconds,
            entered: line.entered,
            answered: line.answered,
            abandoned: line.abandoned,
        }
    }
}
