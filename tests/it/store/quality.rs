//! The quality of a call's legs is kept with the call, one word a leg.

use perezvon::events::{AudioTrouble, LegQuality, QualitySeconds};
use perezvon::media::codec::Codec;
use perezvon::media::seconds::{Counters, Seconds};
use perezvon::types::{CallId, LegId, Wall};

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
        concealed_percent: Some(0.5),
        started_at: Some(Wall::from_micros(1_700_000_000_000_000)),
        seconds: None,
    };
    let mut seconds = Seconds::default();
    for second in 1..=300 {
        seconds.second(Codec::Pcma, Counters { received: 50 * second, ..Counters::default() });
    }
    // The upper half of leg ids does not fit a signed number.
    let high = 1 << 63 | 5;
    for (call, quality, seconds) in [
        (one, quality(high, 1), Some(&seconds)),
        (one, quality(2, 2), Some(&seconds)),
        (other, quality(2, 3), None),
        (one, quality(2, 4), None),
    ] {
        db.store.keep_quality(call, &quality, seconds).await.expect("kept");
    }
    let kept = db.store.quality(one).await.expect("readable");
    let with_seconds = LegQuality { seconds: Some(QualitySeconds::from(&seconds)), ..quality(high, 1) };
    assert_eq!(with_seconds.seconds.as_ref().map(|seconds| seconds.mos.len()), Some(300));
    // Ids are sorted as signed numbers.
    assert_eq!(kept, [with_seconds, quality(2, 4)]);
    assert_eq!(db.store.quality(other).await.expect("readable"), [quality(2, 3)]);
    assert_eq!(db.store.quality(CallId(id(3))).await.expect("readable"), []);
}
