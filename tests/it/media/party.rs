//! A party of a media test: a UDP phone without signalling, in any codec. It sends its own tone, one packet in 20 ms unless
//! it is told otherwise, and keeps all that it receives. Parties are driven together by [`talk`], on the test's own thread.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use perezvon::media::codec::Codec;
use perezvon::media::coder::{Decoder, Encoder, MAX_CODED_BYTES, MAX_PCM_SAMPLES};
use perezvon::media::dtmf::TelephoneEvent;
use perezvon::media::rtp::{self, RtpHeader};
use perezvon::media::tones::{mean_square, power};
use perezvon::relay::RemoteMedia;

/// One packet as a party received it.
#[derive(Clone, Debug)]
pub struct Received {
    pub at: Instant,
    pub header: RtpHeader,
    pub payload: Vec<u8>,
}

pub struct Party {
    pub socket: UdpSocket,
    pub rtcp: UdpSocket,
    /// Where its packets go.
    pub to: SocketAddr,
    pub codec: Codec,
    pub payload_type: u8,
    pub dtmf_payload_type: Option<u8>,
    pub dtmf_clock_hz: u32,
    /// Whether it sends and hears keys as tones.
    pub dtmf_inband: bool,
    /// Length of its packets.
    pub ptime_ms: u32,
    /// The length of packets it wants to hear.
    pub wants_ptime_ms: u16,
    /// Of a hundred packets, so many are lost on their way.
    pub loss_percent: u32,
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    pub is_muted: bool,
    pub takes_comfort_noise: bool,
    pub sent: usize,
    /// Payloads of the audio it sent, losses included.
    pub said: Vec<Vec<u8>>,
    pub received: Vec<Received>,
    pub hz: f32,
    encoder: Encoder,
    /// Of its voice, in seconds.
    spoken_s: f64,
    /// Of its voice, not yet sent.
    waiting_ms: u32,
    random: u32,
}

pub const TONE_AMPLITUDE: i16 = 8000;

impl Party {
    /// A party on a port pair of its own at `host`, which sends a tone of `hz` to `to`.
    pub fn new(host: IpAddr, to: SocketAddr, codec: Codec, hz: f32) -> Party {
        let (socket, rtcp) = port_pair(host);
        for socket in [&socket, &rtcp] {
            socket.set_nonblocking(true).unwrap();
        }
        Party {
            socket,
            rtcp,
            to,
            codec,
            payload_type: codec.payload_type(),
            dtmf_payload_type: None,
            dtmf_clock_hz: 8000,
            dtmf_inband: false,
            ptime_ms: 20,
            wants_ptime_ms: 20,
            loss_percent: 0,
            ssrc: rand::random(),
            sequence: rand::random(),
            timestamp: rand::random(),
            is_muted: false,
            takes_comfort_noise: false,
            sent: 0,
            said: Vec::new(),
            received: Vec::new(),
            hz,
            encoder: Encoder::new(codec),
            spoken_s: 0.0,
            waiting_ms: 0,
            random: 1,
        }
    }

    /// How signalling would describe this party.
    pub fn remote(&self) -> RemoteMedia {
        RemoteMedia {
            payload_type: self.payload_type,
            ptime_ms: self.wants_ptime_ms,
            dtmf: self.dtmf_payload_type.map(|payload_type| (payload_type, self.dtmf_clock_hz)),
            dtmf_inband: self.dtmf_inband,
            comfort_noise: self.takes_comfort_noise.then_some(13),
            ..RemoteMedia::new(self.socket.local_addr().unwrap(), self.codec)
        }
    }

    /// Moves to another port, as behind a NAT that forgot its mapping: the stream goes on.
    pub fn move_to_another_port(&mut self) {
        let (socket, rtcp) = port_pair(self.socket.local_addr().unwrap().ip());
        socket.set_nonblocking(true).unwrap();
        rtcp.set_nonblocking(true).unwrap();
        (self.socket, self.rtcp) = (socket, rtcp);
    }

    /// Speaks for 20 ms, and sends the packets that are full.
    pub fn send_tone(&mut self) {
        self.waiting_ms += 20;
        while self.waiting_ms >= self.ptime_ms {
            self.waiting_ms -= self.ptime_ms;
            let samples = self.voice((self.codec.sample_hz() * self.ptime_ms / 1000) as usize);
            self.send_samples(&samples);
        }
    }

    /// Sends samples at the codec's own rate in one packet.
    pub fn send_samples(&mut self, samples: &[i16]) {
        if self.encoder.codec() != self.codec {
            self.encoder = Encoder::new(self.codec);
        }
        let mut audio = [0; 3 * MAX_CODED_BYTES];
        let len = self.encoder.encode(samples, &mut audio);
        let ticks = samples.len() as u32 * (self.codec.clock_hz() / 1000) / (self.codec.sample_hz() / 1000);
        self.said.push(audio[..len].to_vec());
        if self.is_lost() {
            self.sequence = self.sequence.wrapping_add(1);
        } else {
            self.send(self.payload_type, self.timestamp, &audio[..len]);
        }
        self.timestamp = self.timestamp.wrapping_add(ticks);
    }

    fn voice(&mut self, samples: usize) -> Vec<i16> {
        let rate = f64::from(self.codec.sample_hz());
        let begin = self.spoken_s;
        self.spoken_s += samples as f64 / rate;
        let angle = |index: usize| (begin + index as f64 / rate) * f64::from(self.hz) * std::f64::consts::TAU;
        (0..samples).map(|index| (angle(index).sin() * f64::from(TONE_AMPLITUDE)) as i16).collect()
    }

    /// Falls silent for one packet's time, with a word on how the silence sounds.
    pub fn send_comfort_noise(&mut self) {
        self.send(13, self.timestamp, &[60, 1, 2]);
        self.timestamp = self.timestamp.wrapping_add(160);
    }

    /// Presses a key for `packets` packets and lets it go, at once instead of in time.
    pub fn press(&mut self, digit: char, packets: u16) {
        (1..=packets).for_each(|index| self.press_step(digit, index, false));
        (0..3).for_each(|_| self.press_step(digit, packets + 1, true));
        self.end_press(packets + 1);
    }

    /// One packet of a press, which has lasted for `steps` of 20 ms.
    pub fn press_step(&mut self, digit: char, steps: u16, is_end: bool) {
        let event = TelephoneEvent::event_of(digit).unwrap();
        let event = TelephoneEvent { event, is_end, volume: 10, duration: steps * (self.dtmf_clock_hz / 50) as u16 };
        if self.is_lost() {
            self.sequence = self.sequence.wrapping_add(1);
        } else {
            self.send(self.dtmf_payload_type.unwrap(), self.timestamp, &event.to_bytes());
        }
    }

    /// The press is over: RTP time goes on from its end.
    pub fn end_press(&mut self, steps: u16) {
        self.timestamp = self.timestamp.wrapping_add(u32::from(steps) * self.codec.clock_hz() / 50);
    }

    /// Whether the next packet is lost on its way.
    fn is_lost(&mut self) -> bool {
        self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.random >> 16) % 100 < self.loss_percent
    }

    pub fn send(&mut self, payload_type: u8, timestamp: u32, payload: &[u8]) {
        let header = RtpHeader { marker: self.sent == 0, payload_type, sequence: self.sequence, timestamp, ssrc: self.ssrc };
        self.socket.send_to(&[&header.to_bytes()[..], payload].concat(), self.to).unwrap();
        self.sequence = self.sequence.wrapping_add(1);
        self.sent += 1;
    }

    /// Takes what has come.
    pub fn listen(&mut self) {
        let mut buffer = [0; 2048];
        while let Ok((len, from)) = self.socket.recv_from(&mut buffer) {
            assert_eq!(from, self.to, "a phone hears only the port it sends to");
            let packet = rtp::parse(&buffer[..len]).unwrap();
            self.received.push(Received { at: Instant::now(), header: packet.header, payload: packet.payload.to_vec() });
        }
    }

    /// The last `packets` packets, decoded to 8,000 samples a second.
    pub fn heard(&self, packets: usize) -> Vec<i16> {
        let from = self.received.len().saturating_sub(packets);
        // Decoders with state are in step after a few packets.
        let warm_up = from.saturating_sub(10);
        let (mut decoder, mut heard) = (Decoder::new(self.codec, 8000), Vec::new());
        for (index, packet) in self.received.iter().enumerate().skip(warm_up) {
            let mut samples = [0; MAX_PCM_SAMPLES];
            let len = decoder.decode(&packet.payload, &mut samples);
            heard.extend(samples[..len].iter().filter(|_| index >= from));
        }
        heard
    }

    /// The last `ms` that it heard, whatever the length of packets.
    pub fn heard_lately(&self, ms: usize) -> Vec<i16> {
        let mut heard = self.heard(ms / 10);
        heard.drain(..heard.len().saturating_sub(ms * 8));
        heard
    }

    /// Asserts that of `tones` the party heard `hz` lately and no other.
    #[track_caller]
    pub fn assert_hears(&self, packets: usize, hz: f32, others: &[f32]) {
        let samples = self.heard(packets);
        assert_eq!(samples.len(), packets * 160, "fewer packets than expected");
        assert_is_tone(&samples, hz, others);
    }

    /// Asserts that what was received is one stream without a gap, and returns where sources changed (marker bits).
    #[track_caller]
    pub fn assert_one_stream(&self) -> Vec<usize> {
        for pair in self.received.windows(2) {
            let (before, after) = (&pair[0].header, &pair[1].header);
            assert_eq!(after.ssrc, before.ssrc);
            assert_eq!(after.sequence, before.sequence.wrapping_add(1));
        }
        (0..self.received.len()).filter(|index| self.received[*index].header.marker).collect()
    }
}

#[track_caller]
pub fn assert_is_tone(samples: &[i16], hz: f32, others: &[f32]) {
    let whole = mean_square(samples);
    assert!(whole > 100_000.0, "there is sound: {whole}");
    let share = power(samples, 8000, hz) / whole;
    assert!(share > 0.9, "{hz} Hz has {share} of the power");
    for other in others {
        let share = power(samples, 8000, *other) / whole;
        assert!(share < 0.01, "{other} Hz has {share} of the power");
    }
}

/// How loud each tone is in the samples, measured by what a party says. It listens to a tenth of a second at a time: a jitter
/// buffer that changes its delay leaves a tone in another phase.
pub fn loudness(samples: &[i16], hz: f32) -> f64 {
    let said = f64::from(TONE_AMPLITUDE).powi(2) / 2.0;
    let pieces = samples.chunks_exact(800);
    let count = pieces.len().max(1) as f64;
    pieces.map(|piece| power(piece, 8000, hz)).sum::<f64>() / count / said
}

/// Whether of `all` tones just `wanted` are in the samples, each about as loud as a party says it.
pub fn are_tones(samples: &[i16], wanted: &[f32], all: &[f32]) -> bool {
    let is_right = |hz: &f32| {
        let heard = loudness(samples, *hz);
        if wanted.contains(hz) { (0.6..1.4).contains(&heard) } else { heard < 0.02 }
    };
    (wanted.is_empty() || !samples.is_empty()) && all.iter().all(is_right)
}

/// All parties send `packets` packets in step, one in 20 ms, and listen; then they listen until nothing comes for a while.
pub fn talk(parties: &mut [&mut Party], packets: usize) {
    let start = Instant::now();
    for index in 0..packets {
        parties.iter_mut().filter(|party| !party.is_muted).for_each(|party| party.send_tone());
        let next = start + Duration::from_millis(20) * (index as u32 + 1);
        while Instant::now() < next {
            parties.iter_mut().for_each(|party| party.listen());
            std::thread::sleep(Duration::from_micros(500));
        }
    }
}

/// Listens until every party has received `packets` in all, for five seconds at most.
#[track_caller]
pub fn listen_until(parties: &mut [&mut Party], packets: usize) {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        parties.iter_mut().for_each(|party| party.listen());
        if parties.iter().all(|party| party.received.len() >= packets) {
            return;
        }
        let counts: Vec<_> = parties.iter().map(|party| party.received.len()).collect();
        assert!(Instant::now() < until, "received {counts:?} of {packets} packets");
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// Two sockets on an even port and the one above it.
fn port_pair(host: IpAddr) -> (UdpSocket, UdpSocket) {
    loop {
        let rtp = UdpSocket::bind((host, 0)).unwrap();
        let port = rtp.local_addr().unwrap().port();
        if port.is_multiple_of(2)
            && let Ok(rtcp) = UdpSocket::bind((host, port + 1))
        {
            return (rtp, rtcp);
        }
    }
}
