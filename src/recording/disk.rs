//! The few things the recorder asks of a disk, as a trait, so that tests can make one that is full, broken, slow or gone.
//! It decides nothing: what an error means is the writer's business.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// What people said is private: files and folders are the server's own, whatever umask it was started with.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// Which file a handle belongs to: device and inode.
pub type FileIdentity = (u64, u64);

/// An open audio file.
pub trait AudioFile: Read + Write + Seek + Send {
    /// Cuts the file, or makes it longer with silence (a hole).
    fn set_len(&mut self, bytes: u64) -> io::Result<()>;
}

impl AudioFile for File {
    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        File::set_len(self, bytes)
    }
}

/// Where recordings are written. Every call may block.
pub trait Disk: std::fmt::Debug + Send + Sync {
    /// Opens a file for reading and writing, made when missing, with its folders.
    fn open(&self, path: &Path) -> io::Result<(Box<dyn AudioFile>, FileIdentity)>;
    /// What lies at `path` now; `None` when nothing does.
    fn identity(&self, path: &Path) -> Option<FileIdentity>;
    /// Replaces a small file whole: a reader sees the old or the new one.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Removes a small file; no error when it is not there.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Brings a finished file to the platter and gives it its final name, which must be free.
    fn seal(&self, part: &Path, audio: &Path) -> io::Result<()>;
}

/// The machine's own file system.
#[derive(Clone, Copy, Debug)]
pub struct LocalDisk;

impl Disk for LocalDisk {
    fn open(&self, path: &Path) -> io::Result<(Box<dyn AudioFile>, FileIdentity)> {
        let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(path);
        let file = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path.parent().unwrap_or(path))?;
                open()?
            }
            other => other?,
        };
        let metadata = file.metadata()?;
        Ok((Box::new(file), (metadata.dev(), metadata.ino())))
    }

    fn identity(&self, path: &Path) -> Option<FileIdentity> {
        fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let fresh = path.with_extension("notes.new");
        OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(&fresh)?.write_all(bytes)?;
        fs::rename(&fresh, path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn seal(&self, part: &Path, audio: &Path) -> io::Result<()> {
        if fs::symlink_metadata(audio).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the recording's final name is taken"));
        }
        File::open(part)?.sync_all()?;
        fs::rename(part, audio)?;
        // The new name lasts only once the folder is on the platter too.
        File::open(audio.parent().unwrap_or(audio))?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn nobody_but_the_server_can_read_what_was_said() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("2025/07");
        let (part, audio, notes) = (folder.join("a.wav.part"), folder.join("a.wav"), folder.join("a.notes"));
        LocalDisk.open(&part).unwrap();
        LocalDisk.replace(&notes, b"{}").unwrap();
        assert_eq!([mode(&part), mode(&notes)], [0o600; 2]);
        assert_eq!([mode(&folder), mode(&dir.path().join("2025"))], [0o700; 2]);
        LocalDisk.seal(&part, &audio).unwrap();
        assert_eq!(mode(&audio), 0o600);
    }
}
