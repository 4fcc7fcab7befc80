//! The two ends that a caller holds: a [`Sender`] to clone at will, a [`Receiver`] to listen with.
//!
//! They own the connection. The receiver owns the reader task, which owns the writer task; dropping
//! it ends both at once. When the last sender goes, the connection is closed in order.

use std::{collections::VecDeque, fmt, sync::Arc};

use tokio::task::{AbortHandle, JoinHandle};

use crate::{
    answers::BarrierKind,
    error::{CloseReason, Closed, TooLarge},
    inbox::{Inbox, Notification, Taken},
    options::{MaxPayload, Options},
    outbox::{Command, Emit, Outbox},
    packet,
    session::Handshake,
};

/// Sends events over one connection. Clones share it.
///
/// No method waits. What is sent lies in memory until the network takes it, so the caller has to
/// bound what it has in flight: send no more until barriers, acknowledgements or
/// [`Sender::flushed`] say that earlier events have left.
#[derive(Clone)]
pub struct Sender {
    line: Arc<Line>,
}

/// What all clones of a sender share; its end closes the connection in order.
struct Line {
    outbox: Arc<Outbox>,
    inbox: Arc<Inbox>,
    reader: AbortHandle,
    handshake: Handshake,
    limit: Option<u64>,
    event_prefix: usize,
}

impl Sender {
    /// What the server said while the connection was made.
    pub fn handshake(&self) -> &Handshake {
        &self.line.handshake
    }

    /// Whether a packet is small enough for [`crate::Options::max_payload`]. A server closes the
    /// connection over one that is not, so ask before sending.
    ///
    /// # Errors
    /// [`TooLarge`] with the size of the whole packet in bytes.
    pub fn fits(&self, emit: &Emit) -> Result<(), TooLarge> {
        let Some(limit) = self.line.limit else {
            return Ok(());
        };
        let prefix = self.line.event_prefix;
        let size = packet::event_len(prefix, emit.ack, &emit.name, &emit.payload) as u64;
        if size > limit {
            Err(TooLarge { size, limit })
        } else {
            Ok(())
        }
    }

    /// Sends events in this order, after everything sent before. They are written in one go with
    /// whatever else waits.
    ///
    /// # Errors
    /// [`Closed`] if the connection has ended or is closing; then none of them was sent. `Ok` does
    /// not mean that the server gets them: only a barrier or an acknowledgement does.
    pub fn send(&self, batch: Vec<Emit>) -> Result<(), Closed> {
        debug_assert!(
            batch
                .iter()
                .all(|emit| emit.ack.is_none_or(|id| id < Emit::ACK_LIMIT)),
            "an acknowledgement id is too large"
        );
        self.line.outbox.push(Command::Events(batch))
    }

    /// Asks the server for an answer that comes after it has read everything sent before;
    /// [`Notification::Barrier`] brings it. Number barriers upwards.
    ///
    /// # Errors
    /// [`Closed`] if the connection has ended or is closing.
    pub fn barrier(&self, kind: BarrierKind, id: u64) -> Result<(), Closed> {
        self.line.outbox.push(Command::Barrier { kind, id })
    }

    /// Asks to be told by [`Notification::Flushed`] when everything sent before was handed to the
    /// operating system, which says nothing about the server. Number these questions upwards.
    ///
    /// # Errors
    /// [`Closed`] if the connection has ended or is closing.
    pub fn flushed(&self, id: u64) -> Result<(), Closed> {
        self.line.outbox.push(Command::Flushed(id))
    }

    /// Closes in order: everything sent before is written, then the session ends in a way after
    /// which servers still handle all of it. Nothing can be sent any more.
    ///
    /// Keep calling [`Receiver::next`] until it reports [`Notification::Closed`]: dropping the
    /// receiver earlier cuts the connection off.
    pub fn close(&self) {
        // An outbox that is shut is closing or closed already, which is all that is wanted.
        let _ = self.line.outbox.push(Command::Close);
    }

    /// Ends the connection now. What was sent may or may not arrive.
    pub fn abort(&self) {
        self.line.outbox.shut();
        self.line.inbox.close(CloseReason::Aborted);
        self.line.reader.abort();
    }

    /// Whether nothing can be sent any more.
    pub fn is_closed(&self) -> bool {
        self.line.outbox.is_shut()
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sender")
            .field("closed", &self.is_closed())
            .field("limit", &self.line.limit)
            .finish_non_exhaustive()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // An outbox that is shut is closing or closed already, which is all that is wanted.
        let _ = self.outbox.push(Command::Close);
    }
}

/// Listens to one connection and owns it: dropping it ends the connection at once.
pub struct Receiver {
    inbox: Arc<Inbox>,
    outbox: Arc<Outbox>,
    ready: VecDeque<Notification>,
    _reader: Owned<()>,
}

impl Receiver {
    /// The next notification; nothing after [`Notification::Closed`]. Dropping the future loses
    /// nothing.
    ///
    /// It has to be called again and again: while thousands of notifications wait, nothing is read
    /// from the server, pings included.
    pub async fn next(&mut self) -> Option<Notification> {
        loop {
            if let Some(notification) = self.ready.pop_front() {
                return Some(notification);
            }
            match self.inbox.take(&mut self.ready) {
                Taken::Some => {}
                Taken::Nothing => self.inbox.arrived().await,
                Taken::Ended => return None,
            }
        }
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Receiver")
            .field("ready", &self.ready.len())
            .finish_non_exhaustive()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.outbox.shut();
    }
}

/// Joins the two ends of a connection whose reader is running.
pub(crate) fn ends(
    (outbox, inbox): (Arc<Outbox>, Arc<Inbox>),
    reader: Owned<()>,
    handshake: Handshake,
    options: &Options,
) -> (Sender, Receiver) {
    let limit = match options.max_payload {
        MaxPayload::Advertised => handshake.max_payload,
        MaxPayload::Off => None,
        MaxPayload::Bytes(limit) => Some(limit),
    };
    let line = Line {
        outbox: Arc::clone(&outbox),
        inbox: Arc::clone(&inbox),
        reader: reader.0.abort_handle(),
        handshake,
        limit,
        event_prefix: packet::event_prefix(&options.namespace).len(),
    };
    let receiver = Receiver {
        inbox,
        outbox,
        ready: VecDeque::new(),
        _reader: reader,
    };
    (
        Sender {
            line: Arc::new(line),
        },
        receiver,
    )
}

/// A task that ends with its owner.
#[derive(Debug)]
pub(crate) struct Owned<T>(pub(crate) JoinHandle<T>);

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
