//! `queues`: where calls wait, with their figures of this moment.

use axum::Json as Answer;
use axum::extract::State;

use crate::access::sees_queue;
use crate::engine::QueueView;
use crate::web::auth::Signed;
use crate::web::error::{ApiError, ErrorBody};
use crate::web::extract::Params;
use crate::web::list::{List, page_of};
use crate::web::state::AppState;

/// Queues, by name
///
/// An agent sees the queues they take calls from, a supervisor the supervised ones and those where the team works,
/// support and admin all.
#[utoipa::path(get, path = "/queues", tag = "queues", params(
    ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "100 unless told"),
), responses((status = 200, body = List<QueueView>), (status = 401, body = ErrorBody)))]
pub async fn list(State(state): State<AppState>, signed: Signed, params: Params) -> Result<Answer<List<QueueView>>, ApiError> {
    let page = params.page()?;
    let mut queues = state.engine().queues().await?;
    queues.retain(|queue| sees_queue(&signed.viewer, &queue.name, &queue.members));
    queues.sort_by(|a, b| a.name.cmp(&b.name));
    page_of(queues, &page, |queue| queue.name.to_string(), |key, from| key > from).map(Answer)
}
