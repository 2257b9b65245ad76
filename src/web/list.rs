//! Pages of lists: `?cursor=&limit=` in, `{items, next}` out. The database pages its own rows; what the engine holds in
//! memory (open calls, agents, queues) is paged here in the same shape.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::{ApiError, words};
use super::extract::Params;
use crate::store::{Page, PageRequest, StoreError};

const LIMIT_DEFAULT: u32 = 100;
const LIMIT_MAX: u32 = 1000;

/// A page: newest first where time matters; `next` goes into `?cursor=`, null at the end.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

impl<T> List<T> {
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> List<U> {
        List { items: self.items.into_iter().map(change).collect(), next: self.next }
    }
}

impl<T> From<Page<T>> for List<T> {
    fn from(page: Page<T>) -> Self {
        List { items: page.items, next: page.next }
    }
}

impl Params {
    /// `limit`: 100 unless told, 1 to 1,000.
    pub fn limit(&self) -> Result<u32, ApiError> {
        let what = words("Здесь число от 1 до 1000", "This is a number from 1 to 1,000");
        match self.parse("limit", what.clone())? {
            None => Ok(LIMIT_DEFAULT),
            Some(limit) if (1..=LIMIT_MAX).contains(&limit) => Ok(limit),
            Some(_) => Err(ApiError::bad_query("limit", what)),
        }
    }

    pub fn page(&self) -> Result<PageRequest, ApiError> {
        Ok(PageRequest { cursor: self.text("cursor").map(str::to_string), limit: Some(self.limit()?) })
    }
}

/// A page of a list in memory, which is sorted by `key` downwards or upwards as `is_after` says.
/// The cursor is the key of the last item shown, so that changes meanwhile neither repeat nor hide anything.
pub fn page_of<T>(
    items: Vec<T>,
    page: &PageRequest,
    key: impl Fn(&T) -> String,
    is_after: impl Fn(&str, &str) -> bool,
) -> Result<List<T>, ApiError> {
    let from = page.cursor.as_deref().map(decode).transpose()?;
    let limit = page.limit.unwrap_or(LIMIT_DEFAULT) as usize;
    let mut rest = items.into_iter().filter(|item| from.as_deref().is_none_or(|from| is_after(&key(item), from)));
    let items: Vec<T> = rest.by_ref().take(limit).collect();
    let more = rest.next().is_some();
    let next = items.last().filter(|_| more).map(|last| URL_SAFE_NO_PAD.encode(key(last)));
    Ok(List { items, next })
}

fn decode(cursor: &str) -> Result<String, ApiError> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| StoreError::Cursor)?;
    Ok(String::from_utf8(bytes).map_err(|_| StoreError::Cursor)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(names: &[&str], limit: u32) -> Vec<Vec<String>> {
        let mut cursor = None;
        let mut pages = Vec::new();
        loop {
            let items = names.iter().map(|name| name.to_string()).collect();
            let page = PageRequest { cursor, limit: Some(limit) };
            let list = page_of(items, &page, String::clone, |key, from| key > from).unwrap();
            pages.push(list.items);
            match list.next {
                Some(next) => cursor = Some(next),
                None => return pages,
            }
        }
    }

    #[test]
    fn pages_hold_every_item_once_and_the_last_has_no_next() {
        assert_eq!(pages(&["a", "b", "c", "d"], 2), [["a", "b"], ["c", "d"]]);
        assert_eq!(pages(&["a", "b", "c"], 2).concat(), ["a", "b", "c"]);
        assert_eq!(pages(&[], 2), [Vec::<String>::new()]);
    }

    #[test]
    fn a_cursor_of_somebody_else_is_refused() {
        let page = PageRequest { cursor: Some("%%%".into()), limit: None };
        let refusal = page_of(vec![1], &page, ToString::to_string, |key, from| key > from).unwrap_err();
        assert_eq!((refusal.status.as_u16(), refusal.field.as_deref()), (400, Some("cursor")));
    }
}
