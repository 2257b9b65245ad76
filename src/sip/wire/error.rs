//! What can be wrong with bytes from the network, in the words of the answer.

use thiserror::Error;

use super::{BadRequest, HeaderName, Status};

/// A URI that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UriError {
    #[error("no scheme before a colon")]
    NoScheme,
    #[error("no host")]
    NoHost,
    #[error("not a host name or address")]
    BadHost,
    #[error("not a port")]
    BadPort,
    #[error("a character that a URI cannot hold")]
    BadCharacter,
    #[error("not a telephone number")]
    BadNumber,
    #[error("too many parameters or headers")]
    TooMany,
}

/// A header that is not there or not readable.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    #[error("no {0} header")]
    Missing(HeaderName),
    #[error("more than one {0} header")]
    Repeated(HeaderName),
    #[error("bad {name} header: {why}")]
    Bad { name: HeaderName, why: &'static str },
    #[error("bad {name} header: {why}")]
    BadUri { name: HeaderName, why: UriError },
}

/// Why bytes are not a message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Flaw {
    #[error("bad request or status line: {0}")]
    StartLine(&'static str),
    #[error("bad Request-URI: {0}")]
    RequestUri(UriError),
    #[error("not SIP/2.0")]
    Version,
    #[error("a header line without a name and a colon")]
    HeaderLine,
    #[error("a carriage return that ends no line")]
    BareCarriageReturn,
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("the CSeq method is not the request's method")]
    MethodMismatch,
    #[error("Content-Length says more than there is")]
    Truncated,
    #[error("too large")]
    TooLarge,
}

impl Flaw {
    /// The answer to a request with this flaw.
    pub fn status(&self) -> Status {
        match self {
            Flaw::Version => Status::VERSION_NOT_SUPPORTED,
            Flaw::TooLarge => Status::MESSAGE_TOO_LARGE,
            _ => Status::BAD_REQUEST,
        }
    }
}

/// Bytes that are not a message; when they are a request that can be answered, also what the answer needs.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{flaw}")]
pub struct ParseError {
    pub flaw: Flaw,
    /// `None` for responses, ACK, and requests without the headers that an answer copies.
    pub request: Option<Box<BadRequest>>,
}

/// A stream whose next message cannot be found any more: the connection must be closed (RFC 3261 §18.3).
#[derive(Clone, Debug, PartialEq, Error)]
pub enum FramingError {
    #[error("headers longer than the limit without an end")]
    HeadTooLarge,
    #[error("a message of {0} bytes is over the limit")]
    MessageTooLarge(usize),
    #[error("no readable Content-Length, which a stream needs")]
    NoLength(Option<Box<BadRequest>>),
}
