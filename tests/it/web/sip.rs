//! `/sip`: frames of browsers reach the transport and its answers come back; whoever may not, cannot, or does not read
//! is turned away.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use perezvon::sip::wire::{Flow, Message as SipMessage, Transport as Protocol};
use perezvon::transport::{Limits, Received};
use perezvon::web::HttpConfig;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::house::{House, PATIENCE, Socket};

fn options(call: &str) -> String {
    format!(
        "OPTIONS sip:us@perezvon SIP/2.0\r\nVia: SIP/2.0/WS a.invalid;branch=z9hG4bK{call}\r\nFrom: <sip:101@perezvon>;tag=1\r\n\
         To: <sip:us@perezvon>\r\nCall-ID: {call}\r\nCSeq: 1 OPTIONS\r\n\r\n"
    )
}

/// Opens the socket with these headers besides those of the handshake, or tells the status of the refusal.
async fn open(house: &House, headers: &[(&'static str, &str)]) -> Result<Socket, u16> {
    let mut request = format!("ws://{}/sip", house.address).into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    match timeout(PATIENCE, tokio_tungstenite::connect_async(request)).await.unwrap() {
        Ok((socket, response)) => {
            assert_eq!(response.headers()["sec-websocket-protocol"], "sip");
            Ok(socket)
        }
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(other) => panic!("{other}"),
    }
}

async fn next(house: &mut House) -> Received {
    timeout(PATIENCE, house.transport.received.recv()).await.expect("something in time").expect("open")
}

async fn next_call(house: &mut House) -> (Flow, String) {
    match next(house).await {
        Received::Message { flow, message: Ok(SipMessage::Request(request)), .. } => {
            (flow, request.headers.call_id().unwrap().to_string())
        }
        other => panic!("{other:?}"),
    }
}

async fn read(socket: &mut Socket) -> Option<Message> {
    loop {
        match timeout(PATIENCE, socket.next()).await.expect("a frame in time") {
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(message)) => return Some(message),
            Some(Err(_)) | None => return None,
        }
    }
}

#[tokio::test]
async fn one_frame_is_one_message_in_both_directions_as_text_or_binary() {
    let mut house = House::open().await;
    let mut socket = open(&house, &[("sec-websocket-protocol", "sip")]).await.unwrap();
    socket.send(Message::text(options("a"))).await.unwrap();
    let (flow, call) = next_call(&mut house).await;
    assert_eq!((flow.transport, call.as_str()), (Protocol::Ws, "a"));
    assert_eq!((flow.local, flow.remote.ip()), (house.address, house.address.ip()));
    socket.send(Message::binary(options("b").into_bytes())).await.unwrap();
    assert_eq!(next_call(&mut house).await, (flow, "b".into()));

    house.transport.sender().send(flow, Bytes::from_static("SIP/2.0 200 Добро\r\n\r\n".as_bytes())).unwrap();
    assert_eq!(read(&mut socket).await, Some(Message::text("SIP/2.0 200 Добро\r\n\r\n")));
    house.transport.sender().send(flow, Bytes::from_static(b"SIP/2.0 200 \xff\r\n\r\n")).unwrap();
    assert!(matches!(read(&mut socket).await, Some(Message::Binary(_))), "what is not UTF-8 cannot be text");

    drop(socket);
    assert!(matches!(next(&mut house).await, Received::Closed { flow: closed } if closed == flow));
    assert!(house.transport.sender().send(flow, Bytes::from_static(b"x")).is_err());
}

#[tokio::test]
async fn a_double_line_end_is_answered_and_never_reaches_the_endpoint() {
    let mut house = House::open().await;
    let mut socket = open(&house, &[("sec-websocket-protocol", "sip")]).await.unwrap();
    socket.send(Message::text("\r\n\r\n")).await.unwrap();
    assert_eq!(read(&mut socket).await, Some(Message::text("\r\n")));
    for blank in ["\r\n", "", "this is no SIP"] {
        socket.send(Message::text(blank)).await.unwrap();
    }
    socket.send(Message::text(options("after"))).await.unwrap();
    assert_eq!(next_call(&mut house).await.1, "after");
}

#[tokio::test]
async fn pages_of_other_sites_and_those_who_speak_no_sip_are_refused() {
    let house = House::open().await;
    let own = format!("http://{}", house.address);
    let sip = ("sec-websocket-protocol", "sip");
    assert_eq!(open(&house, &[sip, ("origin", "http://evil.test")]).await.err(), Some(403));
    assert!(open(&house, &[sip, ("origin", &own)]).await.is_ok());
    assert_eq!(open(&house, &[]).await.err(), Some(400));
    assert_eq!(open(&house, &[("sec-websocket-protocol", "mqtt")]).await.err(), Some(400));
    assert!(open(&house, &[("sec-websocket-protocol", "mqtt, sip")]).await.is_ok());
    assert_eq!(house.http.get(house.url("/sip")).send().await.unwrap().status(), 426);
}

#[tokio::test]
async fn a_frame_larger_than_a_message_may_be_ends_the_socket() {
    let mut house = House::open().await;
    let mut socket = open(&house, &[("sec-websocket-protocol", "sip")]).await.unwrap();
    let large = format!("{}X: {}\r\n", options("a"), "x".repeat(80_000));
    socket.send(Message::text(large)).await.unwrap();
    while read(&mut socket).await.is_some_and(|message| !message.is_close()) {}
    assert!(matches!(next(&mut house).await, Received::Closed { .. }));
}

#[tokio::test]
async fn a_browser_that_does_not_read_is_cut_off() {
    let mut house = House::open().await;
    let mut socket = open(&house, &[("sec-websocket-protocol", "sip")]).await.unwrap();
    socket.send(Message::text(options("a"))).await.unwrap();
    let (flow, _) = next_call(&mut house).await;
    let sender = house.transport.sender();
    let large = Bytes::from(vec![b'x'; 60_000]);
    let sent = (0..10_000).take_while(|_| sender.send(flow, large.clone()).is_ok()).count();
    assert!(sent < 10_000, "the queue has an end");
    assert!(matches!(next(&mut house).await, Received::Closed { flow: closed } if closed == flow));
}

#[tokio::test]
async fn a_browser_that_answers_no_ping_is_gone() {
    let config = HttpConfig { ping_every: std::time::Duration::from_millis(50), ..HttpConfig::default() };
    let mut house = House::with(config).await;
    let mut socket = open(&house, &[("sec-websocket-protocol", "sip")]).await.unwrap();
    socket.send(Message::text(options("a"))).await.unwrap();
    let (flow, _) = next_call(&mut house).await;
    // Nobody reads the socket from here on, so nobody answers.
    assert!(matches!(next(&mut house).await, Received::Closed { flow: closed } if closed == flow));
    drop(socket);
}

#[tokio::test]
async fn a_line_that_says_nothing_is_closed_in_time() {
    let limits = Limits { message_timeout: std::time::Duration::from_millis(50), ..Limits::default() };
    let mut house = House::with_limits(HttpConfig::default(), limits).await;
    let mut socket = open(&house, &[("sec-websocket-protocol", "sip")]).await.unwrap();
    assert!(matches!(next(&mut house).await, Received::Closed { .. }));
    assert!(matches!(read(&mut socket).await, Some(Message::Close(_))));
}
