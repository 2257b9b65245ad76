//! Items to `Site`: every name must exist, every number, address and destination must read as one.
//! Finds all problems, not only the first; each names the item, the key and the remedy.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::items::{Items, NumberItem, QueueItem, RouteItem, TrunkItem, UserItem};
use super::model::{
    Destination, Language, Network, Number, NumberPattern, Queue, Route, Site, TRUNK_CODECS, Target, Trunk, USER_CODECS, User,
};
use crate::media::codec::Codec;
use crate::types::{AgentId, E164, QueueId, Region, TrunkId};

/// One thing that is wrong with one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemProblem {
    pub kind: &'static str,
    pub name: String,
    pub key: &'static str,
    pub message: String,
}

/// Builds the site, or tells everything that is wrong.
pub fn build(items: &Items) -> Result<Site, Vec<ItemProblem>> {
    let mut check = Check { items, problems: Vec::new() };
    let site = check.site();
    if check.problems.is_empty() { Ok(site) } else { Err(check.problems) }
}

struct Check<'a> {
    items: &'a Items,
    problems: Vec<ItemProblem>,
}

impl Check<'_> {
    fn wrong(&mut self, kind: &'static str, name: &str, key: &'static str, message: String) {
        self.problems.push(ItemProblem { kind, name: name.to_string(), key, message });
    }

    fn site(&mut self) -> Site {
        let items = self.items;
        let region_text = items.region.as_deref().unwrap_or("RU");
        let region = Region::parse(region_text).unwrap_or_else(|| {
            self.wrong(
                "",
                "",
                "region",
                format!("\"{region_text}\" is no country code; write two capital letters, for example RU"),
            );
            Region::RU
        });
        let timezone = items.timezone.clone().unwrap_or_else(|| "Europe/Moscow".into());
        if timezone.parse::<chrono_tz::Tz>().is_err() {
            self.wrong(
                "",
                "",
                "timezone",
                format!("\"{timezone}\" is no time zone; write an IANA name, for example Europe/Moscow"),
            );
        }
        self.check_extensions();
        let mut numbers: Vec<Number> = items.numbers.iter().filter_map(|item| self.number(item, region)).collect();
        numbers.sort_by_key(|number| std::cmp::Reverse(pattern_length(&number.pattern)));
        let mut routes: Vec<Route> = items.routes.iter().filter_map(|item| self.route(item)).collect();
        routes.sort_by_key(|route| std::cmp::Reverse(route.prefix.len()));
        Site {
            region,
            timezone,
            language: items.language.unwrap_or(Language::Ru),
            users: items.users.iter().map(|item| self.user(item)).map(|user| (user.login.clone(), user)).collect(),
            trunks: items.trunks.iter().map(|item| self.trunk(item)).map(|trunk| (trunk.name.clone(), trunk)).collect(),
            queues: items.queues.iter().map(|item| self.queue(item)).map(|queue| (queue.name.clone(), queue)).collect(),
            numbers,
            routes,
        }
    }

    fn check_extensions(&mut self) {
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for user in self.items.users.iter().filter(|user| !user.extension.is_empty()) {
            if let Some(other) = seen.insert(&user.extension, &user.login) {
                let message = format!("extension {} belongs to {other} already; give another", user.extension);
                self.problems.push(ItemProblem { kind: "user", name: user.login.clone(), key: "extension", message });
            }
        }
    }

    fn user(&mut self, item: &UserItem) -> User {
        let login_fits = !item.login.is_empty()
            && item.login.len() <= 64
            && item.login.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@'));
        if !login_fits {
            self.wrong("user", &item.login, "login", "write 1 to 64 Latin letters, digits, dots, dashes or underscores".into());
        }
        let extension_fits = item.extension.len() <= 15 && item.extension.bytes().all(|b| b.is_ascii_alphanumeric());
        if !extension_fits {
            let message = format!("\"{}\" is no extension; write up to 15 digits, for example 101", item.extension);
            self.wrong("user", &item.login, "extension", message);
        }
        if item.sip_ha1.is_some() && item.extension.is_empty() {
            self.wrong("user", &item.login, "extension", "a sip_password needs an extension: it is the digest username".into());
        }
        let optional = |text: &str| (!text.is_empty()).then(|| text.to_string());
        User {
            login: AgentId::new(&item.login),
            name: if item.name.is_empty() { item.login.clone() } else { item.name.clone() },
            password_hash: item.password_hash.clone(),
            role: item.role,
            team: optional(&item.team),
            extension: optional(&item.extension),
            sip_ha1: item.sip_ha1.clone(),
            skills: item.skills.clone(),
            record: item.record,
            beep_seconds: self.beep("user", &item.login, item.beep_seconds),
            codecs: self.codecs("user", &item.login, &item.codecs, &USER_CODECS),
            srtp: item.srtp,
        }
    }

    fn trunk(&mut self, item: &TrunkItem) -> Trunk {
        if item.name.is_empty() {
            self.wrong("trunk", "", "name", "give the trunk a name".into());
        }
        if item.targets.is_empty() && item.accept_from.is_empty() {
            self.wrong("trunk", &item.name, "targets", "give targets to call, accept_from to be called, or both".into());
        }
        if item.register {
            let message = "registering with a carrier is not part of this version; use accept_from".to_string();
            self.wrong("trunk", &item.name, "register", message);
        }
        let mut targets = Vec::new();
        for text in &item.targets {
            match Target::parse(text) {
                Some(target) => targets.push(target),
                None => self.wrong("trunk", &item.name, "targets", format!("\"{text}\" is no host[:port][;transport=tcp]")),
            }
        }
        let mut accept_from = Vec::new();
        for text in &item.accept_from {
            match Network::parse(text) {
                Some(network) => accept_from.push(network),
                None => {
                    let message = format!("\"{text}\" is no CIDR or CIDR:port, for example 192.0.2.0/24 or 192.0.2.7/32:5060");
                    self.wrong("trunk", &item.name, "accept_from", message);
                }
            }
        }
        Trunk {
            name: TrunkId::new(&item.name),
            targets,
            accept_from,
            username: item.username.clone(),
            password: item.password.clone(),
            register: item.register,
            options_seconds: item.options_seconds,
            max_calls: item.max_calls,
            max_cps: item.max_cps,
            codecs: self.codecs("trunk", &item.name, &item.codecs, &TRUNK_CODECS),
            srtp: item.srtp,
        }
    }

    fn codecs(&mut self, kind: &'static str, name: &str, written: &[String], usual: &[Codec]) -> Vec<Codec> {
        let mut codecs = Vec::new();
        for text in written {
            match Codec::from_name(text) {
                Some(codec) if codecs.contains(&codec) => {
                    self.wrong(kind, name, "codecs", format!("\"{text}\" stands here twice; keep one of them"));
                }
                Some(codec) => codecs.push(codec),
                None => {
                    let known = Codec::ALL.map(Codec::name).join(", ");
                    self.wrong(kind, name, "codecs", format!("\"{text}\" is no codec of ours; there are: {known}"));
                }
            }
        }
        if codecs.is_empty() { usual.to_vec() } else { codecs }
    }

    /// A tone every other second is no reminder but a noise, and one in ten minutes is none at all.
    fn beep(&mut self, kind: &'static str, name: &str, seconds: u32) -> u32 {
        if seconds != 0 && !(5..=600).contains(&seconds) {
            self.wrong(kind, name, "beep_seconds", format!("{seconds} is neither 0 (no beep) nor between 5 and 600"));
        }
        seconds
    }

    fn queue(&mut self, item: &QueueItem) -> Queue {
        if item.name.is_empty() {
            self.wrong("queue", "", "name", "give the queue a name".into());
        }
        for (key, logins) in [("members", &item.members), ("supervisors", &item.supervisors)] {
            for login in logins {
                self.must_be_user("queue", &item.name, key, login);
            }
        }
        if !(1..=600).contains(&item.ring_seconds) {
            self.wrong("queue", &item.name, "ring_seconds", format!("{} is not between 1 and 600", item.ring_seconds));
        }
        if item.wrap_up_seconds > 3600 {
            self.wrong("queue", &item.name, "wrap_up_seconds", format!("{} is more than 3600", item.wrap_up_seconds));
        }
        Queue {
            name: QueueId::new(&item.name),
            strategy: item.strategy,
            members: item.members.iter().map(|login| AgentId::new(login)).collect(),
            supervisors: item.supervisors.iter().map(|login| AgentId::new(login)).collect(),
            ring_seconds: item.ring_seconds,
            wrap_up_seconds: item.wrap_up_seconds,
            answer: item.answer,
            record: item.record,
            announce: item.announce,
            beep_seconds: self.beep("queue", &item.name, item.beep_seconds),
        }
    }

    fn number(&mut self, item: &NumberItem, region: Region) -> Option<Number> {
        let pattern = NumberPattern::parse(&item.number, region);
        if pattern.is_none() {
            let message = format!("\"{}\" is no number; write E.164 (+74951234567), or digits with a trailing *", item.number);
            self.wrong("number", &item.number, "number", message);
        }
        let to = Destination::parse(&item.to);
        if to.is_none() {
            let message = format!(
                "\"{}\" leads nowhere; write queue:NAME, extension:NUMBER, user:LOGIN, external:NUMBER or trunk:NAME",
                item.to
            );
            self.wrong("number", &item.number, "to", message);
        }
        let (pattern, to) = (pattern?, to?);
        self.must_exist(&item.number, &to);
        let source = (!item.source.is_empty()).then(|| item.source.clone());
        let beep_seconds = self.beep("number", &item.number, item.beep_seconds);
        Some(Number { pattern, to, source, record: item.record, announce: item.announce, beep_seconds })
    }

    fn must_exist(&mut self, number: &str, to: &Destination) {
        let items = self.items;
        let (found, what) = match to {
            Destination::Queue(name) => {
                (items.queues.iter().any(|queue| queue.name == name.as_str()), format!("queue \"{name}\""))
            }
            Destination::Extension(extension) => {
                (items.users.iter().any(|user| &user.extension == extension), format!("extension \"{extension}\""))
            }
            Destination::User(login) => {
                (items.users.iter().any(|user| user.login == login.as_str()), format!("user \"{login}\""))
            }
            Destination::Trunk(name) => {
                (items.trunks.iter().any(|trunk| trunk.name == name.as_str()), format!("trunk \"{name}\""))
            }
            Destination::External(_) => (true, String::new()),
            Destination::Ivr(name) => {
                self.wrong("number", number, "to", format!("ivr:{name}: menus are not part of this version"));
                return;
            }
            Destination::Voicemail(name) => {
                self.wrong("number", number, "to", format!("voicemail:{name}: voicemail is not part of this version"));
                return;
            }
        };
        if !found {
            self.wrong("number", number, "to", format!("there is no {what}; add it or correct the name"));
        }
    }

    fn route(&mut self, item: &RouteItem) -> Option<Route> {
        if !item.prefix.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '*' | '#')) {
            self.wrong(
                "route",
                &item.prefix,
                "prefix",
                format!("\"{}\" is no prefix; write digits, or nothing for all", item.prefix),
            );
        }
        if !self.items.trunks.iter().any(|trunk| trunk.name == item.trunk) {
            self.wrong(
                "route",
                &item.prefix,
                "trunk",
                format!("there is no trunk \"{}\"; add it or correct the name", item.trunk),
            );
            return None;
        }
        let beep_seconds = self.beep("route", &item.prefix, item.beep_seconds);
        Some(Route { prefix: item.prefix.clone(), trunk: TrunkId::new(&item.trunk), record: item.record, beep_seconds })
    }

    fn must_be_user(&mut self, kind: &'static str, name: &str, key: &'static str, login: &str) {
        let users = &self.items.users;
        if users.iter().any(|user| user.login == login) {
            return;
        }
        let nearest = users
            .iter()
            .max_by(|a, b| strsim::jaro_winkler(&a.login, login).total_cmp(&strsim::jaro_winkler(&b.login, login)))
            .map_or(String::new(), |user| format!("; did you mean \"{}\"?", user.login));
        self.wrong(kind, name, key, format!("there is no user \"{login}\"{nearest}"));
    }
}

fn pattern_length(pattern: &NumberPattern) -> usize {
    match pattern {
        // A whole number always beats a prefix.
        NumberPattern::E164(_) | NumberPattern::Exact(_) => usize::MAX,
        NumberPattern::Prefix(digits) => digits.len(),
    }
}

impl NumberPattern {
    /// `+74951234567` and its spellings, `100` (compared raw) or `7495*` (raw prefix).
    pub fn parse(text: &str, region: Region) -> Option<NumberPattern> {
        let text = text.trim();
        if let Some(prefix) = text.strip_suffix('*') {
            return prefix.bytes().all(|b| b.is_ascii_digit() || b == b'+').then(|| NumberPattern::Prefix(prefix.to_string()));
        }
        match E164::parse(text, region) {
            Ok(number) => Some(NumberPattern::E164(number)),
            Err(_) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
                Some(NumberPattern::Exact(text.to_string()))
            }
            Err(_) => None,
        }
    }
}

impl Target {
    /// `host[:port][;transport=tcp]`, IPv6 hosts in brackets; the port is 5060 when left out.
    pub fn parse(text: &str) -> Option<Target> {
        let (address, parameters) = text.split_once(';').unwrap_or((text, ""));
        let tcp = match parameters.to_ascii_lowercase().as_str() {
            "" | "transport=udp" => false,
            "transport=tcp" => true,
            _ => return None,
        };
        let (host, port) = split_port(address.trim())?;
        let host_fits =
            !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'_'));
        host_fits.then(|| Target { host: host.to_string(), port: port.unwrap_or(5060), tcp })
    }
}

impl Network {
    /// `CIDR`, `CIDR:port` or a bare address.
    pub fn parse(text: &str) -> Option<Network> {
        let text = text.trim();
        let (address, rest) = match text.split_once('/') {
            Some((address, rest)) => (address, Some(rest)),
            None => (text, None),
        };
        let address: IpAddr = address.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let (prefix, port) = match rest {
            None => (longest, None),
            Some(rest) => match rest.split_once(':') {
                Some((prefix, port)) => (prefix.parse().ok()?, Some(port.parse().ok()?)),
                None => (rest.parse().ok()?, None),
            },
        };
        (prefix <= longest).then_some(Network { address, prefix, port })
    }

    /// Whether a packet from `from` belongs to this network.
    pub fn holds(&self, from: std::net::SocketAddr) -> bool {
        if self.port.is_some_and(|port| port != from.port()) {
            return false;
        }
        match (self.address, from.ip().to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.prefix.min(32));
                u32::from(network).checked_shr(shift).unwrap_or(0) == u32::from(address).checked_shr(shift).unwrap_or(0)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.prefix.min(128));
                u128::from(network).checked_shr(shift).unwrap_or(0) == u128::from(address).checked_shr(shift).unwrap_or(0)
            }
            _ => false,
        }
    }
}

fn split_port(address: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = address.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port.parse().ok()?))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    match address.split_once(':') {
        Some((host, port)) => Some((host, Some(port.parse().ok()?))),
        None => Some((address, None)),
    }
}

// Kept beside the checks that use them: the file's kinds in the words of the problems above.
impl ItemProblem {
    /// `queue.sales.members`
    pub fn path(&self) -> String {
        [self.kind, &self.name, self.key].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".")
    }
}
