//! How a leg fares, second by second: once a second its counters go into the series that is kept with the call, and what
//! each listener who needed its audio decoded made up goes to the leg that was to be heard. `thread` calls it where it
//! looks after its legs; nothing here happens for a packet.

use std::time::Duration;

use super::command::MediaId;
use super::frame::Rendered;
use super::leg::Leg;
use crate::media::codec::Codec;
use crate::media::seconds::{Counters, Seconds};
use crate::types::Time;

const SECOND: Duration = Duration::from_secs(1);

/// The series of a leg since its far end was known.
#[derive(Clone, Debug, PartialEq)]
pub struct LegSeconds {
    pub began: Time,
    pub seconds: Seconds,
}

/// The series in the making.
#[derive(Default)]
pub(super) struct Score {
    /// When the second began that is not over.
    since: Option<Time>,
    began: Time,
    seconds: Seconds,
    /// Packets we had sent when the far end reported last.
    sent_at_report: u64,
}

impl Score {
    /// The far end is known: the first second begins, unless it has.
    pub fn begin(&mut self, now: Time) {
        if self.since.is_none() {
            (self.since, self.began) = (Some(now), now);
        }
    }

    /// The far end reported on all that we had sent by now.
    pub fn reported(&mut self, sent: u64) {
        self.sent_at_report = sent;
    }

    /// Whether a second is over. The thread may look late; the next seconds begin where they should all the same.
    fn is_due(&mut self, now: Time) -> bool {
        let due = self.since.map(|since| since + SECOND).filter(|due| now >= *due);
        self.since = due.or(self.since);
        due.is_some()
    }
}

impl Leg {
    /// Ends the second if it is over, and says so.
    pub fn end_second(&mut self, now: Time) -> bool {
        if !self.score.is_due(now) {
            return false;
        }
        let codec = self.remote.as_ref().map_or(Codec::Pcma, |remote| remote.codec);
        let counters = Counters {
            received: self.reception.received(),
            lost: self.reception.lost(),
            gaps: self.reception.gaps(),
            frames: self.stats.frames,
            concealed: self.stats.frames_concealed,
            remote_lost: self.stats.remote_packets_lost.map(u64::from),
            remote_expected: self.score.sent_at_report,
            jitter_ms: self.reception.jitter_ms(),
            round_trip_ms: self.stats.round_trip_ms,
        };
        self.score.seconds.second(codec, counters);
        true
    }

    /// What this leg made of the audio of one of those it hears since it was asked last; `None` after the last of them.
    pub fn rendered(&mut self, place: usize) -> Option<(MediaId, Rendered)> {
        self.render.as_mut()?.take_count(place)
    }

    /// A listener says what it made of the leg's audio.
    pub fn count_rendered(&mut self, rendered: Rendered) {
        self.stats.frames += u64::from(rendered.frames);
        self.stats.frames_concealed += u64::from(rendered.concealed);
    }

    /// The series, when at least a second has passed.
    pub fn take_seconds(&mut self) -> Option<Box<LegSeconds>> {
        let Score { seconds, began, .. } = std::mem::take(&mut self.score);
        let has_points = seconds.points().next().is_some();
        has_points.then(|| Box::new(LegSeconds { began, seconds }))
    }
}
