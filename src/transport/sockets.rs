//! Making sockets: options that std does not offer.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};

/// Room in the kernel for a burst of datagrams; it grants what it may.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// A non-blocking socket bound to `address`. An IPv6 socket on the unspecified address also takes IPv4, unless one of
/// `others` listens on that port for IPv4.
pub(super) fn bound(address: SocketAddr, kind: Type, others: &[SocketAddr]) -> io::Result<Socket> {
    let protocol = if kind == Type::DGRAM { Protocol::UDP } else { Protocol::TCP };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        let is_dual =
            address.ip().is_unspecified() && !others.iter().any(|other| other.is_ipv4() && other.port() == address.port());
        socket.set_only_v6(!is_dual)?;
    }
    if kind == Type::DGRAM {
        // A smaller buffer than wished for is no reason not to start.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    } else {
        socket.set_reuse_address(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// As the rest of the house sees addresses: IPv4 is IPv4, also when it came through an IPv6 socket.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// As an IPv6 socket wants addresses, when it is one.
pub(super) fn for_socket(remote: SocketAddr, is_ipv6_socket: bool) -> SocketAddr {
    match remote {
        SocketAddr::V4(v4) if is_ipv6_socket => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
        other => other,
    }
}
