//! The client: connects again and again, and counts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use kete_credentials::tls::Tls;
use measure::{Meter, tls};
use rustls::{ClientConfig, HandshakeKind, version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::{Certificates, HOST, kete};

const REQUEST: &[u8] = b"GET / HTTP/1.0\r\n\r\n";
/// Before the clock starts: the sessions that will be resumed, and the processor's clock rate.
const WARM_UP: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(10);

/// The command line of `connect`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) certificates: Certificates,
    /// Where `serve` listens.
    #[arg(long)]
    pub(crate) address: SocketAddr,
    /// Whose TLS configuration is used.
    #[arg(long)]
    pub(crate) client: Whose,
    /// The only version of TLS to offer.
    #[arg(long)]
    pub(crate) tls: Version,
    /// Show a certificate.
    #[arg(long)]
    pub(crate) mutual: bool,
    /// The server gives out nothing to resume; else every handshake must have been a resumption.
    #[arg(long)]
    pub(crate) full: bool,
    /// How long to connect.
    #[arg(long, default_value_t = 1.5)]
    pub(crate) seconds: f64,
    /// Connections at a time, so that this core has work while the server's has.
    #[arg(long, default_value_t = 4)]
    pub(crate) at_once: usize,
}

/// Whose TLS configuration is used.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Whose {
    /// `kete_credentials`, asked anew for each connection, as kete does.
    Kete,
    /// rustls without anything around it.
    Rustls,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Version {
    /// RFC 5246.
    #[value(name = "1.2")]
    Tls12,
    /// RFC 8446.
    #[value(name = "1.3")]
    Tls13,
}

/// Where the configuration of a connection comes from.
#[derive(Clone)]
enum Configuration {
    Kete(Tls),
    Rustls(Arc<ClientConfig>),
}

/// Prints a row whose events are handshakes.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let client = Client::new(options)?;
    client.connect_for(WARM_UP, None).await?;
    let meter = Meter::start();
    let seconds = Duration::from_secs_f64(options.seconds);
    let made = client.connect_for(seconds, Some(options.expected()));
    meter.print(options.client.name(), made.await?)
}

#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    configuration: Configuration,
    at_once: usize,
}

impl Client {
    pub(crate) fn new(options: &Options) -> Result<Client> {
        Ok(Client {
            address: options.address,
            configuration: Configuration::new(options)?,
            at_once: options.at_once,
        })
    }

    /// Connects until the time is over, and says how often. `expected` is what every handshake
    /// must have been.
    pub(crate) async fn connect_for(
        &self,
        time: Duration,
        expected: Option<HandshakeKind>,
    ) -> Result<u64> {
        let deadline = Instant::now() + time;
        let mut tasks = JoinSet::new();
        for _ in 0..self.at_once {
            let client = self.clone();
            tasks.spawn(async move { client.connect_until(deadline, expected).await });
        }
        let mut made = 0;
        while let Some(ended) = tasks.join_next().await {
            made += ended??;
        }
        Ok(made)
    }

    async fn connect_until(
        &self,
        deadline: Instant,
        expected: Option<HandshakeKind>,
    ) -> Result<u64> {
        let mut made = 0;
        while Instant::now() < deadline {
            let late = "the server took too long";
            let kind = timeout(PATIENCE, self.connect()).await.context(late)??;
            let matches = expected.is_none_or(|expected| expected == kind);
            ensure!(matches, "a handshake was {kind:?}, not {expected:?}");
            made += 1;
        }
        Ok(made)
    }

    /// One turn, from the connection to its end.
    pub(crate) async fn connect(&self) -> Result<HandshakeKind> {
        let config = self.configuration.for_a_connection().await;
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let name = tls::server_name(HOST)?;
        let mut stream = TlsConnector::from(config).connect(name, stream).await?;
        stream.write_all(REQUEST).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        ensure!(answer.starts_with(b"HTTP/1.0 200"), "a strange answer");
        let kind = stream.get_ref().1.handshake_kind();
        kind.context("the handshake never ended")
    }
}

impl Configuration {
    fn new(options: &Options) -> Result<Configuration> {
        let Options {
            certificates,
            mutual,
            tls: version,
            ..
        } = options;
        Ok(match options.client {
            Whose::Kete => {
                Configuration::Kete(kete::client(certificates, version.name(), *mutual)?)
            }
            Whose::Rustls => {
                let (authority, files) = (certificates.authority(), certificates.client());
                let identity = mutual.then(|| files.identity());
                let config = tls::client(&authority, identity, &[version.rustls()])?;
                Configuration::Rustls(Arc::new(config))
            }
        })
    }

    async fn for_a_connection(&self) -> Arc<ClientConfig> {
        match self {
            Configuration::Kete(tls) => tls.config().await,
            Configuration::Rustls(config) => Arc::clone(config),
        }
    }
}

impl Options {
    pub(crate) fn expected(&self) -> HandshakeKind {
        if self.full {
            HandshakeKind::Full
        } else {
            HandshakeKind::Resumed
        }
    }
}

impl Whose {
    fn name(self) -> &'static str {
        match self {
            Whose::Kete => "kete",
            Whose::Rustls => "rustls",
        }
    }
}

impl Version {
    fn name(self) -> &'static str {
        match self {
            Version::Tls12 => "1.2",
            Version::Tls13 => "1.3",
        }
    }

    fn rustls(self) -> &'static rustls::SupportedProtocolVersion {
        match self {
            Version::Tls12 => &version::TLS12,
            Version::Tls13 => &version::TLS13,
        }
    }
}
