//! What a description says about the far end's audio: where, which codec, which way.

use std::net::{IpAddr, SocketAddr};

use super::parse::SdpError;
use super::session::{Connection, Direction, Media, Session};
use crate::media::codec::Codec;

/// The far end of an audio stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteMedia {
    /// Where it wants RTP.
    pub rtp: SocketAddr,
    /// Where it wants RTCP: `a=rtcp`, or the next port, or the RTP port with `rtcp_mux`.
    pub rtcp: SocketAddr,
    pub rtcp_mux: bool,
    pub codec: Codec,
    /// Of `codec`, in its numbering.
    pub payload_type: u8,
    /// Of telephone-event at 8 kHz, in its numbering; `None`: it takes none.
    pub dtmf_payload_type: Option<u8>,
    /// Seen by the far end: `SendOnly` means that it holds us.
    pub direction: Direction,
    /// The packet length it wants, 20 when it does not say.
    pub ptime_ms: u16,
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

/// A codec of a stream with its payload type there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OfferedCodec {
    pub codec: Codec,
    pub payload_type: u8,
}

/// An audio stream over plain RTP with a port.
pub(super) fn is_usable_audio(media: &Media) -> bool {
    let is_plain_rtp = ["RTP/AVP", "RTP/AVPF"].iter().any(|protocol| media.protocol.eq_ignore_ascii_case(protocol));
    media.kind == "audio" && media.port != 0 && is_plain_rtp
}

/// The codecs of the stream that we speak, in its order of preference.
pub(super) fn codecs(media: &Media) -> impl Iterator<Item = OfferedCodec> {
    media.formats.iter().filter_map(|format| {
        let payload_type = format.parse().ok().filter(|payload_type| *payload_type < 128)?;
        let codec = match media.rtpmap(format) {
            Some(map) => {
                let mut parts = map.split('/');
                let codec = Codec::from_name(parts.next()?.trim())?;
                let is_narrow_mono = parts.next() == Some("8000") && matches!(parts.next(), None | Some("1"));
                is_narrow_mono.then_some(codec)?
            }
            None => Codec::from_payload_type(payload_type)?,
        };
        // The relay passes on only the two laws as yet.
        let codec = Some(codec).filter(|codec| codec.is_g711())?;
        Some(OfferedCodec { codec, payload_type })
    })
}

/// The payload type of telephone-event at our clock rate (RFC 4733 §2.4.1).
pub(super) fn dtmf_payload_type(media: &Media) -> Option<u8> {
    media.formats.iter().find_map(|format| {
        let (name, clock) = media.rtpmap(format)?.split_once('/')?;
        let is_ours = name.eq_ignore_ascii_case("telephone-event") && matches!(clock, "8000" | "8000/1");
        is_ours.then(|| format.parse().ok().filter(|payload_type| *payload_type < 128)).flatten()
    })
}

/// The far end as `media` of `session` describes it, speaking `codec`.
pub(super) fn remote_media(session: &Session, media: &Media, chosen: OfferedCodec) -> Result<RemoteMedia, SdpError> {
    let connection = media.connection.as_ref().or(session.connection.as_ref()).ok_or(SdpError::NoAddress)?;
    let ip = usable_ip(connection)?;
    let rtp = SocketAddr::new(ip, media.port);
    let rtcp_mux = media.has_flag("rtcp-mux");
    let direction = Direction::among(&media.attributes).or(Direction::among(&session.attributes)).unwrap_or_default();
    Ok(RemoteMedia {
        rtp,
        rtcp: if rtcp_mux { rtp } else { rtcp_address(media, rtp) },
        rtcp_mux,
        codec: chosen.codec,
        payload_type: chosen.payload_type,
        dtmf_payload_type: dtmf_payload_type(media),
        // An address of zeros is how RFC 2543 put people on hold: nothing may be sent there (RFC 3264 §8.4).
        direction: if ip.is_unspecified() { direction.and(Direction::SendOnly) } else { direction },
        ptime_ms: media
            .attribute("ptime")
            .and_then(|value| value.trim().parse().ok())
            .filter(|ms| (5..=200).contains(ms))
            .unwrap_or(20),
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
