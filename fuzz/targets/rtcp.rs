//! One datagram read as a compound of RTCP packets: it is never read beyond its end, reports hold as many blocks as they
//! say, and a report that we write from what we read is read back.

use perezvon::media::reception::{Reception, round_trip_ms};
use perezvon::media::rtcp::{self, REPORT_BYTES, Report, ReportBlock, RtcpPacket, SenderInfo};
use perezvon::types::Time;

fn main() -> std::process::ExitCode {
    perezvon_fuzz::main(try_one)
}

fn try_one(bytes: &[u8]) {
    let mut packets = 0;
    for packet in rtcp::parse(bytes) {
        packets += 1;
        match packet {
            RtcpPacket::SenderReport { ssrc, info, blocks } => {
                let blocks: Vec<_> = blocks.collect();
                assert!(blocks.len() < 32 && 28 + blocks.len() * 24 <= bytes.len());
                use_report(ssrc, Some(info), blocks.first().copied());
            }
            RtcpPacket::ReceiverReport { ssrc, blocks } => {
                let blocks: Vec<_> = blocks.collect();
                assert!(blocks.len() < 32 && 8 + blocks.len() * 24 <= bytes.len());
                use_report(ssrc, None, blocks.first().copied());
            }
            RtcpPacket::Bye { .. } | RtcpPacket::Other { .. } => {}
        }
    }
    // The least packet has four bytes.
    assert!(packets * 4 <= bytes.len());
}

/// Takes a report as a leg would, and writes it anew.
fn use_report(ssrc: u32, sender: Option<SenderInfo>, block: Option<ReportBlock>) {
    let mut reception = Reception::default();
    if let Some(info) = &sender {
        reception.sender_report(info, Time::ZERO);
    }
    if let Some(block) = &block {
        reception.count(block.ssrc, block.highest_sequence as u16);
        let delay_ms = round_trip_ms(block, sender.map_or(0, |info| info.ntp));
        assert!(delay_ms.is_none_or(|delay_ms| delay_ms.is_finite() && delay_ms >= 0.0));
        assert!(reception.report(Time::ZERO).is_some());
    }
    let mut out = [0; REPORT_BYTES];
    let report = Report { ssrc, sender, block, cname: "fuzz@perezvon", ends: true };
    let len = report.write(&mut out).expect("there is room for any report of ours");
    let mut read = rtcp::parse(&out[..len]);
    match read.next() {
        Some(RtcpPacket::SenderReport { ssrc: again, info, mut blocks }) => {
            assert_eq!((again, Some(info), blocks.next()), (ssrc, sender, block));
        }
        Some(RtcpPacket::ReceiverReport { ssrc: again, mut blocks }) => {
            assert_eq!((again, None, blocks.next()), (ssrc, sender, block));
        }
        other => panic!("a report was written, {other:?} was read"),
    }
    assert!(matches!(read.nth(1), Some(RtcpPacket::Bye { ssrc: again }) if again == ssrc));
    assert!(read.next().is_none());
}
