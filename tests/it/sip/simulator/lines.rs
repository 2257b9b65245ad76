//! Open connections between two addresses, as both ends see them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use perezvon::sip::wire::{ConnectionId, Flow, Transport};

#[derive(Debug, Default)]
pub struct Lines {
    open: BTreeMap<ConnectionId, (SocketAddr, SocketAddr)>,
    last: u64,
}

impl Lines {
    /// The line between two addresses, opened when there is none.
    pub fn between(&mut self, one: SocketAddr, other: SocketAddr) -> ConnectionId {
        let is_it = |ends: &(SocketAddr, SocketAddr)| *ends == (one, other) || *ends == (other, one);
        if let Some((id, _)) = self.open.iter().find(|(_, ends)| is_it(ends)) {
            return *id;
        }
        self.last += 1;
        let id = ConnectionId(self.last);
        self.open.insert(id, (one, other));
        id
    }

    /// Whether there never was one.
    pub fn is_empty(&self) -> bool {
        self.last == 0
    }

    pub fn is_open(&self, id: ConnectionId) -> bool {
        self.open.contains_key(&id)
    }

    /// Cuts the `n`th line, counted round.
    pub fn cut(&mut self, n: usize) -> Option<(ConnectionId, SocketAddr, SocketAddr)> {
        let id = *self.open.keys().nth(n % self.open.len().max(1))?;
        self.open.remove(&id).map(|(one, other)| (id, one, other))
    }
}

pub fn flow_over(line: ConnectionId, local: SocketAddr, remote: SocketAddr) -> Flow {
    let transport = if line == ConnectionId::NONE { Transport::Udp } else { Transport::Tcp };
    Flow { transport, local, remote, connection: line }
}
