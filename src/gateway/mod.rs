//! ○ SIP to leg: what an INVITE and its session description mean for a call, and the call's wishes in SIP's words.
//! Below this room nobody knows SIP.

mod caller;
mod cause;
pub mod sdp;

pub use caller::{caller_from_trunk, dialled};
pub use cause::{is_worth_another_target, leg_failure, reason_for, status_for};

use crate::media::codec::Codec;

/// The codecs of an offer's first audio stream that we speak, in the offerer's order; empty when it cannot be read.
pub fn offered_codecs(offer: &[u8]) -> Vec<Codec> {
    let session = std::str::from_utf8(offer).ok().and_then(|text| sdp::Session::parse(text).ok());
    let audio = session.and_then(|session| session.media.into_iter().find(|media| media.kind == "audio" && media.port != 0));
    let formats = audio.map(|audio| audio.formats).unwrap_or_default();
    formats
        .iter()
        .filter_map(|format| [Codec::Pcma, Codec::Pcmu].into_iter().find(|codec| codec.payload_type().to_string() == *format))
        .collect()
}

/// Whether an answer to this offer could be made: it reads, and holds an audio stream that we speak.
pub fn is_answerable(offer: &[u8]) -> bool {
    let nowhere = sdp::LocalMedia { address: std::net::Ipv4Addr::UNSPECIFIED.into(), rtp_port: 2, rtcp_port: 3 };
    let wanted = sdp::Wanted { direction: sdp::Direction::SendRecv, codec: None };
    std::str::from_utf8(offer).is_ok_and(|text| sdp::MediaSession::new(0, nowhere, &[]).answer(text, wanted).is_ok())
}
