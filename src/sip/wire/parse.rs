//! From bytes to a message (RFC 3261 §7, §25.1). A message is returned only when its start line and the headers that every
//! message needs are sound; else the flaw, with what an answer needs when the flawed thing was a request.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use super::lex::{is_token, split_list};
use super::limits::{MAX_HEADERS, MAX_LINE_BYTES, MAX_MESSAGE_BYTES};
use super::message::{BadRequest, Message, Request, Response};
use super::{Flaw, HeaderError, HeaderName, Headers, Method, ParseError, Status, Text, Uri, Via};

/// A start line.
enum StartLine {
    Request { method: Method, uri: Uri },
    Response { status: Status, reason: Text },
}

/// Everything of a message but its body.
pub(super) struct Head {
    start_line: Result<StartLine, Flaw>,
    /// Of a request line that is at least that.
    method: Option<Method>,
    pub(super) headers: Headers,
    /// The first thing wrong with the header lines.
    flaw: Option<Flaw>,
}

pub(super) fn datagram(bytes: &[u8]) -> Result<Message, ParseError> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        return Err(ParseError { flaw: Flaw::TooLarge, request: None });
    }
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
    let (head_end, body_start) = find_head_end(bytes, start).unwrap_or((bytes.len(), bytes.len()));
    let head = head(&bytes[start..head_end]);
    let rest = bytes.get(body_start..).unwrap_or_default();
    match head.headers.content_length() {
        Ok(length) => match rest.get(..length.unwrap_or(rest.len())) {
            Some(body) => head.finish(Bytes::copy_from_slice(body)),
            None => Err(head.refuse(Flaw::Truncated)),
        },
        Err(error) => Err(head.refuse(error.into())),
    }
}

/// Where the head ends and where the body starts, looking from `from`. Lines end with LF, with or without a CR before it.
pub(super) fn find_head_end(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    let mut at = from;
    while let Some(step) = bytes.get(at..)?.iter().position(|byte| *byte == b'\n') {
        let line_end = at + step + 1;
        match bytes.get(line_end..)? {
            [b'\n', ..] => return Some((line_end, line_end + 1)),
            [b'\r', b'\n', ..] => return Some((line_end, line_end + 2)),
            _ => at = line_end,
        }
    }
    None
}

/// Reads start line and headers. Never fails: what is wrong is kept, because an answer may still be possible.
pub(super) fn head(bytes: &[u8]) -> Head {
    let text: Text = match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => Arc::<str>::from(text).into(),
        Cow::Owned(text) => text.into(),
    };
    let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let first = lines.next().unwrap_or_default();
    let (start_line, method) = start_line(&text, first);
    let mut head = Head { start_line, method, headers: Headers::with_capacity(16), flaw: None };
    if first.len() > MAX_LINE_BYTES {
        head.flaw = Some(Flaw::TooLarge);
    } else if first.contains('\r') {
        head.flaw = Some(Flaw::BareCarriageReturn);
    }
    head.read_headers(&text, lines);
    head
}

fn start_line(text: &Text, line: &str) -> (Result<StartLine, Flaw>, Option<Method>) {
    if line.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/")) {
        return (status_line(text, line), None);
    }
    let mut words = line.splitn(3, ' ');
    let (Some(method), Some(uri), Some(version)) = (words.next(), words.next(), words.next()) else {
        return (Err(Flaw::StartLine("not three words")), None);
    };
    if !is_token(method) {
        return (Err(Flaw::StartLine("bad method")), None);
    }
    let method = Method::from_token(text.part(method));
    let line = match version {
        version if version.eq_ignore_ascii_case("SIP/2.0") => match Uri::parse(&text.part(uri)) {
            Ok(uri) => Ok(StartLine::Request { method: method.clone(), uri }),
            Err(why) => Err(Flaw::RequestUri(why)),
        },
        version if is_other_version(version) => Err(Flaw::Version),
        _ => Err(Flaw::StartLine("spaces where none may be, or no version")),
    };
    (line, Some(method))
}

fn is_other_version(version: &str) -> bool {
    let is_sip = version.get(..4).is_some_and(|name| name.eq_ignore_ascii_case("SIP/"));
    is_sip && version.bytes().skip(4).all(|byte| byte.is_ascii_digit() || byte == b'.')
}

fn status_line(text: &Text, line: &str) -> Result<StartLine, Flaw> {
    let (version, rest) = line.split_once(' ').ok_or(Flaw::StartLine("no status"))?;
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        return Err(Flaw::Version);
    }
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
    let status = is_code.then(|| code.parse().ok().and_then(Status::new)).flatten();
    let status = status.ok_or(Flaw::StartLine("not a status code"))?;
    Ok(StartLine::Response { status, reason: text.part(reason) })
}

impl Head {
    fn read_headers<'a>(&mut self, text: &Text, lines: impl Iterator<Item = &'a str>) {
        let mut lines = lines.peekable();
        let mut count = 0;
        while let Some(line) = lines.next() {
            if line.is_empty() {
                continue;
            }
            if line.contains('\r') {
                // A CR that ends no line: others might take it for a line end and see other headers than we do.
                self.flaw.get_or_insert(Flaw::BareCarriageReturn);
                return;
            }
            count += 1;
            if count > MAX_HEADERS || line.len() > MAX_LINE_BYTES {
                self.flaw.get_or_insert(Flaw::TooLarge);
                return;
            }
            let is_folded = |next: &&str| next.starts_with([' ', '\t']);
            if lines.peek().is_some_and(is_folded) {
                let mut unfolded = line.trim_end_matches([' ', '\t']).to_owned();
                while let Some(more) = lines.next_if(is_folded) {
                    if more.contains('\r') {
                        self.flaw.get_or_insert(Flaw::BareCarriageReturn);
                        return;
                    }
                    unfolded.push(' ');
                    unfolded.push_str(more.trim_matches([' ', '\t']));
                    if unfolded.len() > MAX_LINE_BYTES {
                        self.flaw.get_or_insert(Flaw::TooLarge);
                        return;
                    }
                }
                self.read_header(&Text::from(unfolded.as_str()), &unfolded);
            } else {
                self.read_header(text, line);
            }
        }
    }

    /// `line` is a part of `text`, or equal to it.
    fn read_header(&mut self, text: &Text, line: &str) {
        let Some((name, value)) = line.split_once(':') else {
            self.flaw.get_or_insert(Flaw::HeaderLine);
            return;
        };
        let name = name.trim_end_matches([' ', '\t']);
        if !is_token(name) {
            self.flaw.get_or_insert(Flaw::HeaderLine);
            return;
        }
        let name = HeaderName::parse(&text.part(name));
        if !name.is_split_at_commas() {
            return self.headers.push(name, text.part(value.trim_matches([' ', '\t'])));
        }
        for item in split_list(value) {
            if self.headers.len() >= MAX_HEADERS {
                self.flaw.get_or_insert(Flaw::TooLarge);
                return;
            }
            self.headers.push(name.clone(), text.part(item));
        }
    }

    /// The message, if nothing is wrong with it. `body` is as long as Content-Length says.
    pub(super) fn finish(mut self, body: Bytes) -> Result<Message, ParseError> {
        if let Some(flaw) = self.flaw.take().or_else(|| self.needed_headers_flaw()) {
            return Err(self.refuse(flaw));
        }
        match self.start_line {
            Ok(StartLine::Request { method, uri }) => Ok(Message::Request(Request { method, uri, headers: self.headers, body })),
            Ok(StartLine::Response { status, reason }) => {
                Ok(Message::Response(Response { status, reason, headers: self.headers, body }))
            }
            Err(ref flaw) => {
                let flaw = flaw.clone();
                Err(self.refuse(flaw))
            }
        }
    }

    fn needed_headers_flaw(&self) -> Option<Flaw> {
        let check = || -> Result<Option<Flaw>, HeaderError> {
            if !self.headers.has(&HeaderName::Via) {
                return Err(HeaderError::Missing(HeaderName::Via));
            }
            for via in self.headers.get_all(&HeaderName::Via) {
                Via::parse(via).map_err(|why| HeaderError::Bad { name: HeaderName::Via, why })?;
            }
            self.headers.from()?;
            self.headers.to()?;
            self.headers.call_id()?;
            let cseq = self.headers.cseq()?;
            self.headers.max_forwards()?;
            let is_mismatch = self.method.as_ref().is_some_and(|method| *method != cseq.method);
            Ok(is_mismatch.then_some(Flaw::MethodMismatch))
        };
        check().unwrap_or_else(|error| Some(error.into()))
    }

    /// The error, with the means to answer when this was a request that may be answered.
    pub(super) fn refuse(&self, flaw: Flaw) -> ParseError {
        ParseError { request: self.bad_request(&flaw).map(Box::new), flaw }
    }

    fn bad_request(&self, flaw: &Flaw) -> Option<BadRequest> {
        // An ACK is never answered (RFC 3261 §17.1.1.3), nor is what has no method.
        let method = self.method.clone().filter(|method| *method != Method::Ack)?;
        let is_kept =
            |name: &HeaderName| matches!(name, HeaderName::From | HeaderName::To | HeaderName::CallId | HeaderName::CSeq);
        let mut is_first_via = true;
        let mut headers = Headers::with_capacity(8);
        for header in &self.headers {
            if header.name == HeaderName::Via {
                let is_readable = Via::parse(&header.value).is_ok();
                if is_first_via && !is_readable {
                    return None;
                }
                is_first_via = false;
                if is_readable {
                    headers.push(HeaderName::Via, header.value.clone());
                }
            } else if is_kept(&header.name) && !headers.has(&header.name) {
                headers.push(header.name.clone(), header.value.clone());
            }
        }
        if is_first_via {
            return None;
        }
        Some(BadRequest { method, status: flaw.status(), reason: answer_reason(flaw), headers })
    }
}

/// Tells the sender what is wrong, in our words only.
fn answer_reason(flaw: &Flaw) -> Text {
    match flaw {
        Flaw::Version | Flaw::TooLarge => flaw.status().default_reason(),
        flaw => Text::from(format!("Bad Request: {flaw}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:102@example.com SIP/2.0\r\n\
        Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1, SIP/2.0/TCP 10.0.0.2;branch=z9hG4bK2\r\n\
        v: SIP/2.0/UDP 10.0.0.3;branch=z9hG4bK3\r\n\
        From: \"Doe, John\"\r\n  <sip:john@example.com>\r\n\t;tag=1\r\n\
        To: <sip:102@example.com>\r\nCall-ID: a@b\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n\
        Subject: lunch, or not\r\nX-Any:  thing \r\n\r\n";

    fn parse(text: &str) -> Result<Message, ParseError> {
        Message::parse(text.as_bytes())
    }

    fn invite() -> Request {
        match parse(INVITE) {
            Ok(Message::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn list_headers_are_split_and_others_are_not() {
        let headers = invite().headers;
        let hosts: Vec<_> = headers.vias().unwrap().iter().map(|via| via.host.to_string()).collect();
        assert_eq!(hosts, ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
        assert_eq!(headers.get(&HeaderName::Subject).map(Text::as_str), Some("lunch, or not"));
        assert_eq!(headers.get(&"x-any".into()).map(Text::as_str), Some("thing"));
    }

    #[test]
    fn folded_lines_become_one() {
        let from = invite().headers.from().unwrap();
        assert_eq!(from.display.as_deref(), Some("Doe, John"));
        assert_eq!(from.tag().map(Text::as_str), Some("1"));
    }

    #[test]
    fn a_datagram_may_carry_more_than_its_body_but_not_less() {
        let with_length = |length: &str| parse(&format!("{}Content-Length: {length}\r\n\r\n12345", &INVITE[..INVITE.len() - 2]));
        assert_eq!(with_length("3").unwrap().body().as_ref(), b"123");
        let error = with_length("6").unwrap_err();
        assert_eq!((error.flaw, error.request.is_some()), (Flaw::Truncated, true));
        assert!(matches!(with_length("-1").unwrap_err().flaw, Flaw::Header(_)));
        assert_eq!(parse(&format!("{INVITE}body")).unwrap().body().as_ref(), b"body", "without a length: all there is");
    }

    #[test]
    fn a_flawed_request_can_still_be_answered() {
        let error = parse(&INVITE.replace("CSeq: 1 INVITE", "CSeq: 1 BYE")).unwrap_err();
        let answer = error.request.expect("answerable").answer(Some("us"));
        assert_eq!(answer.status, Status::BAD_REQUEST);
        assert_eq!(answer.reason, "Bad Request: the CSeq method is not the request's method");
        assert_eq!(answer.headers.vias().unwrap().len(), 3);
        assert_eq!(answer.headers.to_tag().as_deref(), Some("us"));
        assert_eq!(answer.headers.call_id().as_deref(), Ok("a@b"));
    }

    #[test]
    fn acks_responses_and_strangers_are_not_answered() {
        let ack = INVITE.replace("INVITE sip", "ACK sip").replace("1 INVITE", "1 BYE");
        assert_eq!(parse(&ack).unwrap_err().request, None);
        assert_eq!(parse("SIP/2.0 200 OK\r\n\r\n").unwrap_err().request, None);
        assert_eq!(parse(&INVITE.replace("Via: SIP", "Via: BAD")).unwrap_err().request, None);
        assert_eq!(parse("").unwrap_err().request, None);
    }

    #[test]
    fn too_many_headers_and_too_long_lines_are_too_large() {
        let padded =
            |padding: String| parse(&INVITE.replace("X-Any:", &format!("{padding}X-Any:"))).map(|_| ()).map_err(|e| e.flaw);
        assert_eq!(padded("X: 1\r\n".repeat(200)), Ok(()));
        assert_eq!(padded("X: 1\r\n".repeat(300)), Err(Flaw::TooLarge));
        assert_eq!(padded(format!("Route: {}\r\n", "<sip:a>,".repeat(300))), Err(Flaw::TooLarge));
        assert_eq!(padded(format!("X: {}\r\n", "x".repeat(MAX_LINE_BYTES))), Err(Flaw::TooLarge));
        assert_eq!(padded(format!("X: 1\r\n{}", " more\r\n".repeat(2000))), Err(Flaw::TooLarge));
    }

    #[test]
    fn bytes_that_are_not_utf8_do_no_harm() {
        let mut bytes = INVITE.replace("lunch", "l@nch").into_bytes();
        let at = bytes.iter().rposition(|byte| *byte == b'@').unwrap();
        bytes[at] = 0xff;
        let Ok(Message::Request(request)) = Message::parse(&bytes) else { panic!("must be read") };
        assert_eq!(request.headers.get(&HeaderName::Subject).map(Text::as_str), Some("l\u{fffd}nch, or not"));
    }

    #[test]
    fn a_carriage_return_that_ends_no_line_is_refused() {
        for (from, to) in [("lunch", "lunch\rContact: *"), (" more", " more\rTo: x"), ("SIP/2.0\r\nVia", "SIP/2.0\r\r\nVia")] {
            let text = INVITE.replace("Subject: lunch", "Subject: lunch\r\n more").replacen(from, to, 1);
            assert!(matches!(parse(&text), Err(ParseError { request: Some(_), .. })), "{to:?}");
        }
    }

    #[test]
    fn values_from_elsewhere_cannot_forge_headers() {
        let mut request = invite();
        request.headers.push(HeaderName::Subject, "x\r\nContact: <sip:evil@example.com>");
        let Ok(Message::Request(again)) = Message::parse(&request.to_bytes()) else { panic!("must be read") };
        assert!(!again.headers.has(&HeaderName::Contact));
    }

    #[test]
    fn an_answer_copies_what_it_must() {
        let answer = invite().answer(Status::RINGING, Some("us"));
        insta::assert_snapshot!(String::from_utf8_lossy(&answer.to_bytes()).replace('\r', ""), @r#"
        SIP/2.0 180 Ringing
        Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1
        Via: SIP/2.0/TCP 10.0.0.2;branch=z9hG4bK2
        Via: SIP/2.0/UDP 10.0.0.3;branch=z9hG4bK3
        From: "Doe, John" <sip:john@example.com> ;tag=1
        To: <sip:102@example.com>;tag=us
        Call-ID: a@b
        CSeq: 1 INVITE
        Content-Length: 0
        "#);
        assert!(invite().answer(Status::TRYING, Some("us")).headers.to_tag().is_none());
    }
}
