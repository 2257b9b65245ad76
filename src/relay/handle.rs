//! The door of the relay: start, open a leg, send it commands. It decides nothing about audio.

use std::net::{IpAddr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::time::Duration;

use thiserror::Error;

use super::command::{MediaCommand, MediaEvent, MediaPort};
use super::tap::TapFrame;

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

/// The command did not reach its media thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CommandRefused {
    /// Thousands of commands wait. `Close` is never refused for this.
    #[error("the media thread's command queue is full")]
    Full,
    #[error("the relay has stopped")]
    Stopped,
}

/// Cheap to clone; every method returns at once and may be called from any thread or task.
#[derive(Clone, Debug)]
pub struct Relay {}

impl Relay {
    /// Binds the first ports and starts the media threads. Returns the tap rings, one a thread, in the threads' order.
    pub fn start(
        config: RelayConfig,
        on_event: impl Fn(MediaEvent) + Send + Sync + 'static,
    ) -> Result<(Relay, Vec<rtrb::Consumer<TapFrame>>), RelayError> {
        let _ = on_event;
        Err(RelayError::Threads(config.threads))
    }

    /// A new leg with its own port pair, on media thread `thread_hint` modulo their number. Give the legs of one call
    /// the same hint, so that they need not cross threads.
    pub fn open(&self, thread_hint: u64) -> Result<MediaPort, PortsExhausted> {
        let _ = thread_hint;
        Err(PortsExhausted { in_use: 0, resting: 0, unusable: 0 })
    }

    /// Sends a command to the thread or threads it concerns. Commands of one caller to one leg keep their order.
    pub fn command(&self, command: MediaCommand) -> Result<(), CommandRefused> {
        let _ = command;
        Err(CommandRefused::Stopped)
    }

    /// Ends every media thread and waits for them; open legs are closed without events.
    pub fn stop(&self) {}
}
