//! kete is killed (`kill -9`) again and again at moments that a seed decides, and started again on
//! the same data directory: nothing that was answered with success is lost.
//!
//! The senders behave as a careful webhook extension does: what was not answered they send again.
//! The receiver stays up; what its own death costs is the business of other tests.

use std::time::Duration;

use anyhow::{Result, ensure};
use kete_suites::{
    Arrival, Home, Kete, Progress, Random, Sample, Senders, Server, check_delivery, eventually,
    exactly, from_webhook, full, generate, named, of_types, to_socketio, unused_port,
};
use tokio::time::sleep;

/// Events for each round, on the average.
const EVENTS_PER_ROUND: usize = 900;
const USERS: u64 = 60;
const SENDERS: usize = 8;
const BODY: usize = 20;

/// The window of a route: what is under way when kete is killed comes again.
const WINDOW: usize = 128;

/// What was confirmed since the place of a route was last saved comes again, too: it is saved at
/// the latest after so many events (`docs/delivery.md`).
const UNSAVED: usize = 4096;

/// A small queue has small files, so that they change often.
const SMALL_QUEUE: &str = "kete.queue.max-bytes=4MiB\n";

/// When a round's kete is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// While bodies are taken, some of them unanswered.
    Intake,
    /// While events are delivered and confirmed, and places saved.
    Delivery,
    /// When the queue has just begun a new file or given one back.
    Rotation,
    /// Before it has come far enough to take anything.
    Start,
    /// While the receiver stands still and the events heap up.
    Backlog,
    /// While it stops, because it was asked to.
    Stop,
}

const MOMENTS: [Moment; 6] = [
    Moment::Intake,
    Moment::Delivery,
    Moment::Rotation,
    Moment::Start,
    Moment::Backlog,
    Moment::Stop,
];

#[tokio::test]
async fn killed_at_random_moments_nothing_accepted_is_lost() -> Result<()> {
    let rounds = if full() { 200 } else { 20 };
    kill_again_and_again(rounds, 9, "always").await
}

/// What was written survives the death of kete in the memory of the system.
#[tokio::test]
async fn killed_with_rare_syncs_nothing_accepted_is_lost() -> Result<()> {
    kill_again_and_again(if full() { 40 } else { 4 }, 10, "interval").await
}

#[tokio::test]
async fn killed_without_syncs_nothing_accepted_is_lost() -> Result<()> {
    kill_again_and_again(if full() { 40 } else { 4 }, 11, "never").await
}

async fn kill_again_and_again(rounds: usize, seed: u64, sync: &str) -> Result<()> {
    eprintln!("{rounds} rounds with seed {seed}");
    let events = generate(seed, USERS, rounds * EVENTS_PER_ROUND);
    let home = Home::new()?;
    let mut server = Server::node().with("ack", "after-write").start().await?;
    let configuration = configuration(&server, sync);
    let mut senders = Senders::start(&events, SENDERS, BODY)?;
    let mut random = Random::new(seed);
    for round in 0..rounds {
        let moment = MOMENTS[usize::try_from(random.below(MOMENTS.len() as u64))?];
        let was = senders.progress();
        kill_at(
            moment,
            &home,
            &configuration,
            &mut senders,
            &mut server,
            &mut random,
        )
        .await?;
        eprintln!(
            "round {round}: {moment:?}, {}",
            since(was, senders.progress())
        );
    }
    let mut kete = home.run(&configuration).await?;
    senders.send_to(&kete).await?;
    let progress = senders.finish().await?;
    kete.drained(&["all", "some"]).await?;
    kete.terminate()?;
    ensure!(
        kete.ended().await?.code == 0,
        "the last one did not end well"
    );

    ensure!(progress.unanswered > 0, "no sender noticed anything");
    let arrivals = server.arrivals().await?;
    check_route("all", &events, &arrivals, rounds)?;
    let wanted = of_types(&events, &["LOGIN_ERROR", "REFRESH_TOKEN"]);
    check_route("some", &wanted, &arrivals, rounds)?;
    ensure!(home.dead_letters()?.is_empty(), "an event was given up");
    Ok(())
}

/// Two routes of different kinds: all events, confirmed by barriers; some events, acknowledged.
fn configuration(server: &Server, sync: &str) -> [String; 4] {
    let window = format!("destination.max-in-flight={WINDOW}");
    let all = [
        "destination.event-name=all",
        &window,
        "destination.pool.max-total=2",
    ];
    let some = [
        "destination.event-name=some",
        "event-matchers.some=list:LOGIN_ERROR,REFRESH_TOKEN",
        "destination.confirm=ack",
        &window,
    ];
    [
        from_webhook(&[]),
        to_socketio("all", &server.url(), &all),
        to_socketio("some", &server.url(), &some),
        format!("{SMALL_QUEUE}kete.queue.sync={sync}\n"),
    ]
}

async fn kill_at(
    moment: Moment,
    home: &Home,
    configuration: &[String],
    senders: &mut Senders,
    server: &mut Server,
    random: &mut Random,
) -> Result<()> {
    if matches!(moment, Moment::Start) {
        let mut kete = home.launch(configuration)?;
        a_while(random, 150).await;
        return kete.kill().await;
    }
    let mut kete = home.run(configuration).await?;
    if matches!(moment, Moment::Backlog) {
        server.freeze()?;
    }
    senders.send_to(&kete).await?;
    let some = usize::try_from(random.below(EVENTS_PER_ROUND as u64))?;
    match moment {
        Moment::Intake | Moment::Start => senders.wait_for_more(some).await?,
        Moment::Backlog => accepted_or_full(senders, some).await?,
        Moment::Delivery => delivered(&kete, some as u64).await?,
        Moment::Rotation => a_file_changes(home, &kete).await?,
        Moment::Stop => {
            senders.wait_for_more(some).await?;
            kete.terminate()?;
        }
    }
    a_while(random, 20).await;
    killed_or_stopped(&mut kete, moment).await?;
    if matches!(moment, Moment::Backlog) {
        server.thaw()?;
    }
    Ok(())
}

/// A small queue may be full before.
async fn accepted_or_full(senders: &mut Senders, some: usize) -> Result<()> {
    let was = senders.progress();
    senders
        .wait_until(|now| {
            now.accepted >= was.accepted + some || now.refused >= was.refused + SENDERS
        })
        .await
}

/// One that was asked to stop may be quicker than the kill.
async fn killed_or_stopped(kete: &mut Kete, moment: Moment) -> Result<()> {
    match kete.kill().await {
        Err(_) if matches!(moment, Moment::Stop) => {
            ensure!(kete.ended().await?.code == 0, "it did not stop well");
            Ok(())
        }
        killed => killed,
    }
}

/// The moment itself is what is random here: nothing is waited for.
async fn a_while(random: &mut Random, milliseconds: u64) {
    sleep(Duration::from_micros(random.below(milliseconds * 1000))).await;
}

async fn delivered(kete: &Kete, count: u64) -> Result<()> {
    let what = "some events are delivered, or all there are";
    kete.wait_until(what, |now| {
        let drained = now.lag("all") == 0 && now.taken() > 0;
        now.forwarded("all") >= count || drained
    })
    .await?;
    Ok(())
}

async fn a_file_changes(home: &Home, kete: &Kete) -> Result<()> {
    let before = home.queue_files()?;
    let what = "the queue has other files, or nothing to do";
    eventually(what, async || {
        let changed = home.queue_files()? != before;
        let idle = kete.metrics().await?.lag("all") == 0;
        ensure!(changed || idle, "nothing has changed");
        Ok(())
    })
    .await
}

fn check_route(name: &str, sent: &[Sample], arrivals: &[Arrival], kills: usize) -> Result<()> {
    let arrivals = named(name, arrivals);
    check_delivery(sent, &arrivals)?;
    let repeats = arrivals.len() - sent.len();
    eprintln!("{name}: {} events, {repeats} repeats", sent.len());
    let most = kills * (WINDOW + UNSAVED);
    ensure!(
        repeats <= most,
        "{name}: {repeats} repeats, at most {most} are explained"
    );
    Ok(())
}

fn since(was: Progress, now: Progress) -> String {
    format!(
        "{} accepted, {} refused, {} unanswered",
        now.accepted - was.accepted,
        now.refused - was.refused,
        now.unanswered - was.unanswered
    )
}

/// Far more is confirmed before the kill than may come again.
#[tokio::test]
async fn what_comes_again_after_a_kill_is_bounded() -> Result<()> {
    let events = generate(12, USERS, 4 * UNSAVED);
    let home = Home::new()?;
    let server = Server::node().start().await?;
    let configuration = [
        from_webhook(&[]),
        to_socketio(
            "all",
            &server.url(),
            &[&format!("destination.max-in-flight={WINDOW}")],
        ),
    ];
    let mut kete = home.run(&configuration).await?;
    let mut senders = Senders::start(&events, SENDERS, 200)?;
    senders.send_to(&kete).await?;
    let confirmed = 3 * UNSAVED as u64;
    kete.wait_until("most of it is confirmed", |now| {
        now.forwarded("all") >= confirmed
    })
    .await?;
    kete.kill().await?;

    let kete = home.run(&configuration).await?;
    senders.send_to(&kete).await?;
    senders.finish().await?;
    kete.drained(&["all"]).await?;
    let arrivals = server.arrivals().await?;
    check_delivery(&events, &arrivals)?;
    let repeats = arrivals.len() - events.len();
    ensure!(repeats <= WINDOW + UNSAVED, "{repeats} events came again");
    Ok(())
}

/// A sender that died with kete, or heard nothing from it, sends its events again.
#[tokio::test]
async fn what_was_taken_before_a_kill_and_is_sent_again_arrives_once() -> Result<()> {
    let events = generate(13, USERS, 1_000);
    let home = Home::new()?;
    let port = unused_port()?;
    let url = format!("http://127.0.0.1:{port}");
    let configuration = [from_webhook(&[]), to_socketio("all", &url, &[])];
    let mut kete = home.run(&configuration).await?;
    kete.post_events(&events).await?;
    kete.kill().await?;

    let kete = home.run(&configuration).await?;
    kete.post_events(&events[30..]).await?;
    kete.post_events(&events[..30]).await?;
    let repeated = kete
        .metrics()
        .await?
        .sum("kete_source_events_repeated_total", &[]);
    ensure!(
        repeated == events.len() as u64,
        "{repeated} are known to be repeats"
    );
    let server = Server::node().start_on(port).await?;
    kete.drained(&["all"]).await?;
    let arrivals = server.arrivals().await?;
    exactly(&events, &arrivals)
}
