//! Clients' cards: rows in and out. Which card fits a caller is decided in the room `cards`; `engine` looks callers up,
//! `web` shows and changes cards, the demo and imports insert many.
//!
//! A card's row is whole, numbers and mails included, so a lookup is one statement; `card_numbers` and `card_emails`
//! are indexes into those lists and are rewritten with the row in one transaction.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::card::{Card, CardEmail, CardNumber, CardPatch, NewCard};
use super::cursor::Place;
use super::db::{Tx, execute, on, read};
use super::lanes::Lane;
use super::sql::{Bind, Sql};
use super::text::{contains_pattern, key, search_words};
use super::{Page, PageRequest, Store, StoreError};
use crate::cards::{CandidateCard, NumberKind};
use crate::types::{AgentId, CardId, E164, Wall};

/// Cards one transaction of an import makes: keeps it below 10 ms.
const SLICE: usize = 50;
/// Cards one number may bring to a caller's identification.
const MOST_BY_PHONE: i64 = 50;

#[derive(FromRow)]
struct CardRow {
    id: Uuid,
    name: String,
    company: Option<String>,
    numbers: Json<Vec<CardNumber>>,
    emails: Json<Vec<CardEmail>>,
    source: Option<String>,
    owner: Option<String>,
    language: Option<String>,
    tags: Json<Vec<String>>,
    fields: Json<Map<String, Value>>,
    stub_number: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(FromRow)]
struct CandidateRow {
    #[sqlx(flatten)]
    card: CardRow,
    contacts: i64,
    last_contact: Option<DateTime<Utc>>,
}

impl Store {
    /// Newest first; `search` matches words in name, company, numbers and mails.
    pub async fn cards(&self, search: Option<&str>, page: &PageRequest) -> Result<Page<Card>, StoreError> {
        let behind = page.behind()?;
        let mut sql = Sql::new("select * from cards where (created_at, id) < ");
        sql.list([Bind::Time(behind.at), Bind::Uuid(behind.id)]);
        for word in search_words(search.unwrap_or_default()) {
            sql.push(" and search like ").value(Bind::Text(contains_pattern(&word))).push(r" escape '\'");
        }
        sql.push(" order by created_at desc, id desc limit ").value(Bind::Integer(page.rows_to_fetch()));
        let rows: Vec<CardRow> = sql.fetch_all(&self.db).await?;
        page.page(rows, |row| Place { at: row.created_at, id: row.id }).map(|row| Ok(row.card()))
    }

    pub async fn card(&self, id: CardId) -> Result<Option<Card>, StoreError> {
        let row: Option<CardRow> =
            read!(self.db, pool => sqlx::query_as("select * from cards where id = $1").bind(id.0).fetch_optional(pool))?;
        Ok(row.map(CardRow::card))
    }

    /// Every card that carries the number, at most 50, the most recently changed first.
    pub async fn cards_by_phone(&self, number: E164) -> Result<Vec<Card>, StoreError> {
        let rows: Vec<CardRow> = read!(self.db, pool => sqlx::query_as(BY_PHONE)
            .bind(number.as_string()).bind(MOST_BY_PHONE).fetch_all(pool))?;
        Ok(rows.into_iter().map(CardRow::card).collect())
    }

    /// The same cards, as `cards::identify` weighs them: one row for each place the number has on a card.
    pub async fn candidates_by_phone(&self, number: E164) -> Result<Vec<CandidateCard>, StoreError> {
        let rows: Vec<CandidateRow> = read!(self.db, pool => sqlx::query_as(
            "select cards.*, (select count(*) from timeline where timeline.card_id = cards.id) as contacts,
             (select max(timeline.at) from timeline where timeline.card_id = cards.id) as last_contact
             from card_numbers join cards on cards.id = card_numbers.card_id
             where card_numbers.e164 = $1 order by cards.updated_at desc, cards.id desc limit $2",
        ).bind(number.as_string()).bind(MOST_BY_PHONE).fetch_all(pool))?;
        Ok(rows.into_iter().flat_map(|row| row.candidates(number)).collect())
    }

    pub async fn create_card(&self, card: &NewCard, now: Wall) -> Result<Card, StoreError> {
        let card = card.clone().into_card(now);
        let mut tx = self.db.begin(Lane::Rest).await?;
        insert(&mut tx, &[&card], None).await?;
        insert_indexes(&mut tx, &[&card]).await?;
        tx.commit().await?;
        Ok(card)
    }

    /// The card of an unknown caller: one a number, however many calls arrive at once. When a card already carries
    /// the number, that card is returned and nothing is made. Its name is the number until a person gives it another.
    pub async fn create_stub_card(&self, number: E164, source: Option<&str>, now: Wall) -> Result<Card, StoreError> {
        let text = number.as_string();
        let mut tx = self.db.begin(Lane::Rest).await?;
        let known: Option<CardRow> = on!(tx, conn => sqlx::query_as(BY_PHONE).bind(&text).bind(1_i64).fetch_optional(conn))?;
        if let Some(known) = known {
            return Ok(known.card());
        }
        let stub = Card::stub(number, source, now);
        // Of two calls at once, the second waits here for the first one's commit and then makes nothing.
        if insert(&mut tx, &[&stub], Some(&text)).await?.is_empty() {
            let other: CardRow =
                on!(tx, conn => sqlx::query_as("select * from cards where stub_number = $1").bind(&text).fetch_one(conn))?;
            return Ok(other.card());
        }
        insert_indexes(&mut tx, &[&stub]).await?;
        tx.commit().await?;
        Ok(stub)
    }

    /// `None` when there is no such card. A patched stub is a stub no longer.
    pub async fn patch_card(&self, id: CardId, patch: &CardPatch, now: Wall) -> Result<Option<Card>, StoreError> {
        // SQLite has one writer and no row locks; PostgreSQL must keep a second patch waiting.
        let text = match self.db.is_postgres() {
            true => "select * from cards where id = $1 for update",
            false => "select * from cards where id = $1",
        };
        let mut tx = self.db.begin(Lane::Rest).await?;
        let row: Option<CardRow> = on!(tx, conn => sqlx::query_as(text).bind(id.0).fetch_optional(conn))?;
        let Some(row) = row else { return Ok(None) };
        let card = patch.clone().applied_to(row.card(), now);
        update(&mut tx, &card).await?;
        if patch.numbers.is_some() || patch.emails.is_some() {
            execute!(tx, sqlx::query("delete from card_numbers where card_id = $1").bind(id.0))?;
            execute!(tx, sqlx::query("delete from card_emails where card_id = $1").bind(id.0))?;
            insert_indexes(&mut tx, &[&card]).await?;
        }
        tx.commit().await?;
        Ok(Some(card))
    }

    /// Imports in slices that leave the write lane to the log between them; cards whose id exists are left alone.
    /// Returns how many were made.
    pub async fn insert_cards(&self, cards: &[NewCard], now: Wall) -> Result<u64, StoreError> {
        let mut made = 0;
        for slice in cards.chunks(SLICE) {
            let slice: Vec<Card> = slice.iter().map(|card| card.clone().into_card(now)).collect();
            let mut tx = self.db.begin(Lane::Rest).await?;
            let new = insert(&mut tx, &slice.iter().collect::<Vec<_>>(), None).await?;
            let new: Vec<&Card> = slice.iter().filter(|card| new.contains(&card.id)).collect();
            insert_indexes(&mut tx, &new).await?;
            tx.commit().await?;
            made += new.len() as u64;
        }
        Ok(made)
    }
}

const BY_PHONE: &str = "select cards.* from card_numbers join cards on cards.id = card_numbers.card_id
    where card_numbers.e164 = $1 order by cards.updated_at desc, cards.id desc limit $2";

/// Inserts the rows and tells which were new: a row whose id (or stub number) exists is left alone.
async fn insert(tx: &mut Tx, cards: &[&Card], stub_number: Option<&str>) -> Result<Vec<CardId>, sqlx::Error> {
    let new: Vec<(Uuid,)> = insert_statement(cards, stub_number).fetch_all_in(tx).await?;
    Ok(new.into_iter().map(|(id,)| CardId(id)).collect())
}

fn insert_statement(cards: &[&Card], stub_number: Option<&str>) -> Sql {
    let mut sql = Sql::new(
        "insert into cards (id, name, company, numbers, emails, source, owner, language, tags, fields, stub_number,
         search, created_at, updated_at) values ",
    );
    for (index, card) in cards.iter().enumerate() {
        sql.push(if index == 0 { "" } else { ", " }).list([
            Bind::Uuid(card.id.0),
            Bind::Text(card.name.clone()),
            Bind::MaybeText(card.company.clone()),
            Bind::Json(json(&card.numbers)),
            Bind::Json(json(&card.emails)),
            Bind::MaybeText(card.source.clone()),
            Bind::MaybeText(card.owner.as_ref().map(AgentId::to_string)),
            Bind::MaybeText(card.language.clone()),
            Bind::Json(json(&card.tags)),
            Bind::Json(json(&card.fields)),
            Bind::MaybeText(stub_number.map(str::to_owned)),
            Bind::Text(search_text(card)),
            Bind::Time(card.created_at.as_datetime()),
            Bind::Time(card.updated_at.as_datetime()),
        ]);
    }
    sql.push(" on conflict do nothing returning id");
    sql
}

async fn insert_indexes(tx: &mut Tx, cards: &[&Card]) -> Result<(), sqlx::Error> {
    for statement in index_statements(cards).into_iter().flatten() {
        statement.execute_in(tx).await?;
    }
    Ok(())
}

fn index_statements(cards: &[&Card]) -> [Option<Sql>; 2] {
    let numbers = cards.iter().flat_map(|card| card.numbers.iter().map(|number| (card.id, number.e164.as_string())));
    let emails = cards.iter().flat_map(|card| card.emails.iter().map(|email| (card.id, key(&email.email.to_lowercase()))));
    [
        pairs_statement("insert into card_numbers (e164, card_id) values ", numbers),
        pairs_statement("insert into card_emails (email, card_id) values ", emails),
    ]
}

/// `None` when there is nothing to insert.
fn pairs_statement(text: &'static str, pairs: impl Iterator<Item = (CardId, String)>) -> Option<Sql> {
    let mut sql = Sql::new(text);
    let mut is_empty = true;
    for (card, value) in pairs {
        sql.push(if is_empty { "" } else { ", " }).list([Bind::Text(value), Bind::Uuid(card.0)]);
        is_empty = false;
    }
    sql.push(" on conflict do nothing");
    (!is_empty).then_some(sql)
}

async fn update(tx: &mut Tx, card: &Card) -> Result<(), sqlx::Error> {
    execute!(
        tx,
        sqlx::query(
            "update cards set name = $2, company = $3, numbers = $4, emails = $5, source = $6, owner = $7, language = $8,
         tags = $9, fields = $10, search = $11, updated_at = $12, stub_number = null where id = $1",
        )
        .bind(card.id.0)
        .bind(&card.name)
        .bind(&card.company)
        .bind(Json(&card.numbers))
        .bind(Json(&card.emails))
        .bind(&card.source)
        .bind(card.owner.as_ref().map(AgentId::as_str))
        .bind(&card.language)
        .bind(Json(&card.tags))
        .bind(Json(&card.fields))
        .bind(search_text(card))
        .bind(card.updated_at.as_datetime())
    )?;
    Ok(())
}

fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("a card is plain data with text keys")
}

/// What a search looks through: lower case, because SQLite's own `lower` knows only ASCII.
fn search_text(card: &Card) -> String {
    let mut text = card.name.to_lowercase();
    for part in card.company.iter().chain(card.emails.iter().map(|email| &email.email)) {
        text.push('\n');
        text.push_str(&part.to_lowercase());
    }
    for number in &card.numbers {
        text.push('\n');
        text.push_str(number.e164.as_string().trim_start_matches('+'));
    }
    text
}

impl CandidateRow {
    fn candidates(self, number: E164) -> Vec<CandidateCard> {
        let card = self.card.card();
        let brief = card.brief();
        let places = card.numbers.iter().filter(|on_card| on_card.e164 == number);
        places
            .map(|on_card| CandidateCard {
                brief: brief.clone(),
                number_kind: NumberKind::from_name(&on_card.kind),
                extension: on_card.extension.clone(),
                is_shared: on_card.is_shared,
                last_contact: self.last_contact.map(Wall::from),
                contacts: u32::try_from(self.contacts).unwrap_or(u32::MAX),
            })
            .collect()
    }
}

impl CardRow {
    fn card(self) -> Card {
        Card {
            id: CardId(self.id),
            name: self.name,
            company: self.company,
            numbers: self.numbers.0,
            emails: self.emails.0,
            source: self.source,
            owner: self.owner.as_deref().map(AgentId::new),
            tags: self.tags.0,
            fields: self.fields.0,
            language: self.language,
            is_stub: self.stub_number.is_some(),
            created_at: self.created_at.into(),
            updated_at: self.updated_at.into(),
        }
    }
}
