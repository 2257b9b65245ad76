//! The way out: bytes to a flow, at once or not at all. Nothing here waits.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::counters::{Counters, Counts, count};
use super::registry::{Registry, WriteQueue};
use super::udp::UdpListener;
use super::{Limits, Received, tcp, udp};
use crate::sip::endpoint::SendFailure;
use crate::sip::wire::{ConnectionId, Flow, Transport as Protocol};

/// What the tasks of one transport have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) udp: Vec<UdpListener>,
    pub(super) connections: Registry,
    pub(super) inbound: mpsc::Sender<Received>,
    pub(super) counts: Counts,
    pub(super) limits: Limits,
}

impl Shared {
    pub(super) fn new(udp: Vec<UdpListener>, inbound: mpsc::Sender<Received>, limits: Limits) -> Shared {
        Shared { udp, connections: Registry::new(limits), inbound, counts: Counts::default(), limits }
    }
}

/// Sends. Cheap to clone; usable from any task of the runtime.
#[derive(Clone, Debug)]
pub struct Sender {
    shared: Arc<Shared>,
}

impl Sender {
    pub(super) fn new(shared: Arc<Shared>) -> Sender {
        Sender { shared }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Puts bytes on the wire, or in the queue of their connection. A flow with a connection: on that one or nowhere. A TCP
    /// flow without: on an open connection to `to.remote`, else on a new one. What goes wrong later comes back as
    /// `Received::SendFailed` or `Received::Closed`.
    pub fn send(&self, to: Flow, bytes: Bytes) -> Result<(), SendFailure> {
        match to.transport {
            Protocol::Udp => udp::send(&self.shared, &to, &bytes),
            Protocol::Tcp => self.send_on_stream(to, bytes),
            Protocol::Ws | Protocol::Wss => self.send_on_websocket(to, bytes),
            Protocol::Tls => Err(SendFailure::Unreachable),
        }
    }

    /// Closes a connection once what waits for it has been written.
    pub fn close(&self, connection: ConnectionId) {
        self.shared.connections.remove(connection);
    }

    pub fn counters(&self) -> Counters {
        self.shared.counts.snapshot()
    }

    /// Connections open or being opened now.
    pub fn open_connections(&self) -> usize {
        self.shared.connections.len()
    }

    fn send_on_stream(&self, to: Flow, bytes: Bytes) -> Result<(), SendFailure> {
        let connections = &self.shared.connections;
        if to.connection != ConnectionId::NONE {
            let queue = connections.by_id(to.connection).ok_or(SendFailure::Unreachable)?;
            return self.push(to.connection, &queue, bytes);
        }
        if let Some((connection, queue)) = connections.by_remote(to.transport, to.remote) {
            return self.push(connection, &queue, bytes);
        }
        let Some((flow, end)) = connections.add(to.transport, to.local, to.remote) else {
            count(&self.shared.counts.connections_refused);
            return Err(SendFailure::Unreachable);
        };
        tcp::spawn_connect(&self.shared, to, flow, end);
        let queue = connections.by_id(flow.connection).ok_or(SendFailure::Unreachable)?;
        self.push(flow.connection, &queue, bytes)
    }

    /// Only on the line that is there: nobody can connect to a browser.
    fn send_on_websocket(&self, to: Flow, bytes: Bytes) -> Result<(), SendFailure> {
        let queue = self.shared.connections.by_id(to.connection).ok_or(SendFailure::Unreachable)?;
        self.push(to.connection, &queue, bytes)
    }

    fn push(&self, connection: ConnectionId, queue: &WriteQueue, bytes: Bytes) -> Result<(), SendFailure> {
        if queue.push(bytes).is_ok() {
            count(&self.shared.counts.messages_sent);
            return Ok(());
        }
        // A peer that does not read what it asked for costs memory: let it go.
        count(&self.shared.counts.connections_cut);
        self.shared.connections.remove(connection);
        Err(SendFailure::Unreachable)
    }
}
