//! The clerk: one thread that empties the taps, places frames on the time line of their recording and hands the ripe
//! audio to the writers in blocks. It never touches the disk, so nothing but its own work can hold up the rings.
//!
//! A recording whose backlog is full loses the next block: the clerk leaves it out, and the writer lists the gap.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use tracing::warn;

use super::gate::Gate;
use super::job::{Block, Job, Opening, Place, Shared};
use super::sealer::Sealing;
use super::track::{SAMPLES_PER_MS, Track, position_at};
use super::wav::{FRAME_BYTES, MAX_FRAMES};
use super::{BeginRecording, EventSink, RecorderConfig, RecordingEvent};
use crate::clock;
use crate::events::{Gap, Mark, MarkKind, RecordingState, RecordingView};
use crate::recording::files::Paths;
use crate::relay::tap::{Channel, TapFrame};
use crate::types::{RecordingId, Time, Wall};

/// How often the rings are emptied. A ring of 32,768 frames fills in 330 ms of a thousand calls.
const TICK: Duration = Duration::from_millis(20);
/// Audio waits this long for late packets before it is given out.
const HOLD: Duration = Duration::from_millis(250);
/// Audio that may wait for the disk, a recording. Beyond it, gaps.
const MAX_BACKLOG_MS: u64 = 4000;
/// The most that one block holds, at 8 kHz.
const LONGEST_BLOCK: i64 = 1000 * SAMPLES_PER_MS;
/// Marks that the events of a growing recording tell.
const MOST_MARKS_TOLD: usize = 1000;
/// A recording whose taps ended this long ago, and which nobody finished, is finished: silence for ever helps nobody.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// A command from the recorder's handles.
pub enum Order {
    Begin(BeginRecording, Place),
    Mark { key: u32, kind: MarkKind, label: Option<String>, at: Time },
    Gate { key: u32, captures: bool, at: Time },
    Finish { key: u32, at: Time },
    Settle { id: RecordingId, started: Wall },
    Shutdown,
}

/// See the file's head.
pub struct Clerk {
    config: RecorderConfig,
    taps: Vec<rtrb::Consumer<TapFrame>>,
    writers: Vec<Sender<Job>>,
    sealer: Sender<Sealing>,
    on_event: EventSink,
    running: HashMap<u32, Running>,
    begun: usize,
    /// The two sides of a block; reused for every one.
    scratch: Scratch,
}

/// A recording that takes audio.
struct Running {
    id: RecordingId,
    /// As it began, with the marks since.
    view: RecordingView,
    path: String,
    started: Time,
    gate: Gate,
    tracks: [Track; 2],
    /// The call's end on the time line, once known.
    finish: Option<i64>,
    /// Both as positions at 8 kHz.
    taken: i64,
    left_out_since: Option<(i64, &'static str)>,
    /// When the last frame of each channel arrived, and whether its tap has ended.
    last_arrival: [Time; 2],
    has_ended: [bool; 2],
    shared: Arc<Shared>,
    writer: usize,
}

type Scratch = [Vec<i16>; 2];

impl Clerk {
    pub fn new(
        config: RecorderConfig,
        taps: Vec<rtrb::Consumer<TapFrame>>,
        writers: Vec<Sender<Job>>,
        sealer: Sender<Sealing>,
        on_event: EventSink,
    ) -> Self {
        Clerk { config, taps, writers, sealer, on_event, running: HashMap::new(), begun: 0, scratch: Scratch::default() }
    }

    /// Until `Shutdown`, or until every handle is gone. Then all recordings end where they are.
    pub fn run(mut self, orders: &Receiver<Order>) {
        loop {
            let order = match orders.recv_timeout(TICK) {
                Ok(Order::Shutdown) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(order) => Some(order),
                Err(RecvTimeoutError::Timeout) => None,
            };
            // Before the rings are emptied: whatever arrived until now is in them.
            let now = clock::now();
            if let Some(order) = order {
                self.obey(order);
            }
            self.tick(now);
        }
        self.finish_all(clock::now());
        // Behind the shutdown there may be recordings to settle; what began meanwhile has nobody to record it.
        for order in orders.try_iter().filter(|order| matches!(order, Order::Settle { .. })) {
            self.obey(order);
        }
    }

    /// Carries out one command.
    pub fn obey(&mut self, order: Order) {
        match order {
            Order::Begin(begin, place) => self.begin(&begin, place),
            Order::Mark { key, kind, label, at } => {
                if let Some(running) = self.running.get_mut(&key) {
                    let at_ms = u64::try_from(position_at(running.started, at) / SAMPLES_PER_MS).unwrap_or(0);
                    let mark = Mark { at_ms, kind, label };
                    // Further ones are in the file's notes and in the finished view all the same.
                    if running.view.marks.len() < MOST_MARKS_TOLD {
                        running.view.marks.push(mark.clone());
                    }
                    let (writer, id) = (running.writer, running.id);
                    self.send(writer, Job::Mark(id, mark));
                }
            }
            Order::Gate { key, captures, at } => self.gate(key, captures, at),
            Order::Finish { key, at } => {
                if let Some(running) = self.running.get_mut(&key) {
                    running.finish.get_or_insert(position_at(running.started, at).max(0));
                }
            }
            Order::Settle { id, started } => {
                let _ = self.sealer.send(Sealing::Settle(Paths::new(&self.config.dir, id, started)));
            }
            Order::Shutdown => {}
        }
    }

    fn gate(&mut self, key: u32, captures: bool, at: Time) {
        let Some(running) = self.running.get_mut(&key) else { return };
        let so_far_ms = u64::try_from(position_at(running.started, at) / SAMPLES_PER_MS).unwrap_or(0);
        let view = RecordingView { duration_ms: so_far_ms, ..running.view.clone() };
        let path = running.path.clone();
        if running.gate.set(captures, at) {
            let event = if captures { RecordingEvent::Resumed { view, path } } else { RecordingEvent::Paused { view, path } };
            (self.on_event)(event);
        }
    }

    fn begin(&mut self, begin: &BeginRecording, place: Place) {
        self.empty_rings();
        if let Some(former) = self.running.remove(&begin.key) {
            warn!(recording.id = %former.id, "recording {} ends: its tap key is used again", former.id);
            self.end(former, begin.started);
        }
        let paths = Paths::new(&self.config.dir, begin.id, begin.started_wall);
        let view = RecordingView {
            id: begin.id,
            call_id: begin.call_id,
            state: RecordingState::Recording,
            started_at: begin.started_wall,
            duration_ms: 0,
            sample_rate: self.config.sample_rate,
            channels: 2,
            bytes: 0,
            marks: Vec::new(),
            gaps: Vec::new(),
            trouble: None,
        };
        (self.on_event)(RecordingEvent::Started { view: view.clone(), path: paths.relative.clone() });
        let shared = Arc::new(Shared::new(place));
        let writer = self.begun % self.writers.len().max(1);
        let running = Running::new(begin, view.clone(), paths.relative.clone(), Arc::clone(&shared), writer);
        self.begun += 1;
        self.send(running.writer, Job::Open(Box::new(Opening { view, paths, shared })));
        self.running.insert(begin.key, running);
    }

    /// Empties the rings and hands on what is ripe. `now` was read before, so every frame that arrived up to then is in.
    pub fn tick(&mut self, now: Time) {
        self.empty_rings();
        let mut due = Vec::new();
        for (key, running) in &mut self.running {
            running.forget_when_forgotten(now);
            if running.is_over(now) {
                due.push(*key);
            } else if running.ripe(now) - running.taken >= millis(self.config.flush_every) {
                let until = running.ripe(now);
                running.hand_over(until, self.config.sample_rate, &self.writers, &mut self.scratch);
            }
        }
        for key in due {
            if let Some(running) = self.running.remove(&key) {
                let end = running.finish.unwrap_or(running.taken);
                self.seal(running, end);
            }
        }
    }

    fn empty_rings(&mut self) {
        for tap in &mut self.taps {
            // Only what is there now: a media thread that keeps filling must not keep us here.
            for _ in 0..tap.slots() {
                let Ok(frame) = tap.pop() else { break };
                if let Some(running) = self.running.get_mut(&frame.key) {
                    let lost = running.place(&frame);
                    if let (Some(gap), Some(writer)) = (lost, self.writers.get(running.writer)) {
                        let _ = writer.send(Job::Gap(running.id, gap));
                    }
                }
            }
        }
    }

    /// Ends every recording now.
    pub fn finish_all(&mut self, now: Time) {
        self.empty_rings();
        for (_, running) in std::mem::take(&mut self.running) {
            self.end(running, now);
        }
    }

    /// Ends a recording now, whatever may still be on its way.
    fn end(&mut self, running: Running, at: Time) {
        let end = running.finish.unwrap_or_else(|| position_at(running.started, at).max(0));
        self.seal(running, end);
    }

    fn seal(&mut self, mut running: Running, end: i64) {
        let rate = self.config.sample_rate;
        let end = end.min(running.longest(rate));
        running.hand_over(end, rate, &self.writers, &mut self.scratch);
        running.report_left_out(end, &self.writers);
        let late_frames: u64 = running.tracks.iter().map(Track::late_frames).sum();
        if late_frames > 0 {
            tracing::debug!(recording.id = %running.id, late_frames, "recording {} left out {late_frames} late frames", running.id);
        }
        self.send(running.writer, Job::Finish(running.id, frames(end, rate)));
    }

    fn send(&self, writer: usize, job: Job) {
        // A writer that is gone has panicked; what it held is mended by the next start's repair.
        let _ = self.writers.get(writer).map(|writer| writer.send(job));
    }
}

impl Running {
    fn new(begin: &BeginRecording, view: RecordingView, path: String, shared: Arc<Shared>, writer: usize) -> Self {
        Running {
            id: begin.id,
            path,
            started: begin.started,
            gate: Gate::default(),
            tracks: [(); 2].map(|()| Track::new(begin.started, view.sample_rate)),
            finish: None,
            taken: 0,
            left_out_since: None,
            last_arrival: [begin.started; 2],
            has_ended: [false; 2],
            shared,
            writer,
            view,
        }
    }

    /// Places a frame; returns the stretch that the ring lost before it, when it lost one.
    fn place(&mut self, frame: &TapFrame) -> Option<Gap> {
        let side = match frame.channel {
            Channel::Left => 0,
            Channel::Right => 1,
        };
        let at_ms = |at: Time| u64::try_from(position_at(self.started, at) / SAMPLES_PER_MS).unwrap_or(0);
        let lost = (frame.dropped_before > 0).then(|| Gap {
            from_ms: at_ms(self.last_arrival[side]),
            to_ms: at_ms(frame.arrival),
            reason: "writer_behind".to_owned(),
        });
        self.has_ended[side] = frame.is_end();
        self.last_arrival[side] = self.last_arrival[side].max(frame.arrival);
        if !frame.is_end() && self.gate.lets_in(frame.arrival) {
            self.tracks[side].insert(frame);
        }
        lost
    }

    fn forget_when_forgotten(&mut self, now: Time) {
        let last = self.last_arrival[0].max(self.last_arrival[1]);
        if self.finish.is_none() && self.has_ended == [true; 2] && now.since(last) >= FORGOTTEN_AFTER {
            warn!(recording.id = %self.id, "recording {} ends: its taps ended long ago and nobody finished it", self.id);
            self.finish = Some(position_at(self.started, last).max(0));
        }
    }

    /// Nothing more can come: the end has passed by the hold, or both taps have said so; or the file can hold no more.
    fn is_over(&self, now: Time) -> bool {
        let Some(finish) = self.finish else { return false };
        let now = position_at(self.started, now);
        now >= finish + millis(HOLD) || (self.has_ended == [true; 2] && now >= finish)
    }

    /// The position up to which audio can be given out.
    fn ripe(&self, now: Time) -> i64 {
        let ripe = position_at(self.started, now) - millis(HOLD);
        ripe.min(self.finish.unwrap_or(i64::MAX)).max(self.taken)
    }

    fn longest(&self, sample_rate: u32) -> i64 {
        let scale = i64::from(sample_rate / 8000).max(1);
        i64::try_from(MAX_FRAMES).unwrap_or(i64::MAX) / scale
    }

    /// Takes both channels up to `until` and hands them to the writer, a second at most in a block, so that a clerk that
    /// was stopped for an hour does not build an hour in memory.
    fn hand_over(&mut self, until: i64, sample_rate: u32, writers: &[Sender<Job>], scratch: &mut Scratch) {
        let longest = self.longest(sample_rate);
        if until >= longest {
            self.finish = Some(longest);
        }
        let until = until.min(longest);
        while self.taken < until {
            let next = until.min(self.taken + LONGEST_BLOCK);
            self.hand_over_block(next, sample_rate, writers, scratch);
        }
    }

    /// One block, or none when the backlog is full: it is left out then.
    fn hand_over_block(&mut self, until: i64, sample_rate: u32, writers: &[Sender<Job>], scratch: &mut Scratch) {
        let from = self.taken;
        let samples = self.interleaved(until, scratch);
        let block = Block { position: frames(from, sample_rate), samples };
        self.taken = until;
        let most = usize::try_from(MAX_BACKLOG_MS * u64::from(sample_rate) / 1000 * FRAME_BYTES).unwrap_or(usize::MAX);
        if self.shared.backlog_bytes() + block.bytes() > most {
            self.left_out_since.get_or_insert((from, self.shared.condition().gap_reason()));
            return;
        }
        self.report_left_out(from, writers);
        self.shared.handed_over(&block);
        let _ = writers.get(self.writer).map(|writer| writer.send(Job::Block(self.id, block)));
    }

    fn report_left_out(&mut self, until: i64, writers: &[Sender<Job>]) {
        if let Some((from, reason)) = self.left_out_since.take() {
            let at_ms = |position: i64| u64::try_from(position / SAMPLES_PER_MS).unwrap_or(0);
            let gap = Gap { from_ms: at_ms(from), to_ms: at_ms(until), reason: reason.to_owned() };
            let _ = writers.get(self.writer).map(|writer| writer.send(Job::Gap(self.id, gap)));
        }
    }

    fn interleaved(&mut self, until: i64, scratch: &mut Scratch) -> Vec<i16> {
        for (track, samples) in self.tracks.iter_mut().zip(scratch.iter_mut()) {
            samples.clear();
            track.take(until, samples);
        }
        let [left, right] = scratch;
        left.iter().zip(right).flat_map(|(left, right)| [*left, *right]).collect()
    }
}

/// A stretch of the time line in samples at 8 kHz.
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / SAMPLES_PER_MS).saturating_mul(SAMPLES_PER_MS)
}

/// A position on the time line as a frame of the file.
fn frames(position: i64, sample_rate: u32) -> u64 {
    u64::try_from(position).unwrap_or(0) * u64::from(sample_rate / 8000)
}
