//! The connections of a route that nobody uses, and how new ones come about.
//!
//! `deadpool` keeps the count and the order; this is its manager, which dials and decides whether
//! an idle connection may be used again. A connection known to be dead never is. With
//! `pool.test-on-borrow` an idle one has to answer first; if one stays silent, the other idle ones
//! of the same attempt are not asked at all, so that an attempt waits for silence once only.
//!
//! Replays have a connection of their own while there are any, beyond `pool.max-total`: the live
//! events may have all others, and the two must not starve each other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use deadpool::Runtime;
use deadpool::managed::{
    Manager, Metrics, Object, Pool, PoolError, QueueMode, RecycleError, RecycleResult, Timeouts,
};
use kete_pipeline::{ConnectFailure, Connection, Outgoing};
use kete_socketio::{Receiver, Sender, connect};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::barrier::{ANSWER_WITHIN, NoBarrier};
use super::connection::{Context, Line, attend};
use super::failure;
use super::identity::{Identity, Lease};
use super::pool_settings::PoolSettings;
use super::settings::Confirm;

/// The pool of one route.
pub(crate) type Wires = Pool<Dialler>;

/// A connection as the pool holds it. Dropping it closes the connection gracefully.
#[derive(Debug)]
pub(crate) struct Wire(pub(crate) Arc<Line>);

impl Drop for Wire {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Makes connections and knows all that are open.
#[derive(Debug)]
pub(crate) struct Dialler {
    pub(crate) context: Arc<Context>,
    pub(crate) identity: Arc<Identity>,
    test_on_borrow: bool,
    /// The most connections that stay open; only replays take one more.
    max_total: usize,
    /// All connections that are not quite gone.
    lines: Mutex<Vec<Weak<Line>>>,
    /// An idle connection was silent when it was asked, during the current attempt.
    doubt: AtomicBool,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Builds the pool of a route; `stop` ends all of its connections at once.
pub(crate) fn build(
    identity: Identity,
    context: Arc<Context>,
    settings: &PoolSettings,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<Wires, String> {
    let dialler = Dialler {
        context,
        identity: Arc::new(identity),
        test_on_borrow: settings.test_on_borrow,
        max_total: settings.max_total,
        lines: Mutex::default(),
        doubt: AtomicBool::new(false),
        tasks: tasks.clone(),
        stop: stop.clone(),
    };
    let order = if settings.lifo {
        QueueMode::Lifo
    } else {
        QueueMode::Fifo
    };
    let builder = Pool::builder(dialler)
        .max_size(settings.max_total + 1)
        .queue_mode(order);
    builder
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| error.to_string())
}

/// Takes an idle connection that is still good, or makes one.
pub(crate) async fn take(pool: &Wires) -> Result<Object<Dialler>, ConnectFailure> {
    let dialler = pool.manager();
    let waited = dialler.identity.connect_timeout();
    let timeouts = Timeouts {
        wait: Some(waited),
        ..Timeouts::new()
    };
    dialler.doubt.store(false, Ordering::Relaxed);
    let peer = &*dialler.context.peer;
    pool.timeout_get(&timeouts)
        .await
        .map_err(|error| match error {
            PoolError::Backend(failure) => failure,
            PoolError::Timeout(_) => failure::exhausted(peer, waited),
            _ => failure::closing(peer),
        })
}

impl Dialler {
    /// How many connections are open, in the pool or with the lane.
    pub(crate) fn open(&self) -> usize {
        self.count(Line::is_alive)
    }

    /// Whether there is room in the pool for a connection that was just given back.
    fn keeps(&self, max_idle: usize) -> bool {
        let now = Instant::now();
        let unused = self.count(|line| line.is_alive() && line.unused_for(now).is_some());
        unused <= max_idle && self.open() <= self.max_total
    }

    fn count(&self, which: impl Fn(&Line) -> bool) -> usize {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines
            .iter()
            .filter_map(Weak::upgrade)
            .filter(|line| which(line))
            .count()
    }

    /// Connects; once again and at once if a token is refused that may just be too old.
    async fn connect(&self) -> Result<(Sender, Receiver, Lease), ConnectFailure> {
        let peer = &*self.context.peer;
        loop {
            let attempt = self.identity.attempt(peer).await?;
            match connect(&attempt.options).await {
                Ok((sender, receiver)) => {
                    return Ok((sender, receiver, attempt.into_lease(Instant::now())));
                }
                Err(error) => {
                    let about_identity = failure::is_about_identity(&error);
                    if !(about_identity && self.identity.refused(&attempt)) {
                        return Err(failure::connecting(peer, &error, attempt.has_token()));
                    }
                }
            }
        }
    }

    async fn dial(&self) -> Result<Wire, ConnectFailure> {
        let peer = &*self.context.peer;
        let (sender, mut receiver, lease) = self.connect().await?;
        let barrier = match self.context.confirm {
            Confirm::Barrier => {
                let asked = self.context.barrier.ask(&sender, &mut receiver).await;
                Some(asked.map_err(|error| no_barrier(peer, &error))?)
            }
            Confirm::Ack | Confirm::Written => None,
        };
        let line = Arc::new(Line::new(Arc::clone(&self.context), sender, barrier));
        let attended = attend(Arc::clone(&line), receiver, lease, self.stop.clone());
        self.tasks.spawn(attended);
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.retain(|line| line.strong_count() > 0);
        lines.push(Arc::downgrade(&line));
        Ok(Wire(line))
    }
}

fn no_barrier(peer: &str, error: &NoBarrier) -> ConnectFailure {
    match error {
        NoBarrier::Silence(asked) => failure::no_barrier(peer, asked, ANSWER_WITHIN),
        NoBarrier::Closed(asked, reason) => failure::hung_up_on_barrier(peer, asked, reason),
    }
}

impl Manager for Dialler {
    type Type = Wire;
    type Error = ConnectFailure;

    async fn create(&self) -> Result<Wire, ConnectFailure> {
        self.dial().await
    }

    async fn recycle(&self, wire: &mut Wire, _: &Metrics) -> RecycleResult<ConnectFailure> {
        if !wire.0.is_alive() {
            return Err(RecycleError::message("it has ended"));
        }
        if !self.test_on_borrow {
            return Ok(());
        }
        if !self.doubt.load(Ordering::Relaxed) && wire.0.answers(ANSWER_WITHIN).await {
            return Ok(());
        }
        self.doubt.store(true, Ordering::Relaxed);
        Err(RecycleError::message("it does not answer"))
    }
}

/// A connection in the hands of the lane.
pub(crate) struct Lent {
    wire: Option<Object<Dialler>>,
    max_idle: usize,
}

impl Lent {
    pub(crate) fn new(wire: Object<Dialler>, max_idle: usize) -> Lent {
        Lent {
            wire: Some(wire),
            max_idle,
        }
    }
}

impl Connection for Lent {
    fn send(&mut self, batch: Vec<Outgoing>) {
        if let Some(wire) = &self.wire {
            wire.0.send(batch);
        }
    }

    fn probe(&mut self) {
        if let Some(wire) = &self.wire {
            wire.0.probe();
        }
    }

    fn release(mut self: Box<Self>) {
        let Some(wire) = self.wire.take() else { return };
        let reusable = wire.0.take_back();
        let room = Object::pool(&wire).is_some_and(|pool| pool.manager().keeps(self.max_idle));
        if !reusable || !room {
            drop(Object::take(wire));
        }
    }

    fn close(mut self: Box<Self>) {
        if let Some(wire) = self.wire.take() {
            drop(Object::take(wire));
        }
    }

    fn abort(self: Box<Self>) {
        // Dropping it does that.
    }
}

/// A connection that was neither given back nor closed carries events that nobody waits for.
impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(wire) = self.wire.take() {
            wire.0.abort();
            drop(Object::take(wire));
        }
    }
}
