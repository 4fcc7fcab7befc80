//! From a checked target to a stream of bytes: name resolution, TCP, TLS.
//!
//! The TCP connection is made here rather than by the WebSocket library because that one leaves
//! Nagle's algorithm on, which costs up to 40 ms per event. Every address of a host is tried.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::TlsConnector;
use url::Host;

use crate::{
    error::{ConnectError, Stage},
    options::{Options, Target},
};

/// The longest deadline that is believed; keeps the clock from overflowing.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Anything that carries bytes both ways.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> ByteStream for T {}

/// The one deadline over all stages of connecting.
#[derive(Clone, Copy)]
pub(crate) struct Deadline {
    limit: Duration,
    at: Instant,
}

impl Deadline {
    pub(crate) fn after(limit: Duration) -> Deadline {
        Deadline {
            limit,
            at: Instant::now() + limit.min(LONGEST),
        }
    }

    /// Waits for one stage as long as there is time left.
    pub(crate) async fn wait<T>(
        &self,
        stage: Stage,
        work: impl Future<Output = T>,
    ) -> Result<T, ConnectError> {
        let late = |_| ConnectError::TimedOut {
            stage,
            limit: self.limit,
        };
        timeout_at(self.at, work).await.map_err(late)
    }

    fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }
}

/// Connects to the target, with TLS where its URL says so.
pub(crate) async fn dial(
    options: &Options,
    target: &Target,
    deadline: Deadline,
) -> Result<Box<dyn ByteStream>, ConnectError> {
    let tls = if target.secure {
        Some(options.needed_tls()?)
    } else {
        None
    };
    let addresses = deadline.wait(Stage::Resolving, resolve(target)).await??;
    let stream = connect_any(&addresses, deadline).await?;
    match tls {
        None => Ok(Box::new(stream)),
        Some(tls) => Ok(Box::new(
            deadline
                .wait(Stage::Tls, handshake(tls, options, target, stream))
                .await??,
        )),
    }
}

async fn resolve(target: &Target) -> Result<Vec<SocketAddr>, ConnectError> {
    let name = match &target.host {
        Host::Ipv4(address) => return Ok(vec![(*address, target.port).into()]),
        Host::Ipv6(address) => return Ok(vec![(*address, target.port).into()]),
        Host::Domain(name) => name,
    };
    let failed = |source| ConnectError::Resolve {
        host: name.clone(),
        source,
    };
    let found = lookup_host((name.as_str(), target.port))
        .await
        .map_err(failed)?;
    let addresses: Vec<SocketAddr> = found.collect();
    if addresses.is_empty() {
        return Err(failed(io::Error::new(
            io::ErrorKind::NotFound,
            "it has no address",
        )));
    }
    Ok(addresses)
}

/// Tries one address after the other, each with an equal share of the time that is left, so that
/// one that swallows packets does not use up the time of the next.
async fn connect_any(
    addresses: &[SocketAddr],
    deadline: Deadline,
) -> Result<TcpStream, ConnectError> {
    let late = ConnectError::TimedOut {
        stage: Stage::Tcp,
        limit: deadline.limit,
    };
    let mut last = late;
    for (index, address) in addresses.iter().enumerate() {
        let others = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let attempt = timeout(deadline.left() / others, connect_one(*address));
        match attempt.await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(source)) => {
                last = ConnectError::Tcp {
                    address: address.to_string(),
                    source,
                };
            }
            Err(_) => {
                last = ConnectError::TimedOut {
                    stage: Stage::Tcp,
                    limit: deadline.limit,
                }
            }
        }
    }
    Err(last)
}

async fn connect_one(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn handshake(
    tls: Arc<rustls::ClientConfig>,
    options: &Options,
    target: &Target,
    stream: TcpStream,
) -> Result<impl ByteStream + use<>, ConnectError> {
    let host = target.host.to_string();
    let failed = |source| ConnectError::Tls {
        host: host.clone(),
        source,
    };
    let name = match (&options.server_name, &target.host) {
        (None, Host::Ipv4(address)) => ServerName::from(IpAddr::V4(*address)),
        (None, Host::Ipv6(address)) => ServerName::from(IpAddr::V6(*address)),
        (Some(name), _) | (None, Host::Domain(name)) => ServerName::try_from(name.clone())
            .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?,
    };
    TlsConnector::from(tls)
        .connect(name, stream)
        .await
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_dead_address_does_not_keep_the_next_one_from_being_tried() {
        let dead = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let alive = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = [dead.local_addr().unwrap(), alive.local_addr().unwrap()];
        drop(dead);
        let deadline = Deadline::after(Duration::from_secs(20));
        let stream = connect_any(&addresses, deadline).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), addresses[1]);
        assert!(
            stream.nodelay().unwrap(),
            "small packets must not wait for earlier ones"
        );
    }
}
