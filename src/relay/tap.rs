//! A tap: copies of the audio of one leg, from the media thread to the recorder, through one bounded ring a media
//! thread. It carries frames as they came and as they left; what becomes of them is the recorder's business.
//!
//! A tap that loses frames never harms the call. When the ring is full the frame is counted, and the next frame of
//! the same key and channel that gets through says how many are missing before it (`dropped_before`).

use crate::media::codec::Codec;
use crate::types::Time;

/// Audio bytes a tap frame can hold: 40 ms of G.711. A longer packet comes as several frames.
pub const TAP_PAYLOAD_BYTES: usize = 320;

/// Frames one ring holds. At two channels of 50 frames a second it is 80 calls for a second, or 800 for a tenth.
pub const TAP_RING_FRAMES: usize = 8192;

/// Which side of the recording a frame belongs to (INTERFACES, "Meaning of a recording").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Received from the tapped leg: its latched source only, audio only.
    Left,
    /// Sent to the tapped leg: the bridged peer's audio and prompts; never music or ringback.
    Right,
}

/// One piece of audio of one tapped leg.
#[derive(Clone, Copy, Debug)]
pub struct TapFrame {
    /// The key given with `MediaCommand::Tap`.
    pub key: u32,
    pub channel: Channel,
    /// When the packet was received (left) or sent (right).
    pub arrival: Time,
    /// Left: the sender's; right: our own stream's.
    pub ssrc: u32,
    pub sequence: u16,
    /// RTP time of the first sample, at 8,000 a second. A packet cut into several frames keeps its sequence number
    /// and counts this on.
    pub timestamp: u32,
    pub codec: Codec,
    /// Frames of this key and channel that were lost since the last one that got through, because the ring was full.
    pub dropped_before: u32,
    /// Bytes of `payload` in use; zero marks the end of the tap (see [`TapFrame::is_end`]).
    pub len: u16,
    pub payload: [u8; TAP_PAYLOAD_BYTES],
}

impl TapFrame {
    /// The coded audio.
    pub fn audio(&self) -> &[u8] {
        self.payload.get(..usize::from(self.len)).unwrap_or(&self.payload)
    }

    /// The tap has ended (`Untap`, `Close`, or the key was replaced): no frame with this key follows on this channel.
    /// It comes once for each channel, is repeated until the ring takes it, and carries the last `dropped_before`.
    pub fn is_end(&self) -> bool {
        self.len == 0
    }
}
