//! Telephones in a real browser, each with its own tone: bare JsSIP in tabs (ui/e2e/phones.mjs), or agents' pages of the
//! desk with the phone in them (ui/e2e/agents.mjs).

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::puppet::Puppet;
use super::server::{Api, Server};

/// Chromium with the tabs of one test. Closed when dropped.
pub struct Browser {
    puppet: Puppet,
}

/// How long the slowest thing a tab does may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

impl Browser {
    pub fn open(server: &Server) -> Browser {
        Browser::run("e2e/phones.mjs", server)
    }

    /// For pages of the desk itself.
    pub fn of_agents(server: &Server) -> Browser {
        Browser::run("e2e/agents.mjs", server)
    }

    fn run(script: &str, server: &Server) -> Browser {
        let ui = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui");
        assert!(ui.join("node_modules/jssip").exists(), "the desk's packages are missing: run `make test`");
        let set_up = |command: &mut Command| {
            command.args(["node", script]).arg(format!("http://{}", server.http)).current_dir(ui);
        };
        Browser { puppet: Puppet::start(300, set_up) }
    }

    /// Does something in a tab.
    pub fn tell(&mut self, page: &str, deed: &str, mut with: Value) -> Value {
        with["page"] = page.into();
        with["deed"] = deed.into();
        self.puppet.tell(&with)
    }

    /// Asks a tab until it is so.
    pub fn until(&mut self, page: &str, question: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let answer = self.tell(page, question, json!({}));
            if wanted(&answer) {
                return answer;
            }
            assert!(Instant::now() < until, "{page} waited in vain until it {what}; it is {answer}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The strip on top of an agent's page says all this.
    pub fn strip(&mut self, page: &str, words: &[&str]) -> String {
        let says = |strip: &Value| words.iter().all(|word| strip.as_str().is_some_and(|text| text.contains(word)));
        let strip = self.until(page, "strip", &format!("says {words:?}"), says);
        strip.as_str().expect("text").to_owned()
    }

    pub fn press(&mut self, page: &str, keys: &str) {
        self.tell(page, "press", json!({"keys": keys}));
    }

    /// A tab with a registered telephone of the person whose API this is.
    pub async fn phone(&mut self, page: &str, api: &Api, hz: f32) {
        self.tell(page, "open", json!({}));
        self.register(page, api, hz, None).await;
    }

    /// `codec`: the only one it speaks, by its SDP name.
    pub async fn register(&mut self, page: &str, api: &Api, hz: f32, codec: Option<&str>) {
        let (status, credentials) = api.send("POST", "me/phone", json!({})).await;
        assert!(status < 300, "{status} {credentials}");
        self.tell(page, "register", json!({"credentials": credentials, "hz": hz, "codec": codec}));
        self.until(page, "state", "is registered", |state| state["registered"] == true);
    }

    /// This tone and nothing else.
    pub fn hears_only(&mut self, page: &str, hz: f32) {
        self.hears(page, &[hz]);
    }

    /// These tones together and nothing else.
    pub fn hears(&mut self, page: &str, tones: &[f32]) {
        self.until(page, "heard", &format!("hears only {tones:?} Hz"), |heard| is_made_of(heard, tones));
    }

    pub fn hears_nothing(&mut self, page: &str) {
        self.until(page, "heard", "hears nothing", |heard| heard.as_array().is_some_and(Vec::is_empty));
    }

    pub fn rings(&mut self, page: &str) {
        self.until(page, "state", "rings", |state| state["ringing"] == true);
    }

    pub fn talks(&mut self, page: &str) {
        self.until(page, "state", "talks", |state| state["talking"] == true);
    }
}

/// A tone is told within two steps of the analyser.
fn is_made_of(heard: &Value, tones: &[f32]) -> bool {
    let near = |peak: &Value, hz: f32| (peak["hz"].as_f64().unwrap_or(0.0) as f32 - hz).abs() < 15.0;
    let peaks = heard.as_array().cloned().unwrap_or_default();
    tones.iter().all(|hz| peaks.iter().any(|peak| near(peak, *hz)))
        && peaks.iter().all(|peak| tones.iter().any(|hz| near(peak, *hz)))
}
