//! Clients' cards: rows in and out. Which card fits a caller is decided in the room `cards`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Page, PageRequest, Store, StoreError, pending};
use crate::types::{AgentId, CardId, E164, Wall};

/// A phone number on a card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardNumber {
    pub e164: E164,
    /// `mobile`, `work`, `home`, `fax`, `other`.
    pub kind: String,
    /// Behind a switchboard: the digits after «доб.».
    pub extension: Option<String>,
    /// A switchboard or family line that several cards may carry.
    pub is_shared: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardEmail {
    pub email: String,
    /// `work`, `home`, `other`.
    pub kind: String,
}

/// A client's card, as `GET clients/{id}` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    pub id: CardId,
    pub name: String,
    pub company: Option<String>,
    pub numbers: Vec<CardNumber>,
    pub emails: Vec<CardEmail>,
    pub source: Option<String>,
    /// The agent whose client it is.
    pub owner: Option<AgentId>,
    pub tags: Vec<String>,
    /// Custom fields.
    pub fields: Map<String, Value>,
    /// `ru`, `en`; null when not known.
    pub language: Option<String>,
    /// Made for an unknown caller and not filled in by a person yet.
    pub is_stub: bool,
    pub created_at: Wall,
    pub updated_at: Wall,
}

/// A card to make. `id` is minted by the caller, so that a repeated import is the same card.
#[derive(Clone, Debug, PartialEq)]
pub struct NewCard {
    pub id: CardId,
    pub name: String,
    pub company: Option<String>,
    pub numbers: Vec<CardNumber>,
    pub emails: Vec<CardEmail>,
    pub source: Option<String>,
    pub owner: Option<AgentId>,
    pub tags: Vec<String>,
    pub fields: Map<String, Value>,
    pub language: Option<String>,
}

/// Each `Some` replaces the whole value; `Some(None)` empties it. In `fields` a null value removes the field.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CardPatch {
    pub name: Option<String>,
    pub company: Option<Option<String>>,
    pub numbers: Option<Vec<CardNumber>>,
    pub emails: Option<Vec<CardEmail>>,
    pub source: Option<Option<String>>,
    pub owner: Option<Option<AgentId>>,
    pub tags: Option<Vec<String>>,
    pub fields: Option<Map<String, Value>>,
    pub language: Option<Option<String>>,
}

impl Store {
    /// Newest first; `search` matches words in name, company, numbers and mails.
    pub async fn cards(&self, search: Option<&str>, page: &PageRequest) -> Result<Page<Card>, StoreError> {
        let _ = (search, page);
        pending()
    }

    pub async fn card(&self, id: CardId) -> Result<Option<Card>, StoreError> {
        let _ = id;
        pending()
    }

    /// Every card that carries the number, at most 50, the most recently changed first.
    pub async fn cards_by_phone(&self, number: E164) -> Result<Vec<Card>, StoreError> {
        let _ = number;
        pending()
    }

    pub async fn create_card(&self, card: &NewCard, now: Wall) -> Result<Card, StoreError> {
        let _ = (card, now);
        pending()
    }

    /// The card of an unknown caller: one a number, however many calls arrive at once. When a card already carries
    /// the number, that card is returned and nothing is made.
    pub async fn create_stub_card(&self, number: E164, source: Option<&str>, now: Wall) -> Result<Card, StoreError> {
        let _ = (number, source, now);
        pending()
    }

    /// `None` when there is no such card. A patched stub is a stub no longer.
    pub async fn patch_card(&self, id: CardId, patch: &CardPatch, now: Wall) -> Result<Option<Card>, StoreError> {
        let _ = (id, patch, now);
        pending()
    }

    /// Imports in slices that leave the write lane to the log between them; cards whose id exists are left alone.
    /// Returns how many were made.
    pub async fn insert_cards(&self, cards: &[NewCard], now: Wall) -> Result<u64, StoreError> {
        let _ = (cards, now);
        pending()
    }
}
