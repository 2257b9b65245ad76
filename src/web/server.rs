//! The HTTP port: accepts connections within limits, speaks TLS when told to, and stops gracefully. HTTP/1.1 only: what
//! browsers gain by HTTP/2 here is little, and websockets stay plain.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;
use tracing::{debug, warn};

use super::router::router;
use super::source::Peer;
use super::state::{AppState, Tls};
use super::tls::{TlsError, acceptor};

/// From the first byte of a request to the end of its head; also how long an idle connection is kept.
const HEAD_LIMIT: Duration = Duration::from_secs(60);
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
const HEADERS_MAX: usize = 100;
const HEAD_MAX_BYTES: usize = 32 * 1024;
/// What hyper may buffer of a connection in each direction.
const BUFFER_MAX_BYTES: usize = 64 * 1024;
/// Connections of one address, so that one machine cannot take all the places. Our own machine may: proxies live there.
const PER_SOURCE_MAX: usize = 512;
/// How long running requests may take to finish when the server stops.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// Why the port cannot be served.
#[derive(Debug, Error)]
pub enum ServerError {
    #[error("http.listen {listen}: {source}")]
    Bind { listen: SocketAddr, source: io::Error },
    #[error("http.tls: {0}")]
    Tls(#[from] TlsError),
}

/// A bound port, not yet served.
pub struct Server {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Server {
    /// Binds the port and reads the certificate, so that mistakes show at start.
    pub async fn bind(listen: SocketAddr, tls: &Tls) -> Result<Server, ServerError> {
        let tls = acceptor(tls, listen)?;
        let listener = TcpListener::bind(listen).await.map_err(|source| ServerError::Bind { listen, source })?;
        Ok(Server { listener, tls })
    }

    /// Where it listens: of use when the port was 0.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` resolves, then lets running requests finish for ten seconds and closes live streams with 1001.
    pub async fn run(self, state: AppState, stop: impl Future<Output = ()>) {
        let places = Arc::new(Semaphore::new(state.config().max_connections));
        let sources = Sources::default();
        let service = router(state.clone());
        let (closing, _) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            // A finished connection leaves its result behind; reap them here.
            while connections.try_join_next().is_some() {}
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = accept(&self.listener, &places) => accepted,
            };
            let (stream, address, place) = match accepted {
                Ok(accepted) => accepted,
                Err(trouble) => {
                    // Mostly too many open files: the next attempt may find one free.
                    warn!(error = %trouble, "a connection to the HTTP port could not be accepted: {trouble}");
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Some(seat) = sources.seat(address.ip().to_canonical()) else { continue };
            let connection = Connection { service: service.clone(), tls: self.tls.clone(), closing: closing.subscribe() };
            connections.spawn(async move {
                connection.serve(stream, address).await;
                drop((place, seat));
            });
        }
        drop(self.listener);
        state.begin_stop();
        closing.send_replace(true);
        let streams = u32::try_from(state.config().max_live).unwrap_or(u32::MAX);
        let finished = timeout(STOP_LIMIT, async {
            while connections.join_next().await.is_some() {}
            // Live streams have left their connections; each holds a permit until its close frame is out.
            let _ = state.live_slots().acquire_many(streams).await;
        });
        if finished.await.is_err() {
            warn!("requests still ran when the stop limit passed; they are cut off");
        }
        connections.shutdown().await;
    }
}

type Accepted = (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

/// Waits for a free place first: beyond the limit, connections wait in the kernel's queue.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<Accepted> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    Ok((stream, address, place))
}

struct Connection {
    service: Router,
    tls: Option<TlsAcceptor>,
    closing: watch::Receiver<bool>,
}

impl Connection {
    async fn serve(self, stream: TcpStream, address: SocketAddr) {
        // Event frames are small and must not wait for each other.
        let _ = stream.set_nodelay(true);
        let Ok(local) = stream.local_addr() else { return };
        let local = SocketAddr::new(local.ip().to_canonical(), local.port());
        let peer = Peer { address: address.ip().to_canonical(), port: address.port(), local, is_tls: self.tls.is_some() };
        match self.tls.clone() {
            None => self.speak(stream, peer).await,
            Some(tls) => match timeout(HANDSHAKE_LIMIT, tls.accept(stream)).await {
                Ok(Ok(stream)) => self.speak(stream, peer).await,
                Ok(Err(trouble)) => debug!(error = %trouble, "a TLS handshake failed"),
                Err(_) => debug!("a TLS handshake took too long"),
            },
        }
    }

    async fn speak(mut self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, peer: Peer) {
        let service = self.service.map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            request.map(axum::body::Body::new)
        });
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_LIMIT)
                .max_headers(HEADERS_MAX)
                .max_header_size(HEAD_MAX_BYTES)
                .max_buf_size(BUFFER_MAX_BYTES)
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
                .with_upgrades()
        );
        let closing = async move {
            let _ = self.closing.wait_for(|closing| *closing).await;
        };
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = closing => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(trouble) = served {
            debug!(error = %trouble, "a connection ended early");
        }
    }
}

/// Open connections by address.
#[derive(Clone, Default)]
struct Sources(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One connection's entry, given back when dropped.
struct Seat {
    sources: Sources,
    address: IpAddr,
}

impl Sources {
    fn seat(&self, address: IpAddr) -> Option<Seat> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_insert(0);
        if *count >= PER_SOURCE_MAX && !address.is_loopback() {
            return None;
        }
        *count += 1;
        Some(Seat { sources: self.clone(), address })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.sources.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_all_the_places_and_gives_its_own_back() {
        let sources = Sources::default();
        let stranger = IpAddr::from([192, 0, 2, 1]);
        let seats: Vec<Seat> = (0..PER_SOURCE_MAX).map(|_| sources.seat(stranger).unwrap()).collect();
        assert!(sources.seat(stranger).is_none());
        assert!(sources.seat(IpAddr::from([192, 0, 2, 2])).is_some());
        drop(seats);
        assert!(sources.seat(stranger).is_some());
        assert!(sources.0.lock().unwrap().is_empty(), "addresses without connections are forgotten");
    }
}
