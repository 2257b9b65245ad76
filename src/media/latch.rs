//! Whose packets belong to a leg. The address in the SDP is what the far end believes of itself; behind NAT its packets
//! come from elsewhere, and anybody may send to an open port (RTP bleed). The latch decides packet by packet, from
//! addresses, SSRC and sequence numbers alone. It sees no audio and owns no socket; the relay asks it.
//!
//! ```text
//!            one packet from the SDP address, or four in a row from another
//!   Open ────────────────────────────────────────────────────────────────▶ Locked ──┐ own source: accepted
//!                                                                            ▲  │   │ all others: refused, except
//!                                                                            └──┴───┘ a newcomer that has earned it
//! ```
//! A newcomer earns the lock with four packets in a row, and only if
//! - it is the SDP address (it needs one packet when signalling has just named it), or
//! - signalling has just named a new address and the locked source has stopped, or
//! - the locked source has been silent for a second and the newcomer carries on its SSRC and sequence numbers.
//!
//! A packet that proves itself by SRTP needs none of this: `authenticated` moves the lock.

use std::net::SocketAddr;
use std::time::Duration;

use crate::types::Time;

/// Packets in a row that a source must show before it is believed.
const IN_A_ROW: u8 = 4;
/// A locked source that is silent this long may be continued by another address.
pub const SILENT: Duration = Duration::from_secs(1);
/// A source that proves itself may come from elsewhere at once: nobody is kept out for longer than a few packets' time.
const PROVEN_SILENT: Duration = Duration::from_millis(100);
/// How long signalling leaves the latch open for a source that does not come from the address in the SDP.
const SIGNALLED: Duration = Duration::from_secs(5);
/// In that time the locked source must have been quiet for ten packets, else it is alive and nobody may take its place.
const STOPPED: Duration = Duration::from_millis(200);
/// How far ahead sequence numbers may be and still go on: one minute of packets.
const AHEAD: u16 = 3000;
/// Newcomers watched at once. A crowd of strangers pushes out the least promising.
const WATCHED: usize = 4;

/// What the latch says of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// From the leg's source.
    Accept,
    /// From the leg's source, which was unknown or another until this packet.
    AcceptNew,
    /// From somebody else, or from one who has not earned the lock yet.
    Refuse,
}

/// The latch of one leg.
#[derive(Clone, Debug, Default)]
pub struct Latch {
    /// Where the SDP says the far end is.
    named: Option<SocketAddr>,
    /// When signalling last named a new address.
    signalled_at: Option<Time>,
    send_to: Option<SocketAddr>,
    locked: Option<Locked>,
    watched: [Option<Newcomer>; WATCHED],
    /// Its packets are authenticated.
    proves_itself: bool,
}

#[derive(Clone, Copy, Debug)]
struct Locked {
    source: SocketAddr,
    ssrc: u32,
    sequence: u16,
    heard_at: Time,
}

#[derive(Clone, Copy, Debug)]
struct Newcomer {
    source: SocketAddr,
    ssrc: u32,
    sequence: u16,
    in_a_row: u8,
}

impl Latch {
    /// Signalling named the far end's address. The same address again changes nothing.
    pub fn name(&mut self, now: Time, address: SocketAddr) {
        if self.named == Some(address) {
            return;
        }
        // A far end that was found where its SDP said is believed again; one behind NAT is kept where it was found.
        if self.source().is_none_or(|source| self.named == Some(source)) {
            self.send_to = Some(address);
        }
        self.named = Some(address);
        self.reopen(now);
    }

    /// Signalling says that the far end starts to send again (the end of a hold): its old way through a NAT may be gone.
    pub fn reopen(&mut self, now: Time) {
        self.signalled_at = Some(now);
        self.watched = [None; WATCHED];
    }

    /// Judges one packet.
    pub fn packet(&mut self, now: Time, source: SocketAddr, ssrc: u32, sequence: u16) -> Verdict {
        if let Some(locked) = &mut self.locked
            && locked.source == source
        {
            // A late packet must not turn the sequence back.
            let is_late = locked.ssrc == ssrc && locked.sequence.wrapping_sub(sequence) < AHEAD;
            *locked = Locked { source, ssrc, sequence: if is_late { locked.sequence } else { sequence }, heard_at: now };
            return Verdict::Accept;
        }
        let Some(needed) = self.packets_needed(now, source, ssrc, sequence) else { return Verdict::Refuse };
        if self.watch(source, ssrc, sequence) < needed {
            return Verdict::Refuse;
        }
        self.locked = Some(Locked { source, ssrc, sequence, heard_at: now });
        self.watched = [None; WATCHED];
        self.signalled_at = None;
        self.send_to = Some(source);
        Verdict::AcceptNew
    }

    /// Takes note of a packet that proved by its keys whose it is: its source is the leg's from now on, whoever was before.
    pub fn authenticated(&mut self, now: Time, source: SocketAddr, ssrc: u32, sequence: u16) -> Verdict {
        let is_new = self.source() != Some(source);
        self.locked = Some(Locked { source, ssrc, sequence, heard_at: now });
        self.proves_itself = true;
        if !is_new {
            return Verdict::Accept;
        }
        self.watched = [None; WATCHED];
        self.signalled_at = None;
        self.send_to = Some(source);
        Verdict::AcceptNew
    }

    /// The leg's source, once it is known.
    pub fn source(&self) -> Option<SocketAddr> {
        self.locked.map(|locked| locked.source)
    }

    /// Where the leg's audio goes: to its source (symmetric RTP, RFC 4961), or where the SDP says until it is known.
    pub fn destination(&self) -> Option<SocketAddr> {
        self.send_to
    }

    /// The only addresses whose packets can matter now, when there is such a narrow choice: the socket may refuse all
    /// others unread. `None` while a stranger could still turn out to be the leg.
    pub fn only_sources(&self, now: Time) -> Option<[SocketAddr; 2]> {
        let locked = self.locked?;
        let silent = if self.proves_itself { PROVEN_SILENT } else { SILENT };
        let is_settled = !self.is_signalled(now) && now.since(locked.heard_at) < silent;
        is_settled.then_some([locked.source, self.named.unwrap_or(locked.source)])
    }

    fn is_signalled(&self, now: Time) -> bool {
        self.signalled_at.is_some_and(|at| now.since(at) < SIGNALLED)
    }

    /// How many packets in a row this newcomer must show; `None` when no number would do.
    fn packets_needed(&self, now: Time, source: SocketAddr, ssrc: u32, sequence: u16) -> Option<u8> {
        let is_named = self.named == Some(source);
        let Some(locked) = self.locked else {
            return Some(if is_named { 1 } else { IN_A_ROW });
        };
        if is_named {
            return Some(if self.is_signalled(now) { 1 } else { IN_A_ROW });
        }
        let quiet = now.since(locked.heard_at);
        let may_move = self.is_signalled(now) && quiet >= STOPPED;
        let ahead = sequence.wrapping_sub(locked.sequence);
        let goes_on = quiet >= SILENT && ssrc == locked.ssrc && (1..=AHEAD).contains(&ahead);
        (may_move || goes_on).then_some(IN_A_ROW)
    }

    /// Notes a packet of a newcomer and returns how many in a row it has shown.
    fn watch(&mut self, source: SocketAddr, ssrc: u32, sequence: u16) -> u8 {
        let known = self.watched.iter_mut().flatten().find(|newcomer| newcomer.source == source);
        if let Some(newcomer) = known {
            let is_next = newcomer.ssrc == ssrc && sequence == newcomer.sequence.wrapping_add(1);
            newcomer.in_a_row = if is_next { newcomer.in_a_row.saturating_add(1) } else { 1 };
            newcomer.ssrc = ssrc;
            newcomer.sequence = sequence;
            return newcomer.in_a_row;
        }
        let place = self.watched.iter_mut().min_by_key(|place| place.map_or(0, |newcomer| newcomer.in_a_row));
        if let Some(place) = place {
            *place = Some(Newcomer { source, ssrc, sequence, in_a_row: 1 });
        }
        1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Verdict::{Accept, AcceptNew, Refuse};
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn ms(at: u64) -> Time {
        Time::from_millis(at)
    }

    /// A latch that knows port 10 from the SDP.
    fn named() -> Latch {
        let mut latch = Latch::default();
        latch.name(ms(0), address(10));
        latch
    }

    /// … and has heard it until `at`, with SSRC 1 and sequence 100.
    fn locked(at: u64) -> Latch {
        let mut latch = named();
        assert_eq!(latch.packet(ms(at), address(10), 1, 100), AcceptNew);
        latch
    }

    fn run(latch: &mut Latch, at: u64, port: u16, ssrc: u32, sequences: std::ops::Range<u16>) -> Vec<Verdict> {
        sequences.map(|sequence| latch.packet(ms(at), address(port), ssrc, sequence)).collect()
    }

    #[test]
    fn the_address_of_the_sdp_is_believed_at_once() {
        assert_eq!(run(&mut named(), 5, 10, 1, 7..9), [AcceptNew, Accept]);
    }

    #[test]
    fn another_address_needs_four_packets_in_a_row() {
        let mut latch = named();
        assert_eq!(run(&mut latch, 5, 20, 1, 7..10), [Refuse; 3]);
        assert_eq!(run(&mut latch, 5, 20, 1, 11..14), [Refuse; 3], "one is missing: the count starts again");
        assert_eq!(run(&mut latch, 5, 20, 1, 14..16), [AcceptNew, Accept]);
        assert_eq!(latch.source(), Some(address(20)));
    }

    #[test]
    fn a_packet_that_proves_itself_moves_the_lock_at_once() {
        let mut latch = locked(0);
        assert_eq!(latch.authenticated(ms(20), address(20), 1, 101), AcceptNew);
        assert_eq!(latch.authenticated(ms(40), address(20), 1, 102), Accept);
        assert_eq!(latch.destination(), Some(address(20)));
        assert_eq!(latch.only_sources(ms(139)), Some([address(20), address(10)]));
        assert_eq!(latch.only_sources(ms(140)), None, "it may be elsewhere already");
    }

    #[test]
    fn two_strangers_do_not_hinder_each_other_or_the_phone() {
        let mut latch = named();
        for sequence in 0..3 {
            assert_eq!(latch.packet(ms(5), address(20), 2, sequence), Refuse);
            assert_eq!(latch.packet(ms(5), address(30), 3, sequence), Refuse);
        }
        assert_eq!(latch.packet(ms(6), address(10), 1, 0), AcceptNew);
        assert_eq!(latch.packet(ms(6), address(20), 2, 3), Refuse);
    }

    #[test]
    fn a_crowd_of_strangers_does_not_push_out_one_who_counts_up() {
        let mut latch = named();
        for sequence in 0..3 {
            assert_eq!(latch.packet(ms(5), address(20), 2, sequence), Refuse);
            if sequence > 0 {
                run(&mut latch, 5, 100 + sequence, 9, 0..1);
                (200..230).for_each(|port| assert_eq!(latch.packet(ms(5), address(port), 9, 0), Refuse));
            }
        }
        assert_eq!(latch.packet(ms(5), address(20), 2, 3), AcceptNew);
    }

    #[test]
    fn a_flood_from_a_stranger_changes_nothing() {
        let mut latch = locked(1000);
        assert!(run(&mut latch, 1900, 66, 1, 101..5101).iter().all(|verdict| *verdict == Refuse), "not silent long enough");
        assert!(run(&mut latch, 9000, 66, 2, 101..5101).iter().all(|verdict| *verdict == Refuse), "another SSRC");
        assert!(run(&mut latch, 9000, 66, 1, 20000..25000).iter().all(|verdict| *verdict == Refuse), "numbers far off");
        assert_eq!(latch.packet(ms(9000), address(10), 1, 101), Accept);
        assert_eq!(latch.source(), Some(address(10)));
    }

    #[test]
    fn a_phone_whose_nat_moved_is_found_again_after_a_second() {
        let mut latch = locked(1000);
        assert_eq!(run(&mut latch, 1999, 20, 1, 101..106), [Refuse; 5]);
        assert_eq!(run(&mut latch, 2000, 20, 1, 150..154), [Refuse, Refuse, Refuse, AcceptNew]);
        assert_eq!(latch.packet(ms(2000), address(10), 1, 155), Refuse, "the SDP's address has to earn it back");
    }

    #[test]
    fn the_address_of_the_sdp_wins_over_a_learned_one() {
        let mut latch = named();
        run(&mut latch, 5, 20, 7, 0..4);
        assert_eq!(latch.source(), Some(address(20)));
        let mut later = latch.clone();
        assert_eq!(run(&mut later, 6000, 10, 1, 0..4), [Refuse, Refuse, Refuse, AcceptNew]);
        assert_eq!(later.packet(ms(6000), address(20), 7, 4), Refuse);
    }

    #[test]
    fn signalling_that_names_a_new_address_lets_it_in_with_one_packet() {
        let mut latch = locked(1000);
        latch.name(ms(1010), address(40));
        assert_eq!(latch.destination(), Some(address(40)));
        assert_eq!(latch.packet(ms(1011), address(10), 1, 101), Accept, "the old one is heard until the new one speaks");
        assert_eq!(latch.packet(ms(1012), address(40), 5, 0), AcceptNew);
        assert_eq!(latch.packet(ms(1013), address(10), 1, 102), Refuse);
    }

    #[test]
    fn after_signalling_a_moved_source_needs_four_packets_and_a_quiet_predecessor() {
        let mut latch = locked(1000);
        latch.name(ms(1010), address(40));
        assert_eq!(run(&mut latch, 1100, 50, 5, 0..6), [Refuse; 6], "the old one may still be alive");
        assert_eq!(run(&mut latch, 1200, 50, 5, 6..10), [Refuse, Refuse, Refuse, AcceptNew]);
        assert_eq!(run(&mut latch, 1201, 60, 6, 0..9), [Refuse; 9], "the door is shut again");
    }

    #[test]
    fn the_door_that_signalling_opened_shuts_by_itself() {
        let mut latch = locked(1000);
        latch.name(ms(1010), address(40));
        assert_eq!(run(&mut latch, 6010, 50, 5, 0..9), [Refuse; 9]);
    }

    #[test]
    fn naming_the_same_address_again_opens_no_door() {
        let mut latch = locked(1000);
        latch.name(ms(1010), address(10));
        assert_eq!(run(&mut latch, 1500, 50, 5, 0..9), [Refuse; 9]);
        latch.reopen(ms(1500));
        assert_eq!(run(&mut latch, 1500, 50, 5, 9..13), [Refuse, Refuse, Refuse, AcceptNew], "the end of a hold does");
    }

    #[test]
    fn strangers_need_not_be_read_while_the_source_is_settled() {
        let mut latch = named();
        assert_eq!(latch.only_sources(ms(1)), None);
        latch.packet(ms(1000), address(10), 1, 100);
        assert_eq!(latch.only_sources(ms(1999)), Some([address(10); 2]));
        assert_eq!(latch.only_sources(ms(2000)), None, "silent: it may have moved");
        latch.packet(ms(2100), address(10), 1, 101);
        latch.name(ms(2100), address(40));
        assert_eq!(latch.only_sources(ms(2101)), None, "signalling opened it");
        assert_eq!(latch.only_sources(ms(7099)), None);
    }

    #[test]
    fn audio_goes_to_the_source_and_a_phone_behind_nat_is_kept_where_it_was_found() {
        let mut latch = named();
        assert_eq!(latch.destination(), Some(address(10)));
        run(&mut latch, 5, 20, 1, 0..4);
        assert_eq!(latch.destination(), Some(address(20)));
        latch.name(ms(100), address(11));
        assert_eq!(latch.destination(), Some(address(20)), "its SDP was no use before either");
    }

    #[test]
    fn a_late_packet_does_not_turn_the_sequence_back() {
        let mut latch = locked(1000);
        latch.packet(ms(1000), address(10), 1, 90);
        assert_eq!(run(&mut latch, 3000, 20, 1, 91..100), [Refuse; 9], "these numbers have been");
        assert_eq!(run(&mut latch, 3000, 20, 1, 101..105), [Refuse, Refuse, Refuse, AcceptNew]);
    }

    proptest! {
        /// A party heard every 20 ms, at the address of its SDP or another, keeps its leg whatever strangers send, unless
        /// one of them sends from the address that the SDP names.
        #[test]
        fn a_party_that_is_heard_keeps_its_leg(
            is_named in any::<bool>(),
            strangers in proptest::collection::vec((20u16..24, 0u32..3, 0u16..300), 1..400),
        ) {
            let own = address(if is_named { 10 } else { 15 });
            let mut latch = named();
            (0..4).for_each(|sequence| _ = latch.packet(ms(1), own, 1, sequence));
            for (round, burst) in strangers.chunks(8).enumerate() {
                let at = ms(20 * (round as u64 + 1));
                prop_assert_eq!(latch.packet(at, own, 1, round as u16 + 4), Accept);
                for (port, ssrc, sequence) in burst {
                    prop_assert_eq!(latch.packet(at, address(*port), *ssrc, *sequence), Refuse);
                }
            }
        }

        #[test]
        fn no_packets_make_it_panic(packets in proptest::collection::vec((any::<u64>(), 1u16..4, 0u32..2, any::<u16>(), 0u8..9), 0..200)) {
            let mut latch = Latch::default();
            for (at, port, ssrc, sequence, other) in packets {
                match other {
                    0 => latch.name(Time::from_nanos(at), address(port)),
                    1 => latch.reopen(Time::from_nanos(at)),
                    _ => _ = latch.packet(Time::from_nanos(at), address(port), ssrc, sequence),
                }
                let source = latch.source();
                prop_assert!(latch.only_sources(Time::from_nanos(at)).is_none_or(|[first, _]| Some(first) == source));
            }
        }
    }
}
