//! A site file meets the stored items: what is added, changed, removed and kept. Applying the same file twice
//! changes nothing the second time. Hashing is asked of the caller, because salts need randomness.

use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::check::{self, ItemProblem};
use super::items::{Item, Items, NumberItem, UserItem};
use super::model::{NumberPattern, SipHa1, Site};
use super::parse::{Problem, SiteFile};
use crate::types::Region;

/// Password hashing, done by whoever has randomness.
pub trait Passwords {
    fn matches(&self, password: &str, hash: &str) -> bool;
    fn hash(&self, password: &str) -> String;
}

/// One difference between what is stored and what will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub what: ChangeKind,
    pub kind: &'static str,
    pub name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    Added,
    Changed,
    Removed,
}

/// The outcome of a plan: nothing is stored yet.
#[derive(Clone, Debug)]
pub struct Plan {
    pub items: Items,
    pub site: Site,
    pub changes: Vec<Change>,
}

/// Merges `file` into `stored` and checks the whole. With `prune`, items that the file does not name are removed.
pub fn plan(stored: &Items, file: SiteFile, prune: bool, passwords: &dyn Passwords) -> Result<Plan, Vec<Problem>> {
    let lines = file.lines;
    let mut wanted = file.items;
    let region_text = wanted.region.as_deref().or(stored.region.as_deref()).unwrap_or("RU");
    let region = Region::parse(region_text).unwrap_or(Region::RU);
    let mut originals = Vec::new();
    for number in &mut wanted.numbers {
        let canonical = canonical_number(&number.number, region);
        originals.push((canonical.clone(), std::mem::replace(&mut number.number, canonical)));
    }
    let mut problems = Vec::new();
    for user in &mut wanted.users {
        let before = stored.users.iter().find(|other| other.login == user.login);
        if let Err(message) = seal(user, before, passwords) {
            let line = lines.of("user", &user.login, "sip_password");
            problems.push(Problem { line, key: format!("user.{}.sip_password", user.login), message });
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut changes = Vec::new();
    let items = Items {
        region: wanted.region.or_else(|| stored.region.clone()),
        timezone: wanted.timezone.or_else(|| stored.timezone.clone()),
        language: wanted.language.or(stored.language),
        users: merge(&stored.users, wanted.users, prune, &mut changes),
        trunks: merge(&stored.trunks, wanted.trunks, prune, &mut changes),
        queues: merge(&stored.queues, wanted.queues, prune, &mut changes),
        numbers: merge::<NumberItem>(&stored.numbers, wanted.numbers, prune, &mut changes),
        routes: merge(&stored.routes, wanted.routes, prune, &mut changes),
    };
    let settings = [
        ("region", items.region != stored.region),
        ("timezone", items.timezone != stored.timezone),
        ("language", items.language != stored.language),
    ];
    for (name, _) in settings.into_iter().filter(|(_, differs)| *differs) {
        changes.push(Change { what: ChangeKind::Changed, kind: "setting", name: name.into() });
    }
    let site = check::build(&items).map_err(|found| {
        let placed = |problem: &ItemProblem| {
            let written = originals.iter().find(|(canonical, _)| problem.kind == "number" && *canonical == problem.name);
            let name = written.map_or(problem.name.as_str(), |(_, written)| written);
            lines.of(problem.kind, name, problem.key)
        };
        found.iter().map(|p| Problem { line: placed(p), key: p.path(), message: p.message.clone() }).collect::<Vec<_>>()
    })?;
    Ok(Plan { items, site, changes })
}

/// Turns a file's passwords into hashes and keeps stored ones that the file leaves out.
fn seal(user: &mut UserItem, before: Option<&UserItem>, passwords: &dyn Passwords) -> Result<(), String> {
    let stored_hash = before.and_then(|user| user.password_hash.clone());
    user.password_hash = match (user.password.take(), stored_hash) {
        (Some(password), Some(hash)) if passwords.matches(&password, &hash) => Some(hash),
        (Some(password), _) => Some(passwords.hash(&password)),
        (None, stored) => user.password_hash.take().or(stored),
    };
    user.sip_ha1 = match user.sip_password.take() {
        Some(_) if user.extension.is_empty() => {
            return Err("needs an extension: it is the digest username".into());
        }
        Some(password) => Some(sip_ha1(&user.extension, &password)),
        // A stored hash holds the extension inside: a new extension needs the password again.
        None => user
            .sip_ha1
            .take()
            .or_else(|| before.filter(|other| other.extension == user.extension).and_then(|other| other.sip_ha1.clone())),
    };
    Ok(())
}

/// H(extension:perezvon:password) for both digest algorithms (RFC 7616 §3.4.2).
pub fn sip_ha1(extension: &str, password: &str) -> SipHa1 {
    let text = format!("{extension}:perezvon:{password}");
    SipHa1 { md5: hex::encode(Md5::digest(&text)), sha256: hex::encode(Sha256::digest(&text)) }
}

fn canonical_number(text: &str, region: Region) -> String {
    match NumberPattern::parse(text, region) {
        Some(NumberPattern::E164(number)) => number.as_string(),
        _ => text.trim().to_string(),
    }
}

fn merge<T: Item>(stored: &[T], wanted: Vec<T>, prune: bool, changes: &mut Vec<Change>) -> Vec<T> {
    let mut merged: Vec<T> = Vec::new();
    let mut note = |what, name: &str| changes.push(Change { what, kind: T::KIND, name: name.to_string() });
    for item in stored {
        match wanted.iter().find(|new| new.key() == item.key()) {
            Some(new) => {
                if new != item {
                    note(ChangeKind::Changed, item.key());
                }
                merged.push(new.clone());
            }
            None if prune => note(ChangeKind::Removed, item.key()),
            None => merged.push(item.clone()),
        }
    }
    for item in wanted {
        if !stored.iter().any(|old| old.key() == item.key()) {
            note(ChangeKind::Added, item.key());
            merged.push(item);
        }
    }
    merged
}

/// The stored set-up as a site file: applying it to an empty server gives the same server.
pub fn export(items: &Items) -> Result<String, toml::ser::Error> {
    toml::to_string(items)
}
