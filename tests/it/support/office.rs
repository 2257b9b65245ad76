//! A small office on the real server: a carrier's phone, agents with their own phones and tones, and everything that
//! happens, as events.

use std::time::Duration;

use perezvon::support::phone::{Answering, Phone, PhoneCall, PhoneSetup, Says};
use serde_json::{Value, json};

use super::server::{Api, Live, Server, Setup, free_port};
use super::sites;

/// What the client says; the agents' tones follow, 200 Hz apart.
pub const CLIENT_HZ: f32 = 440.0;
/// Long enough for anything that works.
pub const SOON: Duration = Duration::from_secs(8);
pub const NUMBER: &str = "74951234567";

pub fn agent_hz(index: usize) -> f32 {
    900.0 + 200.0 * index as f32
}

pub struct Office {
    pub server: Server,
    pub root: Api,
    pub live: Live,
    /// The client behind the carrier; also the phone that outbound calls reach.
    pub client: Phone,
    pub agents: Vec<Phone>,
    /// The port that the site knows the carrier by.
    pub carrier: u16,
}

impl Office {
    /// `agents` people with registered phones that ring until told otherwise; all are ready.
    pub async fn open(agents: usize, more_site: &str, more_config: &str) -> Office {
        Office::open_with(Setup { more_config: more_config.into(), ..Setup::default() }, agents, more_site).await
    }

    pub async fn open_with(setup: Setup, agents: usize, more_site: &str) -> Office {
        let carrier = free_port();
        let site = format!("{}\n{more_site}", sites::call_centre(agents, carrier));
        let server = Server::start(Setup { site, ..setup });
        let root = server.api("root");
        let live = Live::open(&server, &root.token, None).await;
        let client = PhoneSetup {
            local: ([127, 0, 0, 1], carrier).into(),
            answering: Answering::Rings,
            says: Says::Tone { hz: CLIENT_HZ },
            ..PhoneSetup::new(server.sip, "79160000001", "")
        };
        let client = Phone::switch_on(client).unwrap();
        let mut office = Office { server, root, live, client, agents: Vec::new(), carrier };
        for index in 0..agents {
            office.hire(index).await;
        }
        office
    }

    async fn hire(&mut self, index: usize) {
        let phone = Phone::switch_on(self.desk_phone(index)).unwrap();
        phone.register(Duration::from_secs(300)).await.unwrap();
        self.agents.push(phone);
        self.set_ready(index).await;
    }

    pub fn desk_phone(&self, index: usize) -> PhoneSetup {
        PhoneSetup {
            answering: Answering::Rings,
            says: Says::Tone { hz: agent_hz(index) },
            ..PhoneSetup::new(self.server.sip, &sites::extension(index), &sites::password(index))
        }
    }

    /// Ready, and the floor knows the phone.
    pub async fn set_ready(&self, index: usize) {
        let login = sites::login(index);
        let (status, answer) = self.root.send("PUT", &format!("agents/{login}/state"), json!({"state": "ready"})).await;
        assert!(status < 300, "{status} {answer}");
        self.agent_becomes(index, |agent| agent["state"] == "ready" && agent["registered"] == true).await;
    }

    pub async fn agent_becomes(&self, index: usize, wanted: impl Fn(&Value) -> bool) -> Value {
        let login = sites::login(index);
        self.root
            .until("agents?limit=1000", |list| {
                list["items"].as_array()?.iter().find(|agent| agent["login"] == login && wanted(agent)).cloned()
            })
            .await
    }

    /// The client calls the office's number.
    pub async fn client_calls(&self) -> PhoneCall {
        self.client.dial(NUMBER).await.unwrap()
    }

    /// The next call at an agent's phone.
    pub async fn rings_at(&mut self, index: usize) -> PhoneCall {
        let call = tokio::time::timeout(SOON, self.agents[index].next_call()).await.expect("the agent's phone rings in time");
        call.unwrap()
    }

    /// The next `call.ended`, with every event before it.
    pub async fn until_ended(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let event = self.live.next().await;
            let is_last = event["type"] == "call.ended";
            events.push(event);
            if is_last {
                return events;
            }
        }
    }

    /// An event of this type among `events`, or the next that comes.
    pub async fn live_or(&mut self, events: &[Value], kind: &str) -> Value {
        match events.iter().find(|event| event["type"] == kind) {
            Some(event) => event.clone(),
            None => self.live.until(kind).await,
        }
    }

    /// The recording of a call when it is ready: its view, rate and channels.
    pub async fn recording_of(&self, call_id: &str) -> (Value, u32, Vec<i16>, Vec<i16>) {
        let view = self
            .root
            .until("recordings", |list| {
                list["items"].as_array()?.iter().find(|item| item["call_id"] == call_id && item["state"] == "ready").cloned()
            })
            .await;
        let path = format!("recordings/{}/audio", view["id"].as_str().unwrap());
        let (rate, left, right) = super::server::wav_channels_of(&self.root.bytes(&path).await);
        (view, rate, left, right)
    }
}

/// The types of events, for comparing a story.
pub fn story(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).filter(|kind| *kind != "agent.state_changed").collect()
}

pub fn ended(events: &[Value]) -> &Value {
    &events.iter().find(|event| event["type"] == "call.ended").expect("the call ended")["data"]
}
