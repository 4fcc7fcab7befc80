//! How many events a second one connection carries, and what an event costs this process.
//!
//! `client` sends as a forwarder does: batches of 256 events of 600 bytes, a barrier after each,
//! at most 4,096 events unconfirmed. `raw` is the limit: the same frames through the WebSocket
//! library alone, flushed every 128 frames, with one ping at the end.
//!
//! ```text
//! cargo run --release -p kete-socketio --example throughput -- http://127.0.0.1:3999 1000000 client
//! ```

use std::{
    env,
    error::Error,
    fs,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use kete_socketio::{BarrierKind, Emit, EventName, Notification, Options, connect};
use tokio::net::TcpStream;
use tokio_tungstenite::{client_async, tungstenite::Message};

type AnyError = Box<dyn Error + Send + Sync>;

const PACKET: usize = 600;
const BATCH: u64 = 256;
const WINDOW: u64 = 4096;
const RAW_FLUSH: u64 = 128;

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let mut arguments = env::args().skip(1);
    let url = arguments
        .next()
        .ok_or("usage: throughput URL [EVENTS] [client|raw]")?;
    let events = arguments
        .next()
        .map_or(Ok(1_000_000), |count| count.parse())?;
    let mode = arguments.next().unwrap_or_else(|| "client".to_owned());
    let (elapsed, processor) = match mode.as_str() {
        "raw" => raw(&url, events).await?,
        _ => client(&url, events).await?,
    };
    println!(
        "{mode}: {events} events in {:.3} s, {:.0} events/s, {:.2} us CPU per event, {} kB peak",
        elapsed.as_secs_f64(),
        events as f64 / elapsed.as_secs_f64(),
        processor.as_secs_f64() * 1e6 / events as f64,
        peak_kilobytes()?
    );
    Ok(())
}

async fn client(url: &str, events: u64) -> Result<(Duration, Duration), AnyError> {
    let (sender, mut receiver) = connect(&Options::new(url.parse()?)).await?;
    let name = EventName::new("event")?;
    let payloads: Vec<Bytes> = payloads(r#"42["event",]"#.len());
    let (started, processor) = (Instant::now(), processor_time()?);
    let (mut sent, mut confirmed) = (0, 0);
    while confirmed < events {
        while sent < events && sent + BATCH <= confirmed + WINDOW {
            let until = events.min(sent + BATCH);
            let emit = |number: u64| Emit {
                name: name.clone(),
                payload: payloads[number as usize % payloads.len()].clone(),
                ack: None,
            };
            sender.send((sent..until).map(emit).collect())?;
            sender.barrier(BarrierKind::Ping, until)?;
            sent = until;
        }
        match receiver.next().await {
            Some(Notification::Barrier(through)) => confirmed = through,
            other => return Err(format!("no barrier but {other:?}").into()),
        }
    }
    let spent = (started.elapsed(), processor_time()? - processor);
    sender.close();
    while receiver.next().await.is_some() {}
    Ok(spent)
}

async fn raw(url: &str, events: u64) -> Result<(Duration, Duration), AnyError> {
    let url = url::Url::parse(url)?;
    let addresses = url.socket_addrs(|| Some(80))?;
    let stream = TcpStream::connect(&*addresses).await?;
    stream.set_nodelay(true)?;
    let request = format!("ws://{}/socket.io/?EIO=4&transport=websocket", addresses[0]);
    let (mut socket, _) = client_async(request, stream).await?;
    socket.next().await.ok_or("no open packet")??;
    socket.send(Message::text("40")).await?;
    socket.next().await.ok_or("no answer to CONNECT")??;
    let frames: Vec<Message> = payloads(r#"42["event",]"#.len())
        .iter()
        .map(|payload| {
            let payload = String::from_utf8_lossy(payload);
            Message::text(format!(r#"42["event",{payload}]"#))
        })
        .collect();
    let (started, processor) = (Instant::now(), processor_time()?);
    for number in 0..events {
        socket
            .feed(frames[number as usize % frames.len()].clone())
            .await?;
        if number % RAW_FLUSH == RAW_FLUSH - 1 {
            socket.flush().await?;
        }
    }
    socket.send(Message::Ping(Bytes::new())).await?;
    while !matches!(socket.next().await.ok_or("no pong")??, Message::Pong(_)) {}
    Ok((started.elapsed(), processor_time()? - processor))
}

/// Different payloads of the size that fills a packet, with so much around them.
fn payloads(around: usize) -> Vec<Bytes> {
    let payload = |number: usize| {
        let start = format!(r#"{{"number":{},"filler":""#, 1_000_000 + number);
        let filler = "x".repeat(PACKET - around - start.len() - 2);
        Bytes::from(format!("{start}{filler}\"}}"))
    };
    (0..1000).map(payload).collect()
}

/// User and system time of this process, from `/proc/self/stat`; a tick is 10 ms on Linux.
fn processor_time() -> Result<Duration, AnyError> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |index: usize| -> Result<u64, AnyError> { Ok(fields[index].parse()?) };
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
}

fn peak_kilobytes() -> Result<u64, AnyError> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    Ok(line
        .unwrap_or_default()
        .trim()
        .trim_end_matches(" kB")
        .parse()?)
}
