//! ○ SIP to leg: what an INVITE and its session description mean for a call, and the call's wishes in SIP's words.
//! Below this room nobody knows SIP.

mod caller;
mod cause;
mod keys;
pub mod sdp;

pub use caller::{caller_from_trunk, dialled};
pub use cause::{is_worth_another_target, leg_failure, reason_for, status_for};
pub use keys::{info_of_key, key_of_info};
pub use sdp::distance;

use sdp::{FarEnd, Fingerprint, IceCredentials, LocalBrowser, LocalMedia, MediaSession, Session, Wanted};

use crate::media::codec::Codec;
use crate::site::{Srtp, Trunk, User};

/// What a leg may be offered and may answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// In the order of our offers.
    pub codecs: Vec<Codec>,
    /// Of phones and carriers.
    pub srtp: Srtp,
}

impl Terms {
    pub fn of_user(user: &User) -> Terms {
        Terms { codecs: user.codecs.clone(), srtp: user.srtp }
    }

    pub fn of_trunk(trunk: &Trunk) -> Terms {
        Terms { codecs: trunk.codecs.clone(), srtp: trunk.srtp }
    }
}

/// An INVITE's offer, read as far as it matters before it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub far_end: FarEnd,
    /// Those that we know, in the offerer's order.
    pub codecs: Vec<Codec>,
    /// It takes comfort noise (RFC 3389).
    pub comfort_noise: bool,
}

impl Offer {
    /// `None` when it cannot be read.
    pub fn read(offer: &[u8]) -> Option<Offer> {
        let session = Session::parse(std::str::from_utf8(offer).ok()?).ok()?;
        Some(Offer { far_end: session.far_end(), codecs: session.audio_codecs(), comfort_noise: session.takes_comfort_noise() })
    }
}

/// Whether an answer to this offer could be made on these terms.
pub fn is_answerable(offer: &[u8], terms: &Terms) -> bool {
    let (Some(read), Ok(text)) = (Offer::read(offer), std::str::from_utf8(offer)) else { return false };
    let nowhere = std::net::Ipv4Addr::UNSPECIFIED.into();
    let mut trial = match read.far_end {
        FarEnd::Phone => {
            let local = LocalMedia { address: nowhere, rtp_port: 2, rtcp_port: 3 };
            MediaSession::new(0, local, &terms.codecs).with_srtp(terms.srtp, [0; 32])
        }
        FarEnd::Browser => {
            let ice = IceCredentials { ufrag: String::new(), password: String::new() };
            let local = LocalBrowser { addresses: vec![nowhere], port: 2, ice, fingerprint: Fingerprint([0; 32]) };
            MediaSession::for_browser(0, local, &terms.codecs)
        }
    };
    trial.answer(text, Wanted::default()).is_ok()
}
