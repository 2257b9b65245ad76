//! Puts a call centre on its feet: registered desk phones, ready agents.

use serde_json::{Value, json};

use crate::support::server::{Api, Server, Setup};
use crate::support::sipp::Sipp;
use crate::support::sites;

/// A server with `agents` ready agents whose phones all live on one UDP port.
pub struct CallCentre {
    pub server: Server,
    pub root: Api,
    pub carrier: u16,
    pub phones: u16,
}

impl CallCentre {
    pub async fn with_agents(agents: usize) -> CallCentre {
        CallCentre::open(Setup::default(), agents).await
    }

    /// The setup's own site is added to the centre's.
    pub async fn open(setup: Setup, agents: usize) -> CallCentre {
        let (carrier, phones) = (crate::support::server::free_port(), crate::support::server::free_port());
        let site = format!("{}\n{}", sites::call_centre(agents, carrier), setup.site);
        let server = Server::start(Setup { site, ..setup });
        let root = server.api("root");
        let centre = CallCentre { server, root, carrier, phones };
        centre.register(agents);
        centre.make_ready(agents).await;
        centre
    }

    /// Registers every desk phone.
    pub fn register(&self, agents: usize) {
        let phones: Vec<(String, String)> = (0..agents).map(|index| (sites::extension(index), sites::password(index))).collect();
        Sipp::register(self.server.sip, self.phones, &phones);
    }

    /// Signs every agent in as ready and waits until the floor has them with their phones.
    pub async fn make_ready(&self, agents: usize) {
        for index in 0..agents {
            let path = format!("agents/{}/state", sites::login(index));
            let (status, answer) = self.root.send("PUT", &path, json!({"state": "ready"})).await;
            assert!(status < 300, "{status} {answer}");
        }
        let is_ready = |agent: &&Value| agent["state"] == "ready" && agent["registered"] == true;
        self.root
            .until("agents?limit=1000", |list| {
                (list["items"].as_array()?.iter().filter(is_ready).count() == agents).then_some(())
            })
            .await;
    }

    /// Every item of a list, page after page.
    pub async fn all(&self, list: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.root.get(&format!("{list}?limit=500{cursor}")).await;
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }
}
