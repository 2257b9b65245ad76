//! What comes in is sorted here: copies to their transactions, responses to whoever asked, requests in dialogs to their
//! legs, new requests through the checks of RFC 3261 §8.2 to the method's own file. Everything that can be read and is
//! not an ACK gets a final answer.

use std::sync::Arc;

use super::legs::Reach;
use super::{Endpoint, Event, build};
use crate::sip::wire::{Flow, HeaderName, Method, NameAddr, ParseError, Request, Response, Status, Text, Via};
use crate::types::{LegId, Time};

/// Extensions we understand when a peer requires them (for REGISTER only: RFC 3327).
const REGISTER_EXTENSIONS: [&str; 1] = ["path"];

impl Endpoint {
    pub(super) fn receive_response(&mut self, now: Time, flow: Flow, response: Response) {
        // RFC 3261 §8.1.3.3: more than one Via means that it was meant for someone else.
        if response.headers.get_all(&HeaderName::Via).count() != 1 {
            return;
        }
        if let Some(heard) = self.transactions.answered(now, response, flow, &mut self.out) {
            self.hear(now, heard);
        }
    }

    /// A request with a flaw is answered once, without state: its sender will not improve by repeating it.
    pub(super) fn receive_flawed(&mut self, flow: Flow, error: &ParseError) {
        let Some(request) = &error.request else { return };
        let tag = self.token();
        let response = request.answer(Some(&tag));
        if let Ok(via) = response.headers.via() {
            self.send_stateless(flow, &via, response);
        }
    }

    pub(super) fn receive_request(&mut self, now: Time, flow: Flow, mut request: Request) {
        let Ok(mut via) = request.headers.via() else { return };
        via.note_source(flow.remote);
        request.headers.set_first(HeaderName::Via, via.to_string());
        match request.method {
            Method::Ack => return self.receive_ack(now, flow, &request, &via),
            Method::Cancel => return self.receive_cancel(now, flow, request, &via),
            _ => {}
        }
        if let Some(transaction) = self.transactions.server_for(&request, &via) {
            return self.transactions.repeated(now, transaction, &mut self.out);
        }
        let request = Arc::new(request);
        if self.transactions.len() >= self.config.limits.transactions {
            return self.reply_stateless(flow, &via, &request, Status::SERVICE_UNAVAILABLE, &[(HeaderName::RetryAfter, "10")]);
        }
        if request.headers.to_tag().is_some() {
            return self.receive_in_dialog(now, flow, request, &via);
        }
        self.receive_out_of_dialog(now, flow, request, &via);
    }

    fn receive_out_of_dialog(&mut self, now: Time, flow: Flow, request: Arc<Request>, via: &Via) {
        if self.is_shut_out(now, &flow) {
            return self.reply_stateless(flow, via, &request, Status::FORBIDDEN, &[]);
        }
        if let Some((status, headers)) = flaw_of(&request) {
            return self.reply(now, flow, via, &request, status, &headers);
        }
        if self.transactions.is_merged(&request) {
            return self.reply(now, flow, via, &request, Status::LOOP_DETECTED, &[]);
        }
        match request.method {
            Method::Invite => self.receive_invite(now, flow, request, via),
            Method::Register => self.receive_register(now, flow, request, via),
            Method::Options => self.answer_options(now, flow, via, &request),
            // These make sense in dialogs only.
            Method::Bye | Method::Info | Method::Prack | Method::Update | Method::Notify => {
                self.reply(now, flow, via, &request, Status::CALL_DOES_NOT_EXIST, &[]);
            }
            Method::Subscribe | Method::Publish => self.reply(now, flow, via, &request, Status::BAD_EVENT, &[]),
            Method::Other(_) => self.reply(now, flow, via, &request, Status::NOT_IMPLEMENTED, &[allow()]),
            _ => self.reply(now, flow, via, &request, Status::METHOD_NOT_ALLOWED, &[allow()]),
        }
    }

    fn receive_in_dialog(&mut self, now: Time, flow: Flow, request: Arc<Request>, via: &Via) {
        let Some(leg) = self.legs.of_request(&request.headers) else {
            return self.reply(now, flow, via, &request, Status::CALL_DOES_NOT_EXIST, &[]);
        };
        if let Some((status, headers)) = flaw_of(&request) {
            return self.reply(now, flow, via, &request, status, &headers);
        }
        if let Err(status) = self.accept_in_dialog(leg, &flow, &request) {
            return self.reply(now, flow, via, &request, status, &[]);
        }
        match request.method {
            Method::Invite => self.receive_re_invite(now, leg, flow, request, via),
            Method::Bye => self.receive_bye(now, leg, flow, request, via),
            Method::Info => self.receive_info(now, leg, flow, request, via),
            Method::Options => self.answer_options(now, flow, via, &request),
            // We subscribed to nothing and sent nothing reliably.
            Method::Notify | Method::Prack => self.reply(now, flow, via, &request, Status::CALL_DOES_NOT_EXIST, &[]),
            Method::Subscribe | Method::Publish => self.reply(now, flow, via, &request, Status::BAD_EVENT, &[]),
            Method::Other(_) => self.reply(now, flow, via, &request, Status::NOT_IMPLEMENTED, &[allow()]),
            _ => self.reply(now, flow, via, &request, Status::METHOD_NOT_ALLOWED, &[allow()]),
        }
    }

    /// Order, and the phone's newest way.
    fn accept_in_dialog(&mut self, leg: LegId, flow: &Flow, request: &Request) -> Result<(), Status> {
        let cseq = request.headers.cseq().map_err(|_| Status::BAD_REQUEST)?.number;
        let Some(leg) = self.legs.get_mut(leg) else { return Err(Status::CALL_DOES_NOT_EXIST) };
        let dialog = match &mut leg.state {
            super::legs::State::Ringing(ringing) => &mut ringing.dialog,
            super::legs::State::Talking(session) => &mut session.dialog,
            super::legs::State::Dialing(_) => return Err(Status::CALL_DOES_NOT_EXIST),
        };
        dialog.accept(cseq).map_err(|_| Status::SERVER_INTERNAL_ERROR)?;
        leg.reach = Reach { flow: *flow, ..leg.reach };
        Ok(())
    }

    fn receive_info(&mut self, now: Time, leg: LegId, flow: Flow, request: Arc<Request>, via: &Via) {
        // RFC 6086 §4.2.2: no Info-Package of ours was offered, so only INFO without one is understood.
        if request.headers.has(&HeaderName::Other(Text::constant("Info-Package"))) {
            return self.reply(now, flow, via, &request, Status::BAD_INFO_PACKAGE, &[]);
        }
        self.reply(now, flow, via, &request, Status::OK, &[]);
        if self.legs.get(leg).is_some_and(super::legs::Leg::is_owned) {
            self.out.tell(Event::InDialog { leg, request });
        }
    }

    /// RFC 3261 §11.2. Anyone may ask: what is told is on our business card anyway, and phones keep their NAT open so.
    fn answer_options(&mut self, now: Time, flow: Flow, via: &Via, request: &Arc<Request>) {
        let headers = [(HeaderName::Accept, build::ACCEPT), (HeaderName::Supported, "path"), allow()];
        self.reply(now, flow, via, request, Status::OK, &headers);
    }

    /// Gives a request that needs no more state its final answer, in a transaction that repeats it.
    pub(super) fn reply(
        &mut self,
        now: Time,
        flow: Flow,
        via: &Via,
        request: &Arc<Request>,
        status: Status,
        headers: &[(HeaderName, &str)],
    ) {
        let response = self.response_to(request, status, headers);
        let transaction = self.transactions.start_server(request.clone(), via, flow, None);
        self.transactions.respond(now, transaction, &response, &mut self.out);
    }

    /// The same without keeping anything: for senders who could make us keep too much (RFC 3261 §26.3.2.4).
    pub(super) fn reply_stateless(
        &mut self,
        flow: Flow,
        via: &Via,
        request: &Request,
        status: Status,
        headers: &[(HeaderName, &str)],
    ) {
        let response = self.response_to(request, status, headers);
        self.send_stateless(flow, via, response);
    }

    pub(super) fn send_stateless(&mut self, flow: Flow, via: &Via, response: Response) {
        let (reply_to, _) = super::transactions::reply_flows(&flow, via);
        self.out.send(reply_to, response.to_bytes());
    }

    fn response_to(&mut self, request: &Request, status: Status, headers: &[(HeaderName, &str)]) -> Response {
        let tag = self.token();
        let mut response = request.answer(status, Some(&tag));
        for (name, value) in headers {
            response.headers.push(name.clone(), *value);
        }
        response.headers.push(HeaderName::Server, self.config.user_agent.as_str());
        response
    }
}

const fn allow() -> (HeaderName, &'static str) {
    (HeaderName::Allow, build::ALLOW_ALL)
}

/// What is wrong with a request by itself (RFC 3261 §8.2.1 to §8.2.3), and the headers that say more.
fn flaw_of(request: &Request) -> Option<(Status, Vec<(HeaderName, &str)>)> {
    let headers = &request.headers;
    if headers.from_tag().is_none() {
        return Some((Status::BAD_REQUEST, Vec::new()));
    }
    if !matches!(request.uri.scheme(), "sip" | "sips" | "tel") {
        return Some((Status::UNSUPPORTED_URI_SCHEME, Vec::new()));
    }
    let unsupported = unsupported_extensions(request);
    if !unsupported.is_empty() {
        return Some((Status::BAD_EXTENSION, unsupported));
    }
    // §16.3: a request for the next hop must not be at its last; what we answer ourselves may be.
    let is_at_its_end = matches!(headers.max_forwards(), Ok(Some(0)));
    if request.method == Method::Invite && is_at_its_end && headers.to_tag().is_none() {
        return Some((Status::TOO_MANY_HOPS, Vec::new()));
    }
    if request.method == Method::Invite {
        return invite_flaw_of(request);
    }
    None
}

fn invite_flaw_of(request: &Request) -> Option<(Status, Vec<(HeaderName, &str)>)> {
    if !build::is_readable_body(&request.headers, &request.body) {
        let accept = vec![(HeaderName::Accept, build::ACCEPT), (HeaderName::AcceptEncoding, "identity")];
        return Some((Status::UNSUPPORTED_MEDIA_TYPE, accept));
    }
    // §8.1.1.8: exactly one Contact, and one that can be called.
    let is_callable = |contact: &NameAddr| contact.uri.as_sip().is_some();
    let has_contact = matches!(request.headers.contact(), Ok(Some(contact)) if is_callable(&contact));
    let has_good_routes = request.headers.record_routes().is_ok();
    (!has_contact || !has_good_routes).then(|| (Status::BAD_REQUEST, Vec::new()))
}

fn unsupported_extensions(request: &Request) -> Vec<(HeaderName, &str)> {
    let is_known =
        |tag: &str| request.method == Method::Register && REGISTER_EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(tag));
    request
        .headers
        .get_all(&HeaderName::Require)
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|tag| !tag.is_empty() && !is_known(tag))
        .map(|tag| (HeaderName::Unsupported, tag))
        .collect()
}
