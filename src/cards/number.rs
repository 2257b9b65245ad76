//! Reads who is calling from what the network said: the user part, the host, the display name, the wish for privacy.
//! It does not parse SIP (that is `sip` and `gateway`, which call it) and does not look for cards (that is `identity`).

use crate::types::{E164, NumberError, Region};

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

/// Words that stand in place of a number when it is kept back, in any case of letters.
const WITHHELD_WORDS: [&str; 6] = ["anonymous", "restricted", "unavailable", "private", "withheld", "blocked"];
/// RFC 3323 §4.1.1.3: the host of an anonymous From.
const ANONYMOUS_HOST: &str = "anonymous.invalid";
/// Longest name or text that is kept; screens show less.
const MAX_SHOWN_CHARS: usize = 80;

/// Decides what kind of caller it is; `region` reads national numbers. Any UTF-8 is welcome.
///
/// An empty user part alone is a number that was not sent, not one that was kept back: `Unknown`.
pub fn read_caller(text: CallerText<'_>, region: Region) -> Caller {
    let user = text.user.trim();
    let display = text.display.and_then(harmless);
    let has_withheld_name = display.as_deref().is_some_and(is_withheld_word);
    if text.is_private
        || is_withheld_word(user)
        || text.host.eq_ignore_ascii_case(ANONYMOUS_HOST)
        || (user.is_empty() && has_withheld_name)
    {
        return Caller::Withheld;
    }
    // "Anonymous" <sip:+7…> has a number after all; the name only misleads.
    let display = display.filter(|_| !has_withheld_name);
    match E164::parse_with_extension(user, region) {
        Ok((number, extension)) => Caller::Known { number, extension, display },
        Err(NumberError::Short) if user.bytes().all(|b| b.is_ascii_digit()) => Caller::Short { digits: user.to_owned(), display },
        Err(_) => Caller::Unknown { text: harmless(user), display },
    }
}

fn is_withheld_word(text: &str) -> bool {
    WITHHELD_WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// The text without what could play tricks on a screen (control characters, marks that turn the writing direction or
/// take no width), its spaces folded, cut to a length worth showing; `None` when nothing is left.
fn harmless(text: &str) -> Option<String> {
    let is_trick = |c: char| {
        (c.is_control() && !c.is_whitespace())
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}')
    };
    // Cut before folding too, so that a megabyte of spaces costs nothing.
    let kept: String = text.chars().take(8 * MAX_SHOWN_CHARS).filter(|c| !is_trick(*c)).collect();
    let folded = kept.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = folded.chars().take(MAX_SHOWN_CHARS).collect();
    Some(cut).filter(|cut| !cut.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn caller(user: &str, host: &str, display: Option<&str>) -> Caller {
        read_caller(CallerText { user, host, display, is_private: false }, Region::RU)
    }

    fn known(number: &str, extension: Option<&str>, display: Option<&str>) -> Caller {
        Caller::Known {
            number: E164::parse(number, Region::RU).unwrap(),
            extension: extension.map(str::to_owned),
            display: display.map(str::to_owned),
        }
    }

    fn unknown(text: Option<&str>, display: Option<&str>) -> Caller {
        Caller::Unknown { text: text.map(str::to_owned), display: display.map(str::to_owned) }
    }

    #[test]
    fn a_number_is_read_by_the_region_and_keeps_its_name_and_extension() {
        let expected = known("+74951234567", None, Some("ООО Ромашка"));
        for user in ["+74951234567", "84951234567", "4951234567", "74951234567", "8 (495) 123-45-67"] {
            assert_eq!(caller(user, "carrier.example", Some("ООО Ромашка")), expected, "{user}");
        }
        assert_eq!(caller("84951234567 доб. 12", "10.0.0.1", None), known("+74951234567", Some("12"), None));
        assert_eq!(caller("+74951234567;ext=12", "10.0.0.1", None), known("+74951234567", Some("12"), None));
    }

    #[test]
    fn a_caller_who_keeps_the_number_back_is_withheld() {
        for (user, host, display) in [
            ("anonymous", "anonymous.invalid", Some("Anonymous")),
            ("Anonymous", "10.0.0.1", None),
            ("Restricted", "10.0.0.1", None),
            ("unavailable", "10.0.0.1", None),
            ("private", "10.0.0.1", None),
            ("", "anonymous.invalid", None),
            ("+74951234567", "anonymous.invalid", None),
            ("", "10.0.0.1", Some("ANONYMOUS")),
        ] {
            assert_eq!(caller(user, host, display), Caller::Withheld, "{user}@{host}");
        }
        let private = CallerText { user: "+74951234567", host: "10.0.0.1", display: Some("Иван"), is_private: true };
        assert_eq!(read_caller(private, Region::RU), Caller::Withheld);
    }

    #[test]
    fn short_numbers_are_left_alone() {
        for digits in ["101", "1001", "112", "0", "1234567"] {
            assert_eq!(caller(digits, "10.0.0.1", None), Caller::Short { digits: digits.to_owned(), display: None });
        }
    }

    #[test]
    fn a_from_without_a_number_is_unknown() {
        assert_eq!(caller("", "10.0.0.1", None), unknown(None, None));
        assert_eq!(caller("sipp", "10.0.0.1", Some("Тест")), unknown(Some("sipp"), Some("Тест")));
        assert_eq!(caller("+7495", "10.0.0.1", None), unknown(Some("+7495"), None));
        assert_eq!(caller("*98", "10.0.0.1", None), unknown(Some("*98"), None));
    }

    #[test]
    fn a_misleading_name_is_dropped_when_the_number_is_there() {
        assert_eq!(caller("+74951234567", "10.0.0.1", Some("anonymous")), known("+74951234567", None, None));
    }

    #[test]
    fn names_cannot_play_tricks_on_a_screen() {
        let display = caller("101", "h", Some("  Банк\u{202e}\u{0007}\r\n\t\u{200b} России  ")).display().map(str::to_owned);
        assert_eq!(display.as_deref(), Some("Банк России"));
        let long = "я".repeat(10_000);
        assert_eq!(caller("101", "h", Some(&long)).display().map(|name| name.chars().count()), Some(MAX_SHOWN_CHARS));
        assert_eq!(caller("101", "h", Some("\u{202e}\u{0000}")).display(), None);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_shown_is_short_and_plain(
            user in any::<String>(), host in any::<String>(), display in any::<Option<String>>(), is_private: bool,
        ) {
            let caller = read_caller(CallerText { user: &user, host: &host, display: display.as_deref(), is_private }, Region::RU);
            if let Some(shown) = caller.display() {
                prop_assert!(shown.chars().count() <= MAX_SHOWN_CHARS);
                prop_assert!(!shown.chars().any(char::is_control));
            }
        }
    }
}
