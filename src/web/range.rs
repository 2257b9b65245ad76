//! `Range: bytes=…` (RFC 9110 §14): which part of a file is wanted. One range a request; several are answered with the
//! whole, which the RFC allows and players accept.

/// What to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Whole,
    /// Both ends belong to it.
    Part {
        first: u64,
        last: u64,
    },
    /// 416: the range begins behind the end.
    Nothing,
}

/// `range` is the header's text; one that is malformed or in another unit is ignored.
pub fn wanted(range: Option<&str>, total: u64) -> Wanted {
    let Some(set) = range.and_then(|text| text.trim().strip_prefix("bytes=")) else { return Wanted::Whole };
    let Some((from, to)) = set.trim().split_once('-') else { return Wanted::Whole };
    let number = |text: &str| match !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit mean "to the end".
        true => Some(text.parse().unwrap_or(u64::MAX)),
        false => None,
    };
    let (first, last) = match (from.trim(), to.trim()) {
        ("", suffix) => match number(suffix) {
            Some(0) => return Wanted::Nothing,
            Some(length) => (total.saturating_sub(length), u64::MAX),
            None => return Wanted::Whole,
        },
        (from, "") => match number(from) {
            Some(first) => (first, u64::MAX),
            None => return Wanted::Whole,
        },
        (from, to) => match (number(from), number(to)) {
            (Some(first), Some(last)) if first <= last => (first, last),
            _ => return Wanted::Whole,
        },
    };
    match total.checked_sub(1) {
        Some(end) if first <= end => Wanted::Part { first, last: last.min(end) },
        _ => Wanted::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        let part = |first, last| Wanted::Part { first, last };
        for (text, expected) in [
            ("bytes=0-0", part(0, 0)),
            ("bytes=10-19", part(10, 19)),
            ("bytes=90-", part(90, 99)),
            ("bytes=-10", part(90, 99)),
            ("bytes=-1000", part(0, 99)),
            ("bytes=0-99999999999999999999999", part(0, 99)),
            ("bytes=100-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-3", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=--5", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=0-1,5-6", Wanted::Whole),
            ("lines=0-1", Wanted::Whole),
        ] {
            assert_eq!(wanted(Some(text), 100), expected, "{text}");
        }
        assert_eq!(wanted(None, 100), Wanted::Whole);
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Nothing);
    }

    proptest! {
        #[test]
        fn a_part_always_lies_within_the_file(text in "(bytes=)?[0-9,\\- ]{0,30}", total in 0_u64..1000) {
            if let Wanted::Part { first, last } = wanted(Some(&text), total) {
                prop_assert!(first <= last && last < total);
            }
        }
    }
}
