//! Who hears whom: a table. In each state of a call every party hears whom the row says, for the best part of a second
//! without a break, and the recording's channels hold what it says over the same stretch. Phone to phone, phone to tab and
//! tab to tab; on one media thread and on three. Real phones, a real browser, the real server.

use std::time::Duration;

use perezvon::clock;
use perezvon::media::codec::Codec;
use perezvon::support::phone::{Answering, Phone, PhoneSetup, Says};
use perezvon::types::Wall;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::browser::Browser;
use crate::support::office::{CLIENT_HZ, NUMBER, Office, SOON, agent_hz};
use crate::support::parties::Sound::{self, Anything, Music, Of, Silence};
use crate::support::parties::Who::{self, Called, Caller, Chief};
use crate::support::parties::{Heard, Line, Tones, share_of, tab};
use crate::support::server::{Api, Setup};

/// What is done to come into a state.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Nothing,
    Answer,
    /// The carrier's announcement before the answer.
    SpeakEarly,
    Hold(Who),
    Resume(Who),
    HoldByApi,
    ResumeByApi,
    Supervise(&'static str),
    /// The supervisor leaves.
    Leave,
    Speak(Who, Codec),
    /// Other ports; of a tab another ICE.
    Move(Who),
    LoseWebsocket,
    Reload,
    /// Not a packet of sound from them, not even silence.
    FallSilent(Who),
    SpeakAgain(Who),
}

/// A row: how the state is reached, what the caller, the called and the supervisor hear in it, and what the left and the
/// right channel of the recording hold.
struct Row(&'static str, Deed, [Sound; 3], [Sound; 2]);

const A: Sound = Of(&[Caller]);
const B: Sound = Of(&[Called]);
const AB: Sound = Of(&[Caller, Called]);
const AC: Sound = Of(&[Caller, Chief]);
const BC: Sound = Of(&[Called, Chief]);
const S: Sound = Silence;

/// A call of one of ours to the outside that is announced before it is answered; the caller is the one outside.
const EARLY: &[Row] = &[Row("the carrier speaks before it answers", Deed::SpeakEarly, [B, A, S], [Anything, Anything])];

/// A call whose INVITE had no offer.
const LATE_OFFER: &[Row] = &[
    Row("waiting after a late offer", Deed::Nothing, [Music, S, S], [A, S]),
    Row("talking after a late offer", Deed::Answer, [B, A, S], [A, B]),
];

const WAITING: &[Row] = &[Row("waiting in the queue", Deed::Nothing, [Music, S, S], [A, S])];

const TALKING: &[Row] = &[
    Row("talking", Deed::Answer, [B, A, S], [A, B]),
    Row("on hold by the API", Deed::HoldByApi, [Music, S, S], [A, S]),
    Row("resumed by the API", Deed::ResumeByApi, [B, A, S], [A, B]),
    Row("a supervisor listens", Deed::Supervise("listen"), [B, A, AB], [A, B]),
    Row("a supervisor whispers", Deed::Supervise("whisper"), [B, AC, AB], [A, B]),
    Row("three of them talk", Deed::Supervise("barge"), [BC, AC, AB], [A, BC]),
    Row("the supervisor listens again", Deed::Supervise("listen"), [B, A, AB], [A, B]),
    Row("the supervisor has left", Deed::Leave, [B, A, S], [A, B]),
];

/// A phone that holds goes on sending; it is the one outside that does so here, which is its own business: no music of ours.
const PHONE_CALLER: &[Row] = &[
    Row("on hold by the caller's phone", Deed::Hold(Caller), [S, A, S], [A, S]),
    Row("resumed by the caller's phone", Deed::Resume(Caller), [B, A, S], [A, B]),
    Row("the caller speaks another codec", Deed::Speak(Caller, Codec::Pcmu), [B, A, S], [A, B]),
    Row("the caller's audio has moved", Deed::Move(Caller), [B, A, S], [A, B]),
];

/// Whoever is held by a phone of ours is asked to listen only.
const PHONE_CALLED: &[Row] = &[
    Row("on hold by the called phone", Deed::Hold(Called), [Music, S, S], [S, S]),
    Row("resumed by the called phone", Deed::Resume(Called), [B, A, S], [A, B]),
    Row("the called speaks G.722", Deed::Speak(Called, Codec::G722), [B, A, S], [A, B]),
    Row("the called's audio has moved", Deed::Move(Called), [B, A, S], [A, B]),
];

/// The same by a tab, and what only tabs do.
const TAB_CALLED: &[Row] = &[
    Row("its websocket was lost and is back", Deed::LoseWebsocket, [B, A, S], [A, B]),
    Row("on hold by the called tab", Deed::Hold(Called), [Music, S, S], [S, S]),
    Row("resumed by the called tab", Deed::Resume(Called), [B, A, S], [A, B]),
    Row("ICE began anew", Deed::Move(Called), [B, A, S], [A, B]),
    Row("the called tab speaks PCMU alone", Deed::Speak(Called, Codec::Pcmu), [B, A, S], [A, B]),
    Row("the called tab speaks Opus alone", Deed::Speak(Called, Codec::Opus), [B, A, S], [A, B]),
    Row("it was reloaded", Deed::Reload, [B, A, S], [A, B]),
    Row("on hold after the reload", Deed::Hold(Called), [Music, S, S], [S, S]),
    Row("reloaded while it holds", Deed::Reload, [Music, S, S], [S, S]),
    Row("resumed after that", Deed::Resume(Called), [B, A, S], [A, B]),
];

/// A call between tabs: there is no queue, and both are ours, so that music is played to either. A tab on hold sends silence.
const TAB_CALLER: &[Row] = &[
    Row("on hold by the calling tab", Deed::Hold(Caller), [S, Music, S], [S, S]),
    Row("resumed by the calling tab", Deed::Resume(Caller), [B, A, S], [A, B]),
    Row("the calling tab's ICE began anew", Deed::Move(Caller), [B, A, S], [A, B]),
    Row("the calling tab speaks PCMU alone", Deed::Speak(Caller, Codec::Pcmu), [B, A, S], [A, B]),
];

/// One side's line is dead for half a minute, as with some phones' mute and voice activity detection.
const HALF_A_MINUTE: Duration = Duration::from_secs(30);
const CALLER_FALLS_SILENT: &[Row] = &[
    Row("talking", Deed::Answer, [B, A, S], [A, B]),
    Row("the caller sends nothing", Deed::FallSilent(Caller), [B, S, S], [S, B]),
];
const CALLED_FALLS_SILENT: &[Row] = &[
    Row("talking", Deed::Answer, [B, A, S], [A, B]),
    Row("the called sends nothing", Deed::FallSilent(Called), [S, A, S], [A, S]),
];
const CALLER_SPEAKS_AGAIN: &[Row] = &[
    Row("half a minute later", Deed::Nothing, [B, S, S], [S, B]),
    Row("the caller speaks again", Deed::SpeakAgain(Caller), [B, A, S], [A, B]),
];
const CALLED_SPEAKS_AGAIN: &[Row] = &[
    Row("half a minute later", Deed::Nothing, [S, A, S], [A, S]),
    Row("the called speaks again", Deed::SpeakAgain(Called), [B, A, S], [A, B]),
];

const CHIEF_HZ: f32 = 1700.0;
const CHIEF: &str =
    "[[user]]\nlogin = \"chief\"\nname = \"Chief\"\nrole = \"admin\"\nextension = \"1900\"\nsip_password = \"phone-chief\"\n";
const CALLING_TAB: &str = "the calling tab";
const CALLED_TAB: &str = "the called tab";

/// A call with all who are in it.
struct Stage {
    office: Office,
    browser: Option<Browser>,
    tones: Tones,
    chief_api: Api,
    chief_phone: Phone,
    caller: Option<Line>,
    called: Option<Line>,
    chief: Option<Line>,
    /// Of the person who is called, for tabs.
    called_login: &'static str,
    call_id: String,
    /// The rows played so far, and when they were so.
    played: Vec<(&'static Row, Wall, Wall)>,
}

/// A state counts when it was so at all looks of this long in a row.
const STEADY: Duration = Duration::from_millis(700);
const LOOK_EVERY: Duration = Duration::from_millis(70);
/// Some of it is for a machine that has more to do than it can: then the looks have to wait for a quiet moment.
const PATIENCE: Duration = Duration::from_secs(40);
/// The tones reach the tape a little later than the ears, and the looks look back.
const EDGE_MS: i64 = 120;

impl Stage {
    /// People with desk phones; the first `tabs` of them telephone in the browser instead.
    async fn set(threads: usize, people: usize, tabs: usize) -> Stage {
        let mut office = Office::open_with(Setup { threads, ..Setup::default() }, people, CHIEF).await;
        let chief_phone = PhoneSetup {
            answering: Answering::After(Duration::ZERO),
            says: Says::Tone { hz: CHIEF_HZ },
            ..PhoneSetup::new(office.server.sip, "1900", "phone-chief")
        };
        let chief_phone = Phone::switch_on(chief_phone).unwrap();
        chief_phone.register(Duration::from_secs(300)).await.unwrap();
        let is_chief = |it: &&Value| it["login"] == "chief" && it["registered"] == true;
        office.root.until("agents?limit=1000", |list| list["items"].as_array()?.iter().find(is_chief).cloned()).await;
        let mut browser = None;
        if tabs > 0 {
            office.agents.drain(..tabs);
            browser = Some(Browser::open(&office.server));
        }
        let chief_api = office.server.api("chief");
        let tones = [(Caller, CLIENT_HZ), (Called, agent_hz(0)), (Chief, CHIEF_HZ)];
        Stage {
            office,
            browser,
            tones,
            chief_api,
            chief_phone,
            caller: None,
            called: None,
            chief: None,
            called_login: "agent0",
            call_id: String::new(),
            played: Vec::new(),
        }
    }

    /// For a client behind the carrier and one of ours, on a phone or in a tab.
    async fn for_a_client(threads: usize, is_tab: bool) -> Stage {
        let mut stage = Stage::set(threads, 1, usize::from(is_tab)).await;
        if is_tab {
            let api = stage.office.server.api("agent0");
            tab(&mut stage.browser).phone(CALLED_TAB, &api, agent_hz(0)).await;
        }
        stage
    }

    fn line(&self, who: Who) -> &Line {
        let line = match who {
            Caller => &self.caller,
            Called => &self.called,
            Chief => &self.chief,
        };
        line.as_ref().expect("a row is about parties who are there")
    }

    async fn play(&mut self, rows: &'static [Row]) {
        for row in rows {
            let began = Instant::now();
            self.carry_out(row.1).await;
            let (from, to) = self.is_steady(row).await;
            println!("{:>6} ms  {}", began.elapsed().as_millis(), row.0);
            self.played.push((row, from, to));
        }
    }

    async fn carry_out(&mut self, deed: Deed) {
        match deed {
            Deed::Nothing => {}
            Deed::Answer => match self.line(Called).clone() {
                Line::Phone(call) => call.answer().await.unwrap(),
                Line::Tab(page) => _ = tab(&mut self.browser).tell(page, "answer", json!({})),
            },
            Deed::SpeakEarly => match self.line(Caller).clone() {
                Line::Phone(call) => call.speak_early().await.unwrap(),
                Line::Tab(_) => panic!("a carrier is no tab"),
            },
            Deed::Hold(who) => self.line(who).clone().hold(&mut self.browser, true).await,
            Deed::Resume(who) => self.line(who).clone().hold(&mut self.browser, false).await,
            Deed::HoldByApi => self.post("hold").await,
            Deed::ResumeByApi => self.post("resume").await,
            Deed::Supervise(mode) => self.supervise(mode).await,
            Deed::Leave => {
                let (status, answer) = self.chief_api.send("DELETE", &self.path("supervise"), json!({})).await;
                assert_eq!(status, 200, "{answer}");
                self.chief = None;
            }
            Deed::Speak(who, codec) => self.line(who).clone().speak(&mut self.browser, codec).await,
            Deed::Move(who) => self.line(who).clone().move_audio(&mut self.browser).await,
            Deed::LoseWebsocket => {
                let browser = tab(&mut self.browser);
                browser.tell(CALLED_TAB, "lose_line", json!({}));
                browser.until(CALLED_TAB, "state", "has lost its line", |it| it["registered"] == false);
                browser.until(CALLED_TAB, "state", "has another line", |it| it["registered"] == true);
            }
            Deed::Reload => self.reload().await,
            Deed::FallSilent(who) => self.line(who).clone().mute(&mut self.browser, true),
            Deed::SpeakAgain(who) => self.line(who).clone().mute(&mut self.browser, false),
        }
    }

    fn path(&self, deed: &str) -> String {
        format!("calls/{}/{deed}", self.call_id)
    }

    async fn post(&self, deed: &str) {
        let (status, answer) = self.office.root.send("POST", &self.path(deed), json!({})).await;
        assert_eq!(status, 200, "{deed}: {answer}");
    }

    async fn supervise(&mut self, mode: &str) {
        let (status, answer) = self.chief_api.send("POST", &self.path("supervise"), json!({"mode": mode})).await;
        assert_eq!(status, 200, "{mode}: {answer}");
        if self.chief.is_none() {
            assert_eq!(answer["legs"].as_array().unwrap().len(), 2, "a listener is not shown");
            let call = tokio::time::timeout(SOON, self.chief_phone.next_call()).await.expect("the chief's phone rings").unwrap();
            self.chief = Some(Line::Phone(call));
        }
    }

    /// The called tab is loaded anew and comes back into the call by itself.
    async fn reload(&mut self) {
        let api = self.office.server.api(self.called_login);
        let (browser, id) = (tab(&mut self.browser), json!(self.call_id));
        browser.tell(CALLED_TAB, "reload", json!({}));
        browser.register(CALLED_TAB, &api, self.tones[1].1, None).await;
        browser.until(CALLED_TAB, "state", "is back in the call", |it| it["resume"] == id && it["talking"] == true);
        let active = self.office.root.get("calls?active=true").await;
        let ids: Vec<&Value> = active["items"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
        assert_eq!(ids, [&id], "one call, the same");
    }

    /// Waits until everybody has heard what the row says at every look for a while; says from when to when.
    async fn is_steady(&mut self, row: &Row) -> (Wall, Wall) {
        let until = Instant::now() + PATIENCE;
        let mut since: Option<(Instant, Wall)> = None;
        loop {
            let heard = self.all_hear();
            let is_so = row.2.iter().zip(&heard).all(|(wanted, heard)| wanted.is(heard));
            match since {
                Some((began, from)) if is_so && began.elapsed() >= STEADY => return (from, clock::wall()),
                Some(_) if is_so => {}
                _ => since = is_so.then(|| (Instant::now(), clock::wall())),
            }
            assert!(Instant::now() < until, "{}: caller, called, chief hear {heard:?}, not {:?}", row.0, row.2);
            sleep(LOOK_EVERY).await;
        }
    }

    fn all_hear(&mut self) -> [Heard; 3] {
        let browser = &mut self.browser;
        let tones = &self.tones;
        [&self.caller, &self.called, &self.chief].map(|line| line.as_ref().map_or(Heard::Silence, |it| it.hears(browser, tones)))
    }

    /// Ends the call and holds its recording against the rows.
    async fn end(&mut self) {
        self.line(Called).clone().hang_up(&mut self.browser).await;
        let (view, rate, left, right) = self.office.recording_of(&self.call_id).await;
        let started: Wall = serde_json::from_value(view["started_at"].clone()).unwrap();
        let mut wrong = Vec::new();
        for (row, from, to) in self.played.drain(..) {
            let ms = |at: Wall| (at.as_micros() - started.as_micros()) / 1000;
            let place = |ms: i64| usize::try_from(ms.max(0)).unwrap() * rate as usize / 1000;
            let (from, to) = (ms(from) - EDGE_MS, ms(to) - EDGE_MS);
            for (side, samples, wanted) in [("left", &left, row.3[0]), ("right", &right, row.3[1])] {
                let part = samples.get(place(from)..place(to)).unwrap_or_default();
                let share = share_of(wanted, part, rate, &self.tones);
                if share < 0.75 {
                    wrong.push(format!("{}: {share:.2} of the {side} is {wanted:?} from {from} to {to} ms", row.0));
                }
            }
        }
        if !wrong.is_empty() {
            let kept = std::env::temp_dir().join(format!("audibility-{}.wav", self.call_id));
            let path = format!("recordings/{}/audio", view["id"].as_str().unwrap());
            std::fs::write(&kept, self.office.root.bytes(&path).await).unwrap();
            panic!("{}\nmarks: {}\n{}", wrong.join("\n"), view["marks"], kept.display());
        }
        (self.caller, self.called, self.chief) = (None, None, None);
    }

    /// The id of the call that goes on.
    async fn learn_id(&mut self) {
        let find = |list: &Value| Some(list["items"].as_array()?.first()?["id"].as_str()?.to_owned());
        self.call_id = self.office.root.until("calls?active=true", find).await;
    }

    async fn no_call_goes_on(&self) {
        self.office.root.until("calls?active=true", |list| list["items"].as_array()?.is_empty().then_some(())).await;
    }

    /// The client calls the queue; the called phone or tab rings.
    async fn client_calls(&mut self, has_offer: bool) {
        let client = match has_offer {
            true => self.office.client.dial(NUMBER).await.unwrap(),
            false => self.office.client.dial_without_offer(NUMBER).await.unwrap(),
        };
        self.caller = Some(Line::Phone(client));
        self.called = Some(match &mut self.browser {
            None => Line::Phone(self.office.rings_at(0).await),
            Some(browser) => {
                browser.rings(CALLED_TAB);
                Line::Tab(CALLED_TAB)
            }
        });
        self.learn_id().await;
    }

    /// The called person dials out, and the carrier speaks before it answers. The caller of the rows is the one outside.
    async fn early_media(&mut self) {
        let called = match &mut self.browser {
            None => Line::Phone(self.office.agents[0].dial("89161234567").await.unwrap()),
            Some(browser) => {
                browser.tell(CALLED_TAB, "call", json!({"to": "89161234567"}));
                Line::Tab(CALLED_TAB)
            }
        };
        let outside = tokio::time::timeout(SOON, self.office.client.next_call()).await.expect("it rings outside").unwrap();
        (self.caller, self.called) = (Some(Line::Phone(outside)), Some(called));
        self.play(EARLY).await;
        self.line(Called).clone().hang_up(&mut self.browser).await;
        self.no_call_goes_on().await;
        self.played.clear();
        self.office.agent_becomes(0, |it| it["state"] == "ready").await;
    }
}

/// A client behind the carrier and one of ours, on a phone or in a tab.
async fn client_and_one_of_ours(threads: usize, is_tab: bool) {
    let mut stage = Stage::for_a_client(threads, is_tab).await;
    stage.early_media().await;
    stage.client_calls(false).await;
    stage.play(LATE_OFFER).await;
    stage.end().await;
    stage.office.agent_becomes(0, |it| it["state"] == "ready").await;
    stage.client_calls(true).await;
    for rows in [WAITING, TALKING, PHONE_CALLER, if is_tab { TAB_CALLED } else { PHONE_CALLED }] {
        stage.play(rows).await;
    }
    stage.end().await;
    let page = stage.office.root.get("events?after=0&limit=1000").await;
    let supervised = page["items"].as_array().unwrap().iter().filter(|event| event["type"] == "call.supervised");
    let modes: Vec<&Value> = supervised.map(|event| &event["data"]["mode"]).collect();
    assert_eq!(modes, [&json!("listen"), &json!("whisper"), &json!("barge"), &json!("listen"), &Value::Null]);
}

async fn tab_and_tab(threads: usize) {
    let mut stage = Stage::set(threads, 2, 2).await;
    stage.tones[0].1 = agent_hz(1);
    for (page, login, hz) in [(CALLED_TAB, "agent0", agent_hz(0)), (CALLING_TAB, "agent1", agent_hz(1))] {
        let api = stage.office.server.api(login);
        tab(&mut stage.browser).phone(page, &api, hz).await;
    }
    let browser = tab(&mut stage.browser);
    browser.tell(CALLING_TAB, "call", json!({"to": "1000"}));
    browser.rings(CALLED_TAB);
    (stage.caller, stage.called) = (Some(Line::Tab(CALLING_TAB)), Some(Line::Tab(CALLED_TAB)));
    stage.learn_id().await;
    for rows in [TALKING, TAB_CALLER, TAB_CALLED] {
        stage.play(rows).await;
    }
    stage.end().await;
}

async fn half_a_minute_of_silence(threads: usize, is_tab: bool) {
    let mut stage = Stage::for_a_client(threads, is_tab).await;
    stage.client_calls(true).await;
    let (falls_silent, speaks_again) = match is_tab {
        true => (CALLED_FALLS_SILENT, CALLED_SPEAKS_AGAIN),
        false => (CALLER_FALLS_SILENT, CALLER_SPEAKS_AGAIN),
    };
    stage.play(falls_silent).await;
    sleep(HALF_A_MINUTE).await;
    stage.play(speaks_again).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sends_nothing_for_half_a_minute_is_still_in_the_call() {
    tokio::join!(
        half_a_minute_of_silence(1, false),
        half_a_minute_of_silence(3, false),
        half_a_minute_of_silence(1, true),
        half_a_minute_of_silence(3, true),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn phone_to_phone_on_one_media_thread() {
    client_and_one_of_ours(1, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn phone_to_phone_on_three_media_threads() {
    client_and_one_of_ours(3, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn phone_to_tab_on_one_media_thread() {
    client_and_one_of_ours(1, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn phone_to_tab_on_three_media_threads() {
    client_and_one_of_ours(3, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tab_to_tab_on_one_media_thread() {
    tab_and_tab(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tab_to_tab_on_three_media_threads() {
    tab_and_tab(3).await;
}
