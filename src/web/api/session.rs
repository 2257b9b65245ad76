//! `session`: signing in with a password, signing out.

use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, HeaderValue, StatusCode, request::Parts};
use axum::response::IntoResponse;
use serde::Deserialize;
use tracing::info;
use utoipa::ToSchema;

use crate::clock;
use crate::store::SessionKind;
use crate::web::auth::{COOKIE_NAME, Signed, foreign_origin};
use crate::web::error::{ApiError, ErrorBody, words};
use crate::web::extract::Json;
use crate::web::source::Source;
use crate::web::state::AppState;

/// What a person types to sign in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    login: String,
    #[schema(format = Password)]
    password: String,
}

/// Sign in
#[utoipa::path(post, path = "/session", tag = "session", request_body = Credentials, security(()), responses(
    (status = 204, description = "Signed in; the session is in the cookie `perezvon_session`"),
    (status = 401, body = ErrorBody, description = "Wrong login or password"),
    (status = 429, body = ErrorBody, description = "Too many attempts; `Retry-After` says when to come back"),
))]
pub async fn sign_in(
    State(state): State<AppState>,
    parts: Parts,
    Json(credentials): Json<Credentials>,
) -> Result<impl IntoResponse, ApiError> {
    let source = Source::of(&parts, &state.config().trusted_proxies);
    // Signing a browser in from another site's page would make its owner work in a stranger's account.
    if !source.allows_origin(&parts.headers) {
        return Err(foreign_origin());
    }
    let site = state.site();
    let login = state.sign_in().check(&site, source.address, &credentials.login, credentials.password).await?;
    let lives_for = state.config().session_ttl;
    let (token, session) = state.store().create_session(&login, SessionKind::Browser, Some(lives_for), clock::wall()).await?;
    info!(user.login = %login, session.id = %session.id, "{login} signed in");
    Ok((StatusCode::NO_CONTENT, cookie(token.as_str(), lives_for.as_secs(), source.is_https)))
}

/// Sign out: this session ends at once, its live streams close with 4002
///
/// Only a browser's session: a program must not be able to destroy the token it was given by a stray request.
#[utoipa::path(delete, path = "/session", tag = "session", responses(
    (status = 204, description = "Signed out"),
    (status = 401, body = ErrorBody),
    (status = 403, body = ErrorBody, description = "An API token is no session: it works until its person is removed or their password changes"),
))]
pub async fn sign_out(State(state): State<AppState>, signed: Signed, parts: Parts) -> Result<impl IntoResponse, ApiError> {
    if signed.session.kind == SessionKind::Api {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "not_a_session",
            words(
                "Токен программы не сеанс: он действует, пока человек есть в настройках и не сменил пароль",
                "An API token is no session: it works until its person is removed or their password changes",
            ),
        ));
    }
    state.store().revoke_session(signed.session.id).await?;
    info!(user.login = %signed.viewer.login, session.id = %signed.session.id, "{} signed out", signed.viewer.login);
    let source = Source::of(&parts, &state.config().trusted_proxies);
    Ok((StatusCode::NO_CONTENT, cookie("", 0, source.is_https)))
}

/// The cookie of a session; an age of zero removes it.
fn cookie(token: &str, max_age_secs: u64, is_https: bool) -> HeaderMap {
    let secure = if is_https { "; Secure" } else { "" };
    let text = format!("{COOKIE_NAME}={token}; Path=/; Max-Age={max_age_secs}; HttpOnly; SameSite=Lax{secure}");
    let value = HeaderValue::from_str(&text).expect("tokens are plain ASCII");
    HeaderMap::from_iter([(SET_COOKIE, value)])
}
