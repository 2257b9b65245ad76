//! The one place where long-lived tasks are spawned, each with a name. A task that panics is logged as what it is: an
//! error that a person must look at.

use std::future::Future;

use futures_util::FutureExt as _;
use tokio::task::JoinHandle;

/// Spawns `task`; its panic is logged under `name` and ends nothing else.
pub(crate) fn spawn(name: &'static str, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(async move {
        if std::panic::AssertUnwindSafe(task).catch_unwind().await.is_err() {
            tracing::error!(task.name = name, "task {name} panicked");
            metrics::counter!("perezvon_task_panics_total", "task" => name).increment(1);
        }
    })
}
