//! The set-up as stored items: kind, name, JSON body. What they mean is the room `site`'s business.

use serde_json::Value;

use super::{Store, StoreError, pending};
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

impl Store {
    /// Every item, ordered by kind and name, and the version of the set-up they are (0: never set up).
    pub async fn site_items(&self) -> Result<(u64, Vec<SiteItem>), StoreError> {
        pending()
    }

    /// Applies the change in one transaction and returns the new version.
    pub async fn change_site(&self, change: &SiteChange, now: Wall) -> Result<u64, StoreError> {
        let _ = (change, now);
        pending()
    }
}
