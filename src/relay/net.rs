//! The system calls of a media thread that std does not offer: epoll, eventfd and recvmmsg. All of the relay's `unsafe`
//! is here. It knows bytes and addresses, nothing of RTP.

use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::SockRef;

/// Packets taken from a socket by one system call.
pub(super) const BATCH: usize = 16;
/// The longest packet that is read whole; longer ones are not media of ours.
pub(super) const PACKET_BYTES: usize = 2048;
/// Sockets told of by one `epoll_wait`; the rest come with the next.
const READY: usize = 512;

/// An epoll instance, level-triggered.
pub(super) struct Poller {
    epoll: OwnedFd,
    ready: Box<[libc::epoll_event; READY]>,
}

impl Poller {
    pub fn new() -> io::Result<Poller> {
        // SAFETY: no pointers; the result is checked before it is used.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        // SAFETY: `checked` leaves only a valid descriptor, which nobody else owns.
        let epoll = unsafe { OwnedFd::from_raw_fd(checked(fd)?) };
        Ok(Poller { epoll, ready: Box::new([libc::epoll_event { events: 0, u64: 0 }; READY]) })
    }

    /// Watches a descriptor for bytes to read; `token` comes back from `wait`.
    pub fn add(&self, fd: impl AsFd, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token };
        let fd = fd.as_fd().as_raw_fd();
        // SAFETY: both descriptors are borrowed for the call and `event` outlives it.
        checked(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event) }).map(drop)
    }

    pub fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        let fd = fd.as_fd().as_raw_fd();
        // SAFETY: both descriptors are borrowed for the call; DEL reads no event (Linux since 2.6.9).
        checked(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_DEL, fd, std::ptr::null_mut()) }).map(drop)
    }

    /// Waits for up to `timeout_ms` (for ever when negative) and returns how many tokens are ready. A signal ends the
    /// wait early with none.
    pub fn wait(&mut self, timeout_ms: i32) -> usize {
        // SAFETY: `ready` is a writable array of READY events.
        let count = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), self.ready.as_mut_ptr(), READY as i32, timeout_ms) };
        usize::try_from(count).unwrap_or(0)
    }

    /// Token `index` of the last `wait`.
    pub fn token(&self, index: usize) -> Option<u64> {
        self.ready.get(index).map(|event| event.u64)
    }
}

/// Ends a media thread's sleep from another thread. Ringing twice before the thread hears it costs one system call.
pub(super) struct Waker {
    event: File,
    is_rung: AtomicBool,
}

impl Waker {
    pub fn new() -> io::Result<Waker> {
        // SAFETY: no pointers; the result is checked before it is used.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        // SAFETY: `checked` leaves only a valid descriptor, which nobody else owns.
        let event = unsafe { OwnedFd::from_raw_fd(checked(fd)?) };
        Ok(Waker { event: File::from(event), is_rung: AtomicBool::new(false) })
    }

    /// Call it after what the thread shall find was put into its queue.
    pub fn ring(&self) {
        if !self.is_rung.swap(true, Ordering::AcqRel) {
            // It can fail only when the counter is at its end, and then the thread is being woken anyway.
            let _ = (&self.event).write(&1u64.to_ne_bytes());
        }
    }

    /// The thread heard it. It must look into its queues, and at all else that `ring` may announce, after this and before
    /// it sleeps: who rings between the two steps here writes nothing. The swap makes what he left visible.
    pub fn heard(&self) {
        let _ = (&self.event).read(&mut [0; 8]);
        self.is_rung.swap(false, Ordering::AcqRel);
    }

    pub fn descriptor(&self) -> impl AsFd + '_ {
        &self.event
    }
}

/// The packets of one `recvmmsg`.
pub(super) struct Batch {
    slots: Box<Slots>,
    count: usize,
}

struct Slots {
    buffers: [[u8; PACKET_BYTES]; BATCH],
    names: [libc::sockaddr_storage; BATCH],
    vectors: [libc::iovec; BATCH],
    headers: [libc::mmsghdr; BATCH],
}

// SAFETY: the raw pointers in `vectors` and `headers` point only into the same heap block, which moves with its owner.
unsafe impl Send for Batch {}

impl Batch {
    pub fn new() -> Batch {
        // SAFETY: bytes, addresses, null pointers and zero lengths: every field is valid when all its bits are zero.
        let mut slots: Box<Slots> = Box::new(unsafe { zeroed() });
        let slots_ref = &mut *slots;
        for (((buffer, name), vector), header) in
            slots_ref.buffers.iter_mut().zip(&mut slots_ref.names).zip(&mut slots_ref.vectors).zip(&mut slots_ref.headers)
        {
            vector.iov_base = buffer.as_mut_ptr().cast();
            vector.iov_len = PACKET_BYTES;
            header.msg_hdr.msg_name = (&raw mut *name).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
        }
        Batch { slots, count: 0 }
    }

    /// Takes what waits on the socket, at most `BATCH` packets, and returns how many.
    pub fn receive(&mut self, socket: impl AsFd) -> usize {
        // The kernel wrote the true lengths over the headers it used last time.
        for header in self.slots.headers.iter_mut().take(self.count) {
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        }
        let fd = socket.as_fd().as_raw_fd();
        // SAFETY: every header points to a name and a vector, and every vector to a buffer, of the lengths that they
        // state, all inside `slots`, which is borrowed mutably for the call.
        let count = unsafe {
            libc::recvmmsg(fd, self.slots.headers.as_mut_ptr(), BATCH as u32, libc::MSG_DONTWAIT as _, std::ptr::null_mut())
        };
        self.count = usize::try_from(count).unwrap_or(0);
        self.count
    }

    /// Takes one packet by a plain read, which is cheaper than a batch of one.
    pub fn receive_one(&mut self, socket: &UdpSocket) -> Option<(SocketAddr, &[u8])> {
        let buffer = self.slots.buffers.first_mut()?;
        let (len, source) = socket.recv_from(buffer).ok()?;
        // A packet that fills the buffer may have been longer.
        let bytes = buffer.get(..len).filter(|bytes| bytes.len() < PACKET_BYTES)?;
        Some((SocketAddr::new(source.ip().to_canonical(), source.port()), bytes))
    }

    /// Packet `index` of the last `receive`, with its sender; `None` past the end, and for one that was cut off.
    pub fn packet(&self, index: usize) -> Option<(SocketAddr, &[u8])> {
        let header = self.slots.headers.get(index).filter(|_| index < self.count)?;
        if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            return None;
        }
        let source = read_address(self.slots.names.get(index)?)?;
        let bytes = self.slots.buffers.get(index)?.get(..header.msg_len as usize)?;
        Some((source, bytes))
    }
}

/// An address as the kernel wrote it; IPv4 that came over an IPv6 socket reads as IPv4.
fn read_address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: sockaddr_storage is larger and stricter aligned than sockaddr_in, and the family says it is one.
            let v4 = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            Some(SocketAddr::from((Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)), u16::from_be(v4.sin_port))))
        }
        libc::AF_INET6 => {
            // SAFETY: as above, for sockaddr_in6.
            let v6 = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in6>() };
            Some(SocketAddr::new(Ipv6Addr::from(v6.sin6_addr.s6_addr).to_canonical(), u16::from_be(v6.sin6_port)))
        }
        _ => None,
    }
}

/// Gives a socket a receive buffer of this size, beyond what the system allows to everybody if this process may
/// (CAP_NET_ADMIN). Says whether it has it.
pub(super) fn enlarge_receive_buffer(socket: &UdpSocket, bytes: usize) -> bool {
    let size = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    // SAFETY: the descriptor is borrowed for the call, and the value is an int of the length that is stated.
    let forced = unsafe {
        let length = size_of::<libc::c_int>() as libc::socklen_t;
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, (&raw const size).cast(), length)
    };
    let socket = SockRef::from(socket);
    // The kernel doubles what it is told, for its own book-keeping.
    (forced == 0 || socket.set_recv_buffer_size(bytes).is_ok()) && socket.recv_buffer_size().is_ok_and(|size| size >= bytes)
}

fn checked(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_with_their_senders_over_both_families() {
        for bind in ["127.0.0.1:0", "[::1]:0"] {
            let receiver = UdpSocket::bind(bind).unwrap();
            let sender = UdpSocket::bind(bind).unwrap();
            let mut batch = Batch::new();
            for round in 0..3u8 {
                (0..5u8)
                    .for_each(|index| assert_eq!(sender.send_to(&[round, index], receiver.local_addr().unwrap()).unwrap(), 2));
                assert_eq!(batch.receive(&receiver), 5);
                for index in 0..5u8 {
                    let (source, bytes) = batch.packet(index.into()).unwrap();
                    assert_eq!((source, bytes), (sender.local_addr().unwrap(), &[round, index][..]));
                }
                assert!(batch.packet(5).is_none());
            }
            assert_eq!(batch.receive(&receiver), 0);
            assert!(batch.packet(0).is_none());
        }
    }

    #[test]
    fn a_packet_that_was_cut_off_is_not_shown_and_its_neighbour_is() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(&[7; PACKET_BYTES + 1], receiver.local_addr().unwrap()).unwrap();
        sender.send_to(&[7; PACKET_BYTES], receiver.local_addr().unwrap()).unwrap();
        let mut batch = Batch::new();
        assert_eq!(batch.receive(&receiver), 2);
        assert!(batch.packet(0).is_none());
        assert_eq!(batch.packet(1).unwrap().1.len(), PACKET_BYTES);
    }

    #[test]
    fn an_ipv4_sender_reads_as_ipv4_on_a_socket_for_both() {
        let Ok(receiver) = UdpSocket::bind("[::]:0") else { return };
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = receiver.local_addr().unwrap().port();
        sender.send_to(b"x", ("127.0.0.1", port)).unwrap();
        let mut batch = Batch::new();
        assert_eq!(batch.receive(&receiver), 1);
        assert_eq!(batch.packet(0).unwrap().0, sender.local_addr().unwrap());
        sender.send_to(b"y", ("127.0.0.1", port)).unwrap();
        assert_eq!(batch.receive_one(&receiver), Some((sender.local_addr().unwrap(), &b"y"[..])));
        receiver.set_nonblocking(true).unwrap();
        assert_eq!(batch.receive_one(&receiver), None);
    }

    #[test]
    fn a_ring_ends_the_wait_and_is_heard_once() {
        let waker = Waker::new().unwrap();
        let mut poller = Poller::new().unwrap();
        poller.add(waker.descriptor(), 77).unwrap();
        assert_eq!(poller.wait(0), 0);
        waker.ring();
        waker.ring();
        assert_eq!(poller.wait(-1), 1);
        assert_eq!(poller.token(0), Some(77));
        waker.heard();
        assert_eq!(poller.wait(0), 0);
        waker.ring();
        assert_eq!(poller.wait(-1), 1, "it can be rung again");
        poller.remove(waker.descriptor()).unwrap();
        assert_eq!(poller.wait(0), 0);
    }
}
