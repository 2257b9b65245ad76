//! What the rest of the house may ask of the engine: the web, the control socket and tests hold a `Handle`.
//! It sends a command and waits for the answer; it holds no state and decides nothing.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::call::{CallWish, Refusal};
use crate::events::AgentView;
pub use crate::events::QueueView;
use crate::types::{AgentId, AgentState, CallId, CallView, EndCause, Wall};

/// Who asks: shown in the call's `ended_by` and in the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    User(AgentId),
    System,
}

/// Why a command was refused. `web` maps each variant to one HTTP status and one message in two languages.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CommandError {
    #[error("there is no such call, agent or queue")]
    NotFound,
    #[error("the call has ended")]
    Ended,
    #[error("the agent is on a call: {0}")]
    Conflict(String),
    #[error("the call refuses: {0}")]
    Refused(Refusal),
    #[error("not a destination: {0}")]
    BadDestination(String),
    /// `to` is what was dialled, `cause` how the call would have ended at once. Words for people are the web's business.
    #[error("{to} leads nowhere: {cause}")]
    Nowhere { to: String, cause: EndCause },
    #[error("the agent has no registered phone")]
    Unreachable,
    #[error("too busy, try again")]
    Overloaded,
    #[error("the server is stopping")]
    Stopping,
}

/// `/readyz`: each part and whether it works; `detail` says what to do when it does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    pub part: String,
    pub ready: bool,
    pub detail: String,
}

/// Short-lived SIP credentials, told once.
#[derive(Clone, PartialEq, Eq)]
pub struct LentPhone {
    /// Of the digest; it registers the user's own address.
    pub username: String,
    pub password: String,
    pub expires_at: Wall,
}

impl fmt::Debug for LentPhone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LentPhone").field("username", &self.username).finish_non_exhaustive()
    }
}

/// One wish with the place for its answer.
#[derive(Debug)]
pub enum Command {
    Hangup {
        call: CallId,
        by: Actor,
        reply: oneshot::Sender<Result<(), CommandError>>,
    },
    /// Hold, the recording, supervision: what people ask of a call that goes on.
    Ask {
        call: CallId,
        wish: CallWish,
        reply: oneshot::Sender<Result<CallView, CommandError>>,
    },
    /// `from`: whose phone rings first; `to`: the destination grammar or a number.
    Originate {
        from: AgentId,
        to: String,
        by: Actor,
        reply: oneshot::Sender<Result<CallView, CommandError>>,
    },
    SetAgentState {
        agent: AgentId,
        /// `ready`, `break` or `offline`.
        state: AgentState,
        reason: Option<String>,
        by: Actor,
        reply: oneshot::Sender<Result<AgentView, CommandError>>,
    },
    /// SIP credentials for the page behind a web session.
    LendPhone {
        user: AgentId,
        session: Uuid,
        /// `None`: until revoked.
        session_ends: Option<Wall>,
        reply: oneshot::Sender<Result<LentPhone, CommandError>>,
    },
    Agents {
        reply: oneshot::Sender<Vec<AgentView>>,
    },
    Queues {
        reply: oneshot::Sender<Vec<QueueView>>,
    },
    ActiveCalls {
        reply: oneshot::Sender<Vec<CallView>>,
    },
    Readiness {
        reply: oneshot::Sender<Vec<Readiness>>,
    },
    /// The site in the database changed: read it again and put it to use.
    SiteChanged {
        reply: oneshot::Sender<()>,
    },
}

/// Cheap to clone. A full command queue (256) makes the caller wait; a stopped engine answers `Stopping`.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
}

impl Handle {
    pub fn new(commands: mpsc::Sender<Command>) -> Self {
        Handle { commands }
    }

    pub async fn hangup(&self, call: CallId, by: Actor) -> Result<(), CommandError> {
        self.ask(|reply| Command::Hangup { call, by, reply }).await?
    }

    /// The call after the wish was done.
    pub async fn ask_call(&self, call: CallId, wish: CallWish) -> Result<CallView, CommandError> {
        self.ask(|reply| Command::Ask { call, wish, reply }).await?
    }

    pub async fn originate(&self, from: AgentId, to: String, by: Actor) -> Result<CallView, CommandError> {
        self.ask(|reply| Command::Originate { from, to, by, reply }).await?
    }

    pub async fn set_agent_state(
        &self,
        agent: AgentId,
        state: AgentState,
        reason: Option<String>,
        by: Actor,
    ) -> Result<AgentView, CommandError> {
        self.ask(|reply| Command::SetAgentState { agent, state, reason, by, reply }).await?
    }

    pub async fn lend_phone(&self, user: AgentId, session: Uuid, session_ends: Option<Wall>) -> Result<LentPhone, CommandError> {
        self.ask(|reply| Command::LendPhone { user, session, session_ends, reply }).await?
    }

    pub async fn agents(&self) -> Result<Vec<AgentView>, CommandError> {
        self.ask(|reply| Command::Agents { reply }).await
    }

    pub async fn queues(&self) -> Result<Vec<QueueView>, CommandError> {
        self.ask(|reply| Command::Queues { reply }).await
    }

    /// Every call that has not ended, oldest first.
    pub async fn active_calls(&self) -> Result<Vec<CallView>, CommandError> {
        self.ask(|reply| Command::ActiveCalls { reply }).await
    }

    pub async fn readiness(&self) -> Result<Vec<Readiness>, CommandError> {
        self.ask(|reply| Command::Readiness { reply }).await
    }

    pub async fn site_changed(&self) -> Result<(), CommandError> {
        self.ask(|reply| Command::SiteChanged { reply }).await
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| CommandError::Stopping)?;
        answer.await.map_err(|_| CommandError::Stopping)
    }
}
