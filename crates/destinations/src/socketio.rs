//! The Socket.IO destination: events of a route, emitted to a server and confirmed by it.
//!
//! The lane decides what goes where and when to try again; the client crate speaks the protocol.
//! Between them this module keeps the connections that nobody uses, asks for confirmations at the
//! right moments, and says in words what is wrong. It never repeats an event by itself, and no
//! failure of one event touches the connection.

mod barrier;
mod confirmation;
mod connection;
mod failure;
mod maintenance;
mod names;
mod pool;
mod pool_settings;
mod settings;
mod target;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kete_event::Metadata;
use kete_pipeline::{
    CLOSE_DEADLINE, ConnectFailure, Destination, DestinationKind, DestinationPlan,
    DestinationSection, EventFailure, FailureReason, LaneSettings, Link, Ordering as KeyOrdering,
    Prepared, Record,
};
use kete_routes::{EventName, Serializer};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use self::barrier::BarrierMemory;
use self::connection::Context;
use self::pool::{Lent, Wires};
use self::pool_settings::PoolSettings;
use self::settings::{Confirm, SocketIoSettings};

/// `destination.kind=socketio`.
pub(crate) static KIND: DestinationKind = DestinationKind {
    name: "socketio",
    doc: "a Socket.IO server of version 3 or later",
    keys: settings::KEYS,
    check,
};

fn check(section: &DestinationSection<'_>) -> Option<Box<dyn DestinationPlan>> {
    let settings = settings::read(section.scope)?;
    let mut lane = *section.lane;
    lane.one_per_key = settings.confirm == Confirm::Ack;
    let emitter = Emitter {
        event_name: settings.event_name,
        serializer: Arc::clone(section.serializer),
    };
    Some(Box::new(Plan { settings: settings.rest, emitter, lane }))
}
