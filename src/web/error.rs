//! What the API answers when it refuses: one shape, `{error: {code, message, field?}}`, one place for its words in
//! Russian and English. Handlers return `ApiError`; `envelope` turns it into JSON in the reader's language.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;
use tracing::error;
use utoipa::ToSchema;

use crate::access::Denied;
use crate::call::Refusal;
use crate::engine::CommandError;
use crate::site::Language;
use crate::store::StoreError;
use crate::types::CallState;
use crate::web::nowhere::leads_nowhere;

/// One sentence in both languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    pub ru: Cow<'static, str>,
    pub en: Cow<'static, str>,
}

/// Both languages at once, so that neither is forgotten.
pub fn words(ru: impl Into<Cow<'static, str>>, en: impl Into<Cow<'static, str>>) -> Words {
    Words { ru: ru.into(), en: en.into() }
}

/// A refusal on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    pub status: StatusCode,
    /// Stable, for programs: `not_found`, `bad_field`.
    pub code: &'static str,
    pub words: Words,
    /// The field of the body or the query that is at fault.
    pub field: Option<String>,
    pub retry_after_secs: Option<u64>,
}

/// The body of every refusal.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    pub error: ErrorDetail,
}

/// What is wrong, for programs (`code`, `field`) and for people (`message`).
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorDetail {
    pub code: String,
    /// In the language of `Accept-Language`, else the site's.
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl ApiError {
    pub fn new(status: StatusCode, code: &'static str, words: Words) -> Self {
        ApiError { status, code, words, field: None, retry_after_secs: None }
    }

    pub fn with_field(self, field: impl Into<String>) -> Self {
        ApiError { field: Some(field.into()), ..self }
    }

    pub fn with_retry(self, after_secs: u64) -> Self {
        ApiError { retry_after_secs: Some(after_secs), ..self }
    }

    /// 404: the thing asked for does not exist.
    pub fn not_found(words: Words) -> Self {
        ApiError::new(StatusCode::NOT_FOUND, "not_found", words)
    }

    /// 422: a well-formed request with a value that means nothing.
    pub fn bad_field(field: impl Into<String>, words: Words) -> Self {
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_field", words).with_field(field)
    }

    /// 400: a query parameter that cannot be read.
    pub fn bad_query(field: impl Into<String>, words: Words) -> Self {
        ApiError::new(StatusCode::BAD_REQUEST, "bad_query", words).with_field(field)
    }

    pub fn unauthorized() -> Self {
        ApiError::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            words("Войдите или пришлите действующий токен", "Sign in or send a valid token"),
        )
    }

    /// 501 for what INTERFACES names and this version does not do yet.
    pub fn not_available() -> Self {
        ApiError::new(
            StatusCode::NOT_IMPLEMENTED,
            "not_available",
            words("Эта версия сервера такого ещё не умеет", "This version of the server cannot do this yet"),
        )
    }

    /// 500: our fault; the log says what.
    pub fn internal() -> Self {
        ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            words("Сервер ошибся; подробности в его журнале", "The server made a mistake; its log tells more"),
        )
    }

    /// 503: a part the request needs does not answer.
    pub fn unavailable(words: Words) -> Self {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", words).with_retry(2)
    }

    /// The finished answer.
    pub fn render(&self, language: Language) -> Response<Body> {
        let message = match language {
            Language::Ru => &self.words.ru,
            Language::En => &self.words.en,
        };
        let detail = ErrorDetail { code: self.code.into(), message: message.to_string(), field: self.field.clone() };
        let json = serde_json::to_string(&ErrorBody { error: detail }).expect("three strings always serialise");
        let mut response = Response::new(Body::from(json));
        *response.status_mut() = self.status;
        let head = response.headers_mut();
        head.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        head.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_secs {
            head.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            head.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Only marks the answer: the language is known further out, where `envelope` renders it.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(trouble: StoreError) -> Self {
        match trouble {
            StoreError::Cursor => ApiError::bad_query(
                "cursor",
                words(
                    "Такой cursor этот сервер не выдавал: начните список сначала",
                    "This server never gave out such a cursor: start the list again",
                ),
            ),
            trouble => {
                error!(error = %trouble, "a request found the database in trouble: {trouble}");
                ApiError::unavailable(words(
                    "Хранилище не отвечает. Разговорам это не мешает, повторите позже",
                    "The database does not answer. Calls are fine, try again later",
                ))
            }
        }
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        let words = match denied {
            Denied::NotYours => words("Это чужое: у вас нет права это видеть", "This belongs to others: you may not see it"),
            Denied::NeedsSupervisor => words(
                "Это может супервизор, поддержка или администратор",
                "Only a supervisor, support or an administrator may do this",
            ),
            Denied::NotYourAgent => words(
                "Этот оператор не из вашей команды и не из ваших очередей",
                "This agent is neither of your team nor of your queues",
            ),
        };
        ApiError::new(StatusCode::FORBIDDEN, "forbidden", words)
    }
}

impl From<CommandError> for ApiError {
    fn from(refusal: CommandError) -> Self {
        let conflict = |code, words| ApiError::new(StatusCode::CONFLICT, code, words);
        match refusal {
            CommandError::NotFound => {
                ApiError::not_found(words("Нет такого звонка, оператора или очереди", "There is no such call, agent or queue"))
            }
            CommandError::Ended => conflict("call_ended", words("Звонок уже закончился", "The call has already ended")),
            CommandError::Refused(refusal) => conflict("call_state", refused(refusal)),
            CommandError::Conflict(why) => conflict(
                "conflict",
                words(
                    format!("Сейчас нельзя: оператор занят звонком ({why})"),
                    format!("Not now: the agent is on a call ({why})"),
                ),
            ),
            CommandError::BadDestination(to) => ApiError::bad_field(
                "to",
                words(
                    format!("«{to}» не номер и не назначение вида extension:101, queue:sales, user:anna, external:+7…, trunk:…"),
                    format!(
                        "“{to}” is neither a number nor a destination like extension:101, queue:sales, user:anna, external:+7…, trunk:…"
                    ),
                ),
            ),
            CommandError::Nowhere { to, cause } => leads_nowhere(&to, cause),
            CommandError::Unreachable => {
                conflict("no_phone", words("У оператора нет телефона на связи", "The agent has no registered phone"))
            }
            CommandError::Overloaded => ApiError::unavailable(words(
                "Сервер перегружен, повторите через секунду",
                "The server is overloaded, try again in a second",
            )),
            CommandError::Stopping => ApiError::unavailable(words("Сервер останавливается", "The server is stopping")),
        }
    }
}

/// Why a call does not do what is asked.
fn refused(refusal: Refusal) -> Words {
    match refusal {
        Refusal::NotTalking(state) => {
            let state = state_word(state);
            words(
                format!("Сейчас нельзя: никто не разговаривает, звонок {}", state.0),
                format!("Not now: nobody talks, the call {}", state.1),
            )
        }
        Refusal::AlreadyHeld => words("Звонок уже на удержании", "The call is on hold already"),
        Refusal::NotHeld => words(
            "Звонок не на удержании этой кнопкой; если удерживает телефон, снимите удержание на нём",
            "The call is not on hold by this button; if a telephone holds it, resume there",
        ),
        Refusal::RecordingForbidden => words("Этот звонок записывать нельзя", "This call must not be recorded"),
        Refusal::NotRecorded => words("Запись ещё не началась", "The recording has not begun yet"),
        Refusal::RecordingBroken => words("Запись этого звонка оборвалась из-за сбоя", "The recording of this call broke off"),
        Refusal::RecordingIs(state) => {
            let russian = match state {
                "paused" => "приостановлена",
                "masked" => "скрыта",
                "stopped" => "остановлена",
                "finished" => "закончена",
                _ => "идёт",
            };
            words(format!("Сейчас нельзя: запись {russian}"), format!("Not now: the recording is {state}"))
        }
        Refusal::IsParty => words("Нельзя слушать собственный звонок", "You cannot supervise your own call"),
        Refusal::TooMany => words("Этот звонок уже слушают четверо", "Four people supervise this call already"),
        Refusal::NotSupervising => words("Вы не подключены к этому звонку", "You are not in this call"),
    }
}

fn state_word(state: CallState) -> (&'static str, &'static str) {
    match state {
        CallState::Ringing => ("вызывается", "rings"),
        CallState::Queued => ("ждёт в очереди", "waits in a queue"),
        CallState::Offered => ("предложен оператору", "is offered to an agent"),
        CallState::Talking => ("в разговоре", "is talking"),
        CallState::Held => ("на удержании", "is on hold"),
        CallState::Ended => ("закончился", "has ended"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_refusal_speaks_the_asked_language_and_names_the_field() {
        let refusal = ApiError::from(CommandError::Nowhere { to: "+1555".into(), cause: crate::types::EndCause::NoRoute });
        let mut said = Vec::new();
        for language in [Language::Ru, Language::En] {
            let response = refusal.render(language);
            assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
            let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
            said.push(String::from_utf8(body.to_vec()).unwrap());
        }
        insta::assert_snapshot!(said.join("\n"), @r#"
        {"error":{"code":"bad_field","message":"Ни один маршрут не ведёт к «+1555»","field":"to"}}
        {"error":{"code":"bad_field","message":"No route leads to “+1555”","field":"to"}}
        "#);
    }

    #[test]
    fn a_throttled_request_is_told_when_to_come_back() {
        let response = ApiError::unavailable(words("а", "a")).with_retry(17).render(Language::En);
        assert_eq!(response.headers()[RETRY_AFTER], "17");
        assert_eq!(ApiError::unauthorized().render(Language::En).headers()[WWW_AUTHENTICATE], "Bearer");
    }
}
