//! What every handler may reach, and the settings of the HTTP side. `app` makes one and hands it to `Server::run`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{Semaphore, watch};

use super::auth::SignIn;
use crate::engine;
use crate::site::{Network, Site};
use crate::store::{EventLog, Store};

/// How the HTTP port is protected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    #[default]
    Off,
    /// A certificate of our own making, kept in this folder so that it survives a restart.
    SelfSigned { folder: PathBuf },
    /// PEM files; the chain begins with the server's own certificate.
    Files { cert: PathBuf, key: PathBuf },
}

/// The `[http]` part of the config file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    pub tls: Tls,
    /// Whose `X-Forwarded-For`, `-Proto` and `-Host` are believed.
    pub trusted_proxies: Vec<Network>,
    /// How long a browser stays signed in.
    pub session_ttl: Duration,
    /// Open connections; more wait in the kernel's queue.
    pub max_connections: usize,
    /// Open live streams; more are answered 503.
    pub max_live: usize,
    /// How often a live stream asks whether its peer lives; one that was silent for a whole period is dropped.
    pub ping_every: Duration,
}

impl Default for HttpConfig {
    fn default() -> Self {
        HttpConfig {
            tls: Tls::Off,
            trusted_proxies: Vec::new(),
            session_ttl: Duration::from_secs(7 * 24 * 3600),
            max_connections: 4096,
            max_live: 2048,
            ping_every: Duration::from_secs(20),
        }
    }
}

/// The parts of the house that the web asks.
#[derive(Clone, Debug)]
pub struct Parts {
    pub store: Store,
    pub log: EventLog,
    pub engine: engine::Handle,
    /// Where browsers' SIP goes.
    pub sip: engine::SipDoor,
    /// Swapped whole when a new set-up is applied.
    pub site: Arc<ArcSwap<Site>>,
    /// `recording.dir`; paths in the database are relative to it.
    pub recordings: PathBuf,
    pub config: HttpConfig,
    /// Renders `/metrics`; `None` answers with an empty page.
    pub metrics: Option<PrometheusHandle>,
}

/// Cheap to clone: every handler gets one.
#[derive(Clone)]
pub struct AppState {
    inner: Arc<Inner>,
}

struct Inner {
    parts: Parts,
    sign_in: SignIn,
    live_slots: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
}

impl AppState {
    pub fn new(parts: Parts) -> Self {
        let live_slots = Arc::new(Semaphore::new(parts.config.max_live));
        AppState { inner: Arc::new(Inner { parts, sign_in: SignIn::new(), live_slots, stopping: watch::Sender::new(false) }) }
    }

    pub fn store(&self) -> &Store {
        &self.inner.parts.store
    }

    pub fn log(&self) -> &EventLog {
        &self.inner.parts.log
    }

    pub fn engine(&self) -> &engine::Handle {
        &self.inner.parts.engine
    }

    pub fn sip(&self) -> &engine::SipDoor {
        &self.inner.parts.sip
    }

    pub fn site(&self) -> Arc<Site> {
        self.inner.parts.site.load_full()
    }

    pub fn recordings(&self) -> &PathBuf {
        &self.inner.parts.recordings
    }

    pub fn config(&self) -> &HttpConfig {
        &self.inner.parts.config
    }

    pub fn metrics(&self) -> Option<&PrometheusHandle> {
        self.inner.parts.metrics.as_ref()
    }

    pub(super) fn sign_in(&self) -> &SignIn {
        &self.inner.sign_in
    }

    /// One permit a live stream.
    pub(super) fn live_slots(&self) -> &Arc<Semaphore> {
        &self.inner.live_slots
    }

    /// Turns true when the server begins to stop: streams close, handlers finish.
    pub(super) fn stopping(&self) -> watch::Receiver<bool> {
        self.inner.stopping.subscribe()
    }

    pub(super) fn begin_stop(&self) {
        self.inner.stopping.send_replace(true);
    }
}
