//! Recordings over the API: the facts, the audio by ranges, the waveform.

use perezvon::events::{RecordingState, RecordingView};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::house::House;
use super::samples::{call_of, id, recorded_call, recording};

/// A house with one finished recording of anna's call, and its bytes.
async fn recorded(state: RecordingState, path: &str) -> (House, String, Vec<u8>) {
    let house = House::open().await;
    let call = call_of(1, "anna", Some("sales"));
    let view = RecordingView { state, ..recording(50, &call) };
    for write in recorded_call(&call, &view, path) {
        house.append(write).await;
    }
    let samples: Vec<i16> = (0..16_000).map(|n| if n % 2 == 0 { 8192 } else { -128 }).collect();
    let mut bytes = std::io::Cursor::new(Vec::new());
    let spec = hound::WavSpec { channels: 2, sample_rate: 8000, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    samples.iter().for_each(|sample| writer.write_sample(*sample).unwrap());
    writer.finalize().unwrap();
    let bytes = bytes.into_inner();
    house.write_recording("2025/11/24/one.wav", &bytes);
    let token = house.token("anna").await;
    (house, token, bytes)
}

fn audio() -> String {
    format!("/recordings/{}/audio", id(50))
}

async fn range(house: &House, token: &str, range: &str) -> (StatusCode, HeaderMap, Vec<u8>) {
    let answer = house.ask(token, Method::GET, &audio()).header("range", range).send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    (status, headers, answer.bytes().await.unwrap().to_vec())
}

#[tokio::test]
async fn a_recording_is_listed_with_its_call_and_found_by_it() {
    let (house, token, _) = recorded(RecordingState::Ready, "2025/11/24/one.wav").await;
    let list = house.get(&token, "/recordings").await;
    let one = &list["items"][0];
    for field in ["id", "call_id", "state", "started_at", "duration_ms", "sample_rate", "channels", "bytes", "marks", "gaps"] {
        assert!(one.get(field).is_some(), "{field} is missing");
    }
    assert_eq!((&one["state"], &one["call"]["agent"], &list["next"]), (&"ready".into(), &"anna".into(), &Value::Null));
    assert_eq!(house.get(&token, &format!("/recordings/{}", id(50))).await["id"], one["id"]);
    assert_eq!(house.get(&token, &format!("/recordings?call_id={}", id(1))).await["items"].as_array().unwrap().len(), 1);
    assert_eq!(house.get(&token, &format!("/recordings?call_id={}", id(2))).await["items"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn the_audio_is_the_files_bytes_whole_or_by_ranges() {
    let (house, token, bytes) = recorded(RecordingState::Ready, "2025/11/24/one.wav").await;
    let whole = house.ask(&token, Method::GET, &audio()).send().await.unwrap();
    assert_eq!(whole.status(), StatusCode::OK);
    assert_eq!(whole.headers()["content-type"], "audio/wav");
    assert_eq!(whole.headers()["accept-ranges"], "bytes");
    assert_eq!(whole.headers()["content-length"], bytes.len().to_string().as_str());
    assert!(whole.headers()["content-disposition"].to_str().unwrap().starts_with("inline; filename="));
    assert_eq!(whole.bytes().await.unwrap(), bytes);

    let total = bytes.len();
    for (text, from, to) in [
        ("bytes=0-99".to_string(), 0, 100),
        (format!("bytes={}-", total - 10), total - 10, total),
        ("bytes=-7".into(), total - 7, total),
        ("bytes=44-1000000".into(), 44, total),
    ] {
        let (status, headers, part) = range(&house, &token, &text).await;
        assert_eq!(status, StatusCode::PARTIAL_CONTENT, "{text}");
        assert_eq!(headers["content-range"], format!("bytes {from}-{}/{total}", to - 1).as_str());
        assert_eq!(headers["content-length"], (to - from).to_string().as_str());
        assert!(part == bytes[from..to], "{text}");
    }
    let (status, headers, body) = range(&house, &token, &format!("bytes={total}-")).await;
    assert_eq!(
        (status, headers["content-range"].to_str().unwrap()),
        (StatusCode::RANGE_NOT_SATISFIABLE, format!("bytes */{total}").as_str())
    );
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["error"]["code"], "bad_range");
    assert_eq!(range(&house, &token, "bytes=0-1,4-5").await.0, StatusCode::OK, "several ranges get the whole");
}

#[tokio::test]
async fn head_tells_the_size_without_the_audio_and_an_etag_saves_a_second_download() {
    let (house, token, bytes) = recorded(RecordingState::Ready, "2025/11/24/one.wav").await;
    let head = house.ask(&token, Method::HEAD, &audio()).send().await.unwrap();
    assert_eq!(
        (head.status(), head.headers()["content-length"].to_str().unwrap()),
        (StatusCode::OK, bytes.len().to_string().as_str())
    );
    let etag = head.headers()["etag"].to_str().unwrap().to_string();
    assert!(head.bytes().await.unwrap().is_empty());
    let part = house.ask(&token, Method::HEAD, &audio()).header("range", "bytes=0-9").send().await.unwrap();
    assert_eq!((part.status(), part.headers()["content-length"].to_str().unwrap()), (StatusCode::PARTIAL_CONTENT, "10"));

    let again = house.ask(&token, Method::GET, &audio()).header("if-none-match", &etag).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    let ask = |tag: String| house.ask(&token, Method::GET, &audio()).header("range", "bytes=0-9").header("if-range", tag).send();
    assert_eq!(ask(etag).await.unwrap().status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(ask("\"another\"".into()).await.unwrap().status(), StatusCode::OK, "the file changed: the part would not fit");
    let save = house.ask(&token, Method::GET, &format!("{}?download=true", audio())).send().await.unwrap();
    assert!(save.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
}

#[tokio::test]
async fn the_waveform_has_both_sides() {
    let (house, token, _) = recorded(RecordingState::Ready, "2025/11/24/one.wav").await;
    let peaks = house.get(&token, &format!("/recordings/{}/peaks?per_second=10", id(50))).await;
    let side = |side: &str| peaks[side].as_array().unwrap().iter().map(|peak| peak.as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!((peaks["per_second"].as_u64(), side("left").len(), side("right").len()), (Some(10), 10, 10));
    assert!(side("left").iter().all(|peak| *peak > 50) && side("right").iter().all(|peak| *peak < 10), "{peaks}");
    for bad in ["0", "101", "x"] {
        let (status, error) =
            house.send(&token, Method::GET, &format!("/recordings/{}/peaks?per_second={bad}", id(50)), None).await;
        assert_eq!((status, error["error"]["field"].as_str()), (StatusCode::BAD_REQUEST, Some("per_second")));
    }
}

#[tokio::test]
async fn audio_that_is_not_there_yet_or_no_longer_is_said_to_be_so() {
    let (house, token, _) = recorded(RecordingState::Recording, "2025/11/24/one.wav").await;
    let (status, error) = house.send(&token, Method::GET, &audio(), None).await;
    assert_eq!((status, error["error"]["code"].as_str()), (StatusCode::CONFLICT, Some("still_recording")));
    let (house, token, _) = recorded(RecordingState::Ready, "2025/11/24/lost.wav").await;
    for path in [audio(), format!("/recordings/{}/peaks", id(50))] {
        let (status, error) = house.send(&token, Method::GET, &path, None).await;
        assert_eq!((status, error["error"]["code"].as_str()), (StatusCode::NOT_FOUND, Some("no_audio")), "{path}");
    }
}

#[tokio::test]
async fn a_path_in_the_database_cannot_lead_out_of_the_folder() {
    for path in ["../secret", "/etc/hostname", "2025/../../secret"] {
        let (house, token, _) = recorded(RecordingState::Ready, path).await;
        std::fs::write(house.folder.path().join("secret"), "secret").unwrap();
        let (status, _) = house.send(&token, Method::GET, &audio(), None).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn whoever_only_missed_the_call_does_not_hear_it() {
    let house = House::open().await;
    let mut call = call_of(1, "anna", Some("sales"));
    let mut missed = call.legs[0].clone();
    missed.agent = Some("boris".into());
    missed.state = perezvon::types::LegState::Ended;
    missed.answered_at = None;
    call.legs.push(missed);
    for write in recorded_call(&call, &recording(50, &call), "2025/11/24/one.wav") {
        house.append(write).await;
    }
    let boris = house.token("boris").await;
    assert_eq!(house.get(&boris, "/calls").await["items"].as_array().unwrap().len(), 1, "the call is in his list");
    assert_eq!(house.get(&boris, "/recordings").await["items"].as_array().unwrap().len(), 0);
    assert_eq!(house.send(&boris, Method::GET, &format!("/recordings/{}", id(50)), None).await.0, StatusCode::FORBIDDEN);
    assert_eq!(house.send(&boris, Method::GET, &audio(), None).await.0, StatusCode::FORBIDDEN);
}
