//! What a waiting party hears: ringback, music and prompts, evenly paced, also while nothing is received at all.

use std::sync::Arc;
use std::time::Duration;

use perezvon::media::codec::Codec::{Pcma, Pcmu};
use perezvon::media::sound::Sound;
use perezvon::media::tones::{self, Sine};
use perezvon::relay::{MediaCommand, MediaEvent, PlayKind, RelayConfig};

use super::party::{Party, Received, listen_until, talk};
use super::rig::{LOOPBACK, Line, Rig};

fn tone(hz: f32, ms: usize) -> Arc<Sound> {
    Arc::new(Sound::from_pcm(&Sine::new(hz, 8000, 8000).take(ms * 8).collect::<Vec<_>>()))
}

fn play(rig: &Rig, line: &Line, sound: &Arc<Sound>, repeat: bool, kind: PlayKind) {
    rig.command(MediaCommand::Play { media: line.id, sound: Arc::clone(sound), repeat, kind });
}

/// Every packet 160 samples after the last, and none much later than its time.
#[track_caller]
fn assert_even_pace(party: &Party) {
    party.assert_one_stream();
    let first = &party.received[0];
    for (index, packet) in party.received.iter().enumerate() {
        assert_eq!(packet.header.timestamp.wrapping_sub(first.header.timestamp), index as u32 * 160);
        let due = Duration::from_millis(20) * index as u32;
        let off = packet.at.duration_since(first.at).abs_diff(due);
        assert!(off < Duration::from_millis(60), "packet {index} is {off:?} off on a machine that may be loaded");
    }
}

#[test]
fn music_goes_on_while_nothing_is_received() {
    let rig = Rig::new(1);
    let mut caller = rig.line(0, Pcma, 700.0);
    play(&rig, &caller, &tone(500.0, 100), true, PlayKind::Music);
    listen_until(&mut [&mut caller.party], 100);
    assert_even_pace(&caller.party);
    caller.party.assert_hears(100, 500.0, &[700.0]);
    assert_eq!(caller.party.sent, 0);
    assert!(rig.events().is_empty(), "a sound that repeats does not end");
    let lasted = caller.party.received[99].at.duration_since(caller.party.received[0].at);
    assert!(lasted.abs_diff(Duration::from_millis(99 * 20)) < Duration::from_millis(30), "{lasted:?}");
}

#[test]
fn ringback_gives_way_to_the_agent_and_the_agent_to_music_in_one_stream() {
    for (rig, threads) in [(Rig::new(1), [0, 0]), (Rig::new(3), [2, 0])] {
        let (mut caller, mut agent) = (rig.line(threads[0], Pcmu, 700.0), rig.line(threads[1], Pcma, 1100.0));
        let ringback = Arc::new(Sound::from_pcm(&tones::ringback()));
        play(&rig, &caller, &ringback, true, PlayKind::Ringback);
        talk(&mut [&mut caller.party], 30);
        caller.party.assert_hears(20, tones::RINGBACK_HZ, &[1100.0]);
        rig.bridge(&caller, &agent);
        talk(&mut [&mut caller.party, &mut agent.party], 30);
        caller.party.assert_hears(20, 1100.0, &[tones::RINGBACK_HZ]);
        agent.party.assert_hears(20, 700.0, &[1100.0]);
        play(&rig, &caller, &tone(500.0, 100), true, PlayKind::Music);
        let agent_heard = agent.party.received.len();
        talk(&mut [&mut caller.party, &mut agent.party], 30);
        caller.party.assert_hears(20, 500.0, &[1100.0]);
        assert!(agent.party.received.len() >= agent_heard + 28, "the agent still hears the caller");
        rig.command(MediaCommand::Stop { media: caller.id });
        talk(&mut [&mut caller.party, &mut agent.party], 30);
        caller.party.assert_hears(20, 1100.0, &[500.0]);
        let changes = caller.party.assert_one_stream();
        assert_eq!(changes.len(), 4, "a marker at the start of each source: {changes:?}");
        // RTP time kept to the clock over all changes. The least delayed of some packets tell, not one that came late.
        let first = &caller.party.received[0];
        let ahead_ms = |packet: &Received| {
            let by_rtp = i64::from(packet.header.timestamp.wrapping_sub(first.header.timestamp)) / 8;
            by_rtp - packet.at.duration_since(first.at).as_millis() as i64
        };
        let (begin, end) = (&caller.party.received[..10], caller.party.received.rchunks(10).next().unwrap());
        let off_ms = begin.iter().map(ahead_ms).max().unwrap() - end.iter().map(ahead_ms).max().unwrap();
        assert!(off_ms.abs() < 40, "{off_ms} ms");
    }
}

#[test]
fn a_prompt_is_heard_to_its_end_over_a_bridge() {
    let rig = Rig::new(1);
    let (mut caller, mut agent) = (rig.line(0, Pcma, 700.0), rig.line(0, Pcma, 1100.0));
    play(&rig, &caller, &tone(500.0, 400), false, PlayKind::Prompt);
    rig.bridge(&caller, &agent);
    talk(&mut [&mut caller.party, &mut agent.party], 40);
    rig.wait_for(|event| (*event == MediaEvent::PlayEnded { media: caller.id }).then_some(()));
    let (prompt, rest) = caller.party.received.split_at(20);
    assert!(rest.len() >= 18);
    let decode = |packets: &[Received]| -> Vec<i16> {
        packets.iter().flat_map(|packet| packet.payload.iter().map(|byte| Pcma.decode_sample(*byte))).collect()
    };
    super::party::assert_is_tone(&decode(prompt), 500.0, &[1100.0]);
    super::party::assert_is_tone(&decode(rest), 1100.0, &[500.0]);
    agent.party.assert_hears(38, 700.0, &[500.0]);
}

#[test]
fn a_sound_that_is_stopped_or_replaced_does_not_say_that_it_ended() {
    let rig = Rig::new(1);
    let mut caller = rig.line(0, Pcma, 700.0);
    play(&rig, &caller, &tone(500.0, 10_000), false, PlayKind::Prompt);
    listen_until(&mut [&mut caller.party], 5);
    play(&rig, &caller, &tone(900.0, 10_000), false, PlayKind::Prompt);
    listen_until(&mut [&mut caller.party], 20);
    caller.party.assert_hears(10, 900.0, &[500.0]);
    rig.command(MediaCommand::Stop { media: caller.id });
    rig.close(rig.line(0, Pcma, 1.0).id);
    caller.party.listen();
    let heard = caller.party.received.len();
    talk(&mut [&mut caller.party], 10);
    assert_eq!(caller.party.received.len(), heard, "silence after Stop");
    assert!(!rig.events().iter().any(|event| matches!(event, MediaEvent::PlayEnded { .. })));
}

#[test]
fn a_sound_waits_for_a_far_end_that_is_not_known_yet() {
    let rig = Rig::new(1);
    let mut caller = rig.open(0, Pcma, 700.0);
    play(&rig, &caller, &tone(500.0, 200), false, PlayKind::Prompt);
    talk(&mut [&mut caller.party], 5);
    rig.connect(&caller);
    listen_until(&mut [&mut caller.party], 10);
    rig.wait_for(|event| (*event == MediaEvent::PlayEnded { media: caller.id }).then_some(()));
    assert_eq!(caller.party.received.len(), 10, "from its beginning");
}

#[test]
fn an_empty_sound_ends_at_once_even_when_it_should_repeat() {
    let rig = Rig::new(1);
    let caller = rig.line(0, Pcma, 700.0);
    play(&rig, &caller, &Arc::new(Sound::from_pcm(&[])), true, PlayKind::Music);
    rig.wait_for(|event| (*event == MediaEvent::PlayEnded { media: caller.id }).then_some(()));
}

#[test]
fn silence_of_a_party_that_should_send_is_told_once_a_limit() {
    let rig =
        Rig::with(LOOPBACK, RelayConfig { silence_limit: Duration::from_millis(300), threads: 1, ..RelayConfig::default() });
    let mut caller = rig.line(0, Pcma, 700.0);
    play(&rig, &caller, &tone(500.0, 100), true, PlayKind::Music);
    let silent = |event: &MediaEvent| match event {
        MediaEvent::Silent { media, for_ms } if *media == caller.id => Some(*for_ms),
        _ => None,
    };
    let told: Vec<u64> = (0..3).map(|_| rig.wait_for(silent)).collect();
    assert!(told[0] >= 300 && told[1] >= told[0] + 300 && told[2] >= told[1] + 300, "{told:?}");
    talk(&mut [&mut caller.party], 10);
    rig.wait_for(|event| (*event == MediaEvent::FirstPacket { media: caller.id }).then_some(()));
    let again = rig.wait_for(silent);
    assert!((300..600).contains(&again), "it counts from the last packet: {again}");
}
