//! Telephones in a real browser on the real server: a queue's call answered in a tab, calls between tab and desk phone
//! both ways, hold, keys, all by ear.

use perezvon::support::phone::PhoneCall;
use serde_json::json;

use crate::support::browser::Browser;
use crate::support::ears::share_of_tone;
use crate::support::office::{CLIENT_HZ, Office, SOON, agent_hz};
use crate::support::server::Setup;

const TAB_HZ: f32 = 1500.0;
/// The first person works in a browser, the second at a desk phone.
const TAB: &str = "anna's tab";

/// Two people; the first has no desk phone, but a tab with a telephone.
async fn office(threads: usize) -> (Office, Browser) {
    let mut office = Office::open_with(Setup { threads, ..Setup::default() }, 2, "").await;
    drop(office.agents.remove(0));
    let mut browser = Browser::open(&office.server);
    browser.phone(TAB, &office.server.api("agent0"), TAB_HZ).await;
    office.root.send("PUT", "agents/agent1/state", json!({"state": "break"})).await;
    (office, browser)
}

/// The client calls the queue and the tab answers.
async fn answered_in_the_tab(office: &mut Office, browser: &mut Browser) -> (PhoneCall, String) {
    let client = office.client_calls().await;
    let offered = office.live.until("call.offered").await;
    browser.rings(TAB);
    browser.tell(TAB, "answer", json!({}));
    office.live.until("call.answered").await;
    browser.talks(TAB);
    (client, offered["call_id"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queues_call_is_answered_in_a_tab_and_both_are_heard_and_recorded() {
    for threads in [1, 3] {
        let (mut office, mut browser) = office(threads).await;
        let (client, id) = answered_in_the_tab(&mut office, &mut browser).await;
        client.hears_tone(TAB_HZ, SOON).await.unwrap();
        browser.hears_only(TAB, CLIENT_HZ);
        let stats = browser.tell(TAB, "stats", json!({}));
        assert!(stats["codec"].as_str().unwrap().starts_with("audio/PCM"), "G.711 needs no transcoding: {stats}");

        browser.tell(TAB, "hold", json!({}));
        office.live.until("call.held").await;
        client.hears(SOON, |heard| !heard.is_tone_now(TAB_HZ)).await.unwrap();
        browser.hears_nothing(TAB);
        browser.tell(TAB, "resume", json!({}));
        office.live.until("call.resumed").await;
        client.hears_tone(TAB_HZ, SOON).await.unwrap();
        browser.hears_only(TAB, CLIENT_HZ);

        browser.tell(TAB, "press", json!({"tones": "159#"}));
        client.hears(SOON, |heard| heard.digits == "159#").await.unwrap();
        browser.tell(TAB, "hang_up", json!({}));
        client.ended(SOON).await.unwrap();
        let (view, rate, mut left, right) = office.recording_of(&id).await;
        // A tab that holds asks for silence.
        let held = ["held", "resumed"].map(|kind| {
            let mark = view["marks"].as_array().unwrap().iter().find(|mark| mark["kind"] == kind).expect(kind);
            mark["at_ms"].as_u64().unwrap() as usize * rate as usize / 1000
        });
        left.drain(held[0]..held[1]);
        // The client of the tests says its tone from the answer on; the first packets find the latch.
        assert!(share_of_tone(&left, rate, CLIENT_HZ) > 0.8, "{}", share_of_tone(&left, rate, CLIENT_HZ));
        assert!(share_of_tone(&right, rate, TAB_HZ) > 0.4, "music and hold are silence on the right");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_and_a_desk_phone_call_each_other() {
    let (mut office, mut browser) = office(1).await;
    let desk = &mut office.agents[0];
    let desk_hz = agent_hz(1);
    for codec in [None, Some("PCMU"), Some("opus")] {
        browser.tell(TAB, "reload", json!({}));
        browser.register(TAB, &office.server.api("agent0"), TAB_HZ, codec).await;
        browser.tell(TAB, "call", json!({"to": "1001"}));
        let ringing = tokio::time::timeout(SOON, desk.next_call()).await.expect("the desk phone rings").unwrap();
        ringing.answer().await.unwrap();
        browser.talks(TAB);
        ringing.hears_tone(TAB_HZ, SOON).await.unwrap_or_else(|error| panic!("{codec:?}: {error}"));
        browser.hears_only(TAB, desk_hz);
        let stats = browser.tell(TAB, "stats", json!({}));
        if let Some(codec) = codec {
            assert_eq!(stats["codec"].as_str().unwrap().to_lowercase(), format!("audio/{codec}").to_lowercase());
        }
        ringing.hang_up().await.unwrap();
        browser.until(TAB, "state", "is free", |state| state["talking"] == false);

        let out = desk.dial("1000").await.unwrap();
        browser.rings(TAB);
        browser.tell(TAB, "answer", json!({}));
        out.talking(SOON).await.unwrap();
        out.hears_tone(TAB_HZ, SOON).await.unwrap();
        browser.hears_only(TAB, desk_hz);
        browser.tell(TAB, "hang_up", json!({}));
        out.ended(SOON).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_that_signals_by_another_library_is_called_holds_and_calls() {
    let mut office = Office::open(2, "", "").await;
    drop(office.agents.remove(0));
    office.root.send("PUT", "agents/agent1/state", json!({"state": "break"})).await;
    let mut browser = Browser::open(&office.server);
    browser.tell(TAB, "open", json!({"library": "sipjs"}));
    browser.register(TAB, &office.server.api("agent0"), TAB_HZ, None).await;

    let (client, id) = answered_in_the_tab(&mut office, &mut browser).await;
    client.hears_tone(TAB_HZ, SOON).await.unwrap();
    browser.hears_only(TAB, CLIENT_HZ);
    browser.tell(TAB, "hold", json!({}));
    office.live.until("call.held").await;
    client.hears(SOON, |heard| !heard.is_tone_now(TAB_HZ)).await.unwrap();
    browser.hears_nothing(TAB);
    browser.tell(TAB, "resume", json!({}));
    office.live.until("call.resumed").await;
    client.hears_tone(TAB_HZ, SOON).await.unwrap();
    browser.hears_only(TAB, CLIENT_HZ);
    browser.tell(TAB, "press", json!({"tones": "159#"}));
    client.hears(SOON, |heard| heard.digits == "159#").await.unwrap();
    let before = client.heard().tone_ms(TAB_HZ);
    client.hears(SOON, |heard| heard.tone_ms(TAB_HZ) >= before + 500).await.unwrap();
    client.hang_up().await.unwrap();
    browser.until(TAB, "state", "is free", |state| state["talking"] == false);
    let (_, rate, left, right) = office.recording_of(&id).await;
    assert!(share_of_tone(&left, rate, CLIENT_HZ) > 0.8);
    let last = right.len().saturating_sub(rate as usize * 2 / 5);
    assert!(share_of_tone(&right[last..], rate, TAB_HZ) > 0.8);

    browser.tell(TAB, "call", json!({"to": "1001"}));
    let ringing = tokio::time::timeout(SOON, office.agents[0].next_call()).await.expect("the desk phone rings").unwrap();
    ringing.answer().await.unwrap();
    browser.talks(TAB);
    ringing.hears_tone(TAB_HZ, SOON).await.unwrap();
    browser.hears_only(TAB, agent_hz(1));
    browser.tell(TAB, "hang_up", json!({}));
    ringing.ended(SOON).await.unwrap();
}
