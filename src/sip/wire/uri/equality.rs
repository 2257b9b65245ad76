//! When two URIs name the same resource: RFC 3261 §19.1.4, and RFC 3966 §4 for `tel:`.

use super::{Host, SipUri, TelUri, Uri, decode};
use crate::sip::wire::{Params, Text};

/// Parameters that must be in both URIs or in neither.
const NEVER_IGNORED: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];

pub(super) fn is_equivalent(one: &Uri, other: &Uri) -> bool {
    match (one, other) {
        (Uri::Sip(one), Uri::Sip(other)) => is_same_sip(one, other),
        (Uri::Tel(one), Uri::Tel(other)) => is_same_tel(one, other),
        (Uri::Other(one), Uri::Other(other)) => one.scheme.eq_ignore_ascii_case(&other.scheme) && one.rest == other.rest,
        _ => false,
    }
}

fn is_same_sip(one: &SipUri, other: &SipUri) -> bool {
    one.is_secure == other.is_secure
        && is_same_text(one.user.as_ref(), other.user.as_ref())
        && is_same_text(one.password.as_ref(), other.password.as_ref())
        && is_same_host(&one.host, &other.host)
        && one.port == other.port
        && are_same_params(&one.params, &other.params)
        && are_same_headers(&one.headers, &other.headers)
}

fn is_same_text(one: Option<&Text>, other: Option<&Text>) -> bool {
    one.map(decode) == other.map(decode)
}

fn is_same_host(one: &Host, other: &Host) -> bool {
    match (one, other) {
        (Host::Name(one), Host::Name(other)) => one.eq_ignore_ascii_case(other),
        _ => one == other,
    }
}

fn are_same_params(one: &Params, other: &Params) -> bool {
    let values_agree = one.iter().all(|param| match other.find(&param.name) {
        Some(theirs) => match (&param.value, &theirs.value) {
            (Some(ours), Some(theirs)) => decode(ours).eq_ignore_ascii_case(&decode(theirs)),
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        },
        None => true,
    });
    values_agree && NEVER_IGNORED.iter().all(|name| one.has(name) == other.has(name))
}

/// Headers are never ignored; their order is.
fn are_same_headers(one: &[(Text, Text)], other: &[(Text, Text)]) -> bool {
    let key = |(name, value): &(Text, Text)| (decode(name).to_ascii_lowercase(), decode(value));
    let sorted = |headers: &[(Text, Text)]| {
        let mut keys: Vec<_> = headers.iter().map(key).collect();
        keys.sort();
        keys
    };
    one.len() == other.len() && sorted(one) == sorted(other)
}

fn is_same_tel(one: &TelUri, other: &TelUri) -> bool {
    let digits = |number: &Text| number.chars().filter(|c| !"-.()".contains(*c)).collect::<String>().to_ascii_lowercase();
    let all_in = |from: &Params, into: &Params| {
        from.iter().all(|param| {
            into.find(&param.name).is_some_and(|theirs| match (&param.value, &theirs.value) {
                (Some(ours), Some(theirs)) => ours.eq_ignore_ascii_case(theirs),
                (ours, theirs) => ours.is_none() && theirs.is_none(),
            })
        })
    };
    digits(&one.number) == digits(&other.number) && all_in(&one.params, &other.params) && all_in(&other.params, &one.params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(one: &str, other: &str) -> bool {
        let parse = |text: &str| text.parse::<Uri>().unwrap();
        let (one, other) = (parse(one), parse(other));
        assert_eq!(one.is_equivalent(&other), other.is_equivalent(&one), "symmetric");
        one.is_equivalent(&other)
    }

    #[test]
    fn pairs_the_rfc_calls_equivalent() {
        assert!(same("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp"));
        assert!(same("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"));
        assert!(same("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"));
        assert!(same(
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com"
        ));
        assert!(same("sip:alice@atlanta.com?subject=x&priority=urgent", "sip:alice@atlanta.com?priority=urgent&subject=x"));
        assert!(same("sip:[2001:db8::1]", "sip:[2001:DB8:0::1]"));
        assert!(same("tel:+7-495-123-45-67", "tel:+74951234567"));
    }

    #[test]
    fn pairs_the_rfc_calls_different() {
        assert!(!same("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"));
        assert!(!same("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"));
        assert!(!same("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"));
        assert!(!same("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"));
        assert!(!same("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"));
        assert!(!same("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"));
        assert!(!same("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"));
        assert!(!same("sip:a@b", "sips:a@b"));
        assert!(!same("sip:a@b", "tel:1"));
    }
}
