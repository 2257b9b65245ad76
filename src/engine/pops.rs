//! Who is calling, and the card on the agent's screen. Looks cards up, makes the stub of an unknown caller, composes
//! `pop.shown` and tells the call when the screen has it. Which card fits is decided in `cards`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::call_task::CallMessage;
use super::house::House;
use crate::call::{Hints, Input};
use crate::cards::{Caller, Identity, identify};
use crate::clock;
use crate::events::{CardBrief, Event, EventKind, Match, Pop, PopCaller};
use crate::site::Language;
use crate::types::{AgentId, CallId, PopId, QueueId};

/// A database that is slower than this does not know the caller; the pop then says so instead of keeping the agent waiting.
const LONGEST_LOOKUP: Duration = Duration::from_secs(2);
/// How long `PopReady` may wait for the screen. The call itself dials after 20 ms.
const LONGEST_WRITE: Duration = Duration::from_millis(100);

/// Looks the caller up and sends `Identified` to the call. Runs beside the call, so that a slow database holds nothing.
pub(super) async fn look_up(house: Arc<House>, inbox: mpsc::Sender<CallMessage>, caller: Caller, source: Option<String>) {
    let language = house.site.load().language;
    let identity = match tokio::time::timeout(LONGEST_LOOKUP, find(&house, &caller, source, language)).await {
        Ok(Ok(identity)) => identity,
        Ok(Err(error)) => {
            tracing::error!("a caller could not be looked up: {error}");
            nobody_knows(language)
        }
        Err(_) => {
            tracing::error!("looking a caller up took longer than {LONGEST_LOOKUP:?}");
            nobody_knows(language)
        }
    };
    // A call that has ended meanwhile needs no card.
    let _ = inbox.send(CallMessage::Identified(Box::new(identity))).await;
}

async fn find(
    house: &House,
    caller: &Caller,
    source: Option<String>,
    language: Language,
) -> Result<Identity, crate::store::StoreError> {
    let found = match caller.number() {
        Some(number) => house.store.candidates_by_phone(number).await?,
        None => Vec::new(),
    };
    let mut identity = identify(caller, found, language);
    if let (true, Some(number)) = (identity.needs_stub, caller.number()) {
        let stub = house.store.create_stub_card(number, source.as_deref(), clock::wall()).await?;
        identity.card = Some(stub.brief());
    }
    Ok(identity)
}

fn nobody_knows(language: Language) -> Identity {
    let reason = match language {
        Language::Ru => "Карточки недоступны: база не отвечает",
        Language::En => "Cards are unavailable: the database does not answer",
    };
    Identity { matched: Match::Unknown, reason: reason.into(), card: None, candidates: Vec::new(), needs_stub: false }
}

/// What the floor may know of the client.
pub(super) fn hints(card: Option<&CardBrief>) -> Hints {
    match card {
        Some(card) => Hints {
            owner: card.owner.clone(),
            vip: card.tags.iter().any(|tag| tag.eq_ignore_ascii_case("vip")),
            language: card.fields.get("language").and_then(|value| value.as_str()).map(str::to_string),
        },
        None => Hints::default(),
    }
}

/// One card to show.
pub(super) struct Showing {
    pub pop: PopId,
    pub call: CallId,
    pub agent: AgentId,
    pub queue: Option<QueueId>,
    pub caller: PopCaller,
    pub called: String,
    pub identity: Arc<Identity>,
    pub late: bool,
}

/// Commits `pop.shown` and sends `PopReady` when the agent's screen has it, or when nobody watches.
pub(super) fn show(house: &Arc<House>, inbox: mpsc::Sender<CallMessage>, showing: Showing) {
    let started = clock::now();
    let pop = showing.pop;
    let event = Event {
        at: clock::wall(),
        call_id: Some(showing.call),
        agent: Some(showing.agent),
        queue: showing.queue.clone(),
        kind: EventKind::PopShown(Box::new(Pop {
            pop_id: pop,
            caller: showing.caller,
            called: showing.called,
            queue: showing.queue,
            matched: showing.identity.matched,
            reason: showing.identity.reason.clone(),
            card: showing.identity.card.clone(),
            candidates: showing.identity.candidates.clone(),
            late: showing.late,
        })),
    };
    let appended = house.log.append_pop(event);
    super::tasks::spawn("pop", async move {
        match appended.await {
            Ok(appended) => {
                // An agent without a screen, or a slow one, does not keep the caller waiting.
                let _ = tokio::time::timeout(LONGEST_WRITE, appended.receipt.written()).await;
                metrics::histogram!("perezvon_pop_seconds").record(clock::now().since(started).as_secs_f64());
            }
            Err(error) => {
                tracing::error!("a card was not shown: {error}");
                metrics::counter!("perezvon_events_lost_total").increment(1);
            }
        }
        let _ = inbox.send(CallMessage::Input(Input::PopReady { pop })).await;
    });
}
