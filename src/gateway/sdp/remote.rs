//! What a description says about the far end's audio: where, which codec, which way, how protected.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::dtls::{DtlsRole, Fingerprint, IceCredentials};
use super::formats::{self, Dtmf, Format};
use super::parse::SdpError;
use super::session::{Connection, Direction, Media, Session};
use crate::media::codec::Codec;
use crate::media::srtp::MasterKey;

/// The far end of an audio stream, as both have agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteMedia {
    /// Where it wants RTP. Says nothing for a browser, which is found by ICE.
    pub rtp: SocketAddr,
    /// Where it wants RTCP: `a=rtcp`, or the next port, or the RTP port with `rtcp_mux`.
    pub rtcp: SocketAddr,
    pub rtcp_mux: bool,
    pub codec: Codec,
    /// Of `codec`, in its numbering.
    pub payload_type: u8,
    /// Other codecs that the far end may change to at any packet, with their payload types.
    pub others: Vec<(u8, Codec)>,
    /// `None`: it takes no telephone-events.
    pub dtmf: Option<Dtmf>,
    /// Of comfort noise (RFC 3389), when both know it.
    pub comfort_noise: Option<u8>,
    /// Seen by the far end: `SendOnly` means that it holds us.
    pub direction: Direction,
    /// The packet length it wants, 20 when it does not say; never above the longest it takes.
    pub ptime_ms: u16,
    pub protection: Protection,
}

/// How the audio is protected, both ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protection {
    None,
    /// Keys from the SDP, of one profile.
    Sdes {
        ours: MasterKey,
        theirs: MasterKey,
    },
    /// A browser: keys by DTLS.
    Dtls {
        fingerprint: Fingerprint,
        we_are: DtlsRole,
        theirs: IceCredentials,
    },
}

/// How a stream's protocol protects it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    Plain,
    Sdes,
    Dtls,
}

impl RemoteMedia {
    /// The far end sends audio to us.
    pub fn sends(&self) -> bool {
        self.direction.sends()
    }

    /// The far end takes audio from us.
    pub fn receives(&self) -> bool {
        self.direction.receives()
    }

    /// The far end put us on hold: it does not listen.
    pub fn is_holding(&self) -> bool {
        !self.receives()
    }
}

/// `None`: not an audio stream, one that is not wanted, or one by something else than RTP.
pub(super) fn profile_of(media: &Media) -> Option<Profile> {
    if media.kind != "audio" || media.port == 0 {
        return None;
    }
    let is = |names: [&str; 2]| names.iter().any(|name| media.protocol.eq_ignore_ascii_case(name));
    match () {
        () if is(["RTP/AVP", "RTP/AVPF"]) => Some(Profile::Plain),
        () if is(["RTP/SAVP", "RTP/SAVPF"]) => Some(Profile::Sdes),
        () if is(["UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF"]) => Some(Profile::Dtls),
        () => None,
    }
}

/// The far end as `media` of `session` describes it, speaking `chosen`.
pub(super) fn remote_media(
    session: &Session,
    media: &Media,
    chosen: Format,
    protection: Protection,
) -> Result<RemoteMedia, SdpError> {
    let is_browser = matches!(protection, Protection::Dtls { .. });
    let ip = match media.connection.as_ref().or(session.connection.as_ref()) {
        // Whatever stands there (a name, zeros, an address long gone), a browser is found by ICE, and does not hold by it.
        _ if is_browser => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Some(connection) => usable_ip(connection)?,
        None => return Err(SdpError::NoAddress),
    };
    let rtp = SocketAddr::new(ip, media.port);
    let rtcp_mux = media.has_flag("rtcp-mux");
    let direction = Direction::among(&media.attributes).or(Direction::among(&session.attributes)).unwrap_or_default();
    let milliseconds = |name: &str| -> Option<u16> {
        media.attribute(name).and_then(|value| value.trim().parse().ok()).filter(|ms| (5..=200).contains(ms))
    };
    Ok(RemoteMedia {
        rtp,
        rtcp: if rtcp_mux { rtp } else { rtcp_address(media, rtp) },
        rtcp_mux,
        codec: chosen.codec,
        payload_type: chosen.payload_type,
        others: Vec::new(),
        dtmf: formats::dtmf_for(media, chosen.codec),
        comfort_noise: formats::comfort_noise_for(media, chosen.codec),
        // An address of zeros is how RFC 2543 put people on hold: nothing may be sent there (RFC 3264 §8.4).
        direction: if ip.is_unspecified() && !is_browser { direction.and(Direction::SendOnly) } else { direction },
        ptime_ms: milliseconds("ptime").unwrap_or(20).min(milliseconds("maxptime").unwrap_or(u16::MAX)),
        protection,
    })
}

fn usable_ip(connection: &Connection) -> Result<IpAddr, SdpError> {
    let ip: IpAddr = connection.host.parse().map_err(|_| SdpError::NoAddress)?;
    let ip = ip.to_canonical();
    // Sending a call to a group of strangers is no telephony.
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    if ip.is_multicast() || is_broadcast { Err(SdpError::NoAddress) } else { Ok(ip) }
}

/// `a=rtcp:port [IN IP4 address]` (RFC 3605), else the next port.
fn rtcp_address(media: &Media, rtp: SocketAddr) -> SocketAddr {
    let next = SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1));
    let Some(value) = media.attribute("rtcp") else { return next };
    let mut words = value.split_ascii_whitespace();
    let Some(port) = words.next().and_then(|port| port.parse().ok()).filter(|port| *port != 0) else { return next };
    let own_ip = words.nth(2).and_then(|host| host.parse::<IpAddr>().ok()).map(|ip| ip.to_canonical());
    // An RTCP address of another kind of its own would aim our reports at a stranger: only the port is believed then.
    SocketAddr::new(own_ip.filter(|ip| *ip == rtp.ip()).unwrap_or(rtp.ip()), port)
}
