//! Keys pressed by INFO: the two bodies that phones send, without an Info-Package (what came before RFC 6086).

use crate::sip::wire::Headers;

/// The key of an INFO: `0`–`9`, `*`, `#`, `A`–`D`; `None` for any other body.
pub fn key_of_info(headers: &Headers, body: &[u8]) -> Option<char> {
    let text = std::str::from_utf8(body).ok()?;
    let content_type = headers.content_type()?;
    let key = if content_type.eq_ignore_ascii_case("application/dtmf-relay") {
        let signal = text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            name.trim().eq_ignore_ascii_case("Signal").then(|| value.trim())
        });
        signal?
    } else if content_type.eq_ignore_ascii_case("application/dtmf") {
        text.trim()
    } else {
        return None;
    };
    // Events ten and eleven by their numbers (RFC 4733 §3.2).
    let key = match key {
        "10" => '*',
        "11" => '#',
        _ if key.chars().count() == 1 => key.chars().next()?.to_ascii_uppercase(),
        _ => return None,
    };
    matches!(key, '0'..='9' | '*' | '#' | 'A'..='D').then_some(key)
}

/// The body of an INFO that presses a key, and its type.
pub fn info_of_key(key: char) -> (&'static str, String) {
    ("application/dtmf-relay", format!("Signal={key}\r\nDuration={INFO_MS}\r\n"))
}

/// How long a key that is told as a whole was down.
const INFO_MS: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::wire::HeaderName;

    #[test]
    fn what_we_say_is_understood() {
        for digit in "0123456789*#ABCD".chars() {
            let (content_type, body) = info_of_key(digit);
            assert_eq!(key(content_type, &body), Some(digit));
        }
    }

    fn key(content_type: &str, body: &str) -> Option<char> {
        let mut headers = Headers::new();
        headers.push(HeaderName::ContentType, content_type);
        key_of_info(&headers, body.as_bytes())
    }

    #[test]
    fn keys_are_read_from_both_bodies() {
        assert_eq!(key("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n"), Some('5'));
        assert_eq!(key("Application/DTMF-Relay; x=y", "duration=100\nsignal = #"), Some('#'));
        assert_eq!(key("application/dtmf-relay", "Signal=10"), Some('*'));
        assert_eq!(key("application/dtmf", "d\r\n"), Some('D'));
        assert_eq!(key("application/dtmf", "11"), Some('#'));
    }

    #[test]
    fn what_is_no_key_presses_none() {
        for (content_type, body) in [
            ("application/dtmf-relay", "Duration=160"),
            ("application/dtmf-relay", "Signal=12"),
            ("application/dtmf-relay", "Signal="),
            ("application/dtmf", "E"),
            ("application/dtmf", ""),
            ("text/plain", "5"),
        ] {
            assert_eq!(key(content_type, body), None, "{content_type} {body}");
        }
        assert_eq!(key_of_info(&Headers::new(), b"5"), None);
    }
}
