//! The log for programs that poll: pages, visibility, what is gone.

use perezvon::clock::wall;
use perezvon::events::EventKind;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::house::House;
use super::samples::{call_event, call_of, tick};

fn seqs(list: &Value) -> Vec<u64> {
    list["items"].as_array().unwrap().iter().map(|item| item["seq"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn events_come_oldest_first_with_the_fields_of_the_stream() {
    let house = House::open().await;
    let first = house.append(call_event(&call_of(1, "anna", Some("sales")), EventKind::CallAnswered)).await;
    let second = house.append(tick("anna")).await;
    let token = house.token("anna").await;
    let list = house.get(&token, "/events").await;
    assert_eq!((seqs(&list), &list["next"]), (vec![first, second], &Value::Null));
    let event = &list["items"][0];
    let mut keys: Vec<_> = event.as_object().unwrap().keys().cloned().collect();
    keys.sort();
    assert_eq!(keys, ["agent", "at", "call_id", "data", "seq", "type"]);
    assert_eq!(
        (&event["type"], &event["agent"], &event["data"]["id"]),
        (&"call.answered".into(), &"anna".into(), &event["call_id"])
    );
    assert_eq!(list["items"][1]["call_id"], Value::Null);

    let (mut live, _) = house.live(&token, "?after=0").await;
    assert_eq!(live.until(second).await, *list["items"].as_array().unwrap(), "the stream carries the same objects");
}

#[tokio::test]
async fn a_program_reads_on_page_by_page_and_sees_only_its_own() {
    let house = House::open().await;
    let mut own = Vec::new();
    for number in 0..50 {
        let seq = house.append(tick(if number % 2 == 0 { "anna" } else { "boris" })).await;
        if number % 2 == 0 {
            own.push(seq);
        }
    }
    let anna = house.token("anna").await;
    let (mut seen, mut query, mut last) = (Vec::new(), "?limit=10".to_string(), 0);
    loop {
        let page = house.get(&anna, &format!("/events{query}")).await;
        assert!(seqs(&page).len() <= 10);
        seen.extend(seqs(&page));
        last = page["last_seq"].as_u64().unwrap().max(last);
        match page["next"].as_str() {
            Some(next) => query = format!("?limit=10&after={next}"),
            None => break,
        }
    }
    assert_eq!((seen, last), (own, house.log.last_seq()));
    let nothing = house.get(&anna, &format!("/events?after={last}")).await;
    assert_eq!((seqs(&nothing).len(), nothing["last_seq"].as_u64()), (0, Some(last)));
    assert_eq!(seqs(&house.get(&house.token("ada").await, "/events?limit=50").await).len(), 50);
}

#[tokio::test]
async fn what_is_forgotten_or_never_was_is_410_and_4003() {
    let house = House::open().await;
    for _ in 0..20 {
        house.append(tick("anna")).await;
    }
    assert_eq!(house.log.trim(wall(), 5).await.unwrap(), 15);
    let token = house.token("ada").await;
    let last = house.log.last_seq();
    for after in [0, last - 10, last + 1000] {
        let (status, error) = house.send(&token, Method::GET, &format!("/events?after={after}"), None).await;
        assert_eq!((status, error["error"]["code"].as_str()), (StatusCode::GONE, Some("seq_expired")), "{after}");
        let mut live = house.live_with("authorization", &format!("Bearer {token}"), &format!("?after={after}")).await.unwrap();
        assert_eq!(live.next_or_close().await, Err(Some(4003)), "{after}");
    }
    assert_eq!(seqs(&house.get(&token, &format!("/events?after={}", last - 5)).await).len(), 5);
    assert_eq!(seqs(&house.get(&token, "/events").await).len(), 5, "without `after`: the oldest kept");
}
