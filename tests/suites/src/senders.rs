//! Senders that behave as a careful webhook extension does: several at once, each with users of
//! its own, one body at a time, and a body is sent again with the same ids until it is answered
//! with success, by whichever kete runs then.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use reqwest::{Client, StatusCode};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::eventually::{PATIENCE, eventually_within};
use crate::{Kete, Random, Sample, http};

/// How long a sender leaves a kete alone that has refused a body; nobody has to be spared.
const PAUSE: Duration = Duration::from_millis(50);

/// Senders at work; they end with this.
pub struct Senders {
    address: watch::Sender<Option<String>>,
    progress: watch::Sender<Progress>,
    total: usize,
    tasks: JoinSet<Result<()>>,
}

/// What has happened so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Events whose body was answered with success.
    pub accepted: usize,
    /// Bodies that were answered with 503.
    pub refused: usize,
    /// Bodies that were not answered at all.
    pub unanswered: usize,
}

impl Senders {
    /// So many senders share these events by their users. They send bodies of at most this many
    /// events as soon as they are told where to.
    ///
    /// # Errors
    ///
    /// TLS cannot be set up.
    pub fn start(events: &[Sample], senders: usize, body: usize) -> Result<Senders> {
        let address = watch::Sender::new(None);
        let progress = watch::Sender::new(Progress::default());
        let mut tasks = JoinSet::new();
        for (number, events) in (0..).zip(share(events, senders)) {
            let sender = Sender {
                client: http::client()?,
                address: address.subscribe(),
                progress: progress.clone(),
                random: Random::new(number),
            };
            tasks.spawn(sender.send_all(events, body));
        }
        Ok(Senders {
            address,
            progress,
            total: events.len(),
            tasks,
        })
    }

    /// From now on they send to this kete, once it listens.
    ///
    /// # Errors
    ///
    /// It does not say where it listens.
    pub async fn send_to(&self, kete: &Kete) -> Result<()> {
        let url = format!("http://{}/events", kete.webhook_address().await?);
        self.address.send_replace(Some(url));
        Ok(())
    }

    /// What has happened so far.
    #[must_use]
    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// Waits until so many more events are accepted, or all of them.
    ///
    /// # Errors
    ///
    /// A sender has failed, or it takes for ever.
    pub async fn wait_for_more(&mut self, events: usize) -> Result<()> {
        let wanted = self.total.min(self.progress().accepted + events);
        self.wait_until(|now| now.accepted >= wanted).await
    }

    /// Waits until what has happened is enough.
    ///
    /// # Errors
    ///
    /// A sender has failed, or it takes for ever.
    pub async fn wait_until(&mut self, enough: impl Fn(Progress) -> bool) -> Result<()> {
        eventually_within(PATIENCE, "the senders get on", async || {
            let failed = self.failed();
            let progress = self.progress();
            if failed.is_none() {
                ensure!(enough(progress), "so far: {progress:?} of {}", self.total);
            }
            Ok(failed)
        })
        .await?
        .map_or(Ok(()), Err)
    }

    /// Waits until every event is accepted.
    ///
    /// # Errors
    ///
    /// A sender has failed, or it takes for ever.
    pub async fn finish(&mut self) -> Result<Progress> {
        self.wait_for_more(self.total).await?;
        Ok(self.progress())
    }

    /// Why a sender has failed, if one has.
    fn failed(&mut self) -> Option<anyhow::Error> {
        while let Some(ended) = self.tasks.try_join_next() {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(problem)) => return Some(problem),
                Err(panicked) => return Some(panicked.into()),
            }
        }
        None
    }
}

/// The events by sender: all of a user's go to the same one, in order.
fn share(events: &[Sample], senders: usize) -> Vec<Vec<Sample>> {
    let mut shares = vec![Vec::new(); senders];
    let mut owners = HashMap::new();
    for event in events {
        let next = owners.len() % senders;
        let owner = *owners.entry(event.user.as_str()).or_insert(next);
        shares[owner].push(event.clone());
    }
    shares
}

struct Sender {
    client: Client,
    address: watch::Receiver<Option<String>>,
    progress: watch::Sender<Progress>,
    random: Random,
}

impl Sender {
    async fn send_all(mut self, events: Vec<Sample>, most: usize) -> Result<()> {
        let mut left = events.as_slice();
        while !left.is_empty() {
            let size = 1 + usize::try_from(self.random.below(most as u64))?;
            let (body, rest) = left.split_at(size.min(left.len()));
            self.send(body).await?;
            self.progress.send_modify(|now| now.accepted += body.len());
            left = rest;
        }
        Ok(())
    }

    /// Sends a body until it is accepted.
    async fn send(&mut self, events: &[Sample]) -> Result<()> {
        let texts: Vec<&str> = events.iter().map(|event| event.json.as_str()).collect();
        let body = format!("[{}]", texts.join(","));
        loop {
            let known = self.address.wait_for(Option::is_some).await?.clone();
            let Some(address) = known else { continue };
            let request = self.client.post(&address);
            let request = request.header("content-type", "application/json");
            match request.body(body.clone()).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) if answer.status() == StatusCode::SERVICE_UNAVAILABLE => {
                    ensure_says_when(&answer)?;
                    self.progress.send_modify(|now| now.refused += 1);
                }
                Ok(answer) => bail!("a good body is answered with {}", answer.status()),
                Err(_) => self.progress.send_modify(|now| now.unanswered += 1),
            }
            // The pace of trying again, which nothing depends on.
            sleep(PAUSE).await;
        }
    }
}

fn ensure_says_when(answer: &reqwest::Response) -> Result<()> {
    let said = answer.headers().get("retry-after");
    let seconds = said.and_then(|said| said.to_str().ok()?.parse::<u64>().ok());
    ensure!(seconds.is_some(), "503 with Retry-After {said:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate;

    #[test]
    fn the_events_of_a_user_stay_together_and_in_order() {
        let events = generate(1, 10, 200);
        let shares = share(&events, 3);
        assert_eq!(shares.iter().map(Vec::len).sum::<usize>(), 200);
        for share in &shares {
            let users: std::collections::HashSet<_> = share.iter().map(|one| &one.user).collect();
            let wanted: Vec<_> = events
                .iter()
                .filter(|one| users.contains(&one.user))
                .collect();
            assert!(
                share
                    .iter()
                    .map(|one| &one.id)
                    .eq(wanted.iter().map(|one| &one.id))
            );
        }
    }
}
