//! One growing WAV file over hound: stereo, 16 bits, header of 44 bytes with the two sizes at offsets 4 and 40. After any
//! error the file is dropped and opened again at a known length, so a half-written block leaves no trace.
//! It does not retry and does not know why the disk failed; the writer calls it, `repair` shares its header.

use std::io::{self, Cursor, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use hound::{SampleFormat, WavSpec, WavWriter};

use super::disk::{AudioFile, Disk, FileIdentity};

/// Bytes before the first sample.
pub const HEADER_BYTES: u64 = 44;
/// Bytes of one moment: two channels of 16 bits.
pub const FRAME_BYTES: u64 = 4;
/// Most frames a file holds, because RIFF counts bytes in 32 bits: 37 hours at 8 kHz.
pub const MAX_FRAMES: u64 = (u32::MAX as u64 - HEADER_BYTES) / FRAME_BYTES;

/// The form of every recording.
pub fn spec(sample_rate: u32) -> WavSpec {
    WavSpec { channels: 2, sample_rate, bits_per_sample: 16, sample_format: SampleFormat::Int }
}

/// The header of a file that holds `frames`, as hound writes it.
pub fn header(sample_rate: u32, frames: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    WavWriter::new(&mut bytes, spec(sample_rate)).and_then(WavWriter::finalize).map_err(io_error)?;
    let mut bytes = bytes.into_inner();
    let data = u32::try_from(frames.min(MAX_FRAMES) * FRAME_BYTES).unwrap_or(u32::MAX);
    bytes[4..8].copy_from_slice(&(data + HEADER_BYTES as u32 - 8).to_le_bytes());
    bytes[40..44].copy_from_slice(&data.to_le_bytes());
    Ok(bytes)
}

/// An open, growing file. Positions and lengths count frames.
pub struct WavFile {
    writer: WavWriter<Box<dyn AudioFile>>,
    identity: FileIdentity,
}

impl WavFile {
    /// Opens or makes the file so that it holds exactly `position` frames: of what lies there at most the first `good`
    /// are kept, the rest is silence. Returns how many were kept.
    pub fn open(disk: &dyn Disk, path: &Path, sample_rate: u32, good: u64, position: u64) -> io::Result<(WavFile, u64)> {
        let (mut file, identity) = disk.open(path)?;
        let length = file.seek(SeekFrom::End(0))?;
        let kept = (length.saturating_sub(HEADER_BYTES) / FRAME_BYTES).min(good).min(position);
        // Cut first: growing again then leaves zeroes where a half-written block was.
        file.set_len(HEADER_BYTES + kept * FRAME_BYTES)?;
        file.set_len(HEADER_BYTES + position * FRAME_BYTES)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&header(sample_rate, position)?)?;
        file.seek(SeekFrom::Start(0))?;
        let writer = WavWriter::new_append(file).map_err(io_error)?;
        Ok((WavFile { writer, identity }, kept))
    }

    /// Frames in the file.
    pub fn frames(&self) -> u64 {
        u64::from(self.writer.duration())
    }

    pub fn identity(&self) -> FileIdentity {
        self.identity
    }

    /// Appends interleaved samples, left first.
    pub fn append(&mut self, samples: &[i16]) -> io::Result<()> {
        let frames = samples.len() as u64 / 2;
        let count = u32::try_from(samples.len()).ok().filter(|_| self.frames() + frames <= MAX_FRAMES);
        // hound counts bytes in 32 bits and would wrap around.
        let count = count.ok_or_else(|| io::Error::new(io::ErrorKind::FileTooLarge, "longer than a WAV file can be"))?;
        let mut block = self.writer.get_i16_writer(count);
        for sample in samples {
            block.write_sample(*sample);
        }
        block.flush().map_err(io_error)
    }

    /// Puts the sizes in the header right, so that the file can be played as it is now.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush().map_err(io_error)
    }

    /// The last flush.
    pub fn finish(self) -> io::Result<()> {
        self.writer.finalize().map_err(io_error)
    }
}

fn io_error(error: hound::Error) -> io::Error {
    match error {
        hound::Error::IoError(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::recording::disk::LocalDisk;

    fn samples(path: &Path) -> Vec<i16> {
        hound::WavReader::open(path).unwrap().into_samples().map(Result::unwrap).collect()
    }

    #[test]
    fn a_file_can_be_played_after_every_flush() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("2025/a.wav.part");
        let (mut wav, kept) = WavFile::open(&LocalDisk, &path, 8000, 0, 0).unwrap();
        assert_eq!(kept, 0);
        wav.append(&[1, 2, 3, 4]).unwrap();
        wav.flush().unwrap();
        assert_eq!(samples(&path), [1, 2, 3, 4]);
        wav.append(&[5, 6]).unwrap();
        assert_eq!(wav.frames(), 3);
        wav.finish().unwrap();
        assert_eq!(samples(&path), [1, 2, 3, 4, 5, 6]);
        assert_eq!(hound::WavReader::open(&path).unwrap().spec(), spec(8000));
    }

    #[test]
    fn opening_again_cuts_a_half_written_block_and_fills_the_gap_with_silence() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav.part");
        let (mut wav, _) = WavFile::open(&LocalDisk, &path, 16_000, 0, 0).unwrap();
        wav.append(&[1, 2, 3, 4]).unwrap();
        wav.finish().unwrap();
        let mut torn = fs::read(&path).unwrap();
        torn.extend([9; 7]);
        fs::write(&path, torn).unwrap();
        let (mut wav, kept) = WavFile::open(&LocalDisk, &path, 16_000, 2, 4).unwrap();
        assert_eq!(kept, 2);
        wav.append(&[7, 8]).unwrap();
        wav.finish().unwrap();
        assert_eq!(samples(&path), [1, 2, 3, 4, 0, 0, 0, 0, 7, 8]);
    }

    #[test]
    fn the_header_is_the_one_hound_writes() {
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = WavWriter::new(&mut bytes, spec(8000)).unwrap();
        (0..200_i16).for_each(|n| writer.write_sample(n).unwrap());
        writer.finalize().unwrap();
        assert_eq!(header(8000, 100).unwrap(), bytes.into_inner()[..44]);
    }
}
