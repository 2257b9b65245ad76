//! The parts of our messages that do not depend on any state: ACK and CANCEL made from their INVITE, the headers that
//! all our messages carry, session descriptions taken out of bodies.

use bytes::Bytes;

use super::api::{Body, Failure, LocalFailure};
use crate::sip::wire::{
    BRANCH_COOKIE, CSeq, HeaderName, Headers, Host, Method, NameAddr, Param, Request, Response, SipUri, Status, Text, Transport,
    Via,
};

/// What we understand in a dialog.
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO";
/// What we understand at all.
pub(super) const ALLOW_ALL: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, REGISTER";
pub(super) const ACCEPT: &str = "application/sdp";
const MAX_FORWARDS: &str = "70";
const REASON_HEADER: HeaderName = HeaderName::Reason;

/// The ACK that an INVITE transaction itself sends for a failure (RFC 3261 §17.1.1.3).
pub(super) fn ack_of_failure(invite: &Request, response: &Response) -> Request {
    let mut ack = of_same_branch(invite, Method::Ack);
    if let Some(to) = response.headers.get(&HeaderName::To) {
        ack.headers.set(HeaderName::To, to.clone());
    }
    ack
}

/// RFC 3261 §9.1. `reason` as in RFC 3326.
pub(super) fn cancel_of(invite: &Request, reason: Option<&Text>) -> Request {
    let mut cancel = of_same_branch(invite, Method::Cancel);
    if let Some(reason) = reason {
        cancel.headers.push(REASON_HEADER, reason.clone());
    }
    cancel
}

fn of_same_branch(invite: &Request, method: Method) -> Request {
    let mut request = Request::new(method.clone(), invite.uri.clone());
    let headers = &mut request.headers;
    if let Some(via) = invite.headers.get(&HeaderName::Via) {
        headers.push(HeaderName::Via, via.clone());
    }
    headers.push(HeaderName::MaxForwards, Text::constant(MAX_FORWARDS));
    for name in [HeaderName::Route, HeaderName::From, HeaderName::To, HeaderName::CallId] {
        headers.copy(&name, &invite.headers);
    }
    let number = invite.headers.cseq().map_or(0, |cseq| cseq.number);
    headers.push_value(HeaderName::CSeq, &CSeq::new(number, method));
    request
}

/// The same request once more, under the next number and a new branch, with `credentials` for the challenge
/// (RFC 3261 §22.2). Older credentials of the same kind are replaced.
pub(super) fn with_credentials(request: &Request, via: &Via, (name, value): (HeaderName, Text)) -> Request {
    let mut again = again(request, via);
    again.headers.set(name, value);
    again
}

/// The same request once more, under the next number and a new branch.
pub(super) fn again(request: &Request, via: &Via) -> Request {
    let mut again = request.clone();
    again.headers.set_value(HeaderName::Via, via);
    if let Ok(cseq) = request.headers.cseq() {
        again.headers.set_value(HeaderName::CSeq, &CSeq::new(cseq.number.saturating_add(1), cseq.method));
    }
    again
}

pub(super) fn via(transport: Transport, (host, port): (Host, u16), branch: &str) -> Via {
    let params = [
        Param::new(Text::constant("rport"), None),
        Param::new(Text::constant("branch"), Some(Text::from(format!("{BRANCH_COOKIE}{branch}")))),
    ];
    Via { protocol: Text::constant(transport.as_str()), host, port: Some(port), params: params.into_iter().collect() }
}

/// Ours, as the peer may call it.
pub(super) fn contact(transport: Transport, (host, port): (Host, u16), user: Option<&str>) -> NameAddr {
    let mut uri = SipUri::new(host).with_user(user.unwrap_or_default()).with_transport(transport);
    uri.port = Some(port);
    NameAddr::new(uri)
}

/// Puts what every request of ours begins with before what the dialog wrote.
pub(super) fn prepend(request: &mut Request, via: &Via) {
    if !request.headers.has(&HeaderName::MaxForwards) {
        request.headers.push_front(HeaderName::MaxForwards, Text::constant(MAX_FORWARDS));
    }
    request.headers.push_front(HeaderName::Via, via.to_string());
}

pub(super) fn set_body(headers: &mut Headers, body: &mut Bytes, new: Option<&Body>) {
    if let Some(new) = new {
        headers.set(HeaderName::ContentType, new.content_type.clone());
        *body = new.bytes.clone();
    }
}

pub(super) fn reason_of(headers: &Headers) -> Option<Text> {
    headers.get(&HeaderName::Reason).cloned()
}

/// The session description in a body: the whole of it, or the first part of a multipart body that is one. `None` for an
/// empty body or one without any.
pub(super) fn sdp_of(headers: &Headers, body: &Bytes) -> Option<Bytes> {
    if body.is_empty() {
        return None;
    }
    let content_type = headers.content_type().unwrap_or(ACCEPT);
    if content_type.eq_ignore_ascii_case(ACCEPT) {
        return Some(body.clone());
    }
    if !content_type.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("multipart/")) {
        return None;
    }
    let boundary = headers.get(&HeaderName::ContentType).and_then(|value| boundary_of(value))?;
    part_of(body, &boundary)
}

/// Whether a body of an INVITE is something that we can read, or empty.
pub(super) fn is_readable_body(headers: &Headers, body: &Bytes) -> bool {
    let is_plain = headers.items(&HeaderName::ContentEncoding).all(|encoding| encoding.eq_ignore_ascii_case("identity"));
    body.is_empty() || is_plain && sdp_of(headers, body).is_some()
}

fn boundary_of(content_type: &str) -> Option<String> {
    let value = content_type.split(';').skip(1).find_map(|param| {
        let (name, value) = param.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"').to_owned())
    })?;
    // RFC 2046 §5.1.1 allows 70 characters; more would only make the search slow.
    (1..=70).contains(&value.len()).then_some(value)
}

/// RFC 2046 §5.1: parts stand between lines of two dashes and the boundary.
fn part_of(body: &Bytes, boundary: &str) -> Option<Bytes> {
    let delimiter = format!("--{boundary}");
    let mut from = find(body, delimiter.as_bytes(), 0)?;
    loop {
        let start = from + delimiter.len();
        let end = find(body, delimiter.as_bytes(), start)?;
        let part = body.get(start..end)?;
        let (head_end, body_start) = match find(part, b"\r\n\r\n", 0) {
            Some(at) => (at, at + 4),
            None => (0, part.len()),
        };
        let head = String::from_utf8_lossy(part.get(..head_end)?).to_ascii_lowercase();
        if head.contains("content-type:") && head.contains(ACCEPT) {
            let content = start + body_start..end;
            return Some(trim_line_end(&body.slice(content)));
        }
        from = end;
    }
}

/// The line end before a boundary belongs to the boundary, but the last line of a session description wants one.
fn trim_line_end(part: &Bytes) -> Bytes {
    let ends_twice = part.ends_with(b"\r\n\r\n");
    if ends_twice { part.slice(..part.len() - 2) } else { part.clone() }
}

fn find(haystack: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let rest = haystack.get(from..)?;
    rest.windows(needle.len()).position(|window| window == needle).map(|at| at + from)
}

/// What a final failure from the network means.
pub(super) fn failure_of(response: &Response) -> Failure {
    Failure { status: response.status, phrase: response.reason.clone(), reason: reason_of(&response.headers), local: None }
}

/// What RFC 3261 §8.1.3.1 makes of a request that got no answer.
pub(super) fn local_failure(local: LocalFailure) -> Failure {
    let status = match local {
        LocalFailure::Timeout => Status::REQUEST_TIMEOUT,
        LocalFailure::Refused | LocalFailure::Unreachable => Status::SERVICE_UNAVAILABLE,
    };
    Failure { status, phrase: status.default_reason(), reason: None, local: Some(local) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(content_type: &str) -> Headers {
        let mut headers = Headers::new();
        headers.push(HeaderName::ContentType, content_type);
        headers
    }

    #[test]
    fn a_session_description_is_found_alone_and_among_parts() {
        let sdp = Bytes::from_static(b"v=0\r\ns=-\r\n");
        assert_eq!(sdp_of(&headers("application/sdp"), &sdp), Some(sdp.clone()));
        assert_eq!(sdp_of(&headers("Application/SDP;x=y"), &sdp), Some(sdp.clone()));
        assert_eq!(sdp_of(&Headers::new(), &sdp), Some(sdp.clone()), "nobody sends anything else without saying so");
        assert_eq!(sdp_of(&headers("application/isup"), &sdp), None);
        assert_eq!(sdp_of(&headers("application/sdp"), &Bytes::new()), None);

        let parts = Bytes::from_static(
            b"--b1\r\nContent-Type: application/isup\r\n\r\n\x01\x00\r\n--b1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\ns=-\r\n\r\n--b1--\r\n",
        );
        assert_eq!(sdp_of(&headers("multipart/mixed;boundary=\"b1\""), &parts), Some(sdp));
        assert_eq!(sdp_of(&headers("multipart/mixed;boundary=other"), &parts), None);
        assert_eq!(sdp_of(&headers("multipart/mixed"), &parts), None);
    }

    #[test]
    fn a_compressed_body_is_not_readable() {
        let mut headers = headers("application/sdp");
        assert!(is_readable_body(&headers, &Bytes::from_static(b"v=0")));
        headers.push(HeaderName::ContentEncoding, "gzip");
        assert!(!is_readable_body(&headers, &Bytes::from_static(b"v=0")));
        assert!(is_readable_body(&headers, &Bytes::new()));
    }
}
