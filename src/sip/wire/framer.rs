//! Cuts a byte stream into messages by Content-Length (RFC 3261 §18.3) and reports keep-alives (RFC 5626 §4.4.1).
//! `transport` owns one per TCP connection. It reads nothing by itself.

use bytes::{Buf, BytesMut};

use super::limits::{MAX_LINE_BYTES, MAX_MESSAGE_BYTES};
use super::message::Message;
use super::parse::{self, Head};
use super::{Flaw, FramingError, ParseError};

/// What a stream held.
#[derive(Debug, PartialEq)]
pub enum Frame {
    Message(Message),
    /// A flawed message whose end was known; the stream goes on.
    Flawed(ParseError),
    /// CRLF CRLF between messages: the peer wants a CRLF back.
    Ping,
    /// A single CRLF between messages: the answer to our ping, or a stray one.
    Pong,
}

/// Holds at most one message's worth of bytes beyond what was pushed last.
#[derive(Default)]
pub struct StreamFramer {
    buffer: BytesMut,
    /// Bytes of `buffer` that hold no end of a head.
    searched: usize,
    /// A head whose body has not come whole yet, and the body's length.
    head: Option<(Head, usize)>,
}

impl StreamFramer {
    pub fn new() -> StreamFramer {
        StreamFramer::default()
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame; `None` when more bytes are needed. After an error the stream is lost: close it.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FramingError> {
        if self.head.is_none() {
            if let Some(keep_alive) = self.keep_alive() {
                return Ok(Some(keep_alive));
            }
            self.head = self.next_head()?;
        }
        let Some((head, length)) = self.head.take() else { return Ok(None) };
        if self.buffer.len() < length {
            self.head = Some((head, length));
            return Ok(None);
        }
        let body = self.buffer.split_to(length).freeze();
        Ok(Some(match head.finish(body) {
            Ok(message) => Frame::Message(message),
            Err(error) => Frame::Flawed(error),
        }))
    }

    /// Line ends between messages.
    fn keep_alive(&mut self) -> Option<Frame> {
        match self.buffer.as_ref() {
            [b'\r', b'\n', b'\r', b'\n', ..] => {
                self.buffer.advance(4);
                Some(Frame::Ping)
            }
            // Perhaps half of a ping: wait for what comes next.
            [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] | [b'\r'] => None,
            [b'\r', b'\n', ..] => {
                self.buffer.advance(2);
                Some(Frame::Pong)
            }
            [b'\n', ..] => {
                self.buffer.advance(1);
                Some(Frame::Pong)
            }
            _ => None,
        }
    }

    fn next_head(&mut self) -> Result<Option<(Head, usize)>, FramingError> {
        if self.buffer.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            return Ok(None);
        }
        let Some((head_end, body_start)) = parse::find_head_end(&self.buffer, self.searched) else {
            // The end may start in the last three bytes.
            self.searched = self.buffer.len().saturating_sub(3);
            let is_too_large = self.buffer.len() > MAX_MESSAGE_BYTES - MAX_LINE_BYTES;
            return if is_too_large { Err(FramingError::HeadTooLarge) } else { Ok(None) };
        };
        let head = parse::head(&self.buffer[..head_end]);
        self.buffer.advance(body_start);
        self.searched = 0;
        let no_length = |error: ParseError| FramingError::NoLength(error.request);
        let length = match head.headers.content_length() {
            Ok(Some(length)) => length,
            Ok(None) => return Err(no_length(head.refuse(Flaw::Truncated))),
            Err(error) => return Err(no_length(head.refuse(error.into()))),
        };
        if head_end.saturating_add(length) > MAX_MESSAGE_BYTES {
            return Err(FramingError::MessageTooLarge(length));
        }
        Ok(Some((head, length)))
    }
}
