//! Doors to programs outside: today the voice that speaks texts. Each is a command or an address from the config, can be
//! slow, broken or absent, and harms no call when it is.

mod tts;

pub use tts::{TtsError, Voice, VoiceConfig};
