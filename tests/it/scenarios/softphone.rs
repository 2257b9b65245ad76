//! The phone in the agent's own page, in a real browser on the real server: card, answer, mute, hold, keypad, devices, a
//! lost websocket, a reload, a supervisor's listening; all by ear and by what the page shows.

use std::time::{Duration, Instant};

use perezvon::media::tones;
use perezvon::support::phone::{Heard, PhoneCall};
use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::ears::share_of_tone;
use crate::support::office::{CLIENT_HZ, Office, SOON};
use crate::support::server::{Server, Setup};
use crate::support::sites;

/// What the microphones of the pages say.
const PAGE_HZ: f32 = 1500.0;
const CHIEF_HZ: f32 = 2100.0;
const PAGE: &str = "anna's page";
const CHIEF: &str = "chief's page";
const CLIENT_NAME: &str = "Olga Timofeeva";

const CHIEF_OF_SALES: &str = "[[user]]\nlogin = \"chief\"\nname = \"Chief\"\nrole = \"supervisor\"\nextension = \"1900\"\n";

/// People who sign in at the desk need a password.
fn give_password(server: &Server, login: &str) {
    let (code, _, error) = server.command(&["user", "passwd", login], &format!("{login}'s word\n"));
    assert_eq!(code, 0, "{error}");
}

fn sign_in(browser: &mut Browser, page: &str, login: &str, hz: f32, more: Value) {
    let mut with = json!({"login": login, "password": format!("{login}'s word"), "hz": hz});
    with.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    browser.tell(page, "open", with);
}

/// One agent whose only phone is in her page, and a client with a card.
async fn office(more_site: &str) -> (Office, Browser) {
    let mut office = Office::open_with(Setup::default(), 1, more_site).await;
    // No desk phone stands beside.
    for phone in office.agents.drain(..) {
        phone.unregister().await.unwrap();
    }
    office.agent_becomes(0, |agent| agent["registered"] == false).await;
    let client = json!({"name": CLIENT_NAME, "company": "Polyaris", "numbers": ["+79160000001"]});
    assert_eq!(office.root.send("POST", "clients", client).await.0, 201);
    give_password(&office.server, &sites::login(0));
    let mut browser = Browser::of_agents(&office.server);
    sign_in(&mut browser, PAGE, &sites::login(0), PAGE_HZ, json!({}));
    office.set_ready(0).await;
    (office, browser)
}

/// The client calls the queue, the page shows the card and rings, F2 answers.
async fn answered(office: &mut Office, browser: &mut Browser) -> (PhoneCall, String) {
    let client = office.client_calls().await;
    browser.strip(PAGE, &[CLIENT_NAME, "Answer", "Decline"]);
    browser.press(PAGE, "F2");
    let answered = office.live.until("call.answered").await;
    browser.strip(PAGE, &[CLIENT_NAME, "Microphone", "Hold", "Hang up"]);
    (client, answered["call_id"].as_str().unwrap().to_owned())
}

async fn both_hear(browser: &mut Browser, client: &PhoneCall) {
    client.hears_tone(PAGE_HZ, SOON).await.unwrap();
    browser.hears_only(PAGE, CLIENT_HZ);
}

/// The end of what was heard, this long.
fn last(heard: &Heard, ms: usize) -> &[i16] {
    &heard.samples[heard.samples.len().saturating_sub(8 * ms)..]
}

async fn hears_silence(call: &PhoneCall) {
    call.hears(SOON, |heard| tones::mean_square(last(heard, 300)) < 400.0).await.unwrap();
}

/// Loud, and none of the parties' tones.
async fn hears_music(call: &PhoneCall) {
    let is_music = |heard: &Heard| {
        tones::mean_square(last(heard, 200)) > 10_000.0 && [PAGE_HZ, CLIENT_HZ].iter().all(|hz| !heard.is_tone_now(*hz))
    };
    call.hears(SOON, is_music).await.unwrap();
}

fn no_complaints(browser: &mut Browser) {
    assert_eq!(browser.tell(PAGE, "complaints", json!({})), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_works_a_call_in_her_page_from_the_ring_to_the_recording() {
    let (mut office, mut browser) = office("").await;
    browser.tell(PAGE, "look_away", json!({"away": true}));
    let client = office.client_calls().await;
    let strip = browser.strip(PAGE, &[CLIENT_NAME, "Polyaris", "sales", "Answer", "F2", "Decline"]);
    println!("it rings: {strip}");
    let title = browser.until(PAGE, "title", "has the ring in its title", |title| title.as_str().unwrap().starts_with('☎'));
    assert!(title.as_str().unwrap().contains("sales"), "{title}");
    browser.until(PAGE, "notices", "notifies", |notices| notices.as_array().is_some_and(|list| !list.is_empty()));
    let notices = browser.tell(PAGE, "notices", json!({})).to_string();
    assert!(!notices.contains(CLIENT_NAME) && !notices.contains("7916"), "nothing of the client on a foreign screen: {notices}");
    browser.until(PAGE, "announced", "is announced", |said| said.to_string().contains(CLIENT_NAME));
    assert_eq!(browser.tell(PAGE, "microphones", json!({})), json!(0), "no microphone before an answer");
    browser.tell(PAGE, "look_away", json!({"away": false}));
    browser.tell(PAGE, "shot", json!({"name": "real-ringing"}));

    browser.press(PAGE, "F2");
    let id = office.live.until("call.answered").await["call_id"].as_str().unwrap().to_owned();
    browser.strip(PAGE, &[CLIENT_NAME, "Microphone", "Hold", "Hang up", "Recording"]);
    both_hear(&mut browser, &client).await;
    let first = browser.tell(PAGE, "stats", json!({}));
    browser.until(PAGE, "stats", "receives and sends a second of packets", |now| {
        let more = |what: &str| now[what].as_u64().unwrap_or(0) >= first[what].as_u64().unwrap_or(0) + 40;
        more("received") && more("sent")
    });
    browser.tell(PAGE, "shot", json!({"name": "real-talking"}));

    // Mute: the client hears silence and no music; the agent goes on hearing.
    browser.press(PAGE, "F8");
    browser.strip(PAGE, &["Muted"]);
    hears_silence(&client).await;
    browser.hears_only(PAGE, CLIENT_HZ);
    browser.press(PAGE, "F8");
    both_hear(&mut browser, &client).await;

    browser.press(PAGE, "F4");
    office.live.until("call.held").await;
    browser.strip(PAGE, &["On hold", "Resume"]);
    hears_music(&client).await;
    browser.hears(PAGE, &[]);
    browser.tell(PAGE, "shot", json!({"name": "real-held"}));
    browser.press(PAGE, "F4");
    office.live.until("call.resumed").await;
    both_hear(&mut browser, &client).await;

    browser.press(PAGE, "Alt+KeyK");
    browser.tell(PAGE, "type", json!({"text": "159#"}));
    client.hears(SOON, |heard| heard.digits == "159#").await.unwrap();
    browser.press(PAGE, "Escape");
    both_hear(&mut browser, &client).await;

    browser.press(PAGE, "Shift+F2");
    client.ended(SOON).await.unwrap();
    browser.until(PAGE, "strip", "is free", |strip| strip.as_str().is_some_and(|text| text.contains("Ready")));
    browser.until(PAGE, "microphones", "lets the microphone go", |live| live == &json!(0));
    let (view, rate, left, right) = office.recording_of(&id).await;
    let (theirs, ours) = (share_of_tone(&left, rate, CLIENT_HZ), share_of_tone(&right, rate, PAGE_HZ));
    println!("the recording: {} ms, the client {theirs:.2} of the left, the agent {ours:.2} of the right", view["duration_ms"]);
    assert!(theirs > 0.8 && ours > 0.3, "{view}");
    no_complaints(&mut browser);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrap_up_follows_a_call_in_the_page_and_the_next_one_waits_for_it() {
    let (mut office, mut browser) = office("").await;
    let site = sites::call_centre(1, office.carrier).replace("wrap_up_seconds = 0", "wrap_up_seconds = 60");
    let file = office.server.folder.path().join("wrap.toml");
    std::fs::write(&file, site).unwrap();
    let (code, _, error) = office.server.command(&["apply", file.to_str().unwrap()], "");
    assert_eq!(code, 0, "{error}");
    let (client, _) = answered(&mut office, &mut browser).await;
    both_hear(&mut browser, &client).await;
    client.hang_up().await.unwrap();
    browser.strip(PAGE, &[CLIENT_NAME, "Wrap-up"]);
    let next = office.client_calls().await;
    office.live.until("call.queued").await;
    browser.press(PAGE, "Control+Enter");
    browser.strip(PAGE, &[CLIENT_NAME, "Answer"]);
    browser.press(PAGE, "F2");
    both_hear(&mut browser, &next).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_loses_its_websocket_and_the_talk_goes_on() {
    let (mut office, mut browser) = office("").await;
    let (client, id) = answered(&mut office, &mut browser).await;
    both_hear(&mut browser, &client).await;

    browser.tell(PAGE, "cut_line", json!({"cut": true}));
    browser.until(PAGE, "page", "says that the phone reconnects", |page| {
        page.as_str().is_some_and(|text| text.contains("Phone is reconnecting"))
    });
    browser.tell(PAGE, "shot", json!({"name": "real-line-lost"}));
    tokio::time::sleep(Duration::from_secs(2)).await;
    both_hear(&mut browser, &client).await;
    browser.tell(PAGE, "cut_line", json!({"cut": false}));
    browser.until(PAGE, "page", "is back", |page| page.as_str().is_some_and(|text| !text.contains("reconnecting")));

    // The dialog goes on over the new connection, both ways.
    browser.press(PAGE, "F4");
    office.live.until("call.held").await;
    hears_music(&client).await;
    browser.press(PAGE, "F4");
    office.live.until("call.resumed").await;
    both_hear(&mut browser, &client).await;
    client.hang_up().await.unwrap();
    browser.until(PAGE, "strip", "is free", |strip| strip.as_str().is_some_and(|text| text.contains("Ready")));
    let (_, rate, left, _) = office.recording_of(&id).await;
    assert!(share_of_tone(&left, rate, CLIENT_HZ) > 0.8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_in_the_talk_comes_back_by_itself_and_the_gap_is_known() {
    let (mut office, mut browser) = office("").await;
    let (client, id) = answered(&mut office, &mut browser).await;
    both_hear(&mut browser, &client).await;

    let began = Instant::now();
    browser.tell(PAGE, "reload", json!({}));
    client.hears(SOON, |heard| !heard.is_tone_now(PAGE_HZ)).await.unwrap();
    client.hears_tone(PAGE_HZ, SOON).await.unwrap();
    let gap = began.elapsed();
    let returned = office.live.until("call.leg_returned").await;
    println!("reload: heard again after {gap:?}; the server counted {} ms", returned["data"]["gap_ms"]);
    assert!(gap < Duration::from_secs(8), "{gap:?}");
    browser.strip(PAGE, &[CLIENT_NAME, "Microphone", "Hold", "Hang up"]);
    both_hear(&mut browser, &client).await;
    let active = office.root.get("calls?active=true").await;
    assert_eq!(active["items"].as_array().unwrap().len(), 1, "the same call");

    // On hold it comes back on hold.
    browser.press(PAGE, "F4");
    office.live.until("call.held").await;
    hears_music(&client).await;
    browser.tell(PAGE, "reload", json!({}));
    office.live.until("call.leg_returned").await;
    browser.strip(PAGE, &[CLIENT_NAME, "On hold", "Resume"]);
    hears_music(&client).await;
    browser.press(PAGE, "F4");
    office.live.until("call.resumed").await;
    both_hear(&mut browser, &client).await;

    browser.press(PAGE, "Shift+F2");
    client.ended(SOON).await.unwrap();
    let (view, rate, left, right) = office.recording_of(&id).await;
    let (theirs, ours) = (share_of_tone(&left, rate, CLIENT_HZ), share_of_tone(&right, rate, PAGE_HZ));
    println!("the recording over both reloads: {} ms, {theirs:.2} of the left, {ours:.2} of the right", view["duration_ms"]);
    // The call is short, and the client's tone begins with its first packets.
    assert!(theirs > 0.6 && ours > 0.15, "{view}");
    no_complaints(&mut browser);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_microphone_is_checked_chosen_and_changed_in_the_middle_of_a_talk() {
    let (mut office, mut browser) = office("").await;
    browser.tell(PAGE, "click", json!({"name": "Settings and sign-out"}));
    browser.tell(PAGE, "click", json!({"name": "Check the microphone"}));
    browser.until(PAGE, "level", "moves with the voice", |level| level.as_f64().is_some_and(|level| level > 20.0));
    browser.tell(PAGE, "shot", json!({"name": "real-devices"}));
    browser.tell(PAGE, "axe", json!({}));
    browser.press(PAGE, "Escape");
    browser.until(PAGE, "microphones", "lets the microphone go", |live| live == &json!(0));

    let (client, _) = answered(&mut office, &mut browser).await;
    both_hear(&mut browser, &client).await;
    // The second entry is another microphone: 200 Hz higher.
    browser.tell(PAGE, "click", json!({"name": "Settings"}));
    browser.tell(PAGE, "choose", json!({"name": "Microphone", "index": 2}));
    client.hears_tone(PAGE_HZ + 200.0, SOON).await.unwrap();
    browser.press(PAGE, "Escape");
    browser.tell(PAGE, "unplug", json!({}));
    browser.until(PAGE, "page", "says that the headset went away", |page| page.to_string().contains("The headset was unplugged"));
    client.hears_tone(PAGE_HZ + 200.0, SOON).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_listens_whispers_and_joins_from_her_page() {
    let (mut office, mut browser) = office(CHIEF_OF_SALES).await;
    give_password(&office.server, "chief");
    let site = sites::call_centre(1, office.carrier)
        .replace("members = [\"agent0\"]", "members = [\"agent0\"]\nsupervisors = [\"chief\"]");
    let file = office.server.folder.path().join("chief.toml");
    std::fs::write(&file, format!("{site}\n{CHIEF_OF_SALES}")).unwrap();
    let (code, _, error) = office.server.command(&["apply", file.to_str().unwrap()], "");
    assert_eq!(code, 0, "{error}");
    sign_in(&mut browser, CHIEF, "chief", CHIEF_HZ, json!({"path": "/floor"}));
    office
        .root
        .until("agents?limit=1000", |list| {
            list["items"].as_array()?.iter().find(|it| it["login"] == "chief" && it["registered"] == true).cloned()
        })
        .await;
    let (client, id) = answered(&mut office, &mut browser).await;
    both_hear(&mut browser, &client).await;

    browser.tell(CHIEF, "click", json!({"name": "Listen: Agent 0"}));
    browser.strip(CHIEF, &["Agent 0", CLIENT_NAME, "You are listening", "nobody hears you", "Stop listening"]);
    browser.hears(CHIEF, &[CLIENT_HZ, PAGE_HZ]);
    both_hear(&mut browser, &client).await;
    browser.tell(CHIEF, "shot", json!({"name": "real-listening"}));
    browser.tell(CHIEF, "axe", json!({}));

    browser.press(CHIEF, "KeyW");
    browser.strip(CHIEF, &["You are whispering", "only Agent hears you", "Microphone"]);
    browser.hears(PAGE, &[CLIENT_HZ, CHIEF_HZ]);
    assert!(client.heard().is_tone_now(PAGE_HZ), "the client does not hear a whisper");

    // A reload of the listener's page: back in the same mode by itself.
    browser.tell(CHIEF, "reload", json!({}));
    browser.strip(CHIEF, &["You are whispering"]);
    browser.hears(PAGE, &[CLIENT_HZ, CHIEF_HZ]);

    browser.press(CHIEF, "KeyB");
    browser.strip(CHIEF, &["You are in the call", "both hear you"]);
    let both = |heard: &Heard| {
        let end = last(heard, 200);
        let whole = tones::mean_square(end);
        [PAGE_HZ, CHIEF_HZ].iter().all(|hz| tones::power(end, 8000, *hz) > whole * 0.25)
    };
    client.hears(SOON, both).await.unwrap();

    browser.press(CHIEF, "Escape");
    browser.until(CHIEF, "strip", "is out", |strip| !strip.to_string().contains("You are in the call"));
    both_hear(&mut browser, &client).await;
    browser.press(PAGE, "Shift+F2");
    client.ended(SOON).await.unwrap();
    let (view, rate, _, right) = office.recording_of(&id).await;
    assert!(share_of_tone(&right, rate, PAGE_HZ) > 0.5, "{view}");
    no_complaints(&mut browser);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_paused_masked_and_opened_from_the_page() {
    let (mut office, mut browser) = office("").await;
    let (client, id) = answered(&mut office, &mut browser).await;
    both_hear(&mut browser, &client).await;
    browser.press(PAGE, "Alt+KeyR");
    browser.strip(PAGE, &["Paused", "Record again"]);
    office.live.until("recording.paused").await;
    browser.tell(PAGE, "shot", json!({"name": "real-paused"}));
    tokio::time::sleep(Duration::from_millis(600)).await;
    // A reload forgets nothing.
    browser.tell(PAGE, "reload", json!({}));
    browser.strip(PAGE, &["Paused", "Record again", "Hang up"]);
    both_hear(&mut browser, &client).await;
    browser.press(PAGE, "Alt+KeyR");
    office.live.until("recording.resumed").await;
    browser.strip(PAGE, &["Recording", "Pause recording"]);
    browser.tell(PAGE, "click", json!({"name": "More about the recording"}));
    browser.tell(PAGE, "click", json!({"name": "Hide card details", "role": "menuitem"}));
    browser.strip(PAGE, &["Card hidden"]);
    tokio::time::sleep(Duration::from_millis(600)).await;
    browser.press(PAGE, "Alt+KeyR");
    browser.strip(PAGE, &["Pause recording"]);
    browser.press(PAGE, "Shift+F2");
    client.ended(SOON).await.unwrap();
    let (view, ..) = office.recording_of(&id).await;
    let kinds: Vec<&str> = view["marks"].as_array().unwrap().iter().map(|mark| mark["kind"].as_str().unwrap()).collect();
    for kind in ["paused", "unpaused", "masked", "unmasked"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    browser.tell(PAGE, "go", json!({"path": format!("/records/{}", view["id"].as_str().unwrap())}));
    browser.until(PAGE, "page", "shows the stretches", |page| page.to_string().contains("recording paused"));
    browser.tell(PAGE, "shot", json!({"name": "real-marks"}));
}
