//! "Nobody listens there": Linux keeps ICMP errors about our datagrams in the socket's error queue (`IP_RECVERR`, ip(7)).
//! With it a call to a dead phone fails in a moment instead of after 32 seconds of retransmissions.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use socket2::SockAddr;

use super::sockets::canonical;
use crate::sip::endpoint::SendFailure;

/// A router's or host's answer to a datagram of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Undelivered {
    pub(super) remote: SocketAddr,
    pub(super) failure: SendFailure,
}

/// Asks the kernel to keep errors for us.
pub(super) fn enable(socket: BorrowedFd, is_ipv6: bool) -> io::Result<()> {
    if is_ipv6 {
        set_flag(socket.as_raw_fd(), libc::IPPROTO_IPV6, libc::IPV6_RECVERR)?;
    }
    // A dual socket needs this one too, for the IPv4 peers it serves; on an IPv6-only one the kernel ignores it.
    match set_flag(socket.as_raw_fd(), libc::IPPROTO_IP, libc::IP_RECVERR) {
        Err(_) if is_ipv6 => Ok(()),
        outcome => outcome,
    }
}

fn set_flag(socket: RawFd, level: libc::c_int, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `on` outlives the call and `size` is its size; a bad descriptor or option is an error, not a fault.
    let status = unsafe { libc::setsockopt(socket, level, option, (&raw const on).cast(), size) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Room for one `sock_extended_err` with the address behind it, aligned as control messages must be.
#[repr(C, align(8))]
struct ControlBuffer([u8; 256]);

/// The next error; `WouldBlock` when there is none, `Ok(None)` for one that says nothing about delivery.
pub(super) fn next_error(socket: BorrowedFd) -> io::Result<Option<Undelivered>> {
    let mut control = ControlBuffer([0; 256]);
    // The head of our own datagram comes along; its text is not needed.
    let mut data = [0u8; 1];
    let mut part = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
    let mut errno = 0;
    // SAFETY: `storage` and `length` are the address buffer that `msghdr` is told of; `part`, `data` and `control` live
    // until `recvmsg` returns, and their true sizes are given. `recvmsg` writes a valid address and its length, which is
    // what `try_init` asks for, or fails.
    let address = unsafe {
        SockAddr::try_init(|storage, length| {
            let mut header: libc::msghdr = MaybeUninit::zeroed().assume_init();
            header.msg_name = storage.cast();
            header.msg_namelen = *length;
            header.msg_iov = &raw mut part;
            header.msg_iovlen = 1;
            header.msg_control = control.0.as_mut_ptr().cast();
            header.msg_controllen = control.0.len();
            if libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT) < 0 {
                return Err(io::Error::last_os_error());
            }
            *length = header.msg_namelen;
            errno = reported_errno(&header);
            Ok(())
        })
    };
    let (_, address) = address?;
    let failure = match errno {
        libc::ECONNREFUSED => SendFailure::Refused,
        libc::EHOSTUNREACH | libc::ENETUNREACH | libc::EACCES | libc::EPERM => SendFailure::Unreachable,
        _ => return Ok(None),
    };
    Ok(address.as_socket().map(|remote| Undelivered { remote: canonical(remote), failure }))
}

/// The error number in the control messages of a received `header`; 0 when there is none.
///
/// # Safety
/// `header` must have been filled in by a successful `recvmsg`, and its control buffer must still be there.
unsafe fn reported_errno(header: &libc::msghdr) -> i32 {
    // SAFETY: by the contract above the CMSG macros walk a list that the kernel wrote into a buffer that is still there.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !message.is_null() {
        // SAFETY: not null, so it points to a whole control header in the buffer.
        let head = unsafe { &*message };
        let is_error = matches!(
            (head.cmsg_level, head.cmsg_type),
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
        );
        if is_error {
            // SAFETY: the kernel puts a `sock_extended_err` behind this kind of header; it may be unaligned.
            let error = unsafe { libc::CMSG_DATA(message).cast::<libc::sock_extended_err>().read_unaligned() };
            return i32::try_from(error.ee_errno).unwrap_or(0);
        }
        // SAFETY: as for the first.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
    0
}
