//! Where a call comes from, behind load balancers too.
//!
//! `X-Forwarded-For` is believed only as far as it was written by proxies that the operator named: anybody can send the
//! header. Read from the right, the first address that is none of theirs is the caller's.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::{Extensions, HeaderMap};
use ipnet::IpNet;

/// The proxies whose word is taken.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Vec<IpNet>);

impl Proxies {
    /// These networks.
    pub fn new(trusted: Vec<IpNet>) -> Self {
        Self(trusted)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The caller's address; `None` only where there is no connection (a test that calls the router itself).
    pub fn client(&self, headers: &HeaderMap, extensions: &Extensions) -> Option<IpAddr> {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip().to_canonical();
        if !self.trusts(peer) {
            return Some(peer);
        }
        let lines = headers.get_all("x-forwarded-for").into_iter();
        let named: Vec<&[u8]> = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).collect();
        let mut nearest = peer;
        for text in named.into_iter().rev() {
            // What is no address was not written by a proxy of ours, and neither was anything before it.
            let text = std::str::from_utf8(text).unwrap_or_default().trim();
            let Ok(address) = text.parse::<IpAddr>() else { break };
            nearest = address.to_canonical();
            if !self.trusts(nearest) {
                break;
            }
        }
        Some(nearest)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
        let trusted = trusted.iter().map(|network| network.parse().unwrap()).collect();
        Proxies::new(trusted).client(&headers, &extensions).unwrap().to_string()
    }

    #[test]
    fn only_named_proxies_are_believed() {
        assert_eq!(client(&[], "1.1.1.1", &["9.9.9.9"]), "1.1.1.1");
        assert_eq!(client(&["10.0.0.0/8"], "1.1.1.1", &["9.9.9.9"]), "1.1.1.1");
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.1", &["8.8.8.8, 9.9.9.9"]), "9.9.9.9");
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.1", &["8.8.8.8", "9.9.9.9, 10.1.1.1"]), "9.9.9.9");
        assert_eq!(client(&["10.0.0.0/8"], "::ffff:10.0.0.1", &["9.9.9.9"]), "9.9.9.9");
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.1", &["9.9.9.9, junk"]), "10.0.0.1");
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.1", &["9.9.9.9", "\u{e9}, 8.8.8.8"]), "8.8.8.8");
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.1", &["9.9.9.9", "\u{e9}, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.1", &[]), "10.0.0.1");
    }
}
