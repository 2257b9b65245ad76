//! The bargain about one leg's audio (RFC 3264): we offer and read the answer, or read an offer and answer it, as often as
//! the dialog wants. It keeps what was agreed, the order of the streams, our keys and our version number.

use std::net::IpAddr;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::crypto::{self, Crypto, PROFILES};
use super::describe::{AudioSection, refused, session};
use super::dtls::{self, Browser, DtlsRole, IceCredentials, LocalBrowser};
use super::formats::{self, Format, Numbers};
use super::parse::SdpError;
use super::remote::{self, Profile, Protection, RemoteMedia};
use super::session::{Direction, Media, Session};
use crate::media::codec::Codec;
use crate::media::srtp::MasterKey;
use crate::site::Srtp;

/// Where we receive, as the far end shall see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalMedia {
    pub address: IpAddr,
    pub rtp_port: u16,
    pub rtcp_port: u16,
}

/// The same for either kind of far end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Local {
    Phone(LocalMedia),
    Browser(LocalBrowser),
}

/// What we want from an answer that we give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Our most; the answer never promises more than the offer allows.
    pub direction: Direction,
    /// What the bridged leg speaks. It is taken when it is offered, or else what comes closest: the other law of G.711, then
    /// a codec of the same bandwidth; without it the offerer's first that we speak.
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
    mid: Option<String>,
}

/// Our keys for `a=crypto`.
#[derive(Clone, Debug)]
struct Keys {
    random: StdRng,
    /// What our last offer said.
    offered: Vec<Crypto>,
    /// The line in use and their key.
    agreed: Option<(Crypto, MasterKey)>,
}

/// One leg's media as signalling knows it.
#[derive(Clone, Debug)]
pub struct MediaSession {
    session_id: u64,
    version: u64,
    local: Local,
    /// What we speak, in the order of our offers; never empty.
    codecs: Vec<Codec>,
    srtp: Srtp,
    keys: Keys,
    places: Vec<Place>,
    /// Which place is the call's audio.
    audio_place: usize,
    /// Whether the streams are in a bundle.
    has_bundle: bool,
    /// Our last description, without its version.
    described: Vec<Media>,
    remote: Option<RemoteMedia>,
    /// So that a new offer does not renumber what was agreed.
    numbers: Numbers,
    rtcp_mux: bool,
    dtls_role: Option<DtlsRole>,
    offers_comfort_noise: bool,
}

impl MediaSession {
    /// A phone's or a carrier's, over plain RTP. `session_id` is random; `codecs` in order of preference, the two laws of
    /// G.711 when empty.
    pub fn new(session_id: u64, local: LocalMedia, codecs: &[Codec]) -> MediaSession {
        MediaSession::with_local(session_id, Local::Phone(local), codecs)
    }

    /// A browser's: ICE, DTLS and one port for all.
    pub fn for_browser(session_id: u64, local: LocalBrowser, codecs: &[Codec]) -> MediaSession {
        MediaSession { has_bundle: true, rtcp_mux: true, ..MediaSession::with_local(session_id, Local::Browser(local), codecs) }
    }

    /// Protected by keys in the SDP, as the policy says. The keys grow from `seed`, which must be unguessable.
    pub fn with_srtp(self, srtp: Srtp, seed: [u8; 32]) -> MediaSession {
        MediaSession { srtp, keys: Keys::from(seed), ..self }
    }

    /// With comfort noise (RFC 3389) in its offers, or without. Only where somebody on the other side of the call takes it:
    /// whoever may send it falls silent between words, and who does not know it would hear holes.
    pub fn with_comfort_noise(self, offers_comfort_noise: bool) -> MediaSession {
        MediaSession { offers_comfort_noise, ..self }
    }

    /// The same without protection, for a far end that has refused an optional one; `None` when it is required or was not
    /// offered at all.
    pub fn without_srtp(&self) -> Option<MediaSession> {
        let is_optional = self.srtp == Srtp::Optional && matches!(self.local, Local::Phone(_));
        is_optional.then(|| MediaSession { srtp: Srtp::Off, places: Vec::new(), described: Vec::new(), ..self.clone() })
    }

    fn with_local(session_id: u64, local: Local, codecs: &[Codec]) -> MediaSession {
        let codecs = if codecs.is_empty() { vec![Codec::Pcma, Codec::Pcmu] } else { codecs.to_vec() };
        MediaSession {
            // Some far ends read the id into 63 bits.
            session_id: session_id >> 1,
            version: 0,
            local,
            codecs,
            srtp: Srtp::Off,
            // Never used: without `with_srtp` there are no keys.
            keys: Keys::from([0; 32]),
            places: Vec::new(),
            audio_place: 0,
            has_bundle: false,
            described: Vec::new(),
            remote: None,
            numbers: Numbers::default(),
            rtcp_mux: false,
            dtls_role: None,
            offers_comfort_noise: false,
        }
    }

    /// What was agreed last; `None` before the first answer.
    pub fn remote(&self) -> Option<&RemoteMedia> {
        self.remote.as_ref()
    }

    /// Codecs that the far end has named and we speak: what it could change to.
    pub fn common_codecs(&self) -> impl Iterator<Item = Codec> {
        self.codecs.iter().copied().filter(|codec| self.numbers.knows(*codec))
    }

    /// From now on this codec comes first in our offers. One that the session may not speak changes nothing.
    pub fn prefer(&mut self, codec: Codec) {
        if let Some(place) = self.codecs.iter().position(|own| *own == codec) {
            self.codecs[..=place].rotate_right(1);
        }
    }

    /// From now on it speaks these codecs and no others; none at all changes nothing. What was agreed goes on until the next
    /// bargain.
    pub fn speak_only(&mut self, codecs: &[Codec]) {
        if !codecs.is_empty() {
            self.codecs = codecs.to_vec();
        }
    }

    /// From now on a phone's audio is received there.
    pub fn move_to(&mut self, local: LocalMedia) {
        if let Local::Phone(own) = &mut self.local {
            *own = local;
        }
    }

    /// Whether this offer of a browser restarts ICE (RFC 8839 §4.4.1.1.1): it has other credentials than before.
    pub fn restarts_ice(&self, offer: &str) -> bool {
        let Some(Protection::Dtls { theirs, .. }) = self.remote.as_ref().map(|remote| &remote.protection) else { return false };
        let Ok(offer) = Session::parse(offer) else { return false };
        let media = offer.media.get(self.audio_place);
        media.and_then(|media| dtls::ice(&offer, media)).is_some_and(|ice| ice != *theirs)
    }

    /// Our new ICE credentials, to stand in the next description.
    pub fn set_ice(&mut self, ice: IceCredentials) {
        if let Local::Browser(local) = &mut self.local {
            local.ice = ice;
        }
    }

    /// An offer of ours: the first, a late one in a 2xx, or a new one (hold: `SendOnly` or `Inactive`).
    pub fn offer(&mut self, direction: Direction) -> String {
        if self.places.is_empty() {
            self.places.push(self.first_place());
        }
        // The agreed codec comes first: a new offer changes as little as it can.
        let agreed = self.remote.as_ref().map(|remote| remote.codec).filter(|codec| self.codecs.contains(codec));
        let others = self.codecs.iter().copied().filter(|codec| Some(*codec) != agreed);
        let codecs: Vec<Codec> = agreed.into_iter().chain(others).collect();
        let formats = self.numbers.formats(&codecs);
        let dtmf = self.numbers.dtmfs(&formats);
        let place = self.places[self.audio_place].clone();
        let is_sdes = matches!(self.profile(), Profile::Sdes);
        let cryptos = if is_sdes { self.keys.offer() } else { Vec::new() };
        let audio = AudioSection {
            protocol: &place.protocol,
            local: &self.local,
            formats: &formats,
            dtmf: &dtmf,
            comfort_noise: Some(formats::COMFORT_NOISE)
                .filter(|_| self.offers_comfort_noise && codecs.iter().any(|codec| codec.is_g711())),
            cryptos: &cryptos,
            direction,
            rtcp_mux: self.rtcp_mux,
            setup: "actpass",
            mid: place.mid.as_deref(),
        };
        self.describe(audio.to_media())
    }

    /// The answer to our last offer. May be called again for the same offer: a 183 and its 200 both carry the answer.
    pub fn accept_answer(&mut self, sdp: &str) -> Result<RemoteMedia, SdpError> {
        let answer = Session::parse(sdp)?;
        let media = answer.media.get(self.audio_place).ok_or(SdpError::Refused)?;
        let profile = remote::profile_of(media).ok_or(SdpError::Refused)?;
        if profile != self.profile() {
            return Err(SdpError::NoAudio);
        }
        let mut known = formats::codecs(media).filter(|format| self.codecs.contains(&format.codec));
        let chosen = known.next().ok_or(SdpError::NoCommonCodec)?;
        let others = known.map(|format| (format.payload_type, format.codec)).collect();
        let (protection, role, agreed) = match profile {
            Profile::Plain => (Protection::None, None, None),
            Profile::Sdes => {
                let theirs = crypto::offered(media).next().ok_or(SdpError::NoKeys)?;
                let ours = self.keys.answered_by(&theirs).ok_or(SdpError::NoKeys)?;
                (Protection::Sdes { ours: ours.key, theirs: theirs.key }, None, Some((ours, theirs.key)))
            }
            Profile::Dtls => {
                let browser = dtls::read(&answer, media)?;
                // RFC 5763 §5: an answer chooses. Who does not, leaves the first word to itself.
                let we_are = browser.role.map_or(DtlsRole::Passive, opposite);
                (dtls_protection(browser, we_are), Some(we_are), None)
            }
        };
        let remote = remote::remote_media(&answer, media, chosen, protection)?;
        // An answer may name only what was offered.
        let comfort_noise = remote.comfort_noise.filter(|_| self.offers_comfort_noise);
        let remote = RemoteMedia { others, comfort_noise, ..remote };
        self.keys.agreed = agreed;
        self.dtls_role = role;
        self.agree(media, &remote);
        Ok(remote)
    }

    /// Reads an offer and answers it, every stream in its place. On an error nothing changes: what was agreed stands.
    pub fn answer(&mut self, offer: &str, wanted: Wanted) -> Result<Answer, SdpError> {
        let offer = Session::parse(offer)?;
        let (place, media) = self.pick_audio(&offer)?;
        let chosen = self.pick_codec(media, wanted.codec).ok_or(SdpError::NoCommonCodec)?;
        let mut keys = self.keys.clone();
        let (protection, cryptos, role) = self.protect(&offer, media, &mut keys)?;
        let remote = remote::remote_media(&offer, media, chosen, protection)?;
        self.keys = keys;
        self.dtls_role = role;
        self.places = offer.media.iter().map(Place::of).collect();
        self.audio_place = place;
        self.has_bundle = offer.is_bundled(media);
        self.agree(media, &remote);
        let audio = AudioSection {
            protocol: &media.protocol,
            local: &self.local,
            formats: &[chosen],
            dtmf: remote.dtmf.as_slice(),
            comfort_noise: remote.comfort_noise,
            cryptos: cryptos.as_slice(),
            direction: remote.direction.reversed().and(wanted.direction),
            rtcp_mux: remote.rtcp_mux,
            setup: if role == Some(DtlsRole::Active) { "active" } else { "passive" },
            mid: media.attribute("mid"),
        };
        let sdp = self.describe(audio.to_media());
        Ok(Answer { sdp, remote })
    }

    /// How the audio of an offer will be protected: what we know of it, and our own line for the answer.
    fn protect(
        &self,
        offer: &Session,
        media: &Media,
        keys: &mut Keys,
    ) -> Result<(Protection, Option<Crypto>, Option<DtlsRole>), SdpError> {
        match remote::profile_of(media) {
            Some(Profile::Sdes) => {
                let theirs = crypto::offered(media).next().ok_or(SdpError::NoKeys)?;
                let ours = keys.answer(&theirs);
                Ok((Protection::Sdes { ours: ours.key, theirs: theirs.key }, Some(ours), None))
            }
            Some(Profile::Dtls) => {
                let browser = dtls::read(offer, media)?;
                // While the association lives, the roles stay (RFC 8842 §5.3). Passive is quicker: the browser begins at once.
                let chosen = self.dtls_role.unwrap_or(DtlsRole::Passive);
                let we_are = browser.role.map_or(chosen, opposite);
                Ok((dtls_protection(browser, we_are), None, Some(we_are)))
            }
            Some(Profile::Plain) | None => Ok((Protection::None, None, None)),
        }
    }

    /// The stream that was ours before, else the first audio that we may use: protected before plain.
    fn pick_audio<'a>(&self, offer: &'a Session) -> Result<(usize, &'a Media), SdpError> {
        let former = offer.media.get(self.audio_place).filter(|media| self.may_use(media));
        if let (Some(media), Some(_)) = (former, &self.remote) {
            return Ok((self.audio_place, media));
        }
        let usable: Vec<(usize, &Media)> = offer.media.iter().enumerate().filter(|(_, media)| self.may_use(media)).collect();
        let first = usable.first().copied().ok_or_else(|| self.why_unusable(offer))?;
        let speaks = |media: &Media| self.pick_codec(media, None).is_some();
        let is_protected = |media: &Media| remote::profile_of(media) != Some(Profile::Plain);
        let best = usable.iter().filter(|(_, media)| speaks(media)).min_by_key(|(_, media)| !is_protected(media));
        Ok(best.copied().unwrap_or(first))
    }

    fn may_use(&self, media: &Media) -> bool {
        let Some(profile) = remote::profile_of(media) else { return false };
        match (&self.local, profile) {
            (Local::Browser(_), Profile::Dtls) => true,
            (Local::Phone(_), Profile::Plain) => self.srtp != Srtp::Required,
            (Local::Phone(_), Profile::Sdes) => self.srtp != Srtp::Off && crypto::offered(media).next().is_some(),
            (Local::Browser(_), Profile::Plain | Profile::Sdes) | (Local::Phone(_), Profile::Dtls) => false,
        }
    }

    fn why_unusable(&self, offer: &Session) -> SdpError {
        let has_keyless = offer.media.iter().any(|media| remote::profile_of(media) == Some(Profile::Sdes));
        if has_keyless && self.srtp != Srtp::Off { SdpError::NoKeys } else { SdpError::NoAudio }
    }

    fn pick_codec(&self, media: &Media, wanted: Option<Codec>) -> Option<Format> {
        let ours = formats::codecs(media).filter(|offered| self.codecs.contains(&offered.codec));
        // The first of the nearest: `min_by_key` keeps the offerer's order among equals.
        ours.min_by_key(|offered| wanted.map_or(0, |wanted| distance(offered.codec, wanted)))
    }

    fn agree(&mut self, media: &Media, remote: &RemoteMedia) {
        self.numbers.learn(media);
        self.remote = Some(remote.clone());
        self.rtcp_mux = remote.rtcp_mux;
    }

    /// What our stream is, or will be.
    fn profile(&self) -> Profile {
        let protocol = self.places.get(self.audio_place).map(|place| place.protocol.to_ascii_uppercase());
        match (&self.local, protocol) {
            (Local::Browser(_), _) => Profile::Dtls,
            (Local::Phone(_), Some(protocol)) if protocol.contains("SAVP") => Profile::Sdes,
            (Local::Phone(_), Some(_)) => Profile::Plain,
            (Local::Phone(_), None) if self.srtp == Srtp::Off => Profile::Plain,
            (Local::Phone(_), None) => Profile::Sdes,
        }
    }

    fn first_place(&self) -> Place {
        let (protocol, mid) = match self.profile() {
            Profile::Plain => ("RTP/AVP", None),
            Profile::Sdes => ("RTP/SAVP", None),
            Profile::Dtls => ("UDP/TLS/RTP/SAVPF", Some("0".into())),
        };
        Place { kind: "audio".into(), protocol: protocol.into(), formats: Vec::new(), mid }
    }

    /// The whole text: our audio in its place, the other streams refused. A new version only when something changed.
    fn describe(&mut self, audio: Media) -> String {
        let refuse = |place: &Place| refused(&place.kind, &place.protocol, &place.formats, place.mid.as_deref());
        let mut media: Vec<Media> = self.places.iter().map(refuse).collect();
        if let Some(own) = media.get_mut(self.audio_place) {
            *own = audio;
        }
        if media != self.described {
            self.version += 1;
            self.described.clone_from(&media);
        }
        let mid = self.places.get(self.audio_place).and_then(|place| place.mid.as_deref());
        let bundle = mid.filter(|_| self.has_bundle);
        session(self.session_id, self.version, &self.local, media, bundle).to_string()
    }
}

/// How far apart two codecs are: nothing to do, one table look-up a sample, the same bandwidth, another.
pub fn distance(a: Codec, b: Codec) -> u8 {
    match () {
        () if a == b => 0,
        () if a.is_g711() && b.is_g711() => 1,
        () if a.sample_hz() == b.sample_hz() => 2,
        () => 3,
    }
}

fn opposite(role: DtlsRole) -> DtlsRole {
    match role {
        DtlsRole::Active => DtlsRole::Passive,
        DtlsRole::Passive => DtlsRole::Active,
    }
}

fn dtls_protection(browser: Browser, we_are: DtlsRole) -> Protection {
    Protection::Dtls { fingerprint: browser.fingerprint, we_are, theirs: browser.ice }
}

impl Keys {
    fn from(seed: [u8; 32]) -> Keys {
        Keys { random: StdRng::from_seed(seed), offered: Vec::new(), agreed: None }
    }

    /// The line in use; before there is one, one of each profile. Asked again, the same.
    fn offer(&mut self) -> Vec<Crypto> {
        if let Some((ours, _)) = self.agreed {
            self.offered = vec![ours];
        } else if self.offered.is_empty() {
            for (profile, tag) in PROFILES.into_iter().zip(1..) {
                self.offered.push(Crypto { tag, key: MasterKey::from_random(profile, self.random.random()) });
            }
        }
        self.offered.clone()
    }

    /// Our line that their answer chose (RFC 4568 §5.1.3).
    fn answered_by(&self, theirs: &Crypto) -> Option<Crypto> {
        let is_it = |ours: &&Crypto| ours.tag == theirs.tag && ours.key.profile() == theirs.key.profile();
        self.offered.iter().find(is_it).copied()
    }

    /// Our line that answers theirs. A far end that keeps its key keeps ours; one that brings a new one begins anew, and so
    /// do we, for its packet counters begin at nought.
    fn answer(&mut self, theirs: &Crypto) -> Crypto {
        let ours = match self.agreed {
            Some((ours, their_key)) if their_key == theirs.key => Crypto { tag: theirs.tag, ..ours },
            _ => Crypto { tag: theirs.tag, key: MasterKey::from_random(theirs.key.profile(), self.random.random()) },
        };
        self.agreed = Some((ours, theirs.key));
        ours
    }
}

impl Place {
    fn of(media: &Media) -> Place {
        let mid = media.attribute("mid").map(str::to_owned);
        Place { kind: media.kind.clone(), protocol: media.protocol.clone(), formats: media.formats.clone(), mid }
    }
}
