//! Why what somebody dialled over the API leads nowhere, in both languages. `error` asks; the engine only names the cause.

use axum::http::StatusCode;

use super::error::{ApiError, words};
use crate::site::Destination;
use crate::types::EndCause;

/// A trunk at its limit: calls end and calls a second pass in this order of time.
const TRUNK_RETRY_SECS: u64 = 2;

/// Why what was dialled leads nowhere, as far as the asking person can do something about it.
pub(super) fn leads_nowhere(to: &str, cause: EndCause) -> ApiError {
    let said = match (cause, Destination::parse(to)) {
        (EndCause::TrunkFailed, _) => {
            let said = words(
                format!("Все линии к «{to}» заняты: у транка кончился запас звонков. Повторите через несколько секунд"),
                format!("All lines to “{to}” are taken: the trunk is at its limit of calls. Try again in a few seconds"),
            );
            return ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "trunk_busy", said).with_retry(TRUNK_RETRY_SECS);
        }
        (EndCause::NoRoute, Some(Destination::Queue(name))) => {
            words(format!("Очереди «{name}» нет"), format!("There is no queue “{name}”"))
        }
        (EndCause::NoRoute, Some(Destination::Trunk(name))) => {
            words(format!("Транка «{name}» нет"), format!("There is no trunk “{name}”"))
        }
        (EndCause::NotFound, Some(Destination::User(login))) => {
            words(format!("Человека с логином «{login}» нет"), format!("There is no person with the login “{login}”"))
        }
        (EndCause::NotFound, Some(Destination::Extension(extension))) => {
            words(format!("Добавочного «{extension}» ни у кого нет"), format!("Nobody has the extension “{extension}”"))
        }
        (EndCause::NotFound, None) => words(
            format!("«{to}» не добавочный, не номер и не назначение"),
            format!("“{to}” is neither an extension, nor a number, nor a destination"),
        ),
        (EndCause::QueueUnavailable, _) => {
            words(format!("«{to}» ведёт в очередь, где никто не работает"), format!("“{to}” leads to a queue without members"))
        }
        (EndCause::Unreachable, _) => {
            words(format!("«{to}» ведёт к человеку без добавочного"), format!("“{to}” leads to a person without an extension"))
        }
        _ => words(format!("Ни один маршрут не ведёт к «{to}»"), format!("No route leads to “{to}”")),
    };
    ApiError::bad_field("to", said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::error::Words;

    #[test]
    fn what_leads_nowhere_is_told_in_one_language_at_a_time() {
        let causes = [
            EndCause::NoRoute,
            EndCause::NotFound,
            EndCause::QueueUnavailable,
            EndCause::Unreachable,
            EndCause::TrunkFailed,
            EndCause::Forbidden,
        ];
        for to in ["queue:7", "user:7", "extension:7", "trunk:7", "external:7", "ivr:7", "voicemail:7", "7"] {
            for cause in causes {
                let Words { ru, en } = leads_nowhere(to, cause).words;
                let is_latin = |c: char| c.is_ascii_alphabetic();
                assert!(!ru.replace(to, "").contains(is_latin), "{ru}");
                assert!(!en.contains(|c: char| ('а'..='я').contains(&c)), "{en}");
                assert!(ru.contains('7') && en.contains('7'), "{ru} {en}");
            }
        }
        let queue = leads_nowhere("queue:night", EndCause::NoRoute);
        assert_eq!((queue.words.ru.as_ref(), queue.field.as_deref()), ("Очереди «night» нет", Some("to")));
    }
}
