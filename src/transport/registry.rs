//! The open connections: by id for flows, by remote address for reuse, counted by address against floods.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::Limits;
use crate::sip::wire::{ConnectionId, Flow, Transport as Protocol};

/// Bytes on their way to one connection's writer.
#[derive(Clone, Debug)]
pub(super) struct WriteQueue {
    messages: mpsc::Sender<Bytes>,
    waiting_bytes: Arc<AtomicUsize>,
    max_bytes: usize,
}

/// The writer's end of it.
#[derive(Debug)]
pub(super) struct WriteQueueEnd {
    messages: mpsc::Receiver<Bytes>,
    waiting_bytes: Arc<AtomicUsize>,
}

/// Full, or its connection is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotQueued;

impl WriteQueue {
    pub(super) fn push(&self, bytes: Bytes) -> Result<(), NotQueued> {
        let length = bytes.len();
        let waiting = self.waiting_bytes.fetch_add(length, Ordering::Relaxed);
        // One message always fits, however small the cap.
        let fits = waiting == 0 || waiting.saturating_add(length) <= self.max_bytes;
        if fits && self.messages.try_send(bytes).is_ok() {
            return Ok(());
        }
        self.waiting_bytes.fetch_sub(length, Ordering::Relaxed);
        Err(NotQueued)
    }
}

impl WriteQueueEnd {
    /// The next message; `None` when the connection shall close. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        let bytes = self.messages.recv().await?;
        self.waiting_bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
        Some(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}

#[derive(Debug)]
struct Entry {
    flow: Flow,
    queue: WriteQueue,
}

#[derive(Debug, Default)]
struct Tables {
    last_id: u64,
    is_closed: bool,
    by_id: HashMap<ConnectionId, Entry>,
    by_remote: HashMap<(Protocol, SocketAddr), ConnectionId>,
    by_ip: HashMap<IpAddr, usize>,
}

/// Holds at most `limits.connections`.
#[derive(Debug)]
pub(super) struct Registry {
    limits: Limits,
    tables: Mutex<Tables>,
}

impl Registry {
    pub(super) fn new(limits: Limits) -> Registry {
        Registry { limits, tables: Mutex::default() }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // Every change below is finished before anything can panic.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection in; `None` over a cap. Its flow has a fresh id.
    pub(super) fn add(&self, transport: Protocol, local: SocketAddr, remote: SocketAddr) -> Option<(Flow, WriteQueueEnd)> {
        let mut tables = self.tables();
        let from_there = tables.by_ip.get(&remote.ip()).copied().unwrap_or(0);
        let is_full = tables.by_id.len() >= self.limits.connections || from_there >= self.limits.connections_per_address;
        if is_full || tables.is_closed {
            return None;
        }
        tables.last_id += 1;
        let connection = ConnectionId(tables.last_id);
        let flow = Flow { transport, local, remote, connection };
        let (messages, end) = mpsc::channel(self.limits.queued_messages);
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let queue = WriteQueue { messages, waiting_bytes: waiting_bytes.clone(), max_bytes: self.limits.queued_bytes };
        *tables.by_ip.entry(remote.ip()).or_default() += 1;
        // The newest connection of a peer is the one that still works.
        tables.by_remote.insert((transport, remote), connection);
        tables.by_id.insert(connection, Entry { flow, queue });
        Some((flow, WriteQueueEnd { messages: end, waiting_bytes }))
    }

    /// The queue of that very connection.
    pub(super) fn by_id(&self, connection: ConnectionId) -> Option<WriteQueue> {
        self.tables().by_id.get(&connection).map(|entry| entry.queue.clone())
    }

    /// A connection to `remote`, whoever opened it.
    pub(super) fn by_remote(&self, transport: Protocol, remote: SocketAddr) -> Option<(ConnectionId, WriteQueue)> {
        let tables = self.tables();
        let connection = *tables.by_remote.get(&(transport, remote))?;
        tables.by_id.get(&connection).map(|entry| (connection, entry.queue.clone()))
    }

    /// Lets go of a connection: its writer ends when the queue is empty, and nothing finds it any more.
    pub(super) fn remove(&self, connection: ConnectionId) {
        let mut tables = self.tables();
        let Some(Entry { flow, .. }) = tables.by_id.remove(&connection) else { return };
        if tables.by_remote.get(&(flow.transport, flow.remote)) == Some(&connection) {
            tables.by_remote.remove(&(flow.transport, flow.remote));
        }
        if let Some(count) = tables.by_ip.get_mut(&flow.remote.ip()) {
            *count -= 1;
            if *count == 0 {
                tables.by_ip.remove(&flow.remote.ip());
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.tables().by_id.len()
    }

    /// Lets go of all, and takes no new ones.
    pub(super) fn close_all(&self) {
        let mut tables = self.tables();
        *tables = Tables { last_id: tables.last_id, is_closed: true, ..Tables::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(connections: usize, connections_per_address: usize) -> Registry {
        Registry::new(Limits { connections, connections_per_address, queued_messages: 2, queued_bytes: 10, ..Limits::default() })
    }

    fn add(registry: &Registry, remote: &str) -> Option<(Flow, WriteQueueEnd)> {
        registry.add(Protocol::Tcp, "127.0.0.1:5060".parse().unwrap(), remote.parse().unwrap())
    }

    #[test]
    fn caps_count_all_connections_and_those_of_one_address() {
        let registry = registry(3, 2);
        let (first, ..) = add(&registry, "10.0.0.1:1").unwrap();
        assert!(add(&registry, "10.0.0.1:2").is_some());
        assert!(add(&registry, "10.0.0.1:3").is_none(), "two of one address");
        assert!(add(&registry, "10.0.0.2:1").is_some());
        assert!(add(&registry, "10.0.0.3:1").is_none(), "three in all");
        registry.remove(first.connection);
        registry.remove(first.connection);
        assert!(add(&registry, "10.0.0.1:4").is_some(), "removed once, whatever is said twice");
        assert_eq!(registry.len(), 3);
    }

    #[test]
    fn a_newer_connection_from_the_same_port_is_the_one_to_use() {
        let registry = registry(9, 9);
        let (old, ..) = add(&registry, "10.0.0.1:1").unwrap();
        let (new, ..) = add(&registry, "10.0.0.1:1").unwrap();
        registry.remove(old.connection);
        assert_eq!(registry.by_remote(Protocol::Tcp, new.remote).unwrap().0, new.connection);
        registry.remove(new.connection);
        assert!(registry.by_remote(Protocol::Tcp, new.remote).is_none());
    }

    #[test]
    fn a_queue_is_full_by_messages_and_by_bytes() {
        let registry = registry(9, 9);
        let (flow, _end) = add(&registry, "10.0.0.1:1").unwrap();
        let queue = registry.by_id(flow.connection).unwrap();
        assert_eq!(queue.push(Bytes::from_static(b"more than ten bytes")), Ok(()), "the first always fits");
        assert_eq!(queue.push(Bytes::from_static(b"x")), Err(NotQueued));
        let (flow, _end) = add(&registry, "10.0.0.1:2").unwrap();
        let queue = registry.by_id(flow.connection).unwrap();
        assert_eq!([queue.push(Bytes::from_static(b"1")), queue.push(Bytes::from_static(b"2"))], [Ok(()), Ok(())]);
        assert_eq!(queue.push(Bytes::from_static(b"3")), Err(NotQueued));
    }
}
