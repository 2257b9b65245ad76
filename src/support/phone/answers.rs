//! Requests that come to the phone.

use tokio::time::Instant;

use super::agent::{Agent, key_of, random_word};
use super::call::{Ended, Progress};
use super::resend::Resend;
use super::{Answering, PhoneError};
use crate::gateway::sdp::CONTENT_TYPE;
use crate::sip::wire::{Flow, HeaderName, Method, NameAddr, Request, Response, Status, Text};

impl Agent {
    pub(super) async fn take_request(&mut self, request: Request, flow: Flow) {
        if request.method == Method::Ack {
            return self.take_ack(&request);
        }
        if let Some(key) = key_of(&request)
            && let Some((_, answer)) = self.remembered.iter().find(|(own, _)| *own == key)
        {
            // It came again: the answer was lost.
            return self.send(flow, answer.clone());
        }
        match request.method {
            Method::Invite => self.take_invite(request, flow).await,
            Method::Bye => self.take_bye(&request, flow),
            Method::Cancel => self.take_cancel(&request, flow),
            Method::Options | Method::Info | Method::Notify | Method::Message => self.answer(&request, flow, Status::OK),
            _ => self.answer(&request, flow, Status::METHOD_NOT_ALLOWED),
        }
    }

    fn answer(&mut self, request: &Request, flow: Flow, status: Status) {
        let answer = request.answer(status, Some(&random_word()));
        self.send_answer(request, flow, &answer);
    }

    async fn take_invite(&mut self, request: Request, flow: Flow) {
        if request.headers.to_tag().is_some() {
            return self.take_reinvite(&request, flow);
        }
        match self.setup.answering {
            Answering::Dead => return,
            Answering::Busy => return self.answer(&request, flow, Status::BUSY_HERE),
            Answering::Declines => return self.answer(&request, flow, Status::DECLINE),
            Answering::Rings | Answering::After(_) => {}
        }
        let (Ok(from), Ok(to)) = (request.headers.from(), request.headers.to()) else { return };
        let local = to.with_tag(random_word());
        let Ok(call) = self.open_leg(request.clone(), local, from, flow, false).await else {
            return self.answer(&request, flow, Status::SERVER_INTERNAL_ERROR);
        };
        let Some(leg) = self.legs.get_mut(&call.id) else { return };
        if !leg.can_take(&request.body) {
            // At once, so that a caller with another offer may try that.
            leg.end(Ended::ByUs);
            return self.answer(&request, flow, Status::NOT_ACCEPTABLE_HERE);
        }
        if let Ok(Some(contact)) = request.headers.contact() {
            leg.target = contact.uri;
        }
        leg.routes = request.headers.get_all(&HeaderName::RecordRoute).cloned().collect();
        leg.advance(Progress::Ringing);
        if let Answering::After(ring) = self.setup.answering {
            leg.answer_at = Some(Instant::now() + ring);
        }
        let answer = self.answer_in_dialog(&request, &call.id, Status::RINGING);
        self.send_answer(&request, flow, &answer);
        self.announce(call);
    }

    /// A response with our tag and Contact.
    fn answer_in_dialog(&self, request: &Request, id: &Text, status: Status) -> Response {
        let tag = self.legs.get(id).and_then(|leg| leg.local.tag().cloned());
        let mut answer = request.answer(status, tag.as_deref());
        answer.headers.copy(&HeaderName::RecordRoute, &request.headers);
        answer.headers.push_value(HeaderName::Contact, &NameAddr::new(self.contact()));
        answer.headers.push(HeaderName::Allow, Text::constant("INVITE, ACK, CANCEL, BYE, OPTIONS, INFO"));
        answer
    }

    /// Answers a call that rings here.
    pub(super) fn answer_call(&mut self, id: &Text) -> Result<(), PhoneError> {
        let leg = self.legs.get_mut(id).filter(|leg| !leg.is_ours && *leg.progress.borrow() == Progress::Ringing);
        let leg = leg.ok_or(PhoneError::Ended)?;
        leg.answer_at = None;
        let (invite, flow) = (leg.invite.clone(), leg.flow);
        let sdp = match invite.body.is_empty() {
            // They want our offer; their answer comes with the ACK.
            true => Ok(leg.offer(leg.direction())),
            false => leg.answer_offer(&invite.body),
        };
        let Ok(sdp) = sdp else {
            leg.end(Ended::ByUs);
            self.refuse_call(id, Status::NOT_ACCEPTABLE_HERE);
            return Err(PhoneError::Ended);
        };
        leg.advance(Progress::Talking);
        self.send_final(id, &invite, flow, Status::OK, Some(sdp));
        Ok(())
    }

    /// Sends sound to whoever rings here.
    pub(super) fn speak_early(&mut self, id: &Text) -> Result<(), PhoneError> {
        let leg = self.legs.get_mut(id).filter(|leg| !leg.is_ours && *leg.progress.borrow() == Progress::Ringing);
        let leg = leg.ok_or(PhoneError::Ended)?;
        let (invite, flow) = (leg.invite.clone(), leg.flow);
        let sdp = leg.answer_offer(&invite.body).map_err(|error| PhoneError::BadSdp(error.to_string()))?;
        let answer = self.answer_in_dialog(&invite, id, Status::SESSION_PROGRESS).with_body(CONTENT_TYPE, sdp);
        self.send_answer(&invite, flow, &answer);
        Ok(())
    }

    /// Refuses a call that rings here.
    pub(super) fn refuse_call(&mut self, id: &Text, status: Status) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        leg.answer_at = None;
        let (invite, flow) = (leg.invite.clone(), leg.flow);
        self.send_final(id, &invite, flow, status, None);
    }

    /// A final answer to an INVITE, sent until its ACK comes.
    fn send_final(&mut self, id: &Text, invite: &Request, flow: Flow, status: Status, sdp: Option<String>) {
        let mut answer = self.answer_in_dialog(invite, id, status);
        if let Some(sdp) = sdp {
            answer = answer.with_body(CONTENT_TYPE, sdp);
        }
        let bytes = self.send_answer(invite, flow, &answer);
        let number = invite.headers.cseq().map_or(0, |cseq| cseq.number);
        if let Some(leg) = self.legs.get_mut(id) {
            leg.unacknowledged = Some((number, Resend::new(Instant::now(), bytes, flow)));
        }
    }

    fn take_reinvite(&mut self, request: &Request, flow: Flow) {
        let id = request.headers.call_id().unwrap_or_default();
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.is_talking()) else {
            return self.answer(request, flow, Status::CALL_DOES_NOT_EXIST);
        };
        if let Ok(Some(contact)) = request.headers.contact() {
            leg.target = contact.uri;
        }
        let sdp = match request.body.is_empty() {
            true => Ok(leg.offer(leg.direction())),
            false => leg.answer_offer(&request.body),
        };
        match sdp {
            Ok(sdp) => self.send_final(&id, request, flow, Status::OK, Some(sdp)),
            Err(_) => self.send_final(&id, request, flow, Status::NOT_ACCEPTABLE_HERE, None),
        }
    }

    fn take_ack(&mut self, ack: &Request) {
        let (Ok(id), Ok(cseq)) = (ack.headers.call_id(), ack.headers.cseq()) else { return };
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if leg.unacknowledged.as_ref().is_some_and(|(number, _)| *number == cseq.number) {
            leg.unacknowledged = None;
        }
        if !ack.body.is_empty() && leg.take_answer(&ack.body).is_err() {
            self.hang_up(&id, None);
        }
    }

    fn take_bye(&mut self, request: &Request, flow: Flow) {
        let id = request.headers.call_id().unwrap_or_default();
        let Some(leg) = self.legs.get_mut(&id) else {
            return self.answer(request, flow, Status::CALL_DOES_NOT_EXIST);
        };
        leg.unacknowledged = None;
        leg.end(Ended::ByThem { reason: reason_of(request) });
        self.answer(request, flow, Status::OK);
    }

    fn take_cancel(&mut self, request: &Request, flow: Flow) {
        let id = request.headers.call_id().unwrap_or_default();
        let is_waiting = |leg: &&mut super::leg::Leg| !leg.is_ours && *leg.progress.borrow() == Progress::Ringing;
        let Some(leg) = self.legs.get_mut(&id).filter(is_waiting) else {
            return self.answer(request, flow, Status::CALL_DOES_NOT_EXIST);
        };
        leg.end(Ended::ByThem { reason: reason_of(request) });
        self.answer(request, flow, Status::OK);
        self.refuse_call(&id, Status::REQUEST_TERMINATED);
    }
}

fn reason_of(request: &Request) -> Option<String> {
    request.headers.get(&HeaderName::Reason).map(ToString::to_string)
}
