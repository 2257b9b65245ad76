//! The sockets, against peers made of plain std sockets on loopback.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use bytes::Bytes;
use perezvon::sip::endpoint::SendFailure;
use perezvon::sip::wire::{ConnectionId, Flow, Message, Request, Transport as Protocol};
use perezvon::transport::{Limits, Received, Transport, TransportConfig};
use tokio::time::timeout;

const V4: &str = "127.0.0.1:0";

fn bind(udp: &[&str], tcp: &[&str], limits: Limits) -> Transport {
    let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    Transport::bind(&TransportConfig { udp: addresses(udp), tcp: addresses(tcp), limits }).unwrap()
}

fn options(call: u32) -> String {
    format!(
        "OPTIONS sip:us@example.com SIP/2.0\r\nVia: SIP/2.0/TCP peer;branch=z9hG4bK{call}\r\nFrom: <sip:peer@d>;tag=1\r\n\
         To: <sip:us@example.com>\r\nCall-ID: {call}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

async fn next(transport: &mut Transport) -> Received {
    timeout(Duration::from_secs(10), transport.received.recv()).await.expect("something within ten seconds").expect("open")
}

async fn next_request(transport: &mut Transport) -> (Flow, Request) {
    match next(transport).await {
        Received::Message { flow, message: Ok(Message::Request(request)), .. } => (flow, request),
        other => panic!("{other:?}"),
    }
}

async fn call_id(transport: &mut Transport) -> String {
    next_request(transport).await.1.headers.call_id().unwrap().to_string()
}

/// A std socket's blocking work, off the runtime's thread.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    timeout(Duration::from_secs(10), tokio::task::spawn_blocking(work)).await.expect("within ten seconds").unwrap()
}

fn read_until(stream: &mut TcpStream, end: &str) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut text = String::new();
    let mut byte = [0];
    while !text.ends_with(end) {
        stream.read_exact(&mut byte).unwrap();
        text.push(byte[0] as char);
    }
    text
}

fn to(transport: &Transport, index: usize, remote: SocketAddr) -> Flow {
    let listener = transport.listeners[index];
    Flow { transport: listener.transport, local: listener.address, remote, connection: ConnectionId::NONE }
}

#[tokio::test]
async fn datagrams_come_with_their_flow_and_answers_go_back_by_it() {
    for (listen, peer) in [(V4, "127.0.0.1:0"), ("[::1]:0", "[::1]:0"), ("[::]:0", "127.0.0.1:0"), ("[::]:0", "[::1]:0")] {
        let mut transport = bind(&[listen], &[], Limits::default());
        let peer = UdpSocket::bind(peer).unwrap();
        let own = peer.local_addr().unwrap();
        let port = transport.listeners[0].address.port();
        peer.send_to(b"\r\n\r\n", (own.ip(), port)).unwrap();
        peer.send_to(b"not SIP at all", (own.ip(), port)).unwrap();
        peer.send_to(options(7).as_bytes(), (own.ip(), port)).unwrap();
        let (flow, request) = next_request(&mut transport).await;
        assert_eq!(request.headers.call_id().as_deref(), Ok("7"));
        assert_eq!((flow.transport, flow.remote, flow.local), (Protocol::Udp, own, transport.listeners[0].address));
        transport.sender().send(flow, Bytes::from_static(b"pong")).unwrap();
        let mut answer = [0; 16];
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let (length, from) = blocking(move || peer.recv_from(&mut answer).map(|got| (got, answer))).await.unwrap().0;
        assert_eq!((length, from.port()), (4, port), "{listen}");
        let counters = transport.sender().counters();
        assert_eq!((counters.messages_received, counters.keep_alives, counters.malformed), (1, 1, 1));
    }
}

#[tokio::test]
async fn a_flawed_request_comes_with_what_its_answer_needs() {
    let mut transport = bind(&[V4], &[], Limits::default());
    let peer = UdpSocket::bind(V4).unwrap();
    peer.send_to(options(1).replace("1 OPTIONS", "x OPTIONS").as_bytes(), transport.listeners[0].address).unwrap();
    let Received::Message { message: Err(error), .. } = next(&mut transport).await else { panic!("an error") };
    assert_eq!(error.request.unwrap().answer(None).status.code(), 400);
}

#[tokio::test]
async fn a_busy_endpoint_loses_datagrams_and_counts_them() {
    let mut transport = bind(&[V4], &[], Limits { inbound_messages: 4, ..Limits::default() });
    let peer = UdpSocket::bind(V4).unwrap();
    for call in 0..20 {
        peer.send_to(options(call).as_bytes(), transport.listeners[0].address).unwrap();
    }
    let sender = transport.sender();
    let all_counted = async {
        while sender.counters().messages_received + sender.counters().datagrams_dropped < 20 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), all_counted).await.unwrap();
    assert_eq!((sender.counters().messages_received, sender.counters().datagrams_dropped), (4, 16));
    for call in 0..4 {
        assert_eq!(call_id(&mut transport).await, call.to_string());
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_told_at_once() {
    for (listen, nobody) in [(V4, "127.0.0.1:0"), ("[::]:0", "127.0.0.1:0"), ("[::1]:0", "[::1]:0")] {
        let mut transport = bind(&[listen], &[], Limits::default());
        let dead = UdpSocket::bind(nobody).unwrap().local_addr().unwrap();
        let to_dead = to(&transport, 0, dead);
        transport.sender().send(to_dead, Bytes::from(options(1))).unwrap();
        let Received::SendFailed { flow, failure } = next(&mut transport).await else { panic!("a failure") };
        assert_eq!((flow, failure), (to_dead, SendFailure::Refused), "{listen}");
        // The error does not spoil the next datagram to somebody else.
        let peer = UdpSocket::bind(nobody).unwrap();
        transport.sender().send(to(&transport, 0, peer.local_addr().unwrap()), Bytes::from_static(b"x")).unwrap();
        assert_eq!(blocking(move || peer.recv(&mut [0; 4]).unwrap()).await, 1);
    }
}

#[tokio::test]
async fn messages_of_a_stream_come_whole_and_pings_are_answered() {
    for listen in [V4, "[::1]:0"] {
        let mut transport = bind(&[], &[listen], Limits::default());
        let address = transport.listeners[0].address;
        let mut peer = blocking(move || TcpStream::connect(address).unwrap()).await;
        let stream = format!("{}\r\n\r\n{}", options(1), options(2));
        let (first, second) = stream.split_at(100);
        peer.write_all(first.as_bytes()).unwrap();
        peer.write_all(second.as_bytes()).unwrap();
        assert_eq!(call_id(&mut transport).await, "1");
        let (flow, request) = next_request(&mut transport).await;
        assert_eq!(request.headers.call_id().as_deref(), Ok("2"));
        assert_eq!((flow.remote, flow.transport), (peer.local_addr().unwrap(), Protocol::Tcp));
        let (mut peer, pong) = blocking(move || {
            let pong = read_until(&mut peer, "\r\n");
            (peer, pong)
        })
        .await;
        assert_eq!(pong, "\r\n");
        transport.sender().send(flow, Bytes::from_static(b"answer.")).unwrap();
        let peer = blocking(move || {
            assert_eq!(read_until(&mut peer, "."), "answer.");
            peer
        })
        .await;
        drop(peer);
        let Received::Closed { flow: closed } = next(&mut transport).await else { panic!("closed") };
        assert_eq!(closed, flow);
        assert_eq!(transport.sender().send(flow, Bytes::from_static(b"late")), Err(SendFailure::Unreachable));
    }
}

#[tokio::test]
async fn connections_are_opened_once_and_used_again() {
    let mut transport = bind(&[V4], &[V4], Limits::default());
    let carrier = TcpListener::bind(V4).unwrap();
    let flow = to(&transport, 1, carrier.local_addr().unwrap());
    let sender = transport.sender();
    sender.send(flow, Bytes::from(options(1))).unwrap();
    sender.send(flow, Bytes::from(options(2))).unwrap();
    let peer = blocking(move || {
        let (mut peer, from) = carrier.accept().unwrap();
        assert_eq!(from.ip(), carrier.local_addr().unwrap().ip());
        assert!(read_until(&mut peer, "\r\n\r\n").contains("Call-ID: 1"));
        assert!(read_until(&mut peer, "\r\n\r\n").contains("Call-ID: 2"));
        peer.write_all(options(3).as_bytes()).unwrap();
        peer
    })
    .await;
    let (back, _) = next_request(&mut transport).await;
    assert_eq!(back.remote, flow.remote);
    assert_ne!(back.connection, ConnectionId::NONE);
    assert_eq!((sender.counters().connections_opened, sender.open_connections()), (1, 1));
    drop(peer);
    assert!(matches!(next(&mut transport).await, Received::Closed { flow } if flow == back));
}

#[tokio::test]
async fn a_refused_connection_is_told_with_the_flow_that_was_asked_for() {
    let mut transport = bind(&[], &[V4], Limits::default());
    let dead = TcpListener::bind(V4).unwrap().local_addr().unwrap();
    let flow = to(&transport, 0, dead);
    transport.sender().send(flow, Bytes::from(options(1))).unwrap();
    let Received::SendFailed { flow: told, failure } = next(&mut transport).await else { panic!("a failure") };
    assert_eq!((told, failure), (flow, SendFailure::Refused));
    assert_eq!(transport.sender().open_connections(), 0);
}

#[tokio::test]
async fn a_stream_without_lengths_is_answered_and_closed() {
    let mut transport = bind(&[], &[V4], Limits::default());
    let address = transport.listeners[0].address;
    let mut peer = blocking(move || TcpStream::connect(address).unwrap()).await;
    peer.write_all(options(1).replace("Content-Length: 0\r\n", "").as_bytes()).unwrap();
    let Received::Message { flow, message: Err(error), .. } = next(&mut transport).await else { panic!("an error") };
    transport.sender().send(flow, error.request.unwrap().answer(None).to_bytes()).unwrap();
    transport.sender().close(flow.connection);
    let answer = blocking(move || {
        let mut text = String::new();
        peer.read_to_string(&mut text).unwrap();
        text
    })
    .await;
    assert!(answer.starts_with("SIP/2.0 400 "), "{answer}");
    assert!(matches!(next(&mut transport).await, Received::Closed { .. }));
}

#[tokio::test]
async fn who_dawdles_or_comes_too_often_is_cut() {
    let limits = Limits { message_timeout: Duration::from_millis(50), connections_per_address: 1, ..Limits::default() };
    let mut transport = bind(&[], &[V4], limits);
    let address = transport.listeners[0].address;
    let mut slow = blocking(move || TcpStream::connect(address).unwrap()).await;
    slow.write_all(b"OPTIONS sip:us@example.com").unwrap();
    let mut second = blocking(move || TcpStream::connect(address).unwrap()).await;
    assert_eq!(blocking(move || second.read(&mut [0; 8]).unwrap_or(0)).await, 0, "one connection an address");
    assert!(matches!(next(&mut transport).await, Received::Closed { .. }));
    let counters = transport.sender().counters();
    assert_eq!((counters.connections_cut, counters.connections_refused), (1, 1));
    assert_eq!(blocking(move || slow.read(&mut [0; 8]).unwrap_or(0)).await, 0);
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_cut_off() {
    let mut transport = bind(&[], &[V4], Limits { queued_messages: 8, queued_bytes: 1 << 16, ..Limits::default() });
    let address = transport.listeners[0].address;
    let mut deaf = blocking(move || TcpStream::connect(address).unwrap()).await;
    deaf.write_all(options(1).as_bytes()).unwrap();
    let (flow, _) = next_request(&mut transport).await;
    let sender = transport.sender();
    let flood = async {
        while sender.send(flow, Bytes::from(vec![b'x'; 30_000])).is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), flood).await.expect("the queue is bounded");
    assert_eq!(sender.counters().connections_cut, 1);
    assert_eq!(sender.open_connections(), 0);
}

#[tokio::test]
async fn dropping_the_transport_closes_everything() {
    let transport = bind(&[V4], &[V4], Limits::default());
    let (udp, tcp) = (transport.listeners[0].address, transport.listeners[1].address);
    let mut peer = blocking(move || TcpStream::connect(tcp).unwrap()).await;
    peer.write_all(b"\r\n\r\n").unwrap();
    let mut peer = blocking(move || {
        read_until(&mut peer, "\r\n");
        peer
    })
    .await;
    drop(transport);
    assert_eq!(blocking(move || peer.read(&mut [0; 8]).unwrap()).await, 0);
    let rebind = async {
        while UdpSocket::bind(udp).is_err() || TcpListener::bind(tcp).is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), rebind).await.expect("the ports are free again");
}

#[tokio::test]
async fn a_port_in_use_says_which() {
    let taken = UdpSocket::bind(V4).unwrap();
    let address = taken.local_addr().unwrap();
    let error = Transport::bind(&TransportConfig { udp: vec![address], tcp: vec![], limits: Limits::default() }).unwrap_err();
    assert!(error.to_string().starts_with(&format!("[sip] udp {address}: ")), "{error}");
}
