//! Whether this call is recorded, and the recording's life: at most one a call (SPEC: one audio file of a call).

use crate::events::MarkKind;
use crate::types::{Ids, LegId, RecordingId};

use super::turn::Turn;
use super::words::Effect;

/// The recording of the call. Trouble with it never ends the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tape {
    /// Something or someone of the call says `record = false`.
    Forbidden,
    /// To be started with the client's answer.
    Wanted,
    Running(RecordingId),
    /// The recorder gave up; what it saved stays with the call.
    Broken(RecordingId),
    Finished(RecordingId),
}

impl Tape {
    pub fn new(allowed: bool) -> Self {
        if allowed { Tape::Wanted } else { Tape::Forbidden }
    }

    pub fn id(self) -> Option<RecordingId> {
        match self {
            Tape::Forbidden | Tape::Wanted => None,
            Tape::Running(id) | Tape::Broken(id) | Tape::Finished(id) => Some(id),
        }
    }

    /// The client answers, or is answered: now, if at all.
    pub fn start(&mut self, turn: &mut Turn, ids: &mut Ids, client_leg: LegId) {
        if *self == Tape::Wanted {
            let recording = ids.recording(turn.wall);
            *self = Tape::Running(recording);
            turn.push(Effect::StartRecording { recording, client_leg });
        }
    }

    pub fn mark(self, turn: &mut Turn, kind: MarkKind, label: Option<&str>) {
        if let Tape::Running(_) = self {
            turn.push(Effect::MarkRecording { kind, label: label.map(str::to_owned) });
        }
    }

    /// Someone joins who must not be recorded: any `record = false` wins over what was recorded before.
    pub fn forbid(&mut self, turn: &mut Turn) {
        if let Tape::Running(_) | Tape::Broken(_) = self {
            turn.push(Effect::FinishRecording { keep: false });
        }
        *self = Tape::Forbidden;
    }

    pub fn finish(&mut self, turn: &mut Turn) {
        if let Tape::Running(id) = *self {
            turn.push(Effect::FinishRecording { keep: true });
            *self = Tape::Finished(id);
        }
    }

    /// False when there is nothing that could have failed.
    pub fn fail(&mut self) -> bool {
        match *self {
            Tape::Running(id) => {
                *self = Tape::Broken(id);
                true
            }
            Tape::Broken(_) | Tape::Finished(_) => true,
            Tape::Forbidden | Tape::Wanted => false,
        }
    }
}
