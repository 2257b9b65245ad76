//! A database full of clients, for servers that start with it.

use std::path::PathBuf;

use perezvon::clock;
use perezvon::store::{CardNumber, NewCard, Store};
use perezvon::types::{CardId, E164};

/// SIPp's callers ring from 79160000000 upwards; the clients have the same numbers, one each.
pub fn number(index: usize) -> String {
    format!("7916{index:07}")
}

/// A database with `count` cards, closed; it lives as long as the folder.
pub async fn database(count: usize) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clients.db");
    let store = Store::open(&format!("sqlite://{}", path.display()), folder.path()).await.unwrap();
    let cards: Vec<NewCard> = (0..count).map(card).collect();
    assert_eq!(store.insert_cards(&cards, clock::wall()).await.unwrap(), count as u64);
    store.close().await;
    (folder, path)
}

fn card(index: usize) -> NewCard {
    let e164 = E164::from_digits(&number(index)).expect("a Russian mobile number");
    let fields = serde_json::json!({"contract": format!("2025/{index}"), "manager": "Ольга", "balance": "12 400"});
    NewCard {
        id: CardId(uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + index as u128)),
        name: format!("Клиент {index}"),
        company: Some(format!("ООО «Вектор-{index}»")),
        numbers: vec![CardNumber { e164, kind: "mobile".into(), extension: None, is_shared: false }],
        emails: Vec::new(),
        source: Some("import".into()),
        owner: None,
        tags: vec!["опт".into()],
        fields: fields.as_object().cloned().unwrap_or_default(),
        language: Some("ru".into()),
    }
}
