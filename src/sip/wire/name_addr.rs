//! `name-addr` and `addr-spec` with header parameters: From, To, Contact, Route and their kin (RFC 3261 §20.10, §25.1).

use std::fmt;

use super::lex::{Lexer, is_token_byte, quote, unquote};
use super::limits::MAX_PARAMS;
use super::{Param, Params, Text, Uri, UriError};

/// `"display" <uri>;params`
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NameAddr {
    /// Without quotes and escapes; `None` when there was none or it was empty.
    pub display: Option<Text>,
    pub uri: Uri,
    /// The header's parameters, not the URI's.
    pub params: Params,
}

/// Why a value is not a `name-addr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameAddrError {
    Syntax(&'static str),
    Uri(UriError),
}

impl NameAddr {
    pub fn new(uri: impl Into<Uri>) -> NameAddr {
        NameAddr { display: None, uri: uri.into(), params: Params::new() }
    }

    pub fn with_display(mut self, display: impl Into<Text>) -> NameAddr {
        self.display = Some(display.into()).filter(|display| !display.is_empty());
        self
    }

    pub fn with_tag(mut self, tag: impl Into<Text>) -> NameAddr {
        self.params.set(Param::new("tag", Some(tag.into())));
        self
    }

    pub fn tag(&self) -> Option<&Text> {
        self.params.get("tag").filter(|tag| !tag.is_empty())
    }

    /// A Contact's `expires`, in seconds; unreadable counts as absent, larger than 32 bits as the largest.
    pub fn expires_seconds(&self) -> Option<u32> {
        self.params.get("expires").and_then(|value| seconds(value))
    }

    /// A Contact's `q` in thousandths; 1000 when absent or unreadable (RFC 3261 §10.2.1.2 leaves that to us).
    pub fn q_thousandths(&self) -> u16 {
        self.params.get("q").and_then(|value| thousandths(value)).unwrap_or(1000)
    }

    /// A Contact's `+sip.instance`, with its angle brackets taken off (RFC 5626 §4.1).
    pub fn instance(&self) -> Option<&str> {
        let value = self.params.get("+sip.instance")?;
        Some(value.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(value))
    }

    /// A Contact's `reg-id` (RFC 5626 §4.2).
    pub fn reg_id(&self) -> Option<u32> {
        self.params.get("reg-id").and_then(|value| value.parse().ok())
    }

    pub fn parse(value: &Text) -> Result<NameAddr, HeaderValueError> {
        parse(value).map_err(HeaderValueError)
    }
}

/// A value that is not a `name-addr`; as text it says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderValueError(pub(super) NameAddrError);

impl fmt::Display for HeaderValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            NameAddrError::Syntax(why) => f.write_str(why),
            NameAddrError::Uri(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for HeaderValueError {}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            write!(f, "{} ", quote(display))?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

pub(super) fn parse(value: &Text) -> Result<NameAddr, NameAddrError> {
    let mut lexer = Lexer::new(value);
    lexer.skip_space();
    let (display, uri) = match lexer.quoted() {
        Some(quoted) => {
            lexer.skip_space();
            if !lexer.eat('<') {
                return Err(NameAddrError::Syntax("a display name without an address in angle brackets"));
            }
            (Some(unquote(&lexer.text(quoted))), in_angles(&mut lexer)?)
        }
        None if lexer.rest().starts_with('"') => return Err(NameAddrError::Syntax("a quoted string that does not end")),
        None => bare_display_and_uri(&mut lexer)?,
    };
    let params = header_params(&mut lexer).map_err(NameAddrError::Syntax)?;
    Ok(NameAddr { display: display.filter(|display| !display.is_empty()), uri, params })
}

/// `*(token LWS) <uri>` or a bare addr-spec.
fn bare_display_and_uri(lexer: &mut Lexer) -> Result<(Option<Text>, Uri), NameAddrError> {
    let before_angle = lexer.rest().find('<').and_then(|at| lexer.rest().get(..at));
    if let Some(display) = before_angle {
        // Real phones put dots, commas and letters of all alphabets here without quotes; a colon means
        // that it is an addr-spec with a stray bracket behind it.
        if display.contains([':', ';', '"']) {
            return Err(NameAddrError::Syntax("an address before the angle bracket"));
        }
        let _ = lexer.until('<');
        return Ok((Some(lexer.text(display.trim())), in_angles(lexer)?));
    }
    // RFC 3261 §20.10: without brackets, `;` starts the header's parameters, and `,` and `?` may not be in the URI.
    let spec = lexer.take_while(|byte| byte != b';' && byte > b' ');
    if spec.contains(['?', ',']) {
        return Err(NameAddrError::Syntax("a URI with a comma or question mark needs angle brackets"));
    }
    let uri = Uri::parse(&lexer.text(spec)).map_err(NameAddrError::Uri)?;
    Ok((None, uri))
}

/// What follows `<`, up to and over `>`.
fn in_angles(lexer: &mut Lexer) -> Result<Uri, NameAddrError> {
    let spec = lexer.until('>').ok_or(NameAddrError::Syntax("no closing angle bracket"))?;
    Uri::parse(&lexer.text(spec)).map_err(NameAddrError::Uri)
}

/// `*(SEMI generic-param)` up to the end of the value.
pub(super) fn header_params(lexer: &mut Lexer) -> Result<Params, &'static str> {
    let mut params = Params::new();
    lexer.skip_space();
    while lexer.eat_spaced(';') {
        if lexer.is_at_end() || lexer.rest().starts_with(';') {
            continue;
        }
        if params.len() >= MAX_PARAMS {
            return Err("too many parameters");
        }
        params.push(header_param(lexer)?);
    }
    lexer.skip_space();
    if lexer.is_at_end() { Ok(params) } else { Err("something after the parameters") }
}

fn header_param(lexer: &mut Lexer) -> Result<Param, &'static str> {
    let name = lexer.token().ok_or("a parameter without a name")?;
    let name = lexer.text(name);
    if !lexer.eat_spaced('=') {
        return Ok(Param::from_header(name, None));
    }
    let value = match lexer.quoted() {
        Some(quoted) => quoted,
        None if lexer.rest().starts_with('"') => return Err("a quoted string that does not end"),
        // token or host; colons and brackets belong to IPv6 hosts, the rest is what phones write unquoted.
        None => lexer.take_while(|byte| is_token_byte(byte) || b":[]/@&$?<>()#".contains(&byte) || byte >= 0x80),
    };
    let value = lexer.text(value);
    Ok(Param::from_header(name, Some(value)))
}

/// delta-seconds; digits beyond 32 bits count as the largest (RFC 3261 §20.19 limits it so).
pub(super) fn seconds(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u32::MAX))
}

/// qvalue: `0`, `1`, `0.7`, `.7`
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole = match whole {
        "" | "0" => 0,
        "1" => 1000,
        _ => return None,
    };
    let fraction = fraction.bytes().chain([b'0'; 3]).take(3).fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    Some((whole + fraction).min(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(value: &str) -> NameAddr {
        NameAddr::parse(&Text::from(value)).unwrap_or_else(|error| panic!("{value}: {error}"))
    }

    fn refused(value: &str) -> String {
        NameAddr::parse(&Text::from(value)).expect_err(value).to_string()
    }

    #[test]
    fn parameters_of_a_bare_address_belong_to_the_header() {
        let from = parsed("sip:anna@example.com;tag=1");
        assert_eq!(from.tag().map(Text::as_str), Some("1"));
        assert_eq!(from.uri.to_string(), "sip:anna@example.com");
        let from = parsed("<sip:anna@example.com;transport=tcp>;tag=2");
        assert_eq!(from.uri.to_string(), "sip:anna@example.com;transport=tcp");
        assert_eq!(from.tag().map(Text::as_str), Some("2"));
    }

    #[test]
    fn display_names_come_with_and_without_quotes() {
        for (value, display) in [
            (r#""Anna \"A\" \\ Ivanova" <sip:a@b>"#, Some(r#"Anna "A" \ Ivanova"#)),
            ("Анна Иванова <sip:a@b>", Some("Анна Иванова")),
            (r#""Анна"<sip:a@b>"#, Some("Анна")),
            ("Bell, Alexander G. <sip:a@b>", Some("Bell, Alexander G.")),
            ("  <sip:a@b>", None),
            (r#""" <sip:a@b>"#, None),
            ("caller<sip:a@b>", Some("caller")),
        ] {
            assert_eq!(parsed(value).display.as_deref(), display, "{value}");
        }
    }

    #[test]
    fn contacts_tell_their_instance_expiry_and_preference() {
        let contact = parsed(r#"<sip:101@10.0.0.7:5062>;+sip.instance="<urn:uuid:f81d4fae>";reg-id=1;expires=4294967297;q=0.75"#);
        assert_eq!(contact.instance(), Some("urn:uuid:f81d4fae"));
        assert_eq!(contact.reg_id(), Some(1));
        assert_eq!(contact.expires_seconds(), Some(u32::MAX));
        assert_eq!(contact.q_thousandths(), 750);
        for (q, thousandths) in [("1", 1000), ("1.000", 1000), ("0", 0), (".5", 500), ("0.05", 50), ("2", 1000), ("x", 1000)] {
            assert_eq!(parsed(&format!("<sip:a@b>;q={q}")).q_thousandths(), thousandths, "{q}");
        }
        assert_eq!(parsed("<sip:a@b>;expires=soon").expires_seconds(), None);
    }

    #[test]
    fn what_was_read_is_written_so_that_it_reads_the_same() {
        for value in [
            r#""Say \"hi\"" <sip:a:b@[2001:db8::1]:5060;lr?X=y>;tag=1;x;y="a b""#,
            "<tel:+7-495-123;phone-context=example.com>;tag=7",
            "<sip:a@b>;received=2001:db8::9",
            "<sip:a@b>;maddr=[::1]",
        ] {
            assert_eq!(parsed(value).to_string(), value);
            assert_eq!(parsed(&parsed(value).to_string()), parsed(value));
        }
    }

    #[test]
    fn broken_addresses_say_why() {
        assert_eq!(refused(r#""open <sip:a@b>"#), "a quoted string that does not end");
        assert_eq!(refused("<sip:a@b"), "no closing angle bracket");
        assert_eq!(refused("sip:a@b?Route=%3Csip:c%3E"), "a URI with a comma or question mark needs angle brackets");
        assert_eq!(refused("<sip:a@b> tail"), "something after the parameters");
        assert_eq!(refused("< sip:a@b>"), "a character that a URI cannot hold");
        assert_eq!(refused(""), "no scheme before a colon");
        assert_eq!(refused(r#""name" sip:a@b"#), "a display name without an address in angle brackets");
    }
}
