//! The legs of one call between SIP and the media threads: each has lines (media of ours with the session that was offered
//! and agreed) once it needs them, and others whom it hears. Reads SIP events into the call's words (`far_end`) and writes
//! the call's wishes as SIP commands (`dial` for new legs). It does not decide who is in the call.

mod dial; //    sending INVITEs
mod far_end; // reading what comes back
mod leg; //     one leg as data
mod lines; //   media and sessions
mod page; //    browsers that come back

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::call_task::{ArrivedLeg, CallMessage};
use super::calls::ClosedLeg;
use super::house::House;
use super::sip_task::Order;
use crate::call::LegFailure;
use crate::clock;
use crate::gateway;
use crate::gateway::sdp::{Direction, FarEnd, RemoteMedia, Wanted};
use crate::media::codec::Codec;
use crate::relay::{MediaCommand, MediaId, PlayKind};
use crate::sip::endpoint::{Body, Command, Offered};
use crate::sip::wire::{HeaderName, Status, Text};
use crate::site::Target;
use crate::types::{CallId, EndCause, LegId, Party, TrunkId};
use leg::{Came, Leg};
pub(super) use page::{PageNews, page_of};

/// Told to phones that stop ringing because another one answered (RFC 3326).
const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

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
    /// By the call's names for them.
    legs: HashMap<LegId, Leg>,
    /// Closed before the call was over, as the endpoint calls them: the SIP task still hands their late events to the call.
    gone: Vec<LegId>,
}

impl Legs {
    pub fn new(house: Arc<House>, call: CallId, inbox: mpsc::Sender<CallMessage>) -> Legs {
        Legs { house, call, inbox, legs: HashMap::new(), gone: Vec::new() }
    }

    /// A leg came with an INVITE.
    pub fn arrived(&mut self, arrived: ArrivedLeg) {
        let ArrivedLeg { leg: id, offer, far, is_websocket, terms, agent, page, shows, .. } = arrived;
        let far_end = offer.as_ref().and_then(|offer| gateway::Offer::read(offer)).map(|offer| offer.far_end);
        let kind = match far_end {
            Some(FarEnd::Browser) => Offered::Browser,
            None if is_websocket => Offered::Browser,
            Some(FarEnd::Phone) | None => Offered::Phone,
        };
        self.legs.insert(id, Leg { offer, came: Some(Came { kind, far, page }), ..Leg::new(id, terms, agent, shows) });
    }

    // What the call wants.

    pub async fn ring(&mut self, leg: LegId) {
        self.order(Command::Progress { leg: self.sip(leg), status: Status::RINGING, body: None }).await;
    }

    pub async fn start_early_media(&mut self, leg: LegId) -> Result<(), LegFailure> {
        match self.agree(leg)? {
            Some(sdp) => {
                let (leg, body) = (self.sip(leg), Some(Body::sdp(sdp)));
                self.order(Command::Progress { leg, status: Status::SESSION_PROGRESS, body }).await;
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
        let page = self.legs.get_mut(&leg).and_then(|leg| {
            leg.is_answered = true;
            leg.came.as_mut()?.page.take()
        });
        self.watch_page(leg, page);
        self.order(Command::Answer { leg: self.sip(leg), body: Some(Body::sdp(sdp)) }).await;
        Ok(())
    }

    pub async fn reject(&mut self, leg: LegId, cause: EndCause) {
        let sip = self.sip(leg);
        self.close(leg).await;
        let headers = match cause {
            EndCause::Overload | EndCause::Shutdown => vec![(HeaderName::RetryAfter, Text::constant("5"))],
            _ => Vec::new(),
        };
        self.order(Command::Reject { leg: sip, status: gateway::status_for(cause), phrase: None, headers }).await;
    }

    pub async fn cancel(&mut self, leg: LegId, elsewhere: bool) {
        let sip = self.sip(leg);
        self.close(leg).await;
        let reason = elsewhere.then(|| Text::constant(ELSEWHERE));
        self.order(Command::Cancel { leg: sip, reason }).await;
    }

    pub async fn hang_up(&mut self, leg: LegId, cause: EndCause) {
        let sip = self.sip(leg);
        self.close(leg).await;
        self.order(Command::Bye { leg: sip, reason: gateway::reason_for(cause).map(Text::constant) }).await;
    }

    // Media.

    pub fn media(&self, leg: LegId, command: impl FnOnce(MediaId) -> MediaCommand) {
        if let Some(media) = self.legs.get(&leg).and_then(Leg::media) {
            self.relay(command(media));
        }
    }

    /// Whether an event of that media concerns the leg now.
    pub fn is_in_use(&self, leg: LegId, media: MediaId) -> bool {
        self.legs.get(&leg).and_then(Leg::media) == Some(media)
    }

    pub fn play(&mut self, leg: LegId, kind: PlayKind) {
        if let Some(leg) = self.legs.get_mut(&leg) {
            leg.playing = Some(kind);
        }
        self.play_sound(leg, kind);
    }

    fn play_sound(&self, leg: LegId, kind: PlayKind) {
        let sounds = &self.house.sounds;
        let sound = match kind {
            PlayKind::Ringback => sounds.ringback.clone(),
            PlayKind::Comfort => sounds.comfort.clone(),
            PlayKind::Music | PlayKind::Prompt => sounds.music.clone(),
        };
        self.media(leg, |media| MediaCommand::Play { media, sound, repeat: true, kind });
    }

    /// The tone of a recorded conversation. What a leg plays besides would not come back after it.
    pub fn beep(&self, leg: LegId) {
        if self.legs.get(&leg).is_some_and(|leg| leg.playing.is_none()) {
            let sound = self.house.sounds.beep.clone();
            self.media(leg, |media| MediaCommand::Play { media, sound, repeat: false, kind: PlayKind::Prompt });
        }
    }

    pub fn stop_playing(&mut self, leg: LegId) {
        if let Some(leg) = self.legs.get_mut(&leg) {
            leg.playing = None;
        }
        self.media(leg, |media| MediaCommand::Stop { media });
    }

    pub fn tap(&mut self, leg: LegId, key: u32) {
        // The recording starts with our answer, so the line may have to be opened for it.
        if let Err(failure) = self.take_line(leg) {
            tracing::error!(call.id = %self.call, ?failure, "call {}: no ports for a recorded leg", self.call);
        }
        if let Some(leg) = self.legs.get_mut(&leg) {
            leg.tap = Some(key);
        }
        self.media(leg, |media| MediaCommand::Tap { media, key });
    }

    pub fn untap(&mut self, leg: LegId) {
        if let Some(leg) = self.legs.get_mut(&leg) {
            leg.tap = None;
        }
        self.media(leg, |media| MediaCommand::Untap { media });
    }

    /// Whom each of these legs hears from now on.
    pub fn hear(&mut self, changed: Vec<(LegId, Vec<LegId>)>) {
        for (id, sources) in changed {
            self.tell_hears(id, &sources);
            let Some(leg) = self.legs.get_mut(&id) else { continue };
            if let Some(first) = sources.first() {
                leg.heard_first = Some(*first);
                // The media thread ends it by itself.
                leg.playing = None;
            }
            leg.hears = sources;
        }
        // Two who hear each other first are a conversation, also while one holds; a supervisor is nobody's peer.
        let firsts: HashMap<LegId, Option<LegId>> = self.legs.iter().map(|(id, leg)| (*id, leg.heard_first)).collect();
        for (id, leg) in &mut self.legs {
            leg.peer = leg.heard_first.filter(|first| firsts.get(first) == Some(&Some(*id)));
        }
    }

    /// Gives a leg that arrived its line, at the first need.
    fn take_line(&mut self, id: LegId) -> Result<(), LegFailure> {
        let leg = self.legs.get(&id).ok_or(LegFailure::Unreachable)?;
        match &leg.came {
            Some(Came { kind, far, .. }) if leg.lines.is_empty() => self.open_line(id, *kind, *far),
            _ => Ok(()),
        }
    }

    /// Our answer to the offer of an arrived leg, made once and repeated in the 200; `None` when there was no offer.
    fn agree(&mut self, id: LegId) -> Result<Option<Bytes>, LegFailure> {
        let Some(leg) = self.legs.get(&id) else { return Err(LegFailure::Unreachable) };
        if leg.answer.is_some() {
            return Ok(leg.answer.clone());
        }
        let Some(offer) = leg.offer.clone() else { return Ok(None) };
        let codec = self.spoken_codec(id);
        self.take_line(id)?;
        let answer = self.answer_offer(id, &offer, codec).ok_or(LegFailure::NoCommonCodec)?;
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.answer = Some(answer.clone());
        }
        self.connect(id);
        Ok(Some(answer))
    }

    fn answer_offer(&mut self, id: LegId, offer: &[u8], codec: Option<Codec>) -> Option<Bytes> {
        let text = std::str::from_utf8(offer).ok()?;
        let line = self.legs.get_mut(&id)?.line_mut()?;
        if line.session.restarts_ice(text)
            && let Ok(ice) = self.house.relay.restart_ice(line.media)
        {
            line.session.set_ice(lines::ice_of(ice));
        }
        match line.session.answer(text, Wanted { direction: Direction::SendRecv, codec }) {
            Ok(answer) => Some(answer.sdp.into()),
            Err(error) => {
                tracing::debug!(call.id = %self.call, "call {}: offer refused: {error}", self.call);
                None
            }
        }
    }

    fn offer_in_answer(&mut self, id: LegId) -> Result<Bytes, LegFailure> {
        self.take_line(id)?;
        let leg = self.legs.get_mut(&id).ok_or(LegFailure::Unreachable)?;
        leg.offered_in_answer = true;
        leg.offer(Direction::SendRecv).ok_or(LegFailure::Overload)
    }

    /// What the endpoint calls the leg.
    fn sip(&self, id: LegId) -> LegId {
        self.legs.get(&id).map_or(id, |leg| leg.sip)
    }

    /// What the call calls a leg of the endpoint.
    fn named(&self, sip: LegId) -> Option<LegId> {
        let has_kept_its_name = self.legs.get(&sip).is_some_and(|leg| leg.sip == sip);
        if has_kept_its_name { Some(sip) } else { self.legs.iter().find(|(_, leg)| leg.sip == sip).map(|(id, _)| *id) }
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
        let far = leg.line().map(|line| line.far);
        let is_elsewhere = |remote: &RemoteMedia| Some(remote.rtp.ip()) != far && is_private(remote.rtp.ip());
        ClosedLeg {
            call: self.call,
            leg: id,
            codec: remote.map(|remote| remote.codec),
            lived_ms: u64::try_from(clock::now().since(leg.began).as_millis()).unwrap_or(u64::MAX),
            was_answered: leg.is_answered,
            should_send: remote.is_some_and(RemoteMedia::sends),
            should_hear: remote.is_some_and(RemoteMedia::receives),
            named_private_address: remote.is_some_and(is_elsewhere),
        }
    }

    /// Gives the leg's media back and forgets it.
    pub async fn close(&mut self, id: LegId) {
        if let Some(sip) = self.abandon_return(id) {
            self.order(Command::Cancel { leg: sip, reason: None }).await;
        }
        self.let_go(id);
    }

    fn let_go(&mut self, id: LegId) {
        let sip = self.sip(id);
        let Some(leg) = self.legs.remove(&id) else { return };
        self.gone.push(sip);
        let closed = self.closed(id, &leg);
        if let Some(media) = leg.media() {
            // First, or the media thread could tell its last numbers before anybody waits for them.
            self.house.calls.detach_media(media, closed);
            self.relay(MediaCommand::Close { media });
            self.drop_lines(leg.lines.into_iter().filter(|line| line.media != media));
        }
        if let Some(agent) = &leg.agent {
            self.house.calls.forget_pages(agent, id);
        }
        if let Some(peer) = leg.peer.and_then(|peer| self.legs.get_mut(&peer)) {
            peer.peer = None;
            peer.heard_first = None;
        }
    }

    /// The call is over. Returns every leg it had, as the endpoint calls them: their events need go nowhere any more.
    pub fn close_all(&mut self) -> Vec<LegId> {
        let ids: Vec<LegId> = self.legs.keys().copied().collect();
        for id in ids {
            self.abandon_return(id);
            self.let_go(id);
        }
        std::mem::take(&mut self.gone)
    }
}

/// An address of RFC 1918, RFC 6598 or RFC 4193, which the Internet does not lead to.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || (v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}
