//! The browser port of a media thread: one UDP socket for all its browsers. It sorts what comes (RFC 7983): binding requests
//! by the user name in them, all else by the address it comes from, which counts only after a request from there proved the
//! password. A stranger's packet costs one look into a table, or a little reading, and changes nothing.
//!
//! Handshakes are the only costly packets of a media thread. They wait in line, and each round of the loop takes only a
//! little of its time for them, so that a hundred browsers that come back at once delay nobody's audio.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use rand::distr::{Alphanumeric, SampleString};

use super::browser::{Request, Tidings};
use super::command::{IceCredentials, MediaId, Secure};
use super::dtls::Identity;
use super::handle::BrowserLimits;
use super::leg::Leg;
use super::net;
use super::ports;
use super::shield;
use super::thread::MediaThread;
use super::wire::Wire;
use crate::clock;
use crate::media::stun;
use crate::types::Time;

/// Browser legs of one relay at once.
pub(super) const BROWSERS: usize = 2048;
/// Handshake datagrams that may wait on one thread, and of one browser. More are dropped: their senders repeat them.
const WAITING: usize = 512;
const WAITING_OF_ONE: usize = 8;
/// What one round of the loop gives to handshakes. The step that is under way is finished: half a millisecond more.
const HANDSHAKES_A_ROUND: Duration = Duration::from_micros(300);
/// A second of packets of a hundred browsers, and of a flood beside them.
const RECEIVE_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// First bytes of DTLS, and of RTP and RTCP (RFC 7983 §7).
const FIRST_DTLS: u8 = 20;
const LAST_DTLS: u8 = 63;
const FIRST_RTP: u8 = 128;
const LAST_RTP: u8 = 191;

/// The port and who is behind which address.
pub(super) struct Browsers {
    pub socket: Arc<UdpSocket>,
    pub identity: Arc<Identity>,
    pub limits: BrowserLimits,
    /// The first place in the thread's list of legs that is a browser's.
    first: u16,
    /// At most `ice::ADDRESSES` for each leg.
    by_address: HashMap<SocketAddr, MediaId>,
    handshakes: VecDeque<(MediaId, Vec<u8>)>,
    refused: Refused,
}

/// Packets that were not let in, since they were last told to the metrics.
#[derive(Default)]
struct Refused {
    strangers: u64,
    forged: u64,
    replayed: u64,
    crowded: u64,
}

impl Browsers {
    pub fn new(socket: UdpSocket, identity: Arc<Identity>, limits: BrowserLimits, first: u16) -> Browsers {
        Browsers {
            socket: Arc::new(socket),
            identity,
            limits,
            first,
            by_address: HashMap::new(),
            handshakes: VecDeque::new(),
            refused: Refused::default(),
        }
    }

    /// Whether handshakes wait, so that the thread must not sleep.
    pub fn is_shaking_hands(&self) -> bool {
        !self.handshakes.is_empty()
    }

    /// Tells the metrics. A few times a second.
    pub fn report(&mut self) {
        let refused = std::mem::take(&mut self.refused);
        for (reason, count) in [
            ("stranger", refused.strangers),
            ("forged", refused.forged),
            ("replayed", refused.replayed),
            ("crowded", refused.crowded),
        ] {
            if count > 0 {
                metrics::counter!("perezvon_webrtc_packets_refused_total", "reason" => reason).increment(count);
            }
        }
    }

    /// The leg that a binding request names, by the place in our part of its user name.
    fn named(&self, request: &stun::BindingRequest<'_>) -> Option<usize> {
        let (ours, _) = request.ufrags()?;
        let place = u16::from_str_radix(ours.get(..PLACE_DIGITS)?, 16).ok()?;
        Some(usize::from(self.first.checked_add(place)?))
    }

    fn wait(&mut self, media: MediaId, datagram: &[u8]) {
        let of_one = self.handshakes.iter().filter(|(other, _)| *other == media).count();
        if self.handshakes.len() >= WAITING || of_one >= WAITING_OF_ONE {
            self.refused.crowded += 1;
        } else {
            self.handshakes.push_back((media, datagram.to_vec()));
        }
    }

    fn forget(&mut self, media: MediaId, address: SocketAddr) {
        if self.by_address.get(&address) == Some(&media) {
            self.by_address.remove(&address);
        }
    }
}

/// Hexadecimal digits at the beginning of our user names that say which place is meant.
const PLACE_DIGITS: usize = 4;

/// ICE credentials for a place: 47 random bits in the name, 142 in the password (RFC 8445 §5.3 wants 24 and 128).
pub(super) fn credentials(place: u16) -> IceCredentials {
    let random = |letters| Alphanumeric.sample_string(&mut rand::rng(), letters);
    IceCredentials { ufrag: format!("{place:04x}{}", random(8)), password: random(24) }
}

/// Binds the browser port of one thread.
pub(super) fn bind(bind: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let socket = ports::bind_socket(bind, port)?;
    shield::admit_all(&socket)?;
    if !net::enlarge_receive_buffer(&socket, RECEIVE_BUFFER_BYTES) {
        tracing::warn!(
            name: "relay.small_buffer",
            port, wanted_bytes = RECEIVE_BUFFER_BYTES,
            "the browser port {port} has a small receive buffer; set net.core.rmem_max to {RECEIVE_BUFFER_BYTES} or more"
        );
    }
    Ok(socket)
}

impl MediaThread {
    pub(super) fn open_browser(&mut self, id: MediaId, ours: IceCredentials, seed: [u32; 4]) {
        let browsers = &self.browsers;
        let browser = super::browser::Browser::new(id, Arc::clone(&browsers.socket), self.parts.bind, browsers.limits, ours);
        if let Some(browser) = browser {
            self.put(id, Leg::new(id, Wire::Browser(Box::new(browser)), self.parts.bind, seed));
        }
    }

    /// Signalling described a far end: what is the browser's of it. Only a browser leg has anything to do here.
    pub(super) fn connect_browser(&mut self, now: Time, media: MediaId, secure: &Secure) -> Tidings {
        let identity = Arc::clone(&self.browsers.identity);
        match (self.leg_of(media).map(|leg| &mut leg.wire), secure) {
            (Some(Wire::Browser(browser)), Secure::Dtls { fingerprint, we_are, theirs }) => {
                browser.connect(now, &identity, *fingerprint, *we_are, theirs)
            }
            _ => [const { None }; 2],
        }
    }

    pub(super) fn restart_ice(&mut self, media: MediaId, ours: IceCredentials) {
        if let Some(Wire::Browser(browser)) = self.leg_of(media).map(|leg| &mut leg.wire) {
            browser.restart(ours);
        }
    }

    /// A browser leg has closed.
    pub(super) fn forget_browser(&mut self, media: MediaId, addresses: impl Iterator<Item = SocketAddr>) {
        addresses.for_each(|address| self.browsers.forget(media, address));
        self.browsers.handshakes.retain(|(other, _)| *other != media);
        // The queue has room for every place there is; it is closed only when the relay is gone.
        let _ = self.parts.returned_places.try_send((media.pair, media.turn));
    }

    /// Takes a packet from the browser port.
    pub(super) fn hear_browser(&mut self, now: Time, source: SocketAddr, bytes: &[u8], room: &mut [u8]) {
        let Some(first) = bytes.first() else { return };
        if stun::is_stun(bytes) {
            self.hear_request(now, source, bytes);
            return;
        }
        let Some(media) = self.browsers.by_address.get(&source).copied() else {
            self.browsers.refused.strangers += 1;
            return;
        };
        match *first {
            FIRST_DTLS..=LAST_DTLS => self.browsers.wait(media, bytes),
            FIRST_RTP..=LAST_RTP => self.hear(media.pair.into(), now, source, bytes, room),
            _ => self.browsers.refused.strangers += 1,
        }
    }

    fn hear_request(&mut self, now: Time, source: SocketAddr, bytes: &[u8]) {
        let request = stun::parse(bytes);
        let index = request.as_ref().and_then(|request| self.browsers.named(request));
        let leg = index.and_then(|index| self.legs.get_mut(index)).and_then(Option::as_deref_mut);
        let (Some(request), Some(Leg { id, wire: Wire::Browser(browser), stats, .. })) = (request, leg) else {
            self.browsers.refused.strangers += 1;
            return;
        };
        let (media, former) = (*id, browser.ice.send_to());
        let (verdict, tidings) = browser.request(now, source, &request);
        stats.source_changes += u32::from(former.is_some() && browser.ice.send_to() != former);
        let refused = &mut self.browsers.refused;
        match verdict {
            Request::Stranger => refused.strangers += 1,
            Request::Forged => refused.forged += 1,
            Request::Replayed => refused.replayed += 1,
            Request::Answered(learned) => {
                if let Some(forgotten) = learned.forgotten {
                    self.browsers.forget(media, forgotten);
                }
                if let Some(new) = learned.new {
                    self.browsers.by_address.insert(new, media);
                }
            }
        }
        self.tell(tidings);
    }

    /// Goes on with handshakes for a little while.
    pub(super) fn shake_hands(&mut self) {
        let begin = clock::now();
        let mut now = begin;
        while now.since(begin) < HANDSHAKES_A_ROUND {
            let Some((media, datagram)) = self.browsers.handshakes.pop_front() else { return };
            if let Some(Wire::Browser(browser)) = self.leg_of(media).map(|leg| &mut leg.wire) {
                let tidings = browser.shake_hands(now, &datagram);
                self.tell(tidings);
            }
            now = clock::now();
        }
    }

    pub(super) fn tell(&self, tidings: Tidings) {
        tidings.into_iter().flatten().for_each(|event| (self.parts.outlets.on_event)(event));
    }
}
