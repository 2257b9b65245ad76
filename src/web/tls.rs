//! TLS for the HTTP port: PEM files, or a certificate of our own making that survives restarts.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use tokio_rustls::TlsAcceptor;

use super::state::Tls;

/// What keeps the port from being served with TLS; the text names the file and the remedy.
#[derive(Debug, Error)]
pub enum TlsError {
    #[error("{}: {why}", path.display())]
    File { path: PathBuf, why: String },
    #[error("the certificate and the key do not fit together or are not usable: {0}")]
    Unusable(#[from] rustls::Error),
    #[error("a certificate could not be made: {0}")]
    Making(#[from] rcgen::Error),
}

/// `None` when the port speaks plain HTTP.
pub fn acceptor(tls: &Tls, listen: SocketAddr) -> Result<Option<TlsAcceptor>, TlsError> {
    let (cert, key) = match tls {
        Tls::Off => return Ok(None),
        Tls::Files { cert, key } => (cert.clone(), key.clone()),
        Tls::SelfSigned { folder } => own_certificate(folder, listen)?,
    };
    let chain = CertificateDer::pem_file_iter(&cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|trouble| TlsError::File { path: cert.clone(), why: format!("not a PEM certificate: {trouble}") })?;
    if chain.is_empty() {
        return Err(TlsError::File { path: cert, why: "holds no PEM certificate".into() });
    }
    let key = PrivateKeyDer::from_pem_file(&key)
        .map_err(|trouble| TlsError::File { path: key.clone(), why: format!("not a PEM private key: {trouble}") })?;
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

/// The pair of files, made when they are missing. Browsers warn once and remember the certificate, so it is kept.
fn own_certificate(folder: &Path, listen: SocketAddr) -> Result<(PathBuf, PathBuf), TlsError> {
    let (cert, key) = (folder.join("http.crt"), folder.join("http.key"));
    if cert.exists() && key.exists() {
        return Ok((cert, key));
    }
    let mut names = vec!["localhost".to_string(), "127.0.0.1".to_string(), "::1".to_string()];
    if !listen.ip().is_unspecified() && !listen.ip().is_loopback() {
        names.push(listen.ip().to_string());
    }
    if let Some(host) = fs::read_to_string("/etc/hostname")
        .ok()
        .map(|name| name.trim().to_string())
        .filter(|name| name.is_ascii() && !name.is_empty())
    {
        names.push(host);
    }
    let made = rcgen::generate_simple_self_signed(names)?;
    let trouble = |path: &Path, trouble: std::io::Error| TlsError::File { path: path.to_path_buf(), why: trouble.to_string() };
    fs::create_dir_all(folder).map_err(|error| trouble(folder, error))?;
    write_private(&key, &made.signing_key.serialize_pem()).map_err(|error| trouble(&key, error))?;
    fs::write(&cert, made.cert.pem()).map_err(|error| trouble(&cert, error))?;
    Ok((cert, key))
}

/// Readable by the server's user only.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn our_own_certificate_is_kept_and_its_key_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let tls = Tls::SelfSigned { folder: folder.path().join("tls") };
        let listen = "127.0.0.1:0".parse().unwrap();
        assert!(acceptor(&tls, listen).unwrap().is_some());
        let first = fs::read(folder.path().join("tls/http.crt")).unwrap();
        assert!(acceptor(&tls, listen).unwrap().is_some());
        assert_eq!(fs::read(folder.path().join("tls/http.crt")).unwrap(), first);
        let mode = fs::metadata(folder.path().join("tls/http.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_missing_or_foreign_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (folder.path().join("a.crt"), folder.path().join("a.key"));
        let tls = Tls::Files { cert: cert.clone(), key: key.clone() };
        let listen = "127.0.0.1:0".parse().unwrap();
        let said = |tls: &Tls| acceptor(tls, listen).map(|_| ()).unwrap_err().to_string();
        assert!(said(&tls).contains("a.crt"));
        fs::write(&cert, "not a certificate").unwrap();
        assert!(said(&tls).contains("a.crt"));
        let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
        fs::write(&cert, made.cert.pem()).unwrap();
        assert!(said(&tls).contains("a.key"));
        fs::write(&key, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
        assert!(said(&tls).contains("fit together"), "{}", said(&tls));
    }
}
