//! Calls over the API: live and past in one list, dialling once, hanging up.

use std::sync::Arc;

use perezvon::events::EventKind;
use perezvon::types::CallState;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::house::House;
use super::samples::{call, call_event, call_of, ended};

fn ids(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap().iter();
    items.map(|item| item["id"].as_str().unwrap().trim_start_matches("01900000-0000-7000-8000-0000000000").to_string()).collect()
}

#[tokio::test]
async fn the_list_holds_past_calls_from_the_log_and_open_ones_as_the_engine_has_them() {
    let house = House::open().await;
    for number in 1..=3 {
        house.append(call_event(&ended(call_of(number, "anna", Some("sales"))), EventKind::CallEnded)).await;
    }
    // The log knows call 4 as ringing, the engine already as talking; call 5 is not in the log yet.
    house.append(call_event(&call(4), EventKind::CallStarted)).await;
    house.engine().calls = vec![call_of(4, "anna", Some("sales")), call_of(5, "anna", Some("sales"))];

    let token = house.token("ada").await;
    let all = house.get(&token, "/calls").await;
    assert_eq!(ids(&all), ["05", "04", "03", "02", "01"]);
    assert_eq!((&all["items"][1]["state"], &all["next"]), (&json!("talking"), &Value::Null));
    assert_eq!(ids(&house.get(&token, "/calls?active=true").await), ["05", "04"]);
    assert_eq!(ids(&house.get(&token, "/calls?active=false").await), ["03", "02", "01"]);
    assert_eq!(ids(&house.get(&token, "/calls?agent=boris").await), Vec::<String>::new());
    assert_eq!(ids(&house.get(&token, "/calls?number=8%20916%20000-00-01&active=true").await), ["05", "04"]);
}

#[tokio::test]
async fn pages_of_live_and_past_calls_neither_repeat_nor_skip() {
    let house = House::open().await;
    for number in 1..=7 {
        house.append(call_event(&ended(call_of(number, "anna", None)), EventKind::CallEnded)).await;
    }
    let open: Vec<_> = (8..=12).map(|number| call_of(number, "anna", None)).collect();
    for call in &open {
        house.append(call_event(call, EventKind::CallStarted)).await;
    }
    house.engine().calls = open;
    let token = house.token("anna").await;
    for (query, expected) in [("", 12), ("&active=true", 5), ("&active=false", 7)] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = house.get(&token, &format!("/calls?limit=2{query}{cursor}")).await;
            assert!(page["items"].as_array().unwrap().len() <= 2);
            seen.extend(ids(&page));
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let mut sorted = seen.clone();
        sorted.sort();
        sorted.dedup();
        sorted.reverse();
        assert_eq!(seen, sorted, "newest first, each once");
        assert_eq!(seen.len(), expected, "{query}");
    }
}

#[tokio::test]
async fn a_call_has_every_field_of_the_interface_and_hostile_names_stay_data() {
    let house = House::open().await;
    house.engine().calls = vec![call_of(1, "anna", Some("sales"))];
    let token = house.token("anna").await;
    let path = format!("/calls/{}", super::samples::id(1));
    let answer = house.ask(&token, Method::GET, &path).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let call: Value = answer.json().await.unwrap();
    for field in [
        "id",
        "kind",
        "state",
        "from",
        "to",
        "trunk",
        "queue",
        "agent",
        "card_id",
        "started_at",
        "answered_at",
        "ended_at",
        "cause",
        "ended_by",
        "recording_id",
        "legs",
        "consult_of",
        "merged_into",
    ] {
        assert!(call.get(field).is_some(), "{field} is missing");
    }
    assert_eq!(call["from"]["display"], "<script>alert(1)</script>");
    assert_eq!(call["ended_at"], Value::Null);
}

#[tokio::test]
async fn dialling_answers_201_with_the_call_and_rings_the_asking_person_first() {
    let house = House::open().await;
    let token = house.token("anna").await;
    for (from, expected) in [
        (json!(null), "anna"),
        (json!("anna"), "anna"),
        (json!("101"), "anna"),
        (json!("extension:101"), "anna"),
        (json!("user:anna"), "anna"),
    ] {
        let (status, call) = house.send(&token, Method::POST, "/calls", Some(json!({"from": from, "to": "+79160000001"}))).await;
        assert_eq!(status, StatusCode::CREATED, "{call}");
        assert_eq!(call["to"], "+79160000001");
        assert_eq!(house.engine().asked.pop().unwrap(), format!("originate {expected} to +79160000001"));
    }
    for body in [json!({"from": "999", "to": "1"}), json!({"to": " "}), json!({"to": "1".repeat(300)})] {
        let (status, _) = house.send(&token, Method::POST, "/calls", Some(body)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert!(house.engine().asked.is_empty());
}

fn keyed(house: &House, token: &str, key: &str, to: &str) -> reqwest::RequestBuilder {
    house.ask(token, Method::POST, "/calls").header("idempotency-key", key).json(&json!({"to": to}))
}

#[tokio::test]
async fn a_repeated_key_dials_once_and_gets_the_same_answer() {
    let house = House::open().await;
    let token = house.token("anna").await;
    let first = keyed(&house, &token, "k1", "+79160000001").send().await.unwrap();
    assert_eq!(first.status(), StatusCode::CREATED);
    let first: Value = first.json().await.unwrap();
    let again = keyed(&house, &token, "k1", "+79160000001").send().await.unwrap();
    assert_eq!((again.status(), again.headers()["idempotency-replayed"].to_str().unwrap()), (StatusCode::CREATED, "true"));
    assert_eq!(again.headers()["content-type"], "application/json");
    assert_eq!(again.json::<Value>().await.unwrap(), first);
    assert_eq!(house.engine().asked.len(), 1);

    let other = keyed(&house, &token, "k1", "+79160000002").send().await.unwrap();
    assert_eq!(other.status(), StatusCode::CONFLICT);
    assert_eq!(other.json::<Value>().await.unwrap()["error"]["field"], "Idempotency-Key");
    let boris = house.token("boris").await;
    assert_eq!(
        keyed(&house, &boris, "k1", "+79160000002").send().await.unwrap().status(),
        StatusCode::CREATED,
        "keys are a person's own"
    );
}

#[tokio::test]
async fn a_refused_deed_leaves_its_key_free_and_a_bad_key_is_named() {
    let house = House::open().await;
    let token = house.token("anna").await;
    house.engine().refuses = Some(perezvon::engine::CommandError::Unreachable);
    assert_eq!(keyed(&house, &token, "k1", "+79160000001").send().await.unwrap().status(), StatusCode::CONFLICT);
    house.engine().refuses = None;
    assert_eq!(keyed(&house, &token, "k1", "+79160000001").send().await.unwrap().status(), StatusCode::CREATED);
    let long = keyed(&house, &token, &"k".repeat(256), "+79160000001").send().await.unwrap();
    assert_eq!(long.status(), StatusCode::BAD_REQUEST);
    assert_eq!(long.json::<Value>().await.unwrap()["error"]["field"], "Idempotency-Key");
}

#[tokio::test]
async fn a_client_that_hangs_up_in_the_middle_still_dials_once() {
    let house = House::open().await;
    let token = house.token("anna").await;
    let gate = Arc::new(tokio::sync::Notify::new());
    house.engine().gate = Some(Arc::clone(&gate));
    let impatient = keyed(&house, &token, "k1", "+79160000001").timeout(std::time::Duration::from_millis(300)).send().await;
    assert!(impatient.unwrap_err().is_timeout());
    let meanwhile = keyed(&house, &token, "k1", "+79160000001").send().await.unwrap();
    assert_eq!(meanwhile.status(), StatusCode::CONFLICT, "the first is still running");
    house.engine().gate = None;
    gate.notify_one();
    let answer = loop {
        let answer = keyed(&house, &token, "k1", "+79160000001").send().await.unwrap();
        if answer.status() != StatusCode::CONFLICT {
            break answer;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert_eq!(house.engine().asked.len(), 1);
}

#[tokio::test]
async fn hanging_up_ends_an_open_call_and_says_so_of_an_ended_one() {
    let house = House::open().await;
    house.engine().calls = vec![call_of(1, "anna", Some("sales"))];
    house.append(call_event(&ended(call_of(2, "anna", None)), EventKind::CallEnded)).await;
    let token = house.token("anna").await;
    let hang_up = |number| format!("/calls/{}/hangup", super::samples::id(number));
    assert_eq!(house.send(&token, Method::POST, &hang_up(1), None).await.0, StatusCode::NO_CONTENT);
    assert!(house.engine().asked[0].starts_with("hangup 01900000") && house.engine().asked[0].contains("anna"));
    let (status, error) = house.send(&token, Method::POST, &hang_up(2), None).await;
    assert_eq!((status, error["error"]["code"].as_str()), (StatusCode::CONFLICT, Some("call_ended")));
    assert_eq!(house.send(&token, Method::POST, &hang_up(3), None).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_stopping_engine_leaves_the_past_readable() {
    let house = House::open().await;
    house.append(call_event(&ended(call_of(1, "anna", None)), EventKind::CallEnded)).await;
    let token = house.token("anna").await;
    house.engine().calls = vec![];
    let call = house.get(&token, &format!("/calls/{}", super::samples::id(1))).await;
    assert_eq!(call["state"], serde_json::to_value(CallState::Ended).unwrap());
}

#[tokio::test]
async fn a_call_that_refuses_says_why_in_the_readers_language() {
    use perezvon::call::Refusal;
    use perezvon::engine::CommandError;
    let house = House::open().await;
    house.engine().calls = vec![call_of(1, "anna", Some("sales"))];
    let token = house.token("anna").await;
    let path = |deed: &str| format!("/calls/{}/{deed}", super::samples::id(1));
    assert_eq!(house.send(&token, Method::POST, &path("hold"), None).await.0, StatusCode::OK);
    assert!(house.engine().asked[0].starts_with("hold 01900000"));
    let refusals = [
        (Refusal::AlreadyHeld, "hold", "удержании"),
        (Refusal::RecordingIs("masked"), "resume", "скрыта"),
        (Refusal::NotTalking(perezvon::types::CallState::Queued), "hold", "очереди"),
    ];
    for (refusal, deed, word) in refusals {
        house.engine().refuses = Some(CommandError::Refused(refusal));
        let (status, error) = house.send(&token, Method::POST, &path(deed), None).await;
        assert_eq!((status, error["error"]["code"].as_str()), (StatusCode::CONFLICT, Some("call_state")));
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains(word), "{message}");
    }
    house.engine().refuses = None;
    let body = Some(json!({"action": "burn"}));
    let (status, error) = house.send(&token, Method::POST, &path("recording"), body).await;
    assert_eq!((status, error["error"]["field"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("action")));
}
