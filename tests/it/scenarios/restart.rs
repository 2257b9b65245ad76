//! What a restart leaves of people, cards and audio: agents are what they were, no card hangs on a screen, nothing that
//! must not be kept is kept, and what is written is for nobody else.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use perezvon::support::phone::Phone;
use serde_json::{Value, json};

use crate::support::office::{CLIENT_HZ, Office, SOON, agent_hz};

async fn all_events(office: &Office) -> Vec<Value> {
    let page = office.root.get("events?after=0&limit=1000").await;
    page["items"].as_array().unwrap().clone()
}

fn by_seq(events: Vec<Value>) -> BTreeMap<u64, Value> {
    events.into_iter().map(|event| (event["seq"].as_u64().unwrap(), event)).collect()
}

fn audio_files(office: &Office) -> Vec<PathBuf> {
    let mut files = files_below(&office.server.folder.path().join("recordings"));
    files.retain(|path| path.is_file() && path.extension().is_none_or(|extension| extension != "notes"));
    files
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { [vec![path.clone()], files_below(&path)].concat() } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_kills_in_a_row_tell_everybody_once_what_became_of_them() {
    let mut office = Office::open(4, "", "").await;
    let _first = office.client_calls().await;
    let talks = office.rings_at(0).await;
    talks.answer().await.unwrap();
    let answered = office.live.until("call.answered").await["call_id"].clone();
    let _second = office.client_calls().await;
    let _rings = office.rings_at(1).await;
    let offered = office.live.until("call.offered").await["call_id"].clone();
    let on_break = json!({"state": "break", "reason": "lunch"});
    assert!(office.root.send("PUT", "agents/agent2/state", on_break).await.0 < 300);
    office.agent_becomes(1, |agent| agent["state"] == "ringing").await;
    let changed = office.agent_becomes(2, |agent| agent["state"] == "break").await;
    let before = by_seq(all_events(&office).await);
    let is_changed = |event: &Value| event["type"] == "agent.state_changed" && event["data"] == changed;
    assert!(before.values().any(is_changed), "the log has the break");

    for _ in 0..2 {
        office.server.kill();
        office.server.restart();
    }
    let after = by_seq(all_events(&office).await);
    let told: Vec<&Value> = after.iter().filter(|(seq, _)| !before.contains_key(seq)).map(|(_, event)| event).collect();
    let of_type = |kind: &str| told.iter().filter(|event| event["type"] == kind).copied().collect::<Vec<_>>();
    let shown = before.values().find(|event| event["type"] == "pop.shown" && event["call_id"] == offered).unwrap();
    let retracted = of_type("pop.retracted");
    assert_eq!(retracted.len(), 1, "{retracted:?}");
    assert_eq!(retracted[0]["data"], json!({"pop_id": shown["data"]["pop_id"], "reason": "server_restart"}));
    assert_eq!((&retracted[0]["agent"], &retracted[0]["call_id"]), (&json!("agent1"), &offered));
    let ended: Vec<&Value> = of_type("call.ended").iter().map(|event| &event["call_id"]).collect();
    assert_eq!(ended, [&answered, &offered]);
    let seq = |event: &Value| event["seq"].as_u64();
    assert!(seq(retracted[0]) < seq(of_type("call.ended")[1]));

    for (index, state, reason) in [
        (0, "wrap_up", json!("server_restart")),
        (1, "ready", Value::Null),
        (2, "break", json!("lunch")),
        (3, "ready", Value::Null),
    ] {
        let login = format!("agent{index}");
        let agent = office.agent_becomes(index, |_| true).await;
        assert_eq!((&agent["state"], &agent["reason"], &agent["registered"]), (&json!(state), &reason, &json!(false)));
        let of_agent = of_type("agent.state_changed").into_iter().filter(|event| event["agent"] == login.as_str());
        let said: Vec<_> = of_agent.map(|event| (event["data"]["state"].clone(), event["data"]["reason"].clone())).collect();
        // The second kill may come before the first start has told everybody; then nobody has seen it either.
        assert!((1..=2).contains(&said.len()), "{login} is told once after each start: {said:?}");
        assert!(said.iter().all(|said| *said == (json!(state), reason.clone())), "{login}: {said:?}");
    }
    // Their phones come back, and the next call finds whoever is ready.
    let phone = Phone::switch_on(office.desk_phone(3)).unwrap();
    phone.register(Duration::from_secs(300)).await.unwrap();
    office.agents[3] = phone;
    office.agent_becomes(3, |agent| agent["state"] == "ready" && agent["registered"] == true).await;
    let _third = office.client_calls().await;
    office.rings_at(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_somebody_unrecorded_joins_leaves_no_audio() {
    for answers in [false, true] {
        let mut office = Office::open(1, "", "").await;
        let site = office.server.folder.path().join("site.toml");
        let text = std::fs::read_to_string(&site).unwrap().replace("login = \"agent0\"", "login = \"agent0\"\nrecord = false");
        std::fs::write(&site, text).unwrap();
        let (code, said, error) = office.server.command(&["apply", site.to_str().unwrap()], "");
        assert_eq!(code, 0, "{said}{error}");
        let client = office.client_calls().await;
        let agent = office.rings_at(0).await;
        office.live.until("recording.started").await;
        // The queue is recorded, and its music and the client's words reach the disk.
        client.hears(SOON, |heard| heard.loud_ms() > 1_500).await.unwrap();
        office.root.until("calls?active=true", |list| (list["items"][0]["state"] == "offered").then_some(())).await;
        if answers {
            agent.answer().await.unwrap();
        } else {
            assert_eq!(audio_files(&office).len(), 1);
        }
        office.server.kill();
        office.server.restart();
        assert_eq!(audio_files(&office), [] as [PathBuf; 0], "answers: {answers}");
        let failed = |list: &Value| (list["items"][0]["state"] == "failed").then(|| list["items"][0].clone());
        let recording = office.root.until("recordings", failed).await;
        assert!(recording["trouble"].as_str().unwrap().starts_with("not kept"), "{recording}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_a_stop_ends_is_told_once() {
    let mut office = Office::open(1, "", "[limits]\ndrain_seconds = 0\n").await;
    let _client = office.client_calls().await;
    office.rings_at(0).await.answer().await.unwrap();
    office.live.until("call.answered").await;
    assert_eq!(office.server.stop(), Some(0));
    let left = files_below(&office.server.folder.path().join("recordings"));
    let left: Vec<_> = left.iter().filter(|path| path.is_file()).collect();
    assert!(left.len() == 1 && left[0].extension().is_some_and(|extension| extension == "wav"), "{left:?}");
    office.server.restart();
    let events = all_events(&office).await;
    assert_eq!(events.iter().filter(|event| event["type"] == "recording.ready").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_for_nobody_else() {
    let mut office = Office::open(1, "", "").await;
    let client = office.client_calls().await;
    let call = office.rings_at(0).await;
    call.answer().await.unwrap();
    let answered = office.live.until("call.answered").await;
    client.hears_tone(agent_hz(0), SOON).await.unwrap();
    call.hears_tone(CLIENT_HZ, SOON).await.unwrap();
    let private = |path: &PathBuf| {
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
    };
    let folder = office.server.folder.path().to_owned();
    let growing = files_below(&folder.join("recordings"));
    assert!(growing.iter().any(|path| path.to_str().unwrap().ends_with(".wav.part")), "{growing:?}");
    growing.iter().for_each(private);
    call.hang_up().await.unwrap();
    let (view, ..) = office.recording_of(answered["call_id"].as_str().unwrap()).await;
    office.root.get(&format!("recordings/{}/peaks", view["id"].as_str().unwrap())).await;
    files_below(&folder.join("recordings")).iter().for_each(private);
    files_below(&folder.join("data")).iter().for_each(private);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_test_caller_says_that_the_server_vanished() {
    let mut office = Office::open(1, "", "").await;
    // The test caller takes the carrier's place.
    let carrier = office.carrier;
    let client = std::mem::replace(
        &mut office.client,
        perezvon::support::phone::Phone::switch_on(perezvon::support::phone::PhoneSetup::new(office.server.sip, "x", ""))
            .unwrap(),
    );
    drop(client);
    let server = office.server.sip.to_string();
    let caller = std::process::Command::new(crate::support::server::binary())
        .args([
            "call",
            "--to",
            "+74951234567",
            "--seconds",
            "30",
            "--server",
            &server,
            "--local",
            &format!("127.0.0.1:{carrier}"),
        ])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let call = office.rings_at(0).await;
    call.answer().await.unwrap();
    office.live.until("call.answered").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    office.server.kill();
    // Ctrl-C would end it early; it waits for its own end of 30 s otherwise.
    // SAFETY: the pid is our own child's, which has not been waited for.
    unsafe { libc::kill(i32::try_from(caller.id()).unwrap(), libc::SIGINT) };
    let output = tokio::task::spawn_blocking(move || caller.wait_with_output().unwrap()).await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("broke off"), "{said}");
}
