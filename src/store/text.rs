//! Making foreign text storable and findable. PostgreSQL cannot hold U+0000 in text or jsonb, and callers, browsers and
//! imports may send it, so it is left out on both databases. Its indexes refuse entries above some 2,700 bytes.

use std::borrow::Cow;

use serde_json::{Map, Value};

pub(super) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "")) } else { Cow::Borrowed(text) }
}

/// Bytes of a text that is looked up by index.
const KEY_MAX_BYTES: usize = 256;

/// `storable`, cut to what an index takes: a caller may send a "number" of many kilobytes. The whole of it is in the JSON.
pub(super) fn key(text: &str) -> String {
    let mut key = storable(text).into_owned();
    key.truncate(key.floor_char_boundary(KEY_MAX_BYTES));
    key
}

pub(super) fn storable_json(value: Value) -> Value {
    match value {
        Value::String(text) if text.contains('\0') => Value::String(text.replace('\0', "")),
        Value::Array(items) => Value::Array(items.into_iter().map(storable_json).collect()),
        Value::Object(fields) => Value::Object(storable_fields(fields)),
        plain => plain,
    }
}

pub(super) fn storable_fields(fields: Map<String, Value>) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (storable(&name).into_owned(), storable_json(value))).collect()
}

/// A `like` pattern that finds the text anywhere; `\` is the escape.
pub(super) fn contains_pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

/// What a person typed into a search field, as the words to find: lower case, at most eight. A phone number in any
/// spelling is one word of digits, without the national 8.
pub(super) fn search_words(typed: &str) -> Vec<String> {
    let digits: String = typed.chars().filter(char::is_ascii_digit).collect();
    let is_number = typed.chars().all(|c| c.is_ascii_digit() || " +-().\u{a0}".contains(c));
    if is_number && digits.len() >= 3 {
        let without_eight = if digits.len() == 11 { digits.strip_prefix('8') } else { None };
        return vec![without_eight.map_or(digits.clone(), str::to_owned)];
    }
    storable(typed).to_lowercase().split_whitespace().take(8).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_zero_byte_is_left_out_wherever_it_hides() {
        assert_eq!(storable("a\0b"), "ab");
        assert_eq!(storable_json(json!({"a\0": ["b\0", {"c": "\0"}, 1]})), json!({"a": ["b", {"c": ""}, 1]}));
    }

    #[test]
    fn a_key_is_cut_between_characters() {
        assert_eq!(key("+74951234567"), "+74951234567");
        assert_eq!(key(&"я".repeat(1_000)).len(), 256);
        assert_eq!(key(&format!("x{}", "я".repeat(1_000))).len(), 255);
    }

    #[test]
    fn signs_that_like_would_read_as_jokers_are_escaped() {
        assert_eq!(contains_pattern(r"100%_\"), r"%100\%\_\\%");
    }

    #[test]
    fn a_number_is_one_word_however_it_is_typed() {
        assert_eq!(search_words("8 (916) 000-00-01"), ["9160000001"]);
        assert_eq!(search_words("+7 916 000"), ["7916000"]);
        assert_eq!(search_words("Иванова ООО"), ["иванова", "ооо"]);
        assert_eq!(search_words("  "), [""; 0]);
    }
}
