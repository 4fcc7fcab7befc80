//! The server that handshakes are made with: rustls, and as little as possible after it.

use std::future::pending;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use measure::tls::{self, Sessions};
use rustls::ServerConfig;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::Certificates;

/// More than clients ever open at once.
const AT_ONCE: usize = 32;
const ANSWER: &[u8] = b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n";
/// A client that takes longer is dropped.
const PATIENCE: Duration = Duration::from_secs(10);

/// The command line of `serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) certificates: Certificates,
    /// Demand a certificate of clients.
    #[arg(long)]
    pub(crate) mutual: bool,
    /// Give out nothing that a session could be resumed with.
    #[arg(long)]
    pub(crate) full: bool,
}

/// Prints its port and serves until the process is ended.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let server = Server::bind(options).await?;
    println!("{}", json!({ "port": server.port()? }));
    let _running = server.start();
    pending().await
}

/// Listens.
pub(crate) struct Server {
    listener: Arc<TcpListener>,
    acceptor: TlsAcceptor,
}

impl Server {
    pub(crate) async fn bind(options: &Options) -> Result<Server> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Ok(Server {
            listener: Arc::new(listener),
            acceptor: TlsAcceptor::from(Arc::new(config(options)?)),
        })
    }

    pub(crate) fn port(&self) -> io::Result<u16> {
        Ok(self.listener.local_addr()?.port())
    }

    /// Serves for as long as what is returned lives. Each task takes one client after the other,
    /// which is cheaper than a task for each client.
    pub(crate) fn start(self) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for _ in 0..AT_ONCE {
            tasks.spawn(take_clients(
                Arc::clone(&self.listener),
                self.acceptor.clone(),
            ));
        }
        tasks
    }
}

fn config(options: &Options) -> Result<ServerConfig> {
    let authority = options.certificates.authority();
    let clients = options.mutual.then_some(authority.as_path());
    let sessions = if options.full {
        Sessions::New
    } else {
        Sessions::Resumable
    };
    tls::server(options.certificates.server().identity(), clients, sessions)
}

async fn take_clients(listener: Arc<TcpListener>, acceptor: TlsAcceptor) {
    loop {
        let served = match listener.accept().await {
            Ok((stream, _)) => timeout(PATIENCE, serve(stream, &acceptor)).await,
            Err(error) => Ok(Err(error)),
        };
        match served {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("handshakes: a client: {error}"),
            Err(_) => eprintln!("handshakes: a client took too long"),
        }
    }
}

async fn serve(stream: TcpStream, acceptor: &TlsAcceptor) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = acceptor.accept(stream).await?;
    let mut request = [0; 1024];
    if stream.read(&mut request).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    stream.write_all(ANSWER).await?;
    stream.shutdown().await?;
    // What the client says after the end is not looked at; but were it still unread when the
    // socket closes, the kernel would reset the connection. `openssl s_time` resets it itself.
    let mut socket = stream.into_inner().0;
    while socket.read(&mut request).await.is_ok_and(|count| count > 0) {}
    Ok(())
}
