//! A Socket.IO client for programs that send: batches, confirmation, no lost events.
//!
//! It speaks Engine.IO 4 over WebSocket, that is Socket.IO 3 and later. Unlike a general client it
//! keeps nothing for later and never connects by itself: [`connect()`] makes one connection, and when
//! that ends [`Receiver::next`] says why. Who holds events decides what to send again, and where.
//!
//! What it promises:
//! - nothing is sent before the server has accepted the namespace, nothing is reported as sent that
//!   the server did not confirm, and [`Sender::close`] loses nothing;
//! - a [barrier](Sender::barrier) confirms that the server has read all that was sent before it,
//!   without any help of the server's code; [`Emit::ack`] that its code has handled an event;
//! - a server that falls silent, stops reading or never answers is noticed in bounded time;
//! - payloads are JSON text that is sent as it is, neither parsed nor printed again.
//!
//! ```no_run
//! use kete_socketio::{BarrierKind, Emit, EventName, Notification, Options, connect};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let options = Options::new("http://localhost:3000".parse()?);
//! let (sender, mut receiver) = connect(&options).await?;
//! let name = EventName::new("user.login")?;
//! let event = Emit { name, payload: r#"{"user":"alice"}"#.into(), ack: None };
//! sender.fits(&event)?;
//! sender.send(vec![event])?;
//! sender.barrier(BarrierKind::Ping, 1)?;
//! while let Some(notification) = receiver.next().await {
//!     match notification {
//!         Notification::Barrier(1) => sender.close(),
//!         Notification::Closed(reason) => println!("{reason}"),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Inside, bytes, session and socket are three things: the packet codec and the session are pure
//! and know neither clock nor socket; one task reads and owns the liveness deadline, one writes.

mod answers;
mod client;
mod connect;
mod dial;
mod error;
mod excerpt;
mod inbox;
mod name;
mod options;
mod outbox;
mod packet;
mod reader;
mod secrets;
mod session;
mod upgrade;
mod writer;

pub use answers::{BARRIER_NAMESPACES, BarrierKind};
pub use client::{Receiver, Sender};
pub use connect::{connect, connect_over};
pub use dial::ByteStream;
pub use error::{
    CloseReason, Closed, ConnectError, HttpRefusal, ProtocolFault, Stage, TooLarge, UpgradeFault,
};
pub use excerpt::Excerpt;
pub use inbox::Notification;
pub use name::{EventName, EventNameError, RESERVED_NAMES};
pub use options::{MaxPayload, Options, OptionsError};
pub use outbox::Emit;

pub use session::Handshake;
