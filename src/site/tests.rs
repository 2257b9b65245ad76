//! The site file as a whole: parse, plan, build, export.

use super::items::Items;
use super::*;
use crate::media::codec::Codec;
use crate::types::{AgentId, QueueId};

const FILE: &str = r#"
region = "RU"
language = "en"

[[user]]
login = "anna"
name = "Anna"
password = "secret"
extension = "101"
sip_password = "phone"

[[trunk]]
name = "carrier"
targets = ["127.0.0.1:5080"]
accept_from = ["127.0.0.1/32"]

[[queue]]
name = "sales"
members = ["anna"]

[[number]]
number = "8 (495) 123-45-67"
to = "queue:sales"

[[number]]
number = "7495*"
to = "extension:101"
record = false

[[route]]
prefix = ""
trunk = "carrier"
"#;

/// A hash that shows what it was made from.
struct Plain;

impl Passwords for Plain {
    fn matches(&self, password: &str, hash: &str) -> bool {
        hash == format!("hash of {password}")
    }

    fn hash(&self, password: &str) -> String {
        format!("hash of {password}")
    }
}

fn read(text: &str) -> Result<SiteFile, Vec<Problem>> {
    parse(text, &|name| (name == "PHONE").then(|| "from the environment".to_string()))
}

fn plan_on(stored: &Items, text: &str) -> Result<Plan, Vec<Problem>> {
    plan(stored, read(text)?, false, &Plain)
}

fn only_problem(text: &str) -> Problem {
    let mut found = plan_on(&Items::default(), text).unwrap_err();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn a_site_file_becomes_a_site_with_hashed_secrets() {
    let plan = plan_on(&Items::default(), FILE).unwrap();
    let anna = &plan.site.users["anna"];
    assert_eq!(anna.password_hash.as_deref(), Some("hash of secret"));
    assert_eq!(anna.sip_ha1, Some(apply::sip_ha1("101", "phone")));
    assert_eq!(plan.site.numbers[0].pattern, NumberPattern::parse("+74951234567", crate::types::Region::RU).unwrap());
    assert_eq!(plan.site.queues["sales"].ring_seconds, 20);
    assert_eq!(plan.changes.len(), 8, "{:?}", plan.changes);
}

#[test]
fn applying_the_same_file_again_changes_nothing() {
    let first = plan_on(&Items::default(), FILE).unwrap();
    let second = plan_on(&first.items, FILE).unwrap();
    assert_eq!(second.changes, []);
    assert_eq!(second.items, first.items);
}

#[test]
fn what_export_writes_gives_the_same_site_on_an_empty_server() {
    let first = plan_on(&Items::default(), FILE).unwrap();
    let exported = apply::export(&first.items).unwrap();
    assert!(!exported.contains("secret") || exported.contains("hash of secret"), "{exported}");
    let second = plan_on(&Items::default(), &exported).unwrap();
    assert_eq!(second.site, first.site);
}

#[test]
fn absent_items_stay_unless_pruned() {
    let stored = plan_on(&Items::default(), FILE).unwrap().items;
    let small = "[[user]]\nlogin = \"boris\"\n";
    assert_eq!(plan_on(&stored, small).unwrap().site.users.len(), 2);
    let pruned = plan(&stored, read(small).unwrap(), true, &Plain).unwrap();
    assert_eq!(pruned.site.users.len(), 1);
    assert!(pruned.site.queues.is_empty());
}

#[test]
fn an_item_without_its_password_keeps_the_stored_one() {
    let stored = plan_on(&Items::default(), FILE).unwrap().items;
    let plan = plan_on(&stored, "[[user]]\nlogin = \"anna\"\nname = \"Anna K.\"\nextension = \"101\"\n").unwrap();
    assert_eq!(plan.site.users["anna"].password_hash.as_deref(), Some("hash of secret"));
    assert!(plan.site.users["anna"].sip_ha1.is_some());
}

#[test]
fn an_unknown_key_is_told_with_its_line_and_the_nearest_known_one() {
    let problem = only_problem("region = \"RU\"\n\n[[queue]]\nname = \"sales\"\nring_second = 5\n");
    assert_eq!(problem.line, 5);
    assert!(problem.message.contains("did you mean \"ring_seconds\"?"), "{}", problem.message);
}

#[test]
fn a_name_that_does_not_exist_is_told_with_its_line() {
    let problem = only_problem("[[user]]\nlogin = \"anna\"\n\n[[queue]]\nname = \"sales\"\nmembers = [\"ana\"]\n");
    assert_eq!((problem.line, problem.key.as_str()), (6, "queue.sales.members"));
    assert!(problem.message.contains("did you mean \"anna\"?"), "{}", problem.message);
}

#[test]
fn all_problems_are_told_at_once() {
    let text = "[[number]]\nnumber = \"abc\"\nto = \"queue:none\"\n\n[[number]]\nnumber = \"+74950000000\"\nto = \"fax:1\"\n\n[[route]]\ntrunk = \"none\"\n";
    let found = plan_on(&Items::default(), text).unwrap_err();
    let lines: Vec<usize> = found.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [2, 7, 10], "{found:?}");
}

#[test]
fn a_value_may_come_from_the_environment_and_a_missing_one_is_named() {
    let plan =
        plan_on(&Items::default(), "[[user]]\nlogin = \"anna\"\nextension = \"101\"\nsip_password = \"env:PHONE\"\n").unwrap();
    assert_eq!(plan.site.users["anna"].sip_ha1, Some(apply::sip_ha1("101", "from the environment")));
    let problem = only_problem("[[user]]\nlogin = \"anna\"\npassword = \"env:NOWHERE\"\n");
    assert_eq!(problem.line, 3);
    assert!(problem.message.contains("NOWHERE"));
}

#[test]
fn an_item_that_stands_twice_is_a_problem() {
    let found = read("[[user]]\nlogin = \"anna\"\n[[user]]\nlogin = \"anna\"\n").unwrap_err();
    assert_eq!(found[0].line, 3);
}

#[test]
fn a_syntax_error_has_a_line() {
    assert_eq!(read("region = \"RU\"\nregion\n").unwrap_err()[0].line, 2);
}

#[test]
fn networks_hold_what_lies_in_them() {
    let holds = |network: &str, from: &str| Network::parse(network).unwrap().holds(from.parse().unwrap());
    assert!(holds("127.0.0.1/32", "127.0.0.1:9"));
    assert!(holds("10.0.0.0/8:5060", "10.9.9.9:5060"));
    assert!(!holds("10.0.0.0/8:5060", "10.9.9.9:5061"));
    assert!(!holds("10.0.0.0/8", "11.0.0.0:1"));
    assert!(holds("0.0.0.0/0", "203.0.113.1:1"));
    assert!(holds("::/0", "[2001:db8::1]:1"));
    assert!(holds("192.0.2.1/32", "[::ffff:192.0.2.1]:1"));
    assert_eq!(Network::parse("10.0.0.0/33"), None);
}

#[test]
fn targets_read_with_port_transport_and_ipv6() {
    let target = |text: &str| Target::parse(text).map(|target| (target.host, target.port, target.tcp));
    assert_eq!(target("sip.example.com"), Some(("sip.example.com".into(), 5060, false)));
    assert_eq!(target("127.0.0.1:5080;transport=tcp"), Some(("127.0.0.1".into(), 5080, true)));
    assert_eq!(target("[2001:db8::1]:5070"), Some(("2001:db8::1".into(), 5070, false)));
    assert_eq!(target("host:port"), None);
    assert_eq!(target(""), None);
}

#[test]
fn codecs_and_protection_of_audio_are_read_and_mistakes_are_named() {
    let plan = plan_on(
        &Items::default(),
        "[[user]]\nlogin = \"anna\"\ncodecs = [\"pcma\", \"opus\"]\nsrtp = \"required\"\n[[trunk]]\nname = \"t\"\ntargets = [\"h\"]\n",
    )
    .unwrap();
    let (anna, trunk) = (&plan.site.users["anna"], &plan.site.trunks["t"]);
    assert_eq!((&anna.codecs[..], anna.srtp), (&[Codec::Pcma, Codec::Opus][..], Srtp::Required));
    assert_eq!((&trunk.codecs[..], trunk.srtp), (&TRUNK_CODECS[..], Srtp::Off));
    let problem = only_problem("[[user]]\nlogin = \"anna\"\ncodecs = [\"G729\"]\n");
    assert_eq!((problem.line, problem.key.as_str()), (3, "user.anna.codecs"));
    assert!(problem.message.contains("PCMA, PCMU, G722, opus"), "{}", problem.message);
    only_problem("[[user]]\nlogin = \"anna\"\ncodecs = [\"PCMA\", \"pcma\"]\n");
    assert!(plan_on(&Items::default(), "[[user]]\nlogin = \"anna\"\nsrtp = \"yes\"\n").is_err());
}

#[test]
fn beeps_of_recorded_calls_are_read_everywhere_and_senseless_ones_are_named() {
    let text = "[[user]]\nlogin = \"anna\"\nbeep_seconds = 20\n[[trunk]]\nname = \"t\"\ntargets = [\"h\"]\n\
        [[queue]]\nname = \"sales\"\nmembers = [\"anna\"]\nbeep_seconds = 15\n\
        [[number]]\nnumber = \"+74951234567\"\nto = \"queue:sales\"\nbeep_seconds = 30\n\
        [[route]]\nprefix = \"8\"\ntrunk = \"t\"\nbeep_seconds = 5\n";
    let site = plan_on(&Items::default(), text).unwrap().site;
    let (user, queue) = (&site.users[&AgentId::new("anna")], &site.queues[&QueueId::new("sales")]);
    let seconds = [user.beep_seconds, queue.beep_seconds, site.numbers[0].beep_seconds, site.routes[0].beep_seconds];
    assert_eq!(seconds, [20, 15, 30, 5]);
    for senseless in [1, 4, 601] {
        let problem = only_problem(&format!("[[user]]\nlogin = \"anna\"\nbeep_seconds = {senseless}\n"));
        assert_eq!((problem.line, problem.key.as_str()), (3, "user.anna.beep_seconds"));
    }
}
