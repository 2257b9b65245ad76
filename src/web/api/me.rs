//! `me`: who I am, and my own state on the floor.

use axum::Json as Answer;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::{Action, may};
use crate::engine::Actor;
use crate::events::AgentView;
use crate::site::{Language, Role};
use crate::types::{AgentId, AgentState, CallId, QueueId, Wall};
use crate::web::auth::Signed;
use crate::web::error::{ApiError, ErrorBody, words};
use crate::web::extract::Json;
use crate::web::state::AppState;

/// The person behind the session. What belongs to the floor is null for someone who takes no calls.
#[derive(Serialize, ToSchema)]
pub struct Me {
    pub login: AgentId,
    pub name: String,
    pub role: Role,
    pub team: Option<String>,
    pub extension: Option<String>,
    /// The site's language.
    pub language: Language,
    /// IANA name of the site's time zone.
    pub timezone: String,
    /// Queues this person supervises.
    pub supervises: Vec<QueueId>,
    pub state: Option<AgentState>,
    /// A break's reason, or why the floor changed the state.
    pub reason: Option<String>,
    pub since: Option<Wall>,
    pub until: Option<Wall>,
    pub call_id: Option<CallId>,
    pub queues: Vec<QueueId>,
    /// Has a phone on line.
    pub registered: bool,
}

/// What a person may set; the other states come from calls.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WantedState {
    Ready,
    Break,
    Offline,
}

/// A state to take.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StateWish {
    pub state: WantedState,
    /// Why a break is taken; shown to supervisors.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub reason: Option<String>,
}

/// Who I am
#[utoipa::path(get, path = "/me", tag = "me", responses((status = 200, body = Me), (status = 401, body = ErrorBody)))]
pub async fn show(State(state): State<AppState>, signed: Signed) -> Result<Answer<Me>, ApiError> {
    let Signed { viewer, site, .. } = signed;
    let user = site.users.get(&viewer.login).ok_or_else(ApiError::unauthorized)?;
    // A stopping engine must not take the name and role away from the page.
    let agents = state.engine().agents().await.unwrap_or_default();
    let agent = agents.into_iter().find(|agent| agent.login == viewer.login);
    Ok(Answer(Me {
        login: viewer.login.clone(),
        name: user.name.clone(),
        role: viewer.role,
        team: viewer.team.clone(),
        extension: user.extension.clone(),
        language: site.language,
        timezone: site.timezone.clone(),
        supervises: viewer.supervises.iter().cloned().collect(),
        state: agent.as_ref().map(|agent| agent.state),
        reason: agent.as_ref().and_then(|agent| agent.reason.clone()),
        since: agent.as_ref().map(|agent| agent.since),
        until: agent.as_ref().and_then(|agent| agent.until),
        call_id: agent.as_ref().and_then(|agent| agent.call_id),
        queues: agent.as_ref().map_or_else(|| viewer.member_of.iter().cloned().collect(), |agent| agent.queues.clone()),
        registered: agent.is_some_and(|agent| agent.registered),
    }))
}

/// Set my state
#[utoipa::path(put, path = "/me/state", tag = "me", request_body = StateWish, responses(
    (status = 200, body = AgentView),
    (status = 404, body = ErrorBody, description = "This person takes no calls"),
    (status = 422, body = ErrorBody),
))]
pub async fn set_state(
    State(state): State<AppState>,
    signed: Signed,
    Json(wish): Json<StateWish>,
) -> Result<Answer<AgentView>, ApiError> {
    may(&signed.viewer, Action::SetOwnState)?;
    let me = signed.viewer.login.clone();
    change_state(&state, me.clone(), wish, me).await
}

/// Carries a wish for a state to the floor.
pub async fn change_state(state: &AppState, of: AgentId, wish: StateWish, by: AgentId) -> Result<Answer<AgentView>, ApiError> {
    let reason = wish.reason.filter(|reason| !reason.trim().is_empty());
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > 200) {
        return Err(ApiError::bad_field(
            "reason",
            words("Причина длиннее 200 знаков", "The reason is longer than 200 characters"),
        ));
    }
    let wanted = match wish.state {
        WantedState::Ready => AgentState::Ready,
        WantedState::Break => AgentState::Break,
        WantedState::Offline => AgentState::Offline,
    };
    Ok(Answer(state.engine().set_agent_state(of, wanted, reason, Actor::User(by)).await?))
}
