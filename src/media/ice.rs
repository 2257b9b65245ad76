//! The ICE-lite side of one leg (RFC 8445 §2.5): judges binding requests, knows the addresses that proved the password, and
//! says where to send. It begins nothing, gathers nothing and owns no socket; `relay::browser` carries out what it says.
//!
//! An address is believed only after a request with the right user name and integrity came from it. The send address
//! follows the far end's choice (USE-CANDIDATE), or its first valid request after the present address fell silent: so a
//! browser behind a NAT that changed its mind is found again. A request heard a second time moves nothing; and where one
//! that was recorded long ago gets through, the far end's own audio from the old address takes the move back.

use std::net::SocketAddr;
use std::time::Duration;

use super::stun::{BindingRequest, IntegrityKey, Message, Role, TransactionId};
use crate::types::Time;

/// Addresses kept of one leg: a browser has a few interfaces. The one heard longest ago gives way.
pub const ADDRESSES: usize = 8;
/// Transactions remembered: five minutes of a browser's keep-alives. The oldest are forgotten.
const REMEMBERED: usize = 128;
/// The present address is given up for another valid one, without USE-CANDIDATE, when it was silent this long.
const SILENT: Duration = Duration::from_millis(500);
/// Media packets from the old address, and none from the new one, that take a move back: half a second.
const STAYED: u8 = 25;

/// Our `ice-ufrag` and the key that our `ice-pwd` makes.
pub struct Own {
    pub ufrag: String,
    pub key: IntegrityKey,
}

/// One pair of credentials; a restart makes the next.
struct Generation {
    own: Own,
    /// The far end's ufrag, once signalling told it. Requests before that are refused, and repeated by the browser.
    theirs: Option<String>,
}

/// The ICE state of one leg.
pub struct IceLite {
    current: Generation,
    /// Announced by signalling and not used yet. Meanwhile the current ones stay good.
    next: Option<Generation>,
    addresses: [Option<Address>; ADDRESSES],
    send_to: Option<SocketAddr>,
    moved: Option<Moved>,
    seen: [u64; REMEMBERED],
    seen_count: usize,
}

#[derive(Clone, Copy, Debug)]
struct Address {
    at: SocketAddr,
    heard_at: Time,
}

/// The last move of the send address, until media comes from the new one.
#[derive(Clone, Copy, Debug)]
struct Moved {
    from: SocketAddr,
    /// Media packets that came from `from` since.
    stayed: u8,
}

/// What is to be done about a request.
pub enum Verdict {
    /// Send this back to where it came from.
    Answer(Message, Learned),
    /// Not the user name of this leg.
    Stranger,
    /// The right name and a wrong integrity.
    Forged,
    /// Heard before, from elsewhere.
    Replayed,
}

/// What a request taught about addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    /// The source is an address of this leg from now on.
    pub new: Option<SocketAddr>,
    /// This one is not any more; its place was needed.
    pub forgotten: Option<SocketAddr>,
}

impl IceLite {
    pub fn new(own: Own) -> IceLite {
        IceLite {
            current: Generation { own, theirs: None },
            next: None,
            addresses: [None; ADDRESSES],
            send_to: None,
            moved: None,
            seen: [0; REMEMBERED],
            seen_count: 0,
        }
    }

    /// New credentials of ours were announced, or are about to be.
    pub fn restart(&mut self, own: Own) {
        self.next = Some(Generation { own, theirs: None });
    }

    /// Signalling told the far end's ufrag. Another than before is a restart by the far end; `own` then says which
    /// credentials of ours go with it when `restart` did not: our present ones, made once more.
    pub fn name(&mut self, theirs: &str, own: impl FnOnce() -> Option<Own>) {
        let is_present = self.current.theirs.as_deref() == Some(theirs);
        match &mut self.next {
            // A far end that keeps its name over a restart of ours may do so.
            Some(next) if is_present => _ = next.theirs.get_or_insert_with(|| theirs.to_owned()),
            Some(next) => next.theirs = Some(theirs.to_owned()),
            None if is_present => {}
            None if self.current.theirs.is_none() => self.current.theirs = Some(theirs.to_owned()),
            None => self.next = own().map(|own| Generation { own, theirs: Some(theirs.to_owned()) }),
        }
    }

    /// Where to send; `None` before the first valid request.
    pub fn send_to(&self) -> Option<SocketAddr> {
        self.send_to
    }

    /// All addresses of this leg.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.addresses.iter().flatten().map(|address| address.at)
    }

    /// Judges a request.
    pub fn judge(&mut self, now: Time, source: SocketAddr, request: &BindingRequest<'_>) -> Verdict {
        let Some((ours, theirs)) = request.ufrags() else { return Verdict::Stranger };
        let is_named = |generation: &Generation| generation.own.ufrag == ours && generation.theirs.as_deref() == Some(theirs);
        let is_next = self.next.as_ref().is_some_and(is_named);
        let generation = match &mut self.next {
            Some(next) if is_next => next,
            _ if is_named(&self.current) => &mut self.current,
            _ => return Verdict::Stranger,
        };
        let key = &mut generation.own.key;
        if !request.is_signed_with(key) {
            return Verdict::Forged;
        }
        let is_known = self.addresses.iter().flatten().any(|address| address.at == source);
        if self.was_seen(&request.transaction) {
            // Repeated by its sender because the answer was lost, or by somebody else.
            return if is_known {
                Verdict::Answer(self.answer(request, source, is_next), Learned::default())
            } else {
                Verdict::Replayed
            };
        }
        self.remember(&request.transaction);
        if request.role == Some(Role::Controlled) || request.has_unknown() {
            return Verdict::Answer(self.answer(request, source, is_next), Learned::default());
        }
        let answer = self.answer(request, source, is_next);
        if let Some(next) = self.next.take_if(|_| is_next) {
            self.current = next;
        }
        let learned = self.learn(now, source);
        let is_silent = self.send_to.is_none_or(|present| self.heard_at(present).is_none_or(|at| now.since(at) >= SILENT));
        if request.use_candidate || is_silent {
            self.move_to(source);
        }
        Verdict::Answer(answer, learned)
    }

    /// A packet of media proved itself and came from here.
    pub fn heard_media(&mut self, now: Time, source: SocketAddr) {
        if let Some(address) = self.addresses.iter_mut().flatten().find(|address| address.at == source) {
            address.heard_at = now;
        }
        match &mut self.moved {
            Some(_) if self.send_to == Some(source) => self.moved = None,
            Some(moved) if moved.from == source => {
                moved.stayed += 1;
                if moved.stayed >= STAYED {
                    self.send_to = Some(source);
                    self.moved = None;
                }
            }
            _ => {}
        }
    }

    fn answer(&mut self, request: &BindingRequest<'_>, source: SocketAddr, is_next: bool) -> Message {
        let generation = self.next.as_mut().filter(|_| is_next).unwrap_or(&mut self.current);
        let key = &mut generation.own.key;
        if request.role == Some(Role::Controlled) {
            Message::role_conflict(request, key)
        } else if request.has_unknown() {
            Message::unknown_attribute(request, key)
        } else {
            Message::success(request, source, key)
        }
    }

    fn learn(&mut self, now: Time, source: SocketAddr) -> Learned {
        if let Some(address) = self.addresses.iter_mut().flatten().find(|address| address.at == source) {
            address.heard_at = now;
            return Learned::default();
        }
        let send_to = self.send_to;
        let places = self.addresses.iter_mut().filter(|place| place.is_none_or(|address| Some(address.at) != send_to));
        let Some(place) = places.min_by_key(|place| place.map_or(Time::ZERO, |address| address.heard_at)) else {
            return Learned::default();
        };
        let former = place.replace(Address { at: source, heard_at: now });
        Learned { new: Some(source), forgotten: former.map(|former| former.at) }
    }

    fn move_to(&mut self, source: SocketAddr) {
        if let Some(from) = self.send_to.replace(source).filter(|from| *from != source) {
            // A move before the last one was confirmed still has the same way back.
            let from = self.moved.map_or(from, |moved| moved.from);
            self.moved = (from != source).then_some(Moved { from, stayed: 0 });
        }
    }

    fn heard_at(&self, at: SocketAddr) -> Option<Time> {
        self.addresses.iter().flatten().find(|address| address.at == at).map(|address| address.heard_at)
    }

    fn was_seen(&self, transaction: &TransactionId) -> bool {
        let number = shortened(transaction);
        self.seen.iter().take(self.seen_count).any(|seen| *seen == number)
    }

    fn remember(&mut self, transaction: &TransactionId) {
        if let Some(place) = self.seen.get_mut(self.seen_count % REMEMBERED) {
            *place = shortened(transaction);
        }
        self.seen_count += 1;
    }
}

/// Two thirds of a transaction's name: 64 random bits are as good as 96 to tell one leg's requests apart.
fn shortened(transaction: &TransactionId) -> u64 {
    transaction.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::stun;

    const PASSWORD: &str = "a password of twenty-two letters";

    fn own(ufrag: &str, password: &str) -> Own {
        Own { ufrag: ufrag.into(), key: IntegrityKey::new(password).unwrap() }
    }

    fn leg() -> IceLite {
        let mut ice = IceLite::new(own("us", PASSWORD));
        ice.name("them", || None);
        ice
    }

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn ms(at: u64) -> Time {
        Time::from_millis(at)
    }

    /// A request and what was said of it, in a word.
    struct Ask {
        name: &'static str,
        password: &'static str,
        transaction: u8,
        role: Role,
        nominates: bool,
    }

    fn ask(transaction: u8, nominates: bool) -> Ask {
        Ask { name: "us:them", password: PASSWORD, transaction, role: Role::Controlling, nominates }
    }

    impl Ask {
        fn of(self, ice: &mut IceLite, now: u64, port: u16) -> &'static str {
            let mut key = IntegrityKey::new(self.password).unwrap();
            let bytes = Message::request([self.transaction; 12], self.name, self.role, self.nominates, &mut key);
            match ice.judge(ms(now), at(port), &stun::parse(bytes.bytes()).unwrap()) {
                Verdict::Answer(answer, learned) => match (answer.bytes()[1], learned.new) {
                    (0x11, _) => "error",
                    (_, Some(_)) => "learned",
                    (_, None) => "answered",
                },
                Verdict::Stranger => "stranger",
                Verdict::Forged => "forged",
                Verdict::Replayed => "replayed",
            }
        }
    }

    #[test]
    fn the_chosen_address_is_sent_to() {
        let mut ice = leg();
        assert_eq!(ice.send_to(), None);
        assert_eq!(ask(1, false).of(&mut ice, 0, 10), "learned");
        assert_eq!(ice.send_to(), Some(at(10)), "for want of a better one");
        assert_eq!(ask(2, true).of(&mut ice, 10, 20), "learned");
        assert_eq!(ice.send_to(), Some(at(20)));
        assert_eq!(ask(3, false).of(&mut ice, 20, 10), "answered");
        assert_eq!(ice.send_to(), Some(at(20)));
        assert_eq!(ask(4, true).of(&mut ice, 30, 10), "answered");
        assert_eq!(ice.send_to(), Some(at(10)));
    }

    #[test]
    fn who_does_not_know_name_or_password_changes_nothing() {
        let mut ice = leg();
        assert_eq!(ask(1, true).of(&mut ice, 0, 10), "learned");
        assert_eq!(Ask { name: "us:others", ..ask(2, true) }.of(&mut ice, 1, 20), "stranger");
        assert_eq!(Ask { name: "we:them", ..ask(2, true) }.of(&mut ice, 1, 20), "stranger");
        assert_eq!(Ask { password: "another", ..ask(2, true) }.of(&mut ice, 1, 20), "forged");
        assert_eq!(ice.send_to(), Some(at(10)));
        assert_eq!(ice.addresses().count(), 1);
        assert_eq!(ask(2, true).of(&mut ice, 2, 20), "learned", "a forger cannot use up a transaction");
    }

    #[test]
    fn nobody_is_answered_before_signalling_told_who_it_is() {
        let mut ice = IceLite::new(own("us", PASSWORD));
        assert_eq!(ask(1, true).of(&mut ice, 0, 10), "stranger");
        ice.name("them", || None);
        assert_eq!(ask(1, true).of(&mut ice, 1, 10), "learned");
    }

    #[test]
    fn a_request_heard_again_from_elsewhere_moves_nothing() {
        let mut ice = leg();
        assert_eq!(ask(1, true).of(&mut ice, 0, 10), "learned");
        assert_eq!(ask(1, true).of(&mut ice, 5000, 66), "replayed");
        assert_eq!(ask(1, true).of(&mut ice, 5000, 10), "answered", "its sender may repeat it");
        assert_eq!(ask(2, true).of(&mut ice, 5000, 20), "learned");
        assert_eq!(ask(1, true).of(&mut ice, 5000, 10), "answered");
        assert_eq!(ice.send_to(), Some(at(20)), "a repetition does not choose again");
        assert_eq!(ice.addresses().count(), 2);
    }

    #[test]
    fn a_browser_that_came_to_another_port_is_followed_without_its_asking() {
        let mut ice = leg();
        assert_eq!(ask(1, true).of(&mut ice, 0, 10), "learned");
        ice.heard_media(ms(1000), at(10));
        assert_eq!(ask(2, false).of(&mut ice, 1400, 20), "learned");
        assert_eq!(ice.send_to(), Some(at(10)), "it was heard 400 ms ago");
        assert_eq!(ask(3, false).of(&mut ice, 1500, 20), "answered");
        assert_eq!(ice.send_to(), Some(at(20)));
    }

    #[test]
    fn audio_that_stays_at_the_old_address_takes_a_move_back() {
        let mut ice = leg();
        assert_eq!(ask(1, true).of(&mut ice, 0, 10), "learned");
        assert_eq!(ask(2, true).of(&mut ice, 1, 66), "learned", "say, recorded an hour ago");
        assert_eq!(ice.send_to(), Some(at(66)));
        (0..25).for_each(|packet| ice.heard_media(ms(20 * packet), at(10)));
        assert_eq!(ice.send_to(), Some(at(10)));
        assert_eq!(ask(3, true).of(&mut ice, 600, 20), "learned");
        ice.heard_media(ms(610), at(20));
        (0..50).for_each(|packet| ice.heard_media(ms(620 + packet), at(10)));
        assert_eq!(ice.send_to(), Some(at(20)), "it was confirmed from the new one");
    }

    #[test]
    fn who_wants_us_to_choose_gets_an_error_and_no_address() {
        let mut ice = leg();
        assert_eq!(Ask { role: Role::Controlled, ..ask(1, true) }.of(&mut ice, 0, 10), "error");
        assert_eq!((ice.send_to(), ice.addresses().count()), (None, 0));
    }

    #[test]
    fn after_a_restart_the_old_names_are_good_until_the_new_ones_are_used() {
        let mut ice = leg();
        assert_eq!(ask(1, true).of(&mut ice, 0, 10), "learned");
        ice.restart(own("us2", "second"));
        let new = |transaction| Ask { name: "us2:them2", password: "second", ..ask(transaction, true) };
        assert_eq!(new(2).of(&mut ice, 1, 20), "stranger", "theirs are not told yet");
        ice.name("them2", || None);
        assert_eq!(ask(3, false).of(&mut ice, 2, 10), "answered");
        assert_eq!(Ask { name: "us2:them", password: "second", ..ask(4, true) }.of(&mut ice, 2, 10), "stranger");
        assert_eq!(new(5).of(&mut ice, 3, 20), "learned");
        assert_eq!(ice.send_to(), Some(at(20)));
        assert_eq!(ask(6, true).of(&mut ice, 4, 10), "stranger", "now the old ones are gone");
        ice.name("them2", || None);
        assert_eq!(new(7).of(&mut ice, 5, 20), "answered", "naming it again is no restart");
    }

    #[test]
    fn a_far_end_that_keeps_its_name_over_our_restart_is_understood() {
        let mut ice = leg();
        ice.restart(own("us2", "second"));
        ice.name("them", || None);
        assert_eq!(ask(1, true).of(&mut ice, 0, 10), "learned");
        assert_eq!(Ask { name: "us2:them", password: "second", ..ask(2, true) }.of(&mut ice, 1, 10), "answered");
        assert_eq!(ask(3, true).of(&mut ice, 2, 10), "stranger");
    }

    #[test]
    fn a_restart_of_the_far_end_alone_keeps_our_name() {
        let mut ice = leg();
        ice.name("them2", || Some(own("us", PASSWORD)));
        assert_eq!(ask(1, true).of(&mut ice, 0, 10), "learned");
        assert_eq!(Ask { name: "us:them2", ..ask(2, true) }.of(&mut ice, 1, 20), "learned");
        assert_eq!(ask(3, true).of(&mut ice, 2, 10), "stranger");
    }

    proptest! {
        #[test]
        fn addresses_are_few_and_the_one_that_is_sent_to_is_among_them(
            requests in proptest::collection::vec((0u64..2000, 1u16..40, any::<u8>(), any::<bool>(), any::<bool>()), 0..300),
        ) {
            let mut ice = leg();
            let mut known = std::collections::HashSet::new();
            let mut now = 0;
            for (later, port, transaction, nominates, is_media) in requests {
                now += later;
                if is_media {
                    ice.heard_media(ms(now), at(port));
                    continue;
                }
                let mut key = IntegrityKey::new(PASSWORD).unwrap();
                let bytes = Message::request([transaction; 12], "us:them", Role::Controlling, nominates, &mut key);
                if let Verdict::Answer(_, learned) = ice.judge(ms(now), at(port), &stun::parse(bytes.bytes()).unwrap()) {
                    learned.forgotten.map(|address| known.remove(&address));
                    known.extend(learned.new);
                }
                prop_assert!(known.len() <= ADDRESSES);
                prop_assert_eq!(&known, &ice.addresses().collect::<std::collections::HashSet<_>>());
                prop_assert!(ice.send_to().is_none_or(|address| known.contains(&address)));
            }
        }
    }
}
