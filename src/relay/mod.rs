//! Media threads: sockets, latching, forwarding, players and taps.

pub mod tap;

pub use tap::{Channel, TAP_PAYLOAD_BYTES, TAP_RING_FRAMES, TapFrame};
