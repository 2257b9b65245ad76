//! Our side of a stream as `m=` sections: what we offer, what we take, and how we refuse a stream.

use super::negotiate::LocalMedia;
use super::remote::OfferedCodec;
use super::session::{Attribute, Connection, Direction, Media, Origin, Session};

/// Our telephone-event in offers; in answers it is the offerer's number.
pub(super) const OUR_DTMF_PAYLOAD_TYPE: u8 = 101;

/// The packet length we ask for.
const PTIME_MS: u16 = 20;

/// What an audio section of ours says.
pub(super) struct AudioSection<'a> {
    pub protocol: &'a str,
    pub local: LocalMedia,
    pub codecs: &'a [OfferedCodec],
    pub dtmf_payload_type: Option<u8>,
    pub direction: Direction,
    pub rtcp_mux: bool,
}

impl AudioSection<'_> {
    pub(super) fn to_media(&self) -> Media {
        let mut formats: Vec<String> = self.codecs.iter().map(|offered| offered.payload_type.to_string()).collect();
        let mut attributes: Vec<Attribute> = self.codecs.iter().map(rtpmap).collect();
        if let Some(payload_type) = self.dtmf_payload_type {
            formats.push(payload_type.to_string());
            attributes.push(Attribute::new("rtpmap", format!("{payload_type} telephone-event/8000")));
            attributes.push(Attribute::new("fmtp", format!("{payload_type} 0-15")));
        }
        attributes.push(Attribute::new("ptime", PTIME_MS.to_string()));
        attributes.push(Attribute::flag(self.direction.as_str()));
        if self.rtcp_mux {
            attributes.push(Attribute::flag("rtcp-mux"));
        } else if self.local.rtcp_port != self.local.rtp_port.saturating_add(1) {
            attributes.push(Attribute::new("rtcp", self.local.rtcp_port.to_string()));
        }
        Media { port: self.local.rtp_port, attributes, ..section("audio", self.protocol, formats) }
    }
}

/// A stream we do not want: port 0, and as many formats as the grammar needs (RFC 3264 §6).
pub(super) fn refused(kind: &str, protocol: &str, formats: &[String]) -> Media {
    let format = formats.first().cloned().unwrap_or_else(|| "0".into());
    section(kind, protocol, vec![format])
}

pub(super) fn session(session_id: u64, version: u64, local: LocalMedia, media: Vec<Media>) -> Session {
    let address = Connection { is_ipv6: local.address.is_ipv6(), host: local.address.to_string() };
    Session {
        origin: Origin { username: "-".into(), session_id, version, address: address.clone() },
        name: "-".into(),
        remarks: Vec::new(),
        connection: Some(address),
        bandwidths: Vec::new(),
        times: vec!["t=0 0".into()],
        attributes: Vec::new(),
        media,
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

fn rtpmap(offered: &OfferedCodec) -> Attribute {
    Attribute::new("rtpmap", format!("{} {}/8000", offered.payload_type, offered.codec.name()))
}
