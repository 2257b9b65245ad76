//! Media threads: they own the RTP sockets, know each leg's true source, carry audio between legs, play sounds and copy
//! audio to taps. `media` decides what a packet means; `engine` decides who hears whom and says so by commands.

mod command; //  the words: commands in, events out
mod handle; //   start, open, command
pub mod tap; //  frames for the recorder

pub use command::{MediaCommand, MediaEvent, MediaId, MediaPort, PlayKind, RemoteMedia};
pub use handle::{CommandRefused, PortsExhausted, Relay, RelayConfig, RelayError};
pub use tap::{Channel, TAP_PAYLOAD_BYTES, TAP_RING_FRAMES, TapFrame};
