//! kete's Socket.IO client alone, as a row of the benchmark: it sends as a lane does, in batches
//! with a barrier after each and at most 4,096 events unconfirmed.

use anyhow::{Result, bail};
use clap::Parser;
use kete_socketio::{BarrierKind, Emit, EventName, Notification, Options, connect};
use measure::{Meter, PeerOptions, first_events};

const BATCH: u64 = 256;
const WINDOW: u64 = 4096;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let options = PeerOptions::parse();
    let name = EventName::new(&options.name)?;
    let emits: Vec<Emit> = first_events(&options.events, options.distinct)?
        .into_iter()
        .map(|event| Emit {
            name: name.clone(),
            payload: event.into(),
            ack: None,
        })
        .collect();
    let mut server = Options::new(options.url.parse()?);
    server.tls = options.tls()?;
    let (sender, mut receiver) = connect(&server).await?;
    let meter = Meter::start();
    let mut events = emits.iter().cycle();
    let (mut sent, mut confirmed) = (0, 0);
    while confirmed < options.count {
        while sent < options.count && sent + BATCH <= confirmed + WINDOW {
            let count = BATCH.min(options.count - sent);
            let batch = events.by_ref().take(usize::try_from(count)?).cloned();
            sender.send(batch.collect())?;
            sent += count;
            sender.barrier(BarrierKind::Ping, sent)?;
        }
        match receiver.next().await {
            Some(Notification::Barrier(through)) => confirmed = through,
            other => bail!("expected the answer to a barrier, got {other:?}"),
        }
    }
    meter.print("kete-client", options.count)?;
    sender.close();
    while receiver.next().await.is_some() {}
    Ok(())
}
