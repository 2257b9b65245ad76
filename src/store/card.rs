//! A client's card as the store keeps it, and what becomes of it when it is made or patched. Plain values; the SQL is in
//! `cards`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::text::{storable, storable_fields};
use crate::events::CardBrief;
use crate::types::{AgentId, CardId, E164, Wall};

/// A phone number on a card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardNumber {
    pub e164: E164,
    /// `main`, `mobile`, `work`, `home`, `fax`, `other`.
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

impl Card {
    /// The card of a caller nobody knows: its name is the number.
    pub(super) fn stub(number: E164, source: Option<&str>, now: Wall) -> Card {
        let on_card = CardNumber { e164: number, kind: "other".into(), extension: None, is_shared: false };
        let new = NewCard {
            id: CardId(Uuid::now_v7()),
            name: number.as_string(),
            company: None,
            numbers: vec![on_card],
            emails: Vec::new(),
            source: source.map(str::to_owned),
            owner: None,
            tags: Vec::new(),
            fields: Map::new(),
            language: None,
        };
        Card { is_stub: true, ..new.into_card(now) }
    }

    /// The part that a pop carries.
    pub fn brief(&self) -> CardBrief {
        CardBrief {
            id: self.id,
            name: self.name.clone(),
            company: self.company.clone(),
            owner: self.owner.clone(),
            url: format!("/clients/{}", self.id),
            tags: self.tags.clone(),
            fields: self.fields.clone(),
        }
    }

    /// Without the U+0000 that PostgreSQL cannot hold.
    fn storable(mut self) -> Card {
        let clean = |text: &mut String| {
            if text.contains('\0') {
                *text = storable(text).into_owned();
            }
        };
        clean(&mut self.name);
        self.company.iter_mut().for_each(clean);
        self.source.iter_mut().for_each(clean);
        self.language.iter_mut().for_each(clean);
        self.tags.iter_mut().for_each(clean);
        for number in &mut self.numbers {
            clean(&mut number.kind);
            number.extension.iter_mut().for_each(clean);
        }
        for email in &mut self.emails {
            clean(&mut email.email);
            clean(&mut email.kind);
        }
        self.owner = self.owner.map(|owner| AgentId::new(&storable(owner.as_str())));
        self.fields = storable_fields(self.fields);
        self
    }
}

impl NewCard {
    pub(super) fn into_card(self, now: Wall) -> Card {
        Card {
            id: self.id,
            name: self.name,
            company: self.company,
            numbers: self.numbers,
            emails: self.emails,
            source: self.source,
            owner: self.owner,
            tags: self.tags,
            fields: self.fields,
            language: self.language,
            is_stub: false,
            created_at: now,
            updated_at: now,
        }
        .storable()
    }
}

impl CardPatch {
    /// The card as the patch leaves it.
    pub(super) fn applied_to(self, card: Card, now: Wall) -> Card {
        let mut fields = card.fields;
        for (name, value) in self.fields.unwrap_or_default() {
            if value.is_null() {
                fields.remove(&name);
            } else {
                fields.insert(name, value);
            }
        }
        Card {
            id: card.id,
            name: self.name.unwrap_or(card.name),
            company: self.company.unwrap_or(card.company),
            numbers: self.numbers.unwrap_or(card.numbers),
            emails: self.emails.unwrap_or(card.emails),
            source: self.source.unwrap_or(card.source),
            owner: self.owner.unwrap_or(card.owner),
            tags: self.tags.unwrap_or(card.tags),
            fields,
            language: self.language.unwrap_or(card.language),
            is_stub: false,
            created_at: card.created_at,
            updated_at: now,
        }
        .storable()
    }
}
