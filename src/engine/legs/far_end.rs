//! What the far ends say: SIP events become the call's words, or are answered here when they are the leg's own business.

use bytes::Bytes;

use super::{Legs, page_of};
use crate::call::{Departure, Input, LegFailure};
use crate::engine::call_task::departed;
use crate::engine::sip_task::leg_of;
use crate::gateway;
use crate::gateway::sdp::Direction;
use crate::relay::MediaCommand;
use crate::sip::endpoint::{Body, Command, Event, Failure, Offered};
use crate::sip::wire::{Request, Status, Text};
use crate::types::{EndCause, LegId};

impl Legs {
    /// Reads a SIP event; `None` when it is the leg's own business.
    pub(in crate::engine) async fn read(&mut self, event: Event) -> Option<Input> {
        let (sip, _) = leg_of(&event)?;
        if let Some(id) = self.returning_by(sip) {
            return self.read_return(id, event).await;
        }
        let leg = self.named(sip)?;
        match event {
            Event::Progress { fork, offered, status, sdp, .. } => self.progressed(leg, fork, offered, status, sdp),
            Event::Answered { fork, offered, response, sdp, .. } => {
                let page = response.headers.contact().ok().flatten().map(|contact| page_of(&contact.uri));
                self.answered(leg, fork, offered, sdp, page).await
            }
            Event::Failed { failure, .. } => self.failed(leg, &failure).await,
            Event::Cancelled { .. } | Event::Bye { .. } => self.left(leg, Departure::HungUp).await,
            Event::AckTimeout { .. } => self.left(leg, Departure::Lost).await,
            Event::Acked { sdp, .. } => self.acked(leg, sdp).await,
            Event::ReInvite { sdp, .. } => self.re_invited(leg, sdp).await,
            Event::ReInviteAnswered { sdp, .. } => self.re_invite_answered(leg, sdp).await,
            Event::ReInviteFailed { .. } => self.release_peers_answer(leg).await,
            Event::ReInviteCancelled { .. } => {
                if let Some(leg) = self.legs.get_mut(&leg) {
                    leg.held_answer = None;
                }
                None
            }
            Event::InDialog { request, .. } => {
                self.press_key(leg, &request).await;
                None
            }
            Event::Invite { .. }
            | Event::Registered { .. }
            | Event::Unregistered { .. }
            | Event::BrowserCame { .. }
            | Event::BrowserGone { .. }
            | Event::AuthenticationFailed { .. }
            | Event::BanBegan { .. }
            | Event::BanEnded { .. }
            | Event::OptionsAnswered { .. } => None,
        }
    }

    async fn left(&mut self, leg: LegId, departure: Departure) -> Option<Input> {
        self.close(leg).await;
        Some(departed(leg, departure))
    }

    /// A key pressed by INFO is pressed for whom the leg talks with. Who has no telephone-event and presses so gets keys so.
    async fn press_key(&mut self, id: LegId, request: &Request) {
        let Some(digit) = gateway::key_of_info(&request.headers, &request.body) else { return };
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let has_events = leg.remote().is_some_and(|remote| remote.dtmf.is_some());
        if !has_events && !std::mem::replace(&mut leg.has_keys_by_info, true) {
            self.connect(id);
        }
        let Some(peer) = self.legs.get(&id).and_then(|leg| leg.peer) else { return };
        if !self.press_by_info(peer, digit).await {
            self.media(peer, |media| MediaCommand::SendDigit { media, digit });
        }
    }

    /// The media of a leg told a key. The media thread has passed it on to whoever takes it there.
    pub async fn pass_key(&self, id: LegId, digit: char) {
        if let Some(peer) = self.legs.get(&id).and_then(|leg| leg.peer) {
            self.press_by_info(peer, digit).await;
        }
    }

    /// Presses a key for a leg that has keys by INFO alone; false for others.
    async fn press_by_info(&self, id: LegId, digit: char) -> bool {
        let Some(leg) = self.legs.get(&id).filter(|leg| leg.has_keys_by_info && leg.is_answered) else { return false };
        let (content_type, body) = gateway::info_of_key(digit);
        let body = Body { content_type: Text::constant(content_type), bytes: body.into() };
        self.order(Command::Info { leg: leg.sip, body }).await;
        true
    }

    fn progressed(&mut self, id: LegId, fork: u16, offered: Offered, status: Status, sdp: Option<Bytes>) -> Option<Input> {
        let leg = self.legs.get_mut(&id)?;
        let is_first_voice = leg.early_fork.is_none_or(|first| first == fork);
        if let (Some(sdp), true) = (sdp, is_first_voice) {
            let before = leg.in_use.replace(offered);
            if leg.take_answer(&sdp) {
                let is_new = leg.early_fork.replace(fork).is_none();
                self.connect(id);
                return is_new.then_some(Input::LegEarlyMedia { leg: id });
            }
            leg.in_use = before;
        }
        (status == Status::RINGING).then_some(Input::LegRinging { leg: id })
    }

    async fn answered(
        &mut self,
        id: LegId,
        fork: u16,
        offered: Offered,
        sdp: Option<Bytes>,
        page: Option<String>,
    ) -> Option<Input> {
        let leg = self.legs.get_mut(&id)?;
        let before = leg.media().filter(|_| leg.in_use.is_some());
        leg.in_use = Some(offered);
        let agreed = match sdp {
            Some(sdp) => leg.take_answer(&sdp),
            // The answer stood in a reliable or repeated provisional response of the same phone.
            None => leg.early_fork == Some(fork),
        };
        if !agreed {
            self.hang_up(id, EndCause::NoCommonCodec).await;
            return Some(Input::LegFailed { leg: id, failure: LegFailure::NoCommonCodec });
        }
        leg.is_answered = true;
        let is_moved = before.is_some() && before != leg.media();
        if is_moved {
            self.rewire(id);
        }
        self.keep_line_in_use(id);
        self.connect(id);
        self.watch_page(id, page);
        Some(Input::LegAnswered { leg: id })
    }

    async fn failed(&mut self, id: LegId, failure: &Failure) -> Option<Input> {
        let leg = self.legs.get_mut(&id)?;
        if leg.is_answered {
            return self.left(id, Departure::Lost).await;
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
        self.close(id).await;
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
        let sip = self.sip(id);
        let leg = self.legs.get_mut(&id)?;
        let Some(offer) = sdp else {
            leg.offered_in_answer = true;
            let body = leg.offer(Direction::SendRecv).map(Body::sdp);
            self.order(Command::AnswerReInvite { leg: sip, status: Status::OK, body }).await;
            return None;
        };
        let before = leg.remote().map_or(Direction::SendRecv, |remote| remote.direction);
        let codec = leg.remote().map(|remote| remote.codec);
        let peer = leg.peer;
        let Some(answer) = self.answer_offer(id, &offer, codec) else {
            self.order(Command::AnswerReInvite { leg: sip, status: Status::NOT_ACCEPTABLE_HERE, body: None }).await;
            return None;
        };
        self.connect(id);
        let after = self.legs.get(&id)?.remote().map_or(Direction::SendRecv, |remote| remote.direction);
        // Whoever is held hears our music, so it is asked to listen whatever the other does: send only, not inactive.
        let asked = if after.receives() { after } else { Direction::SendOnly };
        if before == after || !self.pass_on(peer, asked).await {
            self.order(Command::AnswerReInvite { leg: sip, status: Status::OK, body: Some(Body::sdp(answer)) }).await;
        } else if let Some(leg) = self.legs.get_mut(&id) {
            leg.held_answer = Some(answer);
        }
        // Not by the directions: a leg that came back on hold has a new session, which knows of none.
        let is_holding = !after.receives();
        match (std::mem::replace(&mut self.legs.get_mut(&id)?.is_holding, is_holding), is_holding) {
            (false, true) => Some(Input::LegHeld { leg: id }),
            (true, false) => Some(Input::LegResumed { leg: id }),
            _ => None,
        }
    }

    /// Offers the peer the direction that the other far end wants; false when there is no peer who could be asked.
    async fn pass_on(&mut self, peer: Option<LegId>, direction: Direction) -> bool {
        let Some(id) = peer else { return false };
        let Some(peer) = self.legs.get_mut(&id).filter(|peer| peer.is_answered) else { return false };
        let Some(offer) = peer.offer(direction) else { return false };
        let leg = peer.sip;
        self.order(Command::ReInvite { leg, body: Some(Body::sdp(offer)) }).await;
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
        let asker = self.legs.get_mut(&asker)?;
        let (leg, answer) = (asker.sip, asker.held_answer.take()?);
        self.order(Command::AnswerReInvite { leg, status: Status::OK, body: Some(Body::sdp(answer)) }).await;
        None
    }
}
