//! `calls`: the open ones as the engine holds them, the past ones as the log left them, and the two deeds of today,
//! dialling and hanging up.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use tracing::info;
use utoipa::ToSchema;

use crate::access::{Action, may, sees_call};
use crate::engine::{Actor, CommandError};
use crate::events::LegQuality;
use crate::store::{CallFilter, PageRequest, Visible};
use crate::types::{AgentId, CallId, CallView, E164, QueueId};
use crate::web::auth::Signed;
use crate::web::error::{ApiError, ErrorBody, words};
use crate::web::extract::{Id, Json, Params};
use crate::web::list::{List, page_of};
use crate::web::state::AppState;

/// Calls, live and past, newest first
#[utoipa::path(get, path = "/calls", tag = "calls", params(
    ("active" = Option<bool>, Query, description = "`true`: only open calls; `false`: only ended ones"),
    ("agent" = Option<String>, Query, description = "Only calls that reached this agent"),
    ("queue" = Option<String>, Query),
    ("card_id" = Option<String>, Query, description = "Only calls of this client"),
    ("number" = Option<String>, Query, description = "Only calls from or to this number"),
    ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "100 unless told"),
), responses((status = 200, body = List<CallView>), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody)))]
pub async fn list(State(state): State<AppState>, signed: Signed, params: Params) -> Result<Answer<List<CallView>>, ApiError> {
    let page = params.page()?;
    let filter = CallFilter {
        visible: signed.visible(),
        active: params.flag("active")?,
        agent: params.text("agent").map(AgentId::new),
        queue: params.text("queue").map(QueueId::new),
        card: params.id("card_id")?,
        number: params.text("number").map(|number| as_calls_carry_it(number, &signed)),
    };
    // The engine knows an open call's newest state; a stopping one leaves what the log has.
    let mut open = state.engine().active_calls().await.unwrap_or_default();
    open.retain(|call| sees_call(&signed.viewer, call) && fits(call, &filter));
    open.sort_by_key(|call| std::cmp::Reverse((call.started_at, call.id)));
    if filter.active == Some(true) {
        let key = |call: &CallView| format!("{:020}.{}", call.started_at.as_micros(), call.id);
        return page_of(open, &page, key, |key, from| key < from).map(Answer);
    }
    let mut list = List::from(state.store().calls(&filter, &page).await?);
    if filter.active.is_none() {
        add_open(&mut list, open, &page);
    }
    Ok(Answer(list))
}

/// Puts the engine's newer view over the log's, and on the first page the calls that the log has not written yet.
fn add_open(list: &mut List<CallView>, open: Vec<CallView>, page: &PageRequest) {
    let mut unwritten = Vec::new();
    for call in open {
        match list.items.iter_mut().find(|item| item.id == call.id) {
            Some(item) => *item = call,
            None => unwritten.push(call),
        }
    }
    let oldest = list.items.last().map(|call| call.started_at).filter(|_| list.next.is_some());
    if page.cursor.is_none() {
        unwritten.retain(|call| oldest.is_none_or(|oldest| call.started_at > oldest));
        list.items.splice(0..0, unwritten);
        list.items.sort_by_key(|call| std::cmp::Reverse((call.started_at, call.id)));
    }
}

fn fits(call: &CallView, filter: &CallFilter) -> bool {
    let reached =
        |agent: &AgentId| call.agent.as_ref() == Some(agent) || call.legs.iter().any(|leg| leg.agent.as_ref() == Some(agent));
    filter.agent.as_ref().is_none_or(reached)
        && filter.queue.as_ref().is_none_or(|queue| call.queue.as_ref() == Some(queue))
        && filter.card.is_none_or(|card| call.card_id == Some(card))
        && filter.number.as_ref().is_none_or(|number| call.from.number.as_ref() == Some(number) || call.to == *number)
}

fn as_calls_carry_it(number: &str, signed: &Signed) -> String {
    E164::parse(number, signed.site.region).map_or_else(|_| number.to_string(), E164::as_string)
}

/// One call
#[utoipa::path(get, path = "/calls/{id}", tag = "calls", params(("id" = CallId, Path)), responses(
    (status = 200, body = CallView),
    (status = 403, body = ErrorBody),
    (status = 404, body = ErrorBody),
))]
pub async fn show(State(state): State<AppState>, signed: Signed, Id(id): Id<CallId>) -> Result<Answer<CallView>, ApiError> {
    let call = find(&state, id).await?;
    may(&signed.viewer, Action::OpenCall(&call))?;
    Ok(Answer(call))
}

/// The call as the engine has it, else as the log left it.
pub(super) async fn find(state: &AppState, id: CallId) -> Result<CallView, ApiError> {
    let open = state.engine().active_calls().await.unwrap_or_default();
    if let Some(call) = open.into_iter().find(|call| call.id == id) {
        return Ok(call);
    }
    let past = state.store().call(id, &Visible::All).await?;
    past.ok_or_else(|| ApiError::not_found(words("Такого звонка нет", "There is no such call")))
}

/// How the legs of a call sounded.
#[derive(Serialize, ToSchema)]
pub struct Quality {
    legs: Vec<LegQuality>,
}

/// How the call sounded, leg by leg; a leg is there once its media has closed
#[utoipa::path(get, path = "/calls/{id}/quality", tag = "calls", params(("id" = CallId, Path)), responses(
    (status = 200, body = Quality),
    (status = 403, body = ErrorBody),
    (status = 404, body = ErrorBody),
))]
pub async fn quality(State(state): State<AppState>, signed: Signed, Id(id): Id<CallId>) -> Result<Answer<Quality>, ApiError> {
    let call = find(&state, id).await?;
    may(&signed.viewer, Action::OpenCall(&call))?;
    Ok(Answer(Quality { legs: state.store().quality(id).await? }))
}

/// A call to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dial {
    /// Whose phone rings first: a login, `user:LOGIN`, `extension:NUMBER` or an extension; the asking person when absent.
    #[serde(default)]
    from: Option<String>,
    /// A number, or `queue:`, `extension:`, `user:`, `external:`, `trunk:`.
    to: String,
}

/// Dial: the phone of `from` rings first, then `to` is called
#[utoipa::path(post, path = "/calls", tag = "calls", request_body = Dial, params(
    ("Idempotency-Key" = Option<String>, Header, description = "A repeat with the same key gets the same answer and dials once"),
), responses(
    (status = 201, body = CallView),
    (status = 403, body = ErrorBody),
    (status = 409, body = ErrorBody, description = "The agent is busy or has no phone, or the key was used for something else"),
    (status = 422, body = ErrorBody),
))]
pub async fn dial(State(state): State<AppState>, signed: Signed, Json(wish): Json<Dial>) -> Result<impl IntoResponse, ApiError> {
    let from = match wish.from.as_deref() {
        None => signed.viewer.login.clone(),
        Some(text) => named_agent(text, &signed).ok_or_else(|| {
            ApiError::bad_field(
                "from",
                words("Такого оператора или внутреннего номера нет", "There is no such agent or extension"),
            )
        })?,
    };
    may(&signed.viewer, Action::CallFrom(&from))?;
    let to = wish.to.trim();
    if to.is_empty() || to.len() > 256 {
        return Err(ApiError::bad_field("to", words("Куда звонить?", "Where to?")));
    }
    let by = signed.viewer.login;
    let call = state.engine().originate(from, to.to_string(), Actor::User(by.clone())).await?;
    info!(call.id = %call.id, user.login = %by, "call {} dialled by {by}", call.id);
    Ok((StatusCode::CREATED, Answer(call)))
}

fn named_agent(text: &str, signed: &Signed) -> Option<AgentId> {
    let users = &signed.site.users;
    let by_login = |login: &str| users.get(login).map(|user| user.login.clone());
    let by_extension =
        |extension: &str| users.values().find(|user| user.extension.as_deref() == Some(extension)).map(|user| user.login.clone());
    match text.trim().split_once(':') {
        Some(("user", login)) => by_login(login),
        Some(("extension", extension)) => by_extension(extension),
        Some(_) => None,
        None => by_login(text.trim()).or_else(|| by_extension(text.trim())),
    }
}

/// Hang up
#[utoipa::path(post, path = "/calls/{id}/hangup", tag = "calls", params(("id" = CallId, Path)), responses(
    (status = 204, description = "Every leg is being ended"),
    (status = 403, body = ErrorBody),
    (status = 404, body = ErrorBody),
    (status = 409, body = ErrorBody, description = "It has already ended"),
))]
pub async fn hang_up(State(state): State<AppState>, signed: Signed, Id(id): Id<CallId>) -> Result<StatusCode, ApiError> {
    let call = find(&state, id).await?;
    may(&signed.viewer, Action::HangUp(&call))?;
    let by = signed.viewer.login;
    state.engine().hangup(id, Actor::User(by.clone())).await.map_err(|refusal| match refusal {
        // The log knows it and the engine does not: it is over.
        CommandError::NotFound => CommandError::Ended,
        refusal => refusal,
    })?;
    info!(call.id = %id, user.login = %by, "call {id} hung up by {by}");
    Ok(StatusCode::NO_CONTENT)
}
