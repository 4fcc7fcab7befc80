//! Making a connection: every stage from the URL to the namespace under one deadline.
//!
//! A connection is handed out only when the server has accepted the namespace, since servers lose
//! or punish events that come earlier. What fails on the way leaves nothing behind.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use tokio::time::Instant;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{Role, WebSocketConfig},
    },
};

use crate::{
    client::{Owned, Receiver, Sender, ends},
    dial::{ByteStream, Deadline, dial},
    error::{CloseReason, ConnectError, Stage},
    inbox::Inbox,
    options::{Options, Target},
    outbox::Outbox,
    reader::Reader,
    session::{Handshake, Happened, Session},
    upgrade::{refuse_http, upgrade},
    writer::{Writer, text},
};

/// The largest message accepted from a server, in bytes.
const INCOMING_LIMIT: usize = 16 << 20;
/// Reads are short for a sender; a large buffer would be cleared at every read.
const READ_BUFFER: usize = 8 * 1024;
/// How much is written at once while a burst is being sent.
const WRITE_BUFFER: usize = 128 * 1024;

/// Connects to a Socket.IO server and joins the namespace.
///
/// Has to be called within a Tokio runtime, which then runs the two tasks of the connection.
/// Dropping the future gives up the attempt.
///
/// # Errors
/// [`ConnectError`] says how far the attempt came and what the server said.
pub async fn connect(options: &Options) -> Result<(Sender, Receiver), ConnectError> {
    let deadline = Deadline::after(options.connect_timeout);
    let target = Target::new(options)?;
    let stream = dial(options, &target, deadline).await?;
    let established = establish(stream, options, &target, deadline).await;
    established.map_err(|error| target.secrets.hide_in(error))
}

/// Does the same over a stream that is already connected, for example through a proxy; TLS is the
/// caller's business. [`Options::url`] is only used for the `Host` header.
///
/// # Errors
/// [`ConnectError`] says how far the attempt came and what the server said.
pub async fn connect_over(
    stream: impl ByteStream,
    options: &Options,
) -> Result<(Sender, Receiver), ConnectError> {
    let deadline = Deadline::after(options.connect_timeout);
    let target = Target::new(options)?;
    let established = establish(stream, options, &target, deadline).await;
    established.map_err(|error| target.secrets.hide_in(error))
}

async fn establish<S: ByteStream>(
    mut stream: S,
    options: &Options,
    target: &Target,
    deadline: Deadline,
) -> Result<(Sender, Receiver), ConnectError> {
    let mut tail = deadline
        .wait(Stage::Upgrade, upgrade(&mut stream, target))
        .await??;
    deadline
        .wait(Stage::OpenPacket, refuse_http(&mut stream, &mut tail))
        .await??;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_message_size(Some(INCOMING_LIMIT))
        .max_frame_size(Some(INCOMING_LIMIT));
    let mut socket =
        WebSocketStream::from_partially_read(stream, tail, Role::Client, Some(config)).await;
    let mut session = Session::new(&options.namespace, options.auth.as_deref());
    let handshake = join(&mut socket, &mut session, options, deadline).await?;
    Ok(start(socket, session, handshake, options, target))
}

/// Runs the session until the namespace is joined.
async fn join<S: ByteStream>(
    socket: &mut WebSocketStream<S>,
    session: &mut Session,
    options: &Options,
    deadline: Deadline,
) -> Result<Handshake, ConnectError> {
    loop {
        let stage = session.stage();
        let closed = |reason| ConnectError::Closed {
            stage,
            reason: Box::new(reason),
        };
        let frame = match deadline.wait(stage, socket.next()).await? {
            Some(Ok(Message::Text(text))) => text.into(),
            Some(Ok(Message::Close(frame))) => {
                return Err(closed(CloseReason::from_close_frame(frame)));
            }
            Some(Ok(_)) => continue,
            Some(Err(error)) => return Err(closed(CloseReason::from_websocket(error))),
            None => return Err(closed(CloseReason::Dropped)),
        };
        let step = session.receive(&frame, Instant::now().into_std());
        if let Some(reply) = step.reply {
            let sent = deadline.wait(stage, socket.send(text(reply))).await?;
            sent.map_err(|error| closed(CloseReason::from_websocket(error)))?;
        }
        match step.happened {
            Happened::Joined(handshake) => return Ok(handshake),
            Happened::NotEngineIo(received) => return Err(ConnectError::NotEngineIo { received }),
            Happened::EngineIo3 => return Err(ConnectError::EngineIo3),
            Happened::Refused(payload) => {
                let namespace = options.namespace.clone();
                return Err(ConnectError::Refused { namespace, payload });
            }
            Happened::Disconnected => return Err(closed(CloseReason::Disconnected)),
            Happened::EngineClosed => return Err(closed(CloseReason::EngineClosed)),
            _ => {}
        }
    }
}

/// Starts the two tasks; from here on the receiver owns them.
fn start<S: ByteStream>(
    socket: WebSocketStream<S>,
    session: Session,
    handshake: Handshake,
    options: &Options,
    target: &Target,
) -> (Sender, Receiver) {
    let queues = (Arc::new(Outbox::default()), Arc::new(Inbox::default()));
    let (sink, socket) = socket.split();
    let liveness = handshake.liveness();
    let writer = Writer::new(sink, queues.clone(), &options.namespace, liveness);
    let writer = Owned(tokio::spawn(writer.run()));
    let secrets = target.secrets.clone();
    let reader = Reader::new(socket, session, liveness, writer, queues.clone(), secrets);
    let reader = Owned(tokio::spawn(reader.run()));
    ends(queues, reader, handshake, options)
}
