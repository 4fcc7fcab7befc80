//! Times the TLS of kete (`kete_credentials::tls`) with plain rustls beside it.
//!
//!   handshakes serve …      the other end; prints {"port":N} once it listens
//!   handshakes connect …    connects again and again, and prints a row as the other peers do
//!   handshakes bundle …     loads a bundle of certificates again and again, and prints medians
//!
//! Client and server run on one thread each, so that a row says what one core does. A turn is what
//! `openssl s_time -www` does: TCP, TLS handshake, a request of one line, its answer, and the end
//! of both. Without the answer a TLS 1.3 client would never see its tickets (RFC 8446, section
//! 4.6.1), and could resume nothing.

mod bundle;
mod connect;
mod kete;
mod serve;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Parser;
use measure::tls::Identity;

/// The host that the servers' certificates are for.
const HOST: &str = "localhost";

#[derive(Parser)]
enum Command {
    /// Serve TLS.
    Serve(serve::Options),
    /// Measure handshakes.
    Connect(connect::Options),
    /// Measure how long certificates take to load.
    Bundle(bundle::Options),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    match Command::parse() {
        Command::Serve(options) => serve::run(&options).await,
        Command::Connect(options) => connect::run(&options).await,
        Command::Bundle(options) => bundle::run(&options),
    }
}

/// What `tests/certificates/make` made.
#[derive(Debug, Clone, clap::Args)]
struct Certificates {
    /// The directory that `tests/certificates/make` filled.
    #[arg(long = "certificates", value_name = "DIR")]
    directory: PathBuf,
}

/// A certificate with its chain, and its key.
struct Files {
    certificates: PathBuf,
    key: PathBuf,
}

impl Certificates {
    fn authority(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    fn server(&self) -> Files {
        Files::named(&self.directory.join("servers"), "good")
    }

    fn client(&self) -> Files {
        Files::named(&self.directory.join("clients"), "p256")
    }
}

impl Files {
    fn named(directory: &Path, name: &str) -> Files {
        Files {
            certificates: directory.join(format!("{name}.pem")),
            key: directory.join(format!("{name}.key")),
        }
    }

    fn identity(&self) -> Identity<'_> {
        Identity {
            certificates: &self.certificates,
            key: &self.key,
        }
    }
}
