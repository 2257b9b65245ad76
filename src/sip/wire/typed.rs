//! Headers read as values, with errors that name the header. A value is parsed when asked for; `parse` has already
//! checked Via, From, To, Call-ID and CSeq of every message that came from the network.

use super::lex::split_list;
use super::name_addr::{self, NameAddrError};
use super::values::{AuthValue, CSeq, Contacts, Reason, Replaces};
use super::{HeaderError, HeaderName, Headers, NameAddr, Text, Via};

impl Headers {
    /// The top Via.
    pub fn via(&self) -> Result<Via, HeaderError> {
        let value = self.get(&HeaderName::Via).ok_or(HeaderError::Missing(HeaderName::Via))?;
        Via::parse(value).map_err(|why| HeaderError::Bad { name: HeaderName::Via, why })
    }

    /// Every Via, top first.
    pub fn vias(&self) -> Result<Vec<Via>, HeaderError> {
        let read = |value| Via::parse(value).map_err(|why| HeaderError::Bad { name: HeaderName::Via, why });
        self.get_all(&HeaderName::Via).map(read).collect()
    }

    pub fn from(&self) -> Result<NameAddr, HeaderError> {
        self.one_address(HeaderName::From)
    }

    pub fn to(&self) -> Result<NameAddr, HeaderError> {
        self.one_address(HeaderName::To)
    }

    pub fn from_tag(&self) -> Option<Text> {
        self.from().ok().and_then(|from| from.tag().cloned())
    }

    pub fn to_tag(&self) -> Option<Text> {
        self.to().ok().and_then(|to| to.tag().cloned())
    }

    pub fn call_id(&self) -> Result<Text, HeaderError> {
        let value = self.only(HeaderName::CallId)?;
        let is_word = !value.is_empty() && !value.contains([' ', '\t', '\r', '\n']);
        is_word.then(|| value.clone()).ok_or(HeaderError::Bad { name: HeaderName::CallId, why: "empty or more than one word" })
    }

    pub fn cseq(&self) -> Result<CSeq, HeaderError> {
        CSeq::parse(self.only(HeaderName::CSeq)?).map_err(|why| HeaderError::Bad { name: HeaderName::CSeq, why })
    }

    /// Every Contact. `*` beside others is an error (RFC 3261 §10.3).
    pub fn contacts(&self) -> Result<Contacts, HeaderError> {
        let values = || self.get_all(&HeaderName::Contact);
        if values().any(|value| value.trim() == "*") {
            return match values().count() {
                1 => Ok(Contacts::All),
                _ => Err(HeaderError::Bad { name: HeaderName::Contact, why: "`*` beside others" }),
            };
        }
        self.addresses(HeaderName::Contact).map(Contacts::List)
    }

    /// The first Contact of a request or response in a dialog; `None` when there is none.
    pub fn contact(&self) -> Result<Option<NameAddr>, HeaderError> {
        self.get(&HeaderName::Contact).map(|value| address(HeaderName::Contact, value)).transpose()
    }

    /// Route set, top first.
    pub fn routes(&self) -> Result<Vec<NameAddr>, HeaderError> {
        self.addresses(HeaderName::Route)
    }

    /// In the order they stand; a UAC's route set is their reverse (RFC 3261 §12.1.2).
    pub fn record_routes(&self) -> Result<Vec<NameAddr>, HeaderError> {
        self.addresses(HeaderName::RecordRoute)
    }

    /// Every address of a list header (Path, P-Asserted-Identity, Diversion, …).
    pub fn addresses(&self, name: HeaderName) -> Result<Vec<NameAddr>, HeaderError> {
        self.get_all(&name).map(|value| address(name.clone(), value)).collect()
    }

    /// The only address of a header that may be absent (Refer-To, Referred-By).
    pub fn optional_address(&self, name: HeaderName) -> Result<Option<NameAddr>, HeaderError> {
        if self.has(&name) { self.one_address(name).map(Some) } else { Ok(None) }
    }

    pub fn max_forwards(&self) -> Result<Option<u8>, HeaderError> {
        self.number(HeaderName::MaxForwards)
    }

    /// Seconds; more than 32 bits hold counts as the largest.
    pub fn expires_seconds(&self) -> Result<Option<u32>, HeaderError> {
        self.seconds(HeaderName::Expires)
    }

    pub fn min_expires_seconds(&self) -> Result<Option<u32>, HeaderError> {
        self.seconds(HeaderName::MinExpires)
    }

    /// Without its comment and parameters.
    pub fn retry_after_seconds(&self) -> Option<u32> {
        let value = self.get(&HeaderName::RetryAfter)?;
        name_addr::seconds(value.split([';', '(', ' ']).next().unwrap_or_default())
    }

    /// Several headers that agree are one (RFC 4475 §3.3.9 has those that do not).
    pub fn content_length(&self) -> Result<Option<usize>, HeaderError> {
        let mut lengths = self.get_all(&HeaderName::ContentLength).map(|value| digits(value));
        let Some(first) = lengths.next() else { return Ok(None) };
        let length = first.ok_or(HeaderError::Bad { name: HeaderName::ContentLength, why: "not a number" })?;
        if lengths.all(|length| length == first) {
            Ok(Some(length))
        } else {
            Err(HeaderError::Repeated(HeaderName::ContentLength))
        }
    }

    /// `type/subtype` without parameters, as written.
    pub fn content_type(&self) -> Option<&str> {
        self.get(&HeaderName::ContentType).and_then(|value| value.split(';').next()).map(str::trim)
    }

    pub fn replaces(&self) -> Result<Option<Replaces>, HeaderError> {
        if !self.has(&HeaderName::Replaces) {
            return Ok(None);
        }
        let value = self.only(HeaderName::Replaces)?;
        Replaces::parse(value).map(Some).map_err(|why| HeaderError::Bad { name: HeaderName::Replaces, why })
    }

    /// Every Reason that can be read; the header is a hint, so a bad one is left out.
    pub fn reasons(&self) -> Vec<Reason> {
        self.items(&HeaderName::Reason).filter_map(|item| Reason::parse(&item).ok()).collect()
    }

    /// Every challenge or set of credentials under `name`. One header may hold several challenges (RFC 7235 style lists).
    pub fn auth_values(&self, name: &HeaderName) -> Result<Vec<AuthValue>, HeaderError> {
        let read = |value| AuthValue::parse(value).map_err(|why| HeaderError::Bad { name: name.clone(), why });
        self.get_all(name).map(read).collect()
    }

    /// The items of a comma list kept in one header: Allow, Supported, Require, Accept, …
    pub fn items<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = Text> + 'a {
        self.get_all(name).flat_map(|value| split_list(value).map(|item| value.part(item)))
    }

    /// Whether a comma list names `token`, in any case: `has_item(&HeaderName::Supported, "100rel")`.
    pub fn has_item(&self, name: &HeaderName, token: &str) -> bool {
        self.get_all(name).any(|value| split_list(value).any(|item| item.eq_ignore_ascii_case(token)))
    }

    fn only(&self, name: HeaderName) -> Result<&Text, HeaderError> {
        let mut values = self.iter().filter(|header| header.name == name).map(|header| &header.value);
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value),
            (Some(_), Some(_)) => Err(HeaderError::Repeated(name)),
            (None, _) => Err(HeaderError::Missing(name)),
        }
    }

    fn one_address(&self, name: HeaderName) -> Result<NameAddr, HeaderError> {
        let value = self.only(name.clone())?;
        address(name, value)
    }

    fn seconds(&self, name: HeaderName) -> Result<Option<u32>, HeaderError> {
        let Some(value) = self.get(&name) else { return Ok(None) };
        name_addr::seconds(value.trim()).map(Some).ok_or(HeaderError::Bad { name, why: "not a number of seconds" })
    }

    fn number<N: std::str::FromStr>(&self, name: HeaderName) -> Result<Option<N>, HeaderError> {
        if !self.has(&name) {
            return Ok(None);
        }
        let value = self.only(name.clone())?.trim();
        let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
        let number = is_number.then(|| value.parse().ok()).flatten();
        number.map(Some).ok_or(HeaderError::Bad { name, why: "not a number in its range" })
    }
}

fn address(name: HeaderName, value: &Text) -> Result<NameAddr, HeaderError> {
    name_addr::parse(value).map_err(|error| match error {
        NameAddrError::Syntax(why) => HeaderError::Bad { name, why },
        NameAddrError::Uri(why) => HeaderError::BadUri { name, why },
    })
}

fn digits(text: &str) -> Option<usize> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}
