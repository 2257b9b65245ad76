//! The one task that owns the floor: every queue and every agent. It carries the floor's effects to calls and to the
//! diary, and never waits for anyone: a call that cannot take its grant loses it when the lease runs out.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::call_task::CallMessage;
use super::house::House;
use super::{tasks, timer};
use crate::agents::Wish;
use crate::call::{Input, Person};
use crate::clock;
use crate::events::{AgentView, Event, EventKind, QueueView};
use crate::routing::{Floor, FloorEffect, FloorInput};
use crate::site::Site;
use crate::store::LastFloor;
use crate::types::AgentId;

/// A wish of the floor's neighbours.
#[derive(Debug)]
pub(super) enum Order {
    Input(FloorInput),
    Reconfigure(Arc<Site>),
    /// Ask for a state and tell what became of it; `None`: no such agent.
    SetState {
        agent: AgentId,
        wish: Wish,
        reply: oneshot::Sender<Option<AgentView>>,
    },
    Agents(oneshot::Sender<Vec<AgentView>>),
    Queues(oneshot::Sender<Vec<QueueView>>),
}

/// Full (4,096 orders): whoever orders waits, except media threads, which never order.
pub(super) const INBOX: usize = 4096;

/// Starts the task; it ends when every sender is gone.
pub(super) fn spawn(house: Arc<House>, inbox: mpsc::Receiver<Order>, seed: u64, last: LastFloor) {
    let floor = Floor::new(clock::now(), clock::wall(), &house.site.load(), seed);
    let mut task = FloorTask { house, floor };
    task.restore(last);
    tasks::spawn("floor", run(task, inbox));
}

/// A break in the service up to this long leaves people where they were; after a longer one nobody knows who is still
/// there, and they say so themselves.
const RESTORED_WITHIN_MS: u64 = 600_000;

struct FloorTask {
    house: Arc<House>,
    floor: Floor,
}

async fn run(mut task: FloorTask, mut inbox: mpsc::Receiver<Order>) {
    loop {
        tokio::select! {
            biased;
            order = inbox.recv() => match order {
                Some(order) => task.carry_out(order),
                None => return,
            },
            () = timer::until(task.floor.next_deadline()) => task.input(FloorInput::Deadline),
        }
    }
}

impl FloorTask {
    fn carry_out(&mut self, order: Order) {
        // A reply that nobody waits for any more is no error: the asker has gone.
        match order {
            Order::Input(input) => self.input(input),
            Order::Reconfigure(site) => {
                let effects = self.floor.reconfigure(clock::now(), clock::wall(), &site);
                self.carry(effects);
            }
            Order::SetState { agent, wish, reply } => {
                self.input(FloorInput::Ask { agent: agent.clone(), wish });
                let _ = reply.send(self.floor.agent(&agent));
            }
            Order::Agents(reply) => {
                let _ = reply.send(self.floor.agents());
            }
            Order::Queues(reply) => {
                let _ = reply.send(self.floor.queues(clock::now()));
            }
        }
    }

    /// Tells agents what a restart made of them; `agents::LastSeen` decides. Calls come once their phone has registered.
    fn restore(&mut self, last: LastFloor) {
        let is_recent = last.until.is_some_and(|until| clock::wall().millis_since(until) <= RESTORED_WITHIN_MS);
        for (agent, last) in last.agents {
            let last = Some(last).filter(|_| is_recent);
            self.input(FloorInput::ComeBack { agent, last });
        }
    }

    fn input(&mut self, input: FloorInput) {
        let effects = self.floor.handle(clock::now(), clock::wall(), input);
        self.carry(effects);
    }

    fn carry(&mut self, effects: Vec<FloorEffect>) {
        for effect in effects {
            match effect {
                FloorEffect::Grant { call, grant, agent, queue, ring, considered } => {
                    tracing::debug!(call.id = %call, agent.id = %agent, queue.id = %queue, skipped = considered.len(), "agent {agent} granted");
                    let person = self.house.site.load().users.get(&agent).map(Person::of);
                    if let Some(person) = person {
                        self.tell(call, Input::Granted { grant, person, ring });
                    }
                }
                FloorEffect::Revoke { call, grant } => self.tell(call, Input::GrantRevoked { grant }),
                FloorEffect::Refuse { call, why, .. } => self.tell(call, Input::QueueRefused { why }),
                FloorEffect::AgentChanged { view } => self.house.submit(Event {
                    at: clock::wall(),
                    call_id: view.call_id,
                    agent: Some(view.login.clone()),
                    queue: None,
                    kind: EventKind::AgentStateChanged(*view),
                }),
                FloorEffect::Unexpected { input, detail } => tracing::debug!("floor: {input} did not fit: {detail}"),
            }
        }
    }

    /// A call that is gone or does not read its inbox loses what it was told; its grant lapses by itself.
    fn tell(&self, call: crate::types::CallId, input: Input) {
        let told = self.house.calls.inbox(call).is_some_and(|inbox| inbox.try_send(CallMessage::Input(input)).is_ok());
        if !told {
            tracing::warn!(call.id = %call, "the call could not be told; its grant will lapse");
            metrics::counter!("perezvon_call_inbox_full_total", "from" => "floor").increment(1);
        }
    }
}
