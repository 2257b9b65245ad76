//! One side of a recording: places, losses, restarts, clocks that drift, codecs that change.

use proptest::prelude::*;

use super::*;
use crate::media::coder::Encoder;
use crate::media::resample::Resampler;
use crate::media::tones::{Babble, Sine, mean_square, power};
use crate::recording::voices::FADE;
use crate::relay::tap::{Channel, TAP_PAYLOAD_BYTES};

const STARTED: Time = Time::from_millis(1_000_000);
const PACKET: u32 = 160;
const FADE_SAMPLES: usize = FADE as usize;

/// A packet whose every sample is `level`, arriving `arrival_ms` after the start.
fn packet(ssrc: u32, timestamp: u32, arrival_ms: i64, level: i16) -> TapFrame {
    let arrival = Time::from_millis((1_000_000 + arrival_ms) as u64);
    let payload = [Codec::Pcma.encode_sample(level); TAP_PAYLOAD_BYTES];
    TapFrame {
        key: 1,
        channel: Channel::Left,
        arrival,
        ssrc,
        sequence: (timestamp / PACKET) as u16,
        timestamp,
        codec: Codec::Pcma,
        dropped_before: 0,
        len: PACKET as u16,
        payload,
    }
}

fn level(number: i64) -> i16 {
    500 + 100 * (number % 40) as i16
}

/// Numbered packets of one stream, 20 ms apart from `first_ms` on, each `delay(number)` late.
fn stream(ssrc: u32, timestamp: u32, first_ms: i64, count: i64, delay: impl Fn(i64) -> i64) -> Vec<TapFrame> {
    let packet = |n: i64| packet(ssrc, timestamp.wrapping_add(n as u32 * PACKET), first_ms + 20 * n + delay(n), level(n));
    (0..count).map(packet).collect()
}

fn record(frames: Vec<TapFrame>, until_ms: i64) -> Vec<i16> {
    record_at(8000, frames, until_ms)
}

fn record_at(hz: u32, mut frames: Vec<TapFrame>, until_ms: i64) -> Vec<i16> {
    frames.sort_by_key(|frame| frame.arrival);
    let mut track = Track::new(STARTED, hz);
    let mut out = Vec::new();
    let mut frames = frames.into_iter().peekable();
    // A clerk that looks every 20 ms and takes what is a quarter of a second old.
    for now_ms in (0..).step_by(20) {
        while let Some(frame) = frames.next_if(|frame| position_at(STARTED, frame.arrival) <= now_ms * SAMPLES_PER_MS) {
            track.insert(&frame);
        }
        track.take((now_ms - 250).clamp(0, until_ms) * SAMPLES_PER_MS, &mut out);
        if now_ms - 250 >= until_ms {
            return out;
        }
    }
    unreachable!("the loop ends when everything was taken")
}

/// Checks that packet `number` stands whole at `at_ms`, its faded first 2 ms aside.
fn assert_stands(out: &[i16], number: i64, at_ms: i64) {
    let start = (at_ms * SAMPLES_PER_MS) as usize;
    let expected = Codec::Pcma.decode_sample(Codec::Pcma.encode_sample(level(number)));
    let body = &out[start + FADE_SAMPLES..start + PACKET as usize - FADE_SAMPLES];
    assert!(body.iter().all(|sample| *sample == expected), "packet {number} is not at {at_ms} ms: {:?}", &body[..8]);
}

fn assert_silent(out: &[i16], from_ms: i64, to_ms: i64) {
    let range = (from_ms * SAMPLES_PER_MS) as usize..(to_ms * SAMPLES_PER_MS) as usize;
    assert!(out[range].iter().all(|sample| *sample == 0), "not silent from {from_ms} to {to_ms} ms");
}

#[test]
fn a_clean_stream_stands_where_it_arrived_without_a_hole() {
    let out = record(stream(7, 12345, 100, 50, |_| 0), 1300);
    assert_eq!(out.len(), 1300 * 8);
    assert_silent(&out, 0, 100);
    (0..50).for_each(|n| assert_stands(&out, n, 100 + 20 * n));
    assert_silent(&out, 1100, 1300);
    assert!(out[100 * 8 + FADE_SAMPLES..1100 * 8].iter().all(|sample| *sample != 0));
}

#[test]
fn jitter_reordering_loss_and_duplicates_leave_the_rest_in_place() {
    let mut frames = stream(7, 0, 100, 100, |n| (n * 37) % 71);
    let lost = frames.remove(40);
    frames.extend(frames[10..20].to_vec());
    frames.swap(60, 63);
    let out = record(frames, 2200);
    // The packet after the lost one is joined to what was made up.
    let places = (0..100).map(|n| (n, 100 + 20 * n)).filter(|(n, _)| !(40..=41).contains(n));
    places.for_each(|(n, at)| assert_stands(&out, n, at));
    assert_eq!(lost.timestamp, 40 * PACKET);
    let made_up = &out[900 * 8..920 * 8];
    assert!(made_up.iter().all(|sample| *sample > level(39) / 2), "one lost packet is made up: {made_up:?}");
}

#[test]
fn a_packet_a_bit_over_the_limit_late_is_still_put_in_its_place() {
    let out = record(stream(7, 0, 0, 50, |n| if n == 20 { 130 } else { 0 }), 1000);
    (0..50).for_each(|n| assert_stands(&out, n, 20 * n));
}

#[test]
fn a_stall_that_ends_in_a_burst_does_not_move_the_line() {
    // Packets 20 to 27 are held up by the network and arrive together with packet 28.
    let out = record(stream(7, 0, 0, 60, |n| if (20..28).contains(&n) { (28 - n) * 20 } else { 0 }), 1200);
    (0..60).for_each(|n| assert_stands(&out, n, 20 * n));
}

#[test]
fn rtp_time_and_sequence_wrap_around_unseen() {
    let out = record(stream(7, u32::MAX - 800, 0, 50, |_| 0), 1000);
    (0..50).for_each(|n| assert_stands(&out, n, 20 * n));
}

#[test]
fn silence_suppression_keeps_its_time() {
    let mut frames = stream(7, 0, 0, 100, |_| 0);
    frames.drain(20..70);
    let out = record(frames, 2000);
    (0..20).chain(70..100).for_each(|n| assert_stands(&out, n, 20 * n));
    assert_silent(&out, 400, 1400);
}

#[test]
fn a_new_ssrc_is_anchored_where_it_arrives_and_stragglers_of_the_old_one_keep_their_place() {
    let mut frames = stream(7, 5_000_000, 0, 20, |n| if n == 19 { 30 } else { 0 });
    frames.extend(stream(8, 17, 405, 20, |_| 0));
    let out = record(frames, 900);
    (0..19).for_each(|n| assert_stands(&out, n, 20 * n));
    (0..20).for_each(|n| assert_stands(&out, n, 405 + 20 * n));
    // The straggler came after the first packet of the new stream and overlaps only its own place.
    let straggler = &out[380 * 8 + FADE_SAMPLES..400 * 8 - FADE_SAMPLES];
    assert!(straggler.iter().all(|sample| *sample == straggler[0] && *sample != 0));
}

#[test]
fn a_jump_of_rtp_time_is_anchored_anew_at_its_arrival() {
    for jump in [1_000_000_u32, 0x8000_0000, 1_u32.wrapping_neg().wrapping_mul(900_000), 1600] {
        let mut frames = stream(7, 0, 0, 25, |_| 0);
        frames.extend(stream(7, (25 * PACKET).wrapping_add(jump), 500, 25, |n| n % 3));
        let out = record(frames, 1000);
        (0..25).for_each(|n| assert_stands(&out, n, 20 * n));
        (0..25).for_each(|n| assert_stands(&out, n, 500 + 20 * n));
    }
}

#[test]
fn a_sender_that_stops_its_clock_during_a_pause_goes_on_where_it_arrives() {
    let mut frames = stream(7, 0, 0, 25, |_| 0);
    frames.extend(stream(7, 25 * PACKET, 3000, 25, |_| 0));
    let out = record(frames, 3500);
    assert_silent(&out, 500, 3000);
    (0..25).for_each(|n| assert_stands(&out, n, 3000 + 20 * n));
}

#[test]
fn a_jump_followed_by_nothing_is_kept_where_it_arrived() {
    let mut frames = stream(7, 0, 0, 25, |_| 0);
    frames.push(packet(7, 4_000_000, 700, level(3)));
    let out = record(frames, 1000);
    assert_stands(&out, 3, 700);
}

#[test]
fn a_clock_that_drifts_makes_no_hole_and_no_step() {
    for slower_by_one_in in [2000_i64, -2000] {
        let mut frames = Vec::new();
        for n in 0..6000_i64 {
            frames.push(packet(7, n as u32 * PACKET, n * 20 + n * 20 / slower_by_one_in, 1000));
        }
        let out = record(frames, 119_000);
        let holes = out[200..].iter().filter(|sample| **sample == 0).count();
        assert_eq!(holes, 0, "one in {slower_by_one_in}");
    }
}

/// Ten minutes of two senders whose clocks differ by 200 parts in a million, with a marker every 20 seconds, as the relay
/// hands them over: the same moments must stand at the same places.
#[test]
fn channels_whose_clocks_differ_stay_together_for_ten_minutes_also_under_loss() {
    for loses in [false, true] {
        let side = |per_million: i64, seed: i64| {
            let mut frames = Vec::new();
            for n in 0..30_000_i64 {
                // Packet n of this clock is said when ours shows 20 n ms and what the clock is off by then.
                let said_us = n * 20_000 * (1_000_000 - per_million) / 1_000_000;
                let jitter_us = (n * 7919 * seed) % 9000;
                let arrival = Time::from_nanos(STARTED.as_nanos() + (said_us + jitter_us) as u64 * 1000);
                // A marker is loud for the 200 ms of our clock that begin every 20 s.
                let is_loud = |sample: usize| (said_us + sample as i64 * 125) % 20_000_000 < 200_000;
                let is_marker = is_loud(0) || is_loud(159);
                let mut frame = packet(7, n as u32 * PACKET, 0, 300);
                for (sample, coded) in frame.payload.iter_mut().enumerate().filter(|(sample, _)| is_loud(*sample)) {
                    *coded = Codec::Pcma.encode_sample(12_000 + (sample % 2) as i16);
                }
                if !loses || is_marker || (n * 48271 + seed) % 20 != 0 {
                    frames.push(TapFrame { arrival, ..frame });
                }
            }
            record(frames, 599_000)
        };
        let (left, right) = (side(100, 3), side(-100, 7));
        let begins = |out: &[i16]| -> Vec<i64> {
            let is_edge = |at: &usize| out[*at] > 6000 && out[at.saturating_sub(1600)..*at].iter().all(|sample| *sample < 6000);
            (1600..out.len()).filter(is_edge).map(|at| at as i64 / 8).collect()
        };
        let (left, right) = (begins(&left), begins(&right));
        assert_eq!((left.len(), right.len()), (29, 29), "{left:?} {right:?}");
        for ((number, one), other) in (1..).zip(&left).zip(&right) {
            assert!((one - other).abs() <= 40, "marker {number} stands at {one} and {other} ms, with losses: {loses}");
            assert!((one - number * 20_000).abs() <= 40, "marker {number} stands at {one} ms");
        }
    }
}

#[test]
fn what_comes_after_its_stretch_was_taken_is_counted_and_dropped() {
    let mut track = Track::new(STARTED, 8000);
    let mut out = Vec::new();
    track.insert(&packet(7, 0, 0, 1000));
    track.take(8000, &mut out);
    track.insert(&packet(7, 160, 20, 1000));
    assert_eq!(track.late_frames(), 1);
    track.take(16000, &mut out);
    assert!(out[8000..].iter().all(|sample| *sample == 0));
}

#[test]
fn frames_from_before_the_start_are_cut_at_it() {
    let mut track = Track::new(STARTED, 8000);
    track.insert(&packet(7, 0, -500, 1000));
    track.insert(&packet(7, 490 * 8, -10, 1000));
    let mut out = Vec::new();
    track.take(800, &mut out);
    assert_eq!(track.late_frames(), 1);
    assert!(out[..80].iter().all(|sample| *sample != 0) && out[80..].iter().all(|sample| *sample == 0));
}

/// A tone in any codec, as packets of 20 ms from the start on, each as late as `delay_ms(n)` says.
fn tone(codec: Codec, ssrc: u32, hz: f32, count: i64) -> Vec<TapFrame> {
    let mut sine = Sine::new(hz, codec.sample_hz(), 8000);
    let mut encoder = Encoder::new(codec);
    let packet = |n: i64| {
        let pcm: Vec<i16> = sine.by_ref().take(codec.sample_hz() as usize / 50).collect();
        let mut payload = [0; TAP_PAYLOAD_BYTES];
        let len = encoder.encode(&pcm, &mut payload) as u16;
        let timestamp = n as u32 * (codec.clock_hz() / 50);
        TapFrame { codec, sequence: n as u16, len, payload, ..packet(ssrc, timestamp, 20 * n, 0) }
    };
    (0..count).map(packet).collect()
}

fn assert_tone(out: &[i16], rate: u32, hz: f32, from_ms: i64, to_ms: i64) {
    let at = |ms: i64| (ms * i64::from(rate) / 1000) as usize;
    for slice in out[at(from_ms)..at(to_ms)].chunks(at(50)) {
        let (all, own) = (mean_square(slice), power(slice, rate, hz));
        assert!(own > 0.9 * all && all > 0.5e7, "{hz} Hz is {own} of {all} between {from_ms} and {to_ms} ms");
    }
}

#[test]
fn every_codec_is_recorded_at_either_rate_in_its_place() {
    for codec in Codec::ALL {
        for rate in [8000, 16_000] {
            let out = record_at(rate, tone(codec, 7, 1000.0, 100), 2100);
            assert_eq!(out.len() as u32, rate / 10 * 21, "{codec:?}");
            assert_tone(&out, rate, 1000.0, 100, 2000);
            // A filter's memory of a few milliseconds apart.
            assert!(mean_square(&out[rate as usize * 2010 / 1000..]) < 1.0, "{codec:?} at {rate}");
        }
    }
}

#[test]
fn wide_audio_stays_wide_in_a_wide_file() {
    for codec in [Codec::G722, Codec::Opus] {
        assert_tone(&record_at(16_000, tone(codec, 7, 6000.0, 100), 2000), 16_000, 6000.0, 200, 2000);
    }
}

#[test]
fn single_losses_are_made_up_and_longer_ones_are_silence() {
    for codec in Codec::ALL {
        let mut frames = tone(codec, 7, 440.0, 200);
        let lost = |n: u16| n % 20 == 9 || (100..105).contains(&n);
        frames.retain(|frame| !lost(frame.sequence));
        let out = record(frames, 4000);
        let loudness = |n: usize| mean_square(&out[n * 160..(n + 1) * 160]);
        for n in (9..200).step_by(20).filter(|n| !(100..110).contains(n)) {
            assert!(loudness(n) > 0.4e7, "{codec:?}: packet {n} is {}", loudness(n));
        }
        assert!((101..105).all(|n| loudness(n) == 0.0), "{codec:?}: five packets are not made up");
    }
}

#[test]
fn a_change_of_codec_goes_on_without_a_hole_or_a_click() {
    for (one, other) in
        [(Codec::Pcma, Codec::G722), (Codec::G722, Codec::Pcmu), (Codec::Pcma, Codec::Opus), (Codec::Opus, Codec::Pcma)]
    {
        let mut frames = tone(one, 7, 440.0, 50);
        frames.extend(tone(other, 7, 440.0, 100).into_iter().skip(50));
        let out = record(frames, 2000);
        assert_tone(&out, 8000, 440.0, 100, 950);
        assert_tone(&out, 8000, 440.0, 1050, 2000);
        // The first 100 ms are the codecs' own, while they adapt.
        let steps = out[800..].windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs());
        let (step, at) = steps.zip(0..).max().unwrap();
        assert!(step < 4500, "{one:?} to {other:?}: step {step} at {at}, the tone's own is 2765");
    }
}

#[test]
fn an_opus_packet_longer_than_a_tap_frame_is_put_together_again() {
    let mut encoder = Encoder::new(Codec::Opus);
    let mut sine = Sine::new(440.0, 16_000, 8000);
    let (mut whole, mut cut) = (Vec::new(), Vec::new());
    for n in 0..30_i64 {
        let pcm: Vec<i16> = sine.by_ref().take(960).collect();
        let mut packet_of_60_ms = [0; TAP_PAYLOAD_BYTES];
        let len = encoder.encode(&pcm, &mut packet_of_60_ms);
        let frame = |at: usize, piece: &[u8]| {
            let timestamp = n as u32 * 2880 + at as u32;
            let mut payload = [0; TAP_PAYLOAD_BYTES];
            payload[..piece.len()].copy_from_slice(piece);
            let len = piece.len() as u16;
            TapFrame { codec: Codec::Opus, sequence: n as u16, len, payload, ..packet(7, timestamp, 60 * n, 0) }
        };
        whole.push(frame(0, &packet_of_60_ms[..len]));
        // Cut much shorter than the tap cuts, so that every packet is in pieces.
        cut.extend(packet_of_60_ms[..len].chunks(70).enumerate().map(|(number, piece)| frame(70 * number, piece)));
    }
    assert!(cut.len() > 2 * whole.len());
    let whole = record(whole, 1800);
    assert!(mean_square(&whole[800..]) > 0.5e7);
    let differs_at = record(cut, 1800).iter().zip(&whole).position(|(cut, whole)| cut != whole);
    assert_eq!(differs_at, None);
}

#[test]
fn long_packets_that_the_tap_cut_leave_the_line_where_it_is() {
    // 60 ms of G.711: pieces of 320 and 160 bytes that arrive together.
    let frames = (0..200_i64).flat_map(|n| {
        let first = TapFrame { len: 320, sequence: n as u16, ..packet(7, n as u32 * 480, 60 * n, level(n)) };
        [first, TapFrame { len: 160, timestamp: first.timestamp + 320, ..first }]
    });
    let out = record(frames.collect(), 12_000);
    (1..200).for_each(|n| assert_stands(&out, n, 60 * n));
}

#[test]
fn no_click_of_a_loss_of_five_percent_is_longer_than_the_lost_frame() {
    let narrow: Vec<i16> = Babble::new(5).take(8000 * 20).collect();
    for codec in Codec::ALL {
        let mut said = vec![0; narrow.len() * codec.sample_hz() as usize / 8000];
        Resampler::new(8000, codec.sample_hz()).resample(&narrow, &mut said);
        let mut encoder = Encoder::new(codec);
        let frames: Vec<TapFrame> = (0_i64..)
            .zip(said.chunks_exact(codec.sample_hz() as usize / 50))
            .map(|(n, pcm)| {
                let mut payload = [0; TAP_PAYLOAD_BYTES];
                let len = encoder.encode(pcm, &mut payload) as u16;
                let timestamp = n as u32 * (codec.clock_hz() / 50);
                TapFrame { codec, sequence: n as u16, len, payload, ..packet(7, timestamp, 20 * n, 0) }
            })
            .collect();
        let is_lost = |frame: &TapFrame| (u32::from(frame.sequence) * 48271 + 11) % 65_537 % 20 == 0;
        let lost: Vec<usize> = frames.iter().filter(|frame| is_lost(frame)).map(|frame| frame.sequence.into()).collect();
        assert!((30..70).contains(&lost.len()), "{}", lost.len());
        let whole = record(frames.clone(), 19_000);
        let heard = record(frames.into_iter().filter(|frame| !is_lost(frame)).collect(), 19_000);
        let steepest = |samples: &[i16]| samples.windows(2).map(|pair| i32::from(pair[0]).abs_diff(pair[1].into())).max();
        // What stands in may be a little steeper than what it stands for, but it does not jump.
        let (clean, lossy) = (steepest(&whole).unwrap(), steepest(&heard).unwrap());
        assert!(lossy * 2 < clean * 3, "{codec:?}: a step of {lossy}, the voice's own steepest is {clean}");
        if !codec.is_g711() {
            continue;
        }
        // Without state nothing else differs: the lost frame, and the join to the next.
        for (at, _) in whole.iter().zip(&heard).enumerate().filter(|(_, (whole, heard))| whole != heard) {
            let is_near = lost.iter().any(|lost| (lost * 160..lost * 160 + 160 + 80).contains(&at));
            assert!(is_near, "{codec:?}: sample {at} of packet {} differs, and nothing was lost there", at / 160);
        }
    }
}

proptest! {
    #[test]
    fn no_stream_panics_and_the_length_is_always_exact(
        frames in prop::collection::vec(
            (0_u32..3, any::<u32>(), -1000_i64..5000, 0_u16..400, 0..4_usize, any::<[u8; 4]>()), 0..60),
        until in 0_i64..6000,
    ) {
        let frames = frames.into_iter().map(|(ssrc, timestamp, arrival, len, codec, head)| {
            // Half of them go on in order.
            let timestamp = if timestamp.is_multiple_of(2) { (arrival as u32).wrapping_mul(8) } else { timestamp };
            let mut frame = TapFrame { len, codec: Codec::ALL[codec], ..packet(ssrc, timestamp, arrival, 1000) };
            frame.payload[..4].copy_from_slice(&head);
            frame
        });
        let out = record(frames.collect(), until);
        prop_assert_eq!(out.len() as i64, until * SAMPLES_PER_MS);
    }
}
