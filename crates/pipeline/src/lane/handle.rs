//! The outside of a running lane: how it is started, asked to end, and waited for.

use std::sync::Arc;

use kete_queue::Queue;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::core::CoreSettings;
use super::driver::Lane;
use super::role::LaneRole;
use crate::router::RouterEntry;
use crate::{DeadLetters, Destination};

/// What a lane needs.
pub(crate) struct LaneParts {
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) entry: RouterEntry,
    pub(crate) destination: Arc<dyn Destination>,
    pub(crate) dead_letters: Arc<DeadLetters>,
    pub(crate) settings: CoreSettings,
    pub(crate) role: LaneRole,
}

/// A running lane. Dropping it aborts the task.
pub(crate) struct LaneHandle {
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
    /// Whether the end of the task was seen: it can be seen once only.
    over: bool,
}

/// What the owner asks of a lane.
#[derive(Debug)]
pub(super) enum Command {
    /// Go on until nothing is left, but not beyond this.
    Drain(Option<Instant>),
    /// Send nothing more, wait for what is on connections, but not beyond this.
    Stop(Instant),
    /// Close the connections when what they carry is confirmed, and open new ones.
    Retire,
}

impl LaneHandle {
    /// Starts a lane. If it ends otherwise than by being asked to, the alarm is raised.
    pub(crate) fn start(parts: LaneParts, alarm: CancellationToken) -> LaneHandle {
        let (commands, inbox) = mpsc::channel(4);
        let lane = Lane::new(parts, inbox);
        let task = tokio::spawn(async move {
            let alarm = alarm.drop_guard();
            lane.run().await;
            alarm.disarm();
        });
        LaneHandle {
            commands,
            task,
            over: false,
        }
    }

    /// Asks the lane to end when everything is settled, or at the deadline.
    pub(crate) async fn drain(&self, until: Option<Instant>) {
        let _ended_already = self.commands.send(Command::Drain(until)).await;
    }

    /// Asks the lane to end when what is on connections is confirmed, or at the deadline.
    pub(crate) async fn stop(&self, until: Instant) {
        let _ended_already = self.commands.send(Command::Stop(until)).await;
    }

    /// Asks the lane to replace its connections.
    pub(crate) async fn retire(&self) {
        let _ended_already = self.commands.send(Command::Retire).await;
    }

    /// Waits until the lane has ended. Cancelling the wait changes nothing.
    pub(crate) async fn ended(&mut self) {
        if self.over {
            return;
        }
        if let Err(stopped) = (&mut self.task).await {
            error!(error = %stopped, "a lane ended unexpectedly");
        }
        self.over = true;
    }
}

impl Drop for LaneHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}
