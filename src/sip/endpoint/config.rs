//! What the endpoint must be told about this machine and its limits. Plain values; `engine` fills them from the config
//! file and the network interfaces.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::directory::is_within;
use crate::sip::auth::Algorithm;
use crate::sip::wire::{Flow, Host, Transport};

/// One listening socket of `transport`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    pub transport: Transport,
    /// As bound, with the real port; the address may be unspecified.
    pub address: SocketAddr,
}

/// A block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    pub address: IpAddr,
    pub prefix: u8,
}

impl Subnet {
    pub fn contains(&self, address: IpAddr) -> bool {
        is_within(address, self.address, self.prefix)
    }
}

/// Which of our names a peer is told in Via and Contact.
#[derive(Clone, Debug, Default)]
pub struct Addressing {
    /// `[sip] advertise`: told to peers outside `local_networks`. `None`: everyone is told an interface's address.
    pub advertise: Option<Host>,
    pub local_networks: Vec<Subnet>,
    /// The machine's own addresses with their networks, the one of the default route first.
    pub interfaces: Vec<Subnet>,
}

impl Addressing {
    /// The host that `peer` should know us by. `bound` is the listener's own address, used when it is a real one.
    pub fn host_for(&self, peer: IpAddr, bound: IpAddr) -> Host {
        let peer = peer.to_canonical();
        let is_local = self.local_networks.iter().any(|network| network.contains(peer));
        match &self.advertise {
            Some(host) if !is_local => host.clone(),
            _ if !bound.is_unspecified() => Host::from(bound.to_canonical()),
            _ => Host::from(self.interface_towards(peer)),
        }
    }

    fn interface_towards(&self, peer: IpAddr) -> IpAddr {
        let neighbours = self.interfaces.iter().filter(|interface| interface.contains(peer));
        let of_family = self.interfaces.iter().find(|interface| interface.address.is_ipv4() == peer.is_ipv4());
        let nearest = neighbours.max_by_key(|interface| interface.prefix).or(of_family).or(self.interfaces.first());
        // Without any interface there is nobody to tell; loopback at least names this machine.
        nearest.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |interface| interface.address)
    }
}

/// Caps of what the network can make grow. At a cap a new request gets 503 and a new command `Overloaded`;
/// what exists goes on.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub legs: usize,
    pub transactions: usize,
    /// Contacts of one user; a new one over the cap pushes out the one that would expire first.
    pub contacts_per_user: usize,
    /// Contacts dialled at once for one user.
    pub forks: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { legs: 20_000, transactions: 200_000, contacts_per_user: 8, forks: 8 }
    }
}

/// All that `Endpoint::new` wants to know besides the people.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    pub listeners: Vec<Listener>,
    pub addressing: Addressing,
    /// In User-Agent and Server.
    pub user_agent: String,
    /// In the order of the challenges.
    pub digest: Vec<Algorithm>,
    pub ban: bool,
    pub limits: Limits,
    /// The shortest registration; shorter ones get 423.
    pub min_expires: Duration,
    /// The longest; longer ones are shortened.
    pub max_expires: Duration,
    /// The longest that a leg we dial may ring after its last provisional response (RFC 3261 §16.6 timer C).
    pub ring_limit: Duration,
}

impl EndpointConfig {
    /// One UDP and one TCP listener on `address`, everything else as the house has it.
    pub fn on(address: SocketAddr) -> EndpointConfig {
        EndpointConfig {
            listeners: [Transport::Udp, Transport::Tcp].map(|transport| Listener { transport, address }).to_vec(),
            addressing: Addressing::default(),
            user_agent: concat!("Perezvon/", env!("CARGO_PKG_VERSION")).into(),
            digest: vec![Algorithm::Md5],
            ban: true,
            limits: Limits::default(),
            min_expires: Duration::from_secs(60),
            max_expires: Duration::from_secs(3600),
            ring_limit: Duration::from_secs(300),
        }
    }

    /// The listener that a message to `remote` leaves from or, for a connection, that the peer may call back.
    pub fn listener_for(&self, transport: Transport, remote: SocketAddr) -> Option<Listener> {
        let speaks = |listener: &&Listener| listener.transport == transport;
        let fits = |listener: &&Listener| {
            let is_dual = listener.address.ip().is_unspecified() && listener.address.is_ipv6();
            is_dual || listener.address.is_ipv4() == remote.ip().to_canonical().is_ipv4()
        };
        let is_reachable = |listener: &&Listener| listener.address.ip().is_loopback() == remote.ip().to_canonical().is_loopback();
        let fitting = || self.listeners.iter().filter(speaks).filter(fits);
        fitting().find(is_reachable).or_else(|| fitting().next()).copied()
    }

    /// A flow to `remote` for a request that belongs to no flow yet; `None` when no listener speaks that transport.
    pub fn flow_to(&self, transport: Transport, remote: SocketAddr) -> Option<Flow> {
        let listener = self.listener_for(transport, remote)?;
        Some(Flow { transport, local: listener.address, remote, connection: crate::sip::wire::ConnectionId::NONE })
    }

    /// How the peer of `flow` should name us: host and port for Via and Contact.
    pub fn name_towards(&self, flow: &Flow) -> (Host, u16) {
        let listener =
            self.listeners.iter().find(|listener| listener.transport == flow.transport && listener.address == flow.local);
        // An accepted or opened connection has a local address of its own, but the peer calls back at the listener.
        let listener = listener.copied().or_else(|| self.listener_for(flow.transport, flow.remote));
        let port = listener.map_or(flow.local.port(), |listener| listener.address.port());
        let bound = if flow.local.ip().is_unspecified() {
            listener.map_or(flow.local.ip(), |listener| listener.address.ip())
        } else {
            flow.local.ip()
        };
        (self.addressing.host_for(flow.remote.ip(), bound), port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str, prefix: u8) -> Subnet {
        Subnet { address: text.parse().unwrap(), prefix }
    }

    fn config() -> EndpointConfig {
        EndpointConfig {
            addressing: Addressing {
                advertise: Some(Host::from("203.0.113.5".parse::<IpAddr>().unwrap())),
                local_networks: vec![subnet("127.0.0.0", 8), subnet("10.0.0.0", 8)],
                interfaces: vec![subnet("192.0.2.1", 24), subnet("10.0.0.4", 16), subnet("127.0.0.1", 8)],
            },
            ..EndpointConfig::on("0.0.0.0:5060".parse().unwrap())
        }
    }

    fn name(config: &EndpointConfig, remote: &str) -> String {
        let flow = config.flow_to(Transport::Udp, remote.parse().unwrap()).unwrap();
        let (host, port) = config.name_towards(&flow);
        format!("{host}:{port}")
    }

    #[test]
    fn peers_outside_are_told_the_advertised_address_and_neighbours_the_interface() {
        let config = config();
        assert_eq!(name(&config, "198.51.100.1:5060"), "203.0.113.5:5060");
        assert_eq!(name(&config, "10.0.7.7:5060"), "10.0.0.4:5060");
        assert_eq!(name(&config, "127.0.0.1:5080"), "127.0.0.1:5060");
    }

    #[test]
    fn without_an_advertised_address_strangers_are_told_the_first_interface() {
        let mut config = config();
        config.addressing.advertise = None;
        assert_eq!(name(&config, "198.51.100.1:5060"), "192.0.2.1:5060");
        assert_eq!(name(&config, "192.0.2.77:5060"), "192.0.2.1:5060");
    }

    #[test]
    fn a_listener_on_one_address_is_named_by_it() {
        let mut config = config();
        config.listeners = vec![Listener { transport: Transport::Udp, address: "10.0.0.9:5062".parse().unwrap() }];
        assert_eq!(name(&config, "10.0.7.7:5060"), "10.0.0.9:5062");
        assert_eq!(config.flow_to(Transport::Tcp, "10.0.7.7:5060".parse().unwrap()), None);
    }
}
