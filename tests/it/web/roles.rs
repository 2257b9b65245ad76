//! Who may do and see what, as tables: every endpoint and every event type by every role. The first walks the OpenAPI
//! document, so an endpoint without a row fails; the second walks the list of event types.

use std::collections::BTreeSet;

use perezvon::clock::wall;
use perezvon::events::{Event, EventKind, LegAbsence, Supervision};
use perezvon::store::CardPatch;
use perezvon::types::{CallView, CardId, LegState, SupervisionMode};
use perezvon::web::EVENT_TYPES;
use reqwest::Method;
use serde_json::{Value, json};

use super::house::{House, PASSWORD, PEOPLE};
use super::samples::{
    agent_view, call, call_event, call_of, card, ended, event, id, pop, recorded_call, recording, retracted, tick,
};

/// Everything belongs to anna: she and her supervisor olga, support and admin may; boris and his pavel may not.
const OWN: [u16; 7] = [401, 200, 403, 200, 403, 200, 200];
const ALL: [u16; 7] = [401, 200, 200, 200, 200, 200, 200];
const OPEN: [u16; 7] = [200; 7];

struct Row {
    method: &'static str,
    path: &'static str,
    body: Value,
    /// nobody, anna (agent), boris (another agent), olga (anna's supervisor), pavel (another), igor (support), ada (admin)
    expected: [u16; 7],
}

fn row(method: &'static str, path: &'static str, body: Value, expected: [u16; 7]) -> Row {
    Row { method, path, body, expected }
}

/// The status of success is another than 200.
fn done(status: u16, expected: [u16; 7]) -> [u16; 7] {
    expected.map(|code| if code == 200 { status } else { code })
}

fn table() -> Vec<Row> {
    let no_body = || Value::Null;
    let only_agents_have_a_state = [401, 200, 200, 200, 200, 404, 404];
    // Whoever has no extension has no telephone.
    let has_a_telephone = [401, 200, 200, 200, 200, 409, 409];
    let leaders_of_anna = [401, 403, 403, 200, 403, 200, 200];
    vec![
        row("get", "/healthz", no_body(), OPEN),
        row("get", "/readyz", no_body(), OPEN),
        row("get", "/metrics", no_body(), OPEN),
        row("post", "/api/v1/session", json!({"login": "anna", "password": PASSWORD}), done(204, OPEN)),
        // By token: what has been given to a program is not ended by it.
        row("delete", "/api/v1/session", no_body(), [401, 403, 403, 403, 403, 403, 403]),
        row("get", "/api/v1/me", no_body(), ALL),
        row("put", "/api/v1/me/state", json!({"state": "ready"}), only_agents_have_a_state),
        row("post", "/api/v1/me/phone", no_body(), has_a_telephone),
        row("get", "/api/v1/calls", no_body(), ALL),
        row("post", "/api/v1/calls", json!({"from": "anna", "to": "+79160000001"}), done(201, OWN)),
        row("get", "/api/v1/calls/{id}", no_body(), OWN),
        row("post", "/api/v1/calls/{id}/hangup", no_body(), done(204, OWN)),
        row("get", "/api/v1/calls/{id}/quality", no_body(), OWN),
        row("post", "/api/v1/calls/{id}/hold", no_body(), OWN),
        row("post", "/api/v1/calls/{id}/resume", no_body(), OWN),
        row("post", "/api/v1/calls/{id}/recording", json!({"action": "mask"}), OWN),
        row("post", "/api/v1/calls/{id}/supervise", json!({"mode": "whisper"}), leaders_of_anna),
        row("delete", "/api/v1/calls/{id}/supervise", no_body(), leaders_of_anna),
        row("get", "/api/v1/recordings", no_body(), ALL),
        row("get", "/api/v1/recordings/{id}", no_body(), OWN),
        row("get", "/api/v1/recordings/{id}/audio", no_body(), OWN),
        row("get", "/api/v1/recordings/{id}/peaks", no_body(), OWN),
        row("get", "/api/v1/clients", no_body(), ALL),
        row("post", "/api/v1/clients", json!({"name": "New", "owner": "anna"}), done(201, OWN)),
        row("get", "/api/v1/clients/lookup", no_body(), ALL),
        row("get", "/api/v1/clients/{id}", no_body(), ALL),
        row("patch", "/api/v1/clients/{id}", json!({"owner": null}), OWN),
        row("get", "/api/v1/clients/{id}/timeline", no_body(), ALL),
        row("get", "/api/v1/queues", no_body(), ALL),
        row("get", "/api/v1/agents", no_body(), ALL),
        row("put", "/api/v1/agents/{login}/state", json!({"state": "break", "reason": "x"}), leaders_of_anna),
        row("get", "/api/v1/events", no_body(), ALL),
    ]
}

/// A house where anna is on call 1, has a recorded past call 2, and owns card 7; boris has the same with 3, 4 and none.
async fn house() -> House {
    let house = House::open().await;
    house.engine().calls = vec![call_of(1, "anna", Some("sales")), call_of(3, "boris", Some("service"))];
    let mut wav = std::io::Cursor::new(Vec::new());
    let spec = hound::WavSpec { channels: 2, sample_rate: 8000, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::new(&mut wav, spec).unwrap();
    (0..800).for_each(|_| writer.write_sample(1_i16).unwrap());
    writer.finalize().unwrap();
    house.write_recording("a.wav", wav.get_ref());
    for (number, agent, queue) in [(2, "anna", "sales"), (4, "boris", "service")] {
        let call = call_of(number, agent, Some(queue));
        for write in recorded_call(&call, &recording(50 + number, &call), "a.wav") {
            house.append(write).await;
        }
    }
    house.store.create_card(&card(7, "Пётр", Some("anna"), "79160000001"), wall()).await.unwrap();
    house
}

fn address(path: &str) -> String {
    let number = if path.contains("/calls/") {
        1
    } else if path.contains("/recordings/") {
        52
    } else {
        7
    };
    let query = if path.ends_with("/lookup") { "?phone=%2B79160000001" } else { "" };
    path.replace("{id}", &id(number).to_string()).replace("{login}", "anna") + query
}

#[tokio::test]
async fn every_endpoint_of_the_document_does_for_every_role_what_the_table_says() {
    let table = table();
    let document = serde_json::to_value(perezvon::web::document()).unwrap();
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, operations)| operations.as_object().unwrap().keys().map(move |method| (path.clone(), method.clone())))
        .collect();
    let listed: BTreeSet<(String, String)> = table.iter().map(|row| (row.path.to_string(), row.method.to_string())).collect();
    assert_eq!(described, listed, "an endpoint has no row here, or a row no endpoint");

    let house = house().await;
    let mut wrong = Vec::new();
    for row in &table {
        let people = std::iter::once("").chain(PEOPLE.iter().map(|(login, _, _)| *login));
        for (person, expected) in people.zip(row.expected) {
            let owner = CardPatch { owner: Some(Some("anna".into())), ..CardPatch::default() };
            house.store.patch_card(CardId(id(7)), &owner, wall()).await.unwrap();
            let method = Method::from_bytes(row.method.to_uppercase().as_bytes()).unwrap();
            let mut request = house.http.request(method, house.url(&address(row.path)));
            if !person.is_empty() {
                request = request.bearer_auth(house.token(person).await);
            }
            if !row.body.is_null() {
                request = request.json(&row.body);
            }
            let status = request.send().await.unwrap().status().as_u16();
            if status != expected {
                wrong.push(format!("{} {} by {person:?}: {status}, not {expected}", row.method, row.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn lists_hold_only_what_one_may_see() {
    let house = house().await;
    for (path, key, expected) in [
        ("/calls", "id", [2, 2, 2, 2, 4, 4]),
        ("/calls?active=true", "id", [1, 1, 1, 1, 2, 2]),
        ("/recordings", "id", [1, 1, 1, 1, 2, 2]),
        ("/queues", "name", [1, 1, 1, 1, 2, 2]),
        ("/agents", "login", [2, 2, 2, 2, 4, 4]),
        ("/clients", "id", [1, 0, 1, 0, 1, 1]),
    ] {
        for ((person, _, _), expected) in PEOPLE.iter().zip(expected) {
            let list = house.get(&house.token(person).await, path).await;
            let keys: BTreeSet<&str> = list["items"].as_array().unwrap().iter().map(|item| item[key].as_str().unwrap()).collect();
            assert_eq!(keys.len(), expected, "{path} by {person}: {keys:?}");
        }
    }
    let colleagues = house.get(&house.token("anna").await, "/agents").await;
    let (own, other) = (&colleagues["items"][0], &colleagues["items"][1]);
    assert!(own["call_id"].is_string() && own["reason"].is_string());
    assert!(other["call_id"].is_null() && other["reason"].is_null(), "a colleague's call and reason stay private: {other}");
}

/// Of anna in queue sales: seen by anna, olga, igor, ada.
const ANNAS: [bool; 6] = [true, false, true, false, true, true];
/// Of the queue sales while nobody has the call: not anna's yet.
const QUEUES: [bool; 6] = [false, false, true, false, true, true];
const SUPPORTS: [bool; 6] = [false, false, false, false, true, true];

fn absence(call: &CallView) -> LegAbsence {
    LegAbsence { leg: call.legs[0].id, agent: call.agent.clone(), gap_ms: None }
}

fn events() -> Vec<(&'static str, Event, [bool; 6])> {
    let annas = call_of(1, "anna", Some("sales"));
    let waiting = CallView { queue: Some("sales".into()), ..call(2) };
    let rec = recording(50, &annas);
    let of_recording = |kind| event(Some(annas.id), Some("anna".into()), Some("sales".into()), kind);
    // The event names nobody, but anna was on the call.
    let unnamed = event(Some(annas.id), None, None, EventKind::CallEnded(Box::new(ended(annas.clone()))));
    let supervision = Supervision { supervisor: "olga".into(), agent: Some("anna".into()), mode: Some(SupervisionMode::Listen) };
    let supervised = event(Some(annas.id), Some("olga".into()), Some("sales".into()), EventKind::CallSupervised(supervision));
    // It rang at anna, then boris took it.
    let mut passed = call_of(3, "boris", Some("service"));
    let mut lost = passed.legs[0].clone();
    lost.agent = Some("anna".into());
    (lost.state, lost.answered_at) = (LegState::Ended, None);
    passed.legs.push(lost);
    let internal = {
        let mut call = call_of(4, "boris", None);
        call.legs.push(call_of(4, "anna", None).legs[0].clone());
        call
    };
    vec![
        ("started at nobody's", call_event(&call(2), EventKind::CallStarted), SUPPORTS),
        ("started at the queue", call_event(&waiting, EventKind::CallStarted), QUEUES),
        ("queued", call_event(&waiting, EventKind::CallQueued), QUEUES),
        ("offered", call_event(&annas, EventKind::CallOffered), ANNAS),
        ("answered", call_event(&annas, EventKind::CallAnswered), ANNAS),
        ("held", call_event(&annas, EventKind::CallHeld), ANNAS),
        ("resumed", call_event(&annas, EventKind::CallResumed), ANNAS),
        ("ended", call_event(&ended(annas.clone()), EventKind::CallEnded), ANNAS),
        ("leg lost", of_recording(EventKind::CallLegLost(absence(&annas))), ANNAS),
        ("leg returned", of_recording(EventKind::CallLegReturned(absence(&annas))), ANNAS),
        ("olga listens to anna", supervised, QUEUES),
        ("ended, naming nobody", unnamed, ANNAS),
        (
            "answered by boris after anna let it ring",
            call_event(&passed, EventKind::CallAnswered),
            [false, true, false, true, true, true],
        ),
        ("boris calls anna", call_event(&internal, EventKind::CallAnswered), [true, true, true, true, true, true]),
        ("anna's state", tick("anna"), ANNAS),
        ("olga's state", tick("olga"), [false, false, true, false, true, true]),
        ("pop", pop("anna", Some("sales")), ANNAS),
        ("pop outside a queue", pop("anna", None), ANNAS),
        ("pop retracted", retracted("anna", Some("sales")), ANNAS),
        ("recording started", of_recording(EventKind::RecordingStarted(Box::new(rec.clone()))), ANNAS),
        ("recording paused", of_recording(EventKind::RecordingPaused(Box::new(rec.clone()))), ANNAS),
        ("recording resumed", of_recording(EventKind::RecordingResumed(Box::new(rec.clone()))), ANNAS),
        ("recording ready", of_recording(EventKind::RecordingReady(Box::new(rec.clone()))), ANNAS),
        ("recording failed", of_recording(EventKind::RecordingFailed(Box::new(rec.clone()))), ANNAS),
        ("recording of nobody", event(Some(rec.call_id), None, None, EventKind::RecordingReady(Box::new(rec.clone()))), SUPPORTS),
        ("state of an agent named only inside", event(None, None, None, EventKind::AgentStateChanged(agent_view("anna"))), ANNAS),
    ]
}

#[tokio::test]
async fn every_event_type_reaches_exactly_the_roles_of_the_table() {
    let events = events();
    let covered: BTreeSet<&str> = events.iter().map(|(_, event, _)| event.kind.name()).collect();
    let documented: BTreeSet<&str> = EVENT_TYPES.iter().map(|(name, _, _)| *name).collect();
    assert_eq!(covered, documented, "an event type has no row here, or is not described");

    let house = House::open().await;
    let mut seqs = Vec::new();
    for (_, event, _) in &events {
        seqs.push(house.append(event.clone()).await);
    }
    let mut wrong = Vec::new();
    for (column, (person, _, _)) in PEOPLE.iter().enumerate() {
        let token = house.token(person).await;
        let marker = house.append(tick(person)).await;
        let (mut live, _) = house.live(&token, "?after=0").await;
        let streamed: BTreeSet<u64> = live.until(marker).await.iter().map(|frame| frame["seq"].as_u64().unwrap()).collect();
        let page = house.get(&token, "/events?limit=1000").await;
        let polled: BTreeSet<u64> = page["items"].as_array().unwrap().iter().map(|item| item["seq"].as_u64().unwrap()).collect();
        assert_eq!(streamed, polled, "{person}: the stream and the list differ");
        for ((name, _, expected), seq) in events.iter().zip(&seqs) {
            if streamed.contains(seq) != expected[column] {
                wrong.push(format!("{name}: {person} should{} see it", if expected[column] { "" } else { " not" }));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn the_members_of_a_supervised_queue_are_on_the_supervisors_floor_whatever_their_team() {
    let house = House::open().await;
    house.change_site(|site| site.queues.get_mut("sales").unwrap().members.push("boris".into()));
    let (mut olga, _) = house.live(&house.token("olga").await, "").await;
    let state = house.append(tick("boris")).await;
    // His calls of another queue stay his own supervisor's.
    house.append(call_event(&call_of(9, "boris", Some("service")), EventKind::CallAnswered)).await;
    let through_sales = house.append(call_event(&call_of(10, "boris", Some("sales")), EventKind::CallAnswered)).await;
    assert_eq!(olga.next().await["seq"], state);
    assert_eq!(olga.next().await["seq"], through_sales);
    let token = house.token("olga").await;
    assert_eq!(house.send(&token, Method::PUT, "/agents/boris/state", Some(json!({"state": "offline"}))).await.0.as_u16(), 200);
}
