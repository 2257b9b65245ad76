//! What comes in is sorted here: copies to their transactions, responses to whoever asked, requests in dialogs to their
//! legs, new requests through the checks of RFC 3261 §8.2 to the method's own file. Everything that can be read and is
//! not an ACK gets a final answer.

use super::incoming::Incoming;
use super::legs::{Leg, State};
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

    pub(super) fn receive_request(&mut self, now: Time, flow: Flow, request: Request) {
        let Ok(incoming) = Incoming::new(flow, request) else { return };
        let incoming = &incoming;
        match incoming.method() {
            Method::Ack => return self.receive_ack(now, incoming),
            Method::Cancel => return self.receive_cancel(now, incoming),
            _ => {}
        }
        if let Some(transaction) = self.transactions.server_for(incoming) {
            return self.transactions.repeated(now, transaction, &mut self.out);
        }
        if self.transactions.len() >= self.config.limits.transactions {
            return self.reply_stateless(incoming, Status::SERVICE_UNAVAILABLE, &[(HeaderName::RetryAfter, "10")]);
        }
        if incoming.to_tag.is_some() {
            return self.receive_in_dialog(now, incoming);
        }
        self.receive_out_of_dialog(now, incoming);
    }

    fn receive_out_of_dialog(&mut self, now: Time, incoming: &Incoming) {
        if self.is_shut_out(now, incoming) {
            return self.reply_stateless(incoming, Status::FORBIDDEN, &[]);
        }
        if let Some((status, headers)) = flaw_of(incoming) {
            return self.reply(now, incoming, status, &headers);
        }
        if self.transactions.is_merged(incoming) {
            return self.reply(now, incoming, Status::LOOP_DETECTED, &[]);
        }
        match incoming.method() {
            Method::Invite => self.receive_invite(now, incoming),
            Method::Register => self.receive_register(now, incoming),
            Method::Options => self.answer_options(now, incoming),
            // These make sense in dialogs only.
            Method::Bye | Method::Info | Method::Prack | Method::Update | Method::Notify => {
                self.reply(now, incoming, Status::CALL_DOES_NOT_EXIST, &[]);
            }
            Method::Subscribe | Method::Publish => self.reply(now, incoming, Status::BAD_EVENT, &[]),
            Method::Other(_) => self.reply(now, incoming, Status::NOT_IMPLEMENTED, &[allow()]),
            _ => self.reply(now, incoming, Status::METHOD_NOT_ALLOWED, &[allow()]),
        }
    }

    fn receive_in_dialog(&mut self, now: Time, incoming: &Incoming) {
        let Some(leg) = self.legs.of_request(incoming) else {
            return self.reply(now, incoming, Status::CALL_DOES_NOT_EXIST, &[]);
        };
        if let Some((status, headers)) = flaw_of(incoming) {
            return self.reply(now, incoming, status, &headers);
        }
        if let Err(status) = self.accept_in_dialog(leg, incoming) {
            return self.reply(now, incoming, status, &[]);
        }
        match incoming.method() {
            Method::Invite => self.receive_re_invite(now, leg, incoming),
            Method::Bye => self.receive_bye(now, leg, incoming),
            Method::Info => self.receive_info(now, leg, incoming),
            Method::Options => self.answer_options(now, incoming),
            // We subscribed to nothing and sent nothing reliably.
            Method::Notify | Method::Prack => self.reply(now, incoming, Status::CALL_DOES_NOT_EXIST, &[]),
            Method::Subscribe | Method::Publish => self.reply(now, incoming, Status::BAD_EVENT, &[]),
            Method::Other(_) => self.reply(now, incoming, Status::NOT_IMPLEMENTED, &[allow()]),
            _ => self.reply(now, incoming, Status::METHOD_NOT_ALLOWED, &[allow()]),
        }
    }

    /// Order, and the phone's newest way.
    fn accept_in_dialog(&mut self, leg: LegId, incoming: &Incoming) -> Result<(), Status> {
        let Some(leg) = self.legs.get_mut(leg) else { return Err(Status::CALL_DOES_NOT_EXIST) };
        let dialog = match &mut leg.state {
            State::Ringing(ringing) => &mut ringing.dialog,
            State::Talking(session) => &mut session.dialog,
            State::Dialing(_) => return Err(Status::CALL_DOES_NOT_EXIST),
        };
        dialog.accept(incoming.cseq.number).map_err(|_| Status::SERVER_INTERNAL_ERROR)?;
        leg.reach.flow = incoming.flow;
        Ok(())
    }

    fn receive_info(&mut self, now: Time, leg: LegId, incoming: &Incoming) {
        // RFC 6086 §4.2.2: no Info-Package of ours was offered, so only INFO without one is understood.
        if incoming.request.headers.has(&HeaderName::Other(Text::constant("Info-Package"))) {
            return self.reply(now, incoming, Status::BAD_INFO_PACKAGE, &[]);
        }
        self.reply(now, incoming, Status::OK, &[]);
        if self.legs.get(leg).is_some_and(Leg::is_owned) {
            self.out.tell(Event::InDialog { leg, request: incoming.request.clone() });
        }
    }

    /// RFC 3261 §11.2. Anyone may ask: what is told is on our business card anyway, and phones keep their NAT open so.
    fn answer_options(&mut self, now: Time, incoming: &Incoming) {
        let headers = [(HeaderName::Accept, build::ACCEPT), (HeaderName::Supported, "path"), allow()];
        self.reply(now, incoming, Status::OK, &headers);
    }

    /// Gives a request that needs no more state its final answer, in a transaction that repeats it.
    pub(super) fn reply(&mut self, now: Time, incoming: &Incoming, status: Status, headers: &[(HeaderName, &str)]) {
        let response = self.response_to(&incoming.request, status, headers);
        let transaction = self.transactions.start_server(incoming, None);
        self.transactions.respond(now, transaction, &response, &mut self.out);
    }

    /// The same without keeping anything: for senders who could make us keep too much (RFC 3261 §26.3.2.4).
    pub(super) fn reply_stateless(&mut self, incoming: &Incoming, status: Status, headers: &[(HeaderName, &str)]) {
        let response = self.response_to(&incoming.request, status, headers);
        self.send_stateless(incoming.flow, &incoming.via, response);
    }

    fn send_stateless(&mut self, flow: Flow, via: &Via, response: Response) {
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
fn flaw_of(incoming: &Incoming) -> Option<(Status, Vec<(HeaderName, &str)>)> {
    let request = &*incoming.request;
    if incoming.from_tag.is_none() {
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
    let is_at_its_end = matches!(request.headers.max_forwards(), Ok(Some(0)));
    if request.method == Method::Invite && is_at_its_end && incoming.to_tag.is_none() {
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
