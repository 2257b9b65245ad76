//! WebRTC by a second implementation: aiortc, a peer in Python with its own ICE, DTLS, SRTP and codecs. It runs in
//! aiortc_peer.py; who uses it signals for it.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use super::puppet::Puppet;

/// One peer that says one tone. Ended when dropped.
pub struct Aiortc {
    puppet: Puppet,
}

/// The Python of scripts/install-test-tools.
const PYTHON: &str = "target/test-tools/python/bin/python";

impl Aiortc {
    pub fn new(hz: f32) -> Aiortc {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(root.join(PYTHON).exists(), "aiortc is missing: run scripts/install-test-tools");
        let set_up = |command: &mut Command| {
            command.arg(root.join(PYTHON)).arg(root.join("tests/it/support/aiortc_peer.py")).arg(hz.to_string());
        };
        Aiortc { puppet: Puppet::start(120, set_up) }
    }

    /// Its whole offer, with candidates.
    pub fn offer(&mut self) -> String {
        self.puppet.tell(&json!({"deed": "offer"}))["sdp"].as_str().unwrap().to_owned()
    }

    pub fn answer_to(&mut self, offer: &str) -> String {
        self.puppet.tell(&json!({"deed": "answer", "sdp": offer}))["sdp"].as_str().unwrap().to_owned()
    }

    pub fn take_answer(&mut self, answer: &str) {
        self.puppet.tell(&json!({"deed": "take", "sdp": answer}));
    }

    /// Waits until the last fifth of a second was this tone.
    pub fn hears(&mut self, hz: f32, patience: Duration) {
        let until = Instant::now() + patience;
        loop {
            let heard = self.puppet.tell(&json!({"deed": "heard", "tones": [hz]}));
            if heard["loud"].as_f64().unwrap() > 10_000.0 && heard["shares"][0].as_f64().unwrap() > 0.8 {
                return;
            }
            assert!(Instant::now() < until, "aiortc does not hear {hz} Hz: {heard}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
