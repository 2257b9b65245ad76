//! Credentials that are lent for a while: what `POST me/phone` gives to a page so that it can register as its user without
//! the user's SIP password. They end by time, with the session that asked for them, or when newer ones push them out.

use std::collections::{HashMap, VecDeque};

use uuid::Uuid;

use crate::sip::wire::Text;
use crate::site::SipHa1;
use crate::types::{AgentId, Time};

/// Live credentials of one user; new ones over the cap push out the oldest. Each open page holds one.
const MOST_A_USER: usize = 8;

/// Every lent username begins so. No extension does: they are letters and digits.
const PREFIX: &str = "web-";

/// One lending.
#[derive(Clone, Debug)]
pub struct Loan {
    /// The digest username, made by `name`.
    pub username: Text,
    pub user: AgentId,
    pub ha1: SipHa1,
    /// The web session that asked.
    pub session: Uuid,
    pub until: Time,
}

impl Loan {
    /// A username of these random bits, which nobody can guess.
    pub fn name(random: u64) -> Text {
        Text::from(format!("{PREFIX}{random:016x}"))
    }

    /// Whether a username was lent once; if it is no longer, that is no guess at a password.
    pub(super) fn is_name(username: &str) -> bool {
        username.starts_with(PREFIX)
    }
}

/// All of them; as many as there are users, times `MOST_A_USER`.
#[derive(Debug, Default)]
pub(super) struct Lent {
    by_name: HashMap<Text, Loan>,
    by_user: HashMap<AgentId, VecDeque<Text>>,
}

impl Lent {
    /// Takes a loan in. Returns what it pushed out.
    pub(super) fn lend(&mut self, loan: Loan) -> Option<Loan> {
        let names = self.by_user.entry(loan.user.clone()).or_default();
        names.push_back(loan.username.clone());
        let pushed_out = if names.len() > MOST_A_USER { names.pop_front() } else { None };
        self.by_name.insert(loan.username.clone(), loan);
        pushed_out.and_then(|name| self.by_name.remove(&name))
    }

    /// The loan of this username, unless its time is over.
    pub(super) fn get(&self, now: Time, username: &str) -> Option<&Loan> {
        self.by_name.get(username).filter(|loan| loan.until > now)
    }

    /// Whether the user holds some that are good.
    pub(super) fn has_any(&self, now: Time, user: &AgentId) -> bool {
        self.by_user.get(user).is_some_and(|names| names.iter().any(|name| self.get(now, name).is_some()))
    }

    /// Ends those for which `ends` is true, and returns them.
    pub(super) fn take_back(&mut self, ends: impl Fn(&Loan) -> bool) -> Vec<Loan> {
        let mut names: Vec<Text> = self.by_name.values().filter(|loan| ends(loan)).map(|loan| loan.username.clone()).collect();
        names.sort();
        let ended: Vec<Loan> = names.iter().filter_map(|name| self.by_name.remove(name)).collect();
        for loan in &ended {
            if let Some(names) = self.by_user.get_mut(&loan.user) {
                names.retain(|name| *name != loan.username);
                if names.is_empty() {
                    self.by_user.remove(&loan.user);
                }
            }
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::apply::sip_ha1;

    fn loan(user: &str, number: u128) -> Loan {
        let username = Text::from(format!("web-{number}"));
        let ha1 = sip_ha1(&username, "secret");
        Loan { username, user: user.into(), ha1, session: Uuid::from_u128(number), until: Time::from_millis(1000) }
    }

    #[test]
    fn a_loan_ends_by_time_and_with_its_session() {
        let mut lent = Lent::default();
        lent.lend(loan("anna", 1));
        lent.lend(loan("anna", 2));
        assert!(lent.get(Time::from_millis(999), "web-1").is_some());
        assert!(lent.get(Time::from_millis(1000), "web-1").is_none());
        let ended = lent.take_back(|loan| loan.session == Uuid::from_u128(1));
        assert_eq!(ended.iter().map(|loan| loan.username.as_str()).collect::<Vec<_>>(), ["web-1"]);
        assert!(lent.get(Time::from_millis(0), "web-1").is_none());
        assert!(lent.get(Time::from_millis(0), "web-2").is_some());
        lent.take_back(|_| true);
        assert!(lent.by_name.is_empty() && lent.by_user.is_empty());
    }

    #[test]
    fn one_user_holds_only_so_many_and_the_oldest_goes() {
        let mut lent = Lent::default();
        for number in 0..MOST_A_USER as u128 {
            assert!(lent.lend(loan("anna", number)).is_none());
        }
        assert!(lent.lend(loan("boris", 100)).is_none(), "each has their own");
        assert_eq!(lent.lend(loan("anna", 50)).unwrap().username, "web-0");
        assert!(lent.get(Time::from_millis(0), "web-0").is_none());
        assert_eq!(lent.by_name.len(), MOST_A_USER + 1);
    }
}
