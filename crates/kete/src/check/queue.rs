//! What `check` says of the queue: where it lives, what bounds it, what survives.

use kete_config::{Diagnostics, Size};
use kete_pipeline::{PipelineSettings, StorageSettings};
use serde::Serialize;

use super::data_directory;
use super::line;
use crate::queue::{retain_words, sync_words};

/// The queue as programs read it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Queue {
    kind: &'static str,
    max_events: u64,
    max_bytes: u64,
    /// What a queue on disk has beside that.
    #[serde(flatten)]
    disk: Option<Disk>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Disk {
    directory: String,
    /// What is there now, for people.
    found: String,
    sync: String,
    /// Bytes that stay free on the file system.
    reserve_free: u64,
    retain: String,
}

impl Queue {
    /// What is set; what is wrong with the data directory is added to the diagnostics.
    pub(super) fn of(pipeline: &PipelineSettings, diagnostics: &Diagnostics) -> Queue {
        let storage = pipeline.storage.as_ref();
        let disk = storage.map(|storage| Disk::of(storage, diagnostics));
        Queue {
            kind: if disk.is_some() { "disk" } else { "memory" },
            max_events: pipeline.queue.max_events,
            max_bytes: pipeline.queue.max_bytes,
            disk,
        }
    }

    /// Adds its lines to what people read.
    pub(super) fn add_to(&self, text: &mut String) {
        let Queue {
            kind,
            max_events,
            max_bytes,
            disk,
        } = self;
        let place = if disk.is_some() { "on" } else { "in" };
        let size = Size(*max_bytes);
        let bounds = format!("{place} {kind}, at most {max_events} events and {size}");
        line(text, "queue", &bounds);
        if let Some(disk) = disk {
            line(text, "data directory", &disk.directory);
            line(text, "", &disk.found);
            line(text, "synced", &disk.sync);
            line(text, "left free", &Size(disk.reserve_free).to_string());
            line(text, "kept when delivered", &disk.retain);
        }
    }
}

impl Disk {
    fn of(storage: &StorageSettings, diagnostics: &Diagnostics) -> Disk {
        Disk {
            directory: storage.directory.display().to_string(),
            found: data_directory::found(&storage.directory, diagnostics),
            sync: sync_words(storage.sync),
            reserve_free: storage.reserve_free,
            retain: retain_words(storage.retain),
        }
    }
}
