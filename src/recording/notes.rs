//! What is known of a growing recording besides its audio: one small JSON file beside it, replaced whole, so that marks
//! and gaps survive a kill. Written by the writer, read by `repair`, removed when the database holds it all.

use std::fs;
use std::path::Path;

use crate::events::RecordingView;
use crate::types::RecordingId;

/// Notes are small; what is longer is not ours.
const MAX_NOTES_BYTES: u64 = 1 << 20;

/// The bytes of the notes file.
pub(super) fn to_bytes(view: &RecordingView) -> Vec<u8> {
    serde_json::to_vec_pretty(view).expect("a view is made of plain fields, which are always JSON")
}

/// The notes of recording `id`, when they are there, whole and its own.
pub(super) fn read(path: &Path, id: RecordingId) -> Option<RecordingView> {
    if fs::symlink_metadata(path).ok()?.len() > MAX_NOTES_BYTES {
        return None;
    }
    let view: RecordingView = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    Some(view).filter(|view| view.id == id)
}
