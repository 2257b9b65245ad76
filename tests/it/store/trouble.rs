//! The database goes away, refuses an event, or is shared with another writer: the log keeps order and says so.

use std::time::Duration;

use perezvon::events::EventKind;
use perezvon::store::{LogError, Store};

use super::log::{open, stop};
use super::samples::{call, event, tick, tick_number};
use crate::support::databases::{TestDb, on_both};

on_both! {
    events_wait_in_memory_while_the_database_is_away_and_then_go_on_in_order,
    a_full_line_refuses_and_calls_go_on,
    a_stop_gives_up_on_a_dead_database_in_time_and_is_not_called_clean,
    an_event_that_the_database_refuses_is_dropped_alone,
    numbers_taken_by_another_writer_are_not_used_again,
}

async fn events_wait_in_memory_while_the_database_is_away_and_then_go_on_in_order(db: TestDb) {
    let (log, writer) = open(&db.store).await;
    log.append(tick(1)).await.expect("committed");
    db.execute("alter table events rename to hidden").await;
    let waiting: Vec<_> = (2..=300).map(|number| log.append(tick(number))).collect();
    let first = tokio::time::timeout(Duration::from_millis(300), log.append(tick(301))).await;
    assert!(first.is_err(), "nothing is said to be committed");
    assert_eq!(log.last_seq(), 1);
    db.execute("alter table hidden rename to events").await;
    for (committed, seq) in waiting.into_iter().zip(2..) {
        assert_eq!(committed.await.map(|c| c.seq), Ok(seq));
    }
    stop(log.clone(), writer).await;
    let numbers: Vec<u64> = log.read_after(0, 1_000).await.expect("readable").iter().map(|r| tick_number(&r.event)).collect();
    assert_eq!(numbers, (1..=301).collect::<Vec<u64>>());
}

async fn a_full_line_refuses_and_calls_go_on(db: TestDb) {
    let (log, writer) = open(&db.store).await;
    db.execute("alter table events rename to hidden").await;
    let mut accepted: u64 = 0;
    let refused = loop {
        match log.submit(tick(accepted + 1)) {
            Ok(()) => accepted += 1,
            Err(refused) => break refused,
        }
        assert!(accepted < 100_000, "the line is bounded");
    };
    assert_eq!(refused, LogError::Full);
    assert_eq!(log.append(tick(0)).await, Err(LogError::Full));
    db.execute("alter table hidden rename to events").await;
    assert!(log.stop(Duration::from_secs(300)).await);
    writer.await.unwrap();
    assert_eq!(db.count("select count(*) from events").await, i64::try_from(accepted).expect("small"));
    assert_eq!(log.last_seq(), accepted);
}

async fn a_stop_gives_up_on_a_dead_database_in_time_and_is_not_called_clean(db: TestDb) {
    let (log, writer) = open(&db.store).await;
    db.execute("alter table events rename to hidden").await;
    let appended = log.append(tick(1));
    assert!(!log.stop(Duration::from_millis(200)).await);
    tokio::time::timeout(Duration::from_secs(5), writer).await.expect("the writer ends").expect("without a panic");
    assert_eq!(appended.await, Err(LogError::Stopping));
    db.execute("alter table hidden rename to events").await;
    let db = db.reopen().await;
    let (log, writer) = open(&db.store).await;
    assert!(log.last_seq() >= 1_000_000);
    stop(log, writer).await;
}

async fn an_event_that_the_database_refuses_is_dropped_alone(db: TestDb) {
    let (log, writer) = open(&db.store).await;
    // A rule that one call breaks and no retry mends.
    let forbid = match db.is_sqlite() {
        true => {
            "create trigger no_such_number before insert on calls when new.to_number = 'bad'
                 begin select raise(abort, 'refused'); end"
        }
        false => "alter table calls add constraint no_such_number check (to_number <> 'bad')",
    };
    db.execute(forbid).await;
    let appended: Vec<_> = (1..=40_u128)
        .map(|number| {
            let mut view = call(number);
            if number == 17 {
                view.to = "bad".into();
            }
            log.append(event(&view, EventKind::CallStarted))
        })
        .collect();
    for (committed, number) in appended.into_iter().zip(1..) {
        let committed = committed.await;
        assert_eq!(matches!(committed, Err(LogError::Refused(_))), number == 17, "{number}: {committed:?}");
    }
    assert_eq!(db.count("select count(*) from calls").await, 39);
    assert_eq!(db.count("select count(*) from events").await, 39);
    stop(log, writer).await;
}

async fn numbers_taken_by_another_writer_are_not_used_again(db: TestDb) {
    let (log, writer) = open(&db.store).await;
    log.append(tick(1)).await.expect("committed");
    db.execute("insert into events (seq, at, type, body) values (7, '2025-11-24T16:00:00Z', 'x', '{}')").await;
    let seqs = [log.append(tick(2)).await, log.append(tick(3)).await].map(|c| c.map(|c| c.seq));
    // 2 is free and is taken; nothing ever lands on 7.
    assert_eq!(seqs[0], Ok(2));
    for number in 4..=10 {
        let seq = log.append(tick(number)).await.expect("committed").seq;
        assert_ne!(seq, 7);
    }
    stop(log, writer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_on_the_same_postgres_database_is_refused() {
    let db = TestDb::postgres().await;
    let (log, writer) = open(&db.store).await;
    let second = Store::open(&db.url, std::path::Path::new("/")).await.expect("opening is allowed: the CLI does it");
    let refused = second.open_log().await.expect_err("one log a database");
    assert!(refused.to_string().contains("another server"), "{refused}");
    stop(log, writer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_break_at_any_moment_neither_lose_nor_repeat_an_event() {
    let db = TestDb::postgres().await;
    let (log, writer) = open(&db.store).await;
    let appending = tokio::spawn({
        let log = log.clone();
        async move {
            for number in 1..=600 {
                assert_eq!(log.append(tick(number)).await.map(|c| c.seq), Ok(number));
            }
        }
    });
    // Some of these hit between a commit and its answer.
    let mut broken = 0;
    while !appending.is_finished() {
        broken += db
            .count(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity
                 where datname = current_database() and pid <> pg_backend_pid()",
            )
            .await;
        let before = log.last_seq();
        while log.last_seq() < before + 20 && !appending.is_finished() {
            tokio::task::yield_now().await;
        }
    }
    appending.await.expect("every event gets its number once");
    assert!(broken > 10, "{broken}");
    let stored = db.count("select count(*) from events where seq between 1 and 600").await;
    assert_eq!((stored, db.count("select count(*) from events").await), (600, 600));
    stop(log, writer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_does_not_keep_the_log_waiting() {
    let db = TestDb::sqlite().await;
    let (log, writer) = open(&db.store).await;
    let importing = tokio::spawn({
        let store = db.store.clone();
        async move {
            let digits = |n: u128| (79_000_000_000 + n).to_string();
            let cards: Vec<_> = (1..=5_000).map(|n| super::samples::card(n, "Импорт", &digits(n))).collect();
            store.insert_cards(&cards, super::samples::at(0)).await.expect("imported")
        }
    });
    let mut waits = Vec::new();
    let mut number = 0;
    while !importing.is_finished() {
        number += 1;
        let began = std::time::Instant::now();
        log.append(tick(number)).await.expect("committed");
        waits.push(began.elapsed());
    }
    assert_eq!(importing.await.expect("finished"), 5_000);
    waits.sort();
    let median = waits[waits.len() / 2];
    // One slice of the import may be before it; on a machine shared with other builds, several times that.
    assert!(waits.len() > 20 && median < Duration::from_millis(60), "{} events, median {median:?}", waits.len());
    stop(log, writer).await;
}
