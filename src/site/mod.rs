//! The site file: the whole set-up as one value. Parsing with line numbers, checks, diff and export live here;
//! who reads it from disk or the database is not this room's business.
//!
//! `parse` (text to items) → `apply` (items meet the stored ones) → `check` (items to `Site`) → `model` (what all read).

pub mod apply;
pub mod check;
mod destination;
pub mod items;
pub mod model;
pub mod parse;
#[cfg(test)]
mod tests;

pub use apply::{Change, ChangeKind, Passwords, Plan, plan};
pub use items::Items;
pub use model::{
    Destination, Language, Network, Number, NumberPattern, Queue, Role, Route, SipHa1, Site, Srtp, Strategy, TRUNK_CODECS,
    Target, Trunk, USER_CODECS, User,
};
pub use parse::{Problem, SiteFile, parse};
