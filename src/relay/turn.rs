//! What a leg says to its far end in its turn of the wheel, every 20 ms, beside or instead of what is passed through: keys
//! that we press, sounds, and what is mixed for it (`render`). `thread` calls it for the legs in the wheel.

use std::sync::Arc;

use smallvec::SmallVec;

use super::command::{PlayKind, RemoteMedia};
use super::keys::{Step, Tone};
use super::leg::{Leg, Outlets};
use super::wheel::PACKET;
use crate::media::coder::{Encoder, MAX_CODED_BYTES};
use crate::media::dtmf::{EventPacket, KeyTone, PressWriter, TelephoneEvent};
use crate::media::outgoing::Source;
use crate::media::packing::{self, MOST_PACKET_BYTES, Packed};
use crate::media::sound::{Sound, SoundCoder};
use crate::types::Time;

/// A sound in the course of being played.
pub(super) struct Play {
    sound: Arc<Sound>,
    repeat: bool,
    pub kind: PlayKind,
    /// The next packet of the sound.
    next: usize,
    /// Turns of the sound so far, over repetitions.
    turns: u32,
    /// For what nobody has coded yet in the leg's codec.
    coder: Option<Box<SoundCoder>>,
}

/// What the 20 ms of a turn are.
#[derive(Clone, Copy)]
struct Made {
    source: Source,
    /// Counts the turns of the source, sent or not.
    turn: u32,
    is_speech: bool,
}

/// Whether a leg's sound goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Played {
    On,
    Ended,
}

const TURNS_A_SECOND: usize = 1000 / PACKET.as_millis() as usize;
/// Samples of a turn at 16 kHz.
const WIDEST_TURN_SAMPLES: usize = 16_000 / TURNS_A_SECOND;

impl Leg {
    /// Begins a sound in place of whatever was playing or heard, and sends its first packet.
    pub fn start_play(&mut self, now: Time, sound: Arc<Sound>, repeat: bool, kind: PlayKind, outlets: &mut Outlets) -> Played {
        self.plays = self.plays.wrapping_add(1);
        self.play = Some(Play { sound, repeat, kind, next: 0, turns: 0, coder: None });
        // What is mixed begins afresh after the sound: what waits now would be old by then.
        self.render = None;
        match self.reachable() {
            Some(remote) if !self.keys.are_busy() => self.play_on(now, &remote, outlets),
            _ => Played::On,
        }
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
        let is_taken = step.is_some();
        if let Some(step) = step {
            self.send_step(now, &remote, step, outlets);
        }
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
        let made =
            Made { source: Source::Sound { play: self.plays }, turn: play.turns, is_speech: play.kind == PlayKind::Prompt };
        self.send_made(now, remote, made, coded.get(..len).unwrap_or(&[]), outlets);
        Played::On
    }

    /// Sends the next 20 ms of what is mixed; `is_taken` says that something else takes their place.
    fn say_mix(&mut self, now: Time, remote: &RemoteMedia, is_taken: bool, outlets: &mut Outlets) {
        let Some(render) = &mut self.render else { return };
        let mut coded = [0; MAX_CODED_BYTES];
        let is_heard = remote.receives && !is_taken;
        let Some(frame) = render.frame(now, &mut coded).filter(|_| is_heard) else { return };
        let made = Made { source: Source::Mix { round: frame.round }, turn: frame.turn, is_speech: true };
        self.send_made(now, remote, made, coded.get(..frame.len).unwrap_or(&[]), outlets);
    }

    /// Sends what was made in a turn, in packets as long as the far end wants them.
    fn send_made(&mut self, now: Time, remote: &RemoteMedia, made: Made, coded: &[u8], outlets: &mut Outlets) {
        let Made { source, turn, is_speech } = made;
        let timestamp = turn.wrapping_mul(step_of(remote.codec.clock_hz()));
        let wanted = packing::packet_bytes(remote.codec, remote.ptime_ms);
        let Some(wanted) = wanted.filter(|wanted| *wanted != coded.len()) else {
            let sequence = self.packing.whole(source);
            if let Some(place) = self.out.place(now, source, sequence, timestamp) {
                self.send_audio(now, place, remote, coded, is_speech, outlets);
            }
            return;
        };
        self.packing.push(source, timestamp, coded);
        let mut packet = [0; MOST_PACKET_BYTES];
        while let Some(Packed { sequence, timestamp, len }) = self.packing.packet(wanted, &mut packet) {
            if let Some(place) = self.out.place(now, source, sequence, timestamp) {
                self.send_audio(now, place, remote, packet.get(..len).unwrap_or(&[]), is_speech, outlets);
            }
        }
    }
}

/// A key in the course of being pressed, as the far end takes keys.
pub(super) enum Pressing {
    Events { writer: PressWriter, sent: u16 },
    Tone(Box<ToneOut>),
}

pub(super) struct ToneOut {
    tone: KeyTone,
    encoder: Encoder,
    turns: u32,
}

impl Pressing {
    fn new(tone: Tone, remote: &RemoteMedia) -> Option<Pressing> {
        if let Some((_, clock_hz)) = remote.dtmf {
            return Some(Pressing::Events { writer: PressWriter::new(tone.event, tone.volume, clock_hz), sent: 0 });
        }
        let key = KeyTone::new(tone.event, tone.volume, remote.codec.sample_hz())?;
        Some(Pressing::Tone(Box::new(ToneOut { tone: key, encoder: Encoder::new(remote.codec), turns: 0 })))
    }
}

impl Leg {
    /// Sends one step of a key, or of the silence after it. Nothing else is heard meanwhile.
    fn send_step(&mut self, now: Time, remote: &RemoteMedia, step: Step, outlets: &mut Outlets) {
        if let Step::Down(tone) = step
            && tone.turn == 1
        {
            self.pressing = Pressing::new(tone, remote);
            self.presses = self.presses.wrapping_add(1);
        }
        match self.pressing.take() {
            Some(Pressing::Events { mut writer, mut sent }) => {
                let packets = match step {
                    Step::Down(tone) if tone.has_news => writer.down(tone.is_last),
                    Step::Down(_) => SmallVec::new(),
                    Step::Pause => writer.repeat().into_iter().collect(),
                };
                for packet in packets {
                    sent = sent.wrapping_add(1);
                    self.send_event(now, remote, packet, sent);
                }
                self.pressing = Some(Pressing::Events { writer, sent });
            }
            Some(Pressing::Tone(mut out)) => {
                self.send_tone(now, remote, step, &mut out, outlets);
                self.pressing = Some(Pressing::Tone(out));
            }
            None => {}
        }
        if !self.keys.are_busy() {
            self.pressing = None;
        }
    }

    fn send_event(&mut self, now: Time, remote: &RemoteMedia, packet: EventPacket, sent: u16) {
        let Some((payload_type, _)) = remote.dtmf.filter(|_| remote.receives) else { return };
        // All packets of a press have the time of its beginning.
        if let Some(mut place) = self.out.place(now, Source::Key { press: self.presses }, sent, packet.after) {
            place.marker = packet.marker;
            self.send(place, payload_type, &packet.event.to_bytes());
        }
    }

    fn send_tone(&mut self, now: Time, remote: &RemoteMedia, step: Step, out: &mut ToneOut, outlets: &mut Outlets) {
        let (mut samples, mut coded) = ([0; WIDEST_TURN_SAMPLES], [0; MAX_CODED_BYTES]);
        let Some(samples) = samples.get_mut(..remote.codec.sample_hz() as usize / TURNS_A_SECOND) else { return };
        if let Step::Down(tone) = step {
            out.tone.fill(samples, tone.is_last);
        }
        let len = out.encoder.encode(samples, &mut coded);
        out.turns = out.turns.wrapping_add(1);
        if remote.receives {
            // No tap hears it: keys may be a card's number.
            let made = Made { source: Source::Key { press: self.presses }, turn: out.turns, is_speech: false };
            self.send_made(now, remote, made, coded.get(..len).unwrap_or(&[]), outlets);
        }
    }
}

/// 20 ms in RTP time.
fn step_of(clock_hz: u32) -> u32 {
    clock_hz / TURNS_A_SECOND as u32
}
