//! What a kill left behind: every `*.part` gets its sizes put right and its final name. Run once, before the recorder
//! starts. `repair` deletes no audio; a file that it cannot mend stays where it is and is reported. `discard`, before it,
//! deletes what must not be kept.
//!
//! ```text
//! ID.wav.part                 mended, renamed, Ready
//! ID.wav with ID.notes        sealed, but nobody wrote down that it is Ready: Ready
//! neither                     a row without audio: Failed
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tracing::{error, info, warn};

use super::disk::{Disk as _, LocalDisk};
use super::files::Paths;
use super::notes;
use super::wav::{FRAME_BYTES, HEADER_BYTES, MAX_FRAMES, header};
use crate::events::{RecordingState, RecordingView};
use crate::types::{CallId, RecordingId, Wall};

/// One recording that was not finished in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Repaired {
    pub id: RecordingId,
    pub call_id: CallId,
    pub started_wall: Wall,
    /// `Ready`, or `Failed` with `trouble` when the file could not be mended.
    pub view: RecordingView,
    /// Of the finished audio, relative to the recorder's folder.
    pub path: String,
}

/// Audio of which nobody knows the call: no notes beside it and no row. It is left untouched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// Relative to the recorder's folder.
    pub path: String,
    pub why: String,
}

/// What `repair` found, oldest folder first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Repairs {
    pub recordings: Vec<Repaired>,
    pub orphans: Vec<Orphan>,
}

/// Mends everything under `dir`. `unfinished` are the database's recordings that are neither ready nor failed: they lend
/// their marks when notes are lost, and those without audio are reported. A second run finds nothing left to mend, but
/// reports again what is not settled (`Recorder::settle`). Blocking.
pub fn repair(dir: &Path, unfinished: &[RecordingView]) -> Repairs {
    let mut found = Repairs::default();
    let rows: BTreeMap<RecordingId, &RecordingView> = unfinished.iter().map(|view| (view.id, view)).collect();
    let mut seen = BTreeSet::new();
    for paths in left_behind(dir) {
        let Some(id) = id_of(&paths) else {
            found.orphans.push(Orphan { path: with_part(&paths), why: "its name is not a recording's id".into() });
            continue;
        };
        let view = notes::read(&paths.notes, id).or_else(|| rows.get(&id).map(|view| (*view).clone()));
        let Some(view) = view else {
            found.orphans.push(Orphan { path: with_part(&paths), why: "no notes beside it and no row in the database".into() });
            continue;
        };
        if let Some(repaired) = mend(&paths, view) {
            seen.insert(id);
            found.recordings.push(repaired);
        }
    }
    let without_audio = unfinished.iter().filter(|view| !seen.contains(&view.id));
    found.recordings.extend(without_audio.map(|view| from_row(dir, view)));
    for orphan in &found.orphans {
        warn!(path = orphan.path, "a recording is left as it is: {}", orphan.why);
    }
    found
}

/// Removes the audio of recordings that must not be kept, whose removal a kill prevented. Their notes stay until they are
/// settled: a second kill finds nothing else. Blocking.
pub fn discard(dir: &Path, views: &[RecordingView]) -> Vec<Repaired> {
    let discarded = views.iter().map(|view| {
        let paths = Paths::new(dir, view.id, view.started_at);
        for path in [&paths.part, &paths.audio] {
            if let Err(error) = LocalDisk.remove(path) {
                error!(recording.id = %view.id, "recording {} must not be kept and could not be removed: {error}", view.id);
            }
        }
        repaired(not_kept(view.clone()), paths.relative)
    });
    discarded.collect()
}

/// What is told of a recording that was begun and must not be kept.
pub fn not_kept(view: RecordingView) -> RecordingView {
    RecordingView {
        state: RecordingState::Failed,
        duration_ms: 0,
        bytes: 0,
        marks: Vec::new(),
        gaps: Vec::new(),
        trouble: Some("not kept: a person who is not recorded joined the call".to_owned()),
        ..view
    }
}

/// The recordings under `dir` that have a growing file or notes, by day. Only folders of the form `YYYY/MM/DD` are read.
fn left_behind(dir: &Path) -> Vec<Paths> {
    let mut found = BTreeSet::new();
    for day in subfolders(dir, 4).iter().flat_map(|year| subfolders(year, 2)).flat_map(|month| subfolders(&month, 2)) {
        for file in entries(&day) {
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Some(stem) = name.strip_suffix(".wav.part").or_else(|| name.strip_suffix(".notes")) {
                found.insert(day.join(format!("{stem}.wav")));
            }
        }
    }
    let paths = found.into_iter().filter_map(|audio| {
        let relative = audio.strip_prefix(dir).ok()?.to_str()?.to_owned();
        Some(Paths { part: audio.with_extension("wav.part"), notes: audio.with_extension("notes"), relative, audio })
    });
    paths.collect()
}

fn subfolders(dir: &Path, digits: usize) -> Vec<PathBuf> {
    let is_numbered = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.len() == digits && name.bytes().all(|b| b.is_ascii_digit()) && path.is_dir()
    };
    entries(dir).into_iter().filter(is_numbered).collect()
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    match fs::read_dir(dir) {
        Ok(entries) => entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect(),
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                warn!(error = %error, "a folder of recordings cannot be read: {error}");
            }
            Vec::new()
        }
    }
}

fn id_of(paths: &Paths) -> Option<RecordingId> {
    paths.audio.file_stem()?.to_str()?.parse().ok()
}

fn with_part(paths: &Paths) -> String {
    format!("{}.part", paths.relative)
}

/// `None` for notes whose audio is gone: there is nothing to mend.
fn mend(paths: &Paths, view: RecordingView) -> Option<Repaired> {
    let is_growing = fs::symlink_metadata(&paths.part).is_ok();
    if !is_growing && fs::symlink_metadata(&paths.audio).is_err() {
        return None;
    }
    let mended = if is_growing { mend_part(paths, &view) } else { look_at_sealed(paths, &view) };
    let view = mended.unwrap_or_else(|error| {
        warn!(recording.id = %view.id, error = %error, "recording {} cannot be mended: {error}", view.id);
        RecordingView { state: RecordingState::Failed, trouble: Some(format!("the file cannot be mended: {error}")), ..view }
    });
    Some(repaired(view, paths.relative.clone()))
}

fn repaired(view: RecordingView, path: String) -> Repaired {
    Repaired { id: view.id, call_id: view.call_id, started_wall: view.started_at, view, path }
}

fn mend_part(paths: &Paths, view: &RecordingView) -> io::Result<RecordingView> {
    let mut file = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOFOLLOW).open(&paths.part)?;
    let length = file.metadata()?.len();
    let frames = (length.saturating_sub(HEADER_BYTES) / FRAME_BYTES).min(MAX_FRAMES);
    let mut head = Vec::new();
    (&mut file).take(HEADER_BYTES).read_to_end(&mut head)?;
    let sample_rate = sample_rate_of(&head).unwrap_or(view.sample_rate);
    file.set_len(HEADER_BYTES + frames * FRAME_BYTES)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&header(sample_rate, frames)?)?;
    drop(file);
    let view = RecordingView { sample_rate, ..measured(view, sample_rate, frames) };
    let cut = "the server stopped while it recorded: up to a second before that is missing";
    let view = RecordingView { trouble: view.trouble.or_else(|| Some(cut.to_owned())), ..view };
    // A second kill before the database knows would find the sealed file and these notes.
    if let Err(error) = LocalDisk.replace(&paths.notes, &notes::to_bytes(&view)) {
        warn!(recording.id = %view.id, error = %error, "the notes of recording {} stay as they were: {error}", view.id);
    }
    LocalDisk.seal(&paths.part, &paths.audio)?;
    info!(recording.id = %view.id, recording.duration_ms = view.duration_ms, "recording {} was mended after a kill", view.id);
    Ok(view)
}

fn look_at_sealed(paths: &Paths, view: &RecordingView) -> io::Result<RecordingView> {
    let reader = hound::WavReader::open(&paths.audio).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(measured(view, reader.spec().sample_rate, u64::from(reader.duration())))
}

fn from_row(dir: &Path, view: &RecordingView) -> Repaired {
    let paths = Paths::new(dir, view.id, view.started_at);
    let view = look_at_sealed(&paths, view).unwrap_or_else(|_| RecordingView {
        state: RecordingState::Failed,
        trouble: Some("the audio file is missing".to_owned()),
        ..view.clone()
    });
    repaired(view, paths.relative)
}

fn measured(view: &RecordingView, sample_rate: u32, frames: u64) -> RecordingView {
    RecordingView {
        state: RecordingState::Ready,
        duration_ms: frames * 1000 / u64::from(sample_rate.max(1)),
        bytes: HEADER_BYTES + frames * FRAME_BYTES,
        ..view.clone()
    }
}

/// The sample rate in a header of our form, whatever its two sizes say.
fn sample_rate_of(head: &[u8]) -> Option<u32> {
    let sample_rate = u32::from_le_bytes(head.get(24..28)?.try_into().ok()?);
    let ours = matches!(sample_rate, 8000 | 16_000).then(|| header(sample_rate, 0).ok()).flatten()?;
    let is_same = |range: std::ops::Range<usize>| head.get(range.clone()) == ours.get(range);
    (is_same(0..4) && is_same(8..40)).then_some(sample_rate)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::events::{Mark, MarkKind};

    const STARTED: Wall = Wall::from_micros(1_751_673_599_000_000);

    fn view(number: u128) -> RecordingView {
        RecordingView {
            id: RecordingId(Uuid::from_u128(number)),
            call_id: CallId(Uuid::from_u128(100 + number)),
            state: RecordingState::Recording,
            started_at: STARTED,
            duration_ms: 0,
            sample_rate: 8000,
            channels: 2,
            bytes: 0,
            marks: vec![Mark { at_ms: 5, kind: MarkKind::Queued, label: Some("sales".into()) }],
            gaps: Vec::new(),
            trouble: None,
        }
    }

    fn lay(dir: &Path, view: &RecordingView, part: Option<&[u8]>, with_notes: bool) -> Paths {
        let paths = Paths::new(dir, view.id, view.started_at);
        fs::create_dir_all(paths.part.parent().unwrap()).unwrap();
        if let Some(part) = part {
            fs::write(&paths.part, part).unwrap();
        }
        if with_notes {
            fs::write(&paths.notes, notes::to_bytes(view)).unwrap();
        }
        paths
    }

    /// What hound leaves when it is killed: sizes of zero, or of the last flush, and a torn last sample.
    fn killed(sample_rate: u32, samples: &[i16], torn: usize) -> Vec<u8> {
        let mut bytes = header(sample_rate, 0).unwrap();
        bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
        bytes.extend(vec![7; torn]);
        bytes
    }

    fn samples(path: &Path) -> (u32, Vec<i16>) {
        let reader = hound::WavReader::open(path).unwrap();
        (reader.spec().sample_rate, reader.into_samples().map(Result::unwrap).collect())
    }

    #[test]
    fn a_killed_file_keeps_all_whole_samples_its_marks_and_its_call() {
        let dir = tempfile::tempdir().unwrap();
        let paths = lay(dir.path(), &view(1), Some(&killed(8000, &[1, 2, 3, 4, 5, 6], 3)), true);
        let found = repair(dir.path(), &[]);
        let [repaired] = &found.recordings[..] else { panic!("one recording, not {found:?}") };
        assert_eq!((repaired.id, repaired.call_id, repaired.started_wall), (view(1).id, view(1).call_id, STARTED));
        assert_eq!((repaired.view.state, repaired.view.bytes), (RecordingState::Ready, 44 + 12));
        assert_eq!(repaired.view.marks, view(1).marks);
        assert!(repaired.view.trouble.is_some());
        assert_eq!(dir.path().join(&repaired.path), paths.audio);
        assert_eq!(samples(&paths.audio), (8000, vec![1, 2, 3, 4, 5, 6]));
        assert!(!paths.part.exists());
        // Killed again before the database knew: the same is said again.
        assert_eq!(repair(dir.path(), &[view(1)]).recordings, found.recordings);
    }

    #[test]
    fn lost_notes_are_made_up_for_by_the_database_and_without_it_nothing_is_touched() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = killed(16_000, &[1, 2], 0);
        let paths = lay(dir.path(), &view(1), Some(&bytes), false);
        let orphans = repair(dir.path(), &[]).orphans;
        assert_eq!(orphans.len(), 1);
        assert_eq!(fs::read(&paths.part).unwrap(), bytes);
        let found = repair(dir.path(), &[view(1)]);
        assert_eq!(found.recordings[0].view.sample_rate, 16_000);
        assert_eq!(samples(&paths.audio), (16_000, vec![1, 2]));
    }

    #[test]
    fn a_header_lost_with_the_power_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = killed(8000, &[1, 2], 0);
        bytes[..44].fill(0);
        let paths = lay(dir.path(), &view(1), Some(&bytes), true);
        assert_eq!(repair(dir.path(), &[]).recordings.len(), 1);
        assert_eq!(samples(&paths.audio), (8000, vec![1, 2]));
        let paths = lay(dir.path(), &view(2), Some(b"RIFF"), true);
        assert_eq!(repair(dir.path(), &[]).recordings[1].view.duration_ms, 0);
        assert_eq!(samples(&paths.audio), (8000, vec![]));
    }

    #[test]
    fn what_cannot_be_mended_stays_and_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = killed(8000, &[1, 2], 0);
        let paths = lay(dir.path(), &view(1), Some(&bytes), true);
        fs::write(&paths.audio, b"somebody else's").unwrap();
        let found = repair(dir.path(), &[]);
        assert_eq!(found.recordings[0].view.state, RecordingState::Failed);
        assert_eq!(fs::read(&paths.audio).unwrap(), b"somebody else's");
        assert_eq!(fs::read(&paths.part).unwrap().len(), bytes.len());
    }

    #[test]
    fn a_row_without_audio_is_failed_and_a_sealed_file_without_notes_is_ready() {
        let dir = tempfile::tempdir().unwrap();
        let gone = repair(dir.path(), &[view(1)]);
        assert_eq!(gone.recordings[0].view.state, RecordingState::Failed);
        let paths = lay(dir.path(), &view(2), None, false);
        let mut bytes = header(8000, 1).unwrap();
        bytes.extend([1, 0, 2, 0]);
        fs::write(&paths.audio, bytes).unwrap();
        let ready = repair(dir.path(), &[view(2)]);
        assert_eq!((ready.recordings[0].view.state, ready.recordings[0].view.bytes), (RecordingState::Ready, 48));
        assert_eq!(repair(dir.path(), &[]), Repairs::default());
    }

    #[test]
    fn strange_files_and_links_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let day = dir.path().join("2025/07/04");
        fs::create_dir_all(&day).unwrap();
        fs::write(day.join("music.wav.part"), b"x").unwrap();
        fs::write(dir.path().join("00000000-0000-0000-0000-000000000001.wav.part"), b"x").unwrap();
        let secret = dir.path().join("secret");
        fs::write(&secret, killed(8000, &[1, 2], 3)).unwrap();
        let before = fs::read(&secret).unwrap();
        let paths = lay(dir.path(), &view(3), None, true);
        std::os::unix::fs::symlink(&secret, &paths.part).unwrap();
        let found = repair(dir.path(), &[]);
        assert_eq!(found.orphans.len(), 1);
        assert_eq!(found.recordings[0].view.state, RecordingState::Failed);
        assert_eq!(fs::read(&secret).unwrap(), before);
        assert_eq!(fs::read(day.join("music.wav.part")).unwrap(), b"x");
    }

    #[test]
    fn what_must_not_be_kept_leaves_no_audio_and_is_told_until_it_is_settled() {
        let dir = tempfile::tempdir().unwrap();
        let growing = lay(dir.path(), &view(1), Some(&killed(8000, &[1, 2], 0)), true);
        let sealed = lay(dir.path(), &view(2), None, true);
        fs::write(&sealed.audio, killed(8000, &[1, 2], 0)).unwrap();
        let other = lay(dir.path(), &view(3), Some(&killed(8000, &[1, 2], 0)), true);
        for _ in 0..2 {
            let gone = discard(dir.path(), &[view(1), view(2)]);
            assert!(gone.iter().all(|gone| gone.view.state == RecordingState::Failed && gone.view.bytes == 0));
            assert_eq!(gone.len(), 2);
            let found = repair(dir.path(), &[view(3)]);
            assert_eq!(found.recordings.iter().map(|kept| kept.id).collect::<Vec<_>>(), [view(3).id]);
        }
        assert!(other.audio.exists());
        assert!([&growing, &sealed].iter().all(|paths| !paths.part.exists() && !paths.audio.exists()));
    }
}
