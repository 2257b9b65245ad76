//! SIP's sockets: UDP and TCP, IPv4 and IPv6, and the websockets that the HTTP port holds for it. Bytes come in, are cut
//! and read into messages, and go on through one bounded channel with the flow they came by; bytes go out by flow. It
//! decides nothing: who may send what, and what is answered (but for RFC 5626 keep-alives), is the endpoint's business.
//! `engine` owns it; the test phone has one of its own.

mod connection; // one TCP connection
mod counters;
mod icmp; //       what routers say about our datagrams
mod registry; //   the open connections
mod sender;
mod sockets;
mod tasks;
mod tcp; //        listening and connecting
mod udp;
mod websocket; // a browser's line

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

pub use counters::Counters;
pub use sender::Sender;
pub use websocket::{LineClosed, WebSocketLine};

use crate::sip::endpoint::{Listener, SendFailure};
use crate::sip::wire::{Flow, Message, ParseError, Transport as Protocol};
use crate::types::Time;
use sender::Shared;

/// What to listen on, and how much of the network to hold.
#[derive(Clone, Debug)]
pub struct TransportConfig {
    /// Port 0: any free one.
    pub udp: Vec<SocketAddr>,
    pub tcp: Vec<SocketAddr>,
    pub limits: Limits,
}

/// Caps. What is over one is dropped and counted, never queued.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Received messages waiting for the endpoint. Full: datagrams are dropped (the peer repeats), streams are not read.
    pub inbound_messages: usize,
    /// Open connections; a new one over the cap is closed at once.
    pub connections: usize,
    pub connections_per_address: usize,
    /// Waiting to be written to one connection; a peer that lets more pile up is cut off.
    pub queued_messages: usize,
    pub queued_bytes: usize,
    pub connect_timeout: Duration,
    /// How long one write may wait for the peer to read.
    pub write_timeout: Duration,
    /// A connection must bring a whole message this soon after it opened, and after its first byte.
    pub message_timeout: Duration,
    /// A connection without a byte from the peer is closed: longer than the longest registration.
    pub idle_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            inbound_messages: 8192,
            connections: 4096,
            connections_per_address: 512,
            queued_messages: 256,
            queued_bytes: 1 << 20,
            connect_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(10),
            message_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(3900),
        }
    }
}

/// What the network brought.
#[derive(Debug)]
pub enum Received {
    /// A message, or a flawed request that can be answered. Bytes that are neither are dropped and counted.
    Message { at: Time, flow: Flow, message: Result<Message, ParseError> },
    /// A connection that was there has gone. Requests sent "to any connection" (`ConnectionId::NONE`) that left by it are
    /// known by the flow's remote address.
    Closed { flow: Flow },
    /// Bytes for this flow, as `send` was told it, were not delivered; or a router says that nobody is there.
    SendFailed { flow: Flow, failure: SendFailure },
}

/// Why the sockets are not there.
#[derive(Debug, Error)]
pub enum BindError {
    #[error("[sip] {protocol} {address}: {source}; is another program using the port?")]
    Socket { protocol: &'static str, address: SocketAddr, source: std::io::Error },
}

/// The open sockets. Dropping it closes them and every connection.
#[derive(Debug)]
pub struct Transport {
    /// As bound, with the real ports; in the order of the config, UDP first.
    pub listeners: Vec<Listener>,
    /// For `recv_many`: a burst is taken in one go.
    pub received: mpsc::Receiver<Received>,
    sender: Sender,
    tasks: Tasks,
}

/// Ends the listening tasks when it goes.
#[derive(Debug)]
pub struct Tasks {
    handles: Vec<AbortHandle>,
    shared: Arc<Shared>,
}

impl Transport {
    /// Opens everything or nothing. Needs a running tokio runtime.
    pub fn bind(config: &TransportConfig) -> Result<Transport, BindError> {
        let (inbound, received) = mpsc::channel(config.limits.inbound_messages);
        let shared = Arc::new(Shared::new(udp::bind(&config.udp)?, inbound, config.limits));
        let mut listeners: Vec<Listener> =
            shared.udp.iter().map(|socket| Listener { transport: Protocol::Udp, address: socket.address }).collect();
        let mut handles: Vec<AbortHandle> = (0..shared.udp.len()).flat_map(|index| udp::spawn(&shared, index)).collect();
        for listener in tcp::bind(&config.tcp)? {
            listeners.push(Listener { transport: Protocol::Tcp, address: listener.address });
            handles.push(tcp::spawn(&shared, listener));
        }
        Ok(Transport { listeners, received, sender: Sender::new(shared.clone()), tasks: Tasks { handles, shared } })
    }

    pub fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// For owners who keep the parts in different places. The sockets live as long as `Tasks`.
    pub fn into_parts(self) -> (Vec<Listener>, mpsc::Receiver<Received>, Sender, Tasks) {
        (self.listeners, self.received, self.sender, self.tasks)
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.handles.iter().for_each(AbortHandle::abort);
        self.shared.connections.close_all();
    }
}
