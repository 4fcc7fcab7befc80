//! What the control side decides and the connections obey.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::cuts::Cuts;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Forward,
    BlackHole,
    Refuse,
}

pub(crate) struct State {
    mode: watch::Sender<Mode>,
    /// Counts the orders to reset everything that is open.
    resets: watch::Sender<u64>,
    target: Mutex<SocketAddr>,
    cuts: Mutex<Option<Cuts>>,
    pub(crate) connections: AtomicU64,
    pub(crate) open: AtomicU64,
    pub(crate) cut: AtomicU64,
    pub(crate) upstream_bytes: AtomicU64,
    pub(crate) downstream_bytes: AtomicU64,
}

impl State {
    pub(crate) fn new(target: SocketAddr) -> State {
        State {
            mode: watch::Sender::new(Mode::Forward),
            resets: watch::Sender::new(0),
            target: Mutex::new(target),
            cuts: Mutex::new(None),
            connections: AtomicU64::new(0),
            open: AtomicU64::new(0),
            cut: AtomicU64::new(0),
            upstream_bytes: AtomicU64::new(0),
            downstream_bytes: AtomicU64::new(0),
        }
    }

    pub(crate) fn mode(&self) -> watch::Receiver<Mode> {
        self.mode.subscribe()
    }

    pub(crate) fn set_mode(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    pub(crate) fn resets(&self) -> watch::Receiver<u64> {
        self.resets.subscribe()
    }

    pub(crate) fn reset_all(&self) {
        self.resets.send_modify(|count| *count += 1);
    }

    pub(crate) fn target(&self) -> SocketAddr {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_target_port(&self, port: u16) {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) =
            SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    }

    pub(crate) fn set_cuts(&self, cuts: Option<Cuts>) {
        *self.cuts() = cuts;
    }

    /// After how many bytes from its client the next connection is to be cut.
    pub(crate) fn next_cut(&self) -> Option<u64> {
        self.cuts().as_mut().map(Cuts::next_cut)
    }

    pub(crate) fn cutting(&self) -> bool {
        self.cuts().is_some()
    }

    pub(crate) fn stats(&self) -> Value {
        json!({
            "connections": self.connections.load(Relaxed),
            "open": self.open.load(Relaxed),
            "cut": self.cut.load(Relaxed),
            "upstreamBytes": self.upstream_bytes.load(Relaxed),
            "downstreamBytes": self.downstream_bytes.load(Relaxed),
        })
    }

    fn cuts(&self) -> MutexGuard<'_, Option<Cuts>> {
        self.cuts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
