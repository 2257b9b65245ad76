//! Pages of lists: newest first, an opaque cursor, a limit. The cursor holds the moment and the id of the last row
//! shown, so that rows arriving meanwhile neither repeat nor hide anything.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::StoreError;
use crate::types::Wall;

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1_000;

/// What part of a list is wanted.
#[derive(Clone, Debug, Default)]
pub struct PageRequest {
    /// `next` of the page before; `None` starts at the newest.
    pub cursor: Option<String>,
    /// 100 when `None`, at most 1,000, at least 1.
    pub limit: Option<u32>,
}

/// INTERFACES' list: `{items, next}`, `next` null at the end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

impl<T> Page<T> {
    pub(super) fn map<U, E>(self, change: impl FnMut(T) -> Result<U, E>) -> Result<Page<U>, E> {
        let items = self.items.into_iter().map(change).collect::<Result<_, _>>()?;
        Ok(Page { items, next: self.next })
    }
}

/// Where a row stands in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: DateTime<Utc>,
    pub(super) id: Uuid,
}

impl PageRequest {
    pub(super) fn limit(&self) -> usize {
        self.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT) as usize
    }

    /// One more than the limit: the extra row only tells that there is a next page.
    pub(super) fn rows_to_fetch(&self) -> i64 {
        i64::from(self.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT)) + 1
    }

    /// The row to continue behind; at the start, a place newer than any row.
    pub(super) fn behind(&self) -> Result<Place, StoreError> {
        match &self.cursor {
            None => Ok(Place { at: Wall::from_micros(NEWER_THAN_ANY).as_datetime(), id: Uuid::max() }),
            Some(text) => parse(text).ok_or(StoreError::Cursor),
        }
    }

    /// Cuts the extra row off and makes the cursor from the last row that stays.
    pub(super) fn page<T>(&self, mut rows: Vec<T>, place: impl Fn(&T) -> Place) -> Page<T> {
        let limit = self.limit();
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next = if has_more { rows.last().map(|row| format(place(row))) } else { None };
        Page { items: rows, next }
    }
}

/// 9999-12-31: still four digits of year, so that SQLite's text order holds.
const NEWER_THAN_ANY: i64 = 253_402_214_400_000_000;

fn format(place: Place) -> String {
    let mut bytes = [0u8; 24];
    bytes[..8].copy_from_slice(&place.at.timestamp_micros().to_be_bytes());
    bytes[8..].copy_from_slice(place.id.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn parse(text: &str) -> Option<Place> {
    let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    let (at, id) = bytes.split_first_chunk::<8>()?;
    let micros = i64::from_be_bytes(*at);
    if !(0..=NEWER_THAN_ANY).contains(&micros) {
        return None;
    }
    Some(Place { at: DateTime::from_timestamp_micros(micros)?, id: Uuid::from_slice(id).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_names_the_row_it_was_made_from() {
        let place = Place { at: Wall::from_micros(1_764_000_000_123_456).as_datetime(), id: Uuid::from_u128(7) };
        assert_eq!(parse(&format(place)), Some(place));
    }

    #[test]
    fn a_foreign_or_impossible_cursor_is_refused() {
        for text in ["", "x", "AAAA", "/////////////////////////////////w", "_____________________________________w"] {
            let request = PageRequest { cursor: Some(text.into()), limit: None };
            assert!(matches!(request.behind(), Err(StoreError::Cursor)), "{text}");
        }
    }

    #[test]
    fn the_limit_is_a_hundred_unless_told_and_never_above_a_thousand() {
        let limit = |limit| PageRequest { cursor: None, limit }.limit();
        assert_eq!((limit(None), limit(Some(0)), limit(Some(7)), limit(Some(u32::MAX))), (100, 1, 7, 1_000));
    }

    #[test]
    fn the_last_page_has_no_next() {
        let request = PageRequest { cursor: None, limit: Some(2) };
        let place = |n: &u128| Place { at: DateTime::UNIX_EPOCH, id: Uuid::from_u128(*n) };
        assert_eq!(request.page(vec![3, 2], place).next, None);
        let first = request.page(vec![3, 2, 1], place);
        assert_eq!(first.items, [3, 2]);
        let next = PageRequest { cursor: first.next, limit: Some(2) };
        assert_eq!(next.behind().map(|place| place.id.as_u128()).ok(), Some(2));
    }
}
