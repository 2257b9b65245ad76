//! What a call hears, laid on its own time line as a recorder would: each stream is anchored where its first packet
//! arrived and runs by RTP time from there, so that gaps are gaps.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::media::codec::Codec;
use crate::media::coder::{Decoder, MAX_PCM_SAMPLES};
use crate::media::dtmf::{DigitReader, TelephoneEvent};
use crate::media::rtp::RtpPacket;
use crate::media::tones;
use crate::types::Time;

/// Ten minutes; what comes later is counted but not kept.
const MAX_SAMPLES: usize = 8000 * 600;

/// Off by more than this from its arrival, a stream is anchored anew.
const MAX_DRIFT_SAMPLES: i64 = 8 * 80;

/// A tone is told from this much sound.
const WINDOW_SAMPLES: usize = 1600;

/// Below this mean square it is silence.
const SILENCE: f64 = 400.0;

/// What was heard and said so far.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Linear, 8,000 a second, from the moment the call's audio was opened.
    pub samples: Vec<i16>,
    pub packets_received: u64,
    pub packets_sent: u64,
    /// When each packet of sound came; as many as the samples can hold.
    pub arrivals: Vec<Time>,
    /// Packets of comfort noise.
    pub comfort_noises: u64,
    /// Keys that the other side pressed.
    pub digits: String,
}

impl Heard {
    /// The last fifth of a second is mostly this tone.
    pub fn is_tone_now(&self, hz: f32) -> bool {
        is_tone(self.samples.get(self.samples.len().saturating_sub(WINDOW_SAMPLES)..).unwrap_or_default(), hz)
    }

    /// How much of it was this tone, in milliseconds, told by tenths of a second.
    pub fn tone_ms(&self, hz: f32) -> u64 {
        self.samples.chunks_exact(800).filter(|piece| is_tone(piece, hz)).count() as u64 * 100
    }

    /// The longest time between `from` and `to` in which no packet of sound came, and the time without one before `to`.
    pub fn pauses(&self, from: Time, to: Time) -> (Duration, Duration) {
        let within = self.arrivals.iter().copied().filter(|at| (from..=to).contains(at));
        let (mut longest, mut last) = (Duration::ZERO, from);
        for at in within {
            longest = longest.max(at.since(last));
            last = at;
        }
        let at_end = to.since(last);
        (longest.max(at_end), at_end)
    }

    /// How much of it was not silence, in milliseconds.
    pub fn loud_ms(&self) -> u64 {
        self.samples.chunks(160).filter(|piece| tones::mean_square(piece) > SILENCE).count() as u64 * 20
    }
}

/// Whether `samples` are mostly one tone.
fn is_tone(samples: &[i16], hz: f32) -> bool {
    let whole = tones::mean_square(samples);
    samples.len() >= 800 && whole > SILENCE && tones::power(samples, 8000, hz) > whole * 0.6
}

/// A stream's place on the time line.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    ssrc: u32,
    clock_hz: u32,
    timestamp: u32,
    position: i64,
}

#[derive(Debug)]
struct Inside {
    heard: Heard,
    opened: Time,
    anchor: Option<Anchor>,
    decoder: Decoder,
    digits: DigitReader,
}

/// One call's ear; the receiving task fills it, the handle reads it.
#[derive(Debug)]
pub(super) struct Ear {
    inside: Mutex<Inside>,
    /// Counts packets, so that whoever waits for a sound wakes.
    news: watch::Sender<u64>,
}

impl Ear {
    pub(super) fn new(opened: Time) -> Ear {
        let decoder = Decoder::new(Codec::Pcma, 8000);
        let inside = Inside { heard: Heard::default(), opened, anchor: None, decoder, digits: DigitReader::default() };
        Ear { inside: Mutex::new(inside), news: watch::Sender::new(0) }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inside) -> T) -> T {
        work(&mut self.inside.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn heard(&self) -> Heard {
        self.with(|inside| inside.heard.clone())
    }

    pub(super) fn look<T>(&self, at: impl FnOnce(&Heard) -> T) -> T {
        self.with(|inside| at(&inside.heard))
    }

    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    pub(super) fn sent(&self) {
        self.with(|inside| inside.heard.packets_sent += 1);
    }

    pub(super) fn hear(&self, at: Time, codec: Codec, packet: &RtpPacket) {
        self.with(|inside| inside.hear(at, codec, packet));
        self.news.send_modify(|packets| *packets += 1);
    }

    pub(super) fn hear_comfort_noise(&self) {
        self.with(|inside| inside.heard.comfort_noises += 1);
        self.news.send_modify(|packets| *packets += 1);
    }

    pub(super) fn hear_event(&self, packet: &RtpPacket) {
        let Some(event) = TelephoneEvent::parse(packet.payload) else { return };
        self.with(|inside| {
            let digit = inside.digits.packet(packet.header.ssrc, packet.header.timestamp, event);
            inside.heard.digits.extend(digit);
        });
        self.news.send_modify(|packets| *packets += 1);
    }
}

impl Inside {
    fn hear(&mut self, at: Time, codec: Codec, packet: &RtpPacket) {
        self.heard.packets_received += 1;
        if self.heard.arrivals.len() < MAX_SAMPLES / 160 {
            self.heard.arrivals.push(at);
        }
        let arrived = i64::try_from(at.since(self.opened).as_micros() / 125).unwrap_or(i64::MAX);
        let (header, clock_hz) = (packet.header, codec.clock_hz());
        if self.decoder.codec() != codec {
            self.decoder = Decoder::new(codec, 8000);
        }
        let is_its = |anchor: &Anchor| (anchor.ssrc, anchor.clock_hz) == (header.ssrc, clock_hz);
        let by_rtp_time = self.anchor.filter(is_its).map(|anchor| {
            // RTP time wraps; a late packet lies before the anchor.
            let ticks = i64::from(header.timestamp.wrapping_sub(anchor.timestamp).cast_signed());
            anchor.position + ticks * 8000 / i64::from(clock_hz)
        });
        let position = by_rtp_time.filter(|position| (position - arrived).abs() <= MAX_DRIFT_SAMPLES).unwrap_or(arrived);
        if by_rtp_time != Some(position) {
            self.anchor = Some(Anchor { ssrc: header.ssrc, clock_hz, timestamp: header.timestamp, position });
        }
        let mut linear = [0; MAX_PCM_SAMPLES];
        let len = self.decoder.decode(packet.payload, &mut linear);
        let Ok(start) = usize::try_from(position) else { return };
        let end = start.saturating_add(len);
        if end > MAX_SAMPLES {
            return;
        }
        if self.heard.samples.len() < end {
            self.heard.samples.resize(end, 0);
        }
        self.heard.samples[start..end].copy_from_slice(&linear[..len]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::rtp::RtpHeader;

    fn hear(ear: &Ear, at_ms: u64, timestamp: u32, ssrc: u32, samples: &[i16]) {
        let mut payload = vec![0; samples.len()];
        Codec::Pcma.encode(samples, &mut payload);
        let header = RtpHeader { marker: false, payload_type: 8, sequence: 0, timestamp, ssrc };
        ear.hear(Time::from_millis(at_ms), Codec::Pcma, &RtpPacket { header, payload: &payload });
    }

    #[test]
    fn a_tone_is_heard_where_it_arrived_and_gaps_stay_gaps() {
        let ear = Ear::new(Time::ZERO);
        let tone: Vec<i16> = tones::Sine::new(440.0, 8000, 8000).take(8000).collect();
        for (index, piece) in tone.chunks(160).enumerate() {
            // A jitter of ±10 ms does not move anything; the stream starts at 500 ms and lacks 100 ms in its middle.
            if !(20..25).contains(&index) {
                let jitter = [0, 10, 3][index % 3];
                hear(&ear, 500 + 20 * index as u64 + jitter, (u32::MAX - 1000).wrapping_add(160 * index as u32), 7, piece);
            }
        }
        let heard = ear.heard();
        assert_eq!(heard.samples.len(), 12_000);
        assert!(heard.samples[..4000].iter().all(|sample| *sample == 0));
        assert!(heard.samples[4000 + 3200..4000 + 4000].iter().all(|sample| *sample == 0), "the gap");
        assert_eq!((heard.tone_ms(440.0), heard.tone_ms(600.0), heard.loud_ms()), (900, 0, 900));
        assert!(heard.is_tone_now(440.0));
    }

    #[test]
    fn pauses_are_counted_from_the_answer_to_the_end() {
        let ms = Time::from_millis;
        let arrivals = [100, 120, 2000, 2020, 5020, 5040].map(ms).to_vec();
        let heard = Heard { arrivals, ..Heard::default() };
        let pauses = |from, to| heard.pauses(ms(from), ms(to));
        assert_eq!(pauses(1990, 5100), (Duration::from_millis(3000), Duration::from_millis(60)));
        assert_eq!(pauses(5010, 9040), (Duration::from_millis(4000), Duration::from_millis(4000)));
        assert_eq!(pauses(6000, 7000), (Duration::from_millis(1000), Duration::from_millis(1000)));
    }

    #[test]
    fn a_new_stream_is_anchored_where_it_arrives() {
        let ear = Ear::new(Time::ZERO);
        hear(&ear, 0, 0, 1, &[8000; 160]);
        hear(&ear, 1000, 77, 2, &[8000; 160]);
        hear(&ear, 3000, 77 + 160, 2, &[8000; 160]);
        let heard = ear.heard();
        assert_eq!(heard.samples.len(), 24_160);
        assert!(heard.samples[8000] > 7000 && heard.samples[8160] == 0 && heard.samples[24_000] > 7000);
    }
}
