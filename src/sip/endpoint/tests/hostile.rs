//! Whatever anyone sends in whatever order: no panic, nothing that grows for ever, nothing that stays when all is over.

use proptest::prelude::*;

use super::*;

/// One step of a random history; the numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    Invite {
        source: usize,
        more: usize,
    },
    /// Something that was received before, once more.
    Again {
        which: usize,
    },
    /// Something that was received before, with one of its bytes changed.
    Garbled {
        which: usize,
        at: usize,
        byte: u8,
    },
    /// An answer to something that we sent.
    Respond {
        which: usize,
        status: usize,
        tag: usize,
    },
    /// A request in a dialog that some answer of ours made.
    InDialog {
        which: usize,
        method: usize,
        cseq: u32,
    },
    Cancel {
        which: usize,
    },
    Command {
        which: usize,
        leg: usize,
        status: usize,
    },
    Pass {
        millis: u64,
    },
    Close {
        which: usize,
    },
    Register {
        user: usize,
        source: usize,
    },
}

const SOURCES: [&str; 4] = [TRUNK, PHONE, PHONE_2, STRANGER];
const MORE: [&str; 5] =
    ["", "Expires: 1\n", "Require: 100rel\n", "Record-Route: <sip:p;lr>\n", "Record-Route: <sip:192.0.2.77>\n"];
const STATUSES: [u16; 14] = [100, 180, 183, 200, 202, 302, 401, 407, 408, 481, 486, 491, 503, 603];
const METHODS: [&str; 9] = ["INVITE", "ACK", "BYE", "CANCEL", "INFO", "UPDATE", "OPTIONS", "REFER", "NOTIFY"];

fn step() -> impl Strategy<Value = Step> {
    let any_index = 0..1000_usize;
    prop_oneof![
        3 => (0..4_usize, 0..5_usize).prop_map(|(source, more)| Step::Invite { source, more }),
        2 => any_index.clone().prop_map(|which| Step::Again { which }),
        1 => (any_index.clone(), any_index.clone(), any::<u8>()).prop_map(|(which, at, byte)| Step::Garbled { which, at, byte }),
        6 => (any_index.clone(), 0..14_usize, 0..3_usize)
            .prop_map(|(which, status, tag)| Step::Respond { which, status, tag }),
        4 => (any_index.clone(), 0..9_usize, 1..6_u32).prop_map(|(which, method, cseq)| Step::InDialog { which, method, cseq }),
        1 => any_index.clone().prop_map(|which| Step::Cancel { which }),
        8 => (0..11_usize, any_index.clone(), 0..14_usize)
            .prop_map(|(which, leg, status)| Step::Command { which, leg, status }),
        3 => prop_oneof![0..1000_u64, 0..40_000_u64].prop_map(|millis| Step::Pass { millis }),
        1 => any_index.prop_map(|which| Step::Close { which }),
        1 => (0..2_usize, 1..3_usize).prop_map(|(user, source)| Step::Register { user, source }),
    ]
}

/// A bench with a memory of all that went over the wire.
struct History {
    bench: Bench,
    received: Vec<(Flow, String)>,
    requests: Vec<(Flow, Request)>,
    answers: Vec<Response>,
    legs: Vec<LegId>,
    dialled: u64,
    /// How often each leg ended for its owner.
    ended: BTreeMap<LegId, u32>,
}

impl History {
    fn new() -> History {
        History {
            bench: Bench::new(),
            received: Vec::new(),
            requests: Vec::new(),
            answers: Vec::new(),
            legs: Vec::new(),
            dialled: 0,
            ended: BTreeMap::new(),
        }
    }

    fn feed(&mut self, flow: Flow, text: String) {
        self.bench.feed(flow, &text);
        self.received.push((flow, text));
    }

    fn flow(&self, source: usize) -> Flow {
        match source % 5 {
            4 => tcp(PHONE, 9),
            source => udp(SOURCES[source]),
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Invite { source, more } => {
                let call_id = format!("c{}", self.received.len());
                let text = self.bench.invite_text(&call_id, MORE[more % MORE.len()]);
                let flow = self.flow(source);
                self.feed(flow, text);
            }
            Step::Again { which } => {
                if let Some((flow, text)) = pick(&self.received, which).cloned() {
                    self.feed(flow, text);
                }
            }
            Step::Garbled { which, at, byte } => {
                let Some((flow, text)) = pick(&self.received, which).cloned() else { return };
                let mut bytes = text.replace('\n', "\r\n").into_bytes();
                let at = at % bytes.len().max(1);
                if let Some(own) = bytes.get_mut(at) {
                    *own = byte;
                }
                self.bench.endpoint.received(self.bench.now, flow, Message::parse(&Bytes::from(bytes)));
                self.drain_unread();
            }
            Step::Respond { which, status, tag } => {
                let Some((flow, request)) = pick(&self.requests, which).cloned() else { return };
                let mut response = response_to(&request, STATUSES[status % STATUSES.len()], ["t1", "t2", ""][tag % 3]);
                response.headers.push(HeaderName::WwwAuthenticate, "Digest realm=\"r\", nonce=\"n\"");
                self.bench.message(flow, response);
            }
            Step::InDialog { which, method, cseq } => {
                let Some(answer) = pick(&self.answers, which).cloned() else { return };
                let more = "Contact: <sip:carrier@192.0.2.10:5077>\n";
                let text = self.bench.in_dialog(&answer, METHODS[method % METHODS.len()], cseq, more);
                self.feed(udp(TRUNK), text);
            }
            Step::Cancel { which } => {
                let invites: Vec<_> = self.received.iter().filter(|(_, text)| text.starts_with("INVITE ")).cloned().collect();
                if let Some((flow, text)) = pick(&invites, which).cloned() {
                    self.feed(flow, text.replace("INVITE", "CANCEL"));
                }
            }
            Step::Command { which, leg, status } => self.command(which, leg, status),
            Step::Pass { millis } => self.bench.pass(millis),
            Step::Close { which } => {
                let flow = self.flow(which);
                self.bench.endpoint.flow_closed(self.bench.now, &flow);
                self.bench.drain();
            }
            Step::Register { user, source } => {
                self.bench.register(["anna", "boris"][user % 2], "sip:101@10.0.0.5", udp(SOURCES[source % 4]));
            }
        }
        self.look();
    }

    fn command(&mut self, which: usize, leg: usize, status: usize) {
        let status = Status::new(STATUSES[status % STATUSES.len()]).unwrap();
        if which >= 9 {
            self.dialled += 1;
            let target = if which == 9 { trunk_target() } else { DialTarget::User("anna".into()) };
            if self.bench.dial(self.dialled, target).is_ok() {
                self.legs.push(LegId(self.dialled));
            }
            return;
        }
        let Some(&leg) = pick(&self.legs, leg) else { return };
        let body = Some(Body::sdp(ANSWER));
        let command = match which {
            0 => Command::Progress { leg, status, body },
            1 | 2 => Command::Answer { leg, body },
            3 => Command::Reject { leg, status, phrase: None, headers: Vec::new() },
            4 => Command::Ack { leg, body },
            5 => Command::ReInvite { leg, body },
            6 => Command::AnswerReInvite { leg, status, body },
            7 => Command::Bye { leg, reason: None },
            _ => Command::ReInvite { leg, body: None },
        };
        let ends = matches!(command, Command::Bye { .. } | Command::Reject { .. });
        if self.bench.command(command).is_ok() && ends {
            *self.ended.entry(leg).or_default() += 1;
        }
    }

    fn drain_unread(&mut self) {
        while let Some(output) = self.bench.endpoint.poll() {
            match output {
                Output::Event(event) => self.bench.events.push(event),
                // An answer to garble may carry the garble back.
                Output::Send { to, bytes } => self.bench.sent.extend(Message::parse(&bytes).ok().map(|message| (to, message))),
            }
        }
    }

    /// Remembers what was sent and told, and checks what must hold at every step.
    fn look(&mut self) {
        for (flow, message) in self.bench.take_sent() {
            match message {
                Message::Request(request) => self.requests.push((flow, request)),
                Message::Response(response) => self.answers.push(response),
            }
        }
        for event in self.bench.take_events() {
            match event {
                Event::Invite { leg, .. } => self.legs.push(leg),
                Event::Cancelled { leg, .. } | Event::AckTimeout { leg } | Event::Failed { leg, .. } | Event::Bye { leg, .. } => {
                    *self.ended.entry(leg).or_default() += 1
                }
                Event::Acked { leg, .. }
                | Event::Progress { leg, .. }
                | Event::Answered { leg, .. }
                | Event::ReInvite { leg, .. }
                | Event::ReInviteAnswered { leg, .. }
                | Event::ReInviteFailed { leg, .. }
                | Event::ReInviteCancelled { leg }
                | Event::InDialog { leg, .. } => assert!(!self.ended.contains_key(&leg), "{leg} has ended: {event:?}"),
                _ => {}
            }
        }
        assert!(self.ended.values().all(|times| *times == 1), "a leg ended twice");
        let census = self.bench.endpoint.census();
        assert!(census.legs <= self.legs.len());
        // Some forks, a CANCEL and a BYE for each of them; a handful of timers for each of those.
        assert!(census.transactions <= self.received.len() + 20 * self.requests.len() + 10, "{census:?}");
        assert!(census.timers <= 4 * (census.transactions + census.legs + census.branches) + 2_000, "{census:?}");
    }

    fn finish(&mut self) {
        for leg in self.legs.clone() {
            if self.bench.command(Command::Bye { leg, reason: None }).is_ok() {
                *self.ended.entry(leg).or_default() += 1;
            }
        }
        self.bench.pass(700_000);
        self.look();
        assert_eq!(self.ended.len(), self.legs.len(), "every leg ends");
        self.bench.assert_empty_after_drain();
    }
}

fn pick<T>(from: &[T], which: usize) -> Option<&T> {
    // Late things are the interesting ones.
    from.get(from.len().checked_sub(1 + which % from.len().clamp(1, 12))?)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn no_history_makes_it_panic_or_leaves_anything_behind(steps in prop::collection::vec(step(), 1..120)) {
        let mut history = History::new();
        for step in steps {
            history.take(step);
        }
        history.finish();
    }
}
