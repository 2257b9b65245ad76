//! Where recordings lie: `YYYY/MM/DD/ID.wav` by the UTC day of their start, `ID.wav.part` while they grow, `ID.notes`
//! beside it. Paths are made from ids and dates only, so no text from outside can lead out of the folder.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::types::{RecordingId, Wall};

/// The path of a finished recording, relative to the recorder's folder.
pub fn relative_path(id: RecordingId, started: Wall) -> String {
    format!("{}/{id}.wav", started.as_datetime().format("%Y/%m/%d"))
}

/// The files of one recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Paths {
    /// Of the finished audio, relative to the recorder's folder: what events and the database hold.
    pub relative: String,
    /// The finished audio.
    pub audio: PathBuf,
    /// The growing audio.
    pub part: PathBuf,
    /// Marks and gaps of the growing audio.
    pub notes: PathBuf,
}

impl Paths {
    pub fn new(dir: &Path, id: RecordingId, started: Wall) -> Paths {
        let relative = relative_path(id, started);
        let audio = dir.join(&relative);
        Paths { part: audio.with_extension("wav.part"), notes: audio.with_extension("notes"), relative, audio }
    }
}

/// An audio file ready to be read.
#[derive(Debug)]
pub struct OpenRecording {
    pub file: File,
    pub path: PathBuf,
    pub bytes: u64,
    /// Still growing: the sizes in its header may be a second behind.
    pub is_growing: bool,
}

/// Opens a recording's file, finished or growing; `None` when there is neither. Blocking.
pub fn open(dir: &Path, id: RecordingId, started: Wall) -> io::Result<Option<OpenRecording>> {
    let paths = Paths::new(dir, id, started);
    // Twice, because the file may get its final name between the two looks.
    for (path, is_growing) in [(&paths.audio, false), (&paths.part, true), (&paths.audio, false)] {
        // A link in place of the audio could show any file of the machine.
        match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path) {
            Ok(file) => {
                let bytes = file.metadata()?.len();
                return Ok(Some(OpenRecording { file, path: path.clone(), bytes, is_growing }));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use uuid::Uuid;

    use super::*;

    const ID: RecordingId = RecordingId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));
    const STARTED: Wall = Wall::from_micros(1_751_673_599_000_000);

    #[test]
    fn the_folder_is_the_utc_day_of_the_start() {
        assert_eq!(relative_path(ID, STARTED), "2025/07/04/01900000-0000-7000-8000-000000000001.wav");
        let paths = Paths::new(Path::new("/r"), ID, STARTED);
        assert_eq!(paths.part, Path::new("/r/2025/07/04/01900000-0000-7000-8000-000000000001.wav.part"));
        assert_eq!(paths.notes, Path::new("/r/2025/07/04/01900000-0000-7000-8000-000000000001.notes"));
    }

    #[test]
    fn growing_and_finished_audio_is_found_and_a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path(), ID, STARTED);
        assert!(open(dir.path(), ID, STARTED).unwrap().is_none());
        fs::create_dir_all(paths.part.parent().unwrap()).unwrap();
        fs::write(&paths.part, b"part").unwrap();
        let growing = open(dir.path(), ID, STARTED).unwrap().unwrap();
        assert!(growing.is_growing && growing.bytes == 4);
        fs::rename(&paths.part, &paths.audio).unwrap();
        assert!(!open(dir.path(), ID, STARTED).unwrap().unwrap().is_growing);
        fs::remove_file(&paths.audio).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", &paths.audio).unwrap();
        assert!(open(dir.path(), ID, STARTED).is_err());
    }
}
