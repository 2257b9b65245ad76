//! The lexer of header values: tokens, quoted strings, comma lists (RFC 3261 §25.1). It walks a `Text` and cuts parts
//! out of it without copying. Message framing and header names are elsewhere (`parse`, `framer`).

use std::borrow::Cow;

use super::Text;

/// token, RFC 3261 §25.1. A table, because every header name and parameter is checked byte by byte.
static TOKEN_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric()
            || matches!(byte as u8, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~');
        byte += 1;
    }
    table
};

pub(super) fn is_token_byte(byte: u8) -> bool {
    TOKEN_BYTES[usize::from(byte)]
}

pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// In quotes, with `"` and `\` escaped.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        if matches!(letter, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted.push('"');
    quoted
}

/// The content of a quoted string, with or without its quotes; shares `raw`'s buffer when nothing was escaped.
pub(super) fn unquote(raw: &Text) -> Text {
    let inner = raw.strip_prefix('"').map_or(raw.as_str(), |rest| rest.strip_suffix('"').unwrap_or(rest));
    match unescape(inner) {
        Cow::Borrowed(same) => raw.part(same),
        Cow::Owned(changed) => Text::from(changed),
    }
}

fn unescape(inner: &str) -> Cow<'_, str> {
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut plain = String::with_capacity(inner.len());
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => plain.extend(letters.next()),
            letter => plain.push(letter),
        }
    }
    Cow::Owned(plain)
}

/// The items of a comma list. Commas inside of quotes and angle brackets do not part items; empty items are left out.
pub(super) fn split_list(value: &str) -> impl Iterator<Item = &str> {
    split_outside(value, b',').map(str::trim).filter(|item| !item.is_empty())
}

/// The pieces of `value` between separators that stand outside of quoted strings and angle brackets.
pub(super) fn split_outside(value: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = find_outside(text, separator);
        rest = end.and_then(|at| text.get(at + 1..));
        end.map_or(Some(text), |at| text.get(..at))
    })
}

/// Where the ASCII byte `wanted` first stands outside of quoted strings and angle brackets.
pub(super) fn find_outside(text: &str, wanted: u8) -> Option<usize> {
    let (mut is_quoted, mut is_escaped, mut in_angles) = (false, false, false);
    text.bytes().position(|byte| {
        if is_escaped {
            is_escaped = false;
        } else if is_quoted {
            is_escaped = byte == b'\\';
            is_quoted = byte != b'"';
        } else if byte == wanted && !in_angles {
            return true;
        } else {
            match byte {
                b'"' => is_quoted = true,
                b'<' => in_angles = true,
                b'>' => in_angles = false,
                _ => {}
            }
        }
        false
    })
}

/// A place in a header value, moving right.
pub(super) struct Lexer<'a> {
    whole: &'a Text,
    rest: &'a str,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(whole: &'a Text) -> Lexer<'a> {
        Lexer { whole, rest: whole.as_str() }
    }

    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// `part` as a `Text` that shares the header's buffer.
    pub(super) fn text(&self, part: &str) -> Text {
        self.whole.part(part)
    }

    pub(super) fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
    }

    /// Steps over `wanted` and says whether it stood here.
    pub(super) fn eat(&mut self, wanted: char) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// As `eat`, with white space allowed on both sides.
    pub(super) fn eat_spaced(&mut self, wanted: char) -> bool {
        let before = self.rest;
        self.skip_space();
        if self.eat(wanted) {
            self.skip_space();
            return true;
        }
        self.rest = before;
        false
    }

    /// The longest run of bytes that `is_wanted` likes; may be empty. Bytes above 127 are offered too.
    pub(super) fn take_while(&mut self, is_wanted: impl Fn(u8) -> bool) -> &'a str {
        let mut end = self.rest.bytes().position(|byte| !is_wanted(byte)).unwrap_or(self.rest.len());
        while !self.rest.is_char_boundary(end) {
            end -= 1;
        }
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// A token; `None` when none stands here.
    pub(super) fn token(&mut self) -> Option<&'a str> {
        let taken = self.take_while(is_token_byte);
        (!taken.is_empty()).then_some(taken)
    }

    /// A quoted string with its quotes; `None` (and no step) when none stands here or it does not end.
    pub(super) fn quoted(&mut self) -> Option<&'a str> {
        let inner = self.rest.strip_prefix('"')?;
        let mut is_escaped = false;
        let end = inner.bytes().position(|byte| {
            let ends = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            ends
        })?;
        let (taken, rest) = self.rest.split_at(end + 2);
        self.rest = rest;
        Some(taken)
    }

    /// Everything up to (not including) `stop`, and steps over `stop`; `None` when it does not come.
    pub(super) fn until(&mut self, stop: char) -> Option<&'a str> {
        let (taken, rest) = self.rest.split_once(stop)?;
        self.rest = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_and_angles_do_not_part_a_list() {
        let list = r#""Doe, \"J\"" <sip:a,b@c>, <sip:d> , ,e"#;
        let items: Vec<_> = split_list(list).collect();
        assert_eq!(items, [r#""Doe, \"J\"" <sip:a,b@c>"#, "<sip:d>", "e"]);
    }

    #[test]
    fn quoting_and_unquoting_are_inverse() {
        for text in ["", "plain", r#"say "hi""#, r"back\slash", "Анна"] {
            assert_eq!(unquote(&Text::from(quote(text))), text);
        }
    }

    #[test]
    fn a_quoted_string_that_does_not_end_is_none() {
        let text = Text::from(r#""open \" "#);
        assert_eq!(Lexer::new(&text).quoted(), None);
    }
}
