//! DTLS for browser legs (RFC 5763, RFC 5764): the certificate of this process, and one leg's association, from the first
//! flight to the SRTP keys. `rtc::dtls` does the protocol; this file watches over it: whose certificate it is, when a flight
//! is sent again, how much a far end may say. It owns no socket; `browser` carries its datagrams.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtc::crypto::RTCCryptoProvider;
use rtc::crypto::providers::RingProvider;
use rtc::dtls::config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig};
use rtc::dtls::crypto::Certificate;
use rtc::dtls::endpoint::{Endpoint, EndpointEvent};
use rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc::shared::TransportProtocol;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::command::{DtlsRole, Fingerprint};
use crate::media::srtp::{MasterKey, Profile, Srtp};
use crate::types::Time;

/// The certificate of this process could not be made, or no association with it.
#[derive(Debug, Error)]
#[error("DTLS: {0}")]
pub struct DtlsError(String);

impl DtlsError {
    fn from(error: impl std::fmt::Display) -> DtlsError {
        DtlsError(error.to_string())
    }
}

/// One self-signed ECDSA P-256 certificate, made at start and gone at the end. Browsers know it by its fingerprint alone.
pub(super) struct Identity {
    provider: Arc<dyn RTCCryptoProvider>,
    certificate: Certificate,
    fingerprint: Fingerprint,
}

impl Identity {
    pub fn new() -> Result<Identity, DtlsError> {
        let provider: Arc<dyn RTCCryptoProvider> = Arc::new(RingProvider::new());
        let names = vec!["perezvon".to_owned()];
        let certificate = Certificate::generate_self_signed(names, provider.crypto()).map_err(DtlsError::from)?;
        let der = certificate.certificate.first().ok_or_else(|| DtlsError("no certificate was made".into()))?;
        let fingerprint = fingerprint(der);
        Ok(Identity { provider, certificate, fingerprint })
    }

    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// What an association needs, with the one certificate that it lets in.
    fn config(&self, we_are: DtlsRole, theirs: Fingerprint) -> Result<Arc<HandshakeConfig>, DtlsError> {
        let profiles = vec![SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm, SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80];
        let config = ConfigBuilder::default()
            .with_crypto_provider(Arc::clone(&self.provider))
            .with_certificates(vec![self.certificate.clone()])
            .with_srtp_protection_profiles(profiles)
            .with_extended_master_secret(ExtendedMasterSecretType::Require)
            .with_client_auth(ClientAuthType::RequireAnyClientCert)
            // Nobody's authority signs a browser's certificate; its fingerprint came by signalling (RFC 5763 §5).
            .with_insecure_skip_verify(true)
            .with_server_name("perezvon".to_owned())
            .with_verify_peer_certificate(Some(Arc::new(move |chain: &[Vec<u8>], _: &_| {
                if is_trusted(chain, theirs) { Ok(()) } else { Err(rtc::shared::error::Error::ErrInvalidCertificate) }
            })))
            // The timer is always due, so that this file alone says when a flight is repeated.
            .with_flight_interval(Duration::from_nanos(1))
            .build(we_are == DtlsRole::Active, None);
        config.map(Arc::new).map_err(DtlsError::from)
    }
}

fn fingerprint(der: &[u8]) -> Fingerprint {
    Fingerprint(Sha256::digest(der).into())
}

fn is_trusted(chain: &[Vec<u8>], theirs: Fingerprint) -> bool {
    chain.first().is_some_and(|der| fingerprint(der) == theirs)
}

/// What a datagram, or the passing of time, did to an association.
#[derive(Debug)]
pub(super) enum Step {
    GoesOn,
    /// The far end is who it should be; these are the keys.
    Secured(Box<Srtp>),
    /// The far end has another certificate than signalling announced.
    Distrusted,
    /// The handshake cannot come to an end any more.
    Failed,
    /// The far end took leave.
    Closed,
}

/// The first repetition of a flight, and the longest time between two; in between it doubles (RFC 6347 §4.2.4.1 begins
/// with a second, which a call's first word cannot wait for; browsers begin with 50 ms).
const FIRST_REPEAT: Duration = Duration::from_millis(150);
const LAST_REPEAT: Duration = Duration::from_millis(2400);
/// The protocol library gives up when asked more often.
const REPEATS: u32 = 7;
/// Not more often than this a flight is repeated because the far end repeated its own.
const ECHO: Duration = Duration::from_millis(40);
/// Datagrams taken from one far end. A handshake needs four to six; what comes after are repetitions, and a farewell. With
/// them all the buffers of the protocol library are bounded.
const DATAGRAMS: u32 = 64;
/// Datagrams of one flight that are kept.
const FLIGHT: usize = 6;

/// The library sorts associations by address; each of ours has an endpoint of its own, and this for an address.
const FAR_END: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// One leg's association.
pub(super) struct Association {
    endpoint: Endpoint,
    /// Set until the association begins.
    to_begin: Option<Arc<HandshakeConfig>>,
    theirs: Fingerprint,
    we_are: DtlsRole,
    /// The same moment on both clocks.
    made: (Instant, Time),
    is_secured: bool,
    is_over: bool,
    datagrams: u32,
    /// Pieces of handshake messages that were taken.
    taken: Vec<Piece>,
    /// Our last flight as it was sent.
    flight: Vec<BytesMut>,
    flight_at: Time,
    repeat_at: Option<Time>,
    repeat_after: Duration,
    repeats: u32,
    outgoing: Vec<BytesMut>,
}

impl Association {
    pub fn new(identity: &Identity, now: Time, we_are: DtlsRole, theirs: Fingerprint) -> Result<Association, DtlsError> {
        let config = identity.config(we_are, theirs)?;
        let (server, to_begin) = match we_are {
            DtlsRole::Passive => (Some(config), None),
            DtlsRole::Active => (None, Some(config)),
        };
        Ok(Association {
            endpoint: Endpoint::new(FAR_END, TransportProtocol::UDP, server),
            to_begin,
            theirs,
            we_are,
            made: (Instant::now(), now),
            is_secured: false,
            is_over: false,
            datagrams: 0,
            taken: Vec::new(),
            flight: Vec::new(),
            flight_at: now,
            repeat_at: None,
            repeat_after: FIRST_REPEAT,
            repeats: 0,
            outgoing: Vec::new(),
        })
    }

    /// Whether it was made for this far end.
    pub fn is_for(&self, we_are: DtlsRole, theirs: Fingerprint) -> bool {
        self.we_are == we_are && self.theirs == theirs
    }

    /// There is a way to the far end: the active side says hello, once.
    pub fn begin(&mut self, now: Time) -> Step {
        let Some(config) = self.to_begin.take() else { return Step::GoesOn };
        if self.endpoint.connect(self.instant(now), FAR_END, config, None).is_err() {
            self.is_over = true;
            return Step::Failed;
        }
        self.collect(now);
        Step::GoesOn
    }

    /// Takes a datagram from the far end.
    pub fn read(&mut self, now: Time, datagram: &[u8]) -> Step {
        // The active side's library would wait for a server's hello from a far end that it did not greet.
        if self.is_over || self.to_begin.is_some() || self.datagrams >= DATAGRAMS {
            return Step::GoesOn;
        }
        self.datagrams += 1;
        if !self.is_secured && self.is_repetition(datagram) {
            self.answer_repetition(now);
            return Step::GoesOn;
        }
        let events = self.endpoint.read(self.instant(now), FAR_END, None, datagram.into());
        self.collect(now);
        match events {
            Ok(events) => {
                for event in events {
                    match event {
                        EndpointEvent::HandshakeComplete => return self.finish(),
                        EndpointEvent::PeerClosed => {
                            self.is_over = true;
                            return Step::Closed;
                        }
                        // No data channels here.
                        _ => {}
                    }
                }
                Step::GoesOn
            }
            // An established association is not torn down by what anybody may have sent.
            Err(_) if self.is_secured => Step::GoesOn,
            Err(_) => {
                self.is_over = true;
                self.repeat_at = None;
                let chain = self.endpoint.get_connection_state(FAR_END).map(|state| &state.peer_certificates);
                let is_distrusted = chain.is_some_and(|chain| !chain.is_empty() && !is_trusted(chain, self.theirs));
                if is_distrusted { Step::Distrusted } else { Step::Failed }
            }
        }
    }

    /// Repeats our last flight when it is time to.
    pub fn tick(&mut self, now: Time) {
        if self.repeat_at.is_none_or(|at| now < at) {
            return;
        }
        self.repeat_after = (self.repeat_after * 2).min(LAST_REPEAT);
        self.repeat_at = Some(now + self.repeat_after);
        self.repeat(now);
    }

    /// Datagrams for the far end, in order.
    pub fn take_outgoing(&mut self) -> impl Iterator<Item = BytesMut> + '_ {
        self.outgoing.drain(..)
    }

    /// Says close_notify.
    pub fn close(&mut self, now: Time) {
        if !self.is_over && self.to_begin.is_none() {
            self.is_over = true;
            self.repeat_at = None;
            // It fails only for an association that does not exist.
            let _ = self.endpoint.close(self.instant(now));
            while let Some(transmit) = self.endpoint.poll_transmit() {
                self.outgoing.push(transmit.message);
            }
        }
    }

    fn instant(&self, now: Time) -> Instant {
        self.made.0 + now.since(self.made.1)
    }

    /// Takes what the library wants sent; a new flight is kept and its timer begins. Says whether there was any.
    fn collect(&mut self, now: Time) -> bool {
        let before = self.outgoing.len();
        while let Some(transmit) = self.endpoint.poll_transmit() {
            self.outgoing.push(transmit.message);
        }
        let new = self.outgoing.get(before..).unwrap_or_default();
        if new.is_empty() {
            return false;
        }
        self.flight.clear();
        self.flight.extend(new.iter().take(FLIGHT).cloned());
        self.flight_at = now;
        self.repeats = 0;
        self.repeat_after = FIRST_REPEAT;
        self.repeat_at = (!self.is_secured).then(|| now + FIRST_REPEAT);
        true
    }

    /// Whether a datagram holds nothing but pieces of the handshake that were taken before: the far end's last flight once
    /// more, because ours was lost. The library (0.21.1) would forget its timer over it, and with that wait for ever.
    fn is_repetition(&mut self, datagram: &[u8]) -> bool {
        let mut is_repetition = true;
        for piece in pieces(datagram) {
            match piece {
                Some(piece) if self.taken.contains(&piece) => {}
                Some(piece) => {
                    is_repetition = false;
                    if self.taken.len() < PIECES {
                        self.taken.push(piece);
                    }
                }
                None => is_repetition = false,
            }
        }
        is_repetition
    }

    fn answer_repetition(&mut self, now: Time) {
        if now.since(self.flight_at) >= ECHO {
            self.repeat(now);
        }
    }

    /// The library makes the flight anew, with fresh record numbers, as long as it has a timer. Without one the datagrams
    /// are sent as they were: what was lost of them is new to the far end, and the rest it drops.
    fn repeat(&mut self, now: Time) {
        self.flight_at = now;
        let has_timer = self.endpoint.poll_timeout(&FAR_END).is_some();
        if has_timer && self.repeats < REPEATS {
            self.repeats += 1;
            let later = self.instant(now) + Duration::from_nanos(1);
            if self.endpoint.handle_timeout(FAR_END, later).is_ok() {
                let (repeat_at, repeat_after, repeats) = (self.repeat_at, self.repeat_after, self.repeats);
                if self.collect(now) {
                    (self.repeat_at, self.repeat_after, self.repeats) = (repeat_at, repeat_after, repeats);
                    return;
                }
            }
        }
        self.outgoing.extend(self.flight.iter().cloned());
    }

    /// The handshake is over: the far end's certificate is looked at once more, and the keys are taken out.
    fn finish(&mut self) -> Step {
        self.repeat_at = None;
        let keys = self.keys();
        self.is_secured = keys.is_some();
        self.is_over = keys.is_none();
        keys.map_or(Step::Failed, |keys| Step::Secured(Box::new(keys)))
    }

    fn keys(&self) -> Option<Srtp> {
        let state = self.endpoint.get_connection_state(FAR_END)?;
        if !is_trusted(&state.peer_certificates, self.theirs) {
            return None;
        }
        let profile = match state.srtp_protection_profile() {
            SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm => Profile::AeadAes128Gcm,
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80 => Profile::AesCm128HmacSha1_80,
            _ => return None,
        };
        // RFC 5764 §4.2: the client's key, the server's key, the client's salt, the server's salt.
        let both = 2 * profile.keying_bytes();
        let material = state.export_keying_material("EXTRACTOR-dtls_srtp", &[], both).ok()?;
        let (keys, salts) = material.as_ref().split_at_checked(2 * Profile::KEY_BYTES)?;
        let (client_key, server_key) = keys.split_at_checked(Profile::KEY_BYTES)?;
        let (client_salt, server_salt) = salts.split_at_checked(salts.len() / 2)?;
        let client = MasterKey::new(profile, &[client_key, client_salt].concat())?;
        let server = MasterKey::new(profile, &[server_key, server_salt].concat())?;
        match self.we_are {
            DtlsRole::Active => Srtp::new(client, server).ok(),
            DtlsRole::Passive => Srtp::new(server, client).ok(),
        }
    }
}

/// A piece of a handshake message (RFC 6347 §4.2.2): its type, number, and which of its bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Piece([u8; 12]);

/// Pieces remembered; a handshake has a dozen.
const PIECES: usize = 64;

/// The readable pieces of a datagram; `None` for a record that is something else.
fn pieces(datagram: &[u8]) -> impl Iterator<Item = Option<Piece>> + '_ {
    const HANDSHAKE: u8 = 22;
    let (mut records, mut messages) = (datagram, &[][..]);
    std::iter::from_fn(move || {
        if messages.is_empty() {
            // §4.1: type, version, epoch, number, length.
            let (header, rest) = records.split_first_chunk::<13>()?;
            let (record, rest) = rest.split_at_checked(u16::from_be_bytes([header[11], header[12]]).into())?;
            records = rest;
            if header[0] != HANDSHAKE || header[3..5] != [0, 0] || record.is_empty() {
                return Some(None);
            }
            messages = record;
        }
        let Some((piece, rest)) = messages.split_first_chunk::<12>() else {
            messages = &[];
            return Some(None);
        };
        let len = u32::from_be_bytes([0, piece[9], piece[10], piece[11]]) as usize;
        messages = rest.get(len..).unwrap_or_default();
        Some(Some(Piece(*piece)))
    })
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn ms(at: u64) -> Time {
        Time::from_millis(at)
    }

    struct Side {
        association: Association,
        keys: Option<Box<Srtp>>,
        ends: Vec<&'static str>,
    }

    impl Side {
        fn new(identity: &Identity, we_are: DtlsRole, theirs: Fingerprint) -> Side {
            Side { association: Association::new(identity, ms(0), we_are, theirs).unwrap(), keys: None, ends: Vec::new() }
        }

        fn note(&mut self, step: Step) {
            match step {
                Step::GoesOn => {}
                Step::Secured(keys) => self.keys = Some(keys),
                Step::Distrusted => self.ends.push("distrusted"),
                Step::Failed => self.ends.push("failed"),
                Step::Closed => self.ends.push("closed"),
            }
        }
    }

    /// An active and a passive side over a line that takes 10 ms and loses what `is_lost` says (by the datagram's number).
    /// Returns when both had keys.
    fn shake(active: &mut Side, passive: &mut Side, mut is_lost: impl FnMut(u32) -> bool) -> Option<u64> {
        let (mut line, mut number) = (Vec::<(u64, bool, BytesMut)>::new(), 0);
        active.association.begin(ms(0));
        for now in 0..12_000 {
            let arrived: Vec<_> = line.extract_if(.., |(at, ..)| *at <= now).collect();
            for (_, is_for_passive, datagram) in arrived {
                let side = if is_for_passive { &mut *passive } else { &mut *active };
                let step = side.association.read(ms(now), &datagram);
                side.note(step);
            }
            for (side, is_for_passive) in [(&mut *active, true), (&mut *passive, false)] {
                side.association.tick(ms(now));
                for datagram in side.association.take_outgoing() {
                    number += 1;
                    if !is_lost(number) {
                        line.push((now + 10, is_for_passive, datagram));
                    }
                }
            }
            if active.keys.is_some() && passive.keys.is_some() {
                return Some(now);
            }
        }
        None
    }

    fn sides() -> (Side, Side) {
        let (one, other) = (Identity::new().unwrap(), Identity::new().unwrap());
        (Side::new(&one, DtlsRole::Active, other.fingerprint()), Side::new(&other, DtlsRole::Passive, one.fingerprint()))
    }

    #[test]
    fn both_sides_get_keys_that_fit() {
        let (mut active, mut passive) = sides();
        assert_eq!(shake(&mut active, &mut passive, |_| false), Some(60), "six flights");
        let (mut one, mut other) = (active.keys.unwrap(), passive.keys.unwrap());
        assert_eq!(format!("{one:?}"), "Srtp(AeadAes128Gcm)");
        for _ in 0..2 {
            let mut packet = [0x80; 60];
            let len = one.protect_rtp(&mut packet, 40).unwrap();
            assert_eq!(other.open_rtp(&packet[..len], &mut [0; 60]).unwrap(), [0x80; 40]);
            std::mem::swap(&mut one, &mut other);
        }
    }

    #[test]
    fn whichever_datagram_is_lost_the_handshake_comes_through_within_a_second() {
        for lost in 1..=10 {
            let (mut active, mut passive) = sides();
            let took = shake(&mut active, &mut passive, |number| number == lost);
            assert!(took.is_some_and(|took| took < 1000), "number {lost}: {took:?}");
        }
    }

    #[test]
    fn it_comes_through_when_a_quarter_of_all_is_lost() {
        let mut slow = 0;
        for seed in 0..40 {
            let mut random = SmallRng::seed_from_u64(seed);
            let (mut active, mut passive) = sides();
            let took = shake(&mut active, &mut passive, |_| random.random_bool(0.25));
            slow += u32::from(took.is_none_or(|took| took > 10_000));
        }
        assert!(slow <= 1, "{slow} of 40 took over ten seconds");
    }

    #[test]
    fn another_certificate_than_announced_is_refused_by_either_side() {
        let (one, other, third) = (Identity::new().unwrap(), Identity::new().unwrap(), Identity::new().unwrap());
        let mut active = Side::new(&one, DtlsRole::Active, other.fingerprint());
        let mut passive = Side::new(&other, DtlsRole::Passive, third.fingerprint());
        assert_eq!(shake(&mut active, &mut passive, |_| false), None);
        assert_eq!((passive.ends, passive.keys.is_some()), (vec!["distrusted"], false));
        let mut active = Side::new(&one, DtlsRole::Active, third.fingerprint());
        let mut passive = Side::new(&other, DtlsRole::Passive, one.fingerprint());
        assert_eq!(shake(&mut active, &mut passive, |_| false), None);
        assert_eq!((active.ends, active.keys.is_some()), (vec!["distrusted"], false));
    }

    #[test]
    fn who_closes_is_heard() {
        let (mut active, mut passive) = sides();
        shake(&mut active, &mut passive, |_| false);
        passive.association.close(ms(100));
        let farewell: Vec<_> = passive.association.take_outgoing().collect();
        for datagram in farewell {
            let step = active.association.read(ms(110), &datagram);
            active.note(step);
        }
        assert_eq!(active.ends, ["closed"]);
    }

    #[test]
    fn noise_neither_ends_an_association_nor_fills_memory() {
        let (mut active, mut passive) = sides();
        shake(&mut active, &mut passive, |_| false);
        let mut random = SmallRng::seed_from_u64(7);
        for _ in 0..1000 {
            let mut noise = [0; 100];
            random.fill(&mut noise[..]);
            noise[..3].copy_from_slice(&[20 + random.random_range(0..4), 0xfe, 0xfd]);
            let step = passive.association.read(ms(100), &noise);
            passive.note(step);
        }
        assert!(passive.ends.is_empty());
        assert!(passive.association.take_outgoing().count() < 100);
    }

    /// `cargo test --release --lib dtls_costs -- --ignored --nocapture`
    #[test]
    #[ignore = "a measurement"]
    fn dtls_costs() {
        let (one, other) = (Identity::new().unwrap(), Identity::new().unwrap());
        let (mut spent, mut longest) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..200 {
            let at = Instant::now();
            let mut passive = Side::new(&other, DtlsRole::Passive, one.fingerprint());
            spent += at.elapsed();
            let mut active = Side::new(&one, DtlsRole::Active, other.fingerprint());
            active.association.begin(ms(0));
            for _ in 0..10 {
                for datagram in active.association.take_outgoing().collect::<Vec<_>>() {
                    let at = Instant::now();
                    let step = passive.association.read(ms(1), &datagram);
                    longest = longest.max(at.elapsed());
                    spent += at.elapsed();
                    passive.note(step);
                }
                for datagram in passive.association.take_outgoing().collect::<Vec<_>>() {
                    let step = active.association.read(ms(1), &datagram);
                    active.note(step);
                }
            }
            assert!(passive.keys.is_some());
        }
        println!("a passive handshake: {} µs, its longest step {} µs", spent.as_micros() / 200, longest.as_micros());
    }
}
