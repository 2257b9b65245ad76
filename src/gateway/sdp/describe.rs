//! Our side of a stream as `m=` sections: what we offer, what we take, and how we refuse a stream.

use std::net::IpAddr;

use super::crypto::{self, Crypto};
use super::dtls::{self, LocalBrowser};
use super::formats::{self, Dtmf, Format};
use super::negotiate::{Local, LocalMedia};
use super::session::{Attribute, Connection, Direction, Media, Origin, Session};

/// The packet length we ask for.
const PTIME_MS: u16 = 20;

/// Names our stream towards browsers, which want every stream to have a name (RFC 8830).
const MSID: &str = "perezvon audio";

/// What an audio section of ours says.
pub(super) struct AudioSection<'a> {
    pub protocol: &'a str,
    pub local: &'a Local,
    pub formats: &'a [Format],
    pub dtmf: &'a [Dtmf],
    pub comfort_noise: Option<u8>,
    pub cryptos: &'a [Crypto],
    pub direction: Direction,
    pub rtcp_mux: bool,
    /// Of a browser's handshake.
    pub setup: &'a str,
    /// The stream's name in a bundle (RFC 5888).
    pub mid: Option<&'a str>,
}

impl AudioSection<'_> {
    pub(super) fn to_media(&self) -> Media {
        let payload_types = self.formats.iter().map(|format| format.payload_type);
        let events = self.dtmf.iter().map(|dtmf| dtmf.payload_type);
        let numbers = payload_types.chain(self.comfort_noise).chain(events).map(|number| number.to_string());
        let mut lines: Vec<Attribute> = self.formats.iter().flat_map(formats::describe).collect();
        lines.extend(self.comfort_noise.map(formats::describe_comfort_noise));
        lines.extend(self.dtmf.iter().flat_map(formats::describe_dtmf));
        lines.push(Attribute::new("ptime", PTIME_MS.to_string()));
        lines.push(Attribute::flag(self.direction.as_str()));
        lines.extend(self.cryptos.iter().map(crypto::describe));
        let port = match self.local {
            Local::Phone(local) => {
                lines.extend(self.rtcp(*local));
                local.rtp_port
            }
            Local::Browser(local) => {
                lines.extend(self.browser(local));
                local.port
            }
        };
        Media { port, attributes: lines, ..section("audio", self.protocol, numbers.collect()) }
    }

    fn rtcp(&self, local: LocalMedia) -> Option<Attribute> {
        match self.rtcp_mux {
            true => Some(Attribute::flag("rtcp-mux")),
            false if local.rtcp_port == local.rtp_port.saturating_add(1) => None,
            false => Some(Attribute::new("rtcp", local.rtcp_port.to_string())),
        }
    }

    fn browser(&self, local: &LocalBrowser) -> Vec<Attribute> {
        let mut lines: Vec<Attribute> = self.mid.iter().map(|mid| Attribute::new("mid", *mid)).collect();
        lines.push(Attribute::flag("rtcp-mux"));
        lines.push(Attribute::new("msid", MSID));
        lines.extend(dtls::describe(local, self.setup));
        lines
    }
}

/// A stream we do not want: port 0, and as many formats as the grammar needs (RFC 3264 §6).
pub(super) fn refused(kind: &str, protocol: &str, formats: &[String], mid: Option<&str>) -> Media {
    let format = formats.first().cloned().unwrap_or_else(|| "0".into());
    let attributes = mid.map(|mid| Attribute::new("mid", mid)).into_iter().collect();
    Media { attributes, ..section(kind, protocol, vec![format]) }
}

/// The whole. `bundle`: the name of the one stream in the bundle, when there is one.
pub(super) fn session(session_id: u64, version: u64, local: &Local, media: Vec<Media>, bundle: Option<&str>) -> Session {
    let address = local.address();
    let address = Connection { is_ipv6: address.is_ipv6(), host: address.to_string() };
    let mut attributes = Vec::new();
    if matches!(local, Local::Browser(_)) {
        attributes.push(Attribute::flag("ice-lite"));
        attributes.extend(bundle.map(|mid| Attribute::new("group", format!("BUNDLE {mid}"))));
        attributes.push(Attribute::new("msid-semantic", " WMS *"));
    }
    Session {
        origin: Origin { username: "-".into(), session_id, version, address: address.clone() },
        name: "-".into(),
        remarks: Vec::new(),
        connection: Some(address),
        bandwidths: Vec::new(),
        times: vec!["t=0 0".into()],
        attributes,
        media,
    }
}

impl Local {
    /// The address that stands in the connection line.
    fn address(&self) -> IpAddr {
        match self {
            Local::Phone(local) => local.address,
            Local::Browser(local) => local.addresses.first().copied().unwrap_or(IpAddr::from([0, 0, 0, 0])),
        }
    }
}

fn section(kind: &str, protocol: &str, formats: Vec<String>) -> Media {
    Media {
        kind: kind.into(),
        port: 0,
        protocol: protocol.into(),
        formats,
        remarks: Vec::new(),
        connection: None,
        bandwidths: Vec::new(),
        attributes: Vec::new(),
    }
}
