//! SRTP keys in the SDP: `a=crypto` (RFC 4568 §9, RFC 7714 §14). Reads what is offered, writes ours, and says what is
//! refused: keys with an MKI (we send none and would have to), and sessions without encryption or authentication.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use super::session::{Attribute, Media};
use crate::media::srtp::{MasterKey, Profile};

/// What we speak; in offers, in this order, because some phones look at the first line only.
pub(super) const PROFILES: [Profile; 2] = [Profile::AesCm128HmacSha1_80, Profile::AeadAes128Gcm];

/// Lines looked at; nobody offers so many suites.
const MOST_LINES: usize = 16;

/// One usable `a=crypto` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crypto {
    /// Names the line within its description; an answer repeats the offer's.
    pub tag: u32,
    pub key: MasterKey,
}

/// The usable lines of a stream, in its order of preference. What cannot be read, or is not for us, is left out: the next
/// line may do.
pub(super) fn offered(media: &Media) -> impl Iterator<Item = Crypto> {
    let lines = media.attributes.iter().filter(|attribute| attribute.name.eq_ignore_ascii_case("crypto"));
    lines.take(MOST_LINES).filter_map(|line| parse(line.value.as_deref()?))
}

/// `1 AES_CM_128_HMAC_SHA1_80 inline:BASE64|2^20|1:4 KDR=0`
fn parse(value: &str) -> Option<Crypto> {
    let mut words = value.split_ascii_whitespace();
    let tag = words.next()?;
    // RFC 4568 §9.2: at most nine digits.
    let is_tag = tag.len() <= 9 && tag.bytes().all(|byte| byte.is_ascii_digit());
    let tag = is_tag.then(|| tag.parse().ok()).flatten()?;
    let suite = words.next()?;
    let profile = PROFILES.into_iter().find(|profile| profile.sdes_name().eq_ignore_ascii_case(suite))?;
    let key = parse_key(words.next()?, profile)?;
    words.all(is_harmless).then_some(Crypto { tag, key })
}

/// `inline:BASE64[|lifetime][|MKI:length]`. Several keys (`;`) are never used without an MKI. A lifetime is only read: a call
/// of ours ends long before 2^31 packets.
fn parse_key(text: &str, profile: Profile) -> Option<MasterKey> {
    let (method, info) = text.split_once(':')?;
    let mut parts = info.split('|');
    let key_and_salt = parts.next()?;
    let has_only_a_lifetime = match (parts.next(), parts.next()) {
        (None, _) => true,
        (Some(lifetime), None) => is_lifetime(lifetime),
        (Some(_), Some(_)) => false,
    };
    if !method.eq_ignore_ascii_case("inline") || info.contains(';') || !has_only_a_lifetime {
        return None;
    }
    // Some phones leave the padding out.
    let bytes = STANDARD.decode(key_and_salt).or_else(|_| STANDARD_NO_PAD.decode(key_and_salt)).ok()?;
    MasterKey::new(profile, &bytes)
}

fn is_lifetime(text: &str) -> bool {
    let digits = text.strip_prefix("2^").unwrap_or(text);
    !digits.is_empty() && digits.len() <= 20 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether we may take a line with this session parameter (RFC 4568 §6.3). An unknown one may be ignored only when it begins
/// with a minus.
fn is_harmless(parameter: &str) -> bool {
    let name = parameter.split('=').next().unwrap_or_default().to_ascii_uppercase();
    parameter.starts_with('-') || name == "WSH" || parameter.eq_ignore_ascii_case("KDR=0")
}

pub(super) fn describe(crypto: &Crypto) -> Attribute {
    let Crypto { tag, key } = crypto;
    let base64 = STANDARD.encode(key.key_and_salt());
    Attribute::new("crypto", format!("{tag} {} inline:{base64}", key.profile().sdes_name()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Thirty and twenty-eight bytes in base64.
    const CM: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
    const GCM: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYg==";

    fn read(value: &str) -> Option<(u32, Profile)> {
        parse(value).map(|crypto| (crypto.tag, crypto.key.profile()))
    }

    #[test]
    fn suites_of_ours_are_read_with_their_tags() {
        let cm = Some((1, Profile::AesCm128HmacSha1_80));
        for value in [
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{CM}"),
            format!("1 aes_cm_128_hmac_sha1_80 INLINE:{CM}|2^20"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{CM}|2147483648 WSH=64 -x"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{CM} KDR=0"),
        ] {
            assert_eq!(read(&value), cm, "{value}");
        }
        assert_eq!(read(&format!("7 AEAD_AES_128_GCM inline:{GCM}")), Some((7, Profile::AeadAes128Gcm)));
        let unpadded = GCM.trim_end_matches('=');
        assert_eq!(read(&format!("7 AEAD_AES_128_GCM inline:{unpadded}|2^31")), Some((7, Profile::AeadAes128Gcm)));
    }

    #[test]
    fn what_we_could_not_keep_to_is_refused() {
        for value in [
            format!("1 AES_CM_128_HMAC_SHA1_32 inline:{CM}"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{CM}|2^20|1:4"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{CM}|1:4"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{CM};inline:{CM}"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{CM} UNENCRYPTED_SRTP"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{CM} UNAUTHENTICATED_SRTP"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{CM} KDR=24"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{GCM}"),
            format!("1 AEAD_AES_128_GCM inline:{CM}"),
            format!("x AES_CM_128_HMAC_SHA1_80 inline:{CM}"),
            format!("1234567890 AES_CM_128_HMAC_SHA1_80 inline:{CM}"),
            "1 AES_CM_128_HMAC_SHA1_80 inline:".into(),
            "1 AES_CM_128_HMAC_SHA1_80 uri:http://key".into(),
            "1 AES_CM_128_HMAC_SHA1_80".into(),
            String::new(),
        ] {
            assert_eq!(read(&value), None, "{value}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for profile in PROFILES {
            let crypto = Crypto { tag: 3, key: MasterKey::from_random(profile, [0xa5; 30]) };
            assert_eq!(describe(&crypto).value.as_deref().and_then(parse), Some(crypto));
        }
    }

    proptest! {
        #[test]
        fn no_line_panics(value in "[0-9]{0,3} ?(AES_CM_128_HMAC_SHA1_80|AEAD_AES_128_GCM)? ?(inline:)?[ -~]{0,60}") {
            let _ = parse(&value);
        }
    }
}
