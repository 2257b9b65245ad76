//! Header values that are neither a name-addr nor a Via: CSeq, RAck, Replaces, Reason, the digest headers.

use std::fmt;

use super::lex::{Lexer, is_token, quote};
use super::limits::MAX_PARAMS;
use super::name_addr::header_params;
use super::{Method, NameAddr, Param, Params, Text};

/// CSeq, RFC 3261 §20.16
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CSeq {
    /// Below 2^31 (RFC 3261 §8.1.1.5).
    pub number: u32,
    pub method: Method,
}

impl CSeq {
    pub fn new(number: u32, method: Method) -> CSeq {
        CSeq { number, method }
    }

    pub(super) fn parse(value: &Text) -> Result<CSeq, &'static str> {
        let mut words = value.split_ascii_whitespace();
        let (Some(number), Some(method), None) = (words.next(), words.next(), words.next()) else {
            return Err("not a number and a method");
        };
        if !number.bytes().all(|byte| byte.is_ascii_digit()) || !is_token(method) {
            return Err("not a number and a method");
        }
        let number = number.parse().ok().filter(|number| *number < 1 << 31).ok_or("number of 2^31 or more")?;
        Ok(CSeq { number, method: Method::from_token(value.part(method)) })
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

/// The Contact headers of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contacts {
    /// `*`: all bindings (RFC 3261 §10.2.2).
    All,
    /// Those listed; may be empty.
    List(Vec<NameAddr>),
}

/// Replaces, RFC 3891 §6.1. From a REFER it comes as a URI header; `Replaces::parse` takes the decoded text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaces {
    pub call_id: Text,
    pub to_tag: Text,
    pub from_tag: Text,
    pub is_early_only: bool,
}

impl Replaces {
    pub fn parse(value: &Text) -> Result<Replaces, &'static str> {
        let mut lexer = Lexer::new(value);
        let call_id = lexer.take_while(|byte| byte != b';').trim();
        if call_id.is_empty() || call_id.contains([' ', '\t']) {
            return Err("no Call-ID");
        }
        let call_id = lexer.text(call_id);
        let params = header_params(&mut lexer)?;
        let tag = |name| params.get(name).cloned().filter(|tag| !tag.is_empty());
        Ok(Replaces {
            call_id,
            to_tag: tag("to-tag").ok_or("no to-tag")?,
            from_tag: tag("from-tag").ok_or("no from-tag")?,
            is_early_only: params.has("early-only"),
        })
    }
}

impl fmt::Display for Replaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};to-tag={};from-tag={}", self.call_id, self.to_tag, self.from_tag)?;
        f.write_str(if self.is_early_only { ";early-only" } else { "" })
    }
}

/// One Reason, RFC 3326: `SIP;cause=200;text="Call completed elsewhere"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    pub protocol: Text,
    pub cause: Option<u16>,
    pub text: Option<Text>,
}

impl Reason {
    /// What the losers of a fork are told, so that their phones show no missed call.
    pub const fn completed_elsewhere() -> Reason {
        Reason { protocol: Text::constant("SIP"), cause: Some(200), text: Some(Text::constant("Call completed elsewhere")) }
    }

    pub(super) fn parse(value: &Text) -> Result<Reason, &'static str> {
        let mut lexer = Lexer::new(value);
        let protocol = lexer.token().ok_or("no protocol")?;
        let protocol = lexer.text(protocol);
        let params = header_params(&mut lexer)?;
        let cause = params.get("cause").and_then(|cause| cause.parse().ok());
        Ok(Reason { protocol, cause, text: params.get("text").cloned() })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.protocol)?;
        if let Some(cause) = self.cause {
            write!(f, ";cause={cause}")?;
        }
        match &self.text {
            Some(text) => write!(f, ";text={}", quote(text)),
            None => Ok(()),
        }
    }
}

/// A challenge or credentials: `Digest name=value, name="value"` (RFC 3261 §20.44). Parameters in any order, quoted or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthValue {
    pub scheme: Text,
    /// Empty for schemes with a token instead of parameters.
    pub params: Params,
}

impl AuthValue {
    pub fn is_digest(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("Digest")
    }

    pub fn parse(value: &Text) -> Result<AuthValue, &'static str> {
        let mut lexer = Lexer::new(value);
        lexer.skip_space();
        let scheme = lexer.token().ok_or("no scheme")?;
        let mut parsed = AuthValue { scheme: lexer.text(scheme), params: Params::new() };
        lexer.skip_space();
        if !parsed.is_digest() {
            return Ok(parsed);
        }
        loop {
            while lexer.eat_spaced(',') {}
            lexer.skip_space();
            if lexer.is_at_end() {
                return Ok(parsed);
            }
            if parsed.params.len() >= MAX_PARAMS {
                return Err("too many parameters");
            }
            parsed.params.push(auth_param(&mut lexer)?);
            lexer.skip_space();
            if !lexer.is_at_end() && !lexer.rest().starts_with(',') {
                return Err("something between the parameters");
            }
        }
    }
}

fn auth_param(lexer: &mut Lexer) -> Result<Param, &'static str> {
    let name = lexer.token().ok_or("a parameter without a name")?;
    let name = lexer.text(name);
    if !lexer.eat_spaced('=') {
        return Err("a parameter without a value");
    }
    let value = match lexer.quoted() {
        Some(quoted) => quoted,
        None if lexer.rest().starts_with('"') => return Err("a quoted string that does not end"),
        None => lexer.take_while(|byte| byte != b',' && byte > b' '),
    };
    let value = lexer.text(value);
    Ok(Param::from_header(name, Some(value)))
}

impl fmt::Display for AuthValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scheme)?;
        for (index, param) in self.params.iter().enumerate() {
            write!(f, "{}{param}", if index == 0 { " " } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cseq_wants_a_number_below_two_to_the_31_and_a_method() {
        let parse = |text: &str| CSeq::parse(&Text::from(text));
        assert_eq!(parse("0009\t INVITE"), Ok(CSeq::new(9, Method::Invite)));
        assert_eq!(parse("2147483647 X").map(|cseq| cseq.number), Ok(2_147_483_647));
        for bad in ["2147483648 INVITE", "INVITE", "1", "-1 INVITE", "1 INVITE x", "+1 INVITE", "1 IN@VITE", ""] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn replaces_needs_call_id_and_both_tags() {
        let text = Text::from("98732@sip.example.com;from-tag=r33th4x0r;to-tag=ff87ff;early-only");
        let replaces = Replaces::parse(&text).unwrap();
        assert_eq!((replaces.call_id.as_str(), replaces.to_tag.as_str()), ("98732@sip.example.com", "ff87ff"));
        assert!(replaces.is_early_only);
        assert_eq!(Replaces::parse(&Text::from(replaces.to_string())), Ok(replaces));
        assert!(Replaces::parse(&Text::from("1@a;to-tag=1")).is_err());
    }

    #[test]
    fn the_losers_of_a_fork_are_told_why() {
        let reason = Reason::completed_elsewhere();
        assert_eq!(reason.to_string(), r#"SIP;cause=200;text="Call completed elsewhere""#);
        assert_eq!(Reason::parse(&Text::from(reason.to_string())), Ok(reason));
    }

    #[test]
    fn digest_parameters_come_in_any_order_quoted_or_not() {
        let text = Text::from(r#"DIGEST  uri="sip:a,b@c" ,,nc=0000000A, qop = auth,username="Анна \"A\"" , response=abc=="#);
        let auth = AuthValue::parse(&text).unwrap();
        let get = |name| auth.params.get(name).map(Text::as_str);
        assert!(auth.is_digest());
        assert_eq!(get("uri"), Some("sip:a,b@c"));
        assert_eq!(get("NC"), Some("0000000A"));
        assert_eq!(get("username"), Some(r#"Анна "A""#));
        assert_eq!(get("response"), Some("abc=="));
        assert_eq!(AuthValue::parse(&Text::from(auth.to_string())), Ok(auth));
        for bad in ["", "Digest a", "Digest a=\"b", "Digest a=\"b\" c=d", "Digest =x"] {
            assert!(AuthValue::parse(&Text::from(bad)).is_err(), "{bad}");
        }
        let other = AuthValue::parse(&Text::from("NoOneKnowsThisScheme opaque-data=here")).unwrap();
        assert!(!other.is_digest());
    }
}
