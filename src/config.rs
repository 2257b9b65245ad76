//! The config file and its environment overrides (`PEREZVON__SECTION__KEY` wins). Read once at start by `main`;
//! everything that may change while running lives in the site file instead. Errors name file, line, key and remedy.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The whole configuration. Every key has a default, so an empty file and no file are both complete set-ups.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub data_dir: PathBuf,
    pub database: Database,
    pub http: Http,
    pub sip: Sip,
    pub rtp: Rtp,
    pub media: Media,
    pub recording: Recording,
    pub events: Events,
    pub limits: Limits,
    pub log: Log,
    pub site: SiteFile,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// `sqlite://PATH` or `postgres://user:pass@host/name`
    pub url: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    pub listen: SocketAddr,
    pub tls: TlsMode,
    /// PEM files, for `tls = "files"`.
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// Addresses or CIDR blocks whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Vec<String>,
    pub session_hours: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    Off,
    SelfSigned,
    Files,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sip {
    pub udp: Vec<SocketAddr>,
    pub tcp: Vec<SocketAddr>,
    pub tls: Vec<SocketAddr>,
    /// Public address for Via and Contact towards peers outside `local_networks`; empty = the socket's own.
    pub advertise: String,
    pub local_networks: Vec<String>,
    /// Challenge order: `MD5`, `SHA-256`.
    pub digest: Vec<String>,
    pub ban: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rtp {
    /// First and last UDP port for RTP and RTCP.
    pub ports: [u16; 2],
    pub webrtc_port: u16,
    pub advertise: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Media {
    /// 0 = cores − 1, at least 1.
    pub threads: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recording {
    pub dir: PathBuf,
    pub sample_rate: u32,
}

/// How long the event log is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Events {
    pub keep_days: u32,
}

/// What ends a call that nobody is on, and how long a stop may take.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    pub rtp_silence_seconds: u32,
    pub longest_call_minutes: u32,
    pub drain_seconds: u32,
    pub calls: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `tracing` filter, for example `info` or `perezvon=debug`.
    pub level: String,
    pub format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SiteFile {
    /// Applied at start when set, without `--prune`.
    pub file: String,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            data_dir: "data".into(),
            database: Database::default(),
            http: Http::default(),
            sip: Sip::default(),
            rtp: Rtp::default(),
            media: Media::default(),
            recording: Recording::default(),
            events: Events::default(),
            limits: Limits::default(),
            log: Log::default(),
            site: SiteFile::default(),
        }
    }
}

impl Default for Database {
    fn default() -> Self {
        Database { url: "sqlite://data/perezvon.db".into() }
    }
}

impl Default for Http {
    fn default() -> Self {
        Http {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            tls: TlsMode::Off,
            cert: None,
            key: None,
            trusted_proxies: Vec::new(),
            session_hours: 12,
        }
    }
}

impl Default for Sip {
    fn default() -> Self {
        let any = vec![SocketAddr::from(([0, 0, 0, 0], 5060))];
        Sip {
            udp: any.clone(),
            tcp: any,
            tls: Vec::new(),
            advertise: String::new(),
            local_networks: ["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"].map(String::from).to_vec(),
            digest: vec!["MD5".into()],
            ban: true,
        }
    }
}

impl Default for Rtp {
    fn default() -> Self {
        Rtp { ports: [20000, 29999], webrtc_port: 19000, advertise: String::new() }
    }
}

impl Default for Recording {
    fn default() -> Self {
        Recording { dir: "recordings".into(), sample_rate: 8000 }
    }
}

impl Default for Events {
    fn default() -> Self {
        Events { keep_days: 90 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits { rtp_silence_seconds: 60, longest_call_minutes: 240, drain_seconds: 30, calls: 2000 }
    }
}

impl Default for Log {
    fn default() -> Self {
        Log { level: "info".into(), format: LogFormat::Text }
    }
}

/// What is wrong with the configuration, ready for a person.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("{file}: cannot be read: {source}. Give another file with --config")]
    Unreadable { file: String, source: std::io::Error },
    #[error("{file}:{line}: {key}: {message}")]
    Syntax { file: String, line: usize, key: String, message: String },
    #[error("{origin}: {key}: {message}")]
    Value { origin: String, key: String, message: String },
}

impl Config {
    /// Reads `file` (none: defaults and environment only), checks every value and makes relative paths absolute.
    pub fn load(file: Option<&Path>) -> Result<Config, ConfigError> {
        let mut figment = Figment::from(Serialized::defaults(Config::default()));
        let mut folder = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        if let Some(path) = file {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { file: name.clone(), source })?;
            check_syntax(&name, &text)?;
            figment = figment.merge(Toml::string(&text));
            if let Some(parent) = path.parent() {
                folder = folder.join(parent);
            }
        }
        let config: Config = figment.merge(Env::prefixed("PEREZVON__").split("__")).extract().map_err(|error| {
            let key = error.path.join(".");
            let variable = format!("PEREZVON__{}", key.replace('.', "__").to_uppercase());
            ConfigError::Value { origin: format!("environment {variable}"), key, message: error.kind.to_string() }
        })?;
        let config = config.with_absolute_paths(&folder);
        config.check(file)?;
        Ok(config)
    }

    fn with_absolute_paths(mut self, folder: &Path) -> Config {
        for path in [&mut self.data_dir, &mut self.recording.dir] {
            *path = folder.join(&path);
        }
        for path in [&mut self.http.cert, &mut self.http.key].into_iter().flatten() {
            *path = folder.join(&path);
        }
        if let Some(path) = self.database.url.strip_prefix("sqlite://")
            && path != ":memory:"
        {
            self.database.url = format!("sqlite://{}", folder.join(path).display());
        }
        if !self.site.file.is_empty() {
            self.site.file = folder.join(&self.site.file).display().to_string();
        }
        self
    }

    fn check(&self, file: Option<&Path>) -> Result<(), ConfigError> {
        let origin = file.map_or_else(|| "configuration".to_string(), |path| path.display().to_string());
        let wrong =
            |key: &str, message: String| Err(ConfigError::Value { origin: origin.clone(), key: key.to_string(), message });
        let [first, last] = self.rtp.ports;
        if first < 1024 || last < first || last - first < 3 {
            return wrong("rtp.ports", format!("[{first}, {last}] holds no pair of ports; write for example [20000, 29999]"));
        }
        let webrtc_last = self.rtp.webrtc_port.saturating_add(u16::try_from(self.media_threads()).unwrap_or(u16::MAX) - 1);
        if self.rtp.webrtc_port <= last && webrtc_last >= first {
            return wrong(
                "rtp.webrtc_port",
                format!("{}–{webrtc_last} overlaps rtp.ports [{first}, {last}]; move one of them", self.rtp.webrtc_port),
            );
        }
        if ![8000, 16000].contains(&self.recording.sample_rate) {
            return wrong("recording.sample_rate", format!("{} is neither 8000 nor 16000", self.recording.sample_rate));
        }
        if self.http.tls == TlsMode::Files && (self.http.cert.is_none() || self.http.key.is_none()) {
            return wrong("http.tls", "\"files\" needs http.cert and http.key (PEM files)".into());
        }
        if self.sip.digest.is_empty() || self.sip.digest.iter().any(|name| name != "MD5" && name != "SHA-256") {
            return wrong("sip.digest", "each entry is \"MD5\" or \"SHA-256\", and there is at least one".into());
        }
        if !self.database.url.starts_with("sqlite://") && !self.database.url.starts_with("postgres") {
            return wrong("database.url", "starts with sqlite:// or postgres://".into());
        }
        let limits = [
            ("limits.calls", self.limits.calls),
            ("limits.longest_call_minutes", self.limits.longest_call_minutes),
            ("limits.rtp_silence_seconds", self.limits.rtp_silence_seconds),
            ("events.keep_days", self.events.keep_days),
        ];
        if let Some((key, _)) = limits.into_iter().find(|(_, value)| *value == 0) {
            return wrong(key, "0 would end everything at once; write 1 or more".into());
        }
        if !self.sip.tls.is_empty() {
            return wrong("sip.tls", "SIP over TLS is not part of this version; leave the list empty".into());
        }
        Ok(())
    }

    /// Media threads after `0 = cores − 1, at least 1`.
    pub fn media_threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        if self.media.threads == 0 { cores.saturating_sub(1).max(1) } else { self.media.threads }
    }
}

/// Parses the file alone first: only here are line numbers known.
fn check_syntax(file: &str, text: &str) -> Result<(), ConfigError> {
    let line_of = |span: Option<std::ops::Range<usize>>| {
        1 + span.map_or(0, |span| text.as_bytes()[..span.start.min(text.len())].iter().filter(|byte| **byte == b'\n').count())
    };
    let deserializer = toml::Deserializer::parse(text).map_err(|error| ConfigError::Syntax {
        file: file.into(),
        line: line_of(error.span()),
        key: "syntax".into(),
        message: error.message().into(),
    })?;
    serde_path_to_error::deserialize::<_, Config>(deserializer).map_err(|error| ConfigError::Syntax {
        file: file.into(),
        line: line_of(error.inner().span()),
        key: error.path().to_string(),
        message: error.inner().message().into(),
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("perezvon.toml");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn no_file_is_a_complete_configuration() {
        let config = Config::load(None).unwrap();
        assert_eq!(config.rtp.ports, [20000, 29999]);
        assert!(config.data_dir.is_absolute());
    }

    #[test]
    fn relative_paths_start_at_the_files_folder() {
        let (folder, path) = written("data_dir = \"d\"\n[recording]\ndir = \"r\"\n[database]\nurl = \"sqlite://d/x.db\"\n");
        let config = Config::load(Some(&path)).unwrap();
        assert_eq!(config.data_dir, folder.path().join("d"));
        assert_eq!(config.recording.dir, folder.path().join("r"));
        assert_eq!(config.database.url, format!("sqlite://{}", folder.path().join("d/x.db").display()));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let (_folder, path) = written("data_dir = \"d\"\n\n[sip]\nupd = []\n");
        let error = Config::load(Some(&path)).unwrap_err().to_string();
        assert!(error.contains("perezvon.toml:4"), "{error}");
        assert!(error.contains("upd"), "{error}");
    }

    #[test]
    fn a_limit_of_zero_is_refused() {
        let (_folder, path) = written("[limits]\ncalls = 0\n");
        assert!(Config::load(Some(&path)).unwrap_err().to_string().contains("limits.calls"));
    }

    #[test]
    fn overlapping_port_ranges_are_refused() {
        let (_folder, path) = written("[rtp]\nports = [18000, 20000]\n");
        let error = Config::load(Some(&path)).unwrap_err().to_string();
        assert!(error.contains("rtp.webrtc_port"), "{error}");
    }
}
