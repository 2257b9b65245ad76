//! What is said to callers: a recorded file when there is one, else the voice, else nothing. Read once at start.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use crate::config::Config;
use crate::connectors::{Voice, VoiceConfig};
use crate::media::sound::Sound;
use crate::site::Language;

/// The longest file that is a prompt: a minute of 8 kHz.
const MOST_SAMPLES: usize = 480_000;

/// The voice of the config.
fn voice(config: &Config) -> Voice {
    let cache = config.data_dir.join("spoken");
    Voice::new(VoiceConfig { command: config.prompts.voice.clone(), cache, patience: Duration::from_secs(20) })
}

/// "This call is recorded", by language, as far as it can be had.
pub(super) async fn recorded(config: &Config) -> HashMap<Language, Sound> {
    const TEXTS: [(Language, &str, &str); 2] = [
        (Language::Ru, "recorded.ru.wav", "Здравствуйте! Разговор записывается."),
        (Language::En, "recorded.en.wav", "Hello! This call is being recorded."),
    ];
    let voice = voice(config);
    let mut prompts = HashMap::new();
    for (language, file, text) in TEXTS {
        let path = config.prompts.dir.join(file);
        let from_file = path.exists().then(|| read(&path));
        let sound = match from_file {
            Some(Ok(sound)) => Some(sound),
            found => {
                if let Some(Err(why)) = found {
                    tracing::error!("prompts.dir: {} cannot be used, the voice says it instead: {why}", path.display());
                }
                let spoken = voice.say(language, text).await;
                spoken.inspect_err(|error| tracing::info!("no prompt {file}: {error}")).ok().map(|sound| (*sound).clone())
            }
        };
        prompts.extend(sound.map(|sound| (language, sound)));
    }
    prompts
}

/// A prompt's file: 8 kHz, one channel, 16 bits, as scripts/make-prompts writes.
fn read(path: &Path) -> Result<Sound, String> {
    let mut reader = hound::WavReader::open(path).map_err(|error| error.to_string())?;
    let spec = reader.spec();
    if (spec.sample_rate, spec.channels, spec.bits_per_sample) != (8000, 1, 16) {
        return Err(format!(
            "it has {} Hz, {} channels, {} bits; make it 8000 Hz, one channel, 16 bits",
            spec.sample_rate, spec.channels, spec.bits_per_sample
        ));
    }
    if reader.duration() as usize > MOST_SAMPLES {
        return Err("it is longer than a minute".into());
    }
    let samples: Vec<i16> = reader.samples::<i16>().collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    Ok(Sound::from_pcm(&samples))
}
