//! What a leg hears from us: its sources' packets in our own numbers, passed on or given to be mixed, and RTCP. The other
//! half of `leg.rs`; what it hears every 20 ms by the clock is in `turn.rs`.

use std::net::SocketAddr;
use std::time::Duration;

use super::command::{MediaId, PlayKind, RemoteMedia};
use super::frame::{FrameHead, FrameKind, HeardEvent, MAX_PAYLOAD_BYTES};
use super::leg::{Leg, Outlets};
use super::render::Render;
use super::tap::{Channel, TapMoment};
use super::wire::Wire;
use crate::clock;
use crate::media::codec::Codec;
use crate::media::dtmf::TelephoneEvent;
use crate::media::outgoing::{Place, Source};
use crate::media::rtcp::{self, REPORT_BYTES, Report};
use crate::media::rtp::{HEADER_BYTES, RtpHeader};
use crate::media::srtp::TAIL_BYTES;
use crate::types::Time;

impl Leg {
    /// Takes a source's packet for the far end: only if it is still a source and nothing else is playing.
    pub fn say(&mut self, now: Time, head: &FrameHead, payload: &[u8], outlets: &mut Outlets) {
        let Some(remote) = self.remote.clone().filter(|remote| remote.receives) else { return };
        if !self.ties.sources.contains(&head.from) {
            return;
        }
        if let Some(play) = &self.play {
            if play.kind != PlayKind::Comfort || !matches!(head.kind, FrameKind::Audio(_)) {
                return;
            }
            self.stop_play();
        }
        match head.kind {
            FrameKind::Audio(codec) => self.say_audio(now, head, codec, payload, &remote, outlets),
            FrameKind::ComfortNoise => self.say_noise(now, head, payload, &remote),
            FrameKind::TelephoneEvent(heard) => self.say_event(now, head, heard, payload, &remote),
            FrameKind::Key(event) => {
                // Who has no telephone-event hears the tone itself.
                if remote.dtmf.is_some() {
                    self.keys.press(now, event);
                }
            }
            // For the leg that is heard; `thread` gives it there.
            FrameKind::Rendered(_) => {}
        }
    }

    /// Passes audio on as it is if the far end understands it and hears nobody else; else it is mixed.
    fn say_audio(
        &mut self,
        now: Time,
        head: &FrameHead,
        codec: Codec,
        payload: &[u8],
        remote: &RemoteMedia,
        outlets: &mut Outlets,
    ) {
        let passes = self.ties.sources.len() == 1 && codec.passes_as(remote.codec);
        if !passes || self.render.is_some() {
            let render = self.render.get_or_insert_with(|| {
                self.renderings = self.renderings.wrapping_add(1);
                self.out.leave_source();
                Box::new(Render::new(remote.codec, self.ties.sources.len(), self.renderings))
            });
            if !render.may_end(passes) {
                return render.packet(now, head, codec, payload);
            }
            self.render = None;
        }
        // A key that we press has the far end's ear alone.
        if self.keys.are_busy() {
            return;
        }
        let Some(mut place) = self.out.place(now, source_of(head), head.sequence, head.timestamp) else { return };
        place.marker |= head.marker;
        let mut audio = [0; MAX_PAYLOAD_BYTES];
        let Some(audio) = audio.get_mut(..payload.len()) else { return };
        audio.copy_from_slice(payload);
        codec.transcode(remote.codec, audio);
        self.send_audio(now, place, remote, audio, true, outlets);
    }

    /// Passes comfort noise on as it is if the far end agreed to it and hears nobody else; a mix has its sound in it.
    fn say_noise(&mut self, now: Time, head: &FrameHead, payload: &[u8], remote: &RemoteMedia) {
        if let Some(render) = &mut self.render {
            return render.comfort_noise(now, head, payload);
        }
        let passes = self.ties.sources.len() == 1 && !self.keys.are_busy();
        let Some(payload_type) = remote.comfort_noise.filter(|_| passes && remote.codec.is_g711()) else { return };
        let Some(place) = self.out.place(now, source_of(head), head.sequence, head.timestamp) else { return };
        self.send(place, payload_type, payload);
    }

    /// Passes a telephone-event on as it is if the far end counts time as the source does; else the key is pressed anew.
    fn say_event(&mut self, now: Time, head: &FrameHead, heard: HeardEvent, payload: &[u8], remote: &RemoteMedia) {
        let HeardEvent { clock_hz, is_first } = heard;
        let passes = self.render.is_none() && !self.keys.are_busy() && self.out.clock_hz() == clock_hz;
        match remote.dtmf {
            Some((payload_type, own_hz)) if passes && own_hz == clock_hz => {
                let Some(mut place) = self.out.place(now, source_of(head), head.sequence, head.timestamp) else { return };
                place.marker |= head.marker;
                self.send(place, payload_type, payload);
            }
            None if !remote.dtmf_inband => {}
            _ => {
                if let Some(event) = TelephoneEvent::parse(payload) {
                    self.keys.follow(now, is_first, event, clock_hz);
                }
            }
        }
    }

    /// Sends audio in the far end's codec, and shows it to the tap if it is speech.
    pub(super) fn send_audio(
        &mut self,
        now: Time,
        place: Place,
        remote: &RemoteMedia,
        audio: &[u8],
        is_speech: bool,
        outlets: &mut Outlets,
    ) {
        self.send(place, remote.payload_type, audio);
        if let Some(tap) = self.tap.as_mut().filter(|_| is_speech) {
            let moment = TapMoment {
                channel: Channel::Right,
                arrival: now,
                ssrc: self.out.ssrc(),
                sequence: place.sequence,
                timestamp: place.timestamp,
                codec: remote.codec,
            };
            outlets.tap.write(tap, moment, audio);
        }
    }

    pub(super) fn send(&mut self, place: Place, payload_type: u8, payload: &[u8]) {
        let Some(to) = self.destination().filter(is_sendable).filter(|_| self.wire.is_ready()) else { return };
        let Place { sequence, timestamp, marker } = place;
        let header = RtpHeader { marker, payload_type, sequence, timestamp, ssrc: self.out.ssrc() };
        let mut packet = [0; HEADER_BYTES + MAX_PAYLOAD_BYTES + TAIL_BYTES];
        let len = HEADER_BYTES + payload.len();
        let Some(plain) = packet.get_mut(..len) else { return };
        let (head, body) = plain.split_at_mut(HEADER_BYTES);
        head.copy_from_slice(&header.to_bytes());
        body.copy_from_slice(payload);
        let Some(packet) = self.wire.protect_rtp(&mut packet, len).and_then(|len| packet.get(..len)) else { return };
        self.out.sent(payload.len());
        match self.wire.send_rtp(packet, to, self.bind) {
            Ok(_) => {
                self.stats.packets_sent += 1;
                self.stats.bytes_sent += payload.len() as u64;
            }
            Err(_) => self.stats.send_failures += 1,
        }
    }

    /// Sends a report if it is time (RFC 3550 §6.2), and says nothing before the far end is known.
    pub fn report_if_due(&mut self, now: Time, interval: Duration) {
        if self.remote.is_none() {
            return;
        }
        if self.report_at.is_some_and(|at| now >= at) {
            self.send_report(now, false);
        } else if self.report_at.is_some() {
            return;
        }
        // §6.3.1: between half the interval and one and a half, so that the legs' reports do not march in step.
        self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.report_at = Some(now + interval / 2 + interval.mul_f32((self.random >> 8) as f32 / (1 << 24) as f32));
    }

    /// Takes leave of the far end.
    pub fn say_bye(&mut self, now: Time) {
        if self.remote.is_some() {
            self.send_report(now, true);
        }
        if let Wire::Browser(browser) = &mut self.wire {
            browser.close(now);
        }
    }

    fn send_report(&mut self, now: Time, ends: bool) {
        let Some(to) = self.rtcp_destination() else { return };
        let has_sent = self.out.packets() != self.packets_at_report;
        self.packets_at_report = self.out.packets();
        let ntp = rtcp::ntp_from_unix_micros(clock::wall().as_micros());
        let report = Report {
            ssrc: self.out.ssrc(),
            sender: self.out.sender_info(now, ntp).filter(|_| has_sent),
            block: self.reception.report(now),
            cname: str::from_utf8(&self.cname).unwrap_or("perezvon"),
            ends,
        };
        let mut bytes = [0; REPORT_BYTES + TAIL_BYTES];
        let written = bytes.first_chunk_mut::<REPORT_BYTES>().and_then(|room| report.write(room));
        let sealed = written.and_then(|len| self.wire.protect_rtcp(&mut bytes, len));
        let Some(bytes) = sealed.and_then(|len| bytes.get(..len)) else { return };
        let is_shared = self.remote.as_ref().is_some_and(|remote| remote.rtcp_mux);
        if self.wire.send_rtcp(bytes, to, self.bind, is_shared).is_err() {
            self.stats.send_failures += 1;
        }
    }

    /// Where audio goes: what ICE found for a browser, what the latch says for others.
    fn destination(&self) -> Option<SocketAddr> {
        match &self.wire {
            Wire::Browser(browser) => browser.ice.send_to(),
            Wire::Ports(_) => self.latch.destination(),
        }
    }

    /// Where reports go: where the far end's come from, else where its SDP says; behind NAT, the port above its audio.
    fn rtcp_destination(&self) -> Option<SocketAddr> {
        let remote = self.remote.as_ref()?;
        let audio = self.destination()?;
        let to = if remote.rtcp_mux || self.wire.always_muxes() {
            audio
        } else if let Some(source) = self.rtcp_source {
            source
        } else if audio.ip() == remote.rtp.ip() {
            remote.rtcp
        } else {
            SocketAddr::new(audio.ip(), audio.port().saturating_add(1))
        };
        Some(to).filter(is_sendable)
    }
}

/// `0.0.0.0` is an old way to say hold (RFC 3264 §8.4), and port 0 a refused stream: nothing is sent there.
fn is_sendable(to: &SocketAddr) -> bool {
    !to.ip().is_unspecified() && to.port() != 0
}

fn source_of(head: &FrameHead) -> Source {
    Source::Peer { leg: stream_key(head.from), ssrc: head.ssrc }
}

fn stream_key(id: MediaId) -> u64 {
    u64::from(id.turn) << 32 | u64::from(id.thread) << 16 | u64::from(id.pair)
}
