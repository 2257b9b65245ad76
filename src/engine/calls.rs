//! The directory of running calls: how to reach a call's task, what the world sees of it, which media and recordings
//! are its. A few short maps behind one lock that is never held across a wait; the calls themselves belong to their tasks.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::call_task::CallMessage;
use super::legs::PageNews;
use crate::media::codec::Codec;
use crate::media::quality::LegStats;
use crate::relay::{LegSeconds, MediaEvent, MediaId};
use crate::types::{AgentId, CallId, CallView, LegId, QueueId, RecordingId, TrunkId};

/// Whose business an event is: the address fields of `Event`, remembered for what happens after the call ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Address {
    pub call: Option<CallId>,
    pub agent: Option<AgentId>,
    pub queue: Option<QueueId>,
}

struct Entry {
    inbox: mpsc::Sender<CallMessage>,
    view: Option<CallView>,
    /// Those that it came by and goes out by.
    trunks: Vec<TrunkId>,
}

/// Whose a media leg is.
enum MediaOwner {
    /// A leg of a running call.
    Open(mpsc::Sender<CallMessage>, LegId),
    /// It was told to close; its last numbers are on their way.
    Closing(ClosedLeg),
}

/// What signalling knew of a leg when its media was closed.
#[derive(Clone, Debug)]
pub(super) struct ClosedLeg {
    pub call: CallId,
    pub leg: LegId,
    pub codec: Option<Codec>,
    pub lived_ms: u64,
    pub was_answered: bool,
    /// The far end was to send, or to listen, when it ended.
    pub should_send: bool,
    pub should_hear: bool,
    /// Its SDP named another address than its signalling comes from, and a private one.
    pub named_private_address: bool,
}

/// The last words of a leg's media.
pub(super) struct MediaEnd {
    pub stats: LegStats,
    pub seconds: Option<Box<LegSeconds>>,
}

#[derive(Default)]
struct Maps {
    calls: HashMap<CallId, Entry>,
    media: HashMap<MediaId, MediaOwner>,
    /// Legs in browsers, by whose pages they are.
    pages: HashMap<AgentId, Vec<(mpsc::Sender<CallMessage>, LegId)>>,
    recordings: HashMap<RecordingId, Address>,
    /// Of which nothing may stay once they are finished.
    discarded: HashSet<RecordingId>,
}

/// See the file's head. Its size is bounded by the limit of calls at once.
#[derive(Default)]
pub(super) struct Calls {
    maps: Mutex<Maps>,
}

impl Calls {
    fn maps(&self) -> MutexGuard<'_, Maps> {
        // A panic while the lock is held cannot leave a map half changed: each method makes one change.
        self.maps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn enter(&self, call: CallId, inbox: mpsc::Sender<CallMessage>, trunks: Vec<TrunkId>) {
        self.maps().calls.insert(call, Entry { inbox, view: None, trunks });
        metrics::gauge!("perezvon_calls_active").set(self.count() as f64);
    }

    pub fn leave(&self, call: CallId) {
        self.maps().calls.remove(&call);
        metrics::gauge!("perezvon_calls_active").set(self.count() as f64);
    }

    pub fn count(&self) -> usize {
        self.maps().calls.len()
    }

    pub fn count_of_trunk(&self, trunk: &TrunkId) -> usize {
        self.maps().calls.values().filter(|entry| entry.trunks.contains(trunk)).count()
    }

    pub fn inbox(&self, call: CallId) -> Option<mpsc::Sender<CallMessage>> {
        self.maps().calls.get(&call).map(|entry| entry.inbox.clone())
    }

    pub fn inboxes(&self) -> Vec<mpsc::Sender<CallMessage>> {
        self.maps().calls.values().map(|entry| entry.inbox.clone()).collect()
    }

    pub fn show(&self, view: CallView) {
        if let Some(entry) = self.maps().calls.get_mut(&view.id) {
            entry.view = Some(view);
        }
    }

    /// Every call that has been announced, oldest first.
    pub fn views(&self) -> Vec<CallView> {
        let mut views: Vec<CallView> = self.maps().calls.values().filter_map(|entry| entry.view.clone()).collect();
        views.sort_by_key(|view| (view.started_at, view.id));
        views
    }

    pub fn attach_media(&self, media: MediaId, inbox: mpsc::Sender<CallMessage>, leg: LegId) {
        self.maps().media.insert(media, MediaOwner::Open(inbox, leg));
    }

    /// The leg was told to close. `MediaEvent::Closed` always follows while the relay runs.
    pub fn detach_media(&self, media: MediaId, closed: ClosedLeg) {
        self.maps().media.insert(media, MediaOwner::Closing(closed));
    }

    /// Called on a media thread: hands the event to the call and returns at once. A call whose inbox is full misses it,
    /// which costs at most one silence report: the relay repeats them. Returns a leg that has closed, with its numbers.
    pub fn tell_media(&self, media: MediaId, event: MediaEvent) -> Option<(ClosedLeg, MediaEnd)> {
        let mut maps = self.maps();
        if let MediaEvent::Closed { stats, seconds, .. } = event {
            return match maps.media.remove(&media) {
                Some(MediaOwner::Closing(leg)) => Some((leg, MediaEnd { stats, seconds })),
                _ => None,
            };
        }
        let Some(MediaOwner::Open(inbox, leg)) = maps.media.get(&media) else { return None };
        if inbox.try_send(CallMessage::Media { leg: *leg, event }).is_err() {
            metrics::counter!("perezvon_call_inbox_full_total", "from" => "media").increment(1);
        }
        None
    }

    /// Media that was closed before anything was agreed about it.
    pub fn forget_media(&self, media: MediaId) {
        self.maps().media.remove(&media);
    }

    /// News of this person's pages concern the leg from now on.
    pub fn watch_pages(&self, agent: AgentId, inbox: mpsc::Sender<CallMessage>, leg: LegId) {
        let mut maps = self.maps();
        let watching = maps.pages.entry(agent).or_default();
        watching.retain(|(_, its)| *its != leg);
        watching.push((inbox, leg));
    }

    pub fn forget_pages(&self, agent: &AgentId, leg: LegId) {
        let mut maps = self.maps();
        if let Some(watching) = maps.pages.get_mut(agent) {
            watching.retain(|(_, its)| *its != leg);
            if watching.is_empty() {
                maps.pages.remove(agent);
            }
        }
    }

    /// A call whose inbox is full misses it; a page that finds no call back registers again.
    pub fn tell_pages(&self, agent: &AgentId, news: &PageNews) {
        let watching = self.maps().pages.get(agent).cloned().unwrap_or_default();
        for (inbox, leg) in watching {
            if inbox.try_send(CallMessage::Page { leg, news: news.clone() }).is_err() {
                metrics::counter!("perezvon_call_inbox_full_total", "from" => "sip").increment(1);
            }
        }
    }

    pub fn address_recording(&self, recording: RecordingId, address: Address) {
        self.maps().recordings.insert(recording, address);
    }

    pub fn recording_address(&self, recording: RecordingId) -> Address {
        self.maps().recordings.get(&recording).cloned().unwrap_or_default()
    }

    pub fn discard_recording(&self, recording: RecordingId) {
        self.maps().discarded.insert(recording);
    }

    /// Whether it was to be discarded; asked once, when it is finished.
    pub fn take_discarded(&self, recording: RecordingId) -> bool {
        self.maps().discarded.remove(&recording)
    }

    pub fn forget_recording(&self, recording: RecordingId) {
        self.maps().recordings.remove(&recording);
    }
}
