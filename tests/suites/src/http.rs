//! HTTP from the outside: a client without surprises, and raw requests that no client would send.

use anyhow::{Context, Result};
use reqwest::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::eventually::{PATIENCE, soon};

/// A client that takes no proxy from the environment and gives up some time. Every test needs its
/// own, because connections belong to the runtime of the test.
///
/// # Errors
///
/// TLS cannot be set up.
pub fn client() -> Result<Client> {
    // Another test may have been first.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .context("no HTTP client")
}

/// Sends these bytes as a request, says that no more will come, and returns what is answered.
///
/// # Errors
///
/// There is nobody, or nothing happens in time.
pub async fn post_raw(port: u16, request: &[u8]) -> Result<String> {
    let exchange = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(request).await?;
        stream.shutdown().await?;
        let mut answer = Vec::new();
        // A server that has enough may also break off, which says as much as an answer.
        let _end = stream.read_to_end(&mut answer).await;
        anyhow::Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    soon("an answer to a raw request", exchange).await?
}
