//! One integration-test binary. Scenarios run the real server with real SIP phones; the other folders test one
//! room each against real peers (databases, sockets). Helpers live in `support/`.

mod architecture;
mod media;
mod scenarios;
mod sip;
mod store;
mod support;
mod web;
