//! `agents`: the people who take calls, as the floor sees them now.

use axum::Json as Answer;
use axum::extract::State;

use super::me::{StateWish, change_state};
use crate::access::{Action, Viewer, may, sees_agent};
use crate::events::AgentView;
use crate::types::AgentId;
use crate::web::auth::Signed;
use crate::web::error::{ApiError, ErrorBody, words};
use crate::web::extract::{Id, Json, Params};
use crate::web::list::{List, page_of};
use crate::web::state::AppState;

/// Agents and their states, by login
///
/// An agent sees colleagues of the team and of shared queues (without their call and their reason), a supervisor the
/// team and the members of the supervised queues, support and admin everyone.
#[utoipa::path(get, path = "/agents", tag = "agents", params(
    ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "100 unless told"),
), responses((status = 200, body = List<AgentView>), (status = 401, body = ErrorBody)))]
pub async fn list(State(state): State<AppState>, signed: Signed, params: Params) -> Result<Answer<List<AgentView>>, ApiError> {
    let page = params.page()?;
    let mut agents = state.engine().agents().await?;
    agents.retain(|agent| sees_agent(&signed.viewer, &agent.login, &agent.queues));
    agents.sort_by(|a, b| a.login.cmp(&b.login));
    let list = page_of(agents, &page, |agent| agent.login.to_string(), |key, from| key > from)?;
    Ok(Answer(list.map(|agent| for_eyes_of(&signed.viewer, agent))))
}

/// A colleague's call and the reason of a break are not an agent's business.
fn for_eyes_of(viewer: &Viewer, agent: AgentView) -> AgentView {
    match agent.login == viewer.login || viewer.leads(&agent.login) {
        true => agent,
        false => AgentView { call_id: None, reason: None, ..agent },
    }
}

/// Set an agent's state (supervisor, support, admin)
#[utoipa::path(put, path = "/agents/{login}/state", tag = "agents", request_body = StateWish,
    params(("login" = String, Path)),
    responses(
        (status = 200, body = AgentView),
        (status = 403, body = ErrorBody, description = "The agent is neither of your team nor of your queues"),
        (status = 404, body = ErrorBody),
    ))]
pub async fn set_state(
    State(state): State<AppState>,
    signed: Signed,
    Id(login): Id<String>,
    Json(wish): Json<StateWish>,
) -> Result<Answer<AgentView>, ApiError> {
    let agent = AgentId::new(&login);
    may(&signed.viewer, Action::SetState { of: &agent })?;
    if !signed.site.users.contains_key(&agent) {
        return Err(ApiError::not_found(words("Такого оператора нет", "There is no such agent")));
    }
    change_state(&state, agent, wish, signed.viewer.login.clone()).await
}
