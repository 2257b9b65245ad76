//! `clients/lookup`: who calls from this number, by the same rules as the pop.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::clients::url_of;
use crate::access::{Action, may};
use crate::cards::identity::NumberKind;
use crate::cards::{Caller, CallerText, CandidateCard, identify, read_caller};
use crate::events::{Candidate, CardBrief, Match};
use crate::store::{CallFilter, Card, PageRequest};
use crate::types::{E164, Wall};
use crate::web::auth::Signed;
use crate::web::error::{ApiError, ErrorBody, words};
use crate::web::extract::Params;
use crate::web::language;
use crate::web::state::AppState;

/// Calls counted for a card; more do not change its rank.
const CONTACTS_COUNTED: u32 = 100;

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
        Some(number) => candidates(&state, number).await?,
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

/// The cards that carry the number, with what ranks them.
async fn candidates(state: &AppState, number: E164) -> Result<Vec<CandidateCard>, ApiError> {
    let cards = state.store().cards_by_phone(number).await?;
    let needs_rank = cards.len() > 1;
    let mut found = Vec::with_capacity(cards.len());
    for card in cards {
        // One card needs no comparing, and most numbers have one.
        let (contacts, last_contact) = if needs_rank { contacts(state, &card).await? } else { (0, None) };
        let numbers: Vec<_> = card.numbers.iter().filter(|held| held.e164 == number).collect();
        found.push(CandidateCard {
            number_kind: numbers.first().map_or(NumberKind::Other, |held| NumberKind::from_name(&held.kind)),
            extension: numbers.iter().find_map(|held| held.extension.clone()),
            is_shared: numbers.iter().any(|held| held.is_shared),
            last_contact,
            contacts,
            brief: brief(card),
        });
    }
    Ok(found)
}

async fn contacts(state: &AppState, card: &Card) -> Result<(u32, Option<Wall>), ApiError> {
    let filter = CallFilter { card: Some(card.id), ..CallFilter::default() };
    let calls = state.store().calls(&filter, &PageRequest { cursor: None, limit: Some(CONTACTS_COUNTED) }).await?;
    let count = u32::try_from(calls.items.len()).unwrap_or(CONTACTS_COUNTED);
    Ok((count, calls.items.first().map(|call| call.started_at)))
}

fn brief(card: Card) -> CardBrief {
    CardBrief {
        url: url_of(card.id),
        id: card.id,
        name: card.name,
        company: card.company,
        owner: card.owner,
        tags: card.tags,
        fields: card.fields,
    }
}
