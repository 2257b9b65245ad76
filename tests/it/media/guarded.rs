//! A stream that is protected by SRTP, as the far end has it: it sends a tone and keeps what it can open. The contexts are
//! those of `rtc::srtp`, not ours. Phones with SDES keys and browser pages of the tests have one.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use perezvon::media::codec::Codec;
use perezvon::media::rtp::{self, RtpHeader};
use perezvon::media::srtp::{MasterKey, Profile};
use perezvon::media::tones::Sine;
use rtc::srtp::context::Context;
use rtc::srtp::protection_profile::ProtectionProfile;

use super::party::{TONE_AMPLITUDE, assert_is_tone};

pub struct Guarded {
    pub socket: UdpSocket,
    pub to: SocketAddr,
    pub codec: Codec,
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    /// Opened RTP, with the moment it came.
    pub received: Vec<(Instant, RtpHeader, Vec<u8>)>,
    /// Opened RTCP.
    pub reports: Vec<Vec<u8>>,
    /// What came and was neither.
    pub others: Vec<Vec<u8>>,
    /// What looked like SRTP and could not be opened.
    pub unopened: usize,
    /// What this end protects with, and what the far end does.
    pub keys: Option<[MasterKey; 2]>,
    tone: Sine,
    out: Option<Context>,
    into: Option<Context>,
}

impl Guarded {
    pub fn new(socket: UdpSocket, to: SocketAddr, codec: Codec, hz: f32) -> Guarded {
        socket.set_nonblocking(true).unwrap();
        Guarded {
            socket,
            to,
            codec,
            ssrc: rand::random(),
            sequence: rand::random::<u16>() & 0x7fff,
            timestamp: rand::random(),
            received: Vec::new(),
            reports: Vec::new(),
            others: Vec::new(),
            unopened: 0,
            keys: None,
            tone: Sine::new(hz, 8000, TONE_AMPLITUDE),
            out: None,
            into: None,
        }
    }

    /// `ours` protects what this end sends.
    pub fn set_keys(&mut self, ours: &MasterKey, theirs: &MasterKey) {
        (self.out, self.into) = (Some(context(ours)), Some(context(theirs)));
        self.keys = Some([*ours, *theirs]);
    }

    pub fn is_secured(&self) -> bool {
        self.out.is_some()
    }

    pub fn send_tone(&mut self) {
        let audio: Vec<u8> = (0..160).map(|_| self.codec.encode_sample(self.tone.next().unwrap())).collect();
        self.send(&audio);
    }

    pub fn send(&mut self, payload: &[u8]) {
        let packet = self.seal_next(payload);
        self.socket.send_to(&packet, self.to).unwrap();
    }

    /// The next packet as it would be sent.
    pub fn seal_next(&mut self, payload: &[u8]) -> Vec<u8> {
        let payload_type = self.codec.payload_type();
        let (sequence, timestamp, ssrc) = (self.sequence, self.timestamp, self.ssrc);
        let header = RtpHeader { marker: false, payload_type, sequence, timestamp, ssrc };
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(self.codec.clock_hz() / 50);
        let plain = [&header.to_bytes()[..], payload].concat();
        self.out.as_mut().map_or(plain.clone(), |out| out.encrypt_rtp(&plain).unwrap().to_vec())
    }

    pub fn send_report(&mut self, report: &[u8]) {
        let sealed = self.out.as_mut().unwrap().encrypt_rtcp(report).unwrap();
        self.socket.send_to(&sealed, self.to).unwrap();
    }

    /// Takes what has come.
    pub fn listen(&mut self) {
        let mut buffer = [0; 2048];
        while let Ok((len, _)) = self.socket.recv_from(&mut buffer) {
            let bytes = &buffer[..len];
            match (&mut self.into, bytes[0]) {
                (Some(into), 128..=191) if rtp::is_rtcp(bytes) => match into.decrypt_rtcp(bytes) {
                    Ok(report) => self.reports.push(report.to_vec()),
                    Err(_) => self.unopened += 1,
                },
                (Some(into), 128..=191) => match into.decrypt_rtp(bytes) {
                    Ok(packet) => {
                        let packet = rtp::parse(&packet).unwrap();
                        self.received.push((Instant::now(), packet.header, packet.payload.to_vec()));
                    }
                    Err(_) => self.unopened += 1,
                },
                _ => self.others.push(bytes.to_vec()),
            }
        }
    }

    /// Listens until `enough`, for five seconds at most.
    #[track_caller]
    pub fn listen_until(&mut self, what: &str, enough: impl Fn(&Guarded) -> bool) {
        let until = Instant::now() + Duration::from_secs(5);
        while !enough(self) {
            assert!(Instant::now() < until, "{what} did not come; {} packets did", self.received.len());
            self.listen();
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// Asserts that the last packets were the tone of `hz` and not `others`.
    #[track_caller]
    pub fn assert_hears(&self, packets: usize, hz: f32, others: &[f32]) {
        assert!(self.received.len() >= packets, "{} packets came, not {packets}", self.received.len());
        let from = self.received.len() - packets;
        let samples: Vec<i16> =
            self.received[from..].iter().flat_map(|(_, _, audio)| audio.iter().map(|b| self.codec.decode_sample(*b))).collect();
        assert_is_tone(&samples, hz, others);
    }
}

fn context(key: &MasterKey) -> Context {
    use rtc::srtp::option::{srtcp_replay_protection, srtp_replay_protection};
    let profile = match key.profile() {
        Profile::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        Profile::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
    };
    let (key, salt) = key.key_and_salt().split_at(Profile::KEY_BYTES);
    let provider = rtc::crypto::default_provider().unwrap();
    let (rtp, rtcp) = (srtp_replay_protection(64), srtcp_replay_protection(64));
    Context::new(key, salt, profile, Some(rtp), Some(rtcp), provider.crypto()).unwrap()
}
