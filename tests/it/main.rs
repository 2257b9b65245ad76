//! One integration-test binary. Scenarios run the real server with real SIP phones; the other folders test one
//! room each against real peers (databases, sockets). Helpers live in `support/`.

#![allow(clippy::unwrap_used, reason = "clippy.toml excuses test functions only; here every function is a test's")]

mod architecture;
mod media;
mod packaging;
mod recording;
mod scenarios;
mod sip;
mod store;
mod support;
mod web;
