//! Calls, events and cards of the two teams.

use perezvon::events::{
    AgentView, CardBrief, Event, EventKind, Match, Pop, PopCaller, RecordingState, RecordingView, RetractReason,
};
use perezvon::store::{CardNumber, LogWrite, NewCard};
use perezvon::types::{
    AgentId, AgentState, CallId, CallKind, CallState, CallView, CardId, E164, EndCause, EndedBy, LegId, LegRole, LegState,
    LegView, Party, PopId, RecordingId, Wall,
};
use uuid::Uuid;

pub fn at(seconds: i64) -> Wall {
    Wall::from_micros(1_764_000_000_000_000 + seconds * 1_000_000)
}

pub fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + number)
}

/// A ringing inbound call of nobody, begun at `at(number)`.
pub fn call(number: u128) -> CallView {
    CallView {
        id: CallId(id(number)),
        kind: CallKind::Inbound,
        state: CallState::Ringing,
        from: Party { number: Some("+79160000001".into()), display: Some("<script>alert(1)</script>".into()) },
        to: "+74951234567".into(),
        trunk: Some("carrier".into()),
        queue: None,
        agent: None,
        card_id: None,
        source: None,
        started_at: at(i64::try_from(number).unwrap()),
        answered_at: None,
        ended_at: None,
        cause: None,
        ended_by: None,
        recording_id: None,
        legs: Vec::new(),
        consult_of: None,
        merged_into: None,
    }
}

/// A call of this agent through this queue.
pub fn call_of(number: u128, agent: &str, queue: Option<&str>) -> CallView {
    let leg = LegView {
        id: LegId(u64::try_from(number).unwrap()),
        role: LegRole::Agent,
        state: LegState::Answered,
        party: Party::default(),
        agent: Some(agent.into()),
        trunk: None,
        started_at: at(1),
        answered_at: Some(at(2)),
        ended_at: None,
    };
    CallView {
        agent: Some(agent.into()),
        queue: queue.map(Into::into),
        state: CallState::Talking,
        legs: vec![leg],
        ..call(number)
    }
}

pub fn ended(call: CallView) -> CallView {
    CallView {
        state: CallState::Ended,
        ended_at: Some(at(5000)),
        cause: Some(EndCause::Normal),
        ended_by: Some(EndedBy::Caller),
        ..call
    }
}

pub fn call_event(call: &CallView, kind: fn(Box<CallView>) -> EventKind) -> Event {
    event(Some(call.id), call.agent.clone(), call.queue.clone(), kind(Box::new(call.clone())))
}

pub fn event(call_id: Option<CallId>, agent: Option<AgentId>, queue: Option<perezvon::types::QueueId>, kind: EventKind) -> Event {
    Event { at: at(1), call_id, agent, queue, kind }
}

pub fn agent_view(login: &str) -> AgentView {
    AgentView {
        login: login.into(),
        name: login.into(),
        team: None,
        extension: None,
        state: AgentState::Ready,
        reason: None,
        since: at(0),
        until: None,
        call_id: None,
        queues: Vec::new(),
        registered: true,
    }
}

/// An agent's state changed: the smallest event.
pub fn tick(login: &str) -> Event {
    event(None, Some(login.into()), None, EventKind::AgentStateChanged(agent_view(login)))
}

pub fn pop(agent: &str, queue: Option<&str>) -> Event {
    let pop = Pop {
        pop_id: PopId(id(1)),
        caller: PopCaller { number: Some("+79160000001".into()), display: None },
        called: "+74951234567".into(),
        queue: queue.map(Into::into),
        matched: Match::Known,
        reason: "reason".into(),
        card: Some(CardBrief {
            id: CardId(id(7)),
            name: "Пётр".into(),
            company: None,
            owner: None,
            url: "/clients/7".into(),
            tags: Vec::new(),
            fields: serde_json::Map::new(),
        }),
        candidates: Vec::new(),
        late: false,
    };
    event(Some(CallId(id(1))), Some(agent.into()), queue.map(Into::into), EventKind::PopShown(Box::new(pop)))
}

pub fn retracted(agent: &str, queue: Option<&str>) -> Event {
    let kind = EventKind::PopRetracted { pop_id: PopId(id(1)), reason: RetractReason::Abandoned };
    event(Some(CallId(id(1))), Some(agent.into()), queue.map(Into::into), kind)
}

pub fn recording(number: u128, call: &CallView) -> RecordingView {
    RecordingView {
        id: RecordingId(id(number)),
        call_id: call.id,
        state: RecordingState::Ready,
        started_at: call.started_at,
        duration_ms: 1000,
        sample_rate: 8000,
        channels: 2,
        bytes: 0,
        marks: Vec::new(),
        gaps: Vec::new(),
        trouble: None,
    }
}

/// The events that make the database know a finished call and its recording at `path`.
pub fn recorded_call(call: &CallView, recording: &RecordingView, path: &str) -> Vec<LogWrite> {
    let mut kept = call.clone();
    kept.recording_id = Some(recording.id);
    let write = |event: Event| LogWrite { event, recording_path: Some(path.into()) };
    let of = |kind| event(Some(call.id), call.agent.clone(), call.queue.clone(), kind);
    let started = RecordingView { state: RecordingState::Recording, ..recording.clone() };
    let mut writes = vec![
        LogWrite::from(call_event(&kept, EventKind::CallStarted)),
        write(of(EventKind::RecordingStarted(Box::new(started)))),
        LogWrite::from(call_event(&ended(kept), EventKind::CallEnded)),
    ];
    match recording.state {
        RecordingState::Ready => writes.push(write(of(EventKind::RecordingReady(Box::new(recording.clone()))))),
        RecordingState::Failed => writes.push(write(of(EventKind::RecordingFailed(Box::new(recording.clone()))))),
        RecordingState::Recording => {}
    }
    writes
}

pub fn card(number: u128, name: &str, owner: Option<&str>, digits: &str) -> NewCard {
    let e164 = E164::from_digits(digits).unwrap();
    NewCard {
        id: CardId(id(number)),
        name: name.into(),
        company: None,
        numbers: vec![CardNumber { e164, kind: "mobile".into(), extension: None, is_shared: false }],
        emails: Vec::new(),
        source: None,
        owner: owner.map(Into::into),
        tags: Vec::new(),
        fields: serde_json::Map::new(),
        language: None,
    }
}
