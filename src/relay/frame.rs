//! One packet on its way from the leg that said it to a leg that shall hear it, on the same media thread or across.

use super::command::MediaId;
use crate::media::codec::Codec;

/// The longest payload that is carried: Opus's largest frame of 20 ms (RFC 6716 §3.2.1), or 160 ms of G.711.
pub(super) const MAX_PAYLOAD_BYTES: usize = 1280;

/// Packets that may wait for one media thread from all others: 80 calls' audio for a second. When it is full, packets are
/// dropped and counted at the leg that said them.
pub(super) const CROSSING_FRAMES: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    Audio(Codec),
    /// RFC 3389: how silence sounds at the other side, from one who does not send it.
    ComfortNoise,
    /// RFC 4733.
    TelephoneEvent(HeardEvent),
    /// A key that was heard as a tone in the audio, by its event number; without a payload.
    Key(u8),
    /// The other way, from a listener to the leg that it hears; without a payload.
    Rendered(Rendered),
}

/// What a listener who is rendered made of one source: frames of 20 ms in which it was heard, and those of them that were
/// made up for what was missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rendered {
    pub frames: u16,
    pub concealed: u16,
}

/// What the source knows of a telephone-event packet beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeardEvent {
    /// The clock of its timestamp and duration.
    pub clock_hz: u32,
    /// The first packet of a press.
    pub is_first: bool,
}

/// A packet without its payload, in the numbers of the stream it came in.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameHead {
    pub from: MediaId,
    pub kind: FrameKind,
    pub marker: bool,
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
}

impl FrameHead {
    pub fn rendered(from: MediaId, rendered: Rendered) -> FrameHead {
        let kind = FrameKind::Rendered(rendered);
        FrameHead { from, kind, marker: false, ssrc: 0, sequence: 0, timestamp: 0 }
    }
}

/// What passes from one media thread to another.
pub(super) struct Crossing {
    pub to: MediaId,
    pub head: FrameHead,
    len: usize,
    payload: [u8; MAX_PAYLOAD_BYTES],
}

impl Crossing {
    /// `None` when the payload is too long.
    pub fn new(to: MediaId, head: FrameHead, bytes: &[u8]) -> Option<Crossing> {
        let mut payload = [0; MAX_PAYLOAD_BYTES];
        payload.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Crossing { to, head, len: bytes.len(), payload })
    }

    pub fn payload(&self) -> &[u8] {
        self.payload.get(..self.len).unwrap_or(&self.payload)
    }
}
