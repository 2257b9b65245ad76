//! From the config file to the settings of each part.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use arc_swap::ArcSwap;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::mpsc;

use crate::call;
use crate::config::{Config, TlsMode};
use crate::engine;
use crate::media::{music, sound::Sound, tones};
use crate::recording::{RecorderConfig, Repaired};
use crate::relay::RelayConfig;
use crate::sip::auth::Algorithm;
use crate::sip::endpoint::{Addressing, EndpointConfig, Limits, Listener, Subnet};
use crate::sip::wire::Host;
use crate::site::{Language, Network, Site};
use crate::store::{EventLog, LastFloor, Store};
use crate::transport::{Limits as TransportLimits, Received, Sender, TransportConfig};
use crate::web;

pub(super) fn transport(config: &Config) -> TransportConfig {
    TransportConfig { udp: config.sip.udp.clone(), tcp: config.sip.tcp.clone(), limits: TransportLimits::default() }
}

fn networks(texts: &[String], key: &str) -> anyhow::Result<Vec<Network>> {
    let read =
        |text: &String| Network::parse(text).ok_or_else(|| anyhow!("{key}: \"{text}\" is no CIDR, for example 10.0.0.0/8"));
    texts.iter().map(read).collect()
}

fn public_address(text: &str, key: &str) -> anyhow::Result<Option<IpAddr>> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| anyhow!("{key}: \"{text}\" is no IP address"))
}

fn endpoint(config: &Config, listeners: Vec<Listener>) -> anyhow::Result<EndpointConfig> {
    let subnet = |(address, prefix): (IpAddr, u8)| Subnet { address, prefix };
    let local = networks(&config.sip.local_networks, "sip.local_networks")?;
    let digest = config.sip.digest.iter().map(|name| if name == "SHA-256" { Algorithm::Sha256 } else { Algorithm::Md5 });
    Ok(EndpointConfig {
        listeners,
        addressing: Addressing {
            advertise: public_address(&config.sip.advertise, "sip.advertise")?.map(Host::from),
            local_networks: local.iter().map(|network| subnet((network.address, network.prefix))).collect(),
            interfaces: engine::interfaces().into_iter().map(subnet).collect(),
        },
        user_agent: concat!("Perezvon/", env!("CARGO_PKG_VERSION")).into(),
        digest: digest.collect(),
        ban: config.sip.ban,
        limits: Limits::default(),
        min_expires: Duration::from_secs(60),
        max_expires: Duration::from_secs(3600),
        ring_limit: Duration::from_secs(300),
    })
}

pub(super) fn engine(
    config: &Config,
    site: Arc<ArcSwap<Site>>,
    store: &Store,
    log: &EventLog,
    repaired: Vec<Repaired>,
    last_floor: LastFloor,
    recorded: HashMap<Language, Sound>,
    listeners: Vec<Listener>,
    received: mpsc::Receiver<Received>,
    sender: Sender,
) -> anyhow::Result<engine::Parts> {
    let [first, last] = config.rtp.ports;
    let advertise = if config.rtp.advertise.is_empty() { &config.sip.advertise } else { &config.rtp.advertise };
    Ok(engine::Parts {
        site,
        store: store.clone(),
        log: log.clone(),
        relay: RelayConfig {
            ports: first..=last,
            bind: Ipv6Addr::UNSPECIFIED.into(),
            threads: config.media_threads(),
            silence_limit: Duration::from_secs(config.limits.rtp_silence_seconds.max(1).into()),
            webrtc_port: config.rtp.webrtc_port,
            ..RelayConfig::default()
        },
        recorder: RecorderConfig::new(&config.recording.dir, config.recording.sample_rate),
        endpoint: endpoint(config, listeners)?,
        received,
        sender,
        media_advertise: public_address(advertise, "rtp.advertise")?,
        local_networks: networks(&config.sip.local_networks, "sip.local_networks")?,
        ringback: Sound::from_pcm(&tones::ringback()),
        music: Sound::from_pcm(&music::hold_music()),
        limits: call::Limits {
            longest: Duration::from_secs(u64::from(config.limits.longest_call_minutes) * 60),
            ..call::Limits::default()
        },
        most_calls: config.limits.calls as usize,
        repaired,
        last_floor,
        recorded,
    })
}

pub(super) fn tls(config: &Config) -> web::Tls {
    match (config.http.tls, &config.http.cert, &config.http.key) {
        (TlsMode::SelfSigned, ..) => web::Tls::SelfSigned { folder: config.data_dir.clone() },
        (TlsMode::Files, Some(cert), Some(key)) => web::Tls::Files { cert: cert.clone(), key: key.clone() },
        _ => web::Tls::Off,
    }
}

pub(super) fn web(
    config: &Config,
    site: Arc<ArcSwap<Site>>,
    store: &Store,
    log: &EventLog,
    engine: engine::Handle,
    sip: engine::SipDoor,
    metrics: PrometheusHandle,
) -> anyhow::Result<web::Parts> {
    Ok(web::Parts {
        store: store.clone(),
        log: log.clone(),
        engine,
        sip,
        site,
        recordings: config.recording.dir.clone(),
        config: web::HttpConfig {
            tls: tls(config),
            trusted_proxies: networks(&config.http.trusted_proxies, "http.trusted_proxies")?,
            session_ttl: Duration::from_secs(u64::from(config.http.session_hours) * 3600),
            ..web::HttpConfig::default()
        },
        metrics: Some(metrics),
    })
}
