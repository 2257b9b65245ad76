//! What people and programs may write into a card: the shapes of the JSON. What the values may be is `client_check`.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::types::AgentId;

/// A card to make; only the name is needed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewClient {
    #[schema(max_length = 200)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) company: Option<String>,
    /// Numbers as people write them, or with their kind.
    #[serde(default, alias = "phones")]
    pub(super) numbers: Vec<NumberWish>,
    #[serde(default)]
    pub(super) emails: Vec<EmailWish>,
    #[serde(default)]
    pub(super) source: Option<String>,
    #[serde(default)]
    pub(super) owner: Option<AgentId>,
    #[serde(default)]
    pub(super) tags: Vec<String>,
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(super) fields: Map<String, Value>,
    /// `ru`, `en`, …
    #[serde(default)]
    pub(super) language: Option<String>,
}

/// Changes to a card: what is absent stays, null empties what may be without a value. A name cannot, and lists and
/// fields are emptied by an empty one, so null is refused there: it must not look done when nothing was.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientPatch {
    #[serde(default, deserialize_with = "given")]
    #[schema(max_length = 200, value_type = String, required = false)]
    pub(super) name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub(super) company: Option<Option<String>>,
    /// Replaces all numbers.
    #[serde(default, alias = "phones", deserialize_with = "given")]
    pub(super) numbers: Option<Vec<NumberWish>>,
    /// Replaces all addresses.
    #[serde(default, deserialize_with = "given")]
    pub(super) emails: Option<Vec<EmailWish>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub(super) source: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub(super) owner: Option<Option<AgentId>>,
    #[serde(default, deserialize_with = "given")]
    pub(super) tags: Option<Vec<String>>,
    /// Merged into the fields; null removes one.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Object>)]
    pub(super) fields: Option<Map<String, Value>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub(super) language: Option<Option<String>>,
}

/// Tells null from absent: serde's `default` stands for absent.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Absent is `None`; null is refused as any other value that is no `T`.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// `"8 495 123-45-67"` or `{"e164": "+74951234567", "kind": "work", …}`.
#[derive(Debug, ToSchema)]
pub struct NumberWish {
    /// The number as people write it; an extension may follow («доб. 12»).
    #[schema(rename = "e164")]
    pub(super) text: String,
    /// `main`, `mobile`, `work`, `home`, `fax`, `other`.
    pub(super) kind: Option<String>,
    pub(super) extension: Option<String>,
    pub(super) is_shared: Option<bool>,
}

/// `"anna@example.org"` or `{"email": "…", "kind": "work"}`.
#[derive(Debug, ToSchema)]
pub struct EmailWish {
    pub(super) email: String,
    /// `work`, `home`, `other`.
    pub(super) kind: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenNumber {
    #[serde(alias = "number", alias = "phone")]
    e164: String,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    extension: Option<String>,
    #[serde(default)]
    is_shared: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenEmail {
    email: String,
    #[serde(default)]
    kind: Option<String>,
}

impl<'de> Deserialize<'de> for NumberWish {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let short = |text: &str| NumberWish { text: text.into(), kind: None, extension: None, is_shared: None };
        let whole = |number: WrittenNumber| NumberWish {
            text: number.e164,
            kind: number.kind,
            extension: number.extension,
            is_shared: number.is_shared,
        };
        deserializer.deserialize_any(TextOr {
            expected: "a number or an object with `e164`",
            short,
            whole,
            marker: std::marker::PhantomData,
        })
    }
}

impl<'de> Deserialize<'de> for EmailWish {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let short = |text: &str| EmailWish { email: text.into(), kind: None };
        let whole = |mail: WrittenEmail| EmailWish { email: mail.email, kind: mail.kind };
        deserializer.deserialize_any(TextOr {
            expected: "an address or an object with `email`",
            short,
            whole,
            marker: std::marker::PhantomData,
        })
    }
}

/// A plain text or an object. (serde's `untagged` would lose the name of the field at fault.)
struct TextOr<S, W, O> {
    expected: &'static str,
    short: S,
    whole: W,
    marker: std::marker::PhantomData<O>,
}

impl<'de, T, O: Deserialize<'de>, S: Fn(&str) -> T, W: Fn(O) -> T> Visitor<'de> for TextOr<S, W, O> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        Ok((self.short)(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        O::deserialize(MapAccessDeserializer::new(map)).map(self.whole)
    }
}
