//! A browser page without a browser: ICE, DTLS and SRTP of a WebRTC call on one UDP socket, step by step under the hand of
//! the test. DTLS and SRTP are those of `rtc`; the STUN requests are written by our own writer. `webrtc_peer` tests with a
//! whole peer of another make.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use perezvon::media::codec::Codec;
use perezvon::media::srtp::{MasterKey, Profile};
use perezvon::media::stun::{IntegrityKey, Message, Role};
use perezvon::relay::{
    BrowserPort, DtlsRole, Fingerprint, IceCredentials, MediaCommand, MediaEvent, MediaId, RemoteMedia, Secure,
};
use rtc::dtls::config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig};
use rtc::dtls::crypto::Certificate;
use rtc::dtls::endpoint::{Endpoint, EndpointEvent};
use rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc::shared::TransportProtocol;
use sha2::Digest;

use super::guarded::Guarded;
use super::rig::Rig;

const RELAY: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

pub struct Page {
    pub id: MediaId,
    pub port: BrowserPort,
    pub ice: IceCredentials,
    pub stream: Guarded,
    /// The part the page plays in the handshake.
    pub role: DtlsRole,
    pub profile: SrtpProtectionProfile,
    certificate: Certificate,
    dtls: Option<Endpoint>,
    pub heard_farewell: bool,
    /// The transaction of the last request.
    pub transaction: [u8; 12],
}

/// How a request of the page differs from a right one.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub password: &'a str,
    pub user_name: &'a str,
    pub nominates: bool,
    pub role: Role,
}

impl Page {
    /// A page with a browser leg on media thread `thread`, which signalling has not described yet.
    pub fn open(rig: &Rig, thread: u64, codec: Codec, hz: f32) -> Page {
        let port = rig.relay.open_browser(thread).unwrap();
        let socket = UdpSocket::bind((rig.host, 0)).unwrap();
        let to = SocketAddr::new(rig.host, port.port);
        let provider = rtc::crypto::default_provider().unwrap();
        let certificate = Certificate::generate_self_signed(vec!["page".to_owned()], provider.crypto()).unwrap();
        Page {
            id: port.id,
            port,
            ice: IceCredentials { ufrag: "page".into(), password: "the page's password, of no use here".into() },
            stream: Guarded::new(socket, to, codec, hz),
            role: DtlsRole::Active,
            profile: SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
            certificate,
            dtls: None,
            heard_farewell: false,
            transaction: [0; 12],
        }
    }

    /// How signalling would describe this page.
    pub fn remote(&self) -> RemoteMedia {
        let fingerprint = Fingerprint(sha2::Sha256::digest(&self.certificate.certificate[0]).into());
        let we_are = if self.role == DtlsRole::Active { DtlsRole::Passive } else { DtlsRole::Active };
        RemoteMedia {
            rtcp_mux: true,
            secure: Secure::Dtls { fingerprint, we_are, theirs: self.ice.clone() },
            ..RemoteMedia::new("0.0.0.0:9".parse().unwrap(), self.stream.codec)
        }
    }

    pub fn connect(&self, rig: &Rig) {
        rig.command(MediaCommand::Connect { media: self.id, remote: self.remote() });
    }

    /// Opens a page, connects it and comes through the handshake.
    #[track_caller]
    pub fn arrive(rig: &Rig, thread: u64, codec: Codec, hz: f32) -> Page {
        let mut page = Page::open(rig, thread, codec, hz);
        page.connect(rig);
        page.come_through(rig);
        page
    }

    /// Nominates its address and shakes hands.
    #[track_caller]
    pub fn come_through(&mut self, rig: &Rig) {
        assert!(self.ask_until_answered(), "the first request is answered");
        self.begin();
        let until = Instant::now() + Duration::from_secs(5);
        while !self.stream.is_secured() {
            assert!(Instant::now() < until, "the handshake does not end");
            self.step();
            std::thread::sleep(Duration::from_micros(200));
        }
        let id = self.id;
        rig.wait_for(|event| (*event == MediaEvent::Secured { media: id }).then_some(()));
    }

    pub fn user_name(&self) -> String {
        format!("{}:{}", self.port.ice.ufrag, self.ice.ufrag)
    }

    /// The request that a browser would send now.
    pub fn write_request(&mut self, nominates: bool) -> Vec<u8> {
        let (user_name, password) = (self.user_name(), self.port.ice.password.clone());
        self.write(Request { password: &password, user_name: &user_name, nominates, role: Role::Controlling })
    }

    pub fn write(&mut self, request: Request<'_>) -> Vec<u8> {
        self.transaction = rand::random();
        let mut key = IntegrityKey::new(request.password).unwrap();
        Message::request(self.transaction, request.user_name, request.role, request.nominates, &mut key).bytes().to_vec()
    }

    /// Sends a request and waits up to `patience` for its answer, of whatever kind.
    pub fn ask(&mut self, request: &[u8], patience: Duration) -> Option<Vec<u8>> {
        self.stream.socket.send_to(request, self.stream.to).unwrap();
        self.answer(patience)
    }

    pub fn answer(&mut self, patience: Duration) -> Option<Vec<u8>> {
        let until = Instant::now() + patience;
        loop {
            self.step();
            let is_answer = |bytes: &Vec<u8>| bytes[0] == 1 && bytes[8..20] == self.transaction;
            if let Some(place) = self.stream.others.iter().position(is_answer) {
                return Some(self.stream.others.remove(place));
            }
            if Instant::now() >= until {
                return None;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Asks again and again, as browsers do: `Connect` may be on its way to the media thread still.
    pub fn ask_until_answered(&mut self) -> bool {
        (0..100).any(|_| {
            let request = self.write_request(true);
            self.ask(&request, Duration::from_millis(50)).is_some_and(|answer| answer[..2] == [1, 1])
        })
    }

    /// Its part of the handshake: the active side says hello.
    pub fn begin(&mut self) {
        let is_active = self.role == DtlsRole::Active;
        let provider = rtc::crypto::default_provider().unwrap();
        let config = ConfigBuilder::default()
            .with_crypto_provider(provider)
            .with_certificates(vec![self.certificate.clone()])
            .with_srtp_protection_profiles(vec![self.profile])
            .with_extended_master_secret(ExtendedMasterSecretType::Require)
            .with_client_auth(ClientAuthType::RequireAnyClientCert)
            .with_insecure_skip_verify(true)
            .with_server_name("relay".to_owned())
            .build(is_active, None);
        let config: Arc<HandshakeConfig> = Arc::new(config.unwrap());
        let mut dtls = Endpoint::new(RELAY, TransportProtocol::UDP, (!is_active).then(|| Arc::clone(&config)));
        if is_active {
            dtls.connect(Instant::now(), RELAY, config, None).unwrap();
        }
        self.dtls = Some(dtls);
        self.step();
    }

    /// Reads what has come, goes on with the handshake, and sends what that makes.
    pub fn step(&mut self) {
        self.stream.listen();
        let Some(dtls) = &mut self.dtls else { return };
        let datagrams: Vec<_> = self.stream.others.extract_if(.., |bytes| (20..64).contains(&bytes[0])).collect();
        let mut is_done = false;
        for datagram in datagrams {
            for event in dtls.read(Instant::now(), RELAY, None, datagram.as_slice().into()).unwrap_or_default() {
                is_done |= matches!(event, EndpointEvent::HandshakeComplete);
                self.heard_farewell |= matches!(event, EndpointEvent::PeerClosed);
            }
        }
        if dtls.poll_timeout(&RELAY).is_some_and(|at| Instant::now() >= at) {
            _ = dtls.handle_timeout(RELAY, Instant::now());
        }
        while let Some(transmit) = dtls.poll_transmit() {
            self.stream.socket.send_to(&transmit.message, self.stream.to).unwrap();
        }
        if is_done {
            self.take_keys();
        }
    }

    fn take_keys(&mut self) {
        let state = self.dtls.as_ref().unwrap().get_connection_state(RELAY).unwrap();
        let theirs: [u8; 32] = sha2::Sha256::digest(&state.peer_certificates[0]).into();
        assert_eq!(Fingerprint(theirs), self.port.fingerprint, "the certificate is the one of the offer");
        let profile = match state.srtp_protection_profile() {
            SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm => Profile::AeadAes128Gcm,
            _ => Profile::AesCm128HmacSha1_80,
        };
        let material = state.export_keying_material("EXTRACTOR-dtls_srtp", &[], 2 * profile.keying_bytes()).unwrap();
        let (keys, salts) = material.as_ref().split_at(32);
        let (client_salt, server_salt) = salts.split_at(salts.len() / 2);
        let client = MasterKey::new(profile, &[&keys[..16], client_salt].concat()).unwrap();
        let server = MasterKey::new(profile, &[&keys[16..], server_salt].concat()).unwrap();
        match self.role {
            DtlsRole::Active => self.stream.set_keys(&client, &server),
            DtlsRole::Passive => self.stream.set_keys(&server, &client),
        }
    }

    /// Takes leave by DTLS, as Firefox does.
    pub fn say_farewell(&mut self) {
        self.dtls.as_mut().unwrap().close(Instant::now()).unwrap();
        self.step();
    }

    /// Comes from another port from now on, as behind a NAT that forgot its mapping.
    pub fn move_to_another_port(&mut self) {
        let socket = UdpSocket::bind((self.stream.socket.local_addr().unwrap().ip(), 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        self.stream.socket = socket;
    }
}

/// Pages send `packets` packets in step, one in 20 ms, and listen.
pub fn chat(pages: &mut [&mut Page], packets: usize) {
    let start = Instant::now();
    for index in 0..packets {
        pages.iter_mut().for_each(|page| page.stream.send_tone());
        let next = start + Duration::from_millis(20) * (index as u32 + 1);
        while Instant::now() < next {
            pages.iter_mut().for_each(|page| page.step());
            std::thread::sleep(Duration::from_micros(500));
        }
    }
}
