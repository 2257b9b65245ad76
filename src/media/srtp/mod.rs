//! SRTP and SRTCP (RFC 3711, RFC 7714): the keys and profiles that signalling names, and the contexts that protect what a
//! leg sends and open what it receives. It knows no socket and no DTLS; keys come from SDP (RFC 4568) or from a handshake.
//!
//! The ciphers are those of `rtc::crypto`; the transform is our own, for four reasons that were found in `rtc::srtp` 0.21:
//! it allocates for each packet, keeps a state for every SSRC that a stranger makes up, lets a forged first packet set the
//! replay window, and lets in RTCP that merely says of itself that it is not encrypted. Its contexts are the other end in
//! the tests here.

use std::fmt;

use rtc::crypto::CryptoError;

use self::cipher::{Ciphers, ENCRYPTED, INDEX_BYTES, RTCP_HEADER_BYTES};
use self::numbers::Numbers;
use super::rtp;

mod cipher; //  session keys, and what they do to a packet
mod numbers; // which packets of a stream were seen
#[cfg(test)]
mod tests;

/// How packets are protected. Both have 128-bit keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// `AES_CM_128_HMAC_SHA1_80`: counter mode and a tag of ten bytes. Every phone and browser has it.
    AesCm128HmacSha1_80,
    /// `AEAD_AES_128_GCM` (RFC 7714): a tag of sixteen bytes, and cheaper.
    AeadAes128Gcm,
}

impl Profile {
    /// Of the master key, without its salt.
    pub const KEY_BYTES: usize = 16;

    /// The name in an `a=crypto` line (RFC 4568 §6.2, RFC 7714 §14.2).
    pub fn sdes_name(self) -> &'static str {
        match self {
            Profile::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Profile::AeadAes128Gcm => "AEAD_AES_128_GCM",
        }
    }

    /// Bytes of key and salt together, as an `a=crypto` line carries them in base64.
    pub fn keying_bytes(self) -> usize {
        Profile::KEY_BYTES + self.salt_bytes()
    }

    fn salt_bytes(self) -> usize {
        match self {
            Profile::AesCm128HmacSha1_80 => 14,
            Profile::AeadAes128Gcm => 12,
        }
    }
}

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

/// Bytes that protection adds at most: the tag of GCM and the index of SRTCP.
pub const TAIL_BYTES: usize = 20;

/// Why a packet was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There are no keys yet to open it with: the far end is a moment ahead.
    Early,
    /// Too short, not RTP or RTCP, or RTCP that says it is not encrypted.
    Malformed,
    /// Its number was seen before, or is too old to tell.
    Replayed,
    /// The tag is wrong: damaged, forged, or made with other keys.
    Forged,
}

/// Both directions of one leg.
pub struct Srtp {
    ours: MasterKey,
    theirs: MasterKey,
    seal: Seal,
    open: Open,
}

impl Srtp {
    /// Fails only when the two keys are of different profiles, or the crypto provider has lost its wits.
    pub fn new(ours: MasterKey, theirs: MasterKey) -> Result<Srtp, CryptoError> {
        if ours.profile != theirs.profile {
            return Err(CryptoError::InvalidPrivateKey);
        }
        let seal = Seal { ciphers: Ciphers::new(&ours)?, rtp: Numbers::default(), rtcp_index: 0 };
        let open = Open { ciphers: Ciphers::new(&theirs)?, rtp: Numbers::default(), rtcp: Numbers::default() };
        Ok(Srtp { ours, theirs, seal, open })
    }

    /// Whether it was made from these keys. Then it must be kept: to begin anew with old keys would repeat their keystream.
    pub fn has_keys(&self, ours: &MasterKey, theirs: &MasterKey) -> bool {
        self.ours == *ours && self.theirs == *theirs
    }

    /// Protects the RTP packet that fills the first `len` bytes of the buffer and returns its new length. `None` when the
    /// buffer lacks `TAIL_BYTES`, or when a packet with this number was protected before: the keystream is never used twice.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Option<usize> {
        self.seal.rtp(buffer, len)
    }

    /// The same for a compound RTCP packet.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Option<usize> {
        self.seal.rtcp(buffer, len)
    }

    /// Opens an RTP packet into `room`, which must be as long as it.
    pub fn open_rtp<'a>(&mut self, packet: &[u8], room: &'a mut [u8]) -> Result<&'a [u8], Refusal> {
        self.open.rtp(packet, room)
    }

    /// Opens an RTCP packet into `room`, which must be as long as it.
    pub fn open_rtcp<'a>(&mut self, packet: &[u8], room: &'a mut [u8]) -> Result<&'a [u8], Refusal> {
        self.open.rtcp(packet, room)
    }
}

impl fmt::Debug for Srtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Srtp({:?})", self.ours.profile)
    }
}

/// What we send.
struct Seal {
    ciphers: Ciphers,
    rtp: Numbers,
    rtcp_index: u32,
}

impl Seal {
    fn rtp(&mut self, buffer: &mut [u8], len: usize) -> Option<usize> {
        let packet = buffer.get(..len)?;
        let header = rtp::header_bytes(packet)?;
        let (ssrc, sequence) = (word(packet, 8)?, half(packet, 2)?);
        let index = self.rtp.guess(ssrc, sequence).unwrap_or(Some(sequence.into()))?;
        if !self.rtp.is_new(ssrc, index) || buffer.len() < len + self.ciphers.rtp.tag_bytes() {
            return None;
        }
        let sealed = self.ciphers.rtp.seal_rtp(buffer, header, len, ssrc, index)?;
        self.rtp.note(ssrc, index);
        Some(sealed)
    }

    fn rtcp(&mut self, buffer: &mut [u8], len: usize) -> Option<usize> {
        let ssrc = word(buffer.get(..len)?, 4)?;
        // RFC 3711 §9.2: 2^31 packets are a key's life. At one in five seconds it is three centuries.
        self.rtcp_index = self.rtcp_index.checked_add(1).filter(|index| index & ENCRYPTED == 0)?;
        self.ciphers.rtcp.seal_rtcp(buffer, len, ssrc, self.rtcp_index)
    }
}

/// What we receive.
struct Open {
    ciphers: Ciphers,
    rtp: Numbers,
    rtcp: Numbers,
}

impl Open {
    fn rtp<'a>(&mut self, packet: &[u8], room: &'a mut [u8]) -> Result<&'a [u8], Refusal> {
        let header = rtp::header_bytes(packet).ok_or(Refusal::Malformed)?;
        let (ssrc, sequence) = word(packet, 8).zip(half(packet, 2)).ok_or(Refusal::Malformed)?;
        let cipher = &mut self.ciphers.rtp;
        let len = packet.len().checked_sub(cipher.tag_bytes()).filter(|len| *len >= header).ok_or(Refusal::Malformed)?;
        let Some(guess) = self.rtp.guess(ssrc, sequence) else {
            // The first packet of a stream. It may have begun just before its numbers turned over, and all before the turn
            // have been lost.
            let turned = (sequence < 1 << 15).then_some(1 << 16 | u64::from(sequence));
            let index = [Some(u64::from(sequence)), turned]
                .into_iter()
                .flatten()
                .find(|index| cipher.open_rtp(packet, room, header, len, ssrc, *index).is_some());
            self.rtp.note(ssrc, index.ok_or(Refusal::Forged)?);
            return room.get(..len).ok_or(Refusal::Malformed);
        };
        let index = guess.filter(|index| self.rtp.is_new(ssrc, *index)).ok_or(Refusal::Replayed)?;
        cipher.open_rtp(packet, room, header, len, ssrc, index).ok_or(Refusal::Forged)?;
        self.rtp.note(ssrc, index);
        room.get(..len).ok_or(Refusal::Malformed)
    }

    fn rtcp<'a>(&mut self, packet: &[u8], room: &'a mut [u8]) -> Result<&'a [u8], Refusal> {
        let cipher = &mut self.ciphers.rtcp;
        let len = packet.len().checked_sub(cipher.tag_bytes() + INDEX_BYTES).filter(|len| *len >= RTCP_HEADER_BYTES);
        let len = len.ok_or(Refusal::Malformed)?;
        let ssrc = word(packet, 4).ok_or(Refusal::Malformed)?;
        let trailer = word(packet, cipher.rtcp_index_at(packet.len())).ok_or(Refusal::Malformed)?;
        // RFC 3711 §3.4 allows RTCP that is only authenticated. Nobody sends it, so it is not let in.
        if trailer & ENCRYPTED == 0 || packet[0] >> 6 != 2 {
            return Err(Refusal::Malformed);
        }
        let index = trailer & !ENCRYPTED;
        if !self.rtcp.is_new(ssrc, index.into()) {
            return Err(Refusal::Replayed);
        }
        cipher.open_rtcp(packet, room, len, ssrc, index).ok_or(Refusal::Forged)?;
        self.rtcp.note(ssrc, index.into());
        room.get(..len).ok_or(Refusal::Malformed)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}
