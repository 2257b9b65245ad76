//! The desk: the browser application inside the binary, and the page shown when it was built without one.
//! `build.rs` makes the table of files; `router` sends here every path that is not the API's.

use axum::body::Body;
use axum::http::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};

/// One file of the built desk. `path` starts with a slash; `br` and `gzip` are the same bytes compressed.
struct File {
    path: &'static str,
    etag: &'static str,
    body: &'static [u8],
    br: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/desk.rs"));

/// Shown when the binary was built without a desk. Plain: our policy allows no inline style or script.
const NO_DESK: &str = "<!doctype html><html lang=\"ru\"><head><meta charset=\"utf-8\"><title>Перезвон · Perezvon</title></head><body>\
<h1>Перезвон</h1><p>Сервер работает, но собран без рабочего места. Соберите его: <code>make ui</code> (нужен Node 20.19 или новее), \
затем соберите сервер ещё раз. API описан здесь: <a href=\"/api/v1/docs/\">/api/v1/docs</a>.</p>\
<h1 lang=\"en\">Perezvon</h1><p lang=\"en\">The server is running, but it was built without the desk. Build it with <code>make ui</code> \
(Node 20.19 or newer), then build the server again. The API is described at <a href=\"/api/v1/docs/\">/api/v1/docs</a>.</p></body></html>";

/// Answers GET and HEAD for anything outside the API: a file, the page for an address of the desk, or 404.
pub fn serve(method: &Method, uri: &Uri, headers: &HeaderMap) -> Response<Body> {
    if method != Method::GET && method != Method::HEAD {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "405\n");
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    let path = uri.path();
    if let Some(file) = find(path) {
        return answer(file, headers);
    }
    if !is_page(path) {
        return plain(StatusCode::NOT_FOUND, "404\n");
    }
    match find("/index.html") {
        Some(index) => answer(index, headers),
        None => no_desk(),
    }
}

fn find(path: &str) -> Option<&'static File> {
    FILES.binary_search_by(|file| file.path.cmp(path)).ok().and_then(|at| FILES.get(at))
}

/// Addresses of the desk's pages have no dot in their last part; a missing `/assets/app.js` must be a 404, because an
/// HTML answer in its place breaks old tabs in ways nobody understands.
fn is_page(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    !last.contains('.') && !path.starts_with("/assets/")
}

fn answer(file: &'static File, headers: &HeaderMap) -> Response<Body> {
    let (coding, bytes) = choose_coding(file, headers);
    let etag = match coding {
        Some(coding) => format!("\"{}-{coding}\"", file.etag),
        None => format!("\"{}\"", file.etag),
    };
    let unchanged = matches_etag(headers, &etag);
    let mut response = Response::new(if unchanged { Body::empty() } else { Body::from(bytes) });
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let is_hashed = file.path.starts_with("/assets/");
    let caching = if is_hashed { "public, max-age=31536000, immutable" } else { "no-cache" };
    let head = response.headers_mut();
    head.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    head.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        head.insert(ETAG, etag);
    }
    if !unchanged {
        head.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(file.path)));
        head.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        if let Some(coding) = coding {
            head.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
    }
    response
}

fn no_desk() -> Response<Body> {
    let mut page = Response::new(Body::from(NO_DESK));
    page.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    page.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    page
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Brotli before gzip before plain, among what the client accepts (RFC 9110 §12.5.3; a weight of zero is a no).
fn choose_coding(file: &'static File, headers: &HeaderMap) -> (Option<&'static str>, &'static [u8]) {
    let accepted = |name: &str| {
        headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(
            |offer| {
                let (coding, weight) = offer.split_once(';').unwrap_or((offer, ""));
                let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.trim().parse::<f32>().ok());
                coding.trim().eq_ignore_ascii_case(name) && weight != Some(0.0)
            },
        )
    };
    match (file.br, file.gzip) {
        (Some(bytes), _) if accepted("br") => (Some("br"), bytes),
        (_, Some(bytes)) if accepted("gzip") => (Some("gzip"), bytes),
        _ => (None, file.body),
    }
}

/// `If-None-Match` by the weak comparison (RFC 9110 §13.1.2).
pub(super) fn matches_etag(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim())
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "wav" => "audio/wav",
        "mp3" => "audio/mpeg",
        "wasm" => "application/wasm",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static APP: File = File { path: "/assets/app-1a2b.js", etag: "00ff", body: b"plain", br: Some(b"br"), gzip: Some(b"gz") };
    static INDEX: File = File { path: "/index.html", etag: "00aa", body: b"<!doctype html>", br: None, gzip: None };

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn the_best_accepted_coding_is_chosen_and_named() {
        for (accept, coding) in [
            ("gzip, deflate, br", Some("br")),
            ("gzip;q=1.0", Some("gzip")),
            ("br;q=0, gzip", Some("gzip")),
            ("identity", None),
            ("", None),
        ] {
            assert_eq!(choose_coding(&APP, &headers(&[("accept-encoding", accept)])).0, coding, "{accept}");
        }
        assert_eq!(choose_coding(&INDEX, &headers(&[("accept-encoding", "br")])), (None, INDEX.body));
    }

    #[test]
    fn only_hashed_assets_are_cached_for_good() {
        let asset = answer(&APP, &headers(&[("accept-encoding", "br")]));
        assert_eq!(asset.headers()[CACHE_CONTROL], "public, max-age=31536000, immutable");
        assert_eq!(asset.headers()[CONTENT_ENCODING], "br");
        assert_eq!(asset.headers()[CONTENT_TYPE], "text/javascript; charset=utf-8");
        assert_eq!(answer(&INDEX, &headers(&[])).headers()[CACHE_CONTROL], "no-cache");
    }

    #[test]
    fn a_known_etag_is_answered_with_304_and_another_codings_is_not() {
        let known = answer(&APP, &headers(&[("accept-encoding", "br"), ("if-none-match", "W/\"x\", W/\"00ff-br\"")]));
        assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
        assert!(known.headers().contains_key(ETAG));
        let other = answer(&APP, &headers(&[("accept-encoding", "gzip"), ("if-none-match", "\"00ff-br\"")]));
        assert_eq!(other.status(), StatusCode::OK);
    }

    #[test]
    fn pages_have_no_dot_and_assets_are_never_pages() {
        for (path, page) in [
            ("/", true),
            ("/clients/0190", true),
            ("/recordings/", true),
            ("/assets/old-chunk", false),
            ("/favicon.ico", false),
            ("/clients/a.b", false),
        ] {
            assert_eq!(is_page(path), page, "{path}");
        }
    }
}
