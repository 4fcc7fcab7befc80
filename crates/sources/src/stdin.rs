//! Events from standard input, one JSON object per line.
//!
//! A complete forwarding job is `kete run < events.ndjson`, and `something | kete run` follows a
//! live stream: events wait for others only while more input is there already. A line that is not
//! an event is reported with its number, counted and skipped, however long it is.
//!
//! While the queue has no room, or cannot be written, nothing is read: the input waits. With a
//! durable queue the end of the input is told only when all of it is safe. What was read is not
//! remembered: the same input read again, after a crash say, is taken again.
//!
//! Reading blocks, so a thread of its own does it. A thread that waits for a silent terminal or
//! pipe cannot be called back; it holds nothing but its buffer, nobody waits for it, and it ends
//! with the process.

mod reader;

use std::io::Read;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{self, BoxFuture};
use kete_config::{Key, KeyTable, Positive, Scope, Size};
use kete_event::Event;
use kete_pipeline::{
    Batch, Intake, IntakeError, Receipt, Source, SourceError, SourceKind, SourcePlan,
    SourceSection, Stop,
};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use self::reader::{Block, Reader};
use crate::complaints::Complaints;
use crate::lines::{Line, Lines};
use crate::realm_names::{REALM, REALM_NAMES, RealmNames};
use crate::registry;

/// The value of `kind`.
pub(crate) const NAME: &str = "stdin";

pub(crate) const KIND: SourceKind = SourceKind {
    name: NAME,
    doc: "reads events from standard input, one JSON object per line, to its end",
    keys: KEYS,
    check,
};

static MAX_LINE_SIZE: Key<Positive<Size>> = Key::with_default(
    "max-line-size",
    "1MiB",
    "the most bytes of a line; a longer one is reported, counted and skipped",
);

static KEYS: KeyTable = &[&REALM, &REALM_NAMES, &MAX_LINE_SIZE];

/// A batch goes to intake when it holds so many events,
const BATCH_EVENTS: usize = 256;
/// or so many bytes, or when no more input is there.
const BATCH_BYTES: u64 = 256 * 1024;

fn check(section: &SourceSection<'_>) -> Option<Box<dyn SourcePlan>> {
    let realm_names = RealmNames::read(section.scope);
    let Positive(max_line_size) = section.scope.read(&MAX_LINE_SIZE)?;
    is_only_reader(section).then(|| {
        let name = Arc::from(section.name);
        let max_line_size = max_line_size.as_usize();
        Box::new(Plan {
            name,
            realm_names,
            max_line_size,
        }) as Box<dyn SourcePlan>
    })
}

/// Standard input can be read once; the first source by name has it.
fn is_only_reader(section: &SourceSection<'_>) -> bool {
    let scope = section
        .settings
        .scope(registry::SECTION, section.diagnostics);
    let is_stdin = |name: &str| {
        let kind = scope.child(name).raw("kind");
        kind.is_some_and(|(kind, _)| kind == NAME)
    };
    let names = section.settings.names_below(registry::SECTION);
    let before = names
        .iter()
        .take_while(|name| name.as_str() != section.name);
    let Some(first) = before.into_iter().find(|name| is_stdin(name)) else {
        return true;
    };
    let reader = Scope::full_name(&scope, first);
    let message = format!("standard input is read by {reader} already, and there is only one");
    section.scope.reject(
        "kind",
        "stdin-twice",
        message,
        "remove one of the two".to_owned(),
    );
    false
}

struct Plan {
    name: Arc<str>,
    realm_names: RealmNames,
    max_line_size: usize,
}

impl SourcePlan for Plan {
    fn finite(&self) -> bool {
        true
    }

    fn build(self: Box<Self>) -> BoxFuture<'static, Result<Box<dyn Source>, SourceError>> {
        let source = Stdin::new(*self, Box::new(std::io::stdin()));
        future::ready(Ok(Box::new(source) as Box<dyn Source>)).boxed()
    }
}

/// Reads events from anything that can be read, which outside tests is standard input.
struct Stdin {
    name: Arc<str>,
    realm_names: RealmNames,
    max_line_size: usize,
    input: Box<dyn Read + Send>,
}

impl Stdin {
    fn new(plan: Plan, input: Box<dyn Read + Send>) -> Stdin {
        let Plan {
            name,
            realm_names,
            max_line_size,
        } = plan;
        Stdin {
            name,
            realm_names,
            max_line_size,
            input,
        }
    }

    async fn read_all(self, intake: Intake, stop: Stop) -> Result<(), SourceError> {
        let failed = |problem| SourceError {
            name: self.name.to_string(),
            problem,
        };
        let mut reader = Reader::start(self.input).map_err(|error| {
            failed(format!(
                "the thread that reads standard input did not start: {error}"
            ))
        })?;
        let mut lines = Lines::new(self.max_line_size);
        let mut events = Events::new(intake, self.realm_names, self.max_line_size);
        let result = loop {
            match events.next_block(&mut reader, &stop).await {
                Next::Block(Ok(block)) => {
                    if events.take_block(&mut lines, &block).await.is_err() {
                        break Ok(());
                    }
                    reader.give_back(block);
                }
                Next::Block(Err(error)) => {
                    break Err(failed(format!("standard input could not be read: {error}")));
                }
                Next::End => {
                    if let Some(line) = lines.finish() {
                        events.take_line(&line);
                    }
                    break Ok(());
                }
                Next::Stopped => break Ok(()),
            }
        };
        // What was read before an error is as good as if the error had not come.
        let _stopping = events.flush().await;
        events.wait_until_safe(&stop).await;
        events.say_goodbye(lines.count());
        result
    }
}

impl Source for Stdin {
    fn run(
        self: Box<Self>,
        intake: Intake,
        stop: Stop,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        self.read_all(intake, stop).boxed()
    }
}

/// What comes next from the input.
enum Next {
    Block(std::io::Result<Block>),
    End,
    Stopped,
}

/// Turns lines into batches.
struct Events {
    intake: Intake,
    realm_names: RealmNames,
    max_line_size: usize,
    batch: Option<Batch>,
    /// Events in the batch, those included that no route wants.
    pushed: usize,
    /// Settles when all that was handed over is safe, if the queue is durable.
    last: Receipt,
    complaints: Complaints,
    events: u64,
    bad: u64,
    foreign: u64,
}

impl Events {
    fn new(intake: Intake, realm_names: RealmNames, max_line_size: usize) -> Events {
        Events {
            intake,
            realm_names,
            max_line_size,
            batch: None,
            pushed: 0,
            last: Receipt::safe(),
            complaints: Complaints::new(Instant::now()),
            events: 0,
            bad: 0,
            foreign: 0,
        }
    }

    /// The next block; hands over what there is before it waits for one.
    async fn next_block(&mut self, reader: &mut Reader, stop: &Stop) -> Next {
        if stop.is_requested() {
            return Next::Stopped;
        }
        if let Some(next) = reader.next_now() {
            return next.map_or(Next::End, Next::Block);
        }
        if self.flush().await.is_err() {
            return Next::Stopped;
        }
        tokio::select! {
            next = reader.next() => next.map_or(Next::End, Next::Block),
            () = stop.requested() => Next::Stopped,
        }
    }

    async fn take_block(&mut self, lines: &mut Lines, block: &Block) -> Result<(), Stopping> {
        let mut at = 0;
        while let Some(line) = lines.next(block.bytes(), &mut at) {
            self.take_line(&line);
            let bytes = self.batch.as_ref().map_or(0, Batch::bytes);
            if self.pushed >= BATCH_EVENTS || bytes >= BATCH_BYTES {
                self.flush().await?;
            }
        }
        Ok(())
    }

    fn take_line(&mut self, line: &Line<'_>) {
        let Some(text) = line.text else {
            let limit = Size(self.max_line_size as u64);
            return self.complain(
                line.number,
                &format!("it is longer than max-line-size={limit}"),
            );
        };
        if text.trim_ascii().is_empty() {
            return;
        }
        match Event::parse(text) {
            Ok(mut event) => {
                self.realm_names.fill_in(&mut event, self.intake.source());
                self.batch
                    .get_or_insert_with(|| self.intake.batch())
                    .push(event);
                self.pushed += 1;
                self.events += 1;
            }
            Err(error) if error.is_foreign() => {
                self.foreign += 1;
                debug!(
                    source = self.intake.source(),
                    line = line.number,
                    "left out a message"
                );
            }
            // Every place in the error is in line 1 of what was parsed, which would mislead.
            Err(error) => {
                let reason = error.to_string().replace("line 1 column", "column");
                self.complain(line.number, &reason);
            }
        }
    }

    fn complain(&mut self, line: u64, reason: &str) {
        self.bad += 1;
        self.intake.bad(1);
        if let Some(left_out) = self.complaints.admit(Instant::now()) {
            let source = self.intake.source();
            warn!(
                source,
                line, reason, left_out, "skipped a line that is not an event"
            );
        }
    }

    /// Hands over what was read. Waits for room, so that nothing piles up here.
    async fn flush(&mut self) -> Result<(), Stopping> {
        self.pushed = 0;
        let Some(batch) = self.batch.take() else {
            return Ok(());
        };
        match self.intake.submit(batch).await {
            Ok(receipt) => {
                // A durable queue makes things safe in the order in which it took them.
                if !receipt.is_settled() {
                    self.last = receipt;
                }
                Ok(())
            }
            Err(IntakeError::Stopping) => Err(Stopping),
            Err(error) => {
                self.intake.bad(1);
                self.bad += 1;
                let source = self.intake.source();
                warn!(source, %error, "left out an event that can never fit into the queue");
                Ok(())
            }
        }
    }

    /// Waits for the disk. With a queue in memory nobody waits for receipts of standard input: at
    /// its end the pipeline settles all.
    async fn wait_until_safe(&self, stop: &Stop) {
        if !self.intake.is_durable() {
            return;
        }
        tokio::select! {
            settled = self.last.settled() => if let Err(error) = settled {
                warn!(source = self.intake.source(), %error, "the end of the input is not safe");
            },
            () = stop.requested() => {}
        }
    }

    fn say_goodbye(&mut self, lines: u64) {
        let source = self.intake.source();
        let (events, bad, foreign) = (self.events, self.bad, self.foreign);
        let left_out = self.complaints.take_left_out();
        if bad > 0 {
            warn!(
                source,
                lines, events, bad, foreign, left_out, "read standard input"
            );
        } else {
            info!(source, lines, events, foreign, "read standard input");
        }
    }
}

/// kete is stopping and takes nothing more.
struct Stopping;

#[cfg(test)]
mod tests;
