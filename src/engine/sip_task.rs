//! The one task that owns the SIP endpoint. Bytes come from `transport`, orders from calls; messages go back to
//! `transport`, events to the calls whose legs they name. A call's full inbox loses the event: on UDP the peer repeats.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::arrivals;
use super::call_task::CallMessage;
use super::house::House;
use super::legs::{PageNews, page_of};
use super::phones::At;
use super::{tasks, timer};
use crate::clock;
use crate::routing::FloorInput;
use crate::sip::endpoint::{Command, Directory, Endpoint, Event, Output};
use crate::site::Site;
use crate::transport::{Received, Sender};
use crate::types::LegId;

/// A wish of a call or of the engine.
#[derive(Debug)]
pub(super) enum Order {
    /// Dials a leg; what happens to it is told to `inbox`.
    Dial {
        leg: LegId,
        inbox: mpsc::Sender<CallMessage>,
        command: Command,
    },
    Command(Command),
    /// The call is over: nothing about these legs needs to be told any more.
    Forget(Vec<LegId>),
    Reconfigure(Arc<Site>),
}

/// Full (4,096 orders): calls wait, which slows them down evenly.
pub(super) const INBOX: usize = 4096;
/// Full: the floor task is dead or stuck, which an error says.
const MOST_FOR_FLOOR: usize = 65_536;
/// Messages and orders taken before the endpoint's output is carried out.
const BATCH: usize = 64;

pub(super) fn spawn(
    house: Arc<House>,
    endpoint: Endpoint,
    orders: mpsc::Receiver<Order>,
    received: mpsc::Receiver<Received>,
    sender: Sender,
) {
    let task = SipTask {
        house,
        endpoint,
        sender,
        legs: HashMap::new(),
        legs_routed: metrics::gauge!("perezvon_sip_legs"),
        for_floor: VecDeque::new(),
    };
    tasks::spawn("sip", run(task, orders, received));
}

struct SipTask {
    house: Arc<House>,
    endpoint: Endpoint,
    sender: Sender,
    /// Whose leg it is. An entry lives from the INVITE to `Forget` or the leg's last event.
    legs: HashMap<LegId, mpsc::Sender<CallMessage>>,
    /// Their number, for whoever watches: looked up once, set after every batch.
    legs_routed: metrics::Gauge,
    /// Registrations that the floor has still to hear of.
    for_floor: VecDeque<FloorInput>,
}

async fn run(mut task: SipTask, mut orders: mpsc::Receiver<Order>, mut received: mpsc::Receiver<Received>) {
    let mut messages = Vec::with_capacity(BATCH);
    let mut wishes = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            biased;
            count = orders.recv_many(&mut wishes, BATCH) => {
                if count == 0 {
                    return;
                }
                wishes.drain(..).for_each(|order| task.carry_out(order));
            }
            count = received.recv_many(&mut messages, BATCH) => {
                if count == 0 {
                    return;
                }
                messages.drain(..).for_each(|message| task.receive(message));
            }
            () = timer::until(task.endpoint.next_deadline()) => task.endpoint.handle_timeout(clock::now()),
        }
        task.drain();
    }
}

impl SipTask {
    fn receive(&mut self, received: Received) {
        let now = clock::now();
        match received {
            Received::Message { flow, at, message } => self.endpoint.received(at, flow, message),
            Received::Closed { flow } => self.endpoint.flow_closed(now, &flow),
            Received::SendFailed { flow, failure } => self.endpoint.send_failed(now, &flow, failure),
        }
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Dial { leg, inbox, command } => {
                self.legs.insert(leg, inbox);
                if let Err(error) = self.endpoint.command(clock::now(), command)
                    && let Some(inbox) = self.legs.remove(&leg)
                {
                    tell(&inbox, CallMessage::NotDialled { leg, error });
                }
            }
            Order::Command(command) => {
                // A leg that has just ended is no error here: its last event is on its way to the call.
                if let Err(error) = self.endpoint.command(clock::now(), command) {
                    tracing::debug!("a command came too late or too early: {error}");
                }
            }
            Order::Forget(legs) => legs.iter().for_each(|leg| drop(self.legs.remove(leg))),
            Order::Reconfigure(site) => self.endpoint.set_directory(Arc::new(Directory::from_site(&site))),
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll() {
            match output {
                Output::Send { to, bytes } => {
                    if let Err(failure) = self.sender.send(to, bytes) {
                        self.endpoint.send_failed(clock::now(), &to, failure);
                    }
                }
                Output::Event(event) => self.tell_house(event),
            }
        }
        self.legs_routed.set(self.legs.len() as f64);
        self.catch_up_with_floor();
    }

    fn tell_house(&mut self, event: Event) {
        match event {
            Event::Invite { leg, origin, request, sdp, flow } => {
                match arrivals::receive(&self.house, leg, origin, &request, sdp, flow) {
                    Ok(inbox) => drop(self.legs.insert(leg, inbox)),
                    Err(refusal) => self.carry_out(Order::Command(*refusal)),
                }
            }
            Event::Registered { user, phone, browser, .. } => {
                let ip = |address: Option<std::net::SocketAddr>| address.map(|address| address.ip());
                self.house.phones.registered(user.clone(), At { phone: ip(phone), browser: ip(browser) });
                self.tell_floor(FloorInput::Registered { agent: user });
            }
            Event::Unregistered { user } => {
                self.house.phones.gone(&user);
                self.tell_floor(FloorInput::Unregistered { agent: user });
            }
            Event::AuthenticationFailed { .. } => {
                metrics::counter!("perezvon_sip_authentication_failed_total").increment(1);
            }
            Event::BanBegan { source } => {
                metrics::counter!("perezvon_sip_bans_total").increment(1);
                tracing::warn!(
                    source.address = %source,
                    "{source} is banned for guessing passwords or never answering challenges"
                );
            }
            Event::BanEnded { source, refused } => {
                tracing::info!(
                    source.address = %source,
                    refused,
                    "{source} is no longer banned; {refused} of its requests were refused"
                );
            }
            Event::BrowserCame { user, contact } => self.house.calls.tell_pages(&user, &PageNews::Came(page_of(&contact))),
            Event::BrowserGone { user, contact } => self.house.calls.tell_pages(&user, &PageNews::Gone(page_of(&contact))),
            Event::OptionsAnswered { .. } => {}
            event => self.tell_call(event),
        }
    }

    fn tell_call(&mut self, event: Event) {
        let Some((leg, is_last)) = leg_of(&event) else { return };
        let inbox = if is_last { self.legs.remove(&leg) } else { self.legs.get(&leg).cloned() };
        if let Some(inbox) = inbox {
            tell(&inbox, CallMessage::Sip(event));
        }
    }

    /// The registrar tells a change once, so what the floor cannot take now is kept until it can.
    fn tell_floor(&mut self, input: FloorInput) {
        if self.for_floor.len() < MOST_FOR_FLOOR {
            self.for_floor.push_back(input);
        } else {
            tracing::error!("the floor does not read its inbox; a registration was not told");
        }
    }

    fn catch_up_with_floor(&mut self) {
        while !self.for_floor.is_empty()
            && let Ok(room) = self.house.floor.try_reserve()
            && let Some(input) = self.for_floor.pop_front()
        {
            room.send(super::floor_task::Order::Input(input));
        }
    }
}

fn tell(inbox: &mpsc::Sender<CallMessage>, message: CallMessage) {
    if inbox.try_send(message).is_err() {
        metrics::counter!("perezvon_call_inbox_full_total", "from" => "sip").increment(1);
    }
}

/// The leg that an event names, and whether it is the leg's last.
pub(super) fn leg_of(event: &Event) -> Option<(LegId, bool)> {
    match event {
        Event::Cancelled { leg, .. } | Event::AckTimeout { leg } | Event::Failed { leg, .. } | Event::Bye { leg, .. } => {
            Some((*leg, true))
        }
        Event::Acked { leg, .. }
        | Event::Progress { leg, .. }
        | Event::Answered { leg, .. }
        | Event::ReInvite { leg, .. }
        | Event::ReInviteAnswered { leg, .. }
        | Event::ReInviteFailed { leg, .. }
        | Event::ReInviteCancelled { leg }
        | Event::InDialog { leg, .. } => Some((*leg, false)),
        Event::Invite { .. }
        | Event::Registered { .. }
        | Event::Unregistered { .. }
        | Event::BrowserCame { .. }
        | Event::BrowserGone { .. }
        | Event::AuthenticationFailed { .. }
        | Event::BanBegan { .. }
        | Event::BanEnded { .. }
        | Event::OptionsAnswered { .. } => None,
    }
}
