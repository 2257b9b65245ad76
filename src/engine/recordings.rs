//! What the recorder tells becomes events: the row of `recordings`, the timeline and the diary follow from them.

use std::sync::Arc;

use super::house::House;
use crate::clock;
use crate::events::{Event, EventKind, RecordingState, RecordingView};
use crate::recording::{RecordingEvent, Repaired, not_kept};
use crate::store::LogWrite;
use crate::types::{RecordingId, Wall};

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
    let emptied = not_kept(view);
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

/// At start, after the calls of the killed server were closed: every recording that a kill left behind has been mended
/// or removed, and is told.
pub(super) fn tell_repaired(house: &Arc<House>, repaired: Vec<Repaired>) {
    for mended in repaired {
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
