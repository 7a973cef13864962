//! Which addresses may be called on a user's behalf.
//!
//! A URL from a user must not reach the operator's own network (server-side request forgery: OWASP SSRF prevention
//! cheat sheet). Checked twice, because a name can change its address in between: when a URL is configured, and when a
//! connection resolves its name (the connection goes to exactly the addresses that passed). No client follows a redirect by
//! itself; where redirects are followed ([`super::fetch`]), each goes through both checks like the first URL. Addresses that
//! are not globally reachable are those of the IANA special-purpose registries.

use std::error::Error as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Whether an address is on the public internet.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => embedded_v4(v6).map_or_else(|| is_public_v6(v6), is_public_v4),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = a == 0
        || a == 10
        || a == 127
        || (a == 100 && (64..=127).contains(&b))
        || (a == 169 && b == 254)
        || (a == 172 && (16..=31).contains(&b))
        || (a == 192 && b == 0 && (c == 0 || c == 2))
        || (a == 192 && b == 88 && c == 99)
        || (a == 192 && b == 168)
        || (a == 198 && (b == 18 || b == 19))
        || (a == 198 && b == 51 && c == 100)
        || (a == 203 && b == 0 && c == 113)
        || a >= 224;
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    // Only 2000::/3 is global unicast; 2001:db8::/32 is for documentation, 2001::/23 for protocols.
    (a & 0xe000) == 0x2000 && !(a == 0x2001 && (b == 0x0db8 || b < 0x0200))
}

/// The IPv4 address inside a mapped (`::ffff:0:0/96`), NAT64 (`64:ff9b::/96`) or 6to4 (`2002::/16`) one.
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let ([0, 0, 0, 0, 0, 0xffff, high, low]
    | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
    | [0x2002, high, low, ..]) = ip.segments()
    else {
        return None;
    };
    Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
}

/// Why a URL may not be called.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum UrlError {
    /// Not a URL at all, or one without a host.
    #[error("is not a URL like https://example.org/path")]
    Invalid,
    /// Another scheme.
    #[error("must start with https:// or http://")]
    Scheme,
    /// Name and password in the URL would end up in logs.
    #[error("may not carry a user name or password")]
    Credentials,
    /// A private, loopback or otherwise special address.
    #[error(
        "points to a private or loopback address, which is not allowed here (the operator can set II_CLAW_ALLOW_PRIVATE_URLS=true)"
    )]
    Private,
    /// The name has no address.
    #[error("names a host that can't be resolved; check its spelling")]
    Unresolved,
}

/// Checks the form of a URL, and its host when that is an address.
///
/// # Errors
/// Says what is wrong, to be put after the name of the field.
pub fn check_form(text: &str, allow_private: bool) -> Result<Url, UrlError> {
    let url = Url::parse(text).map_err(|_| UrlError::Invalid)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(UrlError::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlError::Credentials);
    }
    let public = match url.host() {
        None => return Err(UrlError::Invalid),
        Some(Host::Ipv4(ip)) => is_public_v4(ip),
        Some(Host::Ipv6(ip)) => is_public(IpAddr::V6(ip)),
        Some(Host::Domain(_)) => true,
    };
    if public || allow_private { Ok(url) } else { Err(UrlError::Private) }
}

/// Checks a URL as [`check_form`] does, and where its name leads right now.
///
/// # Errors
/// Says what is wrong, to be put after the name of the field.
pub async fn check(text: &str, allow_private: bool) -> Result<Url, UrlError> {
    let url = check_form(text, allow_private)?;
    let Some(Host::Domain(name)) = url.host() else { return Ok(url) };
    if allow_private {
        return Ok(url);
    }
    let lookup = tokio::net::lookup_host((name.to_owned(), 0));
    let found = tokio::time::timeout(Duration::from_secs(3), lookup).await;
    let addresses: Vec<_> =
        found.map_err(|_| UrlError::Unresolved)?.map_err(|_| UrlError::Unresolved)?.collect();
    if addresses.iter().all(|address| is_public(address.ip())) { Ok(url) } else { Err(UrlError::Private) }
}

/// Resolves names to public addresses only.
#[derive(Debug, Clone, Copy)]
pub struct PublicResolver;

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(Box::from(UrlError::Private));
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// The resolver's refusal, which comes as a cause of a request that could not connect.
pub fn refusal(error: &reqwest::Error) -> Option<UrlError> {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(refused) = inner.downcast_ref::<UrlError>() {
            return Some(refused.clone());
        }
        cause = inner.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_refused_however_they_are_written() {
        for url in [
            "http://127.0.0.1:1",
            "http://10.0.0.1",
            "http://169.254.169.254/latest/meta-data",
            "http://[::1]:80",
            "http://0x7f.1",
            "http://2130706433",
            "http://017700000001",
            "http://0",
            "http://[::ffff:192.168.0.1]",
            "http://[64:ff9b::7f00:1]",
            "http://[2002:7f00:1::]",
            "http://[fd00::1]",
            "http://[fe80::1]",
            "http://100.64.0.1",
        ] {
            assert_eq!(check_form(url, false), Err(UrlError::Private), "{url}");
            assert!(check_form(url, true).is_ok(), "{url}");
        }
        assert_eq!(check_form("ftp://example.org", true), Err(UrlError::Scheme));
        assert_eq!(check_form("https://me:pw@example.org", true), Err(UrlError::Credentials));
        assert_eq!(check_form("example.org", true), Err(UrlError::Invalid));
        assert!(check_form("https://93.184.216.34/x", false).is_ok());
        assert!(check_form("https://[2606:2800:220:1::1]/", false).is_ok());
    }

    #[tokio::test]
    async fn a_name_that_leads_home_is_refused() {
        assert_eq!(check("http://localhost:8080", false).await, Err(UrlError::Private));
        assert!(check("http://localhost:8080", true).await.is_ok());
    }
}
