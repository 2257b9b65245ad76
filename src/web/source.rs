//! Where a request really comes from: the peer of the connection, or what a trusted proxy says of it.
//! Rate limits, the `Secure` flag and the Origin check read it; a stranger's `X-Forwarded-*` changes nothing.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};
use axum::http::request::Parts;

use crate::site::Network;

/// The other end of the TCP connection, put into every request by `server`.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    pub address: IpAddr,
    pub port: u16,
    /// Ours, as the peer found it.
    pub local: SocketAddr,
    pub is_tls: bool,
}

/// The client, as far as we believe the proxies between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub address: IpAddr,
    pub is_https: bool,
    /// Whether `is_https` is certain: our own TLS, or the word of a trusted proxy. On a plain port without one a proxy that
    /// nobody told us of may end TLS.
    pub is_scheme_known: bool,
    /// `host[:port]` that the client asked for.
    pub host: Option<String>,
}

impl Source {
    pub fn of(parts: &Parts, trusted: &[Network]) -> Source {
        let peer = parts.extensions.get::<Peer>().copied();
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let peer = peer.unwrap_or(Peer { address: nowhere.ip(), port: 0, local: nowhere, is_tls: false });
        let own_host = text(&parts.headers, HOST.as_str()).or_else(|| parts.uri.authority().map(|host| host.as_str()));
        if !is_trusted(peer.address, trusted) {
            let host = own_host.map(str::to_string);
            return Source { address: peer.address, is_https: peer.is_tls, is_scheme_known: peer.is_tls, host };
        }
        let proto = text(&parts.headers, "x-forwarded-proto").and_then(|value| value.split(',').next()).map(str::trim);
        // Some proxies name the scheme of the websocket.
        let is_https = match proto.map(str::to_ascii_lowercase).as_deref() {
            Some("https" | "wss") => Some(true),
            Some("http" | "ws") => Some(false),
            _ => peer.is_tls.then_some(true),
        };
        Source {
            address: client_behind(&parts.headers, peer.address, trusted),
            is_https: is_https.unwrap_or(false),
            is_scheme_known: is_https.is_some(),
            host: text(&parts.headers, "x-forwarded-host").or(own_host).map(|host| host.trim().to_string()),
        }
    }

    /// Whether the request was made by a page of ours, or by no page at all (no `Origin`): the same host, the same port and,
    /// where we know it, the same scheme.
    pub fn allows_origin(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else { return true };
        let (Ok(origin), None) = (origin.to_str(), origins.next()) else { return false };
        let Some((scheme, authority)) = origin.split_once("://") else { return false };
        let default_port = match scheme {
            "https" if self.is_https || !self.is_scheme_known => ":443",
            "http" if !self.is_https => ":80",
            _ => return false,
        };
        let plain = |host: &str| host.strip_suffix(default_port).unwrap_or(host).to_ascii_lowercase();
        self.host.as_deref().is_some_and(|host| plain(host) == plain(authority))
    }
}

/// The last address in `X-Forwarded-For` that is not one of our proxies: what stands left of it anyone can have written.
fn client_behind(headers: &HeaderMap, peer: IpAddr, trusted: &[Network]) -> IpAddr {
    let chain: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let mut client = peer;
    for hop in chain.iter().rev() {
        let Ok(address) = hop.parse::<IpAddr>() else { break };
        client = address;
        if !is_trusted(address, trusted) {
            break;
        }
    }
    client
}

fn is_trusted(address: IpAddr, trusted: &[Network]) -> bool {
    trusted.iter().any(|network| covers(network, address))
}

fn covers(network: &Network, address: IpAddr) -> bool {
    let prefix = u32::from(network.prefix);
    match (network.address, address.to_canonical()) {
        (IpAddr::V4(net), IpAddr::V4(ip)) => (net.to_bits() ^ ip.to_bits()).checked_shr(32 - prefix.min(32)).unwrap_or(0) == 0,
        (IpAddr::V6(net), IpAddr::V6(ip)) => (net.to_bits() ^ ip.to_bits()).checked_shr(128 - prefix.min(128)).unwrap_or(0) == 0,
        _ => false,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn source(peer: &str, is_tls: bool, headers: &[(&str, &str)], trusted: &[(&str, u8)]) -> (Source, HeaderMap) {
        let mut request = Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let local = SocketAddr::from(([127, 0, 0, 1], 8080));
        parts.extensions.insert(Peer { address: peer.parse().unwrap(), port: 40_000, local, is_tls });
        let trusted: Vec<Network> = trusted
            .iter()
            .map(|(address, prefix)| Network { address: address.parse().unwrap(), prefix: *prefix, port: None })
            .collect();
        (Source::of(&parts, &trusted), parts.headers)
    }

    #[test]
    fn a_stranger_cannot_choose_its_address_and_a_trusted_proxy_can() {
        let forged =
            [("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "https"), ("host", "a"), ("x-forwarded-host", "b")];
        let (stranger, _) = source("198.51.100.1", false, &forged, &[("10.0.0.0", 8)]);
        let address = "198.51.100.1".parse().unwrap();
        assert_eq!(stranger, Source { address, is_https: false, is_scheme_known: false, host: Some("a".into()) });
        let (proxied, _) = source("10.1.2.3", false, &forged, &[("10.0.0.0", 8)]);
        let address = "203.0.113.9".parse().unwrap();
        assert_eq!(proxied, Source { address, is_https: true, is_scheme_known: true, host: Some("b".into()) });
    }

    #[test]
    fn only_the_hop_before_our_proxies_counts() {
        let chain = [("x-forwarded-for", "1.1.1.1, 203.0.113.9, 10.0.0.2")];
        assert_eq!(source("10.0.0.1", false, &chain, &[("10.0.0.0", 8)]).0.address, "203.0.113.9".parse::<IpAddr>().unwrap());
        let garbage = [("x-forwarded-for", "1.1.1.1, nonsense, 10.0.0.2")];
        assert_eq!(source("10.0.0.1", false, &garbage, &[("10.0.0.0", 8)]).0.address, "10.0.0.2".parse::<IpAddr>().unwrap());
        assert_eq!(source("10.0.0.1", false, &[], &[("0.0.0.0", 0)]).0.address, "10.0.0.1".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn the_scheme_of_an_origin_counts_where_a_trusted_proxy_told_ours() {
        let both = [(Some("http"), true), (Some("https"), true), (Some("ws"), true), (Some("wss"), true), (None, false)];
        for (proto, is_known) in both {
            let ours_is_https = proto.is_some_and(|proto| proto.ends_with('s') && proto != "ws");
            for scheme in ["http", "https"] {
                let origin = format!("{scheme}://crm.example");
                let mut headers = vec![("host", "crm.example"), ("origin", origin.as_str())];
                headers.extend(proto.map(|proto| ("x-forwarded-proto", proto)));
                let (trusted, head) = source("10.0.0.1", false, &headers, &[("10.0.0.0", 8)]);
                let expected = !is_known || (scheme == "https") == ours_is_https;
                assert_eq!(trusted.allows_origin(&head), expected, "{origin} where the proxy says {proto:?}");
                let (stranger, head) = source("198.51.100.1", false, &headers, &[("10.0.0.0", 8)]);
                assert!(stranger.allows_origin(&head), "a stranger's word is no knowledge");
            }
        }
    }

    #[test]
    fn an_origin_is_ours_only_with_our_host_and_port_and_no_downgrade() {
        for (is_tls, host, origin, ours) in [
            (false, "localhost:8080", "http://localhost:8080", true),
            (false, "Crm.example", "https://crm.example", true),
            (false, "crm.example:443", "https://crm.example", true),
            (true, "crm.example", "http://crm.example", false),
            (false, "crm.example", "https://crm.example.evil.test", false),
            (false, "localhost:8080", "http://localhost:8081", false),
            (false, "localhost:8080", "null", false),
            (false, "localhost:8080", "chrome-extension://localhost:8080", false),
        ] {
            let (source, headers) = source("127.0.0.1", is_tls, &[("host", host), ("origin", origin)], &[]);
            assert_eq!(source.allows_origin(&headers), ours, "{origin} at {host}");
        }
        let (source, headers) = source("127.0.0.1", false, &[("host", "a")], &[]);
        assert!(source.allows_origin(&headers), "no Origin at all is a program, not a page");
    }
}
