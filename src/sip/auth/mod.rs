//! Digest authentication (RFC 7616, RFC 8760), both ends: challenging and checking our users, answering a carrier's
//! challenge. Pure: time and secrets come in. Who is challenged, and whose password it is, is the caller's business.

mod client; // answering a challenge
mod digest; // the hashes
mod nonce; //  nonces that prove themselves
mod server; // challenging and checking

pub use client::{Credentials, answer_challenge, is_stale};
pub use digest::Algorithm;
pub use server::{Authenticator, Verdict};
