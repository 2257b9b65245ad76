//! The set-up between its rows (`site`) and the items of the room `site`: read whole, written as differences.

use serde_json::Value;

use super::{SiteChange, SiteItem, Store, StoreError};
use crate::site::items::{Item, Items};
use crate::types::Wall;

impl Store {
    /// The stored set-up; empty before the first `apply`.
    pub async fn set_up(&self) -> Result<Items, StoreError> {
        let (_, stored) = self.site_items().await?;
        let mut items = Items::default();
        for item in stored {
            place(&mut items, item).map_err(unreadable)?;
        }
        Ok(items)
    }

    /// Writes what differs between `before` and `after`, in one transaction.
    pub async fn save_set_up(&self, before: &Items, after: &Items, now: Wall) -> Result<(), StoreError> {
        let change = difference(before, after).map_err(unreadable)?;
        self.change_site(&change, now).await.map(|_| ())
    }
}

fn unreadable(error: serde_json::Error) -> StoreError {
    StoreError::Unreadable { what: "site item", why: error.to_string() }
}

fn place(items: &mut Items, item: SiteItem) -> serde_json::Result<()> {
    match item.kind.as_str() {
        "user" => items.users.push(serde_json::from_value(item.body)?),
        "trunk" => items.trunks.push(serde_json::from_value(item.body)?),
        "queue" => items.queues.push(serde_json::from_value(item.body)?),
        "number" => items.numbers.push(serde_json::from_value(item.body)?),
        "route" => items.routes.push(serde_json::from_value(item.body)?),
        "setting" => match item.name.as_str() {
            "region" => items.region = serde_json::from_value(item.body)?,
            "timezone" => items.timezone = serde_json::from_value(item.body)?,
            "language" => items.language = serde_json::from_value(item.body)?,
            _ => {}
        },
        // A kind of a newer version: not ours to read.
        _ => {}
    }
    Ok(())
}

fn difference(before: &Items, after: &Items) -> serde_json::Result<SiteChange> {
    let mut change = SiteChange::default();
    gather(&before.users, &after.users, &mut change)?;
    gather(&before.trunks, &after.trunks, &mut change)?;
    gather(&before.queues, &after.queues, &mut change)?;
    gather(&before.numbers, &after.numbers, &mut change)?;
    gather(&before.routes, &after.routes, &mut change)?;
    let language = after.language.map(serde_json::to_value).transpose()?;
    let settings = [
        ("region", after.region.clone().map(Value::String), before.region != after.region),
        ("timezone", after.timezone.clone().map(Value::String), before.timezone != after.timezone),
        ("language", language, before.language != after.language),
    ];
    for (name, body, differs) in settings {
        if let (Some(body), true) = (body, differs) {
            change.put.push(SiteItem { kind: "setting".into(), name: name.into(), body });
        }
    }
    Ok(change)
}

fn gather<T: Item + serde::Serialize>(before: &[T], after: &[T], change: &mut SiteChange) -> serde_json::Result<()> {
    for item in after.iter().filter(|item| !before.contains(item)) {
        let body = serde_json::to_value(item)?;
        change.put.push(SiteItem { kind: T::KIND.into(), name: item.key().into(), body });
    }
    for item in before.iter().filter(|old| !after.iter().any(|new| new.key() == old.key())) {
        change.delete.push((T::KIND.into(), item.key().into()));
    }
    Ok(())
}
