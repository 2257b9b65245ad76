//! The legs of one call between SIP and the media threads: each has a session (what was offered and agreed), a pair of
//! RTP ports once it needs one, and a peer while it is bridged. Reads SIP events into the call's words (`far_end`)
//! and writes the call's wishes as SIP commands (`dial` for new legs). It does not decide who is in the call.

mod dial; //    sending INVITEs
mod far_end; // reading what comes back

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::call_task::CallMessage;
use super::calls::ClosedLeg;
use super::house::House;
use super::sip_task::Order;
use crate::call::LegFailure;
use crate::clock;
use crate::gateway;
use crate::gateway::sdp::{Direction, LocalMedia, MediaSession, RemoteMedia, Wanted};
use crate::media::codec::Codec;
use crate::relay::{self, MediaCommand, MediaPort, PlayKind};
use crate::sip::endpoint::{Body, Command};
use crate::sip::wire::{HeaderName, Status, Text};
use crate::site::Target;
use crate::types::{CallId, EndCause, LegId, Party, Time, TrunkId};

/// Told to phones that stop ringing because another one answered (RFC 3326).
const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

struct Leg {
    /// Made with the ports.
    session: Option<MediaSession>,
    port: Option<MediaPort>,
    /// Our answer to the INVITE's offer: the 183 and the 200 carry the same.
    answer: Option<Bytes>,
    /// Whom our SDP must be reachable for.
    far: IpAddr,
    /// The INVITE's offer, of a leg that arrived.
    offer: Option<Bytes>,
    /// Our SDP is the offer, the ACK brings the answer.
    offered_in_answer: bool,
    is_answered: bool,
    began: Time,
    /// The phone whose early media we hear.
    early_fork: Option<u16>,
    trunk: Option<Dialling>,
    /// Whom it heard first when it last heard anybody.
    heard_first: Option<LegId>,
    /// Whom it talks with.
    peer: Option<LegId>,
    /// Our answer to the leg's re-INVITE, held back until the peer has agreed to the same change.
    held_answer: Option<Bytes>,
}

/// A trunk being tried: what is left to try.
struct Dialling {
    trunk: TrunkId,
    number: String,
    targets: Vec<Target>,
    show: Party,
    max_forwards: u8,
}

pub(super) struct Legs {
    house: Arc<House>,
    call: CallId,
    inbox: mpsc::Sender<CallMessage>,
    legs: HashMap<LegId, Leg>,
}

impl Leg {
    fn new(far: IpAddr) -> Leg {
        Leg {
            session: None,
            port: None,
            answer: None,
            far,
            offer: None,
            offered_in_answer: false,
            is_answered: false,
            began: clock::now(),
            early_fork: None,
            trunk: None,
            heard_first: None,
            peer: None,
            held_answer: None,
        }
    }

    fn remote(&self) -> Option<&RemoteMedia> {
        self.session.as_ref().and_then(MediaSession::remote)
    }

    /// The far end's answer to our offer; false when it cannot be used.
    fn take_answer(&mut self, sdp: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(sdp) else { return false };
        self.session.as_mut().is_some_and(|session| session.accept_answer(text).is_ok())
    }

    fn offer(&mut self, direction: Direction) -> Option<Bytes> {
        self.session.as_mut().map(|session| Bytes::from(session.offer(direction)))
    }
}

impl Legs {
    pub fn new(house: Arc<House>, call: CallId, inbox: mpsc::Sender<CallMessage>) -> Legs {
        Legs { house, call, inbox, legs: HashMap::new() }
    }

    /// A leg came with an INVITE.
    pub fn arrived(&mut self, leg: LegId, offer: Option<Bytes>, far: IpAddr) {
        self.legs.insert(leg, Leg { offer, ..Leg::new(far) });
    }

    // What the call wants.

    pub async fn ring(&mut self, leg: LegId) {
        self.order(Command::Progress { leg, status: Status::RINGING, body: None }).await;
    }

    pub async fn start_early_media(&mut self, leg: LegId) -> Result<(), LegFailure> {
        match self.agree(leg)? {
            Some(sdp) => {
                self.order(Command::Progress { leg, status: Status::SESSION_PROGRESS, body: Some(Body::sdp(sdp)) }).await
            }
            // Without an offer there is nothing to answer early: the caller hears its own ringback.
            None => self.ring(leg).await,
        }
        Ok(())
    }

    pub async fn answer(&mut self, leg: LegId) -> Result<(), LegFailure> {
        let sdp = match self.agree(leg)? {
            Some(sdp) => sdp,
            None => self.offer_in_answer(leg)?,
        };
        if let Some(leg) = self.legs.get_mut(&leg) {
            leg.is_answered = true;
        }
        self.order(Command::Answer { leg, body: Some(Body::sdp(sdp)) }).await;
        Ok(())
    }

    pub async fn reject(&mut self, leg: LegId, cause: EndCause) {
        self.close(leg);
        let headers = match cause {
            EndCause::Overload | EndCause::Shutdown => vec![(HeaderName::RetryAfter, Text::constant("5"))],
            _ => Vec::new(),
        };
        self.order(Command::Reject { leg, status: gateway::status_for(cause), phrase: None, headers }).await;
    }

    pub async fn cancel(&mut self, leg: LegId, elsewhere: bool) {
        self.close(leg);
        let reason = elsewhere.then(|| Text::constant(ELSEWHERE));
        self.order(Command::Cancel { leg, reason }).await;
    }

    pub async fn hang_up(&mut self, leg: LegId, cause: EndCause) {
        self.close(leg);
        self.order(Command::Bye { leg, reason: gateway::reason_for(cause).map(Text::constant) }).await;
    }

    /// The codec that some leg of the call already speaks comes first, so that nothing has to be transcoded; else the
    /// caller's own order.
    fn preferred_codecs(&self) -> Vec<Codec> {
        let mut codecs: Vec<Codec> = self.agreed_codec().into_iter().collect();
        let offered = self.legs.values().find_map(|leg| leg.offer.as_ref());
        codecs.extend(offered.map(|sdp| gateway::offered_codecs(sdp)).unwrap_or_default());
        codecs.extend([Codec::Pcma, Codec::Pcmu]);
        let mut seen = Vec::new();
        codecs.retain(|codec| {
            !seen.contains(codec) && {
                seen.push(*codec);
                true
            }
        });
        codecs
    }

    fn agreed_codec(&self) -> Option<Codec> {
        self.legs.values().find_map(|leg| leg.remote().map(|remote| remote.codec))
    }

    // Media.

    pub fn media(&self, leg: LegId, command: impl FnOnce(crate::relay::MediaId) -> MediaCommand) {
        if let Some(port) = self.legs.get(&leg).and_then(|leg| leg.port) {
            self.relay(command(port.id));
        }
    }

    pub fn play(&self, leg: LegId, kind: PlayKind) {
        let sounds = &self.house.sounds;
        let sound = if kind == PlayKind::Ringback { sounds.ringback.clone() } else { sounds.music.clone() };
        self.media(leg, |media| MediaCommand::Play { media, sound, repeat: true, kind });
    }

    pub fn tap(&mut self, leg: LegId, key: u32) {
        // The recording starts with our answer, so the ports may have to be taken for it.
        if let Err(failure) = self.take_ports(leg) {
            tracing::error!(call.id = %self.call, ?failure, "call {}: no ports for a recorded leg", self.call);
        }
        self.media(leg, |media| MediaCommand::Tap { media, key });
    }

    /// Whom each of these legs hears from now on.
    pub fn hear(&mut self, changed: Vec<(LegId, Vec<LegId>)>) {
        for (id, sources) in changed {
            let ports = sources.iter().filter_map(|source| self.legs.get(source)?.port.map(|port| port.id)).collect();
            self.media(id, |media| MediaCommand::Hear { media, sources: ports });
            if let (Some(leg), Some(first)) = (self.legs.get_mut(&id), sources.first()) {
                leg.heard_first = Some(*first);
            }
        }
        // Two who hear each other first are a conversation, also while one holds; a supervisor is nobody's peer.
        let firsts: HashMap<LegId, Option<LegId>> = self.legs.iter().map(|(id, leg)| (*id, leg.heard_first)).collect();
        for (id, leg) in &mut self.legs {
            leg.peer = leg.heard_first.filter(|first| firsts.get(first) == Some(&Some(*id)));
        }
    }

    /// Gives the leg its ports and its session, at the first need.
    fn take_ports(&mut self, id: LegId) -> Result<(), LegFailure> {
        let codecs = self.preferred_codecs();
        let Some(leg) = self.legs.get_mut(&id) else { return Err(LegFailure::Unreachable) };
        let port = match leg.port {
            Some(port) => port,
            None => {
                let port = self.house.relay.open(thread_hint(self.call)).map_err(|error| {
                    tracing::error!(call.id = %self.call, "call {}: {error}", self.call);
                    LegFailure::Overload
                })?;
                self.house.calls.attach_media(port.id, self.inbox.clone(), id);
                *leg.port.insert(port)
            }
        };
        if leg.session.is_none() {
            let address = self.house.addresses.facing(leg.far);
            let local = LocalMedia { address, rtp_port: port.rtp_port, rtcp_port: port.rtcp_port };
            leg.session = Some(MediaSession::new(u64::from(rand::random::<u32>()), local, &codecs));
        }
        Ok(())
    }

    /// Our answer to the offer of an arrived leg, made once and repeated in the 200; `None` when there was no offer.
    fn agree(&mut self, id: LegId) -> Result<Option<Bytes>, LegFailure> {
        let Some(leg) = self.legs.get(&id) else { return Err(LegFailure::Unreachable) };
        if leg.answer.is_some() {
            return Ok(leg.answer.clone());
        }
        let Some(offer) = leg.offer.clone() else { return Ok(None) };
        let codec = self.agreed_codec();
        self.take_ports(id)?;
        let answer = self.answer_offer(id, &offer, codec).ok_or(LegFailure::NoCommonCodec)?;
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.answer = Some(answer.clone());
        }
        self.connect(id);
        Ok(Some(answer))
    }

    fn answer_offer(&mut self, id: LegId, offer: &[u8], codec: Option<Codec>) -> Option<Bytes> {
        let text = std::str::from_utf8(offer).ok()?;
        let session = self.legs.get_mut(&id)?.session.as_mut()?;
        match session.answer(text, Wanted { direction: Direction::SendRecv, codec }) {
            Ok(answer) => Some(answer.sdp.into()),
            Err(error) => {
                tracing::debug!(call.id = %self.call, "call {}: offer refused: {error}", self.call);
                None
            }
        }
    }

    fn offer_in_answer(&mut self, id: LegId) -> Result<Bytes, LegFailure> {
        self.take_ports(id)?;
        let leg = self.legs.get_mut(&id).ok_or(LegFailure::Unreachable)?;
        leg.offered_in_answer = true;
        leg.offer(Direction::SendRecv).ok_or(LegFailure::Overload)
    }

    /// Tells the media thread where the far end is now.
    fn connect(&self, id: LegId) {
        let Some(leg) = self.legs.get(&id) else { return };
        if let (Some(port), Some(remote)) = (leg.port, leg.remote()) {
            self.relay(MediaCommand::Connect { media: port.id, remote: remote_media(remote) });
        }
    }

    fn relay(&self, command: MediaCommand) {
        if let Err(error) = self.house.relay.command(command) {
            tracing::error!(call.id = %self.call, "call {}: {error}", self.call);
            metrics::counter!("perezvon_media_commands_refused_total").increment(1);
        }
    }

    async fn order(&self, command: Command) {
        // The SIP task only goes away when the server does.
        let _ = self.house.sip.send(Order::Command(command)).await;
    }

    /// What is known of the leg's media when it closes.
    fn closed(&self, id: LegId, leg: &Leg) -> ClosedLeg {
        let remote = leg.remote();
        ClosedLeg {
            call: self.call,
            leg: id,
            codec: remote.map(|remote| remote.codec),
            lived_ms: u64::try_from(clock::now().since(leg.began).as_millis()).unwrap_or(u64::MAX),
            was_answered: leg.is_answered,
            should_send: remote.is_some_and(RemoteMedia::sends),
            should_hear: remote.is_some_and(RemoteMedia::receives),
            named_private_address: remote.is_some_and(|remote| remote.rtp.ip() != leg.far && is_private(remote.rtp.ip())),
        }
    }

    /// Gives the leg's ports back and forgets it.
    pub fn close(&mut self, id: LegId) {
        let Some(leg) = self.legs.remove(&id) else { return };
        let closed = self.closed(id, &leg);
        if let Some(port) = leg.port {
            self.relay(MediaCommand::Close { media: port.id });
            self.house.calls.detach_media(port.id, closed);
        }
        if let Some(peer) = leg.peer.and_then(|peer| self.legs.get_mut(&peer)) {
            peer.peer = None;
            peer.heard_first = None;
        }
    }

    /// The call is over. Returns the legs that were still there.
    pub fn close_all(&mut self) -> Vec<LegId> {
        let ids: Vec<LegId> = self.legs.keys().copied().collect();
        ids.iter().for_each(|leg| self.close(*leg));
        ids
    }
}

/// An address of RFC 1918, RFC 6598 or RFC 4193, which the Internet does not lead to.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || (v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

/// All legs of a call on one media thread, so that its audio need not cross threads.
fn thread_hint(call: CallId) -> u64 {
    let (high, low) = call.0.as_u64_pair();
    high ^ low
}

fn remote_media(remote: &RemoteMedia) -> relay::RemoteMedia {
    relay::RemoteMedia {
        rtp: remote.rtp,
        rtcp: remote.rtcp,
        rtcp_mux: remote.rtcp_mux,
        codec: remote.codec,
        payload_type: remote.payload_type,
        other_formats: Vec::new(),
        dtmf: remote.dtmf_payload_type.map(|payload_type| (payload_type, 8000)),
        dtmf_inband: false,
        sends: remote.sends(),
        receives: remote.receives(),
        secure: relay::Secure::None,
    }
}
