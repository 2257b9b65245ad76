//! What surrounds every answer: errors as JSON in the reader's language, security headers, a time limit, a net for
//! panics, and the counters. Handlers know nothing of it.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt;
use metrics::{counter, histogram};
use tracing::error;

use super::error::{ApiError, words};
use super::language;
use super::state::AppState;
use crate::clock;

/// A handler that takes longer is given up; streams of audio and events have begun by then and go on.
const HANDLER_LIMIT: Duration = Duration::from_secs(30);

/// What the desk needs and nothing more.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; \
    connect-src 'self'; media-src 'self' blob:; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'";

pub async fn wrap(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let started = clock::now();
    let language = language::of_request(request.headers(), state.site().language);
    let method = request.method().clone();
    let is_api = request.uri().path() == "/api" || request.uri().path().starts_with("/api/");
    let route = request.extensions().get::<MatchedPath>().map_or_else(|| "other".to_string(), |path| path.as_str().to_string());

    let answered = tokio::time::timeout(HANDLER_LIMIT, AssertUnwindSafe(next.run(request)).catch_unwind()).await;
    let mut response = match answered {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            error!(http.route = %route, "a handler of {route} panicked");
            axum::response::IntoResponse::into_response(ApiError::internal())
        }
        Err(_) => {
            error!(http.route = %route, "a handler of {route} did not answer in time");
            axum::response::IntoResponse::into_response(ApiError::unavailable(words(
                "Сервер не успел ответить, повторите позже",
                "The server did not answer in time, try again later",
            )))
        }
    };
    if let Some(refusal) = refusal_of(&mut response, is_api) {
        let kept = std::mem::take(response.headers_mut());
        response = refusal.render(language);
        response.headers_mut().extend(kept);
    }
    protect(response.headers_mut(), is_api);
    let status = response.status().as_u16().to_string();
    counter!("perezvon_http_requests_total", "method" => method.to_string(), "route" => route.clone(), "status" => status)
        .increment(1);
    histogram!("perezvon_http_request_seconds", "route" => route).record(clock::now().since(started).as_secs_f64());
    response
}

/// The refusal to render: a handler's own, or our words for a bare status of the router.
fn refusal_of(response: &mut Response, is_api: bool) -> Option<ApiError> {
    if let Some(refusal) = response.extensions_mut().remove::<ApiError>() {
        return Some(refusal);
    }
    let status = response.status();
    let is_refusal = status.is_client_error() || status.is_server_error();
    if !is_api || !is_refusal || response.headers().contains_key(CONTENT_TYPE) {
        return None;
    }
    match status {
        // The router adds `Allow` further out: `name_methods`.
        StatusCode::METHOD_NOT_ALLOWED => None,
        status => {
            let (code, phrase) = (status.as_u16(), status.canonical_reason().unwrap_or("refused"));
            let said = words(format!("Запрос отклонён (HTTP {code})"), format!("The request was refused: {phrase}"));
            Some(ApiError::new(status, "refused", said))
        }
    }
}

/// Stands around the router, because only there a 405 has its `Allow`: says in words which methods there are.
pub async fn name_methods(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let language = language::of_request(request.headers(), state.site().language);
    let method = request.method().clone();
    let mut response = next.run(request).await;
    let is_bare = response.status() == StatusCode::METHOD_NOT_ALLOWED && !response.headers().contains_key(CONTENT_TYPE);
    let allowed = response.headers().get(ALLOW).and_then(|value| value.to_str().ok());
    let Some(allowed) = allowed.filter(|_| is_bare) else { return response };
    let allowed = allowed.split(',').map(str::trim).collect::<Vec<_>>().join(", ");
    let said = words(
        format!("Метод {method} здесь не годится; можно {allowed}"),
        format!("The method {method} is not for this address; use {allowed}"),
    );
    let mut kept = std::mem::take(response.headers_mut());
    kept.remove(CONTENT_LENGTH);
    if let Ok(allowed) = HeaderValue::from_str(&allowed) {
        kept.insert(ALLOW, allowed);
    }
    response = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", said).render(language);
    response.headers_mut().extend(kept);
    response
}

fn protect(head: &mut HeaderMap, is_api: bool) {
    let mut add = |name: HeaderName, value: &'static str| {
        head.entry(name).or_insert(HeaderValue::from_static(value));
    };
    add(CONTENT_SECURITY_POLICY, POLICY);
    add(X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(REFERRER_POLICY, "same-origin");
    add(X_FRAME_OPTIONS, "DENY");
    add(HeaderName::from_static("permissions-policy"), "microphone=(self), camera=(), geolocation=(), payment=(), usb=()");
    add(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    add(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    if is_api {
        // Clients' data stays out of shared caches and of the disk.
        add(CACHE_CONTROL, "no-store");
    }
}
