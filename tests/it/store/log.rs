//! The event log as its users see it: numbers, order, followers, receipts, retention, restarts.

use std::time::Duration;

use perezvon::store::{EventLog, FeedEnd, FollowError, LogError, Store};
use perezvon::types::AgentId;
use tokio::task::JoinHandle;

use super::samples::{at, pop, tick, tick_number};
use crate::support::databases::{TestDb, on_both};

/// Time enough for anything that must happen, on a busy machine.
const SOON: Duration = Duration::from_secs(20);

pub async fn open(store: &Store) -> (EventLog, JoinHandle<()>) {
    let (log, writer) = store.open_log().await.expect("the log opens");
    (log, tokio::spawn(writer.run()))
}

pub async fn stop(log: EventLog, writer: JoinHandle<()>) {
    assert!(log.stop(SOON).await, "everything is committed at a clean stop");
    writer.await.expect("the writer ends");
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, what).await.expect("it happens soon")
}

on_both! {
    events_are_numbered_from_one_in_the_order_of_appending,
    a_stored_event_comes_back_as_it_was_published,
    nothing_is_seen_before_it_can_be_read_from_the_table,
    a_resumed_follower_misses_nothing_and_sees_nothing_twice,
    a_slow_follower_is_cut_off_and_can_resume,
    a_pops_receipt_comes_when_its_agents_socket_wrote_the_frame,
    a_pop_for_an_agent_without_a_screen_waits_for_those_who_watch,
    after_a_clean_stop_seq_goes_on_without_a_gap,
    after_an_unclean_stop_seq_jumps_ahead_and_old_positions_still_resume,
    retention_forgets_the_old_and_says_expired_to_whoever_asks_for_it,
    a_stop_ends_every_feed_after_its_last_event,
}

async fn events_are_numbered_from_one_in_the_order_of_appending(db: TestDb) {
    let (log, writer) = open(&db.store).await;
    let appended: Vec<_> = (1..=500).map(|number| log.append(tick(number))).collect();
    let mut seqs = Vec::new();
    for committed in appended {
        seqs.push(soon(committed).await.expect("it is committed").seq);
    }
    assert_eq!(seqs, (1..=500).collect::<Vec<u64>>());
    let stored = log.read_after(0, 1_000).await.expect("readable");
    assert_eq!(stored.iter().map(|r| tick_number(&r.event)).collect::<Vec<_>>(), seqs);
    assert_eq!(log.last_seq(), 500);
    stop(log, writer).await;
}

async fn a_stored_event_comes_back_as_it_was_published(db: TestDb) {
    let (log, writer) = open(&db.store).await;
    let mut feed = log.follow(None, None).expect("followable");
    let hostile = {
        let mut event = pop("anna");
        event.queue = Some("sales\0".into());
        event
    };
    for event in [tick(1), pop("anna"), hostile] {
        log.append(event).await.expect("committed");
        let live = soon(feed.next()).await.expect("published");
        let stored = log.read_after(live.seq - 1, 1).await.expect("readable").remove(0);
        assert_eq!((stored.seq, &stored.json, stored.at), (live.seq, &live.json, live.at));
        assert_eq!(stored.event.agent, live.event.agent);
        assert_eq!(stored.event.queue.map(|q| q.to_string()), live.event.queue.as_ref().map(|q| q.as_str().replace('\0', "")));
        let json: serde_json::Value = serde_json::from_str(&live.json).expect("JSON");
        assert_eq!(json["seq"], live.seq);
        assert_eq!(json["type"], live.event.kind.name());
        assert!(json["data"].is_object() && json.get("queue").is_none());
    }
    stop(log, writer).await;
}

async fn nothing_is_seen_before_it_can_be_read_from_the_table(db: TestDb) {
    let (log, writer) = open(&db.store).await;
    let mut feed = log.follow(None, None).expect("followable");
    for number in 0..200 {
        log.submit(tick(number)).expect("in line");
    }
    for _ in 0..200 {
        let live = soon(feed.next()).await.expect("published");
        let stored = log.read_after(live.seq - 1, 1).await.expect("readable");
        assert_eq!(stored.first().map(|r| r.seq), Some(live.seq));
    }
    stop(log, writer).await;
}

async fn a_resumed_follower_misses_nothing_and_sees_nothing_twice(db: TestDb) {
    let (log, writer) = open(&db.store).await;
    for number in 1..=1_700 {
        log.submit(tick(number)).expect("in line");
    }
    log.append(tick(1_701)).await.expect("committed");
    // While new events keep coming, followers start at every possible distance from the head.
    let adding = tokio::spawn({
        let log = log.clone();
        async move {
            for number in 1_702..=3_000 {
                log.append(tick(number)).await.expect("committed");
            }
        }
    });
    let mut followers = Vec::new();
    for after in [0, 1, 499, 500, 501, 1_000, 1_699, 1_700, 1_701] {
        let mut feed = log.follow(None, Some(after)).expect("followable");
        assert_eq!(feed.ready_seq(), after);
        followers.push(tokio::spawn(async move {
            for expected in after + 1..=3_000 {
                let recorded = feed.next().await.expect("no follower is cut off");
                assert_eq!((recorded.seq, tick_number(&recorded.event)), (expected, expected));
            }
        }));
    }
    for follower in followers {
        soon(follower).await.expect("every follower sees every event once");
    }
    adding.await.expect("all are added");
    stop(log, writer).await;
}

async fn a_slow_follower_is_cut_off_and_can_resume(db: TestDb) {
    let (log, writer) = open(&db.store).await;
    let mut slow = log.follow(None, None).expect("followable");
    let mut quick = log.follow(None, None).expect("followable");
    for number in 1..=1_100 {
        log.append(tick(number)).await.expect("committed");
        soon(quick.next()).await.expect("the quick one is not disturbed");
    }
    assert!(matches!(soon(slow.next()).await, Err(FeedEnd::TooSlow)));
    let mut resumed = log.follow(None, Some(slow.ready_seq())).expect("followable");
    for expected in 1..=1_100 {
        assert_eq!(soon(resumed.next()).await.expect("resumed").seq, expected);
    }
    stop(log, writer).await;
}

async fn a_pops_receipt_comes_when_its_agents_socket_wrote_the_frame(db: TestDb) {
    let (log, writer) = open(&db.store).await;
    let mut anna = log.follow(Some(AgentId::new("anna")), None).expect("followable");
    let mut olga = log.follow(Some(AgentId::new("olga")), None).expect("followable");
    let appended = soon(log.append_pop(pop("anna"))).await.expect("committed");
    let mut written = Box::pin(appended.receipt.written());
    let for_olga = soon(olga.next()).await.expect("published");
    olga.mark_written(&for_olga);
    let is_early = tokio::time::timeout(Duration::from_millis(50), &mut written).await;
    assert!(is_early.is_err(), "another person's screen is not the agent's");
    let for_anna = soon(anna.next()).await.expect("published");
    anna.mark_written(&for_anna);
    assert!(soon(written).await);
    stop(log, writer).await;
}

async fn a_pop_for_an_agent_without_a_screen_waits_for_those_who_watch(db: TestDb) {
    let (log, writer) = open(&db.store).await;
    let appended = soon(log.append_pop(pop("anna"))).await.expect("committed");
    assert!(!soon(appended.receipt.written()).await, "nobody watches");

    let mut olga = log.follow(Some(AgentId::new("olga")), None).expect("followable");
    let mut robot = log.follow(None, None).expect("followable");
    let appended = soon(log.append_pop(pop("anna"))).await.expect("committed");
    let mut written = Box::pin(appended.receipt.written());
    let for_olga = soon(olga.next()).await.expect("published");
    olga.mark_written(&for_olga);
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut written).await.is_err(), "the robot does not have it yet");
    let for_robot = soon(robot.next()).await.expect("published");
    robot.mark_written(&for_robot);
    assert!(soon(written).await);

    // And a screen that closes before it wrote lets go at once.
    drop((for_olga, for_robot, olga, robot));
    let anna = log.follow(Some(AgentId::new("anna")), None).expect("followable");
    let appended = soon(log.append_pop(pop("anna"))).await.expect("committed");
    drop(anna);
    assert!(!soon(appended.receipt.written()).await);
    stop(log, writer).await;
}

async fn after_a_clean_stop_seq_goes_on_without_a_gap(db: TestDb) {
    let (log, writer) = open(&db.store).await;
    log.append(tick(1)).await.expect("committed");
    let late = log.clone();
    stop(log, writer).await;
    assert_eq!(late.append(tick(2)).await, Err(LogError::Stopping));
    assert_eq!(late.submit(tick(2)), Err(LogError::Stopping));
    assert!(matches!(late.follow(None, None), Err(FollowError::Stopping)));
    let db = db.reopen().await;
    let (log, writer) = open(&db.store).await;
    assert_eq!(log.last_seq(), 1);
    assert_eq!(log.append(tick(2)).await.expect("committed").seq, 2);
    stop(log, writer).await;
}

async fn after_an_unclean_stop_seq_jumps_ahead_and_old_positions_still_resume(db: TestDb) {
    let (log, writer) = open(&db.store).await;
    log.append(tick(1)).await.expect("committed");
    writer.abort();
    assert!(writer.await.is_err());
    drop(log);
    let db = db.reopen().await;
    let (log, writer) = open(&db.store).await;
    // A client may have seen events that a power cut took: their numbers must not come again.
    let mut feed = log.follow(None, Some(57)).expect("a position inside the jump is behind the head");
    let seq = log.append(tick(2)).await.expect("committed").seq;
    assert!(seq > 1_000_000, "{seq}");
    assert_eq!(soon(feed.next()).await.expect("published").seq, seq);
    let all: Vec<u64> = log.read_after(0, 10).await.expect("readable").iter().map(|r| r.seq).collect();
    assert_eq!(all, [1, seq]);
    stop(log, writer).await;
}

async fn retention_forgets_the_old_and_says_expired_to_whoever_asks_for_it(db: TestDb) {
    let (log, writer) = open(&db.store).await;
    for number in 1..=1_200 {
        let mut event = tick(number);
        event.at = at(i64::try_from(number).expect("small"));
        log.submit(event).expect("in line");
    }
    log.append(tick(1_201)).await.expect("committed");
    let mut started_before = log.follow(None, Some(3)).expect("followable");
    assert_eq!(log.trim(at(1_101), 300).await.expect("trimmed"), 901, "the newest 300 stay, however old");
    assert_eq!(log.first_seq(), 902);
    assert_eq!(log.trim(at(1_101), 10).await.expect("trimmed"), 199, "what is young stays");
    assert_eq!(log.first_seq(), 1_101);
    assert!(matches!(log.follow(None, Some(1_099)), Err(FollowError::Expired)));
    assert!(matches!(soon(started_before.next()).await, Err(FeedEnd::Expired)));
    let mut feed = log.follow(None, Some(1_100)).expect("the oldest kept position is followable");
    assert_eq!(soon(feed.next()).await.expect("readable").seq, 1_101);
    assert!(matches!(log.follow(None, Some(1_202)), Err(FollowError::Expired)), "never given out");
    // Even an emptied log never goes back.
    assert_eq!(log.trim(at(100_000), 0).await.expect("trimmed"), 101);
    stop(log, writer).await;
    let db = db.reopen().await;
    let (log, writer) = open(&db.store).await;
    assert_eq!((log.first_seq(), log.append(tick(1)).await.expect("committed").seq), (1_202, 1_202));
    stop(log, writer).await;
}

async fn a_stop_ends_every_feed_after_its_last_event(db: TestDb) {
    let (log, writer) = open(&db.store).await;
    let mut feed = log.follow(None, None).expect("followable");
    log.submit(tick(1)).expect("in line");
    log.submit(tick(2)).expect("in line");
    stop(log, writer).await;
    assert_eq!(soon(feed.next()).await.expect("committed at the stop").seq, 1);
    assert_eq!(soon(feed.next()).await.expect("committed at the stop").seq, 2);
    assert!(matches!(soon(feed.next()).await, Err(FeedEnd::Stopped)));
}
