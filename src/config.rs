//! The config file and its environment overrides (`PEREZVON__SECTION__KEY` wins). Read once at start by `main`;
//! everything that may change while running lives in the site file instead. Errors name file, line, key and remedy.

mod check;
mod load;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

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
    pub prompts: Prompts,
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

/// What is said to callers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prompts {
    /// Recorded prompts, `NAME.LANGUAGE.wav`: 8 kHz, one channel, 16 bits.
    pub dir: PathBuf,
    /// Speaks what has no file: reads the text on standard input, writes WAV on standard output. `{language}` is `ru` or `en`.
    pub voice: Vec<String>,
}

impl Default for Prompts {
    fn default() -> Self {
        let voice = ["espeak-ng", "-v", "{language}", "--stdin", "--stdout"];
        Prompts { dir: "prompts".into(), voice: voice.map(str::to_owned).to_vec() }
    }
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
            prompts: Prompts::default(),
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

/// One thing that is wrong, ready for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// File and line, or the variable of the environment; the file alone when the key is not written there.
    pub place: String,
    pub key: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.key, self.message)
    }
}

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("{file}: cannot be read: {source}. Give another file with --config")]
    Unreadable { file: String, source: std::io::Error },
    /// Everything that is wrong, one a line.
    #[error("{}", .0.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
    Wrong(Vec<Problem>),
}

impl Config {
    /// Reads `file` (none: defaults and environment only), checks every value and makes relative paths absolute.
    pub fn load(file: Option<&Path>) -> Result<Config, ConfigError> {
        let variables = std::env::vars_os().filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)));
        Config::load_with(file, &variables.collect::<Vec<_>>())
    }

    /// The same with an environment of the caller's.
    pub fn load_with(file: Option<&Path>, environment: &[(String, String)]) -> Result<Config, ConfigError> {
        let load::Read { config, places, mut problems, folder } = load::read(file, environment)?;
        let unwritten = file.map_or_else(|| "configuration".to_owned(), |path| path.display().to_string());
        let section_of = |key: &str| key.split('.').next().unwrap_or_default().to_owned();
        let unread: Vec<String> = problems.iter().map(|problem| section_of(&problem.key)).collect();
        // Where a key could not be read its default stands, and what does not go with that says nothing.
        for (key, message) in check::check(&config).into_iter().filter(|(key, _)| !unread.contains(&section_of(key))) {
            let place = places.get(key).unwrap_or(&unwritten).clone();
            problems.push(Problem { place, key: key.to_owned(), message });
        }
        if problems.is_empty() { Ok(config.with_absolute_paths(&folder)) } else { Err(ConfigError::Wrong(problems)) }
    }

    fn with_absolute_paths(mut self, folder: &Path) -> Config {
        for path in [&mut self.data_dir, &mut self.recording.dir, &mut self.prompts.dir] {
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

    /// Media threads after `0 = cores − 1, at least 1`.
    pub fn media_threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        if self.media.threads == 0 { cores.saturating_sub(1).max(1) } else { self.media.threads }
    }
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

    fn refused(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
        let (folder, path) = written(text);
        let environment: Vec<(String, String)> =
            environment.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let error = Config::load_with(Some(&path), &environment).unwrap_err().to_string();
        let folder = format!("{}/", folder.path().display());
        error.lines().map(|line| line.replace(&folder, "")).collect()
    }

    #[test]
    fn every_wrong_value_is_told_at_once_with_its_line_and_a_remedy() {
        let text = "data_dir = 7\nlevel = \"debug\"\n[http]\nlisten = \"here\"\ntls = \"on\"\ncert = 1\n[sip]\nudp = 5060\n\
                    ban = \"yes\"\nadvertize = \"\"\n[rtp]\nwebrtc_port = 70000\n[limits]\ncalls = -1\ndrain_seconds = \"soon\"\n\
                    [limit]\ncalls = 1\n[log]\nlevel = \"verbose\"\n";
        insta::assert_snapshot!(refused(text, &[]).join("\n"), @r#"
        perezvon.toml:1: data_dir: 7 does not fit; write a text in quotes, for example "data"
        perezvon.toml:2: level: unknown key; did you mean log.level?
        perezvon.toml:4: http.listen: "here" does not fit; write a text in quotes, for example "127.0.0.1:8080"
        perezvon.toml:5: http.tls: "on" does not fit; write "off", "self-signed" or "files"
        perezvon.toml:6: http.cert: 1 does not fit; write a text in quotes, for example "cert.pem"
        perezvon.toml:8: sip.udp: 5060 does not fit; write a list, for example ["0.0.0.0:5060"]
        perezvon.toml:9: sip.ban: "yes" does not fit; write true or false, for example true
        perezvon.toml:10: sip.advertize: unknown key; did you mean sip.advertise?
        perezvon.toml:12: rtp.webrtc_port: 70000 is out of range; write 0 to 65535, for example 19000
        perezvon.toml:14: limits.calls: -1 is out of range; write 0 to 4294967295, for example 2000
        perezvon.toml:15: limits.drain_seconds: "soon" does not fit; write a whole number, for example 30
        perezvon.toml:16: limit: unknown key; did you mean limits.calls?
        perezvon.toml:19: log.level: "verbose" is no level; write error, warn, info, debug or trace, or a part with its level: info,perezvon=debug
        "#);
    }

    #[test]
    fn values_that_fit_but_cannot_work_are_told_at_once_too() {
        let text = "[sip]\nadvertise = \"pbx.example\"\nlocal_networks = [\"10.0.0.0/8\", \"home\", \"10.0.0.0/33\"]\n\
                    [log]\nlevel = \"verbose\"\n[http]\nsession_hours = 0\n[recording]\nsample_rate = 44100\n\
                    [database]\nurl = \"mysql://root:secret@x\"\n";
        insta::assert_snapshot!(refused(text, &[]).join("\n"), @r#"
        perezvon.toml:2: sip.advertise: "pbx.example" is no IP address; write for example "203.0.113.7", or "" for the socket's own
        perezvon.toml:3: sip.local_networks: "home" is no network; write for example "10.0.0.0/8" or "192.0.2.7"
        perezvon.toml:3: sip.local_networks: "10.0.0.0/33" is no network; write for example "10.0.0.0/8" or "192.0.2.7"
        perezvon.toml:7: http.session_hours: 0 would end everything at once; write 1 or more, usually 12
        perezvon.toml:9: recording.sample_rate: 44100 is neither; write 8000 or 16000
        perezvon.toml:11: database.url: starts neither with sqlite:// nor with postgres://; write sqlite://data/perezvon.db
        perezvon.toml:5: log.level: "verbose" is no level; write error, warn, info, debug or trace, or a part with its level: info,perezvon=debug
        "#);
    }

    #[test]
    fn a_wrong_variable_says_how_to_write_it() {
        let environment = [
            ("PEREZVON__SIP__UDP", "0.0.0.0:5060"),
            ("PEREZVON__LIMITS__CALLS", "many"),
            ("PEREZVON__LIMITS__DRAIN_SECONDS", "1.5"),
            ("PEREZVON__SIP__BAN", "yes"),
            ("PEREZVON__RTP__WEBRTC_PORT", "70000"),
            ("PEREZVON__HTTP__LISTN", "127.0.0.1:1"),
            ("PEREZVON__LOG__FORMAT", "xml"),
            ("PEREZVON_CONFIG", "x"),
        ];
        insta::assert_snapshot!(refused("", &environment).join("\n"), @r#"
        environment PEREZVON__SIP__UDP: sip.udp: "0.0.0.0:5060" does not fit; write a list, for example ["0.0.0.0:5060"]; in the environment: PEREZVON__SIP__UDP='["0.0.0.0:5060"]'
        environment PEREZVON__LIMITS__CALLS: limits.calls: "many" does not fit; write a whole number, for example 2000; in the environment: PEREZVON__LIMITS__CALLS=2000
        environment PEREZVON__LIMITS__DRAIN_SECONDS: limits.drain_seconds: 1.5 does not fit; write a whole number, for example 30; in the environment: PEREZVON__LIMITS__DRAIN_SECONDS=30
        environment PEREZVON__SIP__BAN: sip.ban: "yes" does not fit; write true or false, for example true; in the environment: PEREZVON__SIP__BAN=true
        environment PEREZVON__RTP__WEBRTC_PORT: rtp.webrtc_port: 70000 is out of range; write 0 to 65535, for example 19000; in the environment: PEREZVON__RTP__WEBRTC_PORT=19000
        environment PEREZVON__HTTP__LISTN: http.listn: unknown key; did you mean http.listen?
        environment PEREZVON__LOG__FORMAT: log.format: "xml" does not fit; write "text" or "json"; in the environment: PEREZVON__LOG__FORMAT=text
        "#);
        insta::assert_snapshot!(refused("", &[("PEREZVON__LOG__LEVEL", "loud")]).join("\n"), @r#"environment PEREZVON__LOG__LEVEL: log.level: "loud" is no level; write error, warn, info, debug or trace, or a part with its level: info,perezvon=debug"#);
    }

    #[test]
    fn variables_win_over_the_file_and_texts_need_no_quotes() {
        let (_folder, path) = written("[sip]\nudp = []\nban = true\n[limits]\ncalls = 5\n");
        let environment = [
            ("PEREZVON__SIP__UDP", "[\"127.0.0.1:5070\"]"),
            ("PEREZVON__SIP__BAN", "false"),
            ("PEREZVON__LIMITS__CALLS", "7"),
            ("PEREZVON__LOG__LEVEL", "perezvon=debug"),
            ("PEREZVON__HTTP__LISTEN", "127.0.0.1:9000"),
            ("PEREZVON__HTTP__TLS", "self-signed"),
            ("PEREZVON__DATA_DIR", "/var/lib/x"),
            ("PEREZVON__SITE__FILE", "2024"),
        ]
        .map(|(name, text)| (name.to_owned(), text.to_owned()));
        let config = Config::load_with(Some(&path), &environment).unwrap();
        assert_eq!(config.sip.udp, [SocketAddr::from(([127, 0, 0, 1], 5070))]);
        assert_eq!((config.sip.ban, config.limits.calls, config.http.tls), (false, 7, TlsMode::SelfSigned));
        assert_eq!((config.http.listen.port(), config.log.level.as_str()), (9000, "perezvon=debug"));
        assert_eq!(config.data_dir, Path::new("/var/lib/x"));
        assert!(config.site.file.ends_with("/2024"));
    }

    #[test]
    fn log_filters_of_parts_are_fine() {
        for level in ["info", "WARN", "info,perezvon=debug", "perezvon::sip[leg{id=7}]=trace", "off"] {
            let environment = [("PEREZVON__LOG__LEVEL".to_owned(), level.to_owned())];
            assert!(Config::load_with(None, &environment).is_ok(), "{level}");
        }
    }
}
