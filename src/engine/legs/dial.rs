//! Dialling: a person's phones, or one target of a trunk after the other.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::{Dialling, Leg, Legs};
use crate::call::{DialTo, LegFailure};
use crate::engine::sip_task::Order;
use crate::gateway::sdp::Direction;
use crate::sip::auth::Credentials;
use crate::sip::endpoint::{Body, Command, Dial, DialTarget, Identity};
use crate::sip::wire::{HeaderName, SipUri, Text, Transport};
use crate::site::Target;
use crate::types::{AgentId, LegId, Party};

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
                let targets = self.house.site.load().trunks.get(&trunk).map(|trunk| trunk.targets.clone()).unwrap_or_default();
                let dialling = Dialling { trunk, number, targets, show: show.clone(), max_forwards };
                self.dial_next_target(id, dialling).await
            }
        }
    }

    async fn dial_agent(
        &mut self,
        id: LegId,
        agent: &AgentId,
        show: &Party,
        auto_answer: bool,
        max_forwards: u8,
    ) -> Result<(), LegFailure> {
        let far = self.house.phones.of(agent).ok_or(LegFailure::Unreachable)?;
        let body = self.offer_of_new_leg(id, far)?;
        let mut headers = Vec::new();
        if auto_answer {
            // Two dialects that desk phones and softphones read (RFC 5373 names a third that few implement).
            headers.push((HeaderName::CallInfo, Text::constant("<sip:localhost>;answer-after=0")));
            headers.push((HeaderName::AlertInfo, Text::constant("<http://localhost>;info=alert-autoanswer")));
        }
        let target = DialTarget::User(agent.clone());
        self.invite(id, target, show, Identity::default(), headers, body, None, max_forwards).await;
        Ok(())
    }

    pub(super) async fn dial_next_target(&mut self, id: LegId, mut dialling: Dialling) -> Result<(), LegFailure> {
        while !dialling.targets.is_empty() {
            let target = dialling.targets.remove(0);
            let Some(remote) = resolve(&target).await else {
                tracing::warn!(trunk.id = %dialling.trunk, "trunk {}: {} has no address", dialling.trunk, target.host);
                continue;
            };
            let body = self.offer_of_new_leg(id, remote.ip())?;
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
            }
            self.invite(id, address, &show, to, Vec::new(), body, credentials, max_forwards).await;
            return Ok(());
        }
        self.close(id);
        Err(LegFailure::TrunkFailed)
    }

    async fn invite(
        &mut self,
        leg: LegId,
        target: DialTarget,
        show: &Party,
        to: Identity,
        headers: Vec<(HeaderName, Text)>,
        body: Bytes,
        credentials: Option<Credentials>,
        max_forwards: u8,
    ) {
        let from = Identity {
            display: show.display.as_deref().map(Text::from),
            user: Some(show.number.as_deref().map_or(Text::constant("anonymous"), Text::from)),
            host: None,
        };
        let body = Some(Body::sdp(body));
        let dial = Dial { leg, target, from, to, headers, body, fallback: None, browser: None, credentials, max_forwards };
        let order = Order::Dial { leg, inbox: self.inbox.clone(), command: Command::Invite(Box::new(dial)) };
        // The SIP task only goes away when the server does.
        let _ = self.house.sip.send(order).await;
    }

    fn offer_of_new_leg(&mut self, id: LegId, far: IpAddr) -> Result<Bytes, LegFailure> {
        let leg = self.legs.entry(id).or_insert_with(|| Leg::new(far));
        if leg.far != far {
            // Another target of the trunk may be reached through another interface.
            leg.far = far;
            leg.session = None;
        }
        self.take_ports(id)?;
        self.legs.get_mut(&id).and_then(|leg| leg.offer(Direction::SendRecv)).ok_or(LegFailure::Overload)
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
