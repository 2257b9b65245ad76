//! Keys that we press ourselves for one far end: digits that came another way, and presses of a source whose packets cannot
//! be passed on as they are (another clock, audio that is mixed). One after another, each once, in steps of 20 ms; whether
//! a step becomes a telephone-event or a tone is the caller's business (`turn`). Plain values.

use std::collections::VecDeque;

use super::wheel::PACKET;
use crate::media::dtmf::TelephoneEvent;
use crate::types::Time;

/// Presses that can wait for the one before them; further ones are lost. Nobody types that far ahead.
const WAITING: usize = 32;
/// A press lasts at least so long, in steps: long enough for every receiver (ITU-T Q.24 wants 40 ms).
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
    /// Steps of its duration that were given out.
    told: u32,
    turns: u32,
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
    /// Turns of this press, from 1.
    pub turn: u32,
    /// The key is known to have been down for another step. A tone sounds on even when it is not; events wait.
    pub has_news: bool,
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
            None => Sending { press: self.waiting.pop_front()?, told: 0, turns: 0 },
        };
        sending.turns += 1;
        let press = &mut sending.press;
        if !press.has_ended && now.since(press.told_at) >= PACKET * LOST_AFTER_STEPS {
            (press.has_ended, press.steps) = (true, sending.told);
        }
        if sending.turns >= MAX_STEPS {
            (press.has_ended, press.steps) = (true, sending.told + 1);
        }
        let whole = press.steps.max(MIN_STEPS);
        // One step behind the source, so that the last one is known to be it, and the duration is the source's.
        let has_news = press.has_ended || sending.told + 1 < press.steps;
        sending.told += u32::from(has_news);
        let is_last = press.has_ended && sending.told >= whole;
        let tone = Tone { event: press.event, volume: press.volume, turn: sending.turns, has_news, is_last };
        if is_last {
            self.pause = PAUSE_STEPS;
        } else {
            self.now = Some(sending);
        }
        Some(Step::Down(tone))
    }

    /// Breaks off the key that is down: nothing more can be said of it in the same words.
    pub fn break_off(&mut self) {
        if self.now.take().is_some() {
            self.pause = PAUSE_STEPS;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn step_at(index: u64) -> Time {
        Time::from_millis(index * 20)
    }

    /// Events pressed, with their duration in steps, in `steps` turns.
    fn played(keys: &mut Keys, turns: std::ops::Range<u64>) -> Vec<(u8, u32)> {
        let (mut pressed, mut duration) = (Vec::new(), 0);
        for index in turns {
            if let Some(Step::Down(tone)) = keys.step(step_at(index)) {
                duration = if tone.turn == 1 { 0 } else { duration } + u32::from(tone.has_news);
                if tone.is_last {
                    pressed.push((tone.event, duration));
                }
            }
        }
        pressed
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
        for (clock_hz, lost) in [(8000, 0), (8000, 3), (48000, 0), (48000, 7)] {
            let mut keys = Keys::default();
            let step = (clock_hz / 50) as u16;
            let mut news = 0;
            for index in 0..8u16 {
                if lost == 0 || index % lost != 1 {
                    keys.follow(step_at(index.into()), index == 0, packet(5, (index + 1) * step, false), clock_hz);
                }
                let Some(Step::Down(tone)) = keys.step(step_at(index.into())) else { panic!() };
                news += u32::from(tone.has_news);
                assert!(!tone.is_last && news <= u32::from(index));
            }
            (0..3).for_each(|_| keys.follow(step_at(8), false, packet(5, 8 * step, true), clock_hz));
            let left = (8..30).map_while(|index| keys.step(step_at(index)));
            let left = left.filter(|step| matches!(step, Step::Down(tone) if tone.has_news)).count() as u32;
            assert_eq!(news + left, 8, "the end is told three times and is one end");
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
