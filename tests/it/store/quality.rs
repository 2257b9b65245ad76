//! The quality of a call's legs is kept with the call, one word a leg.

use perezvon::events::{AudioTrouble, LegQuality};
use perezvon::types::{CallId, LegId};

use super::samples::id;
use crate::support::databases::{TestDb, on_both};

on_both! {
    each_leg_keeps_its_last_word,
}

async fn each_leg_keeps_its_last_word(db: TestDb) {
    let (one, other) = (CallId(id(1)), CallId(id(2)));
    let quality = |leg: u64, lost| LegQuality {
        leg: LegId(leg),
        codec: Some("PCMA".into()),
        lived_ms: 60_000,
        packets_received: 3000,
        packets_lost: lost,
        loss_percent: 0.5,
        jitter_ms: 1.25,
        max_jitter_ms: 9.0,
        packets_sent: 3000,
        remote_packets_lost: None,
        remote_jitter_ms: None,
        round_trip_ms: Some(12.5),
        source_changes: 0,
        strangers_refused: 0,
        mos: Some(4.3),
        remote_mos: None,
        trouble: Some(AudioTrouble::NothingSent),
    };
    // The upper half of leg ids does not fit a signed number.
    let high = 1 << 63 | 5;
    for (call, quality) in [(one, quality(high, 1)), (one, quality(2, 2)), (other, quality(2, 3)), (one, quality(2, 4))] {
        db.store.keep_quality(call, &quality).await.expect("kept");
    }
    let kept = db.store.quality(one).await.expect("readable");
    assert_eq!(kept, [quality(high, 1), quality(2, 4)]);
    assert_eq!(db.store.quality(other).await.expect("readable"), [quality(2, 3)]);
    assert_eq!(db.store.quality(CallId(id(3))).await.expect("readable"), []);
}
