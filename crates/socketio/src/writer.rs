//! The one task that writes: takes all that waits, frames it, flushes once.
//!
//! A frame is put together in a buffer that is used again and again, so an event costs no
//! allocation: its payload is copied there once and once more by the WebSocket mask. Answers to the
//! server go in between any two events. No write may take longer than a live server may be silent;
//! a pong that is stuck for that long would have cost the session anyway.

use std::{sync::Arc, time::Duration, vec};

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, stream::SplitSink};
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error as WebSocketError, Message,
        protocol::{
            CloseFrame,
            frame::{
                Frame,
                coding::{CloseCode, Data, OpCode},
            },
        },
    },
};

use crate::{
    answers::{BarrierKind, Question},
    dial::ByteStream,
    error::CloseReason,
    inbox::Inbox,
    outbox::{Command, Emit, Outbox},
    packet,
};

/// How many bytes of events one write deadline covers.
const CHUNK: usize = 256 * 1024;
/// The size of the buffer that frames are put together in; larger frames get their own.
const ARENA: usize = 64 * 1024;

/// Writes one connection.
pub(crate) struct Writer<S> {
    sink: SplitSink<WebSocketStream<S>, Message>,
    outbox: Arc<Outbox>,
    inbox: Arc<Inbox>,
    arena: BytesMut,
    event_prefix: Bytes,
    limit: Duration,
}

impl<S: ByteStream> Writer<S> {
    pub(crate) fn new(
        sink: SplitSink<WebSocketStream<S>, Message>,
        (outbox, inbox): (Arc<Outbox>, Arc<Inbox>),
        namespace: &str,
        limit: Duration,
    ) -> Writer<S> {
        let arena = BytesMut::with_capacity(ARENA);
        let event_prefix = packet::event_prefix(namespace);
        Writer {
            sink,
            outbox,
            inbox,
            arena,
            event_prefix,
            limit,
        }
    }

    /// Runs until the connection is closed in order or a write fails.
    pub(crate) async fn run(mut self) -> Result<(), CloseReason> {
        let mut commands = Vec::new();
        loop {
            self.outbox.collect(&mut commands).await;
            let mut flushed = None;
            for command in commands.drain(..) {
                match command {
                    Command::Events(batch) => self.events(batch).await?,
                    Command::Barrier { kind, id } => self.barrier(kind, id).await?,
                    Command::Flushed(id) => flushed = Some(id),
                    Command::Close => return self.close().await,
                }
            }
            self.replies().await?;
            self.flush().await?;
            if let Some(id) = flushed {
                self.inbox.flushed(id);
            }
        }
    }

    async fn events(&mut self, batch: Vec<Emit>) -> Result<(), CloseReason> {
        self.expect_acks(&batch);
        let limit = self.limit;
        let mut batch = batch.into_iter();
        while batch.len() > 0 {
            in_time(limit, self.chunk(&mut batch)).await?;
        }
        Ok(())
    }

    fn expect_acks(&self, batch: &[Emit]) {
        let mut acks = batch.iter().filter_map(|emit| emit.ack).peekable();
        if acks.peek().is_some() {
            self.outbox.answers().expect_acks(acks);
        }
    }

    /// Feeds events until the chunk is full or the batch is empty.
    async fn chunk(&mut self, batch: &mut vec::IntoIter<Emit>) -> Result<(), WebSocketError> {
        let mut fed = 0;
        for emit in batch {
            if self.outbox.has_replies() {
                self.feed_replies().await?;
            }
            packet::encode_event(
                &mut self.arena,
                &self.event_prefix,
                emit.ack,
                &emit.name,
                &emit.payload,
            );
            let packet = self.arena.split().freeze();
            fed += packet.len();
            self.sink.feed(text(packet)).await?;
            if fed >= CHUNK {
                break;
            }
        }
        Ok(())
    }

    async fn barrier(&mut self, kind: BarrierKind, id: u64) -> Result<(), CloseReason> {
        let question = self.outbox.answers().ask(kind, id);
        let message = match question {
            Some(Question::WebSocketPing(payload)) => Message::Ping(payload),
            Some(Question::Packet(packet)) => text(packet),
            None => return Ok(()),
        };
        in_time(self.limit, self.sink.feed(message)).await
    }

    async fn replies(&mut self) -> Result<(), CloseReason> {
        in_time(self.limit, self.feed_replies()).await
    }

    async fn feed_replies(&mut self) -> Result<(), WebSocketError> {
        for reply in self.outbox.replies() {
            self.sink.feed(text(reply)).await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), CloseReason> {
        in_time(self.limit, self.sink.flush()).await
    }

    /// Ends the Engine.IO session and the WebSocket, not the Socket.IO namespace: socket.io 4 drops
    /// events that it reads together with a namespace disconnect, but handles all that come before
    /// an Engine.IO close.
    async fn close(&mut self) -> Result<(), CloseReason> {
        self.flush().await?;
        self.outbox.say_farewell();
        let frame = CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        };
        in_time(self.limit, async {
            self.sink.feed(text(packet::CLOSE)).await?;
            self.sink.feed(Message::Close(Some(frame))).await?;
            self.sink.flush().await
        })
        .await
    }
}

async fn in_time(
    limit: Duration,
    write: impl Future<Output = Result<(), WebSocketError>>,
) -> Result<(), CloseReason> {
    match timeout(limit, write).await {
        Ok(written) => written.map_err(CloseReason::from_websocket),
        Err(_) => Err(CloseReason::WriteStalled { limit }),
    }
}

/// A text frame. The text is not checked again: packets are ASCII around payloads that have to be
/// JSON.
pub(crate) fn text(packet: Bytes) -> Message {
    Message::Frame(Frame::message(packet, OpCode::Data(Data::Text), true))
}
