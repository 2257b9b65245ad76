//! What a tap hears: left what the client said, right what the client was told; never music, digits or strangers.

use std::sync::Arc;

use perezvon::media::codec::Codec::{Pcma, Pcmu};
use perezvon::media::sound::Sound;
use perezvon::media::tones::Sine;
use perezvon::relay::{Channel, MediaCommand, PlayKind, TapFrame};

use super::party::{assert_is_tone, listen_until, talk};
use super::rig::Rig;

fn sound(hz: f32, ms: usize) -> Arc<Sound> {
    Arc::new(Sound::from_pcm(&Sine::new(hz, 8000, 8000).take(ms * 8).collect::<Vec<_>>()))
}

fn channel(frames: &[TapFrame], channel: Channel) -> Vec<TapFrame> {
    frames.iter().filter(|frame| frame.channel == channel && !frame.is_end()).copied().collect()
}

fn decoded(frames: &[TapFrame]) -> Vec<i16> {
    frames.iter().flat_map(|frame| frame.audio().iter().map(|byte| frame.codec.decode_sample(*byte))).collect()
}

#[test]
fn left_is_the_client_and_right_is_what_the_client_hears() {
    for (rig, threads) in [(Rig::new(1), [0, 0]), (Rig::new(3), [1, 2])] {
        let mut client = rig.open(threads[0], Pcmu, 700.0);
        client.party.dtmf_payload_type = Some(101);
        rig.connect(&client);
        let mut agent = rig.line(threads[1], Pcma, 1100.0);
        rig.command(MediaCommand::Tap { media: client.id, key: 42 });
        rig.bridge(&client, &agent);
        talk(&mut [&mut client.party, &mut agent.party], 30);
        client.party.press('5', 4);
        listen_until(&mut [&mut client.party], 30);
        // Everything before the tap's end has been written when the leg's goodbye is through.
        rig.close(client.id);
        let frames = rig.tapped();
        assert!(frames.iter().all(|frame| frame.key == 42 && frame.dropped_before == 0));
        let (left, right) = (channel(&frames, Channel::Left), channel(&frames, Channel::Right));
        assert_eq!((left.len(), right.len()), (30, 30));
        assert_is_tone(&decoded(&left), 700.0, &[1100.0]);
        assert_is_tone(&decoded(&right), 1100.0, &[700.0]);
        assert!(left.iter().all(|frame| frame.codec == Pcmu && frame.ssrc == client.party.ssrc && frame.len == 160));
        assert!(right.iter().all(|frame| frame.codec == Pcmu && frame.ssrc == client.party.received[0].header.ssrc));
        for (frame, packet) in right.iter().zip(&client.party.received) {
            assert_eq!((frame.sequence, frame.timestamp), (packet.header.sequence, packet.header.timestamp));
            assert_eq!(frame.audio(), packet.payload);
        }
        for side in [&left, &right] {
            assert!(side.is_sorted_by_key(|frame| frame.arrival));
            let lasted = side[29].arrival.since(side[0].arrival).as_millis();
            assert!((540..=640).contains(&lasted), "{lasted} ms for 29 packets");
        }
        let ends: Vec<_> = frames.iter().filter(|frame| frame.is_end()).map(|frame| frame.channel).collect();
        assert_eq!(ends, [Channel::Left, Channel::Right]);
        assert!(frames[frames.len() - 2..].iter().all(TapFrame::is_end), "the end comes last");
    }
}

#[test]
fn prompts_are_heard_by_the_tap_and_music_and_ringback_are_not() {
    let rig = Rig::new(1);
    let mut client = rig.line(0, Pcma, 700.0);
    rig.command(MediaCommand::Tap { media: client.id, key: 1 });
    for (kind, hz) in [(PlayKind::Ringback, 425.0), (PlayKind::Prompt, 500.0), (PlayKind::Music, 900.0)] {
        let heard = client.party.received.len();
        rig.command(MediaCommand::Play { media: client.id, sound: sound(hz, 200), repeat: false, kind });
        listen_until(&mut [&mut client.party], heard + 10);
    }
    rig.close(client.id);
    let frames = rig.tapped();
    assert!(channel(&frames, Channel::Left).is_empty());
    let right = channel(&frames, Channel::Right);
    assert_eq!(right.len(), 10);
    assert_is_tone(&decoded(&right), 500.0, &[425.0, 900.0]);
}

#[test]
fn a_client_on_hold_is_recorded_and_the_agent_it_does_not_hear_is_not() {
    let rig = Rig::new(1);
    let (mut client, mut agent) = (rig.line(0, Pcma, 700.0), rig.line(0, Pcma, 1100.0));
    rig.command(MediaCommand::Tap { media: client.id, key: 1 });
    rig.bridge(&client, &agent);
    rig.command(MediaCommand::Play { media: client.id, sound: sound(500.0, 100), repeat: true, kind: PlayKind::Music });
    talk(&mut [&mut client.party, &mut agent.party], 25);
    listen_until(&mut [&mut agent.party], 25);
    rig.close(client.id);
    let frames = rig.tapped();
    assert_is_tone(&decoded(&channel(&frames, Channel::Left)), 700.0, &[500.0, 1100.0]);
    assert!(channel(&frames, Channel::Right).is_empty());
}

#[test]
fn strangers_are_not_recorded() {
    let rig = Rig::new(1);
    let mut client = rig.line(0, Pcma, 700.0);
    rig.command(MediaCommand::Tap { media: client.id, key: 1 });
    talk(&mut [&mut client.party], 10);
    let mut stranger = super::party::Party::new(super::rig::LOOPBACK, client.party.to, Pcma, 1500.0);
    talk(&mut [&mut client.party, &mut stranger], 20);
    rig.close(client.id);
    let left = channel(&rig.tapped(), Channel::Left);
    assert_eq!(left.len(), 30);
    assert_is_tone(&decoded(&left), 700.0, &[1500.0]);
}

#[test]
fn a_tap_ends_with_untap_and_a_new_key_ends_the_old_one() {
    let rig = Rig::new(1);
    let mut client = rig.line(0, Pcma, 700.0);
    talk(&mut [&mut client.party], 5);
    rig.command(MediaCommand::Tap { media: client.id, key: 1 });
    talk(&mut [&mut client.party], 10);
    rig.command(MediaCommand::Tap { media: client.id, key: 2 });
    talk(&mut [&mut client.party], 10);
    rig.command(MediaCommand::Untap { media: client.id });
    talk(&mut [&mut client.party], 10);
    rig.close(client.id);
    let frames = rig.tapped();
    let of = |key| frames.iter().filter(|frame| frame.key == key).collect::<Vec<_>>();
    for key in [1, 2] {
        let frames = of(key);
        assert!((10..=13).contains(&frames.len()), "key {key}: {} frames", frames.len());
        let ends: Vec<_> = frames.iter().rev().take_while(|frame| frame.is_end()).collect();
        assert_eq!(ends.len(), 2, "key {key}");
    }
    assert_eq!(of(1).len() + of(2).len(), frames.len());
}

#[test]
fn comfort_noise_passes_between_those_who_agreed_to_it_and_is_silence_in_the_tap() {
    for agreed in [[true, true], [true, false], [false, true]] {
        let rig = Rig::new(1);
        let mut client = rig.open(0, Pcmu, 700.0);
        let mut agent = rig.open(0, Pcma, 1100.0);
        for (line, takes) in [&mut client, &mut agent].into_iter().zip(agreed) {
            line.party.takes_comfort_noise = takes;
            rig.connect(line);
        }
        rig.command(MediaCommand::Tap { media: client.id, key: 42 });
        rig.bridge(&client, &agent);
        talk(&mut [&mut client.party, &mut agent.party], 5);
        for _ in 0..5 {
            client.party.send_comfort_noise();
            agent.party.send_comfort_noise();
        }
        talk(&mut [&mut client.party, &mut agent.party], 5);
        let passed = if agreed == [true, true] { 5 } else { 0 };
        listen_until(&mut [&mut client.party, &mut agent.party], 10 + passed);
        for party in [&client.party, &agent.party] {
            let noises: Vec<_> = party.received.iter().filter(|packet| packet.header.payload_type == 13).collect();
            assert_eq!((noises.len(), party.received.len()), (passed, 10 + passed), "{agreed:?}");
            assert!(noises.iter().all(|packet| packet.payload == [60, 1, 2]), "as it came");
            let (first, last) = (&party.received[0].header, &party.received.last().unwrap().header);
            assert_eq!(last.timestamp.wrapping_sub(first.timestamp), 14 * 160, "the time of the silence has passed");
            assert_eq!(last.ssrc, first.ssrc);
        }
        rig.close(client.id);
        let frames = rig.tapped();
        for side in [Channel::Left, Channel::Right] {
            let audio = channel(&frames, side);
            assert_eq!(audio.len(), 10, "{agreed:?}");
            assert_eq!(audio[9].timestamp.wrapping_sub(audio[0].timestamp), 14 * 160);
        }
    }
}
