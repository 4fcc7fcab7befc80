//! One Socket.IO session as a state machine: packets and the time go in, answers and happenings
//! come out.
//!
//! ```text
//! Opening --open packet--> Joining --CONNECT reply--> Ready --1, 41, 44--> Closed
//! ```
//!
//! It does no I/O and reads no clock, so every order of packets can be tried in a test. It lets
//! pass whatever a server may add (unknown packets, other namespaces, events before the CONNECT
//! reply) and never sends an event itself. The liveness deadline is pingInterval + pingTimeout
//! after the last ping, the open packet counting as the first (Engine.IO 4, "Heartbeat").

use std::time::{Duration, Instant};

use bytes::Bytes;
use tracing::debug;

use crate::{
    answers::BARRIER_NAMESPACES,
    error::Stage,
    excerpt::Excerpt,
    packet::{self, Kind, Message, OpenPacket, Packet},
};

/// What the server said while the connection was made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Handshake {
    /// The Engine.IO session id. Whoever knows it can take the session over: keep it out of logs.
    pub sid: String,
    /// The Socket.IO id within the namespace, which server code knows as `socket.id`.
    pub namespace_sid: Option<String>,
    /// How often the server sends a ping.
    pub ping_interval: Duration,
    /// How much later than that a ping may come.
    pub ping_timeout: Duration,
    /// The largest packet in bytes that the server says it takes.
    pub max_payload: Option<u64>,
}

impl Handshake {
    /// How long a server that is alive may be silent.
    pub fn liveness(&self) -> Duration {
        self.ping_interval + self.ping_timeout
    }
}

/// The state machine.
pub(crate) struct Session {
    state: State,
    namespace: String,
    /// The CONNECT packet, sent when the session is open.
    connect: Bytes,
}

enum State {
    Opening,
    Joining { open: OpenPacket, pinged: Instant },
    Ready { liveness: Duration, pinged: Instant },
    Closed,
}

/// What one packet leads to: at most one packet in return, and what it means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) reply: Option<Bytes>,
    pub(crate) happened: Happened,
}

/// What a packet means to the driver.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Happened {
    Nothing,
    /// The session takes events from now on.
    Joined(Handshake),
    Event {
        name: String,
        payload: Bytes,
    },
    Ack {
        id: u64,
        payload: Bytes,
    },
    /// CONNECT to a barrier namespace was answered, perhaps by letting us in.
    NamespaceBarrier {
        joined: bool,
    },
    EnginePong,
    NotEngineIo(Excerpt),
    EngineIo3,
    Refused(Excerpt),
    Disconnected,
    EngineClosed,
}

impl Session {
    pub(crate) fn new(namespace: &str, auth: Option<&[u8]>) -> Session {
        let connect = packet::encode_connect(namespace, auth);
        Session {
            state: State::Opening,
            namespace: namespace.to_owned(),
            connect,
        }
    }

    /// Takes one text frame.
    pub(crate) fn receive(&mut self, frame: &Bytes, now: Instant) -> Step {
        let packet = match packet::decode(frame) {
            Ok(packet) => packet,
            Err(error) if !matches!(self.state, State::Opening) => {
                debug!(%error, "packet ignored");
                return Step::nothing();
            }
            Err(_) => Packet::Ignored,
        };
        match (&mut self.state, packet) {
            (State::Closed, _) => Step::nothing(),
            (State::Opening, Packet::Open(open)) => {
                self.state = State::Joining { open, pinged: now };
                Step::reply(self.connect.clone())
            }
            (State::Opening, _) => self.close(Happened::NotEngineIo(Excerpt::new(frame))),
            (State::Joining { pinged, .. } | State::Ready { pinged, .. }, Packet::Ping(data)) => {
                *pinged = now;
                Step::reply(packet::encode_pong(&data))
            }
            (_, Packet::Close) => self.close(Happened::EngineClosed),
            (State::Ready { .. }, Packet::Pong) => Step::happened(Happened::EnginePong),
            (State::Joining { .. }, Packet::Message(message)) => self.while_joining(message),
            (State::Ready { .. }, Packet::Message(message)) => self.while_ready(message),
            (_, Packet::Open(_) | Packet::Pong | Packet::Ignored) => Step::nothing(),
        }
    }

    /// When the server counts as dead unless a ping comes; nothing before the open packet, where
    /// the deadline over connecting holds.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Opening | State::Closed => None,
            State::Joining { open, pinged } => {
                Some(*pinged + open.ping_interval + open.ping_timeout)
            }
            State::Ready { liveness, pinged } => Some(*pinged + *liveness),
        }
    }

    /// Whether that moment has come.
    pub(crate) fn is_overdue(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|deadline| now >= deadline)
    }

    /// What is being waited for while connecting.
    pub(crate) fn stage(&self) -> Stage {
        match self.state {
            State::Opening => Stage::OpenPacket,
            _ => Stage::Namespace,
        }
    }

    fn while_joining(&mut self, message: Message) -> Step {
        let ours = message.namespace == self.namespace;
        match message.kind {
            // Socket.IO 5 always names an id here. A bare `40` comes unasked from servers that
            // speak Engine.IO 3 whatever the query says; they would wait for pings of ours.
            Kind::Connect if message.namespace == "/" && message.data.is_empty() => {
                self.close(Happened::EngineIo3)
            }
            Kind::Connect if ours => self.join(&message.data),
            Kind::ConnectError if ours => {
                self.close(Happened::Refused(Excerpt::new(&message.data)))
            }
            Kind::Disconnect if ours => self.close(Happened::Disconnected),
            _ => {
                debug!(kind = ?message.kind, "packet before the namespace was joined ignored");
                Step::nothing()
            }
        }
    }

    fn join(&mut self, data: &[u8]) -> Step {
        #[derive(serde::Deserialize)]
        struct Reply {
            sid: Option<String>,
        }
        let State::Joining { open, pinged } = std::mem::replace(&mut self.state, State::Closed)
        else {
            return Step::nothing();
        };
        let reply = serde_json::from_slice::<Reply>(data).ok();
        let handshake = Handshake {
            sid: open.sid,
            namespace_sid: reply.and_then(|reply| reply.sid),
            ping_interval: open.ping_interval,
            ping_timeout: open.ping_timeout,
            max_payload: open.max_payload,
        };
        self.state = State::Ready {
            liveness: handshake.liveness(),
            pinged,
        };
        Step::happened(Happened::Joined(handshake))
    }

    fn while_ready(&mut self, message: Message) -> Step {
        if let Some(namespace) = BARRIER_NAMESPACES
            .iter()
            .find(|name| message.namespace == **name)
        {
            return about_a_barrier(namespace, message.kind);
        }
        if message.namespace != self.namespace {
            debug!("packet of another namespace ignored");
            return Step::nothing();
        }
        match message.kind {
            Kind::Connect => Step::nothing(),
            Kind::Event => self.event(&message),
            Kind::Ack => match message.id {
                Some(id) => Step::happened(Happened::Ack {
                    id,
                    payload: message.data,
                }),
                None => Step::nothing(),
            },
            Kind::Disconnect => self.close(Happened::Disconnected),
            Kind::ConnectError => self.close(Happened::Refused(Excerpt::new(&message.data))),
        }
    }

    fn event(&self, message: &Message) -> Step {
        let reply = message
            .id
            .map(|id| packet::encode_empty_ack(&self.namespace, id));
        match packet::split_event(&message.data) {
            Ok((name, payload)) => Step {
                reply,
                happened: Happened::Event { name, payload },
            },
            Err(error) => {
                debug!(%error, "event ignored");
                Step {
                    reply,
                    happened: Happened::Nothing,
                }
            }
        }
    }

    fn close(&mut self, happened: Happened) -> Step {
        self.state = State::Closed;
        Step::happened(happened)
    }
}

/// A namespace that nobody has is refused; one that a server has is left again at once.
fn about_a_barrier(namespace: &str, kind: Kind) -> Step {
    match kind {
        Kind::Connect => Step {
            reply: Some(packet::encode_disconnect(namespace)),
            happened: Happened::NamespaceBarrier { joined: true },
        },
        Kind::ConnectError => Step::happened(Happened::NamespaceBarrier { joined: false }),
        _ => Step::nothing(),
    }
}

impl Step {
    fn nothing() -> Step {
        Step::happened(Happened::Nothing)
    }

    fn happened(happened: Happened) -> Step {
        Step {
            reply: None,
            happened,
        }
    }

    fn reply(frame: Bytes) -> Step {
        Step {
            reply: Some(frame),
            happened: Happened::Nothing,
        }
    }
}

#[cfg(test)]
mod tests;
