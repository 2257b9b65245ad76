//! Requests that the phone sends, and what their answers mean.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::PhoneError;
use super::agent::{Agent, Key, random_word};
use super::call::{Change, Ended, PhoneCall, Progress};
use super::resend::Resend;
use crate::gateway::sdp::{CONTENT_TYPE, Direction};
use crate::sip::auth::{Credentials, answer_challenge};
use crate::sip::wire::{CSeq, Flow, HeaderName, Method, NameAddr, Request, Response, Status, Text, Uri};

type Reply = oneshot::Sender<Result<(), PhoneError>>;

/// A request that waits for its final answer.
pub(super) struct Pending {
    pub(super) request: Request,
    pub(super) resend: Resend,
    purpose: Purpose,
    /// The password was tried once; a second challenge is a refusal.
    is_authenticated: bool,
    /// Something was heard of it, so that it may be cancelled (RFC 3261 §9.1).
    has_provisional: bool,
}

enum Purpose {
    Register { expires: Duration, reply: Option<Reply> },
    Invite { id: Text },
    ReInvite { id: Text, is_held: bool, reply: Option<Reply> },
    HangUp { reply: Option<Reply> },
    Cancel,
}

impl Purpose {
    fn tell(self, outcome: Result<(), PhoneError>) {
        let reply = match self {
            Purpose::Register { reply, .. } | Purpose::ReInvite { reply, .. } | Purpose::HangUp { reply } => reply,
            Purpose::Invite { .. } | Purpose::Cancel => None,
        };
        if let Some(reply) = reply {
            let _ = reply.send(outcome);
        }
    }
}

impl Agent {
    pub(super) fn register(&mut self, expires: Duration, reply: Option<Reply>) {
        self.refresh = None;
        self.register_cseq += 1;
        let mut request = Request::new(Method::Register, self.at_server(""));
        let own = NameAddr::new(self.at_server(&self.setup.user));
        let headers = &mut request.headers;
        headers.push_value(HeaderName::Via, &self.via());
        headers.push(HeaderName::MaxForwards, Text::constant("70"));
        headers.push_value(HeaderName::From, &own.clone().with_tag(random_word()));
        headers.push_value(HeaderName::To, &own);
        headers.push(HeaderName::CallId, &self.register_id);
        headers.push_value(HeaderName::CSeq, &CSeq::new(self.register_cseq, Method::Register));
        headers.push_value(HeaderName::Contact, &NameAddr::new(self.contact()));
        headers.push_value(HeaderName::Expires, &expires.as_secs());
        self.start(request, self.to_server(), Purpose::Register { expires, reply });
    }

    pub(super) async fn dial(&mut self, to: &str, offers_late: bool) -> Result<PhoneCall, PhoneError> {
        let target: Uri = if to.contains(':') && to.contains('@') {
            to.parse().map_err(|_| PhoneError::BadAddress(to.into()))?
        } else {
            self.at_server(to).into()
        };
        let (local, remote) = (self.own_address(), NameAddr::new(target.clone()));
        let mut request = Request::new(Method::Invite, target);
        let headers = &mut request.headers;
        headers.push_value(HeaderName::Via, &self.via());
        headers.push(HeaderName::MaxForwards, Text::constant("70"));
        headers.push_value(HeaderName::From, &local);
        headers.push_value(HeaderName::To, &remote);
        headers.push(HeaderName::CallId, random_word());
        headers.push_value(HeaderName::CSeq, &CSeq::new(1, Method::Invite));
        headers.push_value(HeaderName::Contact, &NameAddr::new(self.contact()));
        headers.push(HeaderName::Allow, Text::constant("INVITE, ACK, CANCEL, BYE, OPTIONS, INFO"));
        let flow = self.to_server();
        let call = self.open_leg(request.clone(), local, remote, flow, true).await?;
        if let Some(leg) = self.legs.get_mut(&call.id) {
            leg.awaits_offer = offers_late;
            let request = match offers_late {
                true => request,
                false => request.with_body(CONTENT_TYPE, leg.offer(Direction::SendRecv)),
            };
            self.start(request, flow, Purpose::Invite { id: call.id.clone() });
        }
        Ok(call)
    }

    pub(super) fn hang_up(&mut self, id: &Text, reply: Option<Reply>) {
        let Some(leg) = self.legs.get_mut(id) else {
            return Purpose::HangUp { reply }.tell(Err(PhoneError::Ended));
        };
        let is_talking = leg.is_talking();
        let (is_ours, flow) = (leg.is_ours, leg.flow);
        if is_talking {
            leg.end(Ended::ByUs);
            let bye = self.request_in_dialog(id, Method::Bye, None);
            return match bye {
                Some(bye) => self.start(bye, flow, Purpose::HangUp { reply }),
                None => Purpose::HangUp { reply }.tell(Err(PhoneError::Ended)),
            };
        }
        if is_ours {
            leg.is_given_up = true;
            self.cancel(id);
        } else {
            leg.end(Ended::ByUs);
            self.refuse_call(id, Status::DECLINE);
        }
        Purpose::HangUp { reply }.tell(Ok(()));
    }

    pub(super) fn hold(&mut self, id: &Text, is_held: bool, reply: Reply) {
        let Some(leg) = self.legs.get_mut(id).filter(|leg| leg.is_talking()) else {
            let _ = reply.send(Err(PhoneError::Ended));
            return;
        };
        let was_held = std::mem::replace(&mut leg.is_held, is_held);
        let offer = leg.offer(leg.direction());
        leg.is_held = was_held;
        self.re_invite(id, is_held, offer, reply);
    }

    fn re_invite(&mut self, id: &Text, is_held: bool, offer: String, reply: Reply) {
        let Some(flow) = self.legs.get(id).map(|leg| leg.flow) else { return };
        if let Some(request) = self.request_in_dialog(id, Method::Invite, None) {
            let purpose = Purpose::ReInvite { id: id.clone(), is_held, reply: Some(reply) };
            self.start(request.with_body(CONTENT_TYPE, offer), flow, purpose);
        }
    }

    pub(super) async fn change(&mut self, id: &Text, change: Change, reply: Reply) {
        let address = self.address.ip();
        let Some(leg) = self.legs.get_mut(id).filter(|leg| leg.is_talking()) else {
            let _ = reply.send(Err(PhoneError::Ended));
            return;
        };
        match change {
            Change::Codecs(codecs) => leg.media.speak_only(&codecs),
            Change::Ports => match leg.talk.elsewhere(address, &self.setup.says).await {
                Ok(talk) => {
                    leg.media.move_to(talk.local);
                    leg.next_talk = Some(talk);
                }
                Err(error) => {
                    let _ = reply.send(Err(PhoneError::Sockets(error.to_string())));
                    return;
                }
            },
        }
        let (offer, is_held) = (leg.offer(leg.direction()), leg.is_held);
        self.re_invite(id, is_held, offer, reply);
    }

    /// Takes our INVITE back, once something was heard of it; with its own Via (RFC 3261 §9.1).
    fn cancel(&mut self, id: &Text) {
        let is_of_call = |pending: &&Pending| matches!(&pending.purpose, Purpose::Invite { id: own } if own == id);
        let Some(pending) = self.pending.values().find(is_of_call).filter(|pending| pending.has_provisional) else { return };
        let Some(leg) = self.legs.get_mut(id) else { return };
        if std::mem::replace(&mut leg.is_cancelled, true) {
            return;
        }
        let (invite, flow) = (&pending.request, pending.resend.to);
        let mut cancel = Request::new(Method::Cancel, invite.uri.clone());
        cancel.headers.extend_from(&invite.headers, &[HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::Route]);
        if let Some(via) = invite.headers.get(&HeaderName::Via) {
            cancel.headers.push_front(HeaderName::Via, via);
        }
        let number = invite.headers.cseq().map_or(1, |cseq| cseq.number);
        cancel.headers.push_value(HeaderName::CSeq, &CSeq::new(number, Method::Cancel));
        cancel.headers.push(HeaderName::MaxForwards, Text::constant("70"));
        self.start(cancel, flow, Purpose::Cancel);
    }

    fn request_in_dialog(&mut self, id: &Text, method: Method, number: Option<u32>) -> Option<Request> {
        let (via, contact) = (self.via(), self.contact());
        Some(self.legs.get_mut(id)?.request(method, number, &via, &contact))
    }

    fn start(&mut self, request: Request, to: Flow, purpose: Purpose) {
        self.start_again(request, to, purpose, false);
    }

    fn start_again(&mut self, request: Request, to: Flow, purpose: Purpose, is_authenticated: bool) {
        let Some(key) = super::agent::key_of(&request) else { return };
        let bytes = request.to_bytes();
        self.send(to, bytes.clone());
        let resend = Resend::new(Instant::now(), bytes, to);
        self.pending.insert(key, Pending { request, resend, purpose, is_authenticated, has_provisional: false });
    }

    pub(super) fn take_response(&mut self, response: Response) {
        let (Ok(via), Ok(cseq)) = (response.headers.via(), response.headers.cseq()) else { return };
        let Some(branch) = via.branch() else { return };
        let key: Key = (branch.clone(), cseq.method.clone());
        if response.status.is_provisional() {
            return self.take_provisional(&key, &response);
        }
        match self.pending.remove(&key) {
            Some(pending) => self.take_final(pending, response, &cseq),
            None => self.repeat_ack(&key, &response, cseq.method == Method::Invite),
        }
    }

    fn take_provisional(&mut self, key: &Key, response: &Response) {
        let Some(pending) = self.pending.get_mut(key) else { return };
        let Purpose::Invite { id } = &pending.purpose else { return };
        let id = id.clone();
        pending.resend.stop();
        pending.has_provisional = true;
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if response.status != Status::TRYING {
            leg.learn(&response.headers);
            let has_sound = !response.body.is_empty() && leg.take_answer(&response.body).is_ok();
            leg.advance(if has_sound { Progress::EarlyMedia } else { Progress::Ringing });
        }
        if leg.is_given_up {
            self.cancel(&id);
        }
    }

    fn take_final(&mut self, pending: Pending, response: Response, cseq: &CSeq) {
        if cseq.method == Method::Invite && !response.status.is_success() {
            self.acknowledge_refusal(&pending, &response);
        }
        let is_challenge = [Status::UNAUTHORIZED, Status::PROXY_AUTHENTICATION_REQUIRED].contains(&response.status);
        let pending = match is_challenge && !pending.is_authenticated {
            true => match self.authenticate(pending, &response) {
                Some(pending) => pending,
                None => return,
            },
            false => pending,
        };
        let outcome = match response.status.is_success() {
            true => Ok(()),
            false => Err(PhoneError::Refused { status: response.status.code(), phrase: response.reason.to_string() }),
        };
        match &pending.purpose {
            Purpose::Register { expires, .. } if outcome.is_ok() && !expires.is_zero() => {
                self.refresh = Some((Instant::now() + self.granted(&response, *expires) / 2, *expires));
            }
            Purpose::Invite { id } => self.take_invite_final(&id.clone(), &response, cseq.number),
            Purpose::ReInvite { id, is_held, .. } if outcome.is_ok() => {
                let (id, is_held) = (id.clone(), *is_held);
                self.acknowledge(&id, cseq.number, None);
                if let Some(leg) = self.legs.get_mut(&id) {
                    leg.is_held = is_held;
                    let _ = leg.take_answer(&response.body);
                }
            }
            _ => {}
        }
        pending.purpose.tell(outcome);
    }

    /// How long the registrar keeps us: as our Contact says, or the Expires header, or as long as we asked.
    fn granted(&self, response: &Response, asked: Duration) -> Duration {
        let contacts = response.headers.addresses(HeaderName::Contact).unwrap_or_default();
        let own = Uri::from(self.contact());
        let ours = contacts.iter().find(|contact| contact.uri.is_equivalent(&own)).and_then(NameAddr::expires_seconds);
        let seconds = ours.or_else(|| response.headers.expires_seconds().ok().flatten());
        seconds.map_or(asked, |seconds| Duration::from_secs(seconds.max(2).into()).min(asked))
    }

    fn take_invite_final(&mut self, id: &Text, response: &Response, number: u32) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        if !response.status.is_success() {
            let refused = Ended::Refused { status: response.status.code(), phrase: response.reason.to_string() };
            return leg.end(if leg.is_given_up { Ended::ByUs } else { refused });
        }
        leg.learn(&response.headers);
        let awaits_offer = std::mem::take(&mut leg.awaits_offer);
        let answer = if awaits_offer { leg.answer_offer(&response.body).ok() } else { None };
        let is_understood = answer.is_some() || leg.take_answer(&response.body).is_ok() || leg.media.remote().is_some();
        let is_given_up = leg.is_given_up;
        leg.advance(Progress::Talking);
        self.acknowledge(id, number, answer);
        // The answer crossed our CANCEL, or has no sound that we understand: hang up (RFC 3261 §15).
        if is_given_up || !is_understood {
            self.hang_up(id, None);
        }
    }

    /// The ACK to a 2xx is a request of its own (RFC 3261 §13.2.2.4), and brings our answer when the 2xx brought an offer.
    fn acknowledge(&mut self, id: &Text, number: u32, answer: Option<String>) {
        let Some(mut ack) = self.request_in_dialog(id, Method::Ack, Some(number)) else { return };
        if let Some(answer) = answer {
            ack = ack.with_body(CONTENT_TYPE, answer);
        }
        let bytes = ack.to_bytes();
        if let Some(leg) = self.legs.get_mut(id) {
            leg.ack = Some(bytes.clone());
            let flow = leg.flow;
            self.send(flow, bytes);
        }
    }

    /// The ACK to a refusal belongs to the INVITE's transaction (RFC 3261 §17.1.1.3).
    fn acknowledge_refusal(&mut self, pending: &Pending, response: &Response) {
        let invite = &pending.request;
        let mut ack = Request::new(Method::Ack, invite.uri.clone());
        if let Some(via) = invite.headers.get(&HeaderName::Via) {
            ack.headers.push(HeaderName::Via, via);
        }
        ack.headers.extend_from(&invite.headers, &[HeaderName::From, HeaderName::CallId, HeaderName::Route]);
        ack.headers.copy(&HeaderName::To, &response.headers);
        let number = invite.headers.cseq().map_or(1, |cseq| cseq.number);
        ack.headers.push_value(HeaderName::CSeq, &CSeq::new(number, Method::Ack));
        ack.headers.push(HeaderName::MaxForwards, Text::constant("70"));
        let bytes = ack.to_bytes();
        if let Some((branch, _)) = super::agent::key_of(invite) {
            self.remember((branch, Method::Ack), bytes.clone());
        }
        self.send(pending.resend.to, bytes);
    }

    /// A final answer to an INVITE came again: so does our ACK.
    fn repeat_ack(&mut self, key: &Key, response: &Response, is_invite: bool) {
        if !is_invite {
            return;
        }
        if response.status.is_success() {
            let leg = response.headers.call_id().ok().and_then(|id| self.legs.get(&id));
            if let Some((ack, flow)) = leg.and_then(|leg| Some((leg.ack.clone()?, leg.flow))) {
                self.send(flow, ack);
            }
            return;
        }
        let ack_key = (key.0.clone(), Method::Ack);
        if let Some((_, ack)) = self.remembered.iter().find(|(own, _)| *own == ack_key) {
            self.send(self.to_server(), ack.clone());
        }
    }

    /// The same request with our password; the request comes back when there is no answer to the challenge.
    fn authenticate(&mut self, pending: Pending, response: &Response) -> Option<Pending> {
        let credentials = Credentials { username: self.setup.user.clone(), password: self.setup.password.clone() };
        let request = &pending.request;
        let cnonce = random_word();
        let answer = answer_challenge(&response.headers, &credentials, &request.method, &request.uri, 1, &cnonce);
        let Some((name, value)) = answer else { return Some(pending) };
        let mut request = pending.request;
        let number = request.headers.cseq().map_or(1, |cseq| cseq.number) + 1;
        request.headers.set_value(HeaderName::CSeq, &CSeq::new(number, request.method.clone()));
        request.headers.set_value(HeaderName::Via, &self.via());
        request.headers.set(name, value);
        match &pending.purpose {
            Purpose::Register { .. } => self.register_cseq = number,
            Purpose::Invite { id } => {
                if let Some(leg) = self.legs.get_mut(id) {
                    leg.cseq = number;
                }
            }
            _ => {}
        }
        self.start_again(request, pending.resend.to, pending.purpose, true);
        None
    }

    /// Ends every request that `is_lost` names, as unanswered.
    pub(super) fn fail_pending(&mut self, is_lost: impl Fn(&Pending) -> bool) {
        let lost: Vec<Key> = self.pending.iter().filter(|(_, pending)| is_lost(pending)).map(|(key, _)| key.clone()).collect();
        for key in lost {
            let Some(pending) = self.pending.remove(&key) else { continue };
            if let Purpose::Invite { id } = &pending.purpose
                && let Some(leg) = self.legs.get(id)
            {
                leg.end(Ended::NoAnswer);
            }
            let server = self.setup.server;
            pending.purpose.tell(Err(PhoneError::NoAnswer(server)));
        }
    }
}
