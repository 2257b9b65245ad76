//! REGISTER: always challenged, whoever sends it; then the registrar decides (RFC 3261 §10.3).

use std::time::Duration;

use super::Endpoint;
use super::incoming::Incoming;
use crate::sip::registrar::{Binding, Contacts, RegisterError, Registration};
use crate::sip::wire::{self, HeaderError, HeaderName, Status, Text};
use crate::types::{AgentId, Time};

impl Endpoint {
    pub(super) fn receive_register(&mut self, now: Time, incoming: &Incoming) {
        let Some((user, username)) = self.authenticate(now, incoming) else { return };
        // §10.3 step 3 and 4: one may register oneself only. The host is not compared: any name of ours will do.
        let to = incoming.request.headers.to().ok().and_then(|to| to.uri.user_decoded());
        let is_own = to.is_some_and(|name| self.directory.user(&name).is_some_and(|named| named.agent == user));
        if !is_own {
            return self.reply(now, incoming, Status::FORBIDDEN, &[]);
        }
        let longest = self.lent.get(now, &username).map(|loan| loan.until.since(now));
        let Ok(registration) = registration_of(incoming, username, longest) else {
            return self.reply(now, incoming, Status::BAD_REQUEST, &[]);
        };
        match self.registrar.register(now, &user, &registration) {
            Ok(changes) => {
                self.tell_registrar_changes(changes);
                self.say_what_is_owed(now, &user);
                self.confirm_registration(now, incoming, &user);
            }
            Err(RegisterError::TooBrief { min_seconds }) => {
                let headers = [(HeaderName::MinExpires, min_seconds.to_string())];
                let headers = headers.each_ref().map(|(name, value)| (name.clone(), value.as_str()));
                self.reply(now, incoming, Status::INTERVAL_TOO_BRIEF, &headers);
            }
            Err(RegisterError::OutOfOrder) => {
                self.reply(now, incoming, Status::SERVER_INTERNAL_ERROR, &[]);
            }
            Err(RegisterError::BadWildcard | RegisterError::BadContact) => {
                self.reply(now, incoming, Status::BAD_REQUEST, &[]);
            }
        }
    }

    /// §10.3 step 8: all bindings that hold now, with what is left of them.
    fn confirm_registration(&mut self, now: Time, incoming: &Incoming, user: &AgentId) {
        let contacts: Vec<String> = self.registrar.bindings(user).into_iter().map(|binding| contact_of(now, binding)).collect();
        let paths = incoming.request.headers.get_all(&HeaderName::Path).map(|path| (HeaderName::Path, path.as_str()));
        let headers: Vec<(HeaderName, &str)> =
            contacts.iter().map(|contact| (HeaderName::Contact, contact.as_str())).chain(paths).collect();
        self.reply(now, incoming, Status::OK, &headers);
    }
}

fn registration_of(incoming: &Incoming, username: Text, longest: Option<Duration>) -> Result<Registration, HeaderError> {
    let headers = &incoming.request.headers;
    let contacts = match headers.contacts()? {
        wire::Contacts::All => Contacts::All,
        wire::Contacts::List(contacts) => Contacts::These(contacts),
    };
    Ok(Registration {
        contacts,
        // §10.2.1.1: an Expires that makes no sense counts as absent.
        expires_seconds: headers.expires_seconds().unwrap_or(None),
        username,
        longest,
        call_id: incoming.call_id.clone(),
        cseq: incoming.cseq.number,
        flow: incoming.flow,
        path: headers.addresses(HeaderName::Path)?,
    })
}

fn contact_of(now: Time, binding: &Binding) -> String {
    let left_seconds = binding.expires_at.since(now).as_secs();
    let q = binding.q_thousandths;
    let q = if q >= 1000 { String::new() } else { format!(";q=0.{q:03}") };
    let instance = binding.instance.as_ref().map_or(String::new(), |instance| format!(";+sip.instance=\"<{instance}>\""));
    let reg_id = binding.reg_id.map_or(String::new(), |id| format!(";reg-id={id}"));
    format!("<{}>;expires={left_seconds}{q}{instance}{reg_id}", binding.contact)
}
