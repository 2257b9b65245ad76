//! The words between the engine and the media threads: commands in, events out. Values only.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::score::LegSeconds;
use crate::media::codec::Codec;
use crate::media::quality::LegStats;
use crate::media::sound::Sound;
use crate::media::srtp::MasterKey;

/// One leg's media: names its thread, its port pair and, so that a late command cannot reach the next call on the same
/// ports, which use of the pair it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MediaId {
    pub(super) thread: u16,
    /// Index of the port pair in the range; browser legs, which have none, are counted on from the last pair.
    pub(super) pair: u16,
    /// Counts the uses of the pair, or of the browser's place.
    pub(super) turn: u32,
}

impl MediaId {
    /// The media thread that serves the leg: the index of its tap ring.
    pub fn thread(self) -> usize {
        usize::from(self.thread)
    }
}

impl fmt::Display for MediaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m{}.{}.{}", self.thread, self.pair, self.turn)
    }
}

/// The ports of a leg, for the SDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaPort {
    pub id: MediaId,
    /// Even; RTP, and RTCP too when the far end agrees to rtcp-mux (RFC 5761).
    pub rtp_port: u16,
    /// The odd port above it.
    pub rtcp_port: u16,
}

/// What our SDP says of a browser leg: ICE-lite on one port that all browsers of a media thread share (RFC 8445 §2.5),
/// rtcp-mux, `setup` as the caller likes, and the certificate of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowserPort {
    pub id: MediaId,
    pub port: u16,
    pub ice: IceCredentials,
    /// SHA-256 of our DTLS certificate.
    pub fingerprint: Fingerprint,
}

/// One side's `ice-ufrag` and `ice-pwd` (RFC 8839 §5.4).
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    pub ufrag: String,
    pub password: String,
}

impl fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IceCredentials({})", self.ufrag)
    }
}

/// The SHA-256 of a DTLS certificate, as in `a=fingerprint` (RFC 8122 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    /// `AB:CD:…`, without the name of the hash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(place, byte)| write!(f, "{}{byte:02X}", if place == 0 { "" } else { ":" }))
    }
}

/// Who begins the DTLS handshake (RFC 5763 §5): the active side does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtlsRole {
    Active,
    Passive,
}

/// How a leg's packets are protected, both ways and RTCP too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Secure {
    /// Plain RTP.
    #[default]
    None,
    /// SRTP with keys from the SDP (RFC 4568), of one profile. `ours` protects what we send.
    Sdes { ours: MasterKey, theirs: MasterKey },
    /// A browser leg: keys by DTLS. `theirs` are the far end's ICE credentials; other ones than before mean that it
    /// restarted ICE (see `Relay::restart_ice`), and the DTLS association is kept.
    Dtls { fingerprint: Fingerprint, we_are: DtlsRole, theirs: IceCredentials },
}

/// The far end of a leg as signalling described it: where its SDP says it receives, what it speaks, which way it flows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteMedia {
    /// Not used for a browser, which is found by ICE.
    pub rtp: SocketAddr,
    pub rtcp: SocketAddr,
    /// RTCP shares the RTP port both ways.
    pub rtcp_mux: bool,
    pub codec: Codec,
    /// The payload type of `codec` on this leg.
    pub payload_type: u8,
    /// The length of the packets that it wants. What is passed on to it keeps the length that it came in.
    pub ptime_ms: u16,
    /// Other codecs that were negotiated, with their payload types: the far end may change to one of them at any packet. Our
    /// own packets keep to `codec`. A law of G.711 at its static number is understood without being named.
    pub other_formats: Vec<(u8, Codec)>,
    /// The payload type of telephone-event and its clock in hertz (8000 or 48000); `None` when the leg has none.
    pub dtmf: Option<(u8, u32)>,
    /// Only without telephone-event: keys are sent to the leg as tones in its audio, and tones in its audio are keys. Else no
    /// digits are sent to such a leg.
    pub dtmf_inband: bool,
    /// The payload type of comfort noise (RFC 3389), when the leg has it: it is passed on between legs that both do and
    /// dropped at others. It is never in a tap, so that a recording has silence there.
    pub comfort_noise: Option<u8>,
    /// The far end sends to us. When false its audio is not bridged and its silence is not reported.
    pub sends: bool,
    /// The far end receives from us. When false nothing but RTCP is sent.
    pub receives: bool,
    pub secure: Secure,
}

impl RemoteMedia {
    /// A far end that sends and receives `codec` at its static payload type, with RTCP on the next port and no digits.
    pub fn new(rtp: SocketAddr, codec: Codec) -> RemoteMedia {
        RemoteMedia {
            rtp,
            rtcp: SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1)),
            rtcp_mux: false,
            codec,
            payload_type: codec.payload_type(),
            ptime_ms: 20,
            other_formats: Vec::new(),
            dtmf: None,
            dtmf_inband: false,
            comfort_noise: None,
            sends: true,
            receives: true,
            secure: Secure::None,
        }
    }
}

/// What is played decides what a tap hears and what ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlayKind {
    /// Queue and hold music: not tapped; ends when the leg begins to hear somebody (`Bridge`, or a new source by `Hear`).
    Music,
    /// Ringback: not tapped; ends like music.
    Ringback,
    /// Heard while the other party has fallen silent without leaving (a browser that is being reloaded): not tapped; ends like
    /// music, and with the first audio of anybody the leg hears.
    Comfort,
    /// Speech from us: tapped; goes on to its end whoever is heard.
    Prompt,
}

/// What a leg is told to do. A command for a leg that has closed is ignored.
#[derive(Clone, Debug)]
pub enum MediaCommand {
    /// Where the far end is; again after each re-INVITE or changed answer. A new address opens the latch for a new
    /// source; the same address leaves the source as it is.
    Connect {
        media: MediaId,
        remote: RemoteMedia,
    },
    /// Each hears the other from now on and nobody else; those with whom they talked hear them no more. Ends music or
    /// ringback playing to either.
    Bridge {
        a: MediaId,
        b: MediaId,
    },
    /// `a` and the one it talks with do not hear each other any more.
    Unbridge {
        a: MediaId,
    },
    /// The leg hears these legs from now on, mixed, and nobody else; none of them hears it for that. At most 32, and no leg
    /// is heard by more than 32. The first is the one it talks with: keys (telephone-events) pass between two legs that name
    /// each other first, and to nobody else who listens.
    Hear {
        media: MediaId,
        sources: Vec<MediaId>,
    },
    /// Presses a key for the far end of this leg, as it agreed to get keys: for a digit that came another way (SIP INFO).
    SendDigit {
        media: MediaId,
        digit: char,
    },
    /// Plays in packets of 20 ms, in place of the bridged peer's audio, until the sound ends, `Stop`, another `Play`,
    /// or `Close`. `repeat` plays it for ever.
    Play {
        media: MediaId,
        sound: Arc<Sound>,
        repeat: bool,
        kind: PlayKind,
    },
    Stop {
        media: MediaId,
    },
    /// Copies the leg's audio to its thread's tap ring under `key`. A second `Tap` replaces the key.
    Tap {
        media: MediaId,
        key: u32,
    },
    Untap {
        media: MediaId,
    },
    /// Our new ICE credentials of a browser leg. The old ones stay good until the far end uses these. Sent by
    /// `Relay::restart_ice`, which makes them.
    RestartIce {
        media: MediaId,
        ours: IceCredentials,
    },
    /// Says BYE by RTCP (and closes DTLS), gives the ports back and ends with `MediaEvent::Closed`.
    Close {
        media: MediaId,
    },
}

/// What a leg reports. The callback runs on the media thread: it must hand the event on and return.
#[derive(Clone, Debug, PartialEq)]
pub enum MediaEvent {
    /// The leg's source is known and its first packet was accepted.
    FirstPacket { media: MediaId },
    /// Nothing was accepted from the leg for `for_ms`, though it should send; at most once each silence limit.
    Silent { media: MediaId, for_ms: u64 },
    /// A sound came to its end; not sent for a sound that was stopped or replaced.
    PlayEnded { media: MediaId },
    /// The leg pressed a key (RFC 4733, or a tone if `dtmf_inband`): `0`–`9`, `*`, `#`, `A`–`D`. Once a press.
    Digit { media: MediaId, digit: char },
    /// The browser proved its certificate and the keys are there: audio can flow. Once a leg.
    Secured { media: MediaId },
    /// The far end's certificate is not the one its SDP announced. `Lost` follows.
    Distrusted { media: MediaId },
    /// Nothing at all came from the browser for a second (four while it does not send audio, for then it only says now and
    /// then that it lives).
    Faint { media: MediaId },
    /// The browser is heard again after `Faint` or `Lost`.
    Back { media: MediaId },
    /// Nothing at all came from the browser for eight seconds, it took leave by DTLS, or it did not come through the
    /// handshake within ten. Once each loss. The leg stays until it is closed, and can come back.
    Lost { media: MediaId },
    /// The leg is gone and its ports rest. `seconds` is how it fared, when it lived for a second.
    Closed { media: MediaId, stats: LegStats, seconds: Option<Box<LegSeconds>> },
}

impl MediaEvent {
    /// The leg that reports.
    pub fn media(&self) -> MediaId {
        match *self {
            MediaEvent::FirstPacket { media }
            | MediaEvent::Silent { media, .. }
            | MediaEvent::PlayEnded { media }
            | MediaEvent::Digit { media, .. }
            | MediaEvent::Secured { media }
            | MediaEvent::Distrusted { media }
            | MediaEvent::Faint { media }
            | MediaEvent::Back { media }
            | MediaEvent::Lost { media }
            | MediaEvent::Closed { media, .. } => media,
        }
    }
}
