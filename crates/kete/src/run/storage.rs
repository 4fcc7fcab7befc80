//! The queue that everything goes through, opened before anything else, and what is said about it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kete_pipeline::{PipelineSettings, StorageSettings};
use kete_queue::{
    DataDirectory, DataDirectoryError, Disk, DiskSettings, Lag, Memory, Queue, Recovered,
};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::StartError;
use crate::assemble::RouteNames;
use crate::control::Client;
use crate::place::CONTROL_SOCKET;
use crate::queue::{Log, route_of};

/// Places without a route that are named one by one; a log is no place for hundreds.
const NAMED: usize = 20;
/// How long a data directory is waited for that somebody else holds.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is tried meanwhile.
const AGAIN: Duration = Duration::from_millis(50);

/// The queue, and where it lives.
pub(super) struct Storage {
    pub(super) queue: Arc<dyn Queue>,
    /// Ours alone until this is dropped.
    pub(super) directory: Option<DataDirectory>,
}

impl Storage {
    /// Opens the queue on disk, or makes one in memory. `socket` is the control socket that was
    /// chosen, if one was.
    pub(super) async fn open(
        settings: &PipelineSettings,
        socket: Option<&Path>,
    ) -> Result<Storage, StartError> {
        match &settings.storage {
            Some(storage) => {
                let directory = take(&storage.directory, socket).await?;
                open_disk(settings, storage, directory)
            }
            None => Ok(Storage {
                queue: Arc::new(Memory::new(settings.queue)),
                directory: None,
            }),
        }
    }

    /// Where commands reach this kete if nothing else is said: in the data directory.
    pub(super) fn control_socket(&self) -> Option<PathBuf> {
        self.directory.as_ref().map(DataDirectory::control_socket)
    }

    /// What commands are told about the queue.
    pub(super) fn log(&self, settings: &PipelineSettings) -> Log {
        let directory = self.directory.as_ref().map(DataDirectory::path);
        Log::of(directory, Some(settings))
    }

    /// Says which routes have a place in the queue and nobody who works for it: those that were
    /// removed, for which events may wait without end, and those that are switched off.
    pub(super) fn name_places_without_route(&self, routes: &RouteNames) {
        let mut places: BTreeMap<String, Lag> = BTreeMap::new();
        for consumer in self.queue.consumers() {
            if !consumer.attached {
                let (route, _) = route_of(&consumer.name);
                let lag = places.entry(route.to_owned()).or_default();
                lag.events += consumer.lag.events;
                lag.bytes += consumer.lag.bytes;
            }
        }
        for (route, lag) in places.iter().take(NAMED) {
            name_place(route, *lag, routes);
        }
        if let Some(more @ 1..) = places.len().checked_sub(NAMED) {
            warn!(
                more,
                "further routes have a place in the queue; see kete queue status"
            );
        }
    }
}

/// Takes the data directory. Commands hold it for a moment while no kete runs, and a script may ask
/// all the time: such a holder is waited for. A kete that runs listens, and is not.
async fn take(path: &Path, socket: Option<&Path>) -> Result<DataDirectory, StartError> {
    let until = Instant::now() + PATIENCE;
    let mut said = false;
    loop {
        match DataDirectory::open(path) {
            Err(DataDirectoryError::Locked { user, .. })
                if Instant::now() < until && !somebody_listens(path, socket).await =>
            {
                if !said {
                    info!(
                        directory = %path.display(),
                        "the data directory is in use by {user}; it is waited for {PATIENCE:?}, in \
                         case that is a command which ends soon"
                    );
                    said = true;
                }
                sleep(AGAIN).await;
            }
            taken => return Ok(taken?),
        }
    }
}

/// Whether a kete listens where one that has this directory would.
async fn somebody_listens(path: &Path, socket: Option<&Path>) -> bool {
    let own = path.join(CONTROL_SOCKET);
    let socket = socket.unwrap_or(&own);
    // What is wrong with the socket, a kete that starts says when it makes its own.
    matches!(Client::connect(socket).await, Ok(Some(_)))
}

fn open_disk(
    settings: &PipelineSettings,
    storage: &StorageSettings,
    directory: DataDirectory,
) -> Result<Storage, StartError> {
    for warning in directory.warnings() {
        warn!("{warning}");
    }
    let disk = DiskSettings {
        limits: settings.queue,
        sync: storage.sync,
        reserve_free: storage.reserve_free,
        retain: storage.retain,
    };
    let (queue, recovered) = Disk::open(&directory, disk)?;
    say(&recovered);
    Ok(Storage {
        queue: Arc::new(queue),
        directory: Some(directory),
    })
}

/// A half-written end is what a crash leaves, and nothing to worry about; yet it is said, for
/// whoever looks for what a crash has done.
fn say(recovered: &Recovered) {
    let (events, bytes) = (recovered.events, recovered.cut_bytes);
    if let Some(file) = &recovered.cut_file {
        warn!(
            bytes,
            file = %file.display(),
            "the queue had a half-written end, as a crash leaves it, which was cut off"
        );
    }
    info!(events, "the queue is open");
}

fn name_place(route: &str, Lag { events, bytes }: Lag, routes: &RouteNames) {
    if routes.disabled.iter().any(|name| name == route) {
        info!(
            route,
            events, bytes, "a route that is switched off keeps its place in the queue"
        );
    } else {
        warn!(
            route,
            events,
            bytes,
            "no route of this name is configured, and its place in the queue is kept; if it does \
             not come back: kete queue forget {route}"
        );
    }
}
