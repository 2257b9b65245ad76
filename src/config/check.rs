//! Whether the values of a configuration can work, each alone and together. Finds everything that is wrong, not the first.

use std::net::IpAddr;

use tracing_subscriber::EnvFilter;

use super::{Config, TlsMode};
use crate::site::Network;

/// Key and what is wrong with it, with the remedy.
pub(super) type Found = Vec<(&'static str, String)>;

pub(super) fn check(config: &Config) -> Found {
    let mut found = Found::new();
    ports(config, &mut found);
    addresses(config, &mut found);
    limits(config, &mut found);
    let mut wrong = |key, message: String| found.push((key, message));
    if ![8000, 16000].contains(&config.recording.sample_rate) {
        wrong("recording.sample_rate", format!("{} is neither; write 8000 or 16000", config.recording.sample_rate));
    }
    if config.http.tls == TlsMode::Files && (config.http.cert.is_none() || config.http.key.is_none()) {
        wrong("http.tls", "\"files\" needs http.cert and http.key (PEM files); write both".into());
    }
    if config.sip.digest.is_empty() || config.sip.digest.iter().any(|name| name != "MD5" && name != "SHA-256") {
        wrong(
            "sip.digest",
            "each entry is \"MD5\" or \"SHA-256\", and there is at least one; write for example [\"MD5\"]".into(),
        );
    }
    let url = &config.database.url;
    if !["sqlite://", "postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        // The address itself may hold a password, so it is not repeated.
        wrong("database.url", "starts neither with sqlite:// nor with postgres://; write sqlite://data/perezvon.db".into());
    }
    if !config.sip.tls.is_empty() {
        wrong("sip.tls", "SIP over TLS is not part of this version; leave the list empty".into());
    }
    if let Err(why) = log_level(&config.log.level) {
        wrong("log.level", why);
    }
    found
}

fn ports(config: &Config, found: &mut Found) {
    let [first, last] = config.rtp.ports;
    if first < 1024 || last < first || last - first < 3 {
        found.push(("rtp.ports", format!("[{first}, {last}] holds no pair of ports; write for example [20000, 29999]")));
        return;
    }
    let threads = u16::try_from(config.media_threads()).unwrap_or(u16::MAX);
    let webrtc = config.rtp.webrtc_port;
    let webrtc_last = webrtc.saturating_add(threads - 1);
    if webrtc <= last && webrtc_last >= first {
        let message = format!("{webrtc}–{webrtc_last} overlaps rtp.ports [{first}, {last}]; move one of them");
        found.push(("rtp.webrtc_port", message));
    }
}

fn addresses(config: &Config, found: &mut Found) {
    for (key, text) in [("sip.advertise", &config.sip.advertise), ("rtp.advertise", &config.rtp.advertise)] {
        if !text.is_empty() && text.parse::<IpAddr>().is_err() {
            found.push((
                key,
                format!("\"{text}\" is no IP address; write for example \"203.0.113.7\", or \"\" for the socket's own"),
            ));
        }
    }
    let lists = [("sip.local_networks", &config.sip.local_networks), ("http.trusted_proxies", &config.http.trusted_proxies)];
    for (key, list) in lists {
        for text in list {
            // A port makes sense for a trunk only.
            if Network::parse(text).is_none_or(|network| network.port.is_some()) {
                found.push((key, format!("\"{text}\" is no network; write for example \"10.0.0.0/8\" or \"192.0.2.7\"")));
            }
        }
    }
}

fn limits(config: &Config, found: &mut Found) {
    let limits = [
        ("limits.calls", config.limits.calls, "2000"),
        ("limits.longest_call_minutes", config.limits.longest_call_minutes, "240"),
        ("limits.rtp_silence_seconds", config.limits.rtp_silence_seconds, "60"),
        ("events.keep_days", config.events.keep_days, "90"),
        ("http.session_hours", config.http.session_hours, "12"),
    ];
    for (key, _, usual) in limits.into_iter().filter(|(_, value, _)| *value == 0) {
        found.push((key, format!("0 would end everything at once; write 1 or more, usually {usual}")));
    }
}

/// A word that is no level would be taken for the name of a program part and silence everything else.
fn log_level(level: &str) -> Result<(), String> {
    let remedy = "write error, warn, info, debug or trace, or a part with its level: info,perezvon=debug";
    if let Err(error) = EnvFilter::try_new(level) {
        return Err(format!("\"{level}\": {error}; {remedy}"));
    }
    let is_level = |word: &str| ["off", "error", "warn", "info", "debug", "trace"].contains(&word.to_ascii_lowercase().as_str());
    match level.split(',').map(str::trim).find(|part| !part.contains(['=', '[', ']', '}']) && !is_level(part)) {
        Some(word) => Err(format!("\"{word}\" is no level; {remedy}")),
        None => Ok(()),
    }
}
