//! Somebody else's door: answering the challenge of a 401 or 407.

use super::digest::{Algorithm, Protection, response};
use crate::sip::wire::{AuthValue, HeaderName, Headers, Method, Param, Params, Text, Uri};

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
    let answer_under = |asked: HeaderName, answered: HeaderName| {
        let (value, algorithm) = strongest(challenge, &asked)?;
        let answer = credentials.answer(&value, algorithm, method, uri, nonce_count, cnonce)?;
        Some((answered, Text::from(answer.to_string())))
    };
    answer_under(HeaderName::WwwAuthenticate, HeaderName::Authorization)
        .or_else(|| answer_under(HeaderName::ProxyAuthenticate, HeaderName::ProxyAuthorization))
}

/// The challenge says that only the nonce was too old: the same password is worth another try (RFC 7616 §3.3).
pub fn is_stale(challenge: &Headers) -> bool {
    [HeaderName::WwwAuthenticate, HeaderName::ProxyAuthenticate].iter().any(|name| {
        let values = challenge.auth_values(name).unwrap_or_default();
        values.iter().any(|value| value.params.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")))
    })
}

/// The challenge under `name` with the strongest algorithm that we speak; the first one of equals.
fn strongest(challenge: &Headers, name: &HeaderName) -> Option<(AuthValue, Algorithm)> {
    let values = challenge.get_all(name).filter_map(|value| AuthValue::parse(value).ok());
    let ours = values.filter_map(|value| {
        let algorithm = match value.params.get("algorithm") {
            Some(name) => Algorithm::parse(name)?,
            None => Algorithm::Md5,
        };
        value.is_digest().then_some((value, algorithm))
    });
    ours.reduce(|best, next| if next.1 > best.1 { next } else { best })
}

impl Credentials {
    fn answer(
        &self,
        challenge: &AuthValue,
        algorithm: Algorithm,
        method: &Method,
        uri: &Uri,
        nonce_count: u32,
        cnonce: &str,
    ) -> Option<AuthValue> {
        let realm = challenge.params.get("realm")?;
        let nonce = challenge.params.get("nonce")?;
        let wants_qop = match challenge.params.get("qop") {
            // auth-int alone would have us hash bodies; nobody asks for it.
            Some(offered) => offered.split(',').any(|qop| qop.trim().eq_ignore_ascii_case("auth")).then_some(true)?,
            None => false,
        };
        let uri = uri.to_string();
        let nonce_count = format!("{nonce_count:08x}");
        let protection = wants_qop.then_some(Protection { nonce_count: &nonce_count, cnonce });
        let ha1 = algorithm.hash(&[&self.username, realm, &self.password]);
        let response = response(algorithm, &ha1, nonce, protection, method.as_str(), &uri);

        let mut params = Params::new();
        params.push(Param::quoted("username", self.username.as_str()));
        params.push(Param::quoted("realm", realm));
        params.push(Param::quoted("nonce", nonce));
        params.push(Param::quoted("uri", uri));
        params.push(Param::quoted("response", response));
        params.push(Param::new("algorithm", Some(Text::constant(algorithm.as_str()))));
        if let Some(Protection { nonce_count, cnonce }) = protection {
            params.push(Param::new("qop", Some(Text::constant("auth"))));
            params.push(Param::new("nc", Some(nonce_count.into())));
            params.push(Param::quoted("cnonce", cnonce));
        }
        if let Some(opaque) = challenge.params.get("opaque") {
            params.push(Param::quoted("opaque", opaque));
        }
        Some(AuthValue { scheme: Text::constant("Digest"), params })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(challenges: &[(HeaderName, &str)]) -> Option<(HeaderName, String)> {
        let mut headers = Headers::new();
        challenges.iter().for_each(|(name, value)| headers.push(name.clone(), *value));
        let credentials = Credentials { username: "Mufasa".into(), password: "Circle of Life".into() };
        let uri: Uri = "sip:+7495@carrier.example;user=phone".parse().unwrap();
        answer_challenge(&headers, &credentials, &Method::Invite, &uri, 26, "abc").map(|(name, value)| (name, value.to_string()))
    }

    #[test]
    fn everything_a_carrier_wants_is_in_the_answer() {
        let (name, value) = answer(&[(
            HeaderName::ProxyAuthenticate,
            "Digest realm=\"carrier\", nonce=\"n\\\"1\", opaque=\"o\", qop=\"auth-int, auth\"",
        )])
        .unwrap();
        assert_eq!(name, HeaderName::ProxyAuthorization);
        let ha1 = Algorithm::Md5.hash(&["Mufasa", "carrier", "Circle of Life"]);
        let ha2 = Algorithm::Md5.hash(&["INVITE", "sip:+7495@carrier.example;user=phone"]);
        let response = Algorithm::Md5.hash(&[&ha1, "n\"1", "0000001a", "abc", "auth", &ha2]);
        assert_eq!(
            value,
            format!(
                "Digest username=\"Mufasa\", realm=\"carrier\", nonce=\"n\\\"1\", uri=\"sip:+7495@carrier.example;user=phone\", \
                 response=\"{response}\", algorithm=MD5, qop=auth, nc=0000001a, cnonce=\"abc\", opaque=\"o\""
            )
        );
    }

    #[test]
    fn the_strongest_that_we_speak_is_answered() {
        let www = |value| (HeaderName::WwwAuthenticate, value);
        let (_, value) = answer(&[
            www("Digest realm=\"a\", nonce=\"1\", algorithm=SHA-512-256"),
            www("Digest realm=\"b\", nonce=\"2\", algorithm=MD5"),
            www("Digest realm=\"c\", nonce=\"3\", algorithm=sha-256"),
            www("Digest realm=\"d\", nonce=\"4\", algorithm=SHA-256"),
        ])
        .unwrap();
        assert!(value.contains("realm=\"c\"") && value.contains("algorithm=SHA-256") && !value.contains("qop"), "{value}");
    }

    #[test]
    fn what_we_cannot_answer_is_left_alone() {
        for challenge in [
            "Basic realm=\"a\"",
            "Digest nonce=\"1\"",
            "Digest realm=\"a\"",
            "Digest realm=\"a\", nonce=\"1\", qop=\"auth-int\"",
            "Digest realm=\"a\", nonce=\"1\", algorithm=MD5-sess",
            "Digest realm=\"a",
        ] {
            assert_eq!(answer(&[(HeaderName::WwwAuthenticate, challenge)]), None, "{challenge}");
        }
        assert_eq!(answer(&[]), None);
    }
}
