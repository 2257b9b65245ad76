//! The set-up as stored items: kind, name, JSON body. What they mean is the room `site`'s business.
//! `apply`, `export` and the start read and write them.

use serde_json::Value;
use sqlx::FromRow;
use sqlx::types::Json;

use super::db::{execute, on, read};
use super::lanes::Lane;
use super::text::{storable, storable_json};
use super::{Store, StoreError};
use crate::types::Wall;

/// One item: `("user", "anna", {…})`, `("setting", "region", "RU")`.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteItem {
    pub kind: String,
    pub name: String,
    pub body: Value,
}

/// All of it or nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SiteChange {
    /// Replaced whole by `(kind, name)`.
    pub put: Vec<SiteItem>,
    /// `(kind, name)`
    pub delete: Vec<(String, String)>,
}

#[derive(FromRow)]
struct ItemRow {
    version: i64,
    kind: Option<String>,
    name: Option<String>,
    body: Option<Json<Value>>,
}

impl Store {
    /// Every item, ordered by kind and name, and the version of the set-up they are (0: never set up).
    pub async fn site_items(&self) -> Result<(u64, Vec<SiteItem>), StoreError> {
        // One statement, so that version and items are of one moment.
        let rows: Vec<ItemRow> = read!(self.db, pool => sqlx::query_as(
            "select v.version, i.kind, i.name, i.body from site_version v left join site_items i on v.id = 1
             order by i.kind, i.name",
        ).fetch_all(pool))?;
        let version = rows.first().map_or(0, |row| u64::try_from(row.version).unwrap_or(0));
        Ok((version, rows.into_iter().filter_map(ItemRow::item).collect()))
    }

    /// Applies the change in one transaction and returns the new version. Some 30 µs an item on SQLite, during which the
    /// log waits: all or nothing matters more here, and people change set-ups rarely.
    pub async fn change_site(&self, change: &SiteChange, now: Wall) -> Result<u64, StoreError> {
        let mut tx = self.db.begin(Lane::Rest).await?;
        // First the version: on PostgreSQL its row lock keeps two changes apart.
        let version: i64 = on!(tx, conn => sqlx::query_scalar(
            "update site_version set version = version + 1, changed_at = $1 where id = 1 returning version",
        ).bind(now.as_datetime()).fetch_one(conn))?;
        for (kind, name) in &change.delete {
            execute!(
                tx,
                sqlx::query("delete from site_items where kind = $1 and name = $2").bind(storable(kind)).bind(storable(name))
            )?;
        }
        for item in &change.put {
            execute!(
                tx,
                sqlx::query(
                    "insert into site_items (kind, name, body) values ($1, $2, $3)
                 on conflict (kind, name) do update set body = excluded.body",
                )
                .bind(storable(&item.kind))
                .bind(storable(&item.name))
                .bind(Json(storable_json(item.body.clone())))
            )?;
        }
        tx.commit().await?;
        Ok(u64::try_from(version).unwrap_or(0))
    }
}

impl ItemRow {
    /// `None` for the row that only brings the version of an empty set-up.
    fn item(self) -> Option<SiteItem> {
        Some(SiteItem { kind: self.kind?, name: self.name?, body: self.body?.0 })
    }
}
