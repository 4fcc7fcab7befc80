//! The Socket.IO side: who may connect, what is recorded, what is acknowledged.
//!
//! socketioxide runs each handler's future as a task of its own, in no order. What a handler does
//! before it returns its future runs in order, so that is where arrivals are recorded; and the
//! handler is put in place by a middleware, which runs before the client is told it is connected.

use std::future::ready;
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Event, SocketRef, TryData};
use socketioxide::handler::ConnectHandler;

use crate::record::{Arrival, Record};
use crate::{Acknowledge, Options, TokenCheck};

/// Events that may wait for the disk.
const MOST_UNWRITTEN: usize = 16_384;

type Unwritten = (Arrival, AckSender);

pub(crate) struct Receiver {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

struct Shared {
    record: Arc<Record>,
    /// Set when events are acknowledged; empty again once the server stops.
    unwritten: Mutex<Option<SyncSender<Unwritten>>>,
    /// What a client must show in its CONNECT; empty when nothing is checked there.
    token: String,
}

impl Receiver {
    pub(crate) fn start(options: &Options, record: Arc<Record>) -> Receiver {
        let checked = options.token_check == TokenCheck::ConnectError;
        let token = if checked {
            options.token.clone()
        } else {
            String::new()
        };
        let (mut sender, mut writer) = (None, None);
        if options.ack == Acknowledge::AfterWrite {
            let (unwritten, queue) = mpsc::sync_channel(MOST_UNWRITTEN);
            let record = Arc::clone(&record);
            sender = Some(unwritten);
            writer = Some(thread::spawn(move || {
                write_then_acknowledge(&queue, &record)
            }));
        }
        let shared = Shared {
            record,
            unwritten: Mutex::new(sender),
            token,
        };
        Receiver {
            shared: Arc::new(shared),
            writer,
        }
    }

    /// Accepts the namespace.
    pub(crate) fn serve(&self, io: &SocketIo, namespace: &str) {
        let shared = Arc::clone(&self.shared);
        let admit = move |socket: SocketRef, TryData(auth): TryData<Value>| {
            let admitted = shared.admits(&socket, &auth.unwrap_or_default());
            if admitted {
                receive(&socket, Arc::clone(&shared));
            }
            ready(if admitted {
                Ok(())
            } else {
                Err("unauthorized")
            })
        };
        let connected = || ready(());
        io.ns(namespace.to_owned(), connected.with(admit));
    }

    /// Waits until everything that arrived is written.
    pub(crate) fn finish(self) {
        self.shared
            .unwritten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(writer) = self.writer {
            // A writer that panicked has said so on standard error.
            let _ = writer.join();
        }
    }
}

impl Shared {
    fn admits(&self, socket: &SocketRef, auth: &Value) -> bool {
        let header = socket.req_parts().headers.get("authorization");
        let bearer = format!("Bearer {}", self.token);
        self.token.is_empty()
            || auth["token"] == self.token.as_str()
            || header.is_some_and(|value| value.as_bytes() == bearer.as_bytes())
    }

    fn take(&self, arrival: Arrival, acknowledge: AckSender) {
        let unwritten = self
            .unwritten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(unwritten) = unwritten else {
            if let Err(error) = self.record.add(vec![arrival], false) {
                eprintln!("recorder: {error}");
            }
            return;
        };
        if unwritten.send((arrival, acknowledge)).is_err() {
            eprintln!("recorder: an event came after the writer ended");
        }
    }
}

fn receive(socket: &SocketRef, shared: Arc<Shared>) {
    let handler = move |socket: SocketRef,
                        Event(event): Event,
                        TryData(body): TryData<Value>,
                        acknowledge: AckSender| {
        let (id, namespace) = (socket.id.to_string(), socket.ns().to_owned());
        let body = body.unwrap_or_default();
        shared.take(
            Arrival {
                event,
                body,
                socket: id,
                namespace,
                n: 0,
            },
            acknowledge,
        );
        ready(())
    };
    socket.on_fallback(handler);
}

/// One sync for everything that waits.
fn write_then_acknowledge(queue: &mpsc::Receiver<Unwritten>, record: &Record) {
    while let Ok(first) = queue.recv() {
        let (arrivals, senders): (Vec<_>, Vec<_>) =
            std::iter::once(first).chain(queue.try_iter()).unzip();
        if let Err(error) = record.add(arrivals, true) {
            eprintln!("recorder: {error}");
            return;
        }
        for sender in senders {
            // A client that left does not get its answer.
            let _ = sender.send(&json!({ "ok": true }));
        }
    }
}
