//! SDP: the text (RFC 8866) and the bargain (RFC 3264) about one audio stream. Knows SIP only as the carrier of bodies;
//! opens no port and sends nothing. Called by `gateway`'s legs, the test phone and tests.

mod crypto; //    keys in the SDP (RFC 4568)
mod describe; //  our description of a stream, as text
mod dtls; //      a browser: ICE, fingerprint, handshake
mod formats; //   payload types
mod negotiate; // offers, answers, versions
mod parse; //     text to Session
mod remote; //    what a Session says about the far end's audio
mod session; //   the document itself
#[cfg(test)]
mod tests;

pub use dtls::{DtlsRole, Fingerprint, IceCredentials, LocalBrowser};
pub use formats::Dtmf;
pub use negotiate::{Answer, LocalMedia, MediaSession, Wanted, distance};
pub use parse::{MAX_STREAMS, SdpError};
pub use remote::{Protection, RemoteMedia};
pub use session::{Attribute, Connection, Direction, Media, Origin, Session};

use crate::media::codec::Codec;

/// The body's Content-Type.
pub const CONTENT_TYPE: &str = "application/sdp";

/// What a far end is, as its offer shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FarEnd {
    /// RTP between two ports, perhaps with keys in the SDP.
    Phone,
    /// ICE and DTLS.
    Browser,
}

impl Session {
    /// What sent this: a browser when all its audio is DTLS.
    pub fn far_end(&self) -> FarEnd {
        let mut profiles = self.media.iter().filter_map(remote::profile_of).peekable();
        let is_browser = profiles.peek().is_some() && profiles.all(|profile| profile == remote::Profile::Dtls);
        if is_browser { FarEnd::Browser } else { FarEnd::Phone }
    }

    /// The codecs of the first audio stream that we know, in the offerer's order.
    pub fn audio_codecs(&self) -> Vec<Codec> {
        let audio = self.media.iter().find(|media| remote::profile_of(media).is_some());
        audio.map(|audio| formats::codecs(audio).map(|format| format.codec).collect()).unwrap_or_default()
    }

    /// Its first usable audio stream names comfort noise (RFC 3389) beside G.711.
    pub fn takes_comfort_noise(&self) -> bool {
        let audio = self.media.iter().find(|media| remote::profile_of(media).is_some());
        audio.is_some_and(|audio| formats::codecs(audio).any(|format| formats::comfort_noise_for(audio, format.codec).is_some()))
    }
}
