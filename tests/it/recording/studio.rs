//! Recordings in real time: a thread that plays two tones into a tap as a media thread would, and an ear for the files.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use perezvon::clock;
use perezvon::media::codec::Codec;
use perezvon::media::tones::{Sine, mean_square, power};
use perezvon::recording::{BeginRecording, Recorder, RecorderConfig, RecordingEvent};
use perezvon::relay::tap::{Channel, TAP_PAYLOAD_BYTES, TapFrame};
use perezvon::types::{CallId, RecordingId, Time};
use uuid::Uuid;

pub const CLIENT_HZ: f32 = 440.0;
pub const AGENT_HZ: f32 = 1000.0;
/// What a process says on its output for each packet that it played late.
pub const LATE: &str = "a packet was played late";

/// Eight seconds of two hundred recordings: these tests share the machine with others, and a recorder that gets no turn
/// for half a second is not what they are about.
const RING_FRAMES: usize = 8 * 200 * 100;

/// A recorder, the thread that feeds it, and what it said.
pub struct Studio {
    pub recorder: Recorder,
    pub events: Receiver<RecordingEvent>,
    late: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    feeder: Option<JoinHandle<()>>,
}

pub fn recording_id(number: u32) -> RecordingId {
    RecordingId(Uuid::from_u128(u128::from(number) + 1))
}

impl Studio {
    /// Begins `count` recordings under `dir`, keys from 0, and plays the client's tone left and the agent's right.
    pub fn open(dir: &Path, count: u32) -> Studio {
        let (said, events) = mpsc::channel();
        let said = Mutex::new(said);
        let (mut tap, tap_out) = rtrb::RingBuffer::new(RING_FRAMES);
        let on_event = move |event| drop(said.lock().unwrap().send(event));
        let recorder = Recorder::start(RecorderConfig::new(dir, 8000), vec![tap_out], on_event).unwrap();
        let started = clock::now();
        for key in 0..count {
            let (id, call_id) = (recording_id(key), CallId(Uuid::from_u128(u128::from(key) + 1000)));
            recorder.begin(BeginRecording { key, id, call_id, started, started_wall: clock::wall() }).unwrap();
        }
        let (stop, late) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, counted) = (stop.clone(), late.clone());
        let feeder = thread::spawn(move || {
            let mut sines = [Sine::new(CLIENT_HZ, 8000, 8000), Sine::new(AGENT_HZ, 8000, 8000)];
            for number in 0_u32.. {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let mut is_full = false;
                for (sine, channel) in sines.iter_mut().zip([Channel::Left, Channel::Right]) {
                    let mut frame = packet(number, channel, sine);
                    for key in 0..count {
                        frame.key = key;
                        is_full |= tap.push(frame).is_err();
                    }
                }
                let due = started + Duration::from_millis(u64::from(number) * 20);
                if is_full || clock::now().since(due) > Duration::from_millis(60) {
                    counted.fetch_add(1, Ordering::Relaxed);
                    println!("{LATE}");
                }
                thread::sleep((due + Duration::from_millis(20)).since(clock::now()));
            }
        });
        Studio { recorder, events, late, stop, feeder: Some(feeder) }
    }

    /// Both parties fall silent: what is finished from now on is whole.
    pub fn stop_playing(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.feeder.take().map(JoinHandle::join);
    }

    /// Packets that this busy machine played late, as a bad network would.
    pub fn late_packets(&self) -> usize {
        self.late.load(Ordering::Relaxed)
    }

    /// The next event, or a panic after ten seconds.
    pub fn next_event(&self) -> RecordingEvent {
        self.events.recv_timeout(Duration::from_secs(10)).expect("the recorder says something within ten seconds")
    }
}

impl Drop for Studio {
    fn drop(&mut self) {
        self.stop_playing();
    }
}

fn packet(number: u32, channel: Channel, sine: &mut Sine) -> TapFrame {
    let samples: Vec<i16> = sine.take(160).collect();
    let mut payload = [0; TAP_PAYLOAD_BYTES];
    Codec::Pcma.encode(&samples, &mut payload);
    TapFrame {
        key: 0,
        channel,
        arrival: clock::now(),
        ssrc: if channel == Channel::Left { 1 } else { 2 },
        sequence: number as u16,
        timestamp: number * 160,
        codec: Codec::Pcma,
        dropped_before: 0,
        len: 160,
        payload,
    }
}

/// More late packets than this, and the machine is too busy to be judged by ear.
const MOST_LATE: usize = 20;

/// Asserts that each channel holds its own tone, and returns the length in ms. Two tenths of a second may be broken at
/// the ends, and one more for each packet that was not played in time.
pub fn hear(path: &Path, late_packets: usize) -> u64 {
    let reader = hound::WavReader::open(path).unwrap();
    let spec = reader.spec();
    assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample), (2, 8000, 16));
    let duration_ms = u64::from(reader.duration()) / 8;
    let samples: Vec<i16> = reader.into_samples().map(Result::unwrap).collect();
    for (side, hz) in [(0, CLIENT_HZ), (1, AGENT_HZ)] {
        let channel: Vec<i16> = samples.iter().copied().skip(side).step_by(2).collect();
        let is_tone = |slice: &&[i16]| mean_square(slice) > 1e7 && power(slice, 8000, hz) > 0.95 * mean_square(slice);
        let (good, all) = (channel.chunks_exact(800).filter(is_tone).count(), channel.len() / 800);
        let heard = format!("{hz} Hz is heard in {good} of {all} tenths of a second, {late_packets} packets late");
        if late_packets > MOST_LATE {
            println!("not judged, this machine is too busy: {heard}");
            continue;
        }
        assert!(good + 2 + late_packets >= all && good > all / 4, "{heard} in {}", path.display());
    }
    duration_ms
}

/// Milliseconds from one moment to a later one.
pub fn ms_between(earlier: Time, later: Time) -> u64 {
    u64::try_from(later.since(earlier).as_millis()).unwrap()
}
