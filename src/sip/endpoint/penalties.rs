//! What a source of requests has done wrong lately. A wrong password costs much, a challenge that nobody answers costs
//! little (scanners never answer), a right password gives the little back; everything fades with time.
//!
//! A ban holds for the whole source. So that one guesser does not cut off the office behind the same address, users who
//! proved their password from there lately are *at home*: they may still prove it, and each has a score of its own, so
//! that the exception is no door for guessing. Who may skip all this (trunks, live flows) is `identify`'s business.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::types::{AgentId, Time};

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
/// How long a user is at home where it proved its password: a phone comes back from a night without power.
const AT_HOME_FOR: Duration = Duration::from_secs(24 * 3600);
/// Homes remembered at once; when full, the one that was proved longest ago is forgotten. Only right passwords make one.
const MAX_HOMES: usize = 20_000;

#[derive(Debug)]
pub(super) struct Penalties {
    is_on: bool,
    sources: HashMap<IpAddr, Record>,
    /// When each ban should be looked at again: the soonest that it can end.
    bans: BTreeSet<(Time, IpAddr)>,
    homes: HashMap<(IpAddr, AgentId), Home>,
    homes_by_age: BTreeSet<(Time, IpAddr, AgentId)>,
}

/// A ban that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EndedBan {
    /// The source, or the first address of its IPv6 network.
    pub(super) source: IpAddr,
    /// Requests that were refused meanwhile.
    pub(super) refused: u64,
}

#[derive(Clone, Copy, Debug)]
struct Score {
    points: u32,
    as_of: Time,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    score: Score,
    /// Since the points reached `BAN_AT`, until `end_bans` finds them below `FREE_AT`.
    is_banned: bool,
    refused: u64,
}

#[derive(Clone, Copy, Debug)]
struct Home {
    proved_at: Time,
    score: Score,
    is_banned: bool,
}

impl Penalties {
    pub(super) fn new(is_on: bool) -> Self {
        Penalties { is_on, sources: HashMap::new(), bans: BTreeSet::new(), homes: HashMap::new(), homes_by_age: BTreeSet::new() }
    }

    pub(super) fn is_banned(&mut self, now: Time, source: IpAddr) -> bool {
        let Some(record) = self.sources.get_mut(&network(source)) else { return false };
        record.is_banned && record.score.at(now) >= FREE_AT
    }

    /// Whether `user` may prove its password from this source though the source is banned.
    pub(super) fn may_prove(&mut self, now: Time, source: IpAddr, user: &AgentId) -> bool {
        let Some(home) = self.homes.get_mut(&(network(source), user.clone())) else { return false };
        home.is_banned &= home.score.at(now) >= FREE_AT;
        !home.is_banned && now.since(home.proved_at) <= AT_HOME_FOR
    }

    /// A wrong password, for `user` if there is such a one. Whether a ban begins with it.
    pub(super) fn failed(&mut self, now: Time, source: IpAddr, user: Option<&AgentId>) -> bool {
        if let Some(home) = user.and_then(|user| self.homes.get_mut(&(network(source), user.clone()))) {
            home.is_banned |= home.score.add(now, FAILURE_POINTS) >= BAN_AT;
        }
        self.add(now, source, FAILURE_POINTS)
    }

    /// A request without credentials. Whether a ban begins with it.
    pub(super) fn challenged(&mut self, now: Time, source: IpAddr) -> bool {
        self.add(now, source, CHALLENGE_POINTS)
    }

    /// Gives back only the price of the challenge: one good account must not pay for guessing another.
    pub(super) fn succeeded(&mut self, now: Time, source: IpAddr, user: &AgentId) {
        if !self.is_on {
            return;
        }
        if let Some(record) = self.sources.get_mut(&network(source)) {
            record.score.at(now);
            record.score.points = record.score.points.saturating_sub(CHALLENGE_POINTS);
        }
        self.move_in(now, network(source), user);
    }

    /// A request was turned away.
    pub(super) fn refused(&mut self, source: IpAddr) {
        if let Some(record) = self.sources.get_mut(&network(source)) {
            record.refused = record.refused.saturating_add(1);
        }
    }

    /// When `end_bans` may find something.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.bans.first().map(|(at, _)| *at)
    }

    /// Bans that are over by now, each told once.
    pub(super) fn end_bans(&mut self, now: Time) -> Vec<EndedBan> {
        let mut ended = Vec::new();
        while let Some((at, source)) = self.bans.first().copied().filter(|(at, _)| *at <= now) {
            self.bans.remove(&(at, source));
            let Some(record) = self.sources.get_mut(&source) else {
                // Forgotten for worse ones when the memory was full.
                ended.push(EndedBan { source, refused: 0 });
                continue;
            };
            if record.score.at(now) >= FREE_AT {
                self.bans.insert((record.score.free_at(), source));
                continue;
            }
            record.is_banned = false;
            ended.push(EndedBan { source, refused: std::mem::take(&mut record.refused) });
        }
        ended
    }

    pub(super) fn len(&self) -> usize {
        self.sources.len()
    }

    fn add(&mut self, now: Time, source: IpAddr, points: u32) -> bool {
        if !self.is_on {
            return false;
        }
        if self.sources.len() >= MAX_SOURCES {
            self.make_room(now);
        }
        let source = network(source);
        let record = self.sources.entry(source).or_insert(Record { score: Score::new(now), is_banned: false, refused: 0 });
        let begins = record.score.add(now, points) >= BAN_AT && !record.is_banned;
        if begins {
            record.is_banned = true;
            self.bans.insert((record.score.free_at(), source));
        }
        begins
    }

    fn move_in(&mut self, now: Time, source: IpAddr, user: &AgentId) {
        let home = self.homes.entry((source, user.clone()));
        let home = home.or_insert(Home { proved_at: now, score: Score::new(now), is_banned: false });
        self.homes_by_age.remove(&(home.proved_at, source, user.clone()));
        home.proved_at = now;
        self.homes_by_age.insert((now, source, user.clone()));
        if self.homes.len() > MAX_HOMES
            && let Some((_, source, user)) = self.homes_by_age.pop_first()
        {
            self.homes.remove(&(source, user));
        }
    }

    fn make_room(&mut self, now: Time) {
        // A banned source keeps its record until the end of the ban has been told.
        self.sources.retain(|_, record| record.score.at(now) > 0 || record.is_banned);
        if self.sources.len() < MAX_SOURCES {
            return;
        }
        let mut points: Vec<u32> = self.sources.values().map(|record| record.score.points).collect();
        let middle = points.len() / 2;
        let (_, median, _) = points.select_nth_unstable(middle);
        let median = *median;
        self.sources.retain(|_, record| record.score.points > median);
    }
}

impl Score {
    fn new(now: Time) -> Score {
        Score { points: 0, as_of: now }
    }

    /// The points that are left at `now`.
    fn at(&mut self, now: Time) -> u32 {
        let seconds = now.since(self.as_of).as_secs();
        if seconds > 0 {
            self.as_of = self.as_of + Duration::from_secs(seconds);
            let faded = u32::try_from(seconds).unwrap_or(u32::MAX).saturating_mul(POINTS_FADE_PER_SECOND);
            self.points = self.points.saturating_sub(faded);
        }
        self.points
    }

    fn add(&mut self, now: Time, points: u32) -> u32 {
        self.points = self.at(now).saturating_add(points).min(BAN_AT * 2);
        self.points
    }

    /// When the points fall below `FREE_AT` if nothing is added.
    fn free_at(&self) -> Time {
        let above = (self.points + 1).saturating_sub(FREE_AT);
        self.as_of + Duration::from_secs(above.div_ceil(POINTS_FADE_PER_SECOND).into())
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

    fn anna() -> AgentId {
        "anna".into()
    }

    #[test]
    fn twenty_wrong_passwords_ban_a_source_and_time_frees_it() {
        let mut penalties = Penalties::new(true);
        for _ in 0..19 {
            penalties.failed(at(0), SOURCE, None);
        }
        assert!(!penalties.is_banned(at(0), SOURCE));
        penalties.failed(at(0), SOURCE, None);
        assert!(penalties.is_banned(at(100), SOURCE));
        assert!(!penalties.is_banned(at(101), SOURCE));
    }

    #[test]
    fn an_office_that_answers_its_challenges_is_never_banned() {
        let mut penalties = Penalties::new(true);
        for _ in 0..10_000 {
            penalties.challenged(at(0), SOURCE);
            penalties.succeeded(at(0), SOURCE, &anna());
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
            penalties.failed(at(0), SOURCE, None);
            penalties.succeeded(at(0), SOURCE, &anna());
        }
        assert!(penalties.is_banned(at(0), SOURCE));
    }

    #[test]
    fn switched_off_it_never_bans() {
        let mut penalties = Penalties::new(false);
        for _ in 0..1000 {
            penalties.failed(at(0), SOURCE, None);
        }
        assert!(!penalties.is_banned(at(0), SOURCE));
        assert_eq!(penalties.len(), 0);
    }

    #[test]
    fn a_flood_of_sources_stays_bounded_and_the_worst_are_remembered() {
        let mut penalties = Penalties::new(true);
        for _ in 0..20 {
            penalties.failed(at(0), SOURCE, None);
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
            penalties.failed(at(0), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, n)), None);
        }
        assert!(penalties.is_banned(at(0), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 9, 9, 9, 9))));
        assert!(!penalties.is_banned(at(0), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 2, 0, 0, 0, 1))));
    }

    #[test]
    fn a_ban_begins_once_and_its_end_is_told_once_with_what_was_refused() {
        let mut penalties = Penalties::new(true);
        let begun: Vec<bool> = (0..30).map(|_| penalties.failed(at(0), SOURCE, None)).collect();
        assert_eq!(begun.iter().filter(|begins| **begins).count(), 1);
        assert!(begun[19]);
        penalties.refused(SOURCE);
        penalties.refused(SOURCE);
        // 300 points when the ban began to be looked at: below 100 after 201 seconds.
        assert_eq!(penalties.end_bans(at(200)), []);
        let next = penalties.next_deadline().unwrap();
        assert_eq!(next, at(201));
        assert_eq!(penalties.end_bans(next), [EndedBan { source: SOURCE, refused: 2 }]);
        assert_eq!(penalties.next_deadline(), None);
        assert_eq!(penalties.end_bans(at(9_000)), []);
    }

    #[test]
    fn who_is_at_home_may_prove_its_password_from_a_banned_source_but_not_guess_it() {
        let mut penalties = Penalties::new(true);
        penalties.succeeded(at(0), SOURCE, &anna());
        for _ in 0..20 {
            penalties.failed(at(1), SOURCE, Some(&"boris".into()));
        }
        assert!(penalties.is_banned(at(1), SOURCE));
        assert!(penalties.may_prove(at(1), SOURCE, &anna()));
        assert!(!penalties.may_prove(at(1), SOURCE, &"boris".into()));
        for _ in 0..20 {
            penalties.failed(at(1), SOURCE, Some(&anna()));
        }
        assert!(!penalties.may_prove(at(1), SOURCE, &anna()));
        assert!(penalties.may_prove(at(102), SOURCE, &anna()), "its own score fades like any other");
    }

    #[test]
    fn a_home_is_left_after_a_day_and_homes_are_bounded() {
        let mut penalties = Penalties::new(true);
        penalties.succeeded(at(0), SOURCE, &anna());
        assert!(penalties.may_prove(at(24 * 3600), SOURCE, &anna()));
        assert!(!penalties.may_prove(at(24 * 3600 + 1), SOURCE, &anna()));
        for n in 0..30_000_u32 {
            penalties.succeeded(at(10), IpAddr::V4(std::net::Ipv4Addr::from(0x0A00_0000 + n)), &anna());
        }
        assert_eq!((penalties.homes.len(), penalties.homes_by_age.len()), (MAX_HOMES, MAX_HOMES));
        assert!(!penalties.may_prove(at(10), SOURCE, &anna()), "the oldest went first");
    }
}
