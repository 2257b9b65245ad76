//! What a viewer sees of calls, recordings, agents, queues, clients and events.

use super::Viewer;
use crate::events::{Event, EventKind};
use crate::site::Role;
use crate::types::{AgentId, CallView, LegState, QueueId};

/// Whose a thing is: the agents who took part and the queue it came through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope<'a> {
    pub agents: Vec<&'a AgentId>,
    pub queue: Option<&'a QueueId>,
}

impl<'a> Scope<'a> {
    /// Everyone whom the call reached, also those who did not answer: a missed call is theirs to see.
    pub fn of_call(call: &'a CallView) -> Self {
        let legs = call.legs.iter().filter_map(|leg| leg.agent.as_ref());
        Scope { agents: call.agent.iter().chain(legs).collect(), queue: call.queue.as_ref() }
    }

    /// Those who are on the call or were: an agent whose offer went to another follows the call no longer.
    fn of_party(call: &'a CallView) -> Self {
        let on_it = |state: LegState, answered: bool| answered || state != LegState::Ended;
        let legs = call.legs.iter().filter(|leg| on_it(leg.state, leg.answered_at.is_some()));
        Scope { agents: call.agent.iter().chain(legs.filter_map(|leg| leg.agent.as_ref())).collect(), queue: call.queue.as_ref() }
    }

    fn seen_by(&self, viewer: &Viewer) -> bool {
        match viewer.role {
            Role::Support | Role::Admin => true,
            Role::Agent => self.agents.contains(&&viewer.login),
            Role::Supervisor => {
                self.queue.is_some_and(|queue| viewer.supervises.contains(queue))
                    || self.agents.iter().any(|agent| viewer.team_mates.contains(*agent))
            }
        }
    }
}

/// A call in a list or by its id.
pub fn sees_call(viewer: &Viewer, call: &CallView) -> bool {
    Scope::of_call(call).seen_by(viewer)
}

/// A recording, by the call it belongs to: whoever only missed the call does not hear what others said.
pub fn sees_recording(viewer: &Viewer, call: &CallView) -> bool {
    Scope::of_party(call).seen_by(viewer)
}

/// A person in the list of agents: colleagues are shown, because calls are passed to them.
pub fn sees_agent(viewer: &Viewer, agent: &AgentId, queues: &[QueueId]) -> bool {
    viewer.sees_all()
        || viewer.team_mates.contains(agent)
        || viewer.leads(agent)
        || queues.iter().any(|queue| viewer.member_of.contains(queue))
}

/// A queue in the list: one's own, the supervised ones, and those where the supervisor's team works.
pub fn sees_queue(viewer: &Viewer, queue: &QueueId, members: &[AgentId]) -> bool {
    viewer.sees_all()
        || viewer.member_of.contains(queue)
        || viewer.supervises.contains(queue)
        || (viewer.role == Role::Supervisor && members.iter().any(|member| viewer.team_mates.contains(member)))
}

/// A card in the list of clients. A card without an owner is everybody's. Opening a card by its id is `Action::OpenClient`:
/// any client may call any agent.
pub fn sees_client(viewer: &Viewer, owner: Option<&AgentId>) -> bool {
    owner.is_none_or(|owner| viewer.sees_all() || viewer.team_mates.contains(owner) || viewer.leads(owner))
}

/// An event of the diary, on the live stream or in `GET events`.
pub fn sees_event(viewer: &Viewer, event: &Event) -> bool {
    let named = Scope { agents: event.agent.iter().collect(), queue: event.queue.as_ref() };
    if named.seen_by(viewer) {
        return true;
    }
    match &event.kind {
        EventKind::CallStarted(call)
        | EventKind::CallQueued(call)
        | EventKind::CallOffered(call)
        | EventKind::CallAnswered(call)
        | EventKind::CallHeld(call)
        | EventKind::CallResumed(call)
        | EventKind::CallEnded(call) => Scope::of_party(call).seen_by(viewer),
        // The members of a supervised queue stand on the floor, whatever queue their last call came from.
        EventKind::AgentStateChanged(agent) => viewer.login == agent.login || viewer.leads(&agent.login),
        EventKind::PopShown(pop) => Scope { agents: Vec::new(), queue: pop.queue.as_ref() }.seen_by(viewer),
        EventKind::CallSupervised(_)
        | EventKind::PopRetracted { .. }
        | EventKind::RecordingStarted(_)
        | EventKind::RecordingPaused(_)
        | EventKind::RecordingResumed(_)
        | EventKind::RecordingReady(_)
        | EventKind::RecordingFailed(_)
        | EventKind::CallLegLost(_)
        | EventKind::CallLegReturned(_) => false,
    }
}
