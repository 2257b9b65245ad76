//! One source as one listener hears it: packets in as the network brings them, 20 ms of linear audio out at a time.
//! It orders, delays and decodes, makes up for losses and follows the sender's clock. It sends nothing and reads no clock.
//! Called by the relay, once for each pair of source and rendered listener.
//!
//! ```text
//! waiting ── the first packet's turn has come ──► playing ──► next packet, or what stands in for it
//!    ▲                                              │
//!    └── nothing for 60 ms (all made up), a gap ────┘
//! ```
//! While it plays, the delay is held to what [`Jitter`] says: by the length of pauses, else by whole pitch periods put in
//! or taken out. A packet that is not there when its turn comes is made up without giving up its turn: if it comes after
//! all, everything moves back by as much.

use super::codec::Codec;
use super::coder::{Decoder, MAX_PCM_SAMPLES};
use super::comfort::{Comfort, ComfortNoise};
use super::jitter::Jitter;
use super::packets::{Kept, Packet, Packets};
use super::playout::Playout;
use super::stretch::{self, Care};
use crate::types::Time;

/// What 20 ms were made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Decoded audio.
    Speech,
    /// At least half of it made up for a loss.
    Concealed,
    /// Nothing was there to be heard: not begun, silence suppressed, or long gone. The samples are zeros, or the noise
    /// that the sender described for his pauses.
    Silence,
}

/// What a listening has met so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListeningStats {
    /// 20 ms frames given out, and those of them that were `Concealed`.
    pub frames: u64,
    pub concealed_frames: u64,
    /// Packets that came after their turn, copies included.
    pub late_packets: u64,
    /// Packets that could not be kept: copies, or beyond the buffer's 500 ms.
    pub dropped_packets: u64,
    /// The delay that is aimed at now.
    pub delay_ms: u32,
}

/// Made-up audio in a row; what is missing beyond is silence.
const MOST_MADE_UP_MS: usize = 60;
/// A gap longer than this is not waited out: the listening begins anew after it.
const LONGEST_GAP_MS: i64 = 500;
/// Between consecutive packets a smaller gap in RTP time is the sender's inexactness, not a pause.
const PAUSE_MS: i64 = 10;
/// The delay may be too long, or too short, by so much, on average over a third of a second, before audio is stretched,
const TOO_LONG_US: i64 = 12_000;
const TOO_SHORT_US: i64 = -6000;
/// and by so much before it is stretched wherever it will do.
const URGENT_US: i64 = 50_000;
/// Off by more at once, nobody asked for audio for a while: what is stale is skipped.
const STALE_US: i64 = 250_000;
/// Frames between two changes of length.
const REST_FRAMES: u32 = 3;
/// Audio decoded ahead of its turn, so that there is something to stretch.
const AHEAD_MS: usize = 26;
/// The join where a decoder is replaced or audio is skipped.
const JOIN_MS: usize = 5;
/// A jump of sequence numbers beyond this, or so many late packets in a row, is a sender that began anew.
const MAX_DROPOUT: i64 = 3000;
const MAX_LATE_IN_A_ROW: u32 = 15;
/// Stragglers of the former stream are ignored for so long.
const STRAGGLERS_US: i64 = 1_000_000;
/// A mean square below this (RMS 60 of 32767) is a pause in speech.
const QUIET: i64 = 3600;
/// An Opus packet that is no longer carries no audio: its sender has gone over to saying nothing (RFC 6716 §3.1, RFC 7587
/// §3.1.3).
const MOST_DTX_BYTES: usize = 2;

/// The numbers of the present stream.
#[derive(Clone, Copy, Debug)]
struct Stream {
    ssrc: u32,
    clock_hz: u32,
    /// The newest numbers, unwrapped.
    sequence: i64,
    timestamp: i64,
}

/// What a pause of the sender sounds like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    Silence,
    /// He described it (RFC 3389).
    Noise,
    /// The decoder knows (Opus).
    Decoder,
}

/// Where in the stream the listener is.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    /// RTP time after the last sample decoded.
    next: i64,
    /// Samples made up since then for a packet that may still come.
    owed: usize,
}

/// See the file's head.
pub struct Listening {
    out_hz: u32,
    stream: Option<Stream>,
    former: Option<(u32, i64)>,
    jitter: Jitter,
    packets: Packets,
    decoder: Option<Decoder>,
    playout: Playout,
    /// `None`: waiting.
    cursor: Option<Cursor>,
    /// The last packet whose turn has been.
    played: i64,
    /// How far the delay is above what it should be, on average.
    excess_us: i64,
    rest: u32,
    made_up: usize,
    is_quiet: bool,
    pause: Pause,
    noise: ComfortNoise,
    /// The next packet decoded does not follow what was decoded last.
    is_broken: bool,
    /// The next packet needs a new decoder, whatever its codec.
    is_new_stream: bool,
    late_in_a_row: u32,
    stats: ListeningStats,
}

impl std::fmt::Debug for Listening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Listening({:?}, {:?}, {:?})", self.stream, self.cursor, self.stats)
    }
}

impl Listening {
    /// Hears at `out_hz` samples a second: 8,000 or 16,000.
    pub fn new(out_hz: u32) -> Listening {
        let out_hz = if out_hz == 16_000 { 16_000 } else { 8000 };
        Listening {
            out_hz,
            stream: None,
            former: None,
            jitter: Jitter::default(),
            packets: Packets::default(),
            decoder: None,
            playout: Playout::default(),
            cursor: None,
            played: i64::MIN,
            excess_us: 0,
            rest: 0,
            made_up: 0,
            is_quiet: true,
            pause: Pause::Silence,
            noise: ComfortNoise::new(out_hz, 1),
            is_broken: false,
            is_new_stream: true,
            late_in_a_row: 0,
            stats: ListeningStats::default(),
        }
    }

    /// Takes one audio packet, at the moment it came. Any order, any numbers, any payload.
    pub fn packet(&mut self, now: Time, ssrc: u32, sequence: u16, timestamp: u32, codec: Codec, payload: &[u8]) {
        self.arrive(now, ssrc, sequence, timestamp, Some(codec), payload);
    }

    /// Takes one comfort-noise packet (RFC 3389): from its turn until audio follows, pauses sound as it says.
    pub fn comfort_noise(&mut self, now: Time, ssrc: u32, sequence: u16, timestamp: u32, payload: &[u8]) {
        self.arrive(now, ssrc, sequence, timestamp, None, payload);
    }

    fn arrive(&mut self, now: Time, ssrc: u32, sequence: u16, timestamp: u32, codec: Option<Codec>, payload: &[u8]) {
        let clock_hz = codec.map_or(Codec::CLOCK_HZ, Codec::clock_hz);
        let now_us = micros_of(now);
        if self.former.is_some_and(|(former, since)| former == ssrc && now_us - since < STRAGGLERS_US) {
            self.stats.dropped_packets += 1;
            return;
        }
        let stream = match self.stream.map(|stream| (stream, stream.unwrap(sequence, timestamp))) {
            Some((stream, (sequence, timestamp)))
                if stream.ssrc == ssrc
                    && stream.clock_hz == clock_hz
                    && (sequence - stream.sequence).abs() <= MAX_DROPOUT
                    && self.late_in_a_row < MAX_LATE_IN_A_ROW =>
            {
                Stream { sequence, timestamp, ..stream }
            }
            _ => self.begin_stream(now_us, ssrc, sequence, timestamp, clock_hz),
        };
        if self.stream.is_none_or(|newest| newest.sequence <= stream.sequence) {
            self.stream = Some(stream);
        }
        let late_us = self.jitter.arrived(now_us, stream.micros(stream.timestamp));
        if stream.sequence <= self.played {
            self.stats.late_packets += 1;
            self.late_in_a_row += 1;
            self.jitter.missed(now_us, late_us);
            return;
        }
        self.late_in_a_row = 0;
        if self.packets.insert(stream.sequence, stream.timestamp, codec, late_us, payload) == Kept::Refused {
            self.stats.dropped_packets += 1;
        }
    }

    /// The next 20 ms into `out`, which holds `out_hz / 50` samples. To be called every 20 ms, whatever came.
    pub fn next_20ms(&mut self, now: Time, out: &mut [i16]) -> Heard {
        let now_us = micros_of(now);
        // More than a frame at once is nothing that this buffer could follow.
        let wanted = out.len().min(MAX_PCM_SAMPLES);
        self.watch_delay(now_us);
        self.fill(now_us, wanted);
        self.hold_delay(now_us, wanted);
        let heard = self.playout.take(out);
        self.stats.frames += 1;
        self.stats.concealed_frames += u64::from(heard == Heard::Concealed);
        heard
    }

    pub fn stats(&self, now: Time) -> ListeningStats {
        let delay_ms = u32::try_from(self.jitter.delay_us(micros_of(now)) / 1000).unwrap_or(0);
        let dropped_packets = self.stats.dropped_packets + self.packets.pushed_out();
        ListeningStats { delay_ms, dropped_packets, ..self.stats }
    }

    /// What waits of the former stream is heard at once; then everything begins anew but what is known of the network.
    fn begin_stream(&mut self, now_us: i64, ssrc: u32, sequence: u16, timestamp: u32, clock_hz: u32) -> Stream {
        if let Some(former) = self.stream {
            while let Some(packet) = self.packets.take_first() {
                self.decode(packet);
            }
            self.former = Some((former.ssrc, now_us)).filter(|(former, _)| *former != ssrc);
        }
        self.jitter.begin_stream();
        self.cursor = None;
        self.played = i64::MIN;
        self.late_in_a_row = 0;
        self.is_new_stream = true;
        self.pause = Pause::Silence;
        self.noise = ComfortNoise::new(self.out_hz, ssrc);
        let stream = Stream { ssrc, clock_hz, sequence: sequence.into(), timestamp: timestamp.into() };
        self.stream = Some(stream);
        stream
    }

    /// Averages how far the delay is off.
    fn watch_delay(&mut self, now_us: i64) {
        let (Some(stream), Some(cursor)) = (self.stream, self.cursor) else { return };
        let excess = self.excess(now_us, stream, cursor);
        if excess > STALE_US {
            self.cursor = None;
            self.is_broken = true;
            return;
        }
        self.excess_us += (excess - self.excess_us) / 16;
    }

    /// How much longer than it should the sample heard next has waited.
    fn excess(&self, now_us: i64, stream: Stream, cursor: Cursor) -> i64 {
        let ready_us = self.playout.len() as i64 * 1_000_000 / i64::from(self.out_hz);
        let position = stream.micros(cursor.next).saturating_sub(ready_us);
        now_us.saturating_sub(position).saturating_sub(self.jitter.base()).saturating_sub(self.jitter.delay_us(now_us))
    }

    fn fill(&mut self, now_us: i64, wanted: usize) {
        // Each round takes a packet away or adds samples; both are bounded.
        while self.playout.len() < wanted {
            if self.cursor.is_none() {
                self.begin(now_us);
            }
            match self.cursor {
                Some(cursor) => self.go_on(now_us, cursor, wanted),
                None => self.push_pause(wanted - self.playout.len()),
            }
        }
    }

    /// Begins to play when the first packet's turn has come.
    fn begin(&mut self, now_us: i64) {
        let Some(stream) = self.stream else { return };
        let wait_us = self.jitter.base().saturating_add(self.jitter.delay_us(now_us));
        let turn = |packet: &Packet| stream.micros(packet.timestamp).saturating_add(wait_us);
        if self.packets.first().is_none_or(|first| turn(first) > now_us) {
            return;
        }
        // Of packets that came in a burst the stale ones are skipped.
        while self.packets.second().is_some_and(|second| turn(second).saturating_add(20_000) <= now_us) {
            self.packets.drop_first();
            self.stats.late_packets += 1;
        }
        if let Some(first) = self.packets.first() {
            self.played = first.sequence.saturating_sub(1);
            self.cursor = Some(Cursor { next: first.timestamp, owed: 0 });
            self.excess_us = 0;
            self.made_up = 0;
        }
    }

    /// The next packet, or what stands in for it.
    fn go_on(&mut self, now_us: i64, cursor: Cursor, wanted: usize) {
        let (Some(stream), Some(first)) = (self.stream, self.packets.first()) else {
            return self.starve(cursor, wanted);
        };
        let (lost, late_us, timestamp) = (first.sequence - self.played - 1, first.late_us, first.timestamp);
        let gap = timestamp.saturating_sub(cursor.next);
        let ticks_of_ms = |ms: i64| ms * i64::from(stream.clock_hz) / 1000;
        if gap > ticks_of_ms(LONGEST_GAP_MS) {
            self.cursor = None;
            return self.begin_after_gap(now_us, wanted);
        }
        if lost == 0 && gap >= ticks_of_ms(PAUSE_MS) {
            return self.pause(now_us, stream, cursor, gap, wanted);
        }
        if lost > 0 && gap > 0 {
            // What was made up while nothing was there counts towards the loss.
            let owed = cursor.owed;
            self.cursor = Some(Cursor { next: timestamp, owed: 0 });
            self.played = self.played.saturating_add(lost);
            return self.make_up_gap(self.samples_of(gap, stream).saturating_sub(owed));
        }
        if cursor.owed > 0 {
            self.jitter.missed(now_us, late_us);
        }
        if let Some(packet) = self.packets.take_first() {
            self.played = packet.sequence;
            let written = self.decode(packet) as i64;
            let next = timestamp.saturating_add(written * i64::from(stream.clock_hz) / i64::from(self.out_hz));
            self.cursor = Some(Cursor { next, owed: 0 });
            self.made_up = 0;
        }
    }

    /// After a gap too long to be filled: silence until the turn of what follows it.
    fn begin_after_gap(&mut self, now_us: i64, wanted: usize) {
        self.begin(now_us);
        if self.cursor.is_none() {
            self.push_pause(wanted.saturating_sub(self.playout.len()).max(1));
        }
    }

    /// The sender said nothing for `gap`: silence, made longer or shorter so that the delay comes right.
    fn pause(&mut self, now_us: i64, stream: Stream, cursor: Cursor, gap: i64, wanted: usize) {
        let ready = self.playout.len();
        let excess = self.excess(now_us, stream, cursor);
        let ticks = i64::from(stream.clock_hz) * excess.clamp(-20_000, 20_000) / 1_000_000;
        // Above nothing of the pause is left, below it is made longer within this frame.
        let skipped = ticks.clamp(0, gap);
        let samples = self.samples_of(gap - skipped, stream).min(wanted.saturating_sub(ready));
        let longer = if excess < 0 { self.samples_of(-ticks, stream) } else { 0 };
        let passed = samples as i64 * i64::from(stream.clock_hz) / i64::from(self.out_hz);
        self.push_pause(samples + longer);
        let next = cursor.next.saturating_add((skipped + passed).max(1));
        self.cursor = Some(Cursor { next, owed: 0 });
        self.excess_us = 0;
        self.made_up = 0;
    }

    /// The next packet is not there when its turn has come.
    fn starve(&mut self, cursor: Cursor, wanted: usize) {
        let missing = wanted.saturating_sub(self.playout.len()).max(1);
        if self.is_quiet || self.made_up >= MOST_MADE_UP_MS * self.samples_per_ms() {
            self.cursor = None;
            return self.push_pause(missing);
        }
        // Opus makes up whole 10 ms only.
        let missing = missing.next_multiple_of(10 * self.samples_per_ms());
        let mut samples = [0; MAX_PCM_SAMPLES];
        let made_up = self.decoder.as_mut().map_or(missing, |decoder| decoder.conceal(missing, &mut samples));
        self.playout.push(Heard::Concealed, samples.get(..made_up).unwrap_or(&samples));
        self.made_up += made_up;
        self.cursor = Some(Cursor { owed: cursor.owed + made_up, ..cursor });
    }

    /// Stands in for `samples` that are lost for good; the packet after them is there.
    fn make_up_gap(&mut self, samples: usize) {
        let most = (MOST_MADE_UP_MS * self.samples_per_ms()).saturating_sub(self.made_up);
        let wanted = samples.min(most);
        let mut made_up = [0; MAX_PCM_SAMPLES];
        let next = self.packets.first();
        let len = match (self.decoder.as_mut(), next) {
            _ if wanted == 0 => 0,
            (Some(decoder), Some(next)) if next.codec == Some(decoder.codec()) && wanted == samples && !self.is_new_stream => {
                decoder.recover(&next.payload, wanted, &mut made_up)
            }
            (Some(decoder), _) => decoder.conceal(wanted, &mut made_up),
            (None, _) => wanted,
        };
        self.made_up += len;
        self.playout.push(Heard::Concealed, made_up.get(..len).unwrap_or(&made_up));
        self.playout.push_silence(samples.saturating_sub(len));
    }

    /// Stretches what is heard next when the delay has long been off.
    fn hold_delay(&mut self, now_us: i64, wanted: usize) {
        self.rest = self.rest.saturating_sub(1);
        if self.rest > 0 || self.cursor.is_none() || (TOO_SHORT_US..=TOO_LONG_US).contains(&self.excess_us) {
            return;
        }
        self.decode_ahead(wanted + AHEAD_MS * self.samples_per_ms());
        let care = if self.excess_us.abs() < URGENT_US { Care::Usual } else { Care::Urgent };
        let per_ms = self.samples_per_ms();
        let most = usize::try_from(self.excess_us.abs() * i64::from(self.out_hz) / 1_000_000).unwrap_or(0);
        let micros = |samples: usize| samples as i64 * 1000 / per_ms as i64;
        let changed = if self.excess_us > 0 {
            let removed = self.playout.shorten(per_ms, most, care);
            self.excess_us -= micros(removed);
            self.fill(now_us, wanted);
            removed
        } else {
            let added = self.playout.lengthen(per_ms, most, care);
            self.excess_us += micros(added);
            added
        };
        if changed > 0 {
            self.rest = REST_FRAMES;
        }
    }

    /// Decodes packets before their turn, as long as they follow each other without a gap.
    fn decode_ahead(&mut self, wanted: usize) {
        while self.playout.len() < wanted {
            let (Some(stream), Some(cursor), Some(first)) = (self.stream, self.cursor, self.packets.first()) else { return };
            let gap = first.timestamp.saturating_sub(cursor.next).abs();
            if first.sequence != self.played + 1 || gap * 1000 >= PAUSE_MS * i64::from(stream.clock_hz) || cursor.owed > 0 {
                return;
            }
            self.go_on(0, cursor, wanted);
        }
    }

    /// What is heard while the sender says nothing.
    fn push_pause(&mut self, samples: usize) {
        let mut noise = [0; MAX_PCM_SAMPLES];
        let noise = &mut noise[..samples.min(MAX_PCM_SAMPLES)];
        match (self.pause, &mut self.decoder) {
            (Pause::Noise, _) => self.noise.fill(noise),
            (Pause::Decoder, Some(decoder)) => {
                decoder.conceal(noise.len(), noise);
            }
            (Pause::Silence | Pause::Decoder, _) => return self.playout.push_silence(samples),
        }
        self.playout.push(Heard::Silence, noise);
    }

    fn describe_noise(&mut self, payload: &[u8]) {
        if let Some(comfort) = Comfort::parse(payload) {
            self.noise.describe(&comfort);
            self.pause = Pause::Noise;
        }
        self.is_quiet = true;
    }

    /// Decodes a packet to the end of the playout, and says how many samples it had.
    fn decode(&mut self, packet: Packet) -> usize {
        let Some(codec) = packet.codec else {
            self.describe_noise(&packet.payload);
            self.packets.done(packet);
            return 0;
        };
        let mut join = [0; 16 * JOIN_MS];
        let mut join_len = 0;
        let is_other = self.is_new_stream || self.decoder.as_ref().is_none_or(|decoder| decoder.codec() != codec);
        if (is_other || self.is_broken)
            && let Some(old) = &mut self.decoder
        {
            join_len = old.conceal(JOIN_MS * self.out_hz as usize / 1000, &mut join);
        }
        let decoder = match &mut self.decoder {
            Some(decoder) if !is_other => decoder,
            decoder => decoder.insert(Decoder::new(codec, self.out_hz)),
        };
        let mut samples = [0; MAX_PCM_SAMPLES];
        let len = decoder.decode(&packet.payload, &mut samples).min(MAX_PCM_SAMPLES);
        let samples = &mut samples[..len];
        if len > 0 {
            stretch::join(&join[..join_len], samples);
            let power: i64 = samples.iter().map(|sample| i64::from(*sample).pow(2)).sum();
            let says_nothing = codec == Codec::Opus && packet.payload.len() <= MOST_DTX_BYTES;
            self.is_quiet = power < QUIET * len as i64 || says_nothing;
            self.pause = if says_nothing { Pause::Decoder } else { Pause::Silence };
            (self.is_broken, self.is_new_stream) = (false, false);
        }
        self.playout.push(Heard::Speech, samples);
        self.packets.done(packet);
        len
    }

    fn samples_per_ms(&self) -> usize {
        self.out_hz as usize / 1000
    }

    /// RTP time in samples given out; at most a second of them.
    fn samples_of(&self, ticks: i64, stream: Stream) -> usize {
        let ticks = ticks.clamp(0, stream.clock_hz.into());
        usize::try_from(ticks * i64::from(self.out_hz) / i64::from(stream.clock_hz)).unwrap_or(0)
    }
}

impl Stream {
    /// The wire's numbers, going on from the newest.
    fn unwrap(&self, sequence: u16, timestamp: u32) -> (i64, i64) {
        let sequence_step = sequence.wrapping_sub(self.sequence as u16).cast_signed();
        let timestamp_step = timestamp.wrapping_sub(self.timestamp as u32).cast_signed();
        (self.sequence.saturating_add(sequence_step.into()), self.timestamp.saturating_add(timestamp_step.into()))
    }

    fn micros(&self, timestamp: i64) -> i64 {
        let micros = i128::from(timestamp) * 1_000_000 / i128::from(self.clock_hz);
        micros.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }
}

fn micros_of(time: Time) -> i64 {
    // Nanoseconds of 64 bits are microseconds of 54.
    (time.as_nanos() / 1000).cast_signed()
}

#[cfg(test)]
mod tests;
