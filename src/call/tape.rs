//! Whether this call is recorded, and the recording's life: at most one a call (SPEC: one audio file of a call).

use std::time::Duration;

use crate::events::MarkKind;
use crate::types::{Ids, LegId, RecordingId, Time};

use super::turn::Turn;
use super::words::{Effect, RecordingAction, Refusal};

/// The recording of the call. Trouble with it never ends the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tape {
    /// Something or someone of the call says `record = false`.
    Forbidden,
    /// To be started with the client's answer.
    Wanted,
    Running(RecordingId),
    /// Runs and leaves out what is said.
    Shut(RecordingId, Shut),
    /// The recorder gave up; what it saved stays with the call.
    Broken(RecordingId),
    Finished(RecordingId),
}

/// Telling the caller that the call is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announcement {
    /// Not wanted, or over.
    None,
    /// Once the recording runs.
    Wanted,
    /// It is heard; what else the caller waits with begins after it.
    Heard { until: Time },
}

/// An announcement whose end is not told by then is taken to be over.
pub(super) const LONGEST_ANNOUNCEMENT: Duration = Duration::from_secs(20);

impl Announcement {
    pub fn until(self) -> Option<Time> {
        match self {
            Announcement::Heard { until } => Some(until),
            Announcement::None | Announcement::Wanted => None,
        }
    }
}

/// Why a running recording leaves out what is said, and what opens it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shut {
    Paused,
    Masked,
    Stopped,
}

impl Shut {
    fn name(self) -> &'static str {
        match self {
            Shut::Paused => "paused",
            Shut::Masked => "masked",
            Shut::Stopped => "stopped",
        }
    }

    fn marks(self) -> (MarkKind, MarkKind) {
        match self {
            Shut::Paused => (MarkKind::Paused, MarkKind::Unpaused),
            Shut::Masked => (MarkKind::Masked, MarkKind::Unmasked),
            Shut::Stopped => (MarkKind::Stopped, MarkKind::Started),
        }
    }
}

impl Tape {
    pub fn new(allowed: bool) -> Self {
        if allowed { Tape::Wanted } else { Tape::Forbidden }
    }

    pub fn id(self) -> Option<RecordingId> {
        match self {
            Tape::Forbidden | Tape::Wanted => None,
            Tape::Running(id) | Tape::Shut(id, _) | Tape::Broken(id) | Tape::Finished(id) => Some(id),
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
        if let Tape::Running(_) | Tape::Shut(..) = self {
            turn.push(Effect::MarkRecording { kind, label: label.map(str::to_owned) });
        }
    }

    /// Someone joins who must not be recorded: any `record = false` wins over what was recorded before.
    pub fn forbid(&mut self, turn: &mut Turn) {
        if let Tape::Running(_) | Tape::Shut(..) | Tape::Broken(_) = self {
            turn.push(Effect::FinishRecording { keep: false });
        }
        *self = Tape::Forbidden;
    }

    pub fn finish(&mut self, turn: &mut Turn) {
        if let Tape::Running(id) | Tape::Shut(id, _) = *self {
            turn.push(Effect::FinishRecording { keep: true });
            *self = Tape::Finished(id);
        }
    }

    /// False when there is nothing that could have failed.
    pub fn fail(&mut self) -> bool {
        match *self {
            Tape::Running(id) | Tape::Shut(id, _) => {
                *self = Tape::Broken(id);
                true
            }
            Tape::Broken(_) | Tape::Finished(_) => true,
            Tape::Forbidden | Tape::Wanted => false,
        }
    }

    /// What an action asks, if the recording is where the action can be done. `stop` outranks a pause; the others undo
    /// only what their own opposite did.
    pub fn act(&mut self, turn: &mut Turn, action: RecordingAction) -> Result<(), Refusal> {
        use RecordingAction as Do;
        match (*self, action) {
            (Tape::Forbidden, _) => Err(Refusal::RecordingForbidden),
            (Tape::Wanted, _) => Err(Refusal::NotRecorded),
            (Tape::Broken(_), _) => Err(Refusal::RecordingBroken),
            (Tape::Finished(_), _) => Err(Refusal::RecordingIs("finished")),
            (Tape::Running(id), Do::Pause) => self.shut(turn, id, Shut::Paused),
            (Tape::Running(id), Do::Mask) => self.shut(turn, id, Shut::Masked),
            (Tape::Running(id), Do::Stop) => self.shut(turn, id, Shut::Stopped),
            (Tape::Shut(id, Shut::Paused | Shut::Masked), Do::Stop) => self.shut(turn, id, Shut::Stopped),
            (Tape::Shut(id, Shut::Paused), Do::Resume)
            | (Tape::Shut(id, Shut::Masked), Do::Unmask)
            | (Tape::Shut(id, Shut::Stopped), Do::Start) => self.open(turn, id),
            (Tape::Shut(_, shut), _) => Err(Refusal::RecordingIs(shut.name())),
            (Tape::Running(_), Do::Start | Do::Resume | Do::Unmask) => Err(Refusal::RecordingIs("running")),
        }
    }

    fn shut(&mut self, turn: &mut Turn, id: RecordingId, shut: Shut) -> Result<(), Refusal> {
        // The mark first: what is told of the gate then says why it shut.
        self.mark(turn, shut.marks().0, None);
        if let Tape::Running(_) = self {
            turn.push(Effect::GateRecording { captures: false });
        }
        *self = Tape::Shut(id, shut);
        Ok(())
    }

    fn open(&mut self, turn: &mut Turn, id: RecordingId) -> Result<(), Refusal> {
        if let Tape::Shut(_, shut) = *self {
            self.mark(turn, shut.marks().1, None);
            turn.push(Effect::GateRecording { captures: true });
        }
        *self = Tape::Running(id);
        Ok(())
    }
}
