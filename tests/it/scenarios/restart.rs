//! What a restart leaves of people, cards and audio: agents are what they were, no card hangs on a screen, nothing that
//! must not be kept is kept, and what is written is for nobody else.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::office::{CLIENT_HZ, Office, SOON, agent_hz};

async fn all_events(office: &Office) -> Vec<Value> {
    let page = office.root.get("events?after=0&limit=1000").await;
    page["items"].as_array().unwrap().clone()
}

async fn agent(office: &Office, login: &str) -> Value {
    let list = office.root.get("agents?limit=1000").await;
    list["items"].as_array().unwrap().iter().find(|agent| agent["login"] == login).unwrap().clone()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { [vec![path.clone()], files_below(&path)].concat() } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_are_what_they_were_and_no_card_hangs_on_a_screen_after_two_kills() {
    let mut office = Office::open(2, "", "").await;
    let wish = json!({"state": "break", "reason": "lunch"});
    let (status, answer) = office.root.send("PUT", "agents/agent1/state", wish).await;
    assert_eq!(status, 200, "{answer}");
    let _client = office.client_calls().await;
    let _ringing = office.rings_at(0).await;
    let shown = office.live.until("pop.shown").await;
    office.live.until("call.offered").await;
    for _ in 0..2 {
        office.server.kill();
        office.server.restart();
        let events = all_events(&office).await;
        let pop = &shown["data"]["pop_id"];
        let retracted: Vec<&Value> = events.iter().filter(|event| event["type"] == "pop.retracted").collect();
        let [one] = &retracted[..] else { panic!("once, not {retracted:?}") };
        assert_eq!((&one["data"]["pop_id"], &one["data"]["reason"], &one["agent"]), (pop, &json!("withdrawn"), &json!("agent0")));
        let ended: Vec<&Value> = events.iter().filter(|event| event["type"] == "call.ended").collect();
        assert_eq!((ended.len(), &ended[0]["data"]["cause"]), (1, &json!("server_restart")));
        assert!(one["seq"].as_u64() < ended[0]["seq"].as_u64());
        let (first, second) = (agent(&office, "agent0").await, agent(&office, "agent1").await);
        assert_eq!((&first["state"], &first["call_id"]), (&json!("ready"), &Value::Null), "{first}");
        assert_eq!((&second["state"], &second["reason"]), (&json!("break"), &json!("lunch")), "{second}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_right_after_the_answer_of_someone_unrecorded_leaves_no_audio() {
    let record = "[[user]]\nlogin = \"agent0\"\nrecord = false\n";
    let mut office = Office::open(1, "", "").await;
    let site = std::fs::read_to_string(office.server.folder.path().join("site.toml")).unwrap();
    let site = site.replace("name = \"Agent 0\"", "name = \"Agent 0\"\nrecord = false");
    std::fs::write(office.server.folder.path().join("site.toml"), site).unwrap();
    let path = office.server.folder.path().join("site.toml");
    let (code, _, error) = office.server.command(&["apply", path.to_str().unwrap()], "");
    assert_eq!(code, 0, "{record}: {error}");
    let _client = office.client_calls().await;
    let call = office.rings_at(0).await;
    call.answer().await.unwrap();
    office.live.until("call.answered").await;
    office.server.kill();
    office.server.restart();
    office
        .root
        .until("recordings", |list| list["items"].as_array()?.iter().all(|item| item["state"] == "failed").then_some(()))
        .await;
    let audio = files_below(&office.server.folder.path().join("recordings"));
    let audio: Vec<_> = audio.iter().filter(|path| path.is_file()).collect();
    assert!(audio.is_empty(), "{audio:?}");
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
