//! The bargain about one leg's audio (RFC 3264): we offer and read the answer, or read an offer and answer it, as often as
//! the dialog wants. It keeps what was agreed, the order of the streams and our version number.

use std::net::IpAddr;

use super::describe::{AudioSection, OUR_DTMF_PAYLOAD_TYPE, refused, session};
use super::parse::SdpError;
use super::remote::{self, OfferedCodec, RemoteMedia};
use super::session::{Direction, Media, Session};
use crate::media::codec::Codec;

/// Where we receive, as the far end shall see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalMedia {
    pub address: IpAddr,
    pub rtp_port: u16,
    pub rtcp_port: u16,
}

/// What we want from an answer that we give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Our most; the answer never promises more than the offer allows.
    pub direction: Direction,
    /// Taken when it is offered, so that the bridged leg needs no transcoding; else the offerer's first that we speak.
    pub codec: Option<Codec>,
}

/// Our answer to an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub sdp: String,
    pub remote: RemoteMedia,
}

/// One stream as it stands in every SDP of this dialog: streams are never taken out, only refused (RFC 3264 §8).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    kind: String,
    protocol: String,
    formats: Vec<String>,
}

/// One leg's media as signalling knows it.
#[derive(Clone, Debug)]
pub struct MediaSession {
    session_id: u64,
    version: u64,
    local: LocalMedia,
    /// In our order of preference; never empty.
    codecs: Vec<Codec>,
    places: Vec<Place>,
    /// Which place is the call's audio.
    audio_place: usize,
    /// Our last description, without its version.
    described: Vec<Media>,
    remote: Option<RemoteMedia>,
    /// Our payload types in use: the agreed ones, so that a new offer does not renumber them.
    dtmf_payload_type: u8,
    rtcp_mux: bool,
}

impl MediaSession {
    /// `session_id` is random; `codecs` in order of preference, all that we speak when empty.
    pub fn new(session_id: u64, local: LocalMedia, codecs: &[Codec]) -> MediaSession {
        let codecs = if codecs.is_empty() { vec![Codec::Pcma, Codec::Pcmu] } else { codecs.to_vec() };
        MediaSession {
            // Some far ends read the id into 63 bits.
            session_id: session_id >> 1,
            version: 0,
            local,
            codecs,
            places: Vec::new(),
            audio_place: 0,
            described: Vec::new(),
            remote: None,
            dtmf_payload_type: OUR_DTMF_PAYLOAD_TYPE,
            rtcp_mux: false,
        }
    }

    /// What was agreed last; `None` before the first answer.
    pub fn remote(&self) -> Option<&RemoteMedia> {
        self.remote.as_ref()
    }

    /// An offer of ours: the first, a late one in a 2xx, or a new one (hold: `SendOnly` or `Inactive`).
    pub fn offer(&mut self, direction: Direction) -> String {
        if self.places.is_empty() {
            self.places.push(Place { kind: "audio".into(), protocol: "RTP/AVP".into(), formats: Vec::new() });
        }
        // The agreed codec keeps its payload type and comes first: a new offer changes as little as it can.
        let agreed = self.remote.map(|remote| OfferedCodec { codec: remote.codec, payload_type: remote.payload_type });
        let others = self.codecs.iter().filter(|codec| agreed.is_none_or(|agreed| agreed.codec != **codec));
        let others = others.map(|codec| OfferedCodec { codec: *codec, payload_type: codec.payload_type() });
        let is_free = |offered: &OfferedCodec| {
            let is_agreed = agreed.is_some_and(|agreed| agreed.payload_type == offered.payload_type);
            !is_agreed && offered.payload_type != self.dtmf_payload_type
        };
        let codecs: Vec<OfferedCodec> = agreed.into_iter().chain(others.filter(is_free)).collect();
        let protocol = self.places[self.audio_place].protocol.clone();
        let audio = AudioSection {
            protocol: &protocol,
            local: self.local,
            codecs: &codecs,
            dtmf_payload_type: Some(self.dtmf_payload_type),
            direction,
            rtcp_mux: self.rtcp_mux,
        };
        self.describe(audio.to_media())
    }

    /// The answer to our last offer. May be called again for the same offer: a 183 and its 200 both carry the answer.
    pub fn accept_answer(&mut self, sdp: &str) -> Result<RemoteMedia, SdpError> {
        let answer = Session::parse(sdp)?;
        let media = answer.media.get(self.audio_place).ok_or(SdpError::Refused)?;
        if !remote::is_usable_audio(media) {
            return Err(SdpError::Refused);
        }
        let chosen = remote::codecs(media).find(|offered| self.codecs.contains(&offered.codec)).ok_or(SdpError::NoCommonCodec)?;
        let remote = remote::remote_media(&answer, media, chosen)?;
        self.agree(remote);
        Ok(remote)
    }

    /// Reads an offer and answers it, every stream in its place. On an error nothing changes: what was agreed stands.
    pub fn answer(&mut self, offer: &str, wanted: Wanted) -> Result<Answer, SdpError> {
        let offer = Session::parse(offer)?;
        let (place, media) = self.pick_audio(&offer)?;
        let chosen = self.pick_codec(media, wanted.codec).ok_or(SdpError::NoCommonCodec)?;
        let remote = remote::remote_media(&offer, media, chosen)?;
        self.places = offer.media.iter().map(Place::of).collect();
        self.audio_place = place;
        self.agree(remote);
        let audio = AudioSection {
            protocol: &media.protocol,
            local: self.local,
            codecs: &[chosen],
            dtmf_payload_type: remote.dtmf_payload_type,
            direction: remote.direction.reversed().and(wanted.direction),
            rtcp_mux: remote.rtcp_mux,
        };
        let sdp = self.describe(audio.to_media());
        Ok(Answer { sdp, remote })
    }

    /// The stream that was ours before, else the first audio that we can use.
    fn pick_audio<'a>(&self, offer: &'a Session) -> Result<(usize, &'a Media), SdpError> {
        let former = offer.media.get(self.audio_place).filter(|media| remote::is_usable_audio(media));
        if let (Some(media), Some(_)) = (former, self.remote) {
            return Ok((self.audio_place, media));
        }
        let mut usable = offer.media.iter().enumerate().filter(|(_, media)| remote::is_usable_audio(media)).peekable();
        let first = usable.peek().copied().ok_or(SdpError::NoAudio)?;
        Ok(usable.find(|(_, media)| self.pick_codec(media, None).is_some()).unwrap_or(first))
    }

    fn pick_codec(&self, media: &Media, wanted: Option<Codec>) -> Option<OfferedCodec> {
        let mut ours = remote::codecs(media).filter(|offered| self.codecs.contains(&offered.codec)).peekable();
        let first = ours.peek().copied()?;
        Some(ours.find(|offered| Some(offered.codec) == wanted).unwrap_or(first))
    }

    fn agree(&mut self, remote: RemoteMedia) {
        self.remote = Some(remote);
        self.rtcp_mux = remote.rtcp_mux;
        self.dtmf_payload_type = remote.dtmf_payload_type.unwrap_or(self.dtmf_payload_type);
    }

    /// The whole text: our audio in its place, the other streams refused. A new version only when something changed.
    fn describe(&mut self, audio: Media) -> String {
        let refuse = |place: &Place| refused(&place.kind, &place.protocol, &place.formats);
        let mut media: Vec<Media> = self.places.iter().map(refuse).collect();
        if let Some(own) = media.get_mut(self.audio_place) {
            *own = audio;
        }
        if media != self.described {
            self.version += 1;
            self.described.clone_from(&media);
        }
        session(self.session_id, self.version, self.local, media).to_string()
    }
}

impl Place {
    fn of(media: &Media) -> Place {
        Place { kind: media.kind.clone(), protocol: media.protocol.clone(), formats: media.formats.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

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
            assert_eq!((remote.codec, remote.payload_type, remote.dtmf_payload_type), (codec, payload_type, dtmf), "{media}");
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
        assert_eq!((remote.codec, remote.dtmf_payload_type, remote.ptime_ms), (Codec::Pcmu, Some(96), 30));
        assert_eq!(leg.accept_answer(&early), Ok(remote), "the 200 repeats what the 183 said");
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
        let offer =
            "m=video 5000 RTP/AVP 96\nm=audio 4000 RTP/AVPF 97 98\na=rtpmap:97 PCMU/8000\na=rtpmap:98 telephone-event/8000";
        leg.answer(&phone(offer), Wanted::default()).unwrap();
        let hold = leg.offer(Direction::SendOnly);
        assert!(hold.contains("m=video 0 RTP/AVP 96\r\nm=audio 20000 RTP/AVPF 97 8 98\r\na=rtpmap:97 PCMU/8000"), "{hold}");
        assert!(hold.contains("a=rtpmap:98 telephone-event/8000") && hold.contains("a=sendonly"));
        let answer = phone("m=video 0 RTP/AVP 96\nm=audio 4000 RTP/AVPF 97\na=rtpmap:97 PCMU/8000\na=recvonly");
        assert_eq!(leg.accept_answer(&answer).unwrap().direction, Direction::RecvOnly);
    }
}
