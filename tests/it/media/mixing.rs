//! Who hears whom when packets cannot simply be passed on: other codecs, conferences, supervisors who listen, whisper and
//! barge in, and the way back. On one media thread and with every leg on another.

use perezvon::media::codec::Codec::{self, G722, Opus, Pcma, Pcmu};
use perezvon::media::coder::{Decoder, MAX_PCM_SAMPLES};
use perezvon::media::tones::mean_square;
use perezvon::relay::{Channel, MediaCommand, MediaId, TapFrame};

use super::party::{Party, are_tones, listen_until, loudness, talk};
use super::rig::{Line, Rig};

/// The tones of all parties, in their order.
const TONES: [f32; 4] = [700.0, 1100.0, 1700.0, 2300.0];
/// A second and a half: jitter buffers have settled, and the last second of it is asked about.
const WHILE: usize = 75;

fn lines(rig: &Rig, codecs: &[Codec]) -> Vec<Line> {
    codecs.iter().zip(TONES).enumerate().map(|(thread, (codec, hz))| rig.line(thread as u64, *codec, hz)).collect()
}

fn hear(rig: &Rig, listener: &Line, sources: &[&Line]) {
    rig.command(MediaCommand::Hear { media: listener.id, sources: sources.iter().map(|line| line.id).collect() });
}

/// Every line hears all others.
fn confer(rig: &Rig, lines: &[Line]) {
    for listener in lines {
        let sources: Vec<&Line> = lines.iter().filter(|line| line.id != listener.id).collect();
        hear(rig, listener, &sources);
    }
}

fn all_talk(lines: &mut [Line], packets: usize) {
    talk(&mut lines.iter_mut().map(|line| &mut line.party).collect::<Vec<_>>(), packets);
}

/// All talk, and each line hears just the tones of these lines. What a machine makes late that has other things to do is
/// asked about again for a few times.
#[track_caller]
fn assert_hear(lines: &mut [Line], wanted: &[&[usize]]) {
    let tones = |wanted: &[usize]| wanted.iter().map(|index| TONES[*index]).collect::<Vec<_>>();
    let is_right = |line: &Line, wanted: &[usize]| are_tones(&lately(line), &tones(wanted), &TONES);
    let mut before = Vec::new();
    for _ in 0..6 {
        before = lines.iter().map(|line| line.party.received.len()).collect();
        all_talk(lines, WHILE);
        // Who hears nobody gets nothing at all.
        let is_right = |((line, wanted), before): ((&Line, &&[usize]), &usize)| match wanted {
            [] => line.party.received.len() == *before,
            wanted => is_right(line, wanted),
        };
        if lines.iter().zip(wanted).zip(&before).all(is_right) {
            return;
        }
    }
    for (index, ((line, wanted), before)) in lines.iter().zip(wanted).zip(&before).enumerate() {
        let packets = line.party.received.len() - before;
        assert!(!wanted.is_empty() || packets == 0, "line {index} should hear nobody and got {packets} packets");
        let heard = TONES.map(|hz| loudness(&lately(line), hz));
        assert!(wanted.is_empty() || is_right(line, wanted), "line {index} should hear {wanted:?}; it hears {heard:.3?}");
    }
}

fn lately(line: &Line) -> Vec<i16> {
    line.party.heard_lately(1000)
}

/// Each packet 20 ms of RTP time after the one before.
#[track_caller]
fn assert_even_time(party: &Party) {
    party.assert_one_stream();
    for (index, pair) in party.received.windows(2).enumerate() {
        let passed = pair[1].header.timestamp.wrapping_sub(pair[0].header.timestamp);
        assert_eq!(passed, party.codec.clock_hz() / 50, "after packet {index}");
    }
}

#[test]
fn parties_with_different_codecs_understand_each_other() {
    for threads in [1, 3] {
        for codecs in [[Pcma, Opus], [G722, Pcmu], [Opus, G722]] {
            let rig = Rig::new(threads);
            let mut lines = lines(&rig, &codecs);
            rig.bridge(&lines[0], &lines[1]);
            assert_hear(&mut lines, &[&[1], &[0]]);
            for line in &lines {
                assert_even_time(&line.party);
                assert!(line.party.received.len() >= WHILE - 10, "{} packets", line.party.received.len());
                assert!(line.party.received.iter().all(|packet| packet.header.payload_type == line.party.payload_type));
            }
        }
    }
}

#[test]
fn parties_with_the_same_codec_hear_each_other_packet_by_packet() {
    for codec in Codec::ALL {
        let rig = Rig::new(1);
        let mut lines = lines(&rig, &[codec, codec]);
        rig.bridge(&lines[0], &lines[1]);
        all_talk(&mut lines, WHILE);
        let [a, b] = &mut lines[..] else { unreachable!() };
        listen_until(&mut [&mut a.party, &mut b.party], WHILE);
        for (line, other) in [(&*a, &*b), (&*b, &*a)] {
            assert!(are_tones(&lately(line), &[other.party.hz], &TONES));
            assert_eq!(line.party.assert_one_stream(), [0]);
            let heard = line.party.received.iter().map(|packet| &packet.payload);
            assert!(heard.eq(&other.party.said), "{codec:?}: as it was sent");
        }
    }
}

#[test]
fn packets_of_any_length_pass_as_they_are_and_are_rendered_in_20_ms() {
    for ptime_ms in [10, 30, 40, 60] {
        let rig = Rig::new(1);
        let mut lines = lines(&rig, &[Pcma, Pcma, G722]);
        lines[0].party.ptime_ms = ptime_ms;
        hear(&rig, &lines[1], &[&lines[0]]);
        hear(&rig, &lines[2], &[&lines[0]]);
        assert_hear(&mut lines, &[&[], &[0], &[0]]);
        assert!(lines[1].party.received.iter().all(|packet| packet.payload.len() == ptime_ms as usize * 8));
        assert!(lines[2].party.received.iter().all(|packet| packet.payload.len() == 160));
        assert_even_time(&lines[2].party);
    }
}

#[test]
fn in_a_conference_everybody_hears_all_others_and_nobody_hears_itself() {
    for (threads, codecs) in [(1, &[Pcma, Pcma, Pcma][..]), (3, &[Pcma, Opus, G722]), (3, &[Pcma, Pcmu, Pcma, Opus])] {
        let rig = Rig::new(threads);
        let mut lines = lines(&rig, codecs);
        confer(&rig, &lines);
        let others = |lines: &[Line]| -> Vec<Vec<usize>> {
            let all = 0..lines.len();
            all.clone().map(|line| all.clone().filter(|other| *other != line).collect()).collect()
        };
        let wanted = others(&lines);
        assert_hear(&mut lines, &wanted.iter().map(Vec::as_slice).collect::<Vec<_>>());
        lines.iter().for_each(|line| assert_even_time(&line.party));
        // One leaves, and the others go on.
        let gone = lines.pop().unwrap();
        rig.close(gone.id);
        let wanted = others(&lines);
        assert_hear(&mut lines, &wanted.iter().map(Vec::as_slice).collect::<Vec<_>>());
        lines.iter().for_each(|line| _ = line.party.assert_one_stream());
    }
}

/// A client with a tap, an agent and a supervisor: listen, whisper, barge, and back to the two alone.
fn supervise(threads: usize, codecs: [Codec; 3]) {
    let rig = Rig::new(threads);
    let mut lines = lines(&rig, &codecs);
    const CLIENT: usize = 0;
    const AGENT: usize = 1;
    const SUPERVISOR: usize = 2;
    rig.command(MediaCommand::Tap { media: lines[CLIENT].id, key: 1 });
    let plain: [&[usize]; 3] = [&[AGENT], &[CLIENT], &[]];
    let listen: [&[usize]; 3] = [&[AGENT], &[CLIENT], &[CLIENT, AGENT]];
    let whisper: [&[usize]; 3] = [&[AGENT], &[CLIENT, SUPERVISOR], &[CLIENT, AGENT]];
    let barge: [&[usize]; 3] = [&[AGENT, SUPERVISOR], &[CLIENT, SUPERVISOR], &[CLIENT, AGENT]];
    for step in [plain, listen, whisper, barge, plain] {
        // The recording up to the whisper's end holds our side as the client heard it.
        if step == barge {
            assert_our_side_is(&rig.tapped(), codecs[CLIENT], AGENT);
        }
        for (listener, sources) in step.iter().enumerate() {
            let sources: Vec<&Line> = sources.iter().map(|source| &lines[*source]).collect();
            hear(&rig, &lines[listener], &sources);
        }
        assert_hear(&mut lines, &step);
        for line in &mut lines {
            line.party.assert_one_stream();
            line.party.received.drain(..line.party.received.len().saturating_sub(1));
        }
    }
    rig.close(lines[CLIENT].id);
}

/// Of our side the recording has just this party's tone.
#[track_caller]
fn assert_our_side_is(frames: &[TapFrame], codec: Codec, party: usize) {
    let (mut decoder, mut heard) = (Decoder::new(codec, 8000), Vec::new());
    for frame in frames.iter().filter(|frame| frame.channel == Channel::Right) {
        let mut samples = [0; MAX_PCM_SAMPLES];
        let len = decoder.decode(frame.audio(), &mut samples);
        heard.extend_from_slice(&samples[..len]);
    }
    assert!(heard.len() > 3 * 8000, "{} samples", heard.len());
    for (index, hz) in TONES.iter().enumerate() {
        let loudness = loudness(&heard, *hz);
        assert!(if index == party { loudness > 0.5 } else { loudness < 0.02 }, "{hz} Hz is recorded at {loudness}");
    }
}

#[test]
fn a_supervisor_listens_whispers_barges_in_and_leaves() {
    supervise(1, [Pcma, Pcma, Pcma]);
    supervise(3, [Pcmu, Pcma, Opus]);
}

#[test]
fn a_supervisor_in_a_call_between_codecs_listens_whispers_barges_in_and_leaves() {
    supervise(3, [Pcma, Opus, G722]);
}

#[test]
fn after_a_conference_packets_pass_through_again() {
    for threads in [1, 3] {
        let rig = Rig::new(threads);
        let mut lines = lines(&rig, &[Pcma, Pcma, Pcma]);
        lines[0].party.ptime_ms = 40;
        confer(&rig, &lines);
        assert_hear(&mut lines, &[&[1, 2], &[0, 2], &[0, 1]]);
        assert!(lines[1].party.received.iter().all(|packet| packet.payload.len() == 160), "mixed");
        rig.bridge(&lines[0], &lines[1]);
        hear(&rig, &lines[2], &[]);
        all_talk(&mut lines[2..], 10);
        lines[2].party.received.clear();
        assert_hear(&mut lines, &[&[1], &[0], &[]]);
        let received = lines[1].party.received.len();
        listen_until(&mut [&mut lines[1].party], received);
        assert_eq!(lines[1].party.received.last().unwrap().payload, *lines[0].party.said.last().unwrap(), "as it was sent");
        assert_eq!(lines[1].party.received.last().unwrap().payload.len(), 320);
        lines[1].party.assert_one_stream();
    }
}

#[test]
fn between_passing_on_and_mixing_nothing_is_missing_for_longer_than_a_first_delay() {
    let rig = Rig::new(3);
    let mut lines = lines(&rig, &[Pcma, Pcma, G722]);
    rig.bridge(&lines[0], &lines[1]);
    all_talk(&mut lines, 10);
    let mut gaps_ms = Vec::new();
    for round in 0..10 {
        let begin = lines[1].party.received.len() - 1;
        let sources = if round % 2 == 0 { vec![&lines[0], &lines[2]] } else { vec![&lines[0]] };
        hear(&rig, &lines[1], &sources);
        all_talk(&mut lines, 20);
        let steps = lines[1].party.received[begin..].windows(2);
        let longest = steps.map(|pair| pair[1].header.timestamp.wrapping_sub(pair[0].header.timestamp) / 8).max().unwrap();
        gaps_ms.push(longest - 20);
    }
    // A listening begins with a delay of 40 ms and is first heard in the next turn of the wheel, within 20 ms more; a machine
    // that is late adds to some of them.
    gaps_ms.sort_unstable();
    assert!(gaps_ms[6] <= 41, "{gaps_ms:?}");
    lines[1].party.assert_one_stream();
}

#[test]
fn loss_on_the_way_in_leaves_no_hole_in_what_is_rendered() {
    for codecs in [[Pcma, Opus], [Opus, Pcma], [G722, Pcmu]] {
        let rig = Rig::new(3);
        let mut lines = lines(&rig, &codecs);
        lines[0].party.loss_percent = 5;
        rig.bridge(&lines[0], &lines[1]);
        all_talk(&mut lines, 4 * WHILE);
        assert!(lines[0].party.sent < 4 * WHILE - 5, "some were lost");
        assert_even_time(&lines[1].party);
        let heard = lines[1].party.heard(3 * WHILE);
        assert!(loudness(&heard, TONES[0]) > 0.6, "{codecs:?}: {}", loudness(&heard, TONES[0]));
        let silent = heard.chunks(160).filter(|frame| mean_square(frame) < 1e5).count();
        assert!(silent <= 5, "{codecs:?}: {silent} of {} frames fell silent", 3 * WHILE);
    }
}

#[test]
fn a_party_that_is_silent_for_a_while_is_missed_by_nobody_and_heard_again() {
    let rig = Rig::new(3);
    let mut lines = lines(&rig, &[Pcma, Pcma, Opus]);
    confer(&rig, &lines);
    assert_hear(&mut lines, &[&[1, 2], &[0, 2], &[0, 1]]);
    lines[0].party.is_muted = true;
    all_talk(&mut lines, 2 * WHILE);
    assert_hear(&mut lines, &[&[1, 2], &[2], &[1]]);
    lines[0].party.is_muted = false;
    // Silence suppression: time went on at the sender.
    lines[0].party.timestamp = lines[0].party.timestamp.wrapping_add(3 * WHILE as u32 * 160);
    assert_hear(&mut lines, &[&[1, 2], &[0, 2], &[0, 1]]);
    lines.iter().for_each(|line| assert_even_time(&line.party));
}

#[test]
fn a_party_that_changes_its_codec_is_heard_and_hears_on() {
    for other in [Pcma, Opus] {
        let rig = Rig::new(3);
        let mut lines = lines(&rig, &[Pcma, other]);
        rig.bridge(&lines[0], &lines[1]);
        for codec in [Pcma, Opus, G722, Pcmu] {
            (lines[0].party.codec, lines[0].party.payload_type) = (codec, codec.payload_type());
            rig.connect(&lines[0]);
            assert_hear(&mut lines, &[&[1], &[0]]);
            lines.iter().for_each(|line| _ = line.party.assert_one_stream());
        }
    }
}

#[test]
fn a_sender_may_change_between_negotiated_codecs_at_any_packet() {
    let rig = Rig::new(1);
    let mut lines = lines(&rig, &[Pcma, Pcma]);
    let mut remote = lines[0].party.remote();
    remote.other_formats = vec![(111, Opus), (9, G722)];
    rig.command(MediaCommand::Connect { media: lines[0].id, remote });
    hear(&rig, &lines[1], &[&lines[0]]);
    for codec in [Pcma, Opus, G722, Pcma] {
        (lines[0].party.codec, lines[0].party.payload_type) = (codec, codec.payload_type());
        assert_hear(&mut lines, &[&[], &[0]]);
    }
    lines[1].party.assert_one_stream();
    let passed = &lines[1].party.received.last().unwrap().payload;
    assert_eq!(passed, lines[0].party.said.last().unwrap(), "and at last packets pass as they are");
}

#[test]
fn what_a_former_source_still_sends_is_not_heard() {
    let rig = Rig::new(3);
    let mut lines = lines(&rig, &[Pcma, Opus, G722]);
    hear(&rig, &lines[0], &[&lines[1], &lines[2]]);
    assert_hear(&mut lines, &[&[1, 2], &[], &[]]);
    hear(&rig, &lines[0], &[&lines[2]]);
    assert_hear(&mut lines, &[&[2], &[], &[]]);
    hear(&rig, &lines[0], &[]);
    all_talk(&mut lines, 10);
    let heard = lines[0].party.received.len();
    all_talk(&mut lines, 10);
    assert_eq!(lines[0].party.received.len(), heard);
    hear(&rig, &lines[0], &[&lines[1]]);
    assert_hear(&mut lines, &[&[1], &[], &[]]);
}

#[test]
fn hearing_begins_and_ends_many_times_without_a_trace() {
    let rig = Rig::new(3);
    let mut lines = lines(&rig, &[Pcma, Opus, Pcmu, G722]);
    for round in 0..40 {
        if round % 2 == 0 {
            confer(&rig, &lines);
        } else {
            rig.bridge(&lines[0], &lines[2]);
            rig.bridge(&lines[1], &lines[3]);
        }
        all_talk(&mut lines, 2);
    }
    assert_hear(&mut lines, &[&[2], &[3], &[0], &[1]]);
    lines.iter().for_each(|line| _ = line.party.assert_one_stream());
}

#[test]
fn a_listener_that_closes_and_one_that_never_was_change_nothing_for_the_others() {
    let rig = Rig::new(3);
    let mut lines = lines(&rig, &[Pcma, Pcma, Opus]);
    rig.bridge(&lines[0], &lines[1]);
    hear(&rig, &lines[2], &[&lines[0], &lines[1]]);
    all_talk(&mut lines, 20);
    let gone: MediaId = lines.pop().unwrap().id;
    rig.close(gone);
    rig.command(MediaCommand::Hear { media: gone, sources: vec![lines[0].id] });
    rig.command(MediaCommand::Hear { media: lines[0].id, sources: vec![lines[1].id, gone] });
    assert_hear(&mut lines, &[&[1], &[0]]);
    assert_eq!(rig.close(lines[0].id).frames_dropped, 0);
}
