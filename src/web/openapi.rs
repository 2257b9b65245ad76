//! The API's description: what `openapi.json` says beside the endpoints themselves, and the page for people at `docs`.
//! The endpoints describe themselves where they are written; `router` collects them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Path;
use axum::http::header::{CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::{IntoResponse, Redirect};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{KnownFormat, OpenApi, Ref, RefOr, SchemaFormat};
use utoipa::{Modify, OpenApi as _, PartialSchema, ToSchema};

use super::auth::COOKIE_NAME;
use super::error::ApiError;
use crate::events::{AgentView, LegAbsence, Pop, RecordingView, RetractReason, Supervision};
use crate::types::{AgentId, CallId, CallView, PopId, Wall};

/// The part of the document that belongs to no endpoint.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Perezvon", description = "Calls, recordings, clients and events of a contact centre. \
        Errors are `{error: {code, message, field?}}`; lists are `{items, next}`. Sign in with a cookie (`POST session`) or send \
        `Authorization: Bearer TOKEN` (`perezvon token LOGIN`). Events arrive on the websocket `/api/v1/live?after=SEQ`: first \
        `{\"type\": \"stream.ready\", \"seq\": N}`, then one `Event` a message; it closes with 4001 (too slow: resume after the \
        last seq), 4002 (session revoked) or 4003 (seq expired: read the state again)."),
    components(schemas(Event)),
    modifiers(&Security),
    security(("bearer" = []), ("cookie" = [])),
)]
struct Frame;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()));
        components.add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(COOKIE_NAME))));
    }
}

/// The document before the endpoints are in it.
pub fn frame() -> OpenApi {
    Frame::openapi()
}

/// Events after a `seq`.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the answer is put together from text that is already JSON; this describes it")]
pub struct EventPage {
    items: Vec<Event>,
    /// Goes into `after`; null when there is nothing more for now.
    next: Option<String>,
    /// Everything up to here was looked at, also what this person may not see.
    last_seq: u64,
}

/// One entry of the log, the same on the live stream and in `GET events`.
pub struct Event;

/// Every `type` with the schema of its `data` and what it tells.
pub const EVENT_TYPES: &[(&str, &str, &str)] = &[
    ("call.started", "CallView", "A call has begun"),
    ("call.queued", "CallView", "The call waits in a queue"),
    ("call.offered", "CallView", "The call rings at an agent"),
    ("call.answered", "CallView", "The parties talk"),
    ("call.held", "CallView", "The call is on hold"),
    ("call.resumed", "CallView", "The call is off hold"),
    ("call.leg_lost", "LegAbsence", "A browser fell silent without leaving; its place is kept for 15 seconds"),
    ("call.leg_returned", "LegAbsence", "It is back, from a reload or another network"),
    ("call.ended", "CallView", "The call is over; `cause` and `ended_by` say why"),
    ("call.supervised", "Supervision", "A supervisor came in, changed the mode or left; the agent is not told"),
    ("agent.state_changed", "AgentView", "An agent's state changed"),
    ("pop.shown", "Pop", "The client's card for a ringing call"),
    ("pop.retracted", "PopRetracted", "The card is to be taken away"),
    ("recording.started", "RecordingView", "Recording has begun"),
    ("recording.paused", "RecordingView", "Recording was paused"),
    ("recording.resumed", "RecordingView", "Recording goes on"),
    ("recording.ready", "RecordingView", "The audio is complete"),
    ("recording.failed", "RecordingView", "The audio could not be kept; `trouble` says why"),
];

/// `pop.retracted.data`.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes the fields of EventKind::PopRetracted")]
struct PopRetracted {
    pop_id: PopId,
    reason: RetractReason,
}

impl PartialSchema for Event {
    fn schema() -> RefOr<Schema> {
        let one = |(name, data, tells): &(&str, &str, &str)| {
            let nullable = |schema: &str| {
                let null = ObjectBuilder::new().schema_type(Type::Null);
                OneOfBuilder::new().item(null).item(Ref::from_schema_name(schema))
            };
            ObjectBuilder::new()
                .description(Some(*tells))
                .property(
                    "seq",
                    ObjectBuilder::new().schema_type(Type::Integer).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64))),
                )
                .required("seq")
                .property("at", Ref::from_schema_name("Wall"))
                .required("at")
                .property("type", ObjectBuilder::new().schema_type(Type::String).enum_values(Some([*name])))
                .required("type")
                .property("call_id", nullable("CallId"))
                .required("call_id")
                .property("agent", nullable("AgentId"))
                .required("agent")
                .property("data", Ref::from_schema_name(*data))
                .required("data")
                .build()
        };
        let all = EVENT_TYPES.iter().fold(OneOfBuilder::new(), |all, event| all.item(one(event)));
        all.description(Some("One entry of the log; `seq` grows, may have gaps, and is never used twice")).into()
    }
}

impl ToSchema for Event {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        fn add<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
            schemas.push((T::name().into_owned(), T::schema()));
            T::schemas(schemas);
        }
        add::<Wall>(schemas);
        add::<CallId>(schemas);
        add::<AgentId>(schemas);
        add::<CallView>(schemas);
        add::<AgentView>(schemas);
        add::<LegAbsence>(schemas);
        add::<Supervision>(schemas);
        add::<Pop>(schemas);
        add::<PopRetracted>(schemas);
        add::<RecordingView>(schemas);
    }
}

/// The description's page is another's work and sets styles and images by itself: only here is that allowed.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `docs` without its slash would load its parts from the wrong folder.
pub async fn docs_slash() -> Redirect {
    Redirect::permanent("/api/v1/docs/")
}

pub async fn docs_index() -> Response<Body> {
    docs_file("")
}

pub async fn docs(Path(path): Path<String>) -> Response<Body> {
    docs_file(&path)
}

fn docs_file(path: &str) -> Response<Body> {
    let config = Arc::new(utoipa_swagger_ui::Config::from("/api/v1/openapi.json"));
    let Ok(Some(file)) = utoipa_swagger_ui::serve(path, config) else {
        return ApiError::not_found(super::error::words("Такой страницы нет", "There is no such page")).into_response();
    };
    let mut response = Response::new(Body::from(file.bytes.into_owned()));
    *response.status_mut() = StatusCode::OK;
    let head = response.headers_mut();
    if let Ok(content_type) = HeaderValue::from_str(&file.content_type) {
        head.insert(CONTENT_TYPE, content_type);
    }
    if file.gzpipped {
        head.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    head.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(DOCS_POLICY));
    response
}
