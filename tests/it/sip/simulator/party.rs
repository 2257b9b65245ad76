//! The people at the ends: they call, ring, answer, decline, lose patience, put on hold and hang up, all at random. A
//! party plans deeds; the simulation carries them out when their time comes.

use std::net::SocketAddr;
use std::time::Duration;

use perezvon::sip::endpoint::{Body, Command, Dial, DialTarget, Event, Identity};
use perezvon::sip::wire::{Status, Transport, Uri};
use perezvon::types::LegId;
use rand::Rng;
use rand::rngs::StdRng;

const OFFER: &str = "v=0\r\no=party 1 1 IN IP4 10.0.0.9\r\ns=offer\r\n";
const ANSWER: &str = "v=0\r\no=party 2 2 IN IP4 10.0.0.9\r\ns=answer\r\n";

/// What a party means to do with a leg.
#[derive(Clone, Copy, Debug)]
pub enum Deed {
    Ring,
    Answer,
    Refuse(u16),
    HangUp,
    ReInvite { has_offer: bool },
    AnswerReInvite(u16),
    Acknowledge,
}

impl Deed {
    pub fn command(self, leg: LegId) -> Command {
        let body = Some(Body::sdp(ANSWER));
        let status = |code| Status::new(code).expect("a status");
        match self {
            Deed::Ring => Command::Progress { leg, status: Status::RINGING, body: None },
            Deed::Answer => Command::Answer { leg, body },
            Deed::Refuse(code) => Command::Reject { leg, status: status(code), phrase: None, headers: Vec::new() },
            Deed::HangUp => Command::Bye { leg, reason: None },
            Deed::ReInvite { has_offer } => Command::ReInvite { leg, body: has_offer.then(|| Body::sdp(OFFER)) },
            Deed::AnswerReInvite(code) => {
                Command::AnswerReInvite { leg, status: status(code), body: body.filter(|_| code == 200) }
            }
            Deed::Acknowledge => Command::Ack { leg, body },
        }
    }
}

/// A call of a party to the server.
pub fn dial(leg: LegId, transport: Transport, server: SocketAddr, number: &str, has_offer: bool) -> Command {
    let uri: Uri = format!("sip:{number}@{server}").parse().expect("a URI");
    Command::Invite(Box::new(Dial {
        leg,
        target: DialTarget::Address { transport, remote: server, uri },
        from: Identity { display: None, user: Some("caller".into()), host: None },
        to: Identity::default(),
        headers: Vec::new(),
        body: has_offer.then(|| Body::sdp(OFFER)),
        fallback: None,
        browser: None,
        credentials: None,
        max_forwards: 70,
    }))
}

/// What a party that has dialled means to do before anyone answers: most wait, some lose patience, at any moment.
pub fn plan_of_caller(random: &mut StdRng) -> Option<(Duration, Deed)> {
    let patience_ms = match random.random_range(0..100) {
        0..10 => random.random_range(0..300),
        10..25 => random.random_range(0..20_000),
        // Nobody waits for ever.
        _ => 120_000,
    };
    Some((Duration::from_millis(patience_ms), Deed::HangUp))
}

/// What a party does when it hears of `event`.
pub fn reaction_to(event: &Event, random: &mut StdRng) -> Option<(LegId, Vec<(Duration, Deed)>)> {
    match event {
        Event::Invite { leg, .. } => Some((*leg, reaction_to_call(random))),
        Event::Answered { leg, needs_ack, .. } => {
            let mut plan = talk(random);
            if *needs_ack {
                plan.push((within(random, 300), Deed::Acknowledge));
            }
            Some((*leg, plan))
        }
        Event::Acked { leg, .. } => Some((*leg, talk(random))),
        Event::ReInvite { leg, .. } => {
            let code = if random.random_range(0..10) == 0 { 488 } else { 200 };
            Some((*leg, vec![(within(random, 1_500), Deed::AnswerReInvite(code))]))
        }
        Event::ReInviteAnswered { leg, needs_ack: true, .. } => Some((*leg, vec![(within(random, 300), Deed::Acknowledge)])),
        _ => None,
    }
}

fn reaction_to_call(random: &mut StdRng) -> Vec<(Duration, Deed)> {
    let mut plan = Vec::new();
    if random.random_range(0..10) > 0 {
        plan.push((within(random, 2_000), Deed::Ring));
    }
    match random.random_range(0..100) {
        0..60 => plan.push((within(random, 8_000), Deed::Answer)),
        60..70 => plan.push((within(random, 5_000), Deed::Refuse(486))),
        70..78 => plan.push((within(random, 5_000), Deed::Refuse(603))),
        78..82 => plan.push((within(random, 500), Deed::Refuse(480))),
        82..85 => plan.push((Duration::ZERO, Deed::Answer)),
        // Rings until somebody gives up, itself at last.
        _ => {}
    }
    plan.push((Duration::from_secs(90), Deed::Refuse(480)));
    plan
}

fn talk(random: &mut StdRng) -> Vec<(Duration, Deed)> {
    let mut plan = Vec::new();
    let patience_ms = if random.random_range(0..2) == 0 { 12_000 } else { 60_000 };
    plan.push((within(random, patience_ms), Deed::HangUp));
    if random.random_range(0..4) == 0 {
        let has_offer = random.random_range(0..4) > 0;
        plan.push((within(random, 6_000), Deed::ReInvite { has_offer }));
    }
    plan
}

fn within(random: &mut StdRng, longest_ms: u64) -> Duration {
    Duration::from_millis(random.random_range(0..=longest_ms))
}
