//! What the SDP of a browser says besides codecs: how it is found (ICE, RFC 8839), who it is (the fingerprint of its
//! certificate, RFC 8122) and who begins the handshake (RFC 5763). We are ICE-lite: its candidates do not matter to us,
//! its checks show where it is.

use std::fmt;
use std::net::IpAddr;

use super::parse::SdpError;
use super::session::{Attribute, Media, Session};

/// One side's `ice-ufrag` and `ice-pwd`.
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    pub ufrag: String,
    pub password: String,
}

/// Without the password, so that a log line cannot leak it.
impl fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IceCredentials({})", self.ufrag)
    }
}

/// The SHA-256 of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// Who begins the DTLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtlsRole {
    Active,
    Passive,
}

/// Where a browser shall send to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalBrowser {
    /// Every address of ours that it may reach, the best first.
    pub addresses: Vec<IpAddr>,
    /// RTP and RTCP, on each of them.
    pub port: u16,
    pub ice: IceCredentials,
    pub fingerprint: Fingerprint,
}

/// What a description says of the browser's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Browser {
    pub ice: IceCredentials,
    pub fingerprint: Fingerprint,
    /// `None`: `actpass`, we choose.
    pub role: Option<DtlsRole>,
}

/// Candidates written at most; more addresses than anybody has networks.
const MOST_CANDIDATES: usize = 8;

/// Reads `media`, with what the session says for all streams.
pub(super) fn read(session: &Session, media: &Media) -> Result<Browser, SdpError> {
    // One port carries both, and only this says that the browser knows (RFC 8834 §4.5 demands it).
    if !media.has_flag("rtcp-mux") {
        return Err(SdpError::NoMux);
    }
    let either = |name: &str| media.attribute(name).or_else(|| session.attribute(name));
    let role = match either("setup").map(str::trim) {
        Some("active") => Some(DtlsRole::Active),
        Some("passive") => Some(DtlsRole::Passive),
        Some("actpass") | None => None,
        Some(_) => return Err(SdpError::NoKeys),
    };
    Ok(Browser { ice: ice(session, media).ok_or(SdpError::NoKeys)?, fingerprint: fingerprint(session, media)?, role })
}

/// The credentials, when they are as RFC 8839 §5.4 wants them.
pub(super) fn ice(session: &Session, media: &Media) -> Option<IceCredentials> {
    let either = |name: &str| media.attribute(name).or_else(|| session.attribute(name)).map(str::trim);
    let (ufrag, password) = (either("ice-ufrag")?, either("ice-pwd")?);
    let is_ice = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_'));
    let fits = (4..=256).contains(&ufrag.len()) && (22..=256).contains(&password.len());
    (fits && is_ice(ufrag) && is_ice(password)).then(|| IceCredentials { ufrag: ufrag.into(), password: password.into() })
}

/// Of several fingerprints (several hashes of one certificate) the one that we compute.
fn fingerprint(session: &Session, media: &Media) -> Result<Fingerprint, SdpError> {
    let of = |attributes: &[Attribute]| {
        let lines = attributes.iter().filter(|line| line.name == "fingerprint");
        lines.filter_map(|line| Fingerprint::parse(line.value.as_deref()?)).next()
    };
    of(&media.attributes).or_else(|| of(&session.attributes)).ok_or(SdpError::NoKeys)
}

impl Fingerprint {
    /// `sha-256 AB:CD:…`
    fn parse(value: &str) -> Option<Fingerprint> {
        let (hash, digits) = value.trim().split_once(' ')?;
        if !hash.eq_ignore_ascii_case("sha-256") {
            return None;
        }
        let mut bytes = [0; 32];
        let mut parts = digits.trim().split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
            *byte = u8::from_str_radix(part, 16).ok()?;
        }
        parts.next().is_none().then_some(Fingerprint(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(place, byte)| write!(f, "{}{byte:02X}", if place == 0 { "" } else { ":" }))
    }
}

/// The lines of our side. `setup` as RFC 5763 §5 wants it: a choice in offers, ours in answers.
pub(super) fn describe(local: &LocalBrowser, setup: &str) -> Vec<Attribute> {
    let mut lines = vec![
        Attribute::new("ice-ufrag", &*local.ice.ufrag),
        Attribute::new("ice-pwd", &*local.ice.password),
        Attribute::new("fingerprint", format!("sha-256 {}", local.fingerprint)),
        Attribute::new("setup", setup),
    ];
    for (index, address) in local.addresses.iter().take(MOST_CANDIDATES).enumerate() {
        // RFC 8445 §5.1.2.1: host candidates, the first address before the others.
        let local_preference = u32::from(u16::MAX) - u32::try_from(index).unwrap_or(0);
        let priority = (126 << 24) | (local_preference << 8) | 255;
        let number = index + 1;
        lines.push(Attribute::new("candidate", format!("{number} 1 udp {priority} {address} {} typ host", local.port)));
    }
    lines.push(Attribute::flag("end-of-candidates"));
    lines
}
