//! Deadlines of pure machines as futures.

use crate::clock;
use crate::types::Time;

/// Resolves when `deadline` has come; never, when there is none. Cancel-safe.
pub(super) async fn until(deadline: Option<Time>) {
    match deadline {
        Some(deadline) => tokio::time::sleep(deadline.since(clock::now())).await,
        None => std::future::pending().await,
    }
}
