//! Request methods. `rsip`'s vocabulary with one addition it lacks: any method at all (RFC 3261 §7.1: extension-method).

use std::fmt;

use super::Text;

/// A request method. Case-sensitive on the wire (RFC 3261 §7.1), so `invite` is an `Other`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    Ack,
    Bye,
    Cancel,
    Info,
    Invite,
    Message,
    Notify,
    Options,
    Prack,
    Publish,
    Refer,
    Register,
    Subscribe,
    Update,
    Other(Text),
}

impl Method {
    pub fn as_str(&self) -> &str {
        match self {
            Method::Ack => "ACK",
            Method::Bye => "BYE",
            Method::Cancel => "CANCEL",
            Method::Info => "INFO",
            Method::Invite => "INVITE",
            Method::Message => "MESSAGE",
            Method::Notify => "NOTIFY",
            Method::Options => "OPTIONS",
            Method::Prack => "PRACK",
            Method::Publish => "PUBLISH",
            Method::Refer => "REFER",
            Method::Register => "REGISTER",
            Method::Subscribe => "SUBSCRIBE",
            Method::Update => "UPDATE",
            Method::Other(name) => name,
        }
    }

    /// The method named `token`, which the caller has checked to be an RFC 3261 token.
    pub(super) fn from_token(token: Text) -> Method {
        Method::known(&token).unwrap_or(Method::Other(token))
    }

    fn known(token: &str) -> Option<Method> {
        Some(match token {
            "ACK" => Method::Ack,
            "BYE" => Method::Bye,
            "CANCEL" => Method::Cancel,
            "INFO" => Method::Info,
            "INVITE" => Method::Invite,
            "MESSAGE" => Method::Message,
            "NOTIFY" => Method::Notify,
            "OPTIONS" => Method::Options,
            "PRACK" => Method::Prack,
            "PUBLISH" => Method::Publish,
            "REFER" => Method::Refer,
            "REGISTER" => Method::Register,
            "SUBSCRIBE" => Method::Subscribe,
            "UPDATE" => Method::Update,
            _ => return None,
        })
    }

    /// `rsip`'s word for it; `None` for a method that `rsip` has no word for.
    pub fn to_rsip(&self) -> Option<rsip::Method> {
        Some(match self {
            Method::Ack => rsip::Method::Ack,
            Method::Bye => rsip::Method::Bye,
            Method::Cancel => rsip::Method::Cancel,
            Method::Info => rsip::Method::Info,
            Method::Invite => rsip::Method::Invite,
            Method::Message => rsip::Method::Message,
            Method::Notify => rsip::Method::Notify,
            Method::Options => rsip::Method::Options,
            Method::Prack => rsip::Method::PRack,
            Method::Publish => rsip::Method::Publish,
            Method::Refer => rsip::Method::Refer,
            Method::Register => rsip::Method::Register,
            Method::Subscribe => rsip::Method::Subscribe,
            Method::Update => rsip::Method::Update,
            Method::Other(_) => return None,
        })
    }
}

impl From<rsip::Method> for Method {
    fn from(method: rsip::Method) -> Self {
        match method {
            rsip::Method::Ack => Method::Ack,
            rsip::Method::Bye => Method::Bye,
            rsip::Method::Cancel => Method::Cancel,
            rsip::Method::Info => Method::Info,
            rsip::Method::Invite => Method::Invite,
            rsip::Method::Message => Method::Message,
            rsip::Method::Notify => Method::Notify,
            rsip::Method::Options => Method::Options,
            rsip::Method::PRack => Method::Prack,
            rsip::Method::Publish => Method::Publish,
            rsip::Method::Refer => Method::Refer,
            rsip::Method::Register => Method::Register,
            rsip::Method::Subscribe => Method::Subscribe,
            rsip::Method::Update => Method::Update,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rsip_method_round_trips_in_words_and_in_types() {
        for theirs in rsip::Method::all() {
            let ours = Method::from(theirs);
            assert_eq!(ours.to_rsip(), Some(theirs));
            assert_eq!(ours.as_str(), theirs.to_string());
            assert_eq!(Method::from_token(Text::from(ours.as_str())), ours);
        }
    }

    #[test]
    fn a_method_nobody_knows_keeps_its_name_and_case() {
        let method = Method::from_token(Text::from("invite"));
        assert_eq!(method, Method::Other("invite".into()));
        assert_eq!(method.to_rsip(), None);
    }
}
