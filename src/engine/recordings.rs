//! What the recorder tells becomes events: the row of `recordings`, the timeline and the diary follow from them.

use std::sync::Arc;

use super::house::House;
use crate::clock;
use crate::events::{Event, EventKind, RecordingState, RecordingView};
use crate::recording::{RecordingEvent, Repaired};
use crate::store::{LogWrite, Visible};
use crate::types::{LegView, RecordingId, Wall};

/// Called on the recorder's threads; must not block.
pub(super) fn tell(house: &Arc<House>, event: RecordingEvent) {
    let (kind, path): (fn(Box<RecordingView>) -> EventKind, _) = match &event {
        RecordingEvent::Started { path, .. } | RecordingEvent::Recovered { path, .. } => {
            (EventKind::RecordingStarted, path.clone())
        }
        RecordingEvent::Failed { path, .. } => (EventKind::RecordingFailed, path.clone()),
        RecordingEvent::Paused { path, .. } => (EventKind::RecordingPaused, path.clone()),
        RecordingEvent::Resumed { path, .. } => (EventKind::RecordingResumed, path.clone()),
        RecordingEvent::Ready { path, .. } => (EventKind::RecordingReady, path.clone()),
    };
    let (RecordingEvent::Started { view, .. }
    | RecordingEvent::Failed { view, .. }
    | RecordingEvent::Recovered { view, .. }
    | RecordingEvent::Paused { view, .. }
    | RecordingEvent::Resumed { view, .. }
    | RecordingEvent::Ready { view, .. }) = event;
    let is_over = matches!(view.state, RecordingState::Ready | RecordingState::Failed);
    if is_over && house.calls.take_discarded(view.id) {
        discard(house, view, path);
        return;
    }
    let address = house.calls.recording_address(view.id);
    if view.state == RecordingState::Ready {
        house.calls.forget_recording(view.id);
    }
    if view.trouble.is_some() && (view.state == RecordingState::Failed) {
        tracing::error!(recording.id = %view.id, "recording {} is in trouble; its gaps say what is missing", view.id);
    }
    let ready = (view.state == RecordingState::Ready).then_some((view.id, view.started_at));
    let event = Event {
        at: clock::wall(),
        call_id: Some(view.call_id),
        agent: address.agent,
        queue: address.queue,
        kind: kind(Box::new(view)),
    };
    let write = LogWrite { event, recording_path: Some(path) };
    match ready {
        Some((id, started)) => submit_and_settle(house, write, id, started),
        None => house.submit_write(write),
    }
}

/// Somebody who must not be recorded joined: the audio goes, and the row says why there is none.
fn discard(house: &Arc<House>, view: RecordingView, path: String) {
    let address = house.calls.recording_address(view.id);
    house.calls.forget_recording(view.id);
    let audio = house.recordings.join(&path);
    if let Err(error) = std::fs::remove_file(&audio) {
        tracing::error!(recording.id = %view.id, "recording {} must not be kept and could not be removed: {error}", view.id);
    }
    let (id, started) = (view.id, view.started_at);
    let trouble = Some("not kept: a person who is not recorded joined the call".to_string());
    let emptied = RecordingView {
        state: RecordingState::Failed,
        duration_ms: 0,
        bytes: 0,
        marks: Vec::new(),
        gaps: Vec::new(),
        trouble,
        ..view
    };
    let event = Event {
        at: clock::wall(),
        call_id: Some(emptied.call_id),
        agent: address.agent,
        queue: address.queue,
        kind: EventKind::RecordingFailed(Box::new(emptied)),
    };
    submit_and_settle(house, LogWrite { event, recording_path: Some(path) }, id, started);
}

/// The recorder keeps its notes of a recording until the database holds them.
fn submit_and_settle(house: &Arc<House>, write: LogWrite, id: RecordingId, started: Wall) {
    let appended = house.log.append(write);
    let house = house.clone();
    let runtime = house.runtime.clone();
    runtime.spawn(async move {
        match appended.await {
            // A recorder that has stopped leaves the notes, and the next start settles them.
            Ok(_) => drop(house.recorder.settle(id, started)),
            Err(error) => tracing::error!(recording.id = %id, "recording {id} is on the disk but not in the log: {error}"),
        }
    });
}

/// At start, after the calls of the killed server were closed: every recording that a kill left behind is mended and told.
pub(super) fn tell_repaired(house: &Arc<House>, repaired: Vec<Repaired>) {
    if repaired.is_empty() {
        return;
    }
    let house = house.clone();
    super::tasks::spawn("mended recordings", async move { tell_mended(&house, repaired).await });
}

async fn tell_mended(house: &Arc<House>, repaired: Vec<Repaired>) {
    for mended in repaired {
        // The kill may have come between the answer of a person who is not recorded and the removal of the audio.
        if is_forbidden(house, &mended).await {
            discard(house, mended.view, mended.path);
            continue;
        }
        let kind = match mended.view.state {
            RecordingState::Failed => EventKind::RecordingFailed,
            RecordingState::Ready | RecordingState::Recording => EventKind::RecordingReady,
        };
        tracing::info!(recording.id = %mended.id, "recording {} was mended after an unclean stop", mended.id);
        let event = Event {
            at: clock::wall(),
            call_id: Some(mended.call_id),
            agent: None,
            queue: None,
            kind: kind(Box::new(mended.view)),
        };
        let write = LogWrite { event, recording_path: Some(mended.path) };
        submit_and_settle(house, write, mended.id, mended.started_wall);
    }
}

/// Whether somebody who must not be recorded was on the call, as far as the log knows.
async fn is_forbidden(house: &House, mended: &Repaired) -> bool {
    let call = match house.store.call(mended.call_id, &Visible::All).await {
        Ok(call) => call,
        Err(error) => {
            tracing::error!(recording.id = %mended.id, "recording {}: its call cannot be read: {error}", mended.id);
            None
        }
    };
    let site = house.site.load();
    let unrecorded = |leg: &LegView| {
        let user = leg.agent.as_ref().and_then(|agent| site.users.get(agent));
        leg.answered_at.is_some() && user.is_some_and(|user| !user.record)
    };
    call.is_some_and(|call| call.legs.iter().any(unrecorded))
}
