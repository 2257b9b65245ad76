//! What holds for any text that calls itself an offer or an answer.

use proptest::prelude::*;

use super::samples::{BARESIP, CHROMIUM, FIREFOX, SOFTPHONE, text};
use crate::gateway::sdp::*;
use crate::media::codec::Codec;
use crate::site::Srtp;

fn phone(srtp: Srtp) -> MediaSession {
    let local = LocalMedia { address: "192.0.2.10".parse().unwrap(), rtp_port: 20000, rtcp_port: 20001 };
    MediaSession::new(2, local, &Codec::ALL).with_srtp(srtp, [7; 32])
}

fn browser() -> MediaSession {
    let ice = IceCredentials { ufrag: "ours".into(), password: "0123456789abcdefghijklmn".into() };
    let addresses = vec!["192.0.2.10".parse().unwrap()];
    MediaSession::for_browser(2, LocalBrowser { addresses, port: 19000, ice, fingerprint: Fingerprint([1; 32]) }, &Codec::ALL)
}

fn sessions() -> impl Iterator<Item = MediaSession> {
    [phone(Srtp::Off), phone(Srtp::Optional), phone(Srtp::Required), browser()].into_iter()
}

/// A sample with some of its lines dropped, doubled, cut or replaced.
fn mangled() -> impl Strategy<Value = String> {
    let sample = prop::sample::select(vec![CHROMIUM, FIREFOX, BARESIP, SOFTPHONE]);
    let wounds = prop::collection::vec((any::<prop::sample::Index>(), 0..5_u8, "[ -~]{0,20}"), 0..6);
    (sample, wounds).prop_map(|(sample, wounds)| {
        let mut lines: Vec<String> = text(sample).lines().map(str::to_owned).collect();
        for (place, kind, piece) in wounds {
            let place = place.index(lines.len());
            let line = lines[place].clone();
            match kind {
                0 => drop(lines.remove(place)),
                1 => lines.insert(place, line),
                2 => lines[place] = line.chars().take(piece.len() + 2).collect(),
                3 => lines[place] = format!("a={piece}"),
                _ => lines[place] = format!("{line}{piece}"),
            }
            if lines.is_empty() {
                break;
            }
        }
        lines.join("\r\n") + "\r\n"
    })
}

proptest! {
    #[test]
    fn every_answer_has_a_place_for_every_stream_and_promises_only_what_was_offered(offer in mangled()) {
        for mut session in sessions() {
            let Ok(Answer { sdp, remote }) = session.answer(&offer, Wanted::default()) else { continue };
            let (asked, given) = (Session::parse(&offer).unwrap(), Session::parse(&sdp).unwrap());
            prop_assert_eq!(asked.media.len(), given.media.len());
            let mut wanted = 0;
            for (theirs, ours) in asked.media.iter().zip(&given.media) {
                prop_assert_eq!((&theirs.kind, &theirs.protocol), (&ours.kind, &ours.protocol));
                if ours.port != 0 {
                    wanted += 1;
                    prop_assert!(ours.formats.iter().all(|format| theirs.formats.contains(format)), "{}\n{}", offer, sdp);
                    prop_assert_eq!(&ours.formats[0], &remote.payload_type.to_string());
                }
            }
            prop_assert_eq!(wanted, 1);
            let again = session.answer(&offer, Wanted::default()).unwrap();
            prop_assert_eq!(again, Answer { sdp, remote }, "the same question, the same answer");
        }
    }

    #[test]
    fn a_bad_offer_or_answer_changes_nothing(good in prop::sample::select(vec![CHROMIUM, BARESIP, SOFTPHONE]), bad in mangled()) {
        for mut session in sessions() {
            if session.answer(&text(good), Wanted::default()).is_err() {
                continue;
            }
            let before = session.remote().cloned();
            let offered = session.offer(Direction::SendRecv);
            if session.clone().answer(&bad, Wanted::default()).is_err() {
                let mut other = session.clone();
                let _ = other.answer(&bad, Wanted::default());
                prop_assert_eq!(other.remote(), before.as_ref());
                prop_assert_eq!(other.offer(Direction::SendRecv), offered.clone());
            }
            let _ = session.accept_answer(&bad);
        }
    }

    #[test]
    fn a_required_key_is_never_waived(offer in mangled()) {
        if let Ok(answer) = phone(Srtp::Required).answer(&offer, Wanted::default()) {
            let is_sdes = matches!(answer.remote.protection, Protection::Sdes { .. });
            prop_assert!(is_sdes && answer.sdp.contains("a=crypto:"), "{}", answer.sdp);
        }
        let mut offering = phone(Srtp::Required);
        offering.offer(Direction::SendRecv);
        if let Ok(remote) = offering.accept_answer(&offer) {
            let is_sdes = matches!(remote.protection, Protection::Sdes { .. });
            prop_assert!(is_sdes);
        }
    }

    #[test]
    fn versions_only_grow_and_payload_types_keep_their_meaning(
        steps in prop::collection::vec((prop::sample::select(vec![CHROMIUM, FIREFOX]), 0..3_u8), 1..8)
    ) {
        let mut session = browser();
        let (mut version, mut meanings) = (0, std::collections::HashMap::<String, String>::new());
        // One browser's offers, in whatever order, with our own in between.
        let sample = steps[0].0;
        for (_, kind) in steps {
            let direction = ["a=sendrecv", "a=sendonly", "a=inactive"][usize::from(kind)];
            let answer = session.answer(&text(sample).replace("a=sendrecv", direction), Wanted::default()).unwrap().sdp;
            for sdp in [answer, session.offer(Direction::SendRecv)] {
                let parsed = Session::parse(&sdp).unwrap();
                prop_assert!(parsed.origin.version >= version);
                version = parsed.origin.version;
                for format in &parsed.media[0].formats {
                    let map = parsed.media[0].rtpmap(format).unwrap_or_default().to_owned();
                    let known = meanings.entry(format.clone()).or_insert_with(|| map.clone());
                    prop_assert_eq!(&*known, &map, "{}", format);
                }
            }
        }
    }
}
