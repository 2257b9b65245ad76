//! Every refusal has one shape, names its field and speaks the reader's language.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::house::House;

async fn refusal(answer: reqwest::Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "application/json");
    let body: Value = answer.json().await.unwrap();
    let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["error"]);
    assert!(!body["error"]["message"].as_str().unwrap().is_empty());
    (status, body["error"].clone())
}

#[tokio::test]
async fn an_unknown_address_and_a_wrong_method_are_json_like_everything_else() {
    let house = House::open().await;
    for path in ["/api", "/api/", "/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v2/calls", "/api/v1/calls/a/b/c"] {
        let (status, error) = refusal(house.http.get(house.url(path)).send().await.unwrap()).await;
        assert_eq!((status, error["code"].as_str()), (404, Some("no_such_address")), "{path}");
    }
    let answer = house.http.delete(house.url("/api/v1/calls")).send().await.unwrap();
    let allow = answer.headers()["allow"].to_str().unwrap().to_string();
    assert_eq!(allow, "GET, HEAD, POST");
    let (status, error) = refusal(answer).await;
    assert_eq!((status, error["code"].as_str()), (405, Some("method_not_allowed")));
    assert_eq!(error["message"], "Метод DELETE здесь не годится; можно GET, HEAD, POST");
    let answer = house.http.get(house.url("/api/v1/session")).header("accept-language", "en").send().await.unwrap();
    assert_eq!(answer.headers()["allow"], "POST, DELETE");
    let (_, error) = refusal(answer).await;
    assert_eq!(error["message"], "The method GET is not for this address; use POST, DELETE");
}

#[tokio::test]
async fn a_refusal_speaks_the_readers_language_and_else_the_sites() {
    let house = House::open().await;
    let ask = |language: Option<&'static str>| {
        let mut request = house.http.get(house.url("/api/v1/me"));
        if let Some(language) = language {
            request = request.header("accept-language", language);
        }
        async move { refusal(request.send().await.unwrap()).await.1["message"].as_str().unwrap().to_string() }
    };
    assert_eq!(ask(Some("en-GB,en;q=0.9")).await, "Sign in or send a valid token");
    assert_eq!(ask(Some("ru")).await, "Войдите или пришлите действующий токен");
    assert_eq!(ask(None).await, "Войдите или пришлите действующий токен");
    house.change_site(|site| site.language = perezvon::site::Language::En);
    assert_eq!(ask(Some("de")).await, "Sign in or send a valid token");
}

#[tokio::test]
async fn a_body_that_does_not_fit_is_refused_by_name() {
    let house = House::open().await;
    let token = house.token("anna").await;
    let put = |body: &'static str| {
        let request = house.ask(&token, Method::PUT, "/me/state").header("content-type", "application/json").body(body);
        async move { refusal(request.send().await.unwrap()).await }
    };
    for (body, status, code, field) in [
        ("{", 400, "bad_json", None),
        ("", 400, "bad_json", None),
        (r#"{"state": "ready"} x"#, 400, "bad_json", None),
        ("{}", 422, "missing_field", Some("state")),
        (r#"{"state": "talking"}"#, 422, "bad_field", Some("state")),
        (r#"{"state": 5}"#, 422, "bad_field", Some("state")),
        (r#"{"state": "break", "reson": "lunch"}"#, 422, "unknown_field", Some("reson")),
    ] {
        let (got, error) = put(body).await;
        assert_eq!((got, error["code"].as_str(), error["field"].as_str()), (status, Some(code), field), "{body}");
    }
    let (_, error) = put(r#"{"state": "break", "reson": "lunch"}"#).await;
    assert!(error["message"].as_str().unwrap().contains("«reason»"), "{error}");
    assert!(house.engine().asked.is_empty());
}

#[tokio::test]
async fn a_body_above_the_limit_is_413_whether_it_says_so_or_not() {
    let house = House::open().await;
    let token = house.token("anna").await;
    let large = format!("{{\"state\": \"{}\"}}", "x".repeat(1024 * 1024));
    let declared = house.ask(&token, Method::PUT, "/me/state").header("content-type", "application/json").body(large.clone());
    assert_eq!(refusal(declared.send().await.unwrap()).await.0, 413);
    let chunks = futures_util::stream::iter([Ok::<_, std::io::Error>(large)]);
    let chunked = house.ask(&token, Method::PUT, "/me/state").header("content-type", "application/json");
    let chunked = chunked.body(reqwest::Body::wrap_stream(chunks)).send().await.unwrap();
    assert_eq!(refusal(chunked).await.0, 413);
}

#[tokio::test]
async fn another_content_type_is_refused_and_none_is_taken_for_json() {
    let house = House::open().await;
    let token = house.token("anna").await;
    let form = house.ask(&token, Method::PUT, "/me/state").header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(refusal(form.body("state=ready").send().await.unwrap()).await.0, 415);
    let bare = house.ask(&token, Method::PUT, "/me/state").body(r#"{"state": "ready"}"#).send().await.unwrap();
    assert_eq!(bare.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_limit_or_cursor_that_cannot_be_is_400_and_named() {
    let house = House::open().await;
    let token = house.token("ada").await;
    for path in ["/calls", "/recordings", "/clients", "/queues", "/agents", "/events"] {
        for limit in ["0", "1001", "-1", "many", "99999999999999999999"] {
            let answer = house.ask(&token, Method::GET, &format!("{path}?limit={limit}")).send().await.unwrap();
            let (status, error) = refusal(answer).await;
            assert_eq!((status, error["field"].as_str()), (400, Some("limit")), "{path} {limit}");
        }
        house.get(&token, &format!("{path}?limit=1000")).await;
    }
    for path in ["/calls?cursor=nonsense", "/calls?active=true&cursor=%25", "/recordings?cursor=nonsense", "/clients?cursor=!"] {
        let (status, error) = refusal(house.ask(&token, Method::GET, path).send().await.unwrap()).await;
        assert_eq!((status, error["field"].as_str()), (400, Some("cursor")), "{path}");
    }
    for (path, field) in [
        ("/calls?active=maybe", "active"),
        ("/calls?card_id=7", "card_id"),
        ("/events?after=-1", "after"),
        ("/clients/lookup", "phone"),
    ] {
        let (status, error) = refusal(house.ask(&token, Method::GET, path).send().await.unwrap()).await;
        assert_eq!((status, error["field"].as_str()), (400, Some(field)), "{path}");
    }
}

#[tokio::test]
async fn an_id_that_is_none_or_nobodys_is_404() {
    let house = House::open().await;
    let token = house.token("ada").await;
    for path in
        ["/calls/nonsense", "/calls/01900000-0000-7000-8000-000000000999", "/recordings/x/audio", "/clients/../x", "/clients/%00"]
    {
        let (status, _) = refusal(house.ask(&token, Method::GET, path).send().await.unwrap()).await;
        assert_eq!(status, 404, "{path}");
    }
    let (status, error) = house.send(&token, Method::PUT, "/agents/nobody/state", Some(json!({"state": "ready"}))).await;
    assert_eq!((status, error["error"]["code"].as_str()), (StatusCode::NOT_FOUND, Some("not_found")));
}

#[tokio::test]
async fn what_this_version_cannot_do_is_a_clear_501() {
    let house = House::open().await;
    let token = house.token("anna").await;
    let call = "01900000-0000-7000-8000-000000000001";
    let mut paths: Vec<String> = Vec::new();
    for deed in ["transfer", "transfer/complete", "transfer/cancel"] {
        paths.push(format!("/calls/{call}/{deed}"));
    }
    let described = serde_json::to_string(&perezvon::web::document()).unwrap();
    for path in paths {
        let (status, error) = house.send(&token, Method::POST, &path, Some(json!({}))).await;
        assert_eq!((status, error["error"]["code"].as_str()), (StatusCode::NOT_IMPLEMENTED, Some("not_available")), "{path}");
        assert!(!described.contains(&format!("/api/v1{}", path.replace(call, "{id}"))), "{path} must not be described");
        let answer = house.http.post(house.url(&format!("/api/v1{path}"))).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn an_engine_that_refuses_is_told_in_words_and_with_the_right_status() {
    use perezvon::engine::CommandError;
    use perezvon::types::EndCause;
    let house = House::open().await;
    let token = house.token("anna").await;
    for (refusal, status, field) in [
        (CommandError::Unreachable, 409, None),
        (CommandError::Conflict("x".into()), 409, None),
        (CommandError::BadDestination("<b>".into()), 422, Some("to")),
        (CommandError::Nowhere { to: "+1".into(), cause: EndCause::NoRoute }, 422, Some("to")),
        (CommandError::Nowhere { to: "+1".into(), cause: EndCause::TrunkFailed }, 503, None),
        (CommandError::Overloaded, 503, None),
        (CommandError::Stopping, 503, None),
    ] {
        house.engine().refuses = Some(refusal.clone());
        let answer = house.ask(&token, Method::POST, "/calls").json(&json!({"to": "+79160000001"})).send().await.unwrap();
        assert_eq!(answer.headers().contains_key("retry-after"), status == 503);
        let (got, error) = self::refusal(answer).await;
        assert_eq!((got, error["field"].as_str()), (status, field), "{refusal:?}");
    }
}
