//! SRTP and SRTCP (RFC 3711, RFC 7714): the keys and profiles that signalling names, and the contexts that protect what a
//! leg sends and open what it receives. It knows no socket and no DTLS; keys come from SDP (RFC 4568) or from a handshake.

use std::fmt;

/// How packets are protected. Both have 128-bit keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// `AES_CM_128_HMAC_SHA1_80`: counter mode and a tag of ten bytes. Every phone and browser has it.
    AesCm128HmacSha1_80,
    /// `AEAD_AES_128_GCM` (RFC 7714): a tag of sixteen bytes, and cheaper.
    AeadAes128Gcm,
}

impl Profile {
    /// The name in an `a=crypto` line (RFC 4568 §6.2, RFC 7714 §14.2).
    pub fn sdes_name(self) -> &'static str {
        match self {
            Profile::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Profile::AeadAes128Gcm => "AEAD_AES_128_GCM",
        }
    }

    /// Bytes of key and salt together, as an `a=crypto` line carries them in base64.
    pub fn keying_bytes(self) -> usize {
        KEY_BYTES + self.salt_bytes()
    }

    fn salt_bytes(self) -> usize {
        match self {
            Profile::AesCm128HmacSha1_80 => 14,
            Profile::AeadAes128Gcm => 12,
        }
    }
}

const KEY_BYTES: usize = 16;
/// The longest of the profiles.
const MAX_KEYING_BYTES: usize = 30;

/// A master key and its salt: one direction's secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MasterKey {
    profile: Profile,
    /// Key, salt, zeros.
    bytes: [u8; MAX_KEYING_BYTES],
}

impl MasterKey {
    /// Key and salt one after the other; `None` when there are not `profile.keying_bytes()` of them.
    pub fn new(profile: Profile, key_and_salt: &[u8]) -> Option<MasterKey> {
        let mut bytes = [0; MAX_KEYING_BYTES];
        if key_and_salt.len() != profile.keying_bytes() {
            return None;
        }
        bytes.get_mut(..key_and_salt.len())?.copy_from_slice(key_and_salt);
        Some(MasterKey { profile, bytes })
    }

    /// A new key from random bytes, of which as many are taken as the profile needs.
    pub fn from_random(profile: Profile, random: [u8; MAX_KEYING_BYTES]) -> MasterKey {
        let mut bytes = random;
        bytes.iter_mut().skip(profile.keying_bytes()).for_each(|byte| *byte = 0);
        MasterKey { profile, bytes }
    }

    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Key and salt one after the other.
    pub fn key_and_salt(&self) -> &[u8] {
        self.bytes.get(..self.profile.keying_bytes()).unwrap_or(&self.bytes)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({:?})", self.profile)
    }
}
