//! Perezvon's media thread, with what can be on its legs: nothing, a recorder, keys, a browser, another codec.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use perezvon::clock;
use perezvon::media::codec::Codec;
use perezvon::media::srtp::{MasterKey, Profile};
use perezvon::recording::{BeginRecording, Recorder, RecorderConfig, RecordingEvent};
use perezvon::relay::{MediaCommand, MediaEvent, MediaId, Relay, RelayConfig, RemoteMedia, Secure};
use perezvon::types::{CallId, RecordingId};
use uuid::Uuid;

use crate::crowd::{Crowd, memory_kib};
use crate::far_ends::{HOST, Keys, Voice};
use crate::pages::Browsers;
use crate::table::Outcome;

/// A thousand pairs.
const PORTS: RangeInclusive<u16> = 10_000..=11_999;
const THREAD: &str = "media-0";
const PATIENCE: Duration = Duration::from_secs(10);

fn start() -> (Relay, Vec<rtrb::Consumer<perezvon::relay::TapFrame>>) {
    let config = RelayConfig { ports: PORTS, bind: HOST, threads: 1, ..RelayConfig::default() };
    Relay::start(config, |_: MediaEvent| {}).expect("the relay starts")
}

fn command(relay: &Relay, command: MediaCommand) {
    // Thousands of commands come at once here; no engine does that.
    while relay.command(command.clone()).is_err() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A leg with a party of the crowd at its far end.
fn leg(relay: &Relay, crowd: &mut Crowd, voice: Voice, codec: Codec, keys: Option<Keys>) -> MediaId {
    let port = relay.open(0).expect("a thousand pairs are enough");
    let address = crowd.add(port.rtp_port, voice, keys);
    let secure = keys.map_or(Secure::None, |keys| Secure::Sdes { ours: keys.theirs, theirs: keys.ours });
    let remote = RemoteMedia { secure, ..RemoteMedia::new(address, codec) };
    command(relay, MediaCommand::Connect { media: port.id, remote });
    port.id
}

fn plain_leg(relay: &Relay, crowd: &mut Crowd) -> MediaId {
    leg(relay, crowd, Voice::Stamped, Codec::Pcma, None)
}

pub fn plain(calls: usize, measured: Duration) -> Outcome {
    let mut crowd = Crowd::new();
    let (relay, _taps) = start();
    let before_kib = memory_kib();
    for _ in 0..calls {
        let (a, b) = (plain_leg(&relay, &mut crowd), plain_leg(&relay, &mut crowd));
        command(&relay, MediaCommand::Bridge { a, b });
    }
    let outcome = crowd.talk(measured, THREAD, before_kib, calls);
    relay.stop();
    outcome
}

/// Each call is written to a stereo file, as the server does it.
pub fn recorded(calls: usize, measured: Duration) -> Outcome {
    let mut crowd = Crowd::new();
    let folder = tempfile::tempdir().expect("there is a place for files");
    let (relay, taps) = start();
    let before_kib = memory_kib();
    let (whole, gaps) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = (Arc::clone(&whole), Arc::clone(&gaps));
    let on_event = move |event| {
        if let RecordingEvent::Ready { view, .. } = event {
            counted.0.fetch_add(1, Ordering::Relaxed);
            counted.1.fetch_add(view.gaps.len(), Ordering::Relaxed);
        }
    };
    let recorder = Recorder::start(RecorderConfig::new(folder.path(), 8000), taps, on_event).expect("threads can be started");
    for call in 0..calls {
        let (a, b) = (plain_leg(&relay, &mut crowd), plain_leg(&relay, &mut crowd));
        command(&relay, MediaCommand::Bridge { a, b });
        let (key, name) = (call as u32, Uuid::from_u128(call as u128 + 1));
        let (id, call_id) = (RecordingId(name), CallId(name));
        let begin = BeginRecording { key, id, call_id, started: clock::now(), started_wall: clock::wall() };
        recorder.begin(begin).expect("it has room for all");
        command(&relay, MediaCommand::Tap { media: a, key });
    }
    let mut outcome = crowd.talk(measured, THREAD, before_kib, calls);
    for key in 0..calls as u32 {
        while recorder.finish(key, clock::now()).is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let is_all_written = recorder.shutdown(PATIENCE);
    relay.stop();
    let (whole, gaps) = (whole.load(Ordering::Relaxed), gaps.load(Ordering::Relaxed));
    if !is_all_written || whole != calls || gaps > 0 {
        outcome.remark = format!("{whole} of {calls} recordings are whole, {gaps} gaps");
    }
    outcome
}

/// Both legs of a call with keys of their own from the SDP.
pub fn protected(calls: usize, measured: Duration) -> Outcome {
    let mut crowd = Crowd::new();
    let (relay, _taps) = start();
    let before_kib = memory_kib();
    for _ in 0..calls {
        let [a, b] = std::array::from_fn(|_| {
            let key = || MasterKey::from_random(Profile::AesCm128HmacSha1_80, rand::random());
            leg(&relay, &mut crowd, Voice::Stamped, Codec::Pcma, Some(Keys { ours: key(), theirs: key() }))
        });
        command(&relay, MediaCommand::Bridge { a, b });
    }
    let outcome = crowd.talk(measured, THREAD, before_kib, calls);
    relay.stop();
    outcome
}

/// A page with DTLS-SRTP on the port of all browsers, and a plain phone; both speak G.711.
pub fn browsers(calls: usize, measured: Duration) -> Outcome {
    let mut crowd = Crowd::new();
    let browsers = Browsers::new(PORTS);
    let before_kib = memory_kib();
    for _ in 0..calls {
        let a = browsers.arrive(&mut crowd);
        let b = plain_leg(browsers.relay(), &mut crowd);
        command(browsers.relay(), MediaCommand::Bridge { a, b });
    }
    crowd.talk(measured, THREAD, before_kib, calls)
}

/// One leg speaks Opus, the other G.711: two jitter buffers, two decoders, two coders a call.
pub fn transcoded(calls: usize, measured: Duration) -> Outcome {
    let mut crowd = Crowd::new();
    let voices = [Codec::Opus, Codec::Pcma].map(|codec| (Voice::coded(codec), codec));
    let (relay, _taps) = start();
    let before_kib = memory_kib();
    for _ in 0..calls {
        let [a, b] = voices.each_ref().map(|(voice, codec)| leg(&relay, &mut crowd, voice.clone(), *codec, None));
        command(&relay, MediaCommand::Bridge { a, b });
    }
    let outcome = crowd.talk(measured, THREAD, before_kib, calls);
    relay.stop();
    outcome
}
