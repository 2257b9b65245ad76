//! Every address of the HTTP side on one screen. What stands behind each is in `api`, `live`, `health`, `desk`.

use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::api::later::not_available;
use super::api::{agents, calls, clients, events, lookup, me, phone, queues, recordings, session, steering};
use super::error::{ApiError, words};
use super::state::AppState;
use super::{desk, envelope, health, idempotency, live, openapi, sip};

/// The part under `/api/v1` that describes itself.
#[rustfmt::skip]
fn api() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(session::sign_in, session::sign_out))   // POST DELETE  /session
        .routes(routes!(me::show))                              // GET          /me
        .routes(routes!(me::set_state))                         // PUT          /me/state
        .routes(routes!(phone::lend))                           // POST         /me/phone
        .routes(routes!(calls::list, calls::dial))              // GET POST     /calls
        .routes(routes!(calls::show))                           // GET          /calls/{id}
        .routes(routes!(calls::hang_up))                        // POST         /calls/{id}/hangup
        .routes(routes!(calls::quality))                        // GET          /calls/{id}/quality
        .routes(routes!(steering::hold))                        // POST         /calls/{id}/hold
        .routes(routes!(steering::resume))                      // POST         /calls/{id}/resume
        .routes(routes!(steering::record))                      // POST         /calls/{id}/recording
        .routes(routes!(steering::supervise, steering::leave))  // POST DELETE  /calls/{id}/supervise
        .routes(routes!(recordings::list))                      // GET          /recordings
        .routes(routes!(recordings::show))                      // GET          /recordings/{id}
        .routes(routes!(recordings::audio))                     // GET          /recordings/{id}/audio
        .routes(routes!(recordings::peaks))                     // GET          /recordings/{id}/peaks
        .routes(routes!(clients::list, clients::create))        // GET POST     /clients
        .routes(routes!(lookup::lookup))                        // GET          /clients/lookup
        .routes(routes!(clients::show, clients::change))        // GET PATCH    /clients/{id}
        .routes(routes!(clients::timeline))                     // GET          /clients/{id}/timeline
        .routes(routes!(queues::list))                          // GET          /queues
        .routes(routes!(agents::list))                          // GET          /agents
        .routes(routes!(agents::set_state))                     // PUT          /agents/{login}/state
        .routes(routes!(events::list))                          // GET          /events
}

/// Named by INTERFACES, not served yet: 501.
#[rustfmt::skip]
fn later() -> Router<AppState> {
    Router::new()
        .route("/calls/{id}/transfer",          post(not_available))
        .route("/calls/{id}/transfer/complete", post(not_available))
        .route("/calls/{id}/transfer/cancel",   post(not_available))
}

/// At the root.
fn root() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(health::healthz)) // GET /healthz
        .routes(routes!(health::readyz)) //  GET /readyz
        .routes(routes!(health::metrics)) // GET /metrics
}

/// The whole router, ready to serve.
pub fn router(state: AppState) -> Router {
    let (documented, document) = documented();
    let api = Router::new()
        .route("/live", get(live::live))
        .route("/openapi.json", get(move || async move { axum::Json(document) }))
        .route("/docs", get(openapi::docs_slash))
        .route("/docs/", get(openapi::docs_index))
        .route("/docs/{*path}", get(openapi::docs))
        .merge(later());
    let inner = documented
        .nest("/api/v1", api)
        .route("/sip", get(sip::sip))
        .fallback(elsewhere)
        .layer(middleware::from_fn_with_state(state.clone(), idempotency::once))
        .layer(middleware::from_fn_with_state(state.clone(), envelope::wrap))
        .with_state(state.clone());
    Router::new().fallback_service(inner).layer(middleware::from_fn_with_state(state, envelope::name_methods))
}

/// `openapi.json`, for tests and for the UI's types.
pub fn document() -> OpenApi {
    documented().1
}

fn documented() -> (Router<AppState>, OpenApi) {
    OpenApiRouter::with_openapi(openapi::frame()).merge(root()).nest("/api/v1", api()).split_for_parts()
}

/// Everything else is the desk's, except below `/api`, where programs expect JSON.
async fn elsewhere(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if uri.path() == "/api" || uri.path().starts_with("/api/") {
        let said = words("Такого адреса в API нет", "The API has no such address");
        return ApiError::new(StatusCode::NOT_FOUND, "no_such_address", said).into_response();
    }
    desk::serve(&method, &uri, &headers)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_screen_of_addresses_says_what_the_document_says() {
        let screen: BTreeSet<(String, String)> = include_str!("router.rs")
            .lines()
            .filter(|line| line.trim_start().starts_with(".routes(routes!("))
            .filter_map(|line| line.split("//").nth(1))
            .flat_map(|comment| {
                let words: Vec<&str> = comment.split_whitespace().collect();
                let (path, methods) = words.split_last().map(|(path, methods)| (path.to_string(), methods.to_vec())).unwrap();
                methods.into_iter().map(move |method| (method.to_string(), path.clone())).collect::<Vec<_>>()
            })
            .collect();
        let document = serde_json::to_value(document()).unwrap();
        let described: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, operations)| {
                let path = path.strip_prefix("/api/v1").unwrap_or(path).to_string();
                operations
                    .as_object()
                    .unwrap()
                    .keys()
                    .map(move |method| (method.to_uppercase(), path.clone()))
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(screen, described);
    }
}
