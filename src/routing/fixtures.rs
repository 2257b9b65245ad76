//! Small sites for the tests of this room.

use crate::site::{Destination, Number, NumberPattern, Queue, Role, Route, Site, Strategy, Trunk, User};
use crate::types::{AgentId, E164, QueueId, TrunkId};

pub(super) struct SiteBuilder {
    site: Site,
}

impl SiteBuilder {
    pub fn new() -> Self {
        SiteBuilder { site: Site::default() }
    }

    /// Extensions from 100 in the order given.
    pub fn agents(mut self, logins: &[&str]) -> Self {
        for login in logins {
            let user = User {
                login: AgentId::new(login),
                name: (*login).to_owned(),
                password_hash: None,
                role: Role::Agent,
                team: None,
                extension: Some((100 + self.site.users.len()).to_string()),
                sip_ha1: None,
                skills: Default::default(),
                record: true,
                beep_seconds: 0,
                codecs: crate::site::USER_CODECS.to_vec(),
                srtp: crate::site::Srtp::Off,
            };
            self.site.users.insert(user.login.clone(), user);
        }
        self
    }

    /// Longest idle, rings 20 s, no wrap-up, answers at once.
    pub fn queue(mut self, name: &str, members: &[&str]) -> Self {
        let queue = Queue {
            name: QueueId::new(name),
            strategy: Strategy::LongestIdle,
            members: members.iter().map(|login| AgentId::new(login)).collect(),
            supervisors: Vec::new(),
            ring_seconds: 20,
            wrap_up_seconds: 0,
            answer: true,
            record: true,
            announce: false,
            beep_seconds: 0,
        };
        self.site.queues.insert(queue.name.clone(), queue);
        self
    }

    pub fn trunk(mut self, name: &str) -> Self {
        let trunk = Trunk {
            name: TrunkId::new(name),
            targets: Vec::new(),
            accept_from: Vec::new(),
            username: String::new(),
            password: String::new(),
            register: false,
            options_seconds: 0,
            max_calls: 0,
            max_cps: 0,
            codecs: crate::site::TRUNK_CODECS.to_vec(),
            srtp: crate::site::Srtp::Off,
        };
        self.site.trunks.insert(trunk.name.clone(), trunk);
        self
    }

    pub fn number(mut self, number: Number) -> Self {
        self.site.numbers.push(number);
        self
    }

    pub fn route(mut self, route: Route) -> Self {
        self.site.routes.push(route);
        self
    }

    pub fn build(self) -> Site {
        self.site
    }
}

pub(super) fn number(e164: &str, to: &str) -> Number {
    let pattern = NumberPattern::E164(E164::from_digits(e164.trim_start_matches('+')).expect("a test's number is one"));
    numbered(pattern, to)
}

pub(super) fn prefix_number(prefix: &str, to: &str) -> Number {
    numbered(NumberPattern::Prefix(prefix.to_owned()), to)
}

fn numbered(pattern: NumberPattern, to: &str) -> Number {
    let to = Destination::parse(to).expect("a test's destination is one");
    Number { pattern, to, source: Some("site".to_owned()), record: true, announce: false, beep_seconds: 0 }
}

pub(super) fn route(prefix: &str, trunk: &str) -> Route {
    Route { prefix: prefix.to_owned(), trunk: TrunkId::new(trunk), record: true, beep_seconds: 0 }
}
