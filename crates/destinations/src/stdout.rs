//! The `stdout` destination: canonical events as lines, to look at or to pipe on.
//!
//! A thread of its own writes, because a pipe that nobody reads blocks whoever writes to it. That
//! is back-pressure and no failure, however long it takes: `kete run | less` repeats nothing. A
//! batch is written and flushed in one go under the lock of standard output, so two routes
//! interleave by whole lines; then it is confirmed.
//!
//! Once the reader of a pipe has gone (`kete run | head`), nothing can ever be written again. The
//! events are not confirmed then, every further attempt fails at once, and
//! [`standard_output_closed`] tells the program, which should shut down as if it were asked to:
//! that is how a pipeline ends, and waiting would be for ever.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, select_all};
use kete_event::Metadata;
use kete_pipeline::{
    CLOSE_DEADLINE, ConnectFailure, ConnectFailureKind, Connection, ConnectionEvent, Destination,
    DestinationKind, DestinationPlan, DestinationSection, EventFailure, LaneSettings, Link,
    Outgoing, Prepared, Record,
};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tracing::warn;

use crate::codes;

/// `destination.kind=stdout`.
pub(crate) const KIND: DestinationKind = DestinationKind {
    name: "stdout",
    doc: "standard output: each event as one line of JSON",
    keys: &[],
    sections: &[],
    check,
};

/// How many reports may wait for the lane before the thread waits too.
const REPORTS: usize = 64;

/// How many threads may write: one for live events, one for replays.
const THREADS: usize = 2;

const PEER: &str = "standard output";

/// Becomes true when nothing can be written any more.
static CLOSED: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(false));

/// Waits until a route writes to standard output whose reader has gone. The program should end
/// then, in order; events that were not written stay undelivered.
pub async fn standard_output_closed() {
    let mut closed = CLOSED.subscribe();
    // The sender is static and so outlives every wait.
    let _closed = closed.wait_for(|closed| *closed).await;
}

/// How long the reader of a pipe may take: as good as for ever, and no clock overflows.
const PATIENCE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

fn check(section: &DestinationSection<'_>) -> Option<Box<dyn DestinationPlan>> {
    const CONFIRM_TIMEOUT: &str = "confirm.timeout";
    if section.scope.is_set(CONFIRM_TIMEOUT) {
        let message = "standard output may wait for its reader as long as that takes";
        section
            .scope
            .warn(CONFIRM_TIMEOUT, codes::NO_EFFECT, message, None);
    }
    let lane = LaneSettings {
        confirm_timeout: PATIENCE,
        ..*section.lane
    };
    Some(Box::new(Plan { lane }))
}

struct Plan {
    lane: LaneSettings,
}

impl DestinationPlan for Plan {
    fn build(self: Box<Self>) -> Result<Arc<dyn Destination>, String> {
        Ok(Arc::new(Stdout::new(Arc::new(to_standard_output))))
    }

    fn subject(&self, _: &Metadata, _: &[u8]) -> Result<Arc<str>, EventFailure> {
        Ok("line".into())
    }

    fn lane(&self) -> LaneSettings {
        self.lane
    }
}

/// Writes whole lines.
type Output = Arc<dyn Fn(&[u8]) -> io::Result<()> + Send + Sync>;

fn to_standard_output(lines: &[u8]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    let written = output.write_all(lines).and_then(|()| output.flush());
    if written
        .as_ref()
        .is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    {
        CLOSED.send_replace(true);
    }
    written
}

/// A thread, and what tells that it has ended.
type Thread = (JoinHandle<()>, oneshot::Receiver<()>);

struct Stdout {
    output: Output,
    /// The reader has gone.
    over: Arc<AtomicBool>,
    /// The threads of connections; held while one is waited for.
    writers: tokio::sync::Mutex<Vec<Thread>>,
}

impl Stdout {
    fn new(output: Output) -> Stdout {
        Stdout {
            output,
            over: Arc::default(),
            writers: tokio::sync::Mutex::default(),
        }
    }

    async fn open(&self) -> Result<Link, ConnectFailure> {
        if self.over.load(Ordering::Relaxed) {
            return Err(nobody_reads(ConnectFailureKind::Unreachable));
        }
        let mut writers = self.writers.lock().await;
        if !Stdout::fewer_than(THREADS, &mut writers).await {
            let message = format!("{PEER}: the last lines are still being written; read them");
            return Err(ConnectFailure {
                kind: ConnectFailureKind::Timeout,
                message,
            });
        }
        let (reports, events) = mpsc::channel(REPORTS);
        let (ended, end) = oneshot::channel();
        let work = Arc::new(Work::default());
        let writer = Writer {
            work: Arc::clone(&work),
            output: Arc::clone(&self.output),
            over: Arc::clone(&self.over),
            reports,
            _ended: ended,
        };
        let thread = thread::Builder::new()
            .name("kete-stdout".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| failure(format!("no thread can be started: {error}")))?;
        writers.push((thread, end));
        Ok(Link {
            connection: Box::new(Lines { work }),
            events,
            peer: PEER.into(),
        })
    }

    /// Waits for threads of earlier connections until there are fewer than so many. False if they
    /// hang in a write. Dropping the future loses none.
    async fn fewer_than(most: usize, writers: &mut Vec<Thread>) -> bool {
        loop {
            // A thread drops the other end when it ends; nothing is ever sent.
            let ended = |thread: &mut Thread| thread.1.try_recv() == Err(TryRecvError::Closed);
            for (thread, _) in writers.extract_if(.., ended) {
                join(thread);
            }
            if writers.len() < most {
                return true;
            }
            let one_has_ended = select_all(writers.iter_mut().map(|(_, end)| end));
            if timeout(CLOSE_DEADLINE, one_has_ended).await.is_err() {
                return false;
            }
        }
    }

    async fn shut(&self) {
        let mut writers = self.writers.lock().await;
        if !Stdout::fewer_than(1, &mut writers).await {
            // There is no way to stop it; it ends with the process.
            warn!("standard output is not read, its last lines may be missing");
        }
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        warn!("a thread for standard output has failed");
    }
}

impl Destination for Stdout {
    fn prepare(&self, record: &Record) -> Result<Prepared, EventFailure> {
        Ok(Prepared {
            subject: "line".into(),
            payload: record.body.clone(),
        })
    }

    fn connect(&self) -> BoxFuture<'_, Result<Link, ConnectFailure>> {
        self.open().boxed()
    }

    fn max_connections(&self) -> usize {
        1
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.shut().boxed()
    }
}

/// What a lane wants written. Bounded by what the lane has in flight.
#[derive(Default)]
struct Work {
    orders: Mutex<Orders>,
    changed: Condvar,
}

#[derive(Default)]
struct Orders {
    lines: Vec<Bytes>,
    through: u64,
    probed: bool,
    /// Nothing more comes; what is there is still written.
    last: bool,
}

/// The lane's end of it.
struct Lines {
    work: Arc<Work>,
}

impl Lines {
    fn order(&self, change: impl FnOnce(&mut Orders)) {
        change(&mut lock(&self.work.orders));
        self.work.changed.notify_one();
    }
}

impl Connection for Lines {
    fn send(&mut self, batch: Vec<Outgoing>) {
        self.order(|orders| {
            for outgoing in batch {
                orders.through = outgoing.ticket;
                orders.lines.push(outgoing.prepared.payload);
            }
        });
    }

    fn probe(&mut self) {
        self.order(|orders| orders.probed = true);
    }

    fn release(self: Box<Self>) {
        // Dropping it ends the thread; the next connection costs no more than another one.
    }

    fn close(self: Box<Self>) {
        // Dropping it does that, after everything is written.
    }

    fn abort(self: Box<Self>) {
        self.order(|orders| orders.lines.clear());
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.order(|orders| orders.last = true);
    }
}

/// The thread's end of it.
struct Writer {
    work: Arc<Work>,
    output: Output,
    over: Arc<AtomicBool>,
    reports: mpsc::Sender<ConnectionEvent>,
    /// Tells by being dropped that the thread has ended.
    _ended: oneshot::Sender<()>,
}

impl Writer {
    /// Writes until there is nothing more to write, or nothing more can be written.
    fn run(self) {
        let mut buffer = Vec::new();
        loop {
            let orders = self.next();
            buffer.clear();
            for line in &orders.lines {
                buffer.extend_from_slice(line);
                buffer.push(b'\n');
            }
            let written = if buffer.is_empty() {
                Ok(())
            } else {
                (self.output)(&buffer)
            };
            if let Err(error) = written {
                return self.give_up(&error);
            }
            // A lane that listens no more has closed the connection, which ends this loop too.
            if !orders.lines.is_empty() {
                let through = orders.through;
                let _unheard = self
                    .reports
                    .blocking_send(ConnectionEvent::Confirmed { through });
            }
            if orders.probed {
                let _unheard = self.reports.blocking_send(ConnectionEvent::Proven);
            }
            if orders.last {
                return;
            }
        }
    }

    /// Waits for orders and takes all of them.
    fn next(&self) -> Orders {
        let orders = lock(&self.work.orders);
        let idle = |orders: &mut Orders| orders.lines.is_empty() && !orders.probed && !orders.last;
        let waited = self.work.changed.wait_while(orders, idle);
        let mut orders = waited.unwrap_or_else(PoisonError::into_inner);
        let (through, last) = (orders.through, orders.last);
        std::mem::replace(
            &mut *orders,
            Orders {
                through,
                last,
                ..Orders::default()
            },
        )
    }

    fn give_up(&self, error: &io::Error) {
        let lost = if error.kind() == io::ErrorKind::BrokenPipe {
            self.over.store(true, Ordering::Relaxed);
            nobody_reads(ConnectFailureKind::Ended)
        } else {
            failure(error.to_string())
        };
        let _unheard = self.reports.blocking_send(ConnectionEvent::Lost(lost));
    }
}

fn nobody_reads(kind: ConnectFailureKind) -> ConnectFailure {
    let message = format!("{PEER}: whoever read it has gone; start kete again with a reader");
    ConnectFailure { kind, message }
}

fn failure(what: String) -> ConnectFailure {
    ConnectFailure {
        kind: ConnectFailureKind::Ended,
        message: format!("{PEER}: {what}"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
