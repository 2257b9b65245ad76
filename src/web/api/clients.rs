//! `clients`: cards in a list, one by one, made and changed by people and programs. Which card a caller is: `lookup`.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::client_wish::{ClientPatch, NewClient};
use super::recordings::seen;
use crate::access::{Action, may, sees_client};
use crate::clock;
use crate::events::RecordingView;
use crate::store::{Card, PageRequest, TimelineEntry};
use crate::types::{AgentId, CallView, CardId, Wall};
use crate::web::auth::Signed;
use crate::web::error::{ApiError, ErrorBody, words};
use crate::web::extract::{Id, Json, Params};
use crate::web::list::List;
use crate::web::state::AppState;

/// Pages of the database looked through for one page of the list, when most cards are other people's.
const READ_ROUNDS: usize = 10;

/// A client's card.
#[derive(Debug, Serialize, ToSchema)]
pub struct Client {
    pub id: CardId,
    pub name: String,
    pub company: Option<String>,
    pub numbers: Vec<ClientNumber>,
    pub emails: Vec<ClientEmail>,
    pub source: Option<String>,
    /// The agent whose client it is; null: everybody's.
    pub owner: Option<AgentId>,
    pub tags: Vec<String>,
    /// Custom fields.
    #[schema(value_type = Object)]
    pub fields: serde_json::Map<String, serde_json::Value>,
    pub language: Option<String>,
    /// Made for an unknown caller and not filled in yet.
    pub is_stub: bool,
    /// Where the desk shows it.
    pub url: String,
    pub created_at: Wall,
    pub updated_at: Wall,
}

/// A phone number on a card.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClientNumber {
    /// `+74951234567`
    pub e164: String,
    /// `main`, `mobile`, `work`, `home`, `fax`, `other`.
    pub kind: String,
    pub extension: Option<String>,
    /// A switchboard or family line that several cards may carry.
    pub is_shared: bool,
}

/// A mail address on a card.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClientEmail {
    pub email: String,
    /// `work`, `home`, `other`.
    pub kind: String,
}

/// Where the desk shows a card.
fn url_of(id: CardId) -> String {
    format!("/clients/{id}")
}

impl From<Card> for Client {
    fn from(card: Card) -> Self {
        let number = |number: crate::store::CardNumber| ClientNumber {
            e164: number.e164.as_string(),
            kind: number.kind,
            extension: number.extension,
            is_shared: number.is_shared,
        };
        Client {
            url: url_of(card.id),
            id: card.id,
            name: card.name,
            company: card.company,
            numbers: card.numbers.into_iter().map(number).collect(),
            emails: card.emails.into_iter().map(|mail| ClientEmail { email: mail.email, kind: mail.kind }).collect(),
            source: card.source,
            owner: card.owner,
            tags: card.tags,
            fields: card.fields,
            language: card.language,
            is_stub: card.is_stub,
            created_at: card.created_at,
            updated_at: card.updated_at,
        }
    }
}

/// One contact on a client's timeline.
#[derive(Debug, Serialize, ToSchema)]
pub struct Contact {
    pub id: Uuid,
    /// `call` for now.
    pub kind: String,
    pub at: Wall,
    pub call: Option<CallView>,
    /// Null also when this person may not hear it.
    pub recording: Option<RecordingView>,
}

/// Clients, newest first
///
/// An agent sees cards of the own team and those without an owner, a supervisor also those of the supervised queues'
/// members, support and admin all.
#[utoipa::path(get, path = "/clients", tag = "clients", params(
    ("search" = Option<String>, Query, description = "Words in name, company, numbers and mails"),
    ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "100 unless told"),
), responses((status = 200, body = List<Client>), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody)))]
pub async fn list(State(state): State<AppState>, signed: Signed, params: Params) -> Result<Answer<List<Client>>, ApiError> {
    let limit = params.limit()?;
    let search = params.text("search").or_else(|| params.text("q"));
    let mut list = List { items: Vec::new(), next: params.text("cursor").map(str::to_string) };
    for _ in 0..READ_ROUNDS {
        let left = limit - u32::try_from(list.items.len()).unwrap_or(limit);
        let page = PageRequest { cursor: list.next.take(), limit: Some(left) };
        let found = state.store().cards(search, &page).await?;
        list.items
            .extend(found.items.into_iter().filter(|card| sees_client(&signed.viewer, card.owner.as_ref())).map(Client::from));
        list.next = found.next;
        if list.next.is_none() || list.items.len() >= limit as usize {
            break;
        }
    }
    Ok(Answer(list))
}

/// Make a card
#[utoipa::path(post, path = "/clients", tag = "clients", request_body = NewClient, params(
    ("Idempotency-Key" = Option<String>, Header, description = "A repeat with the same key gets the same answer"),
), responses((status = 201, body = Client), (status = 403, body = ErrorBody), (status = 422, body = ErrorBody)))]
pub async fn create(
    State(state): State<AppState>,
    signed: Signed,
    Json(wish): Json<NewClient>,
) -> Result<impl IntoResponse, ApiError> {
    may(&signed.viewer, Action::CreateClient)?;
    let card = wish.check(CardId(Uuid::now_v7()), &signed.site)?;
    may(&signed.viewer, Action::AssignClient { from: None, to: card.owner.as_ref() })?;
    let card = state.store().create_card(&card, clock::wall()).await?;
    Ok((StatusCode::CREATED, Answer(Client::from(card))))
}

/// One card
#[utoipa::path(get, path = "/clients/{id}", tag = "clients", params(("id" = CardId, Path)), responses(
    (status = 200, body = Client),
    (status = 404, body = ErrorBody),
))]
pub async fn show(State(state): State<AppState>, signed: Signed, Id(id): Id<CardId>) -> Result<Answer<Client>, ApiError> {
    may(&signed.viewer, Action::OpenClient)?;
    Ok(Answer(find(&state, id).await?.into()))
}

/// Change a card: a field that is absent stays, null empties it; in `fields` null removes one
#[utoipa::path(patch, path = "/clients/{id}", tag = "clients", request_body = ClientPatch, params(("id" = CardId, Path)), responses(
    (status = 200, body = Client),
    (status = 403, body = ErrorBody, description = "Only a supervisor gives a card to another owner"),
    (status = 404, body = ErrorBody),
    (status = 422, body = ErrorBody),
))]
pub async fn change(
    State(state): State<AppState>,
    signed: Signed,
    Id(id): Id<CardId>,
    Json(wish): Json<ClientPatch>,
) -> Result<Answer<Client>, ApiError> {
    may(&signed.viewer, Action::EditClient)?;
    let card = find(&state, id).await?;
    let patch = wish.check(&signed.site)?;
    if let Some(owner) = &patch.owner
        && *owner != card.owner
    {
        may(&signed.viewer, Action::AssignClient { from: card.owner.as_ref(), to: owner.as_ref() })?;
    }
    let changed = state.store().patch_card(id, &patch, clock::wall()).await?;
    Ok(Answer(changed.ok_or_else(no_such_card)?.into()))
}

/// Every contact with the client, newest first
#[utoipa::path(get, path = "/clients/{id}/timeline", tag = "clients", params(
    ("id" = CardId, Path),
    ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "100 unless told"),
), responses((status = 200, body = List<Contact>), (status = 404, body = ErrorBody)))]
pub async fn timeline(
    State(state): State<AppState>,
    signed: Signed,
    Id(id): Id<CardId>,
    params: Params,
) -> Result<Answer<List<Contact>>, ApiError> {
    may(&signed.viewer, Action::OpenClient)?;
    let page = params.page()?;
    find(&state, id).await?;
    let entries = List::from(state.store().timeline(id, &page).await?);
    Ok(Answer(entries.map(|entry: TimelineEntry| Contact {
        id: entry.id,
        kind: entry.kind,
        at: entry.at,
        recording: seen(&signed, entry.call.as_ref(), entry.recording),
        call: entry.call,
    })))
}

async fn find(state: &AppState, id: CardId) -> Result<Card, ApiError> {
    state.store().card(id).await?.ok_or_else(no_such_card)
}

fn no_such_card() -> ApiError {
    ApiError::not_found(words("Такой карточки нет", "There is no such card"))
}
