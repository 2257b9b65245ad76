//! Digest authentication (RFC 7616, RFC 8760), both ends: challenging and checking our users, answering a carrier's
//! challenge. Pure: time and secrets come in. Who is challenged, and whose password it is, is the caller's business.

use super::wire::{HeaderName, Headers, Method, Request, Text, Uri};
use crate::site::SipHa1;
use crate::types::Time;

/// A digest algorithm we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    Md5,
    Sha256,
}

/// What a request's credentials are worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They prove this username.
    Accepted { username: Text },
    /// There are none for our realm: challenge.
    Missing,
    /// Right password, but a nonce that is too old or was used before: challenge with `stale=true`.
    Stale,
    /// Wrong password or unknown user; the two are alike to the outside.
    Refused { username: Text },
    /// Not readable: 400.
    Malformed(&'static str),
}

/// Challenges and checks. One per server; nonces carry their own proof, only replay counters are kept.
pub struct Authenticator {
    realm: Text,
    algorithms: Vec<Algorithm>,
    secret: [u8; 32],
    issued: u64,
}

impl Authenticator {
    /// `secret` is random and lives as long as the process; `algorithms` in the order they are offered.
    pub fn new(secret: [u8; 32], realm: impl Into<Text>, algorithms: Vec<Algorithm>) -> Authenticator {
        Authenticator { realm: realm.into(), algorithms, secret, issued: 0 }
    }

    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// Values for WWW-Authenticate (or Proxy-Authenticate), one per algorithm, first the preferred one.
    pub fn challenges(&mut self, now: Time, is_stale: bool) -> Vec<Text> {
        let _ = (now, is_stale, &self.algorithms, self.secret, self.issued);
        Vec::new()
    }

    /// Checks the credentials under `header` (Authorization or Proxy-Authorization). `ha1_of` finds a username's stored
    /// hashes; a user it does not know costs the same time.
    pub fn verify<'a>(
        &mut self,
        now: Time,
        request: &Request,
        header: &HeaderName,
        ha1_of: impl FnOnce(&str) -> Option<&'a SipHa1>,
    ) -> Verdict {
        let _ = (now, request, header, ha1_of);
        Verdict::Missing
    }
}

/// A user name and password for somebody else's server.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub username: String,
    pub password: String,
}

/// The header and value that answer the challenges of a 401 or 407; `None` when none is one we can answer.
/// The strongest algorithm we speak is taken. `nonce_count` is how often this nonce was answered, from 1; `cnonce` is random.
pub fn answer_challenge(
    challenge: &Headers,
    credentials: &Credentials,
    method: &Method,
    uri: &Uri,
    nonce_count: u32,
    cnonce: &str,
) -> Option<(HeaderName, Text)> {
    let _ = (challenge, credentials, method, uri, nonce_count, cnonce);
    None
}
