//! The set-up's items: replaced whole, all or nothing, with a version.

use perezvon::store::{SiteChange, SiteItem};
use serde_json::json;

use super::samples::at;
use crate::support::databases::{TestDb, on_both};

fn item(kind: &str, name: &str, body: serde_json::Value) -> SiteItem {
    SiteItem { kind: kind.into(), name: name.into(), body }
}

on_both! {
    items_are_put_replaced_and_deleted_under_a_growing_version,
    changes_at_the_same_time_each_get_a_version,
}

async fn items_are_put_replaced_and_deleted_under_a_growing_version(db: TestDb) {
    assert_eq!(db.store.site_items().await.expect("readable"), (0, Vec::new()));
    let put = vec![
        item("user", "olga", json!({"role": "supervisor", "skills": {"sales": 5}})),
        item("user", "anna", json!({"role": "agent"})),
        item("queue", "Продажи", json!({"members": ["anna"]})),
        item("setting", "region", json!("RU")),
    ];
    let change = SiteChange { put: put.clone(), delete: Vec::new() };
    assert_eq!(db.store.change_site(&change, at(1)).await.expect("changed"), 1);
    let (version, items) = db.store.site_items().await.expect("readable");
    let by_kind_and_name = [&put[2], &put[3], &put[1], &put[0]];
    assert_eq!((version, items.iter().collect::<Vec<_>>()), (1, by_kind_and_name.to_vec()));
    let change = SiteChange {
        put: vec![item("user", "anna", json!({"role": "admin"}))],
        delete: vec![("user".into(), "olga".into()), ("user".into(), "nobody".into())],
    };
    assert_eq!(db.store.change_site(&change, at(2)).await.expect("changed"), 2);
    let (_, items) = db.store.site_items().await.expect("readable");
    assert_eq!(items.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(), ["Продажи", "region", "anna"]);
    assert_eq!(items[2].body, json!({"role": "admin"}));
}

async fn changes_at_the_same_time_each_get_a_version(db: TestDb) {
    let changes: Vec<_> = (0..20)
        .map(|number| {
            let store = db.store.clone();
            let change = SiteChange { put: vec![item("user", &format!("u{number}"), json!({}))], delete: Vec::new() };
            tokio::spawn(async move { store.change_site(&change, at(1)).await.expect("changed") })
        })
        .collect();
    let mut versions = Vec::new();
    for change in changes {
        versions.push(change.await.expect("finished"));
    }
    versions.sort();
    assert_eq!(versions, (1..=20).collect::<Vec<u64>>());
    assert_eq!(db.store.site_items().await.expect("readable").1.len(), 20);
}
