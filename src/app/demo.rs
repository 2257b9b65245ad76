//! The demonstration: a site of four people and one queue, a hundred invented clients, and two phones that answer by
//! themselves, so that a newcomer sees a card and hears a recording without owning a SIP phone.

use std::net::SocketAddr;

use anyhow::Context as _;
use serde::Deserialize;

use crate::admin::Desk;
use crate::clock;
use crate::sip::endpoint::Listener;
use crate::store::{CardEmail, CardNumber, NewCard, PageRequest, Store};
use crate::support::demo_phone::{self, DemoPhones};
use crate::types::{AgentId, Ids};

const SITE: &str = include_str!("../../config/site.demo.toml");
const CARDS: &str = include_str!("../../config/demo-cards.json");
/// Always the same ids, so that a second start finds its own cards.
const CARD_SEED: u64 = 20_261_124;

/// Printed when the demonstration is up.
pub(super) const GREETING: &str = "
  agents       anna / anna, boris / boris      (their phones 101 and 102 answer by themselves after 6 seconds)
  supervisor   olga / olga
  support      sergey / sergey

  1. Sign in as anna and choose «На линии» (Ready).
  2. In another terminal:  ./target/release/perezvon call --to +74951234567 --from \"8 (916) 000-00-01\"
  3. The client's card comes before the phone rings; after the call the recording is on the client's timeline.
";

#[derive(Deserialize)]
struct DemoCard {
    name: String,
    company: Option<String>,
    numbers: Vec<CardNumber>,
    emails: Vec<CardEmail>,
    source: Option<String>,
    owner: Option<AgentId>,
    tags: Vec<String>,
    fields: serde_json::Map<String, serde_json::Value>,
    language: Option<String>,
}

/// Applies the demo site and, when there is no card yet, adds the clients.
pub(super) async fn set_up(store: &Store, desk: &Desk) -> anyhow::Result<()> {
    desk.apply("site.demo.toml", SITE, &[], false, false).await?;
    let first = store.cards(None, &PageRequest { limit: Some(1), ..PageRequest::default() }).await?;
    if !first.items.is_empty() {
        return Ok(());
    }
    let cards: Vec<DemoCard> = serde_json::from_str(CARDS).context("config/demo-cards.json")?;
    let now = clock::wall();
    let mut ids = Ids::seeded(CARD_SEED);
    let cards: Vec<NewCard> = cards
        .into_iter()
        .map(|card| NewCard {
            id: crate::types::CardId(ids.uuid(now)),
            name: card.name,
            company: card.company,
            numbers: card.numbers,
            emails: card.emails,
            source: card.source,
            owner: card.owner,
            tags: card.tags,
            fields: card.fields,
            language: card.language,
        })
        .collect();
    store.insert_cards(&cards, now).await?;
    Ok(())
}

/// Registers the two agents' phones with this server.
pub(super) async fn phones(listeners: &[Listener]) -> anyhow::Result<DemoPhones> {
    let port = listeners.first().map_or(5060, |listener| listener.address.port());
    let server = SocketAddr::from(([127, 0, 0, 1], port));
    demo_phone::start(server, &[("101", "anna-101"), ("102", "boris-102")]).await
}
