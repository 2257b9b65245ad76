//! The registrar: where each user's phones are (RFC 3261 §10.3, instances and flows of RFC 5626, Path of RFC 3327).
//! It decides on one authenticated REGISTER at a time and forgets bindings when they expire. It does not authenticate,
//! parse or answer; the endpoint does.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use smallvec::SmallVec;
use thiserror::Error;

use crate::sip::wire::{Flow, NameAddr, Text, Uri};
use crate::types::{AgentId, Time};

/// One phone of one user.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    id: u64,
    /// As the phone wrote it: the Request-URI of calls to it.
    pub contact: Uri,
    pub q_thousandths: u16,
    pub instance: Option<String>,
    pub reg_id: Option<u32>,
    /// Of the digest credentials that registered it.
    pub username: Text,
    pub call_id: Text,
    pub cseq: u32,
    pub expires_at: Time,
    /// The way the REGISTER came; calls go back this way, through the phone's NAT. `None` when the connection has
    /// closed but the contact names an address that can be dialled.
    pub flow: Option<Flow>,
    /// Pre-loaded route of calls to it.
    pub path: Vec<NameAddr>,
}

/// A phone as its next registration shows that it is the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Phone {
    pub user: AgentId,
    pub instance: Option<String>,
    pub contact: Uri,
    /// Of its digest credentials.
    pub username: Text,
}

/// What a REGISTER asks.
#[derive(Clone, Debug)]
pub struct Registration {
    pub contacts: Contacts,
    /// The Expires header, in seconds, for contacts without their own.
    pub expires_seconds: Option<u32>,
    /// Of the digest credentials that proved the user.
    pub username: Text,
    /// What is left of those credentials: nothing is registered for longer.
    pub longest: Option<Duration>,
    pub call_id: Text,
    pub cseq: u32,
    pub flow: Flow,
    pub path: Vec<NameAddr>,
}

#[derive(Clone, Debug)]
pub enum Contacts {
    /// `Contact: *`: forget all.
    All,
    /// Empty: only ask what is there.
    These(Vec<NameAddr>),
}

/// Why a REGISTER is refused; nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RegisterError {
    #[error("shorter than {min_seconds} s")]
    TooBrief { min_seconds: u32 },
    /// RFC 3261 §10.3 step 7: the peer's later request came first.
    #[error("older than what is registered")]
    OutOfOrder,
    #[error("`*` with other contacts, or with an expiry other than 0")]
    BadWildcard,
    #[error("a contact that cannot be called")]
    BadContact,
}

/// A change that others must hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrarChange {
    /// A phone was added, moved or taken away and `contacts` are left, at least one. `phone` and `browser`: where the
    /// newest of each kind is.
    Registered { user: AgentId, contacts: usize, phone: Option<SocketAddr>, browser: Option<SocketAddr> },
    /// A browser registered by a connection that is new to it. Follows `Registered`.
    BrowserCame { user: AgentId, contact: Uri },
    /// A browser's registration is gone, mostly with its connection. Goes before `Registered` or `Unregistered`.
    BrowserGone { user: AgentId, contact: Uri },
    /// The last phone is gone.
    Unregistered { user: AgentId },
}

#[derive(Clone, Copy, Debug)]
pub struct RegistrarLimits {
    pub contacts_per_user: usize,
    pub min_expires: Duration,
    pub max_expires: Duration,
}

/// All bindings. Bounded: users come from the site file, and each has at most `contacts_per_user`.
#[derive(Debug)]
pub struct Registrar {
    limits: RegistrarLimits,
    users: HashMap<AgentId, Vec<Binding>>,
    by_flow: HashMap<Flow, SmallVec<[AgentId; 1]>>,
    expiries: BTreeSet<(Time, u64, AgentId)>,
    next_id: u64,
}

impl Registrar {
    pub fn new(limits: RegistrarLimits) -> Registrar {
        Registrar { limits, users: HashMap::new(), by_flow: HashMap::new(), expiries: BTreeSet::new(), next_id: 0 }
    }

    /// Carries out a REGISTER of `user`, all of it or nothing.
    pub fn register(
        &mut self,
        now: Time,
        user: &AgentId,
        registration: &Registration,
    ) -> Result<Vec<RegistrarChange>, RegisterError> {
        let before = self.places(user);
        match &registration.contacts {
            Contacts::All => self.check_removal_of_all(user, registration)?,
            Contacts::These(contacts) => self.check_each(user, registration, contacts)?,
        }
        match &registration.contacts {
            Contacts::All => self.retain(user, |_| false),
            Contacts::These(contacts) => {
                for contact in contacts {
                    self.apply(now, user, registration, contact);
                }
            }
        }
        Ok(self.change_since(user, &before))
    }

    /// The way to the same phone by another connection than the one that has gone: the newest that it, or a program with
    /// the same credentials, has registered by (RFC 5626 §5.3 for browsers, which cannot be connected to).
    pub fn way_back(&self, phone: &Phone) -> Option<Flow> {
        let bindings = || self.users.get(&phone.user).into_iter().flatten().rev().filter(|binding| binding.is_browser());
        let same_instance = |binding: &&Binding| phone.instance.is_some() && binding.instance == phone.instance;
        let same_contact = |binding: &&Binding| binding.contact == phone.contact;
        let same_credentials = |binding: &&Binding| binding.username == phone.username;
        let found = bindings().find(same_instance).or_else(|| bindings().find(same_contact));
        found.or_else(|| bindings().find(same_credentials))?.flow
    }

    /// The phone that speaks through this flow, when it is one of `user`'s.
    pub fn phone_on(&self, user: &AgentId, flow: &Flow) -> Option<Phone> {
        self.users.get(user)?.iter().rev().find(|binding| binding.flow == Some(*flow)).map(|binding| binding.phone(user))
    }

    /// Forgets the phones that these credentials registered.
    pub fn forget_credentials(&mut self, user: &AgentId, username: &str) -> Vec<RegistrarChange> {
        let before = self.places(user);
        self.retain(user, |binding| binding.username != username);
        self.change_since(user, &before)
    }

    /// The phones of `user`, dearest first (q, then the latest to register).
    pub fn bindings(&self, user: &AgentId) -> Vec<&Binding> {
        let mut bindings: Vec<&Binding> = self.users.get(user).into_iter().flatten().collect();
        bindings.sort_by_key(|binding| std::cmp::Reverse((binding.q_thousandths, binding.id)));
        bindings
    }

    pub fn is_registered(&self, user: &AgentId) -> bool {
        self.users.contains_key(user)
    }

    /// Whose phones speak through this flow; several when one program registers many users from one socket.
    pub fn users_on(&self, flow: &Flow) -> &[AgentId] {
        self.by_flow.get(flow).map_or(&[], SmallVec::as_slice)
    }

    /// Bindings of all users together.
    pub fn len(&self) -> usize {
        self.expiries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.expiries.is_empty()
    }

    /// A connection is gone. A phone that can be called at its own address stays registered; one behind a NAT is
    /// unreachable until it registers anew, so it is forgotten (RFC 5626 §5.3).
    pub fn flow_closed(&mut self, flow: &Flow) -> Vec<RegistrarChange> {
        let users = self.by_flow.remove(flow).unwrap_or_default();
        let mut changes = Vec::new();
        for user in users {
            let before = self.places(&user);
            self.retain(&user, |binding| binding.flow != Some(*flow) || is_dialable(&binding.contact, flow));
            for binding in self.users.get_mut(&user).into_iter().flatten().filter(|binding| binding.flow == Some(*flow)) {
                binding.flow = None;
            }
            changes.extend(self.change_since(&user, &before));
        }
        changes
    }

    /// Forgets the phones of users for whom `exists` is false.
    pub fn retain_users(&mut self, exists: impl Fn(&AgentId) -> bool) -> Vec<RegistrarChange> {
        let mut gone: Vec<AgentId> = self.users.keys().filter(|user| !exists(user)).cloned().collect();
        gone.sort();
        for user in &gone {
            self.retain(user, |_| false);
        }
        gone.into_iter().map(|user| RegistrarChange::Unregistered { user }).collect()
    }

    /// Forgets what has expired.
    pub fn handle_timeout(&mut self, now: Time) -> Vec<RegistrarChange> {
        let mut changes = Vec::new();
        while let Some((_, id, user)) = self.expiries.first().filter(|(at, ..)| *at <= now).cloned() {
            let before = self.places(&user);
            self.retain(&user, |binding| binding.id != id);
            changes.extend(self.change_since(&user, &before));
        }
        changes
    }

    pub fn next_deadline(&self) -> Option<Time> {
        self.expiries.first().map(|(at, ..)| *at)
    }

    fn check_removal_of_all(&self, user: &AgentId, registration: &Registration) -> Result<(), RegisterError> {
        if registration.expires_seconds != Some(0) {
            return Err(RegisterError::BadWildcard);
        }
        let is_newer = |binding: &Binding| registration.is_newer_than(binding);
        if self.users.get(user).is_none_or(|bindings| bindings.iter().all(is_newer)) {
            Ok(())
        } else {
            Err(RegisterError::OutOfOrder)
        }
    }

    fn check_each(&self, user: &AgentId, registration: &Registration, contacts: &[NameAddr]) -> Result<(), RegisterError> {
        let min_seconds = u32::try_from(self.limits.min_expires.as_secs()).unwrap_or(u32::MAX);
        for contact in contacts {
            let seconds = self.granted_seconds(registration, contact);
            if seconds > 0 && contact.uri.as_sip().is_none() {
                return Err(RegisterError::BadContact);
            }
            if (1..min_seconds).contains(&seconds) {
                return Err(RegisterError::TooBrief { min_seconds });
            }
            if self.find(user, contact).is_some_and(|binding| !registration.is_newer_than(binding)) {
                return Err(RegisterError::OutOfOrder);
            }
        }
        Ok(())
    }

    fn granted_seconds(&self, registration: &Registration, contact: &NameAddr) -> u32 {
        let longest = registration.longest.map_or(self.limits.max_expires, |longest| longest.min(self.limits.max_expires));
        let longest = u32::try_from(longest.max(self.limits.min_expires).as_secs()).unwrap_or(u32::MAX);
        contact.expires_seconds().or(registration.expires_seconds).unwrap_or(longest).min(longest)
    }

    fn apply(&mut self, now: Time, user: &AgentId, registration: &Registration, contact: &NameAddr) {
        let seconds = self.granted_seconds(registration, contact);
        let id = self.find(user, contact).map(|binding| binding.id);
        if let Some(id) = id {
            self.retain(user, |binding| binding.id != id);
        }
        if seconds == 0 {
            return;
        }
        self.make_room(user);
        let id = id.unwrap_or_else(|| {
            self.next_id += 1;
            self.next_id
        });
        let binding = Binding {
            id,
            contact: contact.uri.clone(),
            q_thousandths: contact.q_thousandths(),
            instance: contact.instance().map(str::to_owned),
            reg_id: contact.reg_id(),
            username: registration.username.clone(),
            call_id: registration.call_id.clone(),
            cseq: registration.cseq,
            expires_at: now + Duration::from_secs(u64::from(seconds)),
            flow: Some(registration.flow),
            path: registration.path.clone(),
        };
        self.expiries.insert((binding.expires_at, id, user.clone()));
        let users = self.by_flow.entry(registration.flow).or_default();
        if !users.contains(user) {
            users.push(user.clone());
        }
        self.users.entry(user.clone()).or_default().push(binding);
    }

    /// A phone that takes a new address at every start must not lock its user out, so the stalest goes.
    fn make_room(&mut self, user: &AgentId) {
        let Some(bindings) = self.users.get(user) else { return };
        if bindings.len() < self.limits.contacts_per_user.max(1) {
            return;
        }
        if let Some(stalest) = bindings.iter().min_by_key(|binding| (binding.expires_at, binding.id)).map(|binding| binding.id) {
            self.retain(user, |binding| binding.id != stalest);
        }
    }

    /// The binding that `contact` means: the same instance and reg-id, or the same URI (RFC 5626 §5.2, RFC 3261 §10.3).
    fn find(&self, user: &AgentId, contact: &NameAddr) -> Option<&Binding> {
        let bindings = self.users.get(user)?;
        let same_instance = contact.instance().and_then(|instance| {
            let is_it = |binding: &&Binding| binding.instance.as_deref() == Some(instance) && binding.reg_id == contact.reg_id();
            bindings.iter().find(is_it)
        });
        same_instance.or_else(|| bindings.iter().find(|binding| binding.contact.is_equivalent(&contact.uri)))
    }

    fn retain(&mut self, user: &AgentId, keep: impl Fn(&Binding) -> bool) {
        let Some(bindings) = self.users.get_mut(user) else { return };
        let (kept, gone): (Vec<Binding>, Vec<Binding>) = std::mem::take(bindings).into_iter().partition(keep);
        for binding in &gone {
            self.expiries.remove(&(binding.expires_at, binding.id, user.clone()));
            if let Some(flow) = binding.flow.filter(|flow| kept.iter().all(|kept| kept.flow != Some(*flow))) {
                self.leave_flow(&flow, user);
            }
        }
        if kept.is_empty() {
            self.users.remove(user);
        } else {
            self.users.insert(user.clone(), kept);
        }
    }

    fn leave_flow(&mut self, flow: &Flow, user: &AgentId) {
        if let Some(users) = self.by_flow.get_mut(flow) {
            users.retain(|other| other != user);
            if users.is_empty() {
                self.by_flow.remove(flow);
            }
        }
    }

    /// Which phones there are, and where.
    fn places(&self, user: &AgentId) -> Vec<Place> {
        let place = |binding: &Binding| Place { id: binding.id, flow: binding.flow, contact: binding.contact.clone() };
        let mut places: Vec<Place> = self.users.get(user).into_iter().flatten().map(place).collect();
        places.sort_unstable_by_key(|place| place.id);
        places
    }

    fn change_since(&self, user: &AgentId, before: &[Place]) -> Vec<RegistrarChange> {
        let after = self.places(user);
        let is_same = |(one, other): (&Place, &Place)| {
            (one.id, one.flow) == (other.id, other.flow) && one.contact.is_equivalent(&other.contact)
        };
        if after.len() == before.len() && after.iter().zip(before).all(is_same) {
            return Vec::new();
        }
        let is_left = |place: &&Place| place.is_browser() && !after.iter().any(|it| it.contact.is_equivalent(&place.contact));
        let gone = before.iter().filter(is_left);
        let gone = gone.map(|place| RegistrarChange::BrowserGone { user: user.clone(), contact: place.contact.clone() });
        let mut changes: Vec<RegistrarChange> = gone.collect();
        let Some(bindings) = self.users.get(user) else {
            changes.push(RegistrarChange::Unregistered { user: user.clone() });
            return changes;
        };
        let newest = |is_browser: bool| {
            bindings.iter().rev().filter(|binding| binding.is_browser() == is_browser).find_map(Binding::address)
        };
        let (phone, browser) = (newest(false), newest(true));
        let registered = RegistrarChange::Registered { user: user.clone(), contacts: after.len(), phone, browser };
        changes.push(registered);
        let is_new = |place: &&Place| place.is_browser() && before.iter().all(|old| (old.id, old.flow) != (place.id, place.flow));
        let came = after.iter().filter(is_new);
        changes.extend(came.map(|it| RegistrarChange::BrowserCame { user: user.clone(), contact: it.contact.clone() }));
        changes
    }
}

/// A binding as changes are seen by.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    id: u64,
    flow: Option<Flow>,
    contact: Uri,
}

impl Place {
    fn is_browser(&self) -> bool {
        self.flow.is_some_and(|flow| flow.transport.is_websocket())
    }
}

impl Binding {
    /// Reached by the websocket that it opened, and by nothing else.
    pub fn is_browser(&self) -> bool {
        self.flow.is_some_and(|flow| flow.transport.is_websocket())
    }

    pub fn phone(&self, user: &AgentId) -> Phone {
        let (instance, contact, username) = (self.instance.clone(), self.contact.clone(), self.username.clone());
        Phone { user: user.clone(), instance, contact, username }
    }

    fn address(&self) -> Option<SocketAddr> {
        let told = || Some(SocketAddr::new(self.contact.host()?.ip()?, 0));
        self.flow.map(|flow| flow.remote).or_else(told)
    }
}

impl Registration {
    fn is_newer_than(&self, binding: &Binding) -> bool {
        self.call_id != binding.call_id || self.cseq > binding.cseq
    }
}

/// Whether the contact names the very address that the closed connection came from, so that we can connect to it.
fn is_dialable(contact: &Uri, flow: &Flow) -> bool {
    let names_it = contact.host().and_then(|host| host.ip()).is_some_and(|ip| ip == flow.remote.ip().to_canonical());
    names_it && !flow.transport.is_websocket()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::wire::{ConnectionId, Transport};

    const NO_EXPIRES: Option<u32> = None;

    fn at(seconds: u64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    fn registrar() -> Registrar {
        Registrar::new(RegistrarLimits {
            contacts_per_user: 3,
            min_expires: Duration::from_secs(60),
            max_expires: Duration::from_secs(3600),
        })
    }

    fn anna() -> AgentId {
        AgentId::new("anna")
    }

    fn flow(port: u16) -> Flow {
        let remote = std::net::SocketAddr::from(([198, 51, 100, 7], port));
        let local = std::net::SocketAddr::from(([192, 0, 2, 1], 5060));
        Flow { transport: Transport::Tcp, local, remote, connection: ConnectionId(u64::from(port)) }
    }

    fn registered(contacts: usize) -> RegistrarChange {
        RegistrarChange::Registered { user: anna(), contacts, phone: Some(flow(1).remote), browser: None }
    }

    fn ask(contacts: &[&str], expires_seconds: Option<u32>, call_id: &str, cseq: u32, flow: Flow) -> Registration {
        let contacts = match contacts {
            ["*"] => Contacts::All,
            list => Contacts::These(list.iter().map(|text| NameAddr::parse(&Text::from(*text)).unwrap()).collect()),
        };
        let (call_id, username) = (call_id.into(), "101".into());
        Registration { contacts, expires_seconds, username, longest: None, call_id, cseq, flow, path: Vec::new() }
    }

    fn uris(registrar: &Registrar) -> Vec<String> {
        registrar.bindings(&anna()).iter().map(|binding| binding.contact.to_string()).collect()
    }

    #[test]
    fn contacts_are_kept_by_preference_and_each_has_its_own_expiry() {
        let mut registrar = registrar();
        let list = ["<sip:a@h1>;q=0.2;expires=100", "<sip:a@h2>;expires=200", "<sip:a@h3>;q=0.9"];
        let change = registrar.register(at(0), &anna(), &ask(&list, Some(300), "c", 1, flow(1))).unwrap();
        assert_eq!(change, [registered(3)]);
        assert_eq!(uris(&registrar), ["sip:a@h2", "sip:a@h3", "sip:a@h1"]);
        assert_eq!(registrar.next_deadline(), Some(at(100)));
        assert_eq!(registrar.handle_timeout(at(99)), []);
        assert_eq!(registrar.handle_timeout(at(250)), [registered(2), registered(1)]);
        assert_eq!(registrar.handle_timeout(at(300)), [RegistrarChange::Unregistered { user: anna() }]);
        assert!(registrar.is_empty() && registrar.next_deadline().is_none());
    }

    #[test]
    fn a_refresh_moves_the_expiry_and_is_no_news() {
        let mut registrar = registrar();
        registrar.register(at(0), &anna(), &ask(&["<sip:a@h1>"], Some(100), "c", 1, flow(1))).unwrap();
        let change = registrar.register(at(90), &anna(), &ask(&["<sip:a@H1>"], Some(100), "c", 2, flow(1))).unwrap();
        assert_eq!(change, []);
        assert_eq!(registrar.handle_timeout(at(150)), []);
        assert_eq!(registrar.next_deadline(), Some(at(190)));
    }

    #[test]
    fn an_older_request_is_refused_whole() {
        let mut registrar = registrar();
        registrar.register(at(0), &anna(), &ask(&["<sip:a@h1>"], NO_EXPIRES, "c", 5, flow(1))).unwrap();
        let list = ["<sip:a@h2>", "<sip:a@h1>"];
        for cseq in [4, 5] {
            let refused = registrar.register(at(1), &anna(), &ask(&list, NO_EXPIRES, "c", cseq, flow(1)));
            assert_eq!(refused, Err(RegisterError::OutOfOrder));
        }
        let refused = registrar.register(at(1), &anna(), &ask(&["*"], Some(0), "c", 5, flow(1)));
        assert_eq!(refused, Err(RegisterError::OutOfOrder));
        assert_eq!(uris(&registrar), ["sip:a@h1"]);
        let other_device = ask(&["<sip:a@h1>;expires=0"], NO_EXPIRES, "d", 1, flow(1));
        assert!(registrar.register(at(1), &anna(), &other_device).is_ok(), "another Call-ID counts anew");
        assert!(uris(&registrar).is_empty());
    }

    #[test]
    fn a_phone_that_comes_back_from_a_new_place_replaces_itself() {
        let mut registrar = registrar();
        let instance = "+sip.instance=\"<urn:uuid:1>\"";
        let first = format!("<sip:a@10.0.0.1:1111>;{instance};reg-id=1");
        let second = format!("<sip:a@10.0.0.1:2222>;{instance};reg-id=1");
        let other_line = format!("<sip:a@10.0.0.1:3333>;{instance};reg-id=2");
        registrar.register(at(0), &anna(), &ask(&[&first], NO_EXPIRES, "c", 1, flow(1))).unwrap();
        registrar.register(at(1), &anna(), &ask(&[&second], NO_EXPIRES, "d", 1, flow(2))).unwrap();
        registrar.register(at(1), &anna(), &ask(&[&other_line], NO_EXPIRES, "d", 2, flow(2))).unwrap();
        assert_eq!(uris(&registrar), ["sip:a@10.0.0.1:3333", "sip:a@10.0.0.1:2222"]);
        assert!(registrar.users_on(&flow(1)).is_empty());
        assert_eq!(registrar.users_on(&flow(2)), [anna()]);
    }

    #[test]
    fn over_the_cap_the_stalest_goes() {
        let mut registrar = registrar();
        for n in 1..=5_u32 {
            let contact = format!("<sip:a@h{n}>");
            let asked = ask(&[&contact], Some(1000), &format!("c{n}"), 1, flow(1));
            registrar.register(at(u64::from(n)), &anna(), &asked).unwrap();
        }
        assert_eq!(uris(&registrar), ["sip:a@h5", "sip:a@h4", "sip:a@h3"]);
        assert_eq!(registrar.len(), 3);
    }

    #[test]
    fn a_closed_connection_takes_the_phones_with_it_that_cannot_be_dialled() {
        let mut registrar = registrar();
        let list = ["<sip:a@10.0.0.1:5060>", "<sip:a@198.51.100.7:5080>"];
        registrar.register(at(0), &anna(), &ask(&list, NO_EXPIRES, "c", 1, flow(1))).unwrap();
        let changes = registrar.flow_closed(&flow(1));
        let phone = Some("198.51.100.7:0".parse().unwrap());
        assert_eq!(changes, [RegistrarChange::Registered { user: anna(), contacts: 1, phone, browser: None }]);
        assert_eq!(uris(&registrar), ["sip:a@198.51.100.7:5080"]);
        assert_eq!(registrar.bindings(&anna())[0].flow, None);
        assert!(registrar.users_on(&flow(1)).is_empty());
        assert_eq!(registrar.flow_closed(&flow(1)), []);
    }

    #[test]
    fn shorter_than_the_shortest_is_refused_and_longer_than_the_longest_is_cut() {
        let mut registrar = registrar();
        let brief = registrar.register(at(0), &anna(), &ask(&["<sip:a@h>"], Some(59), "c", 1, flow(1)));
        assert_eq!(brief, Err(RegisterError::TooBrief { min_seconds: 60 }));
        registrar.register(at(0), &anna(), &ask(&["<sip:a@h>"], Some(u32::MAX), "c", 1, flow(1))).unwrap();
        assert_eq!(registrar.next_deadline(), Some(at(3600)));
    }

    fn browser(connection: u64) -> Flow {
        Flow { transport: Transport::Wss, connection: ConnectionId(connection), ..flow(443) }
    }

    fn came(contact: &str) -> RegistrarChange {
        RegistrarChange::BrowserCame { user: anna(), contact: contact.parse().unwrap() }
    }

    #[test]
    fn a_browser_that_comes_by_a_new_connection_is_news_and_a_refresh_is_none() {
        let mut registrar = registrar();
        let contact = "<sip:x1@a.invalid;transport=ws>;+sip.instance=\"<urn:uuid:7>\";reg-id=1";
        registrar.register(at(0), &anna(), &ask(&["<sip:a@h1>"], NO_EXPIRES, "d", 1, flow(1))).unwrap();
        let ways = (Some(flow(1).remote), Some(browser(5).remote));
        let both = RegistrarChange::Registered { user: anna(), contacts: 2, phone: ways.0, browser: ways.1 };
        let mut register = |cseq, by| registrar.register(at(1), &anna(), &ask(&[contact], NO_EXPIRES, "c", cseq, by)).unwrap();
        assert_eq!(register(1, browser(5)), [both.clone(), came("sip:x1@a.invalid;transport=ws")]);
        assert_eq!(register(2, browser(5)), []);
        assert_eq!(register(3, browser(6)), [both, came("sip:x1@a.invalid;transport=ws")]);
        assert_eq!(registrar.flow_closed(&browser(5)), [], "the old connection is nobody's any more");
        let gone = RegistrarChange::BrowserGone { user: anna(), contact: "sip:x1@a.invalid;transport=ws".parse().unwrap() };
        assert_eq!(registrar.flow_closed(&browser(6)), [gone, registered(1)]);
    }

    #[test]
    fn the_way_back_is_by_instance_then_by_contact_then_by_credentials() {
        let mut registrar = registrar();
        let with = |instance: &str, user: &str| {
            format!("<sip:{user}@a.invalid;transport=ws>;+sip.instance=\"<urn:uuid:{instance}>\";reg-id=1")
        };
        registrar.register(at(0), &anna(), &ask(&[&with("1", "x1")], NO_EXPIRES, "c", 1, browser(1))).unwrap();
        registrar.register(at(0), &anna(), &ask(&[&with("2", "x2")], NO_EXPIRES, "d", 1, browser(2))).unwrap();
        let phone = registrar.phone_on(&anna(), &browser(1)).unwrap();
        assert_eq!(registrar.way_back(&phone), Some(browser(1)));
        registrar.register(at(1), &anna(), &ask(&[&with("1", "x3")], NO_EXPIRES, "e", 1, browser(3))).unwrap();
        assert_eq!(registrar.way_back(&phone), Some(browser(3)), "the same instance");
        let stranger = Phone { instance: None, contact: "sip:x2@a.invalid;transport=ws".parse().unwrap(), ..phone.clone() };
        assert_eq!(registrar.way_back(&stranger), Some(browser(2)), "the same contact");
        let elsewhere = Phone { instance: None, contact: "sip:x9@a.invalid".parse().unwrap(), ..phone.clone() };
        assert_eq!(registrar.way_back(&elsewhere), Some(browser(3)), "the same credentials, the newest");
        assert_eq!(registrar.way_back(&Phone { username: "other".into(), ..elsewhere }), None);
        assert_eq!(registrar.way_back(&Phone { user: AgentId::new("boris"), ..phone }), None);
    }

    #[test]
    fn a_browsers_contact_is_never_dialled_whatever_it_names() {
        let mut registrar = registrar();
        let asked = ask(&["<sip:a@198.51.100.7;transport=ws>"], NO_EXPIRES, "c", 1, browser(1));
        registrar.register(at(0), &anna(), &asked).unwrap();
        let gone = RegistrarChange::BrowserGone { user: anna(), contact: "sip:a@198.51.100.7;transport=ws".parse().unwrap() };
        assert_eq!(registrar.flow_closed(&browser(1)), [gone, RegistrarChange::Unregistered { user: anna() }]);
    }

    #[test]
    fn nothing_is_registered_for_longer_than_its_credentials_hold_and_goes_with_them() {
        let mut registrar = registrar();
        let lent = Registration { longest: Some(Duration::from_secs(300)), ..ask(&["<sip:a@h>"], Some(600), "c", 1, flow(1)) };
        registrar.register(at(0), &anna(), &lent).unwrap();
        assert_eq!(registrar.next_deadline(), Some(at(300)));
        let other = Registration { username: "other".into(), ..ask(&["<sip:a@h2>"], Some(600), "d", 1, flow(1)) };
        registrar.register(at(0), &anna(), &other).unwrap();
        assert_eq!(registrar.forget_credentials(&anna(), "other"), [registered(1)]);
        assert_eq!(uris(&registrar), ["sip:a@h"]);
    }
}
