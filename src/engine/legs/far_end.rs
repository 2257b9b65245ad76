//! What the far ends say: SIP events become the call's words, or are answered here when they are the leg's own business.

use bytes::Bytes;

use super::Legs;
use crate::call::{Departure, Input, LegFailure};
use crate::engine::call_task::departed;
use crate::gateway;
use crate::gateway::sdp::Direction;
use crate::sip::endpoint::{Body, Command, Event, Failure};
use crate::sip::wire::Status;
use crate::types::{EndCause, LegId};

impl Legs {
    /// Reads a SIP event; `None` when it is the leg's own business.
    pub(in crate::engine) async fn read(&mut self, event: Event) -> Option<Input> {
        match event {
            Event::Progress { leg, fork, status, sdp, .. } => self.progressed(leg, fork, status, sdp),
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
            | Event::BrowserCame { .. }
            | Event::AuthenticationFailed { .. }
            | Event::BanBegan { .. }
            | Event::BanEnded { .. }
            | Event::OptionsAnswered { .. } => None,
        }
    }

    fn left(&mut self, leg: LegId, departure: Departure) -> Option<Input> {
        self.close(leg);
        Some(departed(leg, departure))
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
        // Whoever is held hears our music, so it is asked to listen whatever the other does: send only, not inactive.
        let asked = if after.receives() { after } else { Direction::SendOnly };
        if before == after || !self.pass_on(peer, asked).await {
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
