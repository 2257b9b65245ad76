//! `data_dir/control.sock`: one JSON request and one JSON answer a connection, for the owner of the data folder only
//! (mode 0600). And the lock that keeps two processes from one data folder.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use super::{Answer, Desk, Request};

/// A site file of this size is far beyond any real one.
const LONGEST_REQUEST_BYTES: u64 = 8 * 1024 * 1024;
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Held while a process owns the data folder; released by the system when the process ends, however it ends.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    pub fn take(data_dir: &Path) -> anyhow::Result<FolderLock> {
        let path = data_dir.join("perezvon.lock");
        let file = File::create(&path).with_context(|| format!("{}: cannot be made", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(FolderLock { _file: file }),
            Err(TryLockError::WouldBlock) => {
                bail!("{}: another perezvon works on this data folder; stop it or choose another data_dir", path.display())
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("{}: cannot be locked", path.display())),
        }
    }
}

fn socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sock")
}

/// Asks the running server; `None` when none runs.
pub(super) async fn ask(data_dir: &Path, request: &Request) -> anyhow::Result<Option<Answer>> {
    let path = socket_path(data_dir);
    let mut stream = match UnixStream::connect(&path).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("{}: cannot be opened", path.display())),
    };
    let exchange = async {
        stream.write_all(&serde_json::to_vec(request)?).await?;
        stream.shutdown().await?;
        let mut text = Vec::new();
        stream.read_to_end(&mut text).await?;
        serde_json::from_slice(&text).context("the server closed the control socket without an answer")
    };
    let answer = tokio::time::timeout(LONGEST_WAIT, exchange).await.context("the server did not answer within a minute")??;
    Ok(Some(answer))
}

/// The open control socket; requests wait in it until `serve`.
pub struct ControlSocket(UnixListener);

impl ControlSocket {
    /// Needs the folder's lock: a socket that is still there then belongs to a server that was killed.
    pub fn bind(data_dir: &Path) -> anyhow::Result<ControlSocket> {
        let path = socket_path(data_dir);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("{}: cannot be removed", path.display()));
            }
            _ => {}
        }
        let listener = UnixListener::bind(&path).with_context(|| format!("{}: cannot be made", path.display()))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(ControlSocket(listener))
    }

    /// Serves until the future is dropped. One request at a time: applying twice at once has no order.
    pub async fn serve(self, desk: Desk) {
        loop {
            let stream = match self.0.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!("the control socket did not accept: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            match tokio::time::timeout(LONGEST_WAIT, answer(stream, &desk)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!("control request failed: {error:#}"),
                Err(_) => tracing::warn!("control request timed out"),
            }
        }
    }
}

async fn answer(mut stream: UnixStream, desk: &Desk) -> anyhow::Result<()> {
    let mut text = Vec::new();
    (&mut stream).take(LONGEST_REQUEST_BYTES).read_to_end(&mut text).await?;
    let answer = match serde_json::from_slice(&text) {
        Ok(request) => desk.answer(request).await,
        Err(error) => Answer::Refused(format!("unreadable request: {error}; client and server must be of one version")),
    };
    stream.write_all(&serde_json::to_vec(&answer)?).await?;
    Ok(())
}
