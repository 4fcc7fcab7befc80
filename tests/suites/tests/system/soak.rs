//! Half an hour of everything at once (`--full`): 2,000 events a second, while kete, its receiver
//! and the network between them are killed, stopped, frozen and cut at moments that a seed decides.
//! Every accepted event arrives, in order, and neither memory nor files grow.
//!
//! `KETE_TEST_SOAK_SECONDS` makes it last so long, also without `--full`. What was seen each second
//! lies in `target/soak` afterwards, as a table and as a drawing.

use std::collections::HashMap;
use std::fs::File;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use kete_suites::{
    Home, Kete, Moment, PATIENCE, Random, Relay, Server, check_numbered, client, from_webhook,
    full, numbered, project, quarters, to_socketio, write_plot,
};
use reqwest::{Client, StatusCode};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep, timeout};

const SEED: u64 = 161;
const USUAL_SECONDS: u64 = 1_800;

/// 8 senders with 25 events each, every 100 ms, are 2,000 events a second.
const SENDERS: u64 = 8;
const USERS_PER_SENDER: u64 = 25;
const BETWEEN_BODIES: Duration = Duration::from_millis(100);

/// How long a sender waits before it sends a body again; nothing depends on it.
const PAUSE: Duration = Duration::from_millis(50);

/// A fault comes after so many seconds, and lasts at most so long.
const BETWEEN_FAULTS: std::ops::Range<u64> = 4..12;
const LASTS_MILLISECONDS: u64 = 3_000;

const MIB: u64 = 1024 * 1024;

/// What kete may take at any time, in a debug build.
const MOST_MEMORY: u64 = 96 * MIB;

/// It takes some minutes until everything that is bounded has reached its bound; a shorter soak
/// says nothing about growth.
const WARM_AFTER_SECONDS: u64 = 600;

/// How much more the last quarter may take than the second one, by their medians.
const MORE_MEMORY: u64 = 12 * MIB;
const MORE_STORED: u64 = 24 * MIB;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mixed_faults_for_long_lose_nothing_and_nothing_grows() -> Result<()> {
    let Some(seconds) = seconds()? else {
        return Ok(());
    };
    eprintln!("{seconds} seconds with seed {SEED}");
    let mut soak = Soak::start().await?;
    let (address, stop) = (
        watch::Sender::new(soak.address().await?),
        watch::Sender::new(false),
    );
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        senders.spawn(send(sender, address.subscribe(), stop.subscribe()));
    }
    let moments = soak.run(seconds, &address).await?;
    write_plot(&project("target/soak"), "soak", &moments)?;
    stop.send_replace(true);
    let mut accepted = HashMap::new();
    while let Some(sent) = senders.join_next().await {
        accepted.extend(sent??);
    }
    soak.kete.drained(&["all"]).await?;
    soak.kete.stop().await?;

    let repeats = check_numbered(File::open(soak.server.record())?, &accepted)?;
    let total: u64 = accepted.values().sum();
    eprintln!("{total} events, {repeats} repeats, {} faults", soak.faults);
    ensure!(
        soak.home.dead_letters()?.is_empty(),
        "an event was given up"
    );
    let peak = moments.iter().map(|moment| moment.resident).max();
    ensure!(
        peak.is_some_and(|peak| peak < MOST_MEMORY),
        "at some time kete took {peak:?} bytes"
    );
    if seconds < WARM_AFTER_SECONDS {
        return Ok(());
    }
    is_flat(
        "memory",
        quarters(&moments, |moment| moment.resident),
        MORE_MEMORY,
    )?;
    is_flat(
        "the queue on disk",
        quarters(&moments, |moment| moment.stored),
        MORE_STORED,
    )
}

/// How long, if at all.
fn seconds() -> Result<Option<u64>> {
    match std::env::var("KETE_TEST_SOAK_SECONDS") {
        Ok(text) => Ok(Some(text.parse().context("KETE_TEST_SOAK_SECONDS")?)),
        Err(_) => Ok(full().then_some(USUAL_SECONDS)),
    }
}

fn is_flat(what: &str, (early, late): (u64, u64), tolerance: u64) -> Result<()> {
    eprintln!("{what}: {early} bytes in the second quarter, {late} in the last");
    ensure!(
        late <= early + tolerance,
        "{what} grows: {early} bytes, then {late}"
    );
    Ok(())
}

struct Soak {
    home: Home,
    server: Server,
    relay: Relay,
    kete: Kete,
    configuration: [String; 2],
    random: Random,
    faults: u64,
}

impl Soak {
    async fn start() -> Result<Soak> {
        let home = Home::new()?;
        let plan = Server::node()
            .with("ack", "after-write")
            .with("brief", "yes");
        let server = plan.with("keep", 0).start().await?;
        let relay = Relay::to(server.port()).await?;
        let keys = ["destination.confirm=ack", "destination.timeout-seconds=2"];
        let configuration = [from_webhook(&[]), to_socketio("all", &relay.url(), &keys)];
        let kete = home.run(&configuration).await?;
        Ok(Soak {
            home,
            server,
            relay,
            kete,
            configuration,
            random: Random::new(SEED),
            faults: 0,
        })
    }

    async fn address(&self) -> Result<String> {
        Ok(format!(
            "http://{}/events",
            self.kete.webhook_address().await?
        ))
    }

    /// Looks once a second and does harm now and then.
    async fn run(&mut self, seconds: u64, address: &watch::Sender<String>) -> Result<Vec<Moment>> {
        let began = Instant::now();
        let mut turns = interval(Duration::from_secs(1));
        turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut moments, mut next) = (Vec::new(), BETWEEN_FAULTS.start);
        while began.elapsed() < Duration::from_secs(seconds) {
            turns.tick().await;
            let second = began.elapsed().as_secs();
            moments.push(self.look(second).await?);
            if second >= next {
                self.do_harm().await?;
                address.send_replace(self.address().await?);
                let width = BETWEEN_FAULTS.end - BETWEEN_FAULTS.start;
                next = second + BETWEEN_FAULTS.start + self.random.below(width);
            }
        }
        Ok(moments)
    }

    async fn look(&self, second: u64) -> Result<Moment> {
        Ok(Moment {
            second,
            resident: self.kete.memory()?.resident,
            stored: self.home.queue_bytes()?,
            waiting: self.kete.metrics().await?.lag("all"),
        })
    }

    async fn do_harm(&mut self) -> Result<()> {
        self.faults += 1;
        let moment = self.random.below(BETWEEN_BODIES.as_micros().try_into()?);
        sleep(Duration::from_micros(moment)).await;
        match self.random.below(7) {
            0 => {
                self.kete.kill().await?;
                self.kete = self.home.run(&self.configuration).await?;
            }
            1 => {
                self.kete.stop().await?;
                self.kete = self.home.run(&self.configuration).await?;
            }
            2 => {
                self.server.kill().await?;
                self.a_while().await;
                self.server.start_again().await?;
            }
            3 => {
                self.server.stop().await?;
                self.server.start_again().await?;
            }
            4 => {
                self.server.freeze()?;
                self.a_while().await;
                self.server.thaw()?;
            }
            5 => {
                self.relay.swallow(true);
                self.a_while().await;
                self.relay.swallow(false);
            }
            _ => self.relay.reset_all(),
        }
        Ok(())
    }

    /// How long a fault lasts is as random as the fault itself.
    async fn a_while(&mut self) {
        let milliseconds = self.random.below(LASTS_MILLISECONDS);
        sleep(Duration::from_millis(milliseconds)).await;
    }
}

/// Sends a body for all of its users again and again until it is told to stop, each body until it
/// is accepted; returns how many events of each user were.
async fn send(
    sender: u64,
    address: watch::Receiver<String>,
    stop: watch::Receiver<bool>,
) -> Result<HashMap<u64, u64>> {
    let client = client()?;
    let users = (sender * USERS_PER_SENDER)..((sender + 1) * USERS_PER_SENDER);
    // One after the other, so that there is always something under way.
    let first = BETWEEN_BODIES * u32::try_from(sender)? / u32::try_from(SENDERS)?;
    let mut turns = interval_at(Instant::now() + first, BETWEEN_BODIES);
    let mut number = 0;
    while !*stop.borrow() {
        turns.tick().await;
        number += 1;
        let events: Vec<String> = users.clone().map(|user| numbered(user, number)).collect();
        let body = events.join("\n");
        timeout(PATIENCE, post(&client, &address, &body)).await??;
    }
    Ok(users.map(|user| (user, number)).collect())
}

/// Sends a body until it is accepted.
async fn post(client: &Client, address: &watch::Receiver<String>, body: &str) -> Result<()> {
    loop {
        let url = address.borrow().clone();
        let request = client.post(&url).header("content-type", "application/json");
        match request.body(body.to_owned()).send().await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) if answer.status() == StatusCode::SERVICE_UNAVAILABLE => {}
            Ok(answer) => bail!("a good body is answered with {}", answer.status()),
            // Nobody listens, or somebody died before the answer.
            Err(_) => {}
        }
        sleep(PAUSE).await;
    }
}
