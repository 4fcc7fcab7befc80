//! Posts events to a webhook at a steady rate, one event per request, each stamped with the time
//! of sending in microseconds, so that the sink can say how long it had been under way.
//!
//! Requests go over keep-alive connections, each of which waits for its answer. A connection that
//! is late sends at once, so the rate holds as long as the receiver keeps up; what was really
//! reached is printed.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

#[derive(Debug, Clone, Parser)]
#[command(about = "Posts events to a webhook at a steady rate")]
struct Options {
    /// Where the webhook listens.
    #[arg(long)]
    address: SocketAddr,
    /// The path of the webhook.
    #[arg(long, default_value = "/events")]
    path: String,
    /// Events a second, over all connections.
    #[arg(long)]
    rate: u32,
    /// How long to post.
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// How many connections.
    #[arg(long, default_value_t = 16)]
    connections: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = Options::parse();
    ensure!(options.connections > 0 && options.rate > 0, "nothing to do");
    let started = Instant::now();
    let mut posters = JoinSet::new();
    for number in 0..options.connections {
        posters.spawn(post(options.clone(), number, started));
    }
    while let Some(posted) = posters.join_next().await {
        posted??;
    }
    let seconds = started.elapsed().as_secs_f64();
    let posted = options.rate * options.seconds;
    let summary = json!({
        "posted": posted,
        "seconds": seconds,
        "rate": f64::from(posted) / seconds,
    });
    println!("{summary}");
    Ok(())
}

/// Posts every `connections`th event, beginning with `number`.
async fn post(options: Options, number: u32, started: Instant) -> Result<()> {
    let mut stream = BufReader::new(TcpStream::connect(options.address).await?);
    stream.get_ref().set_nodelay(true)?;
    let gap = Duration::from_secs(1) / options.rate;
    let all = options.rate * options.seconds;
    for event in (number..all).step_by(options.connections as usize) {
        tokio::time::sleep_until(started + gap * event).await;
        let body = body(event)?;
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            options.path,
            options.address,
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).await?;
        let status = answer(&mut stream).await?;
        ensure!(
            (200..300).contains(&status),
            "the webhook answered {status}"
        );
    }
    Ok(())
}

/// An event of about 600 bytes, stamped with the time of now.
fn body(number: u32) -> Result<String> {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
    let event: Value = json!({
        "id": format!("00000000-0000-4000-8000-{number:012}"),
        "time": u64::try_from(micros)?,
        "type": "LOGIN",
        "realmId": "40ce3e08-6f5b-4c5e-9a44-0f1c8f6f0d11",
        "realmName": "demo",
        "clientId": "web-shop",
        "userId": format!("f2241e30-0000-4000-8000-{:012}", number % 1000),
        "sessionId": format!("723fab1d-0000-4000-8000-{:012}", number % 1000),
        "ipAddress": "203.0.113.27",
        "error": null,
        "details": {
            "auth_method": "openid-connect",
            "auth_type": "code",
            "redirect_uri": "https://shop.example.com/callback?continue=checkout",
            "consent": "no_consent_required",
            "code_id": format!("723fab1d-0000-4000-8000-{:012}", number % 1000),
            "username": format!("user-{}", number % 1000),
        },
    });
    Ok(event.to_string())
}

/// Reads one answer to its end and returns its status.
async fn answer(stream: &mut BufReader<TcpStream>) -> Result<u16> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        bail!("the webhook closed the connection");
    }
    let status = line.split(' ').nth(1).context("no status line")?.parse()?;
    let mut length = 0;
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(status)
}
