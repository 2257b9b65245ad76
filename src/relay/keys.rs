//! Keys that we press ourselves for one far end: digits that came another way, and presses of a source whose packets cannot
//! be passed on as they are (another clock, audio that is mixed). One after another, each once, in steps of 20 ms; whether
//! a step becomes a telephone-event or a tone is the caller's business (`speech`). Plain values.

use std::collections::VecDeque;

use super::wheel::PACKET;
use crate::media::dtmf::TelephoneEvent;
use crate::types::Time;

/// Presses that can wait for the one before them; further ones are lost. Nobody types that far ahead.
const WAITING: usize = 32;
/// A press lasts at least so long: long enough for every detector (ITU-T Q.24 wants 40 ms), in steps.
const MIN_STEPS: u32 = 4;
/// A digit that is told as a whole lasts so long.
const DIGIT_STEPS: u32 = 5;
/// A key held longer is let go: eight seconds, what the duration can say at 8,000 a second.
const MAX_STEPS: u32 = 400;
/// Silence after a key, so that two are not taken for one.
const PAUSE_STEPS: u32 = 3;
/// The source has said nothing more of the press for so long: its end was lost.
const LOST_AFTER_STEPS: u32 = 10;
/// The loudness of a digit that is told as a whole, in -dBm0.
const VOLUME: u8 = 10;

/// The present and coming presses.
#[derive(Debug, Default)]
pub(super) struct Keys {
    waiting: VecDeque<Press>,
    now: Option<Sending>,
    /// Steps of silence that are still due.
    pause: u32,
    /// Presses begun so far.
    count: u32,
}

#[derive(Clone, Copy, Debug)]
struct Press {
    event: u8,
    volume: u8,
    /// How long the key is down, as far as the source has told.
    steps: u32,
    /// The source has let it go, or never will say more.
    has_ended: bool,
    /// When the source spoke of it last.
    told_at: Time,
}

#[derive(Clone, Copy, Debug)]
struct Sending {
    press: Press,
    /// Steps of its duration made, the next one included.
    made: u32,
    turns: u32,
    /// Turns in which there was something new to tell.
    news: u32,
}

/// The next 20 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A key is down.
    Down(Tone),
    /// Silence between two keys.
    Pause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tone {
    /// RFC 4733 §3.2, 0 to 15.
    pub event: u8,
    pub volume: u8,
    /// Counts the presses of the leg.
    pub press: u32,
    /// How long it has been down with this step.
    pub steps: u32,
    /// Turns of this press, from 1.
    pub turn: u32,
    /// Counts what is told of this press, from 1; `None` when the source has not told more than we have.
    pub news: Option<u32>,
    /// Its last step.
    pub is_last: bool,
}

impl Keys {
    /// Whether a key is down or will be.
    pub fn are_busy(&self) -> bool {
        self.now.is_some() || self.pause > 0 || !self.waiting.is_empty()
    }

    /// Presses a key for a tenth of a second.
    pub fn press(&mut self, now: Time, event: u8) {
        self.push(Press { event, volume: VOLUME, steps: DIGIT_STEPS, has_ended: true, told_at: now });
    }

    /// A telephone-event packet of a source, whose clock has `clock_hz`; `is_first` is the first of its press.
    pub fn follow(&mut self, now: Time, is_first: bool, event: TelephoneEvent, clock_hz: u32) {
        let in_a_step = (clock_hz / (1000 / PACKET.as_millis() as u32)).max(1);
        let steps = u32::from(event.duration).div_ceil(in_a_step);
        let press = Press { event: event.event, volume: event.volume, steps, has_ended: event.is_end, told_at: now };
        if is_first {
            if event.digit().is_some() {
                self.push(press);
            }
            return;
        }
        let last = self.waiting.back_mut().or(self.now.as_mut().map(|sending| &mut sending.press));
        if let Some(last) = last.filter(|last| last.event == event.event && !last.has_ended) {
            *last = press;
        }
    }

    fn push(&mut self, press: Press) {
        if self.waiting.len() < WAITING {
            self.waiting.push_back(press);
        }
    }

    /// What the next 20 ms are; `None` when no key is down and none waits.
    pub fn step(&mut self, now: Time) -> Option<Step> {
        if self.pause > 0 {
            self.pause -= 1;
            return Some(Step::Pause);
        }
        let mut sending = match self.now.take() {
            Some(sending) => sending,
            None => {
                self.count = self.count.wrapping_add(1);
                Sending { press: self.waiting.pop_front()?, made: 0, turns: 0, news: 0 }
            }
        };
        sending.turns += 1;
        let press = &sending.press;
        // The duration follows what the source tells, so that at the end it is what it was there.
        let wanted = if press.has_ended { press.steps.max(MIN_STEPS) } else { press.steps };
        let is_waiting = sending.made >= wanted;
        sending.made += u32::from(!is_waiting);
        let is_lost = !press.has_ended && now.since(press.told_at) >= PACKET * LOST_AFTER_STEPS;
        let is_told = press.has_ended && sending.made >= wanted;
        let is_last = is_told || is_lost && sending.turns >= MIN_STEPS || sending.turns >= MAX_STEPS;
        if is_last {
            sending.made = sending.made.max(MIN_STEPS);
        }
        let says_news = !is_waiting || is_last;
        sending.news += u32::from(says_news);
        let tone = Tone {
            event: sending.press.event,
            volume: sending.press.volume,
            press: self.count,
            steps: sending.made,
            turn: sending.turns,
            news: says_news.then_some(sending.news),
            is_last,
        };
        if is_last {
            self.pause = PAUSE_STEPS;
        } else {
            self.now = Some(sending);
        }
        Some(Step::Down(tone))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn step_at(index: u64) -> Time {
        Time::from_millis(index * 20)
    }

    /// Events pressed, with their steps, in `steps` steps.
    fn played(keys: &mut Keys, steps: std::ops::Range<u64>) -> Vec<(u8, u32)> {
        let steps = steps.filter_map(|index| keys.step(step_at(index)));
        steps
            .filter_map(|step| match step {
                Step::Down(tone) if tone.is_last => Some((tone.event, tone.steps)),
                _ => None,
            })
            .collect()
    }

    fn packet(event: u8, duration: u16, is_end: bool) -> TelephoneEvent {
        TelephoneEvent { event, is_end, volume: 7, duration }
    }

    #[test]
    fn digits_told_as_a_whole_are_pressed_one_after_another() {
        let mut keys = Keys::default();
        [1, 1, 11].iter().for_each(|event| keys.press(step_at(0), *event));
        assert!(keys.are_busy());
        assert_eq!(played(&mut keys, 0..24), [(1, 5), (1, 5), (11, 5)]);
        assert!(!keys.are_busy());
        assert_eq!(keys.step(step_at(24)), None);
    }

    #[test]
    fn a_press_lasts_as_long_as_at_its_source_by_either_clock() {
        for clock_hz in [8000, 48000] {
            let mut keys = Keys::default();
            let step = (clock_hz / 50) as u16;
            for index in 0..8u16 {
                keys.follow(step_at(index.into()), index == 0, packet(5, (index + 1) * step, false), clock_hz);
                let Some(Step::Down(tone)) = keys.step(step_at(index.into())) else { panic!() };
                assert_eq!((tone.event, tone.volume, tone.steps, tone.is_last), (5, 7, u32::from(index) + 1, false));
            }
            (0..3).for_each(|_| keys.follow(step_at(8), false, packet(5, 9 * step, true), clock_hz));
            assert_eq!(played(&mut keys, 8..20), [(5, 9)], "the end is told three times and is one end");
            assert!(!keys.are_busy());
        }
    }

    #[test]
    fn a_press_whose_end_is_lost_ends_by_itself() {
        let mut keys = Keys::default();
        keys.follow(step_at(0), true, packet(5, 160, false), 8000);
        assert_eq!(played(&mut keys, 0..30), [(5, 4)]);
        keys.follow(step_at(30), false, packet(5, 1600, true), 8000);
        assert!(!keys.are_busy(), "what comes late begins no press");
    }

    #[test]
    fn a_press_of_which_only_the_end_came_is_a_press() {
        let mut keys = Keys::default();
        keys.follow(step_at(0), true, packet(9, 160, true), 8000);
        assert_eq!(played(&mut keys, 0..10), [(9, 4)], "and long enough to be heard");
    }

    #[test]
    fn a_key_that_nobody_lets_go_is_let_go() {
        let mut keys = Keys::default();
        let steps = (0..1000u16).filter(|index| {
            keys.follow(step_at((*index).into()), *index == 0, packet(1, index.saturating_mul(160), false), 8000);
            matches!(keys.step(step_at((*index).into())), Some(Step::Down(_)))
        });
        assert_eq!(steps.count(), 400);
    }

    #[test]
    fn what_is_no_key_is_not_pressed_and_waiting_keys_are_bounded() {
        let mut keys = Keys::default();
        keys.follow(step_at(0), true, packet(16, 160, false), 8000);
        assert!(!keys.are_busy());
        (0..100).for_each(|_| keys.press(step_at(0), 1));
        assert_eq!(played(&mut keys, 0..1000).len(), WAITING);
    }

    proptest! {
        #[test]
        fn no_packets_make_it_panic_or_run_for_ever(packets in proptest::collection::vec((any::<bool>(), any::<[u8; 4]>(), 0u32..100_000), 0..40)) {
            let mut keys = Keys::default();
            for (index, (is_first, bytes, clock_hz)) in packets.into_iter().enumerate() {
                let event = TelephoneEvent::parse(&bytes).unwrap();
                keys.follow(step_at(index as u64), is_first, event, clock_hz);
                keys.step(step_at(index as u64));
            }
            let left = (100..).take_while(|index| keys.step(step_at(*index)).is_some()).count();
            prop_assert!(left <= 40 * (MAX_STEPS + PAUSE_STEPS) as usize);
        }
    }
}
