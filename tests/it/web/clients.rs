//! Cards over the API: made, changed, searched, looked up by number; their timeline.

use perezvon::clock::wall;
use perezvon::types::CardId;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::house::House;
use super::samples::{call_of, card, id, recorded_call, recording};

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_card_is_made_read_changed_and_found() {
    let house = House::open().await;
    let token = house.token("anna").await;
    let wish = json!({
        "name": "Пётр <b>Иванов</b>", "company": "Ромашка", "numbers": ["8 (916) 000-00-01", {"e164": "+74951234567", "kind": "work", "extension": "12", "is_shared": true}],
        "emails": ["p@example.org"], "owner": "anna", "tags": ["vip"], "fields": {"debt": 100, "contract": {"no": "1"}}, "language": "ru", "source": "site",
    });
    let (status, made) = house.send(&token, Method::POST, "/clients", Some(wish)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    insta::assert_json_snapshot!(made, {".id" => "[id]", ".url" => "[url]", ".created_at" => "[at]", ".updated_at" => "[at]"}, @r#"
    {
      "company": "Ромашка",
      "created_at": "[at]",
      "emails": [
        {
          "email": "p@example.org",
          "kind": "other"
        }
      ],
      "fields": {
        "contract": {
          "no": "1"
        },
        "debt": 100
      },
      "id": "[id]",
      "is_stub": false,
      "language": "ru",
      "name": "Пётр <b>Иванов</b>",
      "numbers": [
        {
          "e164": "+79160000001",
          "extension": null,
          "is_shared": false,
          "kind": "other"
        },
        {
          "e164": "+74951234567",
          "extension": "12",
          "is_shared": true,
          "kind": "work"
        }
      ],
      "owner": "anna",
      "source": "site",
      "tags": [
        "vip"
      ],
      "updated_at": "[at]",
      "url": "[url]"
    }
    "#);
    let path = format!("/clients/{}", made["id"].as_str().unwrap());
    assert_eq!(made["url"], path.as_str());
    assert_eq!(house.get(&token, &path).await, made);

    let patch = json!({"company": null, "fields": {"debt": null, "note": "x"}, "tags": []});
    let (status, changed) = house.send(&token, Method::PATCH, &path, Some(patch)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!((&changed["company"], &changed["tags"]), (&Value::Null, &json!([])));
    assert_eq!(changed["fields"], json!({"contract": {"no": "1"}, "note": "x"}));
    assert_eq!((&changed["numbers"], &changed["name"]), (&made["numbers"], &made["name"]), "what was absent stays");

    assert_eq!(names(&house.get(&token, "/clients?search=%D0%B8%D0%B2%D0%B0%D0%BD%D0%BE%D0%B2").await).len(), 1);
    assert_eq!(names(&house.get(&token, "/clients?search=nobody").await).len(), 0);
    let (status, error) = house.send(&token, Method::PATCH, &path, Some(json!({"nmae": "x"}))).await;
    assert_eq!((status, error["error"]["field"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("nmae")));
}

#[tokio::test]
async fn a_keyed_card_is_made_once() {
    let house = House::open().await;
    let token = house.token("anna").await;
    let make = || house.ask(&token, Method::POST, "/clients").header("idempotency-key", "k").json(&json!({"name": "A"})).send();
    let first: Value = make().await.unwrap().json().await.unwrap();
    let second: Value = make().await.unwrap().json().await.unwrap();
    assert_eq!(first, second);
    assert_eq!(names(&house.get(&token, "/clients").await), ["A"]);
}

#[tokio::test]
async fn an_agent_browses_the_teams_cards_and_opens_any_that_calls() {
    let house = House::open().await;
    house.store.create_card(&card(1, "ours", Some("anna"), "79160000001"), wall()).await.unwrap();
    house.store.create_card(&card(2, "everybody's", None, "79160000002"), wall()).await.unwrap();
    house.store.create_card(&card(3, "theirs", Some("boris"), "79160000003"), wall()).await.unwrap();
    for (login, expected) in [("anna", 2), ("olga", 2), ("boris", 2), ("igor", 3), ("ada", 3)] {
        let token = house.token(login).await;
        assert_eq!(names(&house.get(&token, "/clients").await).len(), expected, "{login}");
    }
    let anna = house.token("anna").await;
    assert_eq!(house.get(&anna, &format!("/clients/{}", id(3))).await["name"], "theirs");
    let take = Some(json!({"owner": "anna"}));
    assert_eq!(house.send(&anna, Method::PATCH, &format!("/clients/{}", id(3)), take.clone()).await.0, StatusCode::FORBIDDEN);
    assert_eq!(
        house.send(&anna, Method::PATCH, &format!("/clients/{}", id(2)), take).await.0,
        StatusCode::OK,
        "an unowned one may be taken"
    );
    let give = Some(json!({"owner": "boris"}));
    assert_eq!(house.send(&anna, Method::PATCH, &format!("/clients/{}", id(1)), give.clone()).await.0, StatusCode::FORBIDDEN);
    assert_eq!(
        house.send(&house.token("ada").await, Method::PATCH, &format!("/clients/{}", id(1)), give).await.0,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_page_of_clients_is_full_although_others_cards_lie_between() {
    let house = House::open().await;
    for number in 1..=30 {
        let owner = if number % 3 == 0 { "anna" } else { "boris" };
        let digits = format!("7916000{number:04}");
        house.store.create_card(&card(number, &format!("c{number}"), Some(owner), &digits), wall()).await.unwrap();
    }
    let anna = house.token("anna").await;
    let first = house.get(&anna, "/clients?limit=4").await;
    assert_eq!(names(&first).len(), 4);
    let second = house.get(&anna, &format!("/clients?limit=100&cursor={}", first["next"].as_str().unwrap())).await;
    assert_eq!((names(&second).len(), &second["next"]), (6, &Value::Null));
}

#[tokio::test]
async fn a_lookup_reads_numbers_as_people_write_them_and_tells_why() {
    let house = House::open().await;
    let mut shared = card(1, "Switchboard A", None, "74951234567");
    shared.numbers[0].is_shared = true;
    let mut other = card(2, "Switchboard B", None, "74951234567");
    other.numbers[0].is_shared = true;
    for card in [&shared, &other, &card(3, "Пётр", Some("anna"), "79160000001")] {
        house.store.create_card(card, wall()).await.unwrap();
    }
    let token = house.token("anna").await;
    let look = |phone: &str| {
        let request = house.ask(&token, Method::GET, "/clients/lookup").query(&[("phone", phone)]);
        async move { request.header("accept-language", "en").send().await.unwrap().json::<Value>().await.unwrap() }
    };
    for phone in ["8 (916) 000-00-01", "+79160000001", "9160000001", "79160000001"] {
        let found = look(phone).await;
        assert_eq!(
            (found["e164"].as_str(), found["match"].as_str(), found["card"]["name"].as_str()),
            (Some("+79160000001"), Some("known"), Some("Пётр")),
            "{phone}"
        );
        assert!(!found["reason"].as_str().unwrap().is_empty());
        assert_eq!(found["card"]["url"], format!("/clients/{}", id(3)));
    }
    // A plus that was not escaped arrives as a space.
    assert_eq!(house.get(&token, "/clients/lookup?phone=+79160000001").await["match"], "known");
    let ambiguous = look("8 495 123-45-67 доб. 12").await;
    assert_eq!(
        (&ambiguous["match"], &ambiguous["card"], &ambiguous["extension"]),
        (&json!("ambiguous"), &Value::Null, &json!("12"))
    );
    assert_eq!(ambiguous["candidates"].as_array().unwrap().len(), 2);
    let unknown = look("+79169999999").await;
    assert_eq!(
        (&unknown["match"], &unknown["e164"], &unknown["candidates"]),
        (&json!("unknown"), &json!("+79169999999"), &json!([]))
    );
    let short = look("101").await;
    assert_eq!((&short["e164"], &short["extension"]), (&Value::Null, &json!("101")));
    assert_eq!(names(&house.get(&token, "/clients").await).len(), 3, "looking makes no stub card");
}

#[tokio::test]
async fn the_timeline_shows_every_contact_but_only_recordings_one_may_hear() {
    let house = House::open().await;
    house.store.create_card(&card(7, "Пётр", None, "79160000001"), wall()).await.unwrap();
    for (number, agent, queue) in [(1, "anna", "sales"), (2, "boris", "service")] {
        let mut call = call_of(number, agent, Some(queue));
        call.card_id = Some(CardId(id(7)));
        for write in recorded_call(&call, &recording(50 + number, &call), "x.wav") {
            house.append(write).await;
        }
    }
    let path = format!("/clients/{}/timeline", id(7));
    let heard = |list: &Value| {
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| (item["call"]["agent"].as_str().unwrap().to_string(), item["recording"].is_object())).collect::<Vec<_>>()
    };
    let anna = house.get(&house.token("anna").await, &path).await;
    assert_eq!(heard(&anna), [("boris".into(), false), ("anna".into(), true)]);
    let ada = house.get(&house.token("ada").await, &path).await;
    assert_eq!(heard(&ada), [("boris".into(), true), ("anna".into(), true)]);
    let (status, _) = house.send(&house.token("ada").await, Method::GET, &format!("/clients/{}/timeline", id(8)), None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}
