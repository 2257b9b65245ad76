//! The contexts against `rtc::srtp`, against replays and forgeries, and against any bytes.

use proptest::prelude::*;
use rtc::crypto::RTCCryptoProvider;
use rtc::crypto::providers::RingProvider;
use rtc::srtp::{context::Context, protection_profile::ProtectionProfile};

use super::Profile::{AeadAes128Gcm, AesCm128HmacSha1_80};
use super::cipher::derive;
use super::numbers::STREAMS;
use super::*;
use crate::media::rtp::RtpHeader;

const PROFILES: [Profile; 2] = [AesCm128HmacSha1_80, AeadAes128Gcm];

fn key(profile: Profile, seed: u8) -> MasterKey {
    MasterKey::from_random(profile, std::array::from_fn(|place| seed.wrapping_mul(31).wrapping_add(place as u8)))
}

fn pair(profile: Profile) -> (Srtp, Srtp) {
    let (one, other) = (key(profile, 1), key(profile, 2));
    (Srtp::new(one, other).unwrap(), Srtp::new(other, one).unwrap())
}

fn rtp(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let header = RtpHeader { marker: false, payload_type: 0, sequence, timestamp: 160, ssrc };
    [&header.to_bytes()[..], payload].concat()
}

fn sealed(srtp: &mut Srtp, packet: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + TAIL_BYTES, 0);
    let len = if rtp::is_rtcp(packet) {
        srtp.protect_rtcp(&mut buffer, packet.len())
    } else {
        srtp.protect_rtp(&mut buffer, packet.len())
    };
    buffer.truncate(len?);
    Some(buffer)
}

fn opened(srtp: &mut Srtp, packet: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut room = vec![0; packet.len()];
    let open = if rtp::is_rtcp(packet) { srtp.open_rtcp(packet, &mut room) } else { srtp.open_rtp(packet, &mut room) };
    open.map(<[u8]>::to_vec)
}

const REPORT: [u8; 16] = [0x80, 201, 0, 3, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8];

/// The contexts of another implementation, with the same keys.
fn foreign(key: &MasterKey) -> Context {
    let profile = match key.profile() {
        AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
    };
    let (key, salt) = key.key_and_salt().split_at(16);
    Context::new(key, salt, profile, None, None, RingProvider::new().crypto()).unwrap()
}

#[test]
fn another_implementation_understands_us_and_we_it_over_turns_of_the_numbers() {
    for profile in PROFILES {
        let (ours, theirs) = (key(profile, 1), key(profile, 2));
        let mut srtp = Srtp::new(ours, theirs).unwrap();
        let (mut their_ear, mut their_mouth) = (foreign(&ours), foreign(&theirs));
        for number in 32_000..(32_000 + 3 * 65_536u32) {
            let packet = rtp(7, number as u16, &number.to_be_bytes());
            if number % 1000 < 70 || number as u16 == 0 {
                assert_eq!(their_ear.decrypt_rtp(&sealed(&mut srtp, &packet).unwrap()).unwrap(), packet, "{profile:?} {number}");
                assert_eq!(opened(&mut srtp, &their_mouth.encrypt_rtp(&packet).unwrap()).unwrap(), packet);
            }
        }
        for _ in 0..5 {
            let report = sealed(&mut srtp, &REPORT).unwrap();
            assert_eq!(their_ear.decrypt_rtcp(&report).unwrap(), REPORT[..]);
            assert_eq!(opened(&mut srtp, &their_mouth.encrypt_rtcp(&REPORT).unwrap()).unwrap(), REPORT);
        }
    }
}

#[test]
fn headers_with_extensions_stay_readable_and_padding_does_not() {
    for profile in PROFILES {
        let (mut one, mut other) = pair(profile);
        let mut packet = rtp(7, 1, &[&[0xbe, 0xde, 0, 1, 0x10, 9, 0, 0], b"audio" as &[u8], &[0, 0, 3]].concat());
        packet[0] |= 0x30;
        let wire = sealed(&mut one, &packet).unwrap();
        assert_eq!(wire[..20], packet[..20]);
        assert_ne!(wire[20..28], packet[20..28]);
        assert_eq!(opened(&mut other, &wire).unwrap(), packet);
    }
}

#[test]
fn a_packet_is_let_in_once() {
    for profile in PROFILES {
        let (mut one, mut other) = pair(profile);
        let packets: Vec<_> = (100..200).map(|sequence| sealed(&mut one, &rtp(7, sequence, b"x")).unwrap()).collect();
        let opened_at = |other: &mut Srtp, place: usize| opened(other, &packets[place]).map(|_| ());
        assert_eq!(opened_at(&mut other, 0), Ok(()));
        assert_eq!(opened_at(&mut other, 0), Err(Refusal::Replayed));
        assert_eq!(opened_at(&mut other, 70), Ok(()));
        assert_eq!(opened_at(&mut other, 8), Ok(()), "62 behind");
        assert_eq!(opened_at(&mut other, 8), Err(Refusal::Replayed));
        assert_eq!(opened_at(&mut other, 5), Err(Refusal::Replayed), "65 behind: nobody remembers");
        let report = sealed(&mut one, &REPORT).unwrap();
        assert!(opened(&mut other, &report).is_ok());
        assert_eq!(opened(&mut other, &report), Err(Refusal::Replayed));
    }
}

#[test]
fn no_number_is_sealed_twice() {
    let (mut one, _) = pair(AeadAes128Gcm);
    assert!(sealed(&mut one, &rtp(7, 10, b"one")).is_some());
    assert!(sealed(&mut one, &rtp(7, 10, b"two")).is_none());
    assert!(sealed(&mut one, &rtp(7, 9, b"late")).is_some());
    assert!(sealed(&mut one, &rtp(7, 9, b"late")).is_none());
}

#[test]
fn a_stream_whose_first_packets_were_lost_over_the_turn_is_understood() {
    for profile in PROFILES {
        let (mut one, mut other) = pair(profile);
        let wire: Vec<_> = [65_534, 65_535, 0, 1].map(|sequence| sealed(&mut one, &rtp(7, sequence, b"x")).unwrap()).into();
        assert!(opened(&mut other, &wire[2]).is_ok());
        assert!(opened(&mut other, &wire[1]).is_ok(), "late, from before the turn");
        assert!(opened(&mut other, &wire[3]).is_ok());
    }
}

#[test]
fn forged_packets_leave_no_trace() {
    for profile in PROFILES {
        let (mut one, mut other) = pair(profile);
        let good = sealed(&mut one, &rtp(7, 500, b"x")).unwrap();
        for sequence in [1u16, 501, 40_000] {
            let mut bad = good.clone();
            bad[2..4].copy_from_slice(&sequence.to_be_bytes());
            assert_eq!(opened(&mut other, &bad), Err(Refusal::Forged));
        }
        assert!(opened(&mut other, &good).is_ok());
        for ssrc in 0..1000u32 {
            let mut bad = good.clone();
            bad[8..12].copy_from_slice(&ssrc.to_be_bytes());
            assert!(opened(&mut other, &bad).is_err());
        }
        assert_eq!(other.open.rtp.list.iter().flatten().count(), 1);
    }
}

#[test]
fn rtcp_that_says_it_is_not_encrypted_is_not_believed() {
    let (mut one, mut other) = pair(AesCm128HmacSha1_80);
    let mut report = sealed(&mut one, &REPORT).unwrap();
    report[16] &= 0x7f;
    assert_eq!(opened(&mut other, &report), Err(Refusal::Malformed));
}

#[test]
fn many_streams_of_one_far_end_are_understood_and_few_are_kept() {
    let (mut one, mut other) = pair(AeadAes128Gcm);
    for ssrc in 0..100 {
        assert!(opened(&mut other, &sealed(&mut one, &rtp(ssrc, 1, b"x")).unwrap()).is_ok());
    }
    assert_eq!(other.open.rtp.list.iter().flatten().count(), STREAMS);
}

#[test]
fn keys_of_two_profiles_make_no_pair_and_are_not_shown() {
    assert!(Srtp::new(key(AeadAes128Gcm, 1), key(AesCm128HmacSha1_80, 1)).is_err());
    assert_eq!(format!("{:?}", key(AeadAes128Gcm, 1)), "MasterKey(AeadAes128Gcm)");
    assert!(MasterKey::new(AeadAes128Gcm, &[0; 30]).is_none());
    assert_eq!(MasterKey::new(AesCm128HmacSha1_80, &[5; 30]).unwrap().key_and_salt(), [5; 30]);
}

/// RFC 3711 §B.3.
#[test]
fn session_keys_are_those_of_the_rfc() {
    let master = hex::decode("e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6").unwrap();
    let master = MasterKey::new(AesCm128HmacSha1_80, &master).unwrap();
    let provider = RingProvider::new();
    let derived: [u8; 16] = derive(provider.crypto(), &master, 0).unwrap();
    assert_eq!(hex::encode(derived), "c61e7a93744f39ee10734afe3ff7a087");
    let derived: [u8; 14] = derive(provider.crypto(), &master, 2).unwrap();
    assert_eq!(hex::encode(derived), "30cbbc08863d8c85d49db34a9ae1");
    let derived: [u8; 20] = derive(provider.crypto(), &master, 1).unwrap();
    assert_eq!(hex::encode(derived), "cebe321f6ff7716b6fd4ab49af256a156d38baa4");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), first in 0x80u8..=0xbf, gcm in any::<bool>()) {
        let mut bytes = bytes;
        if let Some(byte) = bytes.first_mut() {
            *byte = first;
        }
        let (_, mut other) = pair(PROFILES[usize::from(gcm)]);
        let mut room = [0; 80];
        prop_assert!(other.open_rtp(&bytes, &mut room).is_err());
        prop_assert!(other.open_rtcp(&bytes, &mut room).is_err());
        let mut buffer = [0; 100];
        buffer[..bytes.len()].copy_from_slice(&bytes);
        _ = other.protect_rtp(&mut buffer, bytes.len());
        _ = other.protect_rtcp(&mut buffer, bytes.len());
    }

    #[test]
    fn a_packet_changed_anywhere_is_refused(place in any::<proptest::sample::Index>(), change in 1u8.., gcm in any::<bool>(), report in any::<bool>()) {
        let (mut one, mut other) = pair(PROFILES[usize::from(gcm)]);
        let packet = if report { REPORT.to_vec() } else { rtp(7, 3, b"some audio") };
        let mut wire = sealed(&mut one, &packet).unwrap();
        let place = place.index(wire.len());
        wire[place] ^= change;
        let mut room = [0; 80];
        let refused = if report { other.open_rtcp(&wire, &mut room).is_err() } else { other.open_rtp(&wire, &mut room).is_err() };
        prop_assert!(refused);
    }

    /// Whatever the order in which packets come, each is let in at most once, and what is let in is what was said.
    #[test]
    fn order_does_not_matter(order in proptest::collection::vec(0usize..150, 1..200)) {
        let (mut one, mut other) = pair(AesCm128HmacSha1_80);
        let plain: Vec<_> = (0..150u16).map(|place| rtp(7, place.wrapping_add(65_450), &[place as u8])).collect();
        let wire: Vec<_> = plain.iter().map(|packet| sealed(&mut one, packet).unwrap()).collect();
        let mut let_in = std::collections::HashSet::new();
        for place in order {
            if let Ok(packet) = opened(&mut other, &wire[place]) {
                prop_assert_eq!(&packet, &plain[place]);
                prop_assert!(let_in.insert(place));
            }
        }
    }
}

/// `cargo test --release --lib srtp_costs -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn srtp_costs() {
    for profile in PROFILES {
        let (mut one, mut other) = pair(profile);
        let (mut their_mouth, mut their_ear) = (foreign(&key(profile, 1)), foreign(&key(profile, 1)));
        let packet = rtp(7, 0, &[0x55; 160]);
        let mut spent = [std::time::Duration::ZERO; 4];
        let rounds = 400_000u32;
        for number in 0..rounds {
            let mut buffer = [0; 200];
            buffer[..172].copy_from_slice(&packet);
            buffer[2..4].copy_from_slice(&(number as u16).to_be_bytes());
            let plain = buffer;
            let mut at = std::time::Instant::now();
            let mut lap = |place: usize| {
                spent[place] += at.elapsed();
                at = std::time::Instant::now()
            };
            let len = one.protect_rtp(&mut buffer, 172).unwrap();
            lap(0);
            let mut room = [0; 200];
            other.open_rtp(&buffer[..len], &mut room).unwrap();
            lap(1);
            let sealed = their_mouth.encrypt_rtp(&plain[..172]).unwrap();
            lap(2);
            their_ear.decrypt_rtp(&sealed).unwrap();
            lap(3);
        }
        let nanos = spent.map(|spent| spent.as_nanos() / u128::from(rounds));
        println!("{profile:?}: ours seal {} open {} ns, rtc::srtp seal {} open {} ns", nanos[0], nanos[1], nanos[2], nanos[3]);
    }
}
