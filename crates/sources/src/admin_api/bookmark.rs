//! Where a poller stands, as a durable queue remembers it.
//!
//! Two things are remembered for each kind of event of each realm, both as JSON. The position goes
//! with every page, in the step in which its events are taken, so that it is never ahead of them;
//! when it moves without events it is saved now and then. The ids of the rows that the next sweep
//! reads again are saved now and then as well: the queue knows what it has taken lately, and they
//! stand in for it when that was long ago.
//!
//! A position is a point in time by Keycloak's clock, so it means the same at another address of
//! the same Keycloak. With a queue in memory nothing is remembered, and nothing here does anything.

use std::time::Duration;

use bytes::Bytes;
use kete_pipeline::{Batch, Intake};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::client::EventKind;
use super::cursor::Cursor;

/// What changes without events is saved no more often than this.
const SAVE_EVERY: Duration = Duration::from_secs(30);

/// The most ids that are saved: 40 KB of them, in every file of the queue.
const MOST_IDS: usize = 1024;

/// The version of what is saved. A newer kete reads older ones.
const FORMAT: u32 = 1;

/// What is saved with a page.
#[derive(Debug, Serialize, Deserialize)]
struct Position {
    format: u32,
    /// Everything before this was read, except what may still appear; milliseconds since 1970.
    position: i64,
    /// Rows older than this were never wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<i64>,
    /// The URL of the Keycloak, to say when it has changed.
    server: String,
}

/// What is saved now and then.
#[derive(Debug, Serialize, Deserialize)]
struct Seen {
    format: u32,
    ids: Vec<String>,
}

/// What was remembered when polling began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remembered {
    pub(super) position: i64,
    pub(super) not_before: Option<i64>,
    pub(super) server: String,
    /// Ids of rows that were taken.
    pub(super) seen: Vec<String>,
}

/// Keeps the position of one poller.
pub(super) struct Bookmark {
    durable: bool,
    position_part: String,
    seen_part: String,
    server: String,
    remembered: Option<Remembered>,
    /// The position that was saved last, and when.
    saved: Option<i64>,
    saved_at: Option<Instant>,
    /// Whether there are new ids since they were saved, and when that was.
    has_new_ids: bool,
    ids_saved_at: Option<Instant>,
}

impl Bookmark {
    /// Reads what is remembered of this kind of event of this realm.
    ///
    /// # Errors
    ///
    /// What is remembered cannot be read. To begin anyway would lose events, or repeat all.
    pub(super) async fn open(
        intake: &Intake,
        realm: &str,
        kind: EventKind,
        server: String,
    ) -> Result<Bookmark, String> {
        let kind = kind.name();
        let position_part = format!("position/{kind}/{realm}");
        let seen_part = format!("seen/{kind}/{realm}");
        let position: Option<Position> = read(intake, &position_part).await?;
        let seen: Option<Seen> = read(intake, &seen_part).await?;
        let remembered = position.map(|saved| Remembered {
            position: saved.position,
            not_before: saved.not_before,
            server: saved.server,
            seen: seen.map_or_else(Vec::new, |seen| seen.ids),
        });
        Ok(Bookmark {
            durable: intake.is_durable(),
            position_part,
            seen_part,
            server,
            saved: remembered.as_ref().map(|found| found.position),
            remembered,
            saved_at: None,
            has_new_ids: false,
            ids_saved_at: None,
        })
    }

    /// Whether anything is remembered at all.
    pub(super) fn is_durable(&self) -> bool {
        self.durable
    }

    /// The URL of the Keycloak, as it is written down.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// What was remembered when polling began.
    pub(super) fn remembered(&self) -> Option<&Remembered> {
        self.remembered.as_ref()
    }

    /// Polling begins, and would begin there again after a restart: that need not be saved.
    pub(super) fn begins_at(&mut self, position: i64) {
        self.saved = Some(position);
    }

    /// Has the position saved with the new rows of a page, which are in the batch.
    pub(super) fn save_with(&mut self, batch: &mut Batch, cursor: &Cursor) {
        if !self.durable {
            return;
        }
        self.has_new_ids = true;
        self.saved = Some(cursor.position());
        self.saved_at = Some(Instant::now());
        batch.remember(&self.position_part, self.position(cursor));
    }

    /// Batches without events that save what has changed since it was saved last. Asked for when
    /// a sweep has ended; where that was lately, there are none.
    pub(super) fn due(&mut self, intake: &Intake, cursor: &Cursor) -> Vec<Batch> {
        let mut batches = Vec::new();
        if !self.durable {
            return batches;
        }
        let now = Instant::now();
        let is_due = |at: Option<Instant>| at.is_none_or(|at| now - at >= SAVE_EVERY);
        let mut save = |part: &str, state: Bytes| {
            let mut batch = intake.batch();
            batch.remember(part, state);
            batches.push(batch);
        };
        if self.saved != Some(cursor.position()) && is_due(self.saved_at) {
            save(&self.position_part, self.position(cursor));
            self.saved = Some(cursor.position());
            self.saved_at = Some(now);
        }
        if self.has_new_ids && is_due(self.ids_saved_at) {
            save(&self.seen_part, seen(cursor));
            self.has_new_ids = false;
            self.ids_saved_at = Some(now);
        }
        batches
    }

    fn position(&self, cursor: &Cursor) -> Bytes {
        encode(&Position {
            format: FORMAT,
            position: cursor.position(),
            not_before: cursor.floor(),
            server: self.server.clone(),
        })
    }
}

fn seen(cursor: &Cursor) -> Bytes {
    let ids = cursor.newest_ids().take(MOST_IDS);
    encode(&Seen {
        format: FORMAT,
        ids: ids.map(str::to_owned).collect(),
    })
}

fn encode(saved: &impl Serialize) -> Bytes {
    // Numbers and texts in a struct: there is nothing that JSON cannot hold.
    serde_json::to_vec(saved).map_or_else(|_never| Bytes::new(), Bytes::from)
}

/// The version alone, which is looked at first.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

async fn read<T: for<'s> Deserialize<'s>>(
    intake: &Intake,
    part: &str,
) -> Result<Option<T>, String> {
    let Some(saved) = intake.remembered(part).await else {
        return Ok(None);
    };
    let name = intake.source();
    let way_out = "give the source another name to begin at its start-from";
    let unreadable = |error| {
        format!("what the queue remembers as {name}/{part} cannot be read: {error}; {way_out}")
    };
    let Version { format } = serde_json::from_slice(&saved).map_err(unreadable)?;
    if format > FORMAT {
        return Err(format!(
            "what the queue remembers as {name}/{part} was written by a newer kete (format \
             {format}); this kete reads up to format {FORMAT}: run that version, or {way_out}"
        ));
    }
    serde_json::from_slice(&saved).map(Some).map_err(unreadable)
}
