//! One TCP connection from its first byte to its last: reads messages and keep-alives, writes what is queued.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, timeout, timeout_at};

use super::Received;
use super::counters::count;
use super::registry::WriteQueueEnd;
use super::sender::Shared;
use crate::clock;
use crate::sip::wire::{Flaw, Flow, Frame, FramingError, Message, ParseError, StreamFramer};

const READ_BYTES: usize = 8192;

/// After the peer's last word: time for the endpoint's answer to get out.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why reading ended.
enum Ended {
    /// The peer was silent for too long, or the socket failed.
    Gone,
    /// The peer will send no more, or nothing that can be cut into messages; it may still want the last answer.
    LastWordSaid,
}

/// A connection's place among the open ones. Dropping it gives the place back and tells the endpoint, also when the
/// connection's task panicked or was aborted: else a hundred panics would shut a peer out for ever.
pub(super) struct Slot {
    shared: Arc<Shared>,
    pub(super) flow: Flow,
    is_told: bool,
}

impl Slot {
    pub(super) fn of(shared: &Arc<Shared>, flow: Flow) -> Slot {
        Slot { shared: shared.clone(), flow, is_told: false }
    }

    /// Ends in order: the endpoint is told even when it is busy.
    pub(super) async fn close(self) {
        let flow = self.flow;
        self.end(Received::Closed { flow }).await;
    }

    /// `close` with another word: it never opened.
    pub(super) async fn end(mut self, told: Received) {
        self.shared.connections.remove(self.flow.connection);
        self.is_told = true;
        // An error means that the endpoint is gone, and with it soon this task.
        let _ = self.shared.inbound.send(told).await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.connections.remove(self.flow.connection);
        if !self.is_told {
            // A busy endpoint misses it, and learns the same when it next sends on this connection.
            let _ = self.shared.inbound.try_send(Received::Closed { flow: self.flow });
        }
    }
}

/// Serves the connection until either side ends it, then reports it closed.
pub(super) async fn run(slot: Slot, stream: TcpStream, mut end: WriteQueueEnd) {
    let (mut reader, mut writer) = stream.into_split();
    let (shared, flow) = (&*slot.shared, slot.flow);
    tokio::select! {
        ended = read(shared, &mut reader, flow) => if matches!(ended, Ended::LastWordSaid) {
            let _ = timeout(LAST_WORDS, write(shared, &mut writer, &mut end)).await;
        },
        () = write(shared, &mut writer, &mut end) => {}
    }
    // What is still queued is lost, as it would be in the kernel's buffer.
    shared.connections.remove(flow.connection);
    let _ = timeout(LAST_WORDS, writer.shutdown()).await;
    slot.close().await;
}

async fn read(shared: &Shared, reader: &mut OwnedReadHalf, flow: Flow) -> Ended {
    let mut framer = StreamFramer::new();
    let mut chunk = BytesMut::with_capacity(READ_BYTES);
    // Set while a message is owed: the first one, and the rest of one that has begun.
    let mut message_due = Some(Instant::now() + shared.limits.message_timeout);
    loop {
        chunk.clear();
        let until = message_due.unwrap_or_else(|| Instant::now() + shared.limits.idle_timeout);
        match timeout_at(until, reader.read_buf(&mut chunk)).await {
            Ok(Ok(1..)) => framer.push(&chunk),
            Ok(Ok(0)) => return Ended::LastWordSaid,
            Ok(Err(_)) => return Ended::Gone,
            Err(_) => {
                count(&shared.counts.connections_cut);
                return Ended::Gone;
            }
        }
        match take_frames(shared, &mut framer, flow).await {
            Ok(()) if framer.is_empty() => message_due = None,
            Ok(()) => message_due = message_due.or_else(|| Some(Instant::now() + shared.limits.message_timeout)),
            Err(error) => {
                report_broken(shared, flow, error).await;
                return Ended::LastWordSaid;
            }
        }
    }
}

/// Hands on everything that has come whole. Waits while the endpoint is busy: the peer's TCP then waits too.
async fn take_frames(shared: &Shared, framer: &mut StreamFramer, flow: Flow) -> Result<(), FramingError> {
    while let Some(frame) = framer.next_frame()? {
        match frame {
            Frame::Message(message) => deliver(shared, flow, Ok(message)).await,
            Frame::Flawed(error) => deliver(shared, flow, Err(error)).await,
            Frame::Ping => {
                count(&shared.counts.keep_alives);
                // RFC 5626 §4.4.1: the pong. A full queue proves that the peer does not read: no pong then.
                if let Some(queue) = shared.connections.by_id(flow.connection) {
                    let _ = queue.push(Bytes::from_static(b"\r\n"));
                }
            }
            Frame::Pong => count(&shared.counts.keep_alives),
        }
    }
    Ok(())
}

pub(super) async fn deliver(shared: &Shared, flow: Flow, message: Result<Message, ParseError>) {
    if message.as_ref().is_err_and(|error| error.request.is_none()) {
        return count(&shared.counts.malformed);
    }
    count(&shared.counts.messages_received);
    // An error means that the endpoint is gone, and with it soon this task.
    let _ = shared.inbound.send(Received::Message { at: clock::now(), flow, message }).await;
}

/// A request without a length is told so, if it can be, before the connection closes.
async fn report_broken(shared: &Shared, flow: Flow, error: FramingError) {
    count(&shared.counts.malformed);
    count(&shared.counts.connections_cut);
    if let FramingError::NoLength(Some(request)) = error {
        deliver(shared, flow, Err(ParseError { flaw: Flaw::Truncated, request: Some(request) })).await;
    }
}

/// Writes what is queued until the queue closes, the peer stops reading, or the socket fails.
async fn write(shared: &Shared, writer: &mut OwnedWriteHalf, end: &mut WriteQueueEnd) {
    let mut batch = Vec::with_capacity(READ_BYTES);
    while let Some(bytes) = end.next().await {
        batch.clear();
        batch.extend_from_slice(&bytes);
        // Several small messages leave in one packet.
        while batch.len() < READ_BYTES && !end.is_empty() {
            let Some(more) = end.next().await else { break };
            batch.extend_from_slice(&more);
        }
        match timeout(shared.limits.write_timeout, writer.write_all(&batch)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(_) => return count(&shared.counts.connections_cut),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::sip::wire::Transport as Protocol;
    use crate::transport::{Limits, tasks};

    #[tokio::test]
    async fn a_connection_whose_task_panics_gives_its_place_back_and_is_reported_closed() {
        let (inbound, mut received) = mpsc::channel(8);
        let shared = Arc::new(Shared::new(Vec::new(), inbound, Limits { connections_per_address: 1, ..Limits::default() }));
        let address = |text: &str| text.parse().unwrap();
        let add = || shared.connections.add(Protocol::Tcp, address("127.0.0.1:5060"), address("10.0.0.1:1"));
        let (flow, _end) = add().unwrap();
        assert!(add().is_none(), "one of an address");
        let slot = Slot::of(&shared, flow);
        tasks::spawn("sip connection", async move {
            let _slot = slot;
            panic!("as a defect would");
        });
        let Some(Received::Closed { flow: closed }) = received.recv().await else { panic!("not told") };
        assert_eq!(closed, flow);
        assert!(shared.connections.len() == 0 && add().is_some());
    }
}
