//! The legs of one call between SIP and the media threads: each has a session (what was offered and agreed), a pair of
//! RTP ports once it needs one, and a peer while it is bridged. Reads SIP events into the call's words and writes the
//! call's wishes as SIP commands. It does not decide who is in the call.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::call_task::CallMessage;
use super::house::House;
use super::sip_task::Order;
use crate::call::{Departure, DialTo, Input, LegFailure};
use crate::gateway;
use crate::gateway::sdp::{Direction, LocalMedia, MediaSession, RemoteMedia, Wanted};
use crate::media::codec::Codec;
use crate::relay::{self, MediaCommand, MediaPort, PlayKind};
use crate::sip::auth::Credentials;
use crate::sip::endpoint::{Body, Command, Dial, DialTarget, Event, Failure, Identity};
use crate::sip::wire::{HeaderName, SipUri, Status, Text, Transport};
use crate::site::Target;
use crate::types::{AgentId, CallId, EndCause, LegId, Party, TrunkId};

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
    /// The phone whose early media we hear.
    early_fork: Option<u16>,
    trunk: Option<Dialling>,
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
            early_fork: None,
            trunk: None,
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

    /// Sends the INVITE of a new leg.
    pub async fn dial(
        &mut self,
        id: LegId,
        to: DialTo,
        show: &Party,
        auto_answer: bool,
        max_forwards: u8,
    ) -> Result<(), LegFailure> {
        match to {
            DialTo::Agent(agent) => self.dial_agent(id, &agent, show, auto_answer, max_forwards).await,
            DialTo::Outside { trunk, number } => {
                let targets = self.house.site.load().trunks.get(&trunk).map(|trunk| trunk.targets.clone()).unwrap_or_default();
                let dialling = Dialling { trunk, number, targets, show: show.clone(), max_forwards };
                self.dial_next_target(id, dialling).await
            }
        }
    }

    async fn dial_agent(
        &mut self,
        id: LegId,
        agent: &AgentId,
        show: &Party,
        auto_answer: bool,
        max_forwards: u8,
    ) -> Result<(), LegFailure> {
        let far = self.house.phones.of(agent).ok_or(LegFailure::Unreachable)?;
        let body = self.offer_of_new_leg(id, far)?;
        let mut headers = Vec::new();
        if auto_answer {
            // Two dialects that desk phones and softphones read (RFC 5373 names a third that few implement).
            headers.push((HeaderName::CallInfo, Text::constant("<sip:localhost>;answer-after=0")));
            headers.push((HeaderName::AlertInfo, Text::constant("<http://localhost>;info=alert-autoanswer")));
        }
        let target = DialTarget::User(agent.clone());
        self.invite(id, target, show, Identity::default(), headers, body, None, max_forwards).await;
        Ok(())
    }

    async fn dial_next_target(&mut self, id: LegId, mut dialling: Dialling) -> Result<(), LegFailure> {
        while !dialling.targets.is_empty() {
            let target = dialling.targets.remove(0);
            let Some(remote) = resolve(&target).await else {
                tracing::warn!(trunk.id = %dialling.trunk, "trunk {}: {} has no address", dialling.trunk, target.host);
                continue;
            };
            let body = self.offer_of_new_leg(id, remote.ip())?;
            let transport = if target.tcp { Transport::Tcp } else { Transport::Udp };
            let uri = SipUri::from_address(remote).with_user(&dialling.number);
            let address = DialTarget::Address { transport, remote, uri: uri.into() };
            let credentials = self.house.site.load().trunks.get(&dialling.trunk).and_then(|trunk| {
                let (username, password) = (trunk.username.clone(), trunk.password.clone());
                (!username.is_empty()).then_some(Credentials { username, password })
            });
            let (show, max_forwards) = (dialling.show.clone(), dialling.max_forwards);
            let to = Identity { user: Some(dialling.number.as_str().into()), ..Identity::default() };
            if let Some(leg) = self.legs.get_mut(&id) {
                leg.trunk = Some(dialling);
            }
            self.invite(id, address, &show, to, Vec::new(), body, credentials, max_forwards).await;
            return Ok(());
        }
        self.close(id);
        Err(LegFailure::TrunkFailed)
    }

    async fn invite(
        &mut self,
        leg: LegId,
        target: DialTarget,
        show: &Party,
        to: Identity,
        headers: Vec<(HeaderName, Text)>,
        body: Bytes,
        credentials: Option<Credentials>,
        max_forwards: u8,
    ) {
        let from = Identity {
            display: show.display.as_deref().map(Text::from),
            user: Some(show.number.as_deref().map_or(Text::constant("anonymous"), Text::from)),
            host: None,
        };
        let dial = Dial { leg, target, from, to, headers, body: Some(Body::sdp(body)), credentials, max_forwards };
        let order = Order::Dial { leg, inbox: self.inbox.clone(), command: Command::Invite(Box::new(dial)) };
        // The SIP task only goes away when the server does.
        let _ = self.house.sip.send(order).await;
    }

    fn offer_of_new_leg(&mut self, id: LegId, far: IpAddr) -> Result<Bytes, LegFailure> {
        let leg = self.legs.entry(id).or_insert_with(|| Leg::new(far));
        if leg.far != far {
            // Another target of the trunk may be reached through another interface.
            leg.far = far;
            leg.session = None;
        }
        self.take_ports(id)?;
        self.legs.get_mut(&id).and_then(|leg| leg.offer(Direction::SendRecv)).ok_or(LegFailure::Overload)
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

    pub fn bridge(&mut self, a: LegId, b: LegId) {
        let ports = (self.legs.get(&a).and_then(|leg| leg.port), self.legs.get(&b).and_then(|leg| leg.port));
        if let (Some(port_a), Some(port_b)) = ports {
            self.relay(MediaCommand::Bridge { a: port_a.id, b: port_b.id });
        }
        for (leg, peer) in [(a, b), (b, a)] {
            if let Some(leg) = self.legs.get_mut(&leg) {
                leg.peer = Some(peer);
            }
        }
    }

    pub fn unbridge(&mut self, a: LegId, b: LegId) {
        self.media(a, |media| MediaCommand::Unbridge { a: media });
        for leg in [a, b] {
            if let Some(leg) = self.legs.get_mut(&leg) {
                leg.peer = None;
            }
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

    /// Gives the leg's ports back and forgets it.
    pub fn close(&mut self, id: LegId) {
        let Some(leg) = self.legs.remove(&id) else { return };
        if let Some(port) = leg.port {
            self.relay(MediaCommand::Close { media: port.id });
            self.house.calls.detach_media(port.id);
        }
        if let Some(peer) = leg.peer.and_then(|peer| self.legs.get_mut(&peer)) {
            peer.peer = None;
        }
    }

    /// The call is over. Returns the legs that were still there.
    pub fn close_all(&mut self) -> Vec<LegId> {
        let ids: Vec<LegId> = self.legs.keys().copied().collect();
        ids.iter().for_each(|leg| self.close(*leg));
        ids
    }

    // What the far ends say.

    /// Reads a SIP event; `None` when it is the leg's own business.
    pub async fn read(&mut self, event: Event) -> Option<Input> {
        match event {
            Event::Progress { leg, fork, status, sdp } => self.progressed(leg, fork, status, sdp),
            Event::Answered { leg, fork, sdp, .. } => self.answered(leg, fork, sdp).await,
            Event::Failed { leg, failure } => self.failed(leg, &failure).await,
            Event::Cancelled { leg, .. } | Event::Bye { leg, .. } => self.left(leg, Departure::HungUp),
            Event::AckTimeout { leg } => self.left(leg, Departure::Lost),
            Event::Acked { leg, sdp } => self.acked(leg, sdp).await,
            Event::ReInvite { leg, sdp } => self.re_invited(leg, sdp).await,
            Event::ReInviteAnswered { leg, sdp, .. } => self.re_invite_answered(leg, sdp).await,
            Event::ReInviteFailed { leg, .. } => self.release_peers_answer(leg).await,
            Event::ReInviteCancelled { leg } => {
                if let Some(leg) = self.legs.get_mut(&leg) {
                    leg.held_answer = None;
                }
                None
            }
            Event::InDialog { .. }
            | Event::Invite { .. }
            | Event::Registered { .. }
            | Event::Unregistered { .. }
            | Event::AuthenticationFailed { .. }
            | Event::OptionsAnswered { .. } => None,
        }
    }

    fn left(&mut self, leg: LegId, departure: Departure) -> Option<Input> {
        self.close(leg);
        Some(super::call_task::departed(leg, departure))
    }

    fn progressed(&mut self, id: LegId, fork: u16, status: Status, sdp: Option<Bytes>) -> Option<Input> {
        let leg = self.legs.get_mut(&id)?;
        let is_first_voice = leg.early_fork.is_none_or(|first| first == fork);
        if let (Some(sdp), true) = (sdp, is_first_voice)
            && leg.take_answer(&sdp)
        {
            let is_new = leg.early_fork.replace(fork).is_none();
            self.connect(id);
            return is_new.then_some(Input::LegEarlyMedia { leg: id });
        }
        (status == Status::RINGING).then_some(Input::LegRinging { leg: id })
    }

    async fn answered(&mut self, id: LegId, fork: u16, sdp: Option<Bytes>) -> Option<Input> {
        let leg = self.legs.get_mut(&id)?;
        let agreed = match sdp {
            Some(sdp) => leg.take_answer(&sdp),
            // The answer stood in a reliable or repeated provisional response of the same phone.
            None => leg.early_fork == Some(fork),
        };
        if !agreed {
            self.hang_up(id, EndCause::NoCommonCodec).await;
            return Some(Input::LegFailed { leg: id, failure: LegFailure::NoCommonCodec });
        }
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.is_answered = true;
        }
        self.connect(id);
        Some(Input::LegAnswered { leg: id })
    }

    async fn failed(&mut self, id: LegId, failure: &Failure) -> Option<Input> {
        let leg = self.legs.get_mut(&id)?;
        if leg.is_answered {
            return self.left(id, Departure::Lost);
        }
        let trunk = leg.trunk.take();
        let is_trunk = trunk.is_some();
        if let Some(dialling) = trunk.filter(|dialling| !dialling.targets.is_empty())
            && gateway::is_worth_another_target(failure)
        {
            metrics::counter!("perezvon_trunk_failovers_total").increment(1);
            return match self.dial_next_target(id, dialling).await {
                Ok(()) => None,
                Err(failure) => Some(Input::LegFailed { leg: id, failure }),
            };
        }
        self.close(id);
        Some(Input::LegFailed { leg: id, failure: gateway::leg_failure(failure, is_trunk) })
    }

    /// The ACK of a leg that came without an offer brings the answer to ours.
    async fn acked(&mut self, id: LegId, sdp: Option<Bytes>) -> Option<Input> {
        let leg = self.legs.get_mut(&id)?;
        if !std::mem::take(&mut leg.offered_in_answer) {
            return None;
        }
        let is_agreed = sdp.is_some_and(|sdp| leg.take_answer(&sdp));
        if is_agreed {
            self.connect(id);
            return None;
        }
        self.hang_up(id, EndCause::NoCommonCodec).await;
        Some(Input::LegEnded { leg: id, departure: Departure::Lost })
    }

    /// A new address or codec is our own business; a changed direction (hold, resume) is passed on to the peer, and the
    /// answer waits for the peer's.
    async fn re_invited(&mut self, id: LegId, sdp: Option<Bytes>) -> Option<Input> {
        self.take_ports(id).ok()?;
        let leg = self.legs.get_mut(&id)?;
        let Some(offer) = sdp else {
            leg.offered_in_answer = true;
            let body = leg.offer(Direction::SendRecv).map(Body::sdp);
            self.order(Command::AnswerReInvite { leg: id, status: Status::OK, body }).await;
            return None;
        };
        let before = leg.remote().map_or(Direction::SendRecv, |remote| remote.direction);
        let codec = leg.remote().map(|remote| remote.codec);
        let peer = leg.peer;
        let Some(answer) = self.answer_offer(id, &offer, codec) else {
            self.order(Command::AnswerReInvite { leg: id, status: Status::NOT_ACCEPTABLE_HERE, body: None }).await;
            return None;
        };
        self.connect(id);
        let after = self.legs.get(&id)?.remote().map_or(Direction::SendRecv, |remote| remote.direction);
        if before == after || !self.pass_on(peer, after).await {
            self.order(Command::AnswerReInvite { leg: id, status: Status::OK, body: Some(Body::sdp(answer)) }).await;
        } else if let Some(leg) = self.legs.get_mut(&id) {
            leg.held_answer = Some(answer);
        }
        match (before.receives(), after.receives()) {
            (true, false) => Some(Input::LegHeld { leg: id }),
            (false, true) => Some(Input::LegResumed { leg: id }),
            _ => None,
        }
    }

    /// Offers the peer the direction that the other far end wants; false when there is no peer who could be asked.
    async fn pass_on(&mut self, peer: Option<LegId>, direction: Direction) -> bool {
        let Some(id) = peer else { return false };
        let Some(peer) = self.legs.get_mut(&id).filter(|peer| peer.is_answered) else { return false };
        let Some(offer) = peer.offer(direction) else { return false };
        self.order(Command::ReInvite { leg: id, body: Some(Body::sdp(offer)) }).await;
        true
    }

    async fn re_invite_answered(&mut self, id: LegId, sdp: Option<Bytes>) -> Option<Input> {
        if let (Some(leg), Some(sdp)) = (self.legs.get_mut(&id), sdp)
            && leg.take_answer(&sdp)
        {
            self.connect(id);
        }
        self.release_peers_answer(id).await
    }

    /// The peer has agreed or refused: whoever asked for the change gets the answer now.
    async fn release_peers_answer(&mut self, id: LegId) -> Option<Input> {
        let asker = self.legs.get(&id)?.peer?;
        let answer = self.legs.get_mut(&asker)?.held_answer.take()?;
        self.order(Command::AnswerReInvite { leg: asker, status: Status::OK, body: Some(Body::sdp(answer)) }).await;
        None
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
        dtmf_payload_type: remote.dtmf_payload_type,
        sends: remote.sends(),
        receives: remote.receives(),
    }
}

/// An address as written, or looked up. A name that does not resolve within two seconds counts as having none.
async fn resolve(target: &Target) -> Option<SocketAddr> {
    if let Ok(address) = target.host.parse::<IpAddr>() {
        return Some(SocketAddr::new(address, target.port));
    }
    let lookup = tokio::net::lookup_host((target.host.as_str(), target.port));
    let mut found = tokio::time::timeout(std::time::Duration::from_secs(2), lookup).await.ok()?.ok()?;
    found.next()
}
