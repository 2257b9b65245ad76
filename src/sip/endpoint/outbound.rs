//! Legs that we dial, until one of their phones answers: forking, CANCEL, challenges, and what comes too late
//! (RFC 3261 §13.2, §9.1, §16.7 for the choice among failures).

use std::net::SocketAddr;
use std::sync::Arc;

use smallvec::SmallVec;

use super::legs::{AckDue, Branch, Cancel, Dialing, Leg, Reach, Session, State};
use super::timers::Alarm;
use super::transactions::{BranchId, Heard, Owner, TransactionId, What};
use super::{
    Body, CommandError, Dial, DialTarget, Endpoint, Event, Failure, INBOUND_BIT, Identity, LocalFailure, Offered, SendFailure,
    build,
};
use crate::sip::auth::{self, Credentials};
use crate::sip::dialog::Dialog;
use crate::sip::registrar::{Binding, Phone};
use crate::sip::transaction::TRANSACTION_TIMEOUT;
use crate::sip::wire::{
    CSeq, Flow, HeaderName, Headers, Host, Method, NameAddr, Reason, Request, Response, SipUri, Status, Text, Transport, Uri,
};
use crate::types::{AgentId, LegId, Time};

/// Challenges answered for one request: the peer's, a proxy's before it, and a nonce that has just grown stale.
const MAX_CHALLENGES: u8 = 3;

/// One phone to ring.
struct Goal {
    uri: Uri,
    routes: Vec<NameAddr>,
    flow: Flow,
    is_phone: bool,
    browser: Option<Arc<Phone>>,
}

impl Endpoint {
    pub(super) fn dial(&mut self, now: Time, dial: Dial) -> Result<(), CommandError> {
        if dial.leg.0 & INBOUND_BIT != 0 || self.legs.contains(dial.leg) {
            return Err(CommandError::WrongState);
        }
        if self.legs.len() >= self.config.limits.legs || self.transactions.len() >= self.config.limits.transactions {
            return Err(CommandError::Overloaded);
        }
        let mut goals = self.goals_of(&dial.target)?;
        if dial.body.is_some() || dial.browser.is_some() {
            goals.retain(|goal| dial.offer_for(goal).is_some());
        }
        if goals.is_empty() {
            return Err(CommandError::NotRegistered);
        }
        let mut branches = Vec::with_capacity(goals.len());
        for (goal, fork) in goals.into_iter().zip(0..) {
            branches.push(self.start_branch(now, &dial, &goal, fork));
        }
        let reach = Reach { is_phone: false, ..Reach::by(self.unused_flow()) };
        let state = State::Dialing(Dialing { branches, failure: None });
        let credentials = dial.credentials.map(Box::new);
        self.legs.insert(dial.leg, Leg { reach, credentials, state, alarm: Alarm::default() });
        Ok(())
    }

    pub(super) fn probe(
        &mut self,
        now: Time,
        probe: u64,
        transport: Transport,
        remote: SocketAddr,
        uri: Uri,
    ) -> Result<(), CommandError> {
        let flow = self.config.flow_to(transport, remote).ok_or(CommandError::NoListener)?;
        let (host, _) = self.config.name_towards(&flow);
        let mut request = Request::new(Method::Options, uri.clone());
        let from = NameAddr::new(SipUri::new(host).with_user("perezvon")).with_tag(self.token());
        let call_id = self.new_call_id();
        let headers = &mut request.headers;
        headers.push_value(HeaderName::From, &from);
        headers.push_value(HeaderName::To, &NameAddr::new(uri));
        headers.push(HeaderName::CallId, call_id);
        headers.push_value(HeaderName::CSeq, &CSeq::new(1, Method::Options));
        headers.push_value(HeaderName::Contact, &self.contact_for(&flow, &from));
        headers.push(HeaderName::Accept, Text::constant(build::ACCEPT));
        self.send_request(now, request, flow, Owner::Options(probe));
        Ok(())
    }

    pub(super) fn hear_branch(&mut self, now: Time, id: BranchId, heard: Heard) {
        let Some(branch) = self.branches.get_mut(&id) else { return self.stray_answer(now, heard) };
        if branch.transaction != heard.id {
            return;
        }
        match &heard.what {
            What::TimedOut => self.branch_failed(now, id, build::local_failure(LocalFailure::Timeout)),
            What::NotSent(SendFailure::Refused) => {
                self.branch_failed(now, id, build::local_failure(LocalFailure::Refused));
            }
            What::NotSent(SendFailure::Unreachable) => {
                self.branch_failed(now, id, build::local_failure(LocalFailure::Unreachable));
            }
            What::Response(response) if response.status.is_provisional() => {
                let response = response.clone();
                self.branch_progresses(now, id, &response);
            }
            What::Response(response) if response.status.is_success() => {
                let response = response.clone();
                self.branch_answers(now, id, &heard, &response);
            }
            What::Response(response) => {
                let response = response.clone();
                if !self.answer_challenge(now, id, &heard, &response) && !self.offer_fallback(now, id, &heard, &response) {
                    self.branch_failed(now, id, build::failure_of(&response));
                }
            }
        }
    }

    /// Takes the INVITE of a branch back, now or when the first provisional response allows it (§9.1).
    pub(super) fn cancel_branch(&mut self, now: Time, id: BranchId, reason: Option<Text>) {
        let Some(branch) = self.branches.get_mut(&id) else { return };
        branch.leg = None;
        if branch.cancel == Cancel::No {
            branch.cancel = Cancel::Wanted(reason);
        }
        self.try_cancel(now, id);
    }

    pub(super) fn wake_branch(&mut self, now: Time, at: Time, id: BranchId) {
        let Some(branch) = self.branches.get_mut(&id) else { return };
        branch.alarm.rang(at);
        if branch.give_up_at.is_none_or(|give_up| give_up > now) {
            return self.arm_branch(id);
        }
        if branch.cancel == Cancel::Sent {
            // §9.1: no final answer to a cancelled INVITE for 64*T1.
            let transaction = branch.transaction;
            self.branches.remove(&id);
            self.transactions.forget(transaction);
            return;
        }
        let leg = branch.leg;
        branch.give_up_at = None;
        let reason = Some(Text::constant("SIP;cause=408;text=\"Ring limit\""));
        self.cancel_branch(now, id, reason);
        if let Some(leg) = leg {
            self.fork_ended(now, leg, id, build::local_failure(LocalFailure::Timeout));
        }
    }

    /// Gives an INVITE that nobody waits for any more 64*T1 to end by itself.
    pub(super) fn forget_later(&mut self, now: Time, transaction: TransactionId) {
        self.last_branch += 1;
        let id = BranchId(self.last_branch);
        let branch = Branch {
            leg: None,
            fork: 0,
            transaction,
            is_phone: false,
            browser: None,
            offered: Offered::Phone,
            fallback: None,
            credentials: None,
            challenges: 0,
            cancel: Cancel::Sent,
            alarm: Alarm::default(),
            give_up_at: Some(now + TRANSACTION_TIMEOUT),
        };
        self.branches.insert(id, branch);
        self.arm_branch(id);
    }

    fn goals_of(&self, target: &DialTarget) -> Result<SmallVec<[Goal; 2]>, CommandError> {
        match target {
            DialTarget::Address { transport, remote, uri } => {
                let flow = self.config.flow_to(*transport, *remote).ok_or(CommandError::NoListener)?;
                Ok(SmallVec::from_iter([Goal { uri: uri.clone(), routes: Vec::new(), flow, is_phone: false, browser: None }]))
            }
            DialTarget::Browser(user) => {
                let newest = self.registrar.bindings(user).into_iter().filter(|binding| binding.is_browser());
                let newest = newest.filter_map(|binding| self.goal_of(user, binding)).take(1);
                Ok(newest.collect())
            }
            DialTarget::User(user) => {
                let bindings = self.registrar.bindings(user).into_iter();
                Ok(bindings.filter_map(|binding| self.goal_of(user, binding)).take(self.config.limits.forks).collect())
            }
        }
    }

    fn goal_of(&self, user: &AgentId, binding: &Binding) -> Option<Goal> {
        let by_flow = binding.flow.filter(|flow| self.is_usable(flow));
        let flow = by_flow.or_else(|| self.way_to_contact(&binding.contact))?;
        let (uri, routes) = (binding.contact.clone(), binding.path.clone());
        let browser = binding.is_browser().then(|| Arc::new(binding.phone(user)));
        Some(Goal { uri, routes, flow, is_phone: by_flow.is_some(), browser })
    }

    fn start_branch(&mut self, now: Time, dial: &Dial, goal: &Goal, fork: u16) -> BranchId {
        let request = self.invite_for(dial, goal);
        self.last_branch += 1;
        let id = BranchId(self.last_branch);
        let transaction = self.send_request(now, request, goal.flow, Owner::Branch(id));
        let branch = Branch {
            leg: Some(dial.leg),
            fork,
            transaction,
            is_phone: goal.is_phone,
            browser: goal.browser.clone(),
            offered: if goal.browser.is_some() { Offered::Browser } else { Offered::Phone },
            fallback: if goal.browser.is_some() { None } else { dial.fallback.clone() },
            credentials: dial.credentials.clone().map(Box::new),
            challenges: 0,
            cancel: Cancel::No,
            alarm: Alarm::default(),
            give_up_at: None,
        };
        self.branches.insert(id, branch);
        id
    }

    /// Each phone gets an INVITE with a Call-ID of its own: two ways to one phone are two calls for it, not a merged one.
    fn invite_for(&mut self, dial: &Dial, goal: &Goal) -> Request {
        let (host, _) = self.config.name_towards(&goal.flow);
        let from = address_of(&dial.from, host).with_tag(self.token());
        let to = if dial.to.user.is_none() && dial.to.host.is_none() {
            NameAddr { display: dial.to.display.clone(), ..NameAddr::new(bare(&goal.uri)) }
        } else {
            address_of(&dial.to, goal.uri.host().cloned().unwrap_or_else(|| Host::from(goal.flow.remote.ip())))
        };
        let contact = self.contact_for(&goal.flow, &from);
        let call_id = self.new_call_id();
        let mut request = Request::new(Method::Invite, goal.uri.clone());
        let headers = &mut request.headers;
        headers.push(HeaderName::MaxForwards, dial.max_forwards.to_string());
        for route in &goal.routes {
            headers.push_value(HeaderName::Route, route);
        }
        headers.push_value(HeaderName::From, &from);
        headers.push_value(HeaderName::To, &to);
        headers.push(HeaderName::CallId, call_id);
        headers.push_value(HeaderName::CSeq, &CSeq::new(1, Method::Invite));
        headers.push_value(HeaderName::Contact, &contact);
        headers.push(HeaderName::Allow, Text::constant(build::ALLOW));
        for (name, value) in &dial.headers {
            headers.push(name.clone(), value.clone());
        }
        build::set_body(&mut request.headers, &mut request.body, dial.offer_for(goal));
        request
    }

    fn branch_progresses(&mut self, now: Time, id: BranchId, response: &Response) {
        let ring_limit = self.config.ring_limit;
        let Some(branch) = self.branches.get_mut(&id) else { return };
        if branch.cancel != Cancel::No {
            return self.try_cancel(now, id);
        }
        branch.give_up_at = Some(now + ring_limit);
        let (leg, fork, offered) = (branch.leg, branch.fork, branch.offered);
        self.arm_branch(id);
        if response.status != Status::TRYING
            && let Some(leg) = leg
        {
            let sdp = build::sdp_of(&response.headers, &response.body);
            self.out.tell(Event::Progress { leg, fork, offered, status: response.status, sdp });
        }
    }

    fn branch_answers(&mut self, now: Time, id: BranchId, heard: &Heard, response: &Arc<Response>) {
        let Some(branch) = self.branches.remove(&id) else { return };
        let waiting = branch.leg.and_then(|leg| self.legs.get(leg).map(|own| (leg, own)));
        let Some((leg, Leg { state: State::Dialing(dialing), .. })) = waiting else {
            return self.decline_answer(now, heard, response, branch.credentials);
        };
        let losers = dialing.branches.clone();
        let Ok(dialog) = Dialog::answered(&heard.request, response) else {
            return self.fork_ended(now, leg, id, build::local_failure(LocalFailure::Unreachable));
        };
        for loser in losers.into_iter().filter(|loser| *loser != id) {
            let reason = Text::from(Reason::completed_elsewhere().to_string());
            self.cancel_branch(now, loser, Some(reason));
        }
        let needs_ack = heard.request.body.is_empty() && !response.body.is_empty();
        let due = ack_due_of(heard.id, &heard.request);
        let reach = Reach { flow: heard.flow, is_phone: branch.is_phone, browser: branch.browser };
        let mut session = Session::new(dialog, true);
        if needs_ack {
            session.ack_due = Some(due);
        } else {
            self.send_ack(&session.dialog, &reach, &due, None);
        }
        self.legs.establish(leg, reach, session);
        let sdp = build::sdp_of(&response.headers, &response.body);
        let (fork, offered) = (branch.fork, branch.offered);
        self.out.tell(Event::Answered { leg, fork, offered, response: response.clone(), sdp, needs_ack });
    }

    /// A success that came after the branch was done: a copy of the winning one, or another fork of a proxy's.
    fn stray_answer(&mut self, now: Time, heard: Heard) {
        let What::Response(response) = &heard.what else { return };
        if response.status.is_success() && self.legs.of_answer(&response.headers).is_none() {
            let response = response.clone();
            self.decline_answer(now, &heard, &response, None);
        }
    }

    /// Nobody wants this answer: it is acknowledged and hung up (§13.2.2.4).
    fn decline_answer(&mut self, now: Time, heard: &Heard, response: &Response, credentials: Option<Box<Credentials>>) {
        let Ok(mut dialog) = Dialog::answered(&heard.request, response) else { return };
        let reach = Reach::by(heard.flow);
        self.send_ack(&dialog, &reach, &ack_due_of(heard.id, &heard.request), None);
        let bye = dialog.request(Method::Bye);
        self.send_request(now, bye, heard.flow, Owner::Bye(credentials));
    }

    fn branch_failed(&mut self, now: Time, id: BranchId, failure: Failure) {
        let Some(branch) = self.branches.remove(&id) else { return };
        if let Some(leg) = branch.leg {
            self.fork_ended(now, leg, id, failure);
        }
    }

    /// One fork will not answer. When it was the last, or the user has declined for all phones (6xx), the leg has failed.
    fn fork_ended(&mut self, now: Time, leg: LegId, id: BranchId, failure: Failure) {
        let Some(Leg { state: State::Dialing(dialing), .. }) = self.legs.get_mut(leg) else { return };
        dialing.branches.retain(|branch| *branch != id);
        let is_global = failure.status.code() >= 600;
        let better = match dialing.failure.take() {
            Some(earlier) if rank(&earlier) <= rank(&failure) => earlier,
            _ => failure,
        };
        if !dialing.branches.is_empty() && !is_global {
            dialing.failure = Some(better);
            return;
        }
        let rest = std::mem::take(&mut dialing.branches);
        for branch in rest {
            self.cancel_branch(now, branch, None);
        }
        self.legs.remove(leg);
        self.out.tell(Event::Failed { leg, failure: better });
    }

    fn try_cancel(&mut self, now: Time, id: BranchId) {
        let Some(branch) = self.branches.get_mut(&id) else { return };
        let Cancel::Wanted(reason) = branch.cancel.clone() else { return };
        if !self.transactions.is_cancellable(branch.transaction) {
            return;
        }
        branch.cancel = Cancel::Sent;
        branch.give_up_at = Some(now + TRANSACTION_TIMEOUT);
        if let Some((invite, flow)) = self.transactions.sent_request(branch.transaction) {
            let cancel = build::cancel_of(&invite, reason.as_ref());
            self.transactions.start_client(now, cancel, flow, Owner::Cancel, &mut self.out);
        }
        self.arm_branch(id);
    }

    /// Whether the failure was a challenge, and the INVITE is on its way again with an answer to it.
    fn answer_challenge(&mut self, now: Time, id: BranchId, heard: &Heard, response: &Response) -> bool {
        let Some(branch) = self.branches.get(&id) else { return false };
        if branch.challenges >= MAX_CHALLENGES || branch.leg.is_none() {
            return false;
        }
        let (challenges, credentials) = (branch.challenges, branch.credentials.clone());
        let Some(request) = self.with_answer(heard, response, credentials.as_deref(), challenges) else { return false };
        let transaction = self.transactions.start_client(now, request, heard.flow, Owner::Branch(id), &mut self.out);
        if let Some(branch) = self.branches.get_mut(&id) {
            branch.transaction = transaction;
            branch.challenges += 1;
        }
        true
    }

    /// Whether the phone refused what it was offered (488, or 415 from those who mean it), and the INVITE is on its way
    /// again with an offer that asks less.
    fn offer_fallback(&mut self, now: Time, id: BranchId, heard: &Heard, response: &Response) -> bool {
        let refuses_offer = matches!(response.status, Status::NOT_ACCEPTABLE_HERE | Status::UNSUPPORTED_MEDIA_TYPE);
        let Some(branch) = self.branches.get_mut(&id).filter(|branch| refuses_offer && branch.leg.is_some()) else {
            return false;
        };
        let Some(body) = branch.fallback.take() else { return false };
        let branch_token = self.token();
        let via = build::via(heard.flow.transport, self.config.name_towards(&heard.flow), &branch_token);
        let mut request = build::again(&heard.request, &via);
        build::set_body(&mut request.headers, &mut request.body, Some(&body));
        let transaction = self.transactions.start_client(now, request, heard.flow, Owner::Branch(id), &mut self.out);
        if let Some(branch) = self.branches.get_mut(&id) {
            branch.transaction = transaction;
            branch.offered = Offered::Fallback;
        }
        true
    }

    /// The request again with an answer to the challenge in `response`; `None` when there is none to give.
    pub(super) fn with_answer(
        &mut self,
        heard: &Heard,
        response: &Response,
        credentials: Option<&Credentials>,
        challenges: u8,
    ) -> Option<Request> {
        if !matches!(response.status, Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED)
            || challenges >= MAX_CHALLENGES
        {
            return None;
        }
        let request = &heard.request;
        // A second challenge to the same proof means that the password is wrong, unless only the nonce was too old.
        let answered = match response.status {
            Status::UNAUTHORIZED => HeaderName::Authorization,
            _ => HeaderName::ProxyAuthorization,
        };
        if request.headers.has(&answered) && !auth::is_stale(&response.headers) {
            return None;
        }
        let cnonce = self.token();
        let answer = auth::answer_challenge(&response.headers, credentials?, &request.method, &request.uri, 1, &cnonce)?;
        let branch = self.token();
        let via = build::via(heard.flow.transport, self.config.name_towards(&heard.flow), &branch);
        Some(build::with_credentials(request, &via, answer))
    }

    /// A leg that is not answered has no way yet; what stands in its place is never used.
    fn unused_flow(&self) -> Flow {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Flow { transport: Transport::Udp, local: nowhere, remote: nowhere, connection: crate::sip::wire::ConnectionId::NONE }
    }
}

impl Dial {
    /// The offer that suits the kind of phone.
    fn offer_for(&self, goal: &Goal) -> Option<&Body> {
        if goal.browser.is_some() { self.browser.as_ref() } else { self.body.as_ref() }
    }
}

/// What the ACK to a success of this INVITE takes from it.
pub(super) fn ack_due_of(transaction: TransactionId, invite: &Request) -> AckDue {
    let mut credentials = Headers::new();
    for name in [HeaderName::Authorization, HeaderName::ProxyAuthorization] {
        credentials.copy(&name, &invite.headers);
    }
    AckDue { transaction, cseq: invite.headers.cseq().map_or(0, |cseq| cseq.number), credentials }
}

fn address_of(identity: &Identity, default_host: Host) -> NameAddr {
    let host = identity.host.clone().unwrap_or(default_host);
    let uri = SipUri::new(host).with_user(identity.user.as_deref().unwrap_or_default());
    NameAddr { display: identity.display.clone().filter(|display| !display.is_empty()), ..NameAddr::new(uri) }
}

/// A URI as To names it: without the parameters that say how to get there.
fn bare(uri: &Uri) -> Uri {
    let mut uri = uri.clone();
    if let Uri::Sip(sip) = &mut uri {
        sip.params = Default::default();
        sip.headers.clear();
    }
    uri
}

/// The lower, the more it tells the caller (§16.7 step 6, with what people expect: busy before unreachable).
fn rank(failure: &Failure) -> u8 {
    match failure.status.code() {
        600.. => 0,
        486 => 1,
        300..=399 => 2,
        480 => 4,
        408 | 430 | 481 | 487 => 6,
        _ if failure.local.is_some() => 7,
        500..=599 => 5,
        _ => 3,
    }
}
