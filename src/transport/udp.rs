//! UDP: one socket an address, drained in batches. Datagrams that find the endpoint busy are dropped, because the peer
//! sends them again; what we send and the kernel does not take at once is dropped for the same reason.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;

use socket2::{SockRef, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;

use super::counters::count;
use super::sender::Shared;
use super::sockets::{bound, canonical, for_socket};
use super::{BindError, Received, icmp, tasks};
use crate::clock;
use crate::sip::endpoint::SendFailure;
use crate::sip::wire::{ConnectionId, Flow, Message, Transport as Protocol};

/// Datagrams taken between two looks at other tasks.
const BATCH: usize = 64;

/// No datagram is larger.
const MAX_DATAGRAM_BYTES: usize = 65_536;

#[derive(Debug)]
pub(super) struct UdpListener {
    /// As bound.
    pub(super) address: SocketAddr,
    socket: UdpSocket,
}

pub(super) fn bind(addresses: &[SocketAddr]) -> Result<Vec<UdpListener>, BindError> {
    let open = |address: SocketAddr| -> io::Result<UdpListener> {
        let socket = bound(address, Type::DGRAM, addresses)?;
        icmp::enable(socket.as_fd(), address.is_ipv6())?;
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(UdpListener { address: socket.local_addr()?, socket })
    };
    let failed = |address, source| BindError::Socket { protocol: "udp", address, source };
    addresses.iter().map(|address| open(*address).map_err(|source| failed(*address, source))).collect()
}

/// Starts the tasks that receive from the socket of that index: its datagrams and its errors.
pub(super) fn spawn(shared: &Arc<Shared>, index: usize) -> [AbortHandle; 2] {
    let (for_datagrams, for_errors) = (shared.clone(), shared.clone());
    [
        tasks::spawn_again("sip udp", move || receive(for_datagrams.clone(), index)),
        tasks::spawn_again("sip udp errors", move || receive_errors(for_errors.clone(), index)),
    ]
}

async fn receive(shared: Arc<Shared>, index: usize) {
    let Some(listener) = shared.udp.get(index) else { return };
    let mut buffer = vec![0; MAX_DATAGRAM_BYTES];
    while listener.socket.readable().await.is_ok() {
        for _ in 0..BATCH {
            match listener.socket.try_recv_from(&mut buffer) {
                Ok((length, remote)) => deliver(&shared, listener, canonical(remote), &buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // An error about something we sent earlier; `receive_errors` hears about it.
                Err(_) => {}
            }
        }
        tokio::task::yield_now().await;
    }
}

fn deliver(shared: &Shared, listener: &UdpListener, remote: SocketAddr, datagram: &[u8]) {
    // Blank datagrams keep a NAT's door open and want no answer.
    if datagram.iter().all(|byte| matches!(byte, b'\r' | b'\n' | b' ' | 0)) {
        return count(&shared.counts.keep_alives);
    }
    let at = clock::now();
    let message = Message::parse(datagram);
    if message.as_ref().is_err_and(|error| error.request.is_none()) {
        return count(&shared.counts.malformed);
    }
    let flow = Flow { transport: Protocol::Udp, local: listener.address, remote, connection: ConnectionId::NONE };
    match shared.inbound.try_send(Received::Message { at, flow, message }) {
        Ok(()) => count(&shared.counts.messages_received),
        Err(_) => count(&shared.counts.datagrams_dropped),
    }
}

async fn receive_errors(shared: Arc<Shared>, index: usize) {
    let Some(listener) = shared.udp.get(index) else { return };
    loop {
        let error = listener.socket.async_io(Interest::ERROR, || icmp::next_error(listener.socket.as_fd())).await;
        let Ok(error) = error else { return };
        let Some(undelivered) = error else { continue };
        let flow = Flow {
            transport: Protocol::Udp,
            local: listener.address,
            remote: undelivered.remote,
            connection: ConnectionId::NONE,
        };
        // A busy endpoint can do without: the transaction's timer ends it later.
        let _ = shared.inbound.try_send(Received::SendFailed { flow, failure: undelivered.failure });
    }
}

/// Sends through the socket that `to.local` names, else through the first of the right family.
pub(super) fn send(shared: &Shared, to: &Flow, bytes: &[u8]) -> Result<(), SendFailure> {
    let fits = |listener: &&UdpListener| listener.address.is_ipv6() || to.remote.is_ipv4();
    let named = shared.udp.iter().find(|listener| listener.address == to.local);
    let listener = named.or_else(|| shared.udp.iter().find(fits)).ok_or(SendFailure::Unreachable)?;
    let remote = for_socket(to.remote, listener.address.is_ipv6()).into();
    // Past tokio: its note whether the socket takes datagrams may be older than the socket's own mind.
    let socket = SockRef::from(&listener.socket);
    // The first attempt may report an older datagram's error instead of sending.
    let outcome = socket.send_to(bytes, &remote).or_else(|error| match error.kind() {
        io::ErrorKind::WouldBlock => Err(error),
        _ => socket.send_to(bytes, &remote),
    });
    match outcome {
        Ok(_) => {
            count(&shared.counts.messages_sent);
            Ok(())
        }
        Err(error) => {
            count(&shared.counts.datagrams_unsent);
            match error.kind() {
                // The buffer is full: as good as lost on the way, and repeated like that.
                io::ErrorKind::WouldBlock => Ok(()),
                io::ErrorKind::ConnectionRefused => Err(SendFailure::Refused),
                _ => Err(SendFailure::Unreachable),
            }
        }
    }
}
