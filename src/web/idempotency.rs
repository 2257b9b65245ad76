//! `Idempotency-Key` on POST: a program that did not hear the answer repeats its request, and gets the same answer instead
//! of a second call. The store keeps keys and answers; only answers that say "done" are kept.

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::error;

use super::auth::authenticate;
use super::error::{ApiError, Words, words};
use super::extract::read_body;
use super::source::Source;
use super::state::AppState;
use crate::clock;
use crate::store::{Idempotent, StoredAnswer};
use crate::types::AgentId;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Its answer is a password, which is never kept; asking twice does no harm.
const SECRET: &str = "/api/v1/me/phone";
const KEY_MAX_BYTES: usize = 255;
/// Answers above this are given but not kept; none of ours comes near.
const ANSWER_MAX_BYTES: usize = 1024 * 1024;

pub async fn once(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let is_keyed = request.method() == Method::POST && request.headers().contains_key(KEY);
    if !is_keyed || request.uri().path() == SECRET {
        return next.run(request).await;
    }
    keyed(&state, request, next).await.unwrap_or_else(IntoResponse::into_response)
}

async fn keyed(state: &AppState, request: Request, next: Next) -> Result<Response, ApiError> {
    let key = request.headers().get(KEY).and_then(|value| value.to_str().ok()).unwrap_or_default().to_string();
    if key.is_empty() || key.len() > KEY_MAX_BYTES {
        let said = words("Ключ: от 1 до 255 знаков ASCII", "The key is 1 to 255 ASCII characters");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "bad_key", said).with_field("Idempotency-Key"));
    }
    let (parts, body) = request.into_parts();
    let source = Source::of(&parts, &state.config().trusted_proxies);
    let Ok(signed) = authenticate(&parts.headers, &source, state).await else {
        // Nobody to keep it for; the handler says why. Signing in is such a request, and its cookie is never kept.
        return Ok(next.run(Request::from_parts(parts, body)).await);
    };
    let bytes = read_body(Request::from_parts(parts.clone(), body)).await?;
    let described = format!("{} {}\n{}", parts.method, parts.uri, String::from_utf8_lossy(&bytes));
    let login = signed.viewer.login;
    match state.store().begin_idempotent(&login, &key, &described, clock::wall()).await? {
        Idempotent::Replay(answer) => return Ok(replayed(answer)),
        Idempotent::Running => {
            let said = words("Запрос с этим ключом ещё выполняется", "The request with this key is still running");
            return Err(conflict("still_running", said).with_retry(1));
        }
        Idempotent::Mismatch => {
            return Err(conflict(
                "key_reused",
                words("Этот ключ уже был у другого запроса", "This key belonged to a different request"),
            ));
        }
        Idempotent::Fresh => {}
    }
    // In a task of its own: a client that goes away must not leave the deed half done and the key taken.
    let work = run_and_keep(state.clone(), login, key, Request::from_parts(parts, Body::from(bytes)), next);
    tokio::spawn(work).await.map_err(|_| ApiError::internal())?
}

async fn run_and_keep(state: AppState, login: AgentId, key: String, request: Request, next: Next) -> Result<Response, ApiError> {
    let (parts, body) = next.run(request).await.into_parts();
    if !parts.status.is_success() {
        // Nothing was done: the same key may try again.
        state.store().forget_idempotent(&login, &key).await?;
        return Ok(Response::from_parts(parts, body));
    }
    let bytes: Bytes = axum::body::to_bytes(body, ANSWER_MAX_BYTES).await.map_err(|_| ApiError::internal())?;
    let answer = StoredAnswer { status: parts.status.as_u16(), body: String::from_utf8_lossy(&bytes).into_owned() };
    if let Err(trouble) = state.store().finish_idempotent(&login, &key, &answer).await {
        // The deed is done and must be answered; a repeat will be told that it still runs, and not done twice.
        error!(error = %trouble, "the answer to a keyed request was not kept: {trouble}");
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

fn replayed(answer: StoredAnswer) -> Response {
    let is_empty = answer.body.is_empty();
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    if !is_empty {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response.headers_mut().insert(HeaderName::from_static("idempotency-replayed"), HeaderValue::from_static("true"));
    response
}

fn conflict(code: &'static str, said: Words) -> ApiError {
    ApiError::new(StatusCode::CONFLICT, code, said).with_field("Idempotency-Key")
}
