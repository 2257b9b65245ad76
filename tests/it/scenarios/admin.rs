//! The administrator's commands on a running server and on its folder.

use serde_json::json;

use crate::support::server::{Server, Setup};
use crate::support::sites;

#[test]
fn a_site_file_is_checked_applied_to_the_running_server_and_exported_back() {
    let server = Server::start(Setup { site: sites::call_centre(1, 5080), ..Setup::default() });
    let site = server.folder.path().join("more.toml");
    std::fs::write(&site, "[[queue]]\nname = \"support\"\nmembers = [\"agent9\"]\n").unwrap();
    let path = site.to_str().unwrap();
    let (code, _, error) = server.command(&["check", path], "");
    assert_eq!(code, 1);
    assert!(error.contains("more.toml:3: queue.support.members: there is no user \"agent9\""), "{error}");

    std::fs::write(&site, "[[queue]]\nname = \"support\"\nmembers = [\"agent0\"]\n").unwrap();
    let (code, said, error) = server.command(&["apply", path, "--dry-run"], "");
    assert_eq!((code, said.as_str()), (0, "+ queue support\ndry run: nothing was changed\n"), "{error}");
    let (code, said, error) = server.command(&["apply", path], "");
    assert_eq!((code, said.as_str()), (0, "+ queue support\napplied\n"), "{error}");
    let (_, said, _) = server.command(&["apply", path], "");
    assert_eq!(said, "nothing to change\n");

    let (code, exported, _) = server.command(&["export"], "");
    assert_eq!(code, 0);
    assert!(
        exported.contains("[[queue]]") && exported.contains("name = \"support\"") && exported.contains("sip_ha1"),
        "{exported}"
    );
    assert!(!exported.contains("sip_password"), "{exported}");
}

#[test]
fn a_start_that_is_refused_is_no_crash_and_does_not_move_seq() {
    let mut server = Server::start(Setup { site: sites::call_centre(1, 5080), ..Setup::default() });
    assert_eq!(server.stop(), Some(0));
    // The port of HTTP is bound last, when everything else is open.
    let taken = std::net::TcpListener::bind(server.http).unwrap();
    for _ in 0..2 {
        let (code, _, error) = server.command(&["serve"], "");
        assert_eq!(code, 1);
        assert!(error.contains(&server.http.to_string()), "{error}");
        assert!(!error.contains("did not stop cleanly"), "{error}");
    }
    drop(taken);
    let site = server.folder.path().join("site.toml");
    let good = std::fs::read_to_string(&site).unwrap();
    std::fs::write(&site, "[[queue]]\nname = \"x\"\nmembers = [\"nobody\"]\n").unwrap();
    let (code, _, error) = server.command(&["serve"], "");
    assert_eq!(code, 1);
    assert!(error.contains("there is no user \"nobody\""), "{error}");
    std::fs::write(&site, good).unwrap();
    server.restart();
    assert!(!server.log().contains("did not stop cleanly"), "{}", server.log());
    server.kill();
    server.restart();
    assert!(server.log().contains("did not stop cleanly"), "a real crash is still seen");
}

#[tokio::test]
async fn people_are_added_and_change_passwords_and_are_signed_out_everywhere() {
    let server = Server::start(Setup { site: sites::call_centre(1, 5080), ..Setup::default() });
    let (code, _, error) = server.command(&["user", "add", "olga", "--role", "supervisor", "--name", "Olga"], "first secret\n");
    assert_eq!(code, 0, "{error}");
    let client = reqwest::Client::builder().cookie_store(true).build().unwrap();
    let url = format!("http://{}/api/v1", server.http);
    let sign_in = |password: &'static str| {
        client.post(format!("{url}/session")).json(&json!({"login": "olga", "password": password})).send()
    };
    assert_eq!(sign_in("first secret").await.unwrap().status(), 204);
    assert_eq!(client.get(format!("{url}/me")).send().await.unwrap().status(), 200);
    let (code, _, error) = server.command(&["user", "passwd", "olga"], "second secret\n");
    assert_eq!(code, 0, "{error}");
    assert_eq!(client.get(format!("{url}/me")).send().await.unwrap().status(), 401);
    assert_eq!(sign_in("first secret").await.unwrap().status(), 401);
    assert_eq!(sign_in("second secret").await.unwrap().status(), 204);
}

#[test]
fn without_a_server_the_same_commands_work_on_the_folder_and_a_second_server_is_refused() {
    let mut server = Server::start(Setup { site: sites::call_centre(1, 5080), ..Setup::default() });
    let (code, _, error) = server.command(&["serve"], "");
    assert_eq!(code, 1);
    assert!(error.contains("another perezvon works on this data folder"), "{error}");
    assert_eq!(server.stop(), Some(0));
    let (code, exported, error) = server.command(&["export"], "");
    assert_eq!(code, 0, "{error}");
    assert!(exported.contains("agent0"), "{exported}");
    let (code, _, error) = server.command(&["token", "nobody"], "");
    assert_eq!(code, 1);
    assert!(error.contains("there is no such login"), "{error}");
}
