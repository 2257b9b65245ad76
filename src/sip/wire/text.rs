//! `Text`: a piece of a SIP message that is cheap to keep. Everything cut out of one message shares that message's
//! one buffer, so that parsing and copying headers does not allocate. It is always valid UTF-8. It knows nothing of SIP.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// An immutable string: a constant, or a part of a shared buffer.
#[derive(Clone)]
pub struct Text(Repr);

#[derive(Clone)]
enum Repr {
    Constant(&'static str),
    /// `start..end` lie on character borders of `whole`; only this file makes them.
    Part {
        whole: Arc<str>,
        start: u32,
        end: u32,
    },
}

impl Text {
    pub const EMPTY: Text = Text::constant("");

    pub const fn constant(text: &'static str) -> Text {
        Text(Repr::Constant(text))
    }

    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Constant(text) => text,
            Repr::Part { whole, start, end } => whole.get(*start as usize..*end as usize).unwrap_or_default(),
        }
    }

    /// The same characters as `part`, without copying when `part` was cut out of this text.
    pub fn part(&self, part: &str) -> Text {
        let Repr::Part { whole, start: own_start, end: own_end } = &self.0 else { return Text::from(part) };
        let offset = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
        let Some(end) = offset.checked_add(part.len()) else { return Text::from(part) };
        let is_inside = offset >= *own_start as usize && end <= *own_end as usize;
        match (u32::try_from(offset), u32::try_from(end)) {
            (Ok(start), Ok(end)) if is_inside && !part.is_empty() => Text(Repr::Part { whole: whole.clone(), start, end }),
            _ => Text::from(part),
        }
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl From<Arc<str>> for Text {
    fn from(whole: Arc<str>) -> Self {
        let end = u32::try_from(whole.len()).expect("a text never reaches 4 GiB: messages are capped at 64 KiB");
        Text(Repr::Part { whole, start: 0, end })
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        if text.is_empty() { Text::EMPTY } else { Text::from(Arc::<str>::from(text)) }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        if text.is_empty() { Text::EMPTY } else { Text::from(Arc::<str>::from(text)) }
    }
}

impl From<&Text> for Text {
    fn from(text: &Text) -> Self {
        text.clone()
    }
}

impl Default for Text {
    fn default() -> Self {
        Text::EMPTY
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Text) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Text) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Text) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_shares_the_buffer_and_a_stranger_is_copied() {
        let whole = Text::from("Via: one, two");
        let two = whole.part(&whole[10..]);
        assert_eq!(two, "two");
        assert_eq!(two.as_ptr(), whole[10..].as_ptr(), "no copy");
        assert_eq!(whole.part("two"), "two");
        assert_eq!(two.part(&whole[5..8]), "one", "outside of the part, yet the right characters");
    }
}
