//! One browser's way in and out: ICE-lite, DTLS, SRTP keys and the pulse, on the port that all browsers of its media thread
//! share. `browsers` brings it the packets that are not media; the leg gives it the rest.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;

use super::command::{DtlsRole, Fingerprint, IceCredentials, MediaEvent, MediaId};
use super::dtls::{Association, Identity, Step};
use super::handle::BrowserLimits;
use super::ports::reachable;
use crate::media::ice::{IceLite, Learned, Own, Verdict};
use crate::media::pulse::{Beat, Patience, Pulse};
use crate::media::srtp::Srtp;
use crate::media::stun::{BindingRequest, IntegrityKey};
use crate::types::Time;

pub(super) struct Browser {
    id: MediaId,
    /// The thread's browser port.
    pub socket: Arc<UdpSocket>,
    bind: IpAddr,
    limits: BrowserLimits,
    ours: IceCredentials,
    pub ice: IceLite,
    dtls: Option<Association>,
    pub srtp: Option<Box<Srtp>>,
    pulse: Option<Pulse>,
}

/// What a request was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Answered(Learned),
    Stranger,
    Forged,
    Replayed,
}

/// What is told to the engine, at most two things at once.
pub(super) type Tidings = [Option<MediaEvent>; 2];

impl Browser {
    /// `None` for credentials that make no key: there are none such.
    pub fn new(
        id: MediaId,
        socket: Arc<UdpSocket>,
        bind: IpAddr,
        limits: BrowserLimits,
        ours: IceCredentials,
    ) -> Option<Browser> {
        let ice = IceLite::new(own(&ours)?);
        Some(Browser { id, socket, bind, limits, ours, ice, dtls: None, srtp: None, pulse: None })
    }

    /// Signalling described the far end. Another fingerprint or role than before is another association (RFC 8842 §4); the
    /// old keys are good until it has its own.
    pub fn connect(
        &mut self,
        now: Time,
        identity: &Identity,
        fingerprint: Fingerprint,
        we_are: DtlsRole,
        theirs: &IceCredentials,
    ) -> Tidings {
        self.ice.name(&theirs.ufrag, || own(&self.ours));
        if self.dtls.as_ref().is_some_and(|dtls| dtls.is_for(we_are, fingerprint)) {
            return [const { None }; 2];
        }
        self.pulse = Some(Pulse::Expected { until: now + self.limits.handshake });
        self.dtls = Association::new(identity, now, we_are, fingerprint).ok();
        if self.dtls.is_none() {
            return self.tell_lost();
        }
        self.greet(now);
        [const { None }; 2]
    }

    /// Our ICE credentials change.
    pub fn restart(&mut self, ours: IceCredentials) {
        if let Some(own) = own(&ours) {
            self.ice.restart(own);
            self.ours = ours;
        }
    }

    /// Judges and answers a binding request.
    pub fn request(&mut self, now: Time, source: SocketAddr, request: &BindingRequest<'_>) -> (Request, Tidings) {
        let learned = match self.ice.judge(now, source, request) {
            Verdict::Stranger => return (Request::Stranger, [const { None }; 2]),
            Verdict::Forged => return (Request::Forged, [const { None }; 2]),
            Verdict::Replayed => return (Request::Replayed, [const { None }; 2]),
            Verdict::Answer(answer, learned) => {
                // A lost answer is asked for again.
                let _ = self.socket.send_to(answer.bytes(), reachable(source, self.bind));
                learned
            }
        };
        self.greet(now);
        (Request::Answered(learned), [self.heard(now), None])
    }

    /// A packet proved itself.
    pub fn heard(&mut self, now: Time) -> Option<MediaEvent> {
        self.pulse.as_mut()?.heard(now).map(|beat| event(self.id, beat))
    }

    /// Takes a datagram of the handshake: the costly part, of which `browsers` does little at a time.
    pub fn shake_hands(&mut self, now: Time, datagram: &[u8]) -> Tidings {
        let media = self.id;
        let Some(dtls) = &mut self.dtls else { return [const { None }; 2] };
        let step = dtls.read(now, datagram);
        self.flush();
        match step {
            Step::GoesOn => [const { None }; 2],
            Step::Secured(srtp) => {
                self.srtp = Some(srtp);
                let is_late = matches!(self.pulse, Some(Pulse::Lost { .. }));
                self.pulse.get_or_insert(Pulse::Expected { until: now }).secured(now);
                [Some(MediaEvent::Secured { media }), is_late.then_some(MediaEvent::Back { media })]
            }
            Step::Distrusted => {
                metrics::counter!("perezvon_webrtc_distrusted_total").increment(1);
                let [lost, _] = self.tell_lost();
                [Some(MediaEvent::Distrusted { media }), lost]
            }
            Step::Failed | Step::Closed => self.tell_lost(),
        }
    }

    /// Repeats flights and looks whether the browser still lives. `sends`: whether it should send audio.
    pub fn look(&mut self, now: Time, sends: bool) -> Option<MediaEvent> {
        if let Some(dtls) = &mut self.dtls {
            dtls.tick(now);
            self.flush();
        }
        let limits = self.limits;
        let faint_after = if sends { limits.faint_after } else { limits.faint_on_hold_after };
        let beat = self.pulse.as_mut()?.look(now, Patience { faint_after, lost_after: limits.lost_after })?;
        Some(event(self.id, beat))
    }

    /// Takes leave: the browser's connection shows "closed" at once.
    pub fn close(&mut self, now: Time) {
        if let Some(dtls) = &mut self.dtls {
            dtls.close(now);
            self.flush();
        }
    }

    /// The active side says hello as soon as it knows where to.
    fn greet(&mut self, now: Time) {
        if let Some(dtls) = self.dtls.as_mut().filter(|_| self.ice.send_to().is_some()) {
            // It fails for want of random numbers alone, and then the handshake's time runs out.
            let _ = dtls.begin(now);
            self.flush();
        }
    }

    fn flush(&mut self) {
        let (Some(to), Some(dtls)) = (self.ice.send_to(), &mut self.dtls) else { return };
        for datagram in dtls.take_outgoing() {
            // A lost datagram is repeated.
            let _ = self.socket.send_to(&datagram, reachable(to, self.bind));
        }
    }

    fn tell_lost(&mut self) -> Tidings {
        let beat = self.pulse.as_mut().and_then(Pulse::end);
        [beat.map(|beat| event(self.id, beat)), None]
    }
}

fn event(media: MediaId, beat: Beat) -> MediaEvent {
    match beat {
        Beat::Faint => MediaEvent::Faint { media },
        Beat::Back => MediaEvent::Back { media },
        Beat::Lost => MediaEvent::Lost { media },
    }
}

fn own(ours: &IceCredentials) -> Option<Own> {
    Some(Own { ufrag: ours.ufrag.clone(), key: IntegrityKey::new(&ours.password).ok()? })
}
