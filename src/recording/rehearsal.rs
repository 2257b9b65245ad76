//! The recorder's parts on one thread with a made-up clock and a disk that can fall sick: what the threads of `Recorder`
//! do in seconds happens here in milliseconds, the same every time. `tests/it/media/recording.rs` runs the real threads.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use uuid::Uuid;

use super::clerk::{Clerk, Order};
use super::disk::{AudioFile, Disk, FileIdentity, LocalDisk};
use super::job::{Job, Place};
use super::sealer::{self, Sealing};
use super::writer::Writer;
use super::{BeginRecording, EventSink, Recorder, RecorderConfig, RecordingEvent, Repairs, notes, repair};
use crate::events::{Gap, MarkKind, RecordingState, RecordingView};
use crate::media::codec::Codec;
use crate::media::tones::{Sine, mean_square, power};
use crate::relay::tap::{Channel, TAP_PAYLOAD_BYTES, TapFrame};
use crate::types::{CallId, RecordingId, Time, Wall};

const START: Time = Time::from_millis(5_000_000);
const STARTED_WALL: Wall = Wall::from_micros(1_751_673_599_000_000);
const CLIENT_HZ: f32 = 440.0;
const AGENT_HZ: f32 = 1000.0;
const KEY: u32 = 9;

const WELL: u8 = 0;
const FULL: u8 = 1;
const BROKEN: u8 = 2;

/// A real folder on a disk whose health the test decides.
#[derive(Clone, Debug)]
struct SickDisk {
    health: Arc<AtomicU8>,
}

impl SickDisk {
    fn check(&self) -> io::Result<()> {
        match self.health.load(Ordering::Relaxed) {
            WELL => Ok(()),
            FULL => Err(io::Error::from_raw_os_error(libc::ENOSPC)),
            _ => Err(io::Error::from_raw_os_error(libc::EIO)),
        }
    }
}

struct SickFile {
    inner: Box<dyn AudioFile>,
    disk: SickDisk,
}

impl Disk for SickDisk {
    fn open(&self, path: &Path) -> io::Result<(Box<dyn AudioFile>, FileIdentity)> {
        self.check()?;
        let (inner, identity) = LocalDisk.open(path)?;
        Ok((Box::new(SickFile { inner, disk: self.clone() }), identity))
    }

    fn identity(&self, path: &Path) -> Option<FileIdentity> {
        LocalDisk.identity(path)
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.check()?;
        LocalDisk.replace(path, bytes)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.check()?;
        LocalDisk.remove(path)
    }

    fn seal(&self, part: &Path, audio: &Path) -> io::Result<()> {
        self.check()?;
        LocalDisk.seal(part, audio)
    }
}

impl Write for SickFile {
    /// A sick disk takes half of a block before it refuses the rest.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.disk.check().is_err() && bytes.len() > 1000 {
            return self.inner.write(&bytes[..bytes.len() / 2]);
        }
        self.disk.check().and_then(|()| self.inner.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Read for SickFile {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.inner.read(bytes)
    }
}

impl Seek for SickFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

impl AudioFile for SickFile {
    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.disk.check().and_then(|()| self.inner.set_len(bytes))
    }
}

struct Stage {
    dir: tempfile::TempDir,
    tap: rtrb::Producer<TapFrame>,
    clerk: Clerk,
    jobs: Receiver<Job>,
    writer: Writer,
    sealings: Receiver<Sealing>,
    on_event: EventSink,
    disk: SickDisk,
    events: Arc<Mutex<Vec<RecordingEvent>>>,
    places: Arc<AtomicUsize>,
    has_left_some: Arc<AtomicBool>,
    now_ms: i64,
    /// Frames that will arrive, soonest last.
    coming: Vec<TapFrame>,
    is_writer_stuck: bool,
}

fn at(ms: i64) -> Time {
    Time::from_millis((START.as_millis() as i64 + ms) as u64)
}

/// One channel's tone from `from_ms` to `to_ms`, as packets of 20 ms.
fn tone(channel: Channel, hz: f32, from_ms: i64, to_ms: i64) -> Vec<TapFrame> {
    let codec = if channel == Channel::Left { Codec::Pcma } else { Codec::Pcmu };
    let mut sine = Sine::new(hz, 8000, 8000);
    let packet = |(number, arrival_ms): (u32, i64)| {
        let samples: Vec<i16> = sine.by_ref().take(160).collect();
        let mut payload = [0; TAP_PAYLOAD_BYTES];
        codec.encode(&samples, &mut payload);
        TapFrame {
            key: KEY,
            channel,
            arrival: at(arrival_ms),
            ssrc: if channel == Channel::Left { 11 } else { 22 },
            sequence: number as u16,
            timestamp: number.wrapping_mul(160).wrapping_sub(3000),
            codec,
            dropped_before: 0,
            len: 160,
            payload,
        }
    };
    (0_u32..).zip((from_ms..to_ms).step_by(20)).map(packet).collect()
}

impl Stage {
    fn new(sample_rate: u32) -> Stage {
        let dir = tempfile::tempdir().unwrap();
        let (tap, tap_out) = rtrb::RingBuffer::new(8192);
        let (jobs_in, jobs) = mpsc::channel();
        let (sealings_in, sealings) = mpsc::channel();
        let events: Arc<Mutex<Vec<RecordingEvent>>> = Arc::default();
        let sink = events.clone();
        let on_event: EventSink = Arc::new(move |event| sink.lock().unwrap().push(event));
        let disk = SickDisk { health: Arc::default() };
        let has_left_some: Arc<AtomicBool> = Arc::default();
        let writer = Writer::new(Arc::new(disk.clone()), on_event.clone(), sealings_in.clone(), has_left_some.clone());
        let config = RecorderConfig::new(dir.path(), sample_rate);
        let clerk = Clerk::new(config, vec![tap_out], vec![jobs_in], sealings_in, on_event.clone());
        let places = Arc::default();
        let (now_ms, coming, is_writer_stuck) = (0, Vec::new(), false);
        Stage {
            dir,
            tap,
            clerk,
            jobs,
            writer,
            sealings,
            on_event,
            disk,
            events,
            places,
            has_left_some,
            now_ms,
            coming,
            is_writer_stuck,
        }
    }

    fn begin(&mut self, number: u128) -> RecordingId {
        let id = RecordingId(Uuid::from_u128(number));
        let call_id = CallId(Uuid::from_u128(number));
        let begin = BeginRecording { key: KEY, id, call_id, started: at(self.now_ms), started_wall: STARTED_WALL };
        let place = Place::take(&self.places, 10).unwrap();
        self.clerk.obey(Order::Begin(begin, place));
        id
    }

    fn finish(&mut self, at_ms: i64) {
        self.clerk.obey(Order::Finish { key: KEY, at: at(at_ms) });
    }

    fn bring(&mut self, frames: Vec<TapFrame>) {
        self.coming.extend(frames);
        self.coming.sort_by_key(|frame| std::cmp::Reverse(frame.arrival));
    }

    fn run_to(&mut self, ms: i64) {
        self.run_in_steps(20, ms);
    }

    fn run_in_steps(&mut self, step_ms: i64, ms: i64) {
        while self.now_ms < ms {
            self.now_ms = ms.min(self.now_ms + step_ms);
            while self.coming.last().is_some_and(|frame| frame.arrival <= at(self.now_ms)) {
                self.tap.push(self.coming.pop().unwrap()).unwrap();
            }
            self.clerk.tick(at(self.now_ms));
            self.run_writer();
        }
    }

    fn run_writer(&mut self) {
        if self.is_writer_stuck {
            return;
        }
        while let Ok(job) = self.jobs.try_recv() {
            self.writer.take(job, at(self.now_ms));
        }
        self.writer.retry(at(self.now_ms));
        while let Ok(sealing) = self.sealings.try_recv() {
            sealer::take(&self.disk, &self.on_event, sealing, &self.has_left_some);
        }
    }

    fn fall(&self, health: u8) {
        self.disk.health.store(health, Ordering::Relaxed);
    }

    /// The names of the events so far.
    fn events(&self) -> Vec<&'static str> {
        let name = |event: &RecordingEvent| match event {
            RecordingEvent::Started { .. } => "started",
            RecordingEvent::Failed { .. } => "failed",
            RecordingEvent::Recovered { .. } => "recovered",
            RecordingEvent::Paused { .. } => "paused",
            RecordingEvent::Resumed { .. } => "resumed",
            RecordingEvent::Ready { .. } => "ready",
        };
        self.events.lock().unwrap().iter().map(name).collect()
    }

    fn last_view(&self) -> RecordingView {
        match self.events.lock().unwrap().last() {
            Some(
                RecordingEvent::Started { view, .. }
                | RecordingEvent::Failed { view, .. }
                | RecordingEvent::Recovered { view, .. }
                | RecordingEvent::Paused { view, .. }
                | RecordingEvent::Resumed { view, .. }
                | RecordingEvent::Ready { view, .. },
            ) => view.clone(),
            None => panic!("no event yet"),
        }
    }

    fn part(&self, id: RecordingId) -> PathBuf {
        super::files::Paths::new(self.dir.path(), id, STARTED_WALL).part
    }

    fn audio(&self, id: RecordingId) -> Stereo {
        let path = self.dir.path().join(super::relative_path(id, STARTED_WALL));
        let reader = hound::WavReader::open(path).unwrap();
        let rate = reader.spec().sample_rate;
        let samples: Vec<i16> = reader.into_samples().map(Result::unwrap).collect();
        Stereo {
            rate,
            left: samples.iter().copied().step_by(2).collect(),
            right: samples.into_iter().skip(1).step_by(2).collect(),
        }
    }
}

struct Stereo {
    rate: u32,
    left: Vec<i16>,
    right: Vec<i16>,
}

impl Stereo {
    fn ms(&self) -> i64 {
        self.left.len() as i64 * 1000 / i64::from(self.rate)
    }

    fn part(side: &[i16], rate: u32, from_ms: i64, to_ms: i64) -> &[i16] {
        let at = |ms: i64| (ms * i64::from(rate) / 1000) as usize;
        &side[at(from_ms)..at(to_ms)]
    }

    /// Each channel holds its own tone and nothing else.
    fn assert_tones(&self, from_ms: i64, to_ms: i64) {
        for (side, hz) in [(&self.left, CLIENT_HZ), (&self.right, AGENT_HZ)] {
            for slice in Stereo::part(side, self.rate, from_ms, to_ms).chunks_exact(self.rate as usize / 10) {
                let (whole, tone) = (mean_square(slice), power(slice, self.rate, hz));
                assert!(whole > 1e7 && tone > 0.98 * whole, "{hz} Hz has {tone} of {whole} between {from_ms} and {to_ms} ms");
            }
        }
    }

    fn assert_silence(&self, from_ms: i64, to_ms: i64) {
        for side in [&self.left, &self.right] {
            let slice = Stereo::part(side, self.rate, from_ms, to_ms);
            assert!(slice.iter().all(|sample| *sample == 0), "not silent between {from_ms} and {to_ms} ms");
        }
    }
}

fn both(from_ms: i64, to_ms: i64) -> Vec<TapFrame> {
    let mut frames = tone(Channel::Left, CLIENT_HZ, from_ms, to_ms);
    frames.extend(tone(Channel::Right, AGENT_HZ, from_ms, to_ms));
    frames
}

fn gap(view: &RecordingView) -> &Gap {
    let [gap] = &view.gaps[..] else { panic!("one gap, not {:?}", view.gaps) };
    gap
}

#[test]
fn each_channel_holds_its_own_tone_and_the_file_is_as_long_as_the_call() {
    for rate in [8000, 16_000] {
        let mut stage = Stage::new(rate);
        let id = stage.begin(1);
        stage.bring(both(100, 5100));
        stage.run_to(5000);
        assert!(stage.part(id).exists());
        stage.run_to(5234);
        stage.finish(5234);
        stage.run_to(5600);
        assert_eq!(stage.events(), ["started", "ready"]);
        let audio = stage.audio(id);
        assert_eq!((audio.rate, audio.ms()), (rate, 5234));
        audio.assert_silence(0, 100);
        audio.assert_tones(110, 5100);
        audio.assert_silence(5110, 5234);
        let view = stage.last_view();
        assert_eq!((view.state, view.duration_ms, view.sample_rate, view.channels), (RecordingState::Ready, 5234, rate, 2));
        assert_eq!((view.bytes, view.gaps.len(), view.trouble), (44 + 5234 * u64::from(rate) / 250, 0, None));
        assert!(!stage.part(id).exists());
        assert_eq!(stage.places.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn the_growing_file_can_be_played_and_lacks_less_than_a_second() {
    let mut stage = Stage::new(8000);
    let id = stage.begin(1);
    stage.bring(both(0, 9000));
    for now in (1000..9000).step_by(20) {
        stage.run_to(now);
        let reader = hound::WavReader::open(stage.part(id)).unwrap();
        let recorded_ms = i64::from(reader.duration()) / 8;
        assert!(recorded_ms >= now - 800, "{recorded_ms} ms of {now} ms");
        assert_eq!(u64::from(reader.len()) * 2 + 44, fs::metadata(stage.part(id)).unwrap().len());
    }
}

#[test]
fn jitter_loss_and_reordering_leave_tones_whole_around_what_was_lost() {
    let mut stage = Stage::new(8000);
    let id = stage.begin(1);
    let mut frames = both(0, 6000);
    for (number, frame) in frames.iter_mut().enumerate() {
        frame.arrival = frame.arrival + Duration::from_millis((number as u64 * 7919) % 60);
    }
    // Packet 100 of each side, 2,000 to 2,020 ms, never arrives.
    frames.retain(|frame| frame.sequence != 100);
    stage.bring(frames);
    stage.run_to(6000);
    stage.finish(6000);
    stage.run_to(6400);
    let audio = stage.audio(id);
    let first = audio.left.iter().position(|sample| *sample != 0).unwrap() as i64 / 8;
    assert!(first < 62, "the tone begins at {first} ms");
    audio.assert_tones(100, 1990);
    audio.assert_tones(2090, 5900);
    let made_up = Stereo::part(&audio.left, 8000, 2000, 2020);
    assert!(mean_square(made_up) > 0.3e7, "one lost packet is made up: {}", mean_square(made_up));
    let step = audio.left[2000 * 8 - 80..2090 * 8].windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max();
    // The tone's own steepest is 2,700.
    assert!(step < Some(4500), "it clicks: {step:?}");
}

#[test]
fn a_full_disk_is_told_and_the_recording_goes_on_when_there_is_room() {
    let mut stage = Stage::new(8000);
    let id = stage.begin(1);
    stage.bring(both(0, 30_000));
    stage.run_to(5000);
    stage.fall(FULL);
    stage.run_to(20_000);
    assert_eq!(stage.events(), ["started", "failed"]);
    assert_eq!(stage.last_view().state, RecordingState::Failed);
    assert_eq!(stage.last_view().trouble.as_deref(), Some("the disk was full"));
    stage.fall(WELL);
    stage.run_to(22_000);
    assert_eq!(stage.events(), ["started", "failed", "recovered"]);
    assert_eq!(stage.last_view().state, RecordingState::Recording);
    stage.run_to(30_000);
    stage.finish(30_000);
    stage.run_to(30_400);
    let (audio, view) = (stage.audio(id), stage.last_view());
    assert_eq!((view.state, audio.ms()), (RecordingState::Ready, 30_000));
    let gap = gap(&view);
    assert_eq!(gap.reason, "disk_full");
    // Four seconds were kept in memory; the rest of the fifteen is the gap.
    assert!((8000..9000).contains(&gap.from_ms) && (20_000..21_500).contains(&gap.to_ms), "{gap:?}");
    audio.assert_tones(100, gap.from_ms as i64);
    audio.assert_silence(gap.from_ms as i64, gap.to_ms as i64);
    audio.assert_tones(gap.to_ms as i64, 30_000);
}

#[test]
fn a_short_outage_loses_nothing() {
    let mut stage = Stage::new(16_000);
    let id = stage.begin(1);
    stage.bring(both(0, 12_000));
    stage.run_to(5000);
    stage.fall(BROKEN);
    stage.run_to(7500);
    stage.fall(WELL);
    stage.run_to(12_000);
    stage.finish(12_000);
    stage.run_to(12_400);
    assert_eq!(stage.events(), ["started", "failed", "recovered", "ready"]);
    assert_eq!(stage.last_view().gaps, []);
    stage.audio(id).assert_tones(100, 11_900);
}

#[test]
fn a_call_that_ends_on_a_sick_disk_waits_for_it_and_is_then_given_up_with_its_file_left_for_repair() {
    let mut stage = Stage::new(8000);
    let id = stage.begin(1);
    stage.bring(both(0, 10_000));
    stage.run_to(9000);
    stage.fall(BROKEN);
    stage.run_to(10_000);
    stage.finish(10_000);
    stage.run_to(20_000);
    assert_eq!(stage.events(), ["started", "failed"]);
    stage.run_in_steps(500, 42_000);
    assert_eq!(stage.events(), ["started", "failed", "failed"]);
    assert_eq!(gap(&stage.last_view()).reason, "disk_error");
    assert_eq!(gap(&stage.last_view()).to_ms, 10_000);
    assert!(stage.has_left_some.load(Ordering::Relaxed));
    assert_eq!(stage.places.load(Ordering::Relaxed), 0);
    let found = super::repair(stage.dir.path(), &[]);
    assert_eq!(found.recordings[0].view.state, RecordingState::Ready);
    stage.audio(id).assert_tones(100, 8200);
}

#[test]
fn a_disk_that_recovers_after_the_call_gets_it_all() {
    let mut stage = Stage::new(8000);
    let id = stage.begin(1);
    stage.bring(both(0, 10_000));
    stage.run_to(8000);
    stage.fall(FULL);
    stage.run_to(10_000);
    stage.finish(10_000);
    stage.run_to(25_000);
    stage.fall(WELL);
    stage.run_to(27_000);
    assert_eq!(stage.events(), ["started", "failed", "recovered", "ready"]);
    assert_eq!(stage.last_view().gaps, []);
    stage.audio(id).assert_tones(100, 9900);
}

#[test]
fn a_folder_that_cannot_be_written_from_the_start_makes_a_failed_recording_and_no_file() {
    let mut stage = Stage::new(8000);
    stage.fall(BROKEN);
    let id = stage.begin(1);
    stage.bring(both(0, 1000));
    stage.run_to(1000);
    stage.finish(1000);
    stage.run_in_steps(500, 40_000);
    assert_eq!(stage.events(), ["started", "failed", "failed"]);
    assert!(!stage.part(id).exists());
}

#[test]
fn a_folder_that_vanishes_costs_what_was_in_it_and_nothing_after() {
    let mut stage = Stage::new(8000);
    let id = stage.begin(1);
    stage.bring(both(0, 10_000));
    stage.run_to(5000);
    fs::remove_dir_all(stage.dir.path().join("2025")).unwrap();
    stage.run_to(10_000);
    stage.finish(10_000);
    stage.run_to(10_400);
    assert_eq!(stage.events(), ["started", "failed", "recovered", "ready"]);
    let (audio, view) = (stage.audio(id), stage.last_view());
    let gap = gap(&view);
    assert_eq!((gap.from_ms, gap.reason.as_str(), audio.ms()), (0, "disk_error", 10_000));
    assert!((4200..=5000).contains(&gap.to_ms), "{gap:?}");
    audio.assert_silence(0, gap.to_ms as i64);
    audio.assert_tones(gap.to_ms as i64, 9900);
}

#[test]
fn a_slow_disk_costs_memory_first_and_then_a_listed_gap() {
    let mut stage = Stage::new(8000);
    let id = stage.begin(1);
    stage.bring(both(0, 20_000));
    stage.run_to(2000);
    stage.is_writer_stuck = true;
    stage.run_to(5000);
    stage.is_writer_stuck = false;
    stage.run_to(8000);
    stage.is_writer_stuck = true;
    stage.run_to(16_000);
    stage.is_writer_stuck = false;
    stage.run_to(20_000);
    stage.finish(20_000);
    stage.run_to(20_400);
    assert_eq!(stage.events(), ["started", "ready"]);
    let (audio, view) = (stage.audio(id), stage.last_view());
    let gap = gap(&view);
    assert_eq!(gap.reason, "writer_behind");
    assert_eq!(view.trouble.as_deref(), Some("the disk was too slow"));
    assert!(gap.from_ms > 11_000 && gap.to_ms < 16_500, "{gap:?}");
    audio.assert_tones(100, gap.from_ms as i64);
    audio.assert_silence(gap.from_ms as i64, gap.to_ms as i64);
    audio.assert_tones(gap.to_ms as i64, 19_900);
}

#[test]
fn frames_that_the_ring_lost_are_a_listed_gap() {
    let mut stage = Stage::new(8000);
    stage.begin(1);
    let mut frames = tone(Channel::Left, CLIENT_HZ, 0, 4000);
    frames.drain(50..75);
    frames[50].dropped_before = 25;
    stage.bring(frames);
    stage.run_to(4000);
    stage.finish(4000);
    stage.run_to(4400);
    let view = stage.last_view();
    assert_eq!(*gap(&view), Gap { from_ms: 980, to_ms: 1500, reason: "writer_behind".into() });
}

#[test]
fn marks_are_in_the_notes_while_it_grows_and_in_the_view_when_it_is_ready() {
    let mut stage = Stage::new(8000);
    let id = stage.begin(1);
    stage.run_to(1000);
    let mark = |kind, ms, label: Option<&str>| Order::Mark { key: KEY, kind, label: label.map(str::to_owned), at: at(ms) };
    stage.clerk.obey(mark(MarkKind::Queued, 200, Some("sales")));
    stage.clerk.obey(mark(MarkKind::AgentJoined, 900, Some("anna")));
    stage.clerk.obey(Order::Mark { key: 12345, kind: MarkKind::Held, label: None, at: at(1) });
    stage.run_to(1040);
    let path = super::files::Paths::new(stage.dir.path(), id, STARTED_WALL).notes;
    let marks = |view: &RecordingView| view.marks.iter().map(|mark| (mark.at_ms, mark.kind)).collect::<Vec<_>>();
    let expected = [(200, MarkKind::Queued), (900, MarkKind::AgentJoined)];
    assert_eq!(marks(&notes::read(&path, id).unwrap()), expected);
    stage.finish(2000);
    stage.run_to(2400);
    assert_eq!(marks(&stage.last_view()), expected);
    assert!(path.exists());
    stage.clerk.obey(Order::Settle { id, started: STARTED_WALL });
    stage.run_to(2420);
    assert!(!path.exists());
}

#[test]
fn what_is_said_while_it_is_paused_is_silence_on_the_same_time_line() {
    let mut stage = Stage::new(8000);
    let id = stage.begin(1);
    stage.bring(both(0, 3000));
    stage.run_to(1000);
    stage.clerk.obey(Order::Gate { key: KEY, captures: false, at: at(1000) });
    stage.run_to(2000);
    assert_eq!((stage.events().last(), stage.last_view().duration_ms), (Some(&"paused"), 1000));
    stage.clerk.obey(Order::Gate { key: KEY, captures: true, at: at(2000) });
    stage.run_to(2500);
    assert_eq!(stage.events(), ["started", "paused", "resumed"]);
    stage.finish(3000);
    stage.run_to(3400);
    let audio = stage.audio(id);
    assert_eq!(audio.ms(), 3000);
    audio.assert_tones(0, 980);
    // The last packet that came before the gate shut lies behind its arrival.
    audio.assert_silence(1020, 2000);
    audio.assert_tones(2020, 2980);
}

#[test]
fn an_end_that_is_told_late_still_cuts_the_file_where_the_call_ended() {
    let mut stage = Stage::new(8000);
    let id = stage.begin(1);
    stage.bring(both(0, 6000));
    stage.run_to(6000);
    stage.finish(3210);
    stage.run_to(6400);
    assert_eq!(stage.audio(id).ms(), 3210);
    assert_eq!((stage.last_view().duration_ms, stage.last_view().gaps.len()), (3210, 0));
    stage.audio(id).assert_tones(100, 3200);
}

#[test]
fn taps_that_have_ended_need_no_waiting() {
    let mut stage = Stage::new(8000);
    let id = stage.begin(1);
    let mut frames = both(0, 2000);
    for channel in [Channel::Left, Channel::Right] {
        frames.push(TapFrame { arrival: at(2000), len: 0, ..tone(channel, CLIENT_HZ, 0, 20)[0] });
    }
    stage.bring(frames);
    stage.run_to(2000);
    stage.finish(2000);
    stage.run_to(2020);
    assert_eq!(stage.events(), ["started", "ready"]);
    stage.audio(id).assert_tones(100, 1980);
}

#[test]
fn a_key_used_again_ends_the_former_recording() {
    let mut stage = Stage::new(8000);
    let first = stage.begin(1);
    stage.bring(both(0, 4000));
    stage.run_to(2000);
    let second = stage.begin(2);
    stage.run_to(4000);
    stage.finish(4000);
    stage.run_to(4400);
    assert_eq!(stage.audio(first).ms(), 2000);
    assert_eq!(stage.audio(second).ms(), 2000);
    stage.audio(second).assert_tones(100, 1900);
}

#[test]
fn a_recording_that_nobody_finishes_ends_long_after_its_taps() {
    let mut stage = Stage::new(8000);
    let id = stage.begin(1);
    let mut frames = both(0, 1000);
    frames.push(TapFrame { arrival: at(1000), len: 0, ..tone(Channel::Left, CLIENT_HZ, 0, 20)[0] });
    frames.push(TapFrame { arrival: at(1000), len: 0, ..tone(Channel::Right, CLIENT_HZ, 0, 20)[0] });
    stage.bring(frames);
    stage.run_in_steps(1000, 590_000);
    assert_eq!(stage.events(), ["started"]);
    stage.run_in_steps(1000, 603_000);
    assert_eq!(stage.events(), ["started", "ready"]);
    assert_eq!(stage.audio(id).ms(), 1000);
}

#[test]
fn a_clerk_that_was_stopped_for_a_minute_goes_on_at_the_right_place() {
    let mut stage = Stage::new(8000);
    let id = stage.begin(1);
    stage.bring(both(0, 2000));
    stage.run_to(2000);
    stage.now_ms = 60_000;
    stage.bring(both(60_000, 62_000));
    stage.run_to(62_000);
    stage.finish(62_000);
    stage.run_to(62_400);
    let (audio, view) = (stage.audio(id), stage.last_view());
    assert_eq!(audio.ms(), 62_000);
    audio.assert_tones(100, 1900);
    audio.assert_tones(60_100, 61_900);
    assert_eq!(gap(&view).reason, "writer_behind");
}

#[test]
fn shutdown_ends_every_recording_where_it_is() {
    let mut stage = Stage::new(8000);
    let id = stage.begin(1);
    stage.bring(both(0, 2000));
    stage.run_to(1500);
    stage.clerk.finish_all(at(1500));
    stage.run_writer();
    assert_eq!(stage.events(), ["started", "ready"]);
    assert_eq!(stage.audio(id).ms(), 1500);
    stage.audio(id).assert_tones(100, 1450);
}

#[test]
fn a_recording_that_ends_with_the_recorder_is_settled_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let (said, events) = mpsc::channel();
    let said = Mutex::new(said);
    let on_event = move |event| drop(said.lock().unwrap().send(event));
    let recorder = Recorder::start(RecorderConfig::new(dir.path(), 8000), Vec::new(), on_event).unwrap();
    let (id, call_id) = (RecordingId(Uuid::from_u128(1)), CallId(Uuid::from_u128(2)));
    let (started, started_wall) = (crate::clock::now(), crate::clock::wall());
    recorder.begin(BeginRecording { key: KEY, id, call_id, started, started_wall }).unwrap();
    assert!(recorder.shutdown(Duration::from_secs(10)));
    assert!(events.iter().any(|event| matches!(event, RecordingEvent::Ready { .. })));
    let found = |repairs: &Repairs| repairs.recordings.len();
    assert_eq!(found(&repair(dir.path(), &[])), 1, "nobody has settled it yet");
    recorder.settle(id, started_wall).unwrap();
    assert_eq!(found(&repair(dir.path(), &[])), 0);
}
