//! One text as an offer and as an answer, to every kind of leg: what was read is written as it would be read again, every
//! answer of ours has a place for every stream and can be read, keys that are required are never waived, and a text that
//! is refused changes nothing.

use std::net::{IpAddr, Ipv4Addr};

use perezvon::gateway::sdp::{
    Answer, Direction, Fingerprint, IceCredentials, LocalBrowser, LocalMedia, MediaSession, Protection, Session, Wanted,
};
use perezvon::gateway::{Offer, Terms, is_answerable};
use perezvon::media::codec::Codec;
use perezvon::site::Srtp;

const US: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));

fn main() -> std::process::ExitCode {
    perezvon_fuzz::main(try_one)
}

fn try_one(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let read = Session::parse(text);
    assert_eq!(Offer::read(bytes).is_some(), read.is_ok());
    if let Ok(session) = &read {
        let written = session.to_string();
        assert_eq!(Session::parse(&written).as_ref(), Ok(session), "{written}");
    }
    for srtp in [Srtp::Off, Srtp::Optional, Srtp::Required] {
        _ = is_answerable(bytes, &Terms { codecs: Codec::ALL.to_vec(), srtp });
        offer_to(phone(srtp), text, srtp == Srtp::Required);
        answer_from(phone(srtp), text, srtp == Srtp::Required);
    }
    offer_to(browser(), text, true);
    answer_from(browser(), text, true);
}

fn phone(srtp: Srtp) -> MediaSession {
    let local = LocalMedia { address: US, rtp_port: 20_000, rtcp_port: 20_001 };
    MediaSession::new(2, local, &Codec::ALL).with_srtp(srtp, [7; 32])
}

fn browser() -> MediaSession {
    let ice = IceCredentials { ufrag: "ours".into(), password: "0123456789abcdefghijklmn".into() };
    let local = LocalBrowser { addresses: vec![US], port: 19_000, ice, fingerprint: Fingerprint([1; 32]) };
    MediaSession::for_browser(2, local, &Codec::ALL)
}

/// The text as an offer to us.
fn offer_to(mut leg: MediaSession, text: &str, must_protect: bool) {
    let Ok(Answer { sdp, remote }) = leg.answer(text, Wanted::default()) else {
        assert!(leg.remote().is_none(), "a refused offer leaves nothing behind");
        return;
    };
    let (asked, given) = (Session::parse(text).expect("it was answered"), Session::parse(&sdp).expect("our own"));
    assert_eq!(given.to_string(), sdp);
    assert_eq!(asked.media.len(), given.media.len(), "{text}\n{sdp}");
    assert_eq!(given.media.iter().filter(|media| media.port != 0).count(), 1, "{text}\n{sdp}");
    assert!(!must_protect || !matches!(remote.protection, Protection::None), "{sdp}");
    let again = leg.answer(text, Wanted::default()).expect("it was answered before");
    assert_eq!(again, Answer { sdp, remote }, "the same question, the same answer");
}

/// The text as the answer to an offer of ours.
fn answer_from(mut leg: MediaSession, text: &str, must_protect: bool) {
    let offer = leg.offer(Direction::SendRecv);
    assert_eq!(Session::parse(&offer).expect("our own").to_string(), offer);
    if let Ok(remote) = leg.accept_answer(text) {
        assert!(!must_protect || !matches!(remote.protection, Protection::None), "{text}");
    } else {
        assert!(leg.remote().is_none(), "a refused answer leaves nothing behind");
    }
    let next = leg.offer(Direction::SendOnly);
    assert_eq!(Session::parse(&next).expect("our own").to_string(), next);
}
