//! A writer: one thread that owns growing files. It appends blocks, tells of disk trouble, tries again every second and
//! gives a finished file to the sealer. A block stays in memory until the disk has taken it.
//!
//! ```text
//! Healthy ──error──▶ Failed event, retry each second ──taken──▶ Recovered event ──▶ Healthy
//!                        └─ finished and given up ──▶ sealed with a gap, or Failed for good
//! ```

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use tracing::{info, warn};

use super::disk::Disk;
use super::files::Paths;
use super::job::{Block, Condition, Job, Opening, Shared};
use super::sealer::Sealing;
use super::wav::{FRAME_BYTES, HEADER_BYTES, WavFile};
use super::{EventSink, RecordingEvent, notes};
use crate::clock;
use crate::events::{Gap, RecordingState, RecordingView};
use crate::types::{RecordingId, Time};

/// Between two tries of a disk that refused.
const RETRY: Duration = Duration::from_secs(1);
/// How long a finished recording waits for its disk, and how long at shutdown.
const PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_AT_SHUTDOWN: Duration = Duration::from_secs(2);
/// Most gaps and marks listed; a disk that flickers all day must not grow the view without end. The last gap is then
/// stretched, further marks are dropped.
const MAX_GAPS: usize = 500;
const MAX_MARKS: usize = 5000;

/// See the file's head.
pub struct Writer {
    disk: Arc<dyn Disk>,
    on_event: EventSink,
    sealer: Sender<Sealing>,
    has_left_some: Arc<AtomicBool>,
    growing: HashMap<RecordingId, Growing>,
}

/// A file that grows.
struct Growing {
    view: RecordingView,
    paths: Paths,
    shared: Arc<Shared>,
    file: Option<WavFile>,
    /// Frames of the file that hold what they should, as far as we wrote them.
    good: u64,
    has_audio: bool,
    waiting: VecDeque<Block>,
    notes_are_stale: bool,
    /// Since the disk refused: when to try again.
    retry_at: Option<Time>,
    /// The frames of the finished file and when to stop waiting for the disk.
    finish: Option<(u64, Time)>,
}

impl Writer {
    pub fn new(disk: Arc<dyn Disk>, on_event: EventSink, sealer: Sender<Sealing>, has_left_some: Arc<AtomicBool>) -> Self {
        Writer { disk, on_event, sealer, has_left_some, growing: HashMap::new() }
    }

    /// Until the clerk is gone and every file is with the sealer or given up.
    pub fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            let now = clock::now();
            let wait = self.growing.values().filter_map(|growing| growing.retry_at).min().map_or(RETRY, |at| at.since(now));
            match jobs.recv_timeout(wait) {
                Ok(job) => self.take(job, clock::now()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.retry(clock::now());
        }
        self.close();
    }

    fn close(&mut self) {
        let give_up_at = clock::now() + PATIENCE_AT_SHUTDOWN;
        for id in self.growing.keys().copied().collect::<Vec<_>>() {
            self.with(id, |growing| {
                let frames = growing.finish.map_or_else(|| growing.expected(), |(frames, _)| frames);
                growing.finish = Some((frames, give_up_at));
            });
            self.write(id, clock::now());
        }
        while !self.growing.is_empty() {
            let next = self.growing.values().filter_map(|growing| growing.retry_at).min();
            std::thread::sleep(next.unwrap_or(give_up_at).min(give_up_at).since(clock::now()));
            self.retry(clock::now());
        }
    }

    /// Takes one order from the clerk.
    pub fn take(&mut self, job: Job, now: Time) {
        let id = match job {
            Job::Open(opening) => {
                let id = opening.view.id;
                self.growing.insert(id, Growing::new(*opening));
                id
            }
            Job::Block(id, block) => self.with(id, |growing| growing.waiting.push_back(block)),
            Job::Mark(id, mark) => self.with(id, |growing| {
                if growing.view.marks.len() < MAX_MARKS {
                    growing.view.marks.push(mark);
                    growing.notes_are_stale = true;
                }
            }),
            Job::Gap(id, gap) => self.with(id, |growing| {
                growing.view.trouble.get_or_insert_with(|| trouble_in_words(&gap.reason).to_owned());
                growing.list_gap(gap);
            }),
            Job::Finish(id, frames) => self.with(id, |growing| growing.finish = Some((frames, now + PATIENCE))),
        };
        if self.growing.get(&id).is_some_and(|growing| growing.retry_at.is_none()) {
            self.write(id, now);
        }
    }

    fn with(&mut self, id: RecordingId, change: impl FnOnce(&mut Growing)) -> RecordingId {
        if let Some(growing) = self.growing.get_mut(&id) {
            change(growing);
        }
        id
    }

    /// Tries the disk again for every recording whose time has come.
    pub fn retry(&mut self, now: Time) {
        let is_due = |growing: &Growing| growing.retry_at.is_some_and(|at| at <= now || growing.is_given_up(now));
        let due: Vec<_> = self.growing.iter().filter(|(_, growing)| is_due(growing)).map(|(id, _)| *id).collect();
        for id in due {
            self.write(id, now);
        }
    }

    /// Brings a recording as far as the disk allows.
    fn write(&mut self, id: RecordingId, now: Time) {
        let Some(growing) = self.growing.get_mut(&id) else { return };
        let was_failing = growing.retry_at.is_some();
        match growing.write(&*self.disk) {
            Ok(()) => {
                growing.retry_at = None;
                growing.shared.set_condition(Condition::Healthy);
                if was_failing {
                    info!(recording.id = %id, "recording {id} goes on");
                    (self.on_event)(RecordingEvent::Recovered { view: growing.seen(), path: growing.paths.relative.clone() });
                }
            }
            Err(error) => {
                let is_news = growing.fail(&error, now);
                if is_news {
                    warn!(recording.id = %id, error = %error, "the disk refuses recording {id}: {error}");
                    let view = RecordingView { state: RecordingState::Failed, ..growing.seen() };
                    (self.on_event)(RecordingEvent::Failed { view, path: growing.paths.relative.clone() });
                }
            }
        }
        if growing.finish.is_some() && (growing.retry_at.is_none() || growing.is_given_up(now)) {
            self.finish(id);
        }
    }

    /// Hands the file to the sealer, or says that it is lost for now.
    fn finish(&mut self, id: RecordingId) {
        let Some(mut growing) = self.growing.remove(&id) else { return };
        let is_whole = growing.retry_at.is_none();
        let closed = growing.close(&*self.disk);
        let view = growing.seen();
        if let Err(error) = &closed {
            warn!(recording.id = %id, error = %error, "recording {id} stays unfinished: {error}");
        }
        // The disk never took any audio: silence is not a recording.
        let is_empty = !growing.has_audio && !is_whole;
        if closed.is_ok() && !is_empty {
            let _ = self.sealer.send(Sealing::Seal { view, paths: growing.paths });
        } else {
            self.has_left_some.store(true, Ordering::Relaxed);
            let view = RecordingView { state: RecordingState::Failed, ..view };
            (self.on_event)(RecordingEvent::Failed { view, path: growing.paths.relative });
        }
    }
}

impl Growing {
    fn new(opening: Opening) -> Self {
        let Opening { view, paths, shared } = opening;
        let waiting = VecDeque::new();
        let (good, has_audio, notes_are_stale) = (0, false, true);
        Growing { view, paths, shared, file: None, good, has_audio, waiting, notes_are_stale, retry_at: None, finish: None }
    }

    /// The view as of now.
    fn seen(&self) -> RecordingView {
        let frames = self.good;
        RecordingView {
            duration_ms: frames * 1000 / u64::from(self.view.sample_rate.max(1)),
            bytes: HEADER_BYTES + frames * FRAME_BYTES,
            ..self.view.clone()
        }
    }

    fn expected(&self) -> u64 {
        self.waiting.back().map_or(self.good, Block::end)
    }

    fn is_given_up(&self, now: Time) -> bool {
        self.finish.is_some_and(|(_, give_up_at)| give_up_at <= now)
    }

    fn write(&mut self, disk: &dyn Disk) -> io::Result<()> {
        self.look_for_the_file(disk)?;
        if self.file.is_none() {
            self.open_at(disk, self.waiting.front().map_or(self.good, |block| block.position))?;
        }
        let mut has_grown = false;
        while let Some(block) = self.waiting.front() {
            let position = block.position;
            if self.good != position {
                self.open_at(disk, position)?;
            }
            let (Some(block), Some(file)) = (self.waiting.front(), self.file.as_mut()) else { break };
            file.append(&block.samples)?;
            self.good = block.end();
            self.shared.written(block);
            self.waiting.pop_front();
            self.has_audio = true;
            has_grown = true;
        }
        if let Some(file) = self.file.as_mut().filter(|_| has_grown) {
            file.flush()?;
        }
        if self.notes_are_stale {
            disk.replace(&self.paths.notes, &notes::to_bytes(&self.seen()))?;
            self.notes_are_stale = false;
        }
        Ok(())
    }

    /// A file deleted under our hands would swallow audio without an error.
    fn look_for_the_file(&mut self, disk: &dyn Disk) -> io::Result<()> {
        let is_lost = self.file.as_ref().is_some_and(|file| disk.identity(&self.paths.part) != Some(file.identity()));
        if is_lost {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the growing file has vanished"));
        }
        Ok(())
    }

    /// Opens the file so that the next frame is `position`; what the disk lost before it becomes a gap.
    fn open_at(&mut self, disk: &dyn Disk, position: u64) -> io::Result<()> {
        // The old handle writes its sizes when it is dropped, and must not do so after the new one.
        self.file = None;
        let (file, kept) = WavFile::open(disk, &self.paths.part, self.view.sample_rate, self.good, position)?;
        let wanted = self.good.min(position);
        if kept < wanted {
            let reason = Condition::Broken.gap_reason().to_owned();
            self.list_gap(Gap { from_ms: self.at_ms(kept), to_ms: self.at_ms(wanted), reason });
        }
        self.good = file.frames();
        self.file = Some(file);
        Ok(())
    }

    /// Takes note of an error. True when the disk was healthy until now.
    fn fail(&mut self, error: &io::Error, now: Time) -> bool {
        // Dropped, so that the next try starts at a known length.
        self.file = None;
        let condition = Condition::of(error);
        self.shared.set_condition(condition);
        self.view.trouble = Some(trouble_in_words(condition.gap_reason()).to_owned());
        self.notes_are_stale = true;
        self.retry_at.replace(now + RETRY).is_none()
    }

    /// The last writes: exactly as many frames as the call was long. What still waits is given up and listed.
    fn close(&mut self, disk: &dyn Disk) -> io::Result<()> {
        let frames = self.finish.map_or(self.good, |(frames, _)| frames);
        self.waiting.clear();
        if self.good < frames && self.retry_at.is_some() {
            let reason = self.shared.condition().gap_reason().to_owned();
            self.list_gap(Gap { from_ms: self.at_ms(self.good), to_ms: self.at_ms(frames), reason });
        }
        // Longer: the clerk left the end out. Shorter: the end became known only after audio behind it was written.
        if self.good != frames || self.file.is_none() {
            self.open_at(disk, frames)?;
        }
        self.file.take().map_or(Ok(()), WavFile::finish)?;
        if self.notes_are_stale
            && let Err(error) = disk.replace(&self.paths.notes, &notes::to_bytes(&self.seen()))
        {
            // The event carries the same; only a kill before it is stored would lose these notes.
            warn!(recording.id = %self.view.id, error = %error, "the notes of recording {} stay as they were", self.view.id);
        }
        Ok(())
    }

    fn at_ms(&self, frame: u64) -> u64 {
        frame * 1000 / u64::from(self.view.sample_rate.max(1))
    }

    /// Joined with the last one where they touch and have one reason.
    fn list_gap(&mut self, gap: Gap) {
        self.notes_are_stale = true;
        let is_full = self.view.gaps.len() >= MAX_GAPS;
        match self.view.gaps.last_mut() {
            Some(last) if is_full || (last.reason == gap.reason && gap.from_ms <= last.to_ms && gap.to_ms >= last.from_ms) => {
                last.from_ms = last.from_ms.min(gap.from_ms);
                last.to_ms = last.to_ms.max(gap.to_ms);
            }
            _ => self.view.gaps.push(gap),
        }
    }
}

/// `RecordingView::trouble` for a gap's reason.
fn trouble_in_words(reason: &str) -> &'static str {
    match reason {
        "disk_full" => "the disk was full",
        "writer_behind" => "the disk was too slow",
        _ => "the disk failed",
    }
}
