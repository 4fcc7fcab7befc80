//! The limit row of the benchmark: the frames a Socket.IO client would send, made beforehand and
//! pushed through tokio-tungstenite, flushed every 128. No client can be faster on this library.
//!
//! It ends when the sink answered a WebSocket ping sent after the last event. It answers no
//! Engine.IO ping while it sends, so a run must be shorter than the sink's ping timeout.

use anyhow::{Context, Result, bail};
use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use measure::tls::server_name;
use measure::{Meter, PeerOptions, first_events};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};

const FLUSH_EVERY: u64 = 128;
const BARRIER: &[u8] = b"last";

/// A TCP connection or a TLS one over it. Not boxed: the plain row stays the plain limit.
trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = PeerOptions::parse();
    let address = options.address()?;
    let stream = TcpStream::connect(address)
        .await
        .context("cannot reach the sink")?;
    stream.set_nodelay(true)?;
    match options.tls()? {
        None => run(stream, &options).await,
        Some(tls) => {
            let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
            let connector = TlsConnector::from(tls);
            let stream = connector.connect(server_name(host)?, stream).await?;
            run(stream, &options).await
        }
    }
}

async fn run(stream: impl Stream, options: &PeerOptions) -> Result<()> {
    let frames: Vec<Utf8Bytes> = first_events(&options.events, options.distinct)?
        .into_iter()
        .map(|event| Utf8Bytes::from(format!("42[\"{}\",{event}]", options.name)))
        .collect();
    let mut socket = open(stream, options.address()?).await?;
    let meter = Meter::start();
    send(&mut socket, &frames, options.count).await?;
    meter.print("raw-tungstenite", options.count)?;
    socket.close(None).await?;
    Ok(())
}

async fn open<S: Stream>(stream: S, address: &str) -> Result<WebSocketStream<S>> {
    let upgrade = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
    let (mut socket, _) = tokio_tungstenite::client_async(upgrade, stream).await?;
    expect(&mut socket, "0{").await?;
    socket.send(Message::text("40")).await?;
    expect(&mut socket, "40").await?;
    Ok(socket)
}

async fn expect(socket: &mut WebSocketStream<impl Stream>, start: &str) -> Result<()> {
    match socket.next().await {
        Some(Ok(Message::Text(text))) if text.starts_with(start) => Ok(()),
        other => bail!("expected a packet that starts with {start}, got {other:?}"),
    }
}

async fn send(
    socket: &mut WebSocketStream<impl Stream>,
    frames: &[Utf8Bytes],
    count: u64,
) -> Result<()> {
    let mut unflushed = 0;
    for frame in frames.iter().cycle().take(usize::try_from(count)?) {
        socket.feed(Message::Text(frame.clone())).await?;
        unflushed += 1;
        if unflushed == FLUSH_EVERY {
            socket.flush().await?;
            unflushed = 0;
        }
    }
    socket
        .send(Message::Ping(Bytes::from_static(BARRIER)))
        .await?;
    loop {
        match socket
            .next()
            .await
            .context("the sink closed the connection")??
        {
            Message::Pong(payload) if payload == BARRIER => return Ok(()),
            _ => {}
        }
    }
}
