//! The door of the relay: start, open a leg, send it commands. It decides nothing about audio.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use thiserror::Error;

use super::browsers::{self, BROWSERS, Browsers};
use super::command::{BrowserPort, Fingerprint, IceCredentials, MediaCommand, MediaEvent, MediaId, MediaPort};
use super::dtls::{DtlsError, Identity};
use super::frame::CROSSING_FRAMES;
use super::graph::{Change, Graph, MAX_LISTENERS, MAX_SOURCES};
use super::leg::Outlets;
use super::net::{Poller, Waker};
use super::places::Places;
use super::ports::{PortPair, PortPool};
use super::tap::{TapFrame, TapWriter};
use super::thread::{self, Link, MediaThread, Order, Parts};
use crate::clock;
use crate::types::Time;

/// How the relay is set up.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// UDP ports, used as pairs of an even (RTP) and the next odd one (RTCP).
    pub ports: RangeInclusive<u16>,
    /// The local address of every port. `::` takes IPv4 and IPv6 on one socket, and falls back to `0.0.0.0` on a
    /// machine without IPv6.
    pub bind: IpAddr,
    /// Media threads, at least one.
    pub threads: usize,
    /// A leg that should send and is silent this long is reported, again after each such time.
    pub silence_limit: Duration,
    /// How long a port pair rests before its next use, so that late packets of the old call find nobody.
    pub port_rest: Duration,
    /// Time between RTCP reports of a leg (RFC 3550 §6.2: five seconds at the least rate).
    pub rtcp_interval: Duration,
    /// The UDP port of all browser legs of the first media thread; the next threads take the ports after it. 0: the system
    /// chooses each.
    pub webrtc_port: u16,
    pub browsers: BrowserLimits,
}

/// When a browser is thought to be in trouble, and when gone.
#[derive(Clone, Copy, Debug)]
pub struct BrowserLimits {
    /// Nothing came for so long, though it should send audio: `MediaEvent::Faint`.
    pub faint_after: Duration,
    /// The same while it does not send audio. Browsers then say only every two and a half seconds that they live.
    pub faint_on_hold_after: Duration,
    /// Nothing came for so long: `MediaEvent::Lost`.
    pub lost_after: Duration,
    /// From `Connect` to the end of the DTLS handshake; after it, `MediaEvent::Lost`.
    pub handshake: Duration,
}

impl Default for BrowserLimits {
    fn default() -> Self {
        BrowserLimits {
            faint_after: Duration::from_secs(1),
            faint_on_hold_after: Duration::from_secs(4),
            lost_after: Duration::from_secs(8),
            handshake: Duration::from_secs(10),
        }
    }
}

impl Default for RelayConfig {
    fn default() -> Self {
        RelayConfig {
            ports: 20000..=29999,
            bind: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            threads: 1,
            silence_limit: Duration::from_secs(30),
            port_rest: Duration::from_secs(30),
            rtcp_interval: Duration::from_secs(5),
            webrtc_port: 0,
            browsers: BrowserLimits::default(),
        }
    }
}

/// Why the relay did not start.
#[derive(Debug, Error)]
pub enum RelayError {
    #[error("[rtp] ports {first}-{last}: no pair of an even and the next odd port in this range")]
    NoPorts { first: u16, last: u16 },
    #[error("[rtp] ports {first}-{last}: none can be bound on {bind}: {source}")]
    Bind { first: u16, last: u16, bind: IpAddr, source: std::io::Error },
    #[error("[media] threads must be 1 to 256, not {0}")]
    Threads(usize),
    #[error("[rtp] webrtc_port: port {port} cannot be bound on {bind}: {source}")]
    BrowserPort { port: u16, bind: IpAddr, source: std::io::Error },
    #[error("no certificate for browsers: {0}")]
    Certificate(#[from] DtlsError),
    #[error("cannot set up a media thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// No port pair is left for another leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "no RTP ports left: {in_use} pairs in use, {resting} resting after use, {unusable} taken by other programs; \
     widen [rtp] ports"
)]
pub struct PortsExhausted {
    pub in_use: usize,
    pub resting: usize,
    pub unusable: usize,
}

/// No place is left for another browser leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no place for another browser: {in_use} are in use")]
pub struct BrowsersExhausted {
    pub in_use: usize,
}

/// The command did not reach its media thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CommandRefused {
    /// Thousands of commands wait. `Close` is never refused for this.
    #[error("the media thread's command queue is full")]
    Full,
    #[error("the relay has stopped")]
    Stopped,
}

/// Cheap to clone; every method but `stop` returns at once and may be called from any thread or task.
#[derive(Clone)]
pub struct Relay {
    inner: Arc<Inner>,
}

struct Inner {
    /// Never held while waiting for anything; media threads do not take it.
    pool: Mutex<Pool>,
    /// The same of browsers.
    places: Mutex<PlacePool>,
    fingerprint: Fingerprint,
    /// By thread.
    browser_ports: Vec<u16>,
    /// Held while a change is told to the threads, so that all of them hear of changes in one order; that takes
    /// microseconds.
    graph: Mutex<Graph>,
    doors: Vec<Door>,
    must_stop: Arc<AtomicBool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Pool {
    ports: PortPool,
    /// Pairs that media threads gave back, with the moment they did.
    returned: Receiver<(PortPair, Time)>,
}

struct PlacePool {
    places: Places,
    /// Places that media threads gave back, with their turn.
    returned: Receiver<(u16, u32)>,
}

/// The way in to one media thread.
struct Door {
    /// Has room for `COMMANDS`, beside them for what one of them changes in the graph, and for one `Open` and one `Close`
    /// for each port pair, so that none of these is ever refused.
    orders: SyncSender<Order>,
    waiting: Arc<AtomicUsize>,
    waker: Arc<Waker>,
}

/// Commands that may wait for one media thread; further ones are refused.
const COMMANDS: usize = 4096;
/// The most legs whose ties one command can change: two legs, and all that either hears, heard, or is heard by.
const MAX_CHANGES: usize = 2 * (1 + 2 * MAX_SOURCES + MAX_LISTENERS);

impl Relay {
    /// Binds the first ports and starts the media threads. Returns the tap rings, one a thread, in the threads' order.
    pub fn start(
        config: RelayConfig,
        on_event: impl Fn(MediaEvent) + Send + Sync + 'static,
    ) -> Result<(Relay, Vec<rtrb::Consumer<TapFrame>>), RelayError> {
        if !(1..=256).contains(&config.threads) {
            return Err(RelayError::Threads(config.threads));
        }
        let ports = PortPool::new(config.ports.clone(), config.bind, config.port_rest)?;
        let must_stop = Arc::new(AtomicBool::new(false));
        let on_event: Arc<dyn Fn(MediaEvent) + Send + Sync> = Arc::new(on_event);
        let (returned_pairs, returned) = sync_channel(ports.pairs());
        let (returned_places, places_returned) = sync_channel(BROWSERS);
        let identity = Arc::new(Identity::new()?);
        // Below 65,536: a range has at most half as many pairs as there are ports.
        let first_place = ports.pairs() as u16;
        let mut browser_ports = Vec::new();
        let (mut links, mut crossings) = (Vec::new(), Vec::new());
        for _ in 0..config.threads {
            let (sender, receiver) = sync_channel(CROSSING_FRAMES);
            links.push(Link { crossings: sender, waker: Arc::new(Waker::new()?) });
            crossings.push(receiver);
        }
        let (mut doors, mut taps, mut threads) = (Vec::new(), Vec::new(), Vec::new());
        for (index, crossings) in crossings.into_iter().enumerate() {
            let (orders, orders_receiver) = sync_channel(COMMANDS + MAX_CHANGES + 2 * (ports.pairs() + BROWSERS));
            let waiting = Arc::new(AtomicUsize::new(0));
            let (tap, tap_reader) = TapWriter::new();
            let parts = Parts {
                // At most 255 by the check above.
                index: index as u16,
                pairs: ports.pairs(),
                bind: ports.bind_address(),
                silence_limit: config.silence_limit,
                rtcp_interval: config.rtcp_interval,
                orders: orders_receiver,
                orders_waiting: Arc::clone(&waiting),
                crossings,
                links: links.clone(),
                returned_pairs: returned_pairs.clone(),
                returned_places: returned_places.clone(),
                must_stop: Arc::clone(&must_stop),
                outlets: Outlets { tap, on_event: Arc::clone(&on_event) },
            };
            let port = if config.webrtc_port == 0 { 0 } else { config.webrtc_port.saturating_add(parts.index) };
            let bind = parts.bind;
            let socket = browsers::bind(bind, port).map_err(|source| RelayError::BrowserPort { port, bind, source })?;
            browser_ports.push(socket.local_addr()?.port());
            let browsers = Browsers::new(socket, Arc::clone(&identity), config.browsers, first_place);
            let waker = Arc::clone(&links[index].waker);
            threads.push(spawn(parts, browsers, &waker)?);
            doors.push(Door { orders, waiting, waker });
            taps.push(tap_reader);
        }
        let pool = Mutex::new(Pool { ports, returned });
        let places = Mutex::new(PlacePool { places: Places::new(first_place), returned: places_returned });
        let inner = Inner {
            pool,
            places,
            fingerprint: identity.fingerprint(),
            browser_ports,
            graph: Mutex::default(),
            doors,
            must_stop,
            threads: Mutex::new(threads),
        };
        Ok((Relay { inner: Arc::new(inner) }, taps))
    }

    /// A new leg with its own port pair, on media thread `thread_hint` modulo their number. Give the legs of one call
    /// the same hint, so that they need not cross threads. After `stop` nothing can be opened.
    pub fn open(&self, thread_hint: u64) -> Result<MediaPort, PortsExhausted> {
        let mut pool = self.inner.pool.lock().unwrap_or_else(PoisonError::into_inner);
        while let Ok((pair, at)) = pool.returned.try_recv() {
            pool.ports.give_back(pair, at);
        }
        let taken = pool.ports.take(clock::now());
        metrics::gauge!("perezvon_rtp_port_pairs_in_use").set(pool.ports.in_use() as f64);
        drop(pool);
        let pair = taken.inspect_err(|_| metrics::counter!("perezvon_rtp_ports_exhausted_total").increment(1))?;
        let thread = (thread_hint % self.inner.doors.len() as u64) as u16;
        let id = MediaId { thread, pair: pair.index, turn: pair.turn };
        let port = MediaPort { id, rtp_port: pair.rtp_port, rtcp_port: pair.rtp_port + 1 };
        self.inner.graph().open(id);
        match self.send(thread, Order::Open { id, pair, seed: rand::random() }) {
            Ok(()) => Ok(port),
            Err(_) => Err(PortsExhausted { in_use: 0, resting: 0, unusable: 0 }),
        }
    }

    /// A new browser leg on media thread `thread_hint` modulo their number, with ICE credentials of its own. It hears
    /// nobody before `Connect` names the browser's. After `stop` nothing can be opened.
    pub fn open_browser(&self, thread_hint: u64) -> Result<BrowserPort, BrowsersExhausted> {
        let thread = (thread_hint % self.inner.doors.len() as u64) as u16;
        let port = self.inner.browser_ports.get(usize::from(thread)).copied().unwrap_or(0);
        let mut pool = self.inner.places();
        let (pair, turn) = pool.places.take()?;
        metrics::gauge!("perezvon_webrtc_legs_in_use").set(pool.places.in_use() as f64);
        let ice = browsers::credentials(pool.places.of(pair));
        drop(pool);
        let id = MediaId { thread, pair, turn };
        self.inner.graph().open(id);
        match self.send(thread, Order::OpenBrowser { id, ours: ice.clone(), seed: rand::random() }) {
            Ok(()) => Ok(BrowserPort { id, port, ice, fingerprint: self.inner.fingerprint }),
            Err(_) => Err(BrowsersExhausted { in_use: 0 }),
        }
    }

    /// New ICE credentials of ours for a browser leg, for the answer to an offer that restarts ICE, or for an offer of ours
    /// that does. The old ones stay good until the browser uses these.
    pub fn restart_ice(&self, media: MediaId) -> Result<IceCredentials, CommandRefused> {
        let ours = browsers::credentials(self.inner.places().places.of(media.pair));
        self.command(MediaCommand::RestartIce { media, ours: ours.clone() })?;
        Ok(ours)
    }

    /// Sends a command to the thread or threads it concerns. Commands of one caller to one leg keep their order.
    pub fn command(&self, command: MediaCommand) -> Result<(), CommandRefused> {
        let media = match &command {
            MediaCommand::Bridge { a, b } => return self.tie(|graph| graph.bridge(*a, *b)),
            MediaCommand::Unbridge { a } => return self.tie(|graph| graph.unbridge(*a)),
            MediaCommand::Hear { media, sources } => return self.tie(|graph| graph.hear(*media, sources)),
            MediaCommand::Close { media } => {
                self.untie(*media);
                *media
            }
            MediaCommand::Connect { media, .. }
            | MediaCommand::SendDigit { media, .. }
            | MediaCommand::Play { media, .. }
            | MediaCommand::Stop { media }
            | MediaCommand::Tap { media, .. }
            | MediaCommand::Untap { media }
            | MediaCommand::RestartIce { media, .. } => *media,
        };
        self.send(media.thread, Order::Command(command))
    }

    /// Changes who hears whom, and tells the threads of all legs that it concerns; all of them or none.
    fn tie(&self, change: impl FnOnce(&mut Graph) -> Vec<Change>) -> Result<(), CommandRefused> {
        let mut graph = self.inner.graph();
        if self.inner.doors.iter().any(|door| door.waiting.load(Ordering::Relaxed) >= COMMANDS) {
            return Err(CommandRefused::Full);
        }
        change(&mut graph).into_iter().try_for_each(|change| self.send(change.leg.thread, Order::Tie(change)))
    }

    /// Takes a leg that closes out of the graph. Where a thread's queue is full it is not told: its legs know one more leg
    /// than there is, which costs them nothing but the place.
    fn untie(&self, media: MediaId) {
        let mut graph = self.inner.graph();
        for change in graph.close(media) {
            let is_full = |door: &Door| door.waiting.load(Ordering::Relaxed) >= COMMANDS;
            if !self.inner.doors.get(usize::from(change.leg.thread)).is_none_or(is_full) {
                // It can only fail when the relay has stopped.
                let _ = self.send(change.leg.thread, Order::Tie(change));
            }
        }
    }

    /// Ends every media thread and waits for them: a few milliseconds. Open legs say BYE and are closed without events.
    /// Not to be called from the event callback, which runs on one of these threads.
    pub fn stop(&self) {
        self.inner.tell_to_stop();
        let threads = std::mem::take(&mut *self.inner.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!(name: "relay.thread_died", "a media thread had died of a defect; its legs were deaf since");
            }
        }
    }

    fn send(&self, thread: u16, order: Order) -> Result<(), CommandRefused> {
        let door = self.inner.doors.get(usize::from(thread)).ok_or(CommandRefused::Stopped)?;
        let may_always = matches!(
            order,
            Order::Open { .. } | Order::OpenBrowser { .. } | Order::Tie(_) | Order::Command(MediaCommand::Close { .. })
        );
        if door.waiting.fetch_add(1, Ordering::Relaxed) >= COMMANDS && !may_always {
            door.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(CommandRefused::Full);
        }
        let sent = door.orders.try_send(order).map_err(|refused| {
            door.waiting.fetch_sub(1, Ordering::Relaxed);
            match refused {
                TrySendError::Full(_) => CommandRefused::Full,
                TrySendError::Disconnected(_) => CommandRefused::Stopped,
            }
        });
        door.waker.ring();
        sent
    }
}

fn spawn(parts: Parts, browsers: Browsers, waker: &Waker) -> Result<JoinHandle<()>, RelayError> {
    let poller = Poller::new()?;
    poller.add(waker.descriptor(), thread::WAKER)?;
    let name = format!("media-{}", parts.index);
    let media_thread = MediaThread::new(parts, browsers);
    Ok(std::thread::Builder::new().name(name).spawn(move || media_thread.run(poller))?)
}

impl Inner {
    /// With what came back in the meantime.
    fn places(&self) -> MutexGuard<'_, PlacePool> {
        let mut pool = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        while let Ok((place, turn)) = pool.returned.try_recv() {
            pool.places.give_back(place, turn);
        }
        pool
    }

    fn graph(&self) -> MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_to_stop(&self) {
        self.must_stop.store(true, Ordering::Relaxed);
        self.doors.iter().for_each(|door| door.waker.ring());
    }
}

impl Drop for Inner {
    /// The threads end by themselves; the last handle may be dropped on one of them, so nobody waits.
    fn drop(&mut self) {
        self.tell_to_stop();
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Relay({} threads)", self.inner.doors.len())
    }
}
