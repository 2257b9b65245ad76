//! Which address of ours a far end should send to: the interface that faces it, or the configured public address when
//! the far end is outside the local networks.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Mutex, PoisonError};

use crate::site::Network;

/// Far ends remembered; the map is emptied when it is full, which costs one system call a far end.
const MOST_REMEMBERED: usize = 4096;

pub(super) struct Addresses {
    advertise: Option<IpAddr>,
    local: Vec<Network>,
    facing: Mutex<HashMap<IpAddr, IpAddr>>,
}

impl Addresses {
    pub fn new(advertise: Option<IpAddr>, local: Vec<Network>) -> Self {
        Addresses { advertise, local, facing: Mutex::new(HashMap::new()) }
    }

    /// Our address for `far`, to stand in an SDP.
    pub fn facing(&self, far: IpAddr) -> IpAddr {
        let far = far.to_canonical();
        if let Some(public) = self.advertise.filter(|public| public.is_ipv4() == far.is_ipv4())
            && !self.local.iter().any(|network| network.holds(SocketAddr::new(far, 0)))
        {
            return public;
        }
        let mut facing = self.facing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = facing.get(&far) {
            return *known;
        }
        let found = interface_facing(far).unwrap_or(far);
        if facing.len() >= MOST_REMEMBERED {
            facing.clear();
        }
        facing.insert(far, found);
        found
    }
}

impl Addresses {
    /// Every address of ours that a browser at `far` may reach, the best first: the one that faces it, and for a neighbour
    /// our other interfaces, because its media may come by another network than its page did.
    pub fn candidates(&self, far: IpAddr) -> Vec<IpAddr> {
        let far = far.to_canonical();
        let mut found = vec![self.facing(far)];
        let is_neighbour = self.local.iter().any(|network| network.holds(SocketAddr::new(far, 0)));
        if is_neighbour || self.advertise.is_none() {
            found.extend(interfaces().into_iter().map(|(address, _)| address).filter(|address| is_told(*address)));
        }
        found.extend(self.advertise);
        let mut seen = Vec::new();
        found.retain(|address| {
            let is_new = !seen.contains(address);
            seen.push(*address);
            is_new
        });
        found
    }
}

/// Loopback is for whoever is faced by it; an address that holds on one link only cannot be written without its link.
fn is_told(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !address.is_loopback() && !address.is_link_local() && !address.is_unspecified(),
        IpAddr::V6(address) => !address.is_loopback() && !address.is_unicast_link_local() && !address.is_unspecified(),
    }
}

/// Asks the routing table by connecting a UDP socket, which sends nothing.
fn interface_facing(far: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = if far.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((far, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// The machine's own addresses with the length of their networks, as the kernel lists them.
pub fn interfaces() -> Vec<(IpAddr, u8)> {
    let mut first: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: `first` is a valid place for the list's head; on success the list is freed below, once.
    if unsafe { libc::getifaddrs(&raw mut first) } != 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut next = first;
    while !next.is_null() {
        // SAFETY: `next` is an entry of the list, which lives until `freeifaddrs`.
        let entry = unsafe { &*next };
        // SAFETY: both pointers are null or point to socket addresses of the list.
        let (address, mask) = unsafe { (ip_of(entry.ifa_addr), ip_of(entry.ifa_netmask)) };
        if let Some(address) = address {
            found.push((address, mask.map_or(32, prefix_of)));
        }
        next = entry.ifa_next;
    }
    // SAFETY: `first` came from `getifaddrs` and no entry is used after this.
    unsafe { libc::freeifaddrs(first) };
    found
}

/// # Safety
/// `address` is null or points to a `sockaddr` of the family that it names.
unsafe fn ip_of(address: *const libc::sockaddr) -> Option<IpAddr> {
    if address.is_null() {
        return None;
    }
    // SAFETY: not null, and at least a `sockaddr` by the caller's promise; the family tells the real type.
    unsafe {
        match i32::from((*address).sa_family) {
            libc::AF_INET => {
                let v4 = &*address.cast::<libc::sockaddr_in>();
                Some(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)).into())
            }
            libc::AF_INET6 => {
                let v6 = &*address.cast::<libc::sockaddr_in6>();
                Some(Ipv6Addr::from(v6.sin6_addr.s6_addr).into())
            }
            _ => None,
        }
    }
}

fn prefix_of(mask: IpAddr) -> u8 {
    let ones = match mask {
        IpAddr::V4(mask) => mask.to_bits().count_ones(),
        IpAddr::V6(mask) => mask.to_bits().count_ones(),
    };
    u8::try_from(ones).unwrap_or(128)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_lists_loopback_with_its_network() {
        assert!(interfaces().contains(&(IpAddr::from([127, 0, 0, 1]), 8)));
    }

    #[test]
    fn loopback_is_faced_by_loopback_even_with_a_public_address() {
        let addresses = Addresses::new(Some([203, 0, 113, 9].into()), vec![Network::parse("127.0.0.0/8").unwrap()]);
        assert_eq!(addresses.facing([127, 0, 0, 1].into()), IpAddr::from([127, 0, 0, 1]));
    }

    #[test]
    fn a_neighbours_browser_is_told_every_interface_and_a_stranger_only_the_public_address() {
        let local = vec![Network::parse("127.0.0.0/8").unwrap()];
        let addresses = Addresses::new(Some([203, 0, 113, 9].into()), local);
        let near = addresses.candidates([127, 0, 0, 1].into());
        assert_eq!(near[0], IpAddr::from([127, 0, 0, 1]));
        assert_eq!(near.last(), Some(&IpAddr::from([203, 0, 113, 9])));
        let own = interfaces().into_iter().filter(|(address, _)| is_told(*address));
        assert!(own.into_iter().all(|(address, _)| near.contains(&address)), "{near:?}");
        assert_eq!(addresses.candidates([198, 51, 100, 1].into()), [IpAddr::from([203, 0, 113, 9])]);
    }

    #[test]
    fn a_far_end_outside_the_local_networks_gets_the_public_address() {
        let addresses = Addresses::new(Some([203, 0, 113, 9].into()), vec![Network::parse("10.0.0.0/8").unwrap()]);
        assert_eq!(addresses.facing([198, 51, 100, 1].into()), IpAddr::from([203, 0, 113, 9]));
    }
}
