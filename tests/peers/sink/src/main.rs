//! The receiving end of the benchmarks: a Socket.IO server that understands just enough to keep
//! clients content, counts what arrives, and costs so little CPU that the sender is what is
//! measured.
//!
//! It prints {"port":N} once it listens. On the same port it answers over HTTP: `GET /health`,
//! `GET /count`, `GET /summary`, `POST /reset`, `POST /stop`. When it is stopped (or gets
//! SIGTERM) it prints its summary as one line of JSON and ends with status 0.
//!
//! It serves WebSocket only and the namespace `/` only; any other is refused, which is what makes
//! a CONNECT to an unknown namespace a barrier. WebSocket pings and acknowledgements are answered
//! in order with the events.
//!
//! With a certificate and its key it serves WebSockets over TLS and refuses plain ones, so that
//! nothing that should be encrypted goes unnoticed; the HTTP requests above may stay plain.

mod control;
mod frames;
mod packets;
mod server;
mod session;
mod stream;
mod totals;

use std::io::Write;
use std::path::PathBuf;
use std::sync::mpsc;

use anyhow::Result;
use clap::Parser;

use crate::server::Server;

/// A Socket.IO server that only counts.
#[derive(Parser, Clone)]
pub(crate) struct Options {
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Milliseconds between the server's pings.
    #[arg(long, default_value_t = 25_000)]
    ping_interval: u64,
    /// Milliseconds that clients may take to answer one; only told to them, not enforced.
    #[arg(long, default_value_t = 20_000)]
    ping_timeout: u64,
    /// The `maxPayload` told to clients, in bytes.
    #[arg(long, default_value_t = 1_000_000)]
    max_payload: u64,
    /// Measure latency: the name of a JSON field that holds the time of sending since 1970, in
    /// milliseconds, or in microseconds when it has 16 digits or more.
    #[arg(long)]
    latency: Option<String>,
    /// Serve TLS with this certificate: PEM, its chain after it.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of the certificate: PEM, not encrypted.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

fn main() -> Result<()> {
    let server = Server::bind(Options::parse())?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", serde_json::json!({ "port": server.port()? }))?;
    let (stop, stopped) = mpsc::sync_channel(1);
    let signal = stop.clone();
    ctrlc::set_handler(move || _ = signal.try_send(()))?;
    let totals = server.run(stop, &stopped)?;
    // Whoever stopped the sink may have stopped listening to it as well; that is no failure.
    let _ = writeln!(out, "{}", totals.summary());
    Ok(())
}
