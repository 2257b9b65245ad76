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

pub(super) fn datagram(bytes: &Bytes) -> Result<Message, ParseError> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        return Err(ParseError { flaw: Flaw::TooLarge, request: None });
    }
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
    let (head_end, body_start) = find_head_end(bytes, start).unwrap_or((bytes.len(), bytes.len()));
    let head = head(&bytes[start..head_end]);
    let body = bytes.slice(body_start..);
    match head.headers.content_length() {
        Ok(None) => head.finish(body),
        Ok(Some(length)) if length <= body.len() => head.finish(body.slice(..length)),
        Ok(Some(_)) => Err(head.refuse(Flaw::Truncated)),
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
            count += 1;
            if count > MAX_HEADERS || line.len() > MAX_LINE_BYTES {
                self.flaw.get_or_insert(Flaw::TooLarge);
                return;
            }
            let is_folded = |next: &&str| next.starts_with([' ', '\t']);
            if lines.peek().is_some_and(is_folded) {
                let mut unfolded = line.trim_end().to_owned();
                while let Some(more) = lines.next_if(is_folded) {
                    unfolded.push(' ');
                    unfolded.push_str(more.trim());
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
