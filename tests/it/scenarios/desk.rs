//! The desk in a real browser on the real server: sign-in, a ringing call with its card, the recording played back, in
//! both languages. The steps stand in ui/e2e/server.mjs; screenshots are left in ui/e2e/shots.

use std::path::Path;
use std::process::Command;

use crate::support::server::{Server, Setup, binary};

#[test]
fn a_person_sees_the_card_and_plays_the_recording_in_both_languages() {
    let ui = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui");
    assert!(ui.join("node_modules/playwright-core").exists(), "the desk's packages are missing: run `make test`");
    let server = Server::start(Setup { demo: true, ..Setup::default() });
    let output = Command::new("timeout")
        .args(["-k", "1", "240", "node", "e2e/server.mjs"])
        .arg(format!("http://{}", server.http))
        .arg(binary())
        .arg(server.sip.to_string())
        .current_dir(ui)
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
}
