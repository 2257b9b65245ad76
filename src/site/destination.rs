//! The destination grammar of INTERFACES, read and written: `queue:sales`, `external:+74951234567`. It checks the shape
//! only; whether the queue or person exists is for `check` and `routing::numbers`.

use std::fmt;

use super::model::Destination;
use crate::types::{AgentId, QueueId, TrunkId};

impl Destination {
    /// `None` for an unknown kind or an empty name.
    pub fn parse(text: &str) -> Option<Destination> {
        let (kind, name) = text.trim().split_once(':')?;
        let name = name.trim();
        if name.is_empty() {
            return None;
        }
        Some(match kind.trim() {
            "queue" => Destination::Queue(QueueId::new(name)),
            "extension" => Destination::Extension(name.to_owned()),
            "user" => Destination::User(AgentId::new(name)),
            "external" => Destination::External(name.to_owned()),
            "trunk" => Destination::Trunk(TrunkId::new(name)),
            "ivr" => Destination::Ivr(name.to_owned()),
            "voicemail" => Destination::Voicemail(name.to_owned()),
            _ => return None,
        })
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Queue(queue) => write!(f, "queue:{queue}"),
            Destination::Extension(extension) => write!(f, "extension:{extension}"),
            Destination::User(agent) => write!(f, "user:{agent}"),
            Destination::External(number) => write!(f, "external:{number}"),
            Destination::Trunk(trunk) => write!(f, "trunk:{trunk}"),
            Destination::Ivr(name) => write!(f, "ivr:{name}"),
            Destination::Voicemail(name) => write!(f, "voicemail:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_destination_is_read_as_it_is_written() {
        for text in
            ["queue:sales", "extension:101", "user:anna", "external:+74951234567", "trunk:carrier", "ivr:main", "voicemail:x"]
        {
            assert_eq!(Destination::parse(text).expect(text).to_string(), text);
        }
        assert_eq!(Destination::parse(" queue: sales "), Some(Destination::Queue("sales".into())));
    }

    #[test]
    fn what_is_no_destination_is_refused() {
        for text in ["", "sales", "queue:", "queue: ", "hall:1", "+74951234567", ":x"] {
            assert_eq!(Destination::parse(text), None, "{text}");
        }
    }
}
