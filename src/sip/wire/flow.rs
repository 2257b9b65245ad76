//! Where a message came from and how to reach the same place again. Plain values; `transport` fills them in.

use std::fmt;
use std::net::SocketAddr;

/// The transports of a Via and of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
    Ws,
    Wss,
}

impl Transport {
    /// As a Via prints it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
        }
    }

    /// As a URI's `transport` parameter prints it.
    pub const fn uri_param(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            // RFC 7118 §4.1 names no other; a secure one is told by the `sips` scheme, which we do not use.
            Transport::Ws | Transport::Wss => "ws",
        }
    }

    /// A browser's: nobody can connect to it, so it is reached only by the connection that it opened.
    pub const fn is_websocket(self) -> bool {
        matches!(self, Transport::Ws | Transport::Wss)
    }

    /// Case-insensitive, as in a Via or a `transport` parameter.
    pub fn parse(text: &str) -> Option<Transport> {
        [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss]
            .into_iter()
            .find(|transport| transport.as_str().eq_ignore_ascii_case(text))
    }

    /// RFC 3261 §18.2.2 and §17: retransmissions are for unreliable transports only.
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Transport::Udp)
    }

    /// RFC 3261 §19.1.2
    pub const fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp => 5060,
            Transport::Tls => 5061,
            Transport::Ws => 80,
            Transport::Wss => 443,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One connection in the life of the process; never reused. `NONE` on UDP, and on a flow that asks for a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

impl ConnectionId {
    pub const NONE: ConnectionId = ConnectionId(0);
}

/// A way to a peer (RFC 5626 §2): our socket, the peer's address, and for connections which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flow {
    pub transport: Transport,
    /// Our listening address the message came to, or the one to send from. Port 0 or an unspecified address: any that fits.
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub connection: ConnectionId,
}
