//! Every order of packets that a server may come up with, without a socket and without a clock.

use proptest::prelude::*;

use super::*;

const OPEN: &str = r#"0{"sid":"e","upgrades":[],"pingInterval":300,"pingTimeout":200}"#;

struct Table {
    session: Session,
    start: Instant,
    milliseconds: u64,
}

impl Table {
    fn new(namespace: &str) -> Table {
        let session = Session::new(namespace, Some(br#"{"token":1}"#));
        Table {
            session,
            start: Instant::now(),
            milliseconds: 0,
        }
    }

    fn ready() -> Table {
        let mut table = Table::new("/");
        table.get(OPEN);
        table.get(r#"40{"sid":"s"}"#);
        table
    }

    fn at(&self, milliseconds: u64) -> Instant {
        self.start + Duration::from_millis(milliseconds)
    }

    fn get(&mut self, text: &str) -> Step {
        let now = self.at(self.milliseconds);
        self.session
            .receive(&Bytes::copy_from_slice(text.as_bytes()), now)
    }

    fn happens(&mut self, text: &str) -> Happened {
        let step = self.get(text);
        assert_eq!(step.reply, None, "{text}");
        step.happened
    }

    fn is_ignored(&mut self, text: &str) {
        assert_eq!(self.get(text), Step::nothing(), "{text}");
    }
}

fn reply(text: &'static str) -> Step {
    Step::reply(Bytes::from_static(text.as_bytes()))
}

#[test]
fn a_session_opens_joins_and_is_ready() {
    let mut table = Table::new("/a");
    assert_eq!(table.session.stage(), Stage::OpenPacket);
    assert_eq!(table.get(OPEN), reply(r#"40/a,{"token":1}"#));
    assert_eq!(table.session.stage(), Stage::Namespace);
    let joined = table.happens(r#"40/a,{"sid":"s","pid":"p"}"#);
    let handshake = Handshake {
        sid: "e".to_owned(),
        namespace_sid: Some("s".to_owned()),
        ping_interval: Duration::from_millis(300),
        ping_timeout: Duration::from_millis(200),
        max_payload: None,
    };
    assert_eq!(joined, Happened::Joined(handshake));
}

#[test]
fn pings_and_events_before_the_connect_reply_do_no_harm() {
    let mut table = Table::new("/");
    table.get(OPEN);
    assert_eq!(table.get("2"), reply("3"));
    table.is_ignored(r#"42["missed",1]"#);
    table.is_ignored(r#"421["missed with ack"]"#);
    table.is_ignored("6");
    table.is_ignored(r#"40/other,{"sid":"x"}"#);
    table.is_ignored(r#"44/other,"no""#);
    table.is_ignored("no packet at all");
    assert!(matches!(
        table.happens(r#"40{"sid":"s"}"#),
        Happened::Joined(_)
    ));
}

#[test]
fn a_connect_reply_without_an_object_still_joins_a_named_namespace() {
    let mut table = Table::new("/a");
    table.get(OPEN);
    let joined = table.happens("40/a");
    assert!(matches!(joined, Happened::Joined(handshake) if handshake.namespace_sid.is_none()));
}

#[test]
fn a_bare_connect_comes_from_engine_io_3() {
    for namespace in ["/", "/a"] {
        let mut table = Table::new(namespace);
        table.get(OPEN);
        assert_eq!(table.happens("40"), Happened::EngineIo3);
    }
}

#[test]
fn a_refusal_is_an_object_or_a_string() {
    for payload in [
        r#"{"message":"Invalid namespace"}"#,
        r#""Unable to connect""#,
    ] {
        let mut table = Table::new("/a");
        table.get(OPEN);
        let refused = table.happens(&format!("44/a,{payload}"));
        assert_eq!(refused, Happened::Refused(Excerpt::new(payload.as_bytes())));
        assert_eq!(table.session.deadline(), None);
    }
}

#[test]
fn whatever_is_no_open_packet_is_no_engine_io() {
    for text in ["", "hello", "2", "40", "0{}", "3", r#"{"welcome":1}"#] {
        let mut table = Table::new("/");
        assert_eq!(
            table.happens(text),
            Happened::NotEngineIo(Excerpt::new(text.as_bytes()))
        );
    }
}

#[test]
fn the_end_may_come_while_joining() {
    for (text, expected) in [
        ("1", Happened::EngineClosed),
        ("41", Happened::Disconnected),
    ] {
        let mut table = Table::new("/");
        table.get(OPEN);
        assert_eq!(table.happens(text), expected);
    }
}

#[test]
fn events_are_told_apart_from_everything_else_by_position_alone() {
    let mut table = Table::ready();
    let event = |name: &str, payload: &'static str| Happened::Event {
        name: name.to_owned(),
        payload: Bytes::from_static(payload.as_bytes()),
    };
    assert_eq!(table.happens(r#"42["close"]"#), event("close", ""));
    assert_eq!(
        table.happens(r#"42["news",{"a":1},"offset"]"#),
        event("news", r#"{"a":1},"offset""#)
    );
    let step = table.get(r#"427["question",1]"#);
    assert_eq!(step.reply, Some(Bytes::from_static(b"437[]")));
    assert_eq!(step.happened, event("question", "1"));
}

#[test]
fn an_unreadable_event_with_an_ack_id_is_still_acknowledged() {
    let mut table = Table::ready();
    assert_eq!(table.get("427[]"), reply("437[]"));
    table.is_ignored("42[]");
}

#[test]
fn acknowledgements_carry_their_id_and_binary_ones_count_too() {
    let mut table = Table::ready();
    let ack = |id, payload: &'static str| Happened::Ack {
        id,
        payload: Bytes::from(payload),
    };
    assert_eq!(table.happens(r#"435["ok"]"#), ack(5, r#"["ok"]"#));
    let binary = r#"461-6[{"_placeholder":true,"num":0}]"#;
    assert_eq!(
        table.happens(binary),
        ack(6, r#"[{"_placeholder":true,"num":0}]"#)
    );
    table.is_ignored("43[]");
}

#[test]
fn the_namespace_ends_the_session_and_other_namespaces_do_not() {
    let refused = Happened::Refused(Excerpt::new(br#""gone""#));
    for (text, expected) in [
        ("41", Happened::Disconnected),
        (r#"44"gone""#, refused),
        ("1", Happened::EngineClosed),
    ] {
        let mut table = Table::ready();
        table.is_ignored("41/other,");
        table.is_ignored(r#"44/other,"gone""#);
        table.is_ignored(r#"42/other,1["x"]"#);
        table.is_ignored(r#"40{"sid":"again"}"#);
        table.is_ignored(OPEN);
        assert_eq!(table.happens(text), expected);
        table.is_ignored(r#"42["too late"]"#);
        table.is_ignored("2");
    }
}

#[test]
fn the_barrier_namespace_answers_by_refusing_or_is_left_at_once() {
    let mut table = Table::ready();
    let refused = r#"44/kete-barrier,{"message":"Invalid namespace"}"#;
    assert_eq!(
        table.happens(refused),
        Happened::NamespaceBarrier { joined: false }
    );
    let step = table.get(r#"40/kete-barrier,{"sid":"b"}"#);
    assert_eq!(step.reply, Some(Bytes::from_static(b"41/kete-barrier,")));
    assert_eq!(step.happened, Happened::NamespaceBarrier { joined: true });
    table.is_ignored("41/kete-barrier,");
    let second = table.get(r#"40/kete-barrier-2,{"sid":"b"}"#);
    assert_eq!(
        second.reply,
        Some(Bytes::from_static(b"41/kete-barrier-2,"))
    );
    assert_eq!(table.happens("3"), Happened::EnginePong);
}

#[test]
fn only_pings_move_the_liveness_deadline() {
    let mut table = Table::new("/");
    assert_eq!(table.session.deadline(), None);
    table.milliseconds = 10;
    table.get(OPEN);
    assert_eq!(table.session.deadline(), Some(table.at(510)));
    table.milliseconds = 100;
    table.get(r#"40{"sid":"s"}"#);
    table.get(r#"42["x"]"#);
    table.get("3");
    assert_eq!(table.session.deadline(), Some(table.at(510)));
    table.milliseconds = 400;
    assert_eq!(table.get("2"), reply("3"));
    assert_eq!(table.session.deadline(), Some(table.at(900)));
    assert!(!table.session.is_overdue(table.at(899)));
    assert!(table.session.is_overdue(table.at(900)));
}

proptest! {
    #[test]
    fn no_order_of_packets_makes_it_panic_or_answer_after_the_end(
        packets in proptest::collection::vec(
            proptest::sample::select(vec![
                OPEN, "1", "2", "2probe", "3", "40", r#"40{"sid":"s"}"#, "41", r#"42["x",1]"#,
                r#"421["x"]"#, "430[]", r#"44"no""#, "40/kete-barrier,", "44/kete-barrier,", "x", "",
            ]),
            0..12,
        )
    ) {
        let mut table = Table::new("/");
        let mut closed = false;
        for text in packets {
            let step = table.get(text);
            if closed {
                prop_assert_eq!(&step, &Step::nothing());
            }
            closed |= matches!(table.session.state, State::Closed);
        }
    }
}
