//! How a call sounded, on the real server: a good call's figures, and audio that went one way only.

use std::time::Duration;

use perezvon::support::phone::{Phone, PhoneSetup};
use serde_json::{Value, json};

use crate::support::office::{CLIENT_HZ, NUMBER, Office, SOON, agent_hz};
use crate::support::sipp::{Load, Sipp};

/// Both legs' quality, the client's first.
async fn legs(office: &Office, id: &str) -> Vec<Value> {
    let call = office.root.get(&format!("calls/{id}")).await;
    let both = |list: &Value| {
        let legs = list["legs"].as_array()?;
        let of = |index: usize| legs.iter().find(|leg| leg["leg"] == call["legs"][index]["id"]).cloned();
        Some(vec![of(0)?, of(1)?])
    };
    office.root.until(&format!("calls/{id}/quality"), both).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_call_has_good_figures_and_no_trouble() {
    let mut office = Office::open(1, "", "").await;
    let client = office.client_calls().await;
    let agent = office.rings_at(0).await;
    agent.answer().await.unwrap();
    let id = office.live.until("call.answered").await["call_id"].as_str().unwrap().to_owned();
    client.hears_tone(agent_hz(0), SOON).await.unwrap();
    agent.hears_tone(CLIENT_HZ, SOON).await.unwrap();
    assert_eq!(office.root.get(&format!("calls/{id}/quality")).await, json!({"legs": []}), "nothing has closed yet");
    tokio::time::sleep(Duration::from_secs(4)).await;
    agent.hang_up().await.unwrap();
    for leg in legs(&office, &id).await {
        assert!(leg["mos"].as_f64().unwrap() > 4.2, "{leg}");
        assert_eq!((&leg["codec"], &leg["trouble"]), (&json!("PCMA"), &Value::Null), "{leg}");
        let (seconds, count) = (&leg["seconds"], leg["seconds"]["mos"].as_array().unwrap().len());
        assert!((3..=30).contains(&count) && seconds["step_seconds"] == 1, "{leg}");
        for column in
            ["received", "loss_percent", "remote_loss_percent", "concealed_percent", "jitter_ms", "round_trip_ms", "gap"]
        {
            assert_eq!(seconds[column].as_array().map(Vec::len), Some(count), "{column}: {leg}");
        }
        assert!(seconds["mos"][count - 1].as_f64().unwrap() > 4.2 && leg["started_at"].is_string(), "{leg}");
        assert!(leg["packets_received"].as_u64() > Some(150) && leg["packets_sent"].as_u64() > Some(150), "{leg}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_who_sends_nothing_is_found_out() {
    let mut office = Office::open(1, "", "").await;
    let carrier = office.carrier;
    let stand_in = Phone::switch_on(PhoneSetup::new(office.server.sip, "x", "")).unwrap();
    drop(std::mem::replace(&mut office.client, stand_in));
    // SIPp without audio listens and sends nothing.
    let load =
        Load { local: carrier, media: None, number: NUMBER, calls: 1, rate: 1, talk_ms: 20_000, seconds: 30, first_number: 1 };
    let _mute = Sipp::callers(office.server.sip, &load);
    let agent = office.rings_at(0).await;
    agent.answer().await.unwrap();
    let id = office.live.until("call.answered").await["call_id"].as_str().unwrap().to_owned();
    tokio::time::sleep(Duration::from_secs(4)).await;
    agent.hang_up().await.unwrap();
    let [client, agent] = &legs(&office, &id).await[..] else { panic!("two legs") };
    assert_eq!((&client["trouble"], &client["mos"]), (&json!("nothing_came"), &Value::Null), "{client}");
    assert_eq!(agent["trouble"], "nothing_sent", "there was nothing to send the agent: {agent}");
}
