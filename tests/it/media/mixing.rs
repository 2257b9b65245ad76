//! Who hears whom when packets cannot simply be passed on: other codecs, conferences, supervisors who listen, whisper and
//! barge in, and the way back. On one media thread and with every leg on another.

use perezvon::media::codec::Codec::{self, G722, Opus, Pcma, Pcmu};
use perezvon::relay::{Channel, MediaCommand, MediaId};

use super::party::{Party, assert_are_tones, listen_until, talk};
use super::rig::{Line, Rig};

/// The tones of all parties, in their order.
const TONES: [f32; 4] = [700.0, 1100.0, 1700.0, 2300.0];
/// A second and a half: jitter buffers have settled and a second of it is asked about.
const WHILE: usize = 75;
const LATELY: usize = 50;

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

#[track_caller]
fn assert_hears(line: &Line, wanted: &[f32]) {
    line.party.assert_hears_all(LATELY, wanted, &TONES);
}

/// Each packet 20 ms of RTP time after the one before, from packet `from` on.
#[track_caller]
fn assert_even_time(party: &Party, from: usize) {
    party.assert_one_stream();
    for (index, pair) in party.received.windows(2).enumerate().skip(from) {
        let passed = pair[1].header.timestamp.wrapping_sub(pair[0].header.timestamp);
        assert_eq!(passed, party.codec.clock_hz() / 50, "after packet {index}");
    }
}

/// The longest time that is missing in the stream a party received, in milliseconds of RTP time.
fn longest_gap_ms(party: &Party) -> u32 {
    let ticks = party.codec.clock_hz() / 1000;
    let steps = party.received.windows(2).map(|pair| pair[1].header.timestamp.wrapping_sub(pair[0].header.timestamp) / ticks);
    steps.max().map_or(0, |longest| longest.saturating_sub(20))
}

#[test]
fn parties_with_different_codecs_understand_each_other() {
    for threads in [1, 3] {
        for codecs in [[Pcma, Opus], [G722, Pcmu], [Opus, G722]] {
            let rig = Rig::new(threads);
            let mut lines = lines(&rig, &codecs);
            rig.bridge(&lines[0], &lines[1]);
            all_talk(&mut lines, WHILE);
            for (line, other) in [(&lines[0], 1), (&lines[1], 0)] {
                assert_hears(line, &[TONES[other]]);
                assert_even_time(&line.party, 0);
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
            assert_hears(line, &[other.party.hz]);
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
        all_talk(&mut lines, 2 * WHILE);
        assert!(lines[1].party.received.iter().all(|packet| packet.payload.len() == ptime_ms as usize * 8));
        assert_are_tones(&lines[1].party.heard(LATELY * 20 / ptime_ms as usize), &[TONES[0]], &TONES);
        assert!(lines[2].party.received.iter().all(|packet| packet.payload.len() == 160));
        assert_hears(&lines[2], &[TONES[0]]);
        assert_even_time(&lines[2].party, 0);
    }
}

#[test]
fn in_a_conference_everybody_hears_all_others_and_nobody_hears_itself() {
    for (threads, codecs) in
        [(1, &[Pcma, Pcma, Pcma][..]), (3, &[Pcma, Opus, G722]), (1, &[Opus, Pcmu, G722, Pcma]), (3, &[Pcma, Pcmu, Pcma, Opus])]
    {
        let rig = Rig::new(threads);
        let mut lines = lines(&rig, codecs);
        confer(&rig, &lines);
        all_talk(&mut lines, WHILE);
        for (index, line) in lines.iter().enumerate() {
            let others: Vec<f32> = TONES[..codecs.len()].iter().copied().filter(|hz| *hz != TONES[index]).collect();
            assert_hears(line, &others);
            assert_even_time(&line.party, 0);
        }
        // One leaves, and the others go on.
        let gone = lines.pop().unwrap();
        rig.close(gone.id);
        all_talk(&mut lines, WHILE);
        for (index, line) in lines.iter().enumerate() {
            let others: Vec<f32> = TONES[..lines.len()].iter().copied().filter(|hz| *hz != TONES[index]).collect();
            assert_hears(line, &others);
        }
    }
}

/// A client with a tap, an agent and a supervisor; what each step lets each of them hear.
fn supervise(threads: u64, codecs: [Codec; 3]) {
    let rig = Rig::new(threads as usize);
    let mut lines = lines(&rig, &codecs);
    let [client, agent, supervisor] = [0, 1, 2];
    let [of_client, of_agent, of_supervisor] = [TONES[0], TONES[1], TONES[2]];
    rig.command(MediaCommand::Tap { media: lines[client].id, key: 1 });
    let mut right = Vec::new();
    let mut step = |sources: [&[usize]; 3], wanted: [&[f32]; 3]| {
        for (listener, sources) in sources.iter().enumerate() {
            let sources: Vec<&Line> = sources.iter().map(|source| &lines[*source]).collect();
            hear(&rig, &lines[listener], &sources);
        }
        all_talk(&mut lines, WHILE);
        for (line, wanted) in lines.iter_mut().zip(wanted) {
            if wanted.is_empty() {
                let heard = line.party.received.len();
                talk(&mut [&mut line.party], 3);
                assert_eq!(line.party.received.len(), heard, "nothing is sent to who hears nobody");
            } else {
                assert_hears(line, wanted);
            }
            line.party.assert_one_stream();
            assert!(longest_gap_ms(&line.party) <= 60 || wanted.is_empty(), "{} ms", longest_gap_ms(&line.party));
            line.party.received.drain(..line.party.received.len().saturating_sub(1));
        }
        right.extend(rig.tapped().into_iter().filter(|frame| frame.channel == Channel::Right && !frame.is_end()));
    };
    let plain: [&[usize]; 3] = [&[agent], &[client], &[]];
    step(plain, [&[of_agent], &[of_client], &[]]);
    step([&[agent], &[client], &[client, agent]], [&[of_agent], &[of_client], &[of_client, of_agent]]);
    let whisper: [&[usize]; 3] = [&[agent], &[client, supervisor], &[client, agent]];
    step(whisper, [&[of_agent], &[of_client, of_supervisor], &[of_client, of_agent]]);
    let whispered_until = {
        let barge: [&[usize]; 3] = [&[agent, supervisor], &[client, supervisor], &[client, agent]];
        step(barge, [&[of_agent, of_supervisor], &[of_client, of_supervisor], &[of_client, of_agent]]);
        3 * LATELY
    };
    step(plain, [&[of_agent], &[of_client], &[]]);
    // What the recording has of our side is what the client heard: never the whisper.
    let mut decoder = perezvon::media::coder::Decoder::new(codecs[client], 8000);
    let mut samples = [0; perezvon::media::coder::MAX_PCM_SAMPLES];
    let heard: Vec<i16> = right
        .iter()
        .flat_map(|frame| {
            let len = decoder.decode(frame.audio(), &mut samples);
            samples[..len].to_vec()
        })
        .collect();
    assert_are_tones(&heard[160 * 25..160 * whispered_until], &[of_agent], &TONES);
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
        all_talk(&mut lines, WHILE);
        assert!(lines[1].party.received.iter().all(|packet| packet.payload.len() == 160), "mixed");
        rig.bridge(&lines[0], &lines[1]);
        all_talk(&mut lines, WHILE);
        assert_eq!(lines[1].party.received.last().unwrap().payload, *lines[0].party.said.last().unwrap());
        assert_eq!(lines[1].party.received.last().unwrap().payload.len(), 320, "as it was sent");
        lines[1].party.assert_one_stream();
        assert_are_tones(&lines[1].party.heard(LATELY / 2), &[TONES[0]], &TONES);
        assert!(longest_gap_ms(&lines[1].party) <= 60, "{} ms", longest_gap_ms(&lines[1].party));
    }
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
        assert_even_time(&lines[1].party, 0);
        let heard = lines[1].party.heard(3 * WHILE);
        let share = perezvon::media::tones::power(&heard, 8000, TONES[0]) / perezvon::media::tones::mean_square(&heard);
        assert!(share > 0.85, "{codecs:?}: {share}");
        for frame in heard.chunks(160) {
            assert!(perezvon::media::tones::mean_square(frame) > 1e6, "a frame fell silent");
        }
    }
}

#[test]
fn a_party_that_is_silent_for_a_while_is_missed_by_nobody_and_heard_again() {
    let rig = Rig::new(3);
    let mut lines = lines(&rig, &[Pcma, Pcma, Opus]);
    confer(&rig, &lines);
    all_talk(&mut lines, WHILE);
    lines[0].party.is_muted = true;
    all_talk(&mut lines, 3 * WHILE);
    assert_hears(&lines[1], &[TONES[2]]);
    assert_hears(&lines[2], &[TONES[1]]);
    assert_hears(&lines[0], &[TONES[1], TONES[2]]);
    lines[0].party.is_muted = false;
    // Silence suppression: time went on at the sender.
    lines[0].party.timestamp = lines[0].party.timestamp.wrapping_add(3 * WHILE as u32 * 160);
    all_talk(&mut lines, WHILE);
    assert_hears(&lines[1], &[TONES[0], TONES[2]]);
    assert_hears(&lines[2], &[TONES[0], TONES[1]]);
    lines.iter().for_each(|line| assert_even_time(&line.party, 0));
}

#[test]
fn a_party_that_changes_its_codec_is_heard_and_hears_on() {
    for other in [Pcma, Opus, G722] {
        let rig = Rig::new(3);
        let mut lines = lines(&rig, &[Pcma, other]);
        rig.bridge(&lines[0], &lines[1]);
        for codec in [Pcma, Opus, G722, Pcmu] {
            (lines[0].party.codec, lines[0].party.payload_type) = (codec, codec.payload_type());
            rig.connect(&lines[0]);
            all_talk(&mut lines, WHILE);
            assert_hears(&lines[0], &[TONES[1]]);
            assert_hears(&lines[1], &[TONES[0]]);
            lines[0].party.assert_one_stream();
            lines[1].party.assert_one_stream();
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
    rig.bridge(&lines[0], &lines[1]);
    for codec in [Pcma, Opus, G722, Pcma] {
        (lines[0].party.codec, lines[0].party.payload_type) = (codec, codec.payload_type());
        all_talk(&mut lines, WHILE);
        assert_hears(&lines[1], &[TONES[0]]);
    }
    lines[1].party.assert_one_stream();
    assert!(longest_gap_ms(&lines[1].party) <= 60, "{} ms", longest_gap_ms(&lines[1].party));
    let passed = &lines[1].party.received.last().unwrap().payload;
    assert_eq!(passed, lines[0].party.said.last().unwrap(), "and at last packets pass as they are");
}

#[test]
fn what_a_former_source_still_sends_is_not_heard() {
    let rig = Rig::new(3);
    let mut lines = lines(&rig, &[Pcma, Opus, G722]);
    hear(&rig, &lines[0], &[&lines[1], &lines[2]]);
    all_talk(&mut lines, WHILE);
    assert_hears(&lines[0], &[TONES[1], TONES[2]]);
    hear(&rig, &lines[0], &[&lines[2]]);
    all_talk(&mut lines, WHILE);
    assert_hears(&lines[0], &[TONES[2]]);
    hear(&rig, &lines[0], &[]);
    all_talk(&mut lines, 10);
    let heard = lines[0].party.received.len();
    all_talk(&mut lines, 10);
    assert_eq!(lines[0].party.received.len(), heard);
    hear(&rig, &lines[0], &[&lines[1]]);
    all_talk(&mut lines, WHILE);
    assert_hears(&lines[0], &[TONES[1]]);
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
    all_talk(&mut lines, WHILE);
    assert_hears(&lines[0], &[TONES[2]]);
    assert_hears(&lines[3], &[TONES[1]]);
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
    all_talk(&mut lines, WHILE);
    assert_hears(&lines[0], &[TONES[1]]);
    assert_hears(&lines[1], &[TONES[0]]);
    let stats = rig.close(lines[0].id);
    assert_eq!(stats.frames_dropped, 0);
}
