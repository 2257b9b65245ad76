//! Legs that call us, until they are answered: INVITE, its CANCEL, its ACK, and the engine's answers (RFC 3261 §13.3, §9.2).

use std::time::Duration;

use super::incoming::Incoming;
use super::legs::{Leg, Ringing, Session, State, Unacked};
use super::timers::Alarm;
use super::transactions::TransactionId;
use super::{Body, CommandError, Endpoint, Event, Origin, build};
use crate::sip::dialog::Dialog;
use crate::sip::wire::{HeaderName, Method, Response, Status, Text};
use crate::types::{LegId, Time};

/// RFC 3261 §13.3.1.1: proxies on the way forget a call that is silent for three minutes.
const PROGRESS_REPEAT: Duration = Duration::from_secs(60);

impl Endpoint {
    pub(super) fn receive_invite(&mut self, now: Time, incoming: &Incoming) {
        let origin = match self.sender_of(incoming) {
            Some(origin) => origin,
            None => match self.authenticate(now, incoming) {
                Some((user, _)) => Origin::User(user),
                None => return,
            },
        };
        if self.legs.len() >= self.config.limits.legs {
            let retry = [(HeaderName::RetryAfter, "10")];
            return self.reply(now, incoming, Status::SERVICE_UNAVAILABLE, &retry);
        }
        let (flow, request) = (incoming.flow, incoming.request.clone());
        let tag = self.token();
        let Ok(dialog) = Dialog::answering(&request, &tag) else {
            return self.reply(now, incoming, Status::BAD_REQUEST, &[]);
        };
        let leg = self.new_inbound_leg();
        let transaction = self.transactions.start_server(incoming, Some(leg));
        self.transactions.respond(now, transaction, &request.answer(Status::TRYING, None), &mut self.out);
        let reach = self.reach_of_caller(&origin, incoming);
        let expires = request.headers.expires_seconds().ok().flatten().filter(|seconds| *seconds > 0);
        let expires_at = expires.map(|seconds| now + Duration::from_secs(u64::from(seconds)));
        let ringing = Ringing { transaction, dialog, progress: None, expires_at };
        let state = State::Ringing(Box::new(ringing));
        self.legs.insert(leg, Leg { reach, credentials: None, state, alarm: Alarm::default() });
        self.arm_leg(leg);
        let sdp = build::sdp_of(&request.headers, &request.body);
        self.out.tell(Event::Invite { leg, origin, request, sdp, flow });
    }

    pub(super) fn receive_cancel(&mut self, now: Time, incoming: &Incoming) {
        if let Some(copy) = self.transactions.cancel_for(incoming) {
            return self.transactions.repeated(now, copy, &mut self.out);
        }
        let Some(invite) = self.transactions.server_for(incoming) else {
            return self.reply(now, incoming, Status::CALL_DOES_NOT_EXIST, &[]);
        };
        let leg = self.transactions.leg_of(invite);
        // §9.2: the same To tag as in the answers to the INVITE.
        let dialog = leg.and_then(|leg| self.legs.get(leg)).and_then(Leg::dialog);
        let response = incoming.request.answer(Status::OK, dialog.map(Dialog::local_tag));
        let transaction = self.transactions.start_server(incoming, None);
        self.transactions.respond(now, transaction, &response, &mut self.out);
        let Some(leg) = leg.filter(|_| self.transactions.is_unanswered(invite)) else { return };
        self.cancelled(now, leg, invite, build::reason_of(&incoming.request.headers));
    }

    /// The INVITE `transaction` of `leg` is taken back before it was answered: 487.
    pub(super) fn cancelled(&mut self, now: Time, leg: LegId, transaction: TransactionId, reason: Option<Text>) {
        let Some(own) = self.legs.get_mut(leg) else { return };
        let tag = own.dialog().map(|dialog| Text::from(dialog.local_tag()));
        self.respond_invite(now, transaction, Status::REQUEST_TERMINATED, tag.as_deref());
        let Some(own) = self.legs.get_mut(leg) else { return };
        match &mut own.state {
            State::Ringing(_) => {
                self.legs.remove(leg);
                self.out.tell(Event::Cancelled { leg, reason });
            }
            State::Talking(session) if session.asked == Some(transaction) => {
                session.asked = None;
                if session.hang_up.is_none() {
                    self.out.tell(Event::ReInviteCancelled { leg });
                }
                self.dialog_is_free(now, leg);
            }
            State::Talking(_) | State::Dialing(_) => {}
        }
    }

    pub(super) fn receive_ack(&mut self, now: Time, incoming: &Incoming) {
        if let Some(transaction) = self.transactions.server_for(incoming) {
            let is_for_success = self.transactions.acknowledged(now, transaction, &mut self.out);
            if !is_for_success {
                return;
            }
        }
        let Some(leg) = self.legs.of_request(incoming) else { return };
        let Some(own) = self.legs.get_mut(leg) else { return };
        own.reach.flow = incoming.flow;
        let Some(session) = own.session_mut() else { return };
        if session.unacked.is_none_or(|unacked| unacked.cseq != incoming.cseq.number) {
            return;
        }
        session.unacked = None;
        if let Some(hang_up) = session.hang_up.clone() {
            return self.send_bye(now, leg, hang_up.reason);
        }
        let sdp = build::sdp_of(&incoming.request.headers, &incoming.request.body);
        self.out.tell(Event::Acked { leg, sdp });
        self.dialog_is_free(now, leg);
    }

    pub(super) fn progress(&mut self, now: Time, leg: LegId, status: Status, body: Option<&Body>) -> Result<(), CommandError> {
        if !status.is_provisional() || status == Status::TRYING {
            return Err(CommandError::WrongState);
        }
        let transaction = self.ringing(leg)?.transaction;
        let response = self.dialog_response(leg, transaction, status, body)?;
        self.transactions.respond(now, transaction, &response, &mut self.out);
        if let Ok(ringing) = self.ringing(leg) {
            ringing.progress = Some((response, now + PROGRESS_REPEAT));
        }
        self.arm_leg(leg);
        Ok(())
    }

    pub(super) fn answer(&mut self, now: Time, leg: LegId, body: Option<&Body>) -> Result<(), CommandError> {
        let transaction = self.ringing(leg)?.transaction;
        let response = self.dialog_response(leg, transaction, Status::OK, body)?;
        let cseq = response.headers.cseq().map_or(0, |cseq| cseq.number);
        let Some(own) = self.legs.get_mut(leg) else { return Err(CommandError::NoSuchLeg) };
        let State::Ringing(ringing) = &own.state else { return Err(CommandError::WrongState) };
        let mut session = Session::new(ringing.dialog.clone(), false);
        session.unacked = Some(Unacked::new(now, transaction, cseq));
        own.state = State::Talking(Box::new(session));
        self.transactions.respond(now, transaction, &response, &mut self.out);
        self.arm_leg(leg);
        Ok(())
    }

    pub(super) fn reject(
        &mut self,
        now: Time,
        leg: LegId,
        status: Status,
        phrase: Option<Text>,
        headers: Vec<(HeaderName, Text)>,
    ) -> Result<(), CommandError> {
        if !status.is_final() || status.is_success() {
            return Err(CommandError::WrongState);
        }
        let ringing = self.ringing(leg)?;
        let transaction = ringing.transaction;
        let tag = Text::from(ringing.dialog.local_tag());
        let request = self.transactions.request_of(transaction).ok_or(CommandError::NoSuchLeg)?;
        let mut response = request.answer(status, Some(&tag));
        if let Some(phrase) = phrase {
            response.reason = phrase;
        }
        for (name, value) in headers {
            response.headers.push(name, value);
        }
        response.headers.push(HeaderName::Server, self.config.user_agent.as_str());
        self.transactions.respond(now, transaction, &response, &mut self.out);
        self.legs.remove(leg);
        Ok(())
    }

    /// Time to repeat the last provisional response, or the caller's own limit has passed.
    pub(super) fn wake_ringing(&mut self, now: Time, leg: LegId) {
        let Ok(ringing) = self.ringing(leg) else { return };
        let transaction = ringing.transaction;
        if ringing.expires_at.is_some_and(|at| at <= now) {
            return self.cancelled(now, leg, transaction, None);
        }
        if let Some((response, at)) = &mut ringing.progress
            && *at <= now
        {
            *at = now + PROGRESS_REPEAT;
            let response = response.clone();
            self.transactions.respond(now, transaction, &response, &mut self.out);
        }
    }

    /// A response that makes or keeps a dialog: Record-Route copied (§12.1.1), our Contact, what we understand.
    pub(super) fn dialog_response(
        &mut self,
        leg: LegId,
        transaction: TransactionId,
        status: Status,
        body: Option<&Body>,
    ) -> Result<Response, CommandError> {
        let request = self.transactions.request_of(transaction).ok_or(CommandError::NoSuchLeg)?;
        let own = self.legs.get(leg).ok_or(CommandError::NoSuchLeg)?;
        let dialog = own.dialog().ok_or(CommandError::WrongState)?;
        let mut response = request.answer(status, Some(dialog.local_tag()));
        let headers = &mut response.headers;
        headers.copy(&HeaderName::RecordRoute, &request.headers);
        headers.push_value(HeaderName::Contact, &self.contact_for(&own.reach.flow, dialog.local()));
        headers.push(HeaderName::Allow, Text::constant(build::ALLOW));
        if status.is_success() {
            headers.push(HeaderName::Accept, Text::constant(build::ACCEPT));
        }
        headers.push(HeaderName::Server, self.config.user_agent.as_str());
        build::set_body(&mut response.headers, &mut response.body, body);
        Ok(response)
    }

    /// A final failure to an INVITE, without anything more to say.
    pub(super) fn respond_invite(&mut self, now: Time, transaction: TransactionId, status: Status, tag: Option<&str>) {
        let Some(request) = self.transactions.request_of(transaction) else { return };
        debug_assert_eq!(request.method, Method::Invite);
        let mut response = request.answer(status, tag);
        response.headers.push(HeaderName::Server, self.config.user_agent.as_str());
        self.transactions.respond(now, transaction, &response, &mut self.out);
    }

    fn ringing(&mut self, leg: LegId) -> Result<&mut Ringing, CommandError> {
        match &mut self.legs.get_mut(leg).ok_or(CommandError::NoSuchLeg)?.state {
            State::Ringing(ringing) => Ok(ringing),
            State::Talking(session) if session.hang_up.is_some() => Err(CommandError::NoSuchLeg),
            State::Talking(_) | State::Dialing(_) => Err(CommandError::WrongState),
        }
    }
}
