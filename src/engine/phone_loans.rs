//! Short-lived SIP credentials for pages: made here, kept by the endpoint, taken back when the web session that asked for
//! them ends.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::broadcast::error::RecvError;
use uuid::Uuid;

use super::handle::{CommandError, LentPhone};
use super::house::House;
use super::sip_task::Order;
use super::tasks;
use crate::clock;
use crate::sip::endpoint::{Command, Loan};
use crate::site::apply::sip_ha1;
use crate::types::{AgentId, Wall};

/// A page asks anew well before; whoever lost its page loses its phone soon.
const LENT_FOR: Duration = Duration::from_secs(3600);

/// Credentials of `user` for the page behind `session`.
pub(super) async fn lend(
    house: &House,
    user: AgentId,
    session: Uuid,
    session_ends: Option<Wall>,
) -> Result<LentPhone, CommandError> {
    let now = clock::wall();
    let left = session_ends.map_or(LENT_FOR, |end| Duration::from_millis(end.millis_since(now)));
    let lent_for = left.min(LENT_FOR);
    let username = Loan::name(rand::random());
    let password = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 24]>());
    let ha1 = sip_ha1(&username, &password);
    let phone = LentPhone { username: username.to_string(), password, expires_at: now.plus(lent_for) };
    let loan = Loan { username, user, ha1, session, until: clock::now() + lent_for };
    // Before the answer, so that the page cannot register too early.
    let order = Order::Command(Command::Lend(Box::new(loan)));
    house.sip.send(order).await.map_err(|_| CommandError::Stopping)?;
    Ok(phone)
}

/// Takes credentials back as sessions end.
pub(super) fn watch_sessions(house: Arc<House>) {
    let mut ended = house.store.session_revocations();
    tasks::spawn("phone loans", async move {
        loop {
            let session = match ended.recv().await {
                Ok(session) => Some(session),
                // Too many at once to have heard them all: every page asks again, which costs a moment.
                Err(RecvError::Lagged(_)) => None,
                Err(RecvError::Closed) => return,
            };
            if house.sip.send(Order::Command(Command::TakeBack { session })).await.is_err() {
                return;
            }
        }
    });
}
