//! A socketioxide server that records what it receives, for the whole-system tests.
//!
//! It prints one line, {"port":N}, once it listens, and answers on the same port over HTTP:
//! `GET /health`, `GET /events?limit=N`, `GET /count`, `GET /summary`, `POST /reset`. Options,
//! record file and answers are those of the Node recorder in tests/servers/node, as far as they
//! exist here. SIGTERM closes every connection properly and ends with status 0.

mod control;
mod receive;
mod record;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use socketioxide::SocketIo;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::receive::Receiver;
use crate::record::Record;

/// Answers to one client that may wait; a smaller number than a client has events under way
/// would make socketioxide drop acknowledgements.
const ANSWERS_WAITING: usize = 65_536;

/// A Socket.IO server that records what it receives.
#[derive(Parser, Clone)]
pub(crate) struct Options {
    /// Port on 127.0.0.1; 0 takes a free one and says which.
    #[arg(long, env = "RECORDER_PORT", default_value_t = 0)]
    port: u16,
    /// File that gets one JSON line per event; it is appended to.
    #[arg(long, env = "RECORDER_RECORD")]
    record: Option<PathBuf>,
    /// How many recent events `GET /events` can show.
    #[arg(long, env = "RECORDER_KEEP", default_value_t = 20_000)]
    keep: usize,
    /// Milliseconds.
    #[arg(long, env = "RECORDER_PING_INTERVAL", default_value_t = 25_000)]
    ping_interval: u64,
    /// Milliseconds.
    #[arg(long, env = "RECORDER_PING_TIMEOUT", default_value_t = 20_000)]
    ping_timeout: u64,
    /// Bytes; advertised to clients as maxPayload.
    #[arg(
        long,
        env = "RECORDER_MAX_HTTP_BUFFER_SIZE",
        default_value_t = 1_000_000
    )]
    max_http_buffer_size: u64,
    /// Engine.IO path.
    #[arg(long, env = "RECORDER_PATH", default_value = "/socket.io/")]
    path: String,
    /// Comma list; every other namespace is refused.
    #[arg(
        long,
        env = "RECORDER_NAMESPACES",
        default_value = "/",
        value_delimiter = ','
    )]
    namespaces: Vec<String>,
    /// Required in auth.token or as `Authorization: Bearer`; empty: none.
    #[arg(long, env = "RECORDER_TOKEN", default_value = "")]
    token: String,
    /// How a wrong token is refused.
    #[arg(
        long,
        env = "RECORDER_TOKEN_CHECK",
        value_enum,
        default_value = "connect-error"
    )]
    token_check: TokenCheck,
    /// What is acknowledged.
    #[arg(long, env = "RECORDER_ACK", value_enum, default_value = "none")]
    ack: Acknowledge,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TokenCheck {
    /// By a Socket.IO CONNECT_ERROR.
    ConnectError,
    /// By the HTTP status of the upgrade.
    #[value(name = "401")]
    Unauthorized,
    /// By the HTTP status of the upgrade.
    #[value(name = "403")]
    Forbidden,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Acknowledge {
    /// Nothing, as stock servers.
    None,
    /// An event is written and synced to the disk before it is acknowledged.
    AfterWrite,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let options = Options::parse();
    let record = Arc::new(Record::open(options.record.as_deref(), options.keep)?);
    let receiver = Receiver::start(&options, Arc::clone(&record));
    let (layer, io) = SocketIo::builder()
        .req_path(options.path.trim_end_matches('/').to_owned())
        .ping_interval(Duration::from_millis(options.ping_interval))
        .ping_timeout(Duration::from_millis(options.ping_timeout))
        .max_payload(options.max_http_buffer_size)
        .max_buffer_size(ANSWERS_WAITING)
        .build_layer();
    for namespace in &options.namespaces {
        receiver.serve(&io, namespace.trim());
    }
    let router = control::router(record, io.clone()).layer(layer);
    let router = control::guard(router, &options);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
    println!(
        "{}",
        serde_json::json!({ "port": listener.local_addr()?.port() })
    );
    axum::serve(listener, router)
        .with_graceful_shutdown(stopped(io))
        .await?;
    receiver.finish();
    Ok(())
}

async fn stopped(io: SocketIo) {
    let (Ok(mut term), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    io.close().await;
}
