//! Who is who (INTERFACES, site file): the user of a live registration's flow, else the trunk whose `accept_from` names the
//! source most closely, else whoever can prove to be a user.

use super::incoming::Incoming;
use super::{Endpoint, Event, Loan, Origin};
use crate::sip::auth::Verdict;
use crate::sip::wire::{Flow, HeaderName, Method, Request, Status, Text};
use crate::types::{AgentId, Time};

impl Endpoint {
    /// The sender of a request as its way tells; `None` for a stranger.
    pub(super) fn sender_of(&self, incoming: &Incoming) -> Option<Origin> {
        self.user_on(&incoming.flow, &incoming.request).map(Origin::User).or_else(|| self.trunk_at(&incoming.flow))
    }

    /// Whose digest username this is: an extension, or one that was lent.
    fn user_named(&self, now: Time, username: &str) -> Option<AgentId> {
        let lent = self.lent.get(now, username).map(|loan| loan.user.clone());
        lent.or_else(|| self.directory.user(username).map(|user| user.agent.clone()))
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

    /// Whether a request is turned away because its source is banned. A ban holds for the source, whoever else has a phone
    /// there; what it must not do is to cut off a whole office behind one address for one guesser in it. So these pass:
    /// trunks; what a live registration's flow proves by itself; and proofs of a password by users whose flow this is or
    /// who have lately proved it from here. All that is not counted here is counted by `authenticate`.
    pub(super) fn is_shut_out(&mut self, now: Time, incoming: &Incoming) -> bool {
        let (flow, request) = (&incoming.flow, &incoming.request);
        let source = flow.remote.ip();
        if !self.penalties.is_banned(now, source) || self.directory.trunk_at(flow.remote).is_some() {
            return false;
        }
        let is_proved_by_flow = request.method != Method::Register && self.user_on(flow, request).is_some();
        let passes = is_proved_by_flow || self.may_prove(now, flow, request);
        if !passes {
            self.penalties.refused(source);
        }
        !passes
    }

    /// Whether the user whose password a request proves, or will prove when it is challenged, belongs to this place.
    fn may_prove(&mut self, now: Time, flow: &Flow, request: &Request) -> bool {
        if !matches!(request.method, Method::Register | Method::Invite) {
            return false;
        }
        let proves = self.authenticator.claimed_username(request, &HeaderName::Authorization);
        // Nobody can guess a name that was lent, so whoever says it has signed in.
        if proves.as_ref().is_some_and(|name| self.lent.get(now, name).is_some()) {
            return true;
        }
        let is_challenge_due = proves.is_none();
        let claimed = proves.or_else(|| {
            let headers = &request.headers;
            let own = if request.method == Method::Register { headers.to() } else { headers.from() };
            own.ok()?.uri.user_decoded()
        });
        let user = claimed.and_then(|name| self.directory.user(&name)).map(|user| user.agent.clone());
        user.is_some_and(|user| {
            self.registrar.users_on(flow).contains(&user)
                || self.penalties.may_prove(now, flow.remote.ip(), &user)
                || is_challenge_due && flow.transport.is_websocket() && self.lent.has_any(now, &user)
        })
    }

    /// The user that the request's credentials prove. `None`: the answer, a challenge or a refusal, has been sent, without
    /// keeping anything, so that a flood of strangers costs no memory (RFC 3261 §26.3.2.4).
    pub(super) fn authenticate(&mut self, now: Time, incoming: &Incoming) -> Option<(AgentId, Text)> {
        let (directory, lent) = (&self.directory, &self.lent);
        let ha1_of = |name: &str| match lent.get(now, name) {
            Some(loan) => Some(&loan.ha1),
            None => directory.user(name)?.ha1.as_ref(),
        };
        let verdict = self.authenticator.verify(now, &incoming.request, &HeaderName::Authorization, ha1_of);
        let source = incoming.flow.remote.ip();
        let is_trunk = directory.trunk_at(incoming.flow.remote).is_some();
        let ban_begins = match &verdict {
            Verdict::Accepted { username } => {
                let user = self.user_named(now, username)?;
                self.penalties.succeeded(now, source, &user);
                return Some((user, username.clone()));
            }
            Verdict::Missing => !is_trunk && self.penalties.challenged(now, source),
            Verdict::Stale => false,
            // A page that slept through the end of its credentials: as good as none.
            Verdict::Refused { username } if Loan::is_name(username) => !is_trunk && self.penalties.challenged(now, source),
            Verdict::Refused { username } => {
                self.out.tell(Event::AuthenticationFailed { source });
                let user = directory.user(username).map(|user| &user.agent);
                !is_trunk && self.penalties.failed(now, source, user)
            }
            Verdict::Malformed(_) => {
                self.reply_stateless(incoming, Status::BAD_REQUEST, &[]);
                return None;
            }
        };
        if ban_begins {
            self.out.tell(Event::BanBegan { source });
        }
        let challenges = self.authenticator.challenges(now, verdict == Verdict::Stale);
        let headers: Vec<_> = challenges.iter().map(|value| (HeaderName::WwwAuthenticate, value.as_str())).collect();
        self.reply_stateless(incoming, Status::UNAUTHORIZED, &headers);
        None
    }
}
