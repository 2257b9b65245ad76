//! The handle of one call of a phone. It outlives the call, so that what was heard can be looked at afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::agent::Command;
use super::ear::Heard;
use super::{PhoneError, SharedEar};
use crate::media::codec::Codec;
use crate::sip::wire::{Request, Text};

/// How far a call has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Dialled, or arrived and not answered.
    Calling,
    /// The other side rings, or we do.
    Ringing,
    /// The other side sends sound before it answers.
    EarlyMedia,
    Talking,
    Ended(Ended),
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// We hung up, gave up or refused.
    ByUs,
    /// The other side hung up; or gave up, with its Reason header.
    ByThem { reason: Option<String> },
    /// It was refused with this status.
    Refused { status: u16, phrase: String },
    /// Nobody answered our messages.
    NoAnswer,
}

/// What a re-INVITE of the phone changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It speaks these codecs and no others.
    Codecs(Vec<Codec>),
    /// Its audio moves to other ports; keys pressed later are not heard.
    Ports,
}

/// One call. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PhoneCall {
    pub(super) id: Text,
    /// The INVITE that made it, ours or theirs.
    pub invite: Arc<Request>,
    pub(super) progress: watch::Receiver<Progress>,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) digits: mpsc::Sender<char>,
    pub(super) is_muted: Arc<AtomicBool>,
    pub(super) ear: SharedEar,
}

impl PhoneCall {
    pub fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// SIP's own Call-ID.
    pub fn sip_call_id(&self) -> &str {
        &self.id
    }

    /// Waits until the call is answered.
    pub async fn talking(&self, patience: Duration) -> Result<(), PhoneError> {
        match self.until(patience, |progress| matches!(progress, Progress::Talking)).await? {
            Progress::Talking => Ok(()),
            _ => Err(PhoneError::Ended),
        }
    }

    /// Waits until it rings, there or here; a call that is answered has rung.
    pub async fn ringing(&self, patience: Duration) -> Result<(), PhoneError> {
        match self.until(patience, |progress| !matches!(progress, Progress::Calling)).await? {
            Progress::Ended(_) => Err(PhoneError::Ended),
            _ => Ok(()),
        }
    }

    /// Waits until it has ended.
    pub async fn ended(&self, patience: Duration) -> Result<Ended, PhoneError> {
        match self.until(patience, |_| false).await? {
            Progress::Ended(how) => Ok(how),
            _ => Err(PhoneError::TooLate),
        }
    }

    /// Waits until `wanted` likes the progress or the call has ended, and says which.
    pub async fn until(&self, patience: Duration, wanted: impl Fn(&Progress) -> bool) -> Result<Progress, PhoneError> {
        let mut progress = self.progress.clone();
        let reached = progress.wait_for(|progress| matches!(progress, Progress::Ended(_)) || wanted(progress));
        match timeout(patience, reached).await {
            Ok(Ok(progress)) => Ok(progress.clone()),
            Ok(Err(_)) => Err(PhoneError::Off),
            Err(_) => Err(PhoneError::TooLate),
        }
    }

    /// Waits until the last fifth of a second was this tone.
    pub async fn hears_tone(&self, hz: f32, patience: Duration) -> Result<(), PhoneError> {
        self.hears(patience, |heard| heard.is_tone_now(hz)).await
    }

    /// Waits until what was heard so far is as `wanted`.
    pub async fn hears(&self, patience: Duration, wanted: impl Fn(&Heard) -> bool) -> Result<(), PhoneError> {
        let mut news = self.ear.news();
        let listening = async {
            while !self.ear.look(&wanted) {
                if news.changed().await.is_err() {
                    return;
                }
            }
        };
        timeout(patience, listening).await.map_err(|_| PhoneError::TooLate)
    }

    /// A copy of all that was heard.
    pub fn heard(&self) -> Heard {
        self.ear.heard()
    }

    /// Answers a call that rings here.
    pub async fn answer(&self) -> Result<(), PhoneError> {
        self.ask(|id, reply| Command::Answer { id, reply }).await
    }

    /// Ends it in whatever state: gives up, refuses or hangs up. Hanging up waits for the other side's answer; how giving up
    /// went, `ended` tells.
    pub async fn hang_up(&self) -> Result<(), PhoneError> {
        self.ask(|id, reply| Command::HangUp { id, reply }).await
    }

    /// A re-INVITE that we send but do not listen.
    pub async fn hold(&self) -> Result<(), PhoneError> {
        self.ask(|id, reply| Command::Hold { id, is_held: true, reply }).await
    }

    pub async fn resume(&self) -> Result<(), PhoneError> {
        self.ask(|id, reply| Command::Hold { id, is_held: false, reply }).await
    }

    /// Lets the caller hear us before we answer (183 with SDP).
    pub async fn speak_early(&self) -> Result<(), PhoneError> {
        self.ask(|id, reply| Command::SpeakEarly { id, reply }).await
    }

    /// A re-INVITE that changes something other than hold.
    pub async fn change(&self, change: Change) -> Result<(), PhoneError> {
        self.ask(|id, reply| Command::Change { id, change, reply }).await
    }

    /// From now on no packet of sound leaves the phone, not even silence; or they do again.
    pub fn mute(&self, is_muted: bool) {
        self.is_muted.store(is_muted, Ordering::Relaxed);
    }

    /// Presses a key (RFC 4733).
    pub async fn press(&self, digit: char) -> Result<(), PhoneError> {
        self.digits.send(digit).await.map_err(|_| PhoneError::Ended)
    }

    async fn ask(
        &self,
        command: impl FnOnce(Text, oneshot::Sender<Result<(), PhoneError>>) -> Command,
    ) -> Result<(), PhoneError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(self.id.clone(), reply)).await.map_err(|_| PhoneError::Off)?;
        answer.await.map_err(|_| PhoneError::Ended)?
    }
}
