//! STUN as ICE-lite needs it (RFC 8489, RFC 8445 §7.3): reads and judges binding requests, writes the answers. It knows no
//! socket, no leg and no candidate; `relay::browsers` asks it for every request. The writer of requests is for the other
//! end: test phones.

use std::net::{IpAddr, SocketAddr};

use rtc::crypto::{CryptoError, HmacAlgorithm, Mac, RTCCryptoProvider, providers::RingProvider};
use subtle::ConstantTimeEq;

const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const HEADER_BYTES: usize = 20;
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;
/// FINGERPRINT is the CRC-32 of the message, XORed with this (RFC 8489 §14.7).
const FINGERPRINT_XOR: u32 = 0x5354_554e;
const INTEGRITY_BYTES: usize = 20;

// Attributes (RFC 8489 §18.3, RFC 8445 §20.1). Those below 0x8000 must be understood by who reads them.
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;
const ICE_CONTROLLING: u16 = 0x802a;

/// The longest message that is written here.
pub const MAX_MESSAGE_BYTES: usize = 128;
/// Attributes that a request may carry; more are not a browser's.
const MAX_ATTRIBUTES: usize = 24;
/// Unknown attributes that an error answer lists.
const MAX_UNKNOWN: usize = 4;

/// Names a request; its answer carries the same.
pub type TransactionId = [u8; 12];

/// A password, ready to make and check MESSAGE-INTEGRITY (short-term credentials, RFC 8489 §9.1).
pub struct IntegrityKey {
    mac: Box<dyn Mac>,
}

impl IntegrityKey {
    /// Fails only for a password that no HMAC takes, and there is none such.
    pub fn new(password: &str) -> Result<IntegrityKey, CryptoError> {
        Ok(IntegrityKey { mac: RingProvider::new().crypto().new_hmac(HmacAlgorithm::Sha1, password.as_bytes())? })
    }

    fn tag(&mut self, parts: &[&[u8]]) -> Option<[u8; INTEGRITY_BYTES]> {
        let mut tag = [0; INTEGRITY_BYTES];
        self.mac.sign(parts, &mut tag).ok()?;
        Some(tag)
    }
}

/// The part that the sender of a request plays in ICE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It chooses the pair, as everybody does who talks to an ICE-lite end.
    Controlling,
    /// It believes that we do.
    Controlled,
}

/// A binding request whose frame and fingerprint are sound. Nothing in it is to be believed before `is_signed_with`.
#[derive(Debug)]
pub struct BindingRequest<'a> {
    pub transaction: TransactionId,
    pub use_candidate: bool,
    pub role: Option<Role>,
    username: &'a [u8],
    /// What MESSAGE-INTEGRITY covers, but for the header.
    signed: &'a [u8],
    /// The header as it was signed: its length ends with MESSAGE-INTEGRITY.
    signed_header: [u8; HEADER_BYTES],
    integrity: &'a [u8],
    unknown: [u16; MAX_UNKNOWN],
}

/// Whether a packet on a shared port is STUN (RFC 7983 §7: the first byte is 0 to 3), request or not.
pub fn is_stun(bytes: &[u8]) -> bool {
    matches!(bytes, [0..=3, ..])
}

/// Reads a binding request with USERNAME, MESSAGE-INTEGRITY and FINGERPRINT; `None` for everything else.
pub fn parse(bytes: &[u8]) -> Option<BindingRequest<'_>> {
    let header: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let is_request = u16::from_be_bytes([header[0], header[1]]) == BINDING_REQUEST;
    if !is_request || header[4..8] != MAGIC_COOKIE || length + HEADER_BYTES != bytes.len() || !length.is_multiple_of(4) {
        return None;
    }
    let mut transaction = [0; 12];
    transaction.copy_from_slice(&header[8..]);
    let (mut username, mut integrity, mut use_candidate, mut role) = (None, None, false, None);
    let (mut unknown, mut unknown_count) = ([0; MAX_UNKNOWN], 0);
    let mut at = HEADER_BYTES;
    let mut has_fingerprint = false;
    for _ in 0..MAX_ATTRIBUTES {
        let Some(&[t0, t1, l0, l1]) = bytes.get(at..)?.first_chunk() else { break };
        let (kind, len) = (u16::from_be_bytes([t0, t1]), usize::from(u16::from_be_bytes([l0, l1])));
        let value = bytes.get(at + 4..at + 4 + len)?;
        // The last attribute; what it covers ends before it.
        if kind == FINGERPRINT {
            let crc = crc32(bytes.get(..at)?) ^ FINGERPRINT_XOR;
            has_fingerprint = *value == crc.to_be_bytes() && at + 8 == bytes.len();
            break;
        }
        // §14.5: what follows MESSAGE-INTEGRITY is not covered by it and is passed over.
        if integrity.is_none() {
            match kind {
                USERNAME => username = Some(value),
                MESSAGE_INTEGRITY => integrity = Some((at, value)),
                USE_CANDIDATE => use_candidate = true,
                ICE_CONTROLLING => role = Some(Role::Controlling),
                ICE_CONTROLLED => role = Some(Role::Controlled),
                PRIORITY | MESSAGE_INTEGRITY_SHA256 | 0x8000.. => {}
                other => {
                    if let Some(place) = unknown.get_mut(unknown_count) {
                        *place = other;
                        unknown_count += 1;
                    }
                }
            }
        }
        at += 4 + len.next_multiple_of(4);
    }
    let (integrity_at, integrity) = integrity?;
    if !has_fingerprint || integrity.len() != INTEGRITY_BYTES {
        return None;
    }
    let mut signed_header = *header;
    let signed_length = u16::try_from(integrity_at + 4 + INTEGRITY_BYTES - HEADER_BYTES).ok()?;
    signed_header[2..4].copy_from_slice(&signed_length.to_be_bytes());
    let signed = bytes.get(HEADER_BYTES..integrity_at)?;
    Some(BindingRequest { transaction, use_candidate, role, username: username?, signed, signed_header, integrity, unknown })
}

impl<'a> BindingRequest<'a> {
    /// The two halves of the user name: the ufrag of who is asked, and of who asks (RFC 8445 §7.2.2).
    pub fn ufrags(&self) -> Option<(&'a str, &'a str)> {
        str::from_utf8(self.username).ok()?.split_once(':')
    }

    /// Checks MESSAGE-INTEGRITY, in a time that does not tell where it is wrong.
    pub fn is_signed_with(&self, key: &mut IntegrityKey) -> bool {
        key.tag(&[&self.signed_header, self.signed]).is_some_and(|tag| tag.ct_eq(self.integrity).into())
    }

    /// Whether it holds attributes that it wants understood and that nobody here knows.
    pub fn has_unknown(&self) -> bool {
        self.unknown[0] != 0
    }
}

/// A message being written.
pub struct Message {
    bytes: [u8; MAX_MESSAGE_BYTES],
    len: usize,
}

impl Message {
    /// Success: tells the sender which address its request came from.
    pub fn success(request: &BindingRequest<'_>, source: SocketAddr, key: &mut IntegrityKey) -> Message {
        let mut answer = Message::begin(BINDING_SUCCESS, request.transaction);
        let port = (source.port() ^ 0x2112).to_be_bytes();
        // §14.2: the address is XORed with the cookie, and an IPv6 one with the transaction as well.
        let mask = MAGIC_COOKIE.iter().chain(&request.transaction);
        match source.ip() {
            IpAddr::V4(v4) => {
                let mut value = [0, 1, port[0], port[1], 0, 0, 0, 0];
                value[4..].iter_mut().zip(v4.octets().iter().zip(mask)).for_each(|(to, (byte, mask))| *to = byte ^ mask);
                answer.attribute(XOR_MAPPED_ADDRESS, &value);
            }
            IpAddr::V6(v6) => {
                let mut value = [0; 20];
                value[..4].copy_from_slice(&[0, 2, port[0], port[1]]);
                value[4..].iter_mut().zip(v6.octets().iter().zip(mask)).for_each(|(to, (byte, mask))| *to = byte ^ mask);
                answer.attribute(XOR_MAPPED_ADDRESS, &value);
            }
        }
        answer.sign(key)
    }

    /// 487 (RFC 8445 §7.3.1.1): we never choose the pair, so who asks us to must.
    pub fn role_conflict(request: &BindingRequest<'_>, key: &mut IntegrityKey) -> Message {
        let mut answer = Message::begin(BINDING_ERROR, request.transaction);
        answer.attribute(ERROR_CODE, b"\0\0\x04\x57Role Conflict");
        answer.sign(key)
    }

    /// 420 (RFC 8489 §6.3.1): it holds attributes that nobody here knows.
    pub fn unknown_attribute(request: &BindingRequest<'_>, key: &mut IntegrityKey) -> Message {
        let mut answer = Message::begin(BINDING_ERROR, request.transaction);
        answer.attribute(ERROR_CODE, b"\0\0\x04\x14Unknown Attribute");
        let mut list = [0; MAX_UNKNOWN * 2];
        list.chunks_mut(2).zip(request.unknown).for_each(|(to, kind)| to.copy_from_slice(&kind.to_be_bytes()));
        let count = request.unknown.iter().filter(|kind| **kind != 0).count();
        answer.attribute(UNKNOWN_ATTRIBUTES, list.get(..count * 2).unwrap_or(&list));
        answer.sign(key)
    }

    /// A binding request as a browser sends it.
    pub fn request(
        transaction: TransactionId,
        username: &str,
        role: Role,
        use_candidate: bool,
        key: &mut IntegrityKey,
    ) -> Message {
        let mut request = Message::begin(BINDING_REQUEST, transaction);
        request.attribute(USERNAME, username.as_bytes());
        let kind = if role == Role::Controlling { ICE_CONTROLLING } else { ICE_CONTROLLED };
        request.attribute(kind, &[7; 8]);
        if use_candidate {
            request.attribute(USE_CANDIDATE, &[]);
        }
        request.attribute(PRIORITY, &[0x6e, 0, 1, 0xff]);
        request.sign(key)
    }

    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }

    fn begin(kind: u16, transaction: TransactionId) -> Message {
        let mut answer = Message { bytes: [0; MAX_MESSAGE_BYTES], len: 0 };
        answer.push(&kind.to_be_bytes());
        answer.push(&[0; 2]);
        answer.push(&MAGIC_COOKIE);
        answer.push(&transaction);
        answer
    }

    /// MESSAGE-INTEGRITY and FINGERPRINT.
    fn sign(mut self, key: &mut IntegrityKey) -> Message {
        self.set_length(4 + INTEGRITY_BYTES);
        let tag = key.tag(&[self.bytes()]).unwrap_or_default();
        self.attribute(MESSAGE_INTEGRITY, &tag);
        self.set_length(8);
        let crc = crc32(self.bytes()) ^ FINGERPRINT_XOR;
        self.attribute(FINGERPRINT, &crc.to_be_bytes());
        self
    }

    /// The length in the header, as it will be when so many more bytes are written.
    fn set_length(&mut self, more: usize) {
        let length = (self.len + more).saturating_sub(HEADER_BYTES) as u16;
        self.bytes[2..4].copy_from_slice(&length.to_be_bytes());
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.push(&kind.to_be_bytes());
        self.push(&(value.len() as u16).to_be_bytes());
        self.push(value);
        self.push([0; 3].get(..value.len().next_multiple_of(4) - value.len()).unwrap_or_default());
    }

    /// What does not fit is left out; nothing that is written here is so long, but for a test phone's user name.
    fn push(&mut self, more: &[u8]) {
        if let Some(place) = self.bytes.get_mut(self.len..self.len + more.len()) {
            place.copy_from_slice(more);
            self.len += more.len();
        }
    }
}

/// CRC-32 of ISO 3309, as in Ethernet.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| crc >> 8 ^ CRC_TABLE[usize::from(crc as u8 ^ byte)])
}

const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut place = 0;
    while place < 256 {
        let mut crc = place as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[place] = crc;
        place += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 5769 §2.1.
    const SAMPLE: &str = "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff\
                          80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf";
    const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";
    const TRANSACTION: TransactionId = [0xb7, 0xe7, 0xa7, 1, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

    fn key() -> IntegrityKey {
        IntegrityKey::new(PASSWORD).unwrap()
    }

    fn request(use_candidate: bool, role: Role) -> Vec<u8> {
        Message::request(TRANSACTION, "ours:theirs", role, use_candidate, &mut key()).bytes().to_vec()
    }

    #[test]
    fn the_request_of_rfc_5769_is_read_and_its_integrity_holds() {
        let bytes = hex::decode(SAMPLE).unwrap();
        let request = parse(&bytes).unwrap();
        assert_eq!(request.transaction, TRANSACTION);
        assert_eq!(request.ufrags(), Some(("evtj", "h6vY")));
        assert_eq!((request.role, request.use_candidate), (Some(Role::Controlled), false));
        assert!(request.is_signed_with(&mut key()));
        assert!(!request.is_signed_with(&mut IntegrityKey::new("VOkJxbRl1RmTxUk/WvJxBu").unwrap()));
    }

    #[test]
    fn answers_tell_the_source_as_in_rfc_5769() {
        let bytes = request(true, Role::Controlling);
        let read = parse(&bytes).unwrap();
        let v4 = Message::success(&read, "192.0.2.1:32853".parse().unwrap(), &mut key());
        assert_eq!(hex::encode(&v4.bytes()[20..32]), "002000080001a147e112a643");
        let v6 = Message::success(&read, "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap(), &mut key());
        assert_eq!(hex::encode(&v6.bytes()[20..44]), "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9");
        for answer in [v4, v6] {
            assert_eq!(&answer.bytes()[..2], [1, 1]);
            assert_eq!(answer.bytes()[8..20], TRANSACTION);
            assert_sealed(answer.bytes());
        }
    }

    /// MESSAGE-INTEGRITY and FINGERPRINT of a message of ours are right: it reads as a request when its type says so.
    fn assert_sealed(bytes: &[u8]) {
        let integrity_at = bytes.len() - 32;
        let mut header: [u8; 20] = bytes[..20].try_into().unwrap();
        header[3] = (integrity_at + 24 - 20) as u8;
        let tag = key().tag(&[&header, &bytes[20..integrity_at]]).unwrap();
        assert_eq!(bytes[integrity_at + 4..integrity_at + 24], tag);
        let crc = crc32(&bytes[..bytes.len() - 8]) ^ FINGERPRINT_XOR;
        assert_eq!(bytes[bytes.len() - 4..], crc.to_be_bytes());
        assert_eq!(usize::from(bytes[3]) + 20, bytes.len());
    }

    #[test]
    fn what_a_browser_says_is_read_back() {
        let bytes = request(true, Role::Controlling);
        let read = parse(&bytes).unwrap();
        assert_eq!(read.ufrags(), Some(("ours", "theirs")));
        assert!(read.use_candidate && !read.has_unknown() && read.is_signed_with(&mut key()));
        assert_eq!(parse(&request(false, Role::Controlled)).unwrap().role, Some(Role::Controlled));
        assert!(!parse(&request(false, Role::Controlled)).unwrap().use_candidate);
    }

    #[test]
    fn who_wants_us_to_choose_is_told_487() {
        let bytes = request(false, Role::Controlled);
        let answer = Message::role_conflict(&parse(&bytes).unwrap(), &mut key());
        assert_eq!(&answer.bytes()[..2], [1, 0x11]);
        assert_eq!(&answer.bytes()[24..28], [0, 0, 4, 87]);
        assert_sealed(answer.bytes());
    }

    #[test]
    fn attributes_that_nobody_knows_are_told_in_a_420() {
        let mut message = Message::begin(BINDING_REQUEST, TRANSACTION);
        message.attribute(USERNAME, b"a:b");
        message.attribute(0x7777, b"?");
        message.attribute(0x8888, b"optional");
        let message = message.sign(&mut key());
        let read = parse(message.bytes()).unwrap();
        assert!(read.has_unknown() && read.is_signed_with(&mut key()));
        let answer = Message::unknown_attribute(&read, &mut key());
        assert_eq!(&answer.bytes()[24..28], [0, 0, 4, 20]);
        assert_eq!(&answer.bytes()[48..54], [0, 0x0a, 0, 2, 0x77, 0x77]);
        assert_sealed(answer.bytes());
    }

    #[test]
    fn what_stands_after_the_integrity_is_not_believed() {
        let mut message = Message::begin(BINDING_REQUEST, TRANSACTION);
        message.attribute(USERNAME, b"a:b");
        message.set_length(24);
        let tag = key().tag(&[message.bytes()]).unwrap();
        message.attribute(MESSAGE_INTEGRITY, &tag);
        message.attribute(USE_CANDIDATE, &[]);
        message.set_length(8);
        let crc = crc32(message.bytes()) ^ FINGERPRINT_XOR;
        message.attribute(FINGERPRINT, &crc.to_be_bytes());
        let read = parse(message.bytes()).unwrap();
        assert!(read.is_signed_with(&mut key()) && !read.use_candidate);
    }

    #[test]
    fn requests_without_integrity_fingerprint_or_name_are_not_for_us() {
        let whole = request(true, Role::Controlling);
        assert!(parse(&whole[..whole.len() - 8]).is_none(), "cut");
        let mut no_fingerprint = whole.clone();
        no_fingerprint.truncate(whole.len() - 8);
        no_fingerprint[3] -= 8;
        assert!(parse(&no_fingerprint).is_none());
        let mut success = whole.clone();
        success[0] = 1;
        assert!(parse(&success).is_none());
        let nameless = Message::begin(BINDING_REQUEST, TRANSACTION).sign(&mut key());
        assert!(parse(nameless.bytes()).is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), fix_header in any::<bool>()) {
            let mut bytes = bytes;
            if fix_header && bytes.len() >= 20 {
                bytes.truncate(20 + (bytes.len() - 20) / 4 * 4);
                let length = (bytes.len() - 20) as u8;
                bytes[..8].copy_from_slice(&[0, 1, 0, length, 0x21, 0x12, 0xa4, 0x42]);
            }
            if let Some(read) = parse(&bytes) {
                _ = (read.ufrags(), read.is_signed_with(&mut key()));
            }
        }

        #[test]
        fn a_request_changed_anywhere_is_refused(place in 0usize..100, change in 1u8..) {
            let mut bytes = request(true, Role::Controlling);
            let place = place % bytes.len();
            bytes[place] ^= change;
            prop_assert!(parse(&bytes).is_none_or(|read| !read.is_signed_with(&mut key())));
        }

        #[test]
        fn attributes_of_any_shape_do_not_make_it_panic(attributes in proptest::collection::vec((any::<u16>(), 0u16..60), 0..12)) {
            let mut bytes = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
            bytes.extend_from_slice(&TRANSACTION);
            for (kind, len) in attributes {
                bytes.extend_from_slice(&(kind % 0x30).to_be_bytes());
                bytes.extend_from_slice(&len.to_be_bytes());
                bytes.extend(std::iter::repeat_n(9, usize::from(len / 4 * 4)));
            }
            let length = ((bytes.len() - 20) as u16).to_be_bytes();
            bytes[2..4].copy_from_slice(&length);
            if let Some(read) = parse(&bytes) {
                prop_assert!(!read.is_signed_with(&mut key()));
            }
        }
    }
}
