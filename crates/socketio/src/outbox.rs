//! From the callers to the writer: batches of events and questions, in order.
//!
//! Putting something in never waits, because the caller already bounds what it has in flight; what
//! lies here is a part of that. The writer takes all that waits at once. Answers to the server go
//! past everything (a pong that waits behind a long burst would come too late) and are bounded.

use std::{
    mem,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::{
    answers::{Answers, BarrierKind},
    error::{Closed, ProtocolFault},
    name::EventName,
};

/// How many answers to the server may wait for the writer.
pub(crate) const REPLY_LIMIT: usize = 1024;

/// An event to send.
#[derive(Debug, Clone)]
pub struct Emit {
    /// The name of the event.
    pub name: EventName,
    /// JSON text (UTF-8) of the argument, sent as it is; empty for an event without arguments.
    /// Commas between texts make several arguments of it. It is not looked at: a server closes the
    /// connection over text that is not JSON.
    pub payload: Bytes,
    /// Asks the server for an acknowledgement under this id. It has to be smaller than
    /// [`Emit::ACK_LIMIT`] and not be in use already.
    pub ack: Option<u32>,
}

impl Emit {
    /// Acknowledgement ids are smaller than this: netty-socketio answers others wrongly or never.
    pub const ACK_LIMIT: u32 = 1 << 31;
}

/// Work for the writer.
#[derive(Debug)]
pub(crate) enum Command {
    Events(Vec<Emit>),
    Barrier { kind: BarrierKind, id: u64 },
    Flushed(u64),
    Close,
}

/// The queue between [`crate::Sender`] and the writer.
#[derive(Default)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    answers: Mutex<Answers>,
    /// Whether replies wait; the writer looks at this between any two frames.
    hurry: AtomicBool,
    /// Whether the close has begun: from now on the end is what was asked for.
    farewell: AtomicBool,
    filled: Notify,
}

#[derive(Default)]
struct Queue {
    commands: Vec<Command>,
    replies: Vec<Bytes>,
    /// Nothing is taken any more.
    shut: bool,
}

impl Outbox {
    pub(crate) fn push(&self, command: Command) -> Result<(), Closed> {
        let mut queue = lock(&self.queue);
        if queue.shut {
            return Err(Closed);
        }
        queue.shut = matches!(command, Command::Close);
        queue.commands.push(command);
        drop(queue);
        self.filled.notify_one();
        Ok(())
    }

    /// Queues an answer to the server ahead of all commands.
    pub(crate) fn reply(&self, frame: Bytes) -> Result<(), ProtocolFault> {
        let mut queue = lock(&self.queue);
        if queue.replies.len() == REPLY_LIMIT {
            return Err(ProtocolFault::TooManyQuestions { limit: REPLY_LIMIT });
        }
        queue.replies.push(frame);
        self.hurry.store(true, Ordering::Release);
        drop(queue);
        self.filled.notify_one();
        Ok(())
    }

    /// Ends the outbox and drops what is in it.
    pub(crate) fn shut(&self) {
        let mut queue = lock(&self.queue);
        queue.shut = true;
        queue.commands = Vec::new();
        queue.replies = Vec::new();
    }

    pub(crate) fn is_shut(&self) -> bool {
        lock(&self.queue).shut
    }

    /// Waits until something is there and moves all commands into `commands`, which has to be
    /// empty. Replies stay behind for [`Outbox::replies`].
    pub(crate) async fn collect(&self, commands: &mut Vec<Command>) {
        debug_assert!(commands.is_empty(), "commands would be reordered");
        loop {
            {
                let mut queue = lock(&self.queue);
                mem::swap(&mut queue.commands, commands);
                if !commands.is_empty() || !queue.replies.is_empty() {
                    return;
                }
            }
            self.filled.notified().await;
        }
    }

    pub(crate) fn has_replies(&self) -> bool {
        self.hurry.load(Ordering::Acquire)
    }

    pub(crate) fn replies(&self) -> Vec<Bytes> {
        let mut queue = lock(&self.queue);
        self.hurry.store(false, Ordering::Release);
        mem::take(&mut queue.replies)
    }

    /// The writer has written everything and begins to close.
    pub(crate) fn say_farewell(&self) {
        self.farewell.store(true, Ordering::Release);
    }

    pub(crate) fn has_said_farewell(&self) -> bool {
        self.farewell.load(Ordering::Acquire)
    }

    pub(crate) fn answers(&self) -> MutexGuard<'_, Answers> {
        lock(&self.answers)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn everything_that_waits_is_collected_at_once_and_in_order() {
        let outbox = Outbox::default();
        outbox.push(Command::Flushed(1)).unwrap();
        outbox
            .push(Command::Barrier {
                kind: BarrierKind::Ping,
                id: 2,
            })
            .unwrap();
        let mut commands = Vec::new();
        outbox.collect(&mut commands).await;
        let expected = [
            Command::Flushed(1),
            Command::Barrier {
                kind: BarrierKind::Ping,
                id: 2,
            },
        ];
        assert_eq!(format!("{commands:?}"), format!("{expected:?}"));
    }

    #[tokio::test]
    async fn a_reply_wakes_the_writer_without_any_command() {
        let outbox = Outbox::default();
        let mut commands = Vec::new();
        let mut collected = Box::pin(outbox.collect(&mut commands));
        assert!(collected.as_mut().now_or_never().is_none());
        outbox.reply(Bytes::from_static(b"3")).unwrap();
        collected.await;
        assert!(outbox.has_replies());
        assert_eq!(outbox.replies(), [Bytes::from_static(b"3")]);
        assert!(!outbox.has_replies());
    }

    #[test]
    fn replies_are_bounded() {
        let outbox = Outbox::default();
        for _ in 0..REPLY_LIMIT {
            outbox.reply(Bytes::new()).unwrap();
        }
        assert!(outbox.reply(Bytes::new()).is_err());
    }

    #[test]
    fn nothing_is_taken_after_a_close() {
        let outbox = Outbox::default();
        outbox.push(Command::Close).unwrap();
        assert_eq!(outbox.push(Command::Flushed(1)), Err(Closed));
        assert!(outbox.is_shut());
    }
}
