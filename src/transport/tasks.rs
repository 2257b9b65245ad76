//! The transport's tasks. One that panics is an error that a person must look at, but it must not make the server deaf.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use tokio::task::AbortHandle;

/// Spawns a task; its panic is logged under `name` and ends nothing else.
pub(super) fn spawn(name: &'static str, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
    tokio::spawn(async move {
        let _ = guarded(name, task).await;
    })
    .abort_handle()
}

/// Spawns a task that starts again after a panic. What it was busy with is lost, and with it what made it panic.
pub(super) fn spawn_again<T>(name: &'static str, task: impl Fn() -> T + Send + 'static) -> AbortHandle
where
    T: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move { while guarded(name, task()).await.is_err() {} }).abort_handle()
}

struct Panicked;

async fn guarded(name: &'static str, task: impl Future<Output = ()>) -> Result<(), Panicked> {
    AssertUnwindSafe(task).catch_unwind().await.map_err(|_| {
        tracing::error!(task.name = name, "task {name} panicked");
        Panicked
    })
}
