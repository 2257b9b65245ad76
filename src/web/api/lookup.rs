//! `clients/lookup`: who calls from this number, by the same rules as the pop.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::{Action, may};
use crate::cards::{Caller, CallerText, identify, read_caller};
use crate::events::{Candidate, CardBrief, Match};
use crate::types::E164;
use crate::web::auth::Signed;
use crate::web::error::{ApiError, ErrorBody, words};
use crate::web::extract::Params;
use crate::web::language;
use crate::web::state::AppState;

/// Who has this number.
#[derive(Debug, Serialize, ToSchema)]
pub struct Lookup {
    /// The number in full; null when the text holds no public number.
    pub e164: Option<String>,
    /// The digits after «доб.», or a short internal number.
    pub extension: Option<String>,
    #[serde(rename = "match")]
    pub matched: Match,
    /// One sentence in the reader's language.
    pub reason: String,
    pub card: Option<CardBrief>,
    pub candidates: Vec<Candidate>,
}

/// Whose number is it
#[utoipa::path(get, path = "/clients/lookup", tag = "clients", params(
    ("phone" = String, Query, description = "The number as people write it: `8 (495) 123-45-67 доб. 12`"),
), responses((status = 200, body = Lookup), (status = 400, body = ErrorBody)))]
pub async fn lookup(
    State(state): State<AppState>,
    signed: Signed,
    params: Params,
    headers: HeaderMap,
) -> Result<Answer<Lookup>, ApiError> {
    may(&signed.viewer, Action::OpenClient)?;
    let phone = params.text("phone").ok_or_else(|| ApiError::bad_query("phone", words("Какой номер?", "Which number?")))?;
    // A plus that was not escaped in the address arrives as a space.
    let phone = match phone.strip_prefix(' ') {
        Some(digits) if digits.starts_with(|first: char| first.is_ascii_digit()) => format!("+{digits}"),
        _ => phone.to_string(),
    };
    let caller = read_caller(CallerText { user: &phone, ..CallerText::default() }, signed.site.region);
    let found = match caller.number() {
        Some(number) => state.store().candidates_by_phone(number).await?,
        None => Vec::new(),
    };
    let identity = identify(&caller, found, language::of_request(&headers, signed.site.language));
    let extension = match &caller {
        Caller::Known { extension, .. } => extension.clone(),
        Caller::Short { digits, .. } => Some(digits.clone()),
        Caller::Unknown { .. } | Caller::Withheld => None,
    };
    Ok(Answer(Lookup {
        e164: caller.number().map(E164::as_string),
        extension,
        matched: identity.matched,
        reason: identity.reason,
        card: identity.card,
        candidates: identity.candidates,
    }))
}
