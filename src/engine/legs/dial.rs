//! Dialling: a person's phones, or one target of a trunk after the other.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::leg::Leg;
use super::{Dialling, Legs};
use crate::call::{DialTo, LegFailure};
use crate::engine::sip_task::Order;
use crate::gateway::Terms;
use crate::gateway::sdp::Direction;
use crate::sip::auth::Credentials;
use crate::sip::endpoint::{Body, Command, Dial, DialTarget, Identity, Offered};
use crate::sip::wire::{HeaderName, SipUri, Text, Transport};
use crate::site::Target;
use crate::types::{AgentId, LegId, Party};

/// What the phones of a leg are offered, by kind.
#[derive(Default)]
struct Offers {
    phone: Option<Bytes>,
    fallback: Option<Bytes>,
    browser: Option<Bytes>,
}

impl Legs {
    /// Sends the INVITE of a new leg.
    pub(in crate::engine) async fn dial(
        &mut self,
        id: LegId,
        to: DialTo,
        show: &Party,
        auto_answer: bool,
        max_forwards: u8,
    ) -> Result<(), LegFailure> {
        match to {
            DialTo::Agent(agent) => self.dial_agent(id, &agent, show, auto_answer, max_forwards).await,
            DialTo::Outside { trunk, number } => {
                // Counted here and not when the way was chosen: a click to call reaches the trunk only when the agent has
                // picked up, and the carrier counts what reaches it.
                if !self.house.begin_on_trunk(&trunk) {
                    tracing::warn!(trunk.id = %trunk, "trunk {trunk} starts as many calls a second as it may; a call was refused");
                    return Err(LegFailure::TrunkFailed);
                }
                let site = self.house.site.load_full();
                let known = site.trunks.get(&trunk);
                let terms = known.map(Terms::of_trunk).unwrap_or_default();
                let targets = known.map(|trunk| trunk.targets.clone()).unwrap_or_default();
                self.legs.insert(id, Leg::new(id, terms, None, show.clone()));
                let dialling = Dialling { trunk, number, targets, show: show.clone(), max_forwards };
                self.dial_next_target(id, dialling).await
            }
        }
    }

    /// Desk phones and browsers ring together, each kind with an offer that it understands.
    async fn dial_agent(
        &mut self,
        id: LegId,
        agent: &AgentId,
        show: &Party,
        auto_answer: bool,
        max_forwards: u8,
    ) -> Result<(), LegFailure> {
        let at = self.house.phones.of(agent).ok_or(LegFailure::Unreachable)?;
        let terms = self.house.site.load().users.get(agent).map(Terms::of_user).unwrap_or_default();
        self.legs.insert(id, Leg::new(id, terms, Some(agent.clone()), show.clone()));
        let mut failure = LegFailure::Unreachable;
        for (kind, far) in [(Offered::Phone, at.phone), (Offered::Browser, at.browser)] {
            if let Some(far) = far
                && let Err(refused) = self.open_line(id, kind, far)
            {
                failure = refused;
            }
        }
        let offers = self.offers(id);
        if offers.phone.is_none() && offers.browser.is_none() {
            self.close(id).await;
            return Err(failure);
        }
        let (target, headers) = (DialTarget::User(agent.clone()), self.headers_for_person(auto_answer));
        self.invite(id, target, show, Identity::default(), headers, offers, None, max_forwards).await;
        Ok(())
    }

    /// What INVITEs to our people's phones say besides.
    pub(super) fn headers_for_person(&self, auto_answer: bool) -> Vec<(HeaderName, Text)> {
        // So that a page knows which call of ours rings it.
        let call = Text::from(self.call.to_string());
        let mut headers = vec![(HeaderName::Other(Text::constant("X-Perezvon-Call")), call)];
        if auto_answer {
            // Two dialects that desk phones and softphones read (RFC 5373 names a third that few implement).
            headers.push((HeaderName::CallInfo, Text::constant("<sip:localhost>;answer-after=0")));
            headers.push((HeaderName::AlertInfo, Text::constant("<http://localhost>;info=alert-autoanswer")));
        }
        headers
    }

    pub(super) async fn dial_next_target(&mut self, id: LegId, mut dialling: Dialling) -> Result<(), LegFailure> {
        while !dialling.targets.is_empty() {
            let target = dialling.targets.remove(0);
            let Some(remote) = resolve(&target).await else {
                tracing::warn!(trunk.id = %dialling.trunk, "trunk {}: {} has no address", dialling.trunk, target.host);
                continue;
            };
            // Every target gets a session of its own: what one has refused, or its keys, are not the next one's business.
            self.open_line(id, Offered::Phone, remote.ip())?;
            let offers = self.offers(id);
            let transport = if target.tcp { Transport::Tcp } else { Transport::Udp };
            let uri = SipUri::from_address(remote).with_user(&dialling.number);
            let address = DialTarget::Address { transport, remote, uri: uri.into() };
            let credentials = self.house.site.load().trunks.get(&dialling.trunk).and_then(|trunk| {
                let (username, password) = (trunk.username.clone(), trunk.password.clone());
                (!username.is_empty()).then_some(Credentials { username, password })
            });
            let (show, max_forwards) = (dialling.show.clone(), dialling.max_forwards);
            let to = Identity { user: Some(dialling.number.as_str().into()), ..Identity::default() };
            if let Some(leg) = self.legs.get_mut(&id) {
                leg.trunk = Some(dialling);
                (leg.in_use, leg.early_fork) = (None, None);
            }
            self.invite(id, address, &show, to, Vec::new(), offers, credentials, max_forwards).await;
            return Ok(());
        }
        self.close(id).await;
        Err(LegFailure::TrunkFailed)
    }

    async fn invite(
        &mut self,
        leg: LegId,
        target: DialTarget,
        show: &Party,
        to: Identity,
        headers: Vec<(HeaderName, Text)>,
        offers: Offers,
        credentials: Option<Credentials>,
        max_forwards: u8,
    ) {
        let body = |offer: Option<Bytes>| offer.map(Body::sdp);
        let dial = Dial {
            leg,
            target,
            from: identity_of(show),
            to,
            headers,
            body: body(offers.phone),
            fallback: body(offers.fallback),
            browser: body(offers.browser),
            credentials,
            max_forwards,
        };
        let order = Order::Dial { leg, inbox: self.inbox.clone(), command: Command::Invite(Box::new(dial)) };
        // The SIP task only goes away when the server does.
        let _ = self.house.sip.send(order).await;
    }

    fn offers(&mut self, id: LegId) -> Offers {
        let mut offers = Offers::default();
        for line in self.legs.get_mut(&id).into_iter().flat_map(|leg| &mut leg.lines) {
            let offer = Some(Bytes::from(line.session.offer(Direction::SendRecv)));
            match line.kind {
                Offered::Phone => offers.phone = offer,
                Offered::Fallback => offers.fallback = offer,
                Offered::Browser => offers.browser = offer,
            }
        }
        offers
    }
}

/// A party as the dialled phone shows it.
pub(super) fn identity_of(party: &Party) -> Identity {
    Identity {
        display: party.display.as_deref().map(Text::from),
        user: Some(party.number.as_deref().map_or(Text::constant("anonymous"), Text::from)),
        host: None,
    }
}

/// An address as written, or looked up. A name that does not resolve within two seconds counts as having none.
async fn resolve(target: &Target) -> Option<SocketAddr> {
    if let Ok(address) = target.host.parse::<IpAddr>() {
        return Some(SocketAddr::new(address, target.port));
    }
    let lookup = tokio::net::lookup_host((target.host.as_str(), target.port));
    let mut found = tokio::time::timeout(std::time::Duration::from_secs(2), lookup).await.ok()?.ok()?;
    found.next()
}
