//! How the legs of past calls sounded: written by the engine when a leg's media closes, read by the API.

use super::db::{execute, read};
use super::lanes::Lane;
use super::{Store, StoreError};
use crate::events::{LegQuality, QualitySeconds};
use crate::media::seconds::Seconds;
use crate::types::CallId;

impl Store {
    /// Keeps one leg's quality, and how it fared second by second; a second word of the same leg replaces the first.
    pub async fn keep_quality(&self, call: CallId, quality: &LegQuality, seconds: Option<&Seconds>) -> Result<(), StoreError> {
        let view = serde_json::to_string(quality).expect("plain data with text keys");
        let mut tx = self.db.begin(Lane::Rest).await?;
        execute!(
            tx,
            sqlx::query(
                "insert into call_quality (call_id, leg_id, view, seconds) values ($1, $2, $3, $4)
             on conflict (call_id, leg_id) do update set view = excluded.view, seconds = excluded.seconds",
            )
            .bind(call.0)
            .bind(quality.leg.0.cast_signed())
            .bind(view)
            .bind(seconds.map(Seconds::to_bytes))
        )?;
        Ok(tx.commit().await?)
    }

    /// The legs of a call, in no order that means anything.
    pub async fn quality(&self, call: CallId) -> Result<Vec<LegQuality>, StoreError> {
        let rows: Vec<(String, Option<Vec<u8>>)> = read!(self.db, pool => sqlx::query_as(
            "select view, seconds from call_quality where call_id = $1 order by leg_id",
        ).bind(call.0).fetch_all(pool))?;
        let unreadable = |why: String| StoreError::Unreadable { what: "call quality", why };
        let read = |(view, seconds): &(String, Option<Vec<u8>>)| {
            let mut quality: LegQuality = serde_json::from_str(view).map_err(|e| unreadable(e.to_string()))?;
            if let Some(bytes) = seconds {
                let seconds = Seconds::from_bytes(bytes).ok_or_else(|| unreadable("its seconds are none".into()))?;
                quality.seconds = Some(QualitySeconds::from(&seconds));
            }
            Ok(quality)
        };
        rows.iter().map(read).collect()
    }
}
