//! SDP: the text (RFC 8866) and the bargain (RFC 3264) about one audio stream. Knows SIP only as the carrier of bodies;
//! opens no port and sends nothing. Called by `gateway`'s legs, the test phone and tests.

mod describe; //  our description of a stream, as text
mod negotiate; // offers, answers, versions
mod parse; //     text to Session
mod remote; //    what a Session says about the far end's audio
mod session; //   the document itself

pub use negotiate::{Answer, LocalMedia, MediaSession, Wanted};
pub use parse::{MAX_STREAMS, SdpError};
pub use remote::RemoteMedia;
pub use session::{Attribute, Connection, Direction, Media, Origin, Session};

/// The body's Content-Type.
pub const CONTENT_TYPE: &str = "application/sdp";
