//! Signing in and out, over real HTTP.

use perezvon::web::HttpConfig;
use reqwest::{Method, StatusCode};

use super::house::{House, PASSWORD};

#[tokio::test]
async fn a_password_opens_a_session_whose_cookie_no_script_can_read() {
    let house = House::open().await;
    let answer = house.sign_in("anna", PASSWORD).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_string();
    for part in ["perezvon_session=", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=604800"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "plain HTTP cannot keep a Secure cookie: {cookie}");

    let me = house.http.get(house.url("/api/v1/me")).header("cookie", cookie.split(';').next().unwrap()).send().await.unwrap();
    assert_eq!(me.status(), StatusCode::OK);
    let me: serde_json::Value = me.json().await.unwrap();
    insta::assert_json_snapshot!(me, {".call_id" => "[id]"}, @r#"
    {
      "call_id": "[id]",
      "extension": "101",
      "language": "ru",
      "login": "anna",
      "name": "ANNA",
      "queues": [
        "sales"
      ],
      "reason": "why",
      "registered": true,
      "role": "agent",
      "since": "2025-11-24T16:00:00.000Z",
      "state": "ready",
      "supervises": [],
      "team": "sales",
      "timezone": "Europe/Moscow",
      "until": null
    }
    "#);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_login_get_the_same_answer() {
    let house = House::open().await;
    let mut said = Vec::new();
    for (login, password) in [("anna", "wrong"), ("nobody", "wrong"), ("", "")] {
        let answer = house.sign_in(login, password).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert!(answer.headers().get("set-cookie").is_none());
        said.push(answer.text().await.unwrap());
    }
    assert_eq!(said[0], said[1]);
    assert_eq!(said[0], said[2]);
}

#[tokio::test]
async fn guessing_is_paused_after_ten_failures_and_even_the_right_password_waits() {
    let house = House::open().await;
    for _ in 0..10 {
        assert_eq!(house.sign_in("anna", "guess").await.status(), StatusCode::UNAUTHORIZED);
    }
    let answer = house.sign_in("anna", PASSWORD).await;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=300).contains(&wait), "{wait}");
    assert_eq!(house.sign_in("boris", PASSWORD).await.status(), StatusCode::NO_CONTENT, "others are not punished");
}

#[tokio::test]
async fn thirty_people_sign_in_at_once() {
    let house = House::open().await;
    let doors = (0..30).map(|_| house.sign_in("anna", PASSWORD));
    for answer in futures_util::future::join_all(doors).await {
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
async fn another_sites_page_can_neither_use_the_cookie_nor_sign_a_browser_in() {
    let house = House::open().await;
    let cookie = house.cookie("anna").await;
    let ask = |origin: Option<String>, credential: (&'static str, String)| {
        let mut request = house.http.get(house.url("/api/v1/me")).header(credential.0, credential.1);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        async move { request.send().await.unwrap().status() }
    };
    let own = format!("http://{}", house.address);
    assert_eq!(ask(Some("https://evil.test".into()), ("cookie", cookie.clone())).await, StatusCode::FORBIDDEN);
    assert_eq!(ask(Some("null".into()), ("cookie", cookie.clone())).await, StatusCode::FORBIDDEN);
    assert_eq!(ask(Some(own), ("cookie", cookie.clone())).await, StatusCode::OK);
    assert_eq!(ask(None, ("cookie", cookie)).await, StatusCode::OK);
    let bearer = format!("Bearer {}", house.token("anna").await);
    assert_eq!(
        ask(Some("https://evil.test".into()), ("authorization", bearer)).await,
        StatusCode::OK,
        "a token is no ambient right"
    );

    let body = serde_json::json!({"login": "anna", "password": PASSWORD});
    let foreign =
        house.http.post(house.url("/api/v1/session")).header("origin", "https://evil.test").json(&body).send().await.unwrap();
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn signing_out_ends_the_session_and_only_this_one() {
    let house = House::open().await;
    let (first, second) = (house.cookie("anna").await, house.cookie("anna").await);
    let with = |cookie: &str, method: Method, path: &str| {
        let request = house.http.request(method, house.url(path)).header("cookie", cookie);
        async move { request.send().await.unwrap() }
    };
    let answer = with(&first, Method::DELETE, "/api/v1/session").await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert!(answer.headers()["set-cookie"].to_str().unwrap().starts_with("perezvon_session=; Path=/; Max-Age=0"));
    assert_eq!(with(&first, Method::GET, "/api/v1/me").await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(with(&second, Method::GET, "/api/v1/me").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_api_token_survives_a_sign_out_made_with_it() {
    let house = House::open().await;
    let token = house.token("anna").await;
    let (status, error) = house.send(&token, Method::DELETE, "/session", None).await;
    assert_eq!((status, error["error"]["code"].as_str()), (StatusCode::FORBIDDEN, Some("not_a_session")));
    let (status, _) = house.send(&token, Method::GET, "/me", None).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn whoever_left_the_site_has_lost_every_session() {
    let house = House::open().await;
    let (token, cookie) = (house.token("anna").await, house.cookie("anna").await);
    house.change_site(|site| drop(site.users.remove("anna")));
    let (status, error) = house.send(&token, Method::GET, "/me", None).await;
    assert_eq!((status, error["error"]["code"].as_str()), (StatusCode::UNAUTHORIZED, Some("unauthorized")));
    let answer = house.http.get(house.url("/api/v1/me")).header("cookie", cookie).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn behind_a_trusted_proxy_that_ends_tls_the_cookie_is_secure() {
    let proxy = perezvon::site::Network { address: "127.0.0.0".parse().unwrap(), prefix: 8, port: None };
    let house = House::with(HttpConfig { trusted_proxies: vec![proxy], ..HttpConfig::default() }).await;
    let body = serde_json::json!({"login": "anna", "password": PASSWORD});
    let request = house.http.post(house.url("/api/v1/session")).json(&body);
    let answer = request
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-host", "crm.example")
        .header("origin", "https://crm.example")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert!(answer.headers()["set-cookie"].to_str().unwrap().ends_with("; Secure"));
}

#[tokio::test]
async fn a_page_is_lent_a_phone_of_its_user_and_of_the_address_it_came_by() {
    let house = House::open().await;
    let (status, phone) = house.send(&house.token("anna").await, Method::POST, "/me/phone", None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(phone["ws_url"], format!("ws://{}/sip", house.address));
    assert_eq!((&phone["uri"], &phone["password"]), (&"sip:101@perezvon".into(), &"lent".into()));
    assert!(phone["username"].as_str().unwrap().starts_with("web-anna-"));
    assert_eq!(phone["ice_servers"], serde_json::json!([]));
    assert!(phone["expires_at"].is_string());
    house.change_site(|site| site.users.get_mut("anna").unwrap().extension = None);
    let (status, refusal) = house.send(&house.token("anna").await, Method::POST, "/me/phone", None).await;
    assert_eq!((status, &refusal["error"]["code"]), (StatusCode::CONFLICT, &"no_extension".into()));
    let nobody = house.http.post(house.url("/api/v1/me/phone")).send().await.unwrap();
    assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
}
