//! Who is asking: a browser's cookie or a bearer token becomes a `Signed` viewer. Signing in is `sign_in`, its limits
//! are `throttle`, what a viewer may do is the room `access`.

mod sign_in;
mod throttle;

pub use sign_in::SignIn;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};

use super::error::{ApiError, words};
use super::source::Source;
use super::state::AppState;
use crate::access::Viewer;
use crate::clock;
use crate::site::{Role, Site};
use crate::store::{Session, Visible};

/// The cookie that holds a browser's session.
pub const COOKIE_NAME: &str = "perezvon_session";

/// A signed-in request: the person by the site of this very moment, and the session it came with.
#[derive(Clone)]
pub struct Signed {
    pub viewer: Viewer,
    pub site: Arc<Site>,
    pub session: Session,
    /// For those who look the session up again later; never printed.
    pub(super) token: Arc<str>,
}

impl Signed {
    /// What the database may show to this person.
    pub fn visible(&self) -> Visible {
        let viewer = &self.viewer;
        match viewer.role {
            Role::Support | Role::Admin => Visible::All,
            Role::Agent => Visible::Only { agents: vec![viewer.login.clone()], queues: Vec::new() },
            Role::Supervisor => Visible::Only {
                agents: viewer.team_mates.iter().cloned().collect(),
                queues: viewer.supervises.iter().cloned().collect(),
            },
        }
    }
}

impl FromRequestParts<AppState> for Signed {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let source = Source::of(parts, &state.config().trusted_proxies);
        authenticate(&parts.headers, &source, state).await
    }
}

/// The session behind the request's token or cookie. A token in `Authorization` wins over a cookie; a cookie sent by
/// somebody else's page is refused.
pub async fn authenticate(headers: &HeaderMap, source: &Source, state: &AppState) -> Result<Signed, ApiError> {
    let token = match bearer(headers)? {
        Some(token) => token,
        None => {
            let token = cookie(headers).ok_or_else(ApiError::unauthorized)?;
            if !source.allows_origin(headers) {
                return Err(foreign_origin());
            }
            token
        }
    };
    let session = state.store().session_by_token(token, clock::wall()).await?.ok_or_else(ApiError::unauthorized)?;
    let site = state.site();
    let viewer = Viewer::of(&site, session.login.as_str()).ok_or_else(ApiError::unauthorized)?;
    Ok(Signed { viewer, site, session, token: Arc::from(token) })
}

pub fn foreign_origin() -> ApiError {
    ApiError::new(
        StatusCode::FORBIDDEN,
        "foreign_origin",
        words("Запрос пришёл со страницы другого сайта", "The request came from another site's page"),
    )
}

/// `Authorization: Bearer TOKEN`; another scheme is refused, because silently falling back to the cookie hides mistakes.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(ApiError::unauthorized)?;
    match scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() {
        true => Ok(Some(token.trim())),
        false => Err(ApiError::unauthorized()),
    }
}

/// The session's token in the cookies; the first when a stale one of another path came along.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, token)| *name == COOKIE_NAME && !token.is_empty())
        .map(|(_, token)| token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others_and_a_bearer_needs_its_scheme() {
        let headers = HeaderMap::from_iter([(COOKIE, "a=b; perezvon_session=t0k; c=d".parse().unwrap())]);
        assert_eq!(cookie(&headers), Some("t0k"));
        assert_eq!(cookie(&HeaderMap::from_iter([(COOKIE, "xperezvon_session=t".parse().unwrap())])), None);
        for (value, expected) in [("Bearer abc", Ok(Some("abc"))), ("bearer  abc ", Ok(Some("abc")))] {
            assert_eq!(bearer(&HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())])), expected, "{value}");
        }
        for value in ["Basic abc", "Bearer", "Bearer  "] {
            assert!(bearer(&HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())])).is_err(), "{value}");
        }
        assert_eq!(bearer(&HeaderMap::new()), Ok(None));
    }
}
