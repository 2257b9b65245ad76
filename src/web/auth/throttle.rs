//! Limits on guessing passwords: so many failures a window for a source and for a login, then a pause.
//! Plain values: the moment comes in. `sign_in` asks it before it spends a hash.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use crate::types::Time;

const WINDOW: Duration = Duration::from_secs(300);
/// Failures a window for one login, from anywhere.
const LOGIN_FAILURES: u32 = 10;
/// Failures a window for one address (one /64 of IPv6): an office behind one address mistypes more often than a person.
const SOURCE_FAILURES: u32 = 100;
/// Keys kept of each kind. When full, the oldest window is forgotten: an attacker with that many addresses is not
/// stopped by counting addresses.
const KEYS: usize = 10_000;

/// Failures by source and by login.
#[derive(Debug, Default)]
pub struct Throttle {
    sources: Counter<IpAddr>,
    logins: Counter<String>,
}

impl Throttle {
    /// Whether one more attempt is allowed; the error is how long to wait. Ask right before the hash: then only those
    /// hashed at the same moment can pass together.
    pub fn check(&self, source: IpAddr, login: &str, now: Time) -> Result<(), Duration> {
        self.sources.room(&network(source), SOURCE_FAILURES, now)?;
        self.logins.room(&key(login), LOGIN_FAILURES, now)
    }

    /// Counts a wrong password.
    pub fn failed(&mut self, source: IpAddr, login: &str, now: Time) {
        self.sources.count(network(source), now);
        self.logins.count(key(login), now);
    }
}

/// One subscriber holds a /64 of IPv6.
fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & (u128::MAX << 64)).into()),
        address => address,
    }
}

/// Logins that nobody has may be of any length; the key is not.
fn key(login: &str) -> String {
    login.to_lowercase().chars().take(64).collect()
}

#[derive(Debug)]
struct Counter<K>(HashMap<K, Tally>);

#[derive(Clone, Copy, Debug)]
struct Tally {
    failures: u32,
    since: Time,
}

impl<K> Default for Counter<K> {
    fn default() -> Self {
        Counter(HashMap::new())
    }
}

impl<K: Hash + Eq> Counter<K> {
    fn room(&self, key: &K, limit: u32, now: Time) -> Result<(), Duration> {
        match self.0.get(key) {
            Some(tally) if tally.failures >= limit && now.since(tally.since) < WINDOW => Err(WINDOW - now.since(tally.since)),
            _ => Ok(()),
        }
    }

    fn count(&mut self, key: K, now: Time) {
        if !self.0.contains_key(&key) && self.0.len() >= KEYS {
            self.make_room(now);
        }
        let tally = self.0.entry(key).or_insert(Tally { failures: 0, since: now });
        if now.since(tally.since) >= WINDOW {
            *tally = Tally { failures: 0, since: now };
        }
        tally.failures += 1;
    }

    /// Forgets what has run out, else the older quarter at once, so that a flood of new keys does not pay for each.
    fn make_room(&mut self, now: Time) {
        self.0.retain(|_, tally| now.since(tally.since) < WINDOW);
        if self.0.len() >= KEYS {
            let mut ages: Vec<Time> = self.0.values().map(|tally| tally.since).collect();
            let (_, cutoff, _) = ages.select_nth_unstable(KEYS / 4);
            let cutoff = *cutoff;
            self.0.retain(|_, tally| tally.since > cutoff);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn a_login_is_paused_after_ten_failures_from_anywhere_and_free_after_the_window() {
        let mut throttle = Throttle::default();
        for attempt in 0..10 {
            assert_eq!(throttle.check(address(attempt), "Anna", Time::from_millis(1000)), Ok(()));
            throttle.failed(address(attempt), "Anna", Time::from_millis(1000));
        }
        let wait = throttle.check(address(200), "anna", Time::from_millis(61_000)).unwrap_err();
        assert_eq!(wait, Duration::from_secs(240));
        assert_eq!(throttle.check(address(200), "boris", Time::from_millis(61_000)), Ok(()));
        assert_eq!(throttle.check(address(200), "anna", Time::from_millis(302_000)), Ok(()));
        throttle.failed(address(200), "anna", Time::from_millis(302_000));
        assert_eq!(throttle.check(address(200), "anna", Time::from_millis(302_000)), Ok(()), "a new window counts anew");
    }

    #[test]
    fn a_source_is_paused_whatever_names_it_tries() {
        let mut throttle = Throttle::default();
        for attempt in 0..100 {
            assert_eq!(throttle.check(address(1), "another", Time::ZERO), Ok(()));
            throttle.failed(address(1), &format!("guess{attempt}"), Time::ZERO);
        }
        assert!(throttle.check(address(1), "another", Time::ZERO).is_err());
        assert_eq!(throttle.check(address(2), "another", Time::ZERO), Ok(()));
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_source() {
        let mut throttle = Throttle::default();
        for attempt in 0..100_u16 {
            throttle.failed(IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, attempt]), &format!("guess{attempt}"), Time::ZERO);
        }
        assert!(throttle.check(IpAddr::from([0x2001, 0xdb8, 0, 1, 9, 9, 9, 9]), "x", Time::ZERO).is_err());
        assert!(throttle.check(IpAddr::from([0x2001, 0xdb8, 0, 2, 0, 0, 0, 1]), "x", Time::ZERO).is_ok());
    }

    #[test]
    fn the_memory_for_keys_is_bounded_and_the_newest_are_kept() {
        let mut throttle = Throttle::default();
        for attempt in 0..30_000_u32 {
            let source = IpAddr::from((0x0a00_0000 + attempt).to_be_bytes());
            throttle.failed(source, &format!("guess{attempt}"), Time::from_millis(u64::from(attempt)));
            assert!(throttle.sources.0.len() <= KEYS && throttle.logins.0.len() <= KEYS);
        }
        assert!(throttle.logins.0.contains_key("guess29999"));
    }
}
