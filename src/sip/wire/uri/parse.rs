//! Reading URIs: RFC 3261 §25.1, with what real phones write (`#` and non-ASCII in users, `_` in hosts) let through.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Host, OtherUri, SipUri, TelUri, Uri};
use crate::sip::wire::limits::MAX_PARAMS;
use crate::sip::wire::{Param, Params, Text, UriError};

pub(super) fn uri(text: &Text) -> Result<Uri, UriError> {
    let is_foreign = |byte: u8| byte <= b' ' || byte == 0x7f || matches!(byte, b'<' | b'>' | b'"');
    if text.bytes().any(is_foreign) {
        return Err(UriError::BadCharacter);
    }
    let (scheme, rest) = text.split_once(':').ok_or(UriError::NoScheme)?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if !is_scheme {
        return Err(UriError::NoScheme);
    }
    match scheme {
        scheme if scheme.eq_ignore_ascii_case("sip") => sip(text, rest, false).map(Uri::Sip),
        scheme if scheme.eq_ignore_ascii_case("sips") => sip(text, rest, true).map(Uri::Sip),
        scheme if scheme.eq_ignore_ascii_case("tel") => tel(text, rest).map(Uri::Tel),
        scheme => Ok(Uri::Other(OtherUri { scheme: text.part(scheme), rest: text.part(rest) })),
    }
}

/// `rest` is what follows the scheme's colon in `whole`.
fn sip(whole: &Text, rest: &str, is_secure: bool) -> Result<SipUri, UriError> {
    // A user may hold `;`, `?` and `/`, but never `@`; nor may anything after it (RFC 3261 §25.1).
    let (userinfo, rest) = match rest.split_once('@') {
        Some((userinfo, rest)) => (Some(userinfo), rest),
        None => (None, rest),
    };
    let (user, password) = match userinfo {
        Some("") => return Err(UriError::BadCharacter),
        Some(userinfo) => match userinfo.split_once(':') {
            Some((user, password)) => (Some(whole.part(user)), Some(whole.part(password))),
            None => (Some(whole.part(userinfo)), None),
        },
        None => (None, None),
    };
    let (rest, headers) = match rest.split_once('?') {
        Some((rest, headers)) => (rest, uri_headers(whole, headers)?),
        None => (rest, Vec::new()),
    };
    let (host_port, params) = match rest.split_once(';') {
        Some((host_port, params)) => (host_port, uri_params(whole, params)?),
        None => (rest, Params::new()),
    };
    let (host, port) = host_port_of(whole, host_port)?;
    Ok(SipUri { is_secure, user, password, host, port, params, headers })
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
pub(in crate::sip::wire) fn host_port_of(whole: &Text, host_port: &str) -> Result<(Host, Option<u16>), UriError> {
    let (host, port) = match host_port.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or(UriError::BadHost)?;
            let port = match after.strip_prefix(':') {
                Some(port) => Some(port),
                None if after.is_empty() => None,
                None => return Err(UriError::BadHost),
            };
            (Host::V6(address.parse().map_err(|_| UriError::BadHost)?), port)
        }
        None => match host_port.split_once(':') {
            Some((host, port)) => (name_or_v4(whole, host)?, Some(port)),
            None => (name_or_v4(whole, host_port)?, None),
        },
    };
    Ok((host, port.map(parse_port).transpose()?))
}

pub(super) fn host(text: &Text) -> Result<Host, UriError> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    match bare.parse::<Ipv6Addr>() {
        Ok(address) => Ok(Host::V6(address)),
        Err(_) => name_or_v4(text, text),
    }
}

fn name_or_v4(whole: &Text, host: &str) -> Result<Host, UriError> {
    if host.is_empty() {
        return Err(UriError::NoHost);
    }
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Ok(Host::V4(address));
    }
    let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if is_name { Ok(Host::Name(whole.part(host))) } else { Err(UriError::BadHost) }
}

fn parse_port(text: &str) -> Result<u16, UriError> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten().ok_or(UriError::BadPort)
}

fn uri_params(whole: &Text, params: &str) -> Result<Params, UriError> {
    let pieces = params.split(';').filter(|piece| !piece.is_empty());
    if pieces.clone().count() > MAX_PARAMS {
        return Err(UriError::TooMany);
    }
    pieces
        .map(|piece| match piece.split_once('=') {
            Some(("", _)) => Err(UriError::BadCharacter),
            Some((name, value)) => Ok(Param::uri(whole.part(name), Some(whole.part(value)))),
            None => Ok(Param::uri(whole.part(piece), None)),
        })
        .collect()
}

fn uri_headers(whole: &Text, headers: &str) -> Result<Vec<(Text, Text)>, UriError> {
    let pieces = headers.split('&').filter(|piece| !piece.is_empty());
    if pieces.clone().count() > MAX_PARAMS {
        return Err(UriError::TooMany);
    }
    let parted = pieces.map(|piece| piece.split_once('=').unwrap_or((piece, "")));
    Ok(parted.map(|(name, value)| (whole.part(name), whole.part(value))).collect())
}

fn tel(whole: &Text, rest: &str) -> Result<TelUri, UriError> {
    let (number, params) = match rest.split_once(';') {
        Some((number, params)) => (number, uri_params(whole, params)?),
        None => (rest, Params::new()),
    };
    let digits = number.strip_prefix('+').unwrap_or(number);
    let is_number = digits.bytes().any(|byte| byte.is_ascii_hexdigit() || b"*#".contains(&byte))
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit() || b"*#-.()".contains(&byte));
    if !is_number {
        return Err(UriError::BadNumber);
    }
    Ok(TelUri { number: whole.part(number), params })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Uri {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn every_part_of_a_sip_uri_is_found() {
        let uri = parsed("sips:anna%20i:p%40ss@[2001:db8::10]:5070;transport=tcp;lr?Replaces=1%40a%3Bto-tag%3D2&X=");
        let Uri::Sip(sip) = &uri else { panic!("{uri}") };
        assert!(sip.is_secure && sip.is_loose_router());
        assert_eq!(sip.user_decoded().as_deref(), Some("anna i"));
        assert_eq!(sip.password.as_deref(), Some("p%40ss"));
        assert_eq!(sip.host, Host::V6("2001:db8::10".parse().unwrap()));
        assert_eq!(sip.port, Some(5070));
        assert_eq!(sip.header("replaces").as_deref(), Some("1@a;to-tag=2"));
        assert_eq!(sip.header("X").as_deref(), Some(""));
    }

    #[test]
    fn users_may_hold_what_looks_like_parameters() {
        let uri = parsed("sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too@example.com");
        assert_eq!(uri.user().map(Text::as_str), Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"));
        assert_eq!(
            parsed("sip:+7495;phone-context=ru@example.com;user=phone").user().map(Text::as_str),
            Some("+7495;phone-context=ru")
        );
        assert_eq!(parsed("sip:#31#112@example.com").user_decoded().as_deref(), Some("#31#112"));
    }

    #[test]
    fn other_schemes_are_kept_whole() {
        for text in ["tel:+7-495-123-45-67;ext=12", "urn:service:sos", "http://example.com/?a=b", "soap.beep://192.0.2.103:3002"]
        {
            assert_eq!(parsed(text).to_string(), text);
        }
        assert!(matches!(parsed("tel:*21#"), Uri::Tel(_)));
    }

    #[test]
    fn what_is_not_a_uri_says_why() {
        for (text, error) in [
            ("", UriError::NoScheme),
            ("anna", UriError::NoScheme),
            ("1sip:a", UriError::NoScheme),
            ("sip:", UriError::NoHost),
            ("sip:anna@", UriError::NoHost),
            ("sip:@host", UriError::BadCharacter),
            ("sip:a b@host", UriError::BadCharacter),
            ("<sip:a@host>", UriError::BadCharacter),
            ("sip:a@b@host", UriError::BadHost),
            ("sip:a@host:", UriError::BadPort),
            ("sip:a@host:+5", UriError::BadPort),
            ("sip:a@host:70000", UriError::BadPort),
            ("sip:a@2001:db8::10", UriError::BadPort),
            ("sip:a@[2001:db8:::192.0.2.1]", UriError::BadHost),
            ("sip:a@[::1]x", UriError::BadHost),
            ("tel:", UriError::BadNumber),
            ("tel:call-me", UriError::BadNumber),
        ] {
            assert_eq!(text.parse::<Uri>(), Err(error), "{text}");
        }
        for many in
            [format!("sip:a{}", ";x=1".repeat(65)), format!("tel:1{}", ";x=1".repeat(65)), format!("sip:a?{}", "x=1&".repeat(65))]
        {
            assert_eq!(many.parse::<Uri>(), Err(UriError::TooMany));
        }
    }

    #[test]
    fn writing_and_reading_are_inverse() {
        for text in
            ["sip:example.com", "sips:a@b:1;x=1;y?A=b&C=d", "sip:[::ffff:192.0.2.1]:5060", "sip:100%25@10.0.0.1;transport=udp"]
        {
            assert_eq!(parsed(text).to_string(), text);
        }
        let plain = "Анна 100% <x@y>";
        let uri = Uri::Sip(SipUri::new(Host::V4([10, 0, 0, 1].into())).with_user(plain));
        assert_eq!(parsed(&uri.to_string()).user_decoded().as_deref(), Some(plain));
    }
}
