//! Answers the commands of a `Handle`: the web's and the administrator's wishes become orders to the floor and to calls.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::call_task::{self, CallMessage};
use super::handle::{Actor, Command, CommandError, Readiness};
use super::house::House;
use super::{floor_task, phone_loans, sip_task, tasks};
use crate::agents::Wish;
use crate::call::{CallWish, Goal, Origination, Person};
use crate::clock;
use crate::events::AgentView;
use crate::routing::plan_dialled;
use crate::site::check::ItemProblem;
use crate::site::{self, Destination};
use crate::types::{AgentId, AgentState, CallId, CallView, Ids};

/// How long a call may take to show its first event after a click.
const LONGEST_START: Duration = Duration::from_secs(2);

pub(super) fn spawn(house: Arc<House>, mut commands: mpsc::Receiver<Command>) {
    tasks::spawn("front desk", async move {
        while let Some(command) = commands.recv().await {
            // Each command runs by itself, so that one slow answer holds up nobody. The web bounds how many there are.
            tasks::spawn("command", answer(house.clone(), command));
        }
    });
}

async fn answer(house: Arc<House>, command: Command) {
    // Whoever does not wait for the answer any more does not get it.
    match command {
        Command::Hangup { call, by, reply } => drop(reply.send(hang_up(&house, call, by).await)),
        Command::Ask { call, wish, reply } => drop(reply.send(ask_call(&house, call, wish).await)),
        Command::Originate { from, to, by: _, reply } => drop(reply.send(originate(&house, from, to).await)),
        Command::SetAgentState { agent, state, reason, by: _, reply } => {
            drop(reply.send(set_agent_state(&house, agent, state, reason).await));
        }
        Command::LendPhone { user, session, session_ends, reply } => {
            drop(reply.send(phone_loans::lend(&house, user, session, session_ends).await));
        }
        Command::Agents { reply } => drop(reply.send(ask_floor(&house, floor_task::Order::Agents).await.unwrap_or_default())),
        Command::Queues { reply } => drop(reply.send(ask_floor(&house, floor_task::Order::Queues).await.unwrap_or_default())),
        Command::ActiveCalls { reply } => drop(reply.send(house.calls.views())),
        Command::Readiness { reply } => drop(reply.send(readiness(&house).await)),
        Command::SiteChanged { reply } => {
            take_new_site(&house).await;
            let _ = reply.send(());
        }
    }
}

async fn hang_up(house: &House, call: CallId, by: Actor) -> Result<(), CommandError> {
    let inbox = house.calls.inbox(call).ok_or(CommandError::NotFound)?;
    let by = match by {
        Actor::User(login) => Some(login),
        Actor::System => None,
    };
    inbox.send(CallMessage::Input(crate::call::Input::HangUp { by })).await.map_err(|_| CommandError::Ended)
}

async fn ask_call(house: &House, call: CallId, wish: CallWish) -> Result<CallView, CommandError> {
    let inbox = house.calls.inbox(call).ok_or(CommandError::NotFound)?;
    if let CallWish::Supervise { person, .. } = &wish {
        let agents = ask_floor(house, floor_task::Order::Agents).await?;
        let agent = agents.iter().find(|agent| agent.login == person.agent && agent.registered);
        let agent = agent.ok_or(CommandError::Unreachable)?;
        if agent.call_id.is_some_and(|its| its != call) {
            return Err(CommandError::Conflict(person.agent.to_string()));
        }
    }
    let (reply, answer) = oneshot::channel();
    inbox.send(CallMessage::Asked { wish, reply }).await.map_err(|_| CommandError::Ended)?;
    answer.await.map_err(|_| CommandError::Ended)?.map_err(CommandError::Refused)
}

async fn originate(house: &Arc<House>, from: AgentId, to: String) -> Result<CallView, CommandError> {
    if house.is_stopping() {
        return Err(CommandError::Stopping);
    }
    if house.calls.count() >= house.most_calls {
        return Err(CommandError::Overloaded);
    }
    let site = house.site.load_full();
    let person = site.users.get(&from).map(Person::of).ok_or(CommandError::NotFound)?;
    let dialled = to.trim();
    let looks_like_destination = dialled.contains(':');
    if dialled.is_empty() || dialled.len() > 64 || (looks_like_destination && Destination::parse(dialled).is_none()) {
        return Err(CommandError::BadDestination(to));
    }
    let plan = plan_dialled(&site, dialled).by_a_trunk_with_room(|trunk| house.has_room_on_trunk(trunk));
    if let Goal::Nowhere { cause, .. } = plan.goal {
        return Err(CommandError::Nowhere { to: dialled.to_owned(), cause });
    }
    let agents = ask_floor(house, floor_task::Order::Agents).await?;
    let agent =
        agents.iter().find(|agent| agent.login == from).filter(|agent| agent.registered).ok_or(CommandError::Unreachable)?;
    if agent.call_id.is_some() {
        return Err(CommandError::Conflict(from.to_string()));
    }
    if matches!(&plan.goal, Goal::Person(called) if called.agent == from) {
        return Err(CommandError::BadDestination(to));
    }
    let mut ids = Ids::seeded(rand::random());
    let call = ids.call(clock::wall());
    let (record, beep_seconds, limits) = (plan.record, plan.beep_seconds, house.limits);
    let origination = Origination { call, person, to: plan.to.clone(), goal: plan.goal, record, beep_seconds, limits, ids };
    let first_view = call_task::originate(house.clone(), origination);
    match tokio::time::timeout(LONGEST_START, first_view).await {
        Ok(Ok(view)) => Ok(view),
        _ => Err(CommandError::Overloaded),
    }
}

async fn set_agent_state(
    house: &House,
    agent: AgentId,
    state: AgentState,
    reason: Option<String>,
) -> Result<AgentView, CommandError> {
    let wish = match state {
        AgentState::Ready => Wish::Ready,
        AgentState::Break => Wish::Break { reason },
        AgentState::Offline => Wish::Offline,
        other => return Err(CommandError::Conflict(format!("{other:?} is not a state that a person can choose"))),
    };
    let view = ask_floor(house, |reply| floor_task::Order::SetState { agent, wish, reply }).await?;
    view.ok_or(CommandError::NotFound)
}

async fn ask_floor<T>(house: &House, order: impl FnOnce(oneshot::Sender<T>) -> floor_task::Order) -> Result<T, CommandError> {
    let (reply, answer) = oneshot::channel();
    house.floor.send(order(reply)).await.map_err(|_| CommandError::Stopping)?;
    answer.await.map_err(|_| CommandError::Stopping)
}

async fn readiness(house: &House) -> Vec<Readiness> {
    let part = |part: &str, trouble: Option<String>| Readiness {
        part: part.into(),
        ready: trouble.is_none(),
        detail: trouble.unwrap_or_else(|| "works".into()),
    };
    let floor = ask_floor(house, floor_task::Order::Queues).await.err().map(|error| error.to_string());
    let stopping = house.is_stopping().then(|| "a graceful stop has begun: no new calls are taken".to_string());
    let sip = house.sip.is_closed().then(|| "the SIP task has ended; restart the server".to_string());
    vec![part("floor", floor), part("sip", sip), part("running", stopping)]
}

/// Reads the set-up again and gives it to everyone. A site that does not read keeps the old one.
async fn take_new_site(house: &House) {
    let read = house.store.set_up().await.map_err(|error| error.to_string());
    let built = read.and_then(|items| {
        site::check::build(&items).map_err(|found| found.iter().map(ItemProblem::path).collect::<Vec<_>>().join(", "))
    });
    match built {
        Ok(site) => {
            let site = Arc::new(site);
            house.site.store(site.clone());
            // Closed inboxes mean that the engine stops: nobody needs the new site then.
            let _ = house.floor.send(floor_task::Order::Reconfigure(site.clone())).await;
            let _ = house.sip.send(sip_task::Order::Reconfigure(site)).await;
            tracing::info!("the site has changed");
        }
        Err(error) => tracing::error!("the stored site cannot be used, the old one stays: {error}"),
    }
}
