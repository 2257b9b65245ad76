//! The least that a relay with a socket for each leg does: wait, read, send. They check, rewrite and count nothing. One is
//! woken for every packet, as most relays are; the other wakes once a millisecond and takes what has come.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use perezvon::clock;

use crate::crowd::{Crowd, memory_kib};
use crate::far_ends::HOST;
use crate::table::Outcome;

const TICK: Duration = Duration::from_millis(1);
/// As the kernel shows it.
const THREAD: &str = "floor";

/// How a floor waits for packets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    ForEach,
    Tick,
}

pub fn epoll(calls: usize, measured: Duration) -> Outcome {
    run(calls, measured, Wait::ForEach)
}

pub fn tick(calls: usize, measured: Duration) -> Outcome {
    run(calls, measured, Wait::Tick)
}

fn run(calls: usize, measured: Duration, wait: Wait) -> Outcome {
    let mut crowd = Crowd::new();
    let before_kib = memory_kib();
    let legs: Vec<(UdpSocket, SocketAddr)> = (0..calls * 2)
        .map(|_| {
            let socket = UdpSocket::bind((HOST, 0)).expect("loopback can be bound");
            socket.set_nonblocking(true).expect("Linux");
            let party = crowd.add_plain(socket.local_addr().expect("it is bound").port());
            (socket, party)
        })
        .collect();
    let is_over = Arc::new(AtomicBool::new(false));
    let relay = {
        let is_over = Arc::clone(&is_over);
        let thread = std::thread::Builder::new().name(THREAD.to_owned());
        thread.spawn(move || relay(&legs, wait, &is_over)).expect("a thread starts")
    };
    let outcome = crowd.talk(measured, THREAD, before_kib, calls);
    is_over.store(true, Ordering::Relaxed);
    relay.join().expect("the relay does not panic");
    outcome
}

fn relay(legs: &[(UdpSocket, SocketAddr)], wait: Wait, is_over: &AtomicBool) {
    // SAFETY: no pointers.
    let epoll = unsafe { libc::epoll_create1(0) };
    assert!(epoll >= 0, "epoll exists on Linux");
    for (index, (leg, _)) in legs.iter().enumerate() {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: index as u64 };
        // SAFETY: both descriptors are open, and `event` outlives the call.
        let added = unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, leg.as_raw_fd(), &raw mut event) };
        assert_eq!(added, 0);
    }
    let mut ready = [libc::epoll_event { events: 0, u64: 0 }; 1024];
    let mut packet = [0; 2048];
    let mut woke_at = clock::now();
    while !is_over.load(Ordering::Relaxed) {
        let timeout_ms = match wait {
            Wait::ForEach => 100,
            Wait::Tick => {
                std::thread::sleep((woke_at + TICK).since(clock::now()));
                woke_at = clock::now();
                0
            }
        };
        // SAFETY: `ready` is a writable array of 1024 events.
        let count = unsafe { libc::epoll_wait(epoll, ready.as_mut_ptr(), 1024, timeout_ms) };
        for event in ready.iter().take(usize::try_from(count).unwrap_or(0)) {
            let index = event.u64 as usize;
            if let Ok((len, _)) = legs[index].0.recv_from(&mut packet) {
                // A floor: what cannot be sent is simply lost, and would be seen in the table.
                let (out, to) = &legs[index ^ 1];
                _ = out.send_to(&packet[..len], to);
            }
        }
    }
    // SAFETY: opened above and used by nobody else.
    unsafe { libc::close(epoll) };
}
