//! Browsers: ICE, DTLS, bundles, hold and restarts.

use super::samples::{CHROMIUM, FIREFOX, SOFTPHONE, text};
use crate::gateway::sdp::*;
use crate::media::codec::Codec;

const ALL: [Codec; 4] = [Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu];

fn ice(name: &str) -> IceCredentials {
    IceCredentials { ufrag: name.into(), password: format!("{name}-password-0123456789") }
}

fn leg() -> MediaSession {
    let addresses = vec!["192.0.2.10".parse().unwrap(), "2001:db8::10".parse().unwrap()];
    let local = LocalBrowser { addresses, port: 19000, ice: ice("ours"), fingerprint: Fingerprint([0x1f; 32]) };
    MediaSession::for_browser(2, local, &ALL)
}

fn answered(offer: &str) -> Answer {
    leg().answer(&text(offer), Wanted::default()).unwrap_or_else(|error| panic!("{offer}: {error}"))
}

fn theirs(remote: &RemoteMedia) -> (DtlsRole, IceCredentials, Fingerprint) {
    match &remote.protection {
        Protection::Dtls { fingerprint, we_are, theirs } => (*we_are, theirs.clone(), *fingerprint),
        other => panic!("{other:?}"),
    }
}

fn version(sdp: &str) -> u64 {
    Session::parse(sdp).unwrap().origin.version
}

#[test]
fn an_answer_to_chromium_says_all_that_it_needs() {
    let Answer { sdp, remote } = answered(CHROMIUM);
    insta::assert_snapshot!(sdp.replace('\r', ""), @"
    v=0
    o=- 1 1 IN IP4 192.0.2.10
    s=-
    c=IN IP4 192.0.2.10
    t=0 0
    a=ice-lite
    a=group:BUNDLE 0
    a=msid-semantic: WMS *
    m=audio 19000 UDP/TLS/RTP/SAVPF 111 110
    a=rtpmap:111 opus/48000/2
    a=fmtp:111 minptime=10;useinbandfec=1
    a=rtpmap:110 telephone-event/48000
    a=fmtp:110 0-15
    a=ptime:20
    a=sendrecv
    a=mid:0
    a=rtcp-mux
    a=msid:perezvon audio
    a=ice-ufrag:ours
    a=ice-pwd:ours-password-0123456789
    a=fingerprint:sha-256 1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F
    a=setup:passive
    a=candidate:1 1 udp 2130706431 192.0.2.10 19000 typ host
    a=candidate:2 1 udp 2130706175 2001:db8::10 19000 typ host
    a=end-of-candidates
    ");
    assert_eq!((remote.codec, remote.payload_type), (Codec::Opus, 111));
    assert_eq!(remote.dtmf, Some(Dtmf { payload_type: 110, clock_hz: 48_000 }));
    assert!(remote.sends() && remote.receives() && remote.rtcp_mux);
    let (we_are, ice, fingerprint) = theirs(&remote);
    assert_eq!((we_are, ice.ufrag.as_str(), ice.password.as_str()), (DtlsRole::Passive, "wQ3k", "Jm7cV2nX0pLr5sTz8yAbDfGh"));
    assert_eq!((fingerprint.0[0], fingerprint.0[31]), (0x9a, 0x0f));
}

#[test]
fn telephone_events_and_comfort_noise_go_with_the_codec() {
    for (wanted, payload_type, dtmf, comfort_noise) in [
        (Codec::Opus, 111, (110, 48_000), None),
        (Codec::Pcma, 8, (126, 8000), Some(13)),
        (Codec::Pcmu, 0, (126, 8000), Some(13)),
        (Codec::G722, 9, (126, 8000), None),
    ] {
        let wish = Wanted { codec: Some(wanted), ..Wanted::default() };
        let Answer { sdp, remote } = leg().answer(&text(CHROMIUM), wish).unwrap();
        assert_eq!((remote.codec, remote.payload_type), (wanted, payload_type));
        assert_eq!(remote.dtmf.map(|dtmf| (dtmf.payload_type, dtmf.clock_hz)), Some(dtmf));
        assert_eq!(remote.comfort_noise, comfort_noise);
        assert_eq!(sdp.matches("telephone-event").count(), 1, "{sdp}");
        let numbers: Vec<u8> = [Some(payload_type), comfort_noise, Some(dtmf.0)].into_iter().flatten().collect();
        let numbers = numbers.iter().map(u8::to_string).collect::<Vec<_>>().join(" ");
        assert!(sdp.contains(&format!("m=audio 19000 UDP/TLS/RTP/SAVPF {numbers}\r\n")), "{sdp}");
    }
}

#[test]
fn what_firefox_says_for_the_whole_session_holds_for_its_stream() {
    let Answer { sdp, remote } = answered(FIREFOX);
    assert_eq!((remote.codec, remote.payload_type), (Codec::Opus, 109));
    assert_eq!(remote.dtmf, Some(Dtmf { payload_type: 101, clock_hz: 8000 }), "the only one it offers");
    assert!(!remote.is_holding(), "an address of zeros is no hold here");
    let (_, ice, fingerprint) = theirs(&remote);
    assert_eq!((ice.ufrag.as_str(), fingerprint.0[1]), ("5be20f7c", 0x0c));
    assert!(sdp.contains("a=group:BUNDLE 0\r\n") && sdp.contains("a=mid:0\r\n") && sdp.contains("a=setup:passive\r\n"), "{sdp}");
}

#[test]
fn a_browser_without_mux_keys_or_a_known_hash_is_refused_for_its_reason() {
    let refused = |from: &str, to: &str| leg().answer(&text(CHROMIUM).replace(from, to), Wanted::default()).unwrap_err();
    assert_eq!(refused("a=rtcp-mux\r\n", ""), SdpError::NoMux);
    assert_eq!(refused("sha-256", "sha-1"), SdpError::NoKeys);
    assert_eq!(refused("a=ice-ufrag:wQ3k\r\n", ""), SdpError::NoKeys);
    assert_eq!(refused("wQ3k", "w k"), SdpError::NoKeys);
    assert_eq!(refused("Jm7cV2nX0pLr5sTz8yAbDfGh", "short"), SdpError::NoKeys);
    assert_eq!(refused("actpass", "holdconn"), SdpError::NoKeys);
    assert_eq!(refused("9A:0C", "9A:+C"), SdpError::NoKeys);
    assert_eq!(refused("9A:0C", "9A"), SdpError::NoKeys);
    assert_eq!(refused("UDP/TLS/RTP/SAVPF", "RTP/AVP"), SdpError::NoAudio);
    assert_eq!(refused("111 63 9 0 8 13", "63 13"), SdpError::NoCommonCodec);
}

#[test]
fn the_active_side_is_the_one_that_the_far_end_is_not() {
    for (setup, we_are, ours) in [
        ("actpass", DtlsRole::Passive, "passive"),
        ("active", DtlsRole::Passive, "passive"),
        ("passive", DtlsRole::Active, "active"),
    ] {
        let Answer { sdp, remote } = answered(&CHROMIUM.replace("actpass", setup));
        assert_eq!(theirs(&remote).0, we_are);
        assert!(sdp.contains(&format!("a=setup:{ours}\r\n")), "{sdp}");
    }
    let mut offering = leg();
    assert!(offering.offer(Direction::SendRecv).contains("a=setup:actpass\r\n"));
    let answer = text(CHROMIUM).replace("actpass", "active");
    assert_eq!(theirs(&offering.accept_answer(&answer).unwrap()).0, DtlsRole::Passive);
    let again = offering.answer(&text(CHROMIUM), Wanted::default()).unwrap();
    assert!(again.sdp.contains("a=setup:passive\r\n"), "roles stay while the association lives");
}

#[test]
fn the_first_offer_lists_everything_with_one_event_a_clock() {
    insta::assert_snapshot!(leg().offer(Direction::SendRecv).replace('\r', ""), @"
    v=0
    o=- 1 1 IN IP4 192.0.2.10
    s=-
    c=IN IP4 192.0.2.10
    t=0 0
    a=ice-lite
    a=group:BUNDLE 0
    a=msid-semantic: WMS *
    m=audio 19000 UDP/TLS/RTP/SAVPF 111 9 8 0 101 110
    a=rtpmap:111 opus/48000/2
    a=fmtp:111 minptime=10;useinbandfec=1
    a=rtpmap:9 G722/8000
    a=rtpmap:8 PCMA/8000
    a=rtpmap:0 PCMU/8000
    a=rtpmap:101 telephone-event/8000
    a=fmtp:101 0-15
    a=rtpmap:110 telephone-event/48000
    a=fmtp:110 0-15
    a=ptime:20
    a=sendrecv
    a=mid:0
    a=rtcp-mux
    a=msid:perezvon audio
    a=ice-ufrag:ours
    a=ice-pwd:ours-password-0123456789
    a=fingerprint:sha-256 1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F:1F
    a=setup:actpass
    a=candidate:1 1 udp 2130706431 192.0.2.10 19000 typ host
    a=candidate:2 1 udp 2130706175 2001:db8::10 19000 typ host
    a=end-of-candidates
    ");
}

#[test]
fn other_streams_are_refused_in_their_place_and_stay_out_of_the_bundle() {
    let video = "m=video 9 UDP/TLS/RTP/SAVPF 96 97\nc=IN IP4 0.0.0.0\na=mid:1\na=rtcp-mux\na=rtpmap:96 VP8/90000\n";
    let channel = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\na=mid:2\na=sctp-port:5000\n";
    let offer = format!("{}{video}{channel}", CHROMIUM.replace("BUNDLE 0", "BUNDLE 0 1 2"));
    let Answer { sdp, .. } = answered(&offer);
    assert!(sdp.contains("a=group:BUNDLE 0\r\n"), "{sdp}");
    assert!(sdp.contains("m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\n"), "{sdp}");
    assert!(sdp.ends_with("m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n"), "{sdp}");
}

#[test]
fn whoever_bundles_nothing_gets_no_bundle() {
    let offer = CHROMIUM.replace("a=group:BUNDLE 0\n", "").replace("a=mid:0\n", "");
    let Answer { sdp, .. } = answered(&offer);
    assert!(!sdp.contains("BUNDLE") && !sdp.contains("a=mid"), "{sdp}");
}

#[test]
fn hold_and_resume_change_the_direction_and_nothing_else() {
    let mut leg = leg();
    let first = leg.answer(&text(CHROMIUM), Wanted::default()).unwrap().sdp;
    for (theirs, ours) in [("sendonly", "recvonly"), ("inactive", "inactive"), ("recvonly", "sendonly"), ("sendrecv", "sendrecv")]
    {
        let offer = text(CHROMIUM).replace("a=sendrecv", &format!("a={theirs}"));
        let Answer { sdp, remote } = leg.answer(&offer, Wanted::default()).unwrap();
        assert_eq!(remote.is_holding(), matches!(theirs, "sendonly" | "inactive"));
        let unchanged = sdp.replace(&format!("a={ours}\r\n"), "a=sendrecv\r\n");
        assert_eq!(unchanged.split_once("\r\ns=").unwrap().1, first.split_once("\r\ns=").unwrap().1);
    }
    assert_eq!(version(&leg.answer(&text(CHROMIUM), Wanted::default()).unwrap().sdp), 5, "the last one changes nothing");
}

#[test]
fn a_restart_of_ice_is_seen_and_answered_with_new_credentials_of_ours() {
    let mut leg = leg();
    leg.answer(&text(CHROMIUM), Wanted::default()).unwrap();
    let same = text(CHROMIUM).replace("a=sendrecv", "a=sendonly");
    assert!(!leg.restarts_ice(&same));
    let restart = text(CHROMIUM).replace("wQ3k", "Zz9+").replace("Jm7cV2nX0pLr5sTz8yAbDfGh", "0123456789abcdefABCDEF/+");
    assert!(leg.restarts_ice(&restart));
    leg.set_ice(ice("fresh"));
    let Answer { sdp, remote } = leg.answer(&restart, Wanted::default()).unwrap();
    assert!(sdp.contains("a=ice-ufrag:fresh\r\n") && !sdp.contains("a=ice-ufrag:ours"), "{sdp}");
    assert_eq!(theirs(&remote).1.ufrag, "Zz9+");
    assert!(!leg.restarts_ice(&restart));
}

#[test]
fn a_new_offer_of_ours_keeps_the_browsers_numbers_and_name() {
    let mut leg = leg();
    leg.answer(&text(&FIREFOX.replace("a=mid:0", "a=mid:sparta").replace("BUNDLE 0", "BUNDLE sparta")), Wanted::default())
        .unwrap();
    let hold = leg.offer(Direction::SendOnly);
    assert!(hold.contains("UDP/TLS/RTP/SAVPF 109 9 8 0 101 110\r\n"), "{hold}");
    assert!(hold.contains("a=rtpmap:109 opus/48000/2\r\n") && hold.contains("a=rtpmap:101 telephone-event/8000\r\n"), "{hold}");
    assert!(hold.contains("a=mid:sparta\r\n") && hold.contains("a=group:BUNDLE sparta\r\n") && hold.contains("a=sendonly\r\n"));
}

#[test]
fn far_ends_are_told_apart_by_their_offers() {
    let far_end = |sample: &str| Session::parse(&text(sample)).unwrap().far_end();
    assert_eq!((far_end(CHROMIUM), far_end(FIREFOX), far_end(SOFTPHONE)), (FarEnd::Browser, FarEnd::Browser, FarEnd::Phone));
    let both = format!("{SOFTPHONE}m=audio 9 UDP/TLS/RTP/SAVPF 111\n");
    assert_eq!(far_end(&both), FarEnd::Phone, "whoever can do both is spoken to plainly");
    assert_eq!(far_end("v=0\no=- 1 1 IN IP4 10.0.0.1\ns=-\nm=audio 0 UDP/TLS/RTP/SAVPF 0\n"), FarEnd::Phone);
}
