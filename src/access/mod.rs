//! Who may see what and do what: one answer for the HTTP API, the live stream and the lists, so that they cannot differ.
//!
//! The rule in one line: an agent sees their own, a supervisor what belongs to their queues and their team, support and
//! admin everything. This room only compares plain values; `web` asks it on every request and for every event.

mod act;
mod see;

use std::collections::BTreeSet;

pub use act::{Action, Denied, may};
pub use see::{Scope, sees_agent, sees_call, sees_client, sees_event, sees_queue, sees_recording};

use crate::site::{Role, Site};
use crate::types::{AgentId, QueueId};

/// A signed-in person with everything the rules compare, taken from one snapshot of the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewer {
    pub login: AgentId,
    pub role: Role,
    pub team: Option<String>,
    /// Queues this person supervises; empty unless the role is `supervisor`.
    pub supervises: BTreeSet<QueueId>,
    /// Everyone of the same team, this person included; only this person when there is no team.
    pub team_mates: BTreeSet<AgentId>,
    /// Members of the supervised queues.
    pub floor: BTreeSet<AgentId>,
    /// Queues this person takes calls from.
    pub member_of: BTreeSet<QueueId>,
}

impl Viewer {
    /// `None` when the site knows no such login: whoever held a session or a token has lost it.
    pub fn of(site: &Site, login: &str) -> Option<Viewer> {
        let user = site.users.get(login)?;
        let mut team_mates = BTreeSet::from([user.login.clone()]);
        if user.team.is_some() {
            team_mates.extend(site.users.values().filter(|mate| mate.team == user.team).map(|mate| mate.login.clone()));
        }
        let supervised = || {
            let leads = user.role == Role::Supervisor;
            site.queues.values().filter(move |queue| leads && queue.supervisors.contains(&user.login))
        };
        Some(Viewer {
            login: user.login.clone(),
            role: user.role,
            team: user.team.clone(),
            supervises: supervised().map(|queue| queue.name.clone()).collect(),
            team_mates,
            floor: supervised().flat_map(|queue| queue.members.iter().cloned()).collect(),
            member_of: site
                .queues
                .values()
                .filter(|queue| queue.members.contains(&user.login))
                .map(|queue| queue.name.clone())
                .collect(),
        })
    }

    /// Support and admin: no limits on what is seen.
    pub fn sees_all(&self) -> bool {
        matches!(self.role, Role::Support | Role::Admin)
    }

    /// Whether this person leads `agent`: a supervisor their team and the members of their queues, support and admin everyone.
    pub fn leads(&self, agent: &AgentId) -> bool {
        match self.role {
            Role::Agent => false,
            Role::Supervisor => self.team_mates.contains(agent) || self.floor.contains(agent),
            Role::Support | Role::Admin => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{CallId, CallKind, CallState, CallView, LegId, LegRole, LegState, LegView, Party, Wall};

    /// anna and olga of team sales; boris of no team; queue sales: anna and boris, led by olga.
    fn site() -> Site {
        let people =
            [("anna", Role::Agent, Some("sales")), ("boris", Role::Agent, None), ("olga", Role::Supervisor, Some("sales"))];
        let mut site = Site::default();
        for (login, role, team) in people.into_iter().chain([("ada", Role::Admin, None), ("pavel", Role::Supervisor, None)]) {
            let user = crate::site::User {
                login: login.into(),
                name: login.into(),
                password_hash: None,
                role,
                team: team.map(Into::into),
                extension: None,
                sip_ha1: None,
                skills: Default::default(),
                record: true,
                beep_seconds: 0,
                codecs: crate::site::USER_CODECS.to_vec(),
                srtp: crate::site::Srtp::Off,
            };
            site.users.insert(user.login.clone(), user);
        }
        let queue = crate::site::Queue {
            name: "sales".into(),
            strategy: crate::site::Strategy::LongestIdle,
            members: vec!["anna".into(), "boris".into()],
            // A supervisor's place given to an agent by mistake gives no rights.
            supervisors: vec!["olga".into(), "boris".into()],
            ring_seconds: 20,
            wrap_up_seconds: 0,
            answer: true,
            record: true,
            announce: false,
            beep_seconds: 0,
        };
        site.queues.insert(queue.name.clone(), queue);
        site
    }

    fn viewer(login: &str) -> Viewer {
        Viewer::of(&site(), login).unwrap()
    }

    fn call_of(agent: &str, state: LegState) -> CallView {
        let at = Wall::from_micros(0);
        let leg = LegView {
            id: LegId(1),
            role: LegRole::Agent,
            state,
            party: Party::default(),
            agent: Some(agent.into()),
            trunk: None,
            started_at: at,
            answered_at: None,
            ended_at: None,
        };
        CallView {
            id: CallId(uuid::Uuid::nil()),
            kind: CallKind::Inbound,
            state: CallState::Offered,
            from: Party::default(),
            to: String::new(),
            trunk: None,
            queue: None,
            agent: None,
            card_id: None,
            source: None,
            started_at: at,
            answered_at: None,
            ended_at: None,
            cause: None,
            ended_by: None,
            recording_id: None,
            legs: vec![leg],
            consult_of: None,
            merged_into: None,
        }
    }

    #[test]
    fn who_is_unknown_to_the_site_is_nobody() {
        assert_eq!(Viewer::of(&site(), "nobody"), None);
        assert_eq!(Viewer::of(&site(), ""), None);
    }

    #[test]
    fn a_supervisor_leads_the_team_and_the_queues_members_and_an_agent_leads_nobody() {
        for (login, anna, boris, ada) in [
            ("anna", false, false, false),
            ("boris", false, false, false),
            ("olga", true, true, false),
            ("pavel", false, false, false),
            ("ada", true, true, true),
        ] {
            let leads = |agent: &str| viewer(login).leads(&agent.into());
            assert_eq!((leads("anna"), leads("boris"), leads("ada")), (anna, boris, ada), "{login}");
        }
        assert!(viewer("boris").supervises.is_empty());
    }

    #[test]
    fn people_without_a_team_are_not_a_team() {
        assert!(!sees_client(&viewer("boris"), Some(&"pavel".into())));
        assert!(sees_client(&viewer("boris"), Some(&"boris".into())) && sees_client(&viewer("boris"), None));
        assert!(!sees_agent(&viewer("boris"), &"ada".into(), &[]));
        assert!(sees_agent(&viewer("boris"), &"anna".into(), &["sales".into()]), "they share a queue");
    }

    #[test]
    fn a_call_that_only_rang_is_in_the_list_but_is_neither_heard_nor_hung_up() {
        let boris = viewer("boris");
        let (ringing, missed) = (call_of("boris", LegState::Ringing), call_of("boris", LegState::Ended));
        assert_eq!(may(&boris, Action::HangUp(&ringing)), Ok(()));
        assert_eq!(may(&boris, Action::OpenCall(&missed)), Ok(()));
        assert_eq!(may(&boris, Action::OpenRecording(&missed)), Err(Denied::NotYours));
        assert_eq!(may(&boris, Action::HangUp(&missed)), Err(Denied::NotYours));
        assert_eq!(may(&viewer("ada"), Action::OpenRecording(&missed)), Ok(()));
    }

    #[test]
    fn a_card_is_given_away_by_those_who_lead_both_owners() {
        let assign = |login: &str, from: Option<&str>, to: Option<&str>| {
            let (from, to) = (from.map(AgentId::new), to.map(AgentId::new));
            may(&viewer(login), Action::AssignClient { from: from.as_ref(), to: to.as_ref() }).is_ok()
        };
        assert!(assign("anna", None, Some("anna")) && assign("anna", Some("anna"), None));
        assert!(!assign("anna", Some("anna"), Some("boris")) && !assign("anna", Some("boris"), Some("anna")));
        assert!(assign("olga", Some("anna"), Some("boris")) && !assign("olga", Some("ada"), Some("anna")));
        assert!(assign("ada", Some("olga"), Some("boris")));
    }
}
