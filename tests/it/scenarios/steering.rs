//! What people do to a call that goes on, by ear: hold and resume, the recording paused and masked, supervisors who
//! listen, whisper and barge in. Each party has its own tone; nobody hears what the state does not say.

use std::time::Duration;

use perezvon::media::tones;
use perezvon::support::phone::{Answering, Phone, PhoneCall, PhoneSetup, Says};
use serde_json::{Value, json};

use crate::support::ears::share_of_tone;
use crate::support::office::{CLIENT_HZ, Office, SOON, agent_hz};
use crate::support::server::Setup;

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
async fn a_telephone_on_hold_gives_the_client_music_too() {
    let mut office = Office::open(1, "", "").await;
    let (client, agent, _) = talking(&mut office).await;
    agent.hold().await.unwrap();
    office.live.until("call.held").await;
    hears_music(&client).await;
    agent.resume().await.unwrap();
    office.live.until("call.resumed").await;
    client.hears_tone(agent_hz(0), SOON).await.unwrap();
    agent.hears_tone(CLIENT_HZ, SOON).await.unwrap();
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
#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_listens_whispers_and_barges_in_and_only_then_is_heard() {
    for threads in [1, 3] {
        supervise_by_ear(threads).await;
    }
}

async fn supervise_by_ear(threads: usize) {
    let setup = Setup { threads, ..Setup::default() };
    let mut office = Office::open_with(setup, 1, SUPERVISOR).await;
    let chief_phone = PhoneSetup {
        answering: Answering::After(Duration::ZERO),
        says: Says::Tone { hz: CHIEF_HZ },
        ..PhoneSetup::new(office.server.sip, "1900", "phone-chief")
    };
    let mut chief_phone = Phone::switch_on(chief_phone).unwrap();
    chief_phone.register(Duration::from_secs(300)).await.unwrap();
    let chief_api = office.server.api("chief");
    let (client, agent, id) = talking(&mut office).await;
    let path = format!("calls/{id}/supervise");
    office
        .root
        .until("agents?limit=1000", |list| {
            list["items"].as_array()?.iter().find(|it| it["login"] == "chief" && it["registered"] == true).cloned()
        })
        .await;

    let (status, answer) = chief_api.send("POST", &path, json!({"mode": "listen"})).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["legs"].as_array().unwrap().len(), 2, "a listener is not shown");
    let chief = tokio::time::timeout(SOON, chief_phone.next_call()).await.expect("the chief's phone rings").unwrap();
    chief.talking(SOON).await.unwrap();
    // Both at once: neither tone is the whole of it, each is a good part.
    chief.hears(SOON, |heard| has_both(&heard.samples, CLIENT_HZ, agent_hz(0))).await.unwrap();
    client.hears_tone(agent_hz(0), SOON).await.unwrap();
    agent.hears_tone(CLIENT_HZ, SOON).await.unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(client.heard().is_tone_now(agent_hz(0)) && agent.heard().is_tone_now(CLIENT_HZ), "nobody hears a listener");

    assert_eq!(chief_api.send("POST", &path, json!({"mode": "whisper"})).await.0, 200);
    agent.hears(SOON, |heard| has_both(&heard.samples, CLIENT_HZ, CHIEF_HZ)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(client.heard().is_tone_now(agent_hz(0)), "the client does not hear a whisper");

    assert_eq!(chief_api.send("POST", &path, json!({"mode": "barge"})).await.0, 200);
    client.hears(SOON, |heard| has_both(&heard.samples, agent_hz(0), CHIEF_HZ)).await.unwrap();
    agent.hears(SOON, |heard| has_both(&heard.samples, CLIENT_HZ, CHIEF_HZ)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;

    let (status, answer) = chief_api.send("DELETE", &path, json!({})).await;
    assert_eq!(status, 200, "{answer}");
    chief.ended(SOON).await.unwrap();
    client.hears_tone(agent_hz(0), SOON).await.unwrap();
    agent.hears_tone(CLIENT_HZ, SOON).await.unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    agent.hang_up().await.unwrap();

    let (_, rate, left, right) = office.recording_of(&id).await;
    assert!(share_of_tone(&left, rate, CLIENT_HZ) > 0.9, "the client alone is on the left");
    let (chief_ms, quiet) = (tone_ms(&right, rate, CHIEF_HZ), tone_ms(&left, rate, CHIEF_HZ));
    assert!((500..2500).contains(&chief_ms), "{chief_ms} ms: the barge is on the right, and no whisper");
    assert_eq!(quiet, 0);
    let supervised: Vec<Value> = {
        let page = office.root.get("events?after=0&limit=1000").await;
        let of_kind = |event: &&Value| event["type"] == "call.supervised";
        page["items"].as_array().unwrap().iter().filter(of_kind).map(|event| event["data"]["mode"].clone()).collect()
    };
    assert_eq!(supervised, [json!("listen"), json!("whisper"), json!("barge"), Value::Null]);
}

const CHIEF_HZ: f32 = 1700.0;
const SUPERVISOR: &str =
    "[[user]]\nlogin = \"chief\"\nname = \"Chief\"\nrole = \"admin\"\nextension = \"1900\"\nsip_password = \"phone-chief\"\n";

/// The last fifth of a second is made of these two tones and little else.
fn has_both(samples: &[i16], one: f32, other: f32) -> bool {
    let last = &samples[samples.len().saturating_sub(1600)..];
    let whole = tones::mean_square(last);
    let (one, other) = (tones::power(last, 8000, one), tones::power(last, 8000, other));
    whole > 10_000.0 && one + other > whole * 0.8 && one > whole * 0.2 && other > whole * 0.2
}

/// How long a tone is a good part of a channel, by tenths of a second.
fn tone_ms(samples: &[i16], rate: u32, hz: f32) -> u64 {
    let is_in = |piece: &&[i16]| {
        let whole = tones::mean_square(piece);
        whole > 1000.0 && tones::power(piece, rate, hz) > whole * 0.2
    };
    samples.chunks_exact(rate as usize / 10).filter(is_in).count() as u64 * 100
}
