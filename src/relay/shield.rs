//! A shield before a socket: a small filter in the kernel (classic BPF) that refuses packets of all but named senders,
//! unread. A flood from a stranger then costs no system call and cannot push the leg's own packets out of the socket's
//! buffer. It is only a shield: the latch judges every packet that gets through, and works without it as well.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use socket2::{SockFilter, SockRef};

/// Refuses every packet: for a port that nobody uses at the time.
pub(super) fn refuse_all(socket: &UdpSocket) -> io::Result<()> {
    SockRef::from(socket).attach_filter(&[RETURN_NOTHING])
}

/// Lets every packet in.
pub(super) fn admit_all(socket: &UdpSocket) -> io::Result<()> {
    SockRef::from(socket).detach_filter()
}

/// Lets in what comes from one of two senders, which may be the same.
pub(super) fn admit_only(socket: &UdpSocket, senders: [SocketAddr; 2]) -> io::Result<()> {
    let mut program = Program { steps: [RETURN_NOTHING; MAX_STEPS], len: 0 };
    program.admit(senders[0]);
    if senders[1] != senders[0] {
        program.admit(senders[1]);
    }
    // The last step of the array, or the first unused one, refuses the rest.
    let whole = program.steps.get(..=program.len).unwrap_or(&program.steps);
    SockRef::from(socket).attach_filter(whole)
}

// Operations of classic BPF (linux/bpf_common.h, linux/filter.h).
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const AND: u16 = 0x54;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// Offsets from here count from the IP header; others from the UDP header, which begins with the sender's port.
const NETWORK_HEADER: u32 = 0xfff0_0000;

const RETURN_NOTHING: SockFilter = SockFilter::new(RETURN, 0, 0, 0);
const RETURN_WHOLE: SockFilter = SockFilter::new(RETURN, 0, 0, u32::MAX);
/// Two IPv6 senders take 14 steps each.
const MAX_STEPS: usize = 29;

struct Program {
    steps: [SockFilter; MAX_STEPS],
    len: usize,
}

impl Program {
    fn push(&mut self, step: SockFilter) {
        if let Some(place) = self.steps.get_mut(self.len) {
            *place = step;
            self.len += 1;
        }
    }

    /// Adds the steps that let one sender in; a packet of another falls through to the step after them.
    fn admit(&mut self, sender: SocketAddr) {
        let words: &[(u32, u32)] = match sender.ip() {
            IpAddr::V4(v4) => &[(12, v4.to_bits())],
            IpAddr::V6(v6) => {
                let bits = v6.to_bits();
                &[(8, (bits >> 96) as u32), (12, (bits >> 64) as u32), (16, (bits >> 32) as u32), (20, bits as u32)]
            }
        };
        let version = if sender.is_ipv4() { 0x40 } else { 0x60 };
        // Steps left to the end of this block, from the step after the jump: where a mismatch goes.
        let mut left = u8::try_from(words.len() * 2 + 4).unwrap_or(0);
        self.push(SockFilter::new(LOAD_BYTE, 0, 0, NETWORK_HEADER));
        self.push(SockFilter::new(AND, 0, 0, 0xf0));
        self.push(SockFilter::new(JUMP_IF_EQUAL, 0, left - 1, version));
        for (offset, word) in words {
            left -= 2;
            self.push(SockFilter::new(LOAD_WORD, 0, 0, NETWORK_HEADER + offset));
            self.push(SockFilter::new(JUMP_IF_EQUAL, 0, left - 1, *word));
        }
        self.push(SockFilter::new(LOAD_HALF, 0, 0, 0));
        self.push(SockFilter::new(JUMP_IF_EQUAL, 0, 1, sender.port().into()));
        self.push(RETURN_WHOLE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What gets through of one packet from each sender. UDP on loopback is delivered before `send_to` returns.
    fn admitted(receiver: &UdpSocket, senders: &[&UdpSocket]) -> Vec<u16> {
        let to = receiver.local_addr().unwrap();
        for sender in senders {
            let to = if to.ip().is_unspecified() && sender.local_addr().unwrap().is_ipv4() {
                SocketAddr::from(([127, 0, 0, 1], to.port()))
            } else if to.ip().is_unspecified() {
                SocketAddr::new("::1".parse().unwrap(), to.port())
            } else {
                to
            };
            sender.send_to(b"packet", to).unwrap();
        }
        receiver.set_nonblocking(true).unwrap();
        let mut ports = Vec::new();
        while let Ok((6, from)) = receiver.recv_from(&mut [0; 16]) {
            ports.push(from.port());
        }
        ports
    }

    fn socket(address: &str) -> (UdpSocket, SocketAddr, u16) {
        let socket = UdpSocket::bind(address).unwrap();
        let at = socket.local_addr().unwrap();
        (socket, at, at.port())
    }

    #[test]
    fn only_the_named_senders_get_through() {
        for loopback in ["127.0.0.1:0", "[::1]:0"] {
            let (receiver, ..) = socket(loopback);
            let (one, one_at, one_port) = socket(loopback);
            let (two, two_at, two_port) = socket(loopback);
            let (stranger, _, stranger_port) = socket(loopback);
            let all = [&one, &two, &stranger];
            assert_eq!(admitted(&receiver, &all), [one_port, two_port, stranger_port]);
            admit_only(&receiver, [one_at, one_at]).unwrap();
            assert_eq!(admitted(&receiver, &all), [one_port]);
            admit_only(&receiver, [one_at, two_at]).unwrap();
            assert_eq!(admitted(&receiver, &all), [one_port, two_port]);
            refuse_all(&receiver).unwrap();
            assert!(admitted(&receiver, &all).is_empty());
            admit_all(&receiver).unwrap();
            assert_eq!(admitted(&receiver, &all), [one_port, two_port, stranger_port]);
        }
    }

    #[test]
    fn the_port_alone_is_not_enough() {
        let (receiver, ..) = socket("0.0.0.0:0");
        let (one, one_at, port) = socket("127.0.0.2:0");
        let twin = UdpSocket::bind(("127.0.0.3", port)).unwrap();
        admit_only(&receiver, [one_at, one_at]).unwrap();
        assert_eq!(admitted(&receiver, &[&twin, &one]), [port], "one of the two");
    }

    #[test]
    fn a_socket_for_both_families_tells_them_apart() {
        let Ok(receiver) = UdpSocket::bind("[::]:0") else { return };
        let (v4, v4_at, v4_port) = socket("127.0.0.1:0");
        let (v6, v6_at, v6_port) = socket("[::1]:0");
        admit_only(&receiver, [v4_at, v4_at]).unwrap();
        assert_eq!(admitted(&receiver, &[&v6, &v4]), [v4_port]);
        admit_only(&receiver, [v6_at, v4_at]).unwrap();
        assert_eq!(admitted(&receiver, &[&v6, &v4]), [v6_port, v4_port]);
    }
}
