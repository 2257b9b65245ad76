//! RTCP packets (RFC 3550 §6): read compound packets in place, write the reports that we send. It keeps no state:
//! `reception` counts what came, `outgoing` what went. Called by the relay every few seconds a leg, and by test phones.

/// What a sender says of itself (§6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// NTP time: seconds since 1900 in the upper half, fraction in the lower.
    pub ntp: u64,
    /// The same moment in the stream's RTP time.
    pub rtp_timestamp: u32,
    pub packets: u32,
    pub payload_bytes: u32,
}

/// What a receiver says of one stream (§6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    /// The stream that is judged.
    pub ssrc: u32,
    /// Lost since the last report, in 256ths.
    pub fraction_lost: u8,
    /// Since the beginning; negative when duplicates outnumber losses. 24 bits on the wire.
    pub cumulative_lost: i32,
    /// Highest sequence number received, with its cycles in the upper half.
    pub highest_sequence: u32,
    /// In units of RTP time.
    pub jitter: u32,
    /// The middle 32 bits of the last sender report's NTP time; zero when there was none.
    pub last_sr: u32,
    /// Time since that report in 1/65536 s.
    pub delay_since_last_sr: u32,
}

/// One packet out of a compound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpPacket<'a> {
    SenderReport {
        ssrc: u32,
        info: SenderInfo,
        blocks: ReportBlocks<'a>,
    },
    ReceiverReport {
        ssrc: u32,
        blocks: ReportBlocks<'a>,
    },
    /// The first source that leaves.
    Bye {
        ssrc: u32,
    },
    /// SDES, APP and whatever else is well-formed.
    Other {
        packet_type: u8,
    },
}

/// The report blocks of one report, read as they are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlocks<'a>(&'a [u8]);

impl Iterator for ReportBlocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        let (block, rest) = self.0.split_first_chunk::<24>()?;
        self.0 = rest;
        let lost = i32::from_be_bytes([block[5], block[6], block[7], 0]) >> 8;
        Some(ReportBlock {
            ssrc: word(block, 0)?,
            fraction_lost: block[4],
            cumulative_lost: lost,
            highest_sequence: word(block, 2)?,
            jitter: word(block, 3)?,
            last_sr: word(block, 4)?,
            delay_since_last_sr: word(block, 5)?,
        })
    }
}

/// The packets of a compound; it ends at the first that is not well-formed. A packet that is not RTCP has none.
pub fn parse(bytes: &[u8]) -> impl Iterator<Item = RtcpPacket<'_>> {
    // §A.2: a compound begins with a report.
    let begins_well = matches!(bytes, [_, SENDER_REPORT | RECEIVER_REPORT, ..]);
    let mut rest = if begins_well { bytes } else { &[] };
    std::iter::from_fn(move || {
        let (packet, after) = split_packet(rest)?;
        rest = after;
        read_packet(packet)
    })
}

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;

/// Cuts off the first packet by its own length, which counts 32-bit words less one.
fn split_packet(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let head: &[u8; 4] = bytes.first_chunk()?;
    if head[0] >> 6 != 2 {
        return None;
    }
    let words = usize::from(u16::from_be_bytes([head[2], head[3]]));
    bytes.split_at_checked((words + 1) * 4)
}

fn read_packet(packet: &[u8]) -> Option<RtcpPacket<'_>> {
    let head: &[u8; 4] = packet.first_chunk()?;
    let count = usize::from(head[0] & 0x1f);
    let blocks_from = |start: usize| packet.get(start..start + count * 24).map(ReportBlocks);
    match head[1] {
        SENDER_REPORT => {
            let info = SenderInfo {
                ntp: u64::from(word(packet, 2)?) << 32 | u64::from(word(packet, 3)?),
                rtp_timestamp: word(packet, 4)?,
                packets: word(packet, 5)?,
                payload_bytes: word(packet, 6)?,
            };
            Some(RtcpPacket::SenderReport { ssrc: word(packet, 1)?, info, blocks: blocks_from(28)? })
        }
        RECEIVER_REPORT => Some(RtcpPacket::ReceiverReport { ssrc: word(packet, 1)?, blocks: blocks_from(8)? }),
        GOODBYE if count > 0 => Some(RtcpPacket::Bye { ssrc: word(packet, 1)? }),
        packet_type => Some(RtcpPacket::Other { packet_type }),
    }
}

fn word(bytes: &[u8], index: usize) -> Option<u32> {
    let start = index * 4;
    Some(u32::from_be_bytes(*bytes.get(start..)?.first_chunk()?))
}

/// What a report of ours says.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// Our own stream.
    pub ssrc: u32,
    /// Present when we have sent since the last report: makes it a sender report.
    pub sender: Option<SenderInfo>,
    /// About the stream that we receive.
    pub block: Option<ReportBlock>,
    /// Our canonical name (§6.5.1), at most 255 bytes.
    pub cname: &'a str,
    /// The stream ends with this report.
    pub ends: bool,
}

/// Bytes enough for any report of ours with a CNAME of up to 32 bytes.
pub const REPORT_BYTES: usize = 128;

impl Report<'_> {
    /// Writes the compound SR or RR, SDES and, at the end, BYE. `None` when `out` is too short.
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        let mut writer = Writer { out, len: 0 };
        let blocks = u8::from(self.block.is_some());
        let words = 1 + if self.sender.is_some() { 5 } else { 0 } + u16::from(blocks) * 6;
        writer.head(blocks, if self.sender.is_some() { SENDER_REPORT } else { RECEIVER_REPORT }, words)?;
        writer.word(self.ssrc)?;
        if let Some(info) = self.sender {
            writer.put(&info.ntp.to_be_bytes())?;
            writer.word(info.rtp_timestamp)?;
            writer.word(info.packets)?;
            writer.word(info.payload_bytes)?;
        }
        if let Some(block) = self.block {
            writer.block(block)?;
        }
        writer.cname(self.ssrc, self.cname)?;
        if self.ends {
            writer.head(1, GOODBYE, 1)?;
            writer.word(self.ssrc)?;
        }
        Some(writer.len)
    }
}

struct Writer<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.len + bytes.len();
        self.out.get_mut(self.len..end)?.copy_from_slice(bytes);
        self.len = end;
        Some(())
    }

    fn word(&mut self, word: u32) -> Option<()> {
        self.put(&word.to_be_bytes())
    }

    /// `words`: 32-bit words after this head.
    fn head(&mut self, count: u8, packet_type: u8, words: u16) -> Option<()> {
        let [high, low] = words.to_be_bytes();
        self.put(&[2 << 6 | (count & 0x1f), packet_type, high, low])
    }

    fn block(&mut self, block: ReportBlock) -> Option<()> {
        self.word(block.ssrc)?;
        // §A.3: the 24-bit count saturates, it does not wrap.
        let lost = block.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff).to_be_bytes();
        self.put(&[block.fraction_lost, lost[1], lost[2], lost[3]])?;
        self.word(block.highest_sequence)?;
        self.word(block.jitter)?;
        self.word(block.last_sr)?;
        self.word(block.delay_since_last_sr)
    }

    /// SDES with one chunk and one item; the item list ends with one to four zero bytes, up to a word boundary (§6.5).
    fn cname(&mut self, ssrc: u32, name: &str) -> Option<()> {
        let name_len = u8::try_from(name.len()).ok()?;
        let items = (2 + name.len() + 1).next_multiple_of(4);
        self.head(1, SOURCE_DESCRIPTION, u16::try_from(1 + items / 4).ok()?)?;
        self.word(ssrc)?;
        self.put(&[1, name_len])?;
        self.put(name.as_bytes())?;
        self.put(&[0; 4][..items - 2 - name.len()])
    }
}

/// NTP time of a wall clock in microseconds since 1970.
pub fn ntp_from_unix_micros(micros: i64) -> u64 {
    const SECONDS_1900_TO_1970: u64 = 2_208_988_800;
    let micros = u64::try_from(micros).unwrap_or(0);
    let fraction = ((micros % 1_000_000) << 32) / 1_000_000;
    // Only the lower 32 bits of the seconds fit; they wrap in 2036 as NTP's do.
    (micros / 1_000_000).wrapping_add(SECONDS_1900_TO_1970) << 32 | fraction
}

/// The 32 bits in the middle of an NTP time, as reports quote it: 16 bits of seconds, 16 of fraction.
pub fn middle_of_ntp(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BLOCK: ReportBlock = ReportBlock {
        ssrc: 9,
        fraction_lost: 64,
        cumulative_lost: -3,
        highest_sequence: 0x0001_0002,
        jitter: 17,
        last_sr: 0x1234_5678,
        delay_since_last_sr: 65536,
    };
    const INFO: SenderInfo = SenderInfo { ntp: 0x0102_0304_0506_0708, rtp_timestamp: 160, packets: 50, payload_bytes: 8000 };

    fn written(report: Report<'_>) -> Vec<u8> {
        let mut out = [0; REPORT_BYTES];
        let len = report.write(&mut out).unwrap();
        assert_eq!(len % 4, 0);
        out[..len].to_vec()
    }

    #[test]
    fn a_sender_report_with_goodbye_is_read_back_whole() {
        let bytes = written(Report { ssrc: 5, sender: Some(INFO), block: Some(BLOCK), cname: "perezvon", ends: true });
        let packets: Vec<_> = parse(&bytes).collect();
        assert_eq!(packets.len(), 3);
        let RtcpPacket::SenderReport { ssrc: 5, info, mut blocks } = packets[0] else { panic!("{packets:?}") };
        assert_eq!(info, INFO);
        assert_eq!(blocks.next(), Some(BLOCK));
        assert_eq!(blocks.next(), None);
        assert_eq!(packets[1], RtcpPacket::Other { packet_type: 202 });
        assert_eq!(packets[2], RtcpPacket::Bye { ssrc: 5 });
    }

    #[test]
    fn a_report_without_a_stream_received_has_no_block() {
        let bytes = written(Report { ssrc: 5, sender: None, block: None, cname: "abcdef", ends: false });
        let packets: Vec<_> = parse(&bytes).collect();
        let RtcpPacket::ReceiverReport { ssrc: 5, mut blocks } = packets[0] else { panic!("{packets:?}") };
        assert_eq!(blocks.next(), None);
    }

    #[test]
    fn a_name_of_any_length_keeps_the_word_boundary() {
        for len in 0..32 {
            let bytes = written(Report { ssrc: 1, sender: Some(INFO), block: Some(BLOCK), cname: &"n".repeat(len), ends: true });
            assert_eq!(parse(&bytes).count(), 3, "name of {len} bytes");
        }
    }

    #[test]
    fn too_short_a_buffer_is_refused() {
        let report = Report { ssrc: 1, sender: Some(INFO), block: Some(BLOCK), cname: "name", ends: true };
        for len in 0..written(report).len() {
            assert_eq!(report.write(&mut vec![0; len]), None);
        }
    }

    #[test]
    fn a_compound_must_begin_with_a_report() {
        let bytes = written(Report { ssrc: 5, sender: None, block: None, cname: "a", ends: true });
        assert_eq!(parse(&bytes[8..]).count(), 0, "SDES first");
        assert_eq!(parse(b"").count(), 0);
    }

    #[test]
    fn a_report_that_announces_more_blocks_than_it_holds_is_not_read() {
        let mut bytes = written(Report { ssrc: 5, sender: None, block: Some(BLOCK), cname: "a", ends: false });
        bytes[0] = 0x82;
        assert_eq!(parse(&bytes).count(), 0);
    }

    #[test]
    fn ntp_time_counts_from_1900() {
        let ntp = ntp_from_unix_micros(500_000);
        assert_eq!(ntp >> 32, 2_208_988_800);
        assert_eq!(ntp as u32, 0x8000_0000);
        assert_eq!(middle_of_ntp(0x1111_2222_3333_4444), 0x2222_3333);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 199u8..206, words in 0u16..60) {
            let mut bytes = bytes;
            if let Some(head) = bytes.first_chunk_mut::<4>() {
                let [high, low] = words.to_be_bytes();
                *head = [0x80 | (head[0] & 0x3f), kind, high, low];
            }
            for packet in parse(&bytes) {
                if let RtcpPacket::SenderReport { blocks, .. } | RtcpPacket::ReceiverReport { blocks, .. } = packet {
                    prop_assert!(blocks.count() <= 31);
                }
            }
        }
    }
}
