//! The session keys of one direction and what they do to a packet: counter mode with HMAC-SHA1 (RFC 3711) or GCM
//! (RFC 7714). It keeps no state of streams and judges no numbers; the contexts of this folder call it.

use rtc::crypto::providers::RingProvider;
use rtc::crypto::{
    AeadAlgorithm, AeadCipher, CryptoError, HmacAlgorithm, Mac, RTCCrypto, RTCCryptoProvider, StreamCipher, StreamCipherAlgorithm,
};
use subtle::ConstantTimeEq;

use super::{MasterKey, Profile};

/// The session keys of one direction.
pub(super) struct Ciphers {
    pub rtp: Cipher,
    pub rtcp: Cipher,
}

pub(super) enum Cipher {
    Cm { stream: Box<dyn StreamCipher>, mac: Box<dyn Mac>, salt: [u8; 14] },
    Gcm { aead: Box<dyn AeadCipher>, salt: [u8; 12] },
}

// Labels of the key derivation (RFC 3711 §4.3.2): key, authentication key, salt; RTCP's are three higher.
const RTP_LABELS: u8 = 0;
const RTCP_LABELS: u8 = 3;

const CM_TAG_BYTES: usize = 10;
const GCM_TAG_BYTES: usize = 16;
/// HMAC-SHA1 before it is cut.
const SHA1_BYTES: usize = 20;
/// The index behind an RTCP packet, and its bit that says "encrypted".
pub(super) const INDEX_BYTES: usize = 4;
pub(super) const ENCRYPTED: u32 = 1 << 31;
/// What SRTCP leaves readable.
pub(super) const RTCP_HEADER_BYTES: usize = 8;

impl Ciphers {
    pub fn new(master: &MasterKey) -> Result<Ciphers, CryptoError> {
        Ok(Ciphers { rtp: Cipher::new(master, RTP_LABELS)?, rtcp: Cipher::new(master, RTCP_LABELS)? })
    }
}

impl Cipher {
    fn new(master: &MasterKey, labels: u8) -> Result<Cipher, CryptoError> {
        let provider = RingProvider::new();
        let crypto = provider.crypto();
        let key: [u8; Profile::KEY_BYTES] = derive(crypto, master, labels)?;
        match master.profile {
            Profile::AesCm128HmacSha1_80 => {
                let secret: [u8; SHA1_BYTES] = derive(crypto, master, labels + 1)?;
                Ok(Cipher::Cm {
                    stream: crypto.new_stream_cipher(StreamCipherAlgorithm::Aes128Ctr, &key)?,
                    mac: crypto.new_hmac(HmacAlgorithm::Sha1, &secret)?,
                    salt: derive(crypto, master, labels + 2)?,
                })
            }
            Profile::AeadAes128Gcm => Ok(Cipher::Gcm {
                aead: crypto.new_aead(AeadAlgorithm::Aes128Gcm, &key)?,
                salt: derive(crypto, master, labels + 2)?,
            }),
        }
    }

    pub fn tag_bytes(&self) -> usize {
        match self {
            Cipher::Cm { .. } => CM_TAG_BYTES,
            Cipher::Gcm { .. } => GCM_TAG_BYTES,
        }
    }

    /// `buffer` is long enough for the tag.
    pub fn seal_rtp(&mut self, buffer: &mut [u8], header: usize, len: usize, ssrc: u32, index: u64) -> Option<usize> {
        match self {
            Cipher::Cm { stream, mac, salt } => {
                stream.apply_keystream(&cm_iv(salt, ssrc, index), buffer.get_mut(header..len)?).ok()?;
                let tag = cm_tag(mac.as_mut(), &[buffer.get(..len)?, &roc(index)])?;
                buffer.get_mut(len..len + CM_TAG_BYTES)?.copy_from_slice(&tag);
                Some(len + CM_TAG_BYTES)
            }
            Cipher::Gcm { aead, salt } => {
                let (known, secret) = buffer.get_mut(..len + GCM_TAG_BYTES)?.split_at_mut_checked(header)?;
                let (secret, tag) = secret.split_at_mut_checked(len - header)?;
                aead.seal_in_place(&gcm_iv(salt, ssrc, index), known, secret, tag).ok()?;
                Some(len + GCM_TAG_BYTES)
            }
        }
    }

    /// `None`: the tag is wrong. The first `len` bytes of the packet are what is to be opened; its tag is behind them.
    pub fn open_rtp(&mut self, packet: &[u8], room: &mut [u8], header: usize, len: usize, ssrc: u32, index: u64) -> Option<()> {
        let (sealed, tag) = packet.split_at_checked(len)?;
        let room = room.get_mut(..len)?;
        match self {
            Cipher::Cm { stream, mac, salt } => {
                let right: bool = cm_tag(mac.as_mut(), &[sealed, &roc(index)])?.ct_eq(tag).into();
                if !right {
                    return None;
                }
                room.copy_from_slice(sealed);
                stream.apply_keystream(&cm_iv(salt, ssrc, index), room.get_mut(header..)?).ok()
            }
            Cipher::Gcm { aead, salt } => {
                room.copy_from_slice(sealed);
                aead.open_in_place(&gcm_iv(salt, ssrc, index), sealed.get(..header)?, room.get_mut(header..)?, tag).ok()
            }
        }
    }

    pub fn seal_rtcp(&mut self, buffer: &mut [u8], len: usize, ssrc: u32, index: u32) -> Option<usize> {
        let trailer = (index | ENCRYPTED).to_be_bytes();
        let secret_bytes = len.checked_sub(RTCP_HEADER_BYTES)?;
        match self {
            Cipher::Cm { stream, mac, salt } => {
                let whole = buffer.get_mut(..len + INDEX_BYTES + CM_TAG_BYTES)?;
                stream.apply_keystream(&cm_iv(salt, ssrc, index.into()), whole.get_mut(RTCP_HEADER_BYTES..len)?).ok()?;
                whole.get_mut(len..len + INDEX_BYTES)?.copy_from_slice(&trailer);
                let (known, place) = whole.split_at_mut_checked(len + INDEX_BYTES)?;
                place.copy_from_slice(&cm_tag(mac.as_mut(), &[known])?);
                Some(len + INDEX_BYTES + CM_TAG_BYTES)
            }
            Cipher::Gcm { aead, salt } => {
                let whole = buffer.get_mut(..len + GCM_TAG_BYTES + INDEX_BYTES)?;
                let (header, rest) = whole.split_at_mut_checked(RTCP_HEADER_BYTES)?;
                let (secret, rest) = rest.split_at_mut_checked(secret_bytes)?;
                let (tag, place) = rest.split_at_mut_checked(GCM_TAG_BYTES)?;
                let known = gcm_rtcp_known(header, trailer)?;
                aead.seal_in_place(&gcm_iv(salt, ssrc, index.into()), &known, secret, tag).ok()?;
                place.copy_from_slice(&trailer);
                Some(len + GCM_TAG_BYTES + INDEX_BYTES)
            }
        }
    }

    pub fn open_rtcp(&mut self, packet: &[u8], room: &mut [u8], len: usize, ssrc: u32, index: u32) -> Option<()> {
        let (sealed, rest) = packet.split_at_checked(len)?;
        let room = room.get_mut(..len)?;
        match self {
            Cipher::Cm { stream, mac, salt } => {
                let (known, tag) = packet.split_at_checked(len + INDEX_BYTES)?;
                let right: bool = cm_tag(mac.as_mut(), &[known])?.ct_eq(tag).into();
                if !right {
                    return None;
                }
                room.copy_from_slice(sealed);
                stream.apply_keystream(&cm_iv(salt, ssrc, index.into()), room.get_mut(RTCP_HEADER_BYTES..)?).ok()
            }
            Cipher::Gcm { aead, salt } => {
                let (tag, trailer) = rest.split_first_chunk::<GCM_TAG_BYTES>()?;
                let known = gcm_rtcp_known(sealed, *trailer.first_chunk()?)?;
                room.copy_from_slice(sealed);
                let secret = room.get_mut(RTCP_HEADER_BYTES..)?;
                aead.open_in_place(&gcm_iv(salt, ssrc, index.into()), &known, secret, tag).ok()
            }
        }
    }

    /// Where the index stands in a protected RTCP packet of this length: before the tag, or behind it (RFC 7714 §9.2).
    pub fn rtcp_index_at(&self, packet_bytes: usize) -> usize {
        match self {
            Cipher::Cm { .. } => packet_bytes.saturating_sub(CM_TAG_BYTES + INDEX_BYTES),
            Cipher::Gcm { .. } => packet_bytes.saturating_sub(INDEX_BYTES),
        }
    }
}

/// A session key or salt (RFC 3711 §4.3.1, for GCM RFC 7714 §11): the master key's keystream from a counter that the
/// label and the master salt make.
pub(super) fn derive<const BYTES: usize>(
    crypto: &dyn RTCCrypto,
    master: &MasterKey,
    label: u8,
) -> Result<[u8; BYTES], CryptoError> {
    let (key, salt) = master.key_and_salt().split_at(Profile::KEY_BYTES);
    let mut counter = [0; 16];
    counter.iter_mut().zip(salt).for_each(|(to, byte)| *to = *byte);
    counter[7] ^= label;
    let mut derived = [0; BYTES];
    crypto.new_stream_cipher(StreamCipherAlgorithm::Aes128Ctr, key)?.apply_keystream(&counter, &mut derived)?;
    Ok(derived)
}

/// RFC 3711 §4.1.1.
fn cm_iv(salt: &[u8; 14], ssrc: u32, index: u64) -> [u8; 16] {
    let number = u128::from(ssrc) << 64 | u128::from(index) << 16;
    let mut iv = number.to_be_bytes();
    iv.iter_mut().zip(salt).for_each(|(byte, salt)| *byte ^= salt);
    iv
}

/// RFC 7714 §8.1, and §9.1 for RTCP: two zero bytes, the SSRC, the packet's number in six.
fn gcm_iv(salt: &[u8; 12], ssrc: u32, index: u64) -> [u8; 12] {
    let mut iv = [0; 12];
    let number = (u128::from(ssrc) << 48 | u128::from(index)).to_be_bytes();
    iv.iter_mut().zip(&number[4..]).zip(salt).for_each(|((byte, number), salt)| *byte = number ^ salt);
    iv
}

/// What is authenticated and readable in RTCP: the first header and the trailer (RFC 7714 §9.2).
fn gcm_rtcp_known(packet: &[u8], trailer: [u8; INDEX_BYTES]) -> Option<[u8; RTCP_HEADER_BYTES + INDEX_BYTES]> {
    let mut known = [0; RTCP_HEADER_BYTES + INDEX_BYTES];
    known[..RTCP_HEADER_BYTES].copy_from_slice(packet.get(..RTCP_HEADER_BYTES)?);
    known[RTCP_HEADER_BYTES..].copy_from_slice(&trailer);
    Some(known)
}

fn cm_tag(mac: &mut dyn Mac, parts: &[&[u8]]) -> Option<[u8; CM_TAG_BYTES]> {
    let mut tag = [0; SHA1_BYTES];
    mac.sign(parts, &mut tag).ok()?;
    tag.first_chunk().copied()
}

/// The part of a packet's number that it does not carry, as it is authenticated.
fn roc(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}
