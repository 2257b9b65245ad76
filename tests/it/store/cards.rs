//! Cards: kept whole, found by number and by words, one stub a number.

use perezvon::cards::NumberKind;
use perezvon::events::EventKind;
use perezvon::store::{CardEmail, CardNumber, CardPatch, NewCard, PageRequest, Store};
use perezvon::types::CardId;
use serde_json::json;

use super::log::{open, stop};
use super::samples::{at, call, card, e164, ended, event, id};
use crate::support::databases::{TestDb, on_both};

fn full_card() -> NewCard {
    let fields = json!({"debt": 12.5, "since": "2019", "vip": true, "hobby": ["лыжи", "го"], "none\0": "\0"});
    NewCard {
        company: Some("ООО «Ромашка»".into()),
        numbers: vec![
            CardNumber { e164: e164("74957778899"), kind: "work".into(), extension: Some("12".into()), is_shared: true },
            CardNumber { e164: e164("79161112233"), kind: "main".into(), extension: None, is_shared: false },
        ],
        emails: vec![CardEmail { email: "Ivanova@Example.ru".into(), kind: "work".into() }],
        source: Some("site".into()),
        owner: Some("anna".into()),
        tags: vec!["vip".into(), "опт".into()],
        fields: fields.as_object().expect("an object").clone(),
        language: Some("ru".into()),
        ..card(1, "Анна Иванова", "79161112233")
    }
}

async fn names(store: &Store, search: &str) -> Vec<String> {
    let found = store.cards(Some(search), &PageRequest::default()).await.expect("readable");
    found.items.into_iter().map(|card| card.name).collect()
}

on_both! {
    a_card_comes_back_whole,
    a_patch_changes_what_it_names_and_the_number_index_follows,
    patches_at_the_same_time_lose_nothing,
    an_unknown_number_gets_one_stub_however_many_call_at_once,
    a_known_number_gets_no_stub_and_a_filled_in_stub_is_none,
    cards_are_found_by_the_words_and_numbers_people_type,
    an_import_makes_each_card_once_and_lists_page_through_it,
    candidates_tell_how_the_number_stands_on_each_card_and_when_we_last_spoke,
}

async fn a_card_comes_back_whole(db: TestDb) {
    let made = db.store.create_card(&full_card(), at(5)).await.expect("made");
    assert_eq!(made.fields.get("none"), Some(&json!("")), "only the zero bytes are left out");
    assert_eq!((made.created_at, made.updated_at, made.is_stub), (at(5), at(5), false));
    assert_eq!(db.store.card(made.id).await.expect("readable"), Some(made.clone()));
    assert_eq!(db.store.cards_by_phone(e164("74957778899")).await.expect("readable"), std::slice::from_ref(&made));
    assert_eq!(db.store.cards_by_phone(e164("79161112233")).await.expect("readable"), [made]);
    assert!(db.store.cards_by_phone(e164("74957778890")).await.expect("readable").is_empty());
    assert_eq!(db.store.card(CardId(id(404))).await.expect("readable"), None);
}

async fn a_patch_changes_what_it_names_and_the_number_index_follows(db: TestDb) {
    let made = db.store.create_card(&full_card(), at(5)).await.expect("made");
    let patch = CardPatch {
        name: Some("Анна Петрова".into()),
        company: Some(None),
        numbers: Some(vec![CardNumber { e164: e164("79990000000"), kind: "home".into(), extension: None, is_shared: false }]),
        fields: Some(json!({"debt": null, "city": "Тверь"}).as_object().expect("an object").clone()),
        ..CardPatch::default()
    };
    let patched = db.store.patch_card(made.id, &patch, at(9)).await.expect("patched").expect("it exists");
    assert_eq!(db.store.card(made.id).await.expect("readable"), Some(patched.clone()));
    assert_eq!((patched.name.as_str(), patched.company, patched.updated_at), ("Анна Петрова", None, at(9)));
    assert_eq!((patched.created_at, &patched.tags, patched.emails.len()), (at(5), &made.tags, 1));
    assert!(patched.fields.contains_key("city") && patched.fields.contains_key("vip") && !patched.fields.contains_key("debt"));
    assert_eq!(db.store.cards_by_phone(e164("79161112233")).await.expect("readable").len(), 0);
    assert_eq!(db.store.cards_by_phone(e164("79990000000")).await.expect("readable").len(), 1);
    assert_eq!(names(&db.store, "петрова").await, ["Анна Петрова"]);
    assert!(names(&db.store, "иванова@").await.is_empty());
    assert_eq!(db.store.patch_card(CardId(id(404)), &patch, at(9)).await.expect("readable"), None);
}

async fn patches_at_the_same_time_lose_nothing(db: TestDb) {
    let made = db.store.create_card(&full_card(), at(5)).await.expect("made");
    let patches: Vec<_> = (0..20)
        .map(|number| {
            let store = db.store.clone();
            let fields = json!({format!("field-{number}"): number}).as_object().expect("an object").clone();
            let patch = CardPatch { fields: Some(fields), ..CardPatch::default() };
            tokio::spawn(async move { store.patch_card(made.id, &patch, at(9)).await.expect("patched") })
        })
        .collect();
    for patch in patches {
        patch.await.expect("finished");
    }
    let fields = db.store.card(made.id).await.expect("readable").expect("it exists").fields;
    assert_eq!((0..20).filter(|number| fields.contains_key(&format!("field-{number}"))).count(), 20);
}

async fn an_unknown_number_gets_one_stub_however_many_call_at_once(db: TestDb) {
    let calls: Vec<_> = (0..40)
        .map(|n: i64| {
            let store = db.store.clone();
            tokio::spawn(async move { store.create_stub_card(e164("79160000001"), Some("site"), at(n)).await.expect("made") })
        })
        .collect();
    let mut ids = Vec::new();
    for call in calls {
        let stub = call.await.expect("finished");
        assert!(stub.is_stub && stub.name == "+79160000001" && stub.source.as_deref() == Some("site"));
        ids.push(stub.id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(db.count("select count(*) from cards").await, 1);
    assert_eq!(db.store.cards_by_phone(e164("79160000001")).await.expect("readable").len(), 1);
}

async fn a_known_number_gets_no_stub_and_a_filled_in_stub_is_none(db: TestDb) {
    let made = db.store.create_card(&full_card(), at(5)).await.expect("made");
    let stub = db.store.create_stub_card(e164("79161112233"), None, at(6)).await.expect("found");
    assert_eq!((stub.id, stub.is_stub), (made.id, false));
    let stub = db.store.create_stub_card(e164("79160000001"), None, at(6)).await.expect("made");
    let named = CardPatch { name: Some("Пётр".into()), numbers: Some(Vec::new()), ..CardPatch::default() };
    let named = db.store.patch_card(stub.id, &named, at(7)).await.expect("patched").expect("it exists");
    assert!(!named.is_stub);
    // The number left that card, so the next caller from it is unknown again and gets a card of their own.
    let next = db.store.create_stub_card(e164("79160000001"), None, at(8)).await.expect("made");
    assert!(next.is_stub && next.id != stub.id);
}

async fn cards_are_found_by_the_words_and_numbers_people_type(db: TestDb) {
    db.store.create_card(&full_card(), at(1)).await.expect("made");
    db.store.create_card(&card(2, "John O'Neil 100%", "442071234567"), at(2)).await.expect("made");
    db.store.create_card(&card(3, "Анна Смирнова", "79035551234"), at(3)).await.expect("made");
    let cases: [(&str, &[&str]); 10] = [
        ("анна", &["Анна Смирнова", "Анна Иванова"]),
        ("РОМАШКА анна", &["Анна Иванова"]),
        ("ivanova@example", &["Анна Иванова"]),
        ("8 (495) 777-88-99", &["Анна Иванова"]),
        ("+44 20 7123", &["John O'Neil 100%"]),
        ("o'neil", &["John O'Neil 100%"]),
        ("100%", &["John O'Neil 100%"]),
        ("1%0", &[]),
        ("_", &[]),
        ("", &["Анна Смирнова", "John O'Neil 100%", "Анна Иванова"]),
    ];
    for (typed, expected) in cases {
        assert_eq!(names(&db.store, typed).await, expected, "{typed}");
    }
}

async fn an_import_makes_each_card_once_and_lists_page_through_it(db: TestDb) {
    let digits = |number: u128| (79_000_000_000 + number).to_string();
    let cards: Vec<NewCard> = (1..=230).map(|number| card(number, &format!("Клиент {number}"), &digits(number))).collect();
    assert_eq!(db.store.insert_cards(&cards[..120], at(1)).await.expect("imported"), 120);
    assert_eq!(db.store.insert_cards(&cards, at(2)).await.expect("imported"), 110);
    let mut page = PageRequest { cursor: None, limit: Some(100) };
    let mut listed = Vec::new();
    loop {
        let answer = db.store.cards(None, &page).await.expect("readable");
        listed.extend(answer.items.into_iter().map(|card| card.id));
        page.cursor = answer.next;
        if page.cursor.is_none() {
            break;
        }
    }
    let newest_first: Vec<CardId> = (121..=230).rev().chain((1..=120).rev()).map(|number| CardId(id(number))).collect();
    assert_eq!(listed, newest_first);
    for number in [1, 120, 121, 230] {
        let found = db.store.cards_by_phone(e164(&digits(number))).await.expect("readable");
        assert_eq!(found.iter().map(|card| card.id).collect::<Vec<_>>(), [CardId(id(number))]);
    }
}

async fn candidates_tell_how_the_number_stands_on_each_card_and_when_we_last_spoke(db: TestDb) {
    db.store.create_card(&full_card(), at(1)).await.expect("made");
    let mut twice = card(2, "Пётр", "74957778899");
    twice.numbers.push(CardNumber {
        e164: e164("74957778899"),
        kind: "fax".into(),
        extension: Some("7".into()),
        is_shared: false,
    });
    db.store.create_card(&twice, at(2)).await.expect("made");
    let (log, writer) = open(&db.store).await;
    for number in [10, 20] {
        let mut view = call(number);
        view.card_id = Some(CardId(id(1)));
        log.submit(event(&ended(view, 100), EventKind::CallEnded)).expect("in line");
    }
    stop(log, writer).await;
    let found = db.store.candidates_by_phone(e164("74957778899")).await.expect("readable");
    let told: Vec<_> = found
        .iter()
        .map(|c| (c.brief.name.as_str(), c.number_kind, c.extension.as_deref(), c.is_shared, c.contacts, c.last_contact))
        .collect();
    assert_eq!(
        told,
        [
            ("Пётр", NumberKind::Mobile, None, false, 0, None),
            ("Пётр", NumberKind::Fax, Some("7"), false, 0, None),
            ("Анна Иванова", NumberKind::Work, Some("12"), true, 2, Some(at(20))),
        ]
    );
    assert_eq!(found[2].brief.url, format!("/clients/{}", id(1)));
    assert_eq!(found[2].brief.owner, Some("anna".into()));
}
