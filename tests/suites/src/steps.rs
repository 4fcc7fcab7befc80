//! The steps that many tests take: events go in, everything is delivered, kete stops.

use anyhow::{Result, ensure};

use crate::eventually::eventually;
use crate::{
    Arrival, Ended, Kete, Sample, Server, arrived, check_delivery, check_each_once, to_socketio,
};

/// The events of one body of a test that says nothing else.
const BODY: usize = 100;

impl Kete {
    /// Posts these events to its webhook, a hundred at a time; all of them have to be accepted.
    ///
    /// # Errors
    ///
    /// A body is refused.
    pub async fn post_events(&self, events: &[Sample]) -> Result<()> {
        for part in events.chunks(BODY) {
            let status = self.post(body(part)).await?;
            ensure!(status.is_success(), "the webhook answers {status}");
        }
        Ok(())
    }

    /// Waits until nothing waits for any of these routes.
    ///
    /// # Errors
    ///
    /// Something does.
    pub async fn drained(&self, routes: &[&str]) -> Result<()> {
        let what = format!("nothing is left for {routes:?}");
        self.wait_until(&what, |now| routes.iter().all(|route| now.lag(route) == 0))
            .await?;
        Ok(())
    }

    /// Asks it to stop and waits for its end, which has to be a good one.
    ///
    /// # Errors
    ///
    /// It does not end, or not with success.
    pub async fn stop(&mut self) -> Result<Ended> {
        self.terminate()?;
        let ended = self.ended().await?;
        ensure!(ended.code == 0, "kete ended with {}", ended.code);
        Ok(ended)
    }
}

impl Server {
    /// Waits until all of these events have arrived, whatever else has.
    ///
    /// # Errors
    ///
    /// Some have not.
    pub async fn wait_for_all(&self, events: &[&[Sample]]) -> Result<()> {
        eventually("the arrival of all of them", async || {
            let arrivals = self.arrivals().await?;
            let there = arrived(&arrivals);
            let is_missing = |event: &&Sample| !there.contains(event.id.as_str());
            let missing = events.iter().copied().flatten().filter(is_missing).count();
            ensure!(missing == 0, "{missing} have not arrived");
            Ok(())
        })
        .await
    }

    /// Waits until so many arrivals say of themselves that they are replays; returns those. The
    /// routes need `event-id=argument`.
    ///
    /// # Errors
    ///
    /// There are fewer.
    pub async fn wait_for_replays(&self, count: usize) -> Result<Vec<Arrival>> {
        eventually(&format!("{count} replays"), async || {
            let arrivals = self.arrivals().await?.into_iter();
            let replays: Vec<Arrival> = arrivals.filter(Arrival::is_replay).collect();
            ensure!(replays.len() >= count, "there are {}", replays.len());
            Ok(replays)
        })
        .await
    }
}

/// These events arrived, each of them once, in order, and nothing else did.
///
/// # Errors
///
/// Says what is wrong.
pub fn exactly(wanted: &[Sample], arrivals: &[Arrival]) -> Result<()> {
    check_delivery(wanted, arrivals)?;
    check_each_once(arrivals)
}

/// A body of a webhook with these events.
#[must_use]
pub fn body(events: &[Sample]) -> String {
    let texts: Vec<&str> = events.iter().map(|event| event.json.as_str()).collect();
    texts.join("\n")
}

/// A route to a server on this port, whose events arrive under its own name.
#[must_use]
pub fn route_named(name: &str, port: u16, keys: &[&str]) -> String {
    let event_name = format!("destination.event-name={name}");
    let keys = [&[event_name.as_str()], keys].concat();
    to_socketio(name, &format!("http://127.0.0.1:{port}"), &keys)
}

/// Those of the events that have one of these types.
#[must_use]
pub fn of_types(events: &[Sample], types: &[&str]) -> Vec<Sample> {
    let fits = |event: &&Sample| {
        let value = event.value();
        types.contains(&value["type"].as_str().unwrap_or_default())
    };
    events.iter().filter(fits).cloned().collect()
}
