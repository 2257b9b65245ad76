//! Keys: over codecs with different clocks, through a mix, told by signalling, and never to those who only listen.

use perezvon::media::codec::Codec::{self, G722, Opus, Pcma};
use perezvon::media::dtmf::{DigitReader, KeyTone, TelephoneEvent, ToneDetector};
use perezvon::relay::{MediaCommand, MediaEvent};

use super::party::{Party, loudness, talk};
use super::rig::{Line, Rig};

/// A leg that takes keys at its codec's clock.
fn line_with_keys(rig: &Rig, thread: u64, codec: Codec, hz: f32) -> Line {
    let mut line = rig.open(thread, codec, hz);
    line.party.dtmf_payload_type = Some(if codec == Opus { 110 } else { 101 });
    line.party.dtmf_clock_hz = codec.clock_hz();
    rig.connect(&line);
    line
}

/// The keys that a party received, each once, as a phone would read them.
fn keys_at(party: &Party) -> String {
    let mut reader = DigitReader::default();
    let events = party.received.iter().filter(|packet| Some(packet.header.payload_type) == party.dtmf_payload_type);
    let digits = events.filter_map(|packet| {
        let event = TelephoneEvent::parse(&packet.payload).unwrap();
        reader.packet(packet.header.ssrc, packet.header.timestamp, event)
    });
    digits.collect()
}

/// Loses so many of a hundred of the packets that a party received, by its own dice.
fn lose_received(party: &mut Party, percent: u32) {
    let mut dice = 7_u32;
    party.received.retain(|_| {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (dice >> 16) % 100 >= percent
    });
}

/// The keys that the relay told of a leg.
fn keys_told(rig: &Rig, line: &Line) -> String {
    let told = rig.events().into_iter().filter_map(|event| match event {
        MediaEvent::Digit { media, digit } if media == line.id => Some(digit),
        _ => None,
    });
    told.collect()
}

/// Presses keys in time, 100 ms each with as much pause, while everybody talks.
fn press_in_time(parties: &mut [&mut Party], keys: &str) {
    for digit in keys.chars() {
        for index in 1..=5 {
            parties[0].press_step(digit, index, false);
            talk(&mut parties[1..], 1);
        }
        (0..3).for_each(|_| parties[0].press_step(digit, 5, true));
        parties[0].end_press(5);
        talk(parties, 5);
    }
}

/// Durations of the presses a party received, in milliseconds, by the last packet of each.
fn durations_ms(party: &Party) -> Vec<u32> {
    let events = party.received.iter().filter(|packet| Some(packet.header.payload_type) == party.dtmf_payload_type);
    let ends = events.filter_map(|packet| {
        let event = TelephoneEvent::parse(&packet.payload).unwrap();
        event.is_end.then_some((packet.header.timestamp, u32::from(event.duration) * 1000 / party.dtmf_clock_hz))
    });
    let mut ends: Vec<_> = ends.collect();
    ends.dedup();
    ends.into_iter().map(|(_, duration)| duration).collect()
}

#[test]
fn keys_pass_between_every_pair_of_codecs_each_once_and_as_long_as_they_were() {
    for threads in [1, 3] {
        for codecs in [[Pcma, Opus], [Opus, Pcma], [G722, Pcma], [Opus, Opus], [Opus, G722]] {
            let rig = Rig::new(threads);
            let mut a = line_with_keys(&rig, 0, codecs[0], 700.0);
            let mut b = line_with_keys(&rig, 1, codecs[1], 1100.0);
            rig.bridge(&a, &b);
            talk(&mut [&mut a.party, &mut b.party], 10);
            press_in_time(&mut [&mut a.party, &mut b.party], "1180*#");
            talk(&mut [&mut a.party, &mut b.party], 30);
            assert_eq!(keys_at(&b.party), "1180*#", "{codecs:?}");
            assert_eq!(durations_ms(&b.party), [100; 6], "{codecs:?}");
            assert_eq!(keys_at(&a.party), "");
            assert_eq!(keys_told(&rig, &a), "1180*#");
            b.party.assert_one_stream();
            assert!(loudness(&b.party.heard_lately(400), 700.0) > 0.4, "{codecs:?}: speech goes on");
        }
    }
}

#[test]
fn keys_are_counted_exactly_when_packets_are_lost() {
    let keys = "1122334455667788990011*#";
    for codecs in [[Pcma, Pcma], [Opus, Pcma], [Pcma, Opus]] {
        let rig = Rig::new(3);
        let mut a = line_with_keys(&rig, 0, codecs[0], 700.0);
        let mut b = line_with_keys(&rig, 1, codecs[1], 1100.0);
        a.party.loss_percent = 5;
        rig.bridge(&a, &b);
        talk(&mut [&mut a.party, &mut b.party], 10);
        press_in_time(&mut [&mut a.party, &mut b.party], keys);
        talk(&mut [&mut a.party, &mut b.party], 30);
        assert_eq!(keys_told(&rig, &a), keys);
        lose_received(&mut b.party, 5);
        assert_eq!(keys_at(&b.party), keys, "{codecs:?}");
    }
}

#[test]
fn keys_of_another_kind_are_counted_exactly_when_packets_are_lost() {
    let keys = "1122334455667788990011*#";
    let rig = Rig::new(3);
    // Tones of one side become events at the other, and digits told by signalling become both.
    let mut a = line_with_tones(&rig, 0, Pcma, 500.0);
    let mut b = line_with_keys(&rig, 1, Pcma, 1100.0);
    a.party.loss_percent = 5;
    rig.bridge(&a, &b);
    talk(&mut [&mut a.party, &mut b.party], 10);
    press_as_tones(&mut a.party, &mut [&mut b.party], keys);
    talk(&mut [&mut a.party, &mut b.party], 20);
    assert_eq!(keys_told(&rig, &a), keys);
    for digit in keys.chars() {
        rig.command(MediaCommand::SendDigit { media: a.id, digit });
        rig.command(MediaCommand::SendDigit { media: b.id, digit });
        talk(&mut [&mut a.party, &mut b.party], 8);
    }
    talk(&mut [&mut a.party, &mut b.party], 60);
    lose_received(&mut b.party, 5);
    assert_eq!(keys_at(&b.party), [keys, keys].concat());
    assert_eq!(tones_at(&a.party), keys);
}

#[test]
fn in_a_supervised_call_only_the_two_who_talk_get_keys() {
    let rig = Rig::new(3);
    let mut client = line_with_keys(&rig, 0, Pcma, 700.0);
    let mut agent = line_with_keys(&rig, 1, Opus, 1100.0);
    let mut supervisor = line_with_keys(&rig, 2, Pcma, 1700.0);
    let hear = |listener: &Line, sources: &[&Line]| {
        rig.command(MediaCommand::Hear { media: listener.id, sources: sources.iter().map(|line| line.id).collect() });
    };
    hear(&client, &[&agent]);
    hear(&agent, &[&client, &supervisor]);
    hear(&supervisor, &[&client, &agent]);
    talk(&mut [&mut client.party, &mut agent.party, &mut supervisor.party], 10);
    press_in_time(&mut [&mut client.party, &mut agent.party, &mut supervisor.party], "42");
    press_in_time(&mut [&mut agent.party, &mut client.party, &mut supervisor.party], "77");
    press_in_time(&mut [&mut supervisor.party, &mut client.party, &mut agent.party], "9");
    talk(&mut [&mut client.party, &mut agent.party, &mut supervisor.party], 30);
    assert_eq!(keys_at(&agent.party), "42");
    assert_eq!(keys_at(&client.party), "77");
    assert_eq!(keys_at(&supervisor.party), "");
    assert_eq!(keys_told(&rig, &supervisor), "9", "the engine is told of all of them");
}

#[test]
fn a_digit_told_by_signalling_is_pressed_once_for_the_far_end() {
    for codec in [Pcma, Opus] {
        let rig = Rig::new(1);
        let (mut a, mut b) = (rig.line(0, codec, 700.0), line_with_keys(&rig, 0, codec, 1100.0));
        rig.bridge(&a, &b);
        talk(&mut [&mut a.party, &mut b.party], 10);
        for digit in "5*5".chars() {
            rig.command(MediaCommand::SendDigit { media: b.id, digit });
            rig.command(MediaCommand::SendDigit { media: a.id, digit });
        }
        rig.command(MediaCommand::SendDigit { media: b.id, digit: 'x' });
        talk(&mut [&mut a.party, &mut b.party], 60);
        assert_eq!(keys_at(&b.party), "5*5");
        assert_eq!(durations_ms(&b.party), [100; 3]);
        b.party.assert_one_stream();
        b.party.assert_hears(20, 700.0, &[1100.0]);
        assert!(a.party.received.iter().all(|packet| packet.header.payload_type == codec.payload_type()), "it takes no keys");
    }
}

/// A party that sends keys as tones, and hears them so.
fn line_with_tones(rig: &Rig, thread: u64, codec: Codec, hz: f32) -> Line {
    let mut line = rig.open(thread, codec, hz);
    line.party.dtmf_inband = true;
    rig.connect(&line);
    line
}

/// Sends keys as tones, 100 ms each with as much silence, while the others talk.
fn press_as_tones(party: &mut Party, others: &mut [&mut Party], keys: &str) {
    for digit in keys.chars() {
        let rate = party.codec.sample_hz();
        let mut tone = KeyTone::new(TelephoneEvent::event_of(digit).unwrap(), 8, rate).unwrap();
        for step in 0..10 {
            let mut samples = vec![0; rate as usize / 50];
            if step < 5 {
                tone.fill(&mut samples, step == 4);
            }
            party.send_samples(&samples);
            talk(others, 1);
            party.listen();
        }
    }
}

/// The keys that are heard in what a party received.
fn tones_at(party: &Party) -> String {
    let heard = party.heard(party.received.len());
    let mut detector = ToneDetector::default();
    heard.chunks(160).flat_map(|piece| detector.hear(piece)).collect()
}

#[test]
fn a_party_without_telephone_events_hears_keys_as_tones_if_its_policy_says_so() {
    for codecs in [[Pcma, Pcma], [Opus, Pcma], [Pcma, Opus], [Opus, Opus]] {
        let rig = Rig::new(3);
        let mut a = line_with_keys(&rig, 0, codecs[0], 500.0);
        let mut b = line_with_tones(&rig, 1, codecs[1], 1100.0);
        rig.bridge(&a, &b);
        talk(&mut [&mut a.party, &mut b.party], 20);
        press_in_time(&mut [&mut a.party, &mut b.party], "12*#");
        for digit in "90".chars() {
            rig.command(MediaCommand::SendDigit { media: b.id, digit });
        }
        talk(&mut [&mut a.party, &mut b.party], 60);
        assert_eq!(tones_at(&b.party), "12*#90", "{codecs:?}");
        assert!(b.party.received.iter().all(|packet| packet.header.payload_type == codecs[1].payload_type()));
        b.party.assert_one_stream();
    }
}

#[test]
fn keys_sent_as_tones_are_told_and_pressed_for_the_other_side_if_the_policy_says_so() {
    for codecs in [[Pcma, Pcma], [Opus, Pcma], [G722, Opus]] {
        let rig = Rig::new(3);
        let mut a = line_with_tones(&rig, 0, codecs[0], 500.0);
        let mut b = line_with_keys(&rig, 1, codecs[1], 1100.0);
        let mut supervisor = line_with_keys(&rig, 2, Pcma, 1700.0);
        rig.bridge(&a, &b);
        rig.command(MediaCommand::Hear { media: supervisor.id, sources: vec![a.id, b.id] });
        talk(&mut [&mut a.party, &mut b.party, &mut supervisor.party], 20);
        press_as_tones(&mut a.party, &mut [&mut b.party, &mut supervisor.party], "1470#");
        talk(&mut [&mut a.party, &mut b.party, &mut supervisor.party], 30);
        assert_eq!(keys_told(&rig, &a), "1470#", "{codecs:?}");
        assert_eq!(keys_at(&b.party), "1470#", "{codecs:?}");
        assert_eq!(keys_at(&supervisor.party), "");
        b.party.assert_one_stream();
    }
}

#[test]
fn tones_of_a_party_whose_policy_does_not_ask_for_them_are_only_audio() {
    let rig = Rig::new(1);
    let (mut a, mut b) = (rig.line(0, Pcma, 500.0), line_with_keys(&rig, 0, Pcma, 1100.0));
    rig.bridge(&a, &b);
    press_as_tones(&mut a.party, &mut [&mut b.party], "12");
    assert_eq!(keys_told(&rig, &a), "");
    assert_eq!(keys_at(&b.party), "");
    assert_eq!(tones_at(&b.party), "12");
}
