//! A leg arrived: who is it, what did they dial, where does it go? Makes the call and its task, or says why not.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::call_task::{self, ArrivedLeg, CallMessage, Client};
use super::house::House;
use super::legs::page_of;
use crate::call::{Arrival, Caller as CallCaller, Goal, Person};
use crate::cards::Caller;
use crate::clock;
use crate::gateway::{self, Terms, caller_from_trunk, dialled};
use crate::routing::{Plan, plan_dialled, plan_inbound};
use crate::sip::endpoint::{Command, Origin};
use crate::sip::wire::{Flow, HeaderName, Request, Status, Text};
use crate::site::Site;
use crate::types::{EndCause, Ids, LegId, Party};

/// Starts the call of an INVITE. The error is the command that refuses the leg.
pub(super) fn receive(
    house: &Arc<House>,
    leg: LegId,
    origin: Origin,
    request: &Request,
    offer: Option<Bytes>,
    flow: Flow,
) -> Result<mpsc::Sender<CallMessage>, Box<Command>> {
    if house.is_stopping() || house.calls.count() >= house.most_calls {
        metrics::counter!("perezvon_calls_refused_total").increment(1);
        return Err(refuse(leg, "5"));
    }
    let site = house.site.load();
    let user_part = dialled(request);
    let agent = if let Origin::User(agent) = &origin { Some(agent.clone()) } else { None };
    let terms = terms_of(&site, &origin);
    let (caller, from, plan, client, trunk) = match origin {
        Origin::Trunk(trunk) => {
            if !house.begin_on_trunk(&trunk) {
                // The window is a second, so in a second there is room again.
                return Err(refuse(leg, "1"));
            }
            let client = caller_from_trunk(request, site.region);
            let plan = plan_inbound(&site, &trunk, &user_part);
            (CallCaller::Trunk(trunk.clone()), party_of(&client), plan, Some(client), Some(trunk))
        }
        Origin::User(agent) => {
            // The endpoint knows only people of the site; one removed a moment ago may not call.
            let Some(user) = site.users.get(&agent) else { return Err(refuse(leg, "5")) };
            let person = Person::of(user);
            let from = person.party.clone();
            (CallCaller::Person(person), from, plan_dialled(&site, &user_part), None, None)
        }
    };
    let plan = plan.by_a_trunk_with_room(|trunk| house.has_room_on_trunk(trunk));
    let plan = speakable(plan, offer.as_deref(), &terms);
    let trunks = trunk.into_iter().chain(call_task::goal_trunk(&plan.goal)).collect();
    let mut ids = Ids::seeded(rand::random());
    let call = ids.call(clock::wall());
    let source = plan.source.clone();
    let arrival = Arrival {
        call,
        leg,
        caller,
        from,
        to: plan.to,
        goal: plan.goal,
        record: plan.record,
        announce: plan.announce,
        beep_seconds: plan.beep_seconds,
        source: plan.source,
        limits: house.limits,
        ids,
    };
    let max_forwards = request.headers.max_forwards().ok().flatten().unwrap_or(70);
    let contact = request.headers.contact().ok().flatten();
    let arrived = ArrivedLeg {
        leg,
        offer,
        far: flow.remote.ip(),
        is_websocket: flow.transport.is_websocket(),
        terms,
        agent,
        page: contact.map(|contact| page_of(&contact.uri)),
        shows: Party { number: Some(arrival.to.clone()), display: None },
        max_forwards: max_forwards.saturating_sub(1),
    };
    Ok(call_task::arrive(house.clone(), arrival, arrived, Client { caller: client, source }, trunks))
}

/// What the caller may speak.
fn terms_of(site: &Site, origin: &Origin) -> Terms {
    let terms = match origin {
        Origin::User(agent) => site.users.get(agent).map(Terms::of_user),
        Origin::Trunk(trunk) => site.trunks.get(trunk).map(Terms::of_trunk),
    };
    terms.unwrap_or_default()
}

/// An offer that we cannot answer leads nowhere, and the call's end says so.
fn speakable(mut plan: Plan, offer: Option<&[u8]>, terms: &Terms) -> Plan {
    if offer.is_some_and(|offer| !gateway::is_answerable(offer, terms)) {
        let why = "the offer has no codec that we speak, or not the protection that is required".into();
        plan.goal = Goal::Nowhere { cause: EndCause::NoCommonCodec, why };
    }
    plan
}

fn refuse(leg: LegId, retry_after_secs: &'static str) -> Box<Command> {
    let retry_after = vec![(HeaderName::RetryAfter, Text::constant(retry_after_secs))];
    Box::new(Command::Reject { leg, status: Status::SERVICE_UNAVAILABLE, phrase: None, headers: retry_after })
}

/// A caller as the world sees them.
pub(super) fn party_of(caller: &Caller) -> Party {
    let number = match caller {
        Caller::Known { number, .. } => Some(number.as_string()),
        Caller::Short { digits, .. } => Some(digits.clone()),
        Caller::Unknown { .. } | Caller::Withheld => None,
    };
    Party { number, display: caller.display().map(str::to_string) }
}
