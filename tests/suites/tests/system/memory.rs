//! Memory does not grow with what cannot be delivered: it is bounded by the bound of the queue,
//! whoever pushes.

use anyhow::{Context, Result, ensure};
use kete_suites::{
    Kete, Memory, Sample, from_stdin, from_webhook, full, generate, lines, to_socketio, unused_port,
};
use tokio::io::AsyncWriteExt;

const MIB: u64 = 1024 * 1024;

/// Far more than the queue below and everything else needs; far less than what is pushed.
const MOST: u64 = 96 * MIB;
const PUSHED: u64 = 192 * MIB;

const SMALL_QUEUE: &str = "kete.queue.max-bytes=4MiB\n";

#[tokio::test]
async fn a_pipe_is_not_read_while_nothing_can_be_delivered() -> Result<()> {
    let (events, mut kete) = (
        generate(11, 50, 1_000),
        pushed_against(&from_stdin()).await?,
    );
    let mut stdin = kete.take_stdin()?;
    let written = tokio::sync::watch::Sender::new(0);
    let block = lines(&events);
    let push = async {
        while *written.borrow() < PUSHED {
            stdin.write_all(&block).await?;
            written.send_modify(|written| *written += block.len() as u64);
        }
        anyhow::Ok(())
    };
    let stops = kete.wait_for_log("intake stops", |line| {
        line.text("message").contains("intake stops")
    });
    tokio::select! {
        pushed = push => pushed.context("kete read all of it, with nowhere to put it")?,
        said = stops => drop(said?),
    }
    ensure!(
        *written.borrow() < PUSHED,
        "kete read {} MiB",
        *written.borrow() / MIB
    );
    bounded(kete.memory()?)
}

#[tokio::test]
async fn a_webhook_that_is_hammered_while_nothing_can_be_delivered_stays_small() -> Result<()> {
    let kete = pushed_against(&from_webhook(&["respond-when=queued"])).await?;
    let wanted = if full() { PUSHED } else { PUSHED / 2 };
    let (mut pushed, mut refused) = (0, 0);
    for seed in 0.. {
        if pushed >= wanted {
            break;
        }
        let body = array(&generate(seed, 50, 500));
        pushed += body.len() as u64;
        let status = kete.post(body).await?;
        match status.as_u16() {
            200..300 => {}
            503 => refused += 1,
            other => anyhow::bail!("the webhook answers {other}"),
        }
    }
    ensure!(refused > 0, "nothing was refused");
    bounded(kete.memory()?)
}

async fn pushed_against(source: &str) -> Result<Kete> {
    let nobody = format!("http://127.0.0.1:{}", unused_port()?);
    let route = to_socketio("all", &nobody, &[]);
    Kete::run(&[source.to_owned(), route, SMALL_QUEUE.to_owned()]).await
}

fn array(events: &[Sample]) -> String {
    let events: Vec<&str> = events.iter().map(|event| event.json.as_str()).collect();
    format!("[{}]", events.join(","))
}

fn bounded(memory: Memory) -> Result<()> {
    ensure!(memory.peak < MOST, "kete takes {} MiB", memory.peak / MIB);
    Ok(())
}
