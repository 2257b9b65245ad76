//! RTP packets (RFC 3550 §5.1): read any well-formed one, write the plain kind that we send (no CSRC, no extension, no
//! padding). It keeps no state. Called by the relay for every packet, and by test phones.

/// Bytes of the header that we write.
pub const HEADER_BYTES: usize = 12;

/// The fields of an RTP header that matter to anyone here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpHeader {
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
}

impl RtpHeader {
    /// The header as bytes, to stand before the payload.
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0] = 2 << 6;
        bytes[1] = (u8::from(self.marker) << 7) | (self.payload_type & 0x7f);
        bytes[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        bytes
    }
}

/// A packet read in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpPacket<'a> {
    pub header: RtpHeader,
    /// Without CSRC list, header extension and padding.
    pub payload: &'a [u8],
}

/// Reads a packet; `None` when it is not RTP version 2 or its own lengths do not fit into it.
pub fn parse(bytes: &[u8]) -> Option<RtpPacket<'_>> {
    let fixed: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
    if fixed[0] >> 6 != 2 {
        return None;
    }
    let has_padding = fixed[0] & 0x20 != 0;
    let has_extension = fixed[0] & 0x10 != 0;
    let csrc_bytes = usize::from(fixed[0] & 0x0f) * 4;
    let header = RtpHeader {
        marker: fixed[1] & 0x80 != 0,
        payload_type: fixed[1] & 0x7f,
        sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
        timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
    };
    let mut payload = bytes.get(HEADER_BYTES + csrc_bytes..)?;
    if has_extension {
        // §5.3.1: profile (2 bytes), length in 32-bit words (2 bytes), then the words.
        let extension: &[u8; 4] = payload.first_chunk()?;
        let words = usize::from(u16::from_be_bytes([extension[2], extension[3]]));
        payload = payload.get(4 + words * 4..)?;
    }
    if has_padding {
        // The last byte counts itself, so zero is wrong.
        let padding = usize::from(*payload.last()?);
        if padding == 0 {
            return None;
        }
        payload = payload.get(..payload.len().checked_sub(padding)?)?;
    }
    Some(RtpPacket { header, payload })
}

/// Bytes before the payload (and padding): the fixed header, CSRC list and header extension. These SRTP leaves readable.
/// `None` when they do not fit, or it is not RTP version 2.
pub fn header_bytes(bytes: &[u8]) -> Option<usize> {
    let fixed: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
    let mut len = HEADER_BYTES + usize::from(fixed[0] & 0x0f) * 4;
    if fixed[0] & 0x10 != 0 {
        let extension: &[u8; 4] = bytes.get(len..)?.first_chunk()?;
        len += 4 + usize::from(u16::from_be_bytes([extension[2], extension[3]])) * 4;
    }
    (fixed[0] >> 6 == 2 && len <= bytes.len()).then_some(len)
}

/// Whether a packet on a shared port is RTCP (RFC 5761 §4: packet types 192 to 223).
pub fn is_rtcp(bytes: &[u8]) -> bool {
    matches!(bytes, [_, 192..=223, ..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: RtpHeader = RtpHeader { marker: true, payload_type: 101, sequence: 65535, timestamp: 7, ssrc: 0xdead_beef };

    fn packet(flags: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = HEADER.to_bytes().to_vec();
        bytes[0] |= flags;
        bytes.extend_from_slice(rest);
        bytes
    }

    #[test]
    fn what_is_written_is_read_back() {
        let bytes = packet(0, b"audio");
        let read = parse(&bytes).unwrap();
        assert_eq!(read.header, HEADER);
        assert_eq!(read.payload, b"audio");
    }

    #[test]
    fn csrc_extension_and_padding_are_not_audio() {
        let rest = [b"cccc" as &[u8], &[0xbe, 0xde, 0, 1], b"eeee", b"audio", &[0, 0, 3]].concat();
        assert_eq!(parse(&packet(0x31, &rest)).unwrap().payload, b"audio");
    }

    #[test]
    fn the_header_ends_where_the_payload_begins() {
        let rest = [b"cccc" as &[u8], &[0xbe, 0xde, 0, 1], b"eeee", b"audio"].concat();
        assert_eq!(header_bytes(&packet(0x11, &rest)), Some(HEADER_BYTES + 12));
        assert_eq!(header_bytes(&packet(0, b"")), Some(HEADER_BYTES));
        assert_eq!(header_bytes(&packet(0x0f, b"short")), None);
        assert_eq!(header_bytes(&packet(0x10, &[0, 0, 0, 2, 1, 2, 3, 4])), None);
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        assert!(parse(&packet(0x0f, b"short")).is_none(), "fifteen CSRCs in five bytes");
        assert!(parse(&packet(0x10, &[0, 0, 0, 2, 1, 2, 3, 4])).is_none(), "two extension words announced, one there");
        assert!(parse(&packet(0x20, &[1, 2, 9])).is_none(), "more padding than payload");
        assert!(parse(&packet(0x20, &[1, 2, 0])).is_none(), "padding of zero bytes");
        assert!(parse(&packet(0x20, &[])).is_none(), "padding without a byte");
        assert!(parse(&HEADER.to_bytes()[..11]).is_none());
    }

    #[test]
    fn other_versions_are_not_rtp() {
        let mut stun = packet(0, &[]);
        stun[0] = 0;
        assert!(parse(&stun).is_none());
    }

    #[test]
    fn rtcp_on_a_shared_port_is_told_apart() {
        assert!(is_rtcp(&[0x80, 200, 0, 6]));
        assert!(!is_rtcp(&packet(0, &[])));
        assert!(!is_rtcp(&[0x80]));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_the_payload_lies_inside(bytes in proptest::collection::vec(any::<u8>(), 0..64), first in 0x80u8..=0xbf) {
            let mut bytes = bytes;
            if let Some(byte) = bytes.first_mut() {
                *byte = first;
            }
            if let Some(read) = parse(&bytes) {
                prop_assert!(read.payload.len() + HEADER_BYTES <= bytes.len());
            }
        }
    }
}
