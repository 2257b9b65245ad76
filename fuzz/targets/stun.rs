//! One datagram on the browser port, read as a binding request: as it comes, and once more dressed with the head, the
//! MESSAGE-INTEGRITY and the right FINGERPRINT that no mutation would hit upon, so that its attributes are read. Every
//! answer of ours is as long as it says.

use std::net::SocketAddr;

use perezvon::media::stun::{self, BindingRequest, IntegrityKey, Message, Role};

const HEADER_BYTES: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const SOURCES: [&str; 2] = ["192.0.2.7:40000", "[2001:db8::7]:40000"];

fn main() -> std::process::ExitCode {
    perezvon_fuzz::main(try_one)
}

fn try_one(bytes: &[u8]) {
    let mut key = IntegrityKey::new("the password of the fuzzer").expect("any text is a key");
    if let Some(request) = stun::parse(bytes) {
        answer(&request, bytes, &mut key);
    }
    if bytes.len() < 2048 {
        let dressed = dress(bytes);
        if let Some(request) = stun::parse(&dressed) {
            assert!(!request.is_signed_with(&mut key), "the tag is all zeros");
            answer(&request, &dressed, &mut key);
        }
    }
    let role = if bytes.len().is_multiple_of(2) { Role::Controlling } else { Role::Controlled };
    if let Some(user) = bytes.get(..48).and_then(|name| str::from_utf8(name).ok()) {
        let ours = Message::request([3; 12], user, role, bytes[0] > 64, &mut key);
        let read = stun::parse(ours.bytes()).expect("a request of our own is read");
        assert!(read.is_signed_with(&mut key) && !read.has_unknown());
        assert_eq!(read.ufrags(), user.split_once(':'));
        assert_eq!((read.role, read.use_candidate), (Some(role), bytes[0] > 64));
    }
}

fn answer(request: &BindingRequest<'_>, bytes: &[u8], key: &mut IntegrityKey) {
    assert_eq!(request.transaction, bytes[8..HEADER_BYTES]);
    if let Some((ours, theirs)) = request.ufrags() {
        assert!(ours.len() + theirs.len() < bytes.len());
    }
    let mut answers = vec![Message::role_conflict(request, key), Message::unknown_attribute(request, key)];
    for source in SOURCES {
        let source: SocketAddr = source.parse().expect("an address");
        answers.push(Message::success(request, source, key));
    }
    for answer in answers {
        let bytes = answer.bytes();
        let says = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        assert_eq!(says + HEADER_BYTES, bytes.len());
        assert!(says.is_multiple_of(4) && bytes[4..8] == COOKIE && bytes[8..20] == request.transaction);
        assert!(stun::parse(bytes).is_none(), "an answer is no request");
    }
}

/// The bytes as the attributes of a request that ends as it must.
fn dress(attributes: &[u8]) -> Vec<u8> {
    let mut message = vec![0, 1, 0, 0];
    message.extend(COOKIE);
    message.extend([9; 12]);
    message.extend(attributes);
    message.resize(message.len().next_multiple_of(4), 0);
    message.extend([0, 8, 0, 20]);
    message.extend([0; 20]);
    let length = u16::try_from(message.len() + 8 - HEADER_BYTES).expect("it is short");
    message[2..4].copy_from_slice(&length.to_be_bytes());
    let fingerprint = crc32(&message) ^ 0x5354_554e;
    message.extend([0x80, 0x28, 0, 4]);
    message.extend(fingerprint.to_be_bytes());
    message
}

/// The CRC of IEEE 802.3, bit by bit: not the one under test.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}
