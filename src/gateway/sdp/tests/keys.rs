//! Keys in the SDP, by every policy.

use super::samples::{BARESIP, FAX, SOFTPHONE, text};
use crate::gateway::sdp::*;
use crate::media::codec::Codec;
use crate::media::srtp::{MasterKey, Profile};
use crate::site::Srtp;

const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
const OTHER_KEY: &str = "AAAAX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

fn local(rtp_port: u16) -> LocalMedia {
    LocalMedia { address: "192.0.2.10".parse().unwrap(), rtp_port, rtcp_port: rtp_port + 1 }
}

fn leg(srtp: Srtp) -> MediaSession {
    MediaSession::new(2, local(20000), &[Codec::Pcma, Codec::Pcmu]).with_srtp(srtp, [7; 32])
}

fn answer(srtp: Srtp, offer: &str) -> Result<Answer, SdpError> {
    leg(srtp).answer(&text(offer), Wanted::default())
}

fn keys(remote: &RemoteMedia) -> (MasterKey, MasterKey) {
    match remote.protection {
        Protection::Sdes { ours, theirs } => (ours, theirs),
        ref other => panic!("{other:?}"),
    }
}

fn offer(media: &str) -> String {
    format!("v=0\no=- 1 1 IN IP4 10.0.0.7\ns=-\nc=IN IP4 10.0.0.7\nt=0 0\n{media}\n")
}

fn protected(key: &str) -> String {
    offer(&format!("m=audio 4000 RTP/SAVP 8\na=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^31"))
}

fn crypto_lines(sdp: &str) -> Vec<&str> {
    sdp.lines().filter(|line| line.starts_with("a=crypto")).collect()
}

#[test]
fn the_answer_keeps_the_tag_of_the_first_line_that_we_can_do() {
    let Answer { sdp, remote } = answer(Srtp::Optional, BARESIP).unwrap();
    let (ours, theirs) = keys(&remote);
    assert_eq!(theirs.profile(), Profile::AesCm128HmacSha1_80);
    assert_ne!(ours, theirs);
    let lines = crypto_lines(&sdp);
    assert!(lines.len() == 1 && lines[0].starts_with("a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:"), "{lines:?}");
    assert!(sdp.contains("m=audio 20000 RTP/SAVP 8 101\r\n"), "{sdp}");
}

#[test]
fn each_policy_takes_what_it_may() {
    for (srtp, offered, expected) in [
        (Srtp::Off, protected(KEY), Err(SdpError::NoAudio)),
        (Srtp::Optional, protected(KEY), Ok(true)),
        (Srtp::Required, protected(KEY), Ok(true)),
        (Srtp::Off, offer("m=audio 4000 RTP/AVP 8"), Ok(false)),
        (Srtp::Optional, offer("m=audio 4000 RTP/AVP 8"), Ok(false)),
        (Srtp::Required, offer("m=audio 4000 RTP/AVP 8"), Err(SdpError::NoAudio)),
        (
            Srtp::Required,
            offer(&format!("m=audio 4000 RTP/AVP 8\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}")),
            Err(SdpError::NoAudio),
        ),
        (Srtp::Required, offer("m=audio 4000 RTP/SAVP 8"), Err(SdpError::NoKeys)),
        (Srtp::Optional, protected(&format!("{KEY}|2^20|1:4")).replace("|2^31", ""), Err(SdpError::NoKeys)),
    ] {
        let done = answer(srtp, &offered).map(|answer| answer.remote.protection != Protection::None);
        assert_eq!(done, expected, "{srtp:?} {offered}");
    }
}

#[test]
fn of_two_streams_the_protected_one_is_taken_and_the_plain_one_refused() {
    let both =
        offer(&format!("m=audio 4000 RTP/AVP 8\nm=audio 4002 RTP/SAVP 8\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"));
    for (srtp, port) in [(Srtp::Off, 4000), (Srtp::Optional, 4002), (Srtp::Required, 4002)] {
        assert_eq!(answer(srtp, &both).unwrap().remote.rtp.port(), port, "{srtp:?}");
    }
}

#[test]
fn an_offer_by_policy_and_what_a_refusal_leaves() {
    let mut optional = leg(Srtp::Optional);
    let sdp = optional.offer(Direction::SendRecv);
    assert!(sdp.contains("m=audio 20000 RTP/SAVP 8 0 101\r\n"), "{sdp}");
    let lines = crypto_lines(&sdp);
    assert!(lines[0].starts_with("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"), "{lines:?}");
    assert!(lines[1].starts_with("a=crypto:2 AEAD_AES_128_GCM inline:") && lines.len() == 2, "{lines:?}");
    let plain = optional.without_srtp().unwrap().offer(Direction::SendRecv);
    assert!(plain.contains("m=audio 20000 RTP/AVP 8 0 101\r\n") && crypto_lines(&plain).is_empty(), "{plain}");
    assert!(leg(Srtp::Required).without_srtp().is_none(), "never plain");
    assert!(leg(Srtp::Off).without_srtp().is_none(), "nothing else is left");
    assert!(leg(Srtp::Off).offer(Direction::SendRecv).contains("RTP/AVP 8 0 101"));
}

#[test]
fn the_answer_to_our_offer_chooses_one_of_our_lines() {
    let mut ours = leg(Srtp::Required);
    ours.offer(Direction::SendRecv);
    let gcm = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYg==";
    let answered = |line: &str| text(&offer(&format!("m=audio 4000 RTP/SAVP 8\na=crypto:{line}")));
    for wrong in [
        "1 AEAD_AES_128_GCM inline:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYg==",
        "3 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
        "",
    ] {
        assert_eq!(ours.accept_answer(&answered(wrong)), Err(SdpError::NoKeys), "{wrong}");
    }
    assert_eq!(ours.accept_answer(&text(&offer("m=audio 4000 RTP/AVP 8"))), Err(SdpError::NoAudio), "never plain");
    let agreed = ours.accept_answer(&answered(&format!("2 AEAD_AES_128_GCM inline:{gcm}"))).unwrap();
    assert_eq!(keys(&agreed).0.profile(), Profile::AeadAes128Gcm);
    let hold = ours.offer(Direction::SendOnly);
    assert_eq!(crypto_lines(&hold).len(), 1, "what was agreed, and no other: {hold}");
    assert!(hold.contains("a=crypto:2 AEAD_AES_128_GCM inline:"));
    assert_eq!(ours.accept_answer(&answered(&format!("2 AEAD_AES_128_GCM inline:{gcm}"))).unwrap(), agreed, "the same keys");
}

#[test]
fn a_new_offer_keeps_our_key_as_long_as_theirs_stays() {
    let mut leg = leg(Srtp::Optional);
    let first = leg.answer(&text(&protected(KEY)), Wanted::default()).unwrap();
    let again = leg.answer(&text(&protected(KEY).replace("crypto:4", "crypto:9")), Wanted::default()).unwrap();
    assert_eq!(keys(&again.remote), keys(&first.remote));
    assert!(crypto_lines(&again.sdp)[0].starts_with("a=crypto:9 "));
    let renewed = leg.answer(&text(&protected(OTHER_KEY)), Wanted::default()).unwrap();
    let ((ours, theirs), (before, _)) = (keys(&renewed.remote), keys(&first.remote));
    assert_eq!(theirs.key_and_salt()[..3], [0, 0, 0]);
    assert_ne!(ours, before);
    assert_eq!(leg.answer(&text(&protected("nothing")), Wanted::default()), Err(SdpError::NoKeys));
    assert_eq!(keys(leg.remote().unwrap()).0, ours, "a bad offer changes nothing");
}

#[test]
fn two_of_ours_understand_each_other_on_any_terms() {
    for (srtp, protects) in [(Srtp::Off, false), (Srtp::Optional, true), (Srtp::Required, true)] {
        let mut caller = leg(srtp);
        let mut callee = MediaSession::new(3, local(30000), &[Codec::Pcmu]).with_srtp(srtp, [9; 32]);
        let Answer { sdp, remote } = callee.answer(&caller.offer(Direction::SendRecv), Wanted::default()).unwrap();
        let seen = caller.accept_answer(&sdp).unwrap();
        assert_eq!((seen.codec, seen.rtp.port(), remote.rtp.port()), (Codec::Pcmu, 30000, 20000));
        if protects {
            let ((ours, theirs), (callers, callees)) = (keys(&remote), keys(&seen));
            assert_eq!((ours, theirs), (callees, callers));
        }
    }
}

#[test]
fn a_softphone_with_video_and_a_fax_are_answered_in_order() {
    let Answer { sdp, remote } = answer(Srtp::Off, SOFTPHONE).unwrap();
    assert_eq!((remote.codec, remote.dtmf.map(|dtmf| dtmf.payload_type)), (Codec::Pcmu, Some(99)));
    let media: Vec<&str> = sdp.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(media, ["m=audio 20000 RTP/AVP 0 99", "m=video 0 RTP/AVP 96", "m=text 0 RTP/AVP 101"]);
    assert_eq!(answer(Srtp::Off, FAX), Err(SdpError::NoAudio));
}
