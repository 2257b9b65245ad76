//! One dialog of the phone (RFC 3261 §12), with its bargain about media.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

use super::call::{Ended, Progress};
use super::resend::Resend;
use super::talk::Talk;
use crate::gateway::sdp::{Direction, MediaSession, SdpError, Wanted};
use crate::media::srtp::Profile;
use crate::sip::wire::{CSeq, Flow, HeaderName, Headers, Method, NameAddr, Request, SipUri, Text, Uri, Via};

/// See the file.
pub(super) struct Leg {
    /// The Call-ID.
    pub(super) id: Text,
    pub(super) is_ours: bool,
    /// As they stand in our requests: our side with our tag, their side with theirs once it is known.
    pub(super) local: NameAddr,
    pub(super) remote: NameAddr,
    /// Where requests in the dialog go.
    pub(super) target: Uri,
    pub(super) routes: Vec<Text>,
    pub(super) flow: Flow,
    pub(super) cseq: u32,
    /// The INVITE of the call as it was sent or received last.
    pub(super) invite: Arc<Request>,
    pub(super) media: MediaSession,
    pub(super) talk: Talk,
    /// Ports that are offered in a re-INVITE and used from its answer on.
    pub(super) next_talk: Option<Talk>,
    pub(super) profile: Option<Profile>,
    pub(super) progress: watch::Sender<Progress>,
    /// When an incoming call answers by itself.
    pub(super) answer_at: Option<Instant>,
    /// Our final answer to their INVITE, sent until it is acknowledged, and the CSeq number of that INVITE.
    pub(super) unacknowledged: Option<(u32, Resend)>,
    /// Our ACK to their 2xx, sent again for each copy of it.
    pub(super) ack: Option<Bytes>,
    /// We gave up a call that nobody has answered yet.
    pub(super) is_given_up: bool,
    /// The CANCEL has been sent.
    pub(super) is_cancelled: bool,
    pub(super) is_held: bool,
    /// Our INVITE had no offer: their answer brings one.
    pub(super) awaits_offer: bool,
}

impl Leg {
    pub(super) fn is_talking(&self) -> bool {
        *self.progress.borrow() == Progress::Talking
    }

    pub(super) fn end(&self, how: Ended) {
        // The first word on how it ended stands.
        self.progress.send_if_modified(|progress| {
            let is_first = !matches!(progress, Progress::Ended(_));
            if is_first {
                *progress = Progress::Ended(how);
            }
            is_first
        });
    }

    pub(super) fn advance(&self, to: Progress) {
        self.progress.send_if_modified(|progress| {
            let is_step = !matches!(progress, Progress::Ended(_)) && *progress != to;
            if is_step {
                *progress = to;
            }
            is_step
        });
    }

    /// What a response of theirs says about the dialog: tag, target, route set.
    pub(super) fn learn(&mut self, headers: &Headers) {
        if let Ok(to) = headers.to() {
            self.remote = to;
        }
        if let Ok(Some(contact)) = headers.contact() {
            self.target = contact.uri;
        }
        self.routes = headers.get_all(&HeaderName::RecordRoute).cloned().collect();
        // RFC 3261 §12.1.2: the caller sees the list from its far end.
        self.routes.reverse();
    }

    /// A request in the dialog. `number`: of the INVITE for ACK, else a new one.
    pub(super) fn request(&mut self, method: Method, number: Option<u32>, via: &Via, contact: &SipUri) -> Request {
        let number = number.unwrap_or_else(|| {
            self.cseq += 1;
            self.cseq
        });
        let mut request = Request::new(method.clone(), self.target.clone());
        let headers = &mut request.headers;
        headers.push_value(HeaderName::Via, via);
        headers.push(HeaderName::MaxForwards, Text::constant("70"));
        self.routes.iter().for_each(|route| headers.push(HeaderName::Route, route));
        headers.push_value(HeaderName::From, &self.local);
        headers.push_value(HeaderName::To, &self.remote);
        headers.push(HeaderName::CallId, &self.id);
        headers.push_value(HeaderName::CSeq, &CSeq::new(number, method));
        headers.push_value(HeaderName::Contact, &NameAddr::new(contact.clone()));
        request
    }

    /// Our direction now.
    pub(super) fn direction(&self) -> Direction {
        if self.is_held { Direction::SendOnly } else { Direction::SendRecv }
    }

    /// Our offer.
    pub(super) fn offer(&mut self, direction: Direction) -> String {
        let offer = self.media.offer(direction);
        self.known_of(&offer)
    }

    /// An SDP without the keys of profiles that we do not know.
    fn known_of(&self, sdp: &str) -> String {
        let name = self.profile.map(Profile::sdes_name);
        let is_known = |line: &&str| name.is_none_or(|name| !line.starts_with("a=crypto:") || line.contains(name));
        sdp.split_inclusive("\r\n").filter(is_known).collect()
    }

    /// Whether we could talk as this offer says.
    pub(super) fn can_take(&self, sdp: &[u8]) -> bool {
        let offer = self.known_of(&String::from_utf8_lossy(sdp));
        sdp.is_empty() || self.media.clone().answer(&offer, Wanted::default()).is_ok()
    }

    /// Their answer to our offer.
    pub(super) fn take_answer(&mut self, sdp: &[u8]) -> Result<(), SdpError> {
        let remote = self.media.accept_answer(&String::from_utf8_lossy(sdp))?;
        if let Some(talk) = self.next_talk.take() {
            self.talk = talk;
        }
        self.talk.connect(remote);
        Ok(())
    }

    /// Our answer to their offer.
    pub(super) fn answer_offer(&mut self, sdp: &[u8]) -> Result<String, SdpError> {
        let wanted = Wanted { direction: self.direction(), codec: None };
        let offer = self.known_of(&String::from_utf8_lossy(sdp));
        let answer = self.media.answer(&offer, wanted)?;
        self.talk.connect(answer.remote);
        Ok(answer.sdp)
    }
}
