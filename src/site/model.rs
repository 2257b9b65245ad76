//! The set-up as the rest of the house reads it: parsed, secrets already hashed, names already checked.
//! `Arc<Site>` is swapped whole when a new one is applied; nobody changes it in place.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::media::codec::Codec;
pub use crate::types::Language;
use crate::types::{AgentId, E164, QueueId, Region, TrunkId};

#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    pub region: Region,
    /// IANA name, `Europe/Moscow`.
    pub timezone: String,
    pub language: Language,
    pub users: BTreeMap<AgentId, User>,
    pub trunks: BTreeMap<TrunkId, Trunk>,
    pub queues: BTreeMap<QueueId, Queue>,
    /// Longest pattern first.
    pub numbers: Vec<Number>,
    /// Longest prefix first.
    pub routes: Vec<Route>,
}

impl Default for Site {
    fn default() -> Self {
        Site {
            region: Region::RU,
            timezone: "Europe/Moscow".into(),
            language: Language::Ru,
            users: BTreeMap::new(),
            trunks: BTreeMap::new(),
            queues: BTreeMap::new(),
            numbers: Vec::new(),
            routes: Vec::new(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Agent,
    Supervisor,
    Support,
    Admin,
}

/// A person who signs in; with an `extension`, also a SIP user of realm `perezvon`.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    pub login: AgentId,
    pub name: String,
    /// Argon2id, PHC string.
    pub password_hash: Option<String>,
    pub role: Role,
    pub team: Option<String>,
    pub extension: Option<String>,
    pub sip_ha1: Option<SipHa1>,
    pub skills: BTreeMap<String, u8>,
    pub record: bool,
    /// As of a queue, for the calls of this person.
    pub beep_seconds: u32,
    /// What their phones may speak, in the order of our offers; never empty.
    pub codecs: Vec<Codec>,
    pub srtp: Srtp,
}

/// Whether audio is protected by keys in the SDP (RFC 4568). Browsers protect theirs in any case, by DTLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Srtp {
    /// Neither offered nor taken.
    #[default]
    Off,
    /// Offered; whoever refuses it is called again without. Calls may come either way.
    Optional,
    /// Never without.
    Required,
}

/// For people: wideband first.
pub const USER_CODECS: [Codec; 4] = [Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu];
/// For carriers.
pub const TRUNK_CODECS: [Codec; 3] = [Codec::Pcma, Codec::Pcmu, Codec::G722];

/// H(extension:perezvon:password) as lower-case hex, one per algorithm we may challenge with (RFC 8760).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SipHa1 {
    pub md5: String,
    pub sha256: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Trunk {
    pub name: TrunkId,
    pub targets: Vec<Target>,
    pub accept_from: Vec<Network>,
    pub username: String,
    pub password: String,
    pub register: bool,
    pub options_seconds: u32,
    pub max_calls: u32,
    pub max_cps: u32,
    /// What it may speak, in the order of our offers; never empty.
    pub codecs: Vec<Codec>,
    pub srtp: Srtp,
}

/// `host[:port][;transport=tcp]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub host: String,
    pub port: u16,
    pub tcp: bool,
}

/// `CIDR` or `CIDR:port`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    pub address: IpAddr,
    pub prefix: u8,
    pub port: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    RingAll,
    RingProgressively,
    RoundRobin,
    LongestIdle,
    FewestCalls,
    LeastTalkTime,
    TopDown,
    Random,
    Weighted,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    pub name: QueueId,
    pub strategy: Strategy,
    pub members: Vec<AgentId>,
    pub supervisors: Vec<AgentId>,
    pub ring_seconds: u32,
    pub wrap_up_seconds: u32,
    /// Answer when the call enters the queue; else the caller hears music as early media.
    pub answer: bool,
    pub record: bool,
    /// The caller is told that the call is recorded, when it is.
    pub announce: bool,
    /// How often both sides hear a short tone while the call is recorded; 0: never.
    pub beep_seconds: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    pub pattern: NumberPattern,
    pub to: Destination,
    pub source: Option<String>,
    pub record: bool,
    /// The caller is told that the call is recorded, when it is.
    pub announce: bool,
    /// How often both sides hear a short tone while the call is recorded; 0: never.
    pub beep_seconds: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NumberPattern {
    /// Compared after normalisation.
    E164(E164),
    /// The raw user part, whole.
    Exact(String),
    /// The raw user part starts with this; longest wins.
    Prefix(String),
}

/// Where a call may go: `queue:sales`, `extension:101`, `user:anna`, `external:+7…`, `trunk:carrier`, `ivr:`, `voicemail:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    Queue(QueueId),
    Extension(String),
    User(AgentId),
    External(String),
    /// The user part is passed on unchanged.
    Trunk(TrunkId),
    Ivr(String),
    Voicemail(String),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Digits the dialled number starts with, as dialled or in E.164 with its plus; empty matches all.
    pub prefix: String,
    pub trunk: TrunkId,
    pub record: bool,
    pub beep_seconds: u32,
}
