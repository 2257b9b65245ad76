//! Lists: order, pages, filters and what a person may see.

use perezvon::events::EventKind;
use perezvon::store::{CallFilter, PageRequest, RecordingFilter, Store, StoreError, Visible};
use perezvon::types::{CallId, CardId};

use super::log::{open, stop};
use super::samples::{call, ended, event, id, leg, recording, recording_event};
use crate::support::databases::{TestDb, on_both};

/// The numbers of the calls (see `samples::call`) that a filter finds, page by page.
async fn found(store: &Store, filter: &CallFilter, limit: u32) -> Vec<u128> {
    let mut page = PageRequest { cursor: None, limit: Some(limit) };
    let mut numbers = Vec::new();
    loop {
        let answer = store.calls(filter, &page).await.expect("readable");
        assert!(answer.items.len() <= limit as usize);
        numbers.extend(answer.items.iter().map(|view| view.id.0.as_u128() - id(0).as_u128()));
        match answer.next {
            Some(next) => page.cursor = Some(next),
            None => return numbers,
        }
    }
}

/// Ten calls: odd ones ended; 1–3 anna's, 4–6 offered to anna but taken by olga, 7 of queue `support`, 8 of card 900,
/// 9 from another number, 9 and 10 begun in the same moment.
async fn ten_calls(store: &Store) {
    let (log, writer) = open(store).await;
    for number in 1..=10 {
        let mut view = call(number);
        match number {
            1..=3 => view.agent = Some("anna".into()),
            4..=6 => {
                view.agent = Some("olga".into());
                view.legs = vec![leg(1, "anna"), leg(2, "olga")];
            }
            7 => view.queue = Some("support".into()),
            8 => view.card_id = Some(CardId(id(900))),
            9 => {
                view.from.number = Some("+74950000009".into());
                view.started_at = call(10).started_at;
            }
            _ => {}
        }
        log.submit(event(&view, EventKind::CallStarted)).expect("in line");
        if number % 2 == 1 {
            log.submit(event(&ended(view.clone(), 100), EventKind::CallEnded)).expect("in line");
        }
        log.submit(recording_event(&recording(number, &view), EventKind::RecordingStarted)).expect("in line");
    }
    stop(log, writer).await;
}

fn sees(agents: &[&str], queues: &[&str]) -> Visible {
    Visible::Only {
        agents: agents.iter().map(|login| (*login).into()).collect(),
        queues: queues.iter().map(|queue| (*queue).into()).collect(),
    }
}

on_both! {
    calls_are_listed_newest_first_whatever_the_page,
    calls_that_arrive_between_two_pages_neither_hide_nor_repeat_any,
    each_filter_narrows_and_filters_combine,
    a_person_sees_their_own_calls_and_those_of_their_queues,
    recordings_are_found_by_their_call_and_what_their_call_tells,
    a_foreign_cursor_is_an_error_of_the_asker,
}

async fn calls_are_listed_newest_first_whatever_the_page(db: TestDb) {
    ten_calls(&db.store).await;
    for limit in [1, 2, 3, 9, 10, 11] {
        assert_eq!(found(&db.store, &CallFilter::default(), limit).await, [10, 9, 8, 7, 6, 5, 4, 3, 2, 1], "{limit}");
    }
}

async fn calls_that_arrive_between_two_pages_neither_hide_nor_repeat_any(db: TestDb) {
    ten_calls(&db.store).await;
    let first = db.store.calls(&CallFilter::default(), &PageRequest { cursor: None, limit: Some(4) }).await.expect("readable");
    let (log, writer) = open(&db.store).await;
    log.append(event(&call(11), EventKind::CallStarted)).await.expect("committed");
    stop(log, writer).await;
    let second =
        db.store.calls(&CallFilter::default(), &PageRequest { cursor: first.next, limit: Some(100) }).await.expect("readable");
    let numbers: Vec<u128> = second.items.iter().map(|view| view.id.0.as_u128() - id(0).as_u128()).collect();
    assert_eq!(numbers, [6, 5, 4, 3, 2, 1]);
    assert_eq!(second.next, None);
}

async fn each_filter_narrows_and_filters_combine(db: TestDb) {
    ten_calls(&db.store).await;
    let all = CallFilter::default;
    let cases: Vec<(CallFilter, &[u128])> = vec![
        (CallFilter { active: Some(true), ..all() }, &[10, 8, 6, 4, 2]),
        (CallFilter { active: Some(false), ..all() }, &[9, 7, 5, 3, 1]),
        (CallFilter { agent: Some("anna".into()), ..all() }, &[6, 5, 4, 3, 2, 1]),
        (CallFilter { agent: Some("olga".into()), ..all() }, &[6, 5, 4]),
        (CallFilter { queue: Some("support".into()), ..all() }, &[7]),
        (CallFilter { card: Some(CardId(id(900))), ..all() }, &[8]),
        (CallFilter { number: Some("+74950000009".into()), ..all() }, &[9]),
        (CallFilter { number: Some("+74951234567".into()), active: Some(true), ..all() }, &[10, 8, 6, 4, 2]),
        (CallFilter { agent: Some("anna".into()), active: Some(true), ..all() }, &[6, 4, 2]),
        (CallFilter { agent: Some("nobody".into()), ..all() }, &[]),
    ];
    for (filter, expected) in cases {
        assert_eq!(found(&db.store, &filter, 2).await, expected, "{filter:?}");
    }
}

async fn a_person_sees_their_own_calls_and_those_of_their_queues(db: TestDb) {
    ten_calls(&db.store).await;
    let cases: [(Visible, &[u128]); 5] = [
        (Visible::All, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]),
        (sees(&["olga"], &[]), &[6, 5, 4]),
        (sees(&[], &["support"]), &[7]),
        (sees(&["olga", "anna"], &["support"]), &[7, 6, 5, 4, 3, 2, 1]),
        (sees(&[], &[]), &[]),
    ];
    for (visible, expected) in cases {
        let filter = CallFilter { visible: visible.clone(), ..CallFilter::default() };
        assert_eq!(found(&db.store, &filter, 3).await, expected, "{visible:?}");
        let filter = RecordingFilter { visible: visible.clone(), ..RecordingFilter::default() };
        let recordings = db.store.recordings(&filter, &PageRequest::default()).await.expect("readable").items;
        let calls: Vec<u128> = recordings.iter().map(|r| r.view.call_id.0.as_u128() - id(0).as_u128()).collect();
        assert_eq!(calls, expected, "{visible:?}");
        for number in 1..=10 {
            let call = db.store.call(CallId(id(number)), &visible).await.expect("readable");
            let audio =
                db.store.recording(recording(number, &super::samples::call(number)).id, &visible).await.expect("readable");
            assert_eq!((call.is_some(), audio.is_some()), (expected.contains(&number), expected.contains(&number)));
        }
    }
}

async fn recordings_are_found_by_their_call_and_what_their_call_tells(db: TestDb) {
    ten_calls(&db.store).await;
    let all = RecordingFilter::default;
    let cases: Vec<(RecordingFilter, usize)> = vec![
        (RecordingFilter { call: Some(CallId(id(3))), ..all() }, 1),
        (RecordingFilter { agent: Some("olga".into()), ..all() }, 3),
        (RecordingFilter { queue: Some("support".into()), ..all() }, 1),
        (RecordingFilter { card: Some(CardId(id(900))), ..all() }, 1),
        (RecordingFilter { card: Some(CardId(id(1))), ..all() }, 0),
    ];
    for (filter, count) in cases {
        let answer = db.store.recordings(&filter, &PageRequest::default()).await.expect("readable");
        assert_eq!(answer.items.len(), count, "{filter:?}");
    }
    let pages = db.store.recordings(&all(), &PageRequest { cursor: None, limit: Some(9) }).await.expect("readable");
    let rest = db.store.recordings(&all(), &PageRequest { cursor: pages.next, limit: None }).await.expect("readable");
    assert_eq!((pages.items.len(), rest.items.len(), rest.next), (9, 1, None));
}

async fn a_foreign_cursor_is_an_error_of_the_asker(db: TestDb) {
    let page = PageRequest { cursor: Some("' or 1=1 --".into()), limit: None };
    assert!(matches!(db.store.calls(&CallFilter::default(), &page).await, Err(StoreError::Cursor)));
    assert!(matches!(db.store.cards(None, &page).await, Err(StoreError::Cursor)));
    assert!(matches!(db.store.timeline(CardId(id(1)), &page).await, Err(StoreError::Cursor)));
}
