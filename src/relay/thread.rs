//! The loop of one media thread: sleep, obey, pass packets on, play, look after. It owns its legs; nothing is shared,
//! locked, allocated or logged for a packet.
//!
//! How it sleeps decides what a packet costs. With few packets it waits in epoll and each packet wakes it. Under load a
//! wake-up for each packet would cost more than the packet, so it wakes once a millisecond and takes all that has come.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};
use std::time::Duration;

use super::browsers::{BROWSERS, Browsers};
use super::command::{IceCredentials, MediaCommand, MediaEvent, MediaId, PlayKind};
use super::frame::{Crossing, FrameHead, FrameKind};
use super::graph::{Change, MAX_LISTENERS, MAX_SOURCES};
use super::leg::{Leg, Outlets};
use super::net::{BATCH, Batch, PACKET_BYTES, Poller, Waker};
use super::ports::PortPair;
use super::shield;
use super::turn::Played;
use super::wheel::Wheel;
use super::wire::{Ports, Wire};
use crate::clock;
use crate::media::sound::Sound;
use crate::types::Time;

/// What reaches a media thread from outside.
pub(super) enum Order {
    Open { id: MediaId, pair: PortPair, seed: [u32; 4] },
    OpenBrowser { id: MediaId, ours: IceCredentials, seed: [u32; 4] },
    Tie(Change),
    Command(MediaCommand),
}

/// What other threads hold of a media thread.
#[derive(Clone)]
pub(super) struct Link {
    pub crossings: SyncSender<Crossing>,
    pub waker: Arc<Waker>,
}

/// What a media thread is made of.
pub(super) struct Parts {
    pub index: u16,
    pub pairs: usize,
    pub bind: IpAddr,
    pub silence_limit: Duration,
    pub rtcp_interval: Duration,
    pub orders: Receiver<Order>,
    /// Orders sent and not yet taken.
    pub orders_waiting: Arc<AtomicUsize>,
    pub crossings: Receiver<Crossing>,
    /// All media threads, this one among them.
    pub links: Vec<Link>,
    pub returned_pairs: SyncSender<(PortPair, Time)>,
    pub returned_places: SyncSender<(u16, u32)>,
    pub must_stop: Arc<AtomicBool>,
    pub outlets: Outlets,
}

/// Under load: one wake-up in this time.
const TICK: Duration = Duration::from_millis(1);
/// Legs are looked after, and the load is measured, this often.
const LOOK: Duration = Duration::from_millis(100);
/// This many packets between two looks are load: 400 a second, four calls.
const BUSY_PACKETS: u32 = 40;
/// The most that one socket may take of a round: BATCH times this. What is left comes in the next round.
const BATCHES_A_ROUND: usize = 4;
/// Orders and crossings taken in one round.
const ORDERS_A_ROUND: usize = 256;
const CROSSINGS_A_ROUND: usize = 1024;
/// Tokens of the waker and of the browser port among the tokens of sockets.
pub(super) const WAKER: u64 = u64::MAX;
const BROWSER_PORT: u64 = u64::MAX - 1;

pub(super) struct MediaThread {
    pub(super) parts: Parts,
    pub(super) browsers: Browsers,
    /// By port pair, and behind them the browsers by their place.
    pub(super) legs: Vec<Option<Box<Leg>>>,
    /// The pairs and places that have a leg.
    open: Vec<u16>,
    wheel: Wheel,
    /// Copy of the wheel's due slot, kept to spare the allocation.
    due: Vec<u16>,
    woke_at: Time,
    looked_at: Time,
    packets_since_look: u32,
    is_busy: bool,
}

impl MediaThread {
    pub fn new(parts: Parts, browsers: Browsers) -> MediaThread {
        let mut legs = Vec::new();
        legs.resize_with(parts.pairs + BROWSERS, || None);
        MediaThread {
            parts,
            browsers,
            legs,
            open: Vec::new(),
            wheel: Wheel::default(),
            due: Vec::new(),
            woke_at: Time::ZERO,
            looked_at: Time::ZERO,
            packets_since_look: 0,
            is_busy: false,
        }
    }

    /// Runs until it is told to stop, or until nobody is left who could tell it anything.
    pub fn run(mut self, mut poller: Poller) {
        let (mut batch, mut room) = (Batch::new(), [0; PACKET_BYTES]);
        // Registration fails only for want of kernel memory; browsers are then lost one by one, and told so.
        let _ = poller.add(&*self.browsers.socket, BROWSER_PORT);
        // Looked at after the waker was heard and before the next sleep.
        while !self.parts.must_stop.load(Ordering::Relaxed) {
            let ready = self.sleep(&mut poller);
            if !self.obey(&poller) {
                break;
            }
            self.take_crossings();
            for index in 0..ready {
                match poller.token(index) {
                    Some(WAKER) => self.hear_waker(&poller),
                    Some(BROWSER_PORT) => self.receive_browsers(&mut batch, &mut room),
                    Some(token) => self.receive(token, &mut batch, &mut room),
                    None => {}
                }
            }
            self.shake_hands();
            self.take_turns(clock::now());
            self.look_after();
            self.parts.outlets.tap.deliver_ends();
        }
        let now = clock::now();
        self.legs.iter_mut().flatten().for_each(|leg| leg.say_bye(now));
    }

    fn hear_waker(&mut self, poller: &Poller) {
        if let Some(link) = self.parts.links.get(usize::from(self.parts.index)) {
            link.waker.heard();
        }
        self.obey(poller);
        self.take_crossings();
    }

    /// Sleeps until there is something to do and returns how many descriptors are ready.
    fn sleep(&mut self, poller: &mut Poller) -> usize {
        let now = clock::now();
        let due = self.next_due().map(|due| due.since(now));
        let timeout_ms = if self.is_busy {
            let tick = (self.woke_at + TICK).since(now);
            pause(due.map_or(tick, |due| due.min(tick)));
            0
        } else {
            match due {
                None => -1,
                // epoll counts whole milliseconds; the rest is slept exactly.
                Some(due) if due < Duration::from_millis(1) => {
                    pause(due);
                    0
                }
                Some(due) => i32::try_from(due.as_millis()).unwrap_or(i32::MAX),
            }
        };
        let ready = poller.wait(timeout_ms);
        self.woke_at = clock::now();
        ready
    }

    fn next_due(&self) -> Option<Time> {
        let look = (!self.open.is_empty()).then(|| self.looked_at + LOOK);
        let handshake = self.browsers.is_shaking_hands().then_some(Time::ZERO);
        [look, self.wheel.next_due(), handshake].into_iter().flatten().min()
    }

    /// Carries out waiting orders; false when nobody can send any more.
    fn obey(&mut self, poller: &Poller) -> bool {
        for _ in 0..ORDERS_A_ROUND {
            let order = match self.parts.orders.try_recv() {
                Ok(order) => order,
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            };
            self.parts.orders_waiting.fetch_sub(1, Ordering::Relaxed);
            match order {
                Order::Open { id, pair, seed } => self.open(poller, id, pair, seed),
                Order::OpenBrowser { id, ours, seed } => self.open_browser(id, ours, seed),
                Order::Tie(change) => self.tie(change),
                Order::Command(command) => self.command(poller, command),
            }
        }
        // More may wait: do not sleep on them.
        if let Some(link) = self.parts.links.get(usize::from(self.parts.index)) {
            link.waker.ring();
        }
        true
    }

    fn open(&mut self, poller: &Poller, id: MediaId, pair: PortPair, seed: [u32; 4]) {
        let token = u64::from(pair.index) << 1;
        // Registration fails only for want of kernel memory; the leg is then silent, is reported so, and ends.
        let _ = poller.add(&pair.rtp, token);
        let _ = poller.add(&pair.rtcp, token | 1);
        self.put(id, Leg::new(id, Wire::ports(pair), self.parts.bind, seed));
    }

    pub(super) fn put(&mut self, id: MediaId, leg: Leg) {
        if self.open.is_empty() {
            self.looked_at = clock::now();
        }
        self.open.push(id.pair);
        if let Some(place) = self.legs.get_mut(usize::from(id.pair)) {
            *place = Some(Box::new(leg));
        }
    }

    pub(super) fn leg_of(&mut self, media: MediaId) -> Option<&mut Leg> {
        leg(&mut self.legs, media)
    }

    fn command(&mut self, poller: &Poller, command: MediaCommand) {
        let now = clock::now();
        match command {
            MediaCommand::Connect { media, remote } => {
                let tidings = self.connect_browser(now, media, &remote.secure);
                if let Some(leg) = leg(&mut self.legs, media) {
                    leg.connect(now, remote);
                }
                self.tell(tidings);
            }
            // These come as `Order::Tie`.
            MediaCommand::Bridge { .. } | MediaCommand::Unbridge { .. } | MediaCommand::Hear { .. } => {}
            MediaCommand::SendDigit { media, digit } => self.press(now, media, digit),
            MediaCommand::Play { media, sound, repeat, kind } => self.start_play(now, media, sound, repeat, kind),
            MediaCommand::Stop { media } => self.stop_play(now, media),
            MediaCommand::Tap { media, key } => self.tap(now, media, Some(key)),
            MediaCommand::Untap { media } => self.tap(now, media, None),
            MediaCommand::RestartIce { media, ours } => self.restart_ice(media, ours),
            MediaCommand::Close { media } => self.close(poller, now, media),
        }
    }

    /// A leg hears others than before, or is heard by others.
    fn tie(&mut self, change: Change) {
        let Some(leg) = leg(&mut self.legs, change.leg) else { return };
        leg.tie(change.ties);
        if change.begins_to_hear && leg.plays_for_waiting() {
            leg.stop_play();
        }
        self.tend_wheel(clock::now(), change.leg);
    }

    fn start_play(&mut self, now: Time, media: MediaId, sound: Arc<Sound>, repeat: bool, kind: PlayKind) {
        // What is due by now comes first, so that the sound's next turn is a whole packet away.
        self.take_turns(now);
        let Some(leg) = leg(&mut self.legs, media) else { return };
        if std::mem::take(&mut leg.is_in_wheel) {
            self.wheel.remove(media.pair);
        }
        if leg.start_play(now, sound, repeat, kind, &mut self.parts.outlets) == Played::Ended {
            (self.parts.outlets.on_event)(MediaEvent::PlayEnded { media });
        }
        self.tend_wheel(now, media);
    }

    fn stop_play(&mut self, now: Time, media: MediaId) {
        if let Some(leg) = leg(&mut self.legs, media) {
            leg.stop_play();
        }
        self.tend_wheel(now, media);
    }

    fn press(&mut self, now: Time, media: MediaId, digit: char) {
        if let Some(leg) = leg(&mut self.legs, media) {
            leg.press(now, digit);
        }
        self.tend_wheel(now, media);
    }

    /// Puts a leg into the wheel or takes it out, as it needs turns or not.
    fn tend_wheel(&mut self, now: Time, media: MediaId) {
        let Some(leg) = leg(&mut self.legs, media) else { return };
        let needs_turns = leg.needs_turns();
        match (std::mem::replace(&mut leg.is_in_wheel, needs_turns), needs_turns) {
            (false, true) => self.wheel.add(now, media.pair),
            (true, false) => self.wheel.remove(media.pair),
            _ => {}
        }
    }

    fn tap(&mut self, now: Time, media: MediaId, key: Option<u32>) {
        if let Some(leg) = leg(&mut self.legs, media) {
            leg.tap(now, key, &mut self.parts.outlets);
        }
    }

    fn close(&mut self, poller: &Poller, now: Time, media: MediaId) {
        if leg(&mut self.legs, media).is_none() {
            return;
        }
        self.tap(now, media, None);
        let Some(mut leg) = self.legs.get_mut(usize::from(media.pair)).and_then(Option::take) else { return };
        if leg.is_in_wheel {
            self.wheel.remove(media.pair);
        }
        leg.say_bye(now);
        let (stats, seconds) = (leg.stats(), leg.take_seconds());
        self.open.retain(|index| *index != media.pair);
        match leg.wire {
            Wire::Browser(browser) => self.forget_browser(media, browser.ice.addresses()),
            Wire::Ports(Ports { pair, .. }) => {
                for socket in [&pair.rtp, &pair.rtcp] {
                    // Neither can fail for a socket that was added; a kernel without filters lets late packets pile up, and
                    // the pool reads them away.
                    let _ = poller.remove(socket);
                    let _ = shield::refuse_all(socket);
                }
                // The queue has room for every pair there is; it is closed only when the relay is gone.
                let _ = self.parts.returned_pairs.try_send((pair, now));
            }
        }
        (self.parts.outlets.on_event)(MediaEvent::Closed { media, stats, seconds });
    }

    /// Reads what has come to one socket.
    ///
    /// A leg that is settled behind its shield gets one packet in 20 ms: one plain read is the cheapest, and a second packet
    /// waits for the next round. Other sockets may be under a flood, and are read in batches so that it passes quickly.
    fn receive(&mut self, token: u64, batch: &mut Batch, room: &mut [u8]) {
        let index = usize::try_from(token >> 1).unwrap_or(usize::MAX);
        let is_rtcp = token & 1 == 1;
        let Some(leg) = self.legs.get_mut(index).and_then(Option::as_deref_mut) else { return };
        let is_settled = leg.is_settled();
        let Wire::Ports(ports) = &leg.wire else { return };
        if !is_rtcp && is_settled {
            if let Some((source, bytes)) = batch.receive_one(&ports.pair.rtp) {
                self.packets_since_look = self.packets_since_look.saturating_add(1);
                self.hear(index, clock::now(), source, bytes, room);
            }
            return;
        }
        for _ in 0..BATCHES_A_ROUND {
            let Some(Wire::Ports(ports)) = self.legs.get(index).and_then(Option::as_deref).map(|leg| &leg.wire) else { return };
            let count = batch.receive(if is_rtcp { &ports.pair.rtcp } else { &ports.pair.rtp });
            let now = clock::now();
            self.packets_since_look = self.packets_since_look.saturating_add(count as u32);
            for (source, bytes) in (0..count).filter_map(|place| batch.packet(place)) {
                if !is_rtcp {
                    self.hear(index, now, source, bytes, room);
                } else if let Some(leg) = self.legs.get_mut(index).and_then(Option::as_deref_mut) {
                    leg.hear_rtcp(now, source, bytes, room, &self.parts.outlets);
                }
            }
            if count < BATCH {
                return;
            }
        }
    }

    /// Reads what has come to the browser port.
    fn receive_browsers(&mut self, batch: &mut Batch, room: &mut [u8]) {
        for _ in 0..BATCHES_A_ROUND {
            let count = batch.receive(&*self.browsers.socket);
            let now = clock::now();
            self.packets_since_look = self.packets_since_look.saturating_add(count as u32);
            for (source, bytes) in (0..count).filter_map(|place| batch.packet(place)) {
                self.hear_browser(now, source, bytes, room);
            }
            if count < BATCH {
                return;
            }
        }
    }

    /// Gives a packet to its leg, and what the leg makes of it to all who hear the leg. `room`: to open it in.
    pub(super) fn hear(&mut self, index: usize, now: Time, source: SocketAddr, bytes: &[u8], room: &mut [u8]) {
        let Some(leg) = self.legs.get_mut(index).and_then(Option::as_deref_mut) else { return };
        let Some((head, payload)) = leg.hear(now, source, bytes, room, &mut self.parts.outlets) else { return };
        self.tell_listeners(now, index, &head, payload);
        let leg = self.legs.get_mut(index).and_then(Option::as_deref_mut);
        if let Some(event) = leg.and_then(Leg::take_heard_key) {
            self.tell_listeners(now, index, &FrameHead { kind: FrameKind::Key(event), ..head }, &[]);
        }
    }

    fn tell_listeners(&mut self, now: Time, index: usize, head: &FrameHead, payload: &[u8]) {
        for place in 0..MAX_LISTENERS {
            let listener = self.legs.get(index).and_then(Option::as_deref).and_then(|leg| leg.listener(head.kind, place));
            let Some(listener) = listener else { return };
            self.pass_on(now, listener, head, payload);
        }
    }

    /// Tells those whom a leg hears by rendering how their audio fared there.
    fn tell_sources(&mut self, now: Time, pair: u16) {
        for place in 0..MAX_SOURCES {
            let Some(leg) = self.legs.get_mut(usize::from(pair)).and_then(Option::as_deref_mut) else { return };
            let from = leg.id;
            let Some((source, rendered)) = leg.rendered(place) else { return };
            self.pass_on(now, source, &FrameHead::rendered(from, rendered), &[]);
        }
    }

    fn pass_on(&mut self, now: Time, to: MediaId, head: &FrameHead, payload: &[u8]) {
        if to.thread == self.parts.index {
            return self.deliver(now, to, head, payload);
        }
        let is_on_its_way = Crossing::new(to, *head, payload).is_some_and(|crossing| self.cross(crossing));
        if !is_on_its_way && let Some(leg) = leg(&mut self.legs, head.from) {
            leg.count_dropped_frame();
        }
    }

    /// Gives a packet to a listener on this thread.
    fn deliver(&mut self, now: Time, to: MediaId, head: &FrameHead, payload: &[u8]) {
        let Some(listener) = leg(&mut self.legs, to) else { return };
        if let FrameKind::Rendered(rendered) = head.kind {
            return listener.count_rendered(rendered);
        }
        listener.say(now, head, payload, &mut self.parts.outlets);
        if listener.is_in_wheel != listener.needs_turns() {
            self.tend_wheel(now, to);
        }
    }

    fn cross(&self, crossing: Crossing) -> bool {
        let Some(link) = self.parts.links.get(usize::from(crossing.to.thread)) else { return false };
        let is_sent = link.crossings.try_send(crossing).is_ok();
        link.waker.ring();
        is_sent
    }

    fn take_crossings(&mut self) {
        for _ in 0..CROSSINGS_A_ROUND {
            let Ok(crossing) = self.parts.crossings.try_recv() else { return };
            self.packets_since_look = self.packets_since_look.saturating_add(1);
            self.deliver(clock::now(), crossing.to, &crossing.head, crossing.payload());
        }
        if let Some(link) = self.parts.links.get(usize::from(self.parts.index)) {
            link.waker.ring();
        }
    }

    fn take_turns(&mut self, now: Time) {
        loop {
            self.due.clear();
            let Some((due_at, due)) = self.wheel.advance(now) else { return };
            self.due.extend_from_slice(due);
            for place in 0..self.due.len() {
                let pair = self.due.get(place).copied().unwrap_or(u16::MAX);
                let Some(leg) = self.legs.get_mut(usize::from(pair)).and_then(Option::as_deref_mut) else { continue };
                let media = leg.id;
                if leg.turn(due_at, &mut self.parts.outlets) == Played::Ended {
                    (self.parts.outlets.on_event)(MediaEvent::PlayEnded { media });
                }
                self.tend_wheel(now, media);
            }
        }
    }

    fn look_after(&mut self) {
        if self.open.is_empty() {
            self.is_busy = false;
            return;
        }
        let now = self.woke_at;
        if now.since(self.looked_at) < LOOK {
            return;
        }
        self.looked_at = now;
        self.browsers.report();
        self.is_busy = self.packets_since_look >= BUSY_PACKETS;
        self.packets_since_look = 0;
        for place in 0..self.open.len() {
            let pair = self.open.get(place).copied().unwrap_or(u16::MAX);
            if let Some(leg) = self.legs.get_mut(usize::from(pair)).and_then(Option::as_deref_mut) {
                leg.look_after(now, self.parts.silence_limit, &mut self.parts.outlets);
                leg.report_if_due(now, self.parts.rtcp_interval);
                if leg.end_second(now) {
                    self.tell_sources(now, pair);
                }
            }
        }
    }
}

/// The leg of this name, if it still lives.
fn leg(legs: &mut [Option<Box<Leg>>], id: MediaId) -> Option<&mut Leg> {
    legs.get_mut(usize::from(id.pair))?.as_deref_mut().filter(|leg| leg.id == id)
}

fn pause(time: Duration) {
    if !time.is_zero() {
        std::thread::sleep(time);
    }
}
