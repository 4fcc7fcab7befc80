//! What no good server does: listeners that are silent, or that are something else altogether.

use std::io;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

const WEB_PAGE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 24\r\n\
    Connection: close\r\n\r\n<h1>It works, really</h1>";

/// A listener on a free port.
pub struct Fake {
    port: u16,
    task: JoinHandle<()>,
}

impl Fake {
    /// Takes connections and whatever comes over them, and never says anything.
    ///
    /// # Errors
    ///
    /// There is no free port.
    pub async fn silent() -> Result<Fake> {
        Fake::start(None).await
    }

    /// Answers every request with a web page, as most servers on the wrong port do.
    ///
    /// # Errors
    ///
    /// There is no free port.
    pub async fn web_page() -> Result<Fake> {
        Fake::start(Some(WEB_PAGE)).await
    }

    async fn start(answer: Option<&'static [u8]>) -> Result<Fake> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, answer));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Fake { port, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Ends it and gives the port back.
    pub async fn stop(mut self) {
        self.task.abort();
        // It was just cancelled, which is what this returns.
        let _cancelled = (&mut self.task).await;
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A port on which nobody listens.
///
/// # Errors
///
/// There is no free port.
pub fn unused_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?
        .local_addr()?
        .port())
}

async fn serve(mut stream: TcpStream, answer: Option<&[u8]>) -> io::Result<()> {
    let mut buffer = [0; 4096];
    let mut request = Vec::new();
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            length => request.extend_from_slice(&buffer[..length]),
        }
        if let Some(answer) = answer
            && request.windows(4).any(|window| window == b"\r\n\r\n")
        {
            stream.write_all(answer).await?;
            return stream.shutdown().await;
        }
        request.drain(..request.len().saturating_sub(4096));
    }
}
