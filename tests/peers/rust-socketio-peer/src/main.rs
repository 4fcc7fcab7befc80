//! The `rust_socketio` client as a row of the benchmark. It gets the events as parsed values, its
//! quickest way in, and clones each, because it takes its payloads by value.
//!
//! It ends when the sink acknowledged the last event, which the sink does in order.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use measure::{Meter, PeerOptions, first_events};
use rust_socketio::asynchronous::{Client, ClientBuilder};
use rust_socketio::{Payload, TransportType};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::timeout;

const ANSWER_WITHIN: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> Result<()> {
    let options = PeerOptions::parse();
    let events: Vec<Value> = first_events(&options.events, options.distinct)?
        .iter()
        .map(|event| serde_json::from_str(event))
        .collect::<Result<_, _>>()?;
    let client = connect(&options.url).await?;
    let meter = Meter::start();
    send(&client, &options.name, &events, options.count).await?;
    meter.print("rust_socketio", options.count)?;
    client.disconnect().await?;
    Ok(())
}

async fn connect(url: &str) -> Result<Client> {
    let opened = Arc::new(Notify::new());
    let open = Arc::clone(&opened);
    let client = ClientBuilder::new(url)
        .transport_type(TransportType::Websocket)
        .reconnect(false)
        .on("open", move |_, _| {
            let open = Arc::clone(&open);
            Box::pin(async move { open.notify_one() })
        })
        .connect()
        .await?;
    timeout(ANSWER_WITHIN, opened.notified())
        .await
        .context("the sink did not accept")?;
    Ok(client)
}

async fn send(client: &Client, name: &str, events: &[Value], count: u64) -> Result<()> {
    let (last, before) = (usize::try_from(count)? - 1, events.iter().cycle());
    for event in before.take(last) {
        client
            .emit(name, Payload::Text(vec![event.clone()]))
            .await?;
    }
    let answered = Arc::new(Notify::new());
    let answer = Arc::clone(&answered);
    let event = Payload::Text(vec![events[last % events.len()].clone()]);
    client
        .emit_with_ack(name, event, ANSWER_WITHIN, move |_, _| {
            let answer = Arc::clone(&answer);
            Box::pin(async move { answer.notify_one() })
        })
        .await?;
    timeout(ANSWER_WITHIN, answered.notified())
        .await
        .context("the last event had no answer")?;
    Ok(())
}
