//! WebRTC by a second implementation: aiortc, a peer in Python with its own ICE, DTLS, SRTP and codecs. It runs in
//! aiortc_peer.py, which takes one JSON command a line and answers each with one; who uses it signals for it.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// One peer that says one tone. Ended when dropped.
pub struct Aiortc {
    child: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// The Python of scripts/install-test-tools.
const PYTHON: &str = "target/test-tools/python/bin/python";

impl Aiortc {
    pub fn new(hz: f32) -> Aiortc {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(root.join(PYTHON).exists(), "aiortc is missing: run scripts/install-test-tools");
        let mut child = Command::new("timeout")
            .args(["-k", "1", "120"])
            .arg(root.join(PYTHON))
            .arg(root.join("tests/it/support/aiortc_peer.py"))
            .arg(hz.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        Aiortc { child, commands, answers }
    }

    fn tell(&mut self, command: Value) -> Value {
        writeln!(self.commands, "{command}").unwrap();
        let answer: Value = serde_json::from_str(&self.answers.next().expect("aiortc is there").unwrap()).unwrap();
        assert!(answer["error"].is_null(), "{}: {answer}", command["deed"]);
        answer["ok"].clone()
    }

    /// Its whole offer, with candidates.
    pub fn offer(&mut self) -> String {
        self.tell(json!({"deed": "offer"}))["sdp"].as_str().unwrap().to_owned()
    }

    pub fn answer_to(&mut self, offer: &str) -> String {
        self.tell(json!({"deed": "answer", "sdp": offer}))["sdp"].as_str().unwrap().to_owned()
    }

    pub fn take_answer(&mut self, answer: &str) {
        self.tell(json!({"deed": "take", "sdp": answer}));
    }

    /// Waits until the last fifth of a second was this tone.
    pub fn hears(&mut self, hz: f32, patience: Duration) {
        let until = Instant::now() + patience;
        loop {
            let heard = self.tell(json!({"deed": "heard", "tones": [hz]}));
            if heard["loud"].as_f64().unwrap() > 10_000.0 && heard["shares"][0].as_f64().unwrap() > 0.8 {
                return;
            }
            assert!(Instant::now() < until, "aiortc does not hear {hz} Hz: {heard}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Aiortc {
    fn drop(&mut self) {
        // SAFETY: the pid is our own child's, which has not been waited for.
        unsafe { libc::kill(i32::try_from(self.child.id()).expect("a pid"), libc::SIGTERM) };
        let _ = self.child.wait();
    }
}
