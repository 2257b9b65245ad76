//! A party of a media test: a UDP phone without signalling. It sends its own tone, one packet in 20 ms, and keeps all that
//! it receives. Parties are driven together by [`talk`], on the test's own thread.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use perezvon::media::codec::Codec;
use perezvon::media::dtmf::TelephoneEvent;
use perezvon::media::rtp::{self, RtpHeader};
use perezvon::media::tones::{Sine, mean_square, power};
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
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    pub is_muted: bool,
    pub sent: usize,
    pub received: Vec<Received>,
    tone: Sine,
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
            ssrc: rand::random(),
            sequence: rand::random(),
            timestamp: rand::random(),
            is_muted: false,
            sent: 0,
            received: Vec::new(),
            tone: Sine::new(hz, 8000, TONE_AMPLITUDE),
        }
    }

    /// How signalling would describe this party.
    pub fn remote(&self) -> RemoteMedia {
        RemoteMedia {
            payload_type: self.payload_type,
            dtmf: self.dtmf_payload_type.map(|payload_type| (payload_type, 8000)),
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

    pub fn send_tone(&mut self) {
        let mut audio = [0; 160];
        for byte in &mut audio {
            *byte = self.codec.encode_sample(self.tone.next().unwrap());
        }
        self.send(self.payload_type, self.timestamp, &audio);
        self.timestamp = self.timestamp.wrapping_add(160);
    }

    /// Presses a key for `packets` packets and lets it go, at once instead of in time.
    pub fn press(&mut self, digit: char, packets: u16) {
        let event = TelephoneEvent::event_of(digit).unwrap();
        for index in 1..=packets + 3 {
            let is_end = index > packets;
            let event = TelephoneEvent { event, is_end, volume: 10, duration: index.min(packets + 1) * 160 };
            self.send(self.dtmf_payload_type.unwrap(), self.timestamp, &event.to_bytes());
        }
        self.timestamp = self.timestamp.wrapping_add(u32::from(packets + 1) * 160);
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

    /// The last `packets` packets, decoded.
    pub fn heard(&self, packets: usize) -> Vec<i16> {
        let from = self.received.len().saturating_sub(packets);
        self.received[from..].iter().flat_map(|packet| packet.payload.iter().map(|b| self.codec.decode_sample(*b))).collect()
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
