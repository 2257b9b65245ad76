//! SIP on the wire: bytes to messages and back, and the words messages are made of. Our own lexer, because the edge takes
//! whatever a stranger sends (docs/adr/0001-rsip-at-the-wire.md); `rsip` lends its vocabulary. Decides nothing: transactions,
//! dialogs and the endpoint do. Used by `sip`, `gateway` and `transport`.

mod error;
mod flow;
mod framer;
mod header_name;
mod headers;
mod lex;
mod limits;
mod message;
mod method;
mod name_addr;
mod params;
mod parse;
#[cfg(test)]
mod property_tests;
mod status;
mod text;
mod typed;
pub mod uri;
mod values;
mod via;

pub use error::{Flaw, FramingError, HeaderError, ParseError, UriError};
pub use flow::{ConnectionId, Flow, Transport};
pub use framer::{Frame, StreamFramer};
pub use header_name::HeaderName;
pub use headers::{Header, Headers};
pub use limits::{MAX_HEADERS, MAX_LINE_BYTES, MAX_MESSAGE_BYTES, MAX_PARAMS};
pub use message::{BadRequest, Message, Request, Response};
pub use method::Method;
pub use name_addr::{HeaderValueError, NameAddr};
pub use params::{Param, Params};
pub use status::Status;
pub use text::Text;
pub use uri::{Host, OtherUri, SipUri, TelUri, Uri};
pub use values::{AuthValue, CSeq, Contacts, Reason, Replaces};
pub use via::{BRANCH_COOKIE, Via};
