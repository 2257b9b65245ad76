//! Offers and answers of phones over plain RTP, and what holds for every kind.

use std::net::Ipv4Addr;

use crate::gateway::sdp::*;

fn local() -> LocalMedia {
    LocalMedia { address: Ipv4Addr::new(192, 0, 2, 10).into(), rtp_port: 20000, rtcp_port: 20001 }
}

fn leg() -> MediaSession {
    MediaSession::new(2, local(), &[])
}

/// An offer or answer of a phone at 10.0.0.7 with these `m=` and `a=` lines.
fn phone(media: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 10.0.0.7\r\ns=-\r\nc=IN IP4 10.0.0.7\r\nt=0 0\r\n{}\r\n", media.replace('\n', "\r\n"))
}

fn answered(media: &str) -> Answer {
    leg().answer(&phone(media), Wanted::default()).unwrap_or_else(|error| panic!("{media}: {error}"))
}

fn refusal(media: &str) -> SdpError {
    leg().answer(&phone(media), Wanted::default()).expect_err(media)
}

#[test]
fn the_first_offer_is_what_it_has_always_been() {
    insta::assert_snapshot!(leg().offer(Direction::SendRecv).replace('\r', ""), @"
    v=0
    o=- 1 1 IN IP4 192.0.2.10
    s=-
    c=IN IP4 192.0.2.10
    t=0 0
    m=audio 20000 RTP/AVP 8 0 101
    a=rtpmap:8 PCMA/8000
    a=rtpmap:0 PCMU/8000
    a=rtpmap:101 telephone-event/8000
    a=fmtp:101 0-15
    a=ptime:20
    a=sendrecv
    ");
}

#[test]
fn codecs_are_matched_by_name_and_number() {
    for (media, codec, payload_type, dtmf) in [
        ("m=audio 4000 RTP/AVP 0 8", Codec::Pcmu, 0, None),
        ("m=audio 4000 RTP/AVP 9 18 8", Codec::Pcma, 8, None),
        ("m=audio 4000 RTP/AVP 97 96\na=rtpmap:97 opus/48000/2\na=rtpmap:96 pcma/8000/1", Codec::Pcma, 96, None),
        ("m=audio 4000 RTP/AVP 8 96\na=rtpmap:96 telephone-event/8000", Codec::Pcma, 8, Some(96)),
        (
            "m=audio 4000 RTP/AVP 111 8 110 126\na=rtpmap:111 opus/48000/2\na=rtpmap:110 telephone-event/48000\n\
             a=rtpmap:126 telephone-event/8000",
            Codec::Pcma,
            8,
            Some(126),
        ),
        ("m=audio 4000 RTP/AVP 8 0\na=rtpmap:8 PCMA/16000\na=rtpmap:0 PCMU/8000", Codec::Pcmu, 0, None),
    ] {
        let Answer { sdp, remote } = answered(media);
        assert_eq!(
            (remote.codec, remote.payload_type, remote.dtmf.map(|dtmf| dtmf.payload_type)),
            (codec, payload_type, dtmf),
            "{media}"
        );
        let formats = dtmf.map_or(format!("{payload_type}"), |dtmf| format!("{payload_type} {dtmf}"));
        assert!(sdp.contains(&format!("m=audio 20000 RTP/AVP {formats}\r\n")), "{sdp}");
    }
}

#[test]
fn the_bridged_legs_codec_is_taken_when_it_is_offered() {
    let take = |codec| {
        let wanted = Wanted { codec: Some(codec), ..Wanted::default() };
        leg().answer(&phone("m=audio 4000 RTP/AVP 0 8"), wanted).unwrap().remote.codec
    };
    assert_eq!(take(Codec::Pcma), Codec::Pcma);
    assert_eq!(take(Codec::Pcmu), Codec::Pcmu);
    let only_alaw = MediaSession::new(1, local(), &[Codec::Pcma]).answer(&phone("m=audio 4 RTP/AVP 0"), Wanted::default());
    assert_eq!(only_alaw, Err(SdpError::NoCommonCodec));
}

#[test]
fn directions_are_mirrored_and_hold_is_seen() {
    for (attribute, theirs, ours) in [
        ("", Direction::SendRecv, "sendrecv"),
        ("\na=sendonly", Direction::SendOnly, "recvonly"),
        ("\na=recvonly", Direction::RecvOnly, "sendonly"),
        ("\na=inactive", Direction::Inactive, "inactive"),
        ("\nc=IN IP4 0.0.0.0", Direction::SendOnly, "recvonly"),
        ("\nc=IN IP4 0.0.0.0\na=recvonly", Direction::Inactive, "inactive"),
        ("\nc=IN IP6 ::", Direction::SendOnly, "recvonly"),
    ] {
        let Answer { sdp, remote } = answered(&format!("m=audio 4000 RTP/AVP 8{attribute}"));
        assert_eq!(remote.direction, theirs, "{attribute}");
        assert_eq!(remote.is_holding(), !theirs.receives());
        assert!(sdp.contains(&format!("a={ours}\r\n")), "{attribute}: {sdp}");
    }
    let wanted = Wanted { direction: Direction::SendOnly, codec: None };
    let held = leg().answer(&phone("m=audio 4000 RTP/AVP 8"), wanted).unwrap();
    assert!(held.sdp.contains("a=sendonly"));
}

#[test]
fn a_direction_of_the_session_holds_for_streams_without_one() {
    let offer = phone("m=audio 4000 RTP/AVP 8").replace("t=0 0", "t=0 0\r\na=inactive");
    assert_eq!(leg().answer(&offer, Wanted::default()).unwrap().remote.direction, Direction::Inactive);
}

#[test]
fn rtcp_goes_where_the_far_end_says() {
    for (attributes, rtcp, mux) in [
        ("", "10.0.0.7:4001", false),
        ("\na=rtcp:4444", "10.0.0.7:4444", false),
        ("\na=rtcp:4444 IN IP4 10.0.0.7", "10.0.0.7:4444", false),
        ("\na=rtcp:4444 IN IP4 203.0.113.1", "10.0.0.7:4444", false),
        ("\na=rtcp:0", "10.0.0.7:4001", false),
        ("\na=rtcp:4000\na=rtcp-mux", "10.0.0.7:4000", true),
    ] {
        let Answer { sdp, remote } = answered(&format!("m=audio 4000 RTP/AVP 8{attributes}"));
        assert_eq!((remote.rtcp.to_string().as_str(), remote.rtcp_mux), (rtcp, mux), "{attributes}");
        assert_eq!(sdp.contains("a=rtcp-mux"), mux);
    }
    let odd = LocalMedia { rtcp_port: 30000, ..local() };
    assert!(MediaSession::new(1, odd, &[]).offer(Direction::SendRecv).contains("a=rtcp:30000\r\n"));
}

#[test]
fn every_stream_is_answered_in_its_place() {
    let Answer { sdp, remote } = answered(
        "m=video 5000 RTP/AVP 96 97\na=rtpmap:96 VP8/90000\nm=audio 0 RTP/AVP 8\nm=audio 6000 RTP/SAVP 8\n\
         m=audio 4000 RTP/AVP 8\nm=audio 4100 RTP/AVP 0\nm=application 7000 UDP/BFCP *\nm=text 1 RTP/AVP",
    );
    let media: Vec<_> = sdp.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(
        media,
        [
            "m=video 0 RTP/AVP 96",
            "m=audio 0 RTP/AVP 8",
            "m=audio 0 RTP/SAVP 8",
            "m=audio 20000 RTP/AVP 8",
            "m=audio 0 RTP/AVP 0",
            "m=application 0 UDP/BFCP *",
            "m=text 0 RTP/AVP 0"
        ]
    );
    assert_eq!(remote.rtp.port(), 4000);
}

#[test]
fn a_stream_with_our_codec_wins_over_an_earlier_one_without() {
    assert_eq!(answered("m=audio 4000 RTP/AVP 9\nm=audio 4100 RTP/AVP 8").remote.rtp.port(), 4100);
}

#[test]
fn addresses_may_stand_on_either_level_and_be_ipv6() {
    let v6 = answered("m=audio 4000 RTP/AVP 8\nc=IN IP6 2001:db8::7").remote;
    assert_eq!(v6.rtp.to_string(), "[2001:db8::7]:4000");
    let mapped = answered("m=audio 4000 RTP/AVP 8\nc=IN IP6 ::ffff:10.0.0.9").remote;
    assert_eq!(mapped.rtp.to_string(), "10.0.0.9:4000");
    let ours = LocalMedia { address: "2001:db8::1".parse().unwrap(), ..local() };
    assert!(MediaSession::new(1, ours, &[]).offer(Direction::SendRecv).contains("c=IN IP6 2001:db8::1\r\n"));
}

#[test]
fn what_cannot_be_used_is_refused_for_its_reason() {
    assert_eq!(refusal("m=audio 4000 RTP/AVP 9 18"), SdpError::NoCommonCodec);
    assert_eq!(refusal("m=image 4000 udptl t38"), SdpError::NoAudio);
    assert_eq!(refusal("m=audio 0 RTP/AVP 8"), SdpError::NoAudio);
    assert_eq!(refusal("m=audio 4000 RTP/SAVPF 8"), SdpError::NoAudio);
    assert_eq!(refusal("m=audio 4000 RTP/AVP 8\nc=IN IP4 phone.example.com"), SdpError::NoAddress);
    assert_eq!(refusal("m=audio 4000 RTP/AVP 8\nc=IN IP4 224.2.1.1/127"), SdpError::NoAddress);
    assert_eq!(refusal(&"m=video 1 RTP/AVP 96\n".repeat(40)), SdpError::Syntax { line: 38, why: "too many streams" });
    assert!(matches!(leg().answer("", Wanted::default()), Err(SdpError::Syntax { .. })));
    assert!(matches!(leg().answer("v=0\r\ns=-\r\n", Wanted::default()), Err(SdpError::Syntax { .. })));
}

#[test]
fn an_answer_to_our_offer_settles_the_codec() {
    let mut leg = leg();
    leg.offer(Direction::SendRecv);
    let early = phone("m=audio 4000 RTP/AVP 0 96\na=rtpmap:96 telephone-event/8000\na=ptime:30");
    let remote = leg.accept_answer(&early).unwrap();
    assert_eq!((remote.codec, remote.dtmf.map(|dtmf| dtmf.payload_type), remote.ptime_ms), (Codec::Pcmu, Some(96), 30));
    assert_eq!(leg.accept_answer(&early).as_ref(), Ok(&remote), "the 200 repeats what the 183 said");
    assert_eq!(leg.accept_answer(&phone("m=audio 0 RTP/AVP 0")), Err(SdpError::Refused));
    assert_eq!(leg.accept_answer(&phone("m=audio 4000 RTP/AVP 9")), Err(SdpError::NoCommonCodec));
    assert_eq!(leg.remote(), Some(&remote), "a bad answer changes nothing");
}

#[test]
fn the_version_grows_only_when_the_text_changes() {
    let version = |sdp: &str| Session::parse(sdp).unwrap().origin.version;
    let mut leg = leg();
    let audio = "m=audio 4000 RTP/AVP 8 0";
    let first = leg.answer(&phone(audio), Wanted::default()).unwrap().sdp;
    assert_eq!(version(&first), 1);
    let refresh = leg.answer(&phone(audio), Wanted::default()).unwrap().sdp;
    assert_eq!(refresh, first);
    let held = leg.answer(&phone(&format!("{audio}\na=sendonly")), Wanted::default()).unwrap().sdp;
    assert_eq!(version(&held), 2);
    assert_eq!(leg.answer(&phone("m=audio 4000 RTP/AVP 9"), Wanted::default()), Err(SdpError::NoCommonCodec));
    let resumed = leg.answer(&phone(audio), Wanted::default()).unwrap().sdp;
    assert_eq!(version(&resumed), 3);
}

#[test]
fn a_new_offer_keeps_streams_and_payload_types() {
    let mut leg = leg();
    let offer = "m=video 5000 RTP/AVP 96\nm=audio 4000 RTP/AVPF 97 98\na=rtpmap:97 PCMU/8000\na=rtpmap:98 telephone-event/8000";
    leg.answer(&phone(offer), Wanted::default()).unwrap();
    let hold = leg.offer(Direction::SendOnly);
    assert!(hold.contains("m=video 0 RTP/AVP 96\r\nm=audio 20000 RTP/AVPF 97 8 98\r\na=rtpmap:97 PCMU/8000"), "{hold}");
    assert!(hold.contains("a=rtpmap:98 telephone-event/8000") && hold.contains("a=sendonly"));
    let answer = phone("m=video 0 RTP/AVP 96\nm=audio 4000 RTP/AVPF 97\na=rtpmap:97 PCMU/8000\na=recvonly");
    assert_eq!(leg.accept_answer(&answer).unwrap().direction, Direction::RecvOnly);
}

#[test]
fn comfort_noise_is_offered_where_it_is_wanted_and_agreed_where_both_name_it() {
    for (answer, offers, expected) in [
        ("m=audio 4000 RTP/AVP 8 13\na=rtpmap:13 CN/8000", true, Some(13)),
        ("m=audio 4000 RTP/AVP 8 13", true, Some(13)),
        ("m=audio 4000 RTP/AVP 8 13", false, None),
        ("m=audio 4000 RTP/AVP 8", true, None),
    ] {
        assert_eq!(Session::parse(&phone(answer)).unwrap().takes_comfort_noise(), answer.contains(" 13"), "{answer}");
        let mut leg = leg().with_comfort_noise(offers);
        let offer = leg.offer(Direction::SendRecv);
        assert_eq!(offer.contains("RTP/AVP 8 0 13 101\r\n") && offer.contains("a=rtpmap:13 CN/8000\r\n"), offers, "{offer}");
        assert_eq!(leg.accept_answer(&phone(answer)).unwrap().comfort_noise, expected, "{answer}");
    }
    let mut wide = MediaSession::new(2, local(), &[Codec::G722]).with_comfort_noise(true);
    assert!(!wide.offer(Direction::SendRecv).contains("CN/8000"), "it exists for G.711 only");
}
