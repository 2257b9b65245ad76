//! Two hundred callers, two hundred agents, and every recording listened to.

use std::time::Duration;

use serde_json::Value;

use super::floor::CallCentre;
use crate::support::ears;
use crate::support::server::wav_channels_of;
use crate::support::sipp::{AGENT_HZ, CALLER_HZ, Load, Sipp};

const CALLS: usize = 200;
const TALK_MS: u32 = 12_000;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_calls_at_twenty_a_second_all_talk_and_are_all_recorded() {
    let centre = CallCentre::with_agents(CALLS).await;
    let mut agents = Sipp::agents(centre.phones, Some(30_000), CALLS, 60);
    let load = Load {
        local: centre.carrier,
        media: Some(31_400),
        number: "74951234567",
        calls: CALLS,
        rate: 20,
        talk_ms: TALK_MS,
        seconds: 60,
        first_number: 1,
    };
    let mut callers = Sipp::callers(centre.server.sip, &load);
    tokio::task::spawn_blocking(move || {
        callers.success();
        agents.success();
    })
    .await
    .unwrap();

    let ready = |list: &Value| list["items"].as_array().map(|items| items.iter().filter(|item| item["state"] == "ready").count());
    centre.root.until("recordings?limit=1000", |list| (ready(list) == Some(CALLS)).then_some(())).await;
    let calls = centre.all("calls").await;
    assert_eq!(calls.len(), CALLS);
    for call in &calls {
        assert_eq!((&call["cause"], &call["ended_by"]), (&"normal".into(), &"caller".into()), "{call:#}");
    }
    for recording in centre.all("recordings").await {
        let call = calls.iter().find(|call| call["recording_id"] == recording["id"]).expect("its call");
        listen(&centre, &recording, call).await;
    }
    let agents = centre.root.get("agents?limit=1000").await;
    for agent in agents["items"].as_array().unwrap().iter().filter(|agent| agent["login"] != "root") {
        assert_eq!(agent["state"], "ready", "{agent}");
    }
    let metrics = reqwest::get(format!("http://{}/metrics", centre.server.http)).await.unwrap().text().await.unwrap();
    for nothing in ["perezvon_calls_active 0", "perezvon_sip_legs 0"] {
        assert!(metrics.lines().any(|line| line == nothing), "{nothing} is wanted: {metrics}");
    }
}

/// Left the caller's tone, right the agent's, no holes, as long as the call was.
async fn listen(centre: &CallCentre, recording: &Value, call: &Value) {
    let id = recording["id"].as_str().unwrap();
    assert_eq!(recording["gaps"], Value::Array(Vec::new()), "{recording}");
    let (rate, left, right) = wav_channels_of(&centre.root.bytes(&format!("recordings/{id}/audio")).await);
    let told = recording["duration_ms"].as_u64().unwrap();
    assert!(
        told.abs_diff(ears::duration_ms(&left, rate)) <= 1,
        "{id}: {told} ms told, {} in the file",
        ears::duration_ms(&left, rate)
    );
    let moment = |value: &Value| chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap();
    // From our 200 OK, before the queue found an agent, to the client's BYE.
    let lasted = (moment(&call["ended_at"]) - moment(&recording["started_at"])).to_std().unwrap();
    assert!(told.abs_diff(lasted.as_millis() as u64) <= 60, "{id}: {told} ms recorded, {lasted:?} lasted");
    assert!(lasted >= Duration::from_millis(u64::from(TALK_MS) - 60), "{lasted:?}");
    assert!(ears::share_of_tone(&left, rate, CALLER_HZ) > 0.9, "{id}: the caller is not on the left");
    assert!(ears::share_of_tone(&right, rate, AGENT_HZ) > 0.9, "{id}: the agent is not on the right");
    assert!(ears::share_of_tone(&left, rate, AGENT_HZ) < 0.01, "{id}: the agent is on the left");
    assert!(ears::share_of_tone(&right, rate, CALLER_HZ) < 0.01, "{id}: the caller is on the right");
    for (side, samples) in [("left", &left), ("right", &right)] {
        let gap = ears::longest_gap_ms(samples, rate);
        assert!(gap <= 40, "{id}: a gap of {gap} ms on the {side}");
    }
}
