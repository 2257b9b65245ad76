//! `/healthz /readyz /metrics`: for supervisors of processes, balancers and Prometheus. Open to whoever reaches the port,
//! as is the habit of the field: they hold no names and no numbers; a proxy can keep them inside.

use std::time::Duration;

use axum::Json as Answer;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::state::AppState;
use crate::engine::Readiness;

/// The engine answers from memory; longer means it is stuck.
const ENGINE_LIMIT: Duration = Duration::from_secs(2);

/// Whether the server can take calls, part by part.
#[derive(Debug, Serialize, ToSchema)]
pub struct Ready {
    pub ready: bool,
    pub parts: Vec<Readiness>,
}

/// The process runs
#[utoipa::path(get, path = "/healthz", tag = "health", security(()), responses((status = 200, content_type = "text/plain", body = String)))]
pub async fn healthz() -> impl IntoResponse {
    ([(CACHE_CONTROL, "no-store")], "ok\n")
}

/// Every part works; 503 says which does not and what to do
#[utoipa::path(get, path = "/readyz", tag = "health", security(()), responses((status = 200, body = Ready), (status = 503, body = Ready)))]
pub async fn readyz(State(state): State<AppState>) -> impl IntoResponse {
    let database = match state.store().check().await {
        Ok(()) => part("database", true, "answers".into()),
        Err(trouble) => part("database", false, trouble.to_string()),
    };
    let mut parts = vec![database, recordings(&state).await];
    match tokio::time::timeout(ENGINE_LIMIT, state.engine().readiness()).await {
        Ok(Ok(engine)) => parts.extend(engine),
        Ok(Err(refusal)) => parts.push(part("engine", false, refusal.to_string())),
        Err(_) => parts.push(part("engine", false, "does not answer".into())),
    }
    let ready = parts.iter().all(|part| part.ready);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(CACHE_CONTROL, "no-store")], Answer(Ready { ready, parts }))
}

async fn recordings(state: &AppState) -> Readiness {
    match tokio::fs::metadata(state.recordings()).await {
        Ok(folder) if folder.is_dir() => part("recordings", true, "the folder is there".into()),
        Ok(_) => part("recordings", false, "recording.dir is not a folder".into()),
        Err(trouble) => part("recordings", false, format!("recording.dir cannot be read: {trouble}")),
    }
}

fn part(part: &str, ready: bool, detail: String) -> Readiness {
    Readiness { part: part.into(), ready, detail }
}

/// Counters for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "health", security(()), responses((status = 200, content_type = "text/plain", body = String)))]
pub async fn metrics(State(state): State<AppState>) -> Response<Body> {
    let text = state.metrics().map(|metrics| metrics.render()).unwrap_or_default();
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
