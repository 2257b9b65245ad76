//! Who may speak to us, as the endpoint reads it: users by extension with their digest secrets, trunks by address.
//! Built from the site file; swapped whole, never changed in place.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use crate::site::{Network, SipHa1, Site};
use crate::types::{AgentId, TrunkId};

/// A person with an extension.
#[derive(Clone, Debug)]
pub struct DirectoryUser {
    pub agent: AgentId,
    /// `None`: no SIP password was set, so nobody can register as this user.
    pub ha1: Option<SipHa1>,
}

#[derive(Debug, Default)]
pub struct Directory {
    by_extension: HashMap<String, DirectoryUser>,
    extensions: HashMap<AgentId, String>,
    /// Longest prefix first; with a port before without.
    networks: Vec<(Network, TrunkId)>,
}

impl Directory {
    pub fn from_site(site: &Site) -> Directory {
        let mut directory = Directory::default();
        for user in site.users.values() {
            if let Some(extension) = &user.extension {
                let entry = DirectoryUser { agent: user.login.clone(), ha1: user.sip_ha1.clone() };
                directory.by_extension.insert(extension.clone(), entry);
                directory.extensions.insert(user.login.clone(), extension.clone());
            }
        }
        for trunk in site.trunks.values() {
            directory.networks.extend(trunk.accept_from.iter().map(|network| (network.clone(), trunk.name.clone())));
        }
        // Stable: of two equal networks, the trunk that is first by name has it.
        directory.networks.sort_by_key(|(network, _)| std::cmp::Reverse((network.prefix, network.port.is_some())));
        directory
    }

    pub fn user(&self, extension: &str) -> Option<&DirectoryUser> {
        self.by_extension.get(extension)
    }

    pub fn extension(&self, agent: &AgentId) -> Option<&str> {
        self.extensions.get(agent).map(String::as_str)
    }

    /// The trunk whose `accept_from` names this address most closely.
    pub fn trunk_at(&self, source: SocketAddr) -> Option<&TrunkId> {
        self.networks.iter().find(|(network, _)| contains(network, source)).map(|(_, trunk)| trunk)
    }
}

fn contains(network: &Network, source: SocketAddr) -> bool {
    network.port.is_none_or(|port| port == source.port()) && is_within(source.ip(), network.address, network.prefix)
}

/// Whether the first `prefix` bits agree. An IPv4 address that came through an IPv6 socket counts as IPv4.
pub(super) fn is_within(address: IpAddr, network: IpAddr, prefix: u8) -> bool {
    let prefix = u32::from(prefix);
    match (address.to_canonical(), network.to_canonical()) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let differ = address.to_bits() ^ network.to_bits();
            prefix <= 32 && differ.leading_zeros() >= prefix
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let differ = address.to_bits() ^ network.to_bits();
            prefix <= 128 && differ.leading_zeros() >= prefix
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::Trunk;

    fn trunk(name: &str, networks: &[(&str, u8, Option<u16>)]) -> (TrunkId, Trunk) {
        let accept_from =
            networks.iter().map(|&(address, prefix, port)| Network { address: address.parse().unwrap(), prefix, port }).collect();
        let trunk = Trunk {
            name: name.into(),
            targets: Vec::new(),
            accept_from,
            username: String::new(),
            password: String::new(),
            register: false,
            options_seconds: 0,
            max_calls: 0,
            max_cps: 0,
            codecs: crate::site::TRUNK_CODECS.to_vec(),
            srtp: crate::site::Srtp::Off,
        };
        (name.into(), trunk)
    }

    fn directory(trunks: impl IntoIterator<Item = (TrunkId, Trunk)>) -> Directory {
        Directory::from_site(&Site { trunks: trunks.into_iter().collect(), ..Site::default() })
    }

    fn found(directory: &Directory, source: &str) -> Option<String> {
        directory.trunk_at(source.parse().unwrap()).map(ToString::to_string)
    }

    #[test]
    fn the_longest_network_wins_and_a_port_beats_no_port() {
        let directory = directory([
            trunk("wide", &[("10.0.0.0", 8, None)]),
            trunk("narrow", &[("10.1.0.0", 16, None)]),
            trunk("port", &[("10.1.0.0", 16, Some(5080))]),
        ]);
        assert_eq!(found(&directory, "10.9.9.9:5060").as_deref(), Some("wide"));
        assert_eq!(found(&directory, "10.1.9.9:5060").as_deref(), Some("narrow"));
        assert_eq!(found(&directory, "10.1.9.9:5080").as_deref(), Some("port"));
        assert_eq!(found(&directory, "11.0.0.1:5060"), None);
    }

    #[test]
    fn ipv6_and_mapped_ipv4_sources_are_matched() {
        let directory = directory([trunk("six", &[("2001:db8::", 32, None)]), trunk("four", &[("192.0.2.1", 32, None)])]);
        assert_eq!(found(&directory, "[2001:db8:1::5]:5060").as_deref(), Some("six"));
        assert_eq!(found(&directory, "[::ffff:192.0.2.1]:5060").as_deref(), Some("four"));
        assert_eq!(found(&directory, "[2001:db9::1]:5060"), None);
    }

    #[test]
    fn a_prefix_of_zero_takes_everything_of_its_family_only() {
        let directory = directory([trunk("any", &[("0.0.0.0", 0, None)])]);
        assert_eq!(found(&directory, "203.0.113.9:1").as_deref(), Some("any"));
        assert_eq!(found(&directory, "[2001:db8::1]:1"), None);
    }
}
