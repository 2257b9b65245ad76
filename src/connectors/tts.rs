//! Text to speech by a command of the owner's choice: it reads the text on its standard input and writes a WAV file on its
//! standard output. What was said once is kept as a file, so that a prompt is spoken once and then only played.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::sync::Semaphore;

use crate::media::sound::Sound;
use crate::site::Language;

/// Which voice, and where its words are kept.
#[derive(Clone, Debug)]
pub struct VoiceConfig {
    /// Program and arguments; `{language}` becomes `ru` or `en`. Empty: there is no voice.
    pub command: Vec<String>,
    /// Kept words, one file a text. Made when missing.
    pub cache: PathBuf,
    /// The longest that one text may take to be spoken.
    pub patience: Duration,
}

/// Why a text is not spoken.
#[derive(Debug, Error)]
pub enum TtsError {
    #[error("[tts] command is empty: there is no voice")]
    NoVoice,
    #[error("the text is {0} bytes long; at most {MAX_TEXT_BYTES} are spoken")]
    TooLong(usize),
    #[error("[tts] command `{program}` cannot be run: {source}")]
    NotRun { program: String, source: std::io::Error },
    #[error("[tts] command `{program}` failed ({status}): {said}")]
    Failed { program: String, status: String, said: String },
    #[error("[tts] command `{program}` took longer than {patience:?}")]
    TooSlow { program: String, patience: Duration },
    #[error("[tts] command `{program}` did not write a WAV file of 16 bits that can be used: {why}")]
    NotAudio { program: String, why: String },
}

/// A prompt, not a lecture.
const MAX_TEXT_BYTES: usize = 2000;
/// Two minutes of 48 kHz stereo.
const MAX_OUTPUT_BYTES: u64 = 24 << 20;
const MAX_COMPLAINT_BYTES: u64 = 2000;
/// Programs at once; further texts wait.
const AT_ONCE: usize = 2;
/// Sounds held in memory; the one that was asked for longest ago goes first.
const HELD: usize = 200;
/// Files in the folder; beyond it new words are spoken and not kept.
const KEPT_FILES: usize = 5000;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Voice {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: VoiceConfig,
    held: Mutex<Held>,
    places: Semaphore,
}

#[derive(Debug, Default)]
struct Held {
    sounds: HashMap<String, Arc<Sound>>,
    /// Newest last.
    order: VecDeque<String>,
}

impl Voice {
    pub fn new(config: VoiceConfig) -> Voice {
        Voice { inner: Arc::new(Inner { config, held: Mutex::default(), places: Semaphore::new(AT_ONCE) }) }
    }

    /// The text as a sound: from memory, from the folder, or spoken now.
    pub async fn say(&self, language: Language, text: &str) -> Result<Arc<Sound>, TtsError> {
        let config = &self.inner.config;
        if config.command.is_empty() {
            return Err(TtsError::NoVoice);
        }
        if text.len() > MAX_TEXT_BYTES {
            return Err(TtsError::TooLong(text.len()));
        }
        let name = self.name_of(language, text);
        if let Some(sound) = self.held(&name) {
            return Ok(sound);
        }
        // Two who ask for the same text at once may both have it spoken; the second file replaces the first.
        let _place = self.inner.places.acquire().await.ok();
        let path = config.cache.join(format!("{name}.wav"));
        let samples = match kept(&path).await {
            Some(samples) => samples,
            None => {
                let samples = self.speak(language, text).await?;
                self.keep(&path, samples.clone()).await;
                samples
            }
        };
        let sound = Arc::new(Sound::from_pcm(&samples));
        self.hold(name, sound.clone());
        Ok(sound)
    }

    /// Another command or another text is another file.
    fn name_of(&self, language: Language, text: &str) -> String {
        let mut hash = Sha256::new();
        for part in self.inner.config.command.iter().map(String::as_str).chain([language_code(language), text]) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hex::encode(&hash.finalize()[..16])
    }

    fn held(&self, name: &str) -> Option<Arc<Sound>> {
        self.inner.held.lock().unwrap_or_else(PoisonError::into_inner).sounds.get(name).cloned()
    }

    fn hold(&self, name: String, sound: Arc<Sound>) {
        let mut held = self.inner.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.sounds.insert(name.clone(), sound).is_none() {
            held.order.push_back(name);
        }
        while held.order.len() > HELD {
            if let Some(oldest) = held.order.pop_front() {
                held.sounds.remove(&oldest);
            }
        }
    }

    async fn speak(&self, language: Language, text: &str) -> Result<Vec<i16>, TtsError> {
        let VoiceConfig { command, patience, .. } = &self.inner.config;
        let arguments: Vec<String> = command.iter().map(|part| part.replace("{language}", language_code(language))).collect();
        let program = arguments.first().cloned().unwrap_or_default();
        let spoken = tokio::time::timeout(*patience, run(&arguments, text)).await;
        // A program that ran out of time was dropped, and killed by that.
        let wav = spoken.map_err(|_| TtsError::TooSlow { program: program.clone(), patience: *patience })??;
        let read =
            tokio::task::spawn_blocking(move || samples_of(&wav)).await.unwrap_or_else(|_| Err("it broke the reader".into()));
        read.map_err(|why| TtsError::NotAudio { program, why })
    }

    /// A folder that takes nothing costs only the time to speak again.
    async fn keep(&self, path: &Path, samples: Vec<i16>) {
        let (folder, path) = (self.inner.config.cache.clone(), path.to_owned());
        let kept = tokio::task::spawn_blocking(move || write_kept(&folder, &path, &samples)).await;
        if let Ok(Err(error)) = kept {
            tracing::warn!("spoken words are not kept: {error}");
        }
    }
}

fn language_code(language: Language) -> &'static str {
    match language {
        Language::Ru => "ru",
        Language::En => "en",
    }
}

async fn run(arguments: &[String], text: &str) -> Result<Vec<u8>, TtsError> {
    let (program, rest) = arguments.split_first().ok_or(TtsError::NoVoice)?;
    let not_run = |source| TtsError::NotRun { program: program.clone(), source };
    let mut child = Command::new(program)
        .args(rest)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(not_run)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A program that does not read its text says so by its exit code.
            let _ = stdin.write_all(text.as_bytes()).await;
        }
    };
    let (mut wav, mut complaint) = (Vec::new(), Vec::new());
    let read = async {
        match stdout {
            Some(stdout) => stdout.take(MAX_OUTPUT_BYTES).read_to_end(&mut wav).await.map(drop),
            None => Ok(()),
        }
    };
    let listen = async {
        if let Some(stderr) = stderr {
            let _ = stderr.take(MAX_COMPLAINT_BYTES).read_to_end(&mut complaint).await;
        }
    };
    let ((), read, ()) = tokio::join!(write, read, listen);
    read.map_err(not_run)?;
    let status = child.wait().await.map_err(not_run)?;
    if status.success() {
        return Ok(wav);
    }
    let said = String::from_utf8_lossy(&complaint).trim().to_owned();
    Err(TtsError::Failed { program: program.clone(), status: status.to_string(), said })
}

/// Mono at 8 kHz, whatever the voice speaks in.
fn samples_of(wav: &[u8]) -> Result<Vec<i16>, String> {
    // Whoever writes to a pipe cannot know the length: the header's sizes are not believed.
    let mut wav = wav.to_vec();
    let data = wav.windows(4).position(|word| word == b"data").ok_or("there is no data chunk")?;
    let length = u32::try_from(wav.len().saturating_sub(data + 8) / 4 * 4).map_err(|_| "it is too long")?;
    let riff = u32::try_from(wav.len().saturating_sub(8)).map_err(|_| "it is too long")?;
    wav.get_mut(data + 4..data + 8).ok_or("it ends in its header")?.copy_from_slice(&length.to_le_bytes());
    wav.get_mut(4..8).ok_or("it ends in its header")?.copy_from_slice(&riff.to_le_bytes());
    let mut reader = hound::WavReader::new(wav.as_slice()).map_err(|error| error.to_string())?;
    let spec = reader.spec();
    if spec.bits_per_sample != 16 || spec.sample_format != hound::SampleFormat::Int || !(1..=2).contains(&spec.channels) {
        return Err(format!("it has {} channels of {} bits", spec.channels, spec.bits_per_sample));
    }
    if !(8000..=48_000).contains(&spec.sample_rate) {
        return Err(format!("it has {} samples a second", spec.sample_rate));
    }
    let samples: Vec<i16> = reader.samples::<i16>().map_while(Result::ok).collect();
    let mono: Vec<i16> = match spec.channels {
        1 => samples,
        _ => samples.chunks_exact(2).map(|pair| ((i32::from(pair[0]) + i32::from(pair[1])) / 2) as i16).collect(),
    };
    if mono.is_empty() {
        return Err("it is silent".into());
    }
    Ok(if spec.sample_rate == 8000 { mono } else { audio_codec::resample(&mono, spec.sample_rate, 8000) })
}

async fn kept(path: &Path) -> Option<Vec<i16>> {
    let bytes = tokio::fs::read(path).await.ok()?;
    tokio::task::spawn_blocking(move || samples_of(&bytes).ok()).await.ok()?
}

fn write_kept(folder: &Path, path: &Path, samples: &[i16]) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    if std::fs::read_dir(folder).map_err(|error| error.to_string())?.take(KEPT_FILES).count() >= KEPT_FILES {
        return Err(format!("{} holds {KEPT_FILES} files; remove old ones", folder.display()));
    }
    let fresh = path.with_extension("new");
    let spec = hound::WavSpec { channels: 1, sample_rate: 8000, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(&fresh, spec).map_err(|error| error.to_string())?;
    samples.iter().try_for_each(|sample| writer.write_sample(*sample)).map_err(|error| error.to_string())?;
    writer.finalize().map_err(|error| error.to_string())?;
    std::fs::rename(&fresh, path).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice(command: &[&str], cache: &Path) -> Voice {
        let command = command.iter().map(|part| (*part).to_owned()).collect();
        Voice::new(VoiceConfig { command, cache: cache.to_owned(), patience: Duration::from_secs(5) })
    }

    #[tokio::test]
    async fn a_text_is_spoken_once_and_then_kept() {
        let folder = tempfile::tempdir().unwrap();
        let counter = folder.path().join("runs");
        let script = format!("echo x >> {}; cat > /dev/null; printf '{}'", counter.display(), wav_in_octal());
        let cache = folder.path().join("words");
        let speaking = voice(&["sh", "-c", &script, "{language}"], &cache);
        let first = speaking.say(Language::Ru, "раз").await.unwrap();
        assert_eq!(first.duration_ms(), 20);
        speaking.say(Language::Ru, "раз").await.unwrap();
        // A restart: the memory is empty, the folder is not.
        voice(&["sh", "-c", &script, "{language}"], &cache).say(Language::Ru, "раз").await.unwrap();
        assert_eq!(std::fs::read_to_string(&counter).unwrap().lines().count(), 1);
        speaking.say(Language::En, "раз").await.unwrap();
        assert_eq!(std::fs::read_to_string(&counter).unwrap().lines().count(), 2, "another language is another sound");
    }

    /// 160 samples at 8 kHz, with the sizes that a pipe's writer puts there.
    fn wav_in_octal() -> String {
        let mut bytes =
            b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\xff\xff\xff\xff"
                .to_vec();
        bytes.extend(std::iter::repeat_n([0x10, 0x10], 160).flatten());
        bytes.iter().map(|byte| format!("\\{byte:03o}")).collect()
    }

    #[tokio::test]
    async fn a_voice_that_is_absent_fails_is_slow_or_writes_rubbish_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let say = async |command: &[&str]| {
            let mut speaking = voice(command, folder.path());
            Arc::get_mut(&mut speaking.inner).unwrap().config.patience = Duration::from_millis(500);
            speaking.say(Language::En, "hello").await.unwrap_err()
        };
        assert!(matches!(say(&[]).await, TtsError::NoVoice));
        assert!(matches!(say(&["no-such-voice"]).await, TtsError::NotRun { .. }));
        let failed = say(&["sh", "-c", "echo hoarse >&2; exit 3"]).await.to_string();
        assert!(failed.contains("hoarse") && failed.contains('3'), "{failed}");
        assert!(matches!(say(&["sleep", "30"]).await, TtsError::TooSlow { .. }));
        assert!(matches!(say(&["echo", "la la la"]).await, TtsError::NotAudio { .. }));
        let long = voice(&["cat"], folder.path()).say(Language::En, &"a".repeat(2001)).await;
        assert!(matches!(long, Err(TtsError::TooLong(2001))));
    }

    #[tokio::test]
    async fn espeak_says_a_place_in_the_queue_in_both_languages() {
        let folder = tempfile::tempdir().unwrap();
        let speaking = voice(&["espeak-ng", "-v", "{language}", "--stdin", "--stdout"], folder.path());
        for language in [Language::Ru, Language::En] {
            let text = crate::media::numerals::place_in_queue(21, language);
            let sound = speaking.say(language, &text).await.unwrap();
            assert!((1000..6000).contains(&sound.duration_ms()), "{} ms", sound.duration_ms());
        }
    }
}
