//! Upkeep beside the writer: it forgets what has served its time and ends with the log.

use std::time::Duration;

use perezvon::clock;
use perezvon::store::{Retention, SessionKind};
use perezvon::types::{AgentId, Wall};

use super::log::{open, stop};
use super::samples::{at, tick};
use crate::support::databases::{TestDb, on_both};

on_both! {
    upkeep_forgets_old_events_and_sessions_and_ends_with_the_log,
}

async fn upkeep_forgets_old_events_and_sessions_and_ends_with_the_log(db: TestDb) {
    let (log, writer) = open(&db.store).await;
    let now = clock::wall();
    let moment = |seconds_ago: i64| Wall::from_micros(now.as_micros() - seconds_ago * 1_000_000);
    for (number, seconds_ago) in [(1, 7_200), (2, 7_100), (3, 60), (4, 0)] {
        log.append(perezvon::events::Event { at: moment(seconds_ago), ..tick(number) }).await.unwrap();
    }
    let anna = AgentId::new("anna");
    db.store.create_session(&anna, SessionKind::Browser, Some(Duration::from_secs(1)), at(0)).await.unwrap();
    db.store.create_session(&anna, SessionKind::Browser, Some(Duration::from_hours(1)), now).await.unwrap();
    let retention = Retention { events_for: Duration::from_hours(1), events_at_least: 1 };
    let upkeep = tokio::spawn(db.store.clone().run_upkeep(log.clone(), retention));
    let swept = async {
        while log.first_seq() < 3 || db.count("select count(*) from sessions").await > 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), swept).await.expect("it sweeps soon after its start");
    assert_eq!(log.first_seq(), 3);
    assert_eq!(db.count("select count(*) from events").await, 2);
    stop(log, writer).await;
    tokio::time::timeout(Duration::from_secs(20), upkeep).await.expect("it ends with the log").unwrap();
}
