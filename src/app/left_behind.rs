//! What a kill left of running recordings: most are mended, and those that must not be kept are removed. A call decides
//! in memory that nobody may keep its audio (a person with `record = false` answered) and a kill may come before the file
//! is gone. The log had told by then that this person's phone rang, so that is what counts here.

use crate::config::Config;
use crate::recording::{self, Repaired};
use crate::site::Site;
use crate::store::Store;
use crate::types::{CallView, LegState};

/// Must run before the killed server's calls are closed: afterwards nobody rings any more.
pub(super) async fn mend_recordings(config: &Config, store: &Store, site: &Site) -> anyhow::Result<Vec<Repaired>> {
    let unfinished = store.unfinished_recordings().await?;
    let is_forbidden = |call: &CallView| was_with_somebody_unrecorded(call, site);
    let (forbidden, unfinished): (Vec<_>, Vec<_>) =
        unfinished.into_iter().partition(|stored| stored.call.as_ref().is_some_and(is_forbidden));
    let views = |stored: Vec<crate::store::StoredRecording>| stored.into_iter().map(|stored| stored.view).collect::<Vec<_>>();
    let (forbidden, unfinished) = (views(forbidden), views(unfinished));
    let dir = config.recording.dir.clone();
    let (discarded, repairs) = tokio::task::spawn_blocking(move || {
        let discarded = recording::discard(&dir, &forbidden);
        (discarded, recording::repair(&dir, &unfinished))
    })
    .await?;
    for orphan in &repairs.orphans {
        tracing::error!(path = orphan.path, "recording without a call left as it is: {}", orphan.why);
    }
    Ok(discarded.into_iter().chain(repairs.recordings).collect())
}

/// Somebody who is not recorded is or was in the call, or their phone rang when the server was killed: whether they had
/// just answered is not known, and their silence is worth more than the queue's music.
fn was_with_somebody_unrecorded(call: &CallView, site: &Site) -> bool {
    call.legs.iter().any(|leg| {
        let may_have_talked = leg.answered_at.is_some() || leg.state != LegState::Ended;
        let is_recorded = leg.agent.as_ref().and_then(|agent| site.users.get(agent)).is_none_or(|user| user.record);
        may_have_talked && !is_recorded
    })
}
