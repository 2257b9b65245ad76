//! A leg's media has closed: its numbers become the quality that is kept with the call, and the verdict whether one side
//! heard nothing and why.

use super::calls::{ClosedLeg, MediaEnd};
use super::house::House;
use crate::clock;
use crate::events::{AudioTrouble, LegQuality};
use crate::media::emodel::{self, Measured};
use crate::media::quality::LegStats;
use crate::types::{Time, Wall};

/// What the jitter buffer of the far ear adds, as telephones have it; our own part is measured.
const EAR_MS: f64 = 40.0;
/// Silence on a leg that lived shorter than this is no trouble: it was refused or hung up.
const LEAST_LIFE_MS: u64 = 3000;

/// Stores it; a database that does not take it costs the figures, never a call.
pub(super) async fn keep(house: &House, leg: ClosedLeg, end: MediaEnd) {
    let MediaEnd { stats, seconds } = end;
    let started_at = seconds.as_ref().map(|series| wall_of(series.began));
    let quality = LegQuality { started_at, ..judge(&leg, &stats) };
    if let Some(trouble) = quality.trouble {
        metrics::counter!("perezvon_one_way_audio_total", "trouble" => trouble.as_str()).increment(1);
        tracing::warn!(call.id = %leg.call, "call {}: a leg had audio one way only: {}", leg.call, trouble.as_str());
    }
    if let Err(error) = house.store.keep_quality(leg.call, &quality, seconds.as_ref().map(|series| &series.seconds)).await {
        tracing::warn!(call.id = %leg.call, "the quality of call {} is not kept: {error}", leg.call);
    }
}

/// The calendar's word for a moment of the past.
fn wall_of(moment: Time) -> Wall {
    let ago = clock::now().since(moment).as_micros();
    Wall::from_micros(clock::wall().as_micros().saturating_sub_unsigned(u64::try_from(ago).unwrap_or(u64::MAX)))
}

fn judge(leg: &ClosedLeg, stats: &LegStats) -> LegQuality {
    let one_way_ms = stats.round_trip_ms.map_or(0.0, |trip| f64::from(trip) / 2.0);
    let score = |loss: f64, burst: f64, jitter_ms: f32| {
        let delay_ms = one_way_ms + EAR_MS + f64::from(jitter_ms);
        let measured = Measured { loss, burst, delay_ms, ..Measured::default() };
        leg.codec.map(|codec| round(emodel::score(emodel::rating(codec, measured))))
    };
    let was_heard = stats.packets_received > 0;
    let remote_loss = stats.remote_packets_lost.map(|lost| f64::from(lost) / (stats.packets_sent.max(1) as f64));
    LegQuality {
        leg: leg.leg,
        codec: leg.codec.map(|codec| codec.name().to_owned()),
        lived_ms: leg.lived_ms,
        packets_received: stats.packets_received,
        packets_lost: stats.packets_lost,
        loss_percent: round(stats.loss_ratio() * 100.0),
        jitter_ms: round(stats.jitter_ms.into()),
        max_jitter_ms: round(stats.max_jitter_ms.into()),
        packets_sent: stats.packets_sent,
        remote_packets_lost: stats.remote_packets_lost,
        remote_jitter_ms: stats.remote_jitter_ms.map(|jitter| round(jitter.into())),
        round_trip_ms: stats.round_trip_ms.map(|trip| round(trip.into())),
        source_changes: stats.source_changes,
        strangers_refused: stats.strangers_refused,
        mos: score(stats.loss_ratio().max(stats.concealed_ratio()), stats.burst_ratio(), stats.jitter_ms).filter(|_| was_heard),
        remote_mos: remote_loss.and_then(|loss| score(loss, 1.0, stats.remote_jitter_ms.unwrap_or(0.0))),
        trouble: trouble(leg, stats),
        concealed_percent: (stats.frames > 0).then(|| round(stats.concealed_ratio() * 100.0)),
        started_at: None,
        seconds: None,
    }
}

/// Which way was silent, and the likeliest reason that the numbers give.
fn trouble(leg: &ClosedLeg, stats: &LegStats) -> Option<AudioTrouble> {
    if leg.lived_ms < LEAST_LIFE_MS || !leg.was_answered {
        return None;
    }
    if stats.packets_received == 0 && leg.should_send {
        return Some(match stats {
            LegStats { strangers_refused: 1.., .. } => AudioTrouble::FromAnotherAddress,
            LegStats { packets_unusable: 1.., .. } => AudioTrouble::Unusable,
            _ if leg.named_private_address => AudioTrouble::PrivateAddress,
            _ => AudioTrouble::NothingCame,
        });
    }
    if stats.packets_sent == 0 && leg.should_hear {
        return Some(AudioTrouble::NothingSent);
    }
    (stats.send_failures > stats.packets_sent).then_some(AudioTrouble::NotDelivered)
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::codec::Codec;
    use crate::types::{CallId, LegId};

    fn leg() -> ClosedLeg {
        ClosedLeg {
            call: CallId(uuid::Uuid::nil()),
            leg: LegId(7),
            codec: Some(Codec::Pcma),
            lived_ms: 60_000,
            was_answered: true,
            should_send: true,
            should_hear: true,
            named_private_address: false,
        }
    }

    #[test]
    fn a_clean_leg_has_the_best_score_and_no_trouble() {
        let stats = LegStats { packets_received: 3000, packets_sent: 3000, round_trip_ms: Some(10.0), ..LegStats::default() };
        let quality = judge(&leg(), &stats);
        assert!(quality.mos.unwrap() > 4.3 && quality.trouble.is_none(), "{quality:?}");
    }

    #[test]
    fn one_way_audio_says_which_way_and_why() {
        let none = LegStats { packets_sent: 3000, ..LegStats::default() };
        assert_eq!(judge(&leg(), &none).trouble, Some(AudioTrouble::NothingCame));
        let private = ClosedLeg { named_private_address: true, ..leg() };
        assert_eq!(judge(&private, &none).trouble, Some(AudioTrouble::PrivateAddress));
        let other = LegStats { strangers_refused: 50, ..none };
        assert_eq!(judge(&leg(), &other).trouble, Some(AudioTrouble::FromAnotherAddress));
        let deaf = LegStats { packets_received: 3000, ..LegStats::default() };
        assert_eq!(judge(&leg(), &deaf).trouble, Some(AudioTrouble::NothingSent));
        let listens = ClosedLeg { should_send: false, ..leg() };
        assert_eq!(judge(&listens, &none).trouble, None, "it was not to send");
        let short = ClosedLeg { lived_ms: 500, ..leg() };
        assert_eq!(judge(&short, &none).trouble, None, "it was refused");
        assert_eq!(judge(&leg(), &none).mos, None, "what never came has no score");
    }
}
