//! Telephones that speak different codecs, by ear: whoever has none in common is translated for, whoever has one is not, and
//! the recording holds both sides whatever they speak, also when one changes its mind.

use std::time::Duration;

use perezvon::media::codec::Codec::{self, G722, Opus, Pcma, Pcmu};
use perezvon::support::phone::{Change, Phone, PhoneCall, PhoneSetup};
use serde_json::Value;

use crate::support::ears::{longest_gap_ms, share_of_tone};
use crate::support::office::{NUMBER, Office, SOON, agent_hz};
use crate::support::server::Setup;

const TALK: Duration = Duration::from_millis(1500);

/// Two people without telephones.
async fn empty_office(threads: usize) -> Office {
    let mut office = Office::open_with(Setup { threads, ..Setup::default() }, 2, "").await;
    for agent in office.agents.drain(..) {
        agent.unregister().await.unwrap();
    }
    office
}

/// The telephone of one of them, which speaks these codecs and no others.
async fn phone(office: &Office, index: usize, codecs: &[Codec]) -> Phone {
    let phone = Phone::switch_on(PhoneSetup { codecs: codecs.to_vec(), ..office.desk_phone(index) }).unwrap();
    phone.register(Duration::from_secs(300)).await.unwrap();
    phone
}

/// The first calls the second; both have heard each other.
async fn talk(office: &mut Office, first: &Phone, second: &mut Phone) -> (PhoneCall, PhoneCall, String) {
    let caller = first.dial("1001").await.unwrap();
    let called = tokio::time::timeout(SOON, second.next_call()).await.expect("it rings").unwrap();
    called.answer().await.unwrap();
    let answered = office.live.until("call.answered").await;
    caller.hears_tone(agent_hz(1), SOON).await.expect("the caller hears the other");
    called.hears_tone(agent_hz(0), SOON).await.expect("the other hears the caller");
    (caller, called, answered["call_id"].as_str().unwrap().to_owned())
}

/// Hangs up, and checks that each channel holds its own tone from `settled_ms` to the end, with no hole in it.
async fn check_recording(office: &Office, call: &PhoneCall, id: &str, settled_ms: usize) {
    call.hang_up().await.unwrap();
    let (view, rate, left, right) = office.recording_of(id).await;
    for (side, hz) in [(&left, agent_hz(0)), (&right, agent_hz(1))] {
        let whole = &side[settled_ms * rate as usize / 1000..side.len() - rate as usize / 10];
        let (share, gap) = (share_of_tone(whole, rate, hz), longest_gap_ms(whole, rate));
        assert!(share > 0.93, "{hz} Hz is {share} of its channel: {view}");
        // A change of clock is anchored where it arrives, so its seam is as wide as the packet was late.
        assert!(gap <= 60, "a hole of {gap} ms: {view}");
    }
    assert_eq!(view["gaps"], serde_json::json!([]));
}

/// The codecs of both legs, the caller's first.
async fn codecs_of(office: &Office, id: &str) -> Vec<Value> {
    let call = office.root.get(&format!("calls/{id}")).await;
    let both = |list: &Value| {
        let legs = list["legs"].as_array()?;
        let of = |index: usize| legs.iter().find(|leg| leg["leg"] == call["legs"][index]["id"]).map(|leg| leg["codec"].clone());
        Some(vec![of(0)?, of(1)?])
    };
    office.root.until(&format!("calls/{id}/quality"), both).await
}

#[tokio::test(flavor = "multi_thread")]
async fn telephones_without_a_common_codec_hear_each_other_and_are_recorded() {
    for threads in [1, 3] {
        let mut office = empty_office(threads).await;
        for (one, other) in [(G722, Pcma), (Opus, Pcmu), (Pcma, Opus), (Opus, G722)] {
            let caller_phone = phone(&office, 0, &[one]).await;
            let mut called_phone = phone(&office, 1, &[other]).await;
            let (caller, _called, id) = talk(&mut office, &caller_phone, &mut called_phone).await;
            tokio::time::sleep(TALK).await;
            check_recording(&office, &caller, &id, 600).await;
            assert_eq!(codecs_of(&office, &id).await, [one.name(), other.name()]);
            caller_phone.unregister().await.unwrap();
            called_phone.unregister().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_both_can_speak_is_spoken_whatever_the_caller_likes_better() {
    let mut office = empty_office(1).await;
    for (ours, theirs, spoken) in [(vec![Opus, G722, Pcma], vec![Pcma], Pcma), (vec![Pcma, Opus, G722], vec![G722, Opus], Opus)] {
        let caller_phone = phone(&office, 0, &ours).await;
        let mut called_phone = phone(&office, 1, &theirs).await;
        let (caller, _called, id) = talk(&mut office, &caller_phone, &mut called_phone).await;
        tokio::time::sleep(TALK).await;
        check_recording(&office, &caller, &id, 600).await;
        let codecs = codecs_of(&office, &id).await;
        assert_eq!(codecs[0], codecs[1], "nothing is translated: {codecs:?} of {ours:?} and {theirs:?}");
        assert_eq!(codecs[0], spoken.name(), "{ours:?} and {theirs:?}");
        caller_phone.unregister().await.unwrap();
        called_phone.unregister().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_codec_changed_in_the_midst_of_a_call_is_heard_and_recorded_without_a_hole() {
    let mut office = empty_office(1).await;
    let caller_phone = phone(&office, 0, &[Opus]).await;
    let mut called_phone = phone(&office, 1, &[Pcma]).await;
    let (caller, called, id) = talk(&mut office, &caller_phone, &mut called_phone).await;
    tokio::time::sleep(TALK).await;
    for (who, codec) in [(&caller, G722), (&caller, Pcma), (&called, Opus), (&caller, Pcmu), (&called, G722), (&caller, Opus)] {
        who.change(Change::Codecs(vec![codec])).await.unwrap();
        tokio::time::sleep(TALK / 2).await;
        caller.hears_tone(agent_hz(1), SOON).await.unwrap_or_else(|error| panic!("the caller after {codec:?}: {error}"));
        called.hears_tone(agent_hz(0), SOON).await.unwrap_or_else(|error| panic!("the called after {codec:?}: {error}"));
    }
    check_recording(&office, &caller, &id, 600).await;
    assert_eq!(codecs_of(&office, &id).await, ["opus", "G722"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_waits_in_one_codec_is_answered_in_another() {
    let mut office = empty_office(3).await;
    for (waits_in, answers_in) in [(Opus, Pcma), (Pcma, Opus), (G722, Opus)] {
        let caller_phone = phone(&office, 0, &[waits_in]).await;
        let mut agents_phone = phone(&office, 1, &[answers_in]).await;
        office.set_ready(1).await;
        let caller = caller_phone.dial(NUMBER).await.unwrap();
        let called = tokio::time::timeout(SOON, agents_phone.next_call()).await.expect("it rings").unwrap();
        caller.hears(SOON, |heard| heard.loud_ms() > 300).await.expect("music in the caller's codec");
        called.answer().await.unwrap();
        let id = office.live.until("call.answered").await["call_id"].as_str().unwrap().to_owned();
        caller.hears_tone(agent_hz(1), SOON).await.expect("the caller hears the agent");
        called.hears_tone(agent_hz(0), SOON).await.expect("the agent hears the caller");
        tokio::time::sleep(TALK).await;
        caller.hang_up().await.unwrap();
        let (_, rate, left, right) = office.recording_of(&id).await;
        let last_second = |side: &[i16]| side[side.len() - rate as usize * 11 / 10..side.len() - rate as usize / 10].to_vec();
        assert!(share_of_tone(&last_second(&left), rate, agent_hz(0)) > 0.9);
        assert!(share_of_tone(&last_second(&right), rate, agent_hz(1)) > 0.9);
        caller_phone.unregister().await.unwrap();
        agents_phone.unregister().await.unwrap();
    }
}
