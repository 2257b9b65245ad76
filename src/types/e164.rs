//! A phone number as the world's network knows it: `+` and at most fifteen digits (ITU-T E.164).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;

/// The country whose dialling habits read a national number (ISO 3166 alpha-2, as in the site file's `region`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Region(pub [u8; 2]);

impl Region {
    pub const RU: Region = Region(*b"RU");

    pub fn parse(text: &str) -> Option<Region> {
        let bytes: [u8; 2] = text.as_bytes().try_into().ok()?;
        bytes.iter().all(u8::is_ascii_uppercase).then_some(Region(bytes))
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("ZZ")
    }
}

/// Why a text is not a phone number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NumberError {
    #[error("no digits")]
    Empty,
    #[error("too short for a public number: an extension or a service number")]
    Short,
    #[error("more than fifteen digits")]
    TooLong,
    #[error("holds something that is not part of a number")]
    NotANumber,
}

/// A normalised public number. `Display` and `Debug` are masked, so that a log line cannot leak it; `as_string` is whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct E164(u64);

impl E164 {
    /// `digits` without the plus; `None` unless there are 5 to 15 of them and the first is not zero.
    pub fn from_digits(digits: &str) -> Option<E164> {
        let fits = (5..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        fits.then(|| digits.parse().ok().map(E164)).flatten()
    }

    /// The whole number, `+74951234567`: for SIP, SQL and JSON, never for logs.
    pub fn as_string(self) -> String {
        format!("+{}", self.0)
    }
}

impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let head = digits.len().min(4).min(digits.len().saturating_sub(2));
        write!(f, "+{}···{}", &digits[..head], &digits[digits.len() - 2..])
    }
}

impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for E164 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.as_string())
    }
}

impl<'de> Deserialize<'de> for E164 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.strip_prefix('+').and_then(E164::from_digits).ok_or_else(|| D::Error::custom("not an E.164 number"))
    }
}
