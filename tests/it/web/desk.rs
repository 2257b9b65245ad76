//! The embedded desk, the page for people who read the API, health, and the headers around all of it.

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::house::House;

#[tokio::test]
async fn pages_of_the_desk_are_html_and_missing_files_are_not() {
    let house = House::open().await;
    for path in ["/", "/clients/0190", "/recordings"] {
        let page = house.http.get(house.url(path)).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::OK, "{path}");
        assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
        assert!(!page.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    }
    for path in ["/assets/none.js", "/favicon.none", "/assets/", "/..%2f..%2fetc/passwd.txt", "/index.php"] {
        let missing = house.http.get(house.url(path)).send().await.unwrap();
        assert_eq!(missing.status(), StatusCode::NOT_FOUND, "{path}");
        assert!(!missing.headers()["content-type"].to_str().unwrap().contains("html"), "{path}");
    }
    let post = house.http.post(house.url("/clients/1")).send().await.unwrap();
    assert_eq!((post.status(), post.headers()["allow"].to_str().unwrap()), (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD"));
    let head = house.http.request(Method::HEAD, house.url("/")).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    assert!(head.headers()["content-length"].to_str().unwrap().parse::<usize>().unwrap() > 0);
    assert!(head.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let house = House::open().await;
    for path in ["/", "/assets/none.js", "/api/v1/me", "/api/v1/openapi.json", "/healthz"] {
        let answer = house.http.get(house.url(path)).send().await.unwrap();
        let header = |name: &str| {
            answer.headers().get(name).unwrap_or_else(|| panic!("{path} lacks {name}")).to_str().unwrap().to_string()
        };
        let policy = header("content-security-policy");
        assert!(policy.contains("default-src 'none'; script-src 'self'; style-src 'self'; img-src"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(header("referrer-policy"), "same-origin");
        assert!(header("permissions-policy").contains("microphone=(self)"));
    }
}

#[tokio::test]
async fn the_description_is_served_with_a_page_that_has_a_policy_of_its_own() {
    let house = House::open().await;
    let document: Value = house.http.get(house.url("/api/v1/openapi.json")).send().await.unwrap().json().await.unwrap();
    assert_eq!(document, serde_json::to_value(perezvon::web::document()).unwrap());
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));

    let page = house.http.get(house.url("/api/v1/docs")).send().await.unwrap();
    assert_eq!((page.status(), page.url().path()), (StatusCode::OK, "/api/v1/docs/"));
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("style-src 'self' 'unsafe-inline'"));
    let html = page.text().await.unwrap();
    assert!(!html.contains("<script>"), "an inline script would be blocked");
    for part in ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-initializer.js"] {
        let file = house.http.get(house.url(&format!("/api/v1/docs/{part}"))).send().await.unwrap();
        assert_eq!(file.status(), StatusCode::OK, "{part}");
        if part == "swagger-initializer.js" {
            assert!(file.text().await.unwrap().contains("/api/v1/openapi.json"));
        }
    }
    let missing = house.http.get(house.url("/api/v1/docs/none.js")).send().await.unwrap();
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn readiness_names_the_part_that_does_not_work() {
    let house = House::open().await;
    let ask = || async {
        let answer = house.http.get(house.url("/readyz")).send().await.unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap())
    };
    let (status, ready) = ask().await;
    assert_eq!((status, &ready["ready"]), (StatusCode::OK, &true.into()), "{ready}");
    house.engine().readiness =
        vec![perezvon::engine::Readiness { part: "sip".into(), ready: false, detail: "port 5060 is taken".into() }];
    let (status, ready) = ask().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let parts = ready["parts"].as_array().unwrap();
    assert!(parts.iter().any(|part| part["part"] == "sip" && part["ready"] == false && part["detail"] == "port 5060 is taken"));
    house.engine().readiness.clear();
    std::fs::remove_dir(house.recordings()).unwrap();
    assert_eq!(ask().await.0, StatusCode::SERVICE_UNAVAILABLE);
    let health = house.http.get(house.url("/healthz")).send().await.unwrap();
    assert_eq!(health.status(), StatusCode::OK, "the process itself is fine");
    assert_eq!(house.http.get(house.url("/metrics")).send().await.unwrap().status(), StatusCode::OK);
}
