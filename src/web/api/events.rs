//! `events`: the log for programs that poll. The live stream gives the same objects.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response, StatusCode};

use crate::access::sees_event;
use crate::web::auth::Signed;
use crate::web::error::{ApiError, ErrorBody, words};
use crate::web::extract::Params;
use crate::web::openapi::EventPage;
use crate::web::state::AppState;

/// Rows read at once, and how often: a viewer who sees little does not make one request read the whole log.
const ROWS_MAX: u32 = 1000;
const READ_ROUNDS: u32 = 10;

/// Events after a `seq`, oldest first
///
/// `next` goes into `after` (or `cursor`) for the page behind; null: no more for now, `last_seq` goes on from here.
#[utoipa::path(get, path = "/events", tag = "events", params(
    ("after" = Option<u64>, Query, description = "Only events with a greater `seq`; from the oldest kept when absent"),
    ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "100 unless told"),
), responses(
    (status = 200, body = EventPage),
    (status = 400, body = ErrorBody),
    (status = 410, body = ErrorBody, description = "Events after this `seq` are kept no longer"),
))]
pub async fn list(State(state): State<AppState>, signed: Signed, params: Params) -> Result<Response<Body>, ApiError> {
    let what = words("Здесь номер события (seq)", "This is the number of an event (seq)");
    let asked = match params.parse("after", what.clone())? {
        None => params.parse("cursor", what)?,
        after => after,
    };
    let limit = params.limit()?;
    // One row more than wanted tells whether there is more.
    let rows_at_once = if signed.viewer.sees_all() { (limit + 1).min(ROWS_MAX) } else { ROWS_MAX };
    if asked.is_some_and(|after| state.log().is_expired(after)) {
        return Err(expired());
    }
    let mut after: u64 = asked.unwrap_or_else(|| state.log().first_seq().saturating_sub(1));
    let mut frames = Vec::new();
    let mut more = false;
    'reading: for _ in 0..READ_ROUNDS {
        let rows = state.log().read_after(after, rows_at_once).await?;
        more = rows.len() == rows_at_once as usize;
        for row in rows {
            if frames.len() == limit as usize {
                more = true;
                break 'reading;
            }
            after = row.seq;
            if sees_event(&signed.viewer, &row.event) {
                frames.push(row.json);
            }
        }
        if !more {
            break;
        }
    }
    let next = if more { format!("\"{after}\"") } else { "null".into() };
    let body = format!("{{\"items\":[{}],\"next\":{next},\"last_seq\":{after}}}", frames.join(","));
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

fn expired() -> ApiError {
    ApiError::new(
        StatusCode::GONE,
        "seq_expired",
        words(
            "События после этого seq уже не хранятся: прочтите состояние заново и начните с новых",
            "Events after this seq are kept no longer: read the state again and start from new ones",
        ),
    )
    .with_field("after")
}
