//! From what was dialled to where it goes. Inbound numbers by the longest match, dialled numbers by extension, own
//! number, then route. Decides only; knows no SIP: it is given the user part of a URI or what a person typed.

use crate::call::{Goal, Person, more_often};
use crate::site::{Destination, Number, NumberPattern, Route, Site};
use crate::types::{AgentId, E164, EndCause, QueueId, TrunkId};

/// `external:` may lead to an own number, which may lead to `external:` again. More steps than this go in a circle.
const MOST_STEPS: usize = 5;

/// A resolved destination with what the site says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub goal: Goal,
    /// What was dialled, E.164 where it could be normalised: the call's `to`.
    pub to: String,
    /// `record` of number, queue and route together.
    pub record: bool,
    /// `announce` of number and queue: either is enough.
    pub announce: bool,
    /// `beep_seconds` of number, queue and route: the one that beeps more often.
    pub beep_seconds: u32,
    pub source: Option<String>,
    /// By which other trunks the same number can be reached when the goal's is at its limit, best first.
    pub others: Vec<OtherWay>,
}

/// A route that matches too, by another trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherWay {
    pub trunk: TrunkId,
    pub record: bool,
    pub beep_seconds: u32,
}

impl Plan {
    /// Leads outside by the first way whose trunk `has_room` for another call; nowhere when none has.
    pub fn by_a_trunk_with_room(mut self, has_room: impl Fn(&TrunkId) -> bool) -> Plan {
        let Goal::Outside { trunk, number } = &self.goal else { return self };
        if has_room(trunk) {
            return self;
        }
        match self.others.iter().position(|other| has_room(&other.trunk)) {
            Some(at) => {
                let other = self.others.swap_remove(at);
                self.record = other.record;
                self.beep_seconds = other.beep_seconds;
                self.goal = Goal::Outside { trunk: other.trunk, number: number.clone() };
            }
            None => {
                let why = format!("trunk {trunk} is at its limit of calls, and no other route matches that has room");
                self.goal = Goal::Nowhere { cause: EndCause::TrunkFailed, why };
            }
        }
        self.others.clear();
        self
    }
}

/// A carrier sent us `user_part`: the matching `[[number]]`, or nowhere.
pub fn plan_inbound(site: &Site, trunk: &TrunkId, user_part: &str) -> Plan {
    let to = as_e164(site, user_part);
    match number_for(site, user_part) {
        Some(number) => follow_number(site, number, user_part, 0),
        None => nowhere(to, EndCause::NoRoute, format!("no [[number]] matches what trunk {trunk} asked for")),
    }
}

/// One of our people dialled `dialled` from a phone or typed it into the desk: an extension, an own number, the
/// destination grammar (`queue:sales`), or an outside number by `[[route]]`.
pub fn plan_dialled(site: &Site, dialled: &str) -> Plan {
    let dialled = dialled.trim();
    if let Some(destination) = Destination::parse(dialled) {
        return plan_destination(site, &destination, dialled);
    }
    if let Some(login) = person_at(site, dialled) {
        return to_person(site, dialled.to_owned(), &login);
    }
    to_outside(site, dialled, 0)
}

/// A destination of the site file. `user_part` is what was dialled: `trunk:` passes it on unchanged.
pub fn plan_destination(site: &Site, destination: &Destination, user_part: &str) -> Plan {
    follow(site, destination, user_part, 0)
}

/// The `[[number]]` of what a carrier sent: whole numbers before prefixes, the longest prefix first.
fn number_for<'s>(site: &'s Site, user_part: &str) -> Option<&'s Number> {
    let prefix_length = |number: &Number| match &number.pattern {
        NumberPattern::Prefix(prefix) if user_part.starts_with(prefix.as_str()) => Some(prefix.len()),
        _ => None,
    };
    own_number(site, user_part).or_else(|| {
        let matching = site.numbers.iter().filter_map(|number| prefix_length(number).map(|length| (length, number)));
        // Of equal ones the first in the site counts.
        matching.rev().max_by_key(|(length, _)| *length).map(|(_, number)| number)
    })
}

/// The `[[number]]` that is exactly this one. Prefixes do not count: `*` must not swallow every number our people dial.
fn own_number<'s>(site: &'s Site, text: &str) -> Option<&'s Number> {
    let e164 = E164::parse(text, site.region).ok();
    site.numbers.iter().find(|number| match &number.pattern {
        NumberPattern::E164(own) => Some(*own) == e164,
        NumberPattern::Exact(own) => own == text,
        NumberPattern::Prefix(_) => false,
    })
}

fn follow_number(site: &Site, number: &Number, user_part: &str, steps: usize) -> Plan {
    let plan = follow(site, &number.to, user_part, steps);
    let source = number.source.clone().or(plan.source);
    let mut others = plan.others;
    for other in &mut others {
        other.record &= number.record;
        other.beep_seconds = more_often(other.beep_seconds, number.beep_seconds);
    }
    let (to, record) = (as_e164(site, user_part), plan.record && number.record);
    let announce = plan.announce || number.announce;
    let beep_seconds = more_often(plan.beep_seconds, number.beep_seconds);
    Plan { to, record, announce, beep_seconds, source, goal: plan.goal, others }
}

fn follow(site: &Site, destination: &Destination, user_part: &str, steps: usize) -> Plan {
    let to = as_e164(site, user_part);
    match destination {
        Destination::Queue(queue) => to_queue(site, to, queue),
        Destination::User(login) => to_person(site, to, login),
        Destination::Extension(extension) => match person_at(site, extension) {
            Some(login) => to_person(site, to, &login),
            None => nowhere(to, EndCause::NotFound, format!("nobody has extension {extension}")),
        },
        Destination::External(number) => to_outside(site, number, steps),
        Destination::Trunk(trunk) if site.trunks.contains_key(trunk) => {
            let goal = Goal::Outside { trunk: trunk.clone(), number: user_part.to_owned() };
            plan(goal, to)
        }
        Destination::Trunk(trunk) => nowhere(to, EndCause::NoRoute, format!("there is no trunk {trunk}")),
        Destination::Ivr(name) => nowhere(to, EndCause::NoRoute, format!("ivr:{name}: menus are not part of this version")),
        Destination::Voicemail(name) => {
            nowhere(to, EndCause::NoRoute, format!("voicemail:{name}: voicemail is not part of this version"))
        }
    }
}

fn to_queue(site: &Site, to: String, name: &QueueId) -> Plan {
    let Some(queue) = site.queues.get(name) else {
        return nowhere(to, EndCause::NoRoute, format!("there is no queue {name}"));
    };
    if queue.members.is_empty() {
        return nowhere(to, EndCause::QueueUnavailable, format!("queue {name} has no members"));
    }
    let goal = Goal::Queue { queue: name.clone(), answer: queue.answer, priority: 0 };
    Plan { record: queue.record, announce: queue.announce, beep_seconds: queue.beep_seconds, ..plan(goal, to) }
}

fn to_person(site: &Site, to: String, login: &AgentId) -> Plan {
    match site.users.get(login) {
        Some(user) if user.extension.is_some() => plan(Goal::Person(Person::of(user)), to),
        Some(_) => nowhere(to, EndCause::Unreachable, format!("user {login} has no extension, so no phone")),
        None => nowhere(to, EndCause::NotFound, format!("there is no user {login}")),
    }
}

/// A number outside, unless it is one of ours.
fn to_outside(site: &Site, dialled: &str, steps: usize) -> Plan {
    let to = as_e164(site, dialled);
    if let Some(number) = own_number(site, dialled) {
        if steps >= MOST_STEPS {
            return nowhere(to, EndCause::NoRoute, "the numbers of the site lead in a circle".to_owned());
        }
        return follow_number(site, number, dialled, steps + 1);
    }
    if !is_dialable(dialled) {
        return nowhere(to, EndCause::NotFound, "neither an extension, nor a number, nor a destination".to_owned());
    }
    match routes_for(site, dialled, &to).split_first() {
        Some((route, ways)) => {
            let goal = Goal::Outside { trunk: route.trunk.clone(), number: to.clone() };
            let mut others: Vec<OtherWay> = Vec::new();
            for way in ways.iter().filter(|way| way.trunk != route.trunk) {
                if others.iter().all(|other| other.trunk != way.trunk) {
                    let (trunk, beep_seconds) = (way.trunk.clone(), way.beep_seconds);
                    others.push(OtherWay { trunk, record: way.record, beep_seconds });
                }
            }
            Plan { record: route.record, beep_seconds: route.beep_seconds, others, ..plan(goal, to) }
        }
        None => nowhere(to, EndCause::NoRoute, "no [[route]] matches the dialled number".to_owned()),
    }
}

/// Those whose prefix the number has as dialled or in E.164, the longest first; of equal ones the first in the site.
fn routes_for<'s>(site: &'s Site, dialled: &str, e164: &str) -> Vec<&'s Route> {
    let fits = |route: &&Route| {
        let prefix = route.prefix.as_str();
        (dialled.starts_with(prefix) || e164.starts_with(prefix)) && site.trunks.contains_key(&route.trunk)
    };
    let mut routes: Vec<&Route> = site.routes.iter().filter(fits).collect();
    routes.sort_by_key(|route| std::cmp::Reverse(route.prefix.len()));
    routes
}

fn person_at(site: &Site, extension: &str) -> Option<AgentId> {
    let user = site.users.values().find(|user| user.extension.as_deref() == Some(extension))?;
    Some(user.login.clone())
}

/// A trunk is asked for digits, `*`, `#` and a leading plus only: whatever else a phone sends never leaves the house.
fn is_dialable(text: &str) -> bool {
    let number = text.strip_prefix('+').unwrap_or(text);
    let is_separator = |c: char| matches!(c, ' ' | '-' | '(' | ')' | '.');
    (1..=64).contains(&number.len())
        && number.chars().all(|c| c.is_ascii_digit() || matches!(c, '*' | '#') || is_separator(c))
        && number.chars().any(|c| c.is_ascii_digit() || matches!(c, '*' | '#'))
}

/// The number as E.164 where it reads as one, else as it was dialled.
fn as_e164(site: &Site, text: &str) -> String {
    E164::parse(text, site.region).map_or_else(|_| text.to_owned(), E164::as_string)
}

fn nowhere(to: String, cause: EndCause, why: String) -> Plan {
    Plan { record: false, ..plan(Goal::Nowhere { cause, why }, to) }
}

/// One about which the site says nothing besides.
fn plan(goal: Goal, to: String) -> Plan {
    Plan { goal, to, record: true, announce: false, beep_seconds: 0, source: None, others: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::fixtures::{SiteBuilder, number, prefix_number, route};

    fn site() -> Site {
        SiteBuilder::new()
            .agents(&["anna", "boris"])
            .queue("sales", &["anna"])
            .queue("empty", &[])
            .trunk("carrier")
            .trunk("branch")
            .number(number("+74951234567", "queue:sales"))
            .number(prefix_number("10", "user:anna"))
            .number(prefix_number("1001", "user:boris"))
            .number(prefix_number("99", "trunk:branch"))
            .route(route("", "carrier"))
            .route(route("+7495", "branch"))
            .route(route("9", "branch"))
            .build()
    }

    fn inbound(user_part: &str) -> Plan {
        inbound_of(&site(), user_part)
    }

    fn inbound_of(site: &Site, user_part: &str) -> Plan {
        plan_inbound(site, &"carrier".into(), user_part)
    }

    fn person(plan: &Plan) -> Option<&str> {
        if let Goal::Person(person) = &plan.goal { Some(person.agent.as_str()) } else { None }
    }

    fn outside(plan: &Plan) -> Option<(&str, &str)> {
        if let Goal::Outside { trunk, number } = &plan.goal { Some((trunk.as_str(), number.as_str())) } else { None }
    }

    fn refusal(plan: &Plan) -> Option<EndCause> {
        if let Goal::Nowhere { cause, .. } = plan.goal { Some(cause) } else { None }
    }

    #[test]
    fn a_number_is_found_however_the_carrier_writes_it() {
        for user_part in ["+74951234567", "74951234567", "84951234567", "4951234567"] {
            let plan = inbound(user_part);
            assert_eq!(plan.goal, Goal::Queue { queue: "sales".into(), answer: true, priority: 0 }, "{user_part}");
            assert_eq!(plan.to, "+74951234567");
            assert_eq!(plan.source.as_deref(), Some("site"));
            assert!(plan.record);
        }
    }

    #[test]
    fn the_longest_prefix_of_the_raw_user_part_wins() {
        assert_eq!(person(&inbound("1000")), Some("anna"));
        assert_eq!(person(&inbound("10015")), Some("boris"));
    }

    #[test]
    fn a_trunk_destination_passes_the_user_part_on_unchanged() {
        assert_eq!(outside(&inbound("9988*7")), Some(("branch", "9988*7")));
    }

    #[test]
    fn a_number_nobody_has_leads_nowhere() {
        assert_eq!(refusal(&inbound("+74950000000")), Some(EndCause::NoRoute));
        assert_eq!(refusal(&inbound("")), Some(EndCause::NoRoute));
    }

    #[test]
    fn an_extension_is_a_colleague_before_it_is_a_number() {
        assert_eq!(person(&plan_dialled(&site(), "101")), Some("boris"));
    }

    #[test]
    fn an_own_number_dialled_from_a_phone_stays_in_the_house() {
        let plan = plan_dialled(&site(), "8 (495) 123-45-67");
        assert_eq!(plan.goal, Goal::Queue { queue: "sales".into(), answer: true, priority: 0 });
    }

    #[test]
    fn an_outside_number_takes_the_longest_route_as_dialled_or_in_e164() {
        let plan = plan_dialled(&site(), "89160000001");
        assert_eq!(outside(&plan), Some(("carrier", "+79160000001")));
        assert_eq!(plan.to, "+79160000001");
        assert_eq!(outside(&plan_dialled(&site(), "84957654321")), Some(("branch", "+74957654321")));
        assert_eq!(outside(&plan_dialled(&site(), "955")), Some(("branch", "955")));
        assert_eq!(outside(&plan_dialled(&site(), "112")), Some(("carrier", "112")));
    }

    #[test]
    fn a_trunk_without_room_leaves_the_call_to_the_next_longest_route_and_the_last_to_nobody() {
        let mut site = site();
        site.routes[0].record = false;
        let by = |full: &[&str]| plan_dialled(&site, "84957654321").by_a_trunk_with_room(|trunk| !full.contains(&trunk.as_str()));
        let (first, second, none) = (by(&[]), by(&["branch"]), by(&["branch", "carrier"]));
        assert_eq!((outside(&first), first.record), (Some(("branch", "+74957654321")), true));
        assert_eq!((outside(&second), second.record), (Some(("carrier", "+74957654321")), false));
        assert_eq!(refusal(&none), Some(EndCause::TrunkFailed));
        assert_eq!(none.to, "+74957654321");
        let colleague = plan_dialled(&site, "100").by_a_trunk_with_room(|_| false);
        assert_eq!(person(&colleague), Some("anna"), "calls inside the house need no trunk");
    }

    #[test]
    fn of_number_and_queue_the_one_that_beeps_more_often_counts() {
        let mut site = site();
        site.numbers.push(Number { beep_seconds: 30, ..number("+74950000001", "queue:sales") });
        assert_eq!(inbound_of(&site, "+74950000001").beep_seconds, 30);
        site.queues.get_mut(&QueueId::new("sales")).unwrap().beep_seconds = 15;
        assert_eq!(inbound_of(&site, "+74950000001").beep_seconds, 15);
        site.routes.iter_mut().for_each(|route| route.beep_seconds = 60);
        let dialled = plan_dialled(&site, "84957654321");
        assert_eq!((dialled.beep_seconds, dialled.by_a_trunk_with_room(|_| false).beep_seconds), (60, 60));
    }

    #[test]
    fn a_number_that_forbids_recording_forbids_it_by_every_route() {
        let mut site = site();
        site.numbers.push(Number { record: false, ..number("+74950000001", "external:+74957654321") });
        let plan = inbound_of(&site, "+74950000001");
        assert!(!plan.record);
        assert!(!plan.by_a_trunk_with_room(|trunk| trunk.as_str() != "branch").record);
    }

    #[test]
    fn the_destination_grammar_may_be_typed() {
        assert_eq!(person(&plan_dialled(&site(), "user:boris")), Some("boris"));
        assert_eq!(person(&plan_dialled(&site(), "extension:100")), Some("anna"));
        assert!(matches!(plan_dialled(&site(), "queue:sales").goal, Goal::Queue { .. }));
        assert_eq!(outside(&plan_dialled(&site(), "external:+79160000001")), Some(("carrier", "+79160000001")));
    }

    #[test]
    fn what_is_not_there_is_refused_with_a_reason() {
        let cases = [
            ("queue:night", EndCause::NoRoute),
            ("queue:empty", EndCause::QueueUnavailable),
            ("extension:777", EndCause::NotFound),
            ("user:nobody", EndCause::NotFound),
            ("ivr:main", EndCause::NoRoute),
            ("voicemail:anna", EndCause::NoRoute),
            ("trunk:none", EndCause::NoRoute),
            ("anna@elsewhere", EndCause::NotFound),
            ("", EndCause::NotFound),
        ];
        for (dialled, cause) in cases {
            let plan = plan_dialled(&site(), dialled);
            assert_eq!(refusal(&plan), Some(cause), "{dialled}");
            assert!(matches!(&plan.goal, Goal::Nowhere { why, .. } if !why.is_empty()));
        }
    }

    #[test]
    fn numbers_that_lead_in_a_circle_are_refused() {
        let site = SiteBuilder::new()
            .trunk("carrier")
            .number(number("+74951234567", "external:+74951234568"))
            .number(number("+74951234568", "external:+74951234567"))
            .route(route("", "carrier"))
            .build();
        assert_eq!(refusal(&plan_inbound(&site, &"carrier".into(), "+74951234567")), Some(EndCause::NoRoute));
    }

    #[test]
    fn any_record_false_wins() {
        for (number_records, queue_records) in [(true, true), (true, false), (false, true), (false, false)] {
            let mut site = site();
            site.numbers[0].record = number_records;
            site.queues.get_mut("sales").unwrap().record = queue_records;
            let plan = plan_inbound(&site, &"carrier".into(), "+74951234567");
            assert_eq!(plan.record, number_records && queue_records);
        }
        let mut site = site();
        site.routes.iter_mut().for_each(|route| route.record = false);
        assert!(!plan_dialled(&site, "89160000001").record);
    }
}
