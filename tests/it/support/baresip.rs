//! A telephone that others wrote: baresip with a tone for a microphone, driven over its control port. What it hears it
//! writes to a WAV file, which is read as it grows.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use perezvon::media::tones::Sine;
use serde_json::json;

use super::ears::share_of_tone;
use super::server::free_port;

/// A running baresip. Ended when dropped.
pub struct Baresip {
    child: Child,
    control: TcpStream,
    folder: tempfile::TempDir,
}

const PATIENCE: Duration = Duration::from_secs(10);

impl Baresip {
    /// A phone of this user that answers by itself and says a tone; `more` are parameters of its account. It has a Debian
    /// machine's modules and one address of the machine that is not loopback, which it never uses.
    pub fn switch_on(server: SocketAddr, user: &str, password: &str, hz: f32, more: &str) -> Baresip {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let at = folder.path().display();
        write_tone(&folder.path().join("tone.wav"), hz);
        let config = format!(
            "poll_method epoll\naudio_source aufile,{at}/tone.wav\naudio_player aubridge,nobody\nsnd_path {at}\n\
             ausrc_srate 8000\nauplay_srate 8000\nausrc_channels 1\nauplay_channels 1\nmodule_path /usr/lib/baresip/modules\n\
             module g711.so\nmodule aufile.so\nmodule aubridge.so\nmodule sndfile.so\nmodule srtp.so\nmodule_tmp account.so\n\
             module_app menu.so\nmodule_app ctrl_tcp.so\nctrl_tcp_listen 127.0.0.1:{port}\n"
        );
        std::fs::write(folder.path().join("config"), config).unwrap();
        let account = format!("<sip:{user}@{server}>;auth_user={user};auth_pass={password};answermode=auto;regint=60{more}\n");
        std::fs::write(folder.path().join("accounts"), account).unwrap();
        std::fs::write(folder.path().join("contacts"), "").unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new("timeout")
            .args(["-k", "1", "120", "baresip", "-f"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stderr(log.try_clone().unwrap())
            .stdout(log)
            .spawn()
            .unwrap();
        let until = Instant::now() + PATIENCE;
        let control = loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(control) => break control,
                Err(error) => assert!(Instant::now() < until, "baresip's control port: {error}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        control.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        Baresip { child, control, folder }
    }

    /// A command of its menu, as a netstring.
    pub fn tell(&mut self, command: &str, parameter: &str) {
        let message = json!({"command": command, "params": parameter, "token": "test"}).to_string();
        write!(self.control, "{}:{message},", message.len()).unwrap();
        let mut answers = String::new();
        let until = Instant::now() + PATIENCE;
        // Events come in between; the answer to a command carries its token.
        while !answers.contains("\"token\":\"test\"") {
            let mut buffer = [0; 4096];
            if let Ok(count) = self.control.read(&mut buffer) {
                answers += &String::from_utf8_lossy(&buffer[..count]);
            }
            assert!(Instant::now() < until, "baresip does not answer {command}: {answers}");
        }
        assert!(answers.contains("\"ok\":true"), "{command}: {answers}\n{}", self.log());
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Waits until the last fifth of a second of its present call was this tone. `calls`: how many it has had.
    pub fn hears(&self, hz: f32, calls: usize) {
        let until = Instant::now() + PATIENCE;
        loop {
            let samples = self.heard(calls);
            let last = &samples[samples.len().saturating_sub(1600)..];
            if last.len() == 1600 && share_of_tone(last, 8000, hz) > 0.9 {
                return;
            }
            assert!(Instant::now() < until, "baresip does not hear {hz} Hz in {} samples\n{}", samples.len(), self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What it has heard in its last call. The file is still being written: its header is not right yet.
    fn heard(&self, calls: usize) -> Vec<i16> {
        let is_dump = |path: &PathBuf| path.to_string_lossy().ends_with("-dec.wav");
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut dumps: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(is_dump).collect();
        dumps.sort();
        let Some(last) = dumps.get(calls.saturating_sub(1)) else { return Vec::new() };
        let bytes = std::fs::read(last).unwrap();
        let sound = bytes.get(44..).unwrap_or_default();
        sound.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
    }
}

/// Two minutes of a tone: longer than any call here.
fn write_tone(path: &std::path::Path, hz: f32) {
    let spec = hound::WavSpec { channels: 1, sample_rate: 8000, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut file = hound::WavWriter::create(path, spec).unwrap();
    Sine::new(hz, 8000, 8000).take(8000 * 120).for_each(|sample| file.write_sample(sample).unwrap());
    file.finalize().unwrap();
}

impl Drop for Baresip {
    fn drop(&mut self) {
        // SAFETY: the pid is our own child's, which has not been waited for; `timeout` passes the signal on.
        unsafe { libc::kill(i32::try_from(self.child.id()).expect("a pid"), libc::SIGTERM) };
        let _ = self.child.wait();
    }
}
