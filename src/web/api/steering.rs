//! Deeds on a call that goes on: hold, resume, its recording, and supervision. The call's machine does them or says why not.

use axum::Json as Answer;
use axum::extract::State;
use serde::Deserialize;
use tracing::info;
use utoipa::ToSchema;

use super::calls::find;
use crate::access::{Action, may};
use crate::call::{CallWish, Person, RecordingAction};
use crate::engine::CommandError;
use crate::types::{CallId, CallView, SupervisionMode};
use crate::web::auth::Signed;
use crate::web::error::{ApiError, ErrorBody, words};
use crate::web::extract::{Id, Json};
use crate::web::state::AppState;

/// Put the other party on hold: they hear music
#[utoipa::path(post, path = "/calls/{id}/hold", tag = "calls", params(("id" = CallId, Path)), responses(
    (status = 200, body = CallView),
    (status = 403, body = ErrorBody),
    (status = 404, body = ErrorBody),
    (status = 409, body = ErrorBody, description = "Nobody talks, or it is on hold already"),
))]
pub async fn hold(State(state): State<AppState>, signed: Signed, Id(id): Id<CallId>) -> Result<Answer<CallView>, ApiError> {
    let by = Some(signed.viewer.login.clone());
    steer(&state, &signed, id, CallWish::Hold { by }).await
}

/// Take them back from hold
#[utoipa::path(post, path = "/calls/{id}/resume", tag = "calls", params(("id" = CallId, Path)), responses(
    (status = 200, body = CallView),
    (status = 403, body = ErrorBody),
    (status = 404, body = ErrorBody),
    (status = 409, body = ErrorBody, description = "It is not on hold"),
))]
pub async fn resume(State(state): State<AppState>, signed: Signed, Id(id): Id<CallId>) -> Result<Answer<CallView>, ApiError> {
    let by = Some(signed.viewer.login.clone());
    steer(&state, &signed, id, CallWish::Resume { by }).await
}

/// What to do with the recording.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Record {
    action: RecordingAction,
}

/// Stop, pause or mask the recording, and take that back: the file stays one, what is said meanwhile is silence in it
#[utoipa::path(post, path = "/calls/{id}/recording", tag = "calls", params(("id" = CallId, Path)), request_body = Record, responses(
    (status = 200, body = CallView),
    (status = 403, body = ErrorBody),
    (status = 404, body = ErrorBody),
    (status = 409, body = ErrorBody, description = "The call is not recorded, or its recording is not where this can be done"),
    (status = 422, body = ErrorBody),
))]
pub async fn record(
    State(state): State<AppState>,
    signed: Signed,
    Id(id): Id<CallId>,
    Json(wish): Json<Record>,
) -> Result<Answer<CallView>, ApiError> {
    steer(&state, &signed, id, CallWish::Record(wish.action)).await
}

async fn steer(state: &AppState, signed: &Signed, id: CallId, wish: CallWish) -> Result<Answer<CallView>, ApiError> {
    let call = find(state, id).await?;
    may(&signed.viewer, Action::Steer(&call))?;
    ask(state, signed, id, wish).await
}

/// How to listen.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Supervise {
    mode: SupervisionMode,
}

/// Listen to a call, whisper to its agent, or barge in: your phone rings and answers by itself. Again with another mode: changes it
#[utoipa::path(post, path = "/calls/{id}/supervise", tag = "calls", params(("id" = CallId, Path)), request_body = Supervise, responses(
    (status = 200, body = CallView),
    (status = 403, body = ErrorBody, description = "For supervisors of its queue or team, support and admin"),
    (status = 404, body = ErrorBody),
    (status = 409, body = ErrorBody, description = "Nobody talks, you have no phone or are on another call"),
    (status = 422, body = ErrorBody),
))]
pub async fn supervise(
    State(state): State<AppState>,
    signed: Signed,
    Id(id): Id<CallId>,
    Json(wish): Json<Supervise>,
) -> Result<Answer<CallView>, ApiError> {
    let call = find(&state, id).await?;
    may(&signed.viewer, Action::Supervise(&call))?;
    let user = signed.site.users.get(signed.viewer.login.as_str());
    let user = user.ok_or_else(|| ApiError::not_found(words("Такого пользователя нет", "There is no such user")))?;
    ask(&state, &signed, id, CallWish::Supervise { person: Person::of(user), mode: wish.mode }).await
}

/// Stop supervising: your phone is hung up, the call goes on
#[utoipa::path(delete, path = "/calls/{id}/supervise", tag = "calls", params(("id" = CallId, Path)), responses(
    (status = 200, body = CallView),
    (status = 403, body = ErrorBody),
    (status = 404, body = ErrorBody),
    (status = 409, body = ErrorBody, description = "You are not in this call"),
))]
pub async fn leave(State(state): State<AppState>, signed: Signed, Id(id): Id<CallId>) -> Result<Answer<CallView>, ApiError> {
    let call = find(&state, id).await?;
    may(&signed.viewer, Action::Supervise(&call))?;
    let agent = signed.viewer.login.clone();
    ask(&state, &signed, id, CallWish::StopSupervising { agent }).await
}

async fn ask(state: &AppState, signed: &Signed, id: CallId, wish: CallWish) -> Result<Answer<CallView>, ApiError> {
    let by = &signed.viewer.login;
    info!(call.id = %id, user.login = %by, wish = wish.name(), "call {id}: {} asked by {by}", wish.name());
    let call = state.engine().ask_call(id, wish).await.map_err(|refusal| match refusal {
        // The log knows it and the engine does not: it is over.
        CommandError::NotFound => CommandError::Ended,
        refusal => refusal,
    })?;
    Ok(Answer(call))
}
