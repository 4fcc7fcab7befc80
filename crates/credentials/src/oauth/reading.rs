//! Reads files that may never answer.
//!
//! A read from a mount that hangs cannot be stopped: it keeps its thread. So there is one at a
//! time. Who comes later waits for it, and gives up on it, but does not start another.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use super::error::ProofError;
use crate::Secret;

/// What a read gives.
type Outcome = Result<Secret, ProofError>;

/// Why nothing came of a read, as it follows "could not be read".
#[derive(Debug, thiserror::Error)]
pub(super) enum NotRead {
    #[error("it took longer than {0:?}")]
    Late(Duration),
    #[error("{0}")]
    Stopped(String),
}

/// One read at a time.
#[derive(Debug, Default)]
pub(super) struct Reading {
    outstanding: Mutex<Option<JoinHandle<Outcome>>>,
}

impl Reading {
    /// What is read, within the deadline. All who ask one `Reading` read the same.
    pub(super) async fn read(
        &self,
        deadline: Duration,
        read: impl FnOnce() -> Outcome + Send + 'static,
    ) -> Result<Outcome, NotRead> {
        let reading = timeout(deadline, self.outcome(read)).await;
        reading.unwrap_or(Err(NotRead::Late(deadline)))
    }

    /// May be dropped at any time; the read goes on.
    async fn outcome(
        &self,
        read: impl FnOnce() -> Outcome + Send + 'static,
    ) -> Result<Outcome, NotRead> {
        let mut outstanding = self.outstanding.lock().await;
        // What came after its caller had gone may be long out of date.
        let running = outstanding.take().filter(|running| !running.is_finished());
        let running = outstanding.insert(running.unwrap_or_else(|| spawn_blocking(read)));
        let outcome = running.await;
        *outstanding = None;
        outcome.map_err(|stopped| NotRead::Stopped(stopped.to_string()))
    }
}

#[cfg(test)]
mod tests;
