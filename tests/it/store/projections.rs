//! Rows and log cannot disagree: whatever events say last is what `calls`, `recordings` and timelines show.

use std::collections::HashMap;

use perezvon::agents::LastSeen;
use perezvon::events::{AgentView, Event, EventKind, RecordingState};
use perezvon::store::{CallFilter, PageRequest, RecordingFilter, Visible};
use perezvon::types::{AgentState, CallId, CallState, CallView, CardId, EndCause, EndedBy, LegState};

use super::log::{open, stop};
use super::samples::{at, call, ended, event, id, leg, recording, recording_event};
use crate::support::databases::{TestDb, on_both};

fn first_page() -> PageRequest {
    PageRequest::default()
}

on_both! {
    each_call_row_is_what_its_last_event_said,
    a_recording_keeps_its_path_and_follows_its_events,
    a_call_stands_once_on_its_cards_timeline_with_its_recording,
    a_recording_that_is_ready_before_its_call_ends_is_on_the_timeline_too,
    calls_left_open_by_a_kill_are_ended_through_the_log,
    agents_are_remembered_as_they_were_shown_and_as_they_rest,
    hostile_text_is_stored_as_it_was_said,
}

async fn each_call_row_is_what_its_last_event_said(db: TestDb) {
    let (log, writer) = open(&db.store).await;
    let mut views: Vec<CallView> = (1..=60).map(call).collect();
    for view in &views {
        log.submit(event(view, EventKind::CallStarted)).expect("in line");
    }
    for step in 0..200_usize {
        let view = &mut views[(step * 7) % 60];
        view.agent = Some(format!("agent-{}", step % 5).as_str().into());
        view.state = if step % 2 == 0 { CallState::Offered } else { CallState::Talking };
        view.legs.push(leg(step as u64, "anna"));
        log.submit(event(view, EventKind::CallOffered)).expect("in line");
    }
    for view in views.iter_mut().take(30) {
        *view = ended(view.clone(), 500);
        log.submit(event(view, EventKind::CallEnded)).expect("in line");
    }
    stop(log.clone(), writer).await;

    let mut last_said: HashMap<CallId, CallView> = HashMap::new();
    for recorded in log.read_after(0, 1_000).await.expect("readable") {
        if let EventKind::CallStarted(view) | EventKind::CallOffered(view) | EventKind::CallEnded(view) = recorded.event.kind {
            last_said.insert(view.id, *view);
        }
    }
    let rows = db.store.calls(&CallFilter::default(), &first_page()).await.expect("readable").items;
    assert_eq!(rows.len(), 60);
    for row in rows {
        assert_eq!(Some(&row), last_said.get(&row.id));
    }
    assert_eq!(db.count("select count(*) from calls where state = 'ended'").await, 30);
    assert_eq!(db.count("select count(*) from calls where ended_at is not null").await, 30);
}

async fn a_recording_keeps_its_path_and_follows_its_events(db: TestDb) {
    let (log, writer) = open(&db.store).await;
    let view = call(1);
    let mut audio = recording(1, &view);
    let mut started: perezvon::store::LogWrite = recording_event(&audio, EventKind::RecordingStarted).into();
    started.recording_path = Some("2025/11/one.wav".into());
    log.append(event(&view, EventKind::CallStarted)).await.expect("committed");
    log.append(started).await.expect("committed");
    let unfinished = db.store.unfinished_recordings().await.expect("readable");
    assert_eq!(unfinished.iter().map(|r| r.view.id).collect::<Vec<_>>(), [audio.id]);
    audio.state = RecordingState::Ready;
    audio.duration_ms = 61_000;
    log.append(recording_event(&audio, EventKind::RecordingReady)).await.expect("committed");
    let stored = db.store.recording(audio.id, &Visible::All).await.expect("readable").expect("stored");
    assert_eq!(stored.view, audio);
    assert_eq!(stored.path.as_deref(), Some("2025/11/one.wav"));
    assert_eq!(stored.call, Some(view));
    assert!(db.store.unfinished_recordings().await.expect("readable").is_empty());
    stop(log, writer).await;
}

async fn a_call_stands_once_on_its_cards_timeline_with_its_recording(db: TestDb) {
    let (log, writer) = open(&db.store).await;
    let card = CardId(id(900));
    let mut view = call(1);
    view.card_id = Some(card);
    log.submit(event(&view, EventKind::CallStarted)).expect("in line");
    let entries = |card| {
        let store = db.store.clone();
        async move { store.timeline(card, &PageRequest::default()).await.expect("readable").items }
    };
    let view = ended(view, 40);
    log.append(event(&view, EventKind::CallEnded)).await.expect("committed");
    log.append(event(&view, EventKind::CallEnded)).await.expect("a repeat is harmless");
    let mut audio = recording(1, &view);
    audio.state = RecordingState::Ready;
    log.append(recording_event(&audio, EventKind::RecordingReady)).await.expect("committed");
    let on_card = entries(card).await;
    assert_eq!(on_card.len(), 1);
    assert_eq!((on_card[0].kind.as_str(), on_card[0].at), ("call", view.started_at));
    assert_eq!((on_card[0].call.as_ref(), on_card[0].recording.as_ref()), (Some(&view), Some(&audio)));
    // The call turns out to be another client's.
    let other = CardId(id(901));
    let moved = CallView { card_id: Some(other), ..view };
    log.append(event(&moved, EventKind::CallEnded)).await.expect("committed");
    assert_eq!((entries(card).await.len(), entries(other).await.len()), (0, 1));
    stop(log, writer).await;
}

async fn a_recording_that_is_ready_before_its_call_ends_is_on_the_timeline_too(db: TestDb) {
    let (log, writer) = open(&db.store).await;
    let mut view = call(1);
    view.card_id = Some(CardId(id(900)));
    let mut audio = recording(1, &view);
    audio.state = RecordingState::Ready;
    log.submit(event(&view, EventKind::CallStarted)).expect("in line");
    log.append(recording_event(&audio, EventKind::RecordingReady)).await.expect("committed");
    log.append(event(&ended(view, 9), EventKind::CallEnded)).await.expect("committed");
    let on_card = db.store.timeline(CardId(id(900)), &first_page()).await.expect("readable").items;
    assert_eq!(on_card.iter().map(|entry| entry.recording.as_ref().map(|r| r.id)).collect::<Vec<_>>(), [Some(audio.id)]);
    stop(log, writer).await;
}

async fn calls_left_open_by_a_kill_are_ended_through_the_log(db: TestDb) {
    let (log, writer) = open(&db.store).await;
    for number in 1..=700 {
        let mut view = call(number);
        view.legs.push(leg(1, "anna"));
        log.submit(event(&view, EventKind::CallStarted)).expect("in line");
    }
    log.append(event(&ended(call(701), 800), EventKind::CallEnded)).await.expect("committed");
    writer.abort();
    assert!(writer.await.is_err());
    drop(log);

    let db = db.reopen().await;
    let (log, writer) = open(&db.store).await;
    let before = log.last_seq();
    let mut feed = log.follow(None, None).expect("followable");
    assert_eq!(log.close_open_calls(at(1_000)).await.expect("closed"), 700);
    assert_eq!(log.close_open_calls(at(1_001)).await.expect("nothing left"), 0);
    let seen = feed.next().await.expect("published");
    assert!(seen.seq > before && seen.event.kind.name() == "call.ended");
    let active = CallFilter { active: Some(true), ..CallFilter::default() };
    assert!(db.store.calls(&active, &first_page()).await.expect("readable").items.is_empty());
    let view = db.store.call(CallId(id(5)), &Visible::All).await.expect("readable").expect("stored");
    assert_eq!((view.state, view.cause, view.ended_by), (CallState::Ended, Some(EndCause::ServerRestart), Some(EndedBy::System)));
    assert_eq!((view.ended_at, view.legs[0].state, view.legs[0].ended_at), (Some(at(1_000)), LegState::Ended, Some(at(1_000))));
    let untouched = db.store.call(CallId(id(701)), &Visible::All).await.expect("readable").expect("stored");
    assert_eq!(untouched.cause, Some(EndCause::Normal));
    stop(log, writer).await;
}

async fn hostile_text_is_stored_as_it_was_said(db: TestDb) {
    let (log, writer) = open(&db.store).await;
    let mut view = call(1);
    view.from.number = Some("anonymous\0'; drop table calls; --".into());
    view.from.display = Some("\u{0}\u{202e}<script>".into());
    view.to = "\0".into();
    // Too long for an index entry, and random, so that no compression makes it fit.
    view.legs = vec![leg(1, &hex::encode(rand::random_iter::<u8>().take(8_000).collect::<Vec<u8>>()))];
    view.queue = Some(hex::encode(rand::random_iter::<u8>().take(8_000).collect::<Vec<u8>>()).as_str().into());
    log.append(event(&view, EventKind::CallStarted)).await.expect("committed");
    let stored = db.store.call(view.id, &Visible::All).await.expect("readable").expect("stored");
    assert_eq!(stored, view);
    let recordings = db.store.recordings(&RecordingFilter::default(), &first_page()).await.expect("readable");
    assert!(recordings.items.is_empty());
    stop(log, writer).await;
}

async fn agents_are_remembered_as_they_were_shown_and_as_they_rest(db: TestDb) {
    let (log, writer) = open(&db.store).await;
    let is = |login: &str, state: AgentState, reason: Option<&str>| {
        let view = AgentView {
            login: login.into(),
            name: login.into(),
            team: None,
            extension: None,
            state,
            reason: reason.map(str::to_owned),
            since: at(1),
            until: None,
            call_id: None,
            queues: Vec::new(),
            registered: true,
        };
        let kind = EventKind::AgentStateChanged(view);
        Event { at: at(0), call_id: None, agent: Some(login.into()), queue: None, kind }
    };
    for write in [
        is("anna", AgentState::Break, Some("lunch")),
        is("anna", AgentState::Talking, None),
        is("boris", AgentState::Ready, None),
        is("boris", AgentState::NotAnswering, Some("no_answer")),
        is("galina", AgentState::Ready, None),
        is("galina", AgentState::Offline, None),
        is("vera", AgentState::Talking, None),
    ] {
        // Some of them share a transaction.
        log.submit(write).expect("in line");
    }
    stop(log, writer).await;
    let seen = |state, rest, reason: Option<&str>| LastSeen { state, rest, reason: reason.map(str::to_owned) };
    let expected = [
        ("anna".into(), seen(AgentState::Talking, AgentState::Break, Some("lunch"))),
        ("boris".into(), seen(AgentState::NotAnswering, AgentState::Ready, None)),
        ("vera".into(), seen(AgentState::Talking, AgentState::Offline, None)),
    ];
    let mut agents = db.store.last_floor().await.expect("readable").agents;
    agents.sort_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
    assert_eq!(agents, expected);
}
