//! A telephone that others wrote, on the real server: a queue's call, hold, and calls of its own, plain and protected, by ear.

use std::time::Duration;

use crate::support::baresip::Baresip;
use crate::support::ears::share_of_tone;
use crate::support::office::{CLIENT_HZ, Office, SOON, agent_hz};
use crate::support::server::Setup;
use crate::support::sites;

const BARESIP_HZ: f32 = 1300.0;

/// Two people; the first has baresip on the desk.
async fn office(srtp: &str, account: &str) -> (Office, Baresip) {
    let site = format!(
        "[[user]]\nlogin = \"safe\"\nextension = \"1700\"\nsip_password = \"secret\"\nsrtp = \"{srtp}\"\n\n\
                        [[queue]]\nname = \"safes\"\nmembers = [\"safe\"]\nwrap_up_seconds = 0\n\n\
                        [[number]]\nnumber = \"+74950001700\"\nto = \"queue:safes\"\n"
    );
    let office = Office::open_with(Setup { threads: 3, ..Setup::default() }, 1, &site).await;
    let phone = Baresip::switch_on(office.server.sip, "1700", "secret", BARESIP_HZ, account);
    let (status, answer) = office.root.send("PUT", "agents/safe/state", serde_json::json!({"state": "ready"})).await;
    assert!(status < 300, "{answer}");
    let is_it = |it: &&serde_json::Value| it["login"] == "safe" && it["registered"] == true && it["state"] == "ready";
    office.root.until("agents?limit=1000", |list| list["items"].as_array()?.iter().find(is_it).cloned()).await;
    (office, phone)
}

async fn is_called_holds_and_calls(srtp: &str, account: &str) {
    let (mut office, mut phone) = office(srtp, account).await;
    let client = office.client.dial("74950001700").await.unwrap();
    let answered = office.live.until("call.answered").await;
    client.hears_tone(BARESIP_HZ, SOON).await.unwrap_or_else(|error| panic!("{error}\n{}", phone.log()));
    phone.hears(CLIENT_HZ, 1);
    phone.tell("hold", "");
    office.live.until("call.held").await;
    client.hears(SOON, |heard| !heard.is_tone_now(BARESIP_HZ)).await.unwrap();
    phone.tell("resume", "");
    office.live.until("call.resumed").await;
    client.hears_tone(BARESIP_HZ, SOON).await.unwrap();
    phone.hears(CLIENT_HZ, 1);
    let before = client.heard().tone_ms(BARESIP_HZ);
    client.hears(SOON, |heard| heard.tone_ms(BARESIP_HZ) >= before + 600).await.unwrap();
    client.hang_up().await.unwrap();
    let (_, rate, left, right) = office.recording_of(answered["call_id"].as_str().unwrap()).await;
    let last = |samples: &[i16]| samples[samples.len().saturating_sub(rate as usize / 2)..].to_vec();
    assert!(share_of_tone(&last(&left), rate, CLIENT_HZ) > 0.85, "the client on the left");
    assert!(share_of_tone(&last(&right), rate, BARESIP_HZ) > 0.85, "baresip on the right");

    // Its files bear the second in which a call began.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    phone.tell("dial", &format!("sip:{}@{}", sites::extension(0), office.server.sip));
    let desk = office.rings_at(0).await;
    desk.answer().await.unwrap();
    desk.hears_tone(BARESIP_HZ, SOON).await.unwrap();
    phone.hears(agent_hz(0), 2);
    phone.tell("hangup", "");
    desk.ended(SOON).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn baresip_takes_a_queues_call_holds_it_and_calls() {
    is_called_holds_and_calls("off", ";audio_codecs=PCMA").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn baresip_does_the_same_under_keys_where_protection_is_required() {
    is_called_holds_and_calls("required", ";audio_codecs=PCMU;mediaenc=srtp-mand").await;
}
