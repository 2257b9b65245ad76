//! TCP: taking connections in and opening them on demand. What happens on one afterwards is in `connection`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::AbortHandle;

use super::connection::Slot;
use super::counters::count;
use super::registry::WriteQueueEnd;
use super::sender::Shared;
use super::sockets::{bound, canonical};
use super::{BindError, Received, connection, tasks};
use crate::sip::endpoint::SendFailure;
use crate::sip::wire::{Flow, Transport as Protocol};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// A peer that vanished without a word is noticed by these.
const PROBE_AFTER: Duration = Duration::from_secs(60);

pub(super) struct BoundTcp {
    /// As bound.
    pub(super) address: SocketAddr,
    listener: TcpListener,
}

pub(super) fn bind(addresses: &[SocketAddr]) -> Result<Vec<BoundTcp>, BindError> {
    let open = |address: SocketAddr| -> io::Result<BoundTcp> {
        let socket = bound(address, Type::STREAM, addresses)?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from_std(socket.into())?;
        Ok(BoundTcp { address: listener.local_addr()?, listener })
    };
    let failed = |address, source| BindError::Socket { protocol: "tcp", address, source };
    addresses.iter().map(|address| open(*address).map_err(|source| failed(*address, source))).collect()
}

/// Starts taking connections in.
pub(super) fn spawn(shared: &Arc<Shared>, bound: BoundTcp) -> AbortHandle {
    let shared = shared.clone();
    tasks::spawn("sip tcp", async move {
        loop {
            match bound.listener.accept().await {
                Ok((stream, remote)) => accept(&shared, stream, canonical(remote)),
                // Out of descriptors, or the peer left already: the next one may do better, but not in a tight loop.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    })
}

fn accept(shared: &Arc<Shared>, stream: TcpStream, remote: SocketAddr) {
    let Ok(local) = stream.local_addr() else { return };
    let Some((flow, end)) = shared.connections.add(Protocol::Tcp, canonical(local), remote) else {
        return count(&shared.counts.connections_refused);
    };
    count(&shared.counts.connections_accepted);
    prepare(&stream);
    let slot = Slot::of(shared, flow);
    tasks::spawn("sip connection", connection::run(slot, stream, end));
}

/// Opens the connection that `flow` names and serves it; `asked` is the flow that the sender knows.
pub(super) fn spawn_connect(shared: &Arc<Shared>, asked: Flow, flow: Flow, end: WriteQueueEnd) {
    let shared = shared.clone();
    let mut slot = Slot::of(&shared, flow);
    tasks::spawn("sip connection", async move {
        let opened = tokio::time::timeout(shared.limits.connect_timeout, connect(&asked)).await;
        let failure = match opened {
            Ok(Ok(stream)) => {
                count(&shared.counts.connections_opened);
                prepare(&stream);
                let local = stream.local_addr().map_or(flow.local, canonical);
                slot.flow.local = local;
                return connection::run(slot, stream, end).await;
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => SendFailure::Refused,
            Ok(Err(_)) | Err(_) => SendFailure::Unreachable,
        };
        // Waits for a busy endpoint: a stream's failure is told once, and nobody repeats it.
        slot.end(Received::SendFailed { flow: asked, failure }).await;
    });
}

async fn connect(to: &Flow) -> io::Result<TcpStream> {
    let socket = if to.remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    let local_ip = to.local.ip().to_canonical();
    // From the address that the listener has, so that the peer recognises us; an unspecified one leaves it to the kernel.
    if !local_ip.is_unspecified() && local_ip.is_ipv4() == to.remote.is_ipv4() {
        socket.bind(SocketAddr::new(local_ip, 0))?;
    }
    socket.connect(to.remote).await
}

fn prepare(stream: &TcpStream) {
    // Neither is worth a connection.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_AFTER / 4));
}
