//! What the server has been asked and has not answered yet: barriers and acknowledgements.
//!
//! A barrier is something that a server answers after it has read everything before it. The caller
//! numbers its barriers upwards; an answer covers all earlier ones of its kind, so only newest
//! numbers are kept. An answer that nobody asked for is never passed on.

use std::collections::{HashSet, VecDeque};

use bytes::Bytes;

use crate::packet;

/// Namespaces that no server should have. Asking to join one is a barrier, so they cannot be joined
/// otherwise. The second is used only where a server lets the client into the first: socket.io 4
/// leaves a namespace one tick late and closes the connection over a CONNECT that comes meanwhile.
pub const BARRIER_NAMESPACES: [&str; 2] = ["/kete-barrier", "/kete-barrier-2"];

/// The question a barrier asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BarrierKind {
    /// A WebSocket ping, answered by a pong with the same payload. Works with almost every server;
    /// netty-socketio 2.0 never answers, and a proxy may answer by itself.
    Ping,
    /// A CONNECT to a namespace that nobody has, answered by CONNECT_ERROR. Works with every server
    /// that speaks Engine.IO 4; one that has such a namespace lets the client in, which is an
    /// answer too, and the client leaves again. While one question waits, later ones are held back
    /// and asked together, because such a server closes over a second CONNECT.
    Namespace,
    /// An Engine.IO ping from the client, answered by a pong. For netty-socketio only: other
    /// servers of Engine.IO 4 close the connection over it.
    EnginePing,
}

/// What has to be sent to ask a question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Question {
    WebSocketPing(Bytes),
    Packet(Bytes),
}

/// The questions of one connection.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    ping: Option<u64>,
    namespace: Namespace,
    engine: VecDeque<u64>,
    acks: HashSet<u32>,
}

#[derive(Debug, Default)]
struct Namespace {
    /// The question on the wire.
    asked: Option<u64>,
    /// The newest question that has to wait for the one on the wire.
    waiting: Option<u64>,
    /// Which of the two namespaces is asked for.
    turn: usize,
}

impl Answers {
    /// Notes a question and says what to send now; nothing if it has to wait for another one.
    pub(crate) fn ask(&mut self, kind: BarrierKind, id: u64) -> Option<Question> {
        match kind {
            BarrierKind::Ping => {
                self.ping = Some(id);
                Some(Question::WebSocketPing(Bytes::copy_from_slice(
                    &id.to_be_bytes(),
                )))
            }
            BarrierKind::EnginePing => {
                self.engine.push_back(id);
                Some(Question::Packet(packet::PING))
            }
            BarrierKind::Namespace if self.namespace.asked.is_some() => {
                self.namespace.waiting = Some(id);
                None
            }
            BarrierKind::Namespace => {
                self.namespace.asked = Some(id);
                Some(Question::Packet(self.namespace.connect()))
            }
        }
    }

    /// A WebSocket pong came: the barrier that it answers.
    pub(crate) fn pong(&self, payload: &[u8]) -> Option<u64> {
        let id = u64::from_be_bytes(payload.try_into().ok()?);
        self.ping.filter(|newest| id <= *newest).map(|_| id)
    }

    /// An Engine.IO pong came: the barrier that it answers.
    pub(crate) fn engine_pong(&mut self) -> Option<u64> {
        self.engine.pop_front()
    }

    /// A barrier namespace was answered, perhaps by letting us in: the barrier that this answers,
    /// and the packet that asks the question that waited.
    pub(crate) fn namespace(&mut self, joined: bool) -> (Option<u64>, Option<Bytes>) {
        let namespace = &mut self.namespace;
        let answered = namespace.asked.take();
        namespace.asked = namespace.waiting.take();
        if joined {
            namespace.turn = 1 - namespace.turn;
        }
        (answered, namespace.asked.map(|_| namespace.connect()))
    }

    /// Notes the acknowledgements that events ask for.
    pub(crate) fn expect_acks(&mut self, ids: impl Iterator<Item = u32>) {
        self.acks.extend(ids);
    }

    /// An acknowledgement came: its id, if it was asked for and not answered before.
    pub(crate) fn ack(&mut self, id: u64) -> Option<u32> {
        let id = u32::try_from(id).ok()?;
        self.acks.remove(&id).then_some(id)
    }
}

impl Namespace {
    fn connect(&self) -> Bytes {
        packet::encode_connect(BARRIER_NAMESPACES[self.turn], None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pong_counts_only_for_a_ping_that_was_sent() {
        let mut answers = Answers::default();
        let ask = |answers: &mut Answers, id| match answers.ask(BarrierKind::Ping, id) {
            Some(Question::WebSocketPing(payload)) => payload,
            other => panic!("{other:?}"),
        };
        assert_eq!(answers.pong(&[0; 8]), None);
        let (four, seven) = (ask(&mut answers, 4), ask(&mut answers, 7));
        assert_eq!(answers.pong(&four), Some(4));
        assert_eq!(answers.pong(&seven), Some(7));
        assert_eq!(answers.pong(&8_u64.to_be_bytes()), None);
        assert_eq!(answers.pong(b""), None);
        assert_eq!(answers.pong(b"unasked for"), None);
    }

    #[test]
    fn engine_pongs_answer_in_order() {
        let mut answers = Answers::default();
        answers.ask(BarrierKind::EnginePing, 1);
        answers.ask(BarrierKind::EnginePing, 2);
        assert_eq!(answers.engine_pong(), Some(1));
        assert_eq!(answers.engine_pong(), Some(2));
        assert_eq!(answers.engine_pong(), None);
    }

    #[test]
    fn only_one_namespace_question_is_on_the_wire_and_the_newest_follows() {
        let mut answers = Answers::default();
        let connect = Bytes::from_static(b"40/kete-barrier,");
        let asked = Some(Question::Packet(connect.clone()));
        assert_eq!(answers.ask(BarrierKind::Namespace, 1), asked);
        assert_eq!(answers.ask(BarrierKind::Namespace, 2), None);
        assert_eq!(answers.ask(BarrierKind::Namespace, 3), None);
        assert_eq!(answers.namespace(false), (Some(1), Some(connect)));
        assert_eq!(answers.namespace(false), (Some(3), None));
        assert_eq!(answers.namespace(false), (None, None));
        assert_eq!(answers.ask(BarrierKind::Namespace, 4), asked);
    }

    #[test]
    fn a_namespace_that_lets_us_in_is_not_the_next_to_be_asked_for() {
        let mut answers = Answers::default();
        for (id, namespace) in [
            (1, "/kete-barrier"),
            (2, "/kete-barrier-2"),
            (3, "/kete-barrier"),
        ] {
            let connect = packet::encode_connect(namespace, None);
            let asked = answers.ask(BarrierKind::Namespace, id);
            assert_eq!(asked, Some(Question::Packet(connect)));
            assert_eq!(answers.namespace(true), (Some(id), None));
        }
    }

    #[test]
    fn an_acknowledgement_counts_once_and_only_when_asked_for() {
        let mut answers = Answers::default();
        answers.expect_acks([0, 5].into_iter());
        assert_eq!(answers.ack(5), Some(5));
        assert_eq!(answers.ack(5), None);
        assert_eq!(answers.ack(6), None);
        assert_eq!(answers.ack(1 << 32), None, "must not be taken for id 0");
    }
}
