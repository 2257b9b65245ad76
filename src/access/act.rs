//! What a viewer may do. Every deed of the API is a variant here; what it is done to comes with it.

use thiserror::Error;

use super::{Viewer, see};
use crate::site::Role;
use crate::types::{AgentId, CallView};

/// A wish that needs a right. Reading lists needs none beyond being signed in: they hold only what `sees_*` lets through.
#[derive(Clone, Copy, Debug)]
pub enum Action<'a> {
    /// `me`, the lists, the live stream: whoever is signed in.
    Look,
    /// Opening one call by id.
    OpenCall(&'a CallView),
    /// Hearing a recording or reading its facts, by its call.
    OpenRecording(&'a CallView),
    /// Opening a card, its timeline, or looking a number up.
    OpenClient,
    CreateClient,
    /// Changing a card's facts.
    EditClient,
    /// Giving a card to another owner, or taking it.
    AssignClient {
        from: Option<&'a AgentId>,
        to: Option<&'a AgentId>,
    },
    SetOwnState,
    SetState {
        of: &'a AgentId,
    },
    /// Ringing this agent's phone first, then dialling.
    CallFrom(&'a AgentId),
    HangUp(&'a CallView),
    /// Hold, resume, the recording: for the call's agents and whoever leads them.
    Steer(&'a CallView),
    /// Listening in, whispering, barging in.
    Supervise(&'a CallView),
}

/// Why not; `web` says it in the reader's language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Denied {
    #[error("it belongs to others")]
    NotYours,
    #[error("only a supervisor, support or admin may do this")]
    NeedsSupervisor,
    #[error("the agent is neither of your team nor of your queues")]
    NotYourAgent,
}

pub fn may(viewer: &Viewer, action: Action<'_>) -> Result<(), Denied> {
    let granted = |yes: bool, otherwise: Denied| if yes { Ok(()) } else { Err(otherwise) };
    match action {
        Action::Look | Action::OpenClient | Action::CreateClient | Action::EditClient | Action::SetOwnState => Ok(()),
        Action::OpenCall(call) => granted(see::sees_call(viewer, call), Denied::NotYours),
        Action::OpenRecording(call) | Action::HangUp(call) | Action::Steer(call) => {
            granted(see::sees_recording(viewer, call), Denied::NotYours)
        }
        Action::Supervise(call) => match viewer.role {
            Role::Agent => Err(Denied::NeedsSupervisor),
            Role::Supervisor | Role::Support | Role::Admin => granted(see::sees_recording(viewer, call), Denied::NotYours),
        },
        Action::AssignClient { from, to } => {
            let takes = to.is_none_or(|to| *to == viewer.login || viewer.leads(to));
            let gives = from.is_none_or(|from| *from == viewer.login || viewer.leads(from));
            granted(takes && gives, Denied::NeedsSupervisor)
        }
        Action::SetState { of } => match viewer.role {
            Role::Agent => Err(Denied::NeedsSupervisor),
            Role::Supervisor | Role::Support | Role::Admin => granted(viewer.leads(of), Denied::NotYourAgent),
        },
        Action::CallFrom(agent) => match viewer.role {
            Role::Agent => granted(*agent == viewer.login, Denied::NeedsSupervisor),
            Role::Supervisor | Role::Support | Role::Admin => {
                granted(*agent == viewer.login || viewer.leads(agent), Denied::NotYourAgent)
            }
        },
    }
}
