//! Which way a request in a dialog goes, and the headers that tell the peer how to come back.

use std::net::IpAddr;
use std::sync::Arc;

use super::incoming::Incoming;
use super::legs::Reach;
use super::transactions::{Owner, TransactionId};
use super::{Endpoint, Origin, build};
use crate::sip::dialog::Dialog;
use crate::sip::wire::{ConnectionId, Flow, HeaderName, Method, NameAddr, Request, SipUri, Text, Transport, Uri};
use crate::types::Time;

impl Endpoint {
    /// The way to the peer of `dialog`; `None` when its connection is gone and it has no address of its own.
    ///
    /// A registered phone is spoken to where it spoke from. Anyone else is found by the next hop's address; a name is
    /// not looked up here, because the peer has just shown where it is.
    pub(super) fn way_to(&self, dialog: &Dialog, reach: &Reach) -> Option<Flow> {
        let last = reach.flow;
        if last.transport.is_websocket() {
            // The page may have opened another connection since; nobody can connect to it.
            let way_back = || self.registrar.way_back(reach.browser.as_ref()?).filter(|flow| self.is_usable(flow));
            return if self.is_usable(&last) { Some(last) } else { way_back() };
        }
        if reach.is_phone && self.is_usable(&last) {
            return Some(last);
        }
        match dialog.next_hop().as_sip() {
            Some(uri) => self.way_to_uri(uri, &last),
            None => self.is_usable(&last).then_some(last),
        }
    }

    /// The way to an address as a Contact or a Route names it, preferring the connection that is there already.
    pub(super) fn way_to_uri(&self, uri: &SipUri, last: &Flow) -> Option<Flow> {
        let back = || self.is_usable(last).then_some(*last);
        let Some(ip) = uri.host.ip().filter(|ip| !is_useless_from(*ip, last.remote.ip().to_canonical())) else { return back() };
        let is_same_host = ip == last.remote.ip().to_canonical();
        // A phone on TCP often forgets to say so in its Contact.
        let implied = if is_same_host { last.transport } else { Transport::Udp };
        let transport = uri.transport().unwrap_or(implied);
        if is_same_host && transport == last.transport && transport.is_reliable() && self.is_usable(last) {
            return Some(*last);
        }
        let remote = (ip, uri.port.unwrap_or(transport.default_port())).into();
        match self.config.flow_to(transport, remote) {
            Some(mut flow) => {
                if last.transport == transport && transport == Transport::Udp {
                    flow.local = last.local;
                }
                Some(flow)
            }
            None => back(),
        }
    }

    /// How to reach a leg that called us.
    pub(super) fn reach_of_caller(&self, origin: &Origin, incoming: &Incoming) -> Reach {
        let flow = incoming.flow;
        let Origin::User(user) = origin else { return Reach { is_phone: false, ..Reach::by(flow) } };
        let browser = flow.transport.is_websocket().then(|| self.registrar.phone_on(user, &flow)).flatten();
        Reach { browser: browser.map(Arc::new), ..Reach::by(flow) }
    }

    /// Whether bytes can go this way without opening anything.
    pub(super) fn is_usable(&self, flow: &Flow) -> bool {
        flow.connection == ConnectionId::NONE || self.connections.contains(&flow.connection)
    }

    /// Our Contact towards the peer behind `flow`, with the user part of `party`.
    pub(super) fn contact_for(&self, flow: &Flow, party: &NameAddr) -> NameAddr {
        let user = party.uri.user_decoded();
        build::contact(flow.transport, self.config.name_towards(flow), user.as_deref())
    }

    /// Finishes a request with Via and User-Agent and starts its transaction.
    pub(super) fn send_request(&mut self, now: Time, mut request: Request, flow: Flow, owner: Owner) -> TransactionId {
        self.finish_request(&mut request, &flow);
        self.transactions.start_client(now, request, flow, owner, &mut self.out)
    }

    /// A new branch is a new transaction: every request gets one, an ACK to a 2xx too (RFC 3261 §13.2.2.4).
    pub(super) fn finish_request(&mut self, request: &mut Request, flow: &Flow) {
        let branch = self.token();
        let via = build::via(flow.transport, self.config.name_towards(flow), &branch);
        build::prepend(request, &via);
        if request.method != Method::Ack {
            request.headers.push(HeaderName::UserAgent, Text::from(self.config.user_agent.as_str()));
        }
    }

    /// The address that a phone's Contact names, for one whose connection has closed.
    pub(super) fn way_to_contact(&self, contact: &Uri) -> Option<Flow> {
        let uri = contact.as_sip()?;
        let transport = uri.transport().unwrap_or(Transport::Tcp);
        let remote = (uri.host.ip()?, uri.port.unwrap_or(transport.default_port())).into();
        self.config.flow_to(transport, remote)
    }
}

/// An address that cannot be meant: none at all, or a private one told by a peer from outside, who is behind a NAT.
fn is_useless_from(told: IpAddr, seen: IpAddr) -> bool {
    told.is_unspecified() || told.is_multicast() || is_private(told) && !is_private(seen)
}

fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_private() || address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    }
}
