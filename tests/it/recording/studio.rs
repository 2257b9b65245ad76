//! Recordings in real time: a thread that plays two tones into a tap as a media thread would, and an ear for the files.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use perezvon::clock;
use perezvon::media::codec::Codec;
use perezvon::media::tones::{Sine, mean_square, power};
use perezvon::recording::{BeginRecording, Recorder, RecorderConfig, RecordingEvent};
use perezvon::relay::tap::{Channel, TAP_PAYLOAD_BYTES, TAP_RING_FRAMES, TapFrame};
use perezvon::types::{CallId, RecordingId, Time};
use uuid::Uuid;

pub const CLIENT_HZ: f32 = 440.0;
pub const AGENT_HZ: f32 = 1000.0;

/// A recorder, the thread that feeds it, and what it said.
pub struct Studio {
    pub recorder: Recorder,
    pub events: Receiver<RecordingEvent>,
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
        let (mut tap, tap_out) = rtrb::RingBuffer::new(TAP_RING_FRAMES);
        let on_event = move |event| drop(said.lock().unwrap().send(event));
        let recorder = Recorder::start(RecorderConfig::new(dir, 8000), vec![tap_out], on_event).unwrap();
        let started = clock::now();
        for key in 0..count {
            let (id, call_id) = (recording_id(key), CallId(Uuid::from_u128(u128::from(key) + 1000)));
            recorder.begin(BeginRecording { key, id, call_id, started, started_wall: clock::wall() }).unwrap();
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let feeder = thread::spawn(move || {
            let mut sines = [Sine::new(CLIENT_HZ, 8000, 8000), Sine::new(AGENT_HZ, 8000, 8000)];
            for number in 0_u32.. {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                for (sine, channel) in sines.iter_mut().zip([Channel::Left, Channel::Right]) {
                    let mut frame = packet(number, channel, sine);
                    for key in 0..count {
                        frame.key = key;
                        // A ring that is full would be a gap in the view, which the tests do not accept.
                        let _ = tap.push(frame);
                    }
                }
                let next = started + Duration::from_millis(u64::from(number + 1) * 20);
                thread::sleep(next.since(clock::now()));
            }
        });
        Studio { recorder, events, stop, feeder: Some(feeder) }
    }

    /// The next event, or a panic after ten seconds.
    pub fn next_event(&self) -> RecordingEvent {
        self.events.recv_timeout(Duration::from_secs(10)).expect("the recorder says something within ten seconds")
    }
}

impl Drop for Studio {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.feeder.take().map(JoinHandle::join);
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

/// Asserts that each channel holds its own tone in all but a few tenths of a second, and returns the length in ms.
/// (A machine that is busy with other tests holds up the player now and then, as a network would.)
pub fn hear(path: &Path) -> u64 {
    let reader = hound::WavReader::open(path).unwrap();
    let spec = reader.spec();
    assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample), (2, 8000, 16));
    let duration_ms = u64::from(reader.duration()) / 8;
    let samples: Vec<i16> = reader.into_samples().map(Result::unwrap).collect();
    for (side, hz) in [(0, CLIENT_HZ), (1, AGENT_HZ)] {
        let channel: Vec<i16> = samples.iter().copied().skip(side).step_by(2).collect();
        let is_tone = |slice: &&[i16]| mean_square(slice) > 1e7 && power(slice, 8000, hz) > 0.95 * mean_square(slice);
        let (good, all) = (channel.chunks_exact(800).filter(is_tone).count(), channel.len() / 800);
        assert!(good + 1 + all / 10 >= all, "{hz} Hz is heard in {good} of {all} tenths of a second of {}", path.display());
    }
    duration_ms
}

/// Milliseconds from one moment to a later one.
pub fn ms_between(earlier: Time, later: Time) -> u64 {
    u64::try_from(later.since(earlier).as_millis()).unwrap()
}
