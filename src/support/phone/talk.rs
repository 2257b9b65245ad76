//! The audio of one call: a pair of ports, one task that speaks every 20 ms and one that listens.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::SharedEar;
use crate::clock;
use crate::gateway::sdp::{LocalMedia, Protection, RemoteMedia};
use crate::media::codec::Codec;
use crate::media::coder::{Encoder, MAX_CODED_BYTES};
use crate::media::dtmf::TelephoneEvent;
use crate::media::resample::Resampler;
use crate::media::rtp::{self, HEADER_BYTES, RtpHeader};
use crate::media::sound::PACKET_SAMPLES;
use crate::media::srtp::{Srtp, TAIL_BYTES};
use crate::media::tones::{Babble, Sine};

/// What a phone says.
#[derive(Clone, Debug, Default)]
pub enum Says {
    /// Packets of silence.
    #[default]
    Nothing,
    /// One steady tone.
    Tone { hz: f32 },
    /// Phrases and pauses, like a person.
    Voice { seed: u64 },
    /// Comfort noise in place of silence, where it was agreed.
    Hush,
    /// These samples, 8,000 a second, once; then silence.
    Samples(Arc<[i16]>),
}

impl Says {
    /// The first channel of a WAV file of 16-bit samples at 8,000 or 16,000 a second.
    pub fn wav(path: &Path) -> Result<Says, hound::Error> {
        let mut file = hound::WavReader::open(path)?;
        let rate = file.spec().sample_rate;
        let channels = file.spec().channels.max(1).into();
        let samples: Vec<i16> = file.samples::<i16>().step_by(channels).collect::<Result<_, _>>()?;
        match rate {
            8000 => Ok(Says::Samples(samples.into())),
            16_000 => {
                let mut narrow = vec![0; samples.len() / 2];
                let len = Resampler::new(16_000, 8000).resample(&samples, &mut narrow);
                narrow.truncate(len);
                Ok(Says::Samples(narrow.into()))
            }
            _ => Err(hound::Error::Unsupported),
        }
    }

    fn samples(&self) -> Box<dyn Iterator<Item = i16> + Send> {
        match self.clone() {
            Says::Nothing | Says::Hush => Box::new(std::iter::empty()),
            Says::Tone { hz } => Box::new(Sine::new(hz, 8000, 8000)),
            Says::Voice { seed } => Box::new(Babble::new(seed)),
            Says::Samples(samples) => Box::new((0..samples.len()).map(move |index| samples[index])),
        }
    }
}

/// The open ports of a call. Dropping it closes them.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) local: LocalMedia,
    remote: watch::Sender<Option<RemoteMedia>>,
    digits: mpsc::Sender<char>,
    is_muted: Arc<AtomicBool>,
    guard: Guard,
    ear: SharedEar,
    tasks: [AbortHandle; 2],
}

/// The protection of a call's audio; `None` while it is plain.
type Guard = Arc<Mutex<Option<Srtp>>>;

impl Talk {
    /// Opens a pair of ports on `address`; nothing is sent before `connect`.
    pub(super) async fn open(address: IpAddr, says: &Says, ear: SharedEar, is_muted: Arc<AtomicBool>) -> io::Result<Talk> {
        let (rtp, rtcp) = bind_pair(address).await?;
        let local = LocalMedia { address, rtp_port: rtp.local_addr()?.port(), rtcp_port: rtcp.local_addr()?.port() };
        let remote = watch::Sender::new(None);
        // A handful of keys waiting to be pressed; a full queue makes who presses more wait.
        let (digits, pressed) = mpsc::channel(32);
        let socket = Arc::new(rtp);
        let guard = Guard::default();
        let mouth = Mouth {
            socket: socket.clone(),
            ear: ear.clone(),
            samples: says.samples(),
            is_hushed: matches!(says, Says::Hush),
            pressed,
            key: None,
            coder: MouthCoder::new(Codec::Pcma),
            is_muted: is_muted.clone(),
            guard: guard.clone(),
        };
        let tasks = [
            tokio::spawn(mouth.speak(remote.subscribe())).abort_handle(),
            tokio::spawn(listen(socket, rtcp, ear.clone(), guard.clone(), remote.subscribe())).abort_handle(),
        ];
        Ok(Talk { local, remote, digits, is_muted, guard, ear, tasks })
    }

    /// The same call on other ports.
    pub(super) async fn elsewhere(&self, address: IpAddr, says: &Says) -> io::Result<Talk> {
        Talk::open(address, says, self.ear.clone(), self.is_muted.clone()).await
    }

    /// Where to send from now on, and what to expect.
    pub(super) fn connect(&self, remote: RemoteMedia) {
        let mut guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        match &remote.protection {
            Protection::Sdes { ours, theirs } if guard.as_ref().is_some_and(|guard| guard.has_keys(ours, theirs)) => {}
            Protection::Sdes { ours, theirs } => *guard = Srtp::new(*ours, *theirs).ok(),
            Protection::None | Protection::Dtls { .. } => *guard = None,
        }
        drop(guard);
        self.remote.send_replace(Some(remote));
    }

    pub(super) fn digits(&self) -> mpsc::Sender<char> {
        self.digits.clone()
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// An even port and the next one.
async fn bind_pair(address: IpAddr) -> io::Result<(UdpSocket, UdpSocket)> {
    for _ in 0..64 {
        let rtp = UdpSocket::bind(SocketAddr::new(address, 0)).await?;
        let port = rtp.local_addr()?.port();
        if port.is_multiple_of(2)
            && let Ok(rtcp) = UdpSocket::bind(SocketAddr::new(address, port + 1)).await
        {
            return Ok((rtp, rtcp));
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no pair of RTP ports is free"))
}

/// A key that is being pressed: 100 ms of events and three ends (RFC 4733 §2.5.1).
struct Key {
    event: u8,
    timestamp: u32,
    /// Packets still to send.
    left: VecDeque<(u16, bool)>,
    is_begun: bool,
}

impl Key {
    /// Its time counts by the codec's clock, 8 or 48 kHz.
    fn press(digit: char, timestamp: u32, clock_hz: u32) -> Option<Key> {
        let event = TelephoneEvent::event_of(digit)?;
        let packet = (clock_hz / 50) as u16;
        let left = (1..=4).map(|packets| (packets * packet, false)).chain([(5 * packet, true); 3]);
        Some(Key { event, timestamp, left: left.collect(), is_begun: false })
    }
}

/// Linear audio at 8 kHz to one codec.
struct MouthCoder {
    encoder: Encoder,
    resampler: Resampler,
}

impl MouthCoder {
    fn new(codec: Codec) -> MouthCoder {
        MouthCoder { encoder: Encoder::new(codec), resampler: Resampler::new(8000, codec.sample_hz()) }
    }

    /// 20 ms behind what is in `packet`.
    fn code(&mut self, said: &[i16], packet: &mut Vec<u8>) {
        let (mut wide, mut coded) = ([0; 2 * PACKET_SAMPLES], [0; MAX_CODED_BYTES]);
        let len = self.resampler.resample(said, &mut wide);
        let len = self.encoder.encode(&wide[..len], &mut coded);
        packet.extend_from_slice(&coded[..len]);
    }
}

/// The speaking side.
struct Mouth {
    socket: Arc<UdpSocket>,
    ear: SharedEar,
    samples: Box<dyn Iterator<Item = i16> + Send>,
    is_hushed: bool,
    pressed: mpsc::Receiver<char>,
    key: Option<Key>,
    coder: MouthCoder,
    is_muted: Arc<AtomicBool>,
    guard: Guard,
}

impl Mouth {
    async fn speak(mut self, mut remote: watch::Receiver<Option<RemoteMedia>>) {
        if remote.wait_for(Option::is_some).await.is_err() {
            return;
        }
        let ssrc: u32 = rand::random();
        let mut sequence: u16 = rand::random();
        let mut timestamp: u32 = rand::random();
        // Late ticks are made up for, so that the pace is true in the long run.
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            let said: Vec<i16> = self.samples.by_ref().chain(std::iter::repeat(0)).take(PACKET_SAMPLES).collect();
            let to = remote.borrow().clone();
            let clock_hz = to.as_ref().map_or(Codec::CLOCK_HZ, |to| to.codec.clock_hz());
            let to = to.filter(|_| !self.is_muted.load(Ordering::Relaxed));
            if let Some(to) = to.filter(RemoteMedia::receives) {
                let header = RtpHeader { marker: false, payload_type: to.payload_type, sequence, timestamp, ssrc };
                self.send(to, header, &said).await;
                sequence = sequence.wrapping_add(1);
            }
            timestamp = timestamp.wrapping_add(clock_hz / 50);
        }
    }

    /// One packet: the pressed key's if there is one, else what is said.
    async fn send(&mut self, to: RemoteMedia, audio: RtpHeader, said: &[i16]) {
        if self.key.is_none() {
            let clock_hz = to.codec.clock_hz();
            self.key = self.pressed.try_recv().ok().and_then(|digit| Key::press(digit, audio.timestamp, clock_hz));
        }
        // A far end without telephone-events never learns of the key.
        self.key.take_if(|_| to.dtmf.is_none());
        let mut packet = Vec::with_capacity(HEADER_BYTES + PACKET_SAMPLES);
        match (&mut self.key, to.dtmf.map(|dtmf| dtmf.payload_type)) {
            (Some(key), Some(payload_type)) => {
                let Some((duration, is_end)) = key.left.pop_front() else { return };
                let marker = !std::mem::replace(&mut key.is_begun, true);
                let header = RtpHeader { marker, payload_type, timestamp: key.timestamp, ..audio };
                let event = TelephoneEvent { event: key.event, is_end, volume: 10, duration };
                packet.extend_from_slice(&header.to_bytes());
                packet.extend_from_slice(&event.to_bytes());
                if key.left.is_empty() {
                    self.key = None;
                }
            }
            _ if self.is_hushed && to.comfort_noise.is_some() => {
                let header = RtpHeader { payload_type: to.comfort_noise.unwrap_or_default(), ..audio };
                packet.extend_from_slice(&header.to_bytes());
                // RFC 3389 §3.1: the level in -dBov; no spectrum.
                packet.push(60);
            }
            _ => {
                packet.extend_from_slice(&audio.to_bytes());
                if self.coder.encoder.codec() != to.codec {
                    self.coder = MouthCoder::new(to.codec);
                }
                self.coder.code(said, &mut packet);
            }
        }
        if let Some(guard) = &mut *self.guard.lock().unwrap_or_else(PoisonError::into_inner) {
            let len = packet.len();
            packet.resize(len + TAIL_BYTES, 0);
            let Some(len) = guard.protect_rtp(&mut packet, len) else { return };
            packet.truncate(len);
        }
        // A refused packet is the far end's trouble, and the next one comes in 20 ms.
        if self.socket.send_to(&packet, to.rtp).await.is_ok() {
            self.ear.sent();
        }
    }
}

/// The listening side. RTCP is received and not read.
async fn listen(
    rtp: Arc<UdpSocket>,
    rtcp: UdpSocket,
    ear: SharedEar,
    guard: Guard,
    remote: watch::Receiver<Option<RemoteMedia>>,
) {
    let (mut packet, mut report, mut room) = ([0; 2048], [0; 2048], [0; 2048]);
    loop {
        let length = tokio::select! {
            received = rtp.recv(&mut packet) => received,
            _ = rtcp.recv(&mut report) => continue,
        };
        // An error tells that an earlier packet of ours was refused.
        let Ok(length) = length else { continue };
        let known = remote.borrow().clone();
        let opened = match &mut *guard.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(guard) => guard.open_rtp(&packet[..length], &mut room[..length]).unwrap_or_default(),
            None => &packet[..length],
        };
        let (Some(known), Some(read)) = (known, rtp::parse(opened)) else { continue };
        match read.header.payload_type {
            payload_type if payload_type == known.payload_type => ear.hear(clock::now(), known.codec, &read),
            payload_type if known.dtmf.is_some_and(|dtmf| dtmf.payload_type == payload_type) => ear.hear_event(&read),
            payload_type if Some(payload_type) == known.comfort_noise => ear.hear_comfort_noise(),
            _ => {}
        }
    }
}
