//! Lines: opening a leg's media with the session that goes with it, telling the media thread what was agreed, and putting a
//! leg's new media in the place of the old.

use std::net::IpAddr;

use super::Legs;
use super::leg::{Leg, Line};
use crate::call::LegFailure;
use crate::gateway::sdp::{self, LocalBrowser, LocalMedia, MediaSession, Protection, RemoteMedia};
use crate::gateway::{self, Offer};
use crate::media::codec::Codec;
use crate::relay::{self, BrowserPort, MediaCommand, MediaId, MediaPort, Secure};
use crate::sip::endpoint::Offered;
use crate::types::{CallId, LegId};

impl Legs {
    /// Gives the leg a line of that kind towards `far`. A second time: the same ports with a new session.
    pub(super) fn open_line(&mut self, id: LegId, kind: Offered, far: IpAddr) -> Result<(), LegFailure> {
        let codecs = self.codecs_for(id);
        let comfort_noise = self.others_take_comfort_noise(id);
        let Some(leg) = self.legs.get(&id) else { return Err(LegFailure::Unreachable) };
        let known = leg.lines.iter().find(|line| line.kind == kind).and_then(|line| line.ports);
        let line = match kind {
            Offered::Browser => self.browser_line(far, &codecs)?,
            Offered::Phone | Offered::Fallback => {
                let ports = match known {
                    Some(ports) => ports,
                    None => self.open_ports()?,
                };
                self.phone_line(leg, ports, far, &codecs)
            }
        };
        let line = Line { session: line.session.with_comfort_noise(comfort_noise), ..line };
        self.house.calls.attach_media(line.media, self.inbox.clone(), id);
        let Some(leg) = self.legs.get_mut(&id) else { return Err(LegFailure::Unreachable) };
        let fallback = line.session.without_srtp().map(|session| Line { kind: Offered::Fallback, session, ..line });
        leg.lines.retain(|old| (old.kind == Offered::Browser) != (kind == Offered::Browser));
        leg.lines.push(line);
        leg.lines.extend(fallback);
        Ok(())
    }

    fn open_ports(&self) -> Result<MediaPort, LegFailure> {
        self.house.relay.open(thread_hint(self.call)).map_err(|error| {
            tracing::error!(call.id = %self.call, "call {}: {error}", self.call);
            LegFailure::Overload
        })
    }

    fn phone_line(&self, leg: &Leg, ports: MediaPort, far: IpAddr, codecs: &[Codec]) -> Line {
        let address = self.house.addresses.facing(far);
        let local = LocalMedia { address, rtp_port: ports.rtp_port, rtcp_port: ports.rtcp_port };
        let session = MediaSession::new(session_id(), local, codecs).with_srtp(leg.terms.srtp, rand::random());
        Line { kind: Offered::Phone, media: ports.id, ports: Some(ports), session, far }
    }

    pub(super) fn browser_line(&self, far: IpAddr, codecs: &[Codec]) -> Result<Line, LegFailure> {
        let opened = self.house.relay.open_browser(thread_hint(self.call)).map_err(|error| {
            tracing::error!(call.id = %self.call, "call {}: {error}", self.call);
            LegFailure::Overload
        })?;
        let BrowserPort { id, port, ice, fingerprint } = opened;
        let (ice, fingerprint) = (ice_of(ice), sdp::Fingerprint(fingerprint.0));
        let local = LocalBrowser { addresses: self.house.addresses.candidates(far), port, ice, fingerprint };
        let session = MediaSession::for_browser(session_id(), local, codecs);
        Ok(Line { kind: Offered::Browser, media: id, ports: None, session, far })
    }

    /// What the leg may speak, nearest first to what the call speaks already: so nothing has to be transcoded that need not
    /// be. Before anything is agreed, the first caller's own order counts.
    pub(super) fn codecs_for(&self, id: LegId) -> Vec<Codec> {
        let Some(leg) = self.legs.get(&id) else { return Vec::new() };
        let mut codecs: Vec<Codec> = leg.terms.codecs.clone();
        if let Some(spoken) = self.spoken_codec(id) {
            codecs.sort_by_key(|codec| gateway::distance(*codec, spoken));
        } else if let Some(offered) = self.legs.values().find_map(|leg| Offer::read(leg.offer.as_ref()?)) {
            codecs.sort_by_key(|codec| offered.codecs.iter().position(|its| its == codec).unwrap_or(usize::MAX));
        }
        codecs
    }

    /// What the others of the call have agreed on; the oldest leg's counts.
    pub(super) fn spoken_codec(&self, but: LegId) -> Option<Codec> {
        let others = self.legs.iter().filter(|(id, _)| **id != but).map(|(_, leg)| leg);
        others.filter(|leg| leg.remote().is_some()).min_by_key(|leg| leg.began)?.remote().map(|remote| remote.codec)
    }

    /// Whether comfort noise of this leg can be passed on: another of the call has agreed to it, or offers it.
    fn others_take_comfort_noise(&self, but: LegId) -> bool {
        let takes = |leg: &Leg| match leg.remote() {
            Some(remote) => remote.comfort_noise.is_some(),
            None => leg.offer.as_ref().and_then(|offer| Offer::read(offer)).is_some_and(|offer| offer.comfort_noise),
        };
        self.legs.iter().any(|(id, leg)| *id != but && takes(leg))
    }

    /// Tells the media thread where the far end is now.
    pub(super) fn connect(&self, id: LegId) {
        let Some(leg) = self.legs.get(&id) else { return };
        if let Some((line, remote)) = leg.line().and_then(|line| Some((line, line.session.remote()?))) {
            // Who has keys by neither has tones.
            let dtmf_inband = remote.dtmf.is_none() && !leg.has_keys_by_info;
            let remote = relay::RemoteMedia { dtmf_inband, ..remote_media(remote) };
            self.relay(MediaCommand::Connect { media: line.media, remote });
        }
    }

    /// Only the line in use stays.
    pub(super) fn keep_line_in_use(&mut self, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let (kind, media) = match leg.line() {
            Some(line) => (line.kind, line.media),
            None => return,
        };
        let lines = std::mem::take(&mut leg.lines);
        let (kept, others): (Vec<Line>, Vec<Line>) = lines.into_iter().partition(|line| line.kind == kind);
        leg.lines.extend(kept);
        self.drop_lines(others.into_iter().filter(|line| line.media != media));
    }

    /// Closes media that nothing was heard through.
    pub(super) fn drop_lines(&self, lines: impl IntoIterator<Item = Line>) {
        let mut closed: Vec<MediaId> = Vec::new();
        for line in lines {
            if !closed.contains(&line.media) {
                closed.push(line.media);
                self.house.calls.forget_media(line.media);
                self.relay(MediaCommand::Close { media: line.media });
            }
        }
    }

    /// The leg has other media than before: whoever heard the old hears it, and it hears, plays and is tapped as before.
    pub(super) fn rewire(&self, id: LegId) {
        let Some(leg) = self.legs.get(&id) else { return };
        if let Some(key) = leg.tap {
            self.media(id, |media| MediaCommand::Tap { media, key });
        }
        if let Some(kind) = leg.playing {
            self.play_sound(id, kind);
        }
        let listeners = self.legs.iter().filter(|(its, other)| **its == id || other.hears.contains(&id));
        listeners.for_each(|(its, listener)| self.tell_hears(*its, &listener.hears));
    }

    pub(super) fn tell_hears(&self, id: LegId, sources: &[LegId]) {
        let sources = sources.iter().filter_map(|source| self.legs.get(source)?.media()).collect();
        self.media(id, |media| MediaCommand::Hear { media, sources });
    }
}

pub(super) fn ice_of(ice: relay::IceCredentials) -> sdp::IceCredentials {
    sdp::IceCredentials { ufrag: ice.ufrag, password: ice.password }
}

fn session_id() -> u64 {
    u64::from(rand::random::<u32>())
}

/// All legs of a call on one media thread, so that its audio need not cross threads.
fn thread_hint(call: CallId) -> u64 {
    let (high, low) = call.0.as_u64_pair();
    high ^ low
}

fn remote_media(remote: &RemoteMedia) -> relay::RemoteMedia {
    relay::RemoteMedia {
        rtp: remote.rtp,
        rtcp: remote.rtcp,
        rtcp_mux: remote.rtcp_mux,
        codec: remote.codec,
        payload_type: remote.payload_type,
        ptime_ms: remote.ptime_ms,
        other_formats: remote.others.clone(),
        dtmf: remote.dtmf.map(|dtmf| (dtmf.payload_type, dtmf.clock_hz)),
        dtmf_inband: false,
        comfort_noise: remote.comfort_noise,
        sends: remote.sends(),
        receives: remote.receives(),
        secure: match &remote.protection {
            Protection::None => Secure::None,
            Protection::Sdes { ours, theirs } => Secure::Sdes { ours: *ours, theirs: *theirs },
            Protection::Dtls { fingerprint, we_are, theirs } => Secure::Dtls {
                fingerprint: relay::Fingerprint(fingerprint.0),
                we_are: match we_are {
                    sdp::DtlsRole::Active => relay::DtlsRole::Active,
                    sdp::DtlsRole::Passive => relay::DtlsRole::Passive,
                },
                theirs: relay::IceCredentials { ufrag: theirs.ufrag.clone(), password: theirs.password.clone() },
            },
        },
    }
}
