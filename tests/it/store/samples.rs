//! Calls, events and cards to fill a store with.

use perezvon::events::{AgentView, CardBrief, Event, EventKind, Match, Pop, PopCaller, RecordingState, RecordingView};
use perezvon::store::{CardNumber, NewCard};
use perezvon::types::{
    AgentId, AgentState, CallId, CallKind, CallState, CallView, CardId, E164, EndCause, EndedBy, LegId, LegRole, LegState,
    LegView, Party, PopId, RecordingId, Wall,
};
use uuid::Uuid;

/// A fixed moment, `seconds` later than the first.
pub fn at(seconds: i64) -> Wall {
    Wall::from_micros(1_764_000_000_000_000 + seconds * 1_000_000)
}

pub fn e164(digits: &str) -> E164 {
    E164::from_digits(digits).expect("the digits are a number")
}

pub fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + number)
}

/// An inbound call that rings since `at(number)`.
pub fn call(number: u128) -> CallView {
    let seconds = i64::try_from(number).expect("small");
    CallView {
        id: CallId(id(number)),
        kind: CallKind::Inbound,
        state: CallState::Ringing,
        from: Party { number: Some("+79160000001".into()), display: Some("Пётр".into()) },
        to: "+74951234567".into(),
        trunk: Some("carrier".into()),
        queue: Some("sales".into()),
        agent: None,
        card_id: None,
        source: Some("site".into()),
        started_at: at(seconds),
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

pub fn leg(number: u64, agent: &str) -> LegView {
    LegView {
        id: LegId(number),
        role: LegRole::Agent,
        state: LegState::Ringing,
        party: Party::default(),
        agent: Some(agent.into()),
        trunk: None,
        started_at: at(1),
        answered_at: None,
        ended_at: None,
    }
}

pub fn ended(mut view: CallView, seconds: i64) -> CallView {
    view.state = CallState::Ended;
    view.ended_at = Some(at(seconds));
    view.cause = Some(EndCause::Normal);
    view.ended_by = Some(EndedBy::Caller);
    view
}

pub fn event(view: &CallView, kind: fn(Box<CallView>) -> EventKind) -> Event {
    Event {
        at: view.ended_at.unwrap_or(view.started_at),
        call_id: Some(view.id),
        agent: view.agent.clone(),
        queue: view.queue.clone(),
        kind: kind(Box::new(view.clone())),
    }
}

/// The smallest event: an agent's state, with `number` to tell it from others.
pub fn tick(number: u64) -> Event {
    let view = AgentView {
        login: "anna".into(),
        name: format!("tick {number}"),
        team: None,
        extension: None,
        state: AgentState::Ready,
        reason: None,
        since: at(0),
        until: None,
        call_id: None,
        queues: Vec::new(),
        registered: true,
    };
    Event { at: at(0), call_id: None, agent: Some("anna".into()), queue: None, kind: EventKind::AgentStateChanged(view) }
}

/// The number `tick` was made with.
pub fn tick_number(event: &Event) -> u64 {
    match &event.kind {
        EventKind::AgentStateChanged(view) => view.name.trim_start_matches("tick ").parse().expect("made by tick"),
        other => panic!("not a tick: {}", other.name()),
    }
}

pub fn pop(agent: &str) -> Event {
    let pop = Pop {
        pop_id: PopId(id(1)),
        caller: PopCaller { number: Some("+79160000001".into()), display: None },
        called: "+74951234567".into(),
        queue: Some("sales".into()),
        matched: Match::Known,
        reason: "номер есть только в этой карточке".into(),
        card: Some(CardBrief {
            id: CardId(id(7)),
            name: "Пётр".into(),
            company: None,
            owner: None,
            url: "/clients/7".into(),
            tags: vec!["vip".into()],
            fields: serde_json::Map::new(),
        }),
        candidates: Vec::new(),
        late: false,
    };
    Event {
        at: at(1),
        call_id: Some(CallId(id(1))),
        agent: Some(AgentId::new(agent)),
        queue: Some("sales".into()),
        kind: EventKind::PopShown(Box::new(pop)),
    }
}

pub fn recording(number: u128, call: &CallView) -> RecordingView {
    RecordingView {
        id: RecordingId(id(1_000 + number)),
        call_id: call.id,
        state: RecordingState::Recording,
        started_at: call.started_at,
        duration_ms: 0,
        sample_rate: 8_000,
        channels: 2,
        bytes: 0,
        marks: Vec::new(),
        gaps: Vec::new(),
        trouble: None,
    }
}

pub fn recording_event(view: &RecordingView, kind: fn(Box<RecordingView>) -> EventKind) -> Event {
    Event { at: view.started_at, call_id: Some(view.call_id), agent: None, queue: None, kind: kind(Box::new(view.clone())) }
}

/// A card with one mobile number.
pub fn card(number: u128, name: &str, digits: &str) -> NewCard {
    NewCard {
        id: CardId(id(number)),
        name: name.into(),
        company: None,
        numbers: vec![CardNumber { e164: e164(digits), kind: "mobile".into(), extension: None, is_shared: false }],
        emails: Vec::new(),
        source: None,
        owner: None,
        tags: Vec::new(),
        fields: serde_json::Map::new(),
        language: None,
    }
}
