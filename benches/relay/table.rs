//! What a run showed, on its way from the process that measured it, and the table of the middle ones.

use std::fmt::Write;

use crate::{EPOLL_FLOOR, PLAIN, RECORDED, TICK_FLOOR};

/// One run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// In the measured time.
    pub sent: u64,
    pub received: u64,
    /// Of the relay's thread, and of all threads but the far ends', a packet sent.
    pub cpu_us: f64,
    pub all_cpu_us: f64,
    /// p50, p99 and the longest; `None` where packets do not pass as they are.
    pub delay_us: Option<[u32; 3]>,
    pub memory_kib_a_call: f64,
    /// By how much the sender was late at worst: what it sent then came in a burst.
    pub late_us: u32,
    pub remark: String,
}

impl Outcome {
    pub fn to_line(&self) -> String {
        let [p50, p99, worst] = self.delay_us.unwrap_or([u32::MAX; 3]);
        format!(
            "{}\t{}\t{}\t{}\t{p50}\t{p99}\t{worst}\t{}\t{}\t{}",
            self.sent, self.received, self.cpu_us, self.all_cpu_us, self.memory_kib_a_call, self.late_us, self.remark
        )
    }

    pub fn from_line(line: &str) -> Option<Outcome> {
        let fields: Vec<&str> = line.split('\t').collect();
        let [sent, received, cpu_us, all_cpu_us, p50, p99, worst, memory, late_us, remark] = fields.as_slice() else {
            return None;
        };
        let delay_us = [p50.parse().ok()?, p99.parse().ok()?, worst.parse().ok()?];
        Some(Outcome {
            sent: sent.parse().ok()?,
            received: received.parse().ok()?,
            cpu_us: cpu_us.parse().ok()?,
            all_cpu_us: all_cpu_us.parse().ok()?,
            delay_us: (delay_us[0] != u32::MAX).then_some(delay_us),
            memory_kib_a_call: memory.parse().ok()?,
            late_us: late_us.parse().ok()?,
            remark: (*remark).to_owned(),
        })
    }
}

/// All runs, by what was run.
#[derive(Default)]
pub struct Table {
    rows: Vec<(&'static str, usize, Vec<Outcome>)>,
}

impl Table {
    pub fn add(&mut self, name: &'static str, calls: usize, outcome: Outcome) {
        match self.rows.iter_mut().find(|row| (row.0, row.1) == (name, calls)) {
            Some((.., outcomes)) => outcomes.push(outcome),
            None => self.rows.push((name, calls, vec![outcome])),
        }
    }

    pub fn print(&self) {
        println!();
        println!("| relay | calls | CPU a packet | all | p50 | p99 | worst | sent | received | lost | memory a call |");
        println!("|---|---|---|---|---|---|---|---|---|---|---|");
        for (name, calls, outcomes) in &self.rows {
            println!("{}", row(name, *calls, outcomes));
        }
        println!();
        self.judge();
        for (name, calls, outcomes) in &self.rows {
            let late_us = outcomes.iter().map(|outcome| outcome.late_us).max().unwrap_or(0);
            // Ours sleeps for a millisecond; a far end that is late by many is no far end to measure with.
            if late_us > 5000 {
                println!("{name}, {calls} calls: the sender was up to {late_us} µs late, so this machine had other work");
            }
            let remarks: Vec<&str> = outcomes.iter().map(|outcome| outcome.remark.as_str()).filter(|it| !it.is_empty()).collect();
            if !remarks.is_empty() {
                println!("{name}, {calls} calls: {}", remarks.join("; "));
            }
        }
    }

    /// The aims, and whether they are met.
    fn judge(&self) {
        for calls in [100, 400] {
            let cpu = |name: &str| self.middle_of(name, calls, |outcome| outcome.cpu_us);
            if let (Some(ours), Some(epoll)) = (cpu(PLAIN), cpu(EPOLL_FLOOR)) {
                let aim = if calls == 400 { verdict(ours <= 0.75 * epoll, "0.75") } else { String::new() };
                println!("{calls} calls: ours costs {:.2} times the epoll floor{aim}", ours / epoll);
            }
            if let (Some(ours), Some(tick)) = (cpu(PLAIN), cpu(TICK_FLOOR)) {
                println!("{calls} calls: ours costs {:.2} times the tick floor", ours / tick);
            }
            let all = |name: &str| self.middle_of(name, calls, |outcome| outcome.all_cpu_us);
            if let (Some(plain), Some(recorded), Some(all_plain), Some(all_recorded)) =
                (cpu(PLAIN), cpu(RECORDED), all(PLAIN), all(RECORDED))
            {
                let (thread, whole) = ((recorded / plain - 1.0) * 100.0, (all_recorded / all_plain - 1.0) * 100.0);
                println!(
                    "{calls} calls: recording adds {thread:.0} % to the media thread{}, {whole:.0} % with the recorder's own threads",
                    verdict(thread <= 15.0, "15 %")
                );
            }
        }
        for name in [PLAIN, RECORDED] {
            let whole = |calls: usize| Some(self.middle_of(name, calls, |outcome| outcome.memory_kib_a_call)? * calls as f64);
            // What is there once, like the ring to the recorder, is not a call's.
            if let (Some(few), Some(many)) = (whole(100), whole(400)) {
                let further = (many - few) / 300.0;
                println!(
                    "{name}: each call beyond the first hundred takes {further:.1} KiB{}",
                    verdict(further <= 60.0, "60 KiB")
                );
            }
        }
        let lost: u64 = self.rows.iter().flat_map(|(.., outcomes)| outcomes).map(lost).sum();
        println!("lost in all runs together: {lost} packets{}", verdict(lost == 0, "0"));
    }

    fn middle_of(&self, name: &str, calls: usize, figure: impl Fn(&Outcome) -> f64) -> Option<f64> {
        let (.., outcomes) = self.rows.iter().find(|row| (row.0, row.1) == (name, calls))?;
        Some(middle(outcomes.iter().map(figure)))
    }
}

fn row(name: &str, calls: usize, outcomes: &[Outcome]) -> String {
    let cpu = || outcomes.iter().map(|outcome| outcome.cpu_us);
    let (least, most) = (cpu().fold(f64::INFINITY, f64::min), cpu().fold(0.0, f64::max));
    let mut row = format!("| {name} | {calls} | {:.2} µs ({least:.1}–{most:.1}) ", middle(cpu()));
    let all = middle(outcomes.iter().map(|outcome| outcome.all_cpu_us));
    // Writing to a string does not fail.
    _ = write!(row, "| {all:.2} µs ");
    for place in 0..3 {
        let delays = outcomes.iter().filter_map(|outcome| Some(f64::from(outcome.delay_us?[place])));
        let delays: Vec<f64> = delays.collect();
        _ = if delays.is_empty() { write!(row, "| – ") } else { write!(row, "| {:.0} ", middle(delays.into_iter())) };
    }
    let sum = |figure: fn(&Outcome) -> u64| outcomes.iter().map(figure).sum::<u64>();
    _ = write!(row, "| {} | {} | {} ", sum(|it| it.sent), sum(|it| it.received), sum(lost));
    _ = write!(row, "| {:.1} KiB |", middle(outcomes.iter().map(|outcome| outcome.memory_kib_a_call)));
    row
}

fn lost(outcome: &Outcome) -> u64 {
    outcome.sent.saturating_sub(outcome.received)
}

fn middle(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

fn verdict(is_met: bool, aim: &str) -> String {
    format!(" (aim: at most {aim}, {})", if is_met { "met" } else { "MISSED" })
}
