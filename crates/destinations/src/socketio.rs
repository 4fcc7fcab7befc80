//! The Socket.IO destination: events of a route, emitted to a server and confirmed by it.
//!
//! The lane decides what goes where and when to try again; the client crate speaks the protocol.
//! Between them this module keeps the connections that nobody uses, asks for confirmations at the
//! right moments, and says in words what is wrong. It never repeats an event by itself, and no
//! failure of one event touches the connection.

mod barrier;
mod confirmation;
mod connection;
mod event_id;
mod failure;
mod identity;
mod maintenance;
mod names;
mod pool;
mod pool_settings;
mod settings;
mod target;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use deadpool::managed::Object;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kete_event::Metadata;
use kete_pipeline::{
    CLOSE_DEADLINE, Certificate, CertificateReader, ConnectFailure, Destination, DestinationKind,
    DestinationPlan, DestinationSection, EventFailure, FailureReason, LaneSettings, Link,
    Ordering as KeyOrdering, Prepared, Record,
};
use kete_routes::{EventName, Serializer};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use self::barrier::BarrierMemory;
use self::connection::Context;
use self::identity::Identity;
use self::maintenance::maintain;
use self::pool::{Lent, Wires};
use self::pool_settings::PoolSettings;
use self::settings::{Confirm, SocketIoSettings};

/// `destination.kind=socketio`.
pub(crate) const KIND: DestinationKind = DestinationKind {
    name: "socketio",
    doc: "a Socket.IO server of version 3 or later",
    keys: settings::KEYS,
    sections: settings::SECTIONS,
    check,
};

fn check(section: &DestinationSection<'_>) -> Option<Box<dyn DestinationPlan>> {
    let mut settings = settings::read(section.scope, section.only_realm)?;
    let mut lane = *section.lane;
    lane.one_per_key = settings.confirm == Confirm::Ack;
    if lane.ordering == KeyOrdering::Total {
        settings.pool = settings.pool.single();
    }
    Some(Box::new(Plan {
        settings,
        serializer: Arc::clone(section.serializer),
        lane,
    }))
}

/// A checked section.
struct Plan {
    settings: SocketIoSettings,
    serializer: Arc<dyn Serializer>,
    lane: LaneSettings,
}

impl DestinationPlan for Plan {
    fn build(self: Box<Self>) -> Result<Arc<dyn Destination>, String> {
        let Plan {
            settings,
            serializer,
            ..
        } = *self;
        let context = Context {
            peer: target::peer(&settings.options).into(),
            confirm: settings.confirm,
            error_pointer: settings.error_pointer,
            event_id: settings.event_id,
            barrier: BarrierMemory::new(settings.barrier),
            up: AtomicBool::new(false),
        };
        let identity = settings.identity.build(settings.options);
        let identity = identity.map_err(|error| error.to_string())?;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let pool = pool::build(identity, Arc::new(context), &settings.pool, &tasks, &stop)?;
        Ok(Arc::new(SocketIo {
            emitter: Emitter {
                event_name: settings.event_name,
                serializer,
            },
            pool,
            settings: settings.pool,
            attempts: watch::Sender::new(false),
            watched: OnceLock::new(),
            maintained: OnceLock::new(),
            tasks,
            rest: stop.child_token(),
            stop: stop.clone(),
            _stop_when_dropped: stop.drop_guard(),
        }))
    }

    fn subject(&self, metadata: &Metadata, body: &[u8]) -> Result<Arc<str>, EventFailure> {
        subject(&self.settings.event_name, metadata, body)
    }

    fn lane(&self) -> LaneSettings {
        self.lane
    }

    fn certificates(&self) -> Vec<Certificate> {
        self.settings.identity.certificates()
    }
}

/// The destination at work.
struct SocketIo {
    emitter: Emitter,
    pool: Wires,
    settings: PoolSettings,
    /// Whether the lane is connecting at the moment.
    attempts: watch::Sender<bool>,
    /// Set when the files of the identity are watched.
    watched: OnceLock<()>,
    /// Set when the maintenance of the pool has been started.
    maintained: OnceLock<()>,
    /// The maintenance, and the task of each connection.
    tasks: TaskTracker,
    /// Ends the maintenance.
    rest: CancellationToken,
    /// Ends everything at once.
    stop: CancellationToken,
    _stop_when_dropped: DropGuard,
}

impl Destination for SocketIo {
    fn prepare(&self, record: &Record) -> Result<Prepared, EventFailure> {
        self.emitter.prepare(&record.header.metadata, &record.body)
    }

    fn connect(&self) -> BoxFuture<'_, Result<Link, ConnectFailure>> {
        self.open().boxed()
    }

    fn max_connections(&self) -> usize {
        self.settings.max_total
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.shut().boxed()
    }

    fn certificates(&self) -> Option<CertificateReader> {
        let identity = self.identity();
        Some(Arc::new(move || identity.certificates()))
    }
}

impl SocketIo {
    async fn open(&self) -> Result<Link, ConnectFailure> {
        let _attempt = Attempt::begin(&self.attempts);
        self.watched.get_or_init(|| self.watch_files());
        let link = self.lend().await;
        self.context().up.store(link.is_ok(), Ordering::Relaxed);
        if link.is_ok() {
            self.maintained.get_or_init(|| self.maintain());
        }
        link
    }

    /// Lends a connection. One that ends in the moment between being found good and being lent
    /// makes room for the next, unless it was new.
    async fn lend(&self) -> Result<Link, ConnectFailure> {
        loop {
            let wire = pool::take(&self.pool).await?;
            let new = Object::metrics(&wire).recycle_count == 0;
            match wire.0.lend() {
                Ok(events) => {
                    let connection = Box::new(Lent::new(wire, self.settings.max_idle));
                    let peer = Arc::clone(&self.context().peer);
                    return Ok(Link {
                        connection,
                        events,
                        peer,
                    });
                }
                Err(failure) => {
                    drop(Object::take(wire));
                    if let (true, Some(failure)) = (new, failure) {
                        return Err(failure);
                    }
                }
            }
        }
    }

    /// Has renewed files noticed while no connection is made.
    fn watch_files(&self) {
        let (identity, rest) = (self.identity(), self.rest.clone());
        let watch = async move { rest.run_until_cancelled(identity.watch_files()).await };
        self.tasks.spawn(watch);
    }

    fn maintain(&self) {
        if let Some(eviction) = self.settings.eviction {
            let (attempts, rest) = (self.attempts.subscribe(), self.rest.clone());
            let pool = self.pool.clone();
            self.tasks
                .spawn(maintain(pool, self.settings, eviction, attempts, rest));
        }
    }

    async fn shut(&self) {
        self.rest.cancel();
        drop(self.pool.retain(|_, _| false));
        self.pool.close();
        self.tasks.close();
        let _late = timeout(CLOSE_DEADLINE, self.tasks.wait()).await;
        self.stop.cancel();
    }

    fn identity(&self) -> Arc<Identity> {
        Arc::clone(&self.pool.manager().identity)
    }

    fn context(&self) -> &Context {
        &self.pool.manager().context
    }
}

/// Tells the maintenance that the lane is connecting, for as long as it lives.
struct Attempt<'a>(&'a watch::Sender<bool>);

impl Attempt<'_> {
    fn begin(attempts: &watch::Sender<bool>) -> Attempt<'_> {
        attempts.send_replace(true);
        Attempt(attempts)
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}

/// Makes of an event what goes out.
struct Emitter {
    event_name: EventName,
    serializer: Arc<dyn Serializer>,
}

impl Emitter {
    fn prepare(&self, metadata: &Metadata, body: &Bytes) -> Result<Prepared, EventFailure> {
        let subject = subject(&self.event_name, metadata, body)?;
        let serialized = self.serializer.serialize(body);
        let serialized = serialized.map_err(|error| unserializable(error.to_string()))?;
        let payload = if self.serializer.content_type().contains("json") {
            serialized
        } else {
            as_json_string(&serialized)?
        };
        Ok(Prepared { subject, payload })
    }
}

fn subject(name: &EventName, metadata: &Metadata, body: &[u8]) -> Result<Arc<str>, EventFailure> {
    name.render(metadata, body)
        .map_err(|error| EventFailure::Permanent {
            reason: FailureReason::EventName,
            detail: error.to_string(),
        })
}

/// What is not JSON is emitted as one string, as KETE does it.
fn as_json_string(serialized: &[u8]) -> Result<Bytes, EventFailure> {
    let text = std::str::from_utf8(serialized)
        .map_err(|_| unserializable("only text can be emitted, and this is none".to_owned()))?;
    Ok(serde_json::Value::from(text).to_string().into())
}

fn unserializable(detail: String) -> EventFailure {
    EventFailure::Permanent {
        reason: FailureReason::Serialization,
        detail,
    }
}

#[cfg(test)]
mod tests;
