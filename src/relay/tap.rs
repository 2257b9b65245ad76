//! A tap: copies of the audio of one leg, from the media thread to the recorder, through one bounded ring a media
//! thread. It carries frames as they came and as they left; what becomes of them is the recorder's business.
//!
//! A tap that loses frames never harms the call. When the ring is full the frame is counted, and the next frame of
//! the same key and channel that gets through says how many are missing before it (`dropped_before`).

use std::collections::VecDeque;

use crate::media::codec::Codec;
use crate::types::Time;

/// Audio bytes a tap frame can hold: 40 ms of G.711. A longer packet comes as several frames; one of Opus is to be put together
/// again, for a piece of it means nothing.
pub const TAP_PAYLOAD_BYTES: usize = 320;

/// Frames one ring holds. At two channels of 50 frames a second it is 320 calls for a second: what a clerk that was kept
/// from the processor may owe. About 12 MiB a media thread, of which the kernel gives only what was ever used.
pub const TAP_RING_FRAMES: usize = 32_768;

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
    /// RTP time of the first sample, by the codec's clock (48,000 a second for Opus). A packet cut into several frames keeps
    /// its sequence number and counts this on by the bytes before, which for Opus is only an order.
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

/// One leg's tap, as its media thread keeps it.
#[derive(Clone, Copy, Debug)]
pub(super) struct TapPoint {
    key: u32,
    /// Frames lost since the last that got through, left and right.
    dropped: [u32; 2],
}

impl TapPoint {
    pub fn new(key: u32) -> TapPoint {
        TapPoint { key, dropped: [0; 2] }
    }
}

/// What one packet of audio is, beside its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct TapMoment {
    pub channel: Channel,
    pub arrival: Time,
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    pub codec: Codec,
}

/// The media thread's end of the ring.
pub(super) struct TapWriter {
    ring: rtrb::Producer<TapFrame>,
    /// Ends that found the ring full. When a recorder is dead for so long that this fills up too, further ends are lost:
    /// nobody is there to read them.
    waiting_ends: VecDeque<TapFrame>,
}

/// Ends that can wait for a place in the ring.
const WAITING_ENDS: usize = 1024;

impl TapWriter {
    pub fn new() -> (TapWriter, rtrb::Consumer<TapFrame>) {
        let (ring, consumer) = rtrb::RingBuffer::new(TAP_RING_FRAMES);
        (TapWriter { ring, waiting_ends: VecDeque::with_capacity(WAITING_ENDS) }, consumer)
    }

    /// Copies one packet's audio, in as many frames as it needs.
    pub fn write(&mut self, point: &mut TapPoint, moment: TapMoment, audio: &[u8]) {
        let mut timestamp = moment.timestamp;
        for piece in audio.chunks(TAP_PAYLOAD_BYTES) {
            let mut frame = frame(point, TapMoment { timestamp, ..moment });
            for (to, from) in frame.payload.iter_mut().zip(piece) {
                *to = *from;
            }
            frame.len = piece.len() as u16;
            timestamp = timestamp.wrapping_add(piece.len() as u32);
            let dropped = dropped_of(point, moment.channel);
            match self.ring.push(frame) {
                Ok(()) => *dropped = 0,
                Err(_) => *dropped = dropped.saturating_add(1),
            }
        }
    }

    /// Marks the end of a tap on both channels.
    pub fn end(&mut self, mut point: TapPoint, at: Time) {
        for channel in [Channel::Left, Channel::Right] {
            let moment = TapMoment { channel, arrival: at, ssrc: 0, sequence: 0, timestamp: 0, codec: Codec::Pcma };
            if self.waiting_ends.len() < WAITING_ENDS {
                self.waiting_ends.push_back(frame(&mut point, moment));
            }
        }
        self.deliver_ends();
    }

    /// Tries again to deliver ends that found the ring full.
    pub fn deliver_ends(&mut self) {
        while let Some(end) = self.waiting_ends.front() {
            if self.ring.push(*end).is_err() {
                return;
            }
            self.waiting_ends.pop_front();
        }
    }
}

fn dropped_of(point: &mut TapPoint, channel: Channel) -> &mut u32 {
    let [left, right] = &mut point.dropped;
    match channel {
        Channel::Left => left,
        Channel::Right => right,
    }
}

fn frame(point: &mut TapPoint, moment: TapMoment) -> TapFrame {
    TapFrame {
        key: point.key,
        channel: moment.channel,
        arrival: moment.arrival,
        ssrc: moment.ssrc,
        sequence: moment.sequence,
        timestamp: moment.timestamp,
        codec: moment.codec,
        dropped_before: *dropped_of(point, moment.channel),
        len: 0,
        payload: [0; TAP_PAYLOAD_BYTES],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(channel: Channel, sequence: u16) -> TapMoment {
        TapMoment { channel, arrival: Time::ZERO, ssrc: 1, sequence, timestamp: 1000, codec: Codec::Pcmu }
    }

    #[test]
    fn a_long_packet_comes_as_several_frames_whose_time_goes_on() {
        let (mut writer, mut reader) = TapWriter::new();
        writer.write(&mut TapPoint::new(7), moment(Channel::Left, 5), &[9; 480]);
        let (one, two) = (reader.pop().unwrap(), reader.pop().unwrap());
        assert_eq!((one.key, one.timestamp, one.audio().len()), (7, 1000, 320));
        assert_eq!((two.sequence, two.timestamp, two.audio()), (5, 1320, &[9; 160][..]));
        assert!(reader.pop().is_err());
    }

    #[test]
    fn frames_that_found_the_ring_full_are_counted_in_the_next_of_their_channel() {
        let (mut writer, mut reader) = TapWriter::new();
        let mut point = TapPoint::new(7);
        for sequence in 0..TAP_RING_FRAMES as u16 + 3 {
            writer.write(&mut point, moment(Channel::Left, sequence), &[1; 160]);
        }
        writer.write(&mut point, moment(Channel::Right, 0), &[1; 160]);
        while reader.slots() > 2 {
            assert_eq!(reader.pop().unwrap().dropped_before, 0);
        }
        writer.write(&mut point, moment(Channel::Left, 9999), &[1; 160]);
        writer.write(&mut point, moment(Channel::Left, 10000), &[1; 160]);
        let dropped: Vec<_> = std::iter::from_fn(|| reader.pop().ok()).map(|frame| frame.dropped_before).collect();
        assert_eq!(dropped, [0, 0, 3, 0]);
        writer.end(point, Time::ZERO);
        let (left, right) = (reader.pop().unwrap(), reader.pop().unwrap());
        assert!(left.is_end() && right.is_end());
        assert_eq!((left.dropped_before, right.channel, right.dropped_before), (0, Channel::Right, 1));
    }

    #[test]
    fn an_end_waits_until_the_ring_has_room() {
        let (mut writer, mut reader) = TapWriter::new();
        let mut point = TapPoint::new(7);
        (0..TAP_RING_FRAMES as u16).for_each(|sequence| writer.write(&mut point, moment(Channel::Left, sequence), &[1]));
        writer.end(point, Time::ZERO);
        (0..TAP_RING_FRAMES).for_each(|_| assert!(!reader.pop().unwrap().is_end()));
        assert!(reader.pop().is_err());
        writer.deliver_ends();
        assert!(reader.pop().unwrap().is_end() && reader.pop().unwrap().is_end());
    }
}
