//! The queue of a kete that does not run, opened by a command.
//!
//! The command holds the data directory meanwhile, so that no kete can start. It gives nothing up:
//! at a bound, routes that nobody works for lose events, and here that is every route. So no bound
//! counts, and what is kept of delivered events stays as it is.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kete_config::Size;
use kete_pipeline::Replayer;
use kete_queue::{
    DataDirectory, DataDirectoryError, Disk, DiskSettings, Found, Limits, Queue, Record, Recovered,
    Retain, Span, Sync, WhenFull,
};
use kete_routes::RouteRules;

use super::replay::{self, Replay};
use super::status::{approximately, bytes_of_files};
use crate::output;

/// Longer than anything is stored.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
/// How much is read at once, in events and bytes.
const AT_ONCE: (usize, u64) = (512, 1 << 20);
/// The numbers and lengths of a record in a file, and its share of what stands around it.
const NUMBERS: u64 = 40;

/// The queue in a data directory that is ours alone.
pub(crate) struct Closed {
    queue: Arc<Disk>,
    /// Locked until the queue is closed.
    directory: DataDirectory,
}

impl Closed {
    /// Opens the queue in a data directory; one that is not there is not made.
    ///
    /// # Errors
    ///
    /// In words: there is none, or it cannot be used.
    pub(crate) fn open(path: &Path) -> Result<Closed, String> {
        Closed::in_directory(hold(path)?)
    }

    /// Opens the queue in a data directory that is held already.
    ///
    /// # Errors
    ///
    /// In words: it cannot be used.
    pub(crate) fn in_directory(directory: DataDirectory) -> Result<Closed, String> {
        let opened = Disk::open(&directory, settings());
        let (queue, recovered) = opened.map_err(|problem| problem.to_string())?;
        say(&recovered);
        Ok(Closed {
            queue: Arc::new(queue),
            directory,
        })
    }

    pub(crate) fn queue(&self) -> Arc<dyn Queue> {
        Arc::clone(&self.queue) as Arc<dyn Queue>
    }

    /// Saves what was changed and lets the directory go.
    ///
    /// # Errors
    ///
    /// In words: something could not be saved.
    pub(crate) async fn close(self) -> Result<(), String> {
        let closed = self.queue.close().await;
        closed.map_err(|problem| problem.to_string())
    }

    /// Appends the events of a span for one route, all or none.
    ///
    /// # Errors
    ///
    /// In words: there is no room, or the queue cannot be read or written.
    pub(crate) async fn replay(
        &self,
        rules: Arc<RouteRules>,
        question: Replay,
        max_bytes: u64,
    ) -> Result<u64, String> {
        let Replay {
            route, from, to, ..
        } = &question;
        let (from, to) = (*from, *to);
        let bytes = self.measure(route, &rules, Span { from, to }).await?;
        if self.queue.usage().bytes.saturating_add(bytes) > max_bytes {
            return Err(format!(
                "these events have {}, for which the queue (kete.queue.max-bytes={}) has no room \
                 while nothing is delivered; ask again when kete runs",
                approximately(bytes),
                Size(max_bytes)
            ));
        }
        let stored = bytes_of_files(self.directory.path()).unwrap_or(0);
        if stored.saturating_add(bytes) > max_bytes {
            output::to_stderr(&format!(
                "note: with the copies ({}) the queue would be larger than \
                 kete.queue.max-bytes={}; what is kept of delivered events gives way, oldest \
                 first, and cannot be sent again then\n",
                approximately(bytes),
                Size(max_bytes)
            ));
        }
        let route = (Arc::from(&**route), rules);
        let replayer = Replayer::for_closed(self.queue(), [route]);
        let mut question = question;
        loop {
            let replayed = replay::replay_part(&replayer, question.clone(), true).await?;
            if replayed.progress.is_done() {
                return Ok(replayed.progress.events);
            }
            question.progress = Some(replayed.progress);
        }
    }

    /// What copies of the events of a span that a route wants take on disk, a bit more rather than
    /// less.
    async fn measure(&self, route: &str, rules: &RouteRules, span: Span) -> Result<u64, String> {
        let (mut next, newest) = (0, *self.queue.appended().borrow());
        let (events, max_bytes) = AT_ONCE;
        let mut bytes = 0;
        while next <= newest {
            let slice = self.queue.read_again(span, next, events, max_bytes).await;
            let slice = slice.map_err(|problem| problem.to_string())?;
            let wanted = slice.records.iter();
            let wanted = wanted.filter(|record| rules.accepts(&record.header.metadata));
            bytes += wanted
                .map(|record| bytes_on_disk(record, route))
                .sum::<u64>();
            if slice.next <= next {
                break;
            }
            next = slice.next;
        }
        Ok(bytes)
    }
}

/// What a copy for this route takes in a file: its texts as they are, and its share of the rest.
fn bytes_on_disk(record: &Record, route: &str) -> u64 {
    let Record { header, body, .. } = record;
    let metadata = &header.metadata;
    let texts = [
        &*header.event_id,
        &*header.ordering_key,
        &*header.source,
        &*metadata.event_type,
        metadata.realm.as_deref().unwrap_or_default(),
        metadata.resource_type.as_deref().unwrap_or_default(),
        metadata.operation_type.as_deref().unwrap_or_default(),
        route,
    ];
    let texts: usize = texts.iter().map(|text| text.len()).sum();
    (body.len() + texts) as u64 + NUMBERS
}

/// Locks a data directory; one that is not there is not made.
///
/// # Errors
///
/// In words: there is none, or it cannot be used.
pub(crate) fn hold(path: &Path) -> Result<DataDirectory, String> {
    match DataDirectory::look(path) {
        Ok(Found::Nothing | Found::Empty) => {
            let path = path.display();
            return Err(format!(
                "{path}: there is nothing yet; kete makes it when it first runs with \
                 kete.data-dir={path}"
            ));
        }
        Ok(Found::Free | Found::InUse(_)) => {}
        Err(problem) => return Err(problem.to_string()),
    }
    let directory = DataDirectory::open(path).map_err(refused)?;
    for warning in directory.warnings() {
        output::to_stderr(&format!("warning: {warning}\n"));
    }
    Ok(directory)
}

/// Whoever asks has tried the control socket first.
fn refused(problem: DataDirectoryError) -> String {
    match problem {
        DataDirectoryError::Locked { path, user } => format!(
            "{}: {user} uses it, and nobody listens on the control socket that this configuration \
             names; if that is a command, ask again when it has ended; if it is a kete that runs, \
             set kete.control.socket for both, or stop it",
            path.display()
        ),
        problem => problem.to_string(),
    }
}

fn settings() -> DiskSettings {
    DiskSettings {
        limits: Limits {
            max_events: u64::MAX,
            max_bytes: u64::MAX,
            when_full: WhenFull::Refuse,
        },
        sync: Sync::Always,
        reserve_free: 0,
        retain: Some(Retain {
            age: Some(FOR_EVER),
            bytes: None,
        }),
    }
}

fn say(recovered: &Recovered) {
    if let Some(file) = &recovered.cut_file {
        let (bytes, file) = (recovered.cut_bytes, file.display());
        output::to_stderr(&format!(
            "note: there are {bytes} bytes of a half-written end in {file}, as a crash leaves them; \
             they count for nothing, and what comes next is written over them\n"
        ));
    }
}
