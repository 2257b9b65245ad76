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
    /// Charges one attempt, to be refunded by `succeeded`: counting first keeps parallel guesses within the limit.
    /// The error is how long to wait.
    pub fn charge(&mut self, source: IpAddr, login: &str, now: Time) -> Result<(), Duration> {
        let (source, login) = (network(source), key(login));
        self.sources.room(&source, SOURCE_FAILURES, now)?;
        self.logins.room(&login, LOGIN_FAILURES, now)?;
        self.sources.count(source, now);
        self.logins.count(login, now);
        Ok(())
    }

    /// Takes the attempt back; it was not a guess.
    pub fn succeeded(&mut self, source: IpAddr, login: &str) {
        self.sources.refund(&network(source));
        self.logins.refund(&key(login));
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

impl<K: Hash + Eq + Clone> Counter<K> {
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

    fn refund(&mut self, key: &K) {
        let Some(tally) = self.0.get_mut(key) else { return };
        tally.failures = tally.failures.saturating_sub(1);
        if tally.failures == 0 {
            self.0.remove(key);
        }
    }

    fn make_room(&mut self, now: Time) {
        self.0.retain(|_, tally| now.since(tally.since) < WINDOW);
        if self.0.len() >= KEYS
            && let Some(oldest) = self.0.iter().min_by_key(|(_, tally)| tally.since).map(|(key, _)| key.clone())
        {
            self.0.remove(&oldest);
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
            assert_eq!(throttle.charge(address(attempt), "Anna", Time::from_millis(1000)), Ok(()));
        }
        let wait = throttle.charge(address(200), "anna", Time::from_millis(61_000)).unwrap_err();
        assert_eq!(wait, Duration::from_secs(240));
        assert_eq!(throttle.charge(address(200), "boris", Time::from_millis(61_000)), Ok(()));
        assert_eq!(throttle.charge(address(200), "anna", Time::from_millis(302_000)), Ok(()));
    }

    #[test]
    fn a_source_is_paused_whatever_names_it_tries_and_a_good_password_costs_nothing() {
        let mut throttle = Throttle::default();
        for attempt in 0..500 {
            assert_eq!(throttle.charge(address(1), &format!("good{attempt}"), Time::ZERO), Ok(()));
            throttle.succeeded(address(1), &format!("good{attempt}"));
        }
        for attempt in 0..100 {
            assert_eq!(throttle.charge(address(1), &format!("guess{attempt}"), Time::ZERO), Ok(()));
        }
        assert!(throttle.charge(address(1), "another", Time::ZERO).is_err());
        assert_eq!(throttle.charge(address(2), "another", Time::ZERO), Ok(()));
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_source() {
        let mut throttle = Throttle::default();
        for attempt in 0..100_u16 {
            let source = IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, attempt]);
            assert_eq!(throttle.charge(source, &format!("guess{attempt}"), Time::ZERO), Ok(()));
        }
        assert!(throttle.charge(IpAddr::from([0x2001, 0xdb8, 0, 1, 9, 9, 9, 9]), "x", Time::ZERO).is_err());
        assert!(throttle.charge(IpAddr::from([0x2001, 0xdb8, 0, 2, 0, 0, 0, 1]), "x", Time::ZERO).is_ok());
    }

    #[test]
    fn the_memory_for_keys_is_bounded() {
        let mut throttle = Throttle::default();
        for attempt in 0..30_000_u32 {
            let source = IpAddr::from((0x0a00_0000 + attempt).to_be_bytes());
            let _ = throttle.charge(source, &format!("guess{attempt}"), Time::from_millis(u64::from(attempt)));
        }
        assert!(throttle.sources.0.len() <= KEYS && throttle.logins.0.len() <= KEYS);
    }
}
