//! Parameters: `;name=value` after a URI or a header value, names without case, order kept (RFC 3261 §7.3.1, §19.1.1).
//! One type serves both: in headers a value may be a quoted string, in URIs it never is.

use std::fmt;
use std::net::Ipv6Addr;

use super::Text;
use super::lex::{is_token, quote, unquote};

/// One parameter. `value` is without its quotes; `is_quoted` says whether it had (and gets) them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Param {
    pub name: Text,
    pub value: Option<Text>,
    is_quoted: bool,
}

impl Param {
    /// A header parameter; the value is quoted when it must be.
    pub fn new(name: impl Into<Text>, value: Option<Text>) -> Param {
        // gen-value = token / host / quoted-string, and a host may be an IPv6 address (RFC 3261 §25.1).
        let bare =
            |text: &Text| text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text).parse::<Ipv6Addr>();
        let is_quoted = value.as_ref().is_some_and(|value| !is_token(value) && bare(value).is_err());
        Param { name: name.into(), value, is_quoted }
    }

    /// A URI parameter: the value must already be escaped, and is never quoted.
    pub fn uri(name: impl Into<Text>, value: Option<Text>) -> Param {
        Param { name: name.into(), value, is_quoted: false }
    }

    /// A parameter whose value is written in quotes even if a token would do (`+sip.instance`, `realm`).
    pub fn quoted(name: impl Into<Text>, value: impl Into<Text>) -> Param {
        Param { name: name.into(), value: Some(value.into()), is_quoted: true }
    }

    pub fn is_quoted(&self) -> bool {
        self.is_quoted
    }

    /// `raw` is a value as it stood in a header.
    pub(super) fn from_header(name: Text, raw: Option<Text>) -> Param {
        match raw {
            Some(raw) if raw.starts_with('"') => Param { name, value: Some(unquote(&raw)), is_quoted: true },
            raw => Param { name, value: raw, is_quoted: false },
        }
    }
}

impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.value {
            Some(value) if self.is_quoted => write!(f, "={}", quote(value)),
            Some(value) => write!(f, "={value}"),
            None => Ok(()),
        }
    }
}

/// A list of parameters in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Params(Vec<Param>);

impl Params {
    pub const fn new() -> Params {
        Params(Vec::new())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Param> {
        self.0.iter()
    }

    /// The parameter's value: `None` when it is absent or has no value.
    pub fn get(&self, name: &str) -> Option<&Text> {
        self.find(name).and_then(|param| param.value.as_ref())
    }

    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    pub fn find(&self, name: &str) -> Option<&Param> {
        self.0.iter().find(|param| param.name.eq_ignore_ascii_case(name))
    }

    pub fn push(&mut self, param: Param) {
        self.0.push(param);
    }

    /// Replaces the parameter of that name, or appends it.
    pub fn set(&mut self, param: Param) {
        match self.0.iter_mut().find(|own| own.name.eq_ignore_ascii_case(&param.name)) {
            Some(own) => *own = param,
            None => self.0.push(param),
        }
    }

    pub fn remove(&mut self, name: &str) {
        self.0.retain(|param| !param.name.eq_ignore_ascii_case(name));
    }
}

impl FromIterator<Param> for Params {
    fn from_iter<I: IntoIterator<Item = Param>>(params: I) -> Self {
        Params(params.into_iter().collect())
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|param| write!(f, ";{param}"))
    }
}
