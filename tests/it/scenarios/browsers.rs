//! A page on the real server: SIP over a websocket with lent credentials, media by a whole WebRTC peer, of the `webrtc`
//! crate or of aiortc. It is called together with its user's desk phone, is reloaded in the call, and comes back into it.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use perezvon::media::codec::Codec;
use perezvon::media::tones::power;
use perezvon::sip::auth::{Credentials, answer_challenge};
use perezvon::sip::wire::{HeaderName, Message, Method, Request, Response, Status, Uri};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::media::webrtc_peer::{Heard, Peer};
use crate::support::aiortc::Aiortc;
use crate::support::ears::share_of_tone;
use crate::support::office::{CLIENT_HZ, Office, SOON, agent_hz};
use crate::support::sites;

const PAGE_HZ: f32 = 1500.0;
const RELOADED_HZ: f32 = 1900.0;

/// A page's telephone, as far as signalling goes.
struct Page {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    name: &'static str,
}

/// Audio of a page that has answered; silent when dropped.
struct Voice {
    heard: Heard,
    speaking: JoinHandle<()>,
}

impl Drop for Voice {
    fn drop(&mut self) {
        self.speaking.abort();
    }
}

impl Page {
    /// Signs in, opens the websocket and registers; `name` is its Contact's.
    async fn open(office: &Office, index: usize, name: &'static str) -> Page {
        let (status, phone) = office.server.api(&sites::login(index)).send("POST", "me/phone", json!({})).await;
        assert_eq!(status, 200, "{phone}");
        let mut request = phone["ws_url"].as_str().unwrap().into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "sip".parse().unwrap());
        let (socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        let mut page = Page { socket, name };
        let address = phone["uri"].as_str().unwrap();
        let register = |cseq: u32, more: &str| {
            format!(
                "REGISTER sip:perezvon SIP/2.0\r\nVia: SIP/2.0/WS {name}.invalid;branch=z9hG4bK{name}{cseq}\r\nMax-Forwards: 70\r\n\
                 From: <{address}>;tag={name}\r\nTo: <{address}>\r\nCall-ID: {name}\r\nCSeq: {cseq} REGISTER\r\n\
                 Contact: <sip:{name}@{name}.invalid;transport=ws>\r\nExpires: 300\r\n{more}\r\n"
            )
        };
        page.write(&register(1, "")).await;
        let challenge = page.next_response().await;
        assert_eq!(challenge.status, Status::UNAUTHORIZED);
        let text = |name: &str| phone[name].as_str().unwrap().to_owned();
        let credentials = Credentials { username: text("username"), password: text("password") };
        let uri: Uri = "sip:perezvon".parse().unwrap();
        let (header, value) = answer_challenge(&challenge.headers, &credentials, &Method::Register, &uri, 1, "c").unwrap();
        page.write(&register(2, &format!("{header}: {value}\r\n"))).await;
        assert_eq!(page.next_response().await.status, Status::OK);
        page
    }

    async fn write(&mut self, text: &str) {
        self.socket.send(Frame::text(text)).await.unwrap();
    }

    async fn next(&mut self) -> Message {
        loop {
            let frame = timeout(SOON, self.socket.next()).await.expect("a message in time").expect("open").unwrap();
            if let Frame::Text(text) = frame {
                return Message::parse(text.as_bytes()).unwrap();
            }
        }
    }

    async fn next_response(&mut self) -> Response {
        match self.next().await {
            Message::Response(response) => response,
            Message::Request(request) => panic!("a request: {}", request.method),
        }
    }

    /// The next request of this method; ACKs in between are passed over.
    async fn next_request(&mut self, method: &Method) -> Request {
        loop {
            match self.next().await {
                Message::Request(request) if request.method == *method => return request,
                Message::Request(request) if request.method == Method::Ack => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Calls an extension: the call's To with its tag, and the SDP of the answer.
    async fn call(&mut self, from: &str, to: &str, offer: &str) -> (String, String) {
        self.write(&self.request("INVITE", 1, from, &format!("<sip:{to}@perezvon>"), to, offer)).await;
        loop {
            let response = self.next_response().await;
            if response.status == Status::OK {
                let to_with_tag = response.headers.get(&HeaderName::To).unwrap().to_string();
                self.write(&self.request("ACK", 1, from, &to_with_tag, to, "")).await;
                return (to_with_tag, String::from_utf8(response.body.to_vec()).unwrap());
            }
            assert!(response.status.is_provisional(), "{}", response.status.code());
        }
    }

    fn request(&self, method: &str, cseq: u32, from: &str, to: &str, user: &str, body: &str) -> String {
        let name = self.name;
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} sip:{user}@perezvon SIP/2.0\r\nVia: SIP/2.0/WS {name}.invalid;branch=z9hG4bK{name}{method}\r\n\
             Max-Forwards: 70\r\nFrom: <{from}>;tag={name}out\r\nTo: {to}\r\nCall-ID: {name}out\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:{name}@{name}.invalid;transport=ws>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    async fn answer(&mut self, request: &Request, body: &str) {
        let mut response = request.answer(Status::OK, Some(self.name));
        let contact = format!("<sip:{0}@{0}.invalid;transport=ws;ob>", self.name);
        response.headers.push(HeaderName::Contact, contact);
        if !body.is_empty() {
            response = response.with_body("application/sdp", body.to_owned());
        }
        self.write(std::str::from_utf8(&response.to_bytes()).unwrap()).await;
    }

    /// Takes the call and speaks this tone.
    async fn talk(&mut self, invite: &Request, hz: f32) -> Voice {
        let offer = String::from_utf8(invite.body.to_vec()).unwrap();
        assert!(offer.contains("UDP/TLS/RTP/SAVPF 8 "), "the client's codec comes first: {offer}");
        let mut peer = Peer::new(Codec::Pcma, hz).await;
        let answer = peer.answer_to(offer).await;
        self.answer(invite, &answer).await;
        let heard = peer.heard.clone();
        let speaking = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            loop {
                ticks.tick().await;
                peer.send_tone().await;
            }
        });
        Voice { heard, speaking }
    }
}

impl Voice {
    /// A fifth of a second of this tone and little else.
    async fn hears(&self, hz: f32) {
        let until = Instant::now() + SOON;
        loop {
            let last: Vec<i16> = {
                let heard = self.heard.lock().unwrap();
                let audio = heard[heard.len().saturating_sub(10)..].iter().flat_map(|(_, audio)| audio);
                audio.map(|byte| Codec::Pcma.decode_sample(*byte)).collect()
            };
            let whole = last.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / last.len().max(1) as f64;
            if last.len() == 1600 && power(&last, 8000, hz) > 0.8 * whole && whole > 10_000.0 {
                return;
            }
            assert!(Instant::now() < until, "the page does not hear {hz} Hz");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

fn header(request: &Request, name: &'static str) -> String {
    request.headers.get(&HeaderName::Other(name.into())).unwrap_or_else(|| panic!("no {name}")).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_takes_a_queues_call_is_reloaded_in_it_and_goes_on_talking() {
    let mut office = Office::open(1, "", "").await;
    let mut page = Page::open(&office, 0, "before").await;
    let client = office.client_calls().await;
    let desk_phone = office.rings_at(0).await;
    let invite = page.next_request(&Method::Invite).await;
    let voice = page.talk(&invite, PAGE_HZ).await;
    desk_phone.ended(SOON).await.unwrap();
    let answered = office.live.until("call.answered").await;
    let call = answered["call_id"].as_str().unwrap().to_owned();
    assert_eq!(header(&invite, "X-Perezvon-Call"), call);
    client.hears_tone(PAGE_HZ, SOON).await.unwrap();
    voice.hears(CLIENT_HZ).await;

    // The reload: socket and media vanish without a word.
    drop((page, voice));
    let mut page = Page::open(&office, 0, "after").await;
    let invite = page.next_request(&Method::Invite).await;
    assert_eq!(header(&invite, "X-Perezvon-Resume"), call);
    assert!(invite.headers.get(&HeaderName::CallInfo).unwrap().contains("answer-after=0"));
    assert_eq!(office.live.until("call.leg_lost").await["call_id"], *call);
    let voice = page.talk(&invite, RELOADED_HZ).await;
    let returned = office.live.until("call.leg_returned").await;
    assert!(returned["data"]["gap_ms"].as_u64().unwrap() < 8_000, "{returned}");
    client.hears_tone(RELOADED_HZ, SOON).await.unwrap();
    voice.hears(CLIENT_HZ).await;

    client.hang_up().await.unwrap();
    let bye = page.next_request(&Method::Bye).await;
    page.answer(&bye, "").await;
    let ended = office.live.until("call.ended").await;
    assert_eq!((&ended["data"]["cause"], &ended["data"]["id"]), (&"normal".into(), &call.as_str().into()));
    let ready = office.live.until("recording.ready").await;
    assert_eq!(ready["data"]["call_id"], *call, "one recording of one call");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_implementation_of_webrtc_takes_a_queues_call_and_calls_a_desk_phone() {
    let mut office = Office::open(2, "", "").await;
    drop(office.agents.remove(0));
    office.root.send("PUT", "agents/agent1/state", json!({"state": "break"})).await;
    let mut page = Page::open(&office, 0, "aiortc").await;

    let mut peer = Aiortc::new(PAGE_HZ);
    let client = office.client_calls().await;
    let invite = page.next_request(&Method::Invite).await;
    let answer = peer.answer_to(std::str::from_utf8(&invite.body).unwrap());
    page.answer(&invite, &answer).await;
    let answered = office.live.until("call.answered").await;
    client.hears_tone(PAGE_HZ, SOON).await.unwrap();
    peer.hears(CLIENT_HZ, SOON);
    client.hears(SOON, |heard| heard.tone_ms(PAGE_HZ) >= 600).await.unwrap();
    client.hang_up().await.unwrap();
    let bye = page.next_request(&Method::Bye).await;
    page.answer(&bye, "").await;
    let (_, rate, left, right) = office.recording_of(answered["call_id"].as_str().unwrap()).await;
    assert!(share_of_tone(&left, rate, CLIENT_HZ) > 0.8, "the client on the left");
    let last = right.len().saturating_sub(rate as usize / 2);
    assert!(share_of_tone(&right[last..], rate, PAGE_HZ) > 0.8, "the peer on the right");
    office.agent_becomes(0, |agent| agent["state"] == "ready").await;

    let mut peer = Aiortc::new(PAGE_HZ);
    let offer = peer.offer();
    let desk = sites::extension(1);
    let calling = page.call("sip:1000@perezvon", &desk, &offer);
    let (called, (to, answer)) = tokio::join!(
        async {
            let ringing = timeout(SOON, office.agents[0].next_call()).await.expect("the desk phone rings").unwrap();
            ringing.answer().await.unwrap();
            ringing
        },
        calling
    );
    peer.take_answer(&answer);
    called.hears_tone(PAGE_HZ, SOON).await.unwrap();
    peer.hears(agent_hz(1), SOON);
    page.write(&page.request("BYE", 2, "sip:1000@perezvon", &to, &desk, "")).await;
    assert_eq!(page.next_response().await.status, Status::OK);
    called.ended(SOON).await.unwrap();
}
