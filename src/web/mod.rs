//! The HTTP side: the API under `/api/v1`, the live event stream, health, and the desk embedded in the binary.
//! It carries wishes to the engine through its `Handle` and reads the store; it decides nothing about calls, and what
//! a person may see or do is decided by `access`. `app` binds a `Server` and runs it with an `AppState`.
//!
//! ```text
//! server ── envelope ── idempotency ── router ─┬─ api/<noun>   auth → access → engine or store
//!  limits    errors,      same key,            ├─ live         the log as a websocket
//!  TLS       headers      same answer          ├─ sip          the same for browsers' SIP
//!                                              ├─ health       /healthz /readyz /metrics
//!                                              └─ desk         the embedded browser application
//! ```

mod api;
mod auth;
mod desk;
mod envelope;
mod error;
mod extract;
mod health;
mod idempotency;
mod language;
mod list;
mod live;
mod nowhere;
mod openapi;
mod range;
mod router;
mod server;
mod sip;
mod source;
mod state;
mod tls;

pub use openapi::EVENT_TYPES;
pub use router::{document, router};
pub use server::{Server, ServerError};
pub use state::{AppState, HttpConfig, Parts, Tls};
pub use tls::TlsError;
