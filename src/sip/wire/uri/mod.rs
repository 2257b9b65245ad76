//! URIs as SIP carries them: `sip:`, `sips:`, `tel:` and whatever else (RFC 3261 §19.1, RFC 3966). User, password and
//! header parts are kept escaped as they were written; ask the `*_decoded` accessors for plain text.

mod equality;
mod escape;
mod parse;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub use escape::{decode, encode_header, encode_user};
pub(in crate::sip::wire) use parse::host_port_of;

use super::{Param, Params, Text, Transport, UriError};

/// Any URI. `==` compares what is written, letter by letter; `is_equivalent` compares as RFC 3261 §19.1.4 wants.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Uri {
    Sip(SipUri),
    Tel(TelUri),
    Other(OtherUri),
}

/// `sip:` or `sips:`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SipUri {
    /// `sips:`
    pub is_secure: bool,
    /// Escaped, as written.
    pub user: Option<Text>,
    /// Escaped, as written.
    pub password: Option<Text>,
    pub host: Host,
    pub port: Option<u16>,
    pub params: Params,
    /// `?name=value&…`, escaped, as written.
    pub headers: Vec<(Text, Text)>,
}

/// `tel:`
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TelUri {
    /// With its visual separators, as written.
    pub number: Text,
    pub params: Params,
}

/// A scheme we do not read (`http:`, `urn:`, …).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OtherUri {
    pub scheme: Text,
    /// After the colon.
    pub rest: Text,
}

/// A host name (no final claim that it resolves) or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    Name(Text),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

impl Uri {
    /// Reads a whole URI: no angle brackets, no white space around it.
    pub fn parse(text: &Text) -> Result<Uri, UriError> {
        parse::uri(text)
    }

    pub fn as_sip(&self) -> Option<&SipUri> {
        match self {
            Uri::Sip(uri) => Some(uri),
            _ => None,
        }
    }

    /// The user part of `sip:` (escaped, as written) or the number of `tel:`.
    pub fn user(&self) -> Option<&Text> {
        match self {
            Uri::Sip(uri) => uri.user.as_ref(),
            Uri::Tel(uri) => Some(&uri.number),
            Uri::Other(_) => None,
        }
    }

    /// As `user`, unescaped: for people and for looking numbers up.
    pub fn user_decoded(&self) -> Option<Text> {
        match self {
            Uri::Sip(uri) => uri.user_decoded(),
            Uri::Tel(uri) => Some(uri.number.clone()),
            Uri::Other(_) => None,
        }
    }

    pub fn host(&self) -> Option<&Host> {
        self.as_sip().map(|uri| &uri.host)
    }

    pub fn scheme(&self) -> &str {
        match self {
            Uri::Sip(uri) if uri.is_secure => "sips",
            Uri::Sip(_) => "sip",
            Uri::Tel(_) => "tel",
            Uri::Other(uri) => &uri.scheme,
        }
    }

    /// The same resource by RFC 3261 §19.1.4. Not transitive, hence no `PartialEq`.
    pub fn is_equivalent(&self, other: &Uri) -> bool {
        equality::is_equivalent(self, other)
    }
}

impl SipUri {
    pub fn new(host: Host) -> SipUri {
        SipUri { is_secure: false, user: None, password: None, host, port: None, params: Params::new(), headers: Vec::new() }
    }

    /// `sip:address:port`
    pub fn from_address(address: SocketAddr) -> SipUri {
        SipUri { port: Some(address.port()), ..SipUri::new(Host::from(address.ip())) }
    }

    /// `user` is plain text and gets escaped.
    pub fn with_user(mut self, user: &str) -> SipUri {
        self.user = (!user.is_empty()).then(|| encode_user(user));
        self
    }

    /// UDP is the default and is not written.
    pub fn with_transport(mut self, transport: Transport) -> SipUri {
        match transport {
            Transport::Udp => self.params.remove("transport"),
            other => self.params.set(Param::uri("transport", Some(Text::constant(other.uri_param())))),
        }
        self
    }

    pub fn user_decoded(&self) -> Option<Text> {
        self.user.as_ref().map(decode)
    }

    /// The `transport` parameter; `None` when absent or unknown to us.
    pub fn transport(&self) -> Option<Transport> {
        self.params.get("transport").and_then(|value| Transport::parse(value))
    }

    /// Loose routing: the `lr` parameter, with or without a value.
    pub fn is_loose_router(&self) -> bool {
        self.params.has("lr")
    }

    /// A URI header by name, decoded: `?Replaces=…`
    pub fn header(&self, name: &str) -> Option<Text> {
        self.headers.iter().find(|(own, _)| decode(own).eq_ignore_ascii_case(name)).map(|(_, value)| decode(value))
    }
}

impl Host {
    /// A name, an IPv4 address or an IPv6 address with or without brackets.
    pub fn parse(text: &Text) -> Result<Host, UriError> {
        parse::host(text)
    }

    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Host::Name(_) => None,
            Host::V4(ip) => Some(IpAddr::V4(*ip)),
            Host::V6(ip) => Some(IpAddr::V6(*ip)),
        }
    }
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Host::V4(ip),
            IpAddr::V6(ip) => Host::V6(ip),
        }
    }
}

impl From<SipUri> for Uri {
    fn from(uri: SipUri) -> Self {
        Uri::Sip(uri)
    }
}

impl std::str::FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uri::parse(&Text::from(text))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::V4(ip) => ip.fmt(f),
            Host::V6(ip) => write!(f, "[{ip}]"),
        }
    }
}

impl fmt::Display for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_secure { "sips:" } else { "sip:" })?;
        if let Some(user) = &self.user {
            f.write_str(user)?;
            if let Some(password) = &self.password {
                write!(f, ":{password}")?;
            }
            f.write_str("@")?;
        }
        self.host.fmt(f)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.params.fmt(f)?;
        for (index, (name, value)) in self.headers.iter().enumerate() {
            write!(f, "{}{name}={value}", if index == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Uri::Sip(uri) => uri.fmt(f),
            Uri::Tel(uri) => write!(f, "tel:{}{}", uri.number, uri.params),
            Uri::Other(uri) => write!(f, "{}:{}", uri.scheme, uri.rest),
        }
    }
}
