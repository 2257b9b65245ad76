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

    /// No message has begun to come in.
    pub fn is_empty(&self) -> bool {
        self.head.is_none() && self.buffer.is_empty()
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

    /// Line ends between messages. Afterwards the buffer starts with a message, or with at most three bytes that may
    /// become half of a ping.
    fn keep_alive(&mut self) -> Option<Frame> {
        loop {
            let (length, frame) = match self.buffer.as_ref() {
                [b'\r', b'\n', b'\r', b'\n', ..] => (4, Frame::Ping),
                [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => return None,
                [b'\r', b'\n', ..] => (2, Frame::Pong),
                [b'\n', ..] => (1, Frame::Pong),
                [b'\r', ..] => {
                    self.buffer.advance(1);
                    continue;
                }
                _ => return None,
            };
            self.buffer.advance(length);
            return Some(frame);
        }
    }

    fn next_head(&mut self) -> Result<Option<(Head, usize)>, FramingError> {
        if matches!(self.buffer.first(), None | Some(b'\r')) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::wire::Method;

    fn message(call: u32, body: &str) -> String {
        format!(
            "MESSAGE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP c;branch=z9hG4bK{call}\r\nFrom: <sip:c@d>;tag=1\r\nTo: <sip:a@b>\r\n\
             Call-ID: {call}@c\r\nCSeq: 1 MESSAGE\r\nl: {}\r\n\r\n{body}",
            body.len()
        )
    }

    fn frames(framer: &mut StreamFramer) -> Vec<Frame> {
        std::iter::from_fn(|| framer.next_frame().expect("a sound stream")).collect()
    }

    #[test]
    fn messages_and_keep_alives_come_out_the_same_however_the_stream_is_split() {
        let stream = format!("{}\r\n\r\n{}\r\n{}", message(1, "one\r\n\r\n"), message(2, ""), message(3, "три"));
        for step in 1..stream.len() {
            let mut framer = StreamFramer::new();
            let mut all = Vec::new();
            for chunk in stream.as_bytes().chunks(step) {
                framer.push(chunk);
                all.extend(frames(&mut framer));
            }
            let bodies: Vec<_> = all
                .iter()
                .map(|frame| match frame {
                    Frame::Message(Message::Request(request)) => {
                        assert_eq!(request.method, Method::Message);
                        String::from_utf8(request.body.to_vec()).unwrap()
                    }
                    other => format!("{other:?}"),
                })
                .collect();
            assert_eq!(bodies, ["one\r\n\r\n", "Ping", "", "Pong", "три"], "in steps of {step}");
        }
    }

    #[test]
    fn line_ends_without_end_are_not_kept() {
        let mut framer = StreamFramer::new();
        for piece in ["\r", "\n", "\r\n", "\r\r\n"] {
            for _ in 0..1000 {
                framer.push(piece.repeat(100).as_bytes());
                while framer.next_frame().expect("keep-alives").is_some() {}
                assert!(framer.buffer.len() <= 3, "{piece:?}");
            }
        }
        framer.push(b"\n");
        framer.push(message(1, "after all that").as_bytes());
        assert!(matches!(frames(&mut framer).last(), Some(Frame::Message(_))));
    }

    #[test]
    fn a_flawed_message_does_not_end_the_stream() {
        let mut framer = StreamFramer::new();
        framer.push(message(1, "x").replace("CSeq: 1 MESSAGE", "CSeq: 1 INFO").as_bytes());
        framer.push(message(2, "y").as_bytes());
        let all = frames(&mut framer);
        assert!(matches!(&all[0], Frame::Flawed(ParseError { flaw: Flaw::MethodMismatch, request: Some(_) })), "{all:?}");
        assert!(matches!(&all[1], Frame::Message(_)));
    }

    #[test]
    fn a_stream_without_lengths_is_lost_but_can_be_told_why() {
        let mut framer = StreamFramer::new();
        framer.push(message(1, "").replace("l: 0\r\n", "").as_bytes());
        let Err(FramingError::NoLength(Some(request))) = framer.next_frame() else { panic!("must be refused") };
        assert_eq!(request.answer(None).status.code(), 400);
    }

    #[test]
    fn endless_heads_and_giant_bodies_are_refused() {
        let mut framer = StreamFramer::new();
        let mut outcome = Ok(None);
        for _ in 0..100 {
            framer.push(&[b'x'; 1024]);
            outcome = framer.next_frame();
            if outcome.is_err() {
                break;
            }
        }
        assert_eq!(outcome, Err(FramingError::HeadTooLarge));
        for length in ["65536", "18446744073709551615"] {
            let mut framer = StreamFramer::new();
            framer.push(message(1, "").replace("l: 0", &format!("l: {length}")).as_bytes());
            assert!(matches!(framer.next_frame(), Err(FramingError::MessageTooLarge(_))), "{length}");
        }
    }
}
