//! SIP without sockets: messages on the wire, transactions, dialogs, digest, registrar and the endpoint that ties
//! them. Bytes and times come in, bytes and events go out. Only `gateway` and `engine` look inside.

pub mod auth;
pub mod dialog;
pub mod endpoint;
pub mod registrar;
pub mod transaction;
pub mod wire;
