//! Percent-escapes of URIs (RFC 3261 §19.1.2, §25.1).

use std::fmt::Write;

use crate::sip::wire::Text;

/// Unescapes `%41`. What does not decode to UTF-8 becomes U+FFFD; a `%` without two hex digits stays as it is.
pub fn decode(text: &Text) -> Text {
    if !text.contains('%') {
        return text.clone();
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let Some((&byte, rest)) = bytes.split_first() {
        bytes = rest;
        match (byte, rest) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                plain.push(hex_digit(*high) << 4 | hex_digit(*low));
                bytes = after;
            }
            _ => plain.push(byte),
        }
    }
    match String::from_utf8(plain) {
        Ok(plain) => Text::from(plain),
        Err(broken) => Text::from(String::from_utf8_lossy(broken.as_bytes()).into_owned()),
    }
}

/// Escapes a user part: all but unreserved and user-unreserved characters.
pub fn encode_user(plain: &str) -> Text {
    encode(plain, b"-_.!~*'()&=+$,;?/")
}

/// Escapes the name or value of a URI header: all but unreserved and hnv-unreserved characters.
pub fn encode_header(plain: &str) -> Text {
    encode(plain, b"-_.!~*'()[]/?:+$")
}

fn encode(plain: &str, allowed: &[u8]) -> Text {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || allowed.contains(byte);
    if plain.as_bytes().iter().all(is_plain) {
        return Text::from(plain);
    }
    let mut escaped = String::with_capacity(plain.len() + 8);
    for byte in plain.bytes() {
        if is_plain(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    Text::from(escaped)
}

fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}
