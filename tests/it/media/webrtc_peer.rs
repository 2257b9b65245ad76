//! A whole WebRTC peer, the `webrtc` crate with its own ICE agent, DTLS, SRTP and SDP, against a browser leg. The SDP on
//! our side is written here, as short as a browser would take it.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use perezvon::media::codec::Codec;
use perezvon::media::tones::Sine;
use perezvon::relay::{
    BrowserPort, DtlsRole, Fingerprint, IceCredentials, MediaCommand, MediaEvent, RelayConfig, RemoteMedia, Secure,
};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::media_engine::MediaEngine;
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use tokio::time::{Instant, sleep, timeout};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState, RTCPeerConnectionState,
};

use super::party::{Party, TONE_AMPLITUDE, assert_is_tone};
use super::rig::{LOOPBACK, Rig};

pub type Heard = Arc<Mutex<Vec<(u16, Vec<u8>)>>>;

pub struct Peer {
    connection: Arc<dyn PeerConnection>,
    track: Arc<TrackLocalStaticRTP>,
    codec: Codec,
    pub heard: Heard,
    events: Arc<Events>,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    tone: Sine,
}

#[derive(Default)]
struct Events {
    has_gathered: AtomicBool,
    is_connected: AtomicBool,
    heard: Heard,
}

#[async_trait]
impl PeerConnectionEventHandler for Events {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        self.has_gathered.store(state == RTCIceGatheringState::Complete, Ordering::Relaxed);
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.is_connected.store(state == RTCPeerConnectionState::Connected, Ordering::Relaxed);
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let heard = Arc::clone(&self.heard);
        tokio::spawn(async move {
            while let Some(event) = track.poll().await {
                if let TrackRemoteEvent::OnRtpPacket(packet) = event {
                    heard.lock().unwrap().push((packet.header.sequence_number, packet.payload.to_vec()));
                }
            }
        });
    }
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(Duration::from_secs(10), wait).await.unwrap_or_else(|_| panic!("waited in vain for {what}"));
}

impl Peer {
    pub async fn new(codec: Codec, hz: f32) -> Peer {
        let rtp_codec = RTCRtpCodec {
            mime_type: format!("audio/{}", codec.name()),
            clock_rate: codec.clock_hz(),
            channels: if codec == Codec::Opus { 2 } else { 0 },
            ..Default::default()
        };
        let mut media = MediaEngine::default();
        let payload_type = codec.payload_type();
        let parameters = RTCRtpCodecParameters { rtp_codec: rtp_codec.clone(), payload_type };
        media.register_codec(parameters, RtpCodecKind::Audio).unwrap();
        let heard = Heard::default();
        let events = Arc::new(Events { heard: Arc::clone(&heard), ..Events::default() });
        let connection = PeerConnectionBuilder::new()
            .with_media_engine(media)
            .with_setting_engine(SettingEngineBuilder::new().with_include_loopback_candidate(true).build())
            .with_handler(Arc::clone(&events) as Arc<dyn PeerConnectionEventHandler>)
            .with_udp_addrs(vec!["127.0.0.1:0"])
            .build()
            .await
            .unwrap();
        let ssrc = rand::random();
        let coding = RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() };
        let encoding = RTCRtpEncodingParameters { rtp_coding_parameters: coding, codec: rtp_codec, ..Default::default() };
        let track = MediaStreamTrack::new("s".into(), "t".into(), "l".into(), RtpCodecKind::Audio, vec![encoding]);
        let track = Arc::new(TrackLocalStaticRTP::new(track));
        connection.add_track(Arc::clone(&track) as Arc<dyn TrackLocal>).await.unwrap();
        let (sequence, timestamp, tone) = (1000, 5000, Sine::new(hz, 8000, TONE_AMPLITUDE));
        Peer { connection: Arc::new(connection), track, codec, heard, events, sequence, timestamp, ssrc, tone }
    }

    /// Its whole offer, with candidates.
    async fn offer(&self) -> String {
        let offer = self.connection.create_offer(None).await.unwrap();
        self.connection.set_local_description(offer).await.unwrap();
        until("candidates", || self.events.has_gathered.load(Ordering::Relaxed)).await;
        self.connection.local_description().await.unwrap().sdp
    }

    async fn take_answer(&self, sdp: String) {
        self.connection.set_remote_description(RTCSessionDescription::answer(sdp).unwrap()).await.unwrap();
    }

    pub async fn answer_to(&self, offer: String) -> String {
        self.connection.set_remote_description(RTCSessionDescription::offer(offer).unwrap()).await.unwrap();
        let answer = self.connection.create_answer(None).await.unwrap();
        self.connection.set_local_description(answer).await.unwrap();
        self.connection.local_description().await.unwrap().sdp
    }

    async fn send(&mut self, payload: Vec<u8>) {
        let mut packet = rtc::rtp::Packet { payload: payload.into(), ..Default::default() };
        packet.header.version = 2;
        packet.header.payload_type = self.codec.payload_type();
        packet.header.sequence_number = self.sequence;
        packet.header.timestamp = self.timestamp;
        packet.header.ssrc = self.ssrc;
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(self.codec.clock_hz() / 50);
        self.track.write_rtp(packet).await.unwrap();
    }

    pub async fn send_tone(&mut self) {
        let audio = (0..160).map(|_| self.codec.encode_sample(self.tone.next().unwrap())).collect();
        self.send(audio).await;
    }

    fn heard_count(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    #[track_caller]
    fn assert_hears(&self, packets: usize, hz: f32, others: &[f32]) {
        let heard = self.heard.lock().unwrap();
        let samples: Vec<i16> = heard[heard.len() - packets..]
            .iter()
            .flat_map(|(_, audio)| audio.iter().map(|byte| self.codec.decode_sample(*byte)))
            .collect();
        assert_is_tone(&samples, hz, others);
    }
}

fn line<'a>(sdp: &'a str, name: &str) -> &'a str {
    let found = sdp.lines().find_map(|line| line.strip_prefix("a=")?.strip_prefix(name)?.strip_prefix(':'));
    found.unwrap_or_else(|| panic!("no {name} in {sdp}"))
}

/// How our signalling would describe the peer of this SDP.
fn remote(sdp: &str, codec: Codec, we_are: DtlsRole) -> RemoteMedia {
    let bytes = hex::decode(line(sdp, "fingerprint").strip_prefix("sha-256 ").unwrap().replace(':', "")).unwrap();
    let theirs = IceCredentials { ufrag: line(sdp, "ice-ufrag").into(), password: line(sdp, "ice-pwd").into() };
    let fingerprint = Fingerprint(bytes.try_into().unwrap());
    RemoteMedia {
        rtcp_mux: true,
        secure: Secure::Dtls { fingerprint, we_are, theirs },
        ..RemoteMedia::new("0.0.0.0:9".parse().unwrap(), codec)
    }
}

/// Our SDP: `port` with its candidate at `at`.
fn sdp(port: &BrowserPort, at: SocketAddr, codec: Codec, setup: &str, mid: &str) -> String {
    let (payload_type, map, ice, print) = (codec.payload_type(), codec.rtpmap(), &port.ice, port.fingerprint);
    let lines = [
        "v=0".to_owned(),
        "o=- 1 1 IN IP4 127.0.0.1".into(),
        "s=-".into(),
        "t=0 0".into(),
        "a=ice-lite".into(),
        format!("a=group:BUNDLE {mid}"),
        "a=msid-semantic: WMS s".into(),
        format!("m=audio 9 UDP/TLS/RTP/SAVPF {payload_type}"),
        "c=IN IP4 0.0.0.0".into(),
        format!("a=mid:{mid}"),
        format!("a=ice-ufrag:{}", ice.ufrag),
        format!("a=ice-pwd:{}", ice.password),
        format!("a=fingerprint:sha-256 {print}"),
        format!("a=setup:{setup}"),
        "a=rtcp-mux".into(),
        "a=sendrecv".into(),
        format!("a=rtpmap:{payload_type} {map}"),
        format!("a=candidate:1 1 udp 2130706431 {} {} typ host", at.ip(), at.port()),
        "a=end-of-candidates".into(),
    ];
    lines.map(|line| line + "\r\n").concat()
}

/// A peer that offers and a browser leg that answers, connected; `at` is where the peer finds us, if not at our port.
async fn call(rig: &Rig, codec: Codec, hz: f32, at: Option<SocketAddr>) -> (Peer, BrowserPort) {
    let port = rig.relay.open_browser(0).unwrap();
    let peer = Peer::new(codec, hz).await;
    let offer = peer.offer().await;
    rig.command(MediaCommand::Connect { media: port.id, remote: remote(&offer, codec, DtlsRole::Passive) });
    let at = at.unwrap_or(SocketAddr::new(LOOPBACK, port.port));
    peer.take_answer(sdp(&port, at, codec, "passive", line(&offer, "mid"))).await;
    until("the connection", || peer.events.is_connected.load(Ordering::Relaxed)).await;
    let media = port.id;
    rig.wait_for(|event| (*event == MediaEvent::Secured { media }).then_some(()));
    (peer, port)
}

/// Both send a tone for `packets` packets' time.
async fn talk(peer: &mut Peer, phone: &mut Party, packets: u32) {
    let start = Instant::now();
    for number in 1..=packets {
        peer.send_tone().await;
        phone.send_tone();
        phone.listen();
        tokio::time::sleep_until(start + Duration::from_millis(20) * number).await;
    }
    phone.listen();
}

#[track_caller]
fn assert_they_hear_each_other(peer: &Peer, phone: &Party, packets: usize) {
    peer.assert_hears(packets, 1100.0, &[700.0]);
    phone.assert_hears(packets, 700.0, &[1100.0]);
}

fn rig() -> Rig {
    Rig::with(LOOPBACK, RelayConfig { threads: 1, ..RelayConfig::default() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webrtc_peer_that_offers_and_a_phone_hear_each_other_and_ice_can_restart() {
    let rig = rig();
    let (mut peer, mut port) = call(&rig, Codec::Pcmu, 700.0, None).await;
    let mut phone = rig.line(0, Codec::Pcma, 1100.0);
    rig.command(MediaCommand::Bridge { a: port.id, b: phone.id });
    talk(&mut peer, &mut phone.party, 50).await;
    assert_they_hear_each_other(&peer, &phone.party, 40);
    peer.events.has_gathered.store(false, Ordering::Relaxed);
    peer.connection.restart_ice().await.unwrap();
    let offer = peer.offer().await;
    port.ice = rig.relay.restart_ice(port.id).unwrap();
    rig.command(MediaCommand::Connect { media: port.id, remote: remote(&offer, Codec::Pcmu, DtlsRole::Passive) });
    let at = SocketAddr::new(LOOPBACK, port.port);
    peer.take_answer(sdp(&port, at, Codec::Pcmu, "passive", line(&offer, "mid"))).await;
    let (before, phone_before) = (peer.heard_count(), phone.party.received.len());
    for _ in 0..200 {
        talk(&mut peer, &mut phone.party, 1).await;
        if peer.heard_count() >= before + 60 && phone.party.received.len() >= phone_before + 60 {
            break;
        }
    }
    assert_they_hear_each_other(&peer, &phone.party, 40);
    let stats = rig.close(port.id);
    assert_eq!((stats.packets_forged, stats.packets_replayed), (0, 0));
    peer.connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webrtc_peer_that_answers_is_greeted_and_hears_opus_as_it_was_said() {
    let rig = rig();
    let (mut one, one_port) = call(&rig, Codec::Opus, 700.0, None).await;
    let port = rig.relay.open_browser(0).unwrap();
    let mut other = Peer::new(Codec::Opus, 1100.0).await;
    let at = SocketAddr::new(LOOPBACK, port.port);
    let answer = other.answer_to(sdp(&port, at, Codec::Opus, "actpass", "0")).await;
    let we_are = if line(&answer, "setup") == "active" { DtlsRole::Passive } else { DtlsRole::Active };
    rig.command(MediaCommand::Connect { media: port.id, remote: remote(&answer, Codec::Opus, we_are) });
    let media = port.id;
    until("the connection", || other.events.is_connected.load(Ordering::Relaxed)).await;
    rig.wait_for(|event| (*event == MediaEvent::Secured { media }).then_some(()));
    rig.command(MediaCommand::Bridge { a: port.id, b: one_port.id });
    let frames = |seed: u8| (0..30u8).map(move |number| vec![seed, number, 3, 4, 5]).collect::<Vec<_>>();
    for (one_says, other_says) in frames(1).into_iter().zip(frames(2)) {
        one.send(one_says).await;
        other.send(other_says).await;
        sleep(Duration::from_millis(20)).await;
    }
    until("the last frame", || one.heard_count() >= 30 && other.heard_count() >= 30).await;
    let payloads = |peer: &Peer| peer.heard.lock().unwrap().iter().map(|(_, payload)| payload.clone()).collect::<Vec<_>>();
    assert_eq!(payloads(&other), frames(1));
    assert_eq!(payloads(&one), frames(2));
    one.connection.close().await.unwrap();
    other.connection.close().await.unwrap();
}

/// A NAT between a peer and us, which gives the peer another port of its own when told to.
struct Nat {
    /// Where the peer sends.
    at: SocketAddr,
    uses: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
    runs: Option<std::thread::JoinHandle<()>>,
}

impl Nat {
    fn new(server: SocketAddr) -> Nat {
        let bind = || {
            let socket = UdpSocket::bind((LOOPBACK, 0)).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        };
        let (inside, outside) = (bind(), [bind(), bind()]);
        let at = inside.local_addr().unwrap();
        let (uses, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (its_uses, its_end) = (Arc::clone(&uses), Arc::clone(&is_over));
        let runs = std::thread::spawn(move || {
            let (mut buffer, mut peer) = ([0; 2048], None);
            while !its_end.load(Ordering::Relaxed) {
                let present = &outside[its_uses.load(Ordering::Relaxed)];
                while let Ok((len, from)) = inside.recv_from(&mut buffer) {
                    peer = Some(from);
                    _ = present.send_to(&buffer[..len], server);
                }
                // What comes to the forgotten port is lost.
                while let (Ok((len, _)), Some(peer)) = (present.recv_from(&mut buffer), peer) {
                    _ = inside.send_to(&buffer[..len], peer);
                }
                std::thread::sleep(Duration::from_micros(300));
            }
        });
        Nat { at, uses, is_over, runs: Some(runs) }
    }
}

impl Drop for Nat {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.runs.take().unwrap().join().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webrtc_peer_behind_a_nat_that_moves_is_followed() {
    let rig = rig();
    let port = rig.relay.open_browser(0).unwrap();
    let nat = Nat::new(SocketAddr::new(LOOPBACK, port.port));
    rig.close(port.id);
    let (mut peer, port) = call(&rig, Codec::Pcmu, 700.0, Some(nat.at)).await;
    let mut phone = rig.line(0, Codec::Pcma, 1100.0);
    rig.command(MediaCommand::Bridge { a: port.id, b: phone.id });
    talk(&mut peer, &mut phone.party, 50).await;
    assert_they_hear_each_other(&peer, &phone.party, 40);
    nat.uses.store(1, Ordering::Relaxed);
    let moved_at = Instant::now();
    let (before, phone_before) = (peer.heard_count(), phone.party.received.len());
    while peer.heard_count() < before + 60 || phone.party.received.len() < phone_before + 60 {
        talk(&mut peer, &mut phone.party, 1).await;
        assert!(moved_at.elapsed() < Duration::from_secs(8), "it was not found again");
    }
    println!("found again and 60 packets heard both ways after {:?}", moved_at.elapsed());
    assert_they_hear_each_other(&peer, &phone.party, 40);
    peer.connection.close().await.unwrap();
}
