//! `recordings`: what was recorded, the audio itself by ranges, the waveform.

use std::path::{Component, Path, PathBuf};

use axum::Json as Answer;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use serde::Serialize;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};
use tracing::{error, info};
use utoipa::ToSchema;

use crate::access::{Action, Denied, may, sees_recording};
use crate::events::{RecordingState, RecordingView};
use crate::recording::Peaks;
use crate::recording::peaks::PeaksError;
use crate::store::{RecordingFilter, StoredRecording, Visible};
use crate::types::{AgentId, CallView, QueueId, RecordingId};
use crate::web::auth::Signed;
use crate::web::desk::matches_etag;
use crate::web::error::{ApiError, ErrorBody, words};
use crate::web::extract::{Id, Params};
use crate::web::list::List;
use crate::web::range::{Wanted, wanted};
use crate::web::state::AppState;

/// Read and sent at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Slices a second of the waveform unless the query says otherwise.
const PEAKS_PER_SECOND: u32 = 20;

/// A recording with the call it belongs to.
#[derive(Debug, Serialize, ToSchema)]
pub struct Recording {
    #[serde(flatten)]
    pub recording: RecordingView,
    pub call: Option<CallView>,
}

impl From<StoredRecording> for Recording {
    fn from(stored: StoredRecording) -> Self {
        Recording { recording: stored.view, call: stored.call }
    }
}

/// The waveform: the loudest sample of each slice, 0 to 255.
#[derive(Debug, Serialize, ToSchema)]
pub struct Waveform {
    pub per_second: u32,
    /// The client.
    pub left: Vec<u8>,
    /// Our side.
    pub right: Vec<u8>,
}

/// Recordings, newest first
#[utoipa::path(get, path = "/recordings", tag = "recordings", params(
    ("call_id" = Option<String>, Query),
    ("agent" = Option<String>, Query, description = "Only calls that reached this agent"),
    ("queue" = Option<String>, Query),
    ("card_id" = Option<String>, Query, description = "Only calls of this client"),
    ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "100 unless told"),
), responses((status = 200, body = List<Recording>), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody)))]
pub async fn list(State(state): State<AppState>, signed: Signed, params: Params) -> Result<Answer<List<Recording>>, ApiError> {
    let page = params.page()?;
    let filter = RecordingFilter {
        visible: signed.visible(),
        call: params.id("call_id")?,
        agent: params.text("agent").map(AgentId::new),
        queue: params.text("queue").map(QueueId::new),
        card: params.id("card_id")?,
    };
    let mut list = List::from(state.store().recordings(&filter, &page).await?);
    // The database also finds calls that were only offered to the viewer; what others said in them is not theirs to hear.
    list.items.retain(|stored| hears(&signed, stored).is_ok());
    Ok(Answer(list.map(Recording::from)))
}

/// One recording
#[utoipa::path(get, path = "/recordings/{id}", tag = "recordings", params(("id" = RecordingId, Path)), responses(
    (status = 200, body = Recording),
    (status = 403, body = ErrorBody),
    (status = 404, body = ErrorBody),
))]
pub async fn show(State(state): State<AppState>, signed: Signed, Id(id): Id<RecordingId>) -> Result<Answer<Recording>, ApiError> {
    Ok(Answer(find(&state, &signed, id).await?.into()))
}

/// The audio: stereo WAV (PCM s16le), the client left, our side right
#[utoipa::path(get, path = "/recordings/{id}/audio", tag = "recordings", params(
    ("id" = RecordingId, Path),
    ("Range" = Option<String>, Header, description = "`bytes=FROM-TO`, `bytes=FROM-`, `bytes=-LAST`"),
    ("download" = Option<bool>, Query, description = "`true`: offer to save instead of playing"),
), responses(
    (status = 200, content_type = "audio/wav", body = Vec<u8>),
    (status = 206, content_type = "audio/wav", body = Vec<u8>, description = "The asked range"),
    (status = 304, description = "Unchanged"),
    (status = 403, body = ErrorBody),
    (status = 404, body = ErrorBody),
    (status = 409, body = ErrorBody, description = "The call is still being recorded"),
    (status = 416, body = ErrorBody, description = "The range lies behind the end"),
))]
pub async fn audio(
    State(state): State<AppState>,
    signed: Signed,
    Id(id): Id<RecordingId>,
    params: Params,
    method: Method,
    headers: HeaderMap,
) -> Result<Response<Body>, ApiError> {
    let path = finished_file(&state, &find(&state, &signed, id).await?)?;
    let mut file = File::open(&path).await.map_err(|trouble| gone(id, &trouble))?;
    let total = file.metadata().await.map_err(|trouble| gone(id, &trouble))?.len();
    let etag = format!("\"{}-{total:x}\"", id.0.simple());

    let mut response = Response::new(Body::empty());
    let head = response.headers_mut();
    head.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // Kept by the browser, but asked about each time: rights and retention may have changed.
    head.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    head.insert(ETAG, HeaderValue::from_str(&etag).expect("hexadecimal digits"));
    if matches_etag(&headers, &etag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let stale = headers.get(IF_RANGE).is_some_and(|tag| tag.as_bytes() != etag.as_bytes());
    let range = headers.get(RANGE).filter(|_| !stale).and_then(|range| range.to_str().ok());
    let (first, length) = match wanted(range, total) {
        Wanted::Whole => (0, total),
        Wanted::Part { first, last } => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let span = format!("bytes {first}-{last}/{total}");
            response.headers_mut().insert(CONTENT_RANGE, HeaderValue::from_str(&span).expect("digits"));
            (first, last - first + 1)
        }
        Wanted::Nothing => return Ok(beyond_the_end(total)),
    };
    let disposition = if params.flag("download")? == Some(true) { "attachment" } else { "inline" };
    let disposition = format!("{disposition}; filename=\"{id}.wav\"");
    let head = response.headers_mut();
    head.insert(CONTENT_DISPOSITION, HeaderValue::from_str(&disposition).expect("a UUID"));
    head.insert(CONTENT_TYPE, HeaderValue::from_static("audio/wav"));
    head.insert(CONTENT_LENGTH, HeaderValue::from(length));
    if method != Method::HEAD {
        file.seek(SeekFrom::Start(first)).await.map_err(|trouble| gone(id, &trouble))?;
        if first == 0 {
            let login = &signed.viewer.login;
            info!(recording.id = %id, user.login = %login, "recording {id} opened by {login}");
        }
        *response.body_mut() = stream(file, length);
    }
    Ok(response)
}

/// 416 says how long the audio is (RFC 9110 §14.4).
fn beyond_the_end(total: u64) -> Response<Body> {
    let said = words("Такого места в записи нет", "There is no such place in the recording");
    let refusal = ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, "bad_range", said);
    let mut response = axum::response::IntoResponse::into_response(refusal);
    let span = HeaderValue::from_str(&format!("bytes */{total}")).expect("digits");
    response.headers_mut().insert(CONTENT_RANGE, span);
    response
}

/// The next `length` bytes, read as fast as the client takes them.
fn stream(file: File, length: u64) -> Body {
    let chunks = futures_util::stream::try_unfold((file, length), |(mut file, left)| async move {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK_BYTES);
        if wanted == 0 {
            return Ok::<_, std::io::Error>(None);
        }
        let mut chunk = vec![0; wanted];
        let read = file.read(&mut chunk).await?;
        if read == 0 {
            // The head has promised more: break the connection off instead of pretending.
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        chunk.truncate(read);
        Ok(Some((axum::body::Bytes::from(chunk), (file, left - read as u64))))
    });
    Body::from_stream(chunks)
}

/// The waveform
#[utoipa::path(get, path = "/recordings/{id}/peaks", tag = "recordings", params(
    ("id" = RecordingId, Path),
    ("per_second" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Slices a second, 20 unless told"),
), responses(
    (status = 200, body = Waveform),
    (status = 403, body = ErrorBody),
    (status = 404, body = ErrorBody),
    (status = 409, body = ErrorBody, description = "The call is still being recorded"),
))]
pub async fn peaks(
    State(state): State<AppState>,
    signed: Signed,
    Id(id): Id<RecordingId>,
    params: Params,
) -> Result<Answer<Waveform>, ApiError> {
    let what = words("Здесь число от 1 до 100", "This is a number from 1 to 100");
    let per_second = params.parse("per_second", what.clone())?.unwrap_or(PEAKS_PER_SECOND);
    if !(1..=100).contains(&per_second) {
        return Err(ApiError::bad_query("per_second", what));
    }
    let path = finished_file(&state, &find(&state, &signed, id).await?)?;
    let computed = tokio::task::spawn_blocking(move || crate::recording::peaks(&path, per_second)).await;
    match computed.map_err(|_| ApiError::internal())? {
        Ok(Peaks { per_second, left, right }) => Ok(Answer(Waveform { per_second, left, right })),
        Err(PeaksError::NotFound) => Err(missing()),
        Err(trouble) => {
            error!(recording.id = %id, error = %trouble, "the waveform of recording {id} cannot be made: {trouble}");
            Err(ApiError::internal())
        }
    }
}

async fn find(state: &AppState, signed: &Signed, id: RecordingId) -> Result<StoredRecording, ApiError> {
    let stored = state.store().recording(id, &Visible::All).await?;
    let stored = stored.ok_or_else(|| ApiError::not_found(words("Такой записи нет", "There is no such recording")))?;
    hears(signed, &stored)?;
    Ok(stored)
}

fn hears(signed: &Signed, stored: &StoredRecording) -> Result<(), Denied> {
    match &stored.call {
        Some(call) => may(&signed.viewer, Action::OpenRecording(call)),
        None if signed.viewer.sees_all() => Ok(()),
        None => Err(Denied::NotYours),
    }
}

/// What of a timeline entry's recording the viewer may know.
pub fn seen(signed: &Signed, call: Option<&CallView>, recording: Option<RecordingView>) -> Option<RecordingView> {
    recording.filter(|_| call.is_some_and(|call| sees_recording(&signed.viewer, call)) || signed.viewer.sees_all())
}

/// Where the complete file lies. Paths come from our own database and are still not trusted to stay in the folder.
fn finished_file(state: &AppState, stored: &StoredRecording) -> Result<PathBuf, ApiError> {
    if stored.view.state == RecordingState::Recording {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "still_recording",
            words("Звонок ещё записывается", "The call is still being recorded"),
        ));
    }
    let path = Path::new(stored.path.as_deref().ok_or_else(missing)?);
    match path.components().all(|part| matches!(part, Component::Normal(_))) {
        true => Ok(state.recordings().join(path)),
        false => Err(missing()),
    }
}

fn gone(id: RecordingId, trouble: &std::io::Error) -> ApiError {
    error!(recording.id = %id, error = %trouble, "the audio of recording {id} cannot be read: {trouble}");
    missing()
}

fn missing() -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "no_audio",
        words("Файла этой записи нет на месте", "The file of this recording is not in its place"),
    )
}
