//! Answered legs: re-INVITE in both directions, ACK with an answer, BYE, and what ends a dialog besides
//! (RFC 3261 §14, §15, RFC 5057).

use std::time::Duration;

use rand::Rng;

use super::incoming::Incoming;
use super::legs::{AckDue, Asking, AskingStep, HangUp, Leg, Reach, Session, State, Unacked};
use super::outbound::ack_due_of;
use super::transactions::{Heard, Owner, What};
use super::{Body, CommandError, Endpoint, Event, Failure, LocalFailure, SendFailure, build};
use crate::sip::auth::Credentials;
use crate::sip::dialog::Dialog;
use crate::sip::wire::{HeaderName, Method, Response, Status, Text};
use crate::types::{LegId, Time};

impl Endpoint {
    pub(super) fn receive_re_invite(&mut self, now: Time, leg: LegId, incoming: &Incoming) {
        let later = self.random.random_range(0..=10_u8).to_string();
        let Some(session) = self.legs.get_mut(leg).and_then(Leg::session_mut) else {
            // §14.2: the first INVITE is not answered yet.
            let retry = [(HeaderName::RetryAfter, later.as_str())];
            return self.reply(now, incoming, Status::SERVER_INTERNAL_ERROR, &retry);
        };
        if session.hang_up.is_some() {
            return self.reply(now, incoming, Status::CALL_DOES_NOT_EXIST, &[]);
        }
        if session.asked.is_some() {
            let retry = [(HeaderName::RetryAfter, later.as_str())];
            return self.reply(now, incoming, Status::SERVER_INTERNAL_ERROR, &retry);
        }
        let is_asking = matches!(session.asking, Some(Asking { step: AskingStep::Sent { .. }, .. }));
        if is_asking || session.unacked.is_some() || session.ack_due.is_some() {
            return self.reply(now, incoming, Status::REQUEST_PENDING, &[]);
        }
        let request = &incoming.request;
        session.dialog.refresh_target(&request.headers);
        let transaction = self.transactions.start_server(incoming, Some(leg));
        session.asked = Some(transaction);
        self.transactions.respond(now, transaction, &request.answer(Status::TRYING, None), &mut self.out);
        let sdp = build::sdp_of(&request.headers, &request.body);
        self.out.tell(Event::ReInvite { leg, sdp });
    }

    pub(super) fn answer_re_invite(
        &mut self,
        now: Time,
        leg: LegId,
        status: Status,
        body: Option<&Body>,
    ) -> Result<(), CommandError> {
        let session = self.owned_session(leg)?;
        let transaction = session.asked.ok_or(CommandError::WrongState)?;
        let response = self.dialog_response(leg, transaction, status, body)?;
        if status.is_final() {
            let cseq = response.headers.cseq().map_or(0, |cseq| cseq.number);
            let session = self.owned_session(leg)?;
            session.asked = None;
            session.unacked = status.is_success().then(|| Unacked::new(now, transaction, cseq));
        }
        self.transactions.respond(now, transaction, &response, &mut self.out);
        self.dialog_is_free(now, leg);
        self.arm_leg(leg);
        Ok(())
    }

    pub(super) fn re_invite(&mut self, now: Time, leg: LegId, body: Option<Body>) -> Result<(), CommandError> {
        let session = self.owned_session(leg)?;
        if session.asking.is_some() || session.wanted.is_some() || session.ack_due.is_some() {
            return Err(CommandError::Pending);
        }
        session.wanted = Some(body);
        self.dialog_is_free(now, leg);
        Ok(())
    }

    /// Sends the re-INVITE that waits for the peer's own to be through, if there is one and it is.
    pub(super) fn dialog_is_free(&mut self, now: Time, leg: LegId) {
        let Some(session) = self.legs.get_mut(leg).and_then(Leg::session_mut) else { return };
        if session.is_peer_asking() || session.asking.is_some() || session.hang_up.is_some() {
            return;
        }
        if let Some(body) = session.wanted.take() {
            self.send_re_invite(now, leg, body);
        }
    }

    pub(super) fn hear_re_invite(&mut self, now: Time, leg: LegId, heard: Heard) {
        let session = self.legs.get_mut(leg).and_then(Leg::session_mut);
        let is_current = session.is_some_and(|session| session.is_asking_with(heard.id));
        match &heard.what {
            What::Response(response) if response.status.is_provisional() => {}
            What::Response(response) if response.status.is_success() => {
                let response = response.clone();
                self.re_invite_accepted(now, leg, &heard, &response, is_current);
            }
            What::Response(response) if is_current => {
                let response = response.clone();
                self.re_invite_refused(now, leg, &heard, &response);
            }
            // A browser whose connection is gone comes back by another; whether it still talks, its media shows.
            What::TimedOut | What::NotSent(_) if is_current && heard.flow.transport.is_websocket() => {
                self.give_up_re_invite(now, leg, Status::REQUEST_TIMEOUT);
            }
            What::TimedOut if is_current => self.lose_dialog(now, leg, build::local_failure(LocalFailure::Timeout)),
            What::NotSent(failure) if is_current => {
                let local = match failure {
                    SendFailure::Refused => LocalFailure::Refused,
                    SendFailure::Unreachable => LocalFailure::Unreachable,
                };
                self.lose_dialog(now, leg, build::local_failure(local));
            }
            What::Response(_) | What::TimedOut | What::NotSent(_) => {}
        }
    }

    pub(super) fn hear_bye(&mut self, now: Time, credentials: Option<Box<Credentials>>, heard: &Heard) {
        let What::Response(response) = &heard.what else { return };
        // Whatever else is answered, the dialog is over (§15.1.1); a challenge is met so that the peer knows it too.
        let is_retry =
            heard.request.headers.has(&HeaderName::Authorization) || heard.request.headers.has(&HeaderName::ProxyAuthorization);
        if let Some(request) = self.with_answer(heard, response, credentials.as_deref(), 0) {
            let owner = Owner::Bye(credentials.filter(|_| !is_retry));
            self.transactions.start_client(now, request, heard.flow, owner, &mut self.out);
        }
    }

    pub(super) fn receive_bye(&mut self, now: Time, leg: LegId, incoming: &Incoming) {
        let reason = build::reason_of(&incoming.request.headers);
        self.reply(now, incoming, Status::OK, &[]);
        let Some(own) = self.legs.get(leg) else { return };
        let is_owned = own.is_owned();
        match &own.state {
            // §15.1.2: a caller may say BYE before the answer; its INVITE is still owed one.
            State::Ringing(ringing) => {
                let transaction = ringing.transaction;
                self.cancelled(now, leg, transaction, reason);
            }
            State::Talking(session) => {
                let (asked, tag) = (session.asked, Text::from(session.dialog.local_tag()));
                if let Some(transaction) = asked {
                    self.respond_invite(now, transaction, Status::REQUEST_TERMINATED, Some(&tag));
                }
                self.abandon_re_invite(now, leg);
                self.legs.remove(leg);
                if is_owned {
                    self.out.tell(Event::Bye { leg, reason });
                }
            }
            State::Dialing(_) => {}
        }
    }

    pub(super) fn ack(&mut self, leg: LegId, body: Option<&Body>) -> Result<(), CommandError> {
        let own = self.legs.get_mut(leg).ok_or(CommandError::NoSuchLeg)?;
        let reach = own.reach.clone();
        let session = own.session_mut().ok_or(CommandError::WrongState)?;
        let due = session.ack_due.take().ok_or(CommandError::WrongState)?;
        let dialog = session.dialog.clone();
        self.send_ack(&dialog, &reach, &due, body);
        Ok(())
    }

    /// Sends an INFO in a dialog that stands (RFC 6086 §2: the use that came before packages).
    pub(super) fn inform(&mut self, now: Time, leg: LegId, body: &Body) -> Result<(), CommandError> {
        let own = self.legs.get_mut(leg).ok_or(CommandError::NoSuchLeg)?;
        let reach = own.reach.clone();
        let session = own.session_mut().ok_or(CommandError::WrongState)?;
        let mut info = session.dialog.request(Method::Info);
        build::set_body(&mut info.headers, &mut info.body, Some(body));
        let dialog = session.dialog.clone();
        // A browser that is away just now misses it: a key is worth nothing later.
        if let Some(flow) = self.way_to(&dialog, &reach) {
            self.send_request(now, info, flow, Owner::Info);
        }
        Ok(())
    }

    /// Ends a leg in whatever state it is.
    pub(super) fn hang_up(&mut self, now: Time, leg: LegId, reason: Option<Text>) -> Result<(), CommandError> {
        let own = self.legs.get_mut(leg).ok_or(CommandError::NoSuchLeg)?;
        if !own.is_owned() {
            return Err(CommandError::NoSuchLeg);
        }
        match &mut own.state {
            State::Ringing(_) => {
                let headers = reason.map(|reason| (HeaderName::Reason, reason)).into_iter().collect();
                self.reject(now, leg, Status::TEMPORARILY_UNAVAILABLE, None, headers)
            }
            State::Dialing(dialing) => {
                let branches = std::mem::take(&mut dialing.branches);
                self.legs.remove(leg);
                for branch in branches {
                    self.cancel_branch(now, branch, reason.clone());
                }
                Ok(())
            }
            // §15: whoever answered waits for the ACK before it hangs up.
            State::Talking(session) if session.unacked.is_some() => {
                session.hang_up = Some(HangUp { reason });
                session.wanted = None;
                Ok(())
            }
            State::Talking(_) => {
                self.send_bye(now, leg, reason);
                Ok(())
            }
        }
    }

    /// Says BYE and forgets the leg; what else is open in the dialog is closed in good order first.
    pub(super) fn send_bye(&mut self, now: Time, leg: LegId, reason: Option<Text>) {
        self.abandon_re_invite(now, leg);
        let Some(mut own) = self.legs.remove(leg) else { return };
        let reach = own.reach.clone();
        let credentials = own.credentials.take();
        let State::Talking(session) = &mut own.state else { return };
        if let Some(due) = session.ack_due.take() {
            // Without an answer to its offer; the BYE behind it says why that no longer matters.
            self.send_ack(&session.dialog, &reach, &due, None);
        }
        if let Some(transaction) = session.asked {
            let tag = Text::from(session.dialog.local_tag());
            self.respond_invite(now, transaction, Status::REQUEST_TERMINATED, Some(&tag));
        }
        let mut bye = session.dialog.request(Method::Bye);
        if let Some(reason) = reason {
            bye.headers.push(HeaderName::Reason, reason);
        }
        match (self.way_to(&session.dialog, &reach), reach.browser) {
            (Some(flow), _) => drop(self.send_request(now, bye, flow, Owner::Bye(credentials))),
            (None, Some(browser)) => self.owed.owe(now, browser, bye),
            (None, None) => {}
        }
    }

    /// Sends the ACK to a 2xx and keeps it for the copies of that 2xx.
    pub(super) fn send_ack(&mut self, dialog: &Dialog, reach: &Reach, due: &AckDue, body: Option<&Body>) {
        let mut ack = dialog.ack(due.cseq);
        for header in &due.credentials {
            ack.headers.push(header.name.clone(), header.value.clone());
        }
        build::set_body(&mut ack.headers, &mut ack.body, body);
        let Some(flow) = self.way_to(dialog, reach) else { return };
        self.finish_request(&mut ack, &flow);
        self.transactions.acknowledge(due.transaction, Text::from(dialog.remote_tag()), flow, &ack, &mut self.out);
    }

    pub(super) fn wake_leg(&mut self, now: Time, at: Time, id: LegId) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        leg.alarm.rang(at);
        match &mut leg.state {
            State::Ringing(_) => self.wake_ringing(now, id),
            State::Talking(_) => self.wake_session(now, id),
            State::Dialing(_) => {}
        }
        self.arm_leg(id);
    }

    fn wake_session(&mut self, now: Time, leg: LegId) {
        let Some(session) = self.legs.get_mut(leg).and_then(Leg::session_mut) else { return };
        if let Some(unacked) = &mut session.unacked {
            if unacked.give_up_at <= now {
                return self.ack_never_came(now, leg);
            }
            if unacked.resend(now) {
                let transaction = unacked.transaction;
                self.transactions.repeat_success(now, transaction, &mut self.out);
            }
        }
        let Some(session) = self.legs.get_mut(leg).and_then(Leg::session_mut) else { return };
        match session.asking.as_ref().map(|asking| asking.step) {
            Some(AskingStep::Glare { again_at }) if again_at <= now => {
                if let Some(asking) = session.asking.take() {
                    session.wanted = Some(asking.body);
                }
                self.dialog_is_free(now, leg);
            }
            Some(AskingStep::Sent { transaction, give_up_at }) if give_up_at <= now => {
                self.transactions.forget(transaction);
                self.lose_dialog(now, leg, build::local_failure(LocalFailure::Timeout));
            }
            _ => {}
        }
    }

    /// The leg ends while a re-INVITE of ours is open. The peer owes it an answer (§15.1.2), but not for ever.
    fn abandon_re_invite(&mut self, now: Time, leg: LegId) {
        let Some(session) = self.legs.get_mut(leg).and_then(Leg::session_mut) else { return };
        if let Some(Asking { step: AskingStep::Sent { transaction, .. }, .. }) = session.asking.take() {
            self.forget_later(now, transaction);
        }
    }

    /// §13.3.1.4: the session is ended by us.
    fn ack_never_came(&mut self, now: Time, leg: LegId) {
        let is_owned = self.legs.get(leg).is_some_and(Leg::is_owned);
        let reason = Text::constant("SIP;cause=408;text=\"No ACK\"");
        self.send_bye(now, leg, Some(reason));
        if is_owned {
            self.out.tell(Event::AckTimeout { leg });
        }
    }

    fn send_re_invite(&mut self, now: Time, leg: LegId, body: Option<Body>) {
        let give_up_at = now + self.config.ring_limit;
        let Some(own) = self.legs.get_mut(leg) else { return };
        let reach = own.reach.clone();
        let Some(session) = own.session_mut() else { return };
        let mut request = session.dialog.request(Method::Invite);
        let dialog = session.dialog.clone();
        let Some(flow) = self.way_to(&dialog, &reach) else {
            if reach.browser.is_some() {
                return self.give_up_re_invite(now, leg, Status::SERVICE_UNAVAILABLE);
            }
            return self.lose_dialog(now, leg, build::local_failure(LocalFailure::Unreachable));
        };
        request.headers.push_value(HeaderName::Contact, &self.contact_for(&flow, dialog.local()));
        request.headers.push(HeaderName::Allow, Text::constant(build::ALLOW));
        build::set_body(&mut request.headers, &mut request.body, body.as_ref());
        let transaction = self.send_request(now, request, flow, Owner::ReInvite(leg));
        if let Some(session) = self.legs.get_mut(leg).and_then(Leg::session_mut) {
            session.asking = Some(Asking { body, step: AskingStep::Sent { transaction, give_up_at }, challenges: 0 });
        }
        self.arm_leg(leg);
    }

    fn re_invite_accepted(&mut self, now: Time, leg: LegId, heard: &Heard, response: &Response, is_current: bool) {
        let due = ack_due_of(heard.id, &heard.request);
        let own = self.legs.get_mut(leg);
        let Some(session) = own.and_then(Leg::session_mut).filter(|_| is_current) else {
            return self.acknowledge_late(leg, heard, response, &due);
        };
        session.asking = None;
        session.dialog.refresh_target(&response.headers);
        let dialog = session.dialog.clone();
        let needs_ack = heard.request.body.is_empty() && !response.body.is_empty();
        if needs_ack {
            session.ack_due = Some(due);
        } else if let Some(reach) = self.legs.get(leg).map(|own| own.reach.clone()) {
            self.send_ack(&dialog, &reach, &due, None);
        }
        let sdp = build::sdp_of(&response.headers, &response.body);
        if self.legs.get(leg).is_some_and(Leg::is_owned) {
            self.out.tell(Event::ReInviteAnswered { leg, sdp, needs_ack });
        }
        self.dialog_is_free(now, leg);
    }

    /// A success to a re-INVITE whose leg is gone or has gone on: still owed its ACK. One that waits for the engine's
    /// answer gets it when the engine gives it.
    fn acknowledge_late(&mut self, leg: LegId, heard: &Heard, response: &Response, due: &AckDue) {
        let is_waiting = self
            .legs
            .get(leg)
            .and_then(Leg::session)
            .is_some_and(|session| session.ack_due.as_ref().is_some_and(|own| own.transaction == heard.id));
        if is_waiting {
            return;
        }
        let Ok(dialog) = Dialog::answered(&heard.request, response) else { return };
        self.send_ack(&dialog, &Reach::by(heard.flow), due, None);
    }

    fn re_invite_refused(&mut self, now: Time, leg: LegId, heard: &Heard, response: &Response) {
        let Some(own) = self.legs.get_mut(leg) else { return };
        let credentials = own.credentials.clone();
        let Some(session) = own.session_mut() else { return };
        let Some(mut asking) = session.asking.take() else { return };
        let challenges = asking.challenges;
        if let Some(request) = self.with_answer(heard, response, credentials.as_deref(), challenges) {
            let owner = Owner::ReInvite(leg);
            let transaction = self.transactions.start_client(now, request, heard.flow, owner, &mut self.out);
            if let Some(session) = self.legs.get_mut(leg).and_then(Leg::session_mut) {
                session.dialog.count_retry();
                asking.challenges += 1;
                asking.step = AskingStep::Sent { transaction, give_up_at: now + self.config.ring_limit };
                session.asking = Some(asking);
            }
            return self.arm_leg(leg);
        }
        match response.status {
            Status::REQUEST_PENDING => self.wait_after_glare(now, leg, asking),
            // §12.2.1.2: the peer no longer knows the dialog.
            Status::CALL_DOES_NOT_EXIST | Status::REQUEST_TIMEOUT => {
                self.lose_dialog(now, leg, build::failure_of(response));
            }
            status => self.give_up_re_invite(now, leg, status),
        }
    }

    /// Our re-INVITE came to nothing; the session is as it was.
    fn give_up_re_invite(&mut self, now: Time, leg: LegId, status: Status) {
        if let Some(session) = self.legs.get_mut(leg).and_then(Leg::session_mut) {
            session.asking = None;
        }
        if self.legs.get(leg).is_some_and(Leg::is_owned) {
            self.out.tell(Event::ReInviteFailed { leg, status });
        }
        self.dialog_is_free(now, leg);
    }

    /// §14.1: whoever made the Call-ID waits longer, so that the two do not meet again.
    fn wait_after_glare(&mut self, now: Time, leg: LegId, mut asking: Asking) {
        let roll = |random: &mut rand::rngs::StdRng, range| random.random_range::<u64, _>(range) * 10;
        let Some(session) = self.legs.get_mut(leg).and_then(Leg::session_mut) else { return };
        let wait_ms = if session.is_caller { roll(&mut self.random, 210..=400) } else { roll(&mut self.random, 0..=200) };
        asking.step = AskingStep::Glare { again_at: now + Duration::from_millis(wait_ms) };
        session.asking = Some(asking);
        self.arm_leg(leg);
    }

    /// The dialog cannot go on: the peer is told, in case it can hear, and the engine.
    fn lose_dialog(&mut self, now: Time, leg: LegId, failure: Failure) {
        let is_owned = self.legs.get(leg).is_some_and(Leg::is_owned);
        self.send_bye(now, leg, None);
        if is_owned {
            self.out.tell(Event::Failed { leg, failure });
        }
    }

    fn owned_session(&mut self, leg: LegId) -> Result<&mut Session, CommandError> {
        match &mut self.legs.get_mut(leg).ok_or(CommandError::NoSuchLeg)?.state {
            State::Talking(session) if session.hang_up.is_some() => Err(CommandError::NoSuchLeg),
            State::Talking(session) => Ok(session),
            State::Ringing(_) | State::Dialing(_) => Err(CommandError::WrongState),
        }
    }
}

impl Session {
    fn is_asking_with(&self, id: super::transactions::TransactionId) -> bool {
        matches!(self.asking, Some(Asking { step: AskingStep::Sent { transaction, .. }, .. }) if transaction == id)
    }
}
