//! Phones with SDES keys: protected both ways, plain packets refused, and a phone that proves itself is followed at once.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use perezvon::media::codec::Codec::Pcma;
use perezvon::media::srtp::{MasterKey, Profile};
use perezvon::relay::{MediaCommand, MediaId, RelayConfig, RemoteMedia, Secure};

use super::guarded::Guarded;
use super::party::{listen_until, talk};
use super::rig::{LOOPBACK, Line, Rig};

struct Call {
    rig: Rig,
    id: MediaId,
    secret: Guarded,
    plain: Line,
    keys: [MasterKey; 2],
}

fn key(profile: Profile) -> MasterKey {
    MasterKey::from_random(profile, rand::random())
}

impl Call {
    /// A phone with SDES keys and a plain one, bridged.
    fn new(profile: Profile) -> Call {
        let rig =
            Rig::with(LOOPBACK, RelayConfig { rtcp_interval: Duration::from_millis(200), threads: 1, ..RelayConfig::default() });
        let port = rig.relay.open(0).unwrap();
        let socket = UdpSocket::bind((LOOPBACK, 0)).unwrap();
        let mut secret = Guarded::new(socket, SocketAddr::new(LOOPBACK, port.rtp_port), Pcma, 700.0);
        let keys = [key(profile), key(profile)];
        secret.set_keys(&keys[1], &keys[0]);
        let plain = rig.line(0, Pcma, 1100.0);
        let call = Call { rig, id: port.id, secret, plain, keys };
        call.connect();
        call.rig.command(MediaCommand::Bridge { a: call.id, b: call.plain.id });
        call
    }

    fn connect(&self) {
        let secure = Secure::Sdes { ours: self.keys[0], theirs: self.keys[1] };
        let named = self.secret.socket.local_addr().unwrap();
        let remote = RemoteMedia { secure, rtcp_mux: true, ..RemoteMedia::new(named, Pcma) };
        self.rig.command(MediaCommand::Connect { media: self.id, remote });
    }

    #[track_caller]
    fn assert_it_works(&mut self) {
        let before = (self.secret.received.len(), self.plain.party.received.len());
        for _ in 0..25 {
            self.secret.send_tone();
            talk(&mut [&mut self.plain.party], 1);
            self.secret.listen();
        }
        listen_until(&mut [&mut self.plain.party], before.1 + 25);
        self.secret.listen_until("the other phone", |stream| stream.received.len() >= before.0 + 25);
        self.plain.party.assert_hears(20, 700.0, &[1100.0]);
        self.secret.assert_hears(20, 1100.0, &[700.0]);
        assert_eq!((self.secret.unopened, self.secret.others.len()), (0, 0), "all that comes is protected");
    }
}

#[test]
fn a_phone_with_sdes_keys_and_a_plain_one_hear_each_other() {
    for profile in [Profile::AesCm128HmacSha1_80, Profile::AeadAes128Gcm] {
        let mut call = Call::new(profile);
        call.assert_it_works();
        call.secret.listen_until("a report", |stream| !stream.reports.is_empty());
        call.connect();
        call.assert_it_works();
    }
}

#[test]
fn new_keys_after_signalling_are_used_at_once() {
    let mut call = Call::new(Profile::AesCm128HmacSha1_80);
    call.assert_it_works();
    call.keys = [key(Profile::AeadAes128Gcm), key(Profile::AeadAes128Gcm)];
    call.connect();
    call.secret.set_keys(&call.keys[1], &call.keys[0]);
    // The command is carried out before anything that is sent after this answer of its thread.
    call.rig.close(call.rig.open(0, Pcma, 1.0).id);
    call.assert_it_works();
}

#[test]
fn plain_packets_and_those_of_other_keys_are_refused_even_from_the_right_address() {
    let mut call = Call::new(Profile::AesCm128HmacSha1_80);
    call.assert_it_works();
    let mut other = Guarded::new(call.secret.socket.try_clone().unwrap(), call.secret.to, Pcma, 500.0);
    (0..10).for_each(|_| other.send_tone());
    other.set_keys(&key(Profile::AesCm128HmacSha1_80), &key(Profile::AesCm128HmacSha1_80));
    (0..10).for_each(|_| other.send_tone());
    other.socket.send_to(&[0x80, 201, 0, 1, 0, 0, 0, 1], other.to).unwrap();
    call.assert_it_works();
    let stats = call.rig.close(call.id);
    assert_eq!((stats.packets_forged, stats.packets_unusable), (20, 1));
    assert_eq!(stats.packets_received, 50);
}

#[test]
fn a_phone_that_proves_itself_from_another_address_is_followed_at_once() {
    let mut call = Call::new(Profile::AesCm128HmacSha1_80);
    call.assert_it_works();
    let socket = UdpSocket::bind((LOOPBACK, 0)).unwrap();
    socket.set_nonblocking(true).unwrap();
    call.secret.socket = socket;
    let heard = call.plain.party.received.len();
    let moved_at = Instant::now();
    while call.plain.party.received.len() == heard {
        call.secret.send_tone();
        talk(&mut [&mut call.plain.party], 1);
        assert!(moved_at.elapsed() < Duration::from_millis(400), "a plain leg takes a second");
    }
    call.assert_it_works();
    assert_eq!(call.rig.close(call.id).source_changes, 1);
}
