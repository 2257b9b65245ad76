//! Loudness over time for the player's waveform: computed once by reading through the audio in pieces, then kept beside it
//! in a small file of our own. It draws nothing; `web` answers `/peaks` with it.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use hound::WavReader;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::wav::{FRAME_BYTES, spec};

/// First bytes of a kept file; another number for another layout.
const MAGIC: &[u8; 8] = b"pvzpeak1";
/// Bytes read at a time.
const PIECE_BYTES: usize = 64 * 1024;
const MAX_PER_SECOND: u32 = 100;

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
    Io(io::Error),
}

impl From<io::Error> for PeaksError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { PeaksError::NotFound } else { PeaksError::Io(error) }
    }
}

/// Reads or computes the peaks of a recording's file, `per_second` slices a second (1 to 100). Those of a growing file
/// (`.part`) are of this moment and are not kept. Blocking: an hour takes a quarter of a second the first time.
pub fn peaks(path: &Path, per_second: u32) -> Result<Peaks, PeaksError> {
    if !(1..=MAX_PER_SECOND).contains(&per_second) {
        return Err(PeaksError::PerSecond(per_second));
    }
    let file = File::open(path)?;
    let audio_bytes = file.metadata()?.len();
    let is_growing = path.extension().is_some_and(|extension| extension == "part");
    let kept = kept_path(path, per_second);
    if !is_growing && let Some(peaks) = read_kept(&kept, per_second, audio_bytes) {
        return Ok(peaks);
    }
    let peaks = compute(file, per_second)?;
    // A full disk must not take the waveform away: what cannot be kept is computed again.
    if !is_growing && let Err(error) = keep(&kept, &peaks, audio_bytes) {
        tracing::debug!(error = %error, "peaks are not kept: {error}");
    }
    Ok(peaks)
}

fn compute(file: File, per_second: u32) -> Result<Peaks, PeaksError> {
    let reader = WavReader::new(BufReader::with_capacity(PIECE_BYTES, file)).map_err(|error| match error {
        // Without a number from the system it is hound's own word for a file that ends too soon.
        hound::Error::IoError(error) if error.raw_os_error().is_some() => PeaksError::from(error),
        _ => PeaksError::NotARecording,
    })?;
    let sample_rate = reader.spec().sample_rate;
    if reader.spec() != spec(sample_rate) || sample_rate < per_second {
        return Err(PeaksError::NotARecording);
    }
    let frames = u64::from(reader.duration());
    // hound has read the header and stands at the first sample; its own sample iterator costs ten times this loop.
    let mut audio = reader.into_inner().take(frames * FRAME_BYTES);
    let mut slices = Slices::new(per_second, sample_rate, frames);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let filled = read_full(&mut audio, &mut piece)?;
        for frame in piece[..filled].chunks_exact(FRAME_BYTES as usize) {
            let sample = |at: usize| i16::from_le_bytes([frame[at], frame[at + 1]]).unsigned_abs();
            slices.push(sample(0), sample(2));
        }
        if filled < piece.len() {
            return Ok(slices.finish());
        }
    }
}

/// Reads until `piece` is full or the audio ends.
fn read_full(audio: &mut impl Read, piece: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < piece.len() {
        match audio.read(&mut piece[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Collects the loudest sample of each slice. Slice n covers the frames f with f · per_second / sample_rate = n.
struct Slices {
    peaks: Peaks,
    sample_rate: u64,
    loudest: (u16, u16),
    frame: u64,
    /// The first frame of the next slice.
    boundary: u64,
}

impl Slices {
    fn new(per_second: u32, sample_rate: u32, frames: u64) -> Self {
        let count = usize::try_from(frames * u64::from(per_second) / u64::from(sample_rate) + 1).unwrap_or(0);
        let peaks = Peaks { per_second, left: Vec::with_capacity(count), right: Vec::with_capacity(count) };
        let sample_rate = u64::from(sample_rate);
        Slices { peaks, sample_rate, loudest: (0, 0), frame: 0, boundary: sample_rate.div_ceil(u64::from(per_second)) }
    }

    fn push(&mut self, left: u16, right: u16) {
        if self.frame == self.boundary {
            self.close_slice();
        }
        self.loudest = (self.loudest.0.max(left), self.loudest.1.max(right));
        self.frame += 1;
    }

    fn close_slice(&mut self) {
        let as_byte = |sample: u16| u8::try_from(u32::from(sample) * 255 / 32_767).unwrap_or(u8::MAX);
        self.peaks.left.push(as_byte(self.loudest.0));
        self.peaks.right.push(as_byte(self.loudest.1));
        self.loudest = (0, 0);
        let next = self.peaks.left.len() as u64 + 1;
        self.boundary = (next * self.sample_rate).div_ceil(u64::from(self.peaks.per_second));
    }

    fn finish(mut self) -> Peaks {
        if self.frame > 0 {
            self.close_slice();
        }
        self.peaks
    }
}

fn kept_path(audio: &Path, per_second: u32) -> PathBuf {
    audio.with_extension(format!("{per_second}.peaks"))
}

/// Layout: magic, slices a second (u32), bytes of the audio (u64), then all left and all right slices, a byte each.
fn read_kept(path: &Path, per_second: u32, audio_bytes: u64) -> Option<Peaks> {
    let bytes = fs::read(path).ok()?;
    let rest = bytes.strip_prefix(MAGIC)?.strip_prefix(&per_second.to_le_bytes())?;
    let slices = rest.strip_prefix(&audio_bytes.to_le_bytes())?;
    let (left, right) = slices.split_at(slices.len() / 2);
    (left.len() == right.len()).then(|| Peaks { per_second, left: left.to_vec(), right: right.to_vec() })
}

fn keep(path: &Path, peaks: &Peaks, audio_bytes: u64) -> io::Result<()> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(peaks.per_second.to_le_bytes());
    bytes.extend(audio_bytes.to_le_bytes());
    bytes.extend(&peaks.left);
    bytes.extend(&peaks.right);
    // Two listeners at once must not mix their files.
    let fresh = path.with_extension(format!("peaks.{:?}.new", std::thread::current().id()));
    let written = fs::write(&fresh, bytes).and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_wav(path: &Path, sample_rate: u32, frames: impl Iterator<Item = (i16, i16)>) {
        let mut writer = hound::WavWriter::create(path, spec(sample_rate)).unwrap();
        for (left, right) in frames {
            writer.write_sample(left).unwrap();
            writer.write_sample(right).unwrap();
        }
        writer.finalize().unwrap();
    }

    #[test]
    fn each_slice_holds_its_loudest_sample_of_each_channel() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        // Ten slices a second: 800 frames each. One loud sample in slice 1 left, slice 2 right; half a slice at the end.
        let frame = |n| match n {
            801 => (i16::MIN, 0),
            1600 => (0, 16_384),
            _ => (0, 0),
        };
        write_wav(&path, 8000, (0..2000).map(frame));
        let peaks = peaks(&path, 10).unwrap();
        assert_eq!(peaks, Peaks { per_second: 10, left: vec![0, 255, 0], right: vec![0, 0, 127] });
    }

    #[test]
    fn slices_that_do_not_divide_the_rate_still_cover_every_second_evenly() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        write_wav(&path, 16_000, (0..160_000).map(|n| if n % 16_000 == 0 { (20_000, 0) } else { (0, 0) }));
        let peaks = peaks(&path, 7).unwrap();
        assert_eq!(peaks.left.len(), 70);
        assert!(peaks.left.iter().enumerate().all(|(n, peak)| (*peak > 0) == (n % 7 == 0)), "{:?}", peaks.left);
    }

    #[test]
    fn kept_peaks_are_used_until_the_audio_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        write_wav(&path, 8000, (0..8000).map(|_| (1000, 2000)));
        let first = peaks(&path, 20).unwrap();
        let kept = dir.path().join("a.20.peaks");
        let mut bytes = fs::read(&kept).unwrap();
        *bytes.last_mut().unwrap() = 99;
        fs::write(&kept, &bytes).unwrap();
        assert_eq!(peaks(&path, 20).unwrap().right.last(), Some(&99));
        fs::write(&kept, &bytes[..10]).unwrap();
        assert_eq!(peaks(&path, 20).unwrap(), first);
        write_wav(&path, 8000, (0..4000).map(|_| (1000, 2000)));
        assert_eq!(peaks(&path, 20).unwrap().left.len(), 10);
    }

    #[test]
    fn a_growing_or_empty_file_has_the_peaks_it_has_and_keeps_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav.part");
        write_wav(&path, 8000, std::iter::empty());
        assert_eq!(peaks(&path, 10).unwrap().left, Vec::<u8>::new());
        write_wav(&path, 8000, (0..800).map(|_| (1000, 0)));
        assert_eq!(peaks(&path, 10).unwrap().left.len(), 1);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_recording_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        assert!(matches!(peaks(&path, 10), Err(PeaksError::NotFound)));
        fs::write(&path, b"not a wav file at all").unwrap();
        assert!(matches!(peaks(&path, 10), Err(PeaksError::NotARecording)));
        fs::write(&path, b"").unwrap();
        assert!(matches!(peaks(&path, 10), Err(PeaksError::NotARecording)));
        assert!(matches!(peaks(&path, 0), Err(PeaksError::PerSecond(0))));
        assert!(matches!(peaks(&path, 101), Err(PeaksError::PerSecond(101))));
    }
}
