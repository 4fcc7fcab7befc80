//! From the reader to the caller: notifications, bounded without ever losing one.
//!
//! Barriers and flushes are coalesced, since a newer one covers the older ones; they take no room.
//! Acknowledgements and events queue up to [`LIMIT`] of them or [`BYTES_LIMIT`]; then the reader
//! stops reading until the caller takes them, and the server feels that through TCP. The liveness
//! deadline runs on meanwhile, so a caller that never comes back ends the connection.

use std::{
    collections::VecDeque,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::{answers::BarrierKind, error::CloseReason};

/// How many acknowledgements and events may wait.
pub(crate) const LIMIT: usize = 4096;
/// How many bytes of them may wait; a single one may be larger.
pub(crate) const BYTES_LIMIT: usize = 4 << 20;

/// What a connection tells its owner.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notification {
    /// The server answered this barrier: it has read everything sent before it. Earlier barriers of
    /// the same kind are answered as well and not reported again.
    Barrier(u64),
    /// Everything sent before this question was handed to the operating system. Earlier questions
    /// are answered as well and not reported again.
    Flushed(u64),
    /// The server acknowledged the event sent with this id.
    Ack {
        /// The id chosen when the event was sent.
        id: u32,
        /// The arguments of the acknowledgement, JSON text of an array.
        payload: Bytes,
    },
    /// The server sent an event. If it asked for an acknowledgement it has got an empty one.
    Event {
        /// The name of the event.
        name: String,
        /// JSON text of the arguments, separated by commas, without brackets; empty if there are
        /// none.
        payload: Bytes,
    },
    /// The connection has ended; nothing comes after this.
    Closed(CloseReason),
}

/// The queue between the reader (and the writer) and [`crate::Receiver`].
#[derive(Default)]
pub(crate) struct Inbox {
    waiting: Mutex<Waiting>,
    arrived: Notify,
    taken: Notify,
}

#[derive(Default)]
struct Waiting {
    queue: VecDeque<Notification>,
    bytes: usize,
    barriers: [Option<u64>; 3],
    flushed: Option<u64>,
    end: End,
}

#[derive(Default)]
enum End {
    #[default]
    Open,
    Closed(CloseReason),
    Reported,
}

/// What a look into the inbox brought.
pub(crate) enum Taken {
    Some,
    Nothing,
    Ended,
}

impl Inbox {
    /// Puts in an acknowledgement or an event; false when the caller has to take some first.
    pub(crate) fn push(&self, notification: Notification) -> bool {
        let mut waiting = self.lock();
        waiting.bytes += size(&notification);
        waiting.queue.push_back(notification);
        let room = waiting.has_room();
        drop(waiting);
        self.arrived.notify_one();
        room
    }

    /// Waits until the caller has taken enough.
    pub(crate) async fn room(&self) {
        while !self.lock().has_room() {
            self.taken.notified().await;
        }
    }

    pub(crate) fn barrier(&self, kind: BarrierKind, id: u64) {
        self.lock().barriers[kind as usize] = Some(id);
        self.arrived.notify_one();
    }

    pub(crate) fn flushed(&self, id: u64) {
        self.lock().flushed = Some(id);
        self.arrived.notify_one();
    }

    /// Ends the inbox; only the first reason counts.
    pub(crate) fn close(&self, reason: CloseReason) {
        let mut waiting = self.lock();
        if matches!(waiting.end, End::Open) {
            waiting.end = End::Closed(reason);
        }
        drop(waiting);
        self.arrived.notify_one();
    }

    /// Moves everything that waits into `ready`, which has to be empty.
    pub(crate) fn take(&self, ready: &mut VecDeque<Notification>) -> Taken {
        debug_assert!(ready.is_empty(), "notifications would be reordered");
        let mut waiting = self.lock();
        mem::swap(&mut waiting.queue, ready);
        waiting.bytes = 0;
        for barrier in &mut waiting.barriers {
            ready.extend(barrier.take().map(Notification::Barrier));
        }
        ready.extend(waiting.flushed.take().map(Notification::Flushed));
        let ended = match mem::replace(&mut waiting.end, End::Reported) {
            End::Open => {
                waiting.end = End::Open;
                false
            }
            End::Closed(reason) => {
                ready.push_back(Notification::Closed(reason));
                false
            }
            End::Reported => true,
        };
        drop(waiting);
        self.taken.notify_one();
        match (ready.is_empty(), ended) {
            (false, _) => Taken::Some,
            (true, true) => Taken::Ended,
            (true, false) => Taken::Nothing,
        }
    }

    /// Waits until there may be something to take.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn has_room(&self) -> bool {
        self.queue.len() < LIMIT && self.bytes < BYTES_LIMIT
    }
}

fn size(notification: &Notification) -> usize {
    match notification {
        Notification::Ack { payload, .. } => payload.len(),
        Notification::Event { name, payload } => name.len() + payload.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn ack(id: u32) -> Notification {
        Notification::Ack {
            id,
            payload: Bytes::from_static(b"[]"),
        }
    }

    fn taken(inbox: &Inbox) -> Vec<String> {
        let mut ready = VecDeque::new();
        inbox.take(&mut ready);
        ready
            .iter()
            .map(|notification| format!("{notification:?}"))
            .collect()
    }

    #[test]
    fn barriers_are_coalesced_per_kind_and_come_after_earlier_acknowledgements() {
        let inbox = Inbox::default();
        inbox.barrier(BarrierKind::Ping, 1);
        inbox.push(ack(9));
        inbox.barrier(BarrierKind::Ping, 3);
        inbox.barrier(BarrierKind::Namespace, 2);
        inbox.flushed(5);
        let expected = [
            "Ack { id: 9, payload: b\"[]\" }",
            "Barrier(3)",
            "Barrier(2)",
            "Flushed(5)",
        ];
        assert_eq!(taken(&inbox), expected);
        assert!(taken(&inbox).is_empty());
    }

    #[test]
    fn the_first_reason_is_reported_once_and_last() {
        let inbox = Inbox::default();
        inbox.close(CloseReason::Disconnected);
        inbox.close(CloseReason::Aborted);
        inbox.push(ack(1));
        assert_eq!(taken(&inbox).last().unwrap(), "Closed(Disconnected)");
        assert!(matches!(inbox.take(&mut VecDeque::new()), Taken::Ended));
    }

    #[tokio::test]
    async fn a_full_inbox_makes_the_reader_wait_until_something_is_taken() {
        let inbox = Inbox::default();
        for id in 1..LIMIT as u32 {
            assert!(inbox.push(ack(id)));
        }
        assert!(!inbox.push(ack(0)));
        let mut room = Box::pin(inbox.room());
        assert!(room.as_mut().now_or_never().is_none());
        assert_eq!(taken(&inbox).len(), LIMIT);
        room.await;
    }

    #[test]
    fn a_single_huge_notification_is_taken_but_leaves_no_room() {
        let inbox = Inbox::default();
        let payload = Bytes::from(vec![b' '; BYTES_LIMIT]);
        assert!(!inbox.push(Notification::Event {
            name: String::new(),
            payload
        }));
        assert_eq!(taken(&inbox).len(), 1);
        assert!(inbox.push(ack(1)));
    }
}
