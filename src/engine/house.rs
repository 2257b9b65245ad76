//! What every task of the engine shares: the set-up, the parts that do IO, and the ways to reach one another.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::mpsc;

use super::address::Addresses;
use super::calls::Calls;
use super::phones::Phones;
use super::{floor_task, sip_task};
use crate::call::Limits;
use crate::clock;
use crate::events::Event;
use crate::media::sound::Sound;
use crate::recording::Recorder;
use crate::relay::Relay;
use crate::routing::Pace;
use crate::site::{Language, Site};
use crate::store::{EventLog, Store};
use crate::types::TrunkId;

/// Sounds that every call shares.
#[derive(Clone, Debug)]
pub(super) struct Sounds {
    pub ringback: Arc<Sound>,
    pub music: Arc<Sound>,
    /// While the other party is away.
    pub comfort: Arc<Sound>,
    /// Reminds of the recording.
    pub beep: Arc<Sound>,
    /// "This call is recorded", by language.
    pub recorded: HashMap<Language, Arc<Sound>>,
}

impl Sounds {
    /// In another language rather than not at all.
    pub fn recorded(&self, language: Language) -> Option<Arc<Sound>> {
        self.recorded.get(&language).or_else(|| self.recorded.values().next()).cloned()
    }
}

pub(super) struct House {
    pub site: Arc<ArcSwap<Site>>,
    pub store: Store,
    pub log: EventLog,
    pub relay: Relay,
    pub recorder: Recorder,
    /// Where the recorder writes.
    pub recordings: PathBuf,
    pub sip: mpsc::Sender<sip_task::Order>,
    pub floor: mpsc::Sender<floor_task::Order>,
    pub calls: Calls,
    pub phones: Phones,
    pub addresses: Addresses,
    pub sounds: Sounds,
    pub limits: Limits,
    /// Calls at once; more are refused with 503.
    pub most_calls: usize,
    /// A graceful stop has begun: no new calls.
    pub stopping: AtomicBool,
    pub next_recording_key: AtomicU32,
    /// How fast trunks start calls. Locked for a few lines that never await.
    pub pace: Mutex<Pace>,
    /// For threads outside the runtime that have something to wait for.
    pub runtime: tokio::runtime::Handle,
}

impl House {
    /// Puts the event into the log's queue. A full log loses the event, which is counted and logged, never the call.
    pub fn submit(&self, event: Event) {
        self.submit_write(event.into());
    }

    pub fn submit_write(&self, write: crate::store::LogWrite) {
        let name = write.event.kind.name();
        if let Err(error) = self.log.submit(write) {
            tracing::error!(event = name, "event lost: {error}");
            metrics::counter!("perezvon_events_lost_total").increment(1);
        }
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Whether a trunk may take another call: its calls at once and its calls a second, in both directions together.
    pub fn has_room_on_trunk(&self, trunk: &TrunkId) -> bool {
        let site = self.site.load();
        let Some(limits) = site.trunks.get(trunk) else { return true };
        let most_calls = limits.max_calls as usize;
        (most_calls == 0 || self.calls.count_of_trunk(trunk) < most_calls)
            && self.pace().has_room(clock::now(), trunk, limits.max_cps)
    }

    /// A call by this trunk begins, unless it begins too many a second.
    pub fn begin_on_trunk(&self, trunk: &TrunkId) -> bool {
        let most = self.site.load().trunks.get(trunk).map_or(0, |trunk| trunk.max_cps);
        let begins = self.pace().begin(clock::now(), trunk, most);
        if !begins {
            metrics::counter!("perezvon_trunk_too_fast_total", "trunk" => trunk.to_string()).increment(1);
        }
        begins
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        // A panic while it is locked can lose a moment's count, nothing else.
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names a tap; unique among running recordings because they are far fewer than 2³².
    pub fn recording_key(&self) -> u32 {
        self.next_recording_key.fetch_add(1, Ordering::Relaxed)
    }
}
