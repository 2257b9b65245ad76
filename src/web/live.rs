//! `/api/v1/live`: the event stream of a browser or a program. One task a socket follows the log (`store::Feed`, which
//! neither loses nor repeats), lets through what `access` allows, and ends with a code that says what to do next.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use metrics::gauge;
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tracing::debug;
use uuid::Uuid;

use super::auth::Signed;
use super::error::{ApiError, words};
use super::extract::Params;
use super::state::AppState;
use crate::access::{Action, Viewer, may, sees_event};
use crate::clock;
use crate::site::Site;
use crate::store::{Feed, FeedEnd, FollowError, Recorded, Session};
use crate::types::Wall;

/// 4001: the client reads too slowly; it resumes after the last `seq` it saw.
const TOO_SLOW: u16 = 4001;
/// 4002: signed out, expired, or the person is gone.
const REVOKED: u16 = 4002;
/// 4003: the events after the asked `seq` are gone; read the state again.
const EXPIRED: u16 = 4003;
/// RFC 6455 §7.4.1: the server goes away; come back at once.
const GOING_AWAY: u16 = 1001;
const OVERLOADED: u16 = 1013;

/// One frame may wait this long for the client's window before the client is too slow.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// How long a close frame may wait for the client's window, and for its answer.
const CLOSE_LIMIT: Duration = Duration::from_secs(20);
const CLOSE_ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// Clients have nothing to tell us; what they send is read and dropped.
const INBOUND_MAX_BYTES: usize = 4096;

pub async fn live(
    State(state): State<AppState>,
    signed: Signed,
    params: Params,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    may(&signed.viewer, Action::Look)?;
    let after = params.parse("after", words("Здесь номер события (seq)", "This is the number of an event (seq)"))?;
    let upgrade = upgrade.map_err(|_| {
        let said = words(
            "Это адрес веб-сокета: нужен запрос на повышение протокола",
            "This address is a websocket: upgrade the protocol",
        );
        ApiError::new(StatusCode::UPGRADE_REQUIRED, "websocket_only", said)
    })?;
    let slot = Arc::clone(state.live_slots()).try_acquire_owned().map_err(|_| {
        ApiError::unavailable(words("Слишком много открытых потоков событий", "Too many open event streams")).with_retry(5)
    })?;
    let upgrade = upgrade.max_message_size(INBOUND_MAX_BYTES).max_frame_size(INBOUND_MAX_BYTES);
    Ok(upgrade.on_upgrade(move |socket| follow(state, signed, after, socket, slot)))
}

async fn follow(state: AppState, signed: Signed, after: Option<u64>, socket: WebSocket, slot: OwnedSemaphorePermit) {
    gauge!("perezvon_live_streams").increment(1);
    let (sink, mut inbound) = socket.split();
    // Before anything else, so that a sign-out from now on is heard.
    let revoked = state.store().session_revocations();
    let stopping = state.stopping();
    let Signed { viewer, site, session, token } = signed;
    let mut stream = Stream { sink, viewer, site, state, session, token, revoked, stopping };
    let end = stream.run(after, &mut inbound).await;
    debug!(user.login = %stream.viewer.login, end = ?end, "a live stream of {} ended", stream.viewer.login);
    if let End::Close { code, reason } = end {
        stream.close(code, reason, &mut inbound).await;
    }
    gauge!("perezvon_live_streams").decrement(1);
    drop(slot);
}

/// Why a stream is over.
#[derive(Debug)]
enum End {
    /// The peer said goodbye, vanished, or did not answer a ping.
    Gone,
    /// We end it and say why.
    Close { code: u16, reason: &'static str },
}

const fn close(code: u16, reason: &'static str) -> End {
    End::Close { code, reason }
}

struct Stream {
    sink: SplitSink<WebSocket, Message>,
    viewer: Viewer,
    /// The set-up that `viewer` was made from.
    site: Arc<Site>,
    state: AppState,
    session: Session,
    token: Arc<str>,
    revoked: broadcast::Receiver<Uuid>,
    stopping: watch::Receiver<bool>,
}

impl Stream {
    async fn run(&mut self, after: Option<u64>, inbound: &mut SplitStream<WebSocket>) -> End {
        // The session may have ended between the request and our subscription to revocations.
        if !self.is_valid().await {
            return close(REVOKED, "session revoked");
        }
        let mut feed = match self.state.log().follow(Some(self.viewer.login.clone()), after) {
            Ok(feed) => feed,
            Err(FollowError::Expired) => return close(EXPIRED, "seq expired"),
            Err(FollowError::Stopping) => return close(GOING_AWAY, "the server is stopping"),
        };
        // `newest`: how much of the past is still to come.
        let newest = self.state.log().last_seq().max(feed.ready_seq());
        let ready = format!("{{\"type\":\"stream.ready\",\"seq\":{},\"newest\":{newest}}}", feed.ready_seq());
        if let Err(end) = self.write(Message::text(ready)).await {
            return end;
        }
        let every = self.state.config().ping_every;
        let mut ping = interval_at(Instant::now() + every, every);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_alive = true;
        let mut expiry = pin!(sleep(self.time_left()));
        loop {
            let turn = tokio::select! {
                biased;
                end = ended(&mut self.revoked, &mut self.stopping, self.session.id) => match end {
                    Some(end) => Err(end),
                    None => self.recheck().await,
                },
                () = &mut expiry => Err(close(REVOKED, "session expired")),
                received = inbound.next() => match received {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => Err(End::Gone),
                    Some(Ok(_)) => { is_alive = true; Ok(()) }
                },
                _ = ping.tick() => match std::mem::replace(&mut is_alive, false) {
                    true => self.ping().await,
                    false => Err(End::Gone),
                },
                next = feed.next() => match next {
                    Ok(recorded) => self.carry(&feed, &recorded).await,
                    Err(FeedEnd::TooSlow) => Err(close(TOO_SLOW, "too slow, resume")),
                    Err(FeedEnd::Expired) => Err(close(EXPIRED, "seq expired")),
                    Err(FeedEnd::Stopped) => Err(close(GOING_AWAY, "the server is stopping")),
                    Err(FeedEnd::Store(_)) => Err(close(OVERLOADED, "the database does not answer")),
                },
            };
            if let Err(end) = turn {
                return end;
            }
        }
    }

    /// Writes one event when the viewer may see it; either way the log learns that it is behind us.
    async fn carry(&mut self, feed: &Feed, recorded: &Arc<Recorded>) -> Result<(), End> {
        self.renew_viewer()?;
        if sees_event(&self.viewer, &recorded.event) {
            // Shared by every socket: only the reference is copied.
            let bytes = Bytes::from_owner(Frame(Arc::clone(recorded)));
            let text = Utf8Bytes::try_from(bytes).expect("JSON made from a str");
            self.write(Message::Text(text)).await?;
        }
        feed.mark_written(recorded);
        Ok(())
    }

    /// Roles, teams and queues may have changed since the last event.
    fn renew_viewer(&mut self) -> Result<(), End> {
        let site = self.state.site();
        if !Arc::ptr_eq(&site, &self.site) {
            self.viewer = Viewer::of(&site, self.viewer.login.as_str()).ok_or(close(REVOKED, "session revoked"))?;
            self.site = site;
        }
        Ok(())
    }

    /// Hands the frame to the kernel. A sign-out or a stop does not wait for a slow client.
    async fn write(&mut self, message: Message) -> Result<(), End> {
        self.sink.feed(message).await.map_err(|_| End::Gone)?;
        loop {
            tokio::select! {
                biased;
                end = ended(&mut self.revoked, &mut self.stopping, self.session.id) => match end {
                    Some(end) => return Err(end),
                    None => continue,
                },
                flushed = timeout(WRITE_LIMIT, self.sink.flush()) => return match flushed {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(_)) => Err(End::Gone),
                    Err(_) => Err(close(TOO_SLOW, "too slow, resume")),
                },
            }
        }
    }

    async fn ping(&mut self) -> Result<(), End> {
        self.recheck().await?;
        self.write(Message::Ping(Bytes::new())).await
    }

    /// Until the session expires; half a year when it never does, and nobody keeps a connection that long.
    fn time_left(&self) -> Duration {
        let left = |end: Wall| Duration::from_millis(end.millis_since(clock::wall()));
        self.session.expires_at.map_or(Duration::MAX, left).min(Duration::from_secs(182 * 24 * 3600))
    }

    /// Looks the session up: it may have expired, or have been revoked by another process.
    async fn recheck(&mut self) -> Result<(), End> {
        self.renew_viewer()?;
        match self.is_valid().await {
            true => Ok(()),
            false => Err(close(REVOKED, "session revoked")),
        }
    }

    /// A silent database is no reason to sign people out.
    async fn is_valid(&self) -> bool {
        let now = clock::wall();
        let is_expired = self.session.expires_at.is_some_and(|end| end <= now);
        !is_expired && self.state.store().session_by_token(&self.token, now).await.map_or(true, |session| session.is_some())
    }

    /// Says why, and waits for the peer to have read it: closing a socket with unread data in it would destroy the frame.
    async fn close(&mut self, code: u16, reason: &'static str, inbound: &mut SplitStream<WebSocket>) {
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        let sent = timeout(CLOSE_LIMIT, self.sink.send(Message::Close(Some(frame)))).await;
        if matches!(sent, Ok(Ok(()))) {
            let _ = timeout(CLOSE_ANSWER_LIMIT, async { while let Some(Ok(_)) = inbound.next().await {} }).await;
        }
    }
}

/// Waits until this session or the server ends. `None`: too many revocations at once to have heard them all; look it up.
async fn ended(revoked: &mut broadcast::Receiver<Uuid>, stopping: &mut watch::Receiver<bool>, session: Uuid) -> Option<End> {
    loop {
        tokio::select! {
            id = revoked.recv() => match id {
                Ok(id) if id == session => return Some(close(REVOKED, "session revoked")),
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(_)) => return None,
                Err(broadcast::error::RecvError::Closed) => return Some(close(GOING_AWAY, "the server is stopping")),
            },
            _ = stopping.wait_for(|stopping| *stopping) => return Some(close(GOING_AWAY, "the server is stopping")),
        }
    }
}

/// The event's JSON as bytes that every socket shares.
struct Frame(Arc<Recorded>);

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        self.0.json.as_bytes()
    }
}
