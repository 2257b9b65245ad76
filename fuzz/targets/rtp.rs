//! One datagram on a media port, read as RTP: nothing panics, all lengths agree, and what we write of it we read back.

use perezvon::media::comfort::Comfort;
use perezvon::media::{rtp, stun};

fn main() -> std::process::ExitCode {
    perezvon_fuzz::main(try_one)
}

fn try_one(bytes: &[u8]) {
    // A datagram is of one kind (RFC 7983 §7), and RTCP shares its first byte with RTP.
    assert!(!(stun::is_stun(bytes) && rtp::parse(bytes).is_some()));
    let header_bytes = rtp::header_bytes(bytes);
    let Some(packet) = rtp::parse(bytes) else { return };

    let start = header_bytes.expect("what has a payload has a header");
    let padding = if bytes[0] & 0x20 == 0 { 0 } else { usize::from(bytes[bytes.len() - 1]) };
    assert_eq!(start + packet.payload.len() + padding, bytes.len());
    assert_eq!(packet.payload, &bytes[start..start + packet.payload.len()]);

    let written = [&packet.header.to_bytes()[..], packet.payload].concat();
    assert_eq!(rtp::parse(&written), Some(packet));
    assert_eq!(rtp::header_bytes(&written), Some(rtp::HEADER_BYTES));

    if let Some(comfort) = Comfort::parse(packet.payload) {
        let again = Comfort::parse(&comfort.payload()).expect("what we write we can read");
        assert_eq!(again.payload(), comfort.payload());
    }
}
