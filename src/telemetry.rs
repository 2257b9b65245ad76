//! Logs and metrics. Installed once by `main`; docs/LOGGING.md lists the field names.
//! A log line never holds a phone number, a name, a key or a password: `types::E164` masks itself.

use std::io::IsTerminal as _;
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::ChronoUtc;

use crate::config::{Log, LogFormat};

/// Installs the log subscriber and the metrics recorder. Called once; a second call (tests) keeps the first subscriber.
pub fn install(log: &Log) -> anyhow::Result<PrometheusHandle> {
    // What a browser says in its handshake that the DTLS library does not know is no news, and would be said in each call.
    let filter = EnvFilter::try_new(format!("rtc_dtls=error,{}", log.level))
        .map_err(|error| anyhow::anyhow!("log.level \"{}\": {error}; write for example info or perezvon=debug", log.level))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_timer(ChronoUtc::new("%Y-%m-%dT%H:%M:%S%.3fZ".into()))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // An error here only says that a subscriber is installed already, which is what a second server in one test process sees.
    let _ = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    metrics_handle()
}

const TIDY_EVERY: Duration = Duration::from_secs(5);

fn metrics_handle() -> anyhow::Result<PrometheusHandle> {
    let recorder = PrometheusBuilder::new()
        .set_buckets(&[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0])?
        .build_recorder();
    let handle = recorder.handle();
    let _ = metrics::set_global_recorder(recorder);
    Ok(handle)
}

/// Puts what was measured into its buckets now and then. Reading `/metrics` does it too, but where nobody reads them every
/// single measurement would be kept.
pub async fn tidy(metrics: PrometheusHandle) {
    let mut every = tokio::time::interval(TIDY_EVERY);
    loop {
        every.tick().await;
        metrics.run_upkeep();
    }
}
