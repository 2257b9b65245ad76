//! Who is who (INTERFACES, site file): the user of a live registration's flow, else the trunk whose `accept_from` names the
//! source most closely, else whoever can prove to be a user.

use super::incoming::Incoming;
use super::{Endpoint, Event, Origin};
use crate::sip::auth::Verdict;
use crate::sip::wire::{Flow, HeaderName, Request, Status, Text};
use crate::types::{AgentId, Time};

impl Endpoint {
    /// The sender of a request as its way tells; `None` for a stranger.
    pub(super) fn sender_of(&self, incoming: &Incoming) -> Option<Origin> {
        self.user_on(&incoming.flow, &incoming.request).map(Origin::User).or_else(|| self.trunk_at(&incoming.flow))
    }

    /// One user of a flow is the sender whatever From says. Of several (a program that plays many phones on one socket)
    /// From must name one.
    fn user_on(&self, flow: &Flow, request: &Request) -> Option<AgentId> {
        match self.registrar.users_on(flow) {
            [] => None,
            [user] => Some(user.clone()),
            users => {
                let extension = request.headers.from().ok()?.uri.user_decoded()?;
                let named = &self.directory.user(&extension)?.agent;
                users.contains(named).then(|| named.clone())
            }
        }
    }

    /// A browser is never a carrier, wherever it runs.
    fn trunk_at(&self, flow: &Flow) -> Option<Origin> {
        if flow.transport.is_websocket() {
            return None;
        }
        self.directory.trunk_at(flow.remote).map(|trunk| Origin::Trunk(trunk.clone()))
    }

    /// Whether the source is banned. Trunks and phones that are registered have no limits.
    pub(super) fn is_shut_out(&mut self, now: Time, flow: &Flow) -> bool {
        self.penalties.is_banned(now, flow.remote.ip())
            && self.registrar.users_on(flow).is_empty()
            && self.directory.trunk_at(flow.remote).is_none()
    }

    /// The user that the request's credentials prove. `None`: the answer, a challenge or a refusal, has been sent, without
    /// keeping anything, so that a flood of strangers costs no memory (RFC 3261 §26.3.2.4).
    pub(super) fn authenticate(&mut self, now: Time, incoming: &Incoming) -> Option<(AgentId, Text)> {
        let directory = &self.directory;
        let ha1_of = |name: &str| directory.user(name).and_then(|user| user.ha1.as_ref());
        let verdict = self.authenticator.verify(now, &incoming.request, &HeaderName::Authorization, ha1_of);
        let source = incoming.flow.remote.ip();
        match verdict {
            Verdict::Accepted { username } => {
                self.penalties.succeeded(now, source);
                let user = self.directory.user(&username).map(|user| user.agent.clone());
                return user.map(|user| (user, username));
            }
            Verdict::Missing => self.penalties.challenged(now, source),
            Verdict::Stale => {}
            Verdict::Refused { .. } => {
                if self.directory.trunk_at(incoming.flow.remote).is_none() {
                    self.penalties.failed(now, source);
                }
                let is_banned = self.penalties.is_banned(now, source);
                self.out.tell(Event::AuthenticationFailed { source, is_banned });
            }
            Verdict::Malformed(_) => {
                self.reply_stateless(incoming, Status::BAD_REQUEST, &[]);
                return None;
            }
        }
        let challenges = self.authenticator.challenges(now, verdict == Verdict::Stale);
        let headers: Vec<_> = challenges.iter().map(|value| (HeaderName::WwwAuthenticate, value.as_str())).collect();
        self.reply_stateless(incoming, Status::UNAUTHORIZED, &headers);
        None
    }
}
