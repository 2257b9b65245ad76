//! Via: `SIP/2.0/UDP host:port;branch=…` (RFC 3261 §20.42, RFC 3581).

use std::fmt;
use std::net::SocketAddr;

use super::lex::{Lexer, is_token_byte};
use super::name_addr::header_params;
use super::uri::{Host, host_port_of};
use super::{Param, Params, Text, Transport};

/// The branch prefix that marks RFC 3261 branches.
pub const BRANCH_COOKIE: &str = "z9hG4bK";

/// One Via.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Via {
    /// As written: `UDP`, or something we do not speak.
    pub protocol: Text,
    pub host: Host,
    pub port: Option<u16>,
    pub params: Params,
}

impl Via {
    /// Our own Via for a request: `branch` with its cookie, and `rport` asked for (RFC 3581 §3).
    pub fn new(transport: Transport, sent_by: SocketAddr, branch: impl Into<Text>) -> Via {
        let params = [Param::new(Text::constant("rport"), None), Param::new(Text::constant("branch"), Some(branch.into()))];
        Via {
            protocol: Text::constant(transport.as_str()),
            host: Host::from(sent_by.ip()),
            port: Some(sent_by.port()),
            params: params.into_iter().collect(),
        }
    }

    pub fn transport(&self) -> Option<Transport> {
        Transport::parse(&self.protocol)
    }

    pub fn branch(&self) -> Option<&Text> {
        self.params.get("branch")
    }

    /// A branch that is unique by RFC 3261 §8.1.1.7: the cookie and something behind it.
    pub fn rfc3261_branch(&self) -> Option<&Text> {
        self.branch().filter(|branch| branch.len() > BRANCH_COOKIE.len() && branch.starts_with(BRANCH_COOKIE))
    }

    /// With or without brackets around an IPv6 address (RFC 5118 §4.5).
    pub fn received(&self) -> Option<Host> {
        self.params.get("received").and_then(|value| Host::parse(value).ok())
    }

    /// The port the server saw; `None` when `rport` is absent or still empty.
    pub fn rport(&self) -> Option<u16> {
        self.params.get("rport").and_then(|value| value.parse().ok())
    }

    pub fn wants_rport(&self) -> bool {
        self.params.has("rport")
    }

    /// RFC 3261 §18.2.1 and RFC 3581 §4: writes down where the request really came from.
    /// `received` is added when the host differs or `rport` was asked for.
    pub fn note_source(&mut self, source: SocketAddr) {
        let wants_rport = self.wants_rport();
        if wants_rport {
            self.params.set(Param::new(Text::constant("rport"), Some(Text::from(source.port().to_string()))));
        }
        if wants_rport || self.host.ip() != Some(source.ip().to_canonical()) {
            self.params.set(Param::new(Text::constant("received"), Some(Text::from(source.ip().to_canonical().to_string()))));
        }
    }

    pub fn parse(value: &Text) -> Result<Via, &'static str> {
        let mut lexer = Lexer::new(value);
        lexer.skip_space();
        let name = lexer.token().ok_or("no protocol")?;
        let has_version = lexer.eat_spaced('/') && lexer.token() == Some("2.0") && lexer.eat_spaced('/');
        if !name.eq_ignore_ascii_case("SIP") || !has_version {
            return Err("not SIP/2.0");
        }
        let protocol = lexer.token().ok_or("no transport")?;
        let protocol = lexer.text(protocol);
        if !lexer.rest().starts_with([' ', '\t', '\r', '\n']) {
            return Err("no host after the transport");
        }
        lexer.skip_space();
        let (host, port) = sent_by(&mut lexer)?;
        let params = header_params(&mut lexer)?;
        Ok(Via { protocol, host, port, params })
    }
}

/// `host [COLON port]`, with white space around the colon (RFC 3261 §25.1: sent-by).
fn sent_by(lexer: &mut Lexer) -> Result<(Host, Option<u16>), &'static str> {
    let host = match lexer.rest().starts_with('[') {
        true => lexer.take_while(|byte| byte.is_ascii_hexdigit() || b"[]:.".contains(&byte)),
        false => lexer.take_while(is_token_byte),
    };
    let host = lexer.text(host);
    // The brackets' run above took the port along when no space stood before its colon.
    let (host, mut port) = host_port_of(&host, &host).map_err(|_| "bad host or port")?;
    if port.is_none() && lexer.eat_spaced(':') {
        let digits = lexer.take_while(|byte| byte.is_ascii_digit());
        port = Some(digits.parse().map_err(|_| "bad port")?);
    }
    Ok((host, port))
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.protocol, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.params.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(value: &str) -> Via {
        Via::parse(&Text::from(value)).unwrap_or_else(|error| panic!("{value}: {error}"))
    }

    #[test]
    fn white_space_may_stand_around_slashes_and_colons() {
        let via = parsed("SIP  / 2.0\t/ UDP  192.0.2.2 : 5061 ; branch = z9hG4bK1 ;rport");
        assert_eq!(via.to_string(), "SIP/2.0/UDP 192.0.2.2:5061;branch=z9hG4bK1;rport");
        assert_eq!(via.transport(), Some(Transport::Udp));
        assert!(via.wants_rport());
        assert_eq!(via.rport(), None);
    }

    #[test]
    fn ipv6_hosts_keep_their_brackets_and_received_may_lack_them() {
        let via = parsed("SIP/2.0/TCP [2001:db8::9:1]:5070;received=[2001:db8::9:255];branch=z9hG4bKas3-111");
        assert_eq!(via.port, Some(5070));
        assert_eq!(via.received(), parsed("SIP/2.0/TCP [::1];received=2001:db8::9:255").received());
        assert!(via.to_string().starts_with("SIP/2.0/TCP [2001:db8::9:1]:5070;"));
    }

    #[test]
    fn only_a_branch_with_more_than_the_cookie_is_unique() {
        assert!(parsed("SIP/2.0/UDP a;branch=z9hG4bK1").rfc3261_branch().is_some());
        assert!(parsed("SIP/2.0/UDP a;branch=z9hG4bK").rfc3261_branch().is_none());
        assert!(parsed("SIP/2.0/UDP a;branch=1").rfc3261_branch().is_none());
        assert!(parsed("SIP/2.0/UDP a").rfc3261_branch().is_none());
    }

    #[test]
    fn the_source_is_noted_when_it_differs_or_rport_was_asked_for() {
        let mut via = parsed("SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1");
        via.note_source("10.0.0.1:40000".parse().unwrap());
        assert_eq!(via.to_string(), "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1");
        via.note_source("[::ffff:192.0.2.1]:40000".parse().unwrap());
        assert_eq!(via.to_string(), "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;received=192.0.2.1");
        let mut via = parsed("SIP/2.0/UDP phone.example:5060;rport;branch=z9hG4bK1");
        via.note_source("[2001:db8::1]:40000".parse().unwrap());
        assert_eq!(
            (via.rport(), via.received()),
            (Some(40000), Some(Host::from("2001:db8::1".parse::<std::net::IpAddr>().unwrap())))
        );
    }

    #[test]
    fn broken_vias_are_refused() {
        for value in [
            "",
            ";",
            "SIP/2.0/UDP",
            "SIP/1.0/UDP a",
            "HTTP/2.0/UDP a",
            "SIP/2.0/UDP a:99999",
            "SIP/2.0/UDP a b",
            "SIP/2.0/UDP [::1",
        ] {
            assert!(Via::parse(&Text::from(value)).is_err(), "{value}");
        }
    }
}
