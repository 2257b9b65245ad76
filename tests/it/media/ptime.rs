//! Packets of 10 to 60 ms: each party sends and gets the length that it wants, whatever the other one has.

use std::sync::Arc;

use perezvon::media::codec::Codec::{G722, Opus, Pcma};
use perezvon::media::sound::Sound;
use perezvon::media::tones::Sine;
use perezvon::relay::{MediaCommand, PlayKind};

use super::party::{Party, are_tones, talk};
use super::rig::Rig;

const ALL: [f32; 3] = [500.0, 700.0, 1100.0];

/// Every packet as long as the party wants it, and each begins where the one before it ended.
#[track_caller]
fn assert_as_wanted(party: &Party, from: usize) {
    let bytes = usize::from(party.wants_ptime_ms) * 8;
    party.assert_one_stream();
    for pair in party.received[from..].windows(2) {
        assert_eq!(pair[0].payload.len(), bytes);
        let passed = pair[1].header.timestamp.wrapping_sub(pair[0].header.timestamp);
        assert!(pair[1].header.marker || passed == bytes as u32, "{passed} ticks after {bytes} bytes");
    }
}

#[test]
fn parties_with_packets_of_10_30_and_60_ms_hear_each_other_in_the_length_that_each_wants() {
    for (ours, theirs) in [(10, 60), (30, 10), (60, 30), (40, 20)] {
        for codecs in [[Pcma, G722], [Pcma, Opus]] {
            let rig = Rig::new(2);
            let (mut a, mut b) = (rig.open(0, codecs[0], 700.0), rig.open(1, codecs[1], 1100.0));
            (a.party.ptime_ms, a.party.wants_ptime_ms) = (ours, ours as u16);
            (b.party.ptime_ms, b.party.wants_ptime_ms) = (if codecs[1] == Opus { 20 } else { theirs }, theirs as u16);
            rig.connect(&a);
            rig.connect(&b);
            rig.bridge(&a, &b);
            talk(&mut [&mut a.party, &mut b.party], 60);
            let what = format!("{codecs:?}, {ours} and {theirs} ms");
            let lately = |party: &Party| {
                let ptime_ms = if party.codec == Opus { 20 } else { party.wants_ptime_ms };
                party.heard(400 / usize::from(ptime_ms))
            };
            assert!(are_tones(&lately(&a.party), &[1100.0], &ALL), "{what}");
            assert!(are_tones(&lately(&b.party), &[700.0], &ALL), "{what}");
            assert_as_wanted(&a.party, 0);
            if codecs[1] != Opus {
                assert_as_wanted(&b.party, 0);
            }
            let heard_ms = a.party.received.len() * usize::from(a.party.wants_ptime_ms);
            assert!((900..=1200).contains(&heard_ms), "{what}: {heard_ms} ms of 1200");
        }
    }
}

#[test]
fn music_comes_in_the_length_that_the_party_wants_and_gives_way_to_the_agent() {
    for wanted in [10, 30, 60] {
        let rig = Rig::new(1);
        let (mut caller, mut agent) = (rig.open(0, Pcma, 700.0), rig.line(0, G722, 1100.0));
        (caller.party.ptime_ms, caller.party.wants_ptime_ms) = (wanted.into(), wanted);
        rig.connect(&caller);
        let sound = Arc::new(Sound::from_pcm(&Sine::new(500.0, 8000, 8000).take(1600).collect::<Vec<_>>()));
        rig.command(MediaCommand::Play { media: caller.id, sound, repeat: true, kind: PlayKind::Music });
        talk(&mut [&mut caller.party, &mut agent.party], 40);
        let packets = 400 / usize::from(wanted);
        assert!(are_tones(&caller.party.heard(packets), &[500.0], &ALL), "{wanted} ms");
        assert_as_wanted(&caller.party, 0);
        rig.bridge(&caller, &agent);
        talk(&mut [&mut caller.party, &mut agent.party], 60);
        assert!(are_tones(&caller.party.heard(packets), &[1100.0], &ALL), "{wanted} ms");
        assert_as_wanted(&caller.party, 0);
    }
}
