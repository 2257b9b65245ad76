//! What a source of requests has done wrong lately. A wrong password costs much, a challenge that nobody answers costs
//! little (scanners never answer), a right password gives the little back; everything fades with time. The endpoint
//! asks before it looks at a request, and never for trunks or for flows with a live registration.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use crate::types::Time;

/// A wrong password, or a user that does not exist: the two look the same here as they do outside.
const FAILURE_POINTS: u32 = 10;
/// A request that came without credentials.
const CHALLENGE_POINTS: u32 = 1;
/// Twenty wrong passwords in a row.
const BAN_AT: u32 = 200;
/// A banned source is let in again below this: after a bit more than a minute and a half of silence.
const FREE_AT: u32 = 100;
const POINTS_FADE_PER_SECOND: u32 = 1;
/// Sources remembered at once. When full, sources whose points have faded are forgotten, then the mildest half.
const MAX_SOURCES: usize = 10_000;

#[derive(Debug)]
pub(super) struct Penalties {
    is_on: bool,
    sources: HashMap<IpAddr, Record>,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    points: u32,
    as_of: Time,
    is_banned: bool,
}

impl Penalties {
    pub(super) fn new(is_on: bool) -> Self {
        Penalties { is_on, sources: HashMap::new() }
    }

    pub(super) fn is_banned(&mut self, now: Time, source: IpAddr) -> bool {
        if !self.is_on {
            return false;
        }
        let Some(record) = self.sources.get_mut(&network(source)) else { return false };
        record.fade(now);
        record.is_banned
    }

    pub(super) fn failed(&mut self, now: Time, source: IpAddr) {
        self.add(now, source, FAILURE_POINTS);
    }

    pub(super) fn challenged(&mut self, now: Time, source: IpAddr) {
        self.add(now, source, CHALLENGE_POINTS);
    }

    /// Gives back only the price of the challenge: one good account must not pay for guessing another.
    pub(super) fn succeeded(&mut self, now: Time, source: IpAddr) {
        if let Some(record) = self.sources.get_mut(&network(source)) {
            record.fade(now);
            record.points = record.points.saturating_sub(CHALLENGE_POINTS);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.sources.len()
    }

    fn add(&mut self, now: Time, source: IpAddr, points: u32) {
        if !self.is_on {
            return;
        }
        if self.sources.len() >= MAX_SOURCES {
            self.make_room(now);
        }
        let record = self.sources.entry(network(source)).or_insert(Record { points: 0, as_of: now, is_banned: false });
        record.fade(now);
        record.points = record.points.saturating_add(points).min(BAN_AT * 2);
        record.is_banned |= record.points >= BAN_AT;
    }

    fn make_room(&mut self, now: Time) {
        self.sources.retain(|_, record| {
            record.fade(now);
            record.points > 0
        });
        if self.sources.len() < MAX_SOURCES {
            return;
        }
        let mut points: Vec<u32> = self.sources.values().map(|record| record.points).collect();
        let middle = points.len() / 2;
        let (_, median, _) = points.select_nth_unstable(middle);
        let median = *median;
        self.sources.retain(|_, record| record.points > median);
    }
}

impl Record {
    fn fade(&mut self, now: Time) {
        let seconds = now.since(self.as_of).as_secs();
        if seconds == 0 {
            return;
        }
        self.as_of = self.as_of + std::time::Duration::from_secs(seconds);
        let faded = u32::try_from(seconds).unwrap_or(u32::MAX).saturating_mul(POINTS_FADE_PER_SECOND);
        self.points = self.points.saturating_sub(faded);
        self.is_banned &= self.points >= FREE_AT;
    }
}

/// An IPv6 sender owns a whole /64 and can change its address at will.
fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    fn at(seconds: u64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    #[test]
    fn twenty_wrong_passwords_ban_a_source_and_time_frees_it() {
        let mut penalties = Penalties::new(true);
        for _ in 0..19 {
            penalties.failed(at(0), SOURCE);
        }
        assert!(!penalties.is_banned(at(0), SOURCE));
        penalties.failed(at(0), SOURCE);
        assert!(penalties.is_banned(at(100), SOURCE));
        assert!(!penalties.is_banned(at(101), SOURCE));
    }

    #[test]
    fn an_office_that_answers_its_challenges_is_never_banned() {
        let mut penalties = Penalties::new(true);
        for _ in 0..10_000 {
            penalties.challenged(at(0), SOURCE);
            penalties.succeeded(at(0), SOURCE);
        }
        assert!(!penalties.is_banned(at(0), SOURCE));
    }

    #[test]
    fn a_scanner_that_never_answers_is_banned() {
        let mut penalties = Penalties::new(true);
        for _ in 0..200 {
            penalties.challenged(at(0), SOURCE);
        }
        assert!(penalties.is_banned(at(0), SOURCE));
    }

    #[test]
    fn a_right_password_does_not_pay_for_wrong_ones() {
        let mut penalties = Penalties::new(true);
        for _ in 0..25 {
            penalties.failed(at(0), SOURCE);
            penalties.succeeded(at(0), SOURCE);
        }
        assert!(penalties.is_banned(at(0), SOURCE));
    }

    #[test]
    fn switched_off_it_never_bans() {
        let mut penalties = Penalties::new(false);
        for _ in 0..1000 {
            penalties.failed(at(0), SOURCE);
        }
        assert!(!penalties.is_banned(at(0), SOURCE));
        assert_eq!(penalties.len(), 0);
    }

    #[test]
    fn a_flood_of_sources_stays_bounded_and_the_worst_are_remembered() {
        let mut penalties = Penalties::new(true);
        for _ in 0..20 {
            penalties.failed(at(0), SOURCE);
        }
        for n in 0..50_000_u32 {
            penalties.challenged(at(0), IpAddr::V4(std::net::Ipv4Addr::from(0x0A00_0000 + n)));
        }
        assert!(penalties.len() <= MAX_SOURCES);
        assert!(penalties.is_banned(at(1), SOURCE));
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_source() {
        let mut penalties = Penalties::new(true);
        for n in 0..20_u16 {
            penalties.failed(at(0), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, n)));
        }
        assert!(penalties.is_banned(at(0), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 9, 9, 9, 9))));
        assert!(!penalties.is_banned(at(0), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 2, 0, 0, 0, 1))));
    }
}
