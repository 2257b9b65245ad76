//! Pages of lists: newest first, an opaque cursor, a limit. The cursor holds the moment and the id of the last row
//! shown, so that rows arriving meanwhile neither repeat nor hide anything.

use serde::Serialize;

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
