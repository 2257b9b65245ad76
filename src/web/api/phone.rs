//! `me/phone`: what a page needs to be its user's telephone.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::{Action, may};
use crate::sip::endpoint::REALM;
use crate::types::Wall;
use crate::web::auth::Signed;
use crate::web::error::{ApiError, ErrorBody, words};
use crate::web::source::Source;
use crate::web::state::AppState;

/// SIP over WebSocket as this person. The credentials end at `expires_at` or with the session, whichever comes first; ask
/// for new ones when the registration is refused. Eight pages of one person can hold some at once; the ninth takes the
/// oldest's.
#[derive(Serialize, ToSchema)]
pub struct Phone {
    /// Where to open the websocket, subprotocol `sip`.
    pub ws_url: String,
    /// The address of record: registers, calls and is called by it.
    pub uri: String,
    /// Of the digest; not the user part of `uri`.
    pub username: String,
    pub password: String,
    pub expires_at: Wall,
    /// For `RTCPeerConnection`. Empty: the server itself is reachable.
    pub ice_servers: Vec<IceServer>,
}

/// As `RTCIceServer` has it.
#[derive(Serialize, ToSchema)]
pub struct IceServer {
    pub urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// A telephone in the browser
#[utoipa::path(post, path = "/me/phone", tag = "me", responses(
    (status = 200, body = Phone),
    (status = 409, body = ErrorBody, description = "This person has no extension"),
))]
pub async fn lend(State(state): State<AppState>, signed: Signed, parts: Parts) -> Result<Answer<Phone>, ApiError> {
    may(&signed.viewer, Action::Look)?;
    let login = signed.viewer.login.clone();
    let extension = signed.site.users.get(&login).and_then(|user| user.extension.clone()).ok_or_else(|| {
        let said = words(
            "У вас нет внутреннего номера: задайте extension в файле площадки",
            "You have no extension: give this user one in the site file",
        );
        ApiError::new(StatusCode::CONFLICT, "no_extension", said)
    })?;
    let lent = state.engine().lend_phone(login, signed.session.id, signed.session.expires_at).await?;
    let source = Source::of(&parts, &state.config().trusted_proxies);
    let scheme = if source.is_https { "wss" } else { "ws" };
    Ok(Answer(Phone {
        ws_url: format!("{scheme}://{}/sip", source.host.as_deref().unwrap_or("localhost")),
        uri: format!("sip:{extension}@{REALM}"),
        username: lent.username,
        password: lent.password,
        expires_at: lent.expires_at,
        ice_servers: Vec::new(),
    }))
}
