//! One side of a recording: places coded frames on the time line and gives the samples out in order. What is ripe is
//! decoded by `voices`, in the order it was said. It knows no file and no clock; the clerk feeds it and takes what is ripe.
//!
//! The time line is our monotonic clock (INTERFACES, "Meaning of a recording"). A segment is a run of one SSRC, anchored
//! where its first frame arrived; later frames stand where their RTP time puts them, so jitter and reordering leave no
//! trace, and the line follows the sender's clock against ours (`drift`). A frame more than 80 ms off its arrival is a
//! suspect. Suspects are held back until it is plain what they are:
//!
//! ```text
//! a frame within 80 ms follows        they were late: placed by the segment's line
//! they keep coming, evenly off        the sender's clock jumped or drifted: the segment is anchored anew at the first
//! nothing follows                     the same
//! ```

use std::collections::VecDeque;

use super::drift::Drift;
use super::voices::{MOST_NUDGED, Voices};
use crate::media::codec::Codec;
use crate::media::coder::duration_ticks;
use crate::relay::tap::TapFrame;
use crate::types::Time;

/// Positions in one millisecond of the time line, whatever the file's rate.
pub const SAMPLES_PER_MS: i64 = 8;
/// How far a segment may be off its arrival before it is anchored anew.
const TOLERANCE: i64 = 80 * SAMPLES_PER_MS;
/// Suspects that have arrived over this long and this evenly are a jump, not a late burst (which arrives all at once).
const EVEN_OVER: i64 = 60 * SAMPLES_PER_MS;
const EVEN_WITHIN: i64 = 30 * SAMPLES_PER_MS;
/// Suspects arriving for this long with nothing ordinary between them are a jump, however uneven.
const PATIENCE: i64 = 150 * SAMPLES_PER_MS;
/// Most suspects held; the oldest is then placed by the segment's line.
const MAX_SUSPECTS: usize = 32;
/// After a change of SSRC, frames of the former one are still placed by its line for this long.
const STRAGGLERS: i64 = 1000 * SAMPLES_PER_MS;
/// How far ahead of what was taken a frame may stand: a minute, far more than a clerk that is behind. What lies beyond is
/// dropped, and so is what comes when this many frames wait: a minute of packets of 20 ms.
const MOST_AHEAD: i64 = 60_000 * SAMPLES_PER_MS;
const MOST_WAITING: usize = 3000;

/// A line between RTP time and the time line.
#[derive(Clone, Copy, Debug)]
struct Segment {
    stream: Stream,
    /// The newest RTP time seen and where it stands.
    timestamp: u32,
    position: i64,
}

/// What shares one line: a sender's stream at one clock. A codec with another clock is another stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stream {
    ssrc: u32,
    clock_hz: u32,
}

impl Segment {
    fn position_of(&self, timestamp: u32) -> i64 {
        // RTP time wraps around; within half its range the difference is right either way (RFC 3550 §5.1).
        let ticks = i64::from(timestamp.wrapping_sub(self.timestamp).cast_signed());
        self.position + ticks * SAMPLES_PER_MS * 1000 / i64::from(self.stream.clock_hz)
    }
}

/// A coded frame, with its arrival on the time line.
#[derive(Clone, Debug)]
struct Heard {
    arrival: i64,
    stream: Stream,
    sequence: u16,
    timestamp: u32,
    codec: Codec,
    audio: Box<[u8]>,
}

/// A coded frame in its place, waiting to be ripe.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub position: i64,
    /// Positions it covers.
    pub length: i64,
    pub ssrc: u32,
    pub sequence: u16,
    pub codec: Codec,
    /// Begins a run that does not go on from what is before it.
    pub begins: bool,
    pub audio: Box<[u8]>,
}

/// See the file's head. Positions count 8,000 a second from the start of the recording.
#[derive(Debug)]
pub struct Track {
    started: Time,
    /// In the order of their positions.
    placed: VecDeque<Placed>,
    voices: Voices,
    taken: i64,
    segment: Option<Segment>,
    drift: Drift,
    /// The number of the packet that `drift` has seen last.
    timed: Option<u16>,
    /// Number and end of the frame that stands furthest on.
    newest: (u16, i64),
    former: Option<(Segment, i64)>,
    suspects: Vec<Heard>,
    /// Frames that came too late to be placed, for the log.
    late_frames: u64,
}

impl Track {
    /// For a file of `hz` samples a second, 8,000 or 16,000.
    pub fn new(started: Time, hz: u32) -> Self {
        Track {
            started,
            placed: VecDeque::new(),
            voices: Voices::new(hz),
            taken: 0,
            segment: None,
            drift: Drift::default(),
            timed: None,
            newest: (0, 0),
            former: None,
            suspects: Vec::new(),
            late_frames: 0,
        }
    }

    /// Frames dropped because their place had been taken already.
    pub fn late_frames(&self) -> u64 {
        self.late_frames
    }

    /// Places one frame. Any order, any SSRC, any RTP time.
    pub fn insert(&mut self, frame: &TapFrame) {
        let heard = hear(frame, position_at(self.started, frame.arrival));
        let Some(segment) = self.segment else {
            return self.anchor(heard);
        };
        if segment.stream != heard.stream {
            return self.insert_of_other_stream(segment, heard);
        }
        let position = segment.position_of(heard.timestamp);
        if (position - heard.arrival).abs() <= TOLERANCE {
            self.place_suspects();
            self.advance(&heard, position);
            self.follow_clock(&heard, position);
            self.place(heard, position, false);
        } else {
            self.suspect(heard);
        }
    }

    /// Everything up to `until` in order, gaps as silence, in samples of the file. What arrives for that stretch afterwards
    /// is too late.
    pub fn take(&mut self, until: i64, out: &mut Vec<i16>) {
        // Nothing ordinary followed in time: the suspects are where they arrived.
        if self.suspects.first().is_some_and(|first| first.arrival < until) {
            self.anchor_anew();
        }
        while let Some(frame) = self.placed.pop_front() {
            // The line may have moved over the edge by what a frame takes up.
            if frame.position >= until + MOST_NUDGED {
                self.voices.bridge(&frame, until);
                self.placed.push_front(frame);
                break;
            }
            self.voices.say(frame, &mut self.placed);
        }
        self.voices.take(until, out);
        self.taken = self.taken.max(until);
    }

    fn insert_of_other_stream(&mut self, segment: Segment, heard: Heard) {
        if let Some((former, since)) = self.former
            && former.stream == heard.stream
            && heard.arrival - since <= STRAGGLERS
        {
            let position = former.position_of(heard.timestamp);
            if (position - heard.arrival).abs() <= STRAGGLERS {
                return self.place(heard, position, false);
            }
        }
        self.place_suspects();
        self.former = Some((segment, heard.arrival));
        // A speaker who only takes another codec, with another clock, goes on where they were.
        let (newest, end) = self.newest;
        let goes_on = segment.stream.ssrc == heard.stream.ssrc && heard.sequence == newest.wrapping_add(1);
        if goes_on && (end - heard.arrival).abs() <= TOLERANCE {
            return self.anchor_at(heard, end, false);
        }
        self.anchor(heard);
    }

    /// A new segment starts where the frame arrived.
    fn anchor(&mut self, heard: Heard) {
        let position = heard.arrival;
        self.anchor_at(heard, position, true);
    }

    fn anchor_at(&mut self, heard: Heard, position: i64, begins: bool) {
        self.segment = Some(Segment { stream: heard.stream, timestamp: heard.timestamp, position });
        self.drift = Drift::default();
        self.place(heard, position, begins);
    }

    fn suspect(&mut self, heard: Heard) {
        if self.suspects.len() >= MAX_SUSPECTS {
            let oldest = self.suspects.remove(0);
            self.place_by_segment(oldest, false);
        }
        self.suspects.push(heard);
        let (Some(segment), Some(first), Some(last)) = (self.segment, self.suspects.first(), self.suspects.last()) else {
            return;
        };
        let over = last.arrival - first.arrival;
        let offsets = self.suspects.iter().map(|heard| segment.position_of(heard.timestamp) - heard.arrival);
        let (least, most) = offsets.fold((i64::MAX, i64::MIN), |(least, most), off| (least.min(off), most.max(off)));
        let is_even = over >= EVEN_OVER && most - least <= EVEN_WITHIN;
        if is_even || over >= PATIENCE {
            self.anchor_anew();
        }
    }

    /// The suspects were a jump: the segment goes on from the first of them.
    fn anchor_anew(&mut self) {
        let suspects = std::mem::take(&mut self.suspects);
        let (Some(segment), Some(first)) = (self.segment.as_mut(), suspects.first()) else { return };
        segment.timestamp = first.timestamp;
        segment.position = first.arrival;
        self.drift = Drift::default();
        for (number, heard) in suspects.into_iter().enumerate() {
            self.place_by_segment(heard, number == 0);
        }
    }

    /// The suspects were late: they stand where the segment's line says.
    fn place_suspects(&mut self) {
        for heard in std::mem::take(&mut self.suspects) {
            self.place_by_segment(heard, false);
        }
    }

    fn place_by_segment(&mut self, heard: Heard, begins: bool) {
        let Some(segment) = self.segment else { return };
        let position = segment.position_of(heard.timestamp);
        self.place(heard, position, begins);
    }

    fn advance(&mut self, heard: &Heard, position: i64) {
        if let Some(segment) = self.segment.as_mut().filter(|segment| position > segment.position) {
            // From a position that was rounded the line would creep.
            let ticks_per_ms = segment.stream.clock_hz / 1000;
            let ticks = u64::from(heard.timestamp.wrapping_sub(segment.timestamp));
            if (ticks * 8).is_multiple_of(u64::from(ticks_per_ms)) {
                segment.timestamp = heard.timestamp;
                segment.position = position;
            }
        }
    }

    /// Moves the line a little for what comes after this frame. Of a packet that the tap cut, only the first piece has come
    /// when it should.
    fn follow_clock(&mut self, heard: &Heard, position: i64) {
        if self.timed.replace(heard.sequence) == Some(heard.sequence) {
            return;
        }
        let moved = self.drift.step(heard.arrival, heard.arrival - position);
        if let Some(segment) = &mut self.segment {
            segment.position += moved;
        }
    }

    fn place(&mut self, heard: Heard, position: i64, begins: bool) {
        let ticks = i64::from(duration_ticks(heard.codec, &heard.audio));
        let length = ticks * SAMPLES_PER_MS * 1000 / i64::from(heard.stream.clock_hz);
        if begins || position + length > self.newest.1 {
            self.newest = (heard.sequence, position + length);
        }
        let is_taken = position + length <= self.taken;
        if is_taken || position - self.taken > MOST_AHEAD || self.placed.len() >= MOST_WAITING {
            self.late_frames += 1;
            return;
        }
        let at = self.placed.iter().rposition(|placed| placed.position <= position).map_or(0, |before| before + 1);
        let Heard { stream, sequence, codec, audio, .. } = heard;
        self.placed.insert(at, Placed { position, length, ssrc: stream.ssrc, sequence, codec, begins, audio });
    }
}

fn hear(frame: &TapFrame, arrival: i64) -> Heard {
    Heard {
        arrival,
        stream: Stream { ssrc: frame.ssrc, clock_hz: frame.codec.clock_hz() },
        sequence: frame.sequence,
        timestamp: frame.timestamp,
        codec: frame.codec,
        audio: frame.audio().into(),
    }
}

/// Where a moment stands on the time line that began at `started`; negative before it.
pub fn position_at(started: Time, at: Time) -> i64 {
    // Nanoseconds of centuries times 8 fit 128 bits; the quotient fits 64.
    let nanos = i128::from(at.as_nanos()) - i128::from(started.as_nanos());
    i64::try_from(nanos.div_euclid(1_000_000 / i128::from(SAMPLES_PER_MS))).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
