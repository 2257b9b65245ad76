//! What a leg says to its far end in its turn of the wheel, every 20 ms, beside or instead of what is passed through: keys
//! that we press, sounds, and what is mixed for it (`render`). `thread` calls it for the legs in the wheel.

use std::sync::Arc;

use super::command::{PlayKind, RemoteMedia};
use super::keys::{Step, Tone};
use super::leg::{Leg, Outlets};
use super::wheel::PACKET;
use crate::media::coder::MAX_CODED_BYTES;
use crate::media::dtmf::TelephoneEvent;
use crate::media::outgoing::Source;
use crate::media::sound::{Sound, SoundCoder};
use crate::types::Time;

/// A sound in the course of being played.
pub(super) struct Play {
    sound: Arc<Sound>,
    repeat: bool,
    pub kind: PlayKind,
    /// The next packet of the sound.
    next: usize,
    /// Turns of the sound so far, over repetitions, and those of them in which a packet was sent.
    turns: u32,
    sent: u16,
    /// For what nobody has coded yet in the leg's codec.
    coder: Option<Box<SoundCoder>>,
}

/// Whether a leg's sound goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Played {
    On,
    Ended,
}

/// Packets that tell the end of a key (RFC 4733 §2.5.1.4).
const END_PACKETS: u16 = 3;

impl Leg {
    /// Begins a sound in place of whatever was playing or heard, and sends its first packet.
    pub fn start_play(&mut self, now: Time, sound: Arc<Sound>, repeat: bool, kind: PlayKind, outlets: &mut Outlets) -> Played {
        self.plays = self.plays.wrapping_add(1);
        self.play = Some(Play { sound, repeat, kind, next: 0, turns: 0, sent: 0, coder: None });
        // What is mixed begins afresh after the sound: what waits now would be old by then.
        self.render = None;
        let Some(remote) = self.reachable() else { return Played::On };
        self.play_on(now, &remote, outlets)
    }

    /// Ends a sound, if there is one.
    pub fn stop_play(&mut self) {
        self.play = None;
    }

    /// Whether it is music or the like, which ends when the leg begins to hear somebody.
    pub fn plays_for_waiting(&self) -> bool {
        self.play.as_ref().is_some_and(|play| play.kind != PlayKind::Prompt)
    }

    /// Presses a key for the far end.
    pub fn press(&mut self, now: Time, digit: char) {
        let takes_keys = self.remote.as_ref().is_some_and(|remote| remote.dtmf.is_some() || remote.dtmf_inband);
        if let Some(event) = TelephoneEvent::event_of(digit).filter(|_| takes_keys) {
            self.keys.press(now, event);
        }
    }

    /// Whether the leg has something to say every 20 ms.
    pub fn needs_turns(&self) -> bool {
        self.play.is_some() || self.render.is_some() || self.keys.are_busy()
    }

    /// The far end, when it is known and so are its keys. Before that everything waits.
    fn reachable(&self) -> Option<Arc<RemoteMedia>> {
        self.remote.clone().filter(|_| self.wire.is_ready())
    }

    /// The next 20 ms. `now` is when they are due: a thread that woke late does not shift what is heard.
    pub fn turn(&mut self, now: Time, outlets: &mut Outlets) -> Played {
        let Some(remote) = self.reachable() else { return Played::On };
        let step = self.keys.step(now);
        let is_taken = step.is_some_and(|step| self.send_step(now, &remote, step));
        if self.play.is_some() {
            return if is_taken { Played::On } else { self.play_on(now, &remote, outlets) };
        }
        self.say_mix(now, &remote, is_taken, outlets);
        Played::On
    }

    /// Sends the next 20 ms of the sound. In a codec with state the sound goes on where it is when the codec changes.
    fn play_on(&mut self, now: Time, remote: &RemoteMedia, outlets: &mut Outlets) -> Played {
        let Some(play) = &mut self.play else { return Played::Ended };
        if play.next >= play.sound.packets() && play.repeat {
            play.next = 0;
        }
        let mut coded = [0; MAX_CODED_BYTES];
        let Some(len) = play.sound.code(remote.codec, play.next, &mut play.coder, &mut coded) else {
            self.play = None;
            return Played::Ended;
        };
        play.next += 1;
        play.turns = play.turns.wrapping_add(1);
        if !remote.receives {
            return Played::On;
        }
        play.sent = play.sent.wrapping_add(1);
        let (timestamp, is_speech) = (play.turns.wrapping_mul(step_of(remote.codec.clock_hz())), play.kind == PlayKind::Prompt);
        if let Some(place) = self.out.place(now, Source::Sound { play: self.plays }, play.sent, timestamp) {
            self.send_audio(now, place, remote, coded.get(..len).unwrap_or(&[]), is_speech, outlets);
        }
        Played::On
    }

    /// Sends the next 20 ms of what is mixed; `is_taken` says that something else takes their place.
    fn say_mix(&mut self, now: Time, remote: &RemoteMedia, is_taken: bool, outlets: &mut Outlets) {
        let Some(render) = &mut self.render else { return };
        let mut coded = [0; MAX_CODED_BYTES];
        let is_heard = remote.receives && !is_taken;
        let Some(frame) = render.frame(now, &mut coded).filter(|_| is_heard) else { return };
        let timestamp = frame.turn.wrapping_mul(step_of(remote.codec.clock_hz()));
        if let Some(place) = self.out.place(now, Source::Mix { round: frame.round }, render.next_sequence(), timestamp) {
            self.send_audio(now, place, remote, coded.get(..frame.len).unwrap_or(&[]), true, outlets);
        }
    }
}

impl Leg {
    /// Sends one step of a key, and says whether it takes these 20 ms for itself.
    fn send_step(&mut self, now: Time, remote: &RemoteMedia, step: Step) -> bool {
        match (step, remote.dtmf) {
            (Step::Down(tone), Some((payload_type, clock_hz))) => {
                self.send_event(now, remote, tone, payload_type, clock_hz);
                true
            }
            // The pause between two events needs no silence: the audio goes on in it.
            (Step::Pause, Some(_)) => false,
            (_, None) => false,
        }
    }

    fn send_event(&mut self, now: Time, remote: &RemoteMedia, tone: Tone, payload_type: u8, clock_hz: u32) {
        let Some(news) = tone.news.filter(|_| remote.receives) else { return };
        let duration = u16::try_from(tone.steps.saturating_mul(step_of(clock_hz))).unwrap_or(u16::MAX);
        let event = TelephoneEvent { event: tone.event, is_end: tone.is_last, volume: tone.volume, duration };
        let packets = if tone.is_last { END_PACKETS } else { 1 };
        for copy in 0..packets {
            // All packets of a press have the time of its beginning.
            let sequence = (news as u16).wrapping_add(copy);
            let source = Source::Key { press: tone.press };
            if let Some(place) = self.out.place(now, source, sequence, 0) {
                self.send(place, payload_type, &event.to_bytes());
            }
        }
    }
}

/// 20 ms in RTP time.
fn step_of(clock_hz: u32) -> u32 {
    clock_hz / (1000 / PACKET.as_millis() as u32)
}
