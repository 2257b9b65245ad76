//! A sender, a network and a listener in one thread: what goes in as a tone must come out as one.

use proptest::prelude::*;

use super::*;
use crate::media::coder::{Encoder, MAX_CODED_BYTES};
use crate::media::tones::{Babble, Sine, mean_square, power};

const TONE_HZ: f32 = 440.0;
const LOUDNESS: i16 = 10_000;
const STARTED_US: i64 = 5_000_000;

/// What a sender and a network do. Every packet is 20 ms unless `ptime_ms` says otherwise.
struct Scene {
    codec: Codec,
    hear_hz: u32,
    ptime_ms: i64,
    /// How much slower than ours the sender's clock is.
    slow_ppm: i64,
    seconds: i64,
    /// How late packet n comes, in milliseconds; `None`: never.
    late_ms: Box<dyn Fn(i64) -> Option<i64>>,
    /// Samples of the sender, at the codec's rate.
    says: Box<dyn Iterator<Item = i16>>,
}

impl Scene {
    fn new(codec: Codec, hear_hz: u32) -> Scene {
        Scene {
            codec,
            hear_hz,
            ptime_ms: 20,
            slow_ppm: 0,
            seconds: 20,
            late_ms: Box::new(|_| Some(0)),
            says: Box::new(Sine::new(TONE_HZ, codec.sample_hz(), LOUDNESS)),
        }
    }

    fn play(mut self) -> Outcome {
        let mut encoder = Encoder::new(self.codec);
        let frame = (self.codec.sample_hz() / 1000) as usize * self.ptime_ms as usize;
        let mut arrivals: Vec<(i64, u16, u32, Vec<u8>)> = Vec::new();
        // Half a second more than is heard: a quick clock comes to the end sooner.
        for n in 0..(self.seconds * 1000 + 500) / self.ptime_ms {
            let pcm: Vec<i16> = self.says.by_ref().take(frame).collect();
            let mut payload = [0; 3 * MAX_CODED_BYTES];
            let len = encoder.encode(&pcm, &mut payload);
            let sent_us = STARTED_US + n * self.ptime_ms * (1_000_000 + self.slow_ppm) / 1000;
            let timestamp = (u32::MAX - 5000).wrapping_add((n * self.ptime_ms) as u32 * (self.codec.clock_hz() / 1000));
            if let Some(late_ms) = (self.late_ms)(n).filter(|_| len > 0) {
                arrivals.push((sent_us + late_ms * 1000, 65_500_u16.wrapping_add(n as u16), timestamp, payload[..len].to_vec()));
            }
        }
        arrivals.sort_by_key(|arrival| arrival.0);
        let mut arrivals = arrivals.into_iter().peekable();
        let mut listening = Listening::new(self.hear_hz);
        let mut outcome = Outcome {
            hz: self.hear_hz,
            samples: Vec::new(),
            heard: Vec::new(),
            delays_ms: Vec::new(),
            stats: ListeningStats::default(),
        };
        for tick in 0..self.seconds * 50 {
            // The wheel's phase is nobody's but its own, and it shivers by a millisecond.
            let now_us = STARTED_US + tick * 20_000 + 7000 + tick % 3 * 500;
            while let Some((at, sequence, timestamp, payload)) = arrivals.next_if(|arrival| arrival.0 <= now_us) {
                listening.packet(time(at), 9, sequence, timestamp, self.codec, &payload);
            }
            let mut out = vec![0; self.hear_hz as usize / 50];
            outcome.heard.push(listening.next_20ms(time(now_us), &mut out));
            outcome.samples.extend(out);
            outcome.delays_ms.push(listening.stats(time(now_us)).delay_ms);
            outcome.stats = listening.stats(time(now_us));
        }
        outcome
    }
}

struct Outcome {
    hz: u32,
    samples: Vec<i16>,
    heard: Vec<Heard>,
    delays_ms: Vec<u32>,
    stats: ListeningStats,
}

impl Outcome {
    fn frame(&self) -> usize {
        self.hz as usize / 50
    }

    /// Frames of a kind among the last `seconds`.
    fn count(&self, heard: Heard, seconds: usize) -> usize {
        self.heard.iter().rev().take(seconds * 50).filter(|it| **it == heard).count()
    }

    /// The largest step from sample to sample after the first second, over what the tone itself has.
    fn roughness(&self) -> f32 {
        let natural = f32::from(LOUDNESS) * std::f32::consts::TAU * TONE_HZ / self.hz as f32;
        let steps = self.samples[self.hz as usize..].windows(2).map(|pair| (f32::from(pair[1]) - f32::from(pair[0])).abs());
        steps.fold(0.0, f32::max) / natural
    }

    /// Frames after the first second in which less than nine tenths of the power is the tone.
    fn spoilt_frames(&self) -> usize {
        let spoilt = |frame: &&[i16]| power(frame, self.hz, TONE_HZ) < 0.9 * mean_square(frame) || mean_square(frame) < 0.2e8;
        self.samples[self.hz as usize..].chunks(self.frame()).filter(spoilt).count()
    }
}

fn time(micros: i64) -> Time {
    Time::from_nanos(micros.cast_unsigned() * 1000)
}

/// The same for the same number: chance that can be repeated.
fn dice(n: i64, seed: u64) -> u64 {
    let mut x = (n.cast_unsigned() + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed;
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[test]
fn an_even_stream_of_any_codec_is_heard_whole_at_either_rate() {
    for codec in Codec::ALL {
        for hear_hz in [8000, 16_000] {
            let outcome = Scene::new(codec, hear_hz).play();
            assert_eq!(outcome.count(Heard::Concealed, 20), 0, "{codec:?} at {hear_hz}");
            assert_eq!(outcome.count(Heard::Speech, 19), 19 * 50, "{codec:?} at {hear_hz}");
            assert_eq!((outcome.stats.late_packets, outcome.stats.dropped_packets), (0, 0));
            assert!(outcome.roughness() < 1.35, "{codec:?} at {hear_hz}: {}", outcome.roughness());
            assert!(outcome.spoilt_frames() <= 10, "{codec:?} at {hear_hz}: {}", outcome.spoilt_frames());
            assert_eq!(outcome.stats.delay_ms, 25, "{codec:?} at {hear_hz}");
        }
    }
}

#[test]
fn packets_of_10_to_60_ms_are_heard_alike() {
    for (codec, ptime_ms) in
        [(Codec::Pcma, 10), (Codec::Pcmu, 30), (Codec::G722, 40), (Codec::Pcma, 60), (Codec::Opus, 10), (Codec::Opus, 60)]
    {
        let outcome = Scene { ptime_ms, ..Scene::new(codec, 16_000) }.play();
        assert_eq!(outcome.count(Heard::Speech, 19), 19 * 50, "{codec:?} of {ptime_ms} ms");
        assert!(outcome.roughness() < 1.35, "{codec:?} of {ptime_ms} ms: {}", outcome.roughness());
        assert!(outcome.spoilt_frames() <= 12, "{codec:?} of {ptime_ms} ms: {}", outcome.spoilt_frames());
    }
}

#[test]
fn five_in_a_hundred_lost_leave_no_click_and_are_counted() {
    for codec in Codec::ALL {
        let is_lost = |n: i64| dice(n, 7).is_multiple_of(20);
        let lost = (0..1000).filter(|n| is_lost(*n)).count() as u64;
        let late_ms = move |n| (!is_lost(n)).then_some(0);
        let outcome = Scene { late_ms: Box::new(late_ms), ..Scene::new(codec, 8000) }.play();
        let concealed = outcome.stats.concealed_frames;
        assert!(concealed.abs_diff(lost) <= lost / 5, "{codec:?}: {concealed} concealed of {lost} lost");
        assert_eq!(outcome.count(Heard::Silence, 19), 0, "{codec:?}");
        // A click is a step that the tone does not have.
        assert!(outcome.roughness() < 1.6, "{codec:?}: {}", outcome.roughness());
        // Opus's decoder needs a frame longer to find the tone again.
        let spoilt = outcome.spoilt_frames() as u64;
        let per_loss = if codec == Codec::Opus { 3 } else { 2 };
        assert!(spoilt <= per_loss * lost + 15, "{codec:?}: {spoilt} frames spoilt by {lost} lost packets");
    }
}

#[test]
fn packets_out_of_order_and_twice_are_heard_in_order_once() {
    // Every seventh packet comes 25 ms late, behind its successor.
    let late_ms = |n: i64| Some(if n % 7 == 3 { 25 } else { 0 });
    let outcome = Scene { late_ms: Box::new(late_ms), ..Scene::new(Codec::Pcma, 8000) }.play();
    assert_eq!((outcome.count(Heard::Speech, 10), outcome.count(Heard::Concealed, 10)), (500, 0));
    assert!(outcome.roughness() < 1.3 && outcome.spoilt_frames() < 12, "{} {}", outcome.roughness(), outcome.spoilt_frames());
    let mut listening = Listening::new(8000);
    for n in 0..20_u16 {
        for _ in 0..2 {
            listening.packet(time(STARTED_US + i64::from(n) * 20_000), 9, n, u32::from(n) * 160, Codec::Pcma, &[1; 160]);
        }
    }
    assert_eq!(listening.stats(time(STARTED_US)).dropped_packets, 20);
}

#[test]
fn jitter_raises_the_delay_until_nothing_is_lost_and_quiet_lowers_it_again() {
    let late_ms = |n: i64| Some(if (250..1000).contains(&n) { (dice(n, 3) % 90) as i64 } else { 0 });
    let outcome = Scene { late_ms: Box::new(late_ms), seconds: 60, ..Scene::new(Codec::Pcma, 8000) }.play();
    let shaken = &outcome.heard[600..1000];
    let concealed = shaken.iter().filter(|heard| **heard != Heard::Speech).count();
    assert!(concealed <= 12, "{concealed} of 400 frames concealed once the delay has grown");
    assert!((90..=130).contains(&outcome.delays_ms[990]), "{}", outcome.delays_ms[990]);
    assert!(*outcome.delays_ms.last().unwrap() <= 30, "{:?}", outcome.delays_ms.last());
    assert_eq!(outcome.count(Heard::Speech, 30), 1500, "and loses nothing when it comes down");
    assert!(outcome.roughness() < 1.6, "{}", outcome.roughness());
}

#[test]
fn a_clock_300_ppm_off_is_followed_for_ten_minutes_without_a_click() {
    for slow_ppm in [-300, 300] {
        let scene = Scene { slow_ppm, seconds: 600, ..Scene::new(Codec::Pcma, 8000) };
        let outcome = scene.play();
        let concealed = outcome.count(Heard::Concealed, 590);
        assert!(concealed <= 2, "{slow_ppm} ppm: {concealed} frames concealed");
        assert_eq!(outcome.count(Heard::Silence, 590), 0, "{slow_ppm} ppm");
        assert!(outcome.stats.dropped_packets + outcome.stats.late_packets == 0, "{slow_ppm} ppm: {:?}", outcome.stats);
        assert!(outcome.roughness() < 1.35, "{slow_ppm} ppm: {}", outcome.roughness());
        assert!(outcome.spoilt_frames() < 60, "{slow_ppm} ppm: {}", outcome.spoilt_frames());
    }
}

#[test]
fn pauses_without_packets_are_silence_and_speech_after_them_is_whole() {
    // A voice that says 1 s and is silent for 2 s, in which only the first 100 ms are sent.
    let says = Sine::new(TONE_HZ, 8000, LOUDNESS).enumerate().map(|(n, s)| if n / 8000 % 3 == 0 { s } else { 0 });
    let late_ms = |n: i64| (n % 150 < 55).then_some(0);
    let scene = Scene { says: Box::new(says), late_ms: Box::new(late_ms), seconds: 30, ..Scene::new(Codec::Pcma, 8000) };
    let outcome = scene.play();
    assert_eq!(outcome.stats.concealed_frames, 0);
    let loud: Vec<usize> =
        (0..outcome.heard.len()).filter(|n| mean_square(&outcome.samples[n * 160..(n + 1) * 160]) > 0.4e8).collect();
    assert!((10 * 48..=10 * 51).contains(&loud.len()), "{} frames of 500 loud", loud.len());
    assert!(outcome.roughness() < 1.3, "{}", outcome.roughness());
}

/// A sender who speaks for a second and then describes the noise around him once, or twice when the pause goes on.
#[test]
fn described_noise_fills_pauses_and_costs_no_concealment() {
    for hear_hz in [8000, 16_000] {
        let mut listening = Listening::new(hear_hz);
        let mut tone = Sine::new(TONE_HZ, 8000, LOUDNESS);
        let (mut sequence, mut samples, mut heard) = (0_u16, Vec::new(), Vec::new());
        for n in 0..500_i64 {
            let now = time(STARTED_US + n * 20_000);
            let timestamp = n as u32 * 160;
            let mut payload = [0; 160];
            let pcm: Vec<i16> = tone.by_ref().take(160).collect();
            match n % 150 {
                0..50 => {
                    Encoder::new(Codec::Pcma).encode(&pcm, &mut payload);
                    listening.packet(now, 9, sequence, timestamp, Codec::Pcma, &payload);
                    sequence = sequence.wrapping_add(1);
                }
                50 | 100 => {
                    listening.comfort_noise(now, 9, sequence, timestamp, &[50]);
                    sequence = sequence.wrapping_add(1);
                }
                _ => {}
            }
            let mut out = vec![0; hear_hz as usize / 50];
            heard.push(listening.next_20ms(now, &mut out));
            samples.push(out);
        }
        assert_eq!(listening.stats(time(0)).concealed_frames, 0);
        let frames = |from: usize, to: usize| samples[from..to].concat();
        // -50 dBov is an RMS of 104.
        for pause in [65..145, 215..295] {
            let rms = mean_square(&frames(pause.start, pause.end)).sqrt();
            assert!((80.0..130.0).contains(&rms), "{rms} at {hear_hz}");
            assert!(heard[pause].iter().all(|heard| *heard == Heard::Silence));
        }
        for speech in [5..48, 155..198] {
            assert!(heard[speech.clone()].iter().all(|heard| *heard == Heard::Speech), "{speech:?}");
            let speech = frames(speech.start, speech.end);
            assert!(power(&speech, hear_hz, TONE_HZ) > 0.95 * mean_square(&speech));
        }
    }
}

#[test]
fn a_pause_of_opus_sounds_like_the_background_before_it() {
    let mut listening = Listening::new(16_000);
    let mut encoder = Encoder::new(Codec::Opus);
    let mut sequence = 0_u16;
    let mut rms = Vec::new();
    for n in 0..400_i64 {
        let now = time(STARTED_US + n * 20_000);
        let noise: Vec<i16> = (0..320).map(|k| (dice(n * 320 + k, 3) % 600) as i16 - 300).collect();
        let mut payload = [0; MAX_CODED_BYTES];
        let len = encoder.encode(&noise, &mut payload);
        // From 4 s on only a word every 400 ms that there is nothing to be said.
        if n < 200 || n % 20 == 0 {
            let payload = &payload[..if n < 200 { len } else { 1 }];
            listening.packet(now, 9, sequence, n as u32 * 960, Codec::Opus, payload);
            sequence = sequence.wrapping_add(1);
        }
        let mut out = [0; 320];
        listening.next_20ms(now, &mut out);
        rms.push(mean_square(&out).sqrt());
    }
    let mean = |frames: &[f64]| frames.iter().sum::<f64>() / frames.len() as f64;
    let (before, after) = (mean(&rms[100..190]), mean(&rms[240..390]));
    assert!(before > 50.0 && after > before / 10.0 && after < before * 2.0, "{before} then {after}");
    assert_eq!(listening.stats(time(0)).late_packets, 0);
}

#[test]
fn a_loss_of_a_second_is_60_ms_made_up_then_silence_then_speech_again() {
    let late_ms = |n: i64| (!(500..550).contains(&n)).then_some(0);
    let outcome = Scene { late_ms: Box::new(late_ms), ..Scene::new(Codec::Pcmu, 8000) }.play();
    assert!((2..=4).contains(&outcome.stats.concealed_frames), "{:?}", outcome.stats);
    assert!((46..=49).contains(&outcome.count(Heard::Silence, 19)), "{}", outcome.count(Heard::Silence, 19));
    assert_eq!(outcome.count(Heard::Speech, 8), 400);
    assert!(outcome.roughness() < 1.6, "{}", outcome.roughness());
}

#[test]
fn an_outage_that_ends_in_a_burst_does_not_leave_the_listener_behind() {
    let late_ms = |n: i64| Some(if (500..575).contains(&n) { (575 - n) * 20 } else { 0 });
    let outcome = Scene { late_ms: Box::new(late_ms), seconds: 30, ..Scene::new(Codec::Pcma, 8000) }.play();
    assert!(outcome.stats.dropped_packets + outcome.stats.late_packets > 40, "{:?}", outcome.stats);
    assert_eq!(outcome.count(Heard::Speech, 17), 17 * 50);
    assert!(outcome.stats.delay_ms <= 40, "{:?}", outcome.stats);
}

/// What a listener hears of two senders, the second from 1 s on, and whether every frame of the last second is the second.
#[test]
fn a_new_sender_and_a_new_codec_are_heard_at_once_without_a_click() {
    let others = [(10, Codec::Pcma), (9, Codec::Pcmu), (9, Codec::G722), (10, Codec::Opus), (9, Codec::Opus)];
    for (ssrc, codec) in others {
        let mut listening = Listening::new(8000);
        let (mut first, mut second) = (Encoder::new(Codec::Pcma), Encoder::new(codec));
        let mut tones = (Sine::new(TONE_HZ, 8000, LOUDNESS), Sine::new(1000.0, codec.sample_hz(), LOUDNESS));
        let mut samples = Vec::new();
        for n in 0..150_i64 {
            let now = time(STARTED_US + n * 20_000);
            let mut payload = [0; MAX_CODED_BYTES];
            if n < 50 {
                let pcm: Vec<i16> = tones.0.by_ref().take(160).collect();
                let len = first.encode(&pcm, &mut payload);
                listening.packet(now, 9, n as u16, n as u32 * 160, Codec::Pcma, &payload[..len]);
            } else {
                let pcm: Vec<i16> = tones.1.by_ref().take(codec.sample_hz() as usize / 50).collect();
                let len = second.encode(&pcm, &mut payload);
                listening.packet(now, ssrc, n as u16, n as u32 * (codec.clock_hz() / 50), codec, &payload[..len]);
            }
            let mut out = [0; 160];
            listening.next_20ms(time(STARTED_US + n * 20_000 + 3000), &mut out);
            samples.extend(out);
        }
        assert!(power(&samples[8000 * 2..], 8000, 1000.0) > 0.45e8, "{ssrc} {codec:?}");
        let natural = f32::from(LOUDNESS) * std::f32::consts::TAU * 1000.0 / 8000.0;
        let step = samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap();
        assert!((step as f32) < natural * 1.5, "{ssrc} {codec:?}: {step} beside {natural}");
        let dark = samples[8000..8000 + 3200].chunks(80).filter(|chunk| mean_square(chunk) < 1e6).count();
        assert!(dark <= 8, "{ssrc} {codec:?}: {dark} times 10 ms of silence at the change");
    }
}

#[test]
fn a_listener_that_was_not_asked_for_a_while_hears_the_present() {
    let mut listening = Listening::new(8000);
    let mut out = [0; 160];
    let mut heard = Vec::new();
    for n in 0..500_u16 {
        let now = time(STARTED_US + i64::from(n) * 20_000);
        let level = Codec::Pcma.encode_sample(if n < 300 { 2000 } else { -2000 });
        listening.packet(now, 9, n, u32::from(n) * 160, Codec::Pcma, &[level; 160]);
        if !(100..305).contains(&n) {
            heard.push((listening.next_20ms(now, &mut out), out[159]));
        }
    }
    // Asked again 100 ms after the voice changed, it soon hears the new one.
    assert!(heard[106].1 < -1500, "{heard:?}");
    assert!(heard[110..].iter().all(|(heard, _)| *heard == Heard::Speech));
}

#[test]
fn speech_is_not_torn_by_changes_of_delay() {
    let late_ms = |n: i64| Some(if n / 250 % 2 == 1 { (dice(n, 5) % 60) as i64 } else { 0 });
    let says = Babble::new(11).map(|sample| sample / 2 + 3);
    let scene = Scene { late_ms: Box::new(late_ms), says: Box::new(says), seconds: 60, ..Scene::new(Codec::Pcma, 8000) };
    let plain: Vec<i16> = Babble::new(11).map(|sample| sample / 2 + 3).take(8000 * 60).collect();
    let natural = plain.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap();
    let outcome = scene.play();
    let step = outcome.samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap();
    assert!(step < natural * 3 / 2, "{step} beside {natural}");
    assert!((mean_square(&outcome.samples) / mean_square(&plain) - 1.0).abs() < 0.1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_packets_make_it_panic_or_grow(
        packets in proptest::collection::vec(
            (any::<u8>(), any::<u16>(), any::<u32>(), 0usize..4, proptest::collection::vec(any::<u8>(), 0..700)), 0..80),
        is_wide in any::<bool>(),
    ) {
        let hz = if is_wide { 16_000 } else { 8000 };
        let mut listening = Listening::new(hz);
        let mut now = STARTED_US;
        for (n, (kind, sequence, timestamp, codec, payload)) in packets.into_iter().enumerate() {
            // Some go on in order, others come from nowhere.
            let (sequence, timestamp) = if kind & 3 == 0 { (sequence, timestamp) } else { (n as u16, n as u32 * 160) };
            now += i64::from(kind) * 300;
            listening.packet(time(now), u32::from(kind >> 7), sequence, timestamp, Codec::ALL[codec], &payload);
            if kind & 4 == 0 {
                let mut out = vec![0; hz as usize / 50];
                listening.next_20ms(time(now), &mut out);
            }
            prop_assert!(listening.playout.len() <= 9600);
        }
    }
}
