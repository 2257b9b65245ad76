//! Which of the free members gets the call: SPEC R2's strategies as one function. It sees only members who may take it.

use std::time::Duration;

use crate::agents::Tally;
use crate::site::Strategy;
use crate::types::{AgentId, Ids, Time};

/// A free member who may take the call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    pub agent: &'a AgentId,
    /// Place in the queue's `members`.
    pub order: usize,
    pub idle_since: Time,
    pub tally: Tally,
    /// Skill level for this queue, at least 1.
    pub weight: u8,
}

/// The one to offer the call to; `None` only without candidates. `last_order`: whose turn it was in the round.
pub(super) fn choose<'a>(
    strategy: Strategy,
    candidates: &[Candidate<'a>],
    last_order: Option<usize>,
    dice: &mut Ids,
) -> Option<&'a AgentId> {
    let longest_idle = |it: &&Candidate<'a>| (it.idle_since, it.order);
    let chosen = match strategy {
        // Those who ring many at once take them one by one, the longest idle first.
        Strategy::RingAll | Strategy::RingProgressively | Strategy::LongestIdle => candidates.iter().min_by_key(longest_idle),
        Strategy::RoundRobin => {
            let is_behind = |it: &Candidate<'_>| last_order.is_some_and(|last| it.order <= last);
            candidates.iter().min_by_key(|it| (is_behind(it), it.order))
        }
        Strategy::FewestCalls => candidates.iter().min_by_key(|it| (it.tally.answered, longest_idle(it))),
        Strategy::LeastTalkTime => candidates.iter().min_by_key(|it| (talked(it), longest_idle(it))),
        Strategy::TopDown => candidates.iter().min_by_key(|it| it.order),
        Strategy::Random => draw(candidates, dice, |_| 1),
        Strategy::Weighted => draw(candidates, dice, |it| u64::from(it.weight.max(1))),
    };
    chosen.map(|it| it.agent)
}

fn talked(candidate: &Candidate<'_>) -> Duration {
    candidate.tally.talked
}

/// One by lot; a ticket for each unit of weight.
fn draw<'c, 'a>(
    candidates: &'c [Candidate<'a>],
    dice: &mut Ids,
    tickets: fn(&Candidate<'_>) -> u64,
) -> Option<&'c Candidate<'a>> {
    let all: u64 = candidates.iter().map(tickets).sum();
    let mut ticket = dice.bits().checked_rem(all)?;
    candidates.iter().find(|it| {
        let own = tickets(it);
        let is_theirs = ticket < own;
        ticket = ticket.saturating_sub(own);
        is_theirs
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<AgentId> {
        ["anna", "boris", "vera"].map(AgentId::new).to_vec()
    }

    fn candidates(names: &[AgentId]) -> Vec<Candidate<'_>> {
        let idle_ms = [300, 100, 200];
        let tally = |answered, secs| Tally { answered, missed: 0, talked: Duration::from_secs(secs) };
        let tallies = [tally(5, 10), tally(4, 50), tally(3, 90)];
        let candidate = |(order, agent)| Candidate {
            agent,
            order,
            idle_since: Time::from_millis(idle_ms[order]),
            tally: tallies[order],
            weight: [1, 1, 8][order],
        };
        names.iter().enumerate().map(candidate).collect()
    }

    fn chosen(strategy: Strategy, last: Option<usize>) -> String {
        let names = names();
        choose(strategy, &candidates(&names), last, &mut Ids::seeded(1)).unwrap().to_string()
    }

    #[test]
    fn each_strategy_takes_whom_its_name_says() {
        assert_eq!(chosen(Strategy::LongestIdle, None), "boris");
        assert_eq!(chosen(Strategy::RingAll, None), "boris");
        assert_eq!(chosen(Strategy::RingProgressively, None), "boris");
        assert_eq!(chosen(Strategy::FewestCalls, None), "vera");
        assert_eq!(chosen(Strategy::LeastTalkTime, None), "anna");
        assert_eq!(chosen(Strategy::TopDown, Some(0)), "anna");
    }

    #[test]
    fn round_robin_goes_on_behind_the_last_one_and_starts_again() {
        assert_eq!(chosen(Strategy::RoundRobin, None), "anna");
        assert_eq!(chosen(Strategy::RoundRobin, Some(0)), "boris");
        assert_eq!(chosen(Strategy::RoundRobin, Some(1)), "vera");
        assert_eq!(chosen(Strategy::RoundRobin, Some(2)), "anna");
    }

    #[test]
    fn equally_idle_members_go_in_the_order_of_the_site_file() {
        let names = names();
        let mut equal = candidates(&names);
        equal.iter_mut().for_each(|it| it.idle_since = Time::ZERO);
        equal.reverse();
        assert_eq!(choose(Strategy::LongestIdle, &equal, None, &mut Ids::seeded(1)), Some(&names[0]));
    }

    #[test]
    fn weights_are_shares_and_random_is_even() {
        let names = names();
        let shares = |strategy| {
            let mut dice = Ids::seeded(7);
            let mut counts = [0_u32; 3];
            for _ in 0..10_000 {
                let agent = choose(strategy, &candidates(&names), None, &mut dice).unwrap();
                counts[names.iter().position(|name| name == agent).unwrap()] += 1;
            }
            counts
        };
        let [anna, boris, vera] = shares(Strategy::Weighted);
        assert!((900..1_100).contains(&anna) || (1_000..1_200).contains(&anna), "{anna}");
        assert!((7_800..8_200).contains(&vera) && anna + boris + vera == 10_000, "{vera}");
        assert!(shares(Strategy::Random).iter().all(|count| (3_200..3_500).contains(count)));
    }

    #[test]
    fn nobody_is_chosen_from_nobody() {
        for strategy in [Strategy::LongestIdle, Strategy::Random, Strategy::Weighted, Strategy::RoundRobin] {
            assert_eq!(choose(strategy, &[], None, &mut Ids::seeded(1)), None);
        }
    }
}
