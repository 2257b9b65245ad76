//! SIP over WebSocket (RFC 7118) below the websocket: one message a frame in, one message a frame out. The HTTP port
//! holds the socket itself and carries frames to and from a `WebSocketLine`; browsers open lines, we never do.

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::connection::Slot;
use super::counters::count;
use super::registry::WriteQueueEnd;
use super::sender::{Sender, Shared};
use super::{connection, tasks};
use crate::sip::wire::{Flow, Message, Transport as Protocol};

/// Frames between the socket and the reader of messages. Full: the socket is not read, and its TCP makes the peer wait.
const WAITING_FRAMES: usize = 8;

/// RFC 5626 §4.4.1, which RFC 7118 §6 keeps: a ping and its pong.
const PING: &[u8] = b"\r\n\r\n";
const PONG: &[u8] = b"\r\n";

/// The line is over: whoever holds the socket closes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the line is closed")]
pub struct LineClosed;

/// One browser's websocket. Dropping it tells the endpoint that the connection has gone.
#[derive(Debug)]
pub struct WebSocketLine {
    frames: mpsc::Sender<Bytes>,
    end: WriteQueueEnd,
}

impl WebSocketLine {
    /// Hands a frame on; waits while the endpoint is busy.
    pub async fn receive(&self, frame: Bytes) -> Result<(), LineClosed> {
        self.frames.send(frame).await.map_err(|_| LineClosed)
    }

    /// The next message to write as one frame; `None` when the socket shall be closed. Cancel-safe.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.end.next().await
    }
}

impl Sender {
    /// Takes a websocket in, opened from `remote` to our `local`; `None` over a cap. `is_secure`: the browser came by TLS.
    pub fn accept_websocket(
        &self,
        local: std::net::SocketAddr,
        remote: std::net::SocketAddr,
        is_secure: bool,
    ) -> Option<WebSocketLine> {
        let shared = self.shared().clone();
        let transport = if is_secure { Protocol::Wss } else { Protocol::Ws };
        let Some((flow, end)) = shared.connections.add(transport, local, remote) else {
            count(&shared.counts.connections_refused);
            return None;
        };
        count(&shared.counts.connections_accepted);
        let (frames, received) = mpsc::channel(WAITING_FRAMES);
        let slot = Slot::of(&shared, flow);
        tasks::spawn("sip websocket", async move {
            read(&shared, flow, received).await;
            slot.close().await;
        });
        Some(WebSocketLine { frames, end })
    }
}

/// Reads frames until the socket's holder lets go of the line, or the peer is silent for too long.
async fn read(shared: &Shared, flow: Flow, mut frames: mpsc::Receiver<Bytes>) {
    // A page that opens a line has something to say: it registers.
    let mut until = Instant::now() + shared.limits.message_timeout;
    loop {
        match timeout_at(until, frames.recv()).await {
            Ok(Some(frame)) => {
                if take(shared, flow, &frame).await {
                    until = Instant::now() + shared.limits.idle_timeout;
                }
            }
            Ok(None) => return,
            Err(_) => {
                count(&shared.counts.connections_cut);
                return;
            }
        }
    }
}

/// Whether the frame was a message. Others are answered or counted, and prove nothing.
async fn take(shared: &Shared, flow: Flow, frame: &[u8]) -> bool {
    if frame == PING {
        count(&shared.counts.keep_alives);
        if let Some(queue) = shared.connections.by_id(flow.connection) {
            // A full queue proves that the peer does not read: no pong then.
            let _ = queue.push(Bytes::from_static(PONG));
        }
        return false;
    }
    if frame.iter().all(|byte| matches!(byte, b'\r' | b'\n' | b' ' | 0)) {
        count(&shared.counts.keep_alives);
        return false;
    }
    // The frame is the message, so Content-Length may be absent, as on UDP (RFC 7118 §4.2).
    let message = Message::parse(frame);
    let is_message = message.is_ok();
    connection::deliver(shared, flow, message).await;
    is_message
}
