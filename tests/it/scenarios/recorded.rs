//! What the parties of a recorded call notice of it, and how good it sounds afterwards: the beep that reminds them, a disk that
//! falls away under the recording, and speech judged by PESQ.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use perezvon::media::codec::Codec::{self, Opus, Pcma};
use perezvon::media::tones::{BEEP_HZ, mean_square, power};
use perezvon::support::phone::{Phone, PhoneCall, PhoneSetup, Says};
use serde_json::json;

use crate::support::ears::share_of_tone;
use crate::support::office::{CLIENT_HZ, Office, SOON, agent_hz};

/// Where beeps begin, in milliseconds.
fn beeps(samples: &[i16], rate: u32) -> Vec<u64> {
    let window = rate as usize / 50;
    let is_beep = |piece: &[i16]| mean_square(piece) > 20_000.0 && power(piece, rate, BEEP_HZ) > 0.6 * mean_square(piece);
    let at = (0_u64..).zip(samples.chunks_exact(window)).filter(|(_, piece)| is_beep(piece)).map(|(number, _)| number * 20);
    at.fold(Vec::new(), |mut begins: Vec<u64>, at| {
        // What follows closely is the same one.
        if begins.last().is_none_or(|last| at - last > 500) {
            begins.push(at);
        }
        begins
    })
}

/// The client talks with the first agent.
async fn talk(office: &mut Office) -> (PhoneCall, PhoneCall, String) {
    let client = office.client_calls().await;
    let agent = office.rings_at(0).await;
    agent.answer().await.unwrap();
    let id = office.live.until("call.answered").await["call_id"].as_str().unwrap().to_owned();
    client.hears_tone(agent_hz(0), SOON).await.unwrap();
    agent.hears_tone(CLIENT_HZ, SOON).await.unwrap();
    (client, agent, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_hear_a_beep_every_so_often_but_not_while_the_recording_is_paused() {
    let number = "[[number]]\nnumber = \"+74951234500\"\nto = \"queue:sales\"\n\n[[number]]\nnumber = \"+74951234567\"\n\
                  to = \"queue:sales\"\nsource = \"site\"\nbeep_seconds = 5\n";
    let mut office = Office::open(1, "", "").await;
    // The office's own number, with a beep.
    let site = office.server.folder.path().join("beep.toml");
    std::fs::write(&site, number).unwrap();
    let (code, _, error) = office.server.command(&["apply", site.to_str().unwrap()], "");
    assert_eq!(code, 0, "{error}");
    let (client, agent, id) = talk(&mut office).await;
    let heard = |call: &PhoneCall| beeps(&call.heard().samples, 8000).len();
    client.hears(SOON, |heard| beeps(&heard.samples, 8000).len() == 2).await.expect("one at the beginning, one after 5 s");
    agent.hears(SOON, |heard| beeps(&heard.samples, 8000).len() == 2).await.expect("the agent hears them too");
    let (status, answer) = office.root.send("POST", &format!("calls/{id}/recording"), json!({"action": "pause"})).await;
    assert_eq!(status, 200, "{answer}");
    tokio::time::sleep(Duration::from_millis(6500)).await;
    assert_eq!((heard(&client), heard(&agent)), (2, 2), "none while it is paused");
    client.hears_tone(agent_hz(0), SOON).await.unwrap();
    office.root.send("POST", &format!("calls/{id}/recording"), json!({"action": "resume"})).await;
    client.hears(SOON, |heard| beeps(&heard.samples, 8000).len() == 3).await.expect("it is recorded again");
    tokio::time::sleep(Duration::from_millis(300)).await;
    agent.hang_up().await.unwrap();
    let (_, rate, left, right) = office.recording_of(&id).await;
    let (left, right) = (beeps(&left, rate), beeps(&right, rate));
    assert_eq!(left, [0_u64; 0], "the client did not say it");
    assert_eq!(right.len(), 3, "the recording shows that the client heard it: {right:?}");
    assert!((4900..5100).contains(&(right[1] - right[0])), "{right:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_falls_away_under_a_recording_is_told_and_the_call_does_not_notice() {
    let mut office = Office::open(1, "", "").await;
    let (client, agent, id) = talk(&mut office).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    std::fs::remove_dir_all(office.server.folder.path().join("recordings")).unwrap();
    let failed = office.live.until("recording.failed").await;
    assert_eq!((&failed["call_id"], &failed["data"]["trouble"]), (&json!(id), &json!("the disk failed")));
    let goes_on = office.live.until("recording.started").await;
    assert_eq!((&goes_on["call_id"], &goes_on["data"]["state"]), (&json!(id), &json!("recording")));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    client.hears_tone(agent_hz(0), SOON).await.unwrap();
    agent.hears_tone(CLIENT_HZ, SOON).await.unwrap();
    for (call, hz) in [(&client, agent_hz(0)), (&agent, CLIENT_HZ)] {
        let (heard, whole) = (call.heard().tone_ms(hz), call.heard().samples.len() as u64 / 8);
        assert!(heard + 1500 > whole, "{heard} ms of {whole} ms: nothing is lost for the ear");
    }
    agent.hang_up().await.unwrap();
    let (view, rate, left, right) = office.recording_of(&id).await;
    let gaps = view["gaps"].as_array().unwrap();
    assert_eq!((gaps.len(), &gaps[0]["reason"], &gaps[0]["from_ms"]), (1, &json!("disk_error"), &json!(0)), "{view}");
    let after = gaps[0]["to_ms"].as_u64().unwrap() as usize * rate as usize / 1000;
    assert!(left[..after].iter().all(|sample| *sample == 0), "what was on the disk is gone");
    assert!(share_of_tone(&left[after..], rate, CLIENT_HZ) > 0.9 && share_of_tone(&right[after..], rate, agent_hz(0)) > 0.9);
}

/// Speech as a WAV file of 16,000 samples a second with a second of silence on both sides, and the same at 8,000.
fn speech(folder: &Path, name: &str, voice: &str, text: &str) -> (PathBuf, PathBuf) {
    let file = |rate: &str| folder.join(format!("{name}-{rate}.wav"));
    let said = Command::new("espeak-ng").args(["-v", voice, "-s", "150", "-w"]).arg(folder.join(name)).arg(text).status();
    assert!(said.expect("espeak-ng is installed by scripts/install-test-tools").success());
    let mut sox = Command::new("sox");
    sox.args(["-t", "wav"]).arg(folder.join(name)).args(["-r", "16000", "-b", "16", "-c", "1"]).arg(file("16000"));
    let made = sox.args(["norm", "-6", "pad", "1", "1"]).status();
    assert!(made.expect("sox is installed by scripts/install-test-tools").success());
    // What the telephone makes of it before it codes.
    let Says::Samples(said) = Says::wav(&file("16000")).unwrap() else { panic!("a file is samples") };
    write_wav(&file("8000"), &said);
    (file("16000"), file("8000"))
}

fn write_wav(file: &Path, samples: &[i16]) {
    let spec = hound::WavSpec { channels: 1, sample_rate: 8000, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut wav = hound::WavWriter::create(file, spec).unwrap();
    samples.iter().for_each(|sample| wav.write_sample(*sample).unwrap());
    wav.finalize().unwrap();
}

/// The MOS that PESQ gives.
fn pesq(said: &Path, heard: &[i16]) -> f64 {
    let file = said.with_extension("heard.wav");
    write_wav(&file, heard);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let judge = Command::new(root.join(".venv/bin/python"))
        .arg(root.join("tests/it/support/speech_quality.py"))
        .arg(said)
        .arg(&file)
        .output();
    let judged = judge.expect(".venv is made by scripts/install-test-tools");
    let text = String::from_utf8(judged.stdout).unwrap();
    text.trim().parse().unwrap_or_else(|_| panic!("no judgement: {}", String::from_utf8_lossy(&judged.stderr)))
}

#[tokio::test(flavor = "multi_thread")]
async fn speech_is_good_in_the_ear_and_in_the_recording() {
    let mut office = Office::open(2, "", "").await;
    for agent in office.agents.drain(..) {
        agent.unregister().await.unwrap();
    }
    let folder = office.server.folder.path().to_owned();
    let one = speech(
        &folder,
        "one",
        "en-gb",
        "Good morning. I am calling about the invoice that you sent us last week. It has the wrong number.",
    );
    let two = speech(
        &folder,
        "two",
        "ru",
        "Добрый день, меня зовут Анна. Сейчас посмотрю ваш счёт и сразу же исправлю ошибку в номере.",
    );
    let phone = |office: &Office, index: usize, codec: Codec, says: &Path| PhoneSetup {
        codecs: vec![codec],
        says: Says::wav(says).unwrap(),
        ..office.desk_phone(index)
    };
    for (first, second, least) in [(Pcma, Pcma, 3.8), (Opus, Pcma, 3.5)] {
        let caller_phone = Phone::switch_on(phone(&office, 0, first, &one.0)).unwrap();
        let mut called_phone = Phone::switch_on(phone(&office, 1, second, &two.0)).unwrap();
        for phone in [&caller_phone, &called_phone] {
            phone.register(Duration::from_secs(300)).await.unwrap();
        }
        let caller = caller_phone.dial("1001").await.unwrap();
        let called = tokio::time::timeout(SOON, called_phone.next_call()).await.expect("it rings").unwrap();
        called.answer().await.unwrap();
        let id = office.live.until("call.answered").await["call_id"].as_str().unwrap().to_owned();
        let longest = [&one.1, &two.1].map(|wav| hound::WavReader::open(wav).unwrap().duration()).into_iter().max().unwrap();
        tokio::time::sleep(Duration::from_millis(u64::from(longest) / 8 + 500)).await;
        caller.hang_up().await.unwrap();
        let (_, rate, left, right) = office.recording_of(&id).await;
        assert_eq!(rate, 8000);
        let (in_ear, in_others_ear) = (called.heard().samples, caller.heard().samples);
        for (what, said, heard) in [
            ("the caller on the tape", &one.1, &left),
            ("the called on the tape", &two.1, &right),
            ("the caller in the other's ear", &one.1, &in_ear),
            ("the called in the caller's ear", &two.1, &in_others_ear),
        ] {
            let mos = pesq(said, heard);
            println!("{first:?} and {second:?}, {what}: {mos:.2}");
            assert!(mos >= least, "{first:?} and {second:?}: {what} is {mos:.2}");
        }
        caller_phone.unregister().await.unwrap();
        called_phone.unregister().await.unwrap();
    }
}
