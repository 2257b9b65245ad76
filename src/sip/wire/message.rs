//! A SIP message: request or response, with its headers and body. Building answers and writing to bytes; reading is `parse`.

use std::io::Write;

use bytes::Bytes;

use super::{HeaderName, Headers, Method, ParseError, Status, Text, Uri, parse};

/// What goes over the wire.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    Request(Request),
    Response(Response),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub method: Method,
    pub uri: Uri,
    pub headers: Headers,
    pub body: Bytes,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    pub status: Status,
    /// For people; may be empty.
    pub reason: Text,
    pub headers: Headers,
    pub body: Bytes,
}

/// A request with a flaw, but with enough left to say so: what an answer copies (RFC 3261 §8.2.6.2).
#[derive(Clone, Debug, PartialEq)]
pub struct BadRequest {
    pub method: Method,
    pub status: Status,
    /// The flaw in words, without anything the sender wrote.
    pub reason: Text,
    /// The readable Vias, and From, To, Call-ID, CSeq as far as they were there.
    pub headers: Headers,
}

impl Message {
    /// Reads one datagram. Bytes after the length that Content-Length gives are dropped (RFC 3261 §18.3).
    pub fn parse(datagram: &[u8]) -> Result<Message, ParseError> {
        parse::datagram(datagram)
    }

    pub fn headers(&self) -> &Headers {
        match self {
            Message::Request(request) => &request.headers,
            Message::Response(response) => &response.headers,
        }
    }

    pub fn headers_mut(&mut self) -> &mut Headers {
        match self {
            Message::Request(request) => &mut request.headers,
            Message::Response(response) => &mut response.headers,
        }
    }

    pub fn body(&self) -> &Bytes {
        match self {
            Message::Request(request) => &request.body,
            Message::Response(response) => &response.body,
        }
    }

    pub fn to_bytes(&self) -> Bytes {
        match self {
            Message::Request(request) => request.to_bytes(),
            Message::Response(response) => response.to_bytes(),
        }
    }
}

impl Request {
    pub fn new(method: Method, uri: impl Into<Uri>) -> Request {
        Request { method, uri: uri.into(), headers: Headers::with_capacity(16), body: Bytes::new() }
    }

    /// Sets the body and its Content-Type; Content-Length is written by `to_bytes`.
    pub fn with_body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Request {
        self.headers.set(HeaderName::ContentType, Text::constant(content_type));
        self.body = body.into();
        self
    }

    /// An answer: Vias, From, To, Call-ID and CSeq copied; `to_tag` is added when the To has no tag yet and the answer
    /// is not 100 (RFC 3261 §8.2.6.2). A 100 copies Timestamp.
    pub fn answer(&self, status: Status, to_tag: Option<&str>) -> Response {
        let mut headers = Headers::with_capacity(12);
        copy_answer_headers(&mut headers, &self.headers);
        if status == Status::TRYING {
            headers.copy(&HeaderName::Timestamp, &self.headers);
        } else if let (Some(tag), Ok(to)) = (to_tag, self.headers.to())
            && to.tag().is_none()
        {
            headers.set_value(HeaderName::To, &to.with_tag(tag));
        }
        Response { status, reason: status.default_reason(), headers, body: Bytes::new() }
    }

    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(1024 + self.body.len());
        let _ = write!(out, "{} {} SIP/2.0\r\n", self.method, self.uri);
        write_rest(out, &self.headers, &self.body)
    }
}

impl Response {
    /// Sets the body and its Content-Type; Content-Length is written by `to_bytes`.
    pub fn with_body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Response {
        self.headers.set(HeaderName::ContentType, Text::constant(content_type));
        self.body = body.into();
        self
    }

    pub fn with_reason(mut self, reason: impl Into<Text>) -> Response {
        self.reason = reason.into();
        self
    }

    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(1024 + self.body.len());
        let _ = write!(out, "SIP/2.0 {} ", self.status);
        write_line_text(&mut out, &self.reason);
        out.extend_from_slice(b"\r\n");
        write_rest(out, &self.headers, &self.body)
    }
}

impl BadRequest {
    /// The final answer to it.
    pub fn answer(&self, to_tag: Option<&str>) -> Response {
        let mut headers = Headers::with_capacity(8);
        copy_answer_headers(&mut headers, &self.headers);
        if let (Some(tag), Ok(to)) = (to_tag, self.headers.to())
            && to.tag().is_none()
        {
            headers.set_value(HeaderName::To, &to.with_tag(tag));
        }
        Response { status: self.status, reason: self.reason.clone(), headers, body: Bytes::new() }
    }
}

fn copy_answer_headers(into: &mut Headers, from: &Headers) {
    for name in [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq] {
        into.copy(&name, from);
    }
}

/// Headers, the true Content-Length in its place (or last), an empty line, the body.
fn write_rest(mut out: Vec<u8>, headers: &Headers, body: &Bytes) -> Bytes {
    let mut is_length_written = false;
    for header in headers {
        if header.name == HeaderName::ContentLength {
            if !is_length_written {
                let _ = write!(out, "Content-Length: {}\r\n", body.len());
            }
            is_length_written = true;
            continue;
        }
        out.extend_from_slice(header.name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        write_line_text(&mut out, &header.value);
        out.extend_from_slice(b"\r\n");
    }
    if !is_length_written {
        let _ = write!(out, "Content-Length: {}\r\n", body.len());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    Bytes::from(out)
}

/// No text that we were given may start a new line: a name with CR LF in it would forge headers.
fn write_line_text(out: &mut Vec<u8>, text: &str) {
    let start = out.len();
    out.extend_from_slice(text.as_bytes());
    for byte in &mut out[start..] {
        if matches!(byte, b'\r' | b'\n') {
            *byte = b' ';
        }
    }
}
