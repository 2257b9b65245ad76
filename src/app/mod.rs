//! Composition root: builds the parts in order, spawns every long task by name, and stops them in the reverse order.

mod demo;
mod left_behind;
mod limits;
mod parts;
mod prompts;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use arc_swap::ArcSwap;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::admin::{ControlSocket, Desk, FolderLock};
use crate::clock;
use crate::config::Config;
use crate::engine::{Engine, SipDoor, tasks};
use crate::site::{self, Site};
use crate::store::{EventLog, Retention, Store};
use crate::telemetry;
use crate::transport;
use crate::web;

/// How long the log may take to write down what is in line when the server stops.
const LOG_STOP_LIMIT: Duration = Duration::from_secs(10);
/// Events that are kept however old they are, so that a client which was away over a quiet holiday can resume.
const EVENTS_KEPT_AT_LEAST: u64 = 100_000;

/// Runs the server until SIGTERM or SIGINT, then drains and stops. A second signal ends the drain at once.
pub async fn run(config: Config, demo: bool, metrics: PrometheusHandle) -> anyhow::Result<()> {
    let terminate = signal(SignalKind::terminate())?;
    let interrupt = signal(SignalKind::interrupt())?;
    limits::raise_open_files(&config)?;
    for (key, folder) in [("data_dir", &config.data_dir), ("recording.dir", &config.recording.dir)] {
        std::fs::create_dir_all(folder).with_context(|| format!("{key}: {} cannot be made", folder.display()))?;
    }
    let _lock = FolderLock::take(&config.data_dir)?;

    let store = Store::open(&config.database.url, &config.data_dir).await?;
    let (log, writer) = store.open_log().await?;
    let log_writer = tasks::spawn("event log", writer.run());
    let served = serve(&config, demo, metrics, &store, &log, [terminate, interrupt]).await;
    // Also after a start that was refused, for a port that is taken or a site that cannot be used: nothing was lost then,
    // so the next start must not take this one for a crash and jump ahead in `seq`.
    if !log.stop(LOG_STOP_LIMIT).await {
        tracing::error!("some events are not in the database: it did not take them within {LOG_STOP_LIMIT:?}");
    }
    log_writer.await?;
    store.close().await;
    served?;
    tracing::info!("stopped");
    Ok(())
}

/// From the opened log to the stop: builds the other parts, waits for a signal, stops them. An error is a start refused.
async fn serve(
    config: &Config,
    demo: bool,
    metrics: PrometheusHandle,
    store: &Store,
    log: &EventLog,
    [mut terminate, mut interrupt]: [Signal; 2],
) -> anyhow::Result<()> {
    set_up(config, store, demo).await?;
    let site = Arc::new(ArcSwap::from_pointee(stored_site(store).await?));

    // Before anything of this run is written.
    let last_floor = store.last_floor().await?;
    // Before the open calls are closed: who rang or talked in them decides which audio may stay.
    let repaired = left_behind::mend_recordings(config, store, &site.load()).await?;
    let closed = log.close_open_calls(clock::wall()).await?;
    if closed > 0 {
        tracing::warn!("{closed} calls were open when the server was killed; they have ended with cause server_restart");
    }

    let (listeners, received, sender, sockets) = transport::Transport::bind(&parts::transport(config))?.into_parts();
    // All that can be refused is bound before the engine runs: it changes what agents are.
    let server = web::Server::bind(config.http.listen, &parts::tls(config)).await?;
    let address = server.local_addr()?;
    let control_socket = ControlSocket::bind(&config.data_dir)?;
    let sip_door = SipDoor::new(sender.clone());
    let recorded = prompts::recorded(config).await;
    let engine = Engine::start(parts::engine(
        config,
        site.clone(),
        store,
        log,
        repaired,
        last_floor,
        recorded,
        listeners.clone(),
        received,
        sender,
    )?)?;
    let tidier = tasks::spawn("metrics", telemetry::tidy(metrics.clone()));
    let web_parts = parts::web(config, site, store, log, engine.handle(), sip_door, metrics)?;
    let (stop_web, web_stops) = tokio::sync::oneshot::channel::<()>();
    let web_task = tasks::spawn("web", async move {
        let stop = async move {
            // A dropped sender means the same as a sent word: stop.
            let _ = web_stops.await;
        };
        server.run(web::AppState::new(web_parts), stop).await;
    });
    let control = tasks::spawn("control socket", control_socket.serve(Desk::new(store.clone(), Some(engine.handle()))));
    let keeper = tasks::spawn("upkeep", store.clone().run_upkeep(log.clone(), retention(config)));
    let _phones = if demo { Some(demo::phones(&listeners).await?) } else { None };
    announce(config, address, demo);

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: no new calls; up to {} s for {} running ones", config.limits.drain_seconds, engine.calls());
    tokio::select! {
        () = engine.drain(Duration::from_secs(config.limits.drain_seconds.into())) => {}
        _ = terminate.recv() => engine.drain(Duration::ZERO).await,
        _ = interrupt.recv() => engine.drain(Duration::ZERO).await,
    }
    engine.stop().await;
    control.abort();
    keeper.abort();
    tidier.abort();
    drop(stop_web);
    if tokio::time::timeout(Duration::from_secs(5), web_task).await.is_err() {
        tracing::warn!("some HTTP requests did not end in time");
    }
    drop(sockets);
    // A stale socket would make `perezvon apply` wait for nobody.
    let _ = std::fs::remove_file(config.data_dir.join("control.sock"));
    Ok(())
}

/// Applies `site.file` and, in a demonstration, the demo site and its clients.
async fn set_up(config: &Config, store: &Store, demo: bool) -> anyhow::Result<()> {
    let desk = Desk::new(store.clone(), None);
    if demo {
        demo::set_up(store, &desk).await?;
    }
    if !config.site.file.is_empty() {
        let text = std::fs::read_to_string(&config.site.file).with_context(|| format!("site.file {}", config.site.file))?;
        let environment: Vec<(String, String)> = std::env::vars().collect();
        desk.apply(&config.site.file, &text, &environment, false, false).await?;
    }
    Ok(())
}

async fn stored_site(store: &Store) -> anyhow::Result<Site> {
    let items = store.set_up().await?;
    site::check::build(&items).map_err(|found| {
        let lines: Vec<String> = found.iter().map(|problem| format!("{}: {}", problem.path(), problem.message)).collect();
        anyhow!("the stored set-up cannot be used; apply a corrected site file:\n{}", lines.join("\n"))
    })
}

fn retention(config: &Config) -> Retention {
    let events_for = Duration::from_secs(u64::from(config.events.keep_days) * 24 * 3600);
    Retention { events_for, events_at_least: EVENTS_KEPT_AT_LEAST }
}

/// Says where the desk is; in a demonstration, also how to see a first call.
fn announce(config: &Config, address: std::net::SocketAddr, demo: bool) {
    let scheme = if config.http.tls == crate::config::TlsMode::Off { "http" } else { "https" };
    println!("Perezvon is ready: {scheme}://{address}/");
    if demo {
        println!("{}", demo::GREETING);
    }
}
