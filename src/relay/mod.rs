//! Media threads: they own the RTP sockets, know each leg's true source, carry audio between legs, play sounds and copy
//! audio to taps. `media` decides what a packet means; `engine` decides who hears whom and says so by commands.

mod browser; //  one browser: ICE, DTLS, keys, pulse
mod browsers; // the port that all browsers of a thread share
mod command; //  the words: commands in, events out
mod dtls; //     the handshake with a browser
mod frame; //    a packet between two legs
mod graph; //    who hears whom
mod handle; //   the door: start, open, command
mod key_ear; //  keys that a far end sends as tones
mod keys; //     keys that we press for a far end
mod leg; //      one leg: what it says to us
mod net; //      epoll, eventfd, recvmmsg
mod places; //   the places of browser legs
mod ports; //    the pool of port pairs
mod render; //   several sources, or another codec, as one stream
mod score; //    how a leg fares, second by second
mod shield; //   a filter in the kernel against strangers
mod speech; //   one leg: what it hears from us
pub mod tap; //  frames for the recorder
mod thread; //   the loop
mod turn; //     what a leg says every 20 ms: keys, sounds, the mix
mod wheel; //    when the next 20 ms of each sound are due
mod wire; //     how a leg's packets travel: plain, with SRTP, as a browser's

pub use command::{
    BrowserPort, DtlsRole, Fingerprint, IceCredentials, MediaCommand, MediaEvent, MediaId, MediaPort, PlayKind, RemoteMedia,
    Secure,
};
pub use handle::{BrowserLimits, BrowsersExhausted, CommandRefused, PortsExhausted, Relay, RelayConfig, RelayError};
pub use score::LegSeconds;
pub use tap::{Channel, TAP_PAYLOAD_BYTES, TAP_RING_FRAMES, TapFrame};
