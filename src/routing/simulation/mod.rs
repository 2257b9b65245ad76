//! A seeded day on the floor: real `Call`s and the real `Floor`, with callers, phones, people and message delays made
//! up from one number. After every step the invariants of `checks` hold. A failure prints its seed; the same seed is
//! the same day.

mod arrivals;
mod checks;
mod people;
mod world;

use world::{Day, World};

/// Prints the seed of a day that went wrong.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the day went wrong with seed {}", self.0);
        }
    }
}

fn live(seed: u64, callers: usize) -> Day {
    let _seed = Seed(seed);
    let mut world = World::new(seed, callers);
    while world.step() {
        world.check_step();
    }
    world.check_evening();
    world.into_day()
}

#[test]
fn thousands_of_callers_and_fifty_agents_keep_every_invariant() {
    let days: Vec<Day> = (1..=5).map(|seed| live(seed, 1_000)).collect();
    days.iter().for_each(|day| println!("{day:?}"));
    let sum = |count: fn(&Day) -> usize| days.iter().map(count).sum::<usize>();
    // The days must have held what they were made to test.
    assert_eq!(sum(|day| day.calls), 5_000);
    assert!(sum(|day| day.answered) > 2_000, "answered {}", sum(|day| day.answered));
    assert!(sum(|day| day.abandoned) > 1_000, "abandoned {}", sum(|day| day.abandoned));
    assert!(sum(|day| day.revoked) > 30, "leases taken back {}", sum(|day| day.revoked));
    assert!(sum(|day| day.late_answers) > 20, "answers that crossed a cancel {}", sum(|day| day.late_answers));
    assert!(sum(|day| day.elsewhere) > 300, "phones that lost to another {}", sum(|day| day.elsewhere));
    assert!(sum(|day| day.killed) > 10, "calls whose task died {}", sum(|day| day.killed));
}

#[test]
fn the_same_seed_is_the_same_day_and_another_is_another() {
    let digest = |seed| live(seed, 300).digest;
    assert_eq!(digest(77), digest(77));
    assert_ne!(digest(77), digest(78));
}

/// `PEREZVON_SEED=123 cargo test --lib a_day_of_your_choice -- --ignored --nocapture`
#[test]
#[ignore = "lives one day by hand"]
fn a_day_of_your_choice() {
    let seed = std::env::var("PEREZVON_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    println!("{:#?}", live(seed, 5_000));
}
