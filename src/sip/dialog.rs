//! A dialog: what two user agents agreed on so that they can speak again (RFC 3261 §12). It numbers and orders requests,
//! keeps the route and the peer's contact, and writes the skeleton of each request. It does not know whether a call is
//! answered, nor by which socket the peer is reached; the endpoint does.

use thiserror::Error;

use super::wire::{CSeq, HeaderError, HeaderName, Headers, Method, NameAddr, Param, Request, Response, Text, Uri};

/// A request that came too late or twice (RFC 3261 §12.2.2: 500).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("CSeq is not above the last one")]
pub struct OutOfOrder;

/// One dialog, from our side.
#[derive(Clone, Debug, PartialEq)]
pub struct Dialog {
    call_id: Text,
    /// With our tag.
    local: NameAddr,
    /// With the peer's tag; a peer of RFC 2543 may have none.
    remote: NameAddr,
    local_seq: u32,
    remote_seq: Option<u32>,
    remote_target: Uri,
    routes: Vec<NameAddr>,
}

impl Dialog {
    /// The dialog that our answer with `local_tag` to `request` makes (§12.1.1). `request` needs a Contact.
    pub fn answering(request: &Request, local_tag: &str) -> Result<Dialog, HeaderError> {
        let headers = &request.headers;
        Ok(Dialog {
            call_id: headers.call_id()?,
            local: headers.to()?.with_tag(local_tag),
            remote: headers.from()?,
            local_seq: 0,
            remote_seq: Some(headers.cseq()?.number),
            remote_target: headers.contact()?.ok_or(HeaderError::Missing(HeaderName::Contact))?.uri,
            routes: headers.record_routes()?,
        })
    }

    /// The dialog that `response` to our `request` makes (§12.1.2). A response without a Contact leaves the target at the
    /// Request-URI: better an ACK that may arrive than none.
    pub fn answered(request: &Request, response: &Response) -> Result<Dialog, HeaderError> {
        let mut routes = response.headers.record_routes()?;
        routes.reverse();
        Ok(Dialog {
            call_id: request.headers.call_id()?,
            local: request.headers.from()?,
            remote: response.headers.to()?,
            local_seq: request.headers.cseq()?.number,
            remote_seq: None,
            remote_target: response.headers.contact()?.map_or_else(|| request.uri.clone(), |contact| contact.uri),
            routes,
        })
    }

    pub fn call_id(&self) -> &Text {
        &self.call_id
    }

    pub fn local_tag(&self) -> &str {
        self.local.tag().map_or("", Text::as_str)
    }

    pub fn remote_tag(&self) -> &str {
        self.remote.tag().map_or("", Text::as_str)
    }

    /// The party we play in this dialog.
    pub fn local(&self) -> &NameAddr {
        &self.local
    }

    /// Whether a request of the peer with this Call-ID, From tag and To tag belongs to this dialog (§12.2.2).
    pub fn is_peers(&self, call_id: &str, from_tag: &str, to_tag: &str) -> bool {
        self.call_id == *call_id && to_tag == self.local_tag() && from_tag == self.remote_tag()
    }

    /// The next request of ours, without Via, Contact and what else the endpoint adds.
    pub fn request(&mut self, method: Method) -> Request {
        self.local_seq += 1;
        self.skeleton(method, self.local_seq)
    }

    /// The ACK to the 2xx that answered our INVITE with this CSeq number (§13.2.2.4).
    pub fn ack(&self, invite_seq: u32) -> Request {
        self.skeleton(Method::Ack, invite_seq)
    }

    /// A request of ours was sent again, with credentials, under the next number.
    pub fn count_retry(&mut self) {
        self.local_seq += 1;
    }

    /// Where the next request must go first (§12.2.1.1): the top route, or the peer's contact.
    pub fn next_hop(&self) -> &Uri {
        self.routes.first().map_or(&self.remote_target, |route| &route.uri)
    }

    /// The peer sent a request with this number.
    pub fn accept(&mut self, cseq: u32) -> Result<(), OutOfOrder> {
        if self.remote_seq.is_some_and(|last| cseq <= last) {
            return Err(OutOfOrder);
        }
        self.remote_seq = Some(cseq);
        Ok(())
    }

    /// A re-INVITE or its 2xx names the peer's contact anew (§12.2.1.2, §12.2.2).
    pub fn refresh_target(&mut self, headers: &Headers) {
        if let Ok(Some(contact)) = headers.contact() {
            self.remote_target = contact.uri;
        }
    }

    fn skeleton(&self, method: Method, seq: u32) -> Request {
        let (uri, routes) = self.uri_and_routes();
        let cseq = CSeq::new(seq, method.clone());
        let mut request = Request::new(method, uri);
        for route in &routes {
            request.headers.push_value(HeaderName::Route, route);
        }
        request.headers.push_value(HeaderName::From, &self.local);
        request.headers.push_value(HeaderName::To, &self.remote);
        request.headers.push(HeaderName::CallId, self.call_id.clone());
        request.headers.push_value(HeaderName::CSeq, &cseq);
        request
    }

    /// §12.2.1.1: a strict router wants itself in the Request-URI and the target as the last route.
    fn uri_and_routes(&self) -> (Uri, Vec<NameAddr>) {
        let Some((first, rest)) = self.routes.split_first() else {
            return (without_headers(&self.remote_target), Vec::new());
        };
        if first.uri.as_sip().is_none_or(super::wire::SipUri::is_loose_router) {
            return (without_headers(&self.remote_target), self.routes.clone());
        }
        let mut routes = rest.to_vec();
        routes.push(NameAddr::new(self.remote_target.clone()));
        (without_headers(&first.uri), routes)
    }
}

/// What a Contact may say but a Request-URI may not (§19.1.1 table 1).
fn without_headers(uri: &Uri) -> Uri {
    let mut uri = uri.clone();
    if let Uri::Sip(sip) = &mut uri {
        sip.headers.clear();
        sip.params = sip.params.iter().filter(|param: &&Param| !param.name.eq_ignore_ascii_case("method")).cloned().collect();
    }
    uri
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::wire::Message;
    use super::*;

    fn request(text: &str) -> Request {
        match Message::parse(&Bytes::from(text.replace('\n', "\r\n"))).unwrap() {
            Message::Request(request) => request,
            Message::Response(_) => panic!("a response"),
        }
    }

    fn response(text: &str) -> Response {
        match Message::parse(&Bytes::from(text.replace('\n', "\r\n"))).unwrap() {
            Message::Response(response) => response,
            Message::Request(_) => panic!("a request"),
        }
    }

    fn invite(record_routes: &str) -> Request {
        request(&format!(
            "INVITE sip:b@192.0.2.2 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\n{record_routes}\
             From: <sip:a@x>;tag=at\nTo: <sip:b@y>\nCall-ID: c1\nCSeq: 7 INVITE\nContact: <sip:a@192.0.2.1:5070?x=y>\n\n"
        ))
    }

    fn ok(record_routes: &str) -> Response {
        response(&format!(
            "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\n{record_routes}\
             From: <sip:a@x>;tag=at\nTo: <sip:b@y>;tag=bt\nCall-ID: c1\nCSeq: 7 INVITE\nContact: <sip:b@192.0.2.9>\n\n"
        ))
    }

    fn routes(request: &Request) -> Vec<String> {
        request.headers.get_all(&HeaderName::Route).map(ToString::to_string).collect()
    }

    #[test]
    fn the_callee_answers_back_along_the_record_route_in_order() {
        let mut dialog = Dialog::answering(&invite("Record-Route: <sip:p2;lr>, <sip:p1;lr>\n"), "bt").unwrap();
        let bye = dialog.request(Method::Bye);
        assert_eq!(bye.uri.to_string(), "sip:a@192.0.2.1:5070");
        assert_eq!(routes(&bye), ["<sip:p2;lr>", "<sip:p1;lr>"]);
        assert_eq!(dialog.next_hop().to_string(), "sip:p2;lr");
        assert_eq!(bye.headers.from_tag().as_deref(), Some("bt"));
        assert_eq!(bye.headers.to_tag().as_deref(), Some("at"));
        assert_eq!(bye.headers.cseq().unwrap(), CSeq::new(1, Method::Bye));
    }

    #[test]
    fn the_caller_goes_along_the_record_route_in_reverse_and_counts_on() {
        let mut dialog = Dialog::answered(&invite(""), &ok("Record-Route: <sip:p2;lr>, <sip:p1;lr>\n")).unwrap();
        let ack = dialog.ack(7);
        assert_eq!(ack.uri.to_string(), "sip:b@192.0.2.9");
        assert_eq!(routes(&ack), ["<sip:p1;lr>", "<sip:p2;lr>"]);
        assert_eq!(ack.headers.cseq().unwrap(), CSeq::new(7, Method::Ack));
        assert_eq!(dialog.request(Method::Bye).headers.cseq().unwrap().number, 8);
    }

    #[test]
    fn a_strict_router_finds_itself_in_the_request_uri() {
        let dialog = Dialog::answered(&invite(""), &ok("Record-Route: <sip:p2;lr>, <sip:p1>\n")).unwrap();
        let ack = dialog.ack(7);
        assert_eq!(ack.uri.to_string(), "sip:p1");
        assert_eq!(routes(&ack), ["<sip:p2;lr>", "<sip:b@192.0.2.9>"]);
        assert_eq!(dialog.next_hop().to_string(), "sip:p1");
    }

    #[test]
    fn requests_must_count_up() {
        let mut dialog = Dialog::answering(&invite(""), "bt").unwrap();
        assert_eq!(dialog.accept(7), Err(OutOfOrder));
        assert_eq!(dialog.accept(6), Err(OutOfOrder));
        assert_eq!(dialog.accept(9), Ok(()));
        assert_eq!(dialog.accept(8), Err(OutOfOrder));
    }

    #[test]
    fn a_request_belongs_to_it_by_call_id_and_both_tags() {
        let dialog = Dialog::answering(&invite(""), "bt").unwrap();
        assert!(dialog.is_peers("c1", "at", "bt"));
        assert!(!dialog.is_peers("c1", "xx", "bt"));
        assert!(!dialog.is_peers("c1", "at", "xx"));
        assert!(!dialog.is_peers("c2", "at", "bt"));
    }

    #[test]
    fn a_new_contact_moves_the_target_and_a_missing_one_does_not() {
        let mut dialog = Dialog::answering(&invite(""), "bt").unwrap();
        dialog.refresh_target(&Headers::new());
        assert_eq!(dialog.next_hop().to_string(), "sip:a@192.0.2.1:5070?x=y");
        dialog.refresh_target(&ok("").headers);
        assert_eq!(dialog.next_hop().to_string(), "sip:b@192.0.2.9");
    }

    #[test]
    fn an_invite_without_a_contact_makes_no_dialog() {
        let mut invite = invite("");
        invite.headers.remove_all(&HeaderName::Contact);
        assert_eq!(Dialog::answering(&invite, "bt"), Err(HeaderError::Missing(HeaderName::Contact)));
    }
}
