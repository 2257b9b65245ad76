//! How requests are read: a JSON body, the query, an id in the path. Every refusal names the field and, where a name was
//! mistyped, the nearest one that exists.

use std::collections::BTreeMap;
use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use super::error::{ApiError, Words, words};

/// The largest JSON body we read.
pub const BODY_LIMIT_BYTES: usize = 1024 * 1024;

/// A JSON body, read whole and strictly: give `T` `#[serde(deny_unknown_fields)]`.
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        expect_json(request.headers())?;
        let bytes = read_body(request).await?;
        parse_json(&bytes).map(Json)
    }
}

/// The whole body, or 413 above [`BODY_LIMIT_BYTES`].
pub async fn read_body(request: Request) -> Result<Bytes, ApiError> {
    let declared = request.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > BODY_LIMIT_BYTES as u64) {
        return Err(too_large());
    }
    axum::body::to_bytes(request.into_body(), BODY_LIMIT_BYTES).await.map_err(|trouble| {
        // The only cause inside is the limit; everything else is a body that broke off.
        match std::error::Error::source(&trouble).is_some_and(|cause| cause.to_string().contains("length limit")) {
            true => too_large(),
            false => ApiError::new(
                StatusCode::BAD_REQUEST,
                "bad_body",
                words("Тело запроса оборвалось", "The body of the request broke off"),
            ),
        }
    })
}

fn too_large() -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too_large",
        words("Тело запроса больше 1 МиБ", "The body of the request is larger than 1 MiB"),
    )
}

fn expect_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "not_json",
        words("Пришлите JSON с Content-Type: application/json", "Send JSON with Content-Type: application/json"),
    ))
}

/// Reads JSON: 400 when it is not JSON at all, 422 when a field does not fit.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|trouble| {
        let path = trouble.path().to_string();
        let path = if path == "." { "" } else { &path };
        // serde_json also calls it bad syntax when, say, a number stands where a word is expected.
        match trouble.inner().is_data() || serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok() {
            true => explain(path, trouble.inner()),
            false => not_json(trouble.inner()),
        }
    })?;
    json.end().map_err(|trouble| not_json(&trouble))?;
    Ok(value)
}

fn not_json(trouble: &serde_json::Error) -> ApiError {
    let (line, column) = (trouble.line(), trouble.column());
    let said = words(format!("Это не JSON: строка {line}, место {column}"), format!("Not JSON: line {line}, column {column}"));
    ApiError::new(StatusCode::BAD_REQUEST, "bad_json", said)
}

/// serde's complaint in our words. Its English text is the only place where the names of fields can be had.
fn explain(path: &str, trouble: &serde_json::Error) -> ApiError {
    let text = trouble.to_string();
    let text = text.split(" at line ").next().unwrap_or(&text);
    let quoted: Vec<&str> = text.split('`').skip(1).step_by(2).collect();
    let first = quoted.first().copied().unwrap_or_default();
    let within = |name: &str| match path {
        "" => name.to_string(),
        // The path already ends in the name when serde had read it before it complained.
        path if path == name || path.ends_with(&format!(".{name}")) => path.to_string(),
        path => format!("{path}.{name}"),
    };
    if text.starts_with("unknown field") {
        let said = unknown_name(first, quoted.get(1..).unwrap_or_default());
        return ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown_field", said).with_field(within(first));
    }
    if text.starts_with("missing field") {
        let said = words(format!("Не хватает поля «{first}»"), format!("The field “{first}” is missing"));
        return ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "missing_field", said).with_field(within(first));
    }
    let said = match text.starts_with("unknown variant") {
        true => words(
            format!("Значение «{first}» не подходит; годится: {}", quoted.get(1..).unwrap_or_default().join(", ")),
            format!("The value “{first}” does not fit; use one of: {}", quoted.get(1..).unwrap_or_default().join(", ")),
        ),
        false => misfit(text),
    };
    let refusal = ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_field", said);
    if path.is_empty() { refusal } else { refusal.with_field(path) }
}

/// serde's "invalid type: null, expected a string" in both languages. What has no Russian here is left out there.
fn misfit(text: &str) -> Words {
    let en = format!("The value does not fit: {text}");
    let Some((got, wanted)) = text.split_once(": ").and_then(|(_, rest)| rest.split_once(", expected ")) else {
        return words("Значение не подходит", en);
    };
    let got = match got.split(' ').next().unwrap_or_default() {
        "null" => "null",
        "string" => "строка",
        "integer" | "floating" | "number" => "число",
        "boolean" => "true или false",
        "sequence" => "список",
        "map" => "объект",
        _ => "другое",
    };
    let wanted = match wanted {
        "a string" | "string" | "str" => "строка",
        "a boolean" => "true или false",
        "a sequence" => "список",
        "a map" => "объект",
        number if number.starts_with(['u', 'i']) && number[1..].parse::<u8>().is_ok() => "целое число",
        wanted if wanted.starts_with("struct ") => "объект",
        _ => return words(format!("Значение не подходит: здесь {got}"), en),
    };
    words(format!("Значение не подходит: здесь {got}, а нужно: {wanted}"), en)
}

fn unknown_name(name: &str, known: &[&str]) -> Words {
    let nearest =
        known.iter().map(|candidate| (strsim::jaro_winkler(name, candidate), *candidate)).max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((likeness, nearest)) if likeness > 0.7 => words(
            format!("Поля «{name}» нет; может быть, «{nearest}»?"),
            format!("There is no field “{name}”; did you mean “{nearest}”?"),
        ),
        _ => words(
            format!("Поля «{name}» нет; есть: {}", known.join(", ")),
            format!("There is no field “{name}”; there are: {}", known.join(", ")),
        ),
    }
}

/// The query, read by name. Names we do not know are left alone.
pub struct Params(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::<Vec<(String, String)>>::from_request_parts(parts, state).await {
            Ok(Query(pairs)) => Ok(Params(pairs.into_iter().collect())),
            Err(_) => Err(ApiError::new(
                StatusCode::BAD_REQUEST,
                "bad_query",
                words("Параметры после «?» не читаются", "The parameters after “?” cannot be read"),
            )),
        }
    }
}

impl Params {
    /// `None` when absent or empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A parameter that must be readable when it is there; `what` says what it should be.
    pub fn parse<T: FromStr>(&self, name: &str, what: Words) -> Result<Option<T>, ApiError> {
        match self.text(name) {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| ApiError::bad_query(name, what)),
        }
    }

    pub fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.text(name) {
            None => Ok(None),
            Some("true" | "1" | "yes") => Ok(Some(true)),
            Some("false" | "0" | "no") => Ok(Some(false)),
            Some(_) => Err(ApiError::bad_query(name, words("Здесь бывает true или false", "This is true or false"))),
        }
    }

    /// An id of ours in a filter.
    pub fn id<T: FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        self.parse(name, words("Это не идентификатор (UUID)", "This is not an identifier (UUID)"))
    }
}

/// The only part in braces of the path. A malformed id is one that does not exist.
pub struct Id<T>(pub T);

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for Id<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let nothing = || ApiError::not_found(words("По этому адресу ничего нет", "There is nothing at this address"));
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| nothing())?;
        text.parse().map(Id).map_err(|_| nothing())
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wish {
        #[allow(dead_code)]
        from: String,
        #[allow(dead_code)]
        #[serde(default)]
        numbers: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[allow(dead_code)]
        e164: u64,
    }

    fn refusal(json: &str) -> (u16, &'static str, Option<String>, String) {
        let refusal = parse_json::<Wish>(json.as_bytes()).unwrap_err();
        (refusal.status.as_u16(), refusal.code, refusal.field, refusal.words.en.to_string())
    }

    #[test]
    fn a_mistyped_field_is_refused_with_the_nearest_known_name() {
        let (status, code, field, said) = refusal(r#"{"fron": "anna"}"#);
        assert_eq!((status, code, field.as_deref()), (422, "unknown_field", Some("fron")));
        assert!(said.contains("did you mean “from”"), "{said}");
    }

    #[test]
    fn a_missing_field_and_a_wrong_type_name_the_way_to_them() {
        assert_eq!(refusal("{}").2.as_deref(), Some("from"));
        let (status, code, field, _) = refusal(r#"{"from": "a", "numbers": [{"e164": 1}, {"e164": "x"}]}"#);
        assert_eq!((status, code, field.as_deref()), (422, "bad_field", Some("numbers[1].e164")));
        assert_eq!(refusal(r#"{"from": "a", "numbers": [{}]}"#).2.as_deref(), Some("numbers[0].e164"));
        assert_eq!(refusal(r#"{"from": "a", "numbers": [{"e16": 1}]}"#).2.as_deref(), Some("numbers[0].e16"));
    }

    #[test]
    fn a_wrong_type_is_told_in_one_language_at_a_time() {
        let words = parse_json::<Wish>(br#"{"from": null}"#).unwrap_err().words;
        assert_eq!(words.ru, "Значение не подходит: здесь null, а нужно: строка");
        let words = parse_json::<Wish>(br#"{"from": "a", "numbers": [{"e164": -1}]}"#).unwrap_err().words;
        assert_eq!(words.ru, "Значение не подходит: здесь число, а нужно: целое число");
        assert!(words.en.contains("expected u64"), "{}", words.en);
    }

    #[test]
    fn what_is_not_json_is_a_400_with_its_place() {
        let (status, code, field, said) = refusal("{\"from\": \n nope}");
        assert_eq!((status, code, field), (400, "bad_json", None));
        assert!(said.contains("line 2"), "{said}");
        assert_eq!(refusal("").0, 400);
        assert_eq!(refusal(r#"{"from": "a"} trailing"#).0, 400);
    }
}
