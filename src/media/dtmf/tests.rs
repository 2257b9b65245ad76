//! Keys from one end to the other: tones through noise, off pitch, off level and with gaps; events through loss and
//! reordering; and what is no key at all.

use std::f32::consts::TAU;

use super::*;
use crate::media::codec::Codec;
use crate::media::music;
use crate::media::tones::{Babble, mean_square};

const KEYS: &str = "0123456789*#ABCD";
const RATE: f32 = 8000.0;

/// Numbers that look random and are the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as u32 % limit
    }

    /// About a bell curve of deviation 1.
    fn bell(&mut self) -> f32 {
        (0..12).map(|_| self.below(10_000) as f32 / 10_000.0).sum::<f32>() - 6.0
    }
}

/// How the tones of a press differ from the best.
#[derive(Clone, Copy, Debug)]
struct Press {
    ms: f32,
    row_dbm0: f32,
    column_dbm0: f32,
    row_off: f32,
    column_off: f32,
    phase: f32,
}

const PLAIN: Press = Press { ms: 40.0, row_dbm0: -10.0, column_dbm0: -8.0, row_off: 0.0, column_off: 0.0, phase: 0.3 };

fn pitches(key: char) -> (f32, f32) {
    let (row, keys) = KEYPAD.iter().enumerate().find(|(_, keys)| keys.contains(&key)).unwrap();
    (ROWS_HZ[row], COLUMNS_HZ[keys.iter().position(|other| *other == key).unwrap()])
}

#[allow(clippy::approx_constant, reason = "a level in dBm0")]
fn amplitude(dbm0: f32) -> f32 {
    32_767.0 * 10_f32.powf((dbm0 - 3.14) / 20.0)
}

fn tones(key: char, press: Press) -> Vec<f32> {
    let (row, column) = pitches(key);
    let (row, column) = (row * (1.0 + press.row_off), column * (1.0 + press.column_off));
    let tone = |hz: f32, dbm0: f32, n: usize| amplitude(dbm0) * (TAU * hz * n as f32 / RATE + press.phase).sin();
    let len = (press.ms * RATE / 1000.0) as usize;
    (0..len).map(|n| tone(row, press.row_dbm0, n) + tone(column, press.column_dbm0, n)).collect()
}

fn silence(ms: f32) -> Vec<f32> {
    vec![0.0; (ms * RATE / 1000.0) as usize]
}

/// Adds noise that is `below_db` weaker than both tones of a press of `PLAIN` together.
fn with_noise(mut samples: Vec<f32>, rms: f32, random: &mut Random) -> Vec<f32> {
    samples.iter_mut().for_each(|sample| *sample += rms * random.bell());
    samples
}

/// What a detector hears after the law of a telephone line has coded the audio.
fn heard(samples: &[f32]) -> String {
    let mut detector = ToneDetector::default();
    let line: Vec<i16> =
        samples.iter().map(|sample| Codec::Pcma.decode_sample(Codec::Pcma.encode_sample(*sample as i16))).collect();
    line.chunks(160).flat_map(|frame| detector.hear(frame)).collect()
}

/// Every key once with this press, each at another moment of the detector's slices.
fn whole_keypad(press: Press, pause_ms: f32, noise_rms: f32) -> String {
    let mut random = Random(press.ms.to_bits() as u64 | 77 << 32);
    let mut samples = silence(31.0);
    for (n, key) in KEYS.chars().enumerate() {
        samples.extend(tones(key, Press { phase: press.phase + n as f32, ..press }));
        samples.extend(silence(pause_ms + n as f32 * 0.625));
    }
    samples.extend(silence(50.0));
    heard(&with_noise(samples, noise_rms, &mut random))
}

#[test]
fn presses_of_forty_milliseconds_with_pauses_as_short_are_heard() {
    for step in 0..40 {
        let mut samples = silence(20.0 + step as f32 * 0.125);
        for key in KEYS.chars().flat_map(|key| [key, key]) {
            samples.extend(tones(key, Press { phase: step as f32, ..PLAIN }));
            samples.extend(silence(40.0));
        }
        let expected: String = KEYS.chars().flat_map(|key| [key, key]).collect();
        assert_eq!(heard(&samples), expected, "shifted by {step} samples");
    }
}

#[test]
fn a_long_press_is_one_digit() {
    assert_eq!(whole_keypad(Press { ms: 3000.0, ..PLAIN }, 60.0, 30.0), KEYS);
}

#[test]
fn what_is_shorter_than_a_press_is_none() {
    for ms in [5.0, 10.0, 15.0, 20.0, 23.0] {
        assert_eq!(whole_keypad(Press { ms, ..PLAIN }, 60.0, 0.0), "", "{ms} ms");
    }
}

#[test]
fn levels_from_loud_to_faint_and_every_allowed_twist_are_heard() {
    for (row_dbm0, column_dbm0) in
        [(-3.0, -3.0), (-25.0, -25.0), (-7.0, -3.0), (-29.0, -25.0), (-3.0, -11.0), (-25.0, -33.0), (-17.0, -17.0)]
    {
        assert_eq!(whole_keypad(Press { row_dbm0, column_dbm0, ..PLAIN }, 45.0, 3.0), KEYS, "{row_dbm0} {column_dbm0} dBm0");
    }
}

#[test]
fn too_faint_or_too_uneven_tones_are_no_keys() {
    for (row_dbm0, column_dbm0) in [(-45.0, -45.0), (-8.0, -20.0), (-16.0, -8.0), (-8.0, -70.0), (-70.0, -8.0)] {
        assert_eq!(
            whole_keypad(Press { row_dbm0, column_dbm0, ms: 80.0, ..PLAIN }, 45.0, 3.0),
            "",
            "{row_dbm0} {column_dbm0} dBm0"
        );
    }
}

#[test]
fn pitch_may_be_off_by_one_and_a_half_percent_but_not_by_three_and_a_half() {
    for (row_off, column_off) in [(0.015, 0.015), (-0.015, -0.015), (0.015, -0.015), (-0.015, 0.015), (0.015, 0.0), (0.0, -0.015)]
    {
        assert_eq!(whole_keypad(Press { row_off, column_off, ..PLAIN }, 45.0, 10.0), KEYS, "{row_off} {column_off}");
    }
    for (row_off, column_off) in [(0.035, 0.0), (-0.035, 0.0), (0.0, 0.035), (0.0, -0.035), (0.035, 0.035)] {
        assert_eq!(whole_keypad(Press { row_off, column_off, ms: 100.0, ..PLAIN }, 45.0, 10.0), "", "{row_off} {column_off}");
    }
}

#[test]
fn a_noisy_line_hides_no_key() {
    // 15 dB between the two tones together and the noise.
    let power = (amplitude(PLAIN.row_dbm0).powi(2) + amplitude(PLAIN.column_dbm0).powi(2)) / 2.0;
    let rms = (power / 10_f32.powf(1.5)).sqrt();
    assert_eq!(whole_keypad(Press { ms: 50.0, ..PLAIN }, 50.0, rms), KEYS);
    assert_eq!(whole_keypad(Press { ms: 100.0, row_off: 0.01, ..PLAIN }, 100.0, rms), KEYS);
}

#[test]
fn lost_packets_neither_hide_nor_double_a_press() {
    for (seed, is_told) in (1..40).flat_map(|seed| [(seed, true), (seed, false)]) {
        let mut random = Random(seed * 7919);
        let mut samples = silence(30.0);
        let dialled: String = (0..60).map(|_| KEYS.chars().nth(random.below(16) as usize).unwrap()).collect();
        for key in dialled.chars() {
            samples.extend(tones(key, Press { ms: 100.0, ..PLAIN }));
            samples.extend(silence(100.0));
        }
        let mut detector = ToneDetector::default();
        let mut heard = String::new();
        let mut since_loss = 0;
        for frame in samples.chunks(160) {
            let frame: Vec<i16> = frame.iter().map(|sample| *sample as i16).collect();
            // A detector that is told of the loss bears losses with one packet between them; one that takes them for
            // silence bears one a press.
            since_loss += 1;
            let is_lost = random.below(100) < 5 && since_loss > if is_told { 1 } else { 5 };
            if is_lost {
                since_loss = 0;
            }
            match (is_lost, is_told) {
                (false, _) => heard.extend(detector.hear(&frame)),
                (true, true) => detector.miss(frame.len()),
                (true, false) => heard.extend(detector.hear(&vec![0; frame.len()])),
            }
        }
        assert_eq!(heard, dialled, "seed {seed}, told {is_told}");
    }
}

#[test]
fn pieces_of_any_length_are_heard_alike() {
    let samples: Vec<i16> =
        KEYS.chars().flat_map(|key| [tones(key, PLAIN), silence(45.0)].concat()).map(|it| it as i16).collect();
    for piece in [1, 7, 39, 40, 41, 160, 480, 4000] {
        let mut detector = ToneDetector::default();
        let heard: String = samples.chunks(piece).flat_map(|piece| detector.hear(piece)).collect();
        assert_eq!(heard, KEYS, "pieces of {piece}");
    }
}

#[test]
fn our_own_tones_are_heard_as_the_keys_they_are() {
    let mut detector = ToneDetector::default();
    let mut heard = String::new();
    for key in KEYS.chars() {
        let mut tone = KeyTone::new(TelephoneEvent::event_of(key).unwrap(), 8, 8000).unwrap();
        for step in 1..=10 {
            let mut frame = [0; 160];
            if step <= 5 {
                tone.fill(&mut frame, step == 5);
            }
            heard.extend(detector.hear(&frame));
        }
    }
    assert_eq!(heard, KEYS);
}

#[test]
fn music_babble_noise_and_single_tones_are_no_keys() {
    let silent_then = |samples: Vec<f32>| heard(&samples);
    let waltz: Vec<f32> = music::hold_music().into_iter().map(f32::from).collect();
    assert!(mean_square(&waltz.iter().map(|sample| *sample as i16).collect::<Vec<_>>()) > 1000.0);
    assert_eq!(silent_then(waltz), "");
    for seed in 0..10 {
        assert_eq!(silent_then(Babble::new(seed).take(8000 * 60).map(f32::from).collect()), "", "babble {seed}");
    }
    let mut random = Random(5);
    assert_eq!(silent_then(with_noise(silence(60_000.0), 3000.0, &mut random)), "");
    for hz in (300..3400).step_by(7) {
        let sweep = (0..1600).map(|n| 8000.0 * (TAU * hz as f32 * n as f32 / RATE).sin()).collect();
        assert_eq!(silent_then(sweep), "", "{hz} Hz");
    }
}

#[test]
fn nonsense_does_no_harm() {
    let mut detector = ToneDetector::default();
    for n in 0..2000_usize {
        let samples: Vec<i16> = (0..n % 333).map(|k| if (k * n) % 7 < 3 { i16::MAX } else { i16::MIN }).collect();
        detector.hear(&samples);
        if n % 13 == 0 {
            detector.miss(n);
        }
    }
    detector.miss(usize::MAX);
    assert!(detector.hear(&[0; 160]).is_empty());
}

/// A number dialled with events, and what a reader makes of it behind a network that loses, doubles and delays.
fn dial_through(seed: u64, clock_hz: u32, loss_percent: u32, most_late_ms: u32) -> (String, String) {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut sent = Vec::new();
    let mut dialled = String::new();
    let mut now_ms = 0_u32;
    let start = u32::MAX - 9000;
    for _ in 0..200 {
        let key = KEYS.chars().nth(random.below(16) as usize).unwrap();
        dialled.push(key);
        let pressed_at = start.wrapping_add(now_ms.wrapping_mul(clock_hz / 1000));
        let mut writer = PressWriter::new(TelephoneEvent::event_of(key).unwrap(), 10, clock_hz);
        let steps = 4 + random.below(12);
        let packets = (1..=steps).map(|step| writer.down(step == steps).to_vec()).collect::<Vec<_>>();
        let ends: Vec<_> = std::iter::from_fn(|| writer.repeat()).map(|packet| vec![packet]).collect();
        for packet in packets.into_iter().chain(ends).flatten() {
            now_ms += 20;
            for _ in 0..=u32::from(random.below(50) == 0) {
                if random.below(100) >= loss_percent {
                    let timestamp = pressed_at.wrapping_add(packet.after);
                    sent.push((now_ms + random.below(most_late_ms + 1), timestamp, packet.event));
                }
            }
        }
        now_ms += 40 + random.below(200);
    }
    sent.sort_by_key(|(arrival, ..)| *arrival);
    let mut reader = DigitReader::default();
    let heard = sent.into_iter().filter_map(|(_, timestamp, event)| reader.packet(9, timestamp, event)).collect();
    (dialled, heard)
}

#[test]
fn events_behind_loss_doubling_and_reordering_are_counted_exactly() {
    for seed in 0..300 {
        for (clock_hz, loss_percent, late_ms) in [(8000, 0, 0), (8000, 5, 0), (8000, 5, 60), (48_000, 5, 60), (8000, 20, 30)] {
            let (dialled, heard) = dial_through(seed, clock_hz, loss_percent, late_ms);
            assert_eq!(heard, dialled, "seed {seed}, {clock_hz} Hz, {loss_percent} % lost, up to {late_ms} ms late");
        }
    }
}
