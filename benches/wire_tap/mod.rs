//! A packet socket on the loopback interface: every IPv4 packet once, in the order of the wire, with the kernel's time.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Tcp,
    Udp,
}

/// One packet with something in it.
pub struct Packet<'a> {
    /// Since 1970, by the wall clock.
    pub at: Duration,
    pub protocol: Protocol,
    pub from_port: u16,
    pub to_port: u16,
    pub payload: &'a [u8],
}

pub struct WireTap {
    socket: OwnedFd,
}

/// Loopback's MTU and some.
const LONGEST_PACKET: usize = 1 << 17;
const IPV4: u16 = 0x0800;

impl WireTap {
    /// Fails without CAP_NET_RAW.
    pub fn on_loopback() -> io::Result<WireTap> {
        // Packets without their link header. Bound to one protocol, not to all, it sees what is received, not also the
        // same packet as it is sent.
        // SAFETY: no pointers are passed; the descriptor is ours alone.
        let socket = unsafe {
            let fd = checked(libc::socket(libc::AF_PACKET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, i32::from(IPV4.to_be())))?;
            OwnedFd::from_raw_fd(fd)
        };
        let one: i32 = 1;
        option(&socket, libc::SO_TIMESTAMPNS, &one)?;
        let buffer_bytes: i32 = 16 << 20;
        option(&socket, libc::SO_RCVBUFFORCE, &buffer_bytes)?;
        let patience = libc::timeval { tv_sec: 0, tv_usec: 100_000 };
        option(&socket, libc::SO_RCVTIMEO, &patience)?;
        // SAFETY: all zero bits are a valid sockaddr_ll; the name ends with a zero; length and pointer belong together.
        unsafe {
            let mut address: libc::sockaddr_ll = zeroed();
            address.sll_family = libc::AF_PACKET as u16;
            address.sll_protocol = IPV4.to_be();
            address.sll_ifindex = libc::if_nametoindex(c"lo".as_ptr()) as i32;
            let length = size_of::<libc::sockaddr_ll>() as u32;
            checked(libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length))?;
        }
        Ok(WireTap { socket })
    }

    /// Waits a tenth of a second for the next packet.
    pub fn next(&self, take: impl FnOnce(&Packet<'_>)) {
        let mut bytes = vec![0_u8; LONGEST_PACKET];
        let mut control = [0_u64; 16];
        let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        // SAFETY: every pointer in `message` is to a live buffer of the length given beside it, aligned for cmsghdr; the
        // kernel wrote a timespec where a control message says SCM_TIMESTAMPNS.
        let (length, at) = unsafe {
            let mut message: libc::msghdr = zeroed();
            message.msg_iov = &raw mut part;
            message.msg_iovlen = 1;
            message.msg_control = control.as_mut_ptr().cast();
            message.msg_controllen = size_of_val(&control) as _;
            let length = libc::recvmsg(self.socket.as_raw_fd(), &raw mut message, 0);
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            if length <= 0 || header.is_null() || (*header).cmsg_type != libc::SCM_TIMESTAMPNS {
                return;
            }
            let time: libc::timespec = std::ptr::read_unaligned(libc::CMSG_DATA(header).cast());
            (length as usize, Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
        };
        if let Some(packet) = bytes.get(..length).and_then(|bytes| parse(bytes, at)) {
            take(&packet);
        }
    }
}

/// RFC 791 §3.1, RFC 768, RFC 9293 §3.1: as much of them as it takes to find the ports and the payload.
fn parse(ip: &[u8], at: Duration) -> Option<Packet<'_>> {
    let body = ip.get(usize::from(ip.first()? & 0x0f) * 4..)?;
    let port = |place: usize| Some(u16::from_be_bytes(body.get(place..place + 2)?.try_into().ok()?));
    let (protocol, header_bytes) = match ip.get(9)? {
        6 => (Protocol::Tcp, usize::from(body.get(12)? >> 4) * 4),
        17 => (Protocol::Udp, 8),
        _ => return None,
    };
    let payload = body.get(header_bytes..).filter(|payload| !payload.is_empty())?;
    Some(Packet { at, protocol, from_port: port(0)?, to_port: port(2)?, payload })
}

fn option<T>(socket: &OwnedFd, name: i32, value: &T) -> io::Result<()> {
    // SAFETY: the kernel reads as many bytes as `value` has.
    let result = unsafe {
        let length = size_of::<T>() as u32;
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, name, std::ptr::from_ref(value).cast(), length)
    };
    checked(result).map(drop)
}

fn checked(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
