//! The hashes of RFC 7616 §3.4, for MD5 and SHA-256.

use md5::Md5;
use sha2::{Digest, Sha256};

/// A digest algorithm we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    /// As the `algorithm` parameter and the config file print it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
        }
    }

    pub fn parse(text: &str) -> Option<Algorithm> {
        [Algorithm::Md5, Algorithm::Sha256].into_iter().find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(text))
    }

    /// Of a hash as hex.
    pub(super) const fn hex_length(self) -> usize {
        match self {
            Algorithm::Md5 => 32,
            Algorithm::Sha256 => 64,
        }
    }

    /// H(part:part:…) as lower-case hex.
    pub(super) fn hash(self, parts: &[&str]) -> String {
        match self {
            Algorithm::Md5 => joined::<Md5>(parts),
            Algorithm::Sha256 => joined::<Sha256>(parts),
        }
    }
}

fn joined<D: Digest>(parts: &[&str]) -> String {
    let mut hash = D::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            hash.update(b":");
        }
        hash.update(part.as_bytes());
    }
    hex::encode(hash.finalize())
}

/// What qop=auth mixes in besides the nonce.
#[derive(Clone, Copy, Debug)]
pub(super) struct Protection<'a> {
    /// Eight hex digits, as written.
    pub(super) nonce_count: &'a str,
    pub(super) cnonce: &'a str,
}

/// The response for `qop=auth`, or for no qop at all (RFC 2069's way, which old phones still use).
pub(super) fn response(
    algorithm: Algorithm,
    ha1: &str,
    nonce: &str,
    protection: Option<Protection>,
    method: &str,
    uri: &str,
) -> String {
    let ha2 = algorithm.hash(&[method, uri]);
    match protection {
        Some(Protection { nonce_count, cnonce }) => algorithm.hash(&[ha1, nonce, nonce_count, cnonce, "auth", &ha2]),
        None => algorithm.hash(&[ha1, nonce, &ha2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_7616_come_out() {
        let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        for (algorithm, expected) in [
            (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let ha1 = algorithm.hash(&["Mufasa", "http-auth@example.org", "Circle of Life"]);
            let protection = Some(Protection { nonce_count: "00000001", cnonce });
            assert_eq!(response(algorithm, &ha1, nonce, protection, "GET", "/dir/index.html"), expected);
        }
    }

    #[test]
    fn the_examples_of_rfc_2617_and_rfc_2069_come_out() {
        let nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093";
        let ha1 = Algorithm::Md5.hash(&["Mufasa", "testrealm@host.com", "Circle Of Life"]);
        let protection = Some(Protection { nonce_count: "00000001", cnonce: "0a4f113b" });
        let with_qop = response(Algorithm::Md5, &ha1, nonce, protection, "GET", "/dir/index.html");
        assert_eq!(with_qop, "6629fae49393a05397450978507c4ef1");
        let ha1 = Algorithm::Md5.hash(&["Mufasa", "testrealm@host.com", "CircleOfLife"]);
        let without = response(Algorithm::Md5, &ha1, nonce, None, "GET", "/dir/index.html");
        assert_eq!(without, "1949323746fe6a43ef61f9606e7febea", "as the erratum of RFC 2069 corrects it");
    }
}
