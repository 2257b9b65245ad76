//! kill -9 in the middle of fifty recorded calls: what INTERFACES calls "lost".

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::floor::CallCentre;
use crate::support::ears;
use crate::support::server::{Live, wav_channels_of};
use crate::support::sipp::{AGENT_HZ, CALLER_HZ, Load, Sipp};

const CALLS: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_fifty_calls_loses_no_event_and_at_most_a_second_of_sound() {
    let mut centre = CallCentre::with_agents(CALLS).await;
    let mut live = Live::open(&centre.server, &centre.root.token, Some(0)).await;
    let mut agents = Sipp::agents(centre.phones, Some(30_000), CALLS, 60);
    let load = Load {
        local: centre.carrier,
        media: Some(31_400),
        number: "74951234567",
        calls: CALLS,
        rate: 25,
        talk_ms: 30_000,
        seconds: 60,
        first_number: 1,
    };
    let mut callers = Sipp::callers(centre.server.sip, &load);
    let mut seen: BTreeMap<u64, Value> = BTreeMap::new();
    let mut answered = 0;
    while answered < CALLS {
        let event = live.next().await;
        answered += usize::from(event["type"] == "call.answered");
        seen.insert(event["seq"].as_u64().unwrap(), event);
    }
    // Five seconds of talk, read on meanwhile so that nothing the client saw is missed here.
    let until = tokio::time::Instant::now() + Duration::from_secs(5);
    while let Some(left) = until.checked_duration_since(tokio::time::Instant::now()) {
        if let Some(event) = live.next_within(left).await {
            seen.insert(event["seq"].as_u64().unwrap(), event);
        }
    }
    let killed_at = chrono::Utc::now();
    centre.server.kill();
    callers.stop();
    agents.stop();
    centre.server.restart();

    let kept = events_after_restart(&centre).await;
    for (seq, event) in &seen {
        assert_eq!(kept.get(seq), Some(event), "event {seq} is lost or different");
    }
    let newest_seen = *seen.keys().next_back().unwrap();
    let ended = kept.values().filter(|event| event["type"] == "call.ended");
    let causes: Vec<&str> = ended.map(|event| event["data"]["cause"].as_str().unwrap()).collect();
    assert_eq!(causes, vec!["server_restart"; CALLS]);
    assert!(kept.iter().filter(|(_, event)| event["type"] == "call.ended").all(|(seq, _)| *seq > newest_seen));

    let ready = |list: &Value| list["items"].as_array().map(|items| items.iter().filter(|item| item["state"] == "ready").count());
    centre.root.until("recordings?limit=1000", |list| (ready(list) == Some(CALLS)).then_some(())).await;
    for recording in centre.all("recordings").await {
        let id = recording["id"].as_str().unwrap();
        let (rate, left, right) = wav_channels_of(&centre.root.bytes(&format!("recordings/{id}/audio")).await);
        let started = chrono::DateTime::parse_from_rfc3339(recording["started_at"].as_str().unwrap()).unwrap();
        let lasted = (killed_at - started.with_timezone(&chrono::Utc)).num_milliseconds() as u64;
        let kept = ears::duration_ms(&left, rate);
        assert!(kept + 1000 >= lasted, "{id}: {kept} ms of {lasted} ms are left");
        assert!(ears::share_of_tone(&left, rate, CALLER_HZ) > 0.8, "{id}: the caller is not on the left");
        assert!(ears::share_of_tone(&right, rate, AGENT_HZ) > 0.8, "{id}: the agent is not on the right");
    }
    for agent in centre.root.get("agents?limit=1000").await["items"].as_array().unwrap() {
        let expected = (Some("wrap_up"), Some("server_restart"));
        assert_eq!((agent["state"].as_str(), agent["reason"].as_str()), expected, "{agent}");
    }
    assert_eq!(centre.root.get("calls?active=true").await["items"], Value::Array(Vec::new()));
    centre.register(CALLS);
    centre.make_ready(CALLS).await;
}

async fn events_after_restart(centre: &CallCentre) -> BTreeMap<u64, Value> {
    let mut events = BTreeMap::new();
    let mut after = 0;
    loop {
        let page = centre.root.get(&format!("events?after={after}&limit=1000")).await;
        let items = page["items"].as_array().unwrap();
        if items.is_empty() {
            return events;
        }
        for event in items {
            after = event["seq"].as_u64().unwrap();
            events.insert(after, event.clone());
        }
    }
}
