//! The port itself: TLS, limits, a graceful stop.

use std::sync::Arc;
use std::time::Duration;

use perezvon::web::{HttpConfig, Tls};
use reqwest::{Method, StatusCode};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::house::{House, PASSWORD, PATIENCE};

#[tokio::test]
async fn over_our_own_certificate_the_cookie_is_secure_and_http_origins_are_foreign() {
    let folder = tempfile::tempdir().unwrap();
    let tls = Tls::SelfSigned { folder: folder.path().to_path_buf() };
    let house = House::with(HttpConfig { tls, ..HttpConfig::default() }).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.path().join("http.crt")).unwrap()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let body = json!({"login": "anna", "password": PASSWORD}).to_string();
    for (origin, status) in [("https://localhost", "204"), ("http://localhost", "403")] {
        let stream = TcpStream::connect(house.address).await.unwrap();
        let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
        let request = format!(
            "POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
        let answer = String::from_utf8_lossy(&answer).to_lowercase();
        assert!(answer.starts_with(&format!("http/1.1 {status}")), "{answer}");
        assert_eq!(answer.contains("; secure\r\n"), status == "204", "{answer}");
    }
}

#[tokio::test]
async fn heads_that_are_too_large_or_not_http_are_refused_and_the_port_lives_on() {
    let house = House::open().await;
    let large = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Large: {}\r\n\r\n", "x".repeat(40 * 1024));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{}\r\n", "X-Many: 1\r\n".repeat(200));
    for (head, expected) in [(large.as_str(), "431"), (many.as_str(), "431"), ("INVITE sip:a SIP/2.0\r\n\r\n", "400")] {
        let mut stream = TcpStream::connect(house.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect(expected);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{expected}: {answer}");
    }
    assert_eq!(house.http.get(house.url("/healthz")).send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn connections_beyond_the_limit_are_served_when_one_is_free() {
    let house = House::with(HttpConfig { max_connections: 1, ..HttpConfig::default() }).await;
    let mut first = TcpStream::connect(house.address).await.unwrap();
    let ask = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut byte = [0; 1];
    first.write_all(ask.as_bytes()).await.unwrap();
    first.read_exact(&mut byte).await.unwrap();
    let mut second = TcpStream::connect(house.address).await.unwrap();
    second.write_all(ask.as_bytes()).await.unwrap();
    assert!(timeout(Duration::from_millis(200), second.read_exact(&mut byte)).await.is_err(), "the second waits");
    drop(first);
    timeout(PATIENCE, second.read_exact(&mut byte)).await.expect("served now").unwrap();
}

#[tokio::test]
async fn a_stop_lets_running_requests_finish_and_closes_streams() {
    let mut house = House::open().await;
    let token = house.token("anna").await;
    let (mut live, _) = house.live(&token, "").await;
    let gate = Arc::new(tokio::sync::Notify::new());
    house.engine().gate = Some(Arc::clone(&gate));
    let slow = house.ask(&token, Method::POST, "/calls").json(&json!({"to": "+79160000001"}));
    let slow = tokio::spawn(async move { slow.send().await.unwrap().status() });
    // The request has reached the engine when its command is taken: then the stop may begin.
    timeout(PATIENCE, async {
        while house.engine().waiting == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    house.begin_stop();
    assert_eq!(live.close_code().await, Some(1001));
    let refused = timeout(PATIENCE, async {
        while TcpStream::connect(house.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    refused.await.expect("no new connections");
    gate.notify_one();
    assert_eq!(slow.await.unwrap(), StatusCode::CREATED);
    timeout(PATIENCE, house.server.take().unwrap()).await.expect("the server has ended").unwrap();
}
