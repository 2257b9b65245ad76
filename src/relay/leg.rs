//! One leg on its media thread: its sockets, its latch, what it has heard and what it is bridged to. This file is the
//! way in (signalling, packets received); `speech.rs` is the way out (packets sent, reports). Only `thread` calls it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::command::{MediaEvent, MediaId, RemoteMedia};
use super::frame::{FrameHead, FrameKind, HeardEvent, MAX_PAYLOAD_BYTES};
use super::graph::Ties;
use super::key_ear::KeyEar;
use super::keys::Keys;
use super::render::Render;
use super::score::Score;
use super::shield;
use super::tap::{Channel, TapMoment, TapPoint, TapWriter};
use super::turn::{Play, Pressing};
use super::wire::Wire;
use crate::clock;
use crate::media::codec::Codec;
use crate::media::dtmf::{DigitReader, TelephoneEvent};
use crate::media::latch::{Latch, Verdict};
use crate::media::outgoing::Outgoing;
use crate::media::packing::Packing;
use crate::media::quality::LegStats;
use crate::media::reception::{Reception, round_trip_ms};
use crate::media::rtcp::{self, ReportBlocks, RtcpPacket};
use crate::media::rtp::{self, RtpPacket};
use crate::media::srtp::Refusal;
use crate::types::Time;

/// Where a media thread's legs put what is not for the network.
pub(super) struct Outlets {
    pub tap: TapWriter,
    pub on_event: Arc<dyn Fn(MediaEvent) + Send + Sync>,
}

pub(super) struct Leg {
    pub id: MediaId,
    pub wire: Wire,
    /// What the sockets are bound to.
    pub(super) bind: IpAddr,
    /// Shared so that a packet's way through the leg can hold it without copying what it holds.
    pub(super) remote: Option<Arc<RemoteMedia>>,
    pub(super) latch: Latch,
    pub(super) reception: Reception,
    pub(super) out: Outgoing,
    pub(super) stats: LegStats,
    /// What was made for it and fills no packet yet.
    pub(super) packing: Packing,
    /// Whom it hears, who hears it, who gets its keys.
    pub(super) ties: Ties,
    /// What it hears when that cannot be passed on as it is.
    pub(super) render: Option<Box<Render>>,
    /// Renderings so far.
    pub(super) renderings: u32,
    /// Keys that we press ourselves, how the present one is sent, and how many were.
    pub(super) keys: Keys,
    pub(super) pressing: Option<Pressing>,
    pub(super) presses: u32,
    /// For keys in the audio of a far end that has no other way to send them.
    key_ear: Option<Box<KeyEar>>,
    heard_key: Option<u8>,
    /// Whether the thread has it in its wheel.
    pub is_in_wheel: bool,
    pub(super) play: Option<Play>,
    /// Plays so far: tells one sound's packets from the next one's.
    pub(super) plays: u32,
    pub(super) tap: Option<TapPoint>,
    /// Where the far end's RTCP comes from, when it does not come from where its SDP says.
    pub(super) rtcp_source: Option<SocketAddr>,
    pub(super) report_at: Option<Time>,
    /// `out.packets()` at the last report.
    pub(super) packets_at_report: u32,
    pub(super) cname: [u8; 16],
    /// For the spread of report times.
    pub(super) random: u32,
    /// Its quality, second by second.
    pub(super) score: Score,
    digits: DigitReader,
    was_heard: bool,
    /// Silence counts from here: the last packet, or the moment the far end was asked to send.
    quiet_from: Option<Time>,
    silence_told_at: Option<Time>,
    shield: Shield,
}

/// The filter before the RTP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shield {
    Down,
    Up([SocketAddr; 2]),
    /// This kernel knows no socket filters; the latch alone guards the leg.
    Unavailable,
}

/// A stream whose first packets are lost while its numbers turn over could not be decrypted (RFC 3711 §3.3.1), so it begins
/// in their lower half.
const SRTP_START: u16 = 0x7fff;

impl Leg {
    /// `seed`: random, for the stream's identity (RFC 3550 §5.1).
    pub fn new(id: MediaId, wire: Wire, bind: IpAddr, seed: [u32; 4]) -> Leg {
        let mut cname = [0; 16];
        let name = (u64::from(seed[0]) << 32 | u64::from(seed[3])).to_be_bytes();
        for (pair, byte) in cname.chunks_mut(2).zip(name) {
            pair.copy_from_slice(&[b'a' + (byte >> 4), b'a' + (byte & 15)]);
        }
        Leg {
            id,
            wire,
            bind,
            remote: None,
            latch: Latch::default(),
            reception: Reception::default(),
            out: Outgoing::new(seed[0], seed[1] as u16 & SRTP_START, seed[2]),
            packing: Packing::default(),
            stats: LegStats::default(),
            ties: Ties::default(),
            render: None,
            renderings: 0,
            keys: Keys::default(),
            pressing: None,
            presses: 0,
            key_ear: None,
            heard_key: None,
            is_in_wheel: false,
            play: None,
            plays: 0,
            tap: None,
            rtcp_source: None,
            report_at: None,
            packets_at_report: 0,
            cname,
            random: seed[3] | 1,
            score: Score::default(),
            digits: DigitReader::default(),
            was_heard: false,
            quiet_from: None,
            silence_told_at: None,
            shield: Shield::Down,
        }
    }

    /// Signalling described the far end.
    pub fn connect(&mut self, now: Time, remote: RemoteMedia) {
        let sent_before = self.remote.as_ref().is_some_and(|former| former.sends);
        self.latch.name(now, remote.rtp);
        if remote.sends && !sent_before {
            self.latch.reopen(now);
            self.quiet_from = Some(now);
            self.silence_told_at = None;
        }
        if self.remote.as_ref().is_none_or(|former| former.rtcp != remote.rtcp) {
            self.rtcp_source = None;
        }
        self.out.set_clock(now, remote.codec.clock_hz());
        self.wire.secure(&remote.secure);
        if let Some(render) = &mut self.render {
            render.set_codec(remote.codec);
        }
        let speaks_as_before =
            self.remote.as_ref().is_some_and(|former| former.codec == remote.codec && former.dtmf == remote.dtmf);
        if !speaks_as_before {
            self.keys.break_off();
            self.pressing = None;
        }
        if remote.dtmf.is_some() || !remote.dtmf_inband {
            self.key_ear = None;
        }
        self.score.begin(now);
        self.remote = Some(Arc::new(remote));
        self.tend_shield(now);
    }

    /// Hears others than before, or is heard by others.
    pub fn tie(&mut self, ties: Ties) {
        if ties.sources.is_empty() {
            self.render = None;
        } else if let Some(render) = &mut self.render {
            render.set_sources(&ties.sources);
        }
        self.ties = ties;
    }

    /// Takes a packet from the RTP port; what it returns is for the leg's listeners.
    pub fn hear<'a>(
        &mut self,
        now: Time,
        source: SocketAddr,
        bytes: &'a [u8],
        room: &'a mut [u8],
        outlets: &mut Outlets,
    ) -> Option<(FrameHead, &'a [u8])> {
        let remote = self.remote.clone()?;
        if (remote.rtcp_mux || self.wire.always_muxes()) && rtp::is_rtcp(bytes) {
            self.hear_rtcp(now, source, bytes, room, outlets);
            return None;
        }
        let bytes = match self.wire.open_rtp(bytes, room) {
            Ok(bytes) => bytes,
            Err(refusal) => {
                self.count_refusal(refusal);
                return None;
            }
        };
        let packet = match rtp::parse(bytes) {
            Some(packet) if self.is_own(now, source, &packet, outlets) => packet,
            Some(_) => {
                self.stats.strangers_refused += 1;
                return None;
            }
            None => {
                self.stats.packets_unusable += 1;
                return None;
            }
        };
        self.quiet_from = Some(now);
        self.silence_told_at = None;
        if !self.was_heard {
            self.was_heard = true;
            (outlets.on_event)(MediaEvent::FirstPacket { media: self.id });
        }
        self.reception.count(packet.header.ssrc, packet.header.sequence);
        self.stats.packets_received += 1;
        self.stats.bytes_received += packet.payload.len() as u64;
        let kind = self.understand(now, &packet, &remote, outlets)?;
        if !remote.sends {
            return None;
        }
        let head = FrameHead {
            from: self.id,
            kind,
            marker: packet.header.marker,
            ssrc: packet.header.ssrc,
            sequence: packet.header.sequence,
            timestamp: packet.header.timestamp,
        };
        Some((head, packet.payload))
    }

    /// Asks the latch, and follows it when the source is new.
    fn is_own(&mut self, now: Time, source: SocketAddr, packet: &RtpPacket<'_>, outlets: &Outlets) -> bool {
        if let Wire::Browser(browser) = &mut self.wire {
            browser.ice.heard_media(now, source);
            browser.heard(now).into_iter().for_each(|event| (outlets.on_event)(event));
            return true;
        }
        let (ssrc, sequence) = (packet.header.ssrc, packet.header.sequence);
        let verdict = if self.wire.is_secure() {
            self.latch.authenticated(now, source, ssrc, sequence)
        } else {
            self.latch.packet(now, source, ssrc, sequence)
        };
        match verdict {
            Verdict::Refuse => return false,
            Verdict::AcceptNew => {
                self.stats.source_changes += u32::from(self.was_heard);
                self.rtcp_source = None;
                self.tend_shield(now);
            }
            Verdict::Accept if self.shield == Shield::Down => self.tend_shield(now),
            Verdict::Accept => {}
        }
        true
    }

    /// Tells audio from digits by the payload type; counts, taps and reports each. `None`: nothing to pass on.
    fn understand(
        &mut self,
        now: Time,
        packet: &RtpPacket<'_>,
        remote: &RemoteMedia,
        outlets: &mut Outlets,
    ) -> Option<FrameKind> {
        let header = packet.header;
        if let Some((payload_type, clock_hz)) = remote.dtmf
            && payload_type == header.payload_type
        {
            let event = TelephoneEvent::parse(packet.payload)?;
            let digit = self.digits.packet(header.ssrc, header.timestamp, event);
            if let Some(digit) = digit {
                (outlets.on_event)(MediaEvent::Digit { media: self.id, digit });
            }
            return Some(FrameKind::TelephoneEvent(HeardEvent { clock_hz, is_first: digit.is_some() }));
        }
        if remote.comfort_noise == Some(header.payload_type) {
            return Some(FrameKind::ComfortNoise).filter(|_| (1..=MAX_PAYLOAD_BYTES).contains(&packet.payload.len()));
        }
        let agreed = (remote.payload_type == header.payload_type).then_some(remote.codec);
        let codec = agreed.or_else(|| other_format(remote, header.payload_type));
        let Some(codec) = codec.filter(|_| packet.payload.len() <= MAX_PAYLOAD_BYTES) else {
            self.stats.packets_unusable += 1;
            return None;
        };
        if packet.payload.is_empty() {
            return None;
        }
        self.reception.time(header.timestamp, codec.clock_hz(), now);
        if remote.dtmf_inband && remote.dtmf.is_none() {
            let ear = self.key_ear.get_or_insert_default();
            let digit = ear.hear(&header, codec, packet.payload);
            self.heard_key = digit.and_then(TelephoneEvent::event_of);
            if let Some(digit) = digit {
                (outlets.on_event)(MediaEvent::Digit { media: self.id, digit });
            }
        }
        if let Some(tap) = &mut self.tap {
            let moment = TapMoment {
                channel: Channel::Left,
                arrival: now,
                ssrc: header.ssrc,
                sequence: header.sequence,
                timestamp: header.timestamp,
                codec,
            };
            outlets.tap.write(tap, moment, packet.payload);
        }
        Some(FrameKind::Audio(codec))
    }

    /// Takes a packet from the RTCP port, or RTCP from a shared one.
    pub fn hear_rtcp(&mut self, now: Time, source: SocketAddr, bytes: &[u8], room: &mut [u8], outlets: &Outlets) {
        let Some(remote) = &self.remote else { return };
        // Reports steer nothing but numbers, so the address of the leg's audio is proof enough where there is no better.
        let is_named = source == remote.rtcp;
        if !is_named && !self.wire.is_secure() && self.latch.source().map(|own| own.ip()) != Some(source.ip()) {
            self.stats.strangers_refused += 1;
            return;
        }
        let bytes = match self.wire.open_rtcp(bytes, room) {
            Ok(bytes) => bytes,
            Err(refusal) => {
                self.count_refusal(refusal);
                return;
            }
        };
        if let Wire::Browser(browser) = &mut self.wire {
            browser.heard(now).into_iter().for_each(|event| (outlets.on_event)(event));
        }
        let mut is_rtcp = false;
        for packet in rtcp::parse(bytes) {
            is_rtcp = true;
            match packet {
                RtcpPacket::SenderReport { info, blocks, .. } => {
                    self.reception.sender_report(&info, now);
                    self.read_blocks(blocks);
                }
                RtcpPacket::ReceiverReport { blocks, .. } => self.read_blocks(blocks),
                // Signalling says when a leg ends; a BYE alone does not.
                RtcpPacket::Bye { .. } | RtcpPacket::Other { .. } => {}
            }
        }
        if is_rtcp && !is_named {
            self.rtcp_source = Some(source);
        }
    }

    fn read_blocks(&mut self, blocks: ReportBlocks<'_>) {
        for block in blocks.filter(|block| block.ssrc == self.out.ssrc()) {
            self.stats.remote_packets_lost = Some(u32::try_from(block.cumulative_lost).unwrap_or(0));
            self.stats.remote_jitter_ms = Some(block.jitter as f32 * 1000.0 / self.out.clock_hz() as f32);
            self.score.reported(self.stats.packets_sent);
            let ntp_now = rtcp::ntp_from_unix_micros(clock::wall().as_micros());
            if let Some(trip) = round_trip_ms(&block, ntp_now) {
                self.stats.round_trip_ms = Some(trip);
            }
        }
    }

    fn count_refusal(&mut self, refusal: Refusal) {
        match refusal {
            Refusal::Early => {}
            Refusal::Malformed => self.stats.packets_unusable += 1,
            Refusal::Replayed => self.stats.packets_replayed += 1,
            Refusal::Forged => self.stats.packets_forged += 1,
        }
    }

    /// Looks for silence, of a browser closely, and lowers the shield when it could hide the leg's own new address. A few times a second.
    pub fn look_after(&mut self, now: Time, silence_limit: Duration, outlets: &mut Outlets) {
        self.tend_shield(now);
        if let Wire::Browser(browser) = &mut self.wire {
            let sends = self.remote.as_ref().is_some_and(|remote| remote.sends);
            browser.look(now, sends).into_iter().for_each(|event| (outlets.on_event)(event));
        }
        let Some(since) = self.quiet_from.filter(|_| self.remote.as_ref().is_some_and(|remote| remote.sends)) else { return };
        let is_told = self.silence_told_at.is_some_and(|at| now.since(at) < silence_limit);
        if now.since(since) >= silence_limit && !is_told {
            self.silence_told_at = Some(now);
            let for_ms = u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX);
            (outlets.on_event)(MediaEvent::Silent { media: self.id, for_ms });
        }
    }

    /// Keeps the filter before the socket in step with the latch. It changes when a source is found, falls silent or is
    /// named anew; no stranger can make it change.
    fn tend_shield(&mut self, now: Time) {
        let Wire::Ports(ports) = &self.wire else { return };
        let wanted = self.latch.only_sources(now).map_or(Shield::Down, Shield::Up);
        if self.shield == wanted || self.shield == Shield::Unavailable {
            return;
        }
        let done = match wanted {
            Shield::Up(sources) => shield::admit_only(&ports.pair.rtp, sources),
            _ => shield::admit_all(&ports.pair.rtp),
        };
        self.shield = if done.is_ok() { wanted } else { Shield::Unavailable };
    }

    /// Begins, replaces or ends the tap.
    pub fn tap(&mut self, now: Time, key: Option<u32>, outlets: &mut Outlets) {
        if let Some(former) = self.tap.take() {
            outlets.tap.end(former, now);
        }
        self.tap = key.map(TapPoint::new);
    }

    /// Whether the shield keeps strangers from the RTP socket.
    pub fn is_settled(&self) -> bool {
        matches!(self.shield, Shield::Up(_))
    }

    /// The key that was heard in the last packet's audio, once.
    pub fn take_heard_key(&mut self) -> Option<u8> {
        self.heard_key.take()
    }

    /// Who hears a frame of this kind: one after another, `None` after the last. Keys go to the bridged leg alone.
    pub fn listener(&self, kind: FrameKind, place: usize) -> Option<MediaId> {
        match kind {
            FrameKind::Audio(_) | FrameKind::ComfortNoise => self.ties.listeners.get(place).copied(),
            FrameKind::TelephoneEvent(_) | FrameKind::Key(_) => self.ties.keys_to.filter(|_| place == 0),
            FrameKind::Rendered(_) => None,
        }
    }

    /// A packet of this leg found no way to a listener's thread.
    pub fn count_dropped_frame(&mut self) {
        self.stats.frames_dropped += 1;
    }

    /// The leg's numbers so far.
    pub fn stats(&self) -> LegStats {
        LegStats {
            packets_lost: self.reception.lost(),
            loss_gaps: self.reception.gaps(),
            jitter_ms: self.reception.jitter_ms(),
            max_jitter_ms: self.reception.max_jitter_ms(),
            ..self.stats
        }
    }
}

/// The codec of a payload type that is not the agreed one. A far end that agreed to one law and sends the other is understood
/// all the same.
fn other_format(remote: &RemoteMedia, payload_type: u8) -> Option<Codec> {
    let named = remote.other_formats.iter().find(|(number, _)| *number == payload_type).map(|(_, codec)| *codec);
    named.or_else(|| Codec::from_payload_type(payload_type))
}
