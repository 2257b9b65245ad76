//! The codecs a leg can speak, in the words of RTP and SDP. It converts nothing: `g711` has the tables, `coder` the codecs
//! with state. Called by everybody who names a codec.

/// An audio codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 A-law.
    Pcma,
    /// G.711 µ-law.
    Pcmu,
    /// G.722 at 64 kbit/s: 16,000 samples a second, though its RTP clock says 8,000 (RFC 3551 §4.5.2).
    G722,
    /// Opus (RFC 6716, RFC 7587), which we speak in mono and wideband.
    Opus,
}

impl Codec {
    /// The RTP clock of all codecs but Opus.
    pub const CLOCK_HZ: u32 = 8000;

    /// Every codec.
    pub const ALL: [Codec; 4] = [Codec::Pcma, Codec::Pcmu, Codec::G722, Codec::Opus];

    /// Ticks of RTP time a second.
    pub const fn clock_hz(self) -> u32 {
        match self {
            Codec::Pcma | Codec::Pcmu | Codec::G722 => Codec::CLOCK_HZ,
            Codec::Opus => 48_000,
        }
    }

    /// Samples a second of the linear audio that we code and decode.
    pub const fn sample_hz(self) -> u32 {
        match self {
            Codec::Pcma | Codec::Pcmu => 8000,
            Codec::G722 | Codec::Opus => 16_000,
        }
    }

    /// Whether it is one of the two laws, which turn into each other byte by byte.
    pub const fn is_g711(self) -> bool {
        matches!(self, Codec::Pcma | Codec::Pcmu)
    }

    /// Whether packets of this codec can be passed to somebody who speaks `other`: as they are, or law for law.
    pub fn passes_as(self, other: Codec) -> bool {
        self == other || self.is_g711() && other.is_g711()
    }

    /// The encoding name in SDP's `rtpmap`.
    pub const fn name(self) -> &'static str {
        match self {
            Codec::Pcma => "PCMA",
            Codec::Pcmu => "PCMU",
            Codec::G722 => "G722",
            Codec::Opus => "opus",
        }
    }

    /// The value of SDP's `rtpmap` without the payload type: name, clock and, for Opus, its two channels, which say
    /// nothing about how many are sent (RFC 7587 §7).
    pub const fn rtpmap(self) -> &'static str {
        match self {
            Codec::Pcma => "PCMA/8000",
            Codec::Pcmu => "PCMU/8000",
            Codec::G722 => "G722/8000",
            Codec::Opus => "opus/48000/2",
        }
    }

    /// The payload type we offer: RFC 3551's static one, and 111 for Opus, which has none.
    pub const fn payload_type(self) -> u8 {
        match self {
            Codec::Pcma => 8,
            Codec::Pcmu => 0,
            Codec::G722 => 9,
            Codec::Opus => 111,
        }
    }

    /// The codec of a static payload type (RFC 3551 §6).
    pub const fn from_payload_type(payload_type: u8) -> Option<Codec> {
        match payload_type {
            8 => Some(Codec::Pcma),
            0 => Some(Codec::Pcmu),
            9 => Some(Codec::G722),
            _ => None,
        }
    }

    /// The codec of an SDP encoding name, in any case of letters.
    pub fn from_name(name: &str) -> Option<Codec> {
        Codec::ALL.into_iter().find(|codec| name.eq_ignore_ascii_case(codec.name()))
    }

    /// The codec of an `rtpmap` value such as `PCMA/8000`, `pcmu/8000/1` or `opus/48000/2`; `None` for another clock or
    /// another number of channels.
    pub fn from_rtpmap(rtpmap: &str) -> Option<Codec> {
        let mut parts = rtpmap.trim().split('/').map(str::trim);
        let codec = Codec::from_name(parts.next()?)?;
        let has_clock = parts.next()?.parse() == Ok(codec.clock_hz());
        let channels = parts.next();
        let has_channels = match codec {
            Codec::Opus => channels == Some("2"),
            Codec::Pcma | Codec::Pcmu | Codec::G722 => matches!(channels, None | Some("1")),
        };
        (has_clock && has_channels && parts.next().is_none()).then_some(codec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_payload_types_lead_back_to_the_codec() {
        for codec in Codec::ALL {
            assert_eq!(Codec::from_name(&codec.name().to_lowercase()), Some(codec));
            assert_eq!(Codec::from_rtpmap(codec.rtpmap()), Some(codec));
            let expected = (codec != Codec::Opus).then_some(codec);
            assert_eq!(Codec::from_payload_type(codec.payload_type()), expected);
        }
        assert_eq!(Codec::from_payload_type(18), None);
        assert_eq!(Codec::from_name("G729"), None);
    }

    #[test]
    fn a_codec_at_another_clock_is_another_codec() {
        for rtpmap in ["PCMA/16000", "PCMU/8000/2", "G722/16000", "opus/48000", "opus/48000/1", "opus/8000/2", "opus", "", "/"] {
            assert_eq!(Codec::from_rtpmap(rtpmap), None, "{rtpmap}");
        }
        assert_eq!(Codec::from_rtpmap("pcmu/8000/1"), Some(Codec::Pcmu));
        assert_eq!(Codec::from_rtpmap("OPUS/48000/2"), Some(Codec::Opus));
    }
}
