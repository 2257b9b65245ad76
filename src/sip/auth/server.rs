//! Our side of the door: challenges, and what credentials are worth.

use subtle::ConstantTimeEq;

use super::digest::{Algorithm, Protection, response};
use super::nonce::Nonces;
use crate::sip::wire::{AuthValue, HeaderName, Request, Text, Uri};
use crate::site::SipHa1;
use crate::types::Time;

/// What a request's credentials are worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They prove this username.
    Accepted { username: Text },
    /// There are none for our realm and our algorithms: challenge.
    Missing,
    /// The right password, but a nonce that is too old, not ours, or was used before: challenge with `stale=true`.
    Stale,
    /// A wrong password or an unknown user; the two are alike to the outside.
    Refused { username: Text },
    /// Not readable: 400.
    Malformed(&'static str),
}

/// Challenges and checks. One per server; nonces carry their own proof, only used ones are remembered.
#[derive(Debug)]
pub struct Authenticator {
    realm: Text,
    algorithms: Vec<Algorithm>,
    nonces: Nonces,
}

/// The parameters of one Authorization header that concern us.
struct Claim<'a> {
    username: &'a Text,
    nonce: &'a str,
    uri: &'a Text,
    response: &'a str,
    /// `None` without qop.
    protection: Option<Protection<'a>>,
    nonce_count: u32,
}

impl Authenticator {
    /// `secret` is random and lives as long as the process; `algorithms` in the order they are offered.
    pub fn new(secret: [u8; 32], realm: impl Into<Text>, algorithms: Vec<Algorithm>) -> Authenticator {
        Authenticator { realm: realm.into(), algorithms, nonces: Nonces::new(secret) }
    }

    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// Values for WWW-Authenticate (or Proxy-Authenticate), one per algorithm, first the preferred one (RFC 8760 §2.3).
    pub fn challenges(&mut self, now: Time, is_stale: bool) -> Vec<Text> {
        let nonce = self.nonces.issue(now);
        let stale = if is_stale { ", stale=true" } else { "" };
        let challenge = |algorithm: &Algorithm| {
            let (realm, algorithm) = (&self.realm, algorithm.as_str());
            Text::from(format!("Digest realm=\"{realm}\", nonce=\"{nonce}\"{stale}, algorithm={algorithm}, qop=\"auth\""))
        };
        self.algorithms.iter().map(challenge).collect()
    }

    /// The username that the credentials under `header` claim, without any proof; the ones that `verify` would check.
    pub fn claimed_username(&self, request: &Request, header: &HeaderName) -> Option<Text> {
        let values = request.headers.auth_values(header).ok()?;
        values.iter().find(|value| self.ours(value).is_some())?.params.get("username").cloned()
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
        let Ok(values) = request.headers.auth_values(header) else { return Verdict::Malformed("unreadable credentials") };
        let Some((value, algorithm)) = values.iter().find_map(|value| Some((value, self.ours(value)?))) else {
            return Verdict::Missing;
        };
        let claim = match Claim::read(value, algorithm) {
            Ok(claim) => claim,
            Err(why) => return Verdict::Malformed(why),
        };
        let known = ha1_of(claim.username);
        // A stranger's hash is checked too, against a hash that nothing yields.
        let ha1 = known.map_or("", |ha1| match algorithm {
            Algorithm::Md5 => &ha1.md5,
            Algorithm::Sha256 => &ha1.sha256,
        });
        let expected = response(algorithm, ha1, claim.nonce, claim.protection, request.method.as_str(), claim.uri);
        let is_right = bool::from(expected.as_bytes().ct_eq(claim.response.to_ascii_lowercase().as_bytes()));
        if !is_right || known.is_none() {
            return Verdict::Refused { username: claim.username.clone() };
        }
        self.judge_nonce(now, request, &claim)
    }

    /// The password is right; is the proof fresh and meant for this request?
    fn judge_nonce(&mut self, now: Time, request: &Request, claim: &Claim) -> Verdict {
        let Some(nonce) = self.nonces.open(now, claim.nonce) else { return Verdict::Stale };
        let is_fresh = match claim.protection {
            Some(_) => self.nonces.use_count(now, nonce, claim.nonce_count),
            // Without a count the proof could be played again elsewhere, so at least the address must be the same.
            None => is_same_target(&request.uri, claim.uri),
        };
        if is_fresh { Verdict::Accepted { username: claim.username.clone() } } else { Verdict::Stale }
    }

    /// The algorithm of credentials that answer a challenge of ours. A weaker one than we offer is none.
    fn ours(&self, value: &AuthValue) -> Option<Algorithm> {
        let is_our_realm = value.params.get("realm").is_some_and(|realm| *realm == self.realm);
        let algorithm = match value.params.get("algorithm") {
            Some(name) => Algorithm::parse(name)?,
            None => Algorithm::Md5,
        };
        (value.is_digest() && is_our_realm && self.algorithms.contains(&algorithm)).then_some(algorithm)
    }
}

impl<'a> Claim<'a> {
    fn read(value: &'a AuthValue, algorithm: Algorithm) -> Result<Claim<'a>, &'static str> {
        let get = |name| value.params.get(name);
        let (protection, nonce_count) = match get("qop") {
            Some(qop) if qop.eq_ignore_ascii_case("auth") => {
                let count = get("nc").ok_or("qop without nc")?;
                let is_hex = count.len() == 8 && count.bytes().all(|byte| byte.is_ascii_hexdigit());
                let number = is_hex.then(|| u32::from_str_radix(count, 16).ok()).flatten().ok_or("nc is not eight hex digits")?;
                let cnonce = get("cnonce").ok_or("qop without cnonce")?;
                (Some(Protection { nonce_count: count, cnonce }), number)
            }
            Some(_) => return Err("a qop that was not offered"),
            None => (None, 0),
        };
        let response = get("response").ok_or("no response")?;
        if response.len() != algorithm.hex_length() {
            return Err("a response of the wrong length");
        }
        Ok(Claim {
            username: get("username").ok_or("no username")?,
            nonce: get("nonce").ok_or("no nonce")?,
            uri: get("uri").ok_or("no uri")?,
            response,
            protection,
            nonce_count,
        })
    }
}

fn is_same_target(request_uri: &Uri, claimed: &Text) -> bool {
    let Ok(claimed) = Uri::parse(claimed) else { return false };
    request_uri.user_decoded() == claimed.user_decoded() && request_uri.host() == claimed.host()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::auth::{Credentials, answer_challenge, is_stale};
    use crate::sip::wire::{Headers, Method};

    const NOW: Time = Time::from_millis(1_000_000);

    fn ha1(username: &str, password: &str) -> SipHa1 {
        let parts = [username, "perezvon", password];
        SipHa1 { md5: Algorithm::Md5.hash(&parts), sha256: Algorithm::Sha256.hash(&parts) }
    }

    fn door(algorithms: &[Algorithm]) -> Authenticator {
        Authenticator::new([7; 32], "perezvon", algorithms.to_vec())
    }

    fn request(method: Method) -> Request {
        Request::new(method, "sip:example.com".parse::<Uri>().unwrap())
    }

    /// The headers of a 401 with these challenges.
    fn asked(challenges: Vec<Text>) -> Headers {
        let mut headers = Headers::new();
        challenges.into_iter().for_each(|challenge| headers.push(HeaderName::WwwAuthenticate, challenge));
        headers
    }

    /// A REGISTER whose Authorization answers `challenge` for user 101.
    fn answered(challenge: &Headers, password: &str, nonce_count: u32) -> Request {
        let mut request = request(Method::Register);
        let credentials = Credentials { username: "101".into(), password: password.into() };
        let (name, value) =
            answer_challenge(challenge, &credentials, &request.method, &request.uri, nonce_count, "c-nonce").unwrap();
        request.headers.push(name, value);
        request
    }

    fn judged(door: &mut Authenticator, now: Time, request: &Request) -> Verdict {
        let anna = ha1("101", "secret");
        door.verify(now, request, &HeaderName::Authorization, |username| (username == "101").then_some(&anna))
    }

    fn accepted() -> Verdict {
        Verdict::Accepted { username: "101".into() }
    }

    fn refused() -> Verdict {
        Verdict::Refused { username: "101".into() }
    }

    #[test]
    fn our_client_opens_our_door_with_every_algorithm() {
        for algorithms in [&[Algorithm::Md5][..], &[Algorithm::Sha256], &[Algorithm::Md5, Algorithm::Sha256]] {
            let mut door = door(algorithms);
            let challenge = asked(door.challenges(NOW, false));
            let request = answered(&challenge, "secret", 1);
            let strongest = algorithms.iter().max().unwrap().as_str();
            assert!(request.headers.get(&HeaderName::Authorization).unwrap().contains(&format!("algorithm={strongest},")));
            assert_eq!(judged(&mut door, NOW, &request), accepted());
            assert_eq!(judged(&mut door, NOW, &answered(&challenge, "wrong", 2)), refused());
        }
    }

    #[test]
    fn a_challenge_looks_as_phones_expect() {
        let challenges = door(&[Algorithm::Sha256, Algorithm::Md5]).challenges(NOW, true);
        let nonce = challenges[0].split('"').nth(3).unwrap();
        let rest = format!("realm=\"perezvon\", nonce=\"{nonce}\", stale=true");
        assert_eq!(challenges[0], format!("Digest {rest}, algorithm=SHA-256, qop=\"auth\"").as_str());
        assert_eq!(challenges[1], format!("Digest {rest}, algorithm=MD5, qop=\"auth\"").as_str());
        assert!(is_stale(&asked(challenges)));
    }

    #[test]
    fn a_proof_works_once_and_the_next_count_works_again() {
        let mut door = door(&[Algorithm::Md5]);
        let challenge = asked(door.challenges(NOW, false));
        for (count, expected) in [(1, accepted()), (1, Verdict::Stale), (0x0a, accepted()), (2, accepted()), (2, Verdict::Stale)]
        {
            assert_eq!(judged(&mut door, NOW, &answered(&challenge, "secret", count)), expected, "{count}");
        }
    }

    #[test]
    fn an_old_or_foreign_nonce_is_stale_only_for_who_knows_the_password() {
        let mut door = door(&[Algorithm::Md5]);
        let challenge = asked(door.challenges(NOW, false));
        let late = NOW + std::time::Duration::from_secs(301);
        assert_eq!(judged(&mut door, late, &answered(&challenge, "secret", 1)), Verdict::Stale);
        assert_eq!(judged(&mut door, late, &answered(&challenge, "wrong", 1)), refused());
        let before_restart = asked(Authenticator::new([8; 32], "perezvon", vec![Algorithm::Md5]).challenges(NOW, false));
        assert_eq!(judged(&mut door, NOW, &answered(&before_restart, "secret", 1)), Verdict::Stale);
    }

    #[test]
    fn an_unknown_user_is_refused_like_a_wrong_password() {
        let mut door = door(&[Algorithm::Md5]);
        let challenge = asked(door.challenges(NOW, false));
        for password in ["", "secret"] {
            let request = answered(&challenge, password, 1);
            assert_eq!(door.verify(NOW, &request, &HeaderName::Authorization, |_| None), refused());
        }
        // Not even a response made from the empty hash that stands in for strangers.
        let nonce = challenge.get(&HeaderName::WwwAuthenticate).unwrap().split('"').nth(3).unwrap().to_string();
        let forged = response(Algorithm::Md5, "", &nonce, None, "REGISTER", "sip:example.com");
        let mut request = request(Method::Register);
        let value = format!("Digest username=101, realm=perezvon, nonce={nonce}, uri=\"sip:example.com\", response={forged}");
        request.headers.push(HeaderName::Authorization, value);
        assert_eq!(door.verify(NOW, &request, &HeaderName::Authorization, |_| None), refused());
    }

    #[test]
    fn phones_without_qop_are_served_for_their_own_target_only() {
        let mut door = door(&[Algorithm::Md5]);
        let nonce = door.challenges(NOW, false)[0].split('"').nth(3).unwrap().to_string();
        let with_uri = |uri: &str, door: &mut Authenticator| {
            let hash = response(Algorithm::Md5, &ha1("101", "secret").md5, &nonce, None, "REGISTER", uri);
            let mut request = request(Method::Register);
            request.headers.push(
                HeaderName::Authorization,
                format!(
                    "Digest response={},uri=\"{uri}\",nonce=\"{nonce}\",realm=\"perezvon\",username=\"101\"",
                    hash.to_uppercase()
                ),
            );
            judged(door, NOW, &request)
        };
        assert_eq!(with_uri("sip:example.com;transport=udp", &mut door), accepted());
        assert_eq!(with_uri("sip:other.example.com", &mut door), Verdict::Stale);
    }

    #[test]
    fn credentials_for_others_are_missing_and_broken_ones_malformed() {
        let mut door = door(&[Algorithm::Sha256]);
        let mut judge = |value: &str| {
            let mut request = request(Method::Register);
            request.headers.push(HeaderName::Authorization, value);
            judged(&mut door, NOW, &request)
        };
        assert_eq!(judge("Basic YTpi"), Verdict::Missing);
        assert_eq!(judge("Digest realm=\"elsewhere\""), Verdict::Missing);
        assert_eq!(judge("Digest realm=\"perezvon\", algorithm=MD5"), Verdict::Missing, "weaker than we offer");
        assert_eq!(judge("Digest realm=\"perezvon\", algorithm=SHA-512-256"), Verdict::Missing);
        assert_eq!(judge("Digest realm=\"perezvon"), Verdict::Malformed("unreadable credentials"));
        let ours = "Digest realm=perezvon, algorithm=SHA-256";
        assert_eq!(judge(ours), Verdict::Malformed("no response"));
        let long = format!("{ours}, response={}", "0".repeat(64));
        assert_eq!(judge(&long), Verdict::Malformed("no username"));
        assert_eq!(judge(&format!("{long}, qop=auth-int")), Verdict::Malformed("a qop that was not offered"));
        assert_eq!(judge(&format!("{long}, qop=auth, nc=1")), Verdict::Malformed("nc is not eight hex digits"));
        assert_eq!(judge(&format!("{ours}, response=0")), Verdict::Malformed("a response of the wrong length"));
        assert_eq!(judged(&mut door, NOW, &request(Method::Register)), Verdict::Missing);
    }
}
