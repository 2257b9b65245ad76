//! Where decisions meet IO. One task owns one call; one floor task owns every queue and agent; one SIP task owns
//! the endpoint. Everyone else holds a `Handle` and sends commands.
//!
//! ```text
//! transport ─▶ sip_task ─▶ arrivals ─▶ call_task ⇄ effects, legs ─▶ relay, recorder
//!                  ▲                       ⇅            │
//!                  └───────────────────── legs      floor_task ⇄ calls
//!                                          pops, recordings ─▶ the event log
//! ```

mod address;
mod arrivals;
mod call_task;
mod calls;
mod effects;
mod floor_task;
mod front_desk;
pub mod handle;
mod house;
mod legs;
mod phone_loans;
mod phones;
mod pops;
mod quality;
mod recordings;
mod sip_door;
mod sip_task;
pub(crate) mod tasks;
mod timer;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;

pub use address::interfaces;
pub use handle::{Actor, Command, CommandError, Handle, LentPhone, QueueView, Readiness};
pub use sip_door::{LineClosed, SipDoor, SipLine};

use crate::call::{Input, Limits};
use crate::media::sound::Sound;
use crate::media::tones;
use crate::recording::{Recorder, RecorderConfig, RecordingError, Repaired};
use crate::relay::{Relay, RelayConfig, RelayError};
use crate::sip::endpoint::{Endpoint, EndpointConfig};
use crate::site::{Language, Network, Site};
use crate::store::{EventLog, LastFloor, Store};
use crate::transport;
use address::Addresses;
use call_task::CallMessage;
use calls::Calls;
use house::{House, Sounds};
use phones::Phones;

/// What the engine is made of. `app` fills it from the config file.
pub struct Parts {
    pub site: Arc<ArcSwap<Site>>,
    pub store: Store,
    pub log: EventLog,
    pub relay: RelayConfig,
    pub recorder: RecorderConfig,
    pub endpoint: EndpointConfig,
    pub received: mpsc::Receiver<transport::Received>,
    pub sender: transport::Sender,
    /// Told in SDP to far ends outside `local_networks`.
    pub media_advertise: Option<IpAddr>,
    pub local_networks: Vec<Network>,
    pub ringback: Sound,
    pub music: Sound,
    /// "This call is recorded", by language; empty: nobody can be told.
    pub recorded: HashMap<Language, Sound>,
    pub limits: Limits,
    pub most_calls: usize,
    /// What a kill left behind, to be told.
    pub repaired: Vec<Repaired>,
    /// What agents were before the restart.
    pub last_floor: LastFloor,
}

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Relay(#[from] RelayError),
    #[error(transparent)]
    Recorder(#[from] RecordingError),
}

/// The running engine; `app` owns it and stops it.
pub struct Engine {
    house: Arc<House>,
    handle: Handle,
}

/// Commands that wait at the front desk; more make the web wait.
const COMMANDS: usize = 256;

impl Engine {
    /// Starts media threads, recorder and every task.
    pub fn start(parts: Parts) -> Result<Engine, StartError> {
        let (sip, sip_orders) = mpsc::channel(sip_task::INBOX);
        let (floor, floor_orders) = mpsc::channel(floor_task::INBOX);
        let (commands, command_inbox) = mpsc::channel(COMMANDS);
        // Media threads and recorder report to the house, and the house holds them: the reports find it by this cell.
        let cell: Arc<std::sync::OnceLock<std::sync::Weak<House>>> = Arc::default();
        let (media_cell, recorder_cell) = (cell.clone(), cell.clone());
        let house_of = |cell: &std::sync::OnceLock<std::sync::Weak<House>>| cell.get().and_then(std::sync::Weak::upgrade);
        let (relay, taps) = Relay::start(parts.relay, move |event| {
            if let Some(house) = house_of(&media_cell)
                && let Some((leg, end)) = house.calls.tell_media(event.media(), event)
            {
                let kept = house.clone();
                house.runtime.spawn(async move { quality::keep(&kept, leg, end).await });
            }
        })?;
        let recordings = parts.recorder.dir.clone();
        let recorder = Recorder::start(parts.recorder, taps, move |event| {
            if let Some(house) = house_of(&recorder_cell) {
                recordings::tell(&house, event);
            }
        })?;
        let endpoint_seed = rand::random();
        let house = Arc::new(House {
            site: parts.site,
            store: parts.store,
            log: parts.log,
            relay,
            recorder,
            recordings,
            sip,
            floor,
            calls: Calls::default(),
            phones: Phones::default(),
            addresses: Addresses::new(parts.media_advertise, parts.local_networks),
            sounds: Sounds {
                ringback: Arc::new(parts.ringback),
                music: Arc::new(parts.music),
                comfort: Arc::new(Sound::from_pcm(&tones::comfort())),
                beep: Arc::new(Sound::from_pcm(&tones::beep())),
                recorded: parts.recorded.into_iter().map(|(language, sound)| (language, Arc::new(sound))).collect(),
            },
            limits: parts.limits,
            most_calls: parts.most_calls,
            stopping: AtomicBool::new(false),
            next_recording_key: AtomicU32::new(1),
            pace: Mutex::default(),
            runtime: tokio::runtime::Handle::current(),
        });
        // The cell is empty until here, so this cannot fail.
        let _ = cell.set(Arc::downgrade(&house));
        recordings::tell_repaired(&house, parts.repaired);
        let directory = Arc::new(crate::sip::endpoint::Directory::from_site(&house.site.load()));
        let endpoint = Endpoint::new(parts.endpoint, directory, endpoint_seed);
        floor_task::spawn(house.clone(), floor_orders, rand::random(), parts.last_floor);
        sip_task::spawn(house.clone(), endpoint, sip_orders, parts.received, parts.sender);
        front_desk::spawn(house.clone(), command_inbox);
        phone_loans::watch_sessions(house.clone());
        Ok(Engine { house, handle: Handle::new(commands) })
    }

    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub fn calls(&self) -> usize {
        self.house.calls.count()
    }

    /// No new calls from now on; returns when none is left, or when `limit` has passed and the rest was ended.
    pub async fn drain(&self, limit: Duration) {
        self.house.stopping.store(true, Ordering::Relaxed);
        let last = tokio::time::Instant::now() + limit;
        while self.calls() > 0 && tokio::time::Instant::now() < last {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for inbox in self.house.calls.inboxes() {
            // A call whose inbox is full is about to read it; it gets the word as soon as there is room.
            let _ = inbox.send(CallMessage::Input(Input::Shutdown)).await;
        }
        let last = tokio::time::Instant::now() + Duration::from_secs(2);
        while self.calls() > 0 && tokio::time::Instant::now() < last {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// After `drain`: recordings to the disk, media threads ended. Blocking parts run off the async threads.
    pub async fn stop(self) {
        let house = self.house;
        let stopped = tokio::task::spawn_blocking(move || {
            if !house.recorder.shutdown(Duration::from_secs(10)) {
                tracing::error!("some recordings are not on the disk yet; the next start repairs them");
            }
            house.relay.stop();
        });
        if stopped.await.is_err() {
            tracing::error!("stopping the media threads failed");
        }
    }
}
