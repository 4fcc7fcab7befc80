//! The one task that reads, and that decides when the connection is over.
//!
//! It owns the liveness deadline, which runs whether or not anything can be written, and it owns
//! the writer, which it aborts by ending. Whatever ends it, even being aborted itself, the caller
//! gets exactly one reason and senders are turned away.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, stream::SplitStream};
use tokio::{
    pin,
    task::JoinError,
    time::{Instant, sleep_until, timeout_at},
};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};
use tracing::{debug, error};

use crate::{
    answers::BarrierKind,
    client::Owned,
    dial::ByteStream,
    error::CloseReason,
    inbox::{Inbox, Notification},
    outbox::Outbox,
    secrets::Secrets,
    session::{Happened, Session},
};

/// How long the server may take to answer a close.
const CLOSE_WAIT: Duration = Duration::from_secs(5);
/// How long the server's own reason is waited for after a write has failed.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Reads one connection.
pub(crate) struct Reader<S> {
    socket: SplitStream<WebSocketStream<S>>,
    session: Session,
    liveness: Duration,
    writer: Owned<Result<(), CloseReason>>,
    phase: Phase,
    outbox: Arc<Outbox>,
    inbox: Arc<Inbox>,
    secrets: Secrets,
}

/// What the end of the connection would mean now.
enum Phase {
    /// Both directions work.
    Open,
    /// Everything is written, the close too; the server has to answer.
    Closing { until: Instant },
    /// A write failed; the server may have said why.
    Broken { reason: CloseReason, until: Instant },
}

impl<S: ByteStream> Reader<S> {
    pub(crate) fn new(
        socket: SplitStream<WebSocketStream<S>>,
        session: Session,
        liveness: Duration,
        writer: Owned<Result<(), CloseReason>>,
        (outbox, inbox): (Arc<Outbox>, Arc<Inbox>),
        secrets: Secrets,
    ) -> Reader<S> {
        Reader {
            socket,
            session,
            liveness,
            writer,
            phase: Phase::Open,
            outbox,
            inbox,
            secrets,
        }
    }

    /// Runs until the connection has ended.
    pub(crate) async fn run(mut self) {
        let mut reason = self.listen().await;
        self.secrets.hide_in_reason(&mut reason);
        debug!(%reason, "connection ended");
        self.outbox.shut();
        self.inbox.close(reason);
    }

    async fn listen(&mut self) -> CloseReason {
        let timer = sleep_until(self.deadline());
        pin!(timer);
        loop {
            tokio::select! {
                biased;
                message = self.socket.next() => {
                    let ended = match message {
                        Some(Ok(message)) => self.take(message).await.err(),
                        Some(Err(error)) => Some(CloseReason::from_websocket(error)),
                        None => Some(CloseReason::Dropped),
                    };
                    if let Some(reason) = ended {
                        return self.end(reason);
                    }
                }
                () = &mut timer => return self.time_out(),
                written = &mut self.writer.0, if matches!(self.phase, Phase::Open) => {
                    self.writer_ended(written);
                }
            }
            let deadline = self.deadline();
            if deadline != timer.deadline() {
                timer.as_mut().reset(deadline);
            }
        }
    }

    /// The moment at which waiting is over, whatever is being waited for.
    fn deadline(&self) -> Instant {
        match (&self.phase, self.session.deadline()) {
            (Phase::Closing { until } | Phase::Broken { until, .. }, _) => *until,
            (Phase::Open, Some(deadline)) => Instant::from_std(deadline),
            (Phase::Open, None) => Instant::now(),
        }
    }

    async fn take(&mut self, message: Message) -> Result<(), CloseReason> {
        match message {
            Message::Text(text) => self.take_packet(&text.into()).await?,
            Message::Pong(payload) => {
                if let Some(id) = self.outbox.answers().pong(&payload) {
                    self.inbox.barrier(BarrierKind::Ping, id);
                }
            }
            Message::Close(frame) => {
                // One more turn sends the answer to the close, if the socket takes it at once.
                let _ = self.socket.next().now_or_never();
                return Err(CloseReason::from_close_frame(frame));
            }
            // Attachments of events are not kept, and pings are answered by the WebSocket layer.
            Message::Binary(_) | Message::Ping(_) | Message::Frame(_) => {}
        }
        let open = matches!(self.phase, Phase::Open);
        if open && self.session.is_overdue(Instant::now().into_std()) {
            return Err(CloseReason::Silent {
                limit: self.liveness,
            });
        }
        Ok(())
    }

    async fn take_packet(&mut self, frame: &bytes::Bytes) -> Result<(), CloseReason> {
        let step = self.session.receive(frame, Instant::now().into_std());
        if let Some(reply) = step.reply {
            self.reply(reply)?;
        }
        match step.happened {
            Happened::Nothing
            | Happened::Joined(_)
            | Happened::NotEngineIo(_)
            | Happened::EngineIo3 => Ok(()),
            Happened::Event { name, payload } => {
                self.deliver(Notification::Event { name, payload }).await
            }
            Happened::Ack { id, payload } => {
                let expected = self.outbox.answers().ack(id);
                match expected {
                    Some(id) => self.deliver(Notification::Ack { id, payload }).await,
                    None => {
                        debug!(id, "acknowledgement that nobody waits for ignored");
                        Ok(())
                    }
                }
            }
            Happened::NamespaceBarrier { joined } => self.namespace_barrier(joined),
            Happened::EnginePong => {
                if let Some(id) = self.outbox.answers().engine_pong() {
                    self.inbox.barrier(BarrierKind::EnginePing, id);
                }
                Ok(())
            }
            Happened::Refused(payload) => Err(CloseReason::Refused { payload }),
            Happened::Disconnected => Err(CloseReason::Disconnected),
            Happened::EngineClosed => Err(CloseReason::EngineClosed),
        }
    }

    fn namespace_barrier(&mut self, joined: bool) -> Result<(), CloseReason> {
        let (answered, next) = self.outbox.answers().namespace(joined);
        if let Some(id) = answered {
            self.inbox.barrier(BarrierKind::Namespace, id);
        }
        next.map_or(Ok(()), |question| self.reply(question))
    }

    fn reply(&self, frame: bytes::Bytes) -> Result<(), CloseReason> {
        self.outbox.reply(frame).map_err(CloseReason::Protocol)
    }

    /// Hands something to the caller and waits while the inbox is full.
    async fn deliver(&mut self, notification: Notification) -> Result<(), CloseReason> {
        if self.inbox.push(notification) {
            return Ok(());
        }
        let room = timeout_at(self.deadline(), self.inbox.room()).await;
        room.map_err(|_| CloseReason::NotTaken {
            limit: self.liveness,
        })
    }

    fn writer_ended(&mut self, written: Result<Result<(), CloseReason>, JoinError>) {
        let now = Instant::now();
        let written = written.unwrap_or_else(|error| {
            error!(%error, "the writer task failed");
            Err(CloseReason::Aborted)
        });
        self.phase = match written {
            Ok(()) => Phase::Closing {
                until: now + CLOSE_WAIT,
            },
            Err(reason) => Phase::Broken {
                reason,
                until: now + LAST_WORDS,
            },
        };
    }

    /// The connection ended for this reason; what matters is what it was doing.
    fn end(&mut self, reason: CloseReason) -> CloseReason {
        let phase = std::mem::replace(&mut self.phase, Phase::Open);
        let closing = self.outbox.has_said_farewell();
        match phase {
            Phase::Broken { reason: first, .. } if !closing && !reason.is_from_server() => first,
            _ if closing => CloseReason::Requested {
                answered: reason.is_from_server(),
            },
            _ => reason,
        }
    }

    fn time_out(&mut self) -> CloseReason {
        match std::mem::replace(&mut self.phase, Phase::Open) {
            Phase::Open => CloseReason::Silent {
                limit: self.liveness,
            },
            Phase::Closing { .. } => CloseReason::Requested { answered: false },
            Phase::Broken { reason, .. } => reason,
        }
    }
}

impl<S> Drop for Reader<S> {
    fn drop(&mut self) {
        self.outbox.shut();
        self.inbox.close(CloseReason::Aborted);
    }
}
