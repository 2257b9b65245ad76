//! Voices are no keys: minutes of Russian and English speech, made by espeak-ng, before a detector that hears every press.

use std::f32::consts::PI;
use std::process::Command;

use perezvon::media::codec::Codec;
use perezvon::media::dtmf::{KeyTone, TelephoneEvent, ToneDetector};

/// Full of numbers, names and long vowels, as people talk to a menu.
const RUSSIAN: &str = "Здравствуйте! Меня зовут Ирина Олеговна, я звоню из Нижнего Новгорода. Номер договора: пятьсот сорок \
     один, восемьдесят восемь, ноль три. Вчера вечером к нам никто не приехал, а обещали до девяти. Алло, алло, вы меня \
     слышите? Уууу, эээ, ну вот, опять тишина. Соедините меня, пожалуйста, с отделом доставки. Улица Строителей, дом \
     двадцать пять, квартира двенадцать, третий подъезд, домофон не работает. Да, да, именно так, всё верно. Спасибо!";
const ENGLISH: &str = "Hello, this is Oliver Greenwood speaking, I am calling from Manchester about my order. The number is \
     five four one, double eight, oh three. Somebody was supposed to come yesterday evening before nine, but nobody did. \
     Hello, hello, can you hear me? Oooh, well, hmm, there is that silence again. Would you put me through to the delivery \
     people, please? Twenty five Mill Lane, flat twelve, third floor, and the bell does not work. Yes, yes, exactly so.";

const SPOKEN_HZ: f32 = 22_050.0;

/// What a voice says, at 8,000 samples a second and nearly full strength.
fn speech(voice: &str, pitch: &str, text: &str) -> Vec<i16> {
    let said = Command::new("espeak-ng").args(["-v", voice, "-p", pitch, "--stdout", text]).output();
    let wav = said.expect("espeak-ng is installed by scripts/install-test-tools").stdout;
    let samples: Vec<f32> = wav[44..].as_chunks().0.iter().map(|bytes| f32::from(i16::from_le_bytes(*bytes))).collect();
    let narrow: Vec<f32> = (0..(samples.len() as f32 * 8000.0 / SPOKEN_HZ) as usize).map(|n| narrow_at(&samples, n)).collect();
    let peak = narrow.iter().fold(1.0, |peak: f32, sample| peak.max(sample.abs()));
    narrow.iter().map(|sample| (sample / peak * 28_000.0) as i16).collect()
}

/// Sample `n` at 8 kHz: a windowed sinc of 3.7 kHz over the samples around it.
fn narrow_at(samples: &[f32], n: usize) -> f32 {
    const SIDE: i64 = 24;
    let at = n as f32 * SPOKEN_HZ / 8000.0;
    let cutoff = 2.0 * 3700.0 / SPOKEN_HZ;
    let around = (at as i64 - SIDE + 1)..=(at as i64 + SIDE);
    let weighed = around.filter_map(|index| {
        let off = index as f32 - at;
        let x = PI * off * cutoff;
        let sinc = if x.abs() < 1e-4 { 1.0 } else { x.sin() / x };
        let window = 0.5 + 0.5 * (PI * off / SIDE as f32).cos();
        Some(samples.get(usize::try_from(index).ok()?)? * sinc * window * cutoff)
    });
    weighed.sum()
}

#[test]
fn minutes_of_speech_in_two_languages_press_no_key_and_the_key_after_them_is_heard() {
    let mut seconds = 0;
    for (voices, text) in [(["ru", "ru+f2", "ru+m3", "ru+f4"], RUSSIAN), (["en-us", "en+f2", "en+m3", "en+f4"], ENGLISH)] {
        for (voice, pitch) in voices.into_iter().zip(["50", "30", "70", "90"]) {
            let mut audio = speech(voice, pitch, text);
            seconds += audio.len() / 8000;
            let mut tone = KeyTone::new(TelephoneEvent::event_of('7').unwrap(), 8, 8000).unwrap();
            let mut pressed = [0; 640];
            tone.fill(&mut pressed, true);
            audio.extend(pressed);
            let mut detector = ToneDetector::default();
            let over_a_line = |sample: &i16| Codec::Pcma.decode_sample(Codec::Pcma.encode_sample(*sample));
            let line: Vec<i16> = audio.iter().map(over_a_line).collect();
            let heard: String = line.chunks(160).flat_map(|frame| detector.hear(frame)).collect();
            assert_eq!(heard, "7", "{voice} at pitch {pitch}");
        }
    }
    assert!(seconds > 150, "{seconds} s of speech");
}
