//! How the legs of past calls sounded: written by the engine when a leg's media closes, read by the API.

use super::db::{execute, read};
use super::lanes::Lane;
use super::{Store, StoreError};
use crate::events::LegQuality;
use crate::types::CallId;

impl Store {
    /// Keeps one leg's quality; a second word of the same leg replaces the first.
    pub async fn keep_quality(&self, call: CallId, quality: &LegQuality) -> Result<(), StoreError> {
        let view = serde_json::to_string(quality).expect("plain data with text keys");
        let mut tx = self.db.begin(Lane::Rest).await?;
        execute!(
            tx,
            sqlx::query(
                "insert into call_quality (call_id, leg_id, view) values ($1, $2, $3)
             on conflict (call_id, leg_id) do update set view = excluded.view",
            )
            .bind(call.0)
            .bind(quality.leg.0.cast_signed())
            .bind(view)
        )?;
        Ok(tx.commit().await?)
    }

    /// The legs of a call, in no order that means anything.
    pub async fn quality(&self, call: CallId) -> Result<Vec<LegQuality>, StoreError> {
        let rows: Vec<String> = read!(self.db, pool => sqlx::query_scalar(
            "select view from call_quality where call_id = $1 order by leg_id",
        ).bind(call.0).fetch_all(pool))?;
        let read = |view: &String| {
            serde_json::from_str(view).map_err(|e| StoreError::Unreadable { what: "call quality", why: e.to_string() })
        };
        rows.iter().map(read).collect()
    }
}
