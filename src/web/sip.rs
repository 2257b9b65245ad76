//! `/sip`: SIP over WebSocket for browsers (RFC 7118). One task a socket carries frames between the browser and the
//! engine's door, keeps the connection alive, and cuts off who does not answer or does not read. Who the browser is, is
//! SIP's own business: its digest credentials come from `POST me/phone`.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::auth::foreign_origin;
use super::error::{ApiError, words};
use super::source::{Peer, Source};
use super::state::AppState;
use crate::engine::SipLine;
use crate::sip::wire::MAX_MESSAGE_BYTES;

/// RFC 7118 §5.
const SUBPROTOCOL: &str = "sip";

/// One message may wait this long for the browser's window before the browser is too slow.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// How long a close frame may wait for the browser's window, and for its answer.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// RFC 6455 §7.4.1.
const GOING_AWAY: u16 = 1001;
const TOO_SLOW: u16 = 1008;

pub async fn sip(
    State(state): State<AppState>,
    headers: HeaderMap,
    parts: Parts,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let source = Source::of(&parts, &state.config().trusted_proxies);
    if !source.allows_origin(&headers) {
        return Err(foreign_origin());
    }
    let upgrade = upgrade.map_err(|_| {
        let said = words(
            "Это адрес веб-сокета: нужен запрос на повышение протокола",
            "This address is a websocket: upgrade the protocol",
        );
        ApiError::new(StatusCode::UPGRADE_REQUIRED, "websocket_only", said)
    })?;
    let upgrade = upgrade.protocols([SUBPROTOCOL]);
    if upgrade.selected_protocol().is_none() {
        let said = words(
            "Здесь говорят только по протоколу sip: укажите Sec-WebSocket-Protocol: sip",
            "Only the protocol sip is spoken here: send Sec-WebSocket-Protocol: sip",
        );
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "wrong_subprotocol", said));
    }
    let peer = parts.extensions.get::<Peer>().copied();
    let (local, port) = peer.map_or((SocketAddr::from(([0, 0, 0, 0], 0)), 0), |peer| (peer.local, peer.port));
    let remote = SocketAddr::new(source.address, port);
    let line = state
        .sip()
        .open(local, remote, source.is_https)
        .ok_or_else(|| ApiError::unavailable(words("Слишком много открытых телефонов", "Too many open phones")).with_retry(5))?;
    let upgrade = upgrade.max_message_size(MAX_MESSAGE_BYTES).max_frame_size(MAX_MESSAGE_BYTES);
    let (ping_every, stopping) = (state.config().ping_every, state.stopping());
    Ok(upgrade.on_upgrade(move |socket| async move { carry(socket, line, ping_every, stopping).await }))
}

/// Why a socket is over.
enum End {
    /// The peer said goodbye, vanished, or did not answer a ping.
    Gone,
    /// We end it and say why.
    Close { code: u16, reason: &'static str },
}

async fn carry(socket: WebSocket, mut line: SipLine, ping_every: Duration, mut stopping: watch::Receiver<bool>) {
    let (mut sink, mut inbound) = socket.split();
    let end = exchange(&mut sink, &mut inbound, &mut line, ping_every, &mut stopping).await;
    drop(line);
    if let End::Close { code, reason } = end {
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        if matches!(timeout(CLOSE_LIMIT, sink.send(Message::Close(Some(frame)))).await, Ok(Ok(()))) {
            // Closing a socket with unread data in it would destroy the frame.
            let _ = timeout(CLOSE_LIMIT, async { while let Some(Ok(_)) = inbound.next().await {} }).await;
        }
    }
}

async fn exchange(
    sink: &mut SplitSink<WebSocket, Message>,
    inbound: &mut SplitStream<WebSocket>,
    line: &mut SipLine,
    ping_every: Duration,
    stopping: &mut watch::Receiver<bool>,
) -> End {
    let mut ping = interval_at(Instant::now() + ping_every, ping_every);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_alive = true;
    loop {
        let outgoing = tokio::select! {
            biased;
            () = async { drop(stopping.wait_for(|stopping| *stopping).await) } => {
                return End::Close { code: GOING_AWAY, reason: "the server is stopping" };
            }
            received = inbound.next() => {
                is_alive = true;
                let frame = match received {
                    Some(Ok(Message::Text(text))) => Bytes::from(text),
                    Some(Ok(Message::Binary(bytes))) => bytes,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return End::Gone,
                };
                if line.receive(frame).await.is_err() {
                    return End::Close { code: TOO_SLOW, reason: "nothing was said for too long" };
                }
                continue;
            }
            message = line.next() => match message {
                Some(bytes) => frame_of(bytes),
                // The transport cut the line off: what waited for the browser was more than it may be.
                None => return End::Close { code: TOO_SLOW, reason: "too slow" },
            },
            _ = ping.tick() => match std::mem::replace(&mut is_alive, false) {
                true => Message::Ping(Bytes::new()),
                false => return End::Gone,
            },
        };
        match timeout(WRITE_LIMIT, sink.send(outgoing)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return End::Gone,
            Err(_) => return End::Close { code: TOO_SLOW, reason: "too slow" },
        }
    }
}

/// As text when it is text: RFC 7118 §4.2 leaves the choice to the sender, and scripts read text with less ado.
fn frame_of(bytes: Bytes) -> Message {
    match Utf8Bytes::try_from(bytes.clone()) {
        Ok(text) => Message::Text(text),
        Err(_) => Message::Binary(bytes),
    }
}
