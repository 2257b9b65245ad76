//! What people do to a call that goes on, by ear: hold and resume, the recording paused and masked, callers who are told of
//! it. Each party has its own tone; who hears whom in each state is audibility's table.

use std::time::Duration;

use perezvon::support::phone::PhoneCall;
use serde_json::{Value, json};

use crate::support::ears::share_of_tone;
use crate::support::office::{CLIENT_HZ, Office, SOON, agent_hz};

/// A call on which the client and the first agent talk, and its id.
async fn talking(office: &mut Office) -> (PhoneCall, PhoneCall, String) {
    let client = office.client_calls().await;
    let agent = office.rings_at(0).await;
    agent.answer().await.unwrap();
    let answered = office.live.until("call.answered").await;
    client.hears_tone(agent_hz(0), SOON).await.unwrap();
    agent.hears_tone(CLIENT_HZ, SOON).await.unwrap();
    (client, agent, answered["call_id"].as_str().unwrap().to_owned())
}

async fn post(office: &Office, path: &str, body: Value) -> Value {
    let (status, answer) = office.root.send("POST", path, body).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

/// A fifth of a second of something that is none of the parties' tones.
async fn hears_music(call: &PhoneCall) {
    let is_music = |heard: &perezvon::support::phone::Heard| {
        let last = heard.samples.len().saturating_sub(1600);
        let is_loud = heard.samples[last..].iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / 1600.0 > 10_000.0;
        is_loud && [CLIENT_HZ, agent_hz(0), agent_hz(1)].iter().all(|hz| !heard.is_tone_now(*hz))
    };
    call.hears(SOON, is_music).await.unwrap();
}

/// Nothing for half a second.
async fn hears_nothing(call: &PhoneCall) {
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = call.heard().loud_ms();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(call.heard().loud_ms(), before, "it should hear nothing");
}

/// One part of a recording's channel.
fn part(samples: &[i16], rate: u32, from_ms: u64, to_ms: u64) -> &[i16] {
    let at = |ms: u64| (ms * u64::from(rate) / 1000) as usize;
    &samples[at(from_ms)..at(to_ms).min(samples.len())]
}

fn is_silent(samples: &[i16]) -> bool {
    samples.iter().all(|sample| sample.unsigned_abs() < 100)
}

/// When a mark of this kind stands in a recording.
fn mark(view: &Value, kind: &str) -> u64 {
    let marks = view["marks"].as_array().unwrap();
    let mark = marks.iter().find(|mark| mark["kind"] == kind).unwrap_or_else(|| panic!("no {kind} in {marks:?}"));
    mark["at_ms"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn on_hold_the_client_hears_music_the_agent_nothing_and_the_recording_neither() {
    let mut office = Office::open(1, "", "").await;
    let (client, agent, id) = talking(&mut office).await;
    let held = post(&office, &format!("calls/{id}/hold"), json!({})).await;
    assert_eq!(held["state"], "held");
    office.live.until("call.held").await;
    hears_music(&client).await;
    hears_nothing(&agent).await;
    let (status, answer) = office.root.send("POST", &format!("calls/{id}/hold"), json!({})).await;
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("call_state")));
    office.agent_becomes(0, |it| it["state"] == "holding").await;
    let resumed = post(&office, &format!("calls/{id}/resume"), json!({})).await;
    assert_eq!(resumed["state"], "talking");
    office.live.until("call.resumed").await;
    client.hears_tone(agent_hz(0), SOON).await.unwrap();
    agent.hears_tone(CLIENT_HZ, SOON).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    agent.hang_up().await.unwrap();
    let (view, rate, left, right) = office.recording_of(&id).await;
    let (from, to) = (mark(&view, "held") + 100, mark(&view, "resumed") - 40);
    assert!(to > from + 500, "{view}");
    assert!(is_silent(part(&right, rate, from, to)), "neither the agent nor the music is on the client's tape");
    assert!(share_of_tone(part(&left, rate, from, to), rate, CLIENT_HZ) > 0.85, "the client is recorded throughout");
    assert!(share_of_tone(part(&right, rate, to + 150, to + 350), rate, agent_hz(0)) > 0.9);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_leaves_out_what_is_said_while_it_is_paused_or_masked() {
    let mut office = Office::open(1, "", "").await;
    let (client, agent, id) = talking(&mut office).await;
    let path = format!("calls/{id}/recording");
    for (shut, open) in [("pause", "resume"), ("mask", "unmask")] {
        tokio::time::sleep(Duration::from_millis(400)).await;
        post(&office, &path, json!({"action": shut})).await;
        assert_eq!(office.live.until("recording.paused").await["call_id"], id);
        tokio::time::sleep(Duration::from_millis(600)).await;
        let (status, answer) = office.root.send("POST", &path, json!({"action": "start"})).await;
        assert_eq!((status, &answer["error"]["code"]), (409, &json!("call_state")));
        post(&office, &path, json!({"action": open})).await;
        office.live.until("recording.resumed").await;
    }
    let (status, answer) = office.root.send("POST", &path, json!({"action": "rewind"})).await;
    assert_eq!(status, 422, "{answer}");
    tokio::time::sleep(Duration::from_millis(400)).await;
    client.hears_tone(agent_hz(0), SOON).await.unwrap();
    agent.hang_up().await.unwrap();
    let (view, rate, left, right) = office.recording_of(&id).await;
    for (shut, open) in [("paused", "unpaused"), ("masked", "unmasked")] {
        let (from, to) = (mark(&view, shut), mark(&view, open));
        for (side, hz) in [(&left, CLIENT_HZ), (&right, agent_hz(0))] {
            assert!(is_silent(part(side, rate, from + 40, to)), "{shut}: nothing of it is kept");
            assert!(share_of_tone(part(side, rate, from - 300, from - 40), rate, hz) > 0.85, "before {shut}");
            assert!(share_of_tone(part(side, rate, to + 60, to + 300), rate, hz) > 0.85, "after {open}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_caller_is_told_so_before_the_music_and_the_recording_holds_it() {
    let site = "[[number]]\nnumber = \"+74951234500\"\nto = \"queue:sales\"\nannounce = true\n";
    let mut office = Office::open(1, site, "").await;
    let client = office.client.dial("74951234500").await.unwrap();
    let agent = office.rings_at(0).await;
    // Speech first: it has pauses, which the music has not.
    client.hears(SOON, |heard| heard.loud_ms() > 1000).await.unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    hears_music(&client).await;
    agent.answer().await.unwrap();
    let answered = office.live.until("call.answered").await;
    client.hears_tone(agent_hz(0), SOON).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    agent.hang_up().await.unwrap();
    let (view, rate, _, right) = office.recording_of(answered["call_id"].as_str().unwrap()).await;
    let music_from = mark(&view, "music_started");
    let said = part(&right, rate, 0, music_from.max(2500));
    let loud = said.chunks(160).filter(|piece| piece.iter().any(|sample| sample.unsigned_abs() > 1000)).count();
    assert!(
        loud > 40,
        "the announcement is on the right: {loud} loud pieces of 20 ms in {} ms",
        said.len() * 1000 / rate as usize
    );
}
