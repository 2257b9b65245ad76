//! Figures for docs/BENCHMARKS.md, not tests: `cargo test --test it store::measure -- --ignored --nocapture --test-threads=1`.
//! PostgreSQL's commits count only with `PEREZVON_TEST_PG_FSYNC=on scripts/with-postgres` before it.

use std::time::{Duration, Instant};

use perezvon::events::EventKind;
use perezvon::store::Retention;

use super::log::{open, stop};
use super::samples::{at, call, card, e164, ended, event};
use crate::support::databases::TestDb;

fn quantiles(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    format!("p50 {:?}  p99 {:?}  max {:?}", at(0.5), at(0.99), at(1.0))
}

fn backend(db: &TestDb) -> &'static str {
    if db.is_sqlite() { "SQLite" } else { "PostgreSQL" }
}

async fn measure_log(db: TestDb) {
    let (log, writer) = open(&db.store).await;
    let retention = Retention { events_for: Duration::from_hours(24 * 30), events_at_least: 100_000 };
    tokio::spawn(db.store.clone().run_upkeep(log.clone(), retention));
    let mut alone = Vec::new();
    for number in 1..=2_000 {
        let began = Instant::now();
        log.append(event(&call(number), EventKind::CallStarted)).await.expect("committed");
        alone.push(began.elapsed());
    }
    println!("{}: append to a quiet log: {}", backend(&db), quantiles(alone));

    let began = Instant::now();
    let appended: Vec<_> = (1..=20_000_u128)
        .map(|number| {
            let view = call(2_000 + number / 4);
            match number % 4 {
                3 => log.append(event(&ended(view, 9_000), EventKind::CallEnded)),
                _ => log.append(event(&view, EventKind::CallOffered)),
            }
        })
        .collect();
    for committed in appended {
        committed.await.expect("committed");
    }
    println!("{}: a burst: {:.0} events/s", backend(&db), 20_000.0 / began.elapsed().as_secs_f64());

    // 20 calls a second make some 200 events a second; ten times that, steadily.
    let mut ticker = tokio::time::interval(Duration::from_millis(5));
    let mut steady = Vec::new();
    for number in 0..1_000_u128 {
        ticker.tick().await;
        let began = Instant::now();
        let group: Vec<_> = (0..10).map(|n| log.append(event(&call(10_000 + number * 10 + n), EventKind::CallStarted))).collect();
        for committed in group {
            committed.await.expect("committed");
            steady.push(began.elapsed());
        }
    }
    println!("{}: append at 2,000 events/s: {}", backend(&db), quantiles(steady));
    stop(log, writer).await;
}

async fn measure_cards(db: TestDb) {
    let digits = |number: u128| (79_000_000_000 + number).to_string();
    let began = Instant::now();
    for start in (0..100_000_u128).step_by(10_000) {
        let cards: Vec<_> = (start..start + 10_000).map(|n| card(n, &format!("Клиент {n}"), &digits(n))).collect();
        db.store.insert_cards(&cards, at(i64::try_from(start).expect("small"))).await.expect("imported");
    }
    println!("{}: 100,000 cards imported in {:?}", backend(&db), began.elapsed());
    let (mut lookups, mut candidates) = (Vec::new(), Vec::new());
    for n in 0..10_000_u128 {
        let number = e164(&digits((n * 7_919) % 100_000));
        let began = Instant::now();
        assert_eq!(db.store.cards_by_phone(number).await.expect("readable").len(), 1);
        lookups.push(began.elapsed());
        let began = Instant::now();
        assert_eq!(db.store.candidates_by_phone(number).await.expect("readable").len(), 1);
        candidates.push(began.elapsed());
    }
    println!("{}: cards_by_phone at 100,000 cards: {}", backend(&db), quantiles(lookups));
    println!("{}: candidates_by_phone at 100,000 cards: {}", backend(&db), quantiles(candidates));
    let mut stubs = Vec::new();
    for n in 0..500_u128 {
        let began = Instant::now();
        db.store.create_stub_card(e164(&digits(200_000 + n)), None, at(0)).await.expect("made");
        stubs.push(began.elapsed());
    }
    println!("{}: create_stub_card: {}", backend(&db), quantiles(stubs));
    let began = Instant::now();
    db.store.cards(Some("никого такого"), &perezvon::store::PageRequest::default()).await.expect("readable");
    println!("{}: a search that finds nothing among 100,000 cards: {:?}", backend(&db), began.elapsed());
}

macro_rules! measured {
    ($($name:ident: $body:ident($db:expr);)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "measures; see the head of this file"]
            async fn $name() {
                $body($db.await).await;
            }
        )+
    };
}

measured! {
    log_on_sqlite: measure_log(TestDb::sqlite());
    log_on_postgres: measure_log(TestDb::postgres());
    cards_on_sqlite: measure_cards(TestDb::sqlite());
    cards_on_postgres: measure_cards(TestDb::postgres());
}
