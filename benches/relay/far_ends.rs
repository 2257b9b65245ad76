//! The parties' side of a leg: what it says, under which keys, and on which socket; and how what comes to it is read.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use perezvon::media::codec::Codec;
use perezvon::media::coder::{Encoder, MAX_CODED_BYTES};
use perezvon::media::rtp::{self, RtpHeader};
use perezvon::media::srtp::{MasterKey, Srtp};

pub const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Of a packet of G.711.
const PAYLOAD_BYTES: usize = 160;
/// Where in a payload the benchmark writes: a mark of two bytes, and when it was sent.
const MARK: [u8; 2] = [0x5a, 0xa5];
const STAMP_END: usize = MARK.len() + size_of::<u64>();
/// A leg's longest packet, keys and tag included.
pub const PACKET_BYTES: usize = 512;
/// Frames of speech that are said over and over: two seconds.
const FRAMES: usize = 100;

/// What a leg says.
#[derive(Clone)]
pub enum Voice {
    /// PCMA with the time in it, which comes out as it went in.
    Stamped,
    /// Something like speech in a codec, which comes out in another.
    Coded(std::sync::Arc<[Vec<u8>]>, Codec),
}

/// Our side and the relay's side of a protected leg.
#[derive(Clone, Copy)]
pub struct Keys {
    pub ours: MasterKey,
    pub theirs: MasterKey,
}

/// A leg as its far end's sender has it.
pub struct Speaker {
    /// Index among the crowd's sockets.
    pub socket: usize,
    pub to: SocketAddr,
    voice: Voice,
    srtp: Option<Srtp>,
    ssrc: u32,
    sequence: u16,
}

/// The same as its receiver has it.
pub struct Hearer {
    is_stamped: bool,
    srtp: Option<Srtp>,
    last_sequence: Option<u16>,
}

/// What a packet told to who heard it.
pub enum Told {
    /// A packet of the measured time, sent at this moment of the wall clock.
    SentAt(u64),
    /// A packet of the warm-up.
    Early,
    /// Audio that was coded anew; so many packets before it are missing.
    Audio { missing: u16 },
    /// RTCP, or a packet for nobody.
    Nothing,
}

impl Voice {
    /// Two seconds of vowels, pauses and noise: what it costs to code depends on what is coded.
    pub fn coded(codec: Codec) -> Voice {
        let hz = codec.sample_hz();
        let per_frame = (hz / 50) as usize;
        let mut encoder = Encoder::new(codec);
        let frames = (0..FRAMES).map(|frame| {
            let pcm: Vec<i16> = (0..per_frame).map(|sample| speech((frame * per_frame + sample) as f32 / hz as f32)).collect();
            let mut bytes = [0; MAX_CODED_BYTES];
            let len = encoder.encode(&pcm, &mut bytes);
            bytes[..len].to_vec()
        });
        Voice::Coded(frames.collect(), codec)
    }

    fn codec(&self) -> Codec {
        match self {
            Voice::Stamped => Codec::Pcma,
            Voice::Coded(_, codec) => *codec,
        }
    }
}

fn speech(seconds: f32) -> i16 {
    use std::f32::consts::TAU;
    let is_pause = (seconds * 1.5).fract() > 0.7;
    let pitch = 120.0 + 25.0 * (seconds * 3.1).sin();
    let vowel: f32 = (1..=12).map(|over| (TAU * pitch * over as f32 * seconds).sin() / (1.0 + (over as f32 - 5.0).abs())).sum();
    let noise = (seconds * 51_413.0).sin() * (seconds * 9_311.0).cos();
    ((if is_pause { 0.0 } else { vowel * 4000.0 }) + noise * 300.0) as i16
}

impl Speaker {
    pub fn new(socket: usize, to: SocketAddr, voice: Voice, keys: Option<Keys>, ssrc: u32) -> (Speaker, Hearer) {
        let srtp = || keys.map(|keys| Srtp::new(keys.ours, keys.theirs).expect("any key will do"));
        let hearer = Hearer { is_stamped: matches!(voice, Voice::Stamped), srtp: srtp(), last_sequence: None };
        (Speaker { socket, to, voice, srtp: srtp(), ssrc, sequence: 0 }, hearer)
    }

    /// Writes the next packet, sent at `now` of the wall clock, and says how long it is.
    pub fn speak(&mut self, now_nanos: u64, is_measured: bool, packet: &mut [u8; PACKET_BYTES]) -> usize {
        let codec = self.voice.codec();
        let header = RtpHeader {
            marker: false,
            payload_type: codec.payload_type(),
            sequence: self.sequence,
            timestamp: u32::from(self.sequence).wrapping_mul(codec.clock_hz() / 50),
            ssrc: self.ssrc,
        };
        packet[..rtp::HEADER_BYTES].copy_from_slice(&header.to_bytes());
        let payload = &mut packet[rtp::HEADER_BYTES..];
        let len = match &self.voice {
            Voice::Stamped => {
                payload[..MARK.len()].copy_from_slice(if is_measured { &MARK } else { &[0; 2] });
                payload[MARK.len()..STAMP_END].copy_from_slice(&now_nanos.to_be_bytes());
                payload[STAMP_END..PAYLOAD_BYTES].fill(0xd5);
                PAYLOAD_BYTES
            }
            Voice::Coded(frames, _) => {
                let frame = &frames[usize::from(self.sequence) % frames.len()];
                payload[..frame.len()].copy_from_slice(frame);
                frame.len()
            }
        };
        self.sequence = self.sequence.wrapping_add(1);
        let len = rtp::HEADER_BYTES + len;
        self.srtp.as_mut().map_or(len, |srtp| srtp.protect_rtp(packet, len).expect("there is room for the tag"))
    }
}

impl Hearer {
    pub fn hear(&mut self, packet: &[u8], room: &mut [u8]) -> Told {
        if rtp::is_rtcp(packet) {
            return Told::Nothing;
        }
        let opened = match &mut self.srtp {
            Some(srtp) => srtp.open_rtp(packet, room).unwrap_or(&[]),
            None => packet,
        };
        let Some(read) = rtp::parse(opened) else { return Told::Nothing };
        if !self.is_stamped {
            let sequence = read.header.sequence;
            let missing = self.last_sequence.map_or(0, |last| sequence.wrapping_sub(last).wrapping_sub(1));
            self.last_sequence = Some(sequence);
            return Told::Audio { missing };
        }
        match read.payload.first_chunk::<STAMP_END>() {
            Some(head) if head.starts_with(&MARK) => {
                let [_, _, stamp @ ..] = *head;
                Told::SentAt(u64::from_be_bytes(stamp))
            }
            _ => Told::Early,
        }
    }
}
