//! The words of the call machine: how a call starts, what may happen to it (`Input`), what it wants done (`Effect`).
//! `engine` translates them to and from SIP, media threads, the floor, the recorder and the diary.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::events::{EventKind, MarkKind, RetractReason};
use crate::site::User;
use crate::types::{
    AgentId, CallId, CallState, CardId, EndCause, EndedBy, GrantId, Ids, LegId, Party, PopId, QueueId, RecordingId,
    SupervisionMode, TrunkId,
};

/// An agent as a party of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub agent: AgentId,
    /// Extension and name.
    pub party: Party,
    /// The user's `record`: false forbids recording any call that this person answers or makes.
    pub record: bool,
    /// The user's `beep_seconds`, for every recorded call that this person answers or makes.
    pub beep_seconds: u32,
}

impl Person {
    pub fn of(user: &User) -> Self {
        let party = Party { number: user.extension.clone(), display: Some(user.name.clone()) };
        Person { agent: user.login.clone(), party, record: user.record, beep_seconds: user.beep_seconds }
    }
}

/// Whose leg arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Someone behind a carrier: the client.
    Trunk(TrunkId),
    /// One of our people, from a phone of theirs.
    Person(Person),
}

/// Where the call shall go: a destination already resolved by `routing::numbers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Wait for an agent. `answer`: answer the caller on entering, else the music is early media. Higher `priority` first.
    Queue { queue: QueueId, answer: bool, priority: u8 },
    /// Ring this person's phones.
    Person(Person),
    /// Dial out. `number` is what the trunk is asked for.
    Outside { trunk: TrunkId, number: String },
    /// The set-up leads nowhere: the call is refused with `cause`; `why` is for the log and the call doctor.
    Nowhere { cause: EndCause, why: String },
}

/// Time limits of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From start to forced end, whatever happens.
    pub longest: Duration,
    /// How long a person's phone rings on a direct call. Queues bring their own with the grant.
    pub direct_ring: Duration,
    /// How long we wait for an outside number to answer.
    pub outside_ring: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            longest: Duration::from_secs(4 * 3600),
            direct_ring: Duration::from_secs(60),
            outside_ring: Duration::from_secs(120),
        }
    }
}

/// A leg arrived with an INVITE: from a carrier, or from one of our phones. The kind of the call follows:
/// inbound from a carrier; outbound from a phone to the outside; internal from a phone to our own people or queues.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub call: CallId,
    pub leg: LegId,
    pub caller: Caller,
    pub from: Party,
    /// What was dialled, E.164 where it could be normalised.
    pub to: String,
    pub goal: Goal,
    /// The site's `record` of number, queue and route together; people's own is in `Person`.
    pub record: bool,
    /// The caller is told of the recording before anything else, when there is one.
    pub announce: bool,
    /// The site's `beep_seconds` of number, queue and route together; 0 for no beep.
    pub beep_seconds: u32,
    pub source: Option<String>,
    pub limits: Limits,
    pub ids: Ids,
}

/// A person asked through the API to be connected with `to`: their phone rings first, then the goal is sought.
#[derive(Clone, Debug)]
pub struct Origination {
    pub call: CallId,
    pub person: Person,
    pub to: String,
    pub goal: Goal,
    pub record: bool,
    pub beep_seconds: u32,
    pub limits: Limits,
    pub ids: Ids,
}

/// Why a dialled leg came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LegFailure {
    Busy,
    Declined,
    /// The far side itself gave up ringing (480, 408).
    NoAnswer,
    /// No registration, no response, nobody reachable there.
    Unreachable,
    NotFound,
    Forbidden,
    NoCommonCodec,
    /// The carrier refused or failed (5xx, no target left, a cap).
    TrunkFailed,
    /// We ran out of ports or other resources.
    Overload,
    /// Our own CANCEL took effect.
    Cancelled,
}

impl LegFailure {
    /// What the floor hears of it. Whatever is wrong on our side also keeps calls from that agent for a moment: trying
    /// again at once would spin.
    pub(super) fn outcome(self) -> OfferOutcome {
        match self {
            LegFailure::Busy => OfferOutcome::Busy,
            LegFailure::Declined => OfferOutcome::Declined,
            LegFailure::NoAnswer => OfferOutcome::NoAnswer,
            LegFailure::Unreachable
            | LegFailure::NotFound
            | LegFailure::Forbidden
            | LegFailure::NoCommonCodec
            | LegFailure::TrunkFailed
            | LegFailure::Overload
            | LegFailure::Cancelled => OfferOutcome::Unreachable,
        }
    }

    /// The cause a call ends with when this was its last hope.
    pub fn cause(self) -> EndCause {
        match self {
            LegFailure::Busy => EndCause::Busy,
            LegFailure::Declined => EndCause::Declined,
            LegFailure::NoAnswer => EndCause::NoAnswer,
            LegFailure::Unreachable | LegFailure::Cancelled => EndCause::Unreachable,
            LegFailure::NotFound => EndCause::NotFound,
            LegFailure::Forbidden => EndCause::Forbidden,
            LegFailure::NoCommonCodec => EndCause::NoCommonCodec,
            LegFailure::TrunkFailed => EndCause::TrunkFailed,
            LegFailure::Overload => EndCause::Overload,
        }
    }
}

/// How a leg that was part of the call went away by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Departure {
    /// BYE, or CANCEL by a caller who was not answered yet.
    HungUp,
    /// The signalling broke: no ACK, a dead session, a dialog error. Blamed on the system, not on a person.
    Lost,
}

/// How an offer that was not answered ended, as the floor must know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfferOutcome {
    /// Rang out.
    NoAnswer,
    Busy,
    Declined,
    /// Their phone could not be reached, or could not talk with us.
    Unreachable,
    /// The caller gave up, or the call was ended, while it rang.
    Abandoned,
    AnsweredElsewhere,
    /// The call could not use the grant any more.
    Refused,
}

/// Why the floor does not take a call into a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    NoSuchQueue,
    /// As many wait as may.
    Full,
    /// The queue has no member.
    NoMembers,
    /// The call let its grants lapse again and again: its task is taken for dead.
    Unresponsive,
}

/// What the floor may know of the client. All empty until `Identified`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hints {
    pub owner: Option<AgentId>,
    pub vip: bool,
    pub language: Option<String>,
}

/// What an agent does in a call that the floor did not grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentDoing {
    Ringing,
    Talking,
    Holding,
}

/// What people ask of a call that goes on; answered at once, by doing it or by saying why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallWish {
    /// The other party hears music. `None`: asked by someone who is no party; then the agent's side holds.
    Hold {
        by: Option<AgentId>,
    },
    Resume {
        by: Option<AgentId>,
    },
    Record(RecordingAction),
    /// Rings the person's phone and lets them in; for one who is in already, changes the mode.
    Supervise {
        person: Person,
        mode: SupervisionMode,
    },
    StopSupervising {
        agent: AgentId,
    },
}

impl CallWish {
    /// For the log.
    pub fn name(&self) -> &'static str {
        match self {
            CallWish::Hold { .. } => "hold",
            CallWish::Resume { .. } => "resume",
            CallWish::Record(action) => match action {
                RecordingAction::Start => "recording start",
                RecordingAction::Stop => "recording stop",
                RecordingAction::Pause => "recording pause",
                RecordingAction::Resume => "recording resume",
                RecordingAction::Mask => "recording mask",
                RecordingAction::Unmask => "recording unmask",
            },
            CallWish::Supervise { mode: SupervisionMode::Listen, .. } => "listen",
            CallWish::Supervise { mode: SupervisionMode::Whisper, .. } => "whisper",
            CallWish::Supervise { mode: SupervisionMode::Barge, .. } => "barge",
            CallWish::StopSupervising { .. } => "stop supervising",
        }
    }
}

/// What to do with the call's one recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordingAction {
    /// Goes on after `stop`.
    Start,
    /// Nothing is captured until `start`. The file stays one, its time line goes on.
    Stop,
    Pause,
    Resume,
    /// As `pause`, for card numbers and other secrets: the mark says so.
    Mask,
    Unmask,
}

/// Why a wish is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("nobody talks in this call: it is {0:?}")]
    NotTalking(CallState),
    #[error("the call is on hold already")]
    AlreadyHeld,
    #[error("the call is not on hold")]
    NotHeld,
    #[error("this call must not be recorded")]
    RecordingForbidden,
    #[error("there is no recording yet")]
    NotRecorded,
    #[error("the recorder gave up on this call")]
    RecordingBroken,
    #[error("the recording is {0}")]
    RecordingIs(&'static str),
    #[error("a party of the call cannot supervise it")]
    IsParty,
    #[error("as many supervise this call as may")]
    TooMany,
    #[error("this person does not supervise the call")]
    NotSupervising,
}

/// What may happen to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A dialled leg rings (180).
    LegRinging { leg: LegId },
    /// A dialled leg sends sound before its answer (183 with SDP).
    LegEarlyMedia { leg: LegId },
    /// A dialled leg was answered (2xx).
    LegAnswered { leg: LegId },
    /// A dialled leg ended without an answer.
    LegFailed { leg: LegId, failure: LegFailure },
    /// A leg went away by itself. For legs that the call hung up or rejected itself this is optional and harmless.
    LegEnded { leg: LegId, departure: Departure },
    /// The party put us on hold (re-INVITE).
    LegHeld { leg: LegId },
    /// The party took us back from hold.
    LegResumed { leg: LegId },
    /// No RTP on the leg for longer than the limit.
    RtpSilent { leg: LegId },
    /// RTP of a silent leg came back.
    RtpHeard { leg: LegId },
    /// Nothing at all comes from the leg's browser any more. It may come back.
    LegAway { leg: LegId },
    /// The browser is there again, or another one of the same person in its place.
    LegBack { leg: LegId },
    /// The floor leases an agent. The call confirms with `ConfirmGrant` when it dials.
    Granted { grant: GrantId, person: Person, ring: Duration },
    /// The floor took the agent back: the offer is over and nothing is owed to the floor.
    GrantRevoked { grant: GrantId },
    /// The floor does not take the call into its queue.
    QueueRefused { why: RefusalReason },
    /// The client's card was found, or none.
    Identified { card: Option<CardId>, hints: Hints },
    /// `pop.shown` was committed and handed to the live stream.
    PopReady { pop: PopId },
    /// Someone asked through the API. `None`: not a party of the call.
    HangUp { by: Option<AgentId> },
    /// The announcement was heard to its end, or there is none in this house.
    PromptEnded { leg: LegId },
    /// The recorder gave up on this call.
    RecordingFailed,
    /// `next_deadline` has come. Too early is harmless.
    Deadline,
    /// The drain limit of a graceful stop passed.
    Shutdown,
}

impl Input {
    /// For `Unexpected`.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Input::LegRinging { .. } => "leg_ringing",
            Input::LegEarlyMedia { .. } => "leg_early_media",
            Input::LegAnswered { .. } => "leg_answered",
            Input::LegFailed { .. } => "leg_failed",
            Input::LegEnded { .. } => "leg_ended",
            Input::LegHeld { .. } => "leg_held",
            Input::LegResumed { .. } => "leg_resumed",
            Input::RtpSilent { .. } => "rtp_silent",
            Input::RtpHeard { .. } => "rtp_heard",
            Input::LegAway { .. } => "leg_away",
            Input::LegBack { .. } => "leg_back",
            Input::Granted { .. } => "granted",
            Input::GrantRevoked { .. } => "grant_revoked",
            Input::QueueRefused { .. } => "queue_refused",
            Input::Identified { .. } => "identified",
            Input::PopReady { .. } => "pop_ready",
            Input::HangUp { .. } => "hang_up",
            Input::PromptEnded { .. } => "prompt_ended",
            Input::RecordingFailed => "recording_failed",
            Input::Deadline => "deadline",
            Input::Shutdown => "shutdown",
        }
    }

    pub(super) fn leg(&self) -> Option<LegId> {
        match *self {
            Input::LegRinging { leg }
            | Input::LegEarlyMedia { leg }
            | Input::LegAnswered { leg }
            | Input::LegFailed { leg, .. }
            | Input::LegEnded { leg, .. }
            | Input::LegHeld { leg }
            | Input::LegResumed { leg }
            | Input::RtpSilent { leg }
            | Input::RtpHeard { leg }
            | Input::LegAway { leg }
            | Input::LegBack { leg }
            | Input::PromptEnded { leg } => Some(leg),
            _ => None,
        }
    }
}

/// Whom to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialTo {
    /// Every phone of this person, as one leg.
    Agent(AgentId),
    /// A number through a carrier.
    Outside { trunk: TrunkId, number: String },
}

/// What the call wants done. Carried out in order.
#[derive(Clone, Debug)]
pub enum Effect {
    /// The leg that arrived shall hear its own phone's tone (180).
    Ring { leg: LegId },
    /// 183 with our SDP: sound may flow to the caller.
    StartEarlyMedia { leg: LegId },
    /// 200. With recording, `StartRecording` stands before it in the same batch.
    Answer { leg: LegId },
    /// The final refusal of the leg that arrived.
    Reject { leg: LegId, cause: EndCause },
    /// `show`: whom the dialled phone shows as calling. `ring` is for information: the call itself cancels at its own
    /// deadline. `auto_answer`: ask the phone to answer by itself (click-to-call rings the asker's own phone).
    Dial { leg: LegId, to: DialTo, show: Party, ring: Duration, auto_answer: bool },
    /// `elsewhere`: another phone answered (RFC 3326 Reason), so that this one shows no missed call.
    /// The engine reports the leg's end with `LegFailed`, `LegEnded` or a late `LegAnswered`.
    CancelDial { leg: LegId, elsewhere: bool },
    /// BYE, or whatever ends an answered leg.
    HangUpLeg { leg: LegId, cause: EndCause },
    /// Tells the leg that the call is recorded; answered by `PromptEnded`.
    Announce { leg: LegId },
    /// The short tone of a recorded conversation, in the place of what the leg hears at this moment.
    Beep { leg: LegId },
    /// Our own ringing tone, to a leg whose media flows.
    PlayRingback { leg: LegId },
    /// Hold music.
    PlayMusic { leg: LegId },
    /// A sign that the line is not dead, while the other party is away.
    PlayComfort { leg: LegId },
    /// Ends tone or music.
    StopPlaying { leg: LegId },
    /// Whom each of these legs hears from now on; legs that are not named go on as they were. Nobody: nothing but what
    /// is played. A leg may be in early media.
    Hear(Vec<(LegId, Vec<LegId>)>),
    /// Wait for an agent of the queue. Here and below the engine adds the call's id.
    Enqueue { queue: QueueId, priority: u8, hints: Hints },
    /// Learned about the client after `Enqueue`.
    Hint { hints: Hints },
    /// The call gives up its place. `OfferEnded` follows for every lease it still holds.
    LeaveQueue { abandoned: bool },
    /// The INVITE goes out now.
    ConfirmGrant { grant: GrantId },
    /// The granted agent answered: the call leaves the queue by this, and the agent talks, even when the floor has
    /// taken the lease back in the meantime.
    GrantAnswered { grant: GrantId, agent: AgentId },
    /// The lease is over, unanswered.
    OfferEnded { grant: GrantId, outcome: OfferOutcome },
    /// The agent is engaged by this call without a grant, or changes what it does in it. Idempotent by call and agent.
    AgentBusy { agent: AgentId, doing: AgentDoing },
    /// The agent is out of this call: granted or not.
    AgentFree { agent: AgentId },
    /// Who is this? Answered by `Identified`. The client of the call; of an internal call, the colleague who calls.
    Identify { who: Party },
    /// Show the client's card to the agent; answered by `PopReady`, for which `Dial` waits 20 ms at most.
    /// Sent again with the same id when the same agent is offered the same call again.
    ShowPop { pop: PopId, agent: AgentId, queue: Option<QueueId> },
    /// Take the card from the agent's screen.
    RetractPop { pop: PopId, agent: AgentId, reason: RetractReason },
    /// Left is what `client_leg` says, right is what it is sent.
    StartRecording { recording: RecordingId, client_leg: LegId },
    /// Audio is captured or left out from now on; the time line goes on.
    GateRecording { captures: bool },
    /// A moment worth finding again.
    MarkRecording { kind: MarkKind, label: Option<String> },
    /// `keep: false`: someone who must not be recorded joined; nothing of it may stay.
    FinishRecording { keep: bool },
    /// For the diary. `agent` and `queue` are the event's address.
    Emit { kind: EventKind, agent: Option<AgentId>, queue: Option<QueueId> },
    /// Something happened that cannot happen in this state. Harmless; for the log.
    Unexpected { state: &'static str, input: &'static str, leg: Option<LegId> },
    /// Nothing more will come or may be asked: the call's task ends. Once, last.
    Finished { cause: EndCause, ended_by: EndedBy },
}
