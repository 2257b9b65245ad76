//! Reading many datagrams at once, each with the port it came from and the moment the kernel took it in.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, RawFd};

use crate::far_ends::PACKET_BYTES;

/// Datagrams of one call.
pub const BATCH: usize = 64;
/// Room for one timestamp; a whole number of words.
const CONTROL_WORDS: usize = 8;
const BUFFER_BYTES: i32 = 4 << 20;

/// Has the kernel stamp what comes, and keep much of it.
pub fn prepare(socket: &UdpSocket) -> io::Result<()> {
    let one = 1;
    option(socket, libc::SO_TIMESTAMPNS, &one)?;
    // Only root may go beyond the system's limit; up to it anybody may.
    option(socket, libc::SO_RCVBUFFORCE, &BUFFER_BYTES).or_else(|_| option(socket, libc::SO_RCVBUF, &BUFFER_BYTES))
}

fn option(socket: &UdpSocket, name: i32, value: &i32) -> io::Result<()> {
    let len = size_of::<i32>() as u32;
    // SAFETY: pointer and length belong to `value`, which outlives the call.
    let done = unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, name, (&raw const *value).cast(), len) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The wall clock, by which the kernel stamps.
pub fn wall_nanos() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid, writable timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut now) };
    nanos(&now)
}

fn nanos(time: &libc::timespec) -> u64 {
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Which sockets have something to read.
pub struct Poll(RawFd);

impl Poll {
    pub fn new(sockets: &[UdpSocket]) -> Poll {
        // SAFETY: no pointers.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        assert!(epoll >= 0, "epoll exists on Linux");
        for (place, socket) in sockets.iter().enumerate() {
            let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: place as u64 };
            // SAFETY: both descriptors are open, and `event` outlives the call.
            let added = unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, socket.as_raw_fd(), &raw mut event) };
            assert_eq!(added, 0);
        }
        Poll(epoll)
    }

    pub fn ready(&self) -> impl Iterator<Item = usize> + use<> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 1024];
        // SAFETY: `events` is a writable array of 1024.
        let count = unsafe { libc::epoll_wait(self.0, events.as_mut_ptr(), 1024, 0) };
        events.into_iter().take(usize::try_from(count).unwrap_or(0)).map(|event| event.u64 as usize)
    }
}

/// Room for one batch.
pub struct Inbox {
    bytes: Box<[[u8; PACKET_BYTES]; BATCH]>,
    control: Box<[[u64; CONTROL_WORDS]; BATCH]>,
    sources: Box<[libc::sockaddr_in; BATCH]>,
    lens: [usize; BATCH],
    stamps: [u64; BATCH],
}

impl Inbox {
    pub fn new() -> Inbox {
        // SAFETY: all zero bits are a valid sockaddr_in.
        let nobody: libc::sockaddr_in = unsafe { zeroed() };
        Inbox {
            bytes: Box::new([[0; PACKET_BYTES]; BATCH]),
            control: Box::new([[0; CONTROL_WORDS]; BATCH]),
            sources: Box::new([nobody; BATCH]),
            lens: [0; BATCH],
            stamps: [0; BATCH],
        }
    }

    /// Takes up to `BATCH` datagrams from a socket that does not block, and says how many.
    pub fn receive(&mut self, socket: RawFd) -> usize {
        // SAFETY: all zero bits are valid headers, with null pointers and no lengths.
        let mut vectors: [libc::iovec; BATCH] = unsafe { zeroed() };
        // SAFETY: likewise.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
        for place in 0..BATCH {
            vectors[place] = libc::iovec { iov_base: self.bytes[place].as_mut_ptr().cast(), iov_len: PACKET_BYTES };
            let header = &mut headers[place].msg_hdr;
            header.msg_name = (&raw mut self.sources[place]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
            header.msg_iov = &raw mut vectors[place];
            header.msg_iovlen = 1;
            header.msg_control = self.control[place].as_mut_ptr().cast();
            header.msg_controllen = size_of::<[u64; CONTROL_WORDS]>();
        }
        // SAFETY: every header points to room of the length it names, which lives until the end of this function.
        let count =
            unsafe { libc::recvmmsg(socket, headers.as_mut_ptr(), BATCH as u32, libc::MSG_DONTWAIT, std::ptr::null_mut()) };
        let count = usize::try_from(count).unwrap_or(0);
        for (place, header) in headers.iter().enumerate().take(count) {
            self.lens[place] = header.msg_len as usize;
            self.stamps[place] = stamp_of(&header.msg_hdr);
        }
        count
    }

    /// The first `count`: the sender's port, when it came, and what it is.
    pub fn packets(&self, count: usize) -> impl Iterator<Item = (u16, u64, &[u8])> {
        (0..count).map(|place| {
            let bytes = &self.bytes[place][..self.lens[place].min(PACKET_BYTES)];
            (u16::from_be(self.sources[place].sin_port), self.stamps[place], bytes)
        })
    }
}

/// The kernel's stamp; zero when there is none.
fn stamp_of(header: &libc::msghdr) -> u64 {
    // SAFETY: the kernel has filled in the header's control part and its length; the stamp is copied out unaligned.
    unsafe {
        let control = libc::CMSG_FIRSTHDR(header);
        if control.is_null() || (*control).cmsg_level != libc::SOL_SOCKET || (*control).cmsg_type != libc::SCM_TIMESTAMPNS {
            return 0;
        }
        nanos(&libc::CMSG_DATA(control).cast::<libc::timespec>().read_unaligned())
    }
}
