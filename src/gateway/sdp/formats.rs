//! Payload types of an audio stream: which codec each one means, and those of telephone-event and comfort noise.

use super::session::{Attribute, Media};
use crate::media::codec::Codec;

/// A codec of a stream with its payload type there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    pub codec: Codec,
    pub payload_type: u8,
}

/// Telephone-event (RFC 4733) of a stream: its payload type, and its clock, which is its codec's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dtmf {
    pub payload_type: u8,
    pub clock_hz: u32,
}

/// Our telephone-event in offers, unless the far end has numbers of its own.
const OUR_DTMF: [Dtmf; 2] = [Dtmf { payload_type: 101, clock_hz: Codec::CLOCK_HZ }, Dtmf { payload_type: 110, clock_hz: 48_000 }];

/// RFC 3551 §6: comfort noise at 8 kHz.
pub(super) const COMFORT_NOISE: u8 = 13;

/// The numbers in use between the two ends. A dialog never gives a number a second meaning (RFC 3264 §8.3.2), so what a
/// description of theirs has named stays named.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    codecs: Vec<Format>,
    dtmf: Vec<Dtmf>,
    /// Of formats that are not ours, and may not be used for anything else.
    taken: Vec<u8>,
}

impl Numbers {
    /// Takes over what a description of the far end says.
    pub(super) fn learn(&mut self, media: &Media) {
        for format in codecs(media) {
            self.codecs.retain(|known| known.codec != format.codec);
            self.codecs.push(format);
        }
        for dtmf in dtmfs(media) {
            self.dtmf.retain(|known| known.clock_hz != dtmf.clock_hz);
            self.dtmf.push(dtmf);
        }
        let numbers = media.formats.iter().filter_map(|format| payload_type(format));
        self.taken = numbers.filter(|number| !self.names(*number)).collect();
    }

    /// Whether the far end has ever named this codec.
    pub(super) fn knows(&self, codec: Codec) -> bool {
        self.codecs.iter().any(|known| known.codec == codec)
    }

    /// What we offer for these codecs, in this order; a codec for which no number is free is left out.
    pub(super) fn formats(&self, codecs: &[Codec]) -> Vec<Format> {
        let number = |codec: Codec| match self.codecs.iter().find(|known| known.codec == codec) {
            Some(known) => Some(known.payload_type),
            None => Some(codec.payload_type()).filter(|number| !self.is_used(*number)).or_else(|| self.free(codec)),
        };
        codecs.iter().filter_map(|codec| Some(Format { codec: *codec, payload_type: number(*codec)? })).collect()
    }

    /// The telephone-events that go with these formats: one for each clock among them.
    pub(super) fn dtmfs(&self, formats: &[Format]) -> Vec<Dtmf> {
        let is_needed = |dtmf: &Dtmf| formats.iter().any(|format| format.codec.clock_hz() == dtmf.clock_hz);
        let number = |ours: Dtmf| match self.dtmf.iter().find(|known| known.clock_hz == ours.clock_hz) {
            Some(known) => Some(*known),
            None => {
                let is_free = !self.is_used(ours.payload_type) && formats.iter().all(|it| it.payload_type != ours.payload_type);
                is_free.then_some(ours)
            }
        };
        OUR_DTMF.into_iter().filter(is_needed).filter_map(number).collect()
    }

    fn names(&self, number: u8) -> bool {
        self.codecs.iter().any(|known| known.payload_type == number) || self.dtmf.iter().any(|dtmf| dtmf.payload_type == number)
    }

    fn is_used(&self, number: u8) -> bool {
        self.names(number) || self.taken.contains(&number)
    }

    /// A dynamic number for a codec whose own is taken. The static ones are nobody else's.
    fn free(&self, codec: Codec) -> Option<u8> {
        let ours = OUR_DTMF.map(|dtmf| dtmf.payload_type);
        let mut dynamic = (96..=127).filter(|number| !self.is_used(*number) && !ours.contains(number));
        if codec == Codec::Opus { dynamic.next() } else { None }
    }
}

/// The codecs of the stream that we know, in its order of preference. A codec that stands there twice counts once.
pub(super) fn codecs(media: &Media) -> impl Iterator<Item = Format> {
    let mut seen: Vec<Codec> = Vec::new();
    media.formats.iter().filter_map(move |format| {
        let payload_type = payload_type(format)?;
        let codec = match media.rtpmap(format) {
            Some(map) => Codec::from_rtpmap(map)?,
            None => Codec::from_payload_type(payload_type)?,
        };
        if seen.contains(&codec) {
            return None;
        }
        seen.push(codec);
        Some(Format { codec, payload_type })
    })
}

/// The telephone-event that goes with `codec`: the one at its clock, else the one at 8 kHz, which some phones offer for
/// everything.
pub(super) fn dtmf_for(media: &Media, codec: Codec) -> Option<Dtmf> {
    let with_clock = |clock_hz| dtmfs(media).find(|dtmf| dtmf.clock_hz == clock_hz);
    with_clock(codec.clock_hz()).or_else(|| with_clock(Codec::CLOCK_HZ))
}

/// The payload type of comfort noise (RFC 3389), which exists for G.711 only.
pub(super) fn comfort_noise_for(media: &Media, codec: Codec) -> Option<u8> {
    let is_offered = |format: &String| match media.rtpmap(format) {
        Some(map) => {
            let mut parts = map.split('/');
            parts.next().is_some_and(|name| name.eq_ignore_ascii_case("CN")) && parts.next() == Some("8000")
        }
        None => payload_type(format) == Some(COMFORT_NOISE),
    };
    let offered = media.formats.iter().find(|format| is_offered(format)).and_then(|format| payload_type(format));
    offered.filter(|_| codec.is_g711())
}

/// Every telephone-event of the stream at a clock of ours.
fn dtmfs(media: &Media) -> impl Iterator<Item = Dtmf> {
    media.formats.iter().filter_map(|format| {
        let (name, clock) = media.rtpmap(format)?.split_once('/')?;
        let clock_hz = clock.strip_suffix("/1").unwrap_or(clock).trim().parse().ok()?;
        let is_ours = name.eq_ignore_ascii_case("telephone-event") && matches!(clock_hz, 8000 | 48_000);
        is_ours.then_some(Dtmf { payload_type: payload_type(format)?, clock_hz })
    })
}

fn payload_type(format: &str) -> Option<u8> {
    format.parse().ok().filter(|payload_type| *payload_type < 128)
}

/// The lines that say what a format is.
pub(super) fn describe(format: &Format) -> Vec<Attribute> {
    let Format { codec, payload_type } = format;
    let mut lines = vec![Attribute::new("rtpmap", format!("{payload_type} {}", codec.rtpmap()))];
    if *codec == Codec::Opus {
        // RFC 7587 §6.1: packets as short as ten milliseconds are welcome, and so is help against loss.
        lines.push(Attribute::new("fmtp", format!("{payload_type} minptime=10;useinbandfec=1")));
    }
    lines
}

pub(super) fn describe_dtmf(dtmf: &Dtmf) -> [Attribute; 2] {
    let Dtmf { payload_type, clock_hz } = dtmf;
    [
        Attribute::new("rtpmap", format!("{payload_type} telephone-event/{clock_hz}")),
        Attribute::new("fmtp", format!("{payload_type} 0-15")),
    ]
}

pub(super) fn describe_comfort_noise(payload_type: u8) -> Attribute {
    Attribute::new("rtpmap", format!("{payload_type} CN/8000"))
}
