//! The live stream: nothing lost, nothing twice, only what one may see, and an end that says what to do next.

use std::time::Duration;

use perezvon::web::HttpConfig;
use reqwest::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::house::{House, PATIENCE};
use super::samples::{pop, retracted, tick};

#[tokio::test]
async fn the_stream_begins_with_its_place_and_goes_on_from_now() {
    let house = House::open().await;
    let before = house.append(tick("anna")).await;
    let (mut live, ready) = house.live(&house.token("anna").await, "").await;
    assert_eq!((ready["seq"].as_u64(), ready["newest"].as_u64()), (Some(before), Some(before)));
    let after = house.append(tick("anna")).await;
    assert_eq!(live.next().await["seq"], after);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_comes_back_misses_nothing_and_sees_nothing_twice() {
    let house = House::open().await;
    let token = house.token("ada").await;
    let log = house.log.clone();
    let writer = tokio::spawn(async move {
        let mut seqs = Vec::new();
        for _ in 0..3000 {
            seqs.push(log.append(tick("anna")).await.unwrap().seq);
        }
        seqs
    });
    let mut seen: Vec<u64> = Vec::new();
    let mut visits = 0;
    while seen.len() < 3000 {
        let after = seen.last().copied().unwrap_or(0);
        let (mut live, ready) = house.live(&token, &format!("?after={after}")).await;
        assert_eq!(ready["seq"], after);
        visits += 1;
        // Leaves in the middle, a little later each time.
        for _ in 0..(visits * 37) {
            seen.push(live.next().await["seq"].as_u64().unwrap());
            if seen.len() == 3000 {
                break;
            }
        }
    }
    assert!(visits > 5);
    assert_eq!(seen, writer.await.unwrap());
}

#[tokio::test]
async fn a_pop_goes_to_its_agent_alone_and_its_receipt_comes_when_the_frame_is_out() {
    let house = House::open().await;
    let (anna, boris) = (house.token("anna").await, house.token("boris").await);
    let nobody = house.log.append_pop(pop("anna", Some("sales"))).await.unwrap();
    assert!(!timeout(PATIENCE, nobody.receipt.written()).await.unwrap(), "nobody follows yet");

    let (mut of_boris, _) = house.live(&boris, "").await;
    let (mut of_anna, _) = house.live(&anna, "").await;
    let appended = house.log.append_pop(pop("anna", Some("sales"))).await.unwrap();
    assert!(timeout(PATIENCE, appended.receipt.written()).await.unwrap());
    let frame = of_anna.next().await;
    assert_eq!((&frame["type"], frame["seq"].as_u64()), (&"pop.shown".into(), Some(appended.committed.seq)));
    assert_eq!(frame["data"]["card"]["name"], "Пётр");
    house.append(retracted("anna", Some("sales"))).await;
    let own = house.append(tick("boris")).await;
    assert_eq!(of_boris.next().await["seq"], own, "boris saw neither the pop nor its end");
}

#[tokio::test]
async fn signing_out_closes_the_stream_at_once_with_4002() {
    let house = House::open().await;
    let cookie = house.cookie("anna").await;
    let origin = format!("http://{}", house.address);
    let mut live = house.live_with_all(&[("cookie", &cookie), ("origin", &origin)], "").await.unwrap();
    let mut other = house.live_with("cookie", &house.cookie("anna").await, "").await.unwrap();
    live.next().await;
    other.next().await;
    let out = house.http.delete(house.url("/api/v1/session")).header("cookie", &cookie).send().await.unwrap();
    assert_eq!(out.status(), StatusCode::NO_CONTENT);
    assert_eq!(live.close_code().await, Some(4002));
    let seq = house.append(tick("anna")).await;
    assert_eq!(other.next().await["seq"], seq, "another browser of the same person goes on");
    house.store.revoke_sessions_of(&"anna".into()).await.unwrap();
    assert_eq!(other.close_code().await, Some(4002));
}

#[tokio::test]
async fn whoever_left_the_site_is_cut_off_and_a_new_role_counts_from_the_next_event() {
    let house = House::open().await;
    let (mut anna, _) = house.live(&house.token("anna").await, "").await;
    let (mut boris, _) = house.live(&house.token("boris").await, "").await;
    house.change_site(|site| {
        site.users.remove("anna");
        site.users.get_mut("boris").unwrap().role = perezvon::site::Role::Admin;
    });
    let seq = house.append(tick("olga")).await;
    assert_eq!(anna.close_code().await, Some(4002));
    assert_eq!(boris.next().await["seq"], seq);
}

#[tokio::test]
async fn a_session_that_expires_ends_the_stream() {
    let house = House::with(HttpConfig { session_ttl: Duration::from_secs(3), ..HttpConfig::default() }).await;
    let mut live = house.live_with("cookie", &house.cookie("anna").await, "").await.unwrap();
    live.next().await;
    assert_eq!(live.close_code().await, Some(4002));
}

#[tokio::test]
async fn a_stream_needs_a_session_and_our_own_page() {
    let house = House::open().await;
    let cookie = house.cookie("anna").await;
    assert_eq!(house.live_with("cookie", "perezvon_session=nonsense", "").await.err(), Some(StatusCode::UNAUTHORIZED));
    assert_eq!(house.live_with("x-nothing", "", "").await.err(), Some(StatusCode::UNAUTHORIZED));
    let foreign = house.live_with_all(&[("cookie", &cookie), ("origin", "https://evil.test")], "").await;
    assert_eq!(foreign.err(), Some(StatusCode::FORBIDDEN));
    let bearer = format!("Bearer {}", house.token("anna").await);
    assert!(house.live_with_all(&[("authorization", &bearer), ("origin", "https://evil.test")], "").await.is_ok());
    assert_eq!(house.live_with("cookie", &cookie, "?after=x").await.err(), Some(StatusCode::BAD_REQUEST));
    let plain = house.http.get(house.url("/api/v1/live")).bearer_auth(house.token("anna").await).send().await.unwrap();
    assert_eq!(plain.status(), StatusCode::UPGRADE_REQUIRED);
}

#[tokio::test]
async fn streams_beyond_the_limit_wait_their_turn() {
    let house = House::with(HttpConfig { max_live: 1, ..HttpConfig::default() }).await;
    let token = house.token("anna").await;
    let (mut first, _) = house.live(&token, "").await;
    let bearer = format!("Bearer {token}");
    assert_eq!(house.live_with("authorization", &bearer, "").await.err(), Some(StatusCode::SERVICE_UNAVAILABLE));
    first.socket.close(None).await.unwrap();
    let admitted = timeout(PATIENCE, async {
        while house.live_with("authorization", &bearer, "").await.is_err() {
            tokio::task::yield_now().await;
        }
    });
    admitted.await.expect("the place is given back");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off_with_4001_and_can_resume() {
    let house = House::open().await;
    let token = house.token("ada").await;
    let (mut live, _) = house.live(&token, "").await;
    // Far more than socket buffers and the feed's queue hold together.
    let mut big = tick("anna");
    if let perezvon::events::EventKind::AgentStateChanged(view) = &mut big.kind {
        view.name = "x".repeat(20_000);
    }
    let mut last = 0;
    for _ in 0..2000 {
        last = house.append(big.clone()).await;
    }
    let mut seen = Vec::new();
    let code = loop {
        match live.next_or_close().await {
            Ok(frame) => seen.push(frame["seq"].as_u64().unwrap()),
            Err(code) => break code,
        }
    };
    assert_eq!(code, Some(4001));
    assert!(!seen.is_empty() && *seen.last().unwrap() < last);
    let (mut resumed, _) = house.live(&token, &format!("?after={}", seen.last().unwrap())).await;
    seen.extend(resumed.until(last).await.iter().map(|frame| frame["seq"].as_u64().unwrap()));
    assert_eq!(seen.len(), 2000, "nothing lost");
    assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "nothing twice");
}

#[tokio::test]
async fn a_peer_that_answers_no_ping_is_dropped_and_one_that_does_is_kept() {
    let house = House::with(HttpConfig { ping_every: Duration::from_secs(1), ..HttpConfig::default() }).await;
    let token = house.token("anna").await;
    let mut dead = TcpStream::connect(house.address).await.unwrap();
    let head = format!(
        "GET /api/v1/live HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        house.address
    );
    dead.write_all(head.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    timeout(PATIENCE, dead.read_to_end(&mut read)).await.expect("dropped").unwrap();
    assert!(read.starts_with(b"HTTP/1.1 101"));

    let (mut alive, _) = house.live(&token, "").await;
    // The client answers pings while it waits for a frame; three periods pass.
    assert!(timeout(Duration::from_millis(3500), alive.next_or_close()).await.is_err(), "still open");
    let seq = house.append(tick("anna")).await;
    assert_eq!(alive.next().await["seq"], seq);
}

#[tokio::test]
async fn what_a_client_sends_is_dropped_unless_it_is_too_large() {
    let house = House::open().await;
    let (mut live, _) = house.live(&house.token("anna").await, "").await;
    live.send_text("{\"hello\": true}").await;
    let seq = house.append(tick("anna")).await;
    assert_eq!(live.next().await["seq"], seq);
    live.send_text(&"x".repeat(100_000)).await;
    assert!(live.next_or_close().await.is_err());
}
