//! Asking a server by another name than that of its host.
//!
//! The HTTP library takes the name for the TLS handshake (SNI, RFC 6066) from the URL. So the URL
//! gets the server's name, the `Host` header keeps what it would have been, and the lookup of the
//! server's name gives the addresses of the host.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// A request to a host that goes by another name.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// The URL with the other name in it.
    pub(super) url: Url,
    /// The value of the `Host` header.
    pub(super) authority: String,
    /// What is connected to.
    pub(super) host: Host,
}

impl Target {
    /// `None` if the request can be made as it is: it is not encrypted, or the server goes by an
    /// address, for which no server is ever asked.
    pub(super) fn new(url: &Url, server_name: &str) -> Option<Target> {
        if url.scheme() != "https" || !matches!(Host::parse(server_name), Ok(Host::Domain(_))) {
            return None;
        }
        let host = url.host()?.to_owned();
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_string(),
        };
        let mut url = url.clone();
        url.set_host(Some(server_name)).ok()?;
        Some(Target {
            url,
            authority,
            host,
        })
    }

    /// Has every name lead to the host.
    pub(super) fn resolver(&self) -> Arc<HostOnly> {
        Arc::new(HostOnly(self.host.clone()))
    }
}

/// Looks up one host, whatever name is asked for.
#[derive(Debug)]
pub(super) struct HostOnly(Host);

impl Resolve for HostOnly {
    fn resolve(&self, _name: Name) -> Resolving {
        let host = self.0.clone();
        Box::pin(async move {
            let addresses = look_up(host).await?;
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

/// The port is the library's to choose.
async fn look_up(host: Host) -> io::Result<Vec<SocketAddr>> {
    match host {
        Host::Ipv4(address) => Ok(vec![(address, 0).into()]),
        Host::Ipv6(address) => Ok(vec![(address, 0).into()]),
        Host::Domain(name) => Ok(tokio::net::lookup_host((name, 0)).await?.collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str, server_name: &str) -> Option<(String, String, String)> {
        let target = Target::new(&url.parse().unwrap(), server_name)?;
        Some((target.url.into(), target.authority, target.host.to_string()))
    }

    #[test]
    fn the_url_gets_the_name_and_the_header_keeps_the_host() {
        for (url, expected) in [
            ("https://host/a?b=c", ("https://name/a?b=c", "host", "host")),
            ("https://host:443/", ("https://name/", "host", "host")),
            (
                "https://host:8443/",
                ("https://name:8443/", "host:8443", "host"),
            ),
            (
                "https://[::1]:8443/",
                ("https://name:8443/", "[::1]:8443", "[::1]"),
            ),
            (
                "https://127.0.0.1/",
                ("https://name/", "127.0.0.1", "127.0.0.1"),
            ),
        ] {
            let (url_part, authority, host) = target(url, "name").unwrap();
            assert_eq!(
                (url_part.as_str(), authority.as_str(), host.as_str()),
                expected
            );
        }
    }

    #[test]
    fn what_needs_no_other_name_stays_as_it_is() {
        assert_eq!(target("http://host/", "name"), None);
        assert_eq!(target("https://host/", "127.0.0.1"), None);
        assert_eq!(target("https://host/", "::1"), None);
    }

    #[tokio::test]
    async fn every_name_leads_to_the_host() {
        for (host, expected) in [
            ("https://127.0.0.2/", "127.0.0.2:0"),
            ("https://[::1]/", "[::1]:0"),
        ] {
            let target = Target::new(&host.parse().unwrap(), "name").unwrap();
            let name = "elsewhere.example".parse().unwrap();
            let found: Vec<_> = target.resolver().resolve(name).await.unwrap().collect();
            assert_eq!(found, [expected.parse().unwrap()]);
        }
        let local = Target::new(&"https://localhost/".parse().unwrap(), "name").unwrap();
        let name = "elsewhere.example".parse().unwrap();
        let mut found = local.resolver().resolve(name).await.unwrap();
        assert!(found.all(|address| address.ip().is_loopback()));
    }
}
