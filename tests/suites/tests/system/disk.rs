//! A disk without room, or whose files are gone: what cannot be made safe is refused and said so,
//! what is safe goes on being delivered, and once there is room everything goes on by itself.

use anyhow::{Result, bail, ensure};
use kete_suites::{
    Home, Kete, Room, Sample, Senders, Server, body, check_delivery, eventually, exactly,
    from_webhook, generate, to_socketio, unused_port,
};

const MIB: u64 = 1024 * 1024;
const USERS: u64 = 20;
const SENDERS: usize = 4;
const BODY: usize = 50;

#[tokio::test]
async fn below_the_reserve_intake_is_refused_until_there_is_room() -> Result<()> {
    let events = generate(61, USERS, 60_000);
    let home = Home::new()?;
    let room = Room::of(&home)?;
    let server = Server::node().start().await?;
    let kete = home
        .run(&[
            from_webhook(&[]),
            to_socketio("all", &server.url(), &[]),
            format!("kete.queue.reserve-free={}B\n", room.reserve),
        ])
        .await?;
    let (first, rest) = events.split_at(100);
    kete.post_events(first).await?;

    let ballast = room.take(&home)?;
    let accepted = post_until_refused(&kete, rest).await?;
    let data = home.data().display().to_string();
    kete.wait_for_words(&[&data, "kete.queue.reserve-free"])
        .await?;
    server.wait_for_all(&[first, accepted]).await?;

    drop(ballast);
    let next = &rest[accepted.len()..accepted.len() + 100];
    eventually("there is room again", async || kete.post_events(next).await).await?;
    kete.drained(&["all"]).await?;
    let sent = &events[..first.len() + accepted.len() + next.len()];
    check_delivery(sent, &server.arrivals().await?)
}

/// The receiver is away, so everything accepted is on the disk alone when kete is killed.
#[tokio::test]
async fn what_is_accepted_while_writes_fail_is_safe_all_the_same() -> Result<()> {
    let events = generate(62, USERS, 8_000);
    let home = Home::new()?;
    let port = unused_port()?;
    let configuration = [
        from_webhook(&[]),
        to_socketio("all", &format!("http://127.0.0.1:{port}"), &[]),
    ];
    let mut kete = home.run_unsignalled(&configuration).await?;
    let mut senders = Senders::start(&events, SENDERS, BODY)?;
    senders.send_to(&kete).await?;
    for part in 1..=3 {
        senders.wait_for_more(part * 500).await?;
        kete.limit_files(Some(0))?;
        let refused = senders.progress().refused;
        senders
            .wait_until(|now| now.refused >= refused + 2 * SENDERS)
            .await?;
        if part < 3 {
            kete.limit_files(None)?;
        }
    }
    kete.kill().await?;
    ensure!(
        senders.progress().accepted < events.len(),
        "it was over before"
    );

    let kete = home.run(&configuration).await?;
    senders.send_to(&kete).await?;
    let server = Server::node().start_on(port).await?;
    senders.finish().await?;
    kete.drained(&["all"]).await?;
    let arrivals = server.arrivals().await?;
    exactly(&events, &arrivals)
}

#[tokio::test]
async fn after_write_errors_everything_goes_on_without_a_restart() -> Result<()> {
    let events = generate(63, USERS, 4_000);
    let home = Home::new()?;
    let server = Server::node().start().await?;
    let mut kete = home
        .run_unsignalled(&[from_webhook(&[]), to_socketio("all", &server.url(), &[])])
        .await?;
    let mut senders = Senders::start(&events, SENDERS, BODY)?;
    senders.send_to(&kete).await?;
    senders.wait_for_more(1_000).await?;
    kete.limit_files(Some(0))?;
    senders.wait_until(|now| now.refused >= 2 * SENDERS).await?;
    let data = home.data().display().to_string();
    kete.wait_for_words(&[&data, "File too large"]).await?;

    kete.limit_files(None)?;
    senders.finish().await?;
    kete.drained(&["all"]).await?;
    let arrivals = server.arrivals().await?;
    exactly(&events, &arrivals)?;
    kete.stop().await?;
    Ok(())
}

#[tokio::test]
async fn at_its_bound_the_queue_refuses_and_gives_its_space_back_when_it_is_drained() -> Result<()>
{
    const BOUND: u64 = 8 * MIB;
    let events = generate(64, USERS, 40_000);
    let home = Home::new()?;
    let port = unused_port()?;
    let kete = home
        .run(&[
            from_webhook(&[]),
            to_socketio("all", &format!("http://127.0.0.1:{port}"), &[]),
            format!("kete.queue.max-bytes={BOUND}B\n"),
        ])
        .await?;
    let mut senders = Senders::start(&events, SENDERS, BODY)?;
    senders.send_to(&kete).await?;
    senders.wait_until(|now| now.refused >= 2 * SENDERS).await?;
    let full = home.queue_bytes()?;
    ensure!(full <= BOUND, "{full} bytes on disk, the bound is {BOUND}");
    ensure!(
        full >= BOUND / 2,
        "it is called full with {full} bytes on disk"
    );

    let server = Server::node().start_on(port).await?;
    senders.finish().await?;
    kete.drained(&["all"]).await?;
    let arrivals = server.arrivals().await?;
    exactly(&events, &arrivals)?;
    eventually("the space is given back", async || {
        let left = home.queue_bytes()?;
        ensure!(left <= BOUND / 2, "{left} bytes are left");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_data_directory_deleted_underneath_is_noticed_and_named() -> Result<()> {
    let events = generate(65, USERS, 20_000);
    let home = Home::new()?;
    let server = Server::node().start().await?;
    let mut kete = home
        .run(&[
            from_webhook(&[]),
            to_socketio("all", &server.url(), &[]),
            "kete.queue.max-bytes=4MiB\n".to_owned(),
        ])
        .await?;
    let (first, rest) = events.split_at(100);
    kete.post_events(first).await?;
    std::fs::remove_dir_all(home.data())?;

    let accepted = post_until_refused(&kete, rest).await?;
    let data = home.data().display().to_string();
    kete.wait_for_words(&[&data, "intake"]).await?;
    server.wait_for_all(&[first, accepted]).await?;
    kete.terminate()?;
    kete.ended().await?;
    Ok(())
}

/// Returns the events of all bodies before the one that is refused with the time to try again.
async fn post_until_refused<'e>(kete: &Kete, events: &'e [Sample]) -> Result<&'e [Sample]> {
    let mut accepted = 0;
    for part in events.chunks(BODY) {
        let answer = kete.answer(body(part)).await?;
        match answer.status().as_u16() {
            200..300 => accepted += part.len(),
            503 => {
                let when = answer.headers().get("retry-after");
                ensure!(when.is_some(), "503 without Retry-After");
                return Ok(&events[..accepted]);
            }
            other => bail!("the webhook answers {other}"),
        }
    }
    bail!("nothing was refused")
}
