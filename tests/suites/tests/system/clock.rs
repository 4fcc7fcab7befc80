//! The time of day jumps while kete runs and while it does not (`--full`, with faketime): ages and
//! times of events are wrong then, and nothing else.

use std::collections::HashSet;

use anyhow::{Result, ensure};
use kete_suites::{
    Home, Kete, Server, exactly, from_webhook, full, generate, route_named, unused_port,
};

const JUMPS: [&str; 6] = ["+0", "+26h", "-26h", "+400d", "-2d", "+0"];

#[tokio::test]
async fn jumps_of_the_clock_lose_nothing_and_bring_no_repeats() -> Result<()> {
    if !full() {
        return Ok(());
    }
    let events = generate(121, 20, 1_200);
    let home = Home::new()?;
    let port = unused_port()?;
    let configuration = [
        from_webhook(&[]),
        route_named("all", port, &[]),
        "kete.queue.retain=1h\n".to_owned(),
    ];
    home.set_clock("+0")?;
    let mut kete = home.run_with_own_clock(&configuration).await?;
    let mut days = HashSet::new();
    for (jump, part) in JUMPS.iter().zip(events.chunks(200)) {
        home.set_clock(jump)?;
        let (half, rest) = part.split_at(100);
        kete.post_events(half).await?;
        kete.stop().await?;
        days.extend(days_of(&kete));
        kete = home.run_with_own_clock(&configuration).await?;
        kete.post_events(rest).await?;
    }
    ensure!(days.len() > 3, "its clock has not jumped: {days:?}");
    let server = Server::node().start_on(port).await?;
    kete.drained(&["all"]).await?;
    kete.stop().await?;
    exactly(&events, &server.arrivals().await?)
}

/// The days that its log speaks of.
fn days_of(kete: &Kete) -> Vec<String> {
    let day = |line: kete_suites::LogLine| line.text("timestamp").chars().take(10).collect();
    kete.log().into_iter().map(day).collect()
}
