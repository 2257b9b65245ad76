//! RTCP both ways: reports in time, true numbers in them, a goodbye at the end, and the far end's reports in our numbers.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use perezvon::media::codec::Codec::Pcma;
use perezvon::media::rtcp::{self, Report, ReportBlock, RtcpPacket, SenderInfo};
use perezvon::relay::{MediaCommand, RelayConfig, RemoteMedia};

use super::party::{listen_until, talk};
use super::rig::{LOOPBACK, Rig};

fn rig() -> Rig {
    Rig::with(LOOPBACK, RelayConfig { rtcp_interval: Duration::from_millis(200), threads: 1, ..RelayConfig::default() })
}

/// The next RTCP packet on a party's socket, five seconds at most.
#[track_caller]
fn next_report(socket: &UdpSocket) -> (SocketAddr, Vec<u8>) {
    let until = Instant::now() + Duration::from_secs(5);
    let mut buffer = [0; 2048];
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((len, from)) if rtcp::parse(&buffer[..len]).next().is_some() => return (from, buffer[..len].to_vec()),
            _ => assert!(Instant::now() < until, "no report came"),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn report_of(bytes: &[u8]) -> (u32, Option<SenderInfo>, Vec<ReportBlock>) {
    match rtcp::parse(bytes).next().unwrap() {
        RtcpPacket::SenderReport { ssrc, info, blocks } => (ssrc, Some(info), blocks.collect()),
        RtcpPacket::ReceiverReport { ssrc, blocks } => (ssrc, None, blocks.collect()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_leg_reports_what_it_sent_and_received_and_says_goodbye() {
    let rig = rig();
    let (mut a, mut b) = (rig.line(0, Pcma, 700.0), rig.line(0, Pcma, 1100.0));
    rig.bridge(&a, &b);
    talk(&mut [&mut a.party, &mut b.party], 5);
    a.party.sequence = a.party.sequence.wrapping_add(5);
    talk(&mut [&mut a.party, &mut b.party], 25);
    listen_until(&mut [&mut a.party, &mut b.party], 30);
    // Reports of before the loss may be in the socket; the last one tells all.
    a.party.rtcp.set_nonblocking(true).unwrap();
    rig.close(a.id);
    let mut reports = Vec::new();
    loop {
        let (from, bytes) = next_report(&a.party.rtcp);
        assert_eq!(from.port(), a.port.rtcp_port);
        reports.push(bytes.clone());
        if rtcp::parse(&bytes).any(|packet| matches!(packet, RtcpPacket::Bye { .. })) {
            break;
        }
    }
    assert!((2..=8).contains(&reports.len()), "{} in 600 ms at 200 ms each, and the goodbye", reports.len());
    let stream = a.party.received[0].header.ssrc;
    for bytes in &reports {
        assert!(rtcp::parse(bytes).any(|packet| packet == RtcpPacket::Other { packet_type: 202 }), "CNAME in each");
        assert_eq!(report_of(bytes).0, stream);
    }
    let sent = reports.iter().filter_map(|bytes| report_of(bytes).1).next_back().unwrap();
    assert!((20..=30).contains(&sent.packets) && sent.payload_bytes == sent.packets * 160, "{sent:?}");
    let (.., blocks) = report_of(reports.last().unwrap());
    assert_eq!((blocks[0].ssrc, blocks[0].cumulative_lost), (a.party.ssrc, 5));
    assert_eq!(blocks[0].highest_sequence as u16, a.party.sequence.wrapping_sub(1));
}

#[test]
fn the_senders_report_is_quoted_and_its_view_of_us_is_kept() {
    let rig = rig();
    let (mut a, mut b) = (rig.line(0, Pcma, 700.0), rig.line(0, Pcma, 1100.0));
    rig.bridge(&a, &b);
    talk(&mut [&mut a.party, &mut b.party], 10);
    let (.., ours) = next_report(&a.party.rtcp);
    let (stream, info, _) = report_of(&ours);
    let theirs = Report {
        ssrc: a.party.ssrc,
        sender: Some(SenderInfo { ntp: 0x1122_3344_5566_7788, rtp_timestamp: 0, packets: 10, payload_bytes: 1600 }),
        block: Some(ReportBlock {
            ssrc: stream,
            fraction_lost: 0,
            cumulative_lost: 3,
            highest_sequence: 0,
            jitter: 40,
            last_sr: rtcp::middle_of_ntp(info.unwrap().ntp),
            delay_since_last_sr: 0,
        }),
        cname: "a party",
        ends: false,
    };
    let mut bytes = [0; rtcp::REPORT_BYTES];
    let len = theirs.write(&mut bytes).unwrap();
    a.party.rtcp.send_to(&bytes[..len], (LOOPBACK, a.port.rtcp_port)).unwrap();
    // A stranger's report is not believed.
    let stranger = UdpSocket::bind("127.0.0.7:0").unwrap();
    bytes[len - 40] ^= 0xff;
    stranger.send_to(&bytes[..len], (LOOPBACK, a.port.rtcp_port)).unwrap();
    let quoted = (0..20).find_map(|_| report_of(&next_report(&a.party.rtcp).1).2.first().copied().filter(|b| b.last_sr != 0));
    assert_eq!(quoted.unwrap().last_sr, 0x3344_5566);
    let stats = rig.close(a.id);
    assert_eq!((stats.remote_packets_lost, stats.remote_jitter_ms), (Some(3), Some(5.0)));
    let trip = stats.round_trip_ms.unwrap();
    assert!((0.0..2000.0).contains(&trip), "{trip} ms between its report and our quoting it");
    assert_eq!(stats.strangers_refused, 1);
}

#[test]
fn with_rtcp_mux_reports_share_the_audio_port_both_ways() {
    let rig = rig();
    let (mut a, mut b) = (rig.open(0, Pcma, 700.0), rig.line(0, Pcma, 1100.0));
    rig.bridge(&a, &b);
    let remote = RemoteMedia { rtcp_mux: true, ..a.party.remote() };
    rig.command(MediaCommand::Connect { media: a.id, remote });
    a.party.send_tone();
    let (from, bytes) = next_report(&a.party.socket);
    assert_eq!(from.port(), a.port.rtp_port);
    let block = ReportBlock {
        ssrc: report_of(&bytes).0,
        fraction_lost: 0,
        cumulative_lost: 9,
        highest_sequence: 0,
        jitter: 0,
        last_sr: 0,
        delay_since_last_sr: 0,
    };
    let theirs = Report { ssrc: a.party.ssrc, sender: None, block: Some(block), cname: "a party", ends: false };
    let mut bytes = [0; rtcp::REPORT_BYTES];
    let len = theirs.write(&mut bytes).unwrap();
    a.party.socket.send_to(&bytes[..len], a.party.to).unwrap();
    a.party.send_tone();
    // The report stood between the two in the socket's queue.
    listen_until(&mut [&mut b.party], 2);
    let stats = rig.close(a.id);
    assert_eq!(stats.remote_packets_lost, Some(9));
    assert_eq!((stats.packets_received, stats.packets_unusable), (2, 0));
}
