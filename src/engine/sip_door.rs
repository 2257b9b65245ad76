//! The door for SIP websockets: the HTTP port holds the sockets, and carries their frames through here to the transport
//! and back. It reads nothing and decides nothing.

use std::net::SocketAddr;

use crate::transport;
pub use crate::transport::{LineClosed, WebSocketLine as SipLine};

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct SipDoor {
    sender: transport::Sender,
}

impl SipDoor {
    pub fn new(sender: transport::Sender) -> SipDoor {
        SipDoor { sender }
    }

    /// Takes a websocket from `remote` in; `None`: there are too many of them.
    pub fn open(&self, local: SocketAddr, remote: SocketAddr, is_secure: bool) -> Option<SipLine> {
        self.sender.accept_websocket(local, remote, is_secure)
    }
}
