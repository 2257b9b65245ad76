//! The task of one call. It owns the `Call` machine, its legs' sessions and its recording; it turns what the world says
//! into `Input`s and carries the `Effect`s out, in order (`effects`). Everyone else only has its inbox.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::house::House;
use super::legs::{Legs, PageNews};
use super::pops::{self, Showing};
use super::{floor_task, sip_task, tasks, timer};
use crate::call::{Arrival, Call, CallWish, Departure, Effect, Goal, Input, LegFailure, Origination, Refusal};
use crate::cards::{Caller, Identity};
use crate::clock;
use crate::events::PopCaller;
use crate::gateway::Terms;
use crate::relay::MediaEvent;
use crate::routing::FloorInput;
use crate::sip::endpoint::{CommandError, Event};
use crate::types::{AgentId, CallId, CallView, LegId, Party, PopId, QueueId, RecordingId, Time, TrunkId};

/// What a call's task is told.
#[derive(Debug)]
pub(super) enum CallMessage {
    Sip(Event),
    /// The endpoint refused to dial.
    NotDialled {
        leg: LegId,
        error: CommandError,
    },
    Media {
        leg: LegId,
        event: MediaEvent,
    },
    /// Of the pages of the person whose browser the leg is in.
    Page {
        leg: LegId,
        news: PageNews,
    },
    Input(Input),
    /// Answered with the call as it is after the wish.
    Asked {
        wish: CallWish,
        reply: oneshot::Sender<Result<CallView, Refusal>>,
    },
    Identified(Box<Identity>),
}

/// Full (256): SIP events are lost as on a lossy network, grants lapse, the front desk waits.
const INBOX: usize = 256;

/// The leg that arrived.
pub(super) struct ArrivedLeg {
    pub leg: LegId,
    pub offer: Option<Bytes>,
    pub far: IpAddr,
    pub is_websocket: bool,
    pub terms: Terms,
    /// Whose phone it is, when it is one of our people's, and what names its page when it is a browser.
    pub agent: Option<AgentId>,
    pub page: Option<String>,
    /// Whom the phone shows as the other party.
    pub shows: Party,
    pub max_forwards: u8,
}

/// The client of the call, as far as the INVITE told.
pub(super) struct Client {
    pub caller: Option<Caller>,
    pub source: Option<String>,
}

/// The trunk that a goal leads out by.
pub(super) fn goal_trunk(goal: &Goal) -> Option<TrunkId> {
    match goal {
        Goal::Outside { trunk, .. } => Some(trunk.clone()),
        Goal::Queue { .. } | Goal::Person(_) | Goal::Nowhere { .. } => None,
    }
}

/// Starts the task of a call that arrived.
pub(super) fn arrive(
    house: Arc<House>,
    arrival: Arrival,
    arrived: ArrivedLeg,
    client: Client,
    trunks: Vec<TrunkId>,
) -> mpsc::Sender<CallMessage> {
    let (inbox, messages) = mpsc::channel(INBOX);
    let id = arrival.call;
    house.calls.enter(id, inbox.clone(), trunks);
    let mut task = CallTask::new(house, id, inbox.clone(), client, arrived.max_forwards);
    task.legs.arrived(arrived);
    tasks::spawn("call", async move {
        let (call, effects) = Call::arrived(clock::now(), clock::wall(), arrival);
        task.run(call, effects, messages, None).await;
    });
    inbox
}

/// Starts the task of a call that somebody asked for; resolves to its first view.
pub(super) fn originate(house: Arc<House>, origination: Origination) -> oneshot::Receiver<CallView> {
    let (inbox, messages) = mpsc::channel(INBOX);
    let (first_view, view) = oneshot::channel();
    let id = origination.call;
    house.calls.enter(id, inbox.clone(), goal_trunk(&origination.goal).into_iter().collect());
    let task = CallTask::new(house, id, inbox, Client { caller: None, source: None }, 70);
    tasks::spawn("call", async move {
        let (call, effects) = Call::originated(clock::now(), clock::wall(), origination);
        task.run(call, effects, messages, Some(first_view)).await;
    });
    view
}

/// A pop that waits for the card.
pub(super) struct WaitingPop {
    pub pop: PopId,
    pub agent: AgentId,
    pub queue: Option<QueueId>,
    pub asked: Time,
}

/// The running recording.
pub(super) struct RunningRecording {
    pub id: RecordingId,
    pub key: u32,
    pub leg: LegId,
}

pub(super) struct CallTask {
    pub house: Arc<House>,
    pub id: CallId,
    pub inbox: mpsc::Sender<CallMessage>,
    pub legs: Legs,
    pub client: Client,
    pub called: String,
    pub identity: Option<Arc<Identity>>,
    pub waiting_pops: Vec<WaitingPop>,
    pub recording: Option<RunningRecording>,
    /// The leg that was told of the recording.
    pub announced: Option<LegId>,
    pub max_forwards: u8,
    /// What happened while effects were carried out; handled before the inbox is read again.
    pub own: Vec<Input>,
}

/// Frees everything of the call however its task ends, a panic included.
struct Leaving {
    house: Arc<House>,
    id: CallId,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.house.calls.leave(self.id);
        // A full floor inbox: the lease or the longest-call limit frees the agent later.
        let _ = self.house.floor.try_send(floor_task::Order::Input(FloorInput::CallGone { call: self.id }));
    }
}

impl CallTask {
    fn new(house: Arc<House>, id: CallId, inbox: mpsc::Sender<CallMessage>, client: Client, max_forwards: u8) -> Self {
        let legs = Legs::new(house.clone(), id, inbox.clone());
        CallTask {
            house,
            id,
            inbox,
            legs,
            client,
            called: String::new(),
            identity: None,
            waiting_pops: Vec::new(),
            recording: None,
            announced: None,
            max_forwards,
            own: Vec::new(),
        }
    }

    async fn run(
        mut self,
        mut call: Call,
        effects: Vec<Effect>,
        mut messages: mpsc::Receiver<CallMessage>,
        first_view: Option<oneshot::Sender<CallView>>,
    ) {
        let _leaving = Leaving { house: self.house.clone(), id: self.id };
        self.called = call.view().to;
        self.house.calls.show(call.view());
        let mut finished = self.carry_out(&call, effects).await;
        if let Some(first_view) = first_view {
            // Whoever clicked may have gone.
            let _ = first_view.send(call.view());
        }
        while !finished {
            let input = tokio::select! {
                biased;
                message = messages.recv() => match message {
                    Some(CallMessage::Asked { wish, reply }) => {
                        let asked = call.ask(clock::now(), clock::wall(), wish);
                        let done = asked.map(|effects| (effects, call.view()));
                        let (effects, answer) = match done {
                            Ok((effects, view)) => (effects, Ok(view)),
                            Err(refusal) => (Vec::new(), Err(refusal)),
                        };
                        finished = self.carry_out(&call, effects).await;
                        // Whoever asked may have gone.
                        let _ = reply.send(answer);
                        None
                    }
                    Some(message) => self.read(message).await,
                    None => break,
                },
                () = timer::until(call.next_deadline()) => Some(Input::Deadline),
            };
            self.own.extend(input);
            while !finished && !self.own.is_empty() {
                let input = self.own.remove(0);
                let effects = call.handle(clock::now(), clock::wall(), input);
                finished = self.carry_out(&call, effects).await;
            }
        }
        self.finish_recording().await;
        let legs = self.legs.close_all();
        let _ = self.house.sip.send(sip_task::Order::Forget(legs)).await;
    }

    /// What a message means to the call; `None` when it was only the legs' business.
    async fn read(&mut self, message: CallMessage) -> Option<Input> {
        match message {
            CallMessage::Input(input) => Some(input),
            // Answered where the machine is at hand.
            CallMessage::Asked { .. } => None,
            CallMessage::Identified(identity) => Some(self.identified(identity)),
            CallMessage::NotDialled { leg, error } => {
                if let Some(returning) = self.legs.returning_by(leg) {
                    self.legs.forget_return(returning);
                    return None;
                }
                self.legs.close(leg).await;
                Some(Input::LegFailed { leg, failure: not_dialled(error) })
            }
            CallMessage::Media { leg, event } => self.heard(leg, event).await,
            CallMessage::Page { leg, news } => self.legs.page_news(leg, news).await,
            CallMessage::Sip(event) => self.legs.read(event).await,
        }
    }

    async fn heard(&mut self, leg: LegId, event: MediaEvent) -> Option<Input> {
        // A line that is opened or closed beside the one in use has nothing to say.
        if !self.legs.is_in_use(leg, event.media()) {
            return None;
        }
        match event {
            MediaEvent::Silent { .. } => Some(Input::RtpSilent { leg }),
            MediaEvent::FirstPacket { .. } => Some(Input::RtpHeard { leg }),
            MediaEvent::PlayEnded { .. } if self.announced == Some(leg) => Some(Input::PromptEnded { leg }),
            MediaEvent::Digit { digit, .. } => {
                self.legs.pass_key(leg, digit).await;
                None
            }
            MediaEvent::PlayEnded { .. } | MediaEvent::Closed { .. } => None,
            MediaEvent::Secured { .. } => None,
            MediaEvent::Distrusted { .. } => {
                tracing::warn!(call.id = %self.id, "call {}: a browser's certificate is not the one that its SDP announced", self.id);
                None
            }
            MediaEvent::Faint { .. } => self.legs.faint(leg).await,
            MediaEvent::Back { .. } => self.legs.back(leg).await,
            MediaEvent::Lost { .. } => self.legs.lost(leg).await,
        }
    }

    fn identified(&mut self, identity: Box<Identity>) -> Input {
        let identity: Arc<Identity> = Arc::from(identity);
        self.identity = Some(identity.clone());
        for waiting in std::mem::take(&mut self.waiting_pops) {
            self.show_pop(waiting, identity.clone());
        }
        Input::Identified { card: identity.card.as_ref().map(|card| card.id), hints: pops::hints(identity.card.as_ref()) }
    }

    /// Shows the card now, or as soon as it is known.
    pub(super) fn show_pop(&mut self, waiting: WaitingPop, identity: Arc<Identity>) {
        let late = clock::now().since(waiting.asked) > crate::call::POP_HOLDS_INVITE;
        let caller = match &self.client.caller {
            Some(caller) => PopCaller {
                number: caller.number().map(|number| number.as_string()),
                display: caller.display().map(str::to_string),
            },
            None => PopCaller { number: None, display: None },
        };
        let showing = Showing {
            pop: waiting.pop,
            call: self.id,
            agent: waiting.agent,
            queue: waiting.queue,
            caller,
            called: self.called.clone(),
            identity,
            late,
        };
        pops::show(&self.house, self.inbox.clone(), showing);
    }
}

fn not_dialled(error: CommandError) -> LegFailure {
    match error {
        CommandError::NotRegistered | CommandError::NoListener => LegFailure::Unreachable,
        CommandError::Overloaded => LegFailure::Overload,
        CommandError::NoSuchLeg | CommandError::WrongState | CommandError::Pending => LegFailure::Unreachable,
    }
}

/// A leg that ended by itself.
pub(super) fn departed(leg: LegId, departure: Departure) -> Input {
    Input::LegEnded { leg, departure }
}
