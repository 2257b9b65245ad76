//! The product's diary: everything that changed, in the words of INTERFACES. `engine` builds events from effects,
//! `store` gives them their `seq` at commit, `web` and later webhooks carry them out. Events decide nothing.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::media::seconds::{Point, Seconds};
use crate::site::Strategy;
use crate::types::{AgentId, AgentState, CallId, CallView, CardId, LegId, PopId, QueueId, RecordingId, SupervisionMode, Wall};

/// One entry of the log before it has a `seq`. In JSON: `{"seq", "at", "type", "call_id", "agent", "data"}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    pub at: Wall,
    pub call_id: Option<CallId>,
    pub agent: Option<AgentId>,
    /// Not sent: who may see it (a supervisor sees its queues').
    #[serde(skip)]
    pub queue: Option<QueueId>,
    #[serde(flatten)]
    pub kind: EventKind,
}

/// `type` and `data`. The data of every `call.*` is INTERFACES' `Call`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum EventKind {
    #[serde(rename = "call.started")]
    CallStarted(Box<CallView>),
    #[serde(rename = "call.queued")]
    CallQueued(Box<CallView>),
    #[serde(rename = "call.offered")]
    CallOffered(Box<CallView>),
    #[serde(rename = "call.answered")]
    CallAnswered(Box<CallView>),
    #[serde(rename = "call.held")]
    CallHeld(Box<CallView>),
    #[serde(rename = "call.resumed")]
    CallResumed(Box<CallView>),
    /// A party's browser fell silent without leaving; its place is kept for a while.
    #[serde(rename = "call.leg_lost")]
    CallLegLost(LegAbsence),
    /// It is back, from a reload or from another network.
    #[serde(rename = "call.leg_returned")]
    CallLegReturned(LegAbsence),
    #[serde(rename = "call.ended")]
    CallEnded(Box<CallView>),
    /// A supervisor came in, changed the mode, or left (`mode` null). Addressed to the supervisor: the agent is not told.
    #[serde(rename = "call.supervised")]
    CallSupervised(Supervision),
    #[serde(rename = "agent.state_changed")]
    AgentStateChanged(AgentView),
    #[serde(rename = "pop.shown")]
    PopShown(Box<Pop>),
    #[serde(rename = "pop.retracted")]
    PopRetracted { pop_id: PopId, reason: RetractReason },
    #[serde(rename = "recording.started")]
    RecordingStarted(Box<RecordingView>),
    #[serde(rename = "recording.paused")]
    RecordingPaused(Box<RecordingView>),
    #[serde(rename = "recording.resumed")]
    RecordingResumed(Box<RecordingView>),
    #[serde(rename = "recording.ready")]
    RecordingReady(Box<RecordingView>),
    #[serde(rename = "recording.failed")]
    RecordingFailed(Box<RecordingView>),
}

impl EventKind {
    /// The `type` on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            EventKind::CallStarted(_) => "call.started",
            EventKind::CallQueued(_) => "call.queued",
            EventKind::CallOffered(_) => "call.offered",
            EventKind::CallAnswered(_) => "call.answered",
            EventKind::CallHeld(_) => "call.held",
            EventKind::CallResumed(_) => "call.resumed",
            EventKind::CallLegLost(_) => "call.leg_lost",
            EventKind::CallLegReturned(_) => "call.leg_returned",
            EventKind::CallEnded(_) => "call.ended",
            EventKind::CallSupervised(_) => "call.supervised",
            EventKind::AgentStateChanged(_) => "agent.state_changed",
            EventKind::PopShown(_) => "pop.shown",
            EventKind::PopRetracted { .. } => "pop.retracted",
            EventKind::RecordingStarted(_) => "recording.started",
            EventKind::RecordingPaused(_) => "recording.paused",
            EventKind::RecordingResumed(_) => "recording.resumed",
            EventKind::RecordingReady(_) => "recording.ready",
            EventKind::RecordingFailed(_) => "recording.failed",
        }
    }
}

/// An agent as `GET agents` and `agent.state_changed` show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentView {
    pub login: AgentId,
    pub name: String,
    pub team: Option<String>,
    pub extension: Option<String>,
    pub state: AgentState,
    /// A break's reason, or why the floor changed the state (`no_answer`).
    pub reason: Option<String>,
    pub since: Wall,
    /// When the state ends by itself (wrap-up), else null.
    pub until: Option<Wall>,
    pub call_id: Option<CallId>,
    pub queues: Vec<QueueId>,
    /// Has a live SIP registration.
    pub registered: bool,
}

/// Who listens to a call, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Supervision {
    pub supervisor: AgentId,
    /// Whose side of the call is supervised.
    pub agent: Option<AgentId>,
    /// Null: the supervisor is out.
    pub mode: Option<SupervisionMode>,
}

/// A leg that is in the call and not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LegAbsence {
    pub leg: LegId,
    /// Whose browser it is.
    pub agent: Option<AgentId>,
    /// How long it was away; null while it is.
    pub gap_ms: Option<u64>,
}

/// How one leg of a call sounded, by its own numbers and by what its far end reported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LegQuality {
    pub leg: LegId,
    /// The codec at the end; null when none was agreed.
    pub codec: Option<String>,
    pub lived_ms: u64,
    pub packets_received: u64,
    pub packets_lost: u64,
    pub loss_percent: f64,
    pub jitter_ms: f64,
    pub max_jitter_ms: f64,
    pub packets_sent: u64,
    /// What the far end says of our packets; null when it never reported.
    pub remote_packets_lost: Option<u32>,
    pub remote_jitter_ms: Option<f64>,
    pub round_trip_ms: Option<f64>,
    pub source_changes: u32,
    pub strangers_refused: u64,
    /// What we heard of the leg: 1 to 4.4 (G.107), null when nothing came.
    pub mos: Option<f64>,
    /// What the far end heard of us, as far as it reported.
    pub remote_mos: Option<f64>,
    /// Audio went one way only.
    pub trouble: Option<AudioTrouble>,
    /// Of the 20 ms frames that were made for those who heard the leg, the share that had to be made up; null when its
    /// packets were passed on as they came.
    #[serde(default)]
    pub concealed_percent: Option<f64>,
    /// When its media was connected: where the first point of `seconds` begins.
    #[serde(default)]
    pub started_at: Option<Wall>,
    /// Null when it lived for less than a second.
    #[serde(default)]
    pub seconds: Option<QualitySeconds>,
}

/// How a leg fared second by second, a column for each figure, all of one length: point `i` begins `i` × `step_seconds`
/// after `started_at`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QualitySeconds {
    /// Seconds of one point: 1, and 2, 4… for legs that lived longer than half an hour.
    pub step_seconds: u32,
    /// Packets a second, up to 255.
    pub received: Vec<u8>,
    pub loss_percent: Vec<f64>,
    /// Of our packets, as far as the far end reported.
    pub remote_loss_percent: Vec<Option<f64>>,
    /// Of the frames made for those who heard the leg.
    pub concealed_percent: Vec<f64>,
    /// Up to 255.
    pub jitter_ms: Vec<u8>,
    pub round_trip_ms: Vec<Option<u16>>,
    /// The mean length of a loss, in packets.
    pub gap: Vec<u8>,
    /// 1 to 4.4 (G.107); null when nothing came.
    pub mos: Vec<Option<f64>>,
}

impl From<&Seconds> for QualitySeconds {
    fn from(seconds: &Seconds) -> QualitySeconds {
        fn column<T>(seconds: &Seconds, figure: impl Fn(&Point) -> T) -> Vec<T> {
            seconds.points().map(|point| figure(&point)).collect()
        }
        let rounded = |value: f32, to: f64| (f64::from(value) * to).round() / to;
        let percent = |share: f32| rounded(share * 100.0, 10.0);
        QualitySeconds {
            step_seconds: seconds.step_seconds(),
            received: column(seconds, |point| point.received),
            loss_percent: column(seconds, |point| percent(point.loss)),
            remote_loss_percent: column(seconds, |point| point.remote_loss.map(percent)),
            concealed_percent: column(seconds, |point| percent(point.concealed)),
            jitter_ms: column(seconds, |point| point.jitter_ms),
            round_trip_ms: column(seconds, |point| point.round_trip_ms),
            gap: column(seconds, |point| point.gap),
            mos: column(seconds, |point| point.mos.map(|mos| rounded(mos, 100.0))),
        }
    }
}

/// Why one side of a leg was silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AudioTrouble {
    /// No packet came at all: a firewall, or a far end that sends nothing.
    NothingCame,
    /// Its SDP names an address that only its own network knows, and nothing came.
    PrivateAddress,
    /// Packets came, but from an address that was not proved to be the far end's.
    FromAnotherAddress,
    /// Packets came that could not be read: another codec, or encrypted.
    Unusable,
    /// Nobody's audio was sent to it.
    NothingSent,
    /// More packets were refused by the network than went out.
    NotDelivered,
}

impl AudioTrouble {
    pub const fn as_str(self) -> &'static str {
        match self {
            AudioTrouble::NothingCame => "nothing_came",
            AudioTrouble::PrivateAddress => "private_address",
            AudioTrouble::FromAnotherAddress => "from_another_address",
            AudioTrouble::Unusable => "unusable",
            AudioTrouble::NothingSent => "nothing_sent",
            AudioTrouble::NotDelivered => "not_delivered",
        }
    }
}

/// A queue as `GET queues` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueueView {
    pub name: QueueId,
    pub strategy: Strategy,
    pub waiting: u32,
    /// How long the first caller has waited; null when nobody waits.
    pub longest_wait_ms: Option<u64>,
    pub members: Vec<AgentId>,
    pub supervisors: Vec<AgentId>,
    pub ready: u32,
    pub talking: u32,
    pub ring_seconds: u32,
    pub wrap_up_seconds: u32,
    /// Calls that entered the queue since the server started, and what became of them. The rest wait or were withdrawn.
    pub entered: u64,
    pub answered: u64,
    pub abandoned: u64,
}

/// INTERFACES' `pop.shown.data`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Pop {
    pub pop_id: PopId,
    pub caller: PopCaller,
    /// The number that was dialled.
    pub called: String,
    pub queue: Option<QueueId>,
    #[serde(rename = "match")]
    pub matched: Match,
    /// Why this card, in words of the site's language.
    pub reason: String,
    pub card: Option<CardBrief>,
    pub candidates: Vec<Candidate>,
    /// The INVITE left before the card was ready.
    pub late: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PopCaller {
    /// E.164, or null.
    pub number: Option<String>,
    pub display: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Match {
    Known,
    Ambiguous,
    Unknown,
    Withheld,
}

/// The part of a card that a pop carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CardBrief {
    pub id: CardId,
    pub name: String,
    pub company: Option<String>,
    pub owner: Option<AgentId>,
    /// Where the desk shows it: `/clients/ID`.
    pub url: String,
    pub tags: Vec<String>,
    pub fields: serde_json::Map<String, serde_json::Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Candidate {
    pub card: CardBrief,
    /// 1 is the best.
    pub rank: u32,
    pub reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetractReason {
    AnsweredElsewhere,
    /// The caller hung up while it rang.
    Abandoned,
    NoAnswer,
    Declined,
    Unreachable,
    /// The call gave the offer up.
    Withdrawn,
    /// The server was killed while it rang.
    ServerRestart,
}

/// INTERFACES' `Recording`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecordingView {
    pub id: RecordingId,
    pub call_id: CallId,
    pub state: RecordingState,
    pub started_at: Wall,
    pub duration_ms: u64,
    pub sample_rate: u32,
    pub channels: u16,
    pub bytes: u64,
    pub marks: Vec<Mark>,
    pub gaps: Vec<Gap>,
    /// Why it failed or has gaps, for people; null when all is well.
    pub trouble: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordingState {
    Recording,
    Ready,
    Failed,
}

/// A moment worth finding again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Mark {
    pub at_ms: u64,
    pub kind: MarkKind,
    /// Whom it is about: an agent's login, a queue.
    pub label: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    Queued,
    MusicStarted,
    MusicStopped,
    AgentJoined,
    AgentLeft,
    Held,
    Resumed,
    Paused,
    Unpaused,
    /// Secrets are spoken: nothing is captured until `unmasked`.
    Masked,
    Unmasked,
    /// Somebody switched the recording off and on by hand.
    Stopped,
    Started,
}

/// A stretch that could not be captured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Gap {
    pub from_ms: u64,
    pub to_ms: u64,
    /// `disk_full`, `disk_error`, `writer_behind`.
    pub reason: String,
}
